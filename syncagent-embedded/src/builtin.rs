//! The kinds that are compiled into a server, and their admission.
//!
//! A custom kind is described by its CRD; everything that the server knows about it is data. Built-in kinds have
//! behaviour besides: a Secret merges `stringData`, a Service gets an address, an Event is one object under two groups,
//! a Namespace may not be deleted while it is `default`. All of it is here, as functions of values: what the request
//! carried and what is stored goes in, the object to store or a [`Failure`](crate::status::Failure) comes out.

pub mod decode;
pub mod kinds;
pub mod meta;
