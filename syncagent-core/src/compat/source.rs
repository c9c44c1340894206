//! What a service cluster says about a kind, in the form of a CustomResourceDefinition: the *unprojected* one.
//!
//! It comes from the CRD of the kind; or, for a kind that has none, from discovery and OpenAPI ([`Source::from_openapi`]).
//! Of a CRD only what a schema is made of is kept: its name, its generation, the annotation by which Kubernetes approves a
//! protected group, and its spec, whose schemas stay as they are. Conversion is none: kcp cannot call the service cluster.

use serde_json::{Value, json};

use super::{FieldProblem, go_json, openapi, schema};
use crate::definition::{Kind, Scope};

/// The annotation that is kept.
pub(super) const APPROVED: &str = "api-approved.kubernetes.io";

/// What a service cluster says about a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    crd: Value,
}

impl Source {
    /// Takes a CRD, as a server shows it or as somebody wrote it into a file.
    ///
    /// ```
    /// use serde_json::json;
    /// use syncagent_core::compat::Source;
    ///
    /// let source = Source::from_crd(&json!({
    ///     "metadata": {"name": "things.example.io", "uid": "123", "labels": {"a": "b"}},
    ///     "spec": {"group": "example.io", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
    ///         "versions": [{"name": "v1", "served": true, "storage": true}]},
    /// }));
    /// assert_eq!(source.crd()["metadata"], json!({"name": "things.example.io"}));
    /// assert_eq!(source.crd()["spec"]["names"]["listKind"], "ThingList");
    /// ```
    #[must_use]
    pub fn from_crd(crd: &Value) -> Self {
        let mut metadata = json!({"name": crd["metadata"]["name"]});
        if let Some(generation) = crd["metadata"].get("generation") {
            metadata["generation"] = generation.clone();
        }
        if let Some(approved) = crd["metadata"]["annotations"].get(APPROVED) {
            metadata["annotations"] = json!({APPROVED: approved});
        }
        let mut spec = crd["spec"].clone();
        if is_non_structural(crd) {
            open_up(&mut spec);
        }
        Self::of(metadata, spec)
    }

    /// Makes one up from what the service cluster says in discovery and OpenAPI about a kind without a CRD.
    ///
    /// # Errors
    ///
    /// What is missing in these documents, or cannot be told in a CRD.
    pub fn from_openapi(
        found: &openapi::Found,
        documents: &openapi::Documents<'_>,
    ) -> Result<Self, FieldProblem> {
        let (metadata, spec) = openapi::crd(found, documents)?;
        Ok(Self::of(metadata, spec))
    }

    /// The document, with the spec as Go's types hold it and a server's defaults.
    fn of(metadata: Value, mut spec: Value) -> Self {
        if spec.is_object() {
            default_names(&mut spec["names"]);
            spec["conversion"] = json!({"strategy": "None"});
        }
        let mut crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "spec": go_json::parsed(&spec),
        });
        crd["metadata"] = metadata;
        Self { crd }
    }

    /// The unprojected CRD.
    #[must_use]
    pub fn crd(&self) -> &Value {
        &self.crd
    }

    /// The kind in the version that is stored; `None` when no version is.
    #[must_use]
    pub fn stored(&self) -> Option<Kind> {
        kind(&self.crd)
    }

    /// The name of the `APIResourceSchema` that offers the kind as it is.
    #[must_use]
    pub fn schema_name(&self) -> String {
        schema::name(&self.crd)
    }

    /// The `APIResourceSchema` that offers the kind as it is.
    #[must_use]
    pub fn resource_schema(&self, agent: &str) -> Value {
        schema::of(&self.crd, agent)
    }
}

/// The kind of a CRD, in the version that is stored.
pub(super) fn kind(crd: &Value) -> Option<Kind> {
    let spec = &crd["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut versions = spec["versions"].as_array()?.iter();
    let stored = versions.find(|it| it["storage"] == true)?;
    Some(Kind {
        group: text(&spec["group"]),
        version: text(&stored["name"]),
        kind: text(&spec["names"]["kind"]),
        plural: text(&spec["names"]["plural"]),
        scope: if spec["scope"] == Scope::Cluster.word() {
            Scope::Cluster
        } else {
            Scope::Namespaced
        },
    })
}

/// The names that a server fills in.
fn default_names(names: &mut Value) {
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    if kind.is_empty() {
        return;
    }
    for (name, filled) in [
        ("singular", kind.to_lowercase()),
        ("listKind", format!("{kind}List")),
    ] {
        if names[name].as_str().unwrap_or_default().is_empty() {
            names[name] = filled.into();
        }
    }
}

fn is_non_structural(crd: &Value) -> bool {
    let mut conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|it| it["type"] == "NonStructuralSchema" && it["status"] == "True")
}

/// Versions without a schema take everything.
fn open_up(spec: &mut Value) {
    let versions = spec["versions"].as_array_mut().into_iter().flatten();
    for version in versions.filter(|it| it["schema"]["openAPIV3Schema"].is_null()) {
        version["schema"] = json!({"openAPIV3Schema": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
        }});
    }
}
