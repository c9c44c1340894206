//! Which objects have these labels? A selection of related objects, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::labels::Labels;
use super::reference::{ObjectRef, Place};
use crate::definition::Kind;
use crate::names;

/// A selection by labels, in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Query {
    /// Where.
    pub place: Place,
    /// Of which kind.
    pub kind: Kind,
    /// In which namespace; empty: in all of them, or the kind has none.
    pub namespace: String,
    /// With which labels; never none.
    pub labels: Labels,
}

/// An object that was selected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a selection answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It may not be made: a LIST answered 403.
    Barred,
    /// What there is, in a fixed order.
    Members(Vec<Member>),
}

impl Query {
    /// Whether an object is where the selection looks.
    #[must_use]
    pub fn covers(&self, at: &ObjectRef) -> bool {
        self.place == at.place
            && self.kind == at.kind
            && (self.namespace.is_empty() || self.namespace == at.namespace)
    }

    /// The object that a member is.
    #[must_use]
    pub fn at(&self, member: &Member) -> ObjectRef {
        ObjectRef {
            place: self.place.clone(),
            kind: self.kind.clone(),
            namespace: member.namespace.clone(),
            name: member.name.clone(),
        }
    }
}

impl Member {
    /// The member that an object would be.
    #[must_use]
    pub fn of(at: &ObjectRef) -> Self {
        Self {
            namespace: at.namespace.clone(),
            name: at.name.clone(),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Workspace(cluster) => write!(f, "workspace {cluster}: ")?,
            Place::Service => write!(f, "service: ")?,
        }
        write!(f, "{} ", names::resource(&self.kind))?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "[{}]", self.labels)
    }
}
