//! kcp's own kinds.
//!
//! They are served from CRDs, as in kcp: some in every workspace, those of tenancy and topology through bindings of
//! two exports in the root workspace. `kinds.yaml` has their schemas.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::KcpVersion;
use super::convert::Old;
use super::hash;
use super::schemas::to_crd;
use crate::api::Served;
use crate::crds;

static KINDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("kinds.yaml"))
        .expect("kinds.yaml is part of this crate and tested")
});

/// The exports of the root workspace that every workspace binds.
pub(super) const DEFAULTS: [&str; 2] = ["tenancy.kcp.io", "topology.kcp.io"];

/// The key of the identity of a default export; a real kcp has random ones.
pub(super) fn root_key(export: &str) -> String {
    let key = hash::base62(&format!("embedded identity of {export}"));
    format!("{key:0<43}").chars().take(43).collect()
}

/// The identity hash of a default export.
pub(super) fn root_identity(export: &str) -> String {
    hash::identity(root_key(export).as_bytes())
}

/// The kinds that every workspace serves.
pub(super) fn own() -> Vec<Arc<Served>> {
    let own = KINDS.iter().filter(|kind| kind.get("prefix").is_none());
    own.flat_map(|kind| crds::served(&to_crd(&json!({"spec": spec(kind)}), true)))
        .map(|mut served| {
            let binding = served.resource.plural == "apibindings";
            if served.resource.version == "v1alpha1"
                && (binding || served.resource.plural == "apiexports")
            {
                served.convert = Some(Arc::new(Old { binding }));
            }
            served.revised = false;
            Arc::new(served)
        })
        .collect()
}

/// The schemas that the root workspace holds for an export, as specs with their names.
pub(super) fn root_schemas(export: &str, generation: KcpVersion) -> Vec<(String, Value)> {
    let bound = KINDS
        .iter()
        .filter(|kind| kind.get("prefix").is_some() && text(kind, "group") == export);
    bound
        .map(|kind| {
            let older = kind
                .get("prefix32")
                .filter(|_| generation == KcpVersion::V0_32);
            let prefix = older
                .and_then(Value::as_str)
                .unwrap_or_else(|| text(kind, "prefix"));
            let name = format!("{}.{}.{}", prefix, text(kind, "plural"), export);
            let mut spec = spec(kind);
            spec["nameValidation"] = json!("DNS1123Subdomain");
            (name, spec)
        })
        .collect()
}

/// What a CRD and an `APIResourceSchema` have in common.
fn spec(kind: &Value) -> Value {
    json!({"group": kind["group"], "names": names(kind), "scope": "Cluster", "versions": versions(kind)})
}

fn names(kind: &Value) -> Value {
    let name = text(kind, "kind");
    let mut names = json!({
        "plural": kind["plural"], "singular": name.to_lowercase(), "kind": name, "listKind": format!("{name}List"),
    });
    for (from, to) in [("short", "shortNames"), ("categories", "categories")] {
        if let Some(list) = kind.get(from) {
            names[to] = list.clone();
        }
    }
    names
}

/// The versions as a CRD has them.
fn versions(kind: &Value) -> Vec<Value> {
    let versions = kind["versions"].as_array().into_iter().flatten();
    versions
        .map(|version| {
            let mut whole = json!({
                "name": version["name"], "served": true, "storage": version["storage"] == true,
                "schema": version["schema"],
            });
            if version["nostatus"] != true {
                whole["subresources"] = json!({"status": {}});
            }
            if let Some(columns) = kind.get("columns") {
                whole["additionalPrinterColumns"] = columns.clone();
            }
            whole
        })
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
