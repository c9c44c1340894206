//! The `APIResourceSchema` of a CRD, as the Go agent makes it.
//!
//! Its name is `v`, eight digits of the SHA-1 of the CRD's spec without its conversion ([`go_json`]), the plural and the group.
//! Schemas are immutable in kcp and never deleted: another name is another schema.

use serde_json::{Map, Value, json};

use super::go_json;
use crate::names;
use crate::object::fingerprint::sha1_hex;

/// Annotation: the generation of the CRD that the schema was made of; 0 where there is no CRD.
pub(super) const SOURCE_GENERATION: &str = "syncagent.kcp.io/source-generation";

/// The name of the schema.
pub(super) fn name(crd: &Value) -> String {
    let mut spec = crd["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("conversion");
    }
    // Go's encoder ends with a newline.
    let hash = sha1_hex(&format!("{}\n", go_json::crd_spec(&spec)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "v{}.{}.{}",
        &hash[..8],
        text(&spec["names"]["plural"]),
        text(&spec["group"])
    )
}

/// The schema, with the marks of an agent.
pub(super) fn of(crd: &Value, agent: &str) -> Value {
    let from = &crd["spec"];
    let versions = from["versions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut spec = json!({
        "group": from["group"],
        "names": from["names"],
        "scope": from["scope"],
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
    });
    if versions.len() > 1 {
        spec["conversion"] = json!({"strategy": "None"});
    }
    let generation = crd["metadata"]["generation"].as_i64().unwrap_or(0);
    json!({
        "apiVersion": "apis.kcp.io/v1alpha1",
        "kind": "APIResourceSchema",
        "metadata": {
            "name": name(crd),
            "labels": {names::AGENT: agent},
            "annotations": {names::AGENT: agent, SOURCE_GENERATION: generation.to_string()},
        },
        "spec": spec,
    })
}

fn version(from: &Value) -> Value {
    let mut out = Map::new();
    for field in [
        "name",
        "served",
        "storage",
        "deprecated",
        "deprecationWarning",
        "additionalPrinterColumns",
        "selectableFields",
    ] {
        if let Some(value) = from.get(field) {
            out.insert(field.into(), value.clone());
        }
    }
    let subresources = from.get("subresources").cloned();
    out.insert(
        "subresources".into(),
        subresources.unwrap_or_else(|| json!({})),
    );
    out.insert("schema".into(), from["schema"]["openAPIV3Schema"].clone());
    Value::Object(out)
}
