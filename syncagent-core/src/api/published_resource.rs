//! `PublishedResource`: a publication without code, in the form of kcp's Go api-syncagent.
//!
//! ```yaml
//! apiVersion: syncagent.kcp.io/v1alpha1
//! kind: PublishedResource
//! metadata:
//!   name: databases
//! spec:
//!   resource:
//!     apiGroup: postgresql.cnpg.io
//!     kind: Database
//!     versions: [v1]
//!   naming:
//!     namespace: "{{ .ClusterName }}"
//!     name: "{{ .Object.metadata.name }}"
//! ```
//!
//! Three sorts of fields live side by side: those of the Go agent, deprecated ones included; [`related[].reference`] of its
//! first release (v0.1), which stands in the place of `object`; and what only this agent knows, all of it below
//! [`spec.syncagent`](SyncagentSpec) and [`related[].syncagent`](RelatedSyncagent), and absent by default. Nobody else's
//! definition of the kind has a field of that name, so an object without it means the same to both agents.
//!
//! Whether a field is there counts where the definition of the kind asks `has()`, and for `shortNames` and `categories`: an
//! absent list, or null, keeps what is there, an empty one clears it. So nothing here has a default but "absent".
//!
//! [`related[].reference`]: Related::reference

mod crd;
mod mutation;
mod own;
mod related;
mod selector;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crd::crd;
pub use mutation::{
    CelMutation, DeleteMutation, Mutation, RegexMutation, ResourceMutation, TemplateMutation,
};
pub use own::{OriginGone, Reference, RelatedSyncagent, StatusProjection, SyncagentSpec};
pub use related::{
    ByOwner, CoreKind, FirstFormReference, ObjectReference, ObjectSelector, ObjectSource,
    ObjectTemplate, Origin, Regex, Related, RelatedObject, RelatedProjection, SelectorRewrite,
    Watch,
};
pub use selector::{LabelRequirement, LabelSelector};

use crate::definition::Scope;

/// The API group of the kind.
pub const GROUP: &str = "syncagent.kcp.io";
/// The version of the kind.
pub const VERSION: &str = "v1alpha1";
/// The kind.
pub const KIND: &str = "PublishedResource";
/// The plural under which it is served.
pub const PLURAL: &str = "publishedresources";

/// Offers a kind of the service cluster to the workspaces that bind an APIExport.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedResource {
    /// APIVersion defines the versioned schema of this representation of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind is a string value representing the REST resource this object represents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What every object has.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub metadata: ObjectMeta,
    /// What is offered, and how.
    pub spec: PublishedResourceSpec,
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PublishedResourceStatus>,
}

/// What is offered, and how.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedResourceSpec {
    /// The kind on the service cluster.
    pub resource: SourceResource,
    /// Which objects of a workspace are offered the service. Both selectors have to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// What the copies on the service cluster are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming: Option<Naming>,
    /// Whether copies also carry the path of their workspace, as `root:org:team`. It costs a permission claim for
    /// LogicalClusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_workspace_paths: Option<bool>,
    /// What the kind is called in workspaces, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
    /// What is changed on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<ResourceMutation>,
    /// Objects that belong to the published ones and are synchronized with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Vec<Related>>,
    /// Whether objects are synchronized, or only the schema is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronization: Option<Synchronization>,
    /// What only the agent written in Rust knows. The Go agent ignores it, and its definition of this kind prunes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncagent: Option<SyncagentSpec>,
}

/// A kind of the service cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceResource {
    /// Its API group; empty for the core group.
    pub api_group: String,
    /// Its kind.
    pub kind: String,
    /// Deprecated: use versions. The only version that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The versions that are published; empty means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<String>>,
}

/// Selects objects of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Selects by the labels of the object's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<LabelSelector>,
    /// Selects by the labels of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<LabelSelector>,
}

/// What copies are called: Go templates, or texts with `$remoteClusterName`, `$remoteNamespace`, `$remoteNamespaceHash`,
/// `$remoteName` and `$remoteNameHash`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Naming {
    /// The name. Empty means hashes of the namespace and the name in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace. Empty means the name of the logical cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What the kind is called in workspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// Another API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Deprecated: use versions. Another name for the only version that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Other names for versions, by the name on the service cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<BTreeMap<String, String>>,
    /// Whether objects live in namespaces, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Another kind. It gives new plural, singular and list names, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Another plural.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<String>,
    /// Other short names. Absent, or null, keeps those of the service cluster; an empty list takes them away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("nullable" = true))]
    pub short_names: Option<Vec<String>>,
    /// Other categories. Absent, or null, keeps those of the service cluster; an empty list takes them away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("nullable" = true))]
    pub categories: Option<Vec<String>>,
}

/// Whether objects are synchronized.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Synchronization {
    /// False: the schema is published, and nothing else happens.
    pub enabled: bool,
}

/// What the agent says about a publication.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedResourceStatus {
    /// The name of the APIResourceSchema that the kind is offered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_schema_name: Option<String>,
    /// How the publication stands. Only the agent written in Rust says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Option<Vec<super::condition::Condition>>,
}

impl PublishedResource {
    /// The name of the object; empty for one that has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether objects are synchronized; where nothing is said they are.
    #[must_use]
    pub fn is_synchronized(&self) -> bool {
        self.spec
            .synchronization
            .as_ref()
            .is_none_or(|it| it.enabled)
    }

    /// The related objects, in the order in which they are worked on.
    #[must_use]
    pub fn related(&self) -> &[Related] {
        self.spec.related.as_deref().unwrap_or_default()
    }
}
