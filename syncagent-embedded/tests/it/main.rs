//! The embedded servers, as clients see them.

mod kcp;
mod kubectl;
mod replay;
mod server;
mod trouble;
mod wildcard;
