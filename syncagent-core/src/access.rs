//! Least privilege, computed: what an agent must be allowed to do follows from what it publishes.

pub mod program;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::definition::{Events, Kind, Scope};
use crate::names;
use crate::object::reference::ObjectRef;
use crate::publication::Publications;

/// A resource of workspaces that an export claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, as in `secrets`.
    pub resource: String,
    /// The identity hash of the export that offers the resource, where that is another one.
    pub identity: Option<String>,
}

impl Claim {
    /// A resource that kcp itself offers.
    #[must_use]
    pub fn of(group: &str, resource: &str) -> Self {
        Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
            identity: None,
        }
    }

    /// As an export has it (v1alpha2), for everything.
    #[must_use]
    pub fn all_verbs(&self) -> Value {
        let mut claim = json!({"group": self.group, "resource": self.resource, "verbs": ["*"]});
        if let Some(identity) = &self.identity {
            claim["identityHash"] = json!(identity);
        }
        claim
    }
}

/// The permission claims of the export (v1alpha2): what is taken from workspaces and returned to them, `namespaces` where
/// their labels matter, `events` where consumers are told something.
///
/// The verbs are all of them, because that is what the usual way of binding accepts, and kcp compares verbs literally. Kinds
/// that the export itself offers need no claim. A claim on a kind of another export carries the identity hash of that one.
#[must_use]
pub fn claims(publications: &Publications) -> Vec<Value> {
    let named = |kind: Kind| (kind.group, kind.plural);
    let own: BTreeSet<_> = publications
        .iter()
        .map(|it| named(it.offered().clone()))
        .collect();
    let mut wanted: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for publication in publications.iter() {
        if publication.policy().events != Events::Off {
            wanted.insert((String::new(), "events".to_owned()), None);
        }
        let kinds = publication.workspace_kinds().into_iter().map(named);
        for kind in kinds.filter(|kind| !own.contains(kind)) {
            wanted.entry(kind).or_default();
        }
        for (kind, identity) in publication.foreign_kinds() {
            wanted.insert(named(kind), Some(identity));
        }
    }
    let claim = |((group, resource), identity)| Claim {
        group,
        resource,
        identity,
    };
    let claims = wanted.into_iter().map(claim);
    claims.map(|it| it.all_verbs()).collect()
}

/// The RBAC rules that the agent needs on the service cluster.
#[must_use]
pub fn service_rules(publications: &Publications) -> Vec<Value> {
    const WRITE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
    const READ: &[&str] = &["get", "list", "watch"];
    let mut rules: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    let mut add = |kind: &Kind, subresource: &str, verbs: &[&'static str]| {
        let resource = format!("{}{subresource}", kind.plural);
        let rule = rules.entry((kind.group.clone(), resource)).or_default();
        rule.extend(verbs);
    };
    let namespaces = ObjectRef::service_namespace("").kind;
    let mut crds = BTreeSet::new();
    for publication in publications.iter() {
        let service = publication.service();
        add(service, "", WRITE);
        for kind in publication.taken_kinds() {
            add(&kind, "", WRITE);
            if kind.scope == Scope::Namespaced {
                add(&namespaces, "", &["get", "list", "watch", "create"]);
            }
        }
        for kind in publication.read_kinds() {
            add(&kind, "", READ);
        }
        for kind in publication.forwarded_kinds() {
            add(&kind, "/status", &["patch"]);
        }
        if service.scope == Scope::Namespaced {
            add(&namespaces, "", &["get", "list", "watch", "create"]);
        }
        if let Some(go_agent) = publication.go_agent() {
            // What it remembers is read, in its namespace.
            let state = ObjectRef::service_secret(&go_agent.namespace, "").kind;
            add(&state, "", &["get", "list"]);
        }
        if !service.group.is_empty() {
            crds.insert(names::resource(service));
        }
    }
    let rules = rules.into_iter().map(|((group, resource), verbs)| {
        json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
    });
    // The CRDs are followed one by one, by their names.
    let crds = (!crds.is_empty()).then(|| {
        json!({"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
            "resourceNames": crds, "verbs": READ})
    });
    rules.chain(crds).collect()
}

/// The RBAC rules that the agent needs in the provider's workspace.
#[must_use]
pub fn provider_rules(export: &str) -> Vec<Value> {
    vec![
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexports"], "resourceNames": [export],
            "verbs": ["list", "watch", "patch"]}),
        json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexportendpointslices"], "verbs": ["list", "watch"]}),
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
