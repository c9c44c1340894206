//! Patches: JSON patch, merge patch and strategic merge patch, as kube-apiserver applies them.
//!
//! ```text
//! let patched = patch::json(body, &object)?;               // application/json-patch+json
//! let patched = patch::merge(body, &object)?;              // application/merge-patch+json
//! let patched = patch::strategic(body, &object)?;          // application/strategic-merge-patch+json, built-in kinds
//! let applied = patch::applied(body)?;                     // application/apply-patch+yaml: what is to be applied
//! ```
//!
//! Each takes the raw body, since syntax errors and duplicate fields are told in the words of Go's decoder, and
//! returns the patched object with the problems that `fieldValidation` speaks of (see [`crate::fields`]). The caller
//! then reads the object as if it had been PUT; where it cannot, [`decodable`] has the words.
//!
//! The JSON patch library of the server has its own mind, and clients have come to rely on it: `replace` of a member
//! that is absent adds it, a `test` for null passes where nothing is, negative indices count from the end.

mod json;
mod merge;
mod strategic;

use serde_json::{Value, json};

pub use self::json::json;
pub use self::merge::{diff, merge, merged};
pub use self::strategic::strategic;

use crate::fields::{self, Parsed};
use crate::status::Failure;

/// An object as a patch made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// The object.
    pub object: Value,
    /// What `fieldValidation` would say about the patch itself, as `duplicate field "spec.size"`.
    pub problems: Vec<String>,
}

/// Reads the body of an apply patch, which is YAML (of which JSON is a part).
///
/// # Errors
/// 400 where the body is no object.
pub fn applied(body: &[u8]) -> Result<Patched, Failure> {
    let refuse = |why: String| Err(Failure::bad_request(format!("error decoding YAML: {why}")));
    let parsed = match fields::parse(body) {
        Ok(parsed) => parsed,
        Err(_) => match yaml(body) {
            Ok(value) => Parsed {
                value,
                duplicates: Vec::new(),
            },
            Err(why) => {
                return refuse(format!("error converting YAML to JSON: yaml: {why}"));
            }
        },
    };
    match parsed.value {
        Value::Object(_) => Ok(Patched {
            object: parsed.value,
            problems: fields::duplicates(&parsed.duplicates),
        }),
        Value::Null => Ok(Patched {
            object: json!({}),
            problems: Vec::new(),
        }),
        other => refuse(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            fields::json_type(&other)
        )),
    }
}

fn yaml(body: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_yaml::from_str(&text).map_err(|error| {
        if text.trim_end().ends_with(['{', '[', ',', ':']) {
            let line = text.trim_end().lines().count();
            format!("line {line}: did not find expected node content")
        } else {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        }
    })
}

/// Says whether a patched object can still be read as an object of a kind.
///
/// # Errors
/// 422 about the field `patch` where it cannot.
pub fn decodable(object: &Value) -> Result<(), Failure> {
    let text = fields::go_json(object);
    let why = match object {
        Value::Object(map) => {
            if map
                .get("kind")
                .and_then(Value::as_str)
                .is_some_and(|kind| !kind.is_empty())
            {
                return Ok(());
            }
            format!("Object 'Kind' is missing in '{text}'")
        }
        other => format!(
            "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            fields::json_type(other)
        ),
    };
    Err(fields::undecodable(object, &why))
}

fn undecoded(why: impl std::fmt::Display) -> Failure {
    Failure::bad_request(format!("error decoding patch: {why}"))
}

#[cfg(test)]
mod tests;
