//! Objects as JSON: paths into them, fingerprints of them, the marks that say whose they are, and the words for which one is
//! meant.
//!
//! The engine works on `serde_json::Value`; a Rust type of the object exists only at the edge (`typed`).
//! Everything here is total: an object that lacks a field reads as if the field were empty.

pub mod fingerprint;
pub mod identity;
pub mod labels;
pub mod path;
pub mod reference;
pub mod selection;
mod sorted;
pub mod state;
pub mod subset;

use serde_json::Value;

use crate::definition::Kind;

/// The text of a field of `metadata`; empty when it is not there.
#[must_use]
pub fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The object's uid.
#[must_use]
pub fn uid(object: &Value) -> &str {
    meta(object, "uid")
}

/// The object's resourceVersion.
#[must_use]
pub fn version(object: &Value) -> &str {
    meta(object, "resourceVersion")
}

/// The object's generation; 0 when the server keeps none.
#[must_use]
pub fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(0)
}

/// Whether somebody asked for the object's deletion.
#[must_use]
pub fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The value of a label; empty when it is not there.
#[must_use]
pub fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"]["labels"][key]
        .as_str()
        .unwrap_or_default()
}

/// The value of an annotation.
#[must_use]
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

/// Whether only a part of an object's metadata is told: what a watch kept of it, without its labels.
#[must_use]
pub fn is_abridged(object: &Value) -> bool {
    object[ABRIDGED] == true
}

/// The field that says so.
pub const ABRIDGED: &str = "abridged";

/// The finalizers of an object, in their order.
#[must_use]
pub fn finalizers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["finalizers"].as_array();
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// The `apiVersion` of a kind.
#[must_use]
pub fn api_version(kind: &Kind) -> String {
    if kind.group.is_empty() {
        kind.version.clone()
    } else {
        format!("{}/{}", kind.group, kind.version)
    }
}

/// Takes out everything that is null, all the way down: a null counts as absent.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Whether the first version is older than the second. Both must come from the same server.
///
/// Versions that are no numbers have no order: neither is older.
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}
