//! The operations of a resource.

use serde_json::{Map, Value, json};

use super::{component, list_component, meta, reference};
use crate::api::{Provenance, Resource};

/// The path of a document that describes no resources.
pub(super) fn lone(name: &str) -> Map<String, Value> {
    let path = if name == "version" {
        "/version/".to_owned()
    } else {
        format!("/{name}/")
    };
    let get = json!({"responses": {"200": {"description": "OK"}, "401": {"description": "Unauthorized"}}});
    Map::from_iter([(path, json!({"get": get}))])
}

/// The paths of a resource and its subresources.
pub(super) fn of(resource: &Resource) -> Map<String, Value> {
    let root = if resource.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let base = format!("{root}/{}", resource.api_version());
    let (here, scope) = if resource.namespaced {
        ("/namespaces/{namespace}", "Namespaced")
    } else {
        ("", "")
    };
    let collection = format!("{base}{here}/{}", resource.plural);
    let object = format!("{collection}/{{name}}");
    let kind = &resource.kind;
    let plain = Describe {
        resource,
        scope,
        suffix: "",
    };
    let has = |verb: &str| resource.verbs.iter().any(|known| known == verb);
    let own = component(resource);
    let mut paths = Map::new();

    let mut on_collection = Map::new();
    if has("list") {
        let get = plain.operation("list", "list", &format!("list objects of kind {kind}"), "");
        on_collection.insert("get".into(), answering(get, &list_component(resource)));
    }
    if has("create") {
        let mut post = plain.operation("create", "post", &format!("create a {kind}"), "");
        post["parameters"] = json!(WRITE.map(query));
        post["requestBody"] = body(&own, &["*/*"]);
        on_collection.insert("post".into(), answering(post, &own));
    }
    if has("deletecollection") {
        let delete = plain.operation(
            "delete",
            "deletecollection",
            &format!("delete collection of {kind}"),
            "Collection",
        );
        on_collection.insert("delete".into(), answering(delete, &meta::named("Status")));
    }
    on_collection.insert("parameters".into(), parameters(resource.namespaced, false));
    paths.insert(collection, Value::Object(on_collection));

    if has("get") {
        let mut on_object = Map::new();
        let get = plain.operation("read", "get", &format!("read the specified {kind}"), "");
        on_object.insert("get".into(), answering(get, &own));
        let put = plain.operation(
            "replace",
            "put",
            &format!("replace the specified {kind}"),
            "",
        );
        on_object.insert("put".into(), writing(put, resource, false));
        let delete = plain.operation("delete", "delete", &format!("delete a {kind}"), "");
        on_object.insert("delete".into(), answering(delete, &meta::named("Status")));
        let patch = plain.operation(
            "patch",
            "patch",
            &format!("partially update the specified {kind}"),
            "",
        );
        on_object.insert("patch".into(), writing(patch, resource, true));
        on_object.insert("parameters".into(), parameters(resource.namespaced, true));
        paths.insert(object.clone(), Value::Object(on_object));
    }
    for (present, name, suffix) in [
        (resource.status, "status", "Status"),
        (resource.scale.is_some(), "scale", "Scale"),
    ] {
        if !present {
            continue;
        }
        let sub = Describe {
            resource,
            scope,
            suffix,
        };
        let get = sub.operation(
            "read",
            "get",
            &format!("read {name} of the specified {kind}"),
            "",
        );
        let put = sub.operation(
            "replace",
            "put",
            &format!("replace {name} of the specified {kind}"),
            "",
        );
        let patch = sub.operation(
            "patch",
            "patch",
            &format!("partially update {name} of the specified {kind}"),
            "",
        );
        paths.insert(
            format!("{object}/{name}"),
            json!({
                "get": answering(get, &own), "put": writing(put, resource, false), "patch": writing(patch, resource, true),
                "parameters": parameters(resource.namespaced, true),
            }),
        );
    }
    if resource.namespaced && has("list") {
        let everywhere = Describe {
            resource,
            scope: "",
            suffix: "ForAllNamespaces",
        };
        let get = everywhere.operation("list", "list", &format!("list objects of kind {kind}"), "");
        paths.insert(
            format!("{base}/{}", resource.plural),
            json!({"get": answering(get, &list_component(resource)), "parameters": parameters(false, false)}),
        );
    }
    paths
}

struct Describe<'a> {
    resource: &'a Resource,
    scope: &'a str,
    suffix: &'a str,
}

impl Describe<'_> {
    fn operation(&self, verb: &str, action: &str, description: &str, collection: &str) -> Value {
        let Resource {
            group,
            version,
            kind,
            ..
        } = self.resource;
        let group_words = if group.is_empty() {
            "Core".to_owned()
        } else {
            group.split('.').map(capital).collect()
        };
        let (scope, suffix) = (self.scope, self.suffix);
        json!({
            "description": description,
            "operationId": format!("{verb}{group_words}{}{collection}{scope}{kind}{suffix}", capital(version)),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        })
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}

const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];

fn query(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": if name == "force" { "boolean" } else { "string" }, "uniqueItems": true}})
}

fn parameters(namespaced: bool, named: bool) -> Value {
    let path = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    let mut all = Vec::new();
    if named {
        all.push(path("name"));
    }
    if namespaced {
        all.push(path("namespace"));
    }
    all.push(query("pretty"));
    Value::Array(all)
}

fn body(component: &str, media: &[&str]) -> Value {
    let content: Map<String, Value> = media
        .iter()
        .map(|media| ((*media).to_owned(), json!({"schema": reference(component)})))
        .collect();
    json!({"content": content, "required": true})
}

fn answering(mut operation: Value, component: &str) -> Value {
    let content = json!({"application/json": {"schema": reference(component)}, "application/yaml": {"schema": reference(component)}});
    operation["responses"] = json!({"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}});
    operation
}

fn writing(mut operation: Value, resource: &Resource, patch: bool) -> Value {
    let own = component(resource);
    if patch {
        let mut media = vec![
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
        ];
        if resource.provenance == Provenance::BuiltIn {
            media.push("application/strategic-merge-patch+json");
        }
        operation["requestBody"] = body(&meta::named("Patch"), &media);
        operation["parameters"] = json!(
            WRITE
                .iter()
                .copied()
                .chain(["force"])
                .map(query)
                .collect::<Vec<_>>()
        );
    } else {
        operation["requestBody"] = body(&own, &["*/*"]);
        operation["parameters"] = json!(WRITE.map(query));
    }
    answering(operation, &own)
}
