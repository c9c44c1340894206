//! Objects that belong to the published ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LabelSelector, RelatedSyncagent, ResourceMutation};

/// Objects that belong to a published one, and are copied to the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.kind) != (has(self.version) || has(self.resource))",
        "message": "must specify either kind (deprecated) or group, version, resource"},
    {"rule": "has(self.resource) == has(self.version)",
        "message": "resource and version must be configured together or not at all"},
    {"rule": "!has(self.group) || (has(self.resource) && has(self.version))",
        "message": "configuring a group also requires a version and resource"},
    {"rule": "!has(self.identityHash) || (has(self.group) && has(self.version) && has(self.resource))",
        "message": "identity hashes can only be used with GVRs"},
    {"rule": "!(self.origin == 'service' && has(self.syncStatus) && self.syncStatus) || has(self.watch)",
        "message": "watch must be configured when origin is service and syncStatus is true"},
    {"rule": "has(self.object) != has(self.reference)",
        "message": "must specify exactly one of object and reference (the deprecated form)"},
]))]
pub struct Related {
    /// What tells it from the others, unique within the object.
    pub identifier: String,
    /// Where the objects are written: in the workspace (kcp) or on the service cluster (service).
    pub origin: Origin,
    /// Deprecated: use group, version and resource. The kind, of the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CoreKind>,
    /// The API group where the objects are written; empty for the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The API version there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The resource there, as in `secrets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The identity hash of the APIExport that offers the resource in workspaces, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_hash: Option<String>,
    /// Whether copies in the workspace go with the published object, for objects of the service cluster. Copies on the
    /// service cluster always do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<bool>,
    /// What the kind is on the other side, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<RelatedProjection>,
    /// Which objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<RelatedObject>,
    /// Deprecated: use object. Which object, in the form of the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<FirstFormReference>,
    /// What is changed on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<ResourceMutation>,
    /// How changes of the objects are noticed. This agent notices them in any case; it decides which objects the Go agent
    /// looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// Whether the status crosses too, from the original to the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_status: Option<bool>,
    /// What only the agent written in Rust knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncagent: Option<RelatedSyncagent>,
}

/// Where related objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// On the service cluster.
    #[default]
    Service,
    /// In the workspace.
    Kcp,
}

/// The kinds that have a name of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CoreKind {
    /// `configmaps` of the core group.
    ConfigMap,
    /// `secrets` of the core group.
    Secret,
}

/// What a related kind is on the other side. What is empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelatedProjection {
    /// Another API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Another resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// Which objects, and in which namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelatedObject {
    /// How names are found.
    #[serde(flatten)]
    pub name: ObjectSource,
    /// How namespaces are found. Absent: beside the published object, or its copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectSource>,
}

/// How names are found. Of several the first one counts, in the order reference, selector, template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSource {
    /// By labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<ObjectSelector>,
    /// By a path of the published object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ObjectReference>,
    /// By a Go template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ObjectTemplate>,
}

/// A path of the published object, evaluated on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// The path, in gjson's syntax.
    pub path: String,
    /// What becomes of each value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<Regex>,
}

/// A regular expression and its replacement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Regex {
    /// The expression, in RE2's syntax. An empty one gives the replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What stands in the place of each match; `$1`, `${1}` and `${name}` are groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

/// Labels, and what becomes of the names that are found. Values may be Go templates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSelector {
    /// The labels.
    #[serde(flatten)]
    pub labels: LabelSelector,
    /// What the copies are called.
    pub rewrite: SelectorRewrite,
}

/// What becomes of a name. Of both the first one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectorRewrite {
    /// It is rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<Regex>,
    /// A Go template gives the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ObjectTemplate>,
}

/// A Go template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectTemplate {
    /// The template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// How the Go agent notices changes of related objects: exactly one of both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.byOwner) != has(self.bySelector)",
        "message": "exactly one of byOwner or bySelector must be set"},
]))]
pub struct Watch {
    /// They are owned by the published object, or by its copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_owner: Option<ByOwner>,
    /// All published objects with these labels are looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_selector: Option<LabelSelector>,
}

/// By owner references; there is nothing to say about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ByOwner {}

/// Which object, in the form of the first release (v0.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirstFormReference {
    /// Its name, on each side found in the published object of that side.
    pub name: ObjectReference,
    /// Its namespace, likewise. Absent: that of the published object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectReference>,
}
