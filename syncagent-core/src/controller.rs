//! The drivers: what keeps observing, planning and applying going.
//!
//! ```text
//! board    what can be seen from outside: who does not get on, what is counted
//! schema   the schemas of what is published, in the provider's workspace
//! export   the export, filled with them
//! gate     when an order may be decided about
//! queue    who is next; fair to tenants
//! index    whose order does this object belong to
//! ledger   what metadata watches say about related objects
//! state    all of it: a record per order, and what is in hand until it is used
//! sync     one step of one order
//! roster   the generation of each publication that runs
//! fleet    all watches and all workers, and how one generation follows another
//! ```

pub mod board;
pub mod export;
pub(crate) mod fleet;
mod gate;
pub mod index;
pub(crate) mod ledger;
pub mod queue;
pub(crate) mod roster;
mod schema;
pub(crate) mod state;
pub(crate) mod sync;
