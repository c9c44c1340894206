//! The definition of the kind, made of its Rust types.
//!
//! A server takes schemas of a certain form only, without references and without types that are two at once. That an absent
//! field may also be null is not said: a server takes a null of such a field for nothing, and so `has()` tells the same for
//! both. Only where null is a word of its own the field is nullable.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{GROUP, KIND, PLURAL, PublishedResource, VERSION};

/// The `CustomResourceDefinition` of `PublishedResource`, as JSON.
///
/// It can be applied over the one that the Go agent brings: every object that is valid there is valid here.
///
/// ```
/// use syncagent_core::api::published_resource::crd;
///
/// let crd = crd();
/// assert_eq!(crd["metadata"]["name"], "publishedresources.syncagent.kcp.io");
/// assert_eq!(crd["spec"]["scope"], "Cluster");
/// ```
#[must_use]
pub fn crd() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|it| {
        it.inline_subschemas = true;
        it.meta_schema = None;
    });
    let schema = settings
        .into_generator()
        .into_root_schema_for::<PublishedResource>();
    let mut schema = schema.to_value();
    make_structural(&mut schema);
    // What is in there is every server's own business.
    schema["properties"]["metadata"] = json!({"type": "object"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": KIND.to_lowercase(),
            },
            "scope": "Cluster",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
            }],
        },
    })
}

/// Brings what schemars says into the form that a server takes.
fn make_structural(schema: &mut Value) {
    without_null(schema);
    as_enum(schema);
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    for said in ["title", "default"] {
        map.remove(said);
    }
    // The first paragraph is for everybody, others are for those who read the source.
    if let Some(Value::String(text)) = map.get_mut("description") {
        let first = text.split("\n\n").next().unwrap_or_default();
        *text = first.replace('\n', " ");
    }
    let properties = map.get_mut("properties").and_then(Value::as_object_mut);
    properties
        .into_iter()
        .flat_map(|it| it.values_mut())
        .for_each(make_structural);
    for below in ["items", "additionalProperties"] {
        if let Some(below) = map.get_mut(below) {
            make_structural(below);
        }
    }
}

/// An optional field is of its type, or null: of its type.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array() {
        let own = types.iter().find(|it| **it != "null").cloned();
        schema["type"] = own.unwrap_or_default();
    }
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(either)) = map.remove("anyOf") {
        let own = either.into_iter().find(|it| it["type"] != "null");
        for (key, value) in own
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            map.entry(key).or_insert_with(|| value.clone());
        }
    }
}

/// Words that are described one by one: the words.
fn as_enum(schema: &mut Value) {
    let Some(Value::Array(words)) = schema.as_object_mut().and_then(|it| it.remove("oneOf")) else {
        return;
    };
    let word = |it: &Value| match &it["enum"] {
        Value::Array(several) => several.clone(),
        _ => vec![it["const"].clone()],
    };
    schema["type"] = "string".into();
    schema["enum"] = words.iter().flat_map(word).collect();
}
