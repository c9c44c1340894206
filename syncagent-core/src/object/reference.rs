//! Which order, which object, and which version of it: what everything that is decided speaks about.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{Kind, Scope};
use crate::names;
use crate::object::identity::Identity;
use crate::object::{uid, version};

/// One order: an object of a publication in a workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The publication, by its id (`<plural>.<group>` of the offered kind).
    pub publication: String,
    /// The logical cluster.
    pub cluster: String,
    /// The namespace there; empty for a cluster-scoped order.
    pub namespace: String,
    /// The name there.
    pub name: String,
}

impl Key {
    /// Which object in which workspace.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// The order as one text, for marks: `things.example.io/1abc/default/a`.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            publication,
            cluster,
            namespace,
            name,
        } = self;
        format!("{publication}/{cluster}/{namespace}/{name}")
    }

    /// Reads what [`text`](Self::text) says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let [publication, cluster, namespace, name] = parts[..] else {
            return None;
        };
        Some(Self {
            publication: publication.to_owned(),
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The workspace of the order.
    #[must_use]
    pub fn workspace(&self) -> Place {
        Place::Workspace(self.cluster.clone())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.publication, self.cluster)?;
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

/// Where an object lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// In the workspace with this logical cluster's name.
    Workspace(String),
    /// On the service cluster.
    Service,
}

/// One object in one place, whether or not it exists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Where.
    pub place: Place,
    /// Of which kind.
    pub kind: Kind,
    /// In which namespace; empty when cluster-scoped.
    pub namespace: String,
    /// Under which name.
    pub name: String,
}

impl ObjectRef {
    /// Which object in which workspace; the cluster is empty for one of the service cluster.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            cluster: match &self.place {
                Place::Workspace(cluster) => cluster.clone(),
                Place::Service => String::new(),
            },
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// A Secret of the service cluster.
    #[must_use]
    pub fn service_secret(namespace: &str, name: &str) -> Self {
        Self {
            place: Place::Service,
            kind: Kind {
                group: String::new(),
                version: "v1".into(),
                kind: "Secret".into(),
                plural: "secrets".into(),
                scope: Scope::Namespaced,
            },
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A namespace of the service cluster.
    #[must_use]
    pub fn service_namespace(name: &str) -> Self {
        Self {
            place: Place::Service,
            kind: Kind {
                group: String::new(),
                version: "v1".into(),
                kind: "Namespace".into(),
                plural: "namespaces".into(),
                scope: Scope::Cluster,
            },
            namespace: String::new(),
            name: name.to_owned(),
        }
    }

    /// Whether this is what a `Status` of code 404 says is not there. A namespace, a workspace or a path that is missing, or a
    /// kind that is not served, is answered with the same code and says nothing about the object.
    #[must_use]
    pub fn is_missing_by(&self, status: &Value) -> bool {
        let told = &status["details"];
        let text = |field: &str| told[field].as_str().unwrap_or_default();
        let kind = text("kind");
        status["reason"] == "NotFound"
            && text("name") == self.name
            && text("group") == self.kind.group
            && (kind == self.kind.plural || kind == self.kind.kind)
    }

    /// The namespace that an object lives in, in the same place; `None` for one that has none.
    #[must_use]
    pub fn namespace_of(&self) -> Option<Self> {
        let namespace = Self::service_namespace(&self.namespace);
        (!self.namespace.is_empty()).then(|| Self {
            place: self.place.clone(),
            ..namespace
        })
    }

    /// What kcp says about a workspace, in the workspace.
    #[must_use]
    pub fn logical_cluster(cluster: &str) -> Self {
        Self {
            place: Place::Workspace(cluster.to_owned()),
            kind: Kind {
                group: "core.kcp.io".into(),
                version: "v1alpha1".into(),
                kind: "LogicalCluster".into(),
                plural: "logicalclusters".into(),
                scope: Scope::Cluster,
            },
            namespace: String::new(),
            name: "cluster".into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Workspace(cluster) => write!(f, "workspace {cluster}: ")?,
            Place::Service => write!(f, "service: ")?,
        }
        write!(f, "{} ", names::resource(&self.kind))?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{}", self.name)
    }
}

/// One version of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: String,
}

impl Known {
    /// Which version of which object this is.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self {
            uid: uid(object).to_owned(),
            version: version(object).to_owned(),
        }
    }
}
