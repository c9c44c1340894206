//! Default, prune, drop nulls: what the server does to an object before it looks whether it is valid.

use serde_json::Value;

use super::node::{Node, Rest};

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Drops what the schema does not know. Without a schema nothing is known.
pub(super) fn prune(node: Option<&Node>, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.retain(|name, member| {
            let at = below(path, name);
            let Some(node) = node else {
                unknown.push(at);
                return false;
            };
            if node.embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                return true;
            }
            match (node.member(name), &node.rest) {
                (Some(schema), _) => prune(Some(schema), member, &at, unknown),
                (None, Rest::Any) => {}
                (None, _) if node.preserve => {}
                (None, _) => {
                    unknown.push(at);
                    return false;
                }
            }
            true
        }),
        Value::Array(items) => {
            let schema = node.and_then(|node| node.items.as_deref());
            if schema.is_none() && node.is_some_and(|node| node.preserve) {
                return;
            }
            for (i, item) in items.iter_mut().enumerate() {
                prune(schema, item, &format!("{path}[{i}]"), unknown);
            }
        }
        _ => {}
    }
}

fn wants_default(node: &Node, value: Option<&Value>) -> Option<Value> {
    let absent = value.is_none_or(|value| value.is_null() && !node.nullable);
    node.default.clone().filter(|_| absent)
}

/// Fills in defaults.
pub(super) fn default(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, schema) in &node.properties {
                if let Some(value) = wants_default(schema, map.get(name)) {
                    map.insert(name.clone(), value);
                }
            }
            for (name, member) in map.iter_mut() {
                let Some(schema) = node.member(name) else {
                    continue;
                };
                if let Some(value) = wants_default(schema, Some(member)) {
                    *member = value;
                }
                default(schema, member);
            }
        }
        Value::Array(items) => {
            let Some(schema) = &node.items else { return };
            for item in items {
                if let Some(value) = wants_default(schema, Some(item)) {
                    *item = value;
                }
                default(schema, item);
            }
        }
        _ => {}
    }
}

/// Drops null members of objects where the schema takes no null.
pub(super) fn drop_nulls(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|name, member| {
            let Some(schema) = node.member(name) else {
                return true;
            };
            if member.is_null() && !schema.nullable {
                return false;
            }
            drop_nulls(schema, member);
            true
        }),
        Value::Array(items) => {
            let Some(schema) = &node.items else { return };
            for item in items {
                drop_nulls(schema, item);
            }
        }
        _ => {}
    }
}

/// Normalises the metadata of embedded resources.
pub(super) fn embedded_metadata(
    node: &Node,
    value: &mut Value,
    path: &str,
    root: bool,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    if node.embedded && !root && value.get("metadata").is_some() {
        let at = below(path, "metadata");
        let shown = crate::fields::go_json(&value["metadata"]);
        let more = crate::fields::metadata_at(value, &at)
            .map_err(|why| format!("{at}: Invalid value: {shown}: {why}"))?;
        unknown.extend(more);
    }
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                if let Some(schema) = node.member(name) {
                    embedded_metadata(schema, member, &below(path, name), false, unknown)?;
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &node.items else {
                return Ok(());
            };
            for (i, item) in items.iter_mut().enumerate() {
                embedded_metadata(schema, item, &format!("{path}[{i}]"), false, unknown)?;
            }
        }
        _ => {}
    }
    Ok(())
}
