//! What an API server serves: resources, as its registry knows them.
//!
//! A [`Resource`] is one plural in one version. Built-in kinds, kinds of a CRD and kinds bound through an `APIBinding`
//! are all the same to the layers that store, select, print and discover; what differs is in [`Provenance`] and in the
//! admission of built-in kinds.

use std::sync::Arc;

use serde_json::Value;

/// One plural in one version, as served.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The served version.
    pub version: String,
    /// The kind, as in `Widget`.
    pub kind: String,
    /// The kind of a list, as in `WidgetList`.
    pub list_kind: String,
    /// The plural, as in `widgets`.
    pub plural: String,
    /// The singular, as in `widget`.
    pub singular: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names, as in `wd`.
    pub short_names: Vec<String>,
    /// Categories, as in `all`.
    pub categories: Vec<String>,
    /// The verbs that discovery shows, sorted.
    pub verbs: Vec<String>,
    /// Whether `/status` is a subresource.
    pub status: bool,
    /// `/scale`, where declared.
    pub scale: Option<Scale>,
    /// The structural schema as written in the CRD (`openAPIV3Schema`); `None` for built-in kinds.
    pub schema: Option<Arc<Value>>,
    /// The declared printer columns.
    pub columns: Vec<Column>,
    /// Field selectors beside `metadata.name` and `metadata.namespace`, as paths like `spec.color`.
    pub selectable: Vec<String>,
    /// Where the kind comes from.
    pub provenance: Provenance,
}

/// Where a kind comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Compiled into the server.
    BuiltIn,
    /// A `CustomResourceDefinition`, by its name; or kcp's own kinds, which are served from CRDs too.
    Crd(String),
    /// An `APIExport`'s resource, by the identity hash of the export.
    Bound(String),
}

/// The `scale` subresource, as in a CRD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// As in `.spec.replicas`.
    pub spec_replicas_path: String,
    /// As in `.status.replicas`.
    pub status_replicas_path: String,
    /// As in `.status.selector`.
    pub label_selector_path: Option<String>,
}

/// A printer column, as in a CRD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The head of the column.
    pub name: String,
    /// `integer`, `number`, `string`, `boolean` or `date`.
    pub kind: String,
    /// An OpenAPI format.
    pub format: String,
    /// A description.
    pub description: String,
    /// 0 is always shown, more only by `-o wide`.
    pub priority: i64,
    /// As in `.spec.size`.
    pub json_path: String,
}

impl Resource {
    /// The group and version as in `apiVersion`: `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The plural with its group, as messages name it: `secrets` or `widgets.example.io`.
    #[must_use]
    pub fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }
}

/// The plural with its group, as messages name it.
#[must_use]
pub fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}
