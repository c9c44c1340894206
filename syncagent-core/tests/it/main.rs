//! The laws of the pure core: tables, worlds and properties, without a server and without a clock.

mod filter;
mod fixture;
mod found;
mod histories;
mod identity;
mod losses;
mod world;

mod constructed;

mod adversary;
mod agents;
mod chance;
#[cfg(feature = "compat")]
mod compat_api;
#[cfg(feature = "compat")]
mod compat_check;
#[cfg(feature = "compat")]
mod compat_crd;
#[cfg(feature = "compat")]
mod compat_definition;
#[cfg(feature = "compat")]
mod compat_hostile;
#[cfg(feature = "compat")]
mod compat_json;
#[cfg(feature = "compat")]
mod compat_openapi;
#[cfg(feature = "compat")]
mod compat_related;
#[cfg(feature = "compat")]
mod compat_schema;
#[cfg(feature = "compat")]
mod compat_sentences;
mod contract;
mod convergence;
mod defects;
mod deletion;
mod drift;
mod drift_table;
mod explain;
mod mutants;
mod mutation;
mod names;
mod naming;
mod news;
mod offer;
mod projection;
mod publication;
mod references;
mod referrers;
mod related;
mod related_table;
mod rooms;
mod schema;
mod spoken;
mod table;
mod takeover;
mod takeover_back;
mod takeover_edges;
#[cfg(feature = "compat")]
mod takeover_published;
mod takeover_related;
mod takeover_table;
mod tenants;
mod tree;
