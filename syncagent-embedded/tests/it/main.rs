//! The embedded servers, as clients see them.

mod kubectl;
mod server;
