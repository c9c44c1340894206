//! How a value is changed on its way, in either direction.

use serde_json::Value;

use super::Convert;

/// What is changed on the way down and on the way up, each in the order of declaration: a mutation sees what those before
/// it made.
#[derive(Clone, Debug, Default)]
pub struct Mutations {
    /// On the way down: after fields were moved and constants set, on the object that the service cluster is asked for.
    /// Its metadata is the order's; of that only labels and annotations cross.
    pub down: Vec<Mutation>,
    /// On the way up: on the status that the consumer is shown, before our own condition is added.
    pub up: Vec<Mutation>,
    /// Whether the rules see what the Go agent's see: on the way down the order as it stands in the workspace, its kind and
    /// status included, and beside it, as long as there is no copy, the order as it would be placed unchanged; on the way up
    /// beside the copy the order after the changes of the way down.
    pub like_go: bool,
}

/// One change.
///
/// ```
/// use syncagent_core::definition::{Change, Mutation};
/// use serde_json::json;
///
/// let small = Mutation::new("spec.size", Change::Default(json!("small")));
/// let short = Mutation::new("spec.hosts[].name", Change::Regex {
///     pattern: r"\.example\.com$".into(),
///     replacement: String::new(),
/// });
/// let sum = Mutation::new("spec.total", Change::Cel("self.spec.each * size(self.spec.hosts)".into()));
/// # let _ = (small, short, sum);
/// ```
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Where.
    pub at: At,
    /// What happens there.
    pub change: Change,
}

impl Mutation {
    /// A change at a path in the syntax of this crate: `spec.hosts[].name`.
    #[must_use]
    pub fn new(at: impl Into<String>, change: Change) -> Self {
        Self {
            at: At::Path(at.into()),
            change,
        }
    }
}

/// Where a mutation happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A path in the syntax of this crate. `[]` is each element that is there; the last field need not be there.
    /// An empty path is the whole object, for a function only.
    Path(String),
    /// A path as the Go agent takes it: gjson's syntax to read, sjson's to write, with their results.
    Go(String),
}

/// What a mutation does with the value at its path.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Puts a constant there.
    Set(Value),
    /// Puts a constant there when there is nothing, or a null.
    Default(Value),
    /// Takes it out.
    Delete,
    /// Replaces every match in the value's text; the result is text. Go's syntax: `$1`, `${name}`, `$$`.
    Regex {
        /// The expression; an empty one replaces the whole value.
        pattern: String,
        /// The replacement.
        replacement: String,
    },
    /// A Go text template with sprig's functions; the result is text without space around it. Its data: `.Value` (what is
    /// at the path), `.LocalObject` (the object being changed), `.RemoteObject` (the one on the other side).
    Template(String),
    /// A CEL expression over `self` (the object being changed), `other` (the one on the other side, or null) and `value`
    /// (what is at the path, or null). A null takes the value out.
    Cel(String),
    /// A function of the value, or of null where there is none. A null takes the value out.
    Function(Convert),
}
