//! What is remembered of an order between two steps: versions and fingerprints, never bodies.
//!
//! A fresh record knows nothing, and everything in it can be found out again from the objects; that is what a restart does.
//! Between two steps it lies packed: the packing follows what is derived here, so a new field needs nothing but its place;
//! new [`Leaves`] have to be told of by [`Record::shapes`], too, for records at rest share the paths of leaves.

use serde::{Deserialize, Serialize};

use super::effect::{Deed, Effect};
use super::keep::Leaves;
use crate::definition::{Deletion, Part};
use crate::naming::CopyName;
use crate::object::fingerprint::Fingerprint;
use crate::object::reference::{Known, ObjectRef};
use crate::object::selection::{Member, Query};
use crate::related::find::Seed;
use crate::status::Synced;

/// What is remembered of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The origin, as last seen.
    pub origin: Option<Known>,
    /// The generation of the origin.
    pub generation: i64,
    /// The fingerprint of what the consumer wrote.
    pub wish: Option<Fingerprint>,
    /// The finalizers on the origin.
    pub finalizers: Vec<String>,
    /// Whether the origin's deletion was asked for.
    pub deleting: bool,
    /// Whether our finalizer was taken off a deleted origin: what follows is none of our business.
    pub released: bool,
    /// Whether the server of its workspace went back to an older state since it was seen: that it is missing there is no
    /// evidence that anybody wanted that.
    pub unsure: bool,
    /// The uid of the order that was found gone, where its copy is an orphan.
    pub orphan: Option<Box<str>>,
    /// Whether the copy vanished and is not to be made again.
    pub lost: bool,
    /// Whether the copy is marked as kept without its order.
    pub kept: Option<Lost>,
    /// Whether the order is not selected by the filter.
    pub outside: bool,
    /// Whether its namespace is not selected; `None`: not seen yet.
    pub namespace_outside: Option<bool>,
    /// How the order wants its copy to be deleted.
    pub deletion: Option<Deletion>,
    /// Where the copy is; `None`: where naming puts it.
    pub located: Option<Box<CopyName>>,
    /// Where naming puts the copy, when that follows from more than which order it is.
    pub named: Option<Box<CopyName>>,
    /// The path of the workspace, when the definition asks for it.
    pub path: Option<Box<str>>,
    /// Where younger objects with the identity of the copy are: somebody made them, and they are left alone.
    pub twins: Vec<CopyName>,
    /// The copy, as last written or seen.
    pub copy: Option<CopyKnown>,
    /// Whether the copy was observed absent since it was last there.
    pub copy_absent: bool,
    /// The fingerprint of the status that was last reflected.
    pub reflected: Option<Fingerprint>,
    /// The fingerprint of what the server made of it; `None` beside a status that was sent: it said that there is nothing
    /// to write to, and not yet what that means.
    pub replied: Option<Fingerprint>,
    /// The fingerprint of the status that the origin shows.
    pub shown: Option<Fingerprint>,
    /// Our condition as the origin shows it.
    pub synced: Option<Synced>,
    /// Why the service cluster does not take what the consumer wrote, or why it could not be brought down.
    pub refusal: Option<Refusal>,
    /// Fields of the copy that somebody else set.
    pub drifted: Vec<Drifted>,
    /// What a person last wrote to have drifted fields corrected again, as a hash.
    pub again: u64,
    /// A hash of what the Go agent remembers of the order, where its installation is continued; `None`: not asked yet.
    pub stated: Option<String>,
    /// Whether its copy told what it took before.
    pub recalled: bool,
    /// Whether the marks of taken copies told what it took before, or need not.
    pub swept: bool,
    /// The objects that the order takes.
    pub taken: Vec<TakenKnown>,
    /// The objects that come up.
    pub returned: Vec<ReturnedKnown>,
    /// What a function says in the status, where one does.
    pub made: Option<Box<MadeKnown>>,
    /// A fingerprint of the annotations that the order has, which name what came up with it.
    pub annotated: Option<Fingerprint>,
    /// Where the rules of related objects look, in their order; empty when there are none.
    pub found: Vec<FoundKnown>,
    /// What there was news of that no step came to yet.
    pub unheeded: Vec<ObjectRef>,
}

/// What an order has lost whose copy is kept without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lost {
    /// The workspace unbound the export.
    Binding,
    /// The order is gone although it was held.
    Order,
}

/// What is remembered of the copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopyKnown {
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
    /// The fingerprint of the copy's content and status.
    pub content: Fingerprint,
    /// Whether its deletion has begun.
    pub deleting: bool,
    /// Whether somebody may have changed what is ours on it, and this was not looked into yet.
    pub suspect: bool,
    /// What was written, leaf by leaf, where changes on the copy are kept; `None`: not known, or not needed.
    pub leaves: Option<Leaves>,
}

/// A field of the copy that somebody else set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    /// The field, as a JSON pointer.
    pub path: String,
    /// Who has it now; empty when nobody says.
    pub manager: String,
    /// The hash of the value that the consumer wants there.
    pub wanted: u64,
    /// How often it was reset, in a row.
    pub resets: u8,
    /// Whether it was corrected since it was last reset.
    pub corrected: bool,
    /// Whether it is left as it is.
    pub left: bool,
    /// When it was last reset, in seconds.
    pub at: i64,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The fingerprint of what was refused: it is not tried again before it changes.
    pub intent: Fingerprint,
    /// The reason, in one word.
    pub reason: String,
    /// The message, in the consumer's terms.
    pub message: String,
    /// Whether only the consumer can do something about it.
    pub lasting: bool,
}

/// What is remembered of an object that the order takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TakenKnown {
    /// The path of the rule.
    pub path: String,
    /// The consumer's object.
    pub origin: ObjectRef,
    /// Its copy.
    pub copy: ObjectRef,
    /// The consumer's object as last seen; `None`: not there.
    pub seen: Option<Known>,
    /// The version of the consumer's object that the copy has.
    pub from: Option<Known>,
    /// The finalizers on the consumer's object.
    pub finalizers: Vec<String>,
    /// The copy, as last written or seen; `None`: none of ours.
    pub to: Option<Known>,
    /// The fingerprint of our entry in the copy's `managedFields`.
    pub entry: Option<Fingerprint>,
    /// Whether the consumer's object was looked at.
    pub looked_origin: bool,
    /// Whether the copy was looked at.
    pub looked_copy: bool,
    /// Whether somebody else's object stands in the place of the copy.
    pub foreign: bool,
    /// The version of the consumer's object that the service cluster refused, and the message for the consumer.
    pub refused: Option<(Known, String)>,
    /// Whether its copy has a field that cannot be changed, and is made anew.
    pub recreate: bool,
    /// Whether the order does not name the object any more.
    pub dropped: bool,
    /// The status that the copy has, where the rule says that it crosses.
    pub status: StatusKnown,
    /// What was brought over last, where that is remembered leaf by leaf; in memory only.
    pub leaves: Option<Leaves>,
}

/// What is remembered of an object that comes up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReturnedKnown {
    /// The rule's id.
    pub id: String,
    /// The object in the workspace.
    pub object: ObjectRef,
    /// What the rule reads on the service cluster.
    pub reads: Vec<ReadKnown>,
    /// The object as last written or seen; `None`: not there.
    pub at: Option<Known>,
    /// Whether the object was looked at.
    pub looked: bool,
    /// Whether somebody else's object stands in its place.
    pub foreign: bool,
    /// The parts it was made of, or would have been.
    pub parts: Vec<Part>,
    /// The fingerprint of the versions of these parts, as text.
    pub made_of: Option<String>,
    /// The fingerprint of the content that the server answered with; kept in memory only.
    pub content: Option<Fingerprint>,
    /// Whether it must be made anew, whatever the versions say.
    pub dirty: bool,
    /// What the workspace refused, as `made_of`, and the message for the consumer.
    pub refused: Option<(String, String)>,
    /// Whether a field of it cannot be changed, and it is made anew.
    pub recreate: bool,
    /// Whether it is not found any more.
    pub dropped: bool,
    /// The status that it has, where the rule says that it crosses.
    pub status: StatusKnown,
    /// What was brought over last, where that is remembered leaf by leaf; in memory only.
    pub leaves: Option<Leaves>,
}

/// Where a rule of related objects looks, and what it found there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FoundKnown {
    /// The fingerprint of what the order says about it.
    pub order: Option<Fingerprint>,
    /// The fingerprint of what the copy says about it.
    pub copy: Option<Fingerprint>,
    /// What they say; `None`: not looked at yet.
    pub seed: Option<Seed>,
    /// What was selected.
    pub members: Vec<(Query, Vec<Member>)>,
    /// What the copies of found objects are called, where that follows from what these say.
    pub called: Vec<(ObjectRef, String)>,
    /// Whether what was found is among the objects that are taken or returned.
    pub resolved: bool,
    /// Whether it was looked for what was left from before a restart.
    pub swept: bool,
    /// What is wrong: a reason and a message, in the consumer's terms.
    pub troubles: Vec<(String, String)>,
}

/// What is remembered of a status that a function makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MadeKnown {
    /// What it may read.
    pub reads: Vec<ReadKnown>,
    /// The parts it was made of.
    pub parts: Vec<Part>,
    /// The fingerprint of the versions of these parts.
    pub made_of: Option<String>,
    /// What the function said, as JSON.
    pub said: Option<String>,
    /// Whether the consumer may not have been shown that yet.
    pub unsaid: bool,
}

/// What is remembered of a status that crosses with a related object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusKnown {
    /// Nobody looked yet.
    #[default]
    Unknown,
    /// The copy has it; its fingerprint, where it is known.
    Sent(Option<Fingerprint>),
    /// The server did not find it, and did not say what it did not find: it may be about to serve the kind.
    Unclear,
    /// The server answered that there is no such thing: either the copy is gone, or its kind has no status.
    Missed,
    /// The kind of the copy has no status.
    Nowhere,
}

impl StatusKnown {
    /// Whether the copy may not have it.
    pub(super) const fn is_due(self) -> bool {
        matches!(self, Self::Unknown | Self::Unclear)
    }

    /// The copy may not be read: what was said of its status was said of that.
    pub(super) fn doubt(&mut self) {
        if matches!(self, Self::Unclear | Self::Missed) {
            *self = Self::Unknown;
        }
    }
}

/// What is remembered of an object that a rule reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadKnown {
    /// The object.
    pub object: ObjectRef,
    /// Its version; `None`: not looked at yet; `Some(None)`: not there.
    pub known: Option<Option<Known>>,
}

impl Record {
    /// Whether a server that did not find the status that an effect wrote means that there is none to write.
    #[must_use]
    pub fn lacks_status(&self, effect: &Effect) -> bool {
        let object = &effect.request.object;
        match effect.deed {
            Deed::Reflect => self.replied.is_some(),
            Deed::Forward(_) => {
                let taken = self.taken.iter().map(|it| (&it.copy, it.status));
                let returned = self.returned.iter().map(|it| (&it.object, it.status));
                let mut related = taken.chain(returned);
                related.any(|it| it == (object, StatusKnown::Missed))
            }
            _ => false,
        }
    }

    /// Whether our finalizer is on the origin.
    #[must_use]
    pub fn is_held(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|it| it == finalizer)
    }

    /// Whether this version of an object is one that was seen or written already.
    #[must_use]
    pub fn knows(&self, version: &Known) -> bool {
        let taken = self.taken.iter().flat_map(|it| [&it.seen, &it.to]);
        let returned = self.returned.iter().map(|it| &it.at);
        let own = [&self.origin].into_iter().chain(taken).chain(returned);
        let copy = self.copy.as_ref().map(|it| &it.known);
        own.filter_map(Option::as_ref)
            .chain(copy)
            .any(|it| it == version)
    }

    /// Forgets which versions were seen on the service cluster, or in the workspace, but not what was seen: the server there
    /// has an older state than it had, and what it shows from now on is newer whatever its version says. Says whether any
    /// was known.
    pub fn forget_versions(&mut self, service: bool) -> bool {
        let mut all: Vec<&mut Known> = Vec::new();
        if service {
            all.extend(self.copy.as_mut().map(|it| &mut it.known));
            all.extend(self.taken.iter_mut().filter_map(|it| it.to.as_mut()));
            let made = self.made.iter_mut().flat_map(|it| &mut it.reads);
            let reads = self.returned.iter_mut().flat_map(|it| &mut it.reads);
            let known = reads
                .chain(made)
                .filter_map(|it| it.known.as_mut()?.as_mut());
            all.extend(known);
        } else {
            all.extend(self.origin.as_mut());
            all.extend(self.taken.iter_mut().filter_map(|it| it.seen.as_mut()));
            all.extend(self.returned.iter_mut().filter_map(|it| it.at.as_mut()));
        }
        let mut any = false;
        for known in all {
            any |= !known.version.is_empty();
            known.version.clear();
        }
        any
    }

    /// Forgets refusals that somebody else than the consumer can lift, so that the next step tries again: for the slow
    /// second look that [`Ending::Refused`](super::Ending::Refused) asks for.
    pub fn look_again(&mut self) {
        if self.refusal.as_ref().is_some_and(|it| !it.lasting) {
            self.refusal = None;
        }
        for taken in &mut self.taken {
            taken.refused = None;
            taken.looked_copy &= !taken.foreign;
        }
        for found in &mut self.found {
            found.resolved &= found.troubles.is_empty();
        }
        for returned in &mut self.returned {
            returned.looked &= !returned.foreign;
            returned.refused = None;
        }
    }
}
