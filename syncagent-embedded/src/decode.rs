//! From bytes to objects.
//!
//! Bodies are JSON or YAML, whatever they claim to be; the texts of errors are those of Go's decoders.

use serde_json::Value;

use crate::status::{Failure, quoted};

/// Parses JSON, or YAML where the text does not begin like JSON.
///
/// # Errors
/// The text of Go's parser.
pub fn json_or_yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|_| "invalid UTF-8".to_owned())?;
    if is_json(text) {
        crate::fields::parse(body).map(|parsed| parsed.value)
    } else {
        serde_yaml::from_str(text).map_err(|error| format!("yaml: {error}"))
    }
}

fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty()
        || text.starts_with(['{', '[', '"'])
        || matches!(text.trim_end(), "null" | "true" | "false")
        || text.starts_with(|c: char| {
            c == '-' && text.len() > 1 && !text.starts_with("- ") || c.is_ascii_digit()
        })
}

/// What Go says when a document that should hold apiVersion and kind is no object.
#[must_use]
pub fn type_meta_mismatch(value: &Value) -> String {
    let found = match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    format!(
        "json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \
         \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
    )
}

/// The first bytes of a body as error texts quote them: as they are when they look like an object, else in hex.
#[must_use]
pub fn excerpt(body: &[u8]) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let cut: String = text.chars().take(30).collect();
    let more = if text.chars().count() > 30 {
        " ..."
    } else {
        ""
    };
    if text.starts_with('{') {
        format!("{cut}{more}")
    } else {
        let hex: String = body
            .iter()
            .take(30)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{hex}{more}")
    }
}

/// Decodes the object of a create or update.
///
/// # Errors
/// 400 with the text of Go's decoder.
pub fn object(body: &[u8], kind: &str, needs_type: bool) -> Result<Value, Failure> {
    let unrecognized = |why: &str| {
        let excerpt = excerpt(body);
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({excerpt})"
        ))
    };
    let value = json_or_yaml(body).map_err(|why| {
        unrecognized(&format!(
            "couldn't get version/kind; json parse error: {why}"
        ))
    })?;
    match &value {
        Value::Object(map) => {
            let named = map
                .get("kind")
                .and_then(Value::as_str)
                .is_some_and(|kind| !kind.is_empty());
            if needs_type && !named {
                return Err(unrecognized(&kind_missing(body)));
            }
            Ok(value)
        }
        Value::Null if needs_type => Err(unrecognized(&kind_missing(body))),
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        other => {
            let why = type_meta_mismatch(other);
            Err(unrecognized(&format!(
                "couldn't get version/kind; json parse error: {why}"
            )))
        }
    }
}

fn kind_missing(body: &[u8]) -> String {
    format!(
        "Object 'Kind' is missing in '{}'",
        String::from_utf8_lossy(body)
    )
}

/// Checks that apiVersion and kind of a body are those of the resource, and fills them in for built-in kinds.
///
/// # Errors
/// 400, or 422 for another kind of custom resource.
pub fn check_type(
    object: &mut Value,
    api_version: &str,
    kind: &str,
    built_in: bool,
) -> Result<(), Failure> {
    let given_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let given_kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let version = api_version.rsplit('/').next().unwrap_or_default();
    if built_in {
        let cannot = |why: String| {
            Failure::bad_request(format!(
                "{} in version {} cannot be handled as a {kind}: {why}",
                if given_kind.is_empty() {
                    kind
                } else {
                    &given_kind
                },
                quoted(version)
            ))
        };
        if !given_kind.is_empty() && given_kind != kind {
            let to = if api_version == "v1" {
                "core"
            } else {
                api_version.split('/').next().unwrap_or_default()
            };
            let to = to.split('.').next().unwrap_or_default();
            return Err(cannot(format!(
                "converting ({}.{given_kind}) to ({to}.{kind}): unknown conversion",
                given_version.rsplit('/').next().unwrap_or_default()
            )));
        }
        if !given_version.is_empty() && given_version != api_version {
            return Err(cannot(format!(
                "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
                quoted(kind),
                quoted(&given_version)
            )));
        }
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        return Ok(());
    }
    if given_version != api_version {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_bodies_are_told_as_go_tells_them() {
        let message = |body: &str| object(body.as_bytes(), "Part", true).unwrap_err().message;
        let head = "the object provided is unrecognized (must be of type Part): ";
        assert_eq!(
            message("{"),
            format!(
                "{head}couldn't get version/kind; json parse error: unexpected end of JSON input ({{)"
            )
        );
        assert_eq!(
            message(""),
            format!(
                "{head}couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"
            )
        );
        assert_eq!(
            message("null"),
            format!("{head}Object 'Kind' is missing in 'null' (6e756c6c)")
        );
        assert!(message("[]").ends_with("(5b5d)"));
    }
}
