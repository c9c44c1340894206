//! What is decided once per publication.

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
        }
    }
}
