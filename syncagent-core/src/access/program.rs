//! What the binary `syncagent` must be allowed to do: what the chart of kcp's Go api-syncagent grants, which leaves the kinds
//! that are published to whoever publishes them.

use serde_json::{Value, json};

use crate::definition::Kind;

const WRITE: &[&str] = &[
    "get", "list", "watch", "create", "update", "patch", "delete",
];
const READ: &[&str] = &["get", "list", "watch"];

/// The rules in the agent's own namespace on the service cluster: its Lease.
#[must_use]
pub fn namespace_rules() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}),
        json!({"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}),
    ]
}

/// What handing an installation back takes beyond that, in the same namespace: its state Secrets.
#[must_use]
pub fn handback_rules() -> Vec<Value> {
    vec![json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch"]})]
}

/// The rules in the namespace `default` of the service cluster: events about `PublishedResource` objects.
#[must_use]
pub fn default_rules() -> Vec<Value> {
    vec![
        json!({"apiGroups": [""], "resources": ["events"], "verbs": ["create", "update", "patch"]}),
    ]
}

/// The rules on all of the service cluster, whatever is published.
#[must_use]
pub fn cluster_rules() -> Vec<Value> {
    vec![
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "update"]}),
        json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch", "create"]}),
        json!({"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": READ}),
        json!({"apiGroups": ["syncagent.kcp.io"], "resources": ["publishedresources"], "verbs": READ}),
        json!({"apiGroups": ["syncagent.kcp.io"], "resources": ["publishedresources/status"],
            "verbs": ["create", "get", "update", "patch"]}),
    ]
}

/// The rule for a kind whose objects are made, changed and deleted on the service cluster: a published one, or one of related
/// objects.
#[must_use]
pub fn kind_rule(kind: &Kind) -> Value {
    json!({"apiGroups": [kind.group], "resources": [kind.plural], "verbs": WRITE})
}

/// The rules in the workspace of the export.
#[must_use]
pub fn export_rules(export: &str) -> Vec<Value> {
    vec![
        json!({"apiGroups": ["core.kcp.io"], "resources": ["logicalclusters"], "resourceNames": ["cluster"],
            "verbs": ["get"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexports"], "resourceNames": [export],
            "verbs": ["get", "list", "watch", "patch", "update"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiresourceschemas"],
            "verbs": ["get", "list", "watch", "create", "update"]}),
        json!({"apiGroups": [""], "resources": ["events"], "verbs": ["get", "create", "update", "patch"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexports/content"], "resourceNames": [export],
            "verbs": ["*"]}),
        json!({"nonResourceURLs": ["/"], "verbs": ["access"]}),
    ]
}

/// The rules in the workspace of the slice.
#[must_use]
pub fn slice_rules(slice: &str) -> Vec<Value> {
    vec![
        json!({"apiGroups": ["core.kcp.io"], "resources": ["logicalclusters"], "resourceNames": ["cluster"],
            "verbs": ["get"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexportendpointslices"], "resourceNames": [slice],
            "verbs": READ}),
        json!({"nonResourceURLs": ["/"], "verbs": ["access"]}),
    ]
}
