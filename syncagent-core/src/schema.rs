//! Schemas: what consumers see, made from a CRD, and looking up paths in one.
//!
//! A published schema holds one version. It is named by a hash of its content, so equal content has an equal name and
//! publishing is idempotent; kcp's schemas are immutable anyway.

use serde_json::{Value, json};

use crate::definition::{Kind, Scope};
use crate::object::fingerprint::Fingerprint;
use crate::object::path::{Path, Step};
use crate::status::SYNCED;

/// The version of a CRD, with its schema; `None` when the CRD does not serve it.
#[must_use]
pub fn version<'a>(crd: &'a Value, name: &str) -> Option<&'a Value> {
    let versions = crd["spec"]["versions"].as_array()?;
    versions
        .iter()
        .find(|it| it["name"] == name && it["served"] != false)
}

/// The schema of a version of a CRD.
#[must_use]
pub fn of_version(version: &Value) -> &Value {
    &version["schema"]["openAPIV3Schema"]
}

/// What a schema says about a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup<'a> {
    /// It declares it so.
    Declared(&'a Value),
    /// It lets anything be there.
    Open,
    /// It does not know it.
    Missing,
}

/// Looks a path up in a schema.
#[must_use]
pub fn lookup<'a>(schema: &'a Value, path: &Path) -> Lookup<'a> {
    let mut at = schema;
    for (position, step) in path.steps().iter().enumerate() {
        if at["x-kubernetes-preserve-unknown-fields"] == true
            && !matches!(step, Step::Field(name) if at["properties"].get(name).is_some())
        {
            return Lookup::Open;
        }
        let next = match step {
            // Of metadata a schema says nothing, and every server knows it.
            Step::Field(name) if position == 0 && name == "metadata" => return Lookup::Open,
            Step::Field(name) => {
                at["properties"]
                    .get(name)
                    .or_else(|| match at.get("additionalProperties") {
                        Some(Value::Bool(true)) => Some(&Value::Null),
                        other => other.filter(|it| it.is_object()),
                    })
            }
            Step::Each => at.get("items"),
        };
        match next {
            Some(Value::Null) => return Lookup::Open,
            Some(next) => at = next,
            None => return Lookup::Missing,
        }
    }
    Lookup::Declared(at)
}

/// The paths of all leaves that a schema declares below a path, lists as `[]`.
#[must_use]
pub fn leaves(schema: &Value, below: &Path) -> Vec<Path> {
    let Lookup::Declared(start) = lookup(schema, below) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    collect(start, below, &mut found);
    found
}

fn collect(schema: &Value, at: &Path, found: &mut Vec<Path>) {
    let properties = schema["properties"].as_object().filter(|it| !it.is_empty());
    if let Some(properties) = properties {
        for (name, schema) in properties {
            collect(schema, &at.join(&Path::of(&[name])), found);
        }
    } else if schema["items"]["properties"].is_object() {
        let each = Path::from_steps(vec![Step::Each]);
        collect(&schema["items"], &at.join(&each), found);
    } else {
        found.push(at.clone());
    }
}

/// The `APIResourceSchema` that offers a kind.
///
/// `crd` is where the schema comes from, `version` the version to take from it; `hidden` are fields that consumers do not
/// see; with `conditions` the status has room for our own condition.
#[must_use]
pub fn published(
    crd: &Value,
    version_name: &str,
    offered: &Kind,
    hidden: &[Path],
    conditions: bool,
) -> Option<Value> {
    let version = version(crd, version_name)?;
    let mut schema = of_version(version).clone();
    if !schema.is_object() {
        return None;
    }
    for path in hidden {
        hide(&mut schema, path.steps());
    }
    if conditions {
        add_conditions(&mut schema);
    }
    // The root's own fields are the server's business.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties
            .entry("metadata")
            .or_insert_with(|| json!({"type": "object"}));
        properties
            .entry("apiVersion")
            .or_insert_with(|| json!({"type": "string"}));
        properties
            .entry("kind")
            .or_insert_with(|| json!({"type": "string"}));
    }
    let names = &crd["spec"]["names"];
    let same_kind = names["kind"] == json!(offered.kind);
    let mut published_names = json!({
        "plural": offered.plural,
        "singular": text_or(&names["singular"], same_kind).unwrap_or_else(|| offered.kind.to_lowercase()),
        "kind": offered.kind,
        "listKind": text_or(&names["listKind"], same_kind).unwrap_or_else(|| format!("{}List", offered.kind)),
    });
    for list in ["shortNames", "categories"] {
        let has = names[list].as_array().is_some_and(|list| !list.is_empty());
        if has && same_kind {
            published_names[list] = names[list].clone();
        }
    }
    let has_status = conditions || version["subresources"].get("status").is_some();
    let mut published_version = json!({
        "name": offered.version,
        "served": true,
        "storage": true,
        "schema": schema,
        "subresources": if has_status { json!({"status": {}}) } else { json!({}) },
    });
    if let Some(columns) = version["additionalPrinterColumns"]
        .as_array()
        .filter(|it| !it.is_empty())
    {
        let shown = columns
            .iter()
            .filter(|column| !shows_hidden(column, hidden));
        published_version["additionalPrinterColumns"] = shown.cloned().collect();
    }
    let spec = json!({
        "group": offered.group,
        "names": published_names,
        "scope": match offered.scope {
            Scope::Namespaced => "Namespaced",
            Scope::Cluster => "Cluster",
        },
        "versions": [published_version],
    });
    let hash = Fingerprint::of(&spec).to_string();
    let group = if offered.group.is_empty() {
        "core"
    } else {
        &offered.group
    };
    Some(json!({
        "apiVersion": "apis.kcp.io/v1alpha1",
        "kind": "APIResourceSchema",
        "metadata": {"name": format!("v{}.{}.{group}", &hash[..8], offered.plural)},
        "spec": spec,
    }))
}

fn text_or(name: &Value, same_kind: bool) -> Option<String> {
    name.as_str()
        .filter(|name| same_kind && !name.is_empty())
        .map(str::to_owned)
}

fn shows_hidden(column: &Value, hidden: &[Path]) -> bool {
    let shown = column["jsonPath"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches('.');
    hidden.iter().any(|path| {
        let path = path.to_string();
        shown == path || shown.starts_with(&format!("{path}."))
    })
}

/// Takes a field out of a schema, also from what is required.
fn hide(schema: &mut Value, steps: &[Step]) {
    match steps {
        [] => {}
        [Step::Field(name)] => {
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.remove(name);
            }
            if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|it| it != name);
                if required.is_empty()
                    && let Some(map) = schema.as_object_mut()
                {
                    map.remove("required");
                }
            }
        }
        [Step::Field(name), rest @ ..] => {
            if let Some(below) = schema.get_mut("properties").and_then(|it| it.get_mut(name)) {
                hide(below, rest);
            }
        }
        [Step::Each, rest @ ..] => {
            if let Some(items) = schema.get_mut("items") {
                hide(items, rest);
            }
        }
    }
}

/// Makes room for our condition.
fn add_conditions(schema: &mut Value) {
    let root = schema.as_object_mut().expect("the caller looked");
    let properties = root.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else {
        return;
    };
    let status = properties
        .entry("status")
        .or_insert_with(|| json!({"type": "object"}));
    let Some(status) = status.as_object_mut() else {
        return;
    };
    if status.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true)) {
        return;
    }
    status.entry("type").or_insert_with(|| json!("object"));
    let properties = status.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else {
        return;
    };
    properties.entry("conditions").or_insert_with(|| {
        json!({
            "type": "array",
            "description": format!("Conditions of the order; `{SYNCED}` says whether it reached the service."),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status"],
                "properties": {
                    "type": {"type": "string"},
                    "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                    "reason": {"type": "string"},
                    "message": {"type": "string"},
                    "lastTransitionTime": {"type": "string", "format": "date-time"},
                    "observedGeneration": {"type": "integer", "format": "int64"},
                },
            },
        })
    });
}
