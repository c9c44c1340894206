//! The `APIResourceSchema` that offers a kind.

use serde_json::{Value, json};

use super::{of_version, version};
use crate::definition::{Kind, OfferedNames, SchemaName};
use crate::object::fingerprint::Fingerprint;
use crate::object::path::{Path, Step};
use crate::object::subset::Subset;
use crate::status::SYNCED;

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The kind that consumers see; its version is the one that is stored.
    pub offered: &'a Kind,
    /// The versions, as the CRD calls them and as consumers see them.
    pub versions: &'a [(String, String)],
    /// What it is called beside its kind and plural.
    pub names: &'a OfferedNames,
    /// Fields that consumers do not see.
    pub hidden: &'a [Path],
    /// The only fields that consumers see; `None`: all.
    pub subset: Option<&'a Subset>,
    /// Whether the status has room for our own condition.
    pub conditions: bool,
    /// How the schema is named.
    pub name: SchemaName,
}

/// The `APIResourceSchema` that offers a kind, made from a CRD; or the version that the CRD does not serve.
///
/// Several versions are one kind under several names: nothing is converted but the `apiVersion`.
///
/// # Errors
///
/// The first version of the CRD that is not served, or has no schema.
pub fn published(crd: &Value, offer: &Offer<'_>) -> Result<Value, String> {
    let versions = offer
        .versions
        .iter()
        .map(|(service, offered)| one(crd, service, offered, offer).ok_or_else(|| service.clone()));
    let versions = versions.collect::<Result<Vec<_>, _>>()?;
    let several = versions.len() > 1;
    let mut spec = json!({
        "group": offer.offered.group,
        "names": names(&crd["spec"]["names"], offer),
        "scope": offer.offered.scope.word(),
        "versions": versions,
    });
    if several {
        spec["conversion"] = json!({"strategy": "None"});
    }
    let group = if offer.offered.group.is_empty() {
        "core"
    } else {
        &offer.offered.group
    };
    let prefix = match offer.name {
        SchemaName::Fingerprint => format!("v{}", &Fingerprint::of(&spec).to_string()[..8]),
    };
    Ok(json!({
        "apiVersion": "apis.kcp.io/v1alpha1",
        "kind": "APIResourceSchema",
        "metadata": {"name": format!("{prefix}.{}.{group}", offer.offered.plural)},
        "spec": spec,
    }))
}

/// One version of it.
fn one(crd: &Value, service: &str, offered: &str, offer: &Offer<'_>) -> Option<Value> {
    let version = version(crd, service)?;
    let mut schema = of_version(version).clone();
    if !schema.is_object() {
        return None;
    }
    if let Some(subset) = offer.subset {
        schema = subset.schema(&schema);
    }
    for path in offer.hidden {
        hide(&mut schema, path.steps());
    }
    if offer.conditions {
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
    let subresources = &version["subresources"];
    let mut published = json!({
        "name": offered,
        "served": true,
        "storage": offered == offer.offered.version,
        "schema": schema,
        "subresources": {},
    });
    if offer.conditions || subresources.get("status").is_some() {
        published["subresources"]["status"] = json!({});
    }
    if let Some(scale) = subresources.get("scale") {
        let paths = [
            "specReplicasPath",
            "statusReplicasPath",
            "labelSelectorPath",
        ];
        let shown = |path: &&str| scale.get(*path).is_none_or(|it| shows(it, offer));
        if paths.iter().all(shown) {
            published["subresources"]["scale"] = scale.clone();
        }
    }
    for field in ["additionalPrinterColumns", "selectableFields"] {
        let list = version[field].as_array().into_iter().flatten();
        let shown: Vec<_> = list
            .filter(|it| shows(&it["jsonPath"], offer))
            .cloned()
            .collect();
        if !shown.is_empty() {
            published[field] = Value::Array(shown);
        }
    }
    for field in ["deprecated", "deprecationWarning"] {
        if let Some(value) = version.get(field) {
            published[field] = value.clone();
        }
    }
    Some(published)
}

/// What the kind is called: as declared, or as the CRD calls it where it is the same kind.
fn names(crd: &Value, offer: &Offer<'_>) -> Value {
    let offered = offer.offered;
    let same_kind = crd["kind"] == json!(offered.kind);
    let singular = offer.names.singular.clone();
    let mut names = json!({
        "plural": offered.plural,
        "singular": singular
            .or_else(|| text_or(&crd["singular"], same_kind))
            .unwrap_or_else(|| offered.kind.to_lowercase()),
        "kind": offered.kind,
        "listKind": text_or(&crd["listKind"], same_kind).unwrap_or_else(|| format!("{}List", offered.kind)),
    });
    for (list, declared) in [
        ("shortNames", &offer.names.short_names),
        ("categories", &offer.names.categories),
    ] {
        let list_of = match declared {
            Some(declared) => json!(declared),
            None if same_kind => crd[list].clone(),
            None => Value::Null,
        };
        if list_of.as_array().is_some_and(|list| !list.is_empty()) {
            names[list] = list_of;
        }
    }
    names
}

/// Whether consumers see what a JSON path of a column shows.
fn shows(path: &Value, offer: &Offer<'_>) -> bool {
    let shown = path.as_str().unwrap_or_default().trim_start_matches('.');
    let hides = offer.hidden.iter().any(|path| {
        let path = path.to_string();
        shown == path || shown.starts_with(&format!("{path}."))
    });
    // What stands in brackets picks elements; what matters is the field before it.
    let field = shown.split('[').next().unwrap_or_default();
    let parsed = field.parse::<Path>().unwrap_or_default();
    let own = field.starts_with("metadata");
    !hides
        && offer
            .subset
            .is_none_or(|subset| own || subset.touches(&parsed))
}

fn text_or(name: &Value, same_kind: bool) -> Option<String> {
    name.as_str()
        .filter(|name| same_kind && !name.is_empty())
        .map(str::to_owned)
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

/// Makes room for our condition in a schema.
pub(crate) fn add_conditions(schema: &mut Value) {
    let Some(root) = schema.as_object_mut() else {
        return;
    };
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
