//! The drivers: what keeps observing, planning and applying going.
//!
//! ```text
//! board        what can be seen from outside: who does not get on, what is counted
//! brake        too many deletions in a minute, and all of them wait for a person's word
//! definitions  what should be published, to be changed while the agent runs
//! published    definitions that are written as `PublishedResource` objects
//! crds         what stands behind it on the service cluster
//! schema       the schemas of what is published, in the provider's workspace
//! export       how an export is filled with them
//! generation   from definitions to what runs
//! gate     when an order may be decided about
//! gated    who waits for that
//! handback what the Go agent has to remember when it takes over again
//! queue    who is next; fair to tenants
//! flow     how many at once: as many as make the servers faster
//! doors    what may not be read, and which order knocks for all
//! pause    how long who does not get through waits
//! index    whose order does this object belong to
//! referrers who refers to whom, and goes first
//! ledger   what metadata watches say about related objects
//! sorted   where its rows lie
//! pack     records at rest
//! parked   bodies that wait for a step
//! orders   all orders: key, record, and what is in hand
//! state    all of it, and when what happens
//! states   what the Go agent remembers, where its installation is continued
//! sync     one step of one order
//! roster   the generation of each publication that runs
//! sweep        lets go of what nobody needs
//! fleet    all watches and all workers, and how one generation follows another
//! ```

pub mod board;
pub mod brake;
pub(crate) mod crds;
pub(crate) mod definitions;
mod doors;
pub mod export;
mod few;
pub(crate) mod fleet;
pub mod flow;
mod follow;
mod gate;
mod gated;
pub(crate) mod generation;
mod handback;
pub mod index;
pub(crate) mod ledger;
mod numbered;
pub(crate) mod once;
mod orders;
pub mod pack;
mod parked;
mod pause;
#[cfg(feature = "program")]
pub(crate) mod published;
pub mod queue;
mod referrers;
pub(crate) mod roster;
mod schema;
pub(crate) mod selections;
mod shelf;
mod sorted;
pub(crate) mod state;
pub(crate) mod states;
mod sweep;
pub(crate) mod sync;

#[cfg(test)]
#[path = "../tests/it/chance.rs"]
mod chance;
