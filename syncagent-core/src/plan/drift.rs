//! Drift: whether somebody took a field that is ours.
//!
//! The API server remembers who wrote which field. A field that somebody else changed is no longer in our entry of
//! `managedFields`; a field that a webhook normalised still is. So where changes are corrected, values are never compared.
//!
//! Two entries can be ours: what we apply, and what we patch where changes are kept. A third may be inherited: the one of
//! the agent that kept the copy before, or our own from before the policy became `correct`. What such an `Update` entry
//! holds no apply ever takes away again, so it is rewritten once into the entry of what we apply ([`inherited`]).

use serde_json::{Map, Value, json};

use super::keep::{escape, leaves, unescape};
use crate::names;
use crate::object::annotation;
use crate::object::fingerprint::Fingerprint;

/// Under which name the Go agent writes to the service cluster.
const PREDECESSOR: &str = "api-syncagent";

/// A field that was ours, and whose it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The field, as a JSON pointer.
    pub(super) path: String,
    /// Who has it; `None`: nobody, for it was taken out.
    pub(super) manager: Option<String>,
}

/// Our entry in an object's `managedFields`; `None` when the object does not say.
pub(super) fn entry<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let ours = entries
        .iter()
        .find(|it| is_of(it, manager) && it["operation"] == "Apply");
    Some(ours.map_or(&Value::Null, |it| &it["fieldsV1"]))
}

fn is_of(entry: &Value, manager: &str) -> bool {
    entry["manager"] == manager && entry.get("subresource").is_none_or(|it| it == "")
}

/// The fingerprint of our entry.
pub(super) fn print(object: &Value, manager: &str) -> Option<Fingerprint> {
    entry(object, manager).map(Fingerprint::of)
}

/// The fields of what was applied that are not ours any more.
pub(super) fn lost(applied: &Value, object: &Value, manager: &str) -> Vec<Lost> {
    let Some(entry) = entry(object, manager) else {
        return Vec::new();
    };
    let leaves = leaves(applied).into_iter();
    leaves
        .filter(|(path, value)| !owns(entry, path, value))
        .map(|(path, _)| Lost {
            manager: owner(object, &path, manager),
            path,
        })
        .collect()
}

/// Whether an entry has this leaf.
fn owns(entry: &Value, path: &str, value: &Value) -> bool {
    let Some(node) = find(entry, path) else {
        return false;
    };
    let inner = node.as_object().map_or(0, |node| {
        node.keys().filter(|key| key.as_str() != ".").count()
    });
    match value {
        // An atomic list is owned as a whole, others by item.
        Value::Array(items) => inner == 0 || items.len() <= inner,
        _ => true,
    }
}

/// Where an entry speaks of a path; what is owned as a whole speaks of everything below it.
fn find<'a>(entry: &'a Value, path: &str) -> Option<&'a Value> {
    let mut node = entry.as_object().filter(|node| !node.is_empty())?;
    let mut found = entry;
    for part in path.split('/').skip(1) {
        match node.get(&format!("f:{}", unescape(part))) {
            Some(below) => {
                found = below;
                node = below.as_object()?;
            }
            // `f:a: {}` is all of an atomic map; `f:a: {".": {}}` is the empty shell of a granular one.
            None if node.is_empty() => return Some(found),
            None => return None,
        }
    }
    Some(found)
}

/// Whether a leaf of an object is ours, however it was written.
pub(super) fn is_ours(object: &Value, path: &str, manager: &str) -> bool {
    let entries = object["metadata"]["managedFields"].as_array();
    let mut ours = entries
        .into_iter()
        .flatten()
        .filter(|it| is_of(it, manager) || is_of(it, PREDECESSOR));
    ours.any(|it| find(&it["fieldsV1"], path).is_some())
}

/// Who has a leaf, if not we.
pub(super) fn owner(object: &Value, path: &str, manager: &str) -> Option<String> {
    let entries = object["metadata"]["managedFields"].as_array()?.iter();
    let others = entries.filter(|it| !is_of(it, manager));
    let mut having = others.filter(|it| find(&it["fieldsV1"], path).is_some());
    having.find_map(|it| it["manager"].as_str().map(str::to_owned))
}

/// The fields of a related object's content, by name, as its annotation says them; `None`: too many.
pub(super) fn fields(content: &Map<String, Value>) -> Option<String> {
    let mut paths = Vec::new();
    for (field, value) in content {
        match value.as_object().filter(|map| !map.is_empty()) {
            Some(map) => {
                let below = map
                    .keys()
                    .map(|key| format!("/{}/{}", escape(field), escape(key)));
                paths.extend(below);
            }
            None => paths.push(format!("/{}", escape(field))),
        }
    }
    paths.sort();
    let text = json!(paths).to_string();
    (text.len() <= 8192).then_some(text)
}

/// Whether somebody took a field that we wrote onto a related object, as its metadata alone tells.
///
/// An object of which the server does not say that anything is ours tells nothing.
pub(super) fn lacks_fields(object: &Value, manager: &str) -> bool {
    let text = annotation(object, names::FIELDS).unwrap_or_default();
    let paths: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    let entries = object["metadata"]["managedFields"].as_array();
    let entries = entries.into_iter().flatten();
    let ours: Vec<_> = entries.filter(|it| is_of(it, manager)).collect();
    let taken = |path: &String| ours.iter().all(|it| find(&it["fieldsV1"], path).is_none());
    !ours.is_empty() && paths.iter().any(taken)
}

/// Whether our entry has fields that are not applied any more, so that an apply would take them away.
pub(super) fn has_surplus(applied: &Value, object: &Value, manager: &str) -> bool {
    fn more(owned: &Value, wanted: &Value) -> bool {
        let fields = owned.as_object().into_iter().flatten();
        let mut fields = fields.filter_map(|(key, below)| Some((key.strip_prefix("f:")?, below)));
        fields.any(|(name, below)| match wanted.get(name) {
            Some(wanted) => wanted.is_object() && more(below, wanted),
            None => true,
        })
    }
    entry(object, manager).is_some_and(|entry| more(entry, applied))
}

/// A patch that moves what was written otherwise into the entry of what we apply, once; `None`: there is no such entry.
///
/// It names the uid and the version that it was made for: ownership is not taken by guess.
pub(super) fn inherited(object: &Value, manager: &str) -> Option<Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let old =
        |it: &Value| it["operation"] == "Update" && (is_of(it, manager) || is_of(it, PREDECESSOR));
    let found = entries.iter().find(|it| old(it))?;
    let mut ours = entries
        .iter()
        .find(|it| is_of(it, manager) && it["operation"] == "Apply")
        .cloned()
        .unwrap_or_else(|| {
            let mut ours = found.clone();
            ours["fieldsV1"] = json!({});
            ours
        });
    ours["manager"] = json!(manager);
    ours["operation"] = json!("Apply");
    for entry in entries.iter().filter(|it| old(it)) {
        unite(&mut ours["fieldsV1"], &entry["fieldsV1"]);
    }
    let applied = |it: &Value| is_of(it, manager) && it["operation"] == "Apply";
    let others = entries.iter().filter(|it| !(old(it) || applied(it)));
    let all: Vec<Value> = [ours].into_iter().chain(others.cloned()).collect();
    let metadata = &object["metadata"];
    Some(json!([
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": all},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]))
}

fn unite(into: &mut Value, from: &Value) {
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (key, below) in from.as_object().into_iter().flatten() {
        unite(&mut into[key], below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: &Value) -> Value {
        json!({"metadata": {"uid": "u", "resourceVersion": "7", "managedFields": entries}})
    }

    #[test]
    fn a_field_is_lost_to_whoever_has_it() {
        let object = object(&json!([
            {"manager": "us", "operation": "Apply", "fieldsV1": {"f:spec": {"f:color": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:size": {}}}},
        ]));
        let applied = json!({"spec": {"size": 1, "color": "red", "gone": 2}});
        let lost = lost(&applied, &object, "us");
        assert_eq!(
            lost,
            [
                Lost {
                    path: "/spec/gone".into(),
                    manager: None
                },
                Lost {
                    path: "/spec/size".into(),
                    manager: Some("kubectl-edit".into())
                },
            ]
        );
    }

    #[test]
    fn an_atomic_map_is_owned_as_a_whole_and_an_empty_shell_owns_nothing() {
        let atomic = json!({"f:spec": {"f:box": {}}});
        let shell = json!({"f:spec": {"f:box": {".": {}}}});
        assert!(owns(&atomic, "/spec/box/a", &json!(1)));
        assert!(!owns(&shell, "/spec/box/a", &json!(1)));
        assert!(owns(&shell, "/spec/box", &json!({})));
    }

    #[test]
    fn an_item_that_went_is_noticed() {
        let entry = json!({"f:spec": {"f:items": {"k:{\"name\":\"a\"}": {".": {}}}}});
        assert!(owns(&entry, "/spec/items", &json!([{"name": "a"}])));
        assert!(!owns(
            &entry,
            "/spec/items",
            &json!([{"name": "a"}, {"name": "b"}])
        ));
    }

    #[test]
    fn the_entry_of_the_agent_before_becomes_ours_once() {
        let object = object(&json!([
            {"manager": "us", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:color": {}}}},
            {"manager": "api-syncagent", "operation": "Update", "fieldsV1": {"f:spec": {".": {}, "f:size": {}}}},
            {"manager": "operator", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
        ]));
        let patch = inherited(&object, "us").expect("an old entry");
        let entries = patch[1]["value"].as_array().expect("a list");
        assert_eq!(entries.len(), 2);
        assert_eq!(
            entries[0]["fieldsV1"],
            json!({"f:spec": {".": {}, "f:color": {}, "f:size": {}}})
        );
        assert_eq!(patch[2]["value"], "7");
        let mut after = object;
        after["metadata"]["managedFields"] = patch[1]["value"].clone();
        assert_eq!(inherited(&after, "us"), None);
        assert!(has_surplus(
            &json!({"spec": {"color": "red"}}),
            &after,
            "us"
        ));
        assert!(!has_surplus(
            &json!({"spec": {"color": "red", "size": 1}}),
            &after,
            "us"
        ));
    }
}
