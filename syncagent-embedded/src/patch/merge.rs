//! JSON merge patch (RFC 7386): null removes, objects merge, the rest replaces.

use serde_json::{Map, Value};

use super::{Patched, undecoded};
use crate::fields;
use crate::status::Failure;

/// Applies a merge patch.
///
/// # Errors
/// 400 where the body is no object.
pub fn merge(body: &[u8], object: &Value) -> Result<Patched, Failure> {
    let parsed = fields::parse(body).map_err(undecoded)?;
    match &parsed.value {
        Value::Object(_) => Ok(Patched {
            object: merged(object, &parsed.value),
            problems: fields::duplicates(&parsed.duplicates),
        }),
        Value::Null => Err(Failure::bad_request("Invalid JSON Patch")),
        other => Err(undecoded(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            fields::json_type(other)
        ))),
    }
}

/// The value with a merge patch applied.
#[must_use]
pub fn merged(value: &Value, patch: &Value) -> Value {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => {
            let mut out = value.clone();
            for (name, change) in patch {
                if change.is_null() {
                    out.remove(name);
                    continue;
                }
                let below = match out.get(name) {
                    Some(old) if !old.is_null() => merged(old, change),
                    _ => without_nulls(change),
                };
                out.insert(name.clone(), below);
            }
            Value::Object(out)
        }
        (Value::Object(_), patch) => patch.clone(),
        (_, patch) => without_nulls(patch),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// The merge patch that leads from one value to another, where there is one: a merge patch cannot say null.
#[must_use]
pub fn diff(from: &Value, to: &Value) -> Value {
    let (Value::Object(a), Value::Object(b)) = (from, to) else {
        return to.clone();
    };
    let mut out = Map::new();
    for name in a.keys().filter(|name| !b.contains_key(*name)) {
        out.insert(name.clone(), Value::Null);
    }
    for (name, new) in b {
        match a.get(name) {
            Some(old) if old == new => {}
            Some(old) => {
                out.insert(name.clone(), diff(old, new));
            }
            None => {
                out.insert(name.clone(), new.clone());
            }
        }
    }
    Value::Object(out)
}
