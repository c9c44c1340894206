//! What an API server serves: resources, as its registry knows them.
//!
//! A [`Resource`] is one plural in one version. Built-in kinds, kinds of a CRD and kinds bound through an `APIBinding`
//! are all the same to the layers that store, select, print and discover; what differs is in [`Provenance`] and in the
//! admission of built-in kinds.

use std::sync::Arc;

use serde_json::Value;

use crate::schema::Schema;

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

/// A resource together with how its objects are stored.
#[derive(Clone)]
pub struct Served {
    /// What clients see.
    pub resource: Resource,
    /// The bucket of the store; versions of one resource share it.
    pub bucket: Arc<str>,
    /// The `apiVersion` of stored objects.
    pub stored_as: String,
    /// The compiled schema of a custom kind.
    pub schema: Option<Arc<Schema>>,
    /// How stored objects become served ones, where it takes more than another `apiVersion`.
    pub convert: Option<Arc<dyn Convert>>,
    /// Whether stored objects may differ from what the present schema makes of them (the schema was changed, or there
    /// are several versions): then they are pruned and defaulted when they are read.
    pub revised: bool,
    /// Why creation is refused, as while a CRD is being deleted; empty when it is not.
    pub frozen: String,
}

/// Converts between the stored and one served version of a resource.
pub trait Convert: Send + Sync {
    /// From the served version.
    ///
    /// # Errors
    /// When the object has no form in the stored version.
    fn store(&self, object: Value) -> Result<Value, crate::status::Failure>;

    /// To the served version.
    ///
    /// # Errors
    /// When the object has no form in the served version.
    fn serve(&self, object: Value) -> Result<Value, crate::status::Failure>;
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served")
            .field("resource", &self.resource.qualified())
            .field("version", &self.resource.version)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl Served {
    /// A resource that is stored as it is served, in the bucket of its qualified name.
    #[must_use]
    pub fn plain(resource: Resource) -> Self {
        Self {
            bucket: resource.qualified().into(),
            stored_as: resource.api_version(),
            resource,
            schema: None,
            convert: None,
            revised: false,
            frozen: String::new(),
        }
    }

    /// A built-in kind. Events are one kind under two groups, stored in the form of the core group.
    #[must_use]
    pub fn compiled_in(resource: Resource) -> Self {
        let events = resource.group == "events.k8s.io" && resource.plural == "events";
        let mut served = Self::plain(resource);
        if events {
            served.bucket = "events".into();
            served.stored_as = "v1".to_owned();
            served.convert = Some(Arc::new(Events));
        }
        served
    }

    /// Whether the kind is compiled into the server.
    #[must_use]
    pub fn built_in(&self) -> bool {
        self.resource.provenance == Provenance::BuiltIn
    }

    /// A stored object in the version that is served here.
    ///
    /// # Errors
    /// When it has no form in this version.
    pub fn to_served(&self, stored: &Arc<Value>) -> Result<Arc<Value>, crate::status::Failure> {
        if let Some(convert) = &self.convert {
            return convert.serve((**stored).clone()).map(Arc::new);
        }
        let version = self.resource.api_version();
        if !self.revised && stored["apiVersion"].as_str() == Some(&version) {
            return Ok(stored.clone());
        }
        let mut object = (**stored).clone();
        object["apiVersion"] = version.into();
        if let Some(schema) = self.schema.as_ref().filter(|_| self.revised) {
            schema.restore(&mut object);
        }
        Ok(Arc::new(object))
    }

    /// An object of the served version as it is stored.
    ///
    /// # Errors
    /// When it has no form in the stored version.
    pub fn to_stored(&self, mut object: Value) -> Result<Value, crate::status::Failure> {
        if let Some(convert) = &self.convert {
            return convert.store(object);
        }
        object["apiVersion"] = self.stored_as.as_str().into();
        Ok(object)
    }
}

/// Events of `events.k8s.io`, stored as those of the core group.
struct Events;

impl Convert for Events {
    fn store(&self, object: Value) -> Result<Value, crate::status::Failure> {
        Ok(crate::builtin::event::to_core(&object))
    }

    fn serve(&self, object: Value) -> Result<Value, crate::status::Failure> {
        Ok(crate::builtin::event::from_core(&object))
    }
}
