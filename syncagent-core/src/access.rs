//! Least privilege, computed: what an agent must be allowed to do follows from what it publishes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::definition::{Events, Kind};
use crate::publication::Publications;

/// The permission claims of the export (v1alpha2): what is taken from workspaces and returned to them.
///
/// The verbs are all of them, because that is what the usual way of binding accepts, and kcp compares verbs literally.
#[must_use]
pub fn claims(publications: &Publications) -> Vec<Value> {
    let talks = publications
        .iter()
        .any(|it| it.policy().events != Events::Off);
    let events = talks.then(|| (String::new(), "events".to_owned()));
    let kinds: BTreeSet<(String, String)> = publications
        .iter()
        .flat_map(|it| it.workspace_kinds())
        .map(|kind| (kind.group, kind.plural))
        .chain(events)
        .collect();
    kinds
        .into_iter()
        .map(|(group, resource)| json!({"group": group, "resource": resource, "verbs": ["*"]}))
        .collect()
}

/// The RBAC rules that the agent needs on the service cluster.
#[must_use]
pub fn service_rules(publications: &Publications) -> Vec<Value> {
    const WRITE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
    const READ: &[&str] = &["get", "list", "watch"];
    let mut rules: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    let mut add = |group: &str, resource: &str, verbs: &[&'static str]| {
        rules
            .entry((group.to_owned(), resource.to_owned()))
            .or_default()
            .extend(verbs);
    };
    let mut of = |kind: &Kind, verbs: &[&'static str]| add(&kind.group, &kind.plural, verbs);
    for publication in publications.iter() {
        of(publication.service(), WRITE);
        publication
            .taken_kinds()
            .iter()
            .for_each(|kind| of(kind, WRITE));
        publication
            .read_kinds()
            .iter()
            .for_each(|kind| of(kind, READ));
    }
    add("", "namespaces", &["get", "list", "watch", "create"]);
    add(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        &["get", "list", "watch"],
    );
    rules
        .into_iter()
        .map(|((group, resource), verbs)| {
            json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
        })
        .collect()
}

/// The RBAC rules that the agent needs in the provider's workspace.
#[must_use]
pub fn provider_rules(export: &str) -> Vec<Value> {
    vec![
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexports"], "resourceNames": [export],
            "verbs": ["get", "list", "watch", "patch"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexportendpointslices"], "verbs": ["get", "list", "watch"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiresourceschemas"], "verbs": ["get", "create"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexports/content"], "resourceNames": [export], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["/"], "verbs": ["access"]}),
    ]
}

/// The `APIBinding` with which a consumer binds the export and accepts its claims. `path` is the provider's workspace.
#[must_use]
pub fn binding(publications: &Publications, path: &str, export: &str) -> Value {
    let claims: Vec<Value> = claims(publications)
        .into_iter()
        .map(|mut claim| {
            claim["selector"] = json!({"matchAll": true});
            claim["state"] = json!("Accepted");
            claim
        })
        .collect();
    json!({
        "apiVersion": "apis.kcp.io/v1alpha2",
        "kind": "APIBinding",
        "metadata": {"name": export},
        "spec": {
            "reference": {"export": {"path": path, "name": export}},
            "permissionClaims": claims,
        },
    })
}
