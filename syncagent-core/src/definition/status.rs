//! What flows back as status.

use super::{Convert, Kind};

/// What flows back as status.
#[derive(Clone, Debug)]
pub enum StatusRule {
    /// All of it.
    Whole,
    /// Declared fields only.
    Fields(Vec<StatusField>),
    /// Nothing: the kind has no status.
    None,
}

/// One declared field of the status.
#[derive(Clone, Debug)]
pub struct StatusField {
    /// Where it is in the workspace, as in `status.phase`.
    pub path: String,
    /// Where it comes from.
    pub source: StatusSource,
}

/// Where a status field comes from.
#[derive(Clone, Debug)]
pub enum StatusSource {
    /// The same or another path of the copy.
    At(String),
    /// Computed from the value at a path of the copy; the path may be empty for the whole copy.
    With {
        /// The path of the copy.
        at: String,
        /// The function.
        with: Convert,
    },
    /// A name on the service cluster that is shown under the consumer's own name for it.
    RefersTo {
        /// The offered kind.
        offered: Kind,
        /// The path of the copy.
        at: String,
    },
}
