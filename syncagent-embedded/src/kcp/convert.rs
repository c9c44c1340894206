//! APIExport and APIBinding in two versions.
//!
//! Objects are stored as v1alpha2. What the other version cannot say is parked in annotations of the object that is
//! handed out, and taken up again when it comes back:
//!
//! - claims with verbs other than `*`, or with a selector, in `apis.v1alpha2.kcp.io/...` of the v1alpha1 form;
//! - claims by name (`resourceSelector`) in `apis.v1alpha2.kcp.io/v1alpha1-permission-claims` of the v1alpha2 form.

use serde_json::{Map, Value, json};

use crate::api::Convert;
use crate::status::Failure;

/// The v1alpha1 form of a kind.
#[derive(Debug)]
pub(super) struct Old {
    /// Whether it is the binding (else the export).
    pub(super) binding: bool,
}

const PARK: &str = "apis.v1alpha2.kcp.io/";
const BY_NAME: &str = "apis.v1alpha2.kcp.io/v1alpha1-permission-claims";

impl Convert for Old {
    fn store(&self, mut object: Value) -> Result<Value, Failure> {
        object["apiVersion"] = json!("apis.kcp.io/v1alpha2");
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            && !self.binding
            && let Some(schemas) = spec.remove("latestResourceSchemas")
        {
            let names = schemas
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let resources: Vec<Value> = names.filter_map(resource).collect();
            let parked: Vec<Value> = unpark(&object, "resource-schemas");
            object["spec"]["resources"] = resources.into_iter().chain(parked).collect();
        }
        let claims = list(&object, "/spec/permissionClaims");
        if !claims.is_empty() {
            let named = !self.binding || claims.iter().any(|c| c.get("resourceSelector").is_some());
            if named
                && claims
                    .iter()
                    .any(|c| c.get("resourceSelector").is_some() || c.get("all").is_some())
            {
                let texts: Vec<String> = claims.iter().map(claim_text).collect();
                annotate(&mut object, BY_NAME, &format!("[{}]", texts.join(",")));
            }
            let key = if self.binding {
                "acceptable-permission-claims"
            } else {
                "permission-claims"
            };
            let parked = unpark(&object, key);
            object["spec"]["permissionClaims"] = claims
                .iter()
                .map(|c| newer(c, &parked, self.binding, true))
                .collect();
        }
        if self.binding {
            for (field, key, selects) in STATUS {
                let claims = list(&object, &format!("/status/{field}"));
                if !claims.is_empty() {
                    let parked = unpark(&object, key);
                    object["status"][field] = claims
                        .iter()
                        .map(|c| newer(c, &parked, selects, false))
                        .collect();
                }
            }
        }
        if object["status"].as_object().is_some_and(Map::is_empty) {
            remove(&mut object, "status");
        }
        for key in [
            "resource-schemas",
            "permission-claims",
            "acceptable-permission-claims",
            STATUS[0].1,
            STATUS[1].1,
        ] {
            unannotate(&mut object, &format!("{PARK}{key}"));
        }
        Ok(object)
    }

    fn serve(&self, mut object: Value) -> Result<Value, Failure> {
        object["apiVersion"] = json!("apis.kcp.io/v1alpha1");
        let by_name: Vec<Value> = unpark(&object, "v1alpha1-permission-claims");
        unannotate(&mut object, BY_NAME);
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            && !self.binding
            && let Some(resources) = spec.remove("resources")
        {
            let schemas: Value = resources
                .as_array()
                .into_iter()
                .flatten()
                .map(|r| r["schema"].clone())
                .collect();
            spec.insert("latestResourceSchemas".into(), schemas);
        }
        let claims = list(&object, "/spec/permissionClaims");
        if !claims.is_empty() {
            let key = if self.binding {
                "acceptable-permission-claims"
            } else {
                "permission-claims"
            };
            park(&mut object, key, &claims, self.binding);
            object["spec"]["permissionClaims"] = claims
                .iter()
                .map(|c| older(c, &by_name, self.binding))
                .collect();
        }
        if self.binding {
            for (field, key, selects) in STATUS {
                let claims = list(&object, &format!("/status/{field}"));
                if !claims.is_empty() {
                    park(&mut object, key, &claims, selects);
                    object["status"][field] =
                        claims.iter().map(|c| older(c, &[], selects)).collect();
                }
            }
        }
        if object.get("status").is_none() {
            object["status"] = json!({});
        }
        Ok(object)
    }
}

const STATUS: [(&str, &str, bool); 2] = [
    (
        "exportPermissionClaims",
        "status-export-permission-claims",
        false,
    ),
    (
        "appliedPermissionClaims",
        "status-applied-permission-claims",
        true,
    ),
];

/// The entry of `resources` for a schema: `v1.things.example.io` is the plural `things` of `example.io`.
fn resource(schema: &str) -> Option<Value> {
    let mut parts = schema.splitn(3, '.');
    let (_, name, group) = (parts.next()?, parts.next()?, parts.next()?);
    let group = if group == "core" { "" } else { group };
    Some(json!({"group": group, "name": name, "schema": schema, "storage": {"crd": {}}}))
}

/// A v1alpha1 claim as v1alpha2.
fn newer(claim: &Value, parked: &[Value], selects: bool, state: bool) -> Value {
    if let Some(parked) = parked.iter().find(|other| same(claim, other)) {
        let mut whole = parked.clone();
        for key in ["group", "identityHash"] {
            whole[key] = json!(text(parked, key));
        }
        if state && let Some(state) = claim.get("state") {
            whole["state"] = state.clone();
        }
        return whole;
    }
    let mut new = json!({
        "group": text(claim, "group"), "resource": text(claim, "resource"),
        "identityHash": text(claim, "identityHash"), "verbs": ["*"],
    });
    if selects {
        new["selector"] = json!({"matchAll": true});
    }
    if let Some(state) = claim.get("state") {
        new["state"] = state.clone();
    }
    new
}

/// A v1alpha2 claim as v1alpha1.
fn older(claim: &Value, by_name: &[Value], selects: bool) -> Value {
    if let Some(whole) = by_name.iter().find(|other| same(claim, other)) {
        let mut whole = whole.clone();
        if let Some(state) = claim.get("state") {
            whole["state"] = state.clone();
        }
        return whole;
    }
    let mut old = json!({"resource": claim["resource"]});
    for key in ["group", "identityHash"] {
        if !text(claim, key).is_empty() {
            old[key] = claim[key].clone();
        }
    }
    if selects && claim.pointer("/selector/matchAll") == Some(&Value::Bool(true)) {
        old["all"] = json!(true);
    }
    if let Some(state) = claim.get("state") {
        old["state"] = state.clone();
    }
    old
}

/// Keeps what v1alpha1 cannot say of these claims.
fn park(object: &mut Value, key: &str, claims: &[Value], selects: bool) {
    let lost: Vec<String> = claims
        .iter()
        .filter(|claim| {
            claim["verbs"] != json!(["*"])
                || selects && claim.pointer("/selector/matchAll") != Some(&Value::Bool(true))
        })
        .map(claim_text)
        .collect();
    if !lost.is_empty() {
        annotate(
            object,
            &format!("{PARK}{key}"),
            &format!("[{}]", lost.join(",")),
        );
    }
}

/// A claim as Go writes it: members in the order of the type, empty ones left out.
fn claim_text(claim: &Value) -> String {
    let order = [
        "group",
        "resource",
        "verbs",
        "all",
        "resourceSelector",
        "identityHash",
        "selector",
        "state",
    ];
    let members: Vec<String> = order
        .iter()
        .filter_map(|key| Some((key, claim.get(*key)?)))
        .filter(|(_, value)| value.as_str() != Some(""))
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn same(a: &Value, b: &Value) -> bool {
    ["group", "resource", "identityHash"]
        .iter()
        .all(|key| text(a, key) == text(b, key))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list(object: &Value, pointer: &str) -> Vec<Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn unpark(object: &Value, key: &str) -> Vec<Value> {
    let text = object["metadata"]["annotations"][&format!("{PARK}{key}")]
        .as_str()
        .unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

fn annotate(object: &mut Value, key: &str, value: &str) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    object["metadata"]["annotations"][key] = json!(value);
}

fn unannotate(object: &mut Value, key: &str) {
    if let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(key);
        if annotations.is_empty() {
            remove(&mut object["metadata"], "annotations");
        }
    }
}

fn remove(object: &mut Value, key: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_survives_the_older_version() {
        let export = json!({
            "apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": {"name": "e"},
            "spec": {
                "resources": [{"group": "e.io", "name": "things", "schema": "v1.things.e.io", "storage": {"crd": {}}}],
                "permissionClaims": [
                    {"group": "", "resource": "secrets", "identityHash": "", "verbs": ["*"]},
                    {"group": "", "resource": "configmaps", "identityHash": "", "verbs": ["get", "list"]},
                ],
            },
        });
        let kind = Old { binding: false };
        let old = kind.serve(export.clone()).unwrap();
        assert_eq!(
            old["spec"]["latestResourceSchemas"],
            json!(["v1.things.e.io"])
        );
        assert_eq!(
            old["spec"]["permissionClaims"],
            json!([{"resource": "secrets"}, {"resource": "configmaps"}])
        );
        let parked = "[{\"resource\":\"configmaps\",\"verbs\":[\"get\",\"list\"]}]";
        assert_eq!(
            old["metadata"]["annotations"]["apis.v1alpha2.kcp.io/permission-claims"],
            json!(parked)
        );
        assert_eq!(kind.store(old).unwrap(), export);
    }

    #[test]
    fn claims_by_name_survive_the_newer_version() {
        let export = json!({
            "apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExport", "metadata": {"name": "e"}, "status": {},
            "spec": {"permissionClaims": [
                {"resource": "configmaps", "all": true},
                {"resource": "secrets", "resourceSelector": [{"name": "x", "namespace": "ns"}]},
            ]},
        });
        let kind = Old { binding: false };
        let new = kind.store(export.clone()).unwrap();
        assert_eq!(new["spec"]["permissionClaims"][1]["verbs"], json!(["*"]));
        assert_eq!(kind.serve(new).unwrap(), export);
    }
}
