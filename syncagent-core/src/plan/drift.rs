//! Drift: whether somebody took a field that is ours.
//!
//! The API server remembers who wrote which field. A field that somebody else changed is no longer in our entry of
//! `managedFields`; a field that a webhook normalised still is. So values are never compared.

use serde_json::Value;

use crate::object::fingerprint::Fingerprint;

/// Our entry in an object's `managedFields`; `None` when the object does not say.
pub(super) fn entry<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let ours = entries.iter().find(|it| {
        it["manager"] == manager
            && it["operation"] == "Apply"
            && it.get("subresource").is_none_or(|it| it == "")
    });
    Some(ours.map_or(&Value::Null, |it| &it["fieldsV1"]))
}

/// The fingerprint of our entry.
pub(super) fn print(object: &Value, manager: &str) -> Option<Fingerprint> {
    entry(object, manager).map(Fingerprint::of)
}

/// Whether every field of what was applied is still ours.
pub(super) fn owns_all(applied: &Value, object: &Value, manager: &str) -> bool {
    let Some(entry) = entry(object, manager) else {
        return true;
    };
    let Some(fields) = applied.as_object() else {
        return true;
    };
    fields.iter().all(|(name, value)| match name.as_str() {
        "apiVersion" | "kind" => true,
        "metadata" => ["labels", "annotations"]
            .iter()
            .all(|part| match value.get(part) {
                Some(value) => owns(value, &entry["f:metadata"][format!("f:{part}")]),
                None => true,
            }),
        _ => owns(value, &entry[format!("f:{name}")]),
    })
}

fn owns(value: &Value, entry: &Value) -> bool {
    let Some(owned) = entry.as_object() else {
        return false;
    };
    let inner = owned.keys().filter(|key| *key != ".").count();
    match value {
        // An atomic map or list is owned as a whole.
        _ if inner == 0 => true,
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            owned
                .get(&format!("f:{name}"))
                .is_some_and(|entry| owns(value, entry))
        }),
        Value::Array(items) => items.len() <= inner,
        _ => true,
    }
}
