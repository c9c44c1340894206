//! What is remembered of an order between two steps: versions and fingerprints, never bodies.

use crate::definition::Part;
use crate::object::fingerprint::Fingerprint;

use super::key::ObjectRef;

/// What is remembered of an order. A fresh one knows nothing, and everything in it can be found out again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The origin, as last seen.
    pub origin: Option<Known>,
    /// The generation of the origin.
    pub generation: i64,
    /// The fingerprint of what the consumer wrote.
    pub wish: Option<Fingerprint>,
    /// Whether our finalizer is on the origin.
    pub held: bool,
    /// The copy, as last written or seen.
    pub copy: Option<CopyKnown>,
    /// The fingerprint of the status that was last reflected.
    pub reflected: Option<Fingerprint>,
    /// The fingerprint of the status that the origin shows (the server may have pruned what was written).
    pub shown: Option<Fingerprint>,
    /// Our condition as the origin shows it.
    pub synced: Option<Synced>,
    /// Why the service cluster does not take what the consumer wrote, or why it could not be brought down.
    pub refusal: Option<Refusal>,
    /// The objects that the order takes.
    pub taken: Vec<TakenKnown>,
    /// The objects that came up.
    pub returned: Vec<ReturnedKnown>,
}

/// One version of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: String,
}

/// What is remembered of the copy.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyKnown {
    /// Its namespace; empty when cluster-scoped.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid and version.
    pub known: Known,
    /// The fingerprint of what was applied, as the copy's annotation says.
    pub applied: Option<String>,
    /// The fingerprint of our entry in `managedFields`.
    pub entry: Option<Fingerprint>,
    /// The generation of the copy that reflects `reflects`.
    pub generation: i64,
    /// The generation of the origin that the copy reflects.
    pub reflects: i64,
    /// The generation of the origin that the copy reflected before; what is shown while the service lags behind.
    pub before: i64,
    /// The fingerprint of the copy's status and spec.
    pub content: Fingerprint,
    /// Whether its deletion has begun.
    pub deleting: bool,
}

/// Our own condition on the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Whether all is well.
    pub ok: bool,
    /// The reason, in one word.
    pub reason: String,
    /// The message, in the consumer's terms.
    pub message: String,
    /// Since when the condition has this status.
    pub since: String,
}

/// A refusal: it stands until the consumer writes something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The fingerprint of what was refused.
    pub intent: Fingerprint,
    /// The reason, in one word.
    pub reason: String,
    /// The message, in the consumer's terms.
    pub message: String,
}

/// What is remembered of an object that the order takes.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenKnown {
    /// The consumer's object.
    pub origin: ObjectRef,
    /// Its copy.
    pub copy: ObjectRef,
    /// The consumer's object, as last copied; `None`: not there, or not copied yet.
    pub from: Option<Known>,
    /// The finalizers on the consumer's object.
    pub finalizers: Vec<String>,
    /// The copy, as last written or seen; `None`: none of ours.
    pub to: Option<Known>,
    /// The fingerprint of our entry in the copy's `managedFields`.
    pub entry: Option<Fingerprint>,
    /// Why it cannot be brought down: a reason and a message, in the consumer's terms.
    pub trouble: Option<(String, String)>,
}

/// What is remembered of an object that came up.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnedKnown {
    /// The rule's id.
    pub id: String,
    /// The object in the workspace.
    pub object: ObjectRef,
    /// The object as last written or seen; `None`: not there.
    pub at: Option<Known>,
    /// The parts it was made of, or would have been.
    pub parts: Vec<Part>,
    /// The hash of the versions of these parts.
    pub made_of: Option<Fingerprint>,
    /// The fingerprint of its content; kept in memory only.
    pub content: Option<Fingerprint>,
    /// Why it cannot be brought up: a reason and a message, in the consumer's terms.
    pub trouble: Option<(String, String)>,
}
