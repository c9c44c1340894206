//! What becomes of a copy: when its order is deleted, when it leaves the filter, and when something is lost.
//!
//! A copy is somebody's database. What is not a deletion by the consumer has a policy here, and where it is not certain
//! that the consumer wants the copy gone, the default keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names;
use crate::object::annotation;

/// What becomes of the *dependents* of a copy (what it owns, by `ownerReferences`) when the copy is deleted: the
/// propagation policy of Kubernetes. The copy itself is deleted in every case.
///
/// The consumer may choose by an annotation on the order, `syncagent.kcp.io/deletion-propagation-policy`, where
/// [`Policy::deletion_by_order`](super::Policy::deletion_by_order) allows it; the annotation never reaches the copy. An
/// object that an order takes has its own; everything else that is deleted is deleted in the background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
pub enum Deletion {
    /// The copy goes at once, and its dependents after it. The order is let go when the copy is gone.
    #[default]
    Background,
    /// The dependents go first, then the copy, and then the order: who sees the order gone knows that nothing is left.
    Foreground,
    /// The dependents stay on the service cluster, without an owner. They are the provider's to clean up.
    Orphan,
}

/// What becomes of the copy of an order that leaves the filter ([`Only`](super::Only)) and lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Leaving {
    /// It stays, and so does everything that belongs to it; its status is still shown. It no longer follows the order, and
    /// the order says so. When the order is deleted the copy is deleted too; when the order comes back it follows again.
    /// Where there is no copy nothing is kept, and the order is let go.
    #[default]
    Keep,
    /// It is deleted, and the order is let go.
    Retire,
}

/// What becomes of a copy when something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The copy is deleted, as if the consumer had deleted the order.
    Retire,
    /// The copy stays, marked as kept; the order, if it is still there, is let go. It is told once.
    Keep,
    /// As [`Keep`](Self::Keep), and the copy is reported until somebody takes it away: it stays in the list of what is stuck.
    Report,
}

/// What becomes of an order whose copy vanished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vanished {
    /// It is made again, empty as it may be.
    #[default]
    Recreate,
    /// It is not made again; consumer and provider are told. An order that is made anew gets a new copy.
    Report,
}

/// What a loss means, one policy for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// The workspace unbinds the export, or is deleted with its binding: kcp then deletes every order in it. Default
    /// `Retire`: unbinding is the consumer's deed and means it. Anything else costs one request per deleted order, which
    /// asks whether the binding is being deleted. A workspace may delete orders before its binding; these look as if
    /// the consumer had deleted them.
    pub unbound: Loss,
    /// The order is gone although our finalizer should have held it: somebody stripped it. Default `Retire`, once a GET in
    /// the bound workspace has answered 404.
    pub stripped: Loss,
    /// The order can no longer be read: the workspace is gone, moved, or does not allow it. Default `Report`. This is no
    /// evidence that the consumer wants the copy gone, so `Retire` is refused when the definition is compiled.
    pub unreadable: Loss,
    /// A permission claim for objects that orders take is no longer accepted: their copies stay, whatever is said here.
    /// Default `Report`: the order says which claim is missing. `Keep` says nothing, `Retire` is refused.
    pub claim: Loss,
    /// The copy is gone although nobody here deleted it. Default `Recreate`.
    pub vanished: Vanished,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            unbound: Loss::Retire,
            stripped: Loss::Retire,
            unreadable: Loss::Report,
            claim: Loss::Report,
            vanished: Vanished::Recreate,
        }
    }
}

impl Deletion {
    /// What an object of a workspace asks for, when it does. A word that means nothing asks for nothing.
    #[must_use]
    pub fn asked(object: &Value) -> Option<Self> {
        match annotation(object, names::DELETION)? {
            "background" => Some(Self::Background),
            "foreground" => Some(Self::Foreground),
            "orphan" => Some(Self::Orphan),
            _ => None,
        }
    }

    /// As `DeleteOptions` spell it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}
