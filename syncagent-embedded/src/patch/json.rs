//! JSON patch (RFC 6902) with the manners of the library that the server uses.

use serde_json::Value;

use super::{Patched, undecoded};
use crate::fields;
use crate::status::{Failure, quoted};

const MOST_OPERATIONS: usize = 10_000;

/// Applies a JSON patch.
///
/// # Errors
/// 400 where the body is no JSON patch, 413 where it is too long, 422 where it does not apply or a test fails.
pub fn json(body: &[u8], object: &Value) -> Result<Patched, Failure> {
    let parsed = fields::parse(body).map_err(undecoded)?;
    let operations = match &parsed.value {
        Value::Array(operations) => operations.as_slice(),
        Value::Null => &[],
        other => {
            return Err(undecoded(format!(
                "json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                fields::json_type(other)
            )));
        }
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(Failure::too_large(&format!(
            "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut problems: Vec<String> = parsed
        .duplicates
        .iter()
        .map(|path| format!("json patch duplicate field {}", quoted(path)))
        .collect();
    for (i, operation) in operations.iter().enumerate() {
        let Some(members) = operation.as_object() else {
            return Err(undecoded(format!(
                "json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
                fields::json_type(operation)
            )));
        };
        for name in members.keys() {
            if !["op", "path", "from", "value"].contains(&name.as_str()) {
                let path = quoted(&format!("[{i}].{name}"));
                problems.push(format!("json patch unknown field {path}"));
            }
        }
    }
    let mut object = object.clone();
    for operation in operations {
        operate(&mut object, operation).ok_or_else(Failure::unprocessable)?;
    }
    Ok(Patched { object, problems })
}

/// One operation; `None` where it does not apply.
fn operate(root: &mut Value, operation: &Value) -> Option<()> {
    let path = operation["path"].as_str();
    let from = operation["from"].as_str();
    let value = || operation["value"].clone();
    match operation["op"].as_str()? {
        "add" => add(root, path?, value()),
        "remove" => {
            let (parent, key) = parent(root, path?)?;
            take(parent, &key)?;
            Some(())
        }
        "replace" => replace(root, path?, value()),
        "move" => {
            let (source, key) = parent(root, from?)?;
            let moved = take(source, &key)?;
            add(root, path?, moved)
        }
        "copy" => {
            let (source, key) = parent(root, from?)?;
            let copied = get(source, &key)?.cloned().unwrap_or(Value::Null);
            add(root, path?, copied)
        }
        "test" => {
            let path = path?;
            let found = if path.is_empty() {
                Some(root.clone())
            } else {
                let (parent, key) = parent(root, path)?;
                get(parent, &key)?.cloned()
            };
            (found.unwrap_or(Value::Null) == value()).then_some(())
        }
        _ => None,
    }
}

/// The container that a path leads to, and the last key.
fn parent<'a>(root: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parents, key) = path.rsplit_once('/')?;
    let mut at = root;
    if !parents.is_empty() {
        // What comes before the first slash is not looked at.
        let (_, parents) = parents.split_once('/')?;
        for part in parents.split('/') {
            let part = unescape(part);
            at = match at {
                Value::Object(map) => map.get_mut(&part)?,
                Value::Array(items) => {
                    let i = index(&part, items.len())?;
                    items.get_mut(i)?
                }
                _ => return None,
            };
        }
    }
    matches!(at, Value::Object(_) | Value::Array(_)).then(|| (at, unescape(key)))
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// The position of an existing item; negative ones count from the end.
fn index(key: &str, length: usize) -> Option<usize> {
    let i: i64 = key.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let i = if i < 0 { i + length } else { i };
    (0..length).contains(&i).then(|| usize::try_from(i).ok())?
}

/// What is there; an absent member is `Some(None)`, an absent item an error.
fn get<'a>(parent: &'a Value, key: &str) -> Option<Option<&'a Value>> {
    match parent {
        Value::Object(map) => Some(map.get(key)),
        Value::Array(items) => Some(Some(items.get(index(key, items.len())?)?)),
        _ => None,
    }
}

fn take(parent: &mut Value, key: &str) -> Option<Value> {
    match parent {
        Value::Object(map) => map.remove(key),
        Value::Array(items) => {
            let i = index(key, items.len())?;
            Some(items.remove(i))
        }
        _ => None,
    }
}

fn add(root: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, key) = parent(root, path)?;
    match parent {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            // An index counts in the longer list, so that its length appends.
            let i = index(&key, items.len() + 1)?;
            items.insert(i, value);
        }
        _ => return None,
    }
    Some(())
}

fn replace(root: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return None;
        }
        *root = value;
        return Some(());
    }
    let (parent, key) = parent(root, path)?;
    match parent {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) => {
            let i = index(&key, items.len())?;
            items[i] = value;
        }
        _ => return None,
    }
    Some(())
}
