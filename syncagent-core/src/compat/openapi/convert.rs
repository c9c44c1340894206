//! From a definition of OpenAPI v2 to a schema of a CRD.
//!
//! References are followed and written out, so a type that contains itself cannot be told. A field's description counts more
//! than that of the type it refers to. What has a form of its own in JSON, as times and quantities, is known by name.

use serde_json::{Map, Value, json};

/// The numbers and units of a quantity.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const JSON: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.";
const CORE: &str = "io.k8s.api.core.v1.";

/// The schema of a definition, or why there is none.
pub(super) fn schema(openapi: &Value, model: &Value) -> Result<Value, String> {
    let walk = Walk {
        openapi,
        inside: Vec::new(),
    };
    let mut schema = walk.convert(model)?;
    // Of metadata a CRD may say nothing more.
    if let Some(metadata) = schema["properties"].get_mut("metadata") {
        *metadata = json!({"type": "object"});
    }
    Ok(schema)
}

struct Walk<'a> {
    openapi: &'a Value,
    /// The definitions that we are inside of.
    inside: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn convert(&self, from: &'a Value) -> Result<Value, String> {
        if let Some(reference) = from["$ref"].as_str() {
            return self.refer(from, reference);
        }
        let mut out = Map::new();
        for kept in ["description", "default"] {
            if let Some(value) = from.get(kept) {
                out.insert(kept.into(), value.clone());
            }
        }
        match (from["type"].as_str(), from["properties"].as_object()) {
            (None | Some("object"), Some(properties)) => {
                out.insert("type".into(), "object".into());
                let converted = properties
                    .iter()
                    .map(|(name, it)| Ok((name.clone(), self.property(name, it)?)));
                let converted = converted.collect::<Result<Map<_, _>, String>>()?;
                out.insert("properties".into(), converted.into());
                if let Some(required) = from.get("required") {
                    out.insert("required".into(), required.clone());
                }
            }
            (Some("object"), None) => {
                out.insert("type".into(), "object".into());
                let each = match &from["additionalProperties"] {
                    each @ Value::Object(_) => self.convert(each)?,
                    _ => anything(),
                };
                out.insert("additionalProperties".into(), each);
            }
            (Some("array"), _) => {
                out.insert("type".into(), "array".into());
                let items = self.convert(&from["items"])?;
                list(from, items, &mut out);
            }
            (Some(primitive), _) => {
                out.insert("type".into(), primitive.into());
                if let Some(format) = from.get("format") {
                    out.insert("format".into(), format.clone());
                }
            }
            (None, None) => out.extend(anything().as_object().cloned().unwrap_or_default()),
        }
        Ok(out.into())
    }

    /// A field. Two of Kubernetes' own have a default that its documents leave out.
    fn property(&self, name: &str, from: &'a Value) -> Result<Value, String> {
        let mut schema = self.convert(from)?;
        let of = self.inside.last().and_then(|it| it.strip_prefix(CORE));
        if name == "protocol" && matches!(of, Some("ContainerPort" | "ServicePort")) {
            schema["default"] = "TCP".into();
        }
        Ok(schema)
    }

    fn refer(&self, from: &Value, reference: &'a str) -> Result<Value, String> {
        let name = reference
            .strip_prefix("#/definitions/")
            .unwrap_or(reference);
        if name.starts_with(JSON) && name.ends_with(".JSONSchemaProps") {
            return Ok(json!({}));
        }
        let Some(model) = self.openapi["definitions"].get(name) else {
            return Err(format!("`{name}` is referred to and not there"));
        };
        let mut schema = match known(name) {
            Some(known) => known,
            None if self.inside.contains(&name) => {
                return Err(format!("`{name}` contains itself"));
            }
            None => {
                let mut inside = self.inside.clone();
                inside.push(name);
                let openapi = self.openapi;
                Walk { openapi, inside }.convert(model)?
            }
        };
        for kept in ["description", "default"] {
            let said = from.get(kept).or_else(|| model.get(kept));
            if let Some(value) = said.filter(|it| **it != "") {
                schema[kept] = value.clone();
            }
        }
        Ok(schema)
    }
}

/// A value of which nothing is known.
///
/// The Go agent calls it an embedded resource without a type, which no server takes.
fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

/// How a list is merged, and what its items are.
fn list(from: &Value, mut items: Value, out: &mut Map<String, Value>) {
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect()
    };
    let declared = from["x-kubernetes-list-type"].as_str();
    let strategy = from["x-kubernetes-patch-strategy"]
        .as_str()
        .unwrap_or_default();
    let merges = strategy.split(',').any(|it| it == "merge");
    let key = from["x-kubernetes-patch-merge-key"].as_str();
    let (list_type, keys) = match (declared, key) {
        (Some(declared), _) => (declared, texts(&from["x-kubernetes-list-map-keys"])),
        (None, Some(key)) if merges && items["type"] == "object" => ("map", vec![key.to_owned()]),
        (None, _) if merges && items["type"] != "object" => ("set", Vec::new()),
        (None, _) => ("atomic", Vec::new()),
    };
    if list_type == "map" {
        let mut required = texts(&items["required"]);
        for key in &keys {
            let defaulted = items["properties"][key].get("default").is_some();
            if !defaulted && !required.contains(key) {
                required.push(key.clone());
            }
        }
        if !required.is_empty() {
            items["required"] = required.into();
        }
    }
    out.insert("x-kubernetes-list-type".into(), list_type.into());
    if !keys.is_empty() {
        out.insert("x-kubernetes-list-map-keys".into(), keys.into());
    }
    out.insert("items".into(), items);
}

/// Types that have a form of their own in JSON.
fn known(name: &str) -> Option<Value> {
    let int_or_string = || json!({"x-kubernetes-int-or-string": true});
    if let Some(of_meta) = name.strip_prefix(META) {
        return match of_meta {
            "ObjectMeta" => {
                Some(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
            }
            "Time" | "MicroTime" => Some(json!({"type": "string", "format": "date-time"})),
            "Duration" => Some(json!({"type": "string"})),
            "Fields" => Some(json!({"type": "object", "additionalProperties": true})),
            "unstructured.Unstructured" => Some(json!({"type": "object"})),
            _ => None,
        };
    }
    if name.starts_with(JSON) && name.ends_with(".JSON") {
        return Some(anything());
    }
    match name {
        "io.k8s.apimachinery.pkg.api.resource.Quantity" => {
            let mut quantity = int_or_string();
            quantity["pattern"] = QUANTITY.into();
            Some(quantity)
        }
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString" => {
            let mut either = int_or_string();
            either["anyOf"] = json!([{"type": "integer"}, {"type": "string"}]);
            Some(either)
        }
        "io.k8s.apimachinery.pkg.runtime.RawExtension" => Some(json!({"type": "object"})),
        "io.k8s.api.core.v1.Protocol" => Some(json!({"type": "string", "default": "TCP"})),
        _ => None,
    }
}
