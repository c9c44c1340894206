//! The embedded servers, as clients see them.

mod server;
