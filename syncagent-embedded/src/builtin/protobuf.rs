//! Bodies in protobuf, which Go clients prefer for built-in kinds: `kubectl create configmap` sends one.
//!
//! A body is an envelope (a magic number, the type, and a message); the message is read with the schema of the kind and
//! the field numbers of `protobuf.yaml`. What comes out is the JSON that the client could have sent, with everything
//! that the schema knows; answers are JSON, which every such client accepts. CRDs and Deployments are not read this way.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::decode;
use crate::status::Failure;

/// The media type.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

type Numbers = HashMap<u64, String>;

static MESSAGES: LazyLock<BTreeMap<String, BTreeMap<String, Numbers>>> = LazyLock::new(|| {
    let file: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>> =
        serde_yaml::from_str(include_str!("protobuf.yaml")).expect("the field numbers are YAML");
    let turned = |fields: BTreeMap<String, u64>| {
        fields
            .into_iter()
            .map(|(name, number)| (number, name))
            .collect()
    };
    file.into_iter()
        .map(|(group, messages)| {
            (
                group,
                messages
                    .into_iter()
                    .map(|(name, fields)| (name, turned(fields)))
                    .collect(),
            )
        })
        .collect()
});

/// Reads a body.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn to_json(body: &[u8]) -> Result<Value, String> {
    let envelope = body
        .strip_prefix(b"k8s\0")
        .ok_or("the body does not begin as protobuf of Kubernetes does")?;
    let mut api_version = String::new();
    let mut kind = String::new();
    let mut raw: &[u8] = &[];
    for field in fields(envelope)? {
        match (field.number, field.value) {
            (1, Wire::Bytes(meta)) => {
                for part in fields(meta)? {
                    match (part.number, part.value) {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let known = MESSAGES
        .get(&api_version)
        .is_some_and(|messages| messages.contains_key(&kind));
    let schema = decode::schema_of(&api_version, &kind)
        .filter(|_| known)
        .ok_or_else(|| {
            format!("protobuf of {kind} in {api_version} is not read by the embedded server")
        })?;
    let mut object = message(&api_version, &schema, raw)?;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    Ok(object)
}

/// Writes a failure, for clients that accept nothing else.
#[must_use]
pub fn status(failure: &Failure) -> Vec<u8> {
    let text = |number: u8, text: &str| sent(number, text.as_bytes());
    let list_meta = [text(1, ""), text(2, ""), text(3, "")].concat();
    let mut message = [
        sent(1, &list_meta),
        text(2, "Failure"),
        text(3, &failure.message),
        text(4, failure.reason),
    ]
    .concat();
    if let Some(details) = &failure.details {
        let mut inner = [
            text(1, &details.name),
            text(2, &details.group),
            text(3, &details.kind),
        ]
        .concat();
        for cause in &details.causes {
            let cause = [
                text(1, cause.reason),
                text(2, &cause.message),
                text(3, &cause.field),
            ];
            inner.extend(sent(4, &cause.concat()));
        }
        inner.extend(counted(
            5,
            u64::from(details.retry_after.unwrap_or_default()),
        ));
        inner.extend(text(6, &details.uid));
        message.extend(sent(5, &inner));
    }
    message.extend(counted(6, u64::from(failure.code)));
    let meta = [text(1, "v1"), text(2, "Status")].concat();
    [
        b"k8s\0".to_vec(),
        sent(1, &meta),
        sent(2, &message),
        text(3, ""),
        text(4, ""),
    ]
    .concat()
}

fn sent(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    push_varint(&mut field, bytes.len() as u64);
    field.extend_from_slice(bytes);
    field
}

fn counted(number: u8, value: u64) -> Vec<u8> {
    let mut field = vec![number << 3];
    push_varint(&mut field, value);
    field
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

struct Field<'a> {
    number: u64,
    value: Wire<'a>,
}

#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn fields(mut bytes: &[u8]) -> Result<Vec<Field<'_>>, String> {
    const CUT: &str = "the protobuf message is cut short";
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or(CUT)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes).ok_or(CUT)?),
            2 => {
                let length = varint(&mut bytes)
                    .and_then(|length| usize::try_from(length).ok())
                    .ok_or(CUT)?;
                let (value, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
                bytes = rest;
                Wire::Bytes(value)
            }
            1 | 5 => {
                let length = if tag & 7 == 1 { 8 } else { 4 };
                let (value, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
                bytes = rest;
                Wire::Bytes(value)
            }
            other => return Err(format!("protobuf has no wire type {other}")),
        };
        fields.push(Field {
            number: tag >> 3,
            value,
        });
    }
    Ok(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| "a text in the protobuf message is not UTF-8".to_owned())
}

fn message(api_version: &str, schema: &Value, bytes: &[u8]) -> Result<Value, String> {
    let name = schema["x-go"].as_str().unwrap_or_default();
    let numbers = [api_version, "meta", "v1"]
        .iter()
        .find_map(|group| MESSAGES.get(*group)?.get(name))
        .ok_or_else(|| format!("protobuf of {name} is not read by the embedded server"))?;
    let mut object = Map::new();
    for field in fields(bytes)? {
        let Some(name) = numbers.get(&field.number) else {
            continue;
        };
        let schema = &schema["properties"][name];
        match schema["type"].as_str() {
            Some("array") => {
                let item = value(api_version, &schema["items"], field.value)?;
                if let Value::Array(items) =
                    object.entry(name.as_str()).or_insert_with(|| json!([]))
                {
                    items.push(item);
                }
            }
            Some("object") if schema.get("additionalProperties").is_some() => {
                let Wire::Bytes(entry) = field.value else {
                    continue;
                };
                let (key, member) = map_entry(api_version, &schema["additionalProperties"], entry)?;
                if let Value::Object(members) =
                    object.entry(name.as_str()).or_insert_with(|| json!({}))
                {
                    members.insert(key, member);
                }
            }
            _ => {
                object.insert(name.clone(), value(api_version, schema, field.value)?);
            }
        }
    }
    Ok(Value::Object(object))
}

fn map_entry(api_version: &str, schema: &Value, bytes: &[u8]) -> Result<(String, Value), String> {
    let mut key = String::new();
    let mut member = if schema["type"] == "array" {
        json!([])
    } else {
        json!("")
    };
    for field in fields(bytes)? {
        match (field.number, field.value) {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) if schema["type"] == "array" => {
                // A list as the value of a map is a message of its own.
                let items = fields(bytes)?
                    .into_iter()
                    .map(|item| value(api_version, &schema["items"], item.value));
                member = Value::Array(items.collect::<Result<_, String>>()?);
            }
            (2, wire) => member = value(api_version, schema, wire)?,
            _ => {}
        }
    }
    Ok((key, member))
}

fn value(api_version: &str, schema: &Value, wire: Wire<'_>) -> Result<Value, String> {
    if schema["x-kubernetes-int-or-string"] == json!(true) {
        return int_or_string(wire);
    }
    match (schema["type"].as_str().unwrap_or_default(), wire) {
        ("integer", Wire::Number(number)) => Ok(json!(number.cast_signed())),
        ("boolean", Wire::Number(number)) => Ok(json!(number != 0)),
        ("string", Wire::Bytes(bytes)) => match schema["format"].as_str() {
            Some("byte") => Ok(json!(STANDARD.encode(bytes))),
            Some("date-time") => time(bytes),
            _ => text(bytes).map(Value::String),
        },
        ("object", Wire::Bytes(_))
            if schema["x-kubernetes-preserve-unknown-fields"] == json!(true) =>
        {
            Ok(json!({}))
        }
        ("object", Wire::Bytes(bytes)) => message(api_version, schema, bytes),
        _ => Err("a field of the protobuf message has another type than expected".to_owned()),
    }
}

/// Seconds and nanoseconds; nothing at all is no time.
fn time(bytes: &[u8]) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields(bytes)? {
        match (field.number, field.value) {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => {
                nanos = i32::try_from(number.cast_signed()).unwrap_or_default();
            }
            _ => {}
        }
    }
    // Go's zero time stands for none.
    if bytes.is_empty() || seconds < -62_000_000_000 {
        return Ok(Value::Null);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(json!(time.to_string()))
}

fn int_or_string(wire: Wire<'_>) -> Result<Value, String> {
    let Wire::Bytes(bytes) = wire else {
        return Err("a number or text of the protobuf message is neither".to_owned());
    };
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    for field in fields(bytes)? {
        match (field.number, field.value) {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text {
        json!(string)
    } else {
        json!(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
        let meta = [sent(1, api_version.as_bytes()), sent(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), sent(1, &meta), sent(2, message)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [
            sent(1, b"c"),
            sent(11, &[sent(1, b"k"), sent(2, b"v")].concat()),
            sent(8, &[]),
        ]
        .concat();
        let message = [
            sent(1, &metadata),
            sent(2, &[sent(1, b"a"), sent(2, b"1")].concat()),
            counted(4, 1),
        ]
        .concat();
        assert_eq!(
            to_json(&envelope("v1", "ConfigMap", &message)),
            Ok(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, "immutable": true,
                "metadata": {"name": "c", "labels": {"k": "v"}, "creationTimestamp": null},
            }))
        );
    }

    #[test]
    fn bytes_and_ports_are_read() {
        let secret = [
            sent(1, &sent(1, b"s")),
            sent(2, &[sent(1, b"k"), sent(2, b"x")].concat()),
            sent(3, b"Opaque"),
        ]
        .concat();
        let read = to_json(&envelope("v1", "Secret", &secret)).expect("it is a secret");
        assert_eq!(read["data"], json!({"k": "eA=="}));
        let target = [counted(1, 1), sent(3, b"web")].concat();
        let port = [counted(3, 80), sent(4, &target)].concat();
        let service = [
            sent(1, &sent(1, b"s")),
            sent(2, &[sent(1, &port), sent(1, &counted(3, 81))].concat()),
        ]
        .concat();
        let read = to_json(&envelope("v1", "Service", &service)).expect("it is a service");
        assert_eq!(
            read["spec"],
            json!({"ports": [{"port": 80, "targetPort": "web"}, {"port": 81}]})
        );
    }

    #[test]
    fn a_failure_is_written_as_recorded() {
        let accepted = ["application/json", "application/yaml", MEDIA];
        let written = status(&Failure::not_acceptable(&accepted));
        assert_eq!(
            String::from_utf8_lossy(&written),
            "k8s\0\n\x0c\n\x02v1\x12\x06Status\x12\u{fffd}\x01\n\x06\n\0\x12\0\x1a\0\x12\x07Failure\x1at\
             only the following media types are accepted: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf\"\rNotAcceptable0\u{fffd}\x03\x1a\0\"\0"
        );
    }

    #[test]
    fn what_is_not_read_is_said() {
        assert!(to_json(b"{}").is_err());
        assert_eq!(
            to_json(&envelope("apps/v1", "Deployment", &[])),
            Err("protobuf of Deployment in apps/v1 is not read by the embedded server".to_owned())
        );
        let cut = envelope("v1", "ConfigMap", &[0x0a, 0x7f]);
        assert_eq!(
            to_json(&cut),
            Err("the protobuf message is cut short".to_owned())
        );
    }

    #[test]
    fn every_struct_of_every_schema_has_its_numbers() {
        fn walk(group: &str, schema: &Value, missing: &mut Vec<String>) {
            if let (Some(name), Some(properties)) =
                (schema["x-go"].as_str(), schema["properties"].as_object())
            {
                let numbers = [group, "meta", "v1"]
                    .iter()
                    .find_map(|group| MESSAGES.get(*group)?.get(name));
                for property in properties.keys() {
                    if !numbers
                        .is_some_and(|numbers| numbers.values().any(|known| known == property))
                    {
                        missing.push(format!("{group} {name}.{property}"));
                    }
                }
            }
            for property in schema["properties"]
                .as_object()
                .into_iter()
                .flat_map(|properties| properties.values())
            {
                walk(group, property, missing);
            }
            for key in ["items", "additionalProperties"] {
                if let Some(inner) = schema.get(key) {
                    walk(group, inner, missing);
                }
            }
        }
        let mut missing = Vec::new();
        for kind in super::super::kinds::kubernetes()
            .iter()
            .filter(|kind| !["apiextensions.k8s.io", "apps"].contains(&kind.group.as_str()))
        {
            let schema = decode::schema(kind).expect("every kind has a schema");
            walk(&kind.api_version(), &schema, &mut missing);
        }
        assert_eq!(missing, Vec::<String>::new());
    }
}
