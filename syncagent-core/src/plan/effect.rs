//! What is to be done: requests that carry everything but the client, and what their answers mean.

use std::fmt;

use crate::object::reference::ObjectRef;
use serde_json::Value;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Effect {
    /// What it is to people, and to [`absorb`](super::absorb).
    pub deed: Deed,
    /// Why, for the provider's log.
    pub because: &'static str,
    /// What goes over the wire.
    pub request: Request,
}

/// What an effect is to people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// Our finalizer onto the origin.
    Hold,
    /// The namespace of the copy.
    Namespace,
    /// The copy, new.
    Place,
    /// The copy, changed.
    Refresh,
    /// Our marks onto an object that stands where the copy would be made.
    Adopt,
    /// The ownership of fields of the copy that were written otherwise than by apply.
    Inherit,
    /// The status onto the origin.
    Reflect,
    /// Onto the origin, what came up with it.
    Annotate,
    /// Marks the copy as kept, for its order is gone.
    Leave,
    /// Deletes the copy.
    Retire,
    /// Our finalizer off the origin.
    Release,
    /// Our finalizer onto an object of the consumer that goes down; the path of the rule's field.
    HoldTaken(String),
    /// The copy of a taken object, new.
    Take(String),
    /// The copy of a taken object, changed.
    Retake(String),
    /// Deletes the copy of a taken object.
    Untake(String),
    /// Our finalizer off an object of the consumer.
    ReleaseTaken(String),
    /// An object that comes up, new; the rule's id.
    Return(String),
    /// An object that comes up, changed.
    Update(String),
    /// Deletes an object that came up.
    Unreturn(String),
    /// The status of a related object onto its copy; the rule's id.
    Forward(String),
}

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which object, where.
    pub object: ObjectRef,
    /// What to do with it.
    pub verb: Verb,
    /// The body; for `Delete` the `DeleteOptions`.
    pub body: Value,
}

/// What to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// POST on the collection.
    Create,
    /// PATCH with `application/apply-patch+yaml` under the publication's field manager.
    Apply {
        /// Take over fields that others own.
        force: bool,
    },
    /// PATCH with `application/json-patch+json`.
    JsonPatch {
        /// Of which part.
        subresource: Option<Subresource>,
    },
    /// PATCH with `application/merge-patch+json`.
    MergePatch,
    /// DELETE; the body carries the precondition on the uid.
    Delete,
}

/// A part of an object with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subresource {
    /// `/status`.
    Status,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP code.
    pub code: u16,
    /// The body: an object, or a `Status`.
    pub body: Value,
}

/// What an answer means for the step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Heard {
    /// Done: the next effect.
    Next,
    /// Something is not as it was thought: drop the other effects and plan again.
    Again,
    /// Not now: drop the other effects and come back.
    Later(Later),
}

/// Why to come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Later {
    /// The server is busy, away or failing: back off.
    Unavailable,
    /// The server does not allow it: back off, and tell the provider.
    Denied,
    /// The server does not know who we are: back off, and tell the provider.
    Unaccepted,
}

/// What, where and why; never the body, for it may be a Secret's.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = self.deed.name();
        write!(f, "{deed} {} because {}", self.request.object, self.because)
    }
}
