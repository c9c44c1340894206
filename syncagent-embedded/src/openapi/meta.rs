//! The schemas that every document carries: those of `meta.k8s.io`.

use serde_json::{Map, Value, json};

use super::{described, published, reference};
use crate::builtin::decode;

/// The component of objects' metadata.
pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// The component of lists' metadata.
pub(super) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The full name of a component of `meta.k8s.io`.
pub(super) fn named(kind: &str) -> String {
    format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}")
}

/// All of them.
pub(super) fn schemas() -> Map<String, Value> {
    let text = || json!({"type": "string"});
    let time = || json!({"allOf": [reference(&named("Time"))]});
    let mut object_meta = published(&decode::metadata_schema());
    for key in ["creationTimestamp", "deletionTimestamp"] {
        object_meta["properties"][key]["allOf"] = json!([reference(&named("Time"))]);
    }
    let owner = object_meta["properties"]["ownerReferences"]["items"].take();
    object_meta["properties"]["ownerReferences"]["items"] = reference(&named("OwnerReference"));
    object_meta["properties"]["managedFields"]["items"] = reference(&named("ManagedFieldsEntry"));
    let entry = json!({
        "description": "ManagedFieldsEntry says which fields a manager set.",
        "type": "object",
        "properties": {
            "apiVersion": text(), "fieldsType": text(), "manager": text(), "operation": text(), "subresource": text(),
            "fieldsV1": {"allOf": [reference(&named("FieldsV1"))]}, "time": time(),
        },
    });
    let list_meta = json!({
        "description": "ListMeta describes metadata that lists have.",
        "type": "object",
        "properties": {
            "continue": text(), "remainingItemCount": {"type": "integer", "format": "int64"}, "resourceVersion": text(),
            "selfLink": text(), "shardInfo": {"allOf": [reference(&named("ShardInfo"))]},
        },
    });
    let delete = json!({
        "description": "DeleteOptions may be sent with a deletion.",
        "type": "object",
        "properties": {
            "apiVersion": text(), "kind": text(), "propagationPolicy": text(),
            "dryRun": {"type": "array", "items": text(), "x-kubernetes-list-type": "atomic"},
            "gracePeriodSeconds": {"type": "integer", "format": "int64"}, "orphanDependents": {"type": "boolean"},
            "preconditions": described("What must hold before the deletion.", &named("Preconditions")),
        },
    });
    let cause = json!({"type": "object", "properties": {"field": text(), "message": text(), "reason": text()}});
    let details = json!({
        "type": "object",
        "properties": {
            "causes": {"type": "array", "items": reference(&named("StatusCause")), "x-kubernetes-list-type": "atomic"},
            "group": text(), "kind": text(), "name": text(), "uid": text(),
            "retryAfterSeconds": {"type": "integer", "format": "int32"},
        },
    });
    let status = json!({
        "description": "Status is what a call that does not answer with an object answers with.",
        "type": "object",
        "properties": {
            "apiVersion": text(), "kind": text(), "message": text(), "reason": text(), "status": text(),
            "code": {"type": "integer", "format": "int32"},
            "details": {"allOf": [reference(&named("StatusDetails"))]},
            "metadata": {"allOf": [reference(LIST_META)]},
        },
    });
    [
        ("DeleteOptions", delete),
        ("FieldsV1", json!({"description": "FieldsV1 stores a set of fields as a tree.", "type": "object"})),
        ("ListMeta", list_meta),
        ("ManagedFieldsEntry", entry),
        ("ObjectMeta", object_meta),
        ("OwnerReference", owner),
        ("Patch", json!({"description": "Patch is a patch of any media type.", "type": "object"})),
        ("Preconditions", json!({"type": "object", "properties": {"resourceVersion": text(), "uid": text()}})),
        ("ShardInfo", json!({"type": "object", "properties": {"selector": text()}})),
        ("Status", status),
        ("StatusCause", cause),
        ("StatusDetails", details),
        ("Time", json!({"description": "Time is a point in time.", "type": "string", "format": "date-time"})),
    ]
    .into_iter()
    .map(|(kind, schema)| (named(kind), schema))
    .collect()
}
