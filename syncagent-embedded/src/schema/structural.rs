//! Is a schema one that a CRD may have: the supported part of OpenAPI, and structural.
//!
//! A schema is structural where every place says its type outside of `allOf`, `anyOf`, `oneOf` and `not`, so that
//! pruning and defaulting need not understand logic. Problems are told with the path into the schema, as
//! `spec.validation.openAPIV3Schema.properties[spec].type`.

use serde_json::Value;

use super::node::Node;
use super::{admit, validate};
use crate::status::Cause;

/// What is wrong with a schema; `path` is where it lies.
pub(super) fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let mut out = Vec::new();
    supported(schema, path, &mut out);
    if out.is_empty() {
        if schema["type"] == "object" || schema["type"].is_null() {
            structural(schema, Level::Root, path, &mut out);
        } else {
            let text = "must be object at the root";
            out.push(Cause::invalid(
                format!("{path}.type"),
                &schema["type"],
                text,
            ));
        }
    }
    if out.is_empty() {
        defaults(schema, path, &mut out);
    }
    out
}

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

const UNSUPPORTED: &[(&str, &str)] = &[
    ("$ref", "$ref is not supported"),
    ("$schema", "$schema is not supported"),
    ("id", "id is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("additionalItems", "additionalItems is not supported"),
];

fn set<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get(name).filter(|value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    })
}

/// Every schema directly below one, with its path.
fn children<'a>(schema: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    let mut out = Vec::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        out.push((schema, format!("{path}.properties[{name}]")));
    }
    for name in ["additionalProperties", "items"] {
        if schema[name].is_object() {
            out.push((&schema[name], format!("{path}.{name}")));
        }
    }
    out
}

fn logic<'a>(schema: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    let mut out = Vec::new();
    for name in ["allOf", "anyOf", "oneOf"] {
        for (i, schema) in schema[name].as_array().into_iter().flatten().enumerate() {
            out.push((schema, format!("{path}.{name}[{i}]")));
        }
    }
    if schema["not"].is_object() {
        out.push((&schema["not"], format!("{path}.not")));
    }
    out
}

fn supported(schema: &Value, path: &str, out: &mut Vec<Cause>) {
    let at = |name: &str| format!("{path}.{name}");
    if set(schema, "uniqueItems").is_some() {
        let text =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        out.push(Cause::forbidden(at("uniqueItems"), text));
    }
    let rest = &schema["additionalProperties"];
    if rest == &Value::Bool(false) {
        let text = "additionalProperties cannot be set to false";
        out.push(Cause::forbidden(at("additionalProperties"), text));
    } else if !rest.is_null() && set(schema, "properties").is_some() {
        let text = "additionalProperties and properties are mutual exclusive";
        out.push(Cause::forbidden(at("additionalProperties"), text));
    }
    for (name, text) in UNSUPPORTED {
        if set(schema, name).is_some() {
            out.push(Cause::forbidden(at(name), text));
        }
    }
    if schema["items"].is_array() {
        let text = "items must be a schema object and not an array";
        out.push(Cause::forbidden(at("items"), text));
    }
    if let Some(kind) = set(schema, "type").and_then(Value::as_str)
        && !TYPES.contains(&kind)
    {
        out.push(Cause::not_supported(at("type"), &schema["type"], TYPES));
    }
    if let Some(pattern) = set(schema, "pattern").and_then(Value::as_str)
        && let Err(error) = regex::Regex::new(pattern)
    {
        let text = format!("must be a valid regular expression, but isn't: {error}");
        out.push(Cause::invalid(at("pattern"), &schema["pattern"], &text));
    }
    lists(schema, path, out);
    rules(schema, path, out);
    for (schema, path) in children(schema, path)
        .into_iter()
        .chain(logic(schema, path))
    {
        supported(schema, &path, out);
    }
}

fn rules(schema: &Value, path: &str, out: &mut Vec<Cause>) {
    const REASONS: &[&str] = &[
        "FieldValueDuplicate",
        "FieldValueForbidden",
        "FieldValueInvalid",
        "FieldValueRequired",
    ];
    let rules = schema["x-kubernetes-validations"].as_array();
    for (i, rule) in rules.into_iter().flatten().enumerate() {
        let at = |name: &str| format!("{path}.x-kubernetes-validations[{i}].{name}");
        let text = |name: &str| rule[name].as_str().unwrap_or_default().trim();
        if text("rule").is_empty() {
            out.push(Cause::required(at("rule"), "rule is not specified"));
        } else if text("rule").contains('\n') && text("message").is_empty() {
            let why = "message must be specified if rule contains line breaks";
            out.push(Cause::required(at("message"), why));
        }
        if !text("reason").is_empty() && !REASONS.contains(&text("reason")) {
            out.push(Cause::not_supported(at("reason"), &rule["reason"], REASONS));
        }
    }
}

fn lists(schema: &Value, path: &str, out: &mut Vec<Cause>) {
    let at = |name: &str| format!("{path}.{name}");
    let keys = set(schema, "x-kubernetes-list-map-keys").and_then(Value::as_array);
    match set(schema, "x-kubernetes-list-type").and_then(Value::as_str) {
        None => {
            if keys.is_some() {
                let field = at("x-kubernetes-list-type");
                out.push(Cause::required(
                    field,
                    "must be map if x-kubernetes-list-map-keys is non-empty",
                ));
            }
        }
        Some(kind @ ("atomic" | "set" | "map")) => {
            if schema["type"] != "array" {
                let text = "must be array if x-kubernetes-list-type is specified";
                out.push(Cause::invalid(at("type"), &schema["type"], text));
            }
            if kind == "map" {
                let Some(keys) = keys else {
                    let text = "must not be empty if x-kubernetes-list-type is map";
                    out.push(Cause::required(at("x-kubernetes-list-map-keys"), text));
                    return;
                };
                for (i, key) in keys.iter().enumerate() {
                    let name = key.as_str().unwrap_or_default();
                    if !schema["items"]["properties"][name].is_object() {
                        let field = format!("{path}.x-kubernetes-list-map-keys[{i}]");
                        let text = "entries must all be names of item properties";
                        out.push(Cause::invalid(field, key, text));
                    }
                }
            } else if keys.is_some() {
                let text = "must be map if x-kubernetes-list-map-keys is non-empty";
                out.push(Cause::invalid(
                    at("x-kubernetes-list-type"),
                    &schema["x-kubernetes-list-type"],
                    text,
                ));
            }
        }
        Some(_) => out.push(Cause::not_supported(
            at("x-kubernetes-list-type"),
            &schema["x-kubernetes-list-type"],
            &["atomic", "map", "set"],
        )),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Field,
    Item,
}

fn structural(schema: &Value, level: Level, path: &str, out: &mut Vec<Cause>) {
    let at = |name: &str| format!("{path}.{name}");
    let flag = |name: &str| schema[name] == Value::Bool(true);
    let kind = set(schema, "type").and_then(Value::as_str);
    let embedded = flag("x-kubernetes-embedded-resource");
    if kind == Some("array") && !schema["items"].is_object() {
        out.push(Cause::required(at("items"), "must be specified"));
    }
    if embedded && kind != Some("object") {
        let text = "must be object if x-kubernetes-embedded-resource is true";
        out.push(match kind {
            None => Cause::required(at("type"), text),
            Some(_) => Cause::invalid(at("type"), &schema["type"], text),
        });
    } else if kind.is_none()
        && !flag("x-kubernetes-int-or-string")
        && !flag("x-kubernetes-preserve-unknown-fields")
    {
        let text = match level {
            Level::Root => "must not be empty at the root",
            Level::Field => "must not be empty for specified object fields",
            Level::Item => "must not be empty for specified array items",
        };
        out.push(Cause::required(at("type"), text));
    }
    let metadata = &schema["properties"]["metadata"];
    if (level == Level::Root || embedded) && metadata.is_object() {
        let declared = metadata["properties"].as_object();
        let names = declared.into_iter().flat_map(|map| map.keys());
        if names
            .into_iter()
            .any(|name| name != "name" && name != "generateName")
        {
            let text = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            out.push(Cause::forbidden(at("properties[metadata]"), text));
        }
    }
    for (below, path) in children(schema, path) {
        let level = if path.ends_with(".items") {
            Level::Item
        } else {
            Level::Field
        };
        structural(below, level, &path, out);
    }
    let int_or_string = flag("x-kubernetes-int-or-string");
    for (below, path) in logic(schema, path) {
        // The usual way to write `int-or-string` says types inside of `anyOf`.
        if int_or_string && says_int_or_string(below, &path) {
            continue;
        }
        logical(below, &path, out);
    }
}

fn says_int_or_string(schema: &Value, path: &str) -> bool {
    let both = path.contains(".anyOf[") || schema["anyOf"].is_array();
    both && (matches!(schema["type"].as_str(), Some("integer" | "string"))
        || schema["anyOf"].is_array())
}

fn logical(schema: &Value, path: &str, out: &mut Vec<Cause>) {
    for name in ["type", "title", "description"] {
        if set(schema, name).is_some() {
            let text = "must be empty to be structural";
            out.push(Cause::forbidden(format!("{path}.{name}"), text));
        }
    }
    for name in [
        "default",
        "additionalProperties",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
    ] {
        if schema.get(name).is_some_and(|value| !value.is_null()) {
            let text = "must be undefined to be structural";
            out.push(Cause::forbidden(format!("{path}.{name}"), text));
        }
    }
    for name in [
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ] {
        if set(schema, name).is_some() {
            let text = "must be false to be structural";
            out.push(Cause::forbidden(format!("{path}.{name}"), text));
        }
    }
    for (below, path) in children(schema, path)
        .into_iter()
        .chain(logic(schema, path))
    {
        logical(below, &path, out);
    }
}

/// A default is a value of its own schema.
fn defaults(schema: &Value, path: &str, out: &mut Vec<Cause>) {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null())
        && let Ok(node) = Node::compile(schema, "")
    {
        let field = format!("{path}.default");
        let mut value = default.clone();
        let mut unknown = Vec::new();
        admit::prune(Some(&node), &mut value, "", &mut unknown);
        if !unknown.is_empty() {
            out.push(Cause::invalid(
                &field,
                default,
                "must not have unknown fields",
            ));
        }
        admit::default(&node, &mut value);
        let mut causes = validate::causes(&node, &value, None, &field);
        causes.extend(validate::listed(&node, &value, None, &field));
        causes.sort_by_key(Cause::line);
        out.extend(causes);
    }
    for (schema, path) in children(schema, path) {
        defaults(schema, &path, out);
    }
}
