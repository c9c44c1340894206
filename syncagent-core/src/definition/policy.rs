//! What is decided once per publication.

use serde::{Deserialize, Serialize};

use super::{Deletion, Leaving, Losses};

/// What is decided once per publication.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// What happens when somebody changes the copy.
    pub drift: Drift,
    /// What happens when an object of the copy's name exists without an identity.
    pub adoption: Adoption,
    /// Whether the origin shows a condition `Synced` of our own.
    pub conditions: bool,
    /// Which events a consumer sees in their workspace.
    pub events: Events,
    /// How many orders of this publication are worked on at once; `None`: as many as the agent does in all.
    pub concurrency: Option<usize>,
    /// What happens when a new schema would break objects that exist.
    pub breaking_changes: BreakingChanges,
    /// What becomes of a copy's dependents when it is deleted.
    pub deletion: Deletion,
    /// Whether an annotation of the order may say otherwise. Note that `orphan` leaves things behind on the service cluster.
    pub deletion_by_order: bool,
    /// What becomes of a copy whose order leaves the filter.
    pub leaving: Leaving,
    /// What becomes of a copy when something is lost.
    pub losses: Losses,
    /// What happens when the naming of copies could give two orders the same name.
    pub colliding_names: CollidingNames,
    /// In which marks whose objects are whose is written down.
    pub dialect: Dialect,
}

/// In which marks whose objects are whose is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// In our own: a finalizer per agent, and copies that say everything themselves.
    #[default]
    Own,
    /// In that of kcp's api-syncagent, whose installation is continued and may be taken back.
    GoAgent(GoAgent),
}

/// What has to be known of an installation of kcp's api-syncagent.
///
/// Its finalizer is the only one. Its copies are found by the labels that it gave them, and nothing of ours is needed on
/// them; marks of our own are added only where something is written anyway. What was brought over last is what its state
/// Secrets say, which are read and never written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAgent {
    /// The namespace of its state Secrets: its `--namespace`.
    pub namespace: String,
}

/// What happens when the naming of copies could give two orders the same name.
///
/// Whatever is chosen, a copy of one order is never touched for another: the second one is refused at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollidingNames {
    /// The definition has a problem.
    Refuse,
    /// The publication has a warning.
    Warn,
}

/// What happens when a new schema would break objects that exist: a field is gone, a type has changed, a bound is narrower.
///
/// A person's consent to one very schema is the annotation `syncagent.kcp.io/accept-schema` of the export, with the
/// schema's name; it counts under every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum BreakingChanges {
    /// The export goes on naming the old schema, and every difference is reported.
    Refuse,
    /// The export is pointed at the new one, and every difference is reported.
    Warn,
    /// The export is pointed at the new one.
    Allow,
}

/// Which events a consumer sees in their workspace.
///
/// Events need a claim on `events`. Where a binding does not accept it they are left out, and nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Events {
    /// None; the export makes no claim on them.
    Off,
    /// Warnings, and that the order reached the service.
    Warnings,
    /// One for each thing that is done for the order.
    All,
}

/// What happens when somebody changes, on the service cluster, what the consumer wrote.
///
/// Whatever the policy, fields that the consumer never wrote belong to the operator, and the marks that say whose copy it
/// is are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Drift {
    /// It is set right. A field that somebody resets three times in a row is left to them, and reported, until the
    /// consumer changes it, the agent starts again, or a person sets the annotation
    /// [`syncagent.kcp.io/correct-again`](crate::names::CORRECT_AGAIN) on the copy to a new value.
    Correct,
    /// It stays until the consumer changes that very field. An update writes only the fields that changed; to know them
    /// after a restart the copy carries a hash of each field, so a kind that is secret by nature cannot be kept.
    Keep,
    /// As `Keep`; and the order says that it is not what was ordered, by field. The provider hears who changed it.
    Report,
}

/// What happens when an object of the copy's name exists without an identity.
///
/// An object with the identity of another order, or of another agent, is never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Adoption {
    /// It is left alone and reported.
    Refuse,
    /// It becomes the copy as it is: only our marks are added. What differs from the order stays until the consumer changes
    /// it; so this goes with `keep` and `report`, and is refused with `correct`, which would set it right at once.
    LabelOnly,
    /// It becomes the copy and gets the order's content. What the order does not say stays.
    TakeOver,
}

impl Policy {
    /// The defaults of a derived publication.
    ///
    /// ```
    /// use syncagent_core::definition::{Adoption, Drift, Policy};
    ///
    /// let policy = Policy::derived();
    /// assert_eq!((policy.drift, policy.adoption), (Drift::Correct, Adoption::Refuse));
    /// ```
    #[must_use]
    pub fn derived() -> Self {
        Self {
            drift: Drift::Correct,
            adoption: Adoption::Refuse,
            conditions: true,
            events: Events::Warnings,
            concurrency: None,
            breaking_changes: BreakingChanges::Refuse,
            colliding_names: CollidingNames::Refuse,
            deletion: Deletion::Background,
            deletion_by_order: true,
            leaving: Leaving::Keep,
            losses: Losses::default(),
            dialect: Dialect::Own,
        }
    }

    /// The defaults of a `PublishedResource`: what the Go agent does.
    ///
    /// Drift is kept, an object in the copy's place is adopted as it is, orders show no condition of ours and are told
    /// everything in events, and a schema that breaks what exists is a warning.
    ///
    /// ```
    /// use syncagent_core::definition::{Adoption, Drift, Policy};
    ///
    /// let policy = Policy::compatible();
    /// assert_eq!((policy.drift, policy.adoption), (Drift::Keep, Adoption::LabelOnly));
    /// ```
    #[must_use]
    pub fn compatible() -> Self {
        Self {
            drift: Drift::Keep,
            adoption: Adoption::LabelOnly,
            conditions: false,
            events: Events::All,
            breaking_changes: BreakingChanges::Warn,
            colliding_names: CollidingNames::Warn,
            ..Self::derived()
        }
    }

    /// What a `PublishedResource` means where the Go agent's installation is continued: as [`compatible`](Self::compatible),
    /// in the Go agent's marks. Its state Secrets are in `namespace`.
    ///
    /// ```
    /// use syncagent_core::definition::{Dialect, Policy};
    ///
    /// let policy = Policy::take_over("kcp-system");
    /// assert!(matches!(policy.dialect, Dialect::GoAgent(it) if it.namespace == "kcp-system"));
    /// ```
    #[must_use]
    pub fn take_over(namespace: &str) -> Self {
        Self {
            dialect: Dialect::GoAgent(GoAgent {
                namespace: namespace.to_owned(),
            }),
            ..Self::compatible()
        }
    }
}
