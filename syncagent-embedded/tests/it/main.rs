//! The embedded servers, as clients see them.

mod kcp;
mod kubectl;
mod server;
mod wildcard;
