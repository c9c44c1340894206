//! The engine of syncagent: it decides in pure code and acts at the rim.
//!
//! Read the modules in the order in which they are declared: each layer only knows the ones above it.

#[cfg(feature = "typed")]
pub mod api;
pub mod definition;
pub mod names;
pub mod object;
pub mod template;

pub mod mutation;
pub mod naming;
pub mod projection;
pub mod related;
pub mod status;

pub mod schema;

pub mod publication;

pub mod access;

#[cfg(feature = "compat")]
pub mod compat;

pub mod plan;

#[cfg(feature = "typed")]
pub mod typed;

#[cfg(feature = "rim")]
pub mod error;
#[cfg(feature = "rim")]
pub mod io;

#[cfg(feature = "rim")]
pub mod controller;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "rim")]
pub mod runtime;
