//! What is changed on the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is changed on the way, each list in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMutation {
    /// On the way from the source of truth to the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Vec<Mutation>>,
    /// On the way back, in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<Mutation>>,
}

/// One change. Exactly one of its parts should be there; of several the first one counts, in the order delete, regex,
/// template, cel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mutation {
    /// Takes a value out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<DeleteMutation>,
    /// Replaces text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<RegexMutation>,
    /// Writes what a Go template gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateMutation>,
    /// Writes what a CEL expression gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<CelMutation>,
}

/// Takes a value out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteMutation {
    /// Where, in gjson's syntax: `spec.size`, `spec.items.0`.
    pub path: String,
}

/// Replaces text. The result is text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegexMutation {
    /// Where, in gjson's syntax.
    pub path: String,
    /// The expression, in RE2's syntax. An empty one replaces the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What stands in the place of each match; `$1`, `${1}` and `${name}` are groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

/// Writes what a Go template gives. The result is text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMutation {
    /// Where, in gjson's syntax.
    pub path: String,
    /// The template. Its data: `.Value` (what is at the path), `.LocalObject` (the object being changed) and
    /// `.RemoteObject` (the one on the other side).
    pub template: String,
}

/// Writes what a CEL expression gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CelMutation {
    /// Where, in gjson's syntax.
    pub path: String,
    /// The expression over `self` (the object being changed), `other` (the one on the other side, or null) and `value`
    /// (what is at the path, or null).
    pub expression: String,
}
