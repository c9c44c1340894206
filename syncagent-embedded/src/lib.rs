//! An in-process kcp and an in-process Kubernetes API server: for tests, simulation and demos.
//!
//! Read the modules in the order in which they are declared: pure parts first, then the server that is built of them.

pub mod api;
pub mod apply;
pub mod builtin;
pub mod discovery;
pub mod fields;
pub mod openapi;
pub mod patch;
pub mod rbac;
pub mod status;
pub mod table;
