//! Reading kcp's objects: which cluster is a path, which export does a binding mean.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::store::{Key, Stored};

/// The bucket of exports.
pub(super) const EXPORTS: &str = "apiexports.apis.kcp.io";
/// The bucket of bindings.
pub(super) const BINDINGS: &str = "apibindings.apis.kcp.io";
/// The bucket of schemas.
pub(super) const SCHEMAS: &str = "apiresourceschemas.apis.kcp.io";
/// The bucket of endpoint slices.
pub(super) const SLICES: &str = "apiexportendpointslices.apis.kcp.io";
/// The bucket of logical clusters.
pub(super) const LOGICAL: &str = "logicalclusters.core.kcp.io";
/// The bucket of the hidden CRDs behind bound resources, all in one cluster and named after the uid of their schema.
pub(super) const HIDDEN: &str = "bound-crds";
/// The cluster of the hidden CRDs.
pub(super) const HIDDEN_CLUSTER: &str = "system:bound-crds";
/// The name of the first shard.
pub(super) const SHARD: &str = "root";
/// The annotation with the canonical path of the workspace that holds an object.
pub(super) const PATH: &str = "kcp.io/path";
/// The annotation with the logical cluster of an object, added on every read.
pub(super) const CLUSTER: &str = "kcp.io/cluster";

/// The key of a cluster-scoped object.
pub(super) fn key(bucket: &str, cluster: &str, name: &str) -> Key {
    Key {
        bucket: bucket.into(),
        cluster: cluster.into(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// The key of an object in a namespace.
pub(super) fn key_in(bucket: &str, cluster: &str, namespace: &str, name: &str) -> Key {
    Key {
        namespace: namespace.to_owned(),
        ..key(bucket, cluster, name)
    }
}

/// The text at a pointer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The items at a pointer; none where there are none.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// An annotation; empty where there is none.
pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["annotations"][name]
        .as_str()
        .unwrap_or_default()
}

/// Sets a member of a map in the metadata (`labels`, `annotations`).
pub(super) fn set_meta(object: &mut Value, map: &str, name: &str, value: &str) {
    if !object["metadata"][map].is_object() {
        object["metadata"][map] = json!({});
    }
    object["metadata"][map][name] = json!(value);
}

/// Removes a member of a map in the metadata, and the map with its last one.
pub(super) fn unset_meta(object: &mut Value, map: &str, name: &str) {
    if let Some(members) = object
        .get_mut("metadata")
        .and_then(|m| m.get_mut(map))
        .and_then(Value::as_object_mut)
    {
        members.remove(name);
        if members.is_empty() {
            remove(&mut object["metadata"], map);
        }
    }
}

/// Removes a member.
pub(super) fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}

/// Whether an object is being deleted.
pub(super) fn deleting(object: &Value) -> bool {
    object["metadata"]
        .get("deletionTimestamp")
        .is_some_and(|time| !time.is_null())
}

/// Counts a change of the spec that a controller makes.
pub(super) fn next_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    object["metadata"]["generation"] = json!(generation + 1);
}

/// A condition as kcp writes it: `severity` only where the status is False, the time kept where nothing changed,
/// `Ready` first and the others by name.
pub(super) fn set_condition(object: &mut Value, now: &str, name: &str, state: &State<'_>) {
    let mut new = json!({"type": name, "status": if matches!(state, State::True) { "True" } else { "False" }});
    if let State::False {
        severity,
        reason,
        message,
    } = state
    {
        new["severity"] = json!(severity);
        new["reason"] = json!(reason);
        new["message"] = json!(message);
    }
    let mut conditions = items(object, "/status/conditions").to_vec();
    let old = conditions
        .iter()
        .position(|c| c["type"] == name)
        .map(|at| conditions.remove(at));
    let same = old.as_ref().is_some_and(|old| {
        ["status", "severity", "reason", "message"]
            .iter()
            .all(|key| old.get(*key) == new.get(*key))
    });
    new["lastTransitionTime"] = match old {
        Some(old) if same => old["lastTransitionTime"].clone(),
        _ => json!(now),
    };
    conditions.push(new);
    conditions.sort_by_key(|c| (c["type"] != "Ready", text(c, "/type").to_owned()));
    if !object["status"].is_object() {
        object["status"] = Value::Object(Map::new());
    }
    object["status"]["conditions"] = Value::Array(conditions);
}

/// Removes a condition.
pub(super) fn drop_condition(object: &mut Value, name: &str) {
    if let Some(conditions) = object
        .pointer_mut("/status/conditions")
        .and_then(Value::as_array_mut)
    {
        conditions.retain(|c| c["type"] != name);
    }
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State<'a> {
    /// It holds.
    True,
    /// It does not.
    False {
        /// `Error`, `Warning` or `Info`.
        severity: &'a str,
        /// The machine readable reason.
        reason: &'a str,
        /// The text for people.
        message: String,
    },
}

impl<'a> State<'a> {
    /// It does not hold.
    pub(super) fn no(severity: &'a str, reason: &'a str, message: impl Into<String>) -> Self {
        Self::False {
            severity,
            reason,
            message: message.into(),
        }
    }
}

/// The logical cluster object of a cluster; `None` for a cluster that does not exist.
pub(super) fn logical(core: &Core, cluster: &str) -> Option<Arc<Stored>> {
    core.read(&key(LOGICAL, cluster, "cluster"))
}

/// The canonical path of a cluster.
pub(super) fn path_of(core: &Core, cluster: &str) -> String {
    logical(core, cluster)
        .map(|stored| annotation(&stored.object, PATH).to_owned())
        .unwrap_or_default()
}

/// The cluster of a path: `root:a:b`, the name of a cluster, or a mixture.
pub(super) fn cluster_of(core: &Core, workspaces: &str, path: &str) -> Option<Arc<str>> {
    let mut segments = path.split(':');
    let first = segments.next()?;
    let mut cluster: Arc<str> = first.into();
    logical(core, &cluster)?;
    for name in segments {
        let workspace = core.read(&key(workspaces, &cluster, name))?;
        let next = text(&workspace.object, "/spec/cluster");
        if next.is_empty() {
            return None;
        }
        cluster = next.into();
    }
    logical(core, &cluster)?;
    Some(cluster)
}

/// The export that a reference means, seen from a cluster.
pub(super) fn export_of(
    core: &Core,
    workspaces: &str,
    from: &str,
    reference: &Value,
) -> Option<Arc<Stored>> {
    let path = text(reference, "/path");
    let cluster = if path.is_empty() {
        from.into()
    } else {
        cluster_of(core, workspaces, path)?
    };
    core.read(&key(EXPORTS, &cluster, text(reference, "/name")))
}

/// Whether two claims speak of the same resource.
pub(super) fn same_claim(a: &Value, b: &Value) -> bool {
    ["/group", "/resource", "/identityHash"]
        .iter()
        .all(|at| text(a, at) == text(b, at))
}
