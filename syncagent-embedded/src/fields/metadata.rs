//! `metadata` as the server reads it: through its struct, whatever the kind.
//!
//! Unknown members go, null and empty ones are as good as absent, and a member of the wrong type is an error of the
//! decoder. What it answers with is the normal form in which metadata is stored and shown.

use serde_json::{Map, Value};

/// Brings `metadata` into its normal form and names what was unknown, as `metadata.bar`.
///
/// # Errors
/// Go's wording where a member has the wrong type; the caller says what could not be handled.
pub fn metadata(object: &mut Value) -> Result<Vec<String>, String> {
    metadata_at(object, "metadata")
}

/// The same where the metadata is not at the top: `path` only names it in what is unknown.
pub(crate) fn metadata_at(object: &mut Value, path: &str) -> Result<Vec<String>, String> {
    let Some(object) = object.as_object_mut() else {
        return Ok(Vec::new());
    };
    let mut unknown = Vec::new();
    match object.get_mut("metadata") {
        None => {}
        Some(Value::Null) => {
            object.remove("metadata");
        }
        Some(Value::Object(metadata)) => {
            struct_of(OBJECT_META, "ObjectMeta", metadata, path, &mut unknown)?;
        }
        Some(other) => {
            return Err(format!(
                "json: cannot unmarshal {} into Go struct field .metadata of type v1.ObjectMeta",
                json_type(other)
            ));
        }
    }
    unknown.sort();
    Ok(unknown)
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Flag,
    Time,
    Texts,
    TextMap,
    Structs(&'static str, &'static [(&'static str, Self)]),
    Any,
}

const OBJECT_META: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("generateName", Kind::Text),
    ("namespace", Kind::Text),
    ("selfLink", Kind::Text),
    ("uid", Kind::Text),
    ("resourceVersion", Kind::Text),
    ("generation", Kind::Integer),
    ("creationTimestamp", Kind::Time),
    ("deletionTimestamp", Kind::Time),
    ("deletionGracePeriodSeconds", Kind::Integer),
    ("labels", Kind::TextMap),
    ("annotations", Kind::TextMap),
    ("ownerReferences", Kind::Structs("OwnerReference", OWNER)),
    ("finalizers", Kind::Texts),
    ("managedFields", Kind::Structs("ManagedFieldsEntry", ENTRY)),
];

const OWNER: &[(&str, Kind)] = &[
    ("apiVersion", Kind::Text),
    ("kind", Kind::Text),
    ("name", Kind::Text),
    ("uid", Kind::Text),
    ("controller", Kind::Flag),
    ("blockOwnerDeletion", Kind::Flag),
];

const ENTRY: &[(&str, Kind)] = &[
    ("manager", Kind::Text),
    ("operation", Kind::Text),
    ("apiVersion", Kind::Text),
    ("time", Kind::Time),
    ("fieldsType", Kind::Text),
    ("fieldsV1", Kind::Any),
    ("subresource", Kind::Text),
];

/// Members that are written even where they are empty.
const ALWAYS: &[(&str, &str)] = &[
    ("OwnerReference", "apiVersion"),
    ("OwnerReference", "kind"),
    ("OwnerReference", "name"),
    ("OwnerReference", "uid"),
];

fn struct_of(
    members: &[(&str, Kind)],
    of: &str,
    map: &mut Map<String, Value>,
    at: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let mut problem = None;
    map.retain(|name, value| {
        let Some((_, kind)) = members.iter().find(|(known, _)| known == name) else {
            unknown.push(format!("{at}.{name}"));
            return false;
        };
        if value.is_null() {
            return false;
        }
        if let Err(text) = member(*kind, of, name, value, at, unknown) {
            problem.get_or_insert(text);
            return true;
        }
        !hollow(value) || ALWAYS.contains(&(of, name.as_str()))
    });
    problem.map_or(Ok(()), Err)
}

fn hollow(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    }
}

fn member(
    kind: Kind,
    of: &str,
    name: &str,
    value: &mut Value,
    at: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let wrong = |value: &Value, wanted: &str| {
        Err(format!(
            "json: cannot unmarshal {} into Go struct field {of}.{name} of type {wanted}",
            json_type(value)
        ))
    };
    match kind {
        Kind::Any => {}
        Kind::Text if !value.is_string() => return wrong(value, text_type(name)),
        Kind::Integer if !(value.is_i64() || value.is_u64()) => return wrong(value, "int64"),
        Kind::Flag if !value.is_boolean() => return wrong(value, "bool"),
        Kind::Text | Kind::Integer | Kind::Flag => {}
        Kind::Time => {
            let Some(text) = value.as_str() else {
                return wrong(value, "string");
            };
            if text.parse::<jiff::Timestamp>().is_err() {
                return Err(format!(
                    "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
                ));
            }
        }
        Kind::Texts => {
            let Some(items) = value.as_array_mut() else {
                return wrong(value, "[]string");
            };
            for item in items {
                match item {
                    Value::String(_) => {}
                    Value::Null => *item = Value::String(String::new()),
                    other => return wrong(other, "string"),
                }
            }
        }
        Kind::TextMap => {
            let Some(map) = value.as_object_mut() else {
                return wrong(value, "map[string]string");
            };
            for item in map.values_mut() {
                match item {
                    Value::String(_) => {}
                    Value::Null => *item = Value::String(String::new()),
                    other => return wrong(other, "string"),
                }
            }
        }
        Kind::Structs(inner, members) => {
            let Some(items) = value.as_array_mut() else {
                return wrong(value, &format!("[]v1.{inner}"));
            };
            for (i, item) in items.iter_mut().enumerate() {
                let at = format!("{at}.{name}[{i}]");
                match item {
                    Value::Object(map) => {
                        struct_of(members, inner, map, &at, unknown)?;
                        for (_, always) in ALWAYS.iter().filter(|(of, _)| *of == inner) {
                            map.entry((*always).to_owned())
                                .or_insert_with(|| Value::String(String::new()));
                        }
                    }
                    other => return wrong(other, &format!("v1.{inner}")),
                }
            }
        }
    }
    Ok(())
}

fn text_type(name: &str) -> &'static str {
    match name {
        "uid" => "types.UID",
        "operation" => "v1.ManagedFieldsOperationType",
        _ => "string",
    }
}

pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
