//! Built-in kinds as Go reads and writes them.
//!
//! A built-in object passes through a Go struct on every request. That is visible: unknown members vanish, `null` is
//! the zero value, a wrong type is 400 with the struct's name, bad base64 too, empty members are left out of answers,
//! and a few are always written. The schemas of `schemas.yaml` say all of this; this module acts on it.
//!
//! Metadata is such a struct for custom kinds as well ([`metadata`]).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{Provenance, Resource};
use crate::status::Failure;

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::load);

struct Schemas {
    metadata: Arc<Value>,
    kinds: BTreeMap<(String, String), Arc<Value>>,
}

impl Schemas {
    fn load() -> Self {
        let file: Value =
            serde_yaml::from_str(include_str!("schemas.yaml")).expect("the schemas are YAML");
        let kinds = file["kinds"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(version, kinds)| {
                let kinds = kinds.as_object().into_iter().flatten();
                kinds.map(|(kind, schema)| {
                    ((version.clone(), kind.clone()), Arc::new(schema.clone()))
                })
            });
        Self {
            metadata: Arc::new(file["definitions"]["ObjectMeta"].clone()),
            kinds: kinds.collect(),
        }
    }
}

/// The structural schema of a built-in kind, without `apiVersion` and `kind`; see `schemas.yaml` for its extensions.
#[must_use]
pub fn schema(resource: &Resource) -> Option<Arc<Value>> {
    if resource.provenance != Provenance::BuiltIn {
        return None;
    }
    schema_of(&resource.api_version(), &resource.kind)
}

/// As [`schema`], by `apiVersion` and kind.
#[must_use]
pub fn schema_of(api_version: &str, kind: &str) -> Option<Arc<Value>> {
    SCHEMAS
        .kinds
        .get(&(api_version.to_owned(), kind.to_owned()))
        .cloned()
}

/// The schema of the metadata of every kind.
#[must_use]
pub fn metadata_schema() -> Arc<Value> {
    SCHEMAS.metadata.clone()
}

/// Reads an object of a built-in kind: types are checked, unknown members and nulls dropped.
///
/// # Errors
///
/// 400, as Go's decoder words it.
pub fn decode(resource: &Resource, object: &Value) -> Result<Value, Failure> {
    let Some(schema) = schema(resource) else {
        return Ok(object.clone());
    };
    let place = Place {
        outer: &resource.kind,
        field: "",
    };
    let mut read = read(&schema, object, place).map_err(|problem| unfit(resource, &problem))?;
    read["apiVersion"] = json!(resource.api_version());
    read["kind"] = json!(resource.kind);
    Ok(read)
}

/// Reads the metadata of an object of any kind, in place.
///
/// # Errors
///
/// 400, as Go's decoder words it.
pub fn metadata(resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    let Some(given) = object.get("metadata") else {
        return Ok(());
    };
    let place = Place {
        outer: &resource.kind,
        field: "metadata",
    };
    let schema = metadata_schema();
    let given = if given.is_null() { &json!({}) } else { given };
    let read = read(&schema, given, place).map_err(|problem| unfit(resource, &problem))?;
    object["metadata"] = write(&schema, &read);
    Ok(())
}

/// Writes an object of a built-in kind: empty members are left out, some are always there.
#[must_use]
pub fn encode(resource: &Resource, object: &Value) -> Value {
    if resource.provenance != Provenance::BuiltIn {
        return object.clone();
    }
    encode_as(&resource.api_version(), &resource.kind, object)
}

/// As [`encode`], by `apiVersion` and kind.
#[must_use]
pub fn encode_as(api_version: &str, kind: &str, object: &Value) -> Value {
    let Some(schema) = schema_of(api_version, kind) else {
        return object.clone();
    };
    let mut written = write(&schema, object);
    written["apiVersion"] = json!(api_version);
    written["kind"] = json!(kind);
    written
}

fn unfit(resource: &Resource, problem: &str) -> Failure {
    Failure::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {kind}: {problem}",
        resource.version,
        kind = resource.kind
    ))
}

/// Where a value stands, as Go's decoder names it: the innermost struct and its field.
#[derive(Clone, Copy)]
struct Place<'a> {
    outer: &'a str,
    field: &'a str,
}

fn read(schema: &Value, value: &Value, place: Place<'_>) -> Result<Value, String> {
    if schema["x-kubernetes-preserve-unknown-fields"] == json!(true)
        && schema.get("properties").is_none()
    {
        return match value {
            Value::Null => Ok(zero(schema)),
            Value::Object(_) => Ok(value.clone()),
            other => Err(mismatch(other, schema, place)),
        };
    }
    if schema["x-kubernetes-int-or-string"] == json!(true) {
        return match value {
            Value::String(_) | Value::Number(_) => Ok(value.clone()),
            other => Err(mismatch(other, schema, place)),
        };
    }
    match (kind(schema), value) {
        (_, Value::Null) => Ok(zero(schema)),
        ("object", Value::Object(members)) => match schema.get("additionalProperties") {
            Some(each) => {
                let read = members
                    .iter()
                    .map(|(key, member)| Ok((key.clone(), read(each, member, place)?)));
                Ok(Value::Object(read.collect::<Result<Map<_, _>, String>>()?))
            }
            None => {
                let outer = schema["x-go"].as_str().unwrap_or_default();
                let mut known = Map::new();
                for (key, member) in members {
                    let schema = &schema["properties"][key];
                    if member.is_null() || schema.is_null() {
                        continue;
                    }
                    known.insert(
                        key.clone(),
                        read(schema, member, Place { outer, field: key })?,
                    );
                }
                Ok(Value::Object(known))
            }
        },
        ("array", Value::Array(items)) => {
            let each = &schema["items"];
            let read = items.iter().map(|item| read(each, item, place));
            Ok(Value::Array(read.collect::<Result<Vec<_>, String>>()?))
        }
        ("string", Value::String(text)) => match schema["format"].as_str() {
            Some("byte") => base64(text).map(|()| value.clone()),
            Some("date-time") => time(text, schema["x-micro"] == json!(true)).map(Value::String),
            _ => Ok(value.clone()),
        },
        ("integer", Value::Number(number)) => {
            let wide = schema["format"] == json!("int64");
            match number.as_i64() {
                Some(whole) if wide || i32::try_from(whole).is_ok() => Ok(value.clone()),
                _ => Err(format!(
                    "json: cannot unmarshal number {number} into Go struct field {}.{} of type {}",
                    place.outer,
                    place.field,
                    go_type(schema)
                )),
            }
        }
        ("boolean", Value::Bool(_)) => Ok(value.clone()),
        (_, other) => Err(mismatch(other, schema, place)),
    }
}

fn write(schema: &Value, value: &Value) -> Value {
    match (kind(schema), value) {
        ("object", Value::Object(members)) => {
            if schema.get("properties").is_none() && schema.get("additionalProperties").is_none() {
                return value.clone();
            }
            if let Some(each) = schema.get("additionalProperties") {
                return members
                    .iter()
                    .map(|(key, member)| (key.clone(), write(each, member)))
                    .collect();
            }
            let Some(properties) = schema["properties"].as_object() else {
                return value.clone();
            };
            let mut written = Map::new();
            for (key, schema) in properties {
                let given = members.get(key).filter(|member| !member.is_null());
                let always = schema.get("x-always");
                let member = match (given, always) {
                    (Some(member), _) => write(schema, member),
                    (None, Some(always)) => write(schema, always),
                    (None, None) => continue,
                };
                if always.is_none()
                    && schema["x-keep"] != json!(true)
                    && is_empty(&member)
                    && !is_struct(schema)
                {
                    continue;
                }
                written.insert(key.clone(), member);
            }
            Value::Object(written)
        }
        ("array", Value::Array(items)) => items
            .iter()
            .map(|item| write(&schema["items"], item))
            .collect(),
        _ => value.clone(),
    }
}

/// A struct that was given is written even if it is empty: it stands behind a pointer.
fn is_struct(schema: &Value) -> bool {
    schema.get("x-go").is_some() && kind(schema) == "object"
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn kind(schema: &Value) -> &str {
    schema["type"].as_str().unwrap_or_default()
}

fn zero(schema: &Value) -> Value {
    match kind(schema) {
        "object" => json!({}),
        "array" => json!([]),
        "string" => json!(""),
        "integer" => json!(0),
        "boolean" => json!(false),
        _ => Value::Null,
    }
}

fn mismatch(value: &Value, schema: &Value, place: Place<'_>) -> String {
    let word = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let target = if place.field.is_empty() {
        "value".to_owned()
    } else {
        format!("struct field {}.{}", place.outer, place.field)
    };
    format!(
        "json: cannot unmarshal {word} into Go {target} of type {}",
        go_type(schema)
    )
}

fn go_type(schema: &Value) -> String {
    if let Some(name) = schema["x-go"].as_str() {
        return format!("v1.{name}");
    }
    match (kind(schema), schema["format"].as_str()) {
        ("string", Some("byte")) => "[]uint8".to_owned(),
        ("string", Some("date-time")) => "v1.Time".to_owned(),
        ("integer", Some("int64")) => "int64".to_owned(),
        ("integer", _) => "int32".to_owned(),
        ("boolean", _) => "bool".to_owned(),
        ("array", _) => format!("[]{}", go_type(&schema["items"])),
        ("object", _) => match schema.get("additionalProperties") {
            Some(each) => format!("map[string]{}", go_type(each)),
            None => "map[string]interface {}".to_owned(),
        },
        _ => "string".to_owned(),
    }
}

/// Checks base64 as Go's strict-padding decoder does, with its offset of the first bad byte.
fn base64(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let corrupt = |at: usize| Err(format!("illegal base64 data at input byte {at}"));
    let skipped = |byte: u8| matches!(byte, b'\n' | b'\r');
    let mut at = 0;
    let mut filled = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        match byte {
            byte if skipped(byte) => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => filled = (filled + 1) % 4,
            b'=' => {
                if filled < 2 {
                    return corrupt(at - 1);
                }
                if filled == 2 {
                    while at < bytes.len() && skipped(bytes[at]) {
                        at += 1;
                    }
                    match bytes.get(at) {
                        None => return corrupt(bytes.len()),
                        Some(b'=') => at += 1,
                        Some(_) => return corrupt(at - 1),
                    }
                }
                while at < bytes.len() && skipped(bytes[at]) {
                    at += 1;
                }
                return if at < bytes.len() {
                    corrupt(at)
                } else {
                    Ok(())
                };
            }
            _ => return corrupt(at - 1),
        }
    }
    if filled == 0 {
        Ok(())
    } else {
        corrupt(at - filled)
    }
}

/// Reads a time and writes it as Go does: in UTC, to the second or to the microsecond.
fn time(text: &str, micro: bool) -> Result<String, String> {
    let Ok(time) = text.parse::<Timestamp>() else {
        let layout = if micro {
            "2006-01-02T15:04:05.000000Z07:00"
        } else {
            "2006-01-02T15:04:05Z07:00"
        };
        return Err(format!(
            "parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""
        ));
    };
    let format = if micro {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    Ok(time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::kinds;

    fn resource(api_version: &str, kind: &str) -> Resource {
        let all = kinds::kubernetes();
        all.into_iter()
            .find(|r| r.api_version() == api_version && r.kind == kind)
            .expect("the kind is served")
    }

    fn refusal(api_version: &str, kind: &str, object: &Value) -> String {
        let failure =
            decode(&resource(api_version, kind), object).expect_err("the object does not fit");
        assert_eq!(failure.code, 400);
        failure.message
    }

    #[test]
    fn every_kind_has_a_schema() {
        for resource in kinds::kubernetes().into_iter().chain(kinds::kcp()) {
            assert!(schema(&resource).is_some(), "{}", resource.kind);
        }
    }

    #[test]
    fn wrong_types_are_worded_as_recorded() {
        assert_eq!(
            refusal("v1", "Secret", &json!({"data": {"a": "not base64!"}})),
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 3"
        );
        assert_eq!(
            refusal("v1", "Secret", &json!({"data": {"a": "eA"}})),
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0"
        );
        assert_eq!(
            refusal("v1", "Secret", &json!({"data": {"a": 1}})),
            "Secret in version \"v1\" cannot be handled as a Secret: json: cannot unmarshal number into Go struct field Secret.data of type []uint8"
        );
        assert_eq!(
            refusal("v1", "ConfigMap", &json!({"data": {"n": 1}})),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
        );
        let mut part = json!({"metadata": {"labels": {"a": 1}}});
        let mut kind = resource("v1", "ConfigMap");
        kind.kind = "Part".into();
        kind.provenance = Provenance::Crd("parts.rec.example.com".into());
        assert_eq!(
            metadata(&kind, &mut part)
                .expect_err("labels are text")
                .message,
            "Part in version \"v1\" cannot be handled as a Part: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
        );
    }

    #[test]
    fn unknown_members_and_nulls_vanish() {
        let secret = resource("v1", "Secret");
        let read = decode(
            &secret,
            &json!({"data": {"a": null, "b": ""}, "zap": 1, "immutable": null, "metadata": {"name": "s", "labels": {}}}),
        );
        let read = read.expect("the object fits");
        assert_eq!(
            encode(&secret, &read),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "", "b": ""}})
        );
    }

    #[test]
    fn some_members_are_always_written() {
        let event = resource("v1", "Event");
        let read = decode(
            &event,
            &json!({"metadata": {"name": "e"}, "eventTime": "2020-01-01T01:00:00.5+01:00"}),
        )
        .expect("it fits");
        assert_eq!(
            encode(&event, &read),
            json!({
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {}, "source": {},
                "firstTimestamp": null, "lastTimestamp": null, "eventTime": "2020-01-01T00:00:00.500000Z",
                "reportingComponent": "", "reportingInstance": "",
            })
        );
        let service = resource("v1", "Service");
        assert_eq!(
            encode(&service, &json!({"metadata": {"name": "s"}})),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}, "status": {"loadBalancer": {}}})
        );
    }

    #[test]
    fn base64_is_read_as_go_reads_it() {
        for (text, result) in [
            ("", Ok(())),
            ("eA==", Ok(())),
            ("eHh4\n", Ok(())),
            ("eHh4eA", Err(4)),
            ("=", Err(0)),
            ("eA=", Err(3)),
            ("eA=x", Err(2)),
            ("eA==x", Err(4)),
        ] {
            let expected = result.map_err(|at| format!("illegal base64 data at input byte {at}"));
            assert_eq!(base64(text), expected, "{text:?}");
        }
    }
}
