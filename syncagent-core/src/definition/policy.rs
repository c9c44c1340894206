//! What is decided once per publication.

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
}

/// What happens when a new schema would break objects that exist: a field is gone, a type has changed, a bound is narrower.
///
/// A person's consent to one very schema is the annotation `syncagent.kcp.io/accept-schema` of the export, with the
/// schema's name; it counts under every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Events {
    /// None; the export makes no claim on them.
    Off,
    /// Warnings, and that the order reached the service.
    Warnings,
    /// One for each thing that is done for the order.
    All,
}

/// What happens when somebody changes the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// It is set right.
    Correct,
}

/// What happens when an object of the copy's name exists without an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adoption {
    /// It is left alone and reported.
    Refuse,
}

impl Policy {
    /// The defaults of a derived publication.
    #[must_use]
    pub fn derived() -> Self {
        Self {
            drift: Drift::Correct,
            adoption: Adoption::Refuse,
            conditions: true,
            events: Events::Warnings,
            breaking_changes: BreakingChanges::Refuse,
            deletion: Deletion::Background,
            deletion_by_order: true,
            leaving: Leaving::Keep,
            losses: Losses::default(),
        }
    }
}
