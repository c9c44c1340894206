//! What flows back as status.

use super::{Compose, Convert, Kind, ReadRule};

/// What flows back as status.
#[derive(Clone, Debug)]
pub enum StatusRule {
    /// All of it, with the generations in it turned into the order's.
    Whole,
    /// All of it, as it stands: also `observedGeneration` is the copy's.
    Verbatim,
    /// Declared fields only.
    Fields(Vec<StatusField>),
    /// Nothing: the kind has no status.
    None,
}

/// A status, or a part of one, that a function makes: of the copy, of the order, of what it takes, and of objects of the
/// service cluster. What it gives is laid over what [`StatusRule`] brings.
///
/// Nothing is read as long as nothing changes that the function looked at. Each change of such an object costs one GET of
/// it, one of the copy, over whose status it is laid, one of every other part that the function looks at, and one write; so
/// does the first look after a restart, but for the write. A function that looks at the copy is run for each of its changes.
///
/// The status that the consumer sees is not among its sources: it would be made of itself.
#[derive(Clone, Debug)]
pub struct MadeStatus {
    /// Objects of the service cluster, in the copy's namespace, that the function may see.
    pub reads: Vec<ReadRule>,
    /// Makes the content of `status`; `None` is "nothing yet".
    pub make: Compose,
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
