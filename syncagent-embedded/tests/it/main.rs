//! The embedded servers, as clients see them.

mod kcp;
mod kubectl;
mod replay;
mod server;
mod shards;
mod trouble;
mod wildcard;
