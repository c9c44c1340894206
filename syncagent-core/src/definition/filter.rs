//! Which objects of a workspace are offered the service.

use serde_json::Value;

/// Which objects of a workspace take part: those that everything here selects.
///
/// An object may leave the selection later, when its labels change, or the namespace's, or the definition;
/// [`Policy::leaving`](super::Policy::leaving) says what becomes of its copy. Its deletion is always seen to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Namespaces of the workspace; empty means all.
    pub namespaces: Vec<String>,
    /// Labels that the object must carry, as key and value.
    pub labels: Vec<(String, String)>,
    /// Selects by the labels of the object.
    pub selector: Selector,
    /// Selects by the labels of the object's namespace in the workspace. This takes a permission claim for namespaces;
    /// where it is not accepted, nothing is offered.
    pub namespace_selector: Selector,
}

/// A label selector, as Kubernetes has it: everything it says must hold. An empty one selects everything.
///
/// ```
/// use serde_json::json;
/// use syncagent_core::definition::{Operator, Requirement, Selector};
///
/// let selector = Selector {
///     labels: vec![("stage".into(), "production".into())],
///     expressions: vec![Requirement {
///         key: "tier".into(),
///         operator: Operator::NotIn,
///         values: vec!["free".into()],
///     }],
/// };
/// assert!(selector.matches(&json!({"stage": "production"})));
/// assert!(!selector.matches(&json!({"stage": "production", "tier": "free"})));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels`: labels that must be there, as key and value.
    pub labels: Vec<(String, String)>,
    /// `matchExpressions`.
    pub expressions: Vec<Requirement>,
}

/// What must hold for one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is there, with one of the values.
    In,
    /// It is not there, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl Selector {
    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.expressions.is_empty()
    }

    /// Whether it selects an object with these labels, given as a JSON object or null.
    #[must_use]
    pub fn matches(&self, labels: &Value) -> bool {
        let have = |key: &str| labels.get(key).and_then(Value::as_str);
        let same = |(key, value): &(String, String)| have(key) == Some(value);
        let holds = |it: &Requirement| {
            let listed = |have: &str| it.values.iter().any(|value| value == have);
            match it.operator {
                Operator::In => have(&it.key).is_some_and(listed),
                Operator::NotIn => !have(&it.key).is_some_and(listed),
                Operator::Exists => have(&it.key).is_some(),
                Operator::DoesNotExist => have(&it.key).is_none(),
            }
        };
        self.labels.iter().all(same) && self.expressions.iter().all(holds)
    }
}
