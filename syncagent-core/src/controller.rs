//! The drivers: what keeps observing, planning and applying going.
//!
//! ```text
//! board        what can be seen from outside: who does not get on, what is counted
//! definitions  what should be published, to be changed while the agent runs
//! crds         what stands behind it on the service cluster
//! schema       the schemas of what is published, in the provider's workspace
//! export       how an export is filled with them
//! generation   from definitions to what runs
//! gate     when an order may be decided about
//! queue    who is next; fair to tenants
//! index    whose order does this object belong to
//! ledger   what metadata watches say about related objects
//! pack     records at rest
//! state    all of it: a record per order, and what is in hand until it is used
//! sync     one step of one order
//! roster   the generation of each publication that runs
//! fleet    all watches and all workers, and how one generation follows another
//! ```

pub mod board;
pub(crate) mod crds;
pub(crate) mod definitions;
pub mod export;
pub(crate) mod fleet;
mod gate;
pub(crate) mod generation;
pub mod index;
pub(crate) mod ledger;
pub mod pack;
pub mod queue;
pub(crate) mod roster;
mod schema;
pub(crate) mod state;
pub(crate) mod sync;
