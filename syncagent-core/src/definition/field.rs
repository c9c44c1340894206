//! What is said about single fields of the offered type, and what every copy carries beside them.

use serde_json::Value;

use super::{Kind, TakeRule};

/// A pure function over JSON; an error is a sentence for the consumer, about the consumer's own field.
pub type Convert = fn(&Value) -> Result<Value, String>;

/// What is said about one field of the offered type.
#[derive(Clone, Debug)]
pub struct FieldRule {
    /// Where the field is on the workspace's object, as in `spec.superuserSecret`.
    pub path: String,
    /// What holds for it.
    pub rule: Rule,
}

/// The roles that a field can play.
#[derive(Clone, Debug)]
pub enum Rule {
    /// `at`, `with`: lives elsewhere on the service's object, or is computed on the way down.
    Moved {
        /// Where it lives on the service's object; `None`: the same path.
        at: Option<String>,
        /// Computes the value on the way down.
        with: Option<Convert>,
    },
    /// `takes`: names an object of the consumer that goes down with the order.
    Takes(TakeRule),
    /// `refers_to`: names an object of another publication (or of this one) and follows its naming, both ways. When both
    /// are deleted, the copy of this order goes first; one that stays keeps the other's for a minute at most.
    RefersTo {
        /// The offered kind of that publication.
        offered: Kind,
        /// Where the name is below the field, as in `name`; `None`: the field is the name.
        name_at: Option<String>,
    },
    /// `hidden`: never shown to the consumer and never written by the agent; the operator's own.
    Hidden,
    /// `local`: shown to the consumer and kept in the workspace.
    Local,
}

/// A constant on every copy.
#[derive(Clone, Debug, PartialEq)]
pub struct SetRule {
    /// Where, on the service's object.
    pub at: String,
    /// What; text may hold the placeholders of [`CopyNaming`](super::CopyNaming) and `{copy.name}`, `{copy.namespace}`.
    pub value: Value,
}

/// Labels and annotations of the consumer that reach the copy, by key; `*` is all but the agent's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Keys of labels.
    pub labels: Vec<String>,
    /// Keys of annotations.
    pub annotations: Vec<String>,
    /// Whether `*` is what the Go agent passes on: also keys below `kcp.io`, but for the few that it keeps back.
    pub like_go: bool,
}

impl Pass {
    /// What the Go agent passes on.
    #[must_use]
    pub fn as_go() -> Self {
        let all = vec!["*".to_owned()];
        Self {
            labels: all.clone(),
            annotations: all,
            like_go: true,
        }
    }
}
