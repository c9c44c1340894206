//! The laws of the pure core: tables, worlds and properties, without a server and without a clock.

mod fixture;
mod world;

mod convergence;
mod deletion;
mod names;
mod projection;
mod publication;
mod related;
mod schema;
mod table;
mod tenants;
mod tree;
