//! One step of one order, decided: `plan(context, publication, key, record, seen) -> Plan`.
//!
//! The decision is total and deterministic. It knows no clock, no client and no lock: the time is in the [`Context`], what
//! was seen is in [`Seen`], what was done before is in the [`Record`]. When it lacks data it returns [`Question`]s. It never
//! waits: one pass plans everything that can be done now, and the answers to its effects come back through [`absorb`].
//!
//! The loop around it has no business `if`:
//!
//! ```text
//! loop {
//!     let plan = plan(&context, &publication, &key, &record, &seen);
//!     record = plan.record;
//!     index.replace(key, plan.concerns);                       // register first,
//!     for question in plan.questions { seen.answer(...) }      // then ask
//!     for effect in plan.effects {
//!         match absorb(&publication, &key, &mut record, &mut seen, &effect, send(&effect.request)) {
//!             Heard::Next => {}                                // the next effect
//!             Heard::Again => break,                           // plan again: something is not as it was thought
//!             Heard::Later(why) => return back_off(why),       // the server is busy or says no: later
//!         }
//!     }
//!     if nothing was asked and nothing was done { return plan.ending }
//! }
//! ```
//!
//! What a [`Sight`] says matters for the laws. *Unseen* is "no news since the record"; *Doubt* is "there is news, and it is
//! not in hand" (a DELETED event is a doubt, not an absence); *Absent* is positive evidence (a GET answered 404).

mod seen;

mod record;

mod effect;

mod stated;

mod speak;
mod step;

mod adopt;
mod annotate;
mod carry;
mod compose;
mod copy;
mod drift;
mod end;
mod fight;
mod filter;
mod find;
mod forward;
mod hold;
mod keep;
mod locate;
mod lost;
mod make;
mod name;
mod predecessor;
mod recall;
mod reflect;
mod returned;
#[cfg(feature = "rim")]
mod shapes;
mod taken;
mod tend;
mod unheeded;
mod untake;
mod withdraw;

mod absorb;
mod explain;
mod handback;

// The words that a plan is made of; they live in the layers above.
pub use crate::object::reference::{Key, Known, ObjectRef, Place};
pub use crate::object::selection::{Listing, Member, Query};
pub use crate::status::Synced;

pub use absorb::absorb;
pub use effect::{Deed, Effect, Heard, Later, Reply, Request, Subresource, Verb};
pub use explain::{Hands, Trouble};
pub use handback::{Handback, handback};
pub use keep::Leaves;
#[cfg(feature = "rim")]
pub(crate) use keep::Shape;
pub use record::{
    CopyKnown, Drifted, FoundKnown, Lost, MadeKnown, ReadKnown, Record, Refusal, ReturnedKnown,
    StatusKnown, TakenKnown,
};
pub use seen::{Depth, Question, Seen, Sight};
pub use stated::Stated;
pub use step::plan;

/// What a decision may know beside the order itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The time, as RFC 3339 to the second and in UTC: `2026-11-22T18:00:00Z`.
    pub now: String,
    /// Whether nothing may be deleted on the service cluster before a person says so.
    pub paused: bool,
    /// Whether other orders refer to this one whose copies go first.
    pub referred: bool,
    /// The uid of the order of this name that was deleted last while an agent took hold of it: the last state that a watch
    /// told of it has our finalizer and no deletion timestamp.
    ///
    /// A server that is asked to delete an object looks for finalizers first, and one that is added between its look and
    /// its write does not keep the object (kube-apiserver 1.36: up to one in eight when both happen at once). Nobody took
    /// our finalizer off then: it is a deletion as every other.
    pub torn: Option<String>,
}

/// What a step comes to.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Plan {
    /// What to find out; answer these, then plan again.
    pub questions: Vec<Question>,
    /// What to do, in this order.
    pub effects: Vec<Effect>,
    /// What is known now; replaces the record that the plan was made from.
    pub record: Record,
    /// Every object beside origin and copy whose change matters to this order; replaces what was registered before.
    pub concerns: Vec<ObjectRef>,
    /// Every selection whose joiners matter to this order; replaces what was registered before.
    pub queries: Vec<Query>,
    /// Where the order stands when nothing is left to ask and to do.
    pub ending: Ending,
    /// What the consumer has to know, most important first.
    pub troubles: Vec<Trouble>,
    /// In whose hands the order is; `None` when nothing is to be done about it.
    pub hands: Option<Hands>,
}

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Nothing to do until something changes.
    Settled,
    /// Nothing to do, though the copy is not what was ordered: somebody changed it, and it is left so. For the provider.
    Drifted(String),
    /// Waiting for an event; the sentence is for people.
    Waiting(String),
    /// Refused or not possible now; worth another look in minutes, also without an event. For the provider.
    Refused(String),
    /// There is no such order any more: the record can be dropped.
    Gone,
}
