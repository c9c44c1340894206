//! OpenAPI v3: what kubectl reads before it explains, creates or applies.
//!
//! The index at `/openapi/v3` names one document for each group and version, under a URL with a hash of the document,
//! so that clients may keep it. A document is built from the served resources: schemas of CRDs as written, those of
//! built-in kinds from `builtin/schemas.yaml`. Two things in it steer kubectl: a PATCH that lists `fieldValidation` and
//! `dryRun` among its parameters (else kubectl validates by itself, with the second version of OpenAPI, of which there is
//! little), and the media types of that PATCH (strategic merge patches for built-in kinds only).

mod meta;
mod paths;
mod second;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::api::{Provenance, Resource};
use crate::builtin;

pub use second::second;

/// `/openapi/v3`.
#[must_use]
pub fn index<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Value {
    let resources: Vec<&Resource> = resources.into_iter().collect();
    let mut names: Vec<String> = vec!["api".into(), "apis".into(), "version".into()];
    for resource in &resources {
        names.push(name_of(resource));
        if resource.provenance == Provenance::BuiltIn && !resource.group.is_empty() {
            names.push(format!("apis/{}", resource.group));
        }
    }
    names.sort();
    names.dedup();
    let entries: Map<String, Value> = names
        .into_iter()
        .filter_map(|name| {
            let document = document(resources.iter().copied(), &name)?;
            let hash: String = Sha256::digest(document.to_string())
                .iter()
                .map(|byte| format!("{byte:02X}"))
                .collect();
            let url = format!("/openapi/v3/{name}?hash={hash}");
            Some((name, json!({"serverRelativeURL": url})))
        })
        .collect();
    json!({"paths": entries})
}

/// The document of a name in the index, as in `apis/apps/v1` or `api/v1`.
#[must_use]
pub fn document<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
    name: &str,
) -> Option<Value> {
    let resources: Vec<&Resource> = resources.into_iter().collect();
    let group_is_served = || {
        let group = name.strip_prefix("apis/").unwrap_or_default();
        resources
            .iter()
            .any(|resource| !group.is_empty() && resource.group == group)
    };
    if matches!(name, "api" | "apis" | "version") || group_is_served() {
        return Some(whole(paths::lone(name), Map::new(), "Kubernetes"));
    }
    let served: Vec<&Resource> = resources
        .into_iter()
        .filter(|resource| name_of(resource) == name)
        .collect();
    let first = served.first()?;
    let title = if first.provenance == Provenance::BuiltIn {
        "Kubernetes"
    } else {
        "Kubernetes CRD Swagger"
    };
    let mut operations = Map::new();
    let mut schemas = meta::schemas();
    for resource in served {
        operations.extend(paths::of(resource));
        let component = component(resource);
        schemas.insert(component.clone(), object(resource));
        if !builtin::kinds::is_review(resource) {
            schemas.insert(list_component(resource), list(resource, &component));
        }
    }
    Some(whole(operations, schemas, title))
}

fn whole(paths: Map<String, Value>, schemas: Map<String, Value>, title: &str) -> Value {
    let version = if title == "Kubernetes" {
        "unversioned"
    } else {
        "v0.1.0"
    };
    let mut document = json!({"openapi": "3.0.0", "info": {"title": title, "version": version}});
    document["paths"] = Value::Object(paths);
    if !schemas.is_empty() {
        document["components"]["schemas"] = Value::Object(schemas);
    }
    document
}

fn name_of(resource: &Resource) -> String {
    let root = if resource.group.is_empty() {
        "api"
    } else {
        "apis"
    };
    format!("{root}/{}", resource.api_version())
}

/// The name of a kind among the schemas: the group backwards for custom kinds, Go's package for built-in ones.
fn component(resource: &Resource) -> String {
    named(resource, &resource.kind)
}

fn list_component(resource: &Resource) -> String {
    named(resource, &resource.list_kind)
}

fn named(resource: &Resource, kind: &str) -> String {
    let Resource { group, version, .. } = resource;
    if resource.provenance == Provenance::BuiltIn {
        if group == "apiextensions.k8s.io" {
            return format!(
                "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}"
            );
        }
        let package = if group.is_empty() {
            "core"
        } else {
            group.split('.').next().unwrap_or_default()
        };
        return format!("io.k8s.api.{package}.{version}.{kind}");
    }
    let parts: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{version}.{kind}", parts.join("."))
}

fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

fn described(text: &str, component: &str) -> Value {
    json!({"description": text, "allOf": [reference(component)]})
}

fn object(resource: &Resource) -> Value {
    let mut schema = match (&resource.schema, builtin::schema(resource)) {
        (Some(schema), _) => (**schema).clone(),
        (None, Some(schema)) => published(&schema),
        (None, None) => json!({"type": "object"}),
    };
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"description": API_VERSION, "type": "string"});
    properties["kind"] = json!({"description": KIND, "type": "string"});
    properties["metadata"] = described(METADATA, meta::OBJECT_META);
    schema["x-kubernetes-group-version-kind"] = kinds(resource, &resource.kind);
    schema
}

fn list(resource: &Resource, component: &str) -> Value {
    const LIST: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
    const ITEMS: &str =
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
    json!({
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": API_VERSION, "type": "string"},
            "items": {
                "description": format!("List of {}. More info: {ITEMS}", resource.plural),
                "type": "array",
                "items": reference(component),
            },
            "kind": {"description": KIND, "type": "string"},
            "metadata": described(LIST, meta::LIST_META),
        },
        "x-kubernetes-group-version-kind": kinds(resource, &resource.list_kind),
    })
}

fn kinds(resource: &Resource, kind: &str) -> Value {
    json!([{"group": resource.group, "version": resource.version, "kind": kind}])
}

/// A schema of a built-in kind without what only this server reads.
fn published(schema: &Value) -> Value {
    const PRIVATE: [&str; 5] = ["x-go", "x-type", "x-keep", "x-always", "x-micro"];
    match schema {
        Value::Object(members) => {
            // A member may be called like an extension, but not a property of a property.
            let kept = members
                .iter()
                .filter(|(key, _)| !PRIVATE.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), published(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(published).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::builtin::kinds as builtin_kinds;

    fn widget() -> Resource {
        let mut widget = builtin_kinds::kubernetes()
            .into_iter()
            .next()
            .expect("there are kinds");
        widget.group = "r.recb.example.com".into();
        widget.kind = "Widget".into();
        widget.list_kind = "WidgetList".into();
        widget.plural = "widgets".into();
        widget.singular = "widget".into();
        widget.status = true;
        widget.provenance = Provenance::Crd("widgets.r.recb.example.com".into());
        widget.schema = Some(Arc::new(json!({
            "type": "object", "description": "Widget is a test kind",
            "properties": {"spec": {"type": "object", "description": "the spec", "properties": {
                "size": {"type": "integer", "minimum": 1, "description": "how big"},
            }}},
        })));
        widget
    }

    #[test]
    fn a_custom_kind_is_documented_as_recorded() {
        let widget = widget();
        let document = document([&widget], "apis/r.recb.example.com/v1").expect("it is served");
        assert_eq!(
            document["info"],
            json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"})
        );
        let schemas = &document["components"]["schemas"];
        let own = &schemas["com.example.recb.r.v1.Widget"];
        assert_eq!(
            own["properties"]["spec"]["properties"]["size"],
            json!({"type": "integer", "minimum": 1, "description": "how big"})
        );
        assert_eq!(
            own["x-kubernetes-group-version-kind"],
            json!([{"group": "r.recb.example.com", "kind": "Widget", "version": "v1"}])
        );
        assert_eq!(
            schemas["com.example.recb.r.v1.WidgetList"]["description"],
            "WidgetList is a list of Widget"
        );
        let object = "/apis/r.recb.example.com/v1/namespaces/{namespace}/widgets/{name}";
        let operation =
            |path: &str, method: &str| document["paths"][path][method]["operationId"].clone();
        assert_eq!(
            operation(object, "get"),
            "readRRecbExampleComV1NamespacedWidget"
        );
        assert_eq!(
            operation(&format!("{object}/status"), "put"),
            "replaceRRecbExampleComV1NamespacedWidgetStatus"
        );
        assert_eq!(
            operation("/apis/r.recb.example.com/v1/widgets", "get"),
            "listRRecbExampleComV1WidgetForAllNamespaces"
        );
        let collection = "/apis/r.recb.example.com/v1/namespaces/{namespace}/widgets";
        assert_eq!(
            operation(collection, "delete"),
            "deleteRRecbExampleComV1CollectionNamespacedWidget"
        );
        assert_eq!(
            document["paths"][collection]["delete"]["x-kubernetes-action"],
            "deletecollection"
        );
    }

    #[test]
    fn kubectl_finds_server_side_validation_and_the_right_patches() {
        let mut kinds = builtin_kinds::kubernetes();
        kinds.push(widget());
        let patch = |name: &str, path: &str| {
            document(&kinds, name).expect("it is served")["paths"][path]["patch"].clone()
        };
        let custom = patch(
            "apis/r.recb.example.com/v1",
            "/apis/r.recb.example.com/v1/namespaces/{namespace}/widgets/{name}",
        );
        let built_in = patch("api/v1", "/api/v1/namespaces/{namespace}/configmaps/{name}");
        for (patch, strategic) in [(custom, false), (built_in, true)] {
            let parameters = patch["parameters"]
                .as_array()
                .expect("there are parameters");
            for name in ["fieldValidation", "dryRun"] {
                assert!(
                    parameters.iter().any(|parameter| parameter["name"] == name),
                    "{name}"
                );
            }
            let content = patch["requestBody"]["content"]
                .as_object()
                .expect("there are media types");
            assert_eq!(
                content.contains_key("application/strategic-merge-patch+json"),
                strategic
            );
        }
    }

    #[test]
    fn the_index_leads_to_every_document_and_its_hash_follows_the_content() {
        let kinds = builtin_kinds::kubernetes();
        let before = index(&kinds);
        let entries = before["paths"].as_object().expect("there are documents");
        assert!(
            entries.contains_key("api/v1") && entries.contains_key("apis/coordination.k8s.io/v1")
        );
        for (name, entry) in entries {
            assert!(document(&kinds, name).is_some(), "{name}");
            let url = entry["serverRelativeURL"].as_str().expect("a URL");
            assert!(
                url.starts_with(&format!("/openapi/v3/{name}?hash=")),
                "{url}"
            );
        }
        let mut fewer = kinds;
        fewer.retain(|kind| kind.plural != "configmaps");
        assert_ne!(index(&fewer)["paths"]["api/v1"], before["paths"]["api/v1"]);
        assert_eq!(
            index(&fewer)["paths"]["apis/coordination.k8s.io/v1"],
            before["paths"]["apis/coordination.k8s.io/v1"]
        );
    }

    #[test]
    fn what_only_the_server_reads_is_not_published() {
        let text = document(&builtin_kinds::kubernetes(), "api/v1")
            .expect("it is served")
            .to_string();
        for private in ["x-go", "x-keep", "x-always", "x-micro"] {
            assert!(!text.contains(&format!("\"{private}\"")), "{private}");
        }
        assert!(text.contains("x-kubernetes-patch-merge-key"));
    }
}
