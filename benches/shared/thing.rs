//! The kind that everything is measured with, and an order of it of about 2 KiB.

use serde_json::{Value, json};

/// The kind, as a service cluster defines it.
pub(crate) fn crd(group: &str) -> Value {
    let text = json!({"type": "string"});
    let parameters = json!({"type": "object", "additionalProperties": text});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "parameters": parameters}},
                    "status": {"type": "object", "properties": {"phase": text}},
                }}},
            }],
        },
    })
}

/// An order, as a consumer writes it.
pub(crate) fn order(group: &str, name: &str) -> Value {
    let parameter = |n| {
        (
            format!("parameter_{n:02}"),
            json!(format!("a value of some length, number {n}")),
        )
    };
    let parameters: serde_json::Map<String, Value> = (0..40).map(parameter).collect();
    json!({"apiVersion": format!("{group}/v1"), "kind": "Thing",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"size": 3, "parameters": parameters}})
}
