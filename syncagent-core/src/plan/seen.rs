//! What is seen now, and what to find out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::stated::Stated;
use crate::definition::Kind;
use crate::naming::Moved;
use crate::object::reference::{ObjectRef, Place};
use crate::object::selection::{Listing, Query};

/// What is known of one object in this step.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sight {
    /// No news since the record was written.
    #[default]
    Unseen,
    /// There is news, and it is not in hand: a DELETED event, a failed guard. A question, not evidence.
    Doubt,
    /// It does not exist: a GET answered 404 and named it, or a DELETE answered with success for its uid. A list in which it is
    /// missing is no such evidence.
    Absent,
    /// It may not be read: a GET answered 403, or a 404 that is not about the object (its workspace is gone, its kind is not
    /// served).
    Barred,
    /// Its metadata, as a metadata-only list or watch brings it: an object with `metadata` and no content.
    Outline(Value),
    /// All of it.
    There(Value),
}

impl Sight {
    /// The metadata that is in hand, as an object.
    #[must_use]
    pub fn outline(&self) -> Option<&Value> {
        match self {
            Self::Outline(object) | Self::There(object) => Some(object),
            _ => None,
        }
    }

    /// The whole object, when it is in hand.
    #[must_use]
    pub fn body(&self) -> Option<&Value> {
        match self {
            Self::There(object) => Some(object),
            _ => None,
        }
    }
}

/// Everything that is seen in one step: what events brought, and what questions were answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    sights: BTreeMap<ObjectRef, Sight>,
    users: BTreeMap<ObjectRef, bool>,
    moved: Arc<Moved>,
    lists: BTreeMap<Query, Listing>,
    states: BTreeMap<ObjectRef, Stated>,
}

impl Seen {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known of an object.
    #[must_use]
    pub fn of(&self, object: &ObjectRef) -> &Sight {
        self.sights.get(object).unwrap_or(&Sight::Unseen)
    }

    /// Takes note of an object.
    pub fn note(&mut self, object: ObjectRef, sight: Sight) {
        self.sights.insert(object, sight);
    }

    /// Whether orders other than this one have the object among their concerns; `None`: not asked yet.
    #[must_use]
    pub fn used_by_others(&self, object: &ObjectRef) -> Option<bool> {
        self.users.get(object).copied()
    }

    /// What may not be read or listed: which kinds of objects, and where.
    pub fn barred(&self) -> impl Iterator<Item = (&Place, &Kind)> {
        let sights = self.sights.iter().filter(|(_, it)| **it == Sight::Barred);
        let lists = self.lists.iter().filter(|(_, it)| **it == Listing::Barred);
        sights
            .map(|(at, _)| (&at.place, &at.kind))
            .chain(lists.map(|(query, _)| (&query.place, &query.kind)))
    }

    /// Takes note of whether orders other than this one have the object among their concerns.
    pub fn note_users(&mut self, object: ObjectRef, others: bool) {
        self.users.insert(object, others);
    }

    /// Where the copies of orders are that are not where naming would put them.
    #[must_use]
    pub fn moved(&self) -> &Moved {
        &self.moved
    }

    /// Takes note of copies that are not where naming would put them.
    pub fn note_moved(&mut self, moved: Arc<Moved>) {
        self.moved = moved;
    }

    /// Hands out everything seen, in a fixed order.
    pub fn into_sights(self) -> impl Iterator<Item = (ObjectRef, Sight)> {
        self.sights.into_iter()
    }

    /// What a selection answered; `None`: not asked yet.
    #[must_use]
    pub fn listing(&self, query: &Query) -> Option<&Listing> {
        self.lists.get(query)
    }

    /// Takes note of what a selection answered.
    pub fn note_listing(&mut self, query: Query, listing: Listing) {
        self.lists.insert(query, listing);
    }

    /// What a state Secret of the Go agent's tells; `None`: not asked yet.
    #[must_use]
    pub fn stated(&self, secret: &ObjectRef) -> Option<&Stated> {
        self.states.get(secret)
    }

    /// Takes note of what a state Secret of the Go agent's tells; where there is none it tells nothing.
    pub fn note_stated(&mut self, secret: ObjectRef, stated: Stated) {
        self.states.insert(secret, stated);
    }

    /// Everything seen, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectRef, &Sight)> {
        self.sights.iter()
    }
}

/// How much of an object is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Its metadata; a synced metadata watch answers this without a request, with `Outline` or `Absent`.
    Outline,
    /// All of it: a GET.
    Body,
}

/// Something to find out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// How is this object? The answer goes to [`Seen::note`]: a 404 that names it is `Absent`, any
    /// other and 403 are `Barred`.
    Look {
        /// The object.
        object: ObjectRef,
        /// How much of it.
        depth: Depth,
    },
    /// Which objects have these labels? The answer goes to [`Seen::note_listing`], and the metadata of the objects that
    /// were not seen otherwise to [`Seen::note`].
    List {
        /// The selection.
        query: Query,
    },
    /// What did the Go agent remember in this Secret? The answer goes to [`Seen::note_stated`], without any value.
    State {
        /// The Secret.
        secret: ObjectRef,
    },
    /// Have other orders this object among their concerns? The answer goes to [`Seen::note_users`] and comes from the
    /// reverse index, without a request.
    Users {
        /// The object.
        object: ObjectRef,
    },
}
