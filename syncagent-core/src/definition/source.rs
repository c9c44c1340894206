//! Where a publication comes from and how it is shown: kinds, scopes and schemas.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A kind of object as one API server names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version that is read and written.
    pub version: String,
    /// The kind, as in `Cluster`.
    pub kind: String,
    /// The plural under which the API server serves it, as in `clusters`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub scope: Scope,
}

/// Whether the objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typed", derive(schemars::JsonSchema))]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They do not.
    Cluster,
}

impl Scope {
    /// As CRDs and schemas spell it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Namespaced => "Namespaced",
            Self::Cluster => "Cluster",
        }
    }
}

/// Where the schema that consumers see comes from.
#[derive(Clone, Debug)]
pub enum SchemaSource {
    /// A `CustomResourceDefinition` made from the Rust type, as JSON. Only what it declares crosses the border.
    Type(Value),
    /// The CRD of the service cluster, unchanged.
    Cluster,
    /// Some fields of the CRD of the service cluster, by path: `spec.size`, `spec.items[].name`, `status.phase`. Consumers
    /// see only these; what they do not see is neither sent nor cleared.
    Subset(Vec<String>),
    /// An `APIResourceSchema` that was made elsewhere, with its name and metadata: it is published as it is. It has to offer
    /// the offered kind, stored in its version. What else a definition says about what is offered (versions, names, the name
    /// of the schema, room for a condition) is not applied to it.
    Ready(Value),
}

/// What the offered kind is called beside its kind and plural. What is not said is as in the schema's CRD where that is
/// of the same kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedNames {
    /// Its singular name.
    pub singular: Option<String>,
    /// Its short names; an empty list takes them away.
    pub short_names: Option<Vec<String>>,
    /// Its categories; an empty list takes them away.
    pub categories: Option<Vec<String>>,
}

/// How a published schema is named: `<something that follows from the content>.<plural>.<group>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaName {
    /// By a fingerprint of its content.
    #[default]
    Fingerprint,
}
