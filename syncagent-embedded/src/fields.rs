//! What a client sent that the server does not know: unknown and duplicate fields.
//!
//! `fieldValidation` says what happens with them: `Ignore` drops them silently, `Warn` (the default) adds a warning
//! header for each, `Strict` refuses the request with all of them in one text. Duplicates can only be seen in the
//! text, so bodies are read by [`parse`], not by a usual parser.
//!
//! ```text
//! let parsed = fields::parse(body)?;                         // Err: Go's wording of the syntax error
//! let mut problems = fields::duplicates(&parsed.duplicates); // or the problems of patch::Patched
//! problems.extend(fields::unknown(&fields::metadata(&mut object)?));
//! problems.extend(fields::unknown(&schema.prune(&mut object)));           // custom kinds
//! problems.extend(fields::unknown(&fields::drop_undeclared(&shape, &mut object))); // built-in kinds
//! match validation {
//!     Warn => headers.extend(problems.iter().map(|p| fields::warning(p))),
//!     Strict if !problems.is_empty() => return Err(fields::refuse(version, kind, &problems)), // POST, PUT
//!     ...                                         fields::refuse_patched(&object, &problems)   // PATCH
//! }
//! ```

mod metadata;
mod text;

use serde_json::{Value, json};

pub(crate) use self::metadata::json_type;
pub use self::metadata::metadata;
pub(crate) use self::metadata::metadata_at;
pub use self::text::{Parsed, parse};

use crate::apply::{Form, Shape};
use crate::status::{Cause, Details, Failure, quoted};

/// What to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// Drop them.
    Ignore,
    /// Drop them and say so.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

impl Validation {
    /// The value of the query parameter; an empty one is the default.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "" | "Warn" => Some(Self::Warn),
            "Ignore" => Some(Self::Ignore),
            "Strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// Problems that name unknown fields.
#[must_use]
pub fn unknown(paths: &[String]) -> Vec<String> {
    let named = |path: &String| format!("unknown field {}", quoted(path));
    paths.iter().map(named).collect()
}

/// Problems that name duplicate fields.
#[must_use]
pub fn duplicates(paths: &[String]) -> Vec<String> {
    let named = |path: &String| format!("duplicate field {}", quoted(path));
    paths.iter().map(named).collect()
}

/// The value of the `warning` header for a problem.
#[must_use]
pub fn warning(problem: &str) -> String {
    format!("299 - {}", quoted(problem))
}

/// The refusal of a body of POST or PUT.
#[must_use]
pub fn refuse(version: &str, kind: &str, problems: &[String]) -> Failure {
    Failure::bad_request(format!(
        "{kind} in version {} cannot be handled as a {kind}: strict decoding error: {}",
        quoted(version),
        problems.join(", ")
    ))
}

/// The refusal of what a patch made of an object.
#[must_use]
pub fn refuse_patched(object: &Value, problems: &[String]) -> Failure {
    let why = format!("strict decoding error: {}", problems.join(", "));
    undecodable(object, &why)
}

/// 422 for an object that a patch broke so that it cannot be read any more.
#[must_use]
pub fn undecodable(object: &Value, why: &str) -> Failure {
    let cause = Cause::invalid("patch", &json!(go_json(object)), why);
    let message = format!(" \"\" is invalid: {}", cause.line());
    Failure::new(422, "Invalid", message).with_details(Details {
        causes: vec![cause],
        ..Details::default()
    })
}

/// JSON as Go writes it: names sorted, and `<`, `>` and `&` escaped.
#[must_use]
pub fn go_json(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// Drops the fields of a built-in kind that its shape does not declare, and names them.
#[must_use]
pub fn drop_undeclared(shape: &Shape, object: &mut Value) -> Vec<String> {
    let mut out = Vec::new();
    undeclared(shape, object, "", &mut out);
    out.sort();
    out
}

fn undeclared(shape: &Shape, value: &mut Value, at: &str, out: &mut Vec<String>) {
    match shape.form(Some(value)) {
        Form::Map(map) => {
            let Some(members) = value.as_object_mut() else {
                return;
            };
            members.retain(|name, member| {
                let path = if at.is_empty() {
                    name.clone()
                } else {
                    format!("{at}.{name}")
                };
                match map.declared(name).or_else(|| map.rest()) {
                    Some(shape) => {
                        undeclared(shape, member, &path, out);
                        true
                    }
                    None => {
                        out.push(path);
                        false
                    }
                }
            });
        }
        Form::List(list) => {
            for (i, item) in value.as_array_mut().into_iter().flatten().enumerate() {
                undeclared(list.item(), item, &format!("{at}[{i}]"), out);
            }
        }
        Form::Scalar(_) => {}
    }
}

#[cfg(test)]
mod tests;
