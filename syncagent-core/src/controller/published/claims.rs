//! What an export claims for a `PublishedResource`: what the Go agent claims for it, so that an export that was filled by
//! the one needs no write by the other.
//!
//! | the object | the claim |
//! | --- | --- |
//! | filters by labels of namespaces | `namespaces` |
//! | has workspace paths | `logicalclusters` of `core.kcp.io` |
//! | has a related entry | `namespaces`, and the resource of that entry as workspaces have it |
//!
//! `events` are claimed always, and what the export offers itself never: whoever fills the export sees to both.

use crate::access::Claim;
use crate::api::published_resource::{CoreKind, Origin, PublishedResource, Related};

/// The claims of an object.
pub(super) fn of(pr: &PublishedResource) -> Vec<Claim> {
    let mut claims = Vec::new();
    let filter = pr.spec.filter.as_ref();
    if filter.is_some_and(|it| it.namespace.is_some()) {
        claims.push(Claim::of("", "namespaces"));
    }
    if pr.spec.enable_workspace_paths == Some(true) {
        claims.push(Claim::of("core.kcp.io", "logicalclusters"));
    }
    for related in pr.related() {
        claims.push(Claim::of("", "namespaces"));
        claims.extend(in_workspaces(related));
    }
    claims.sort();
    claims.dedup();
    claims
}

/// The resource of a related entry as workspaces have it; `None` where none is named.
fn in_workspaces(related: &Related) -> Option<Claim> {
    let said = |it: Option<&String>| it.filter(|it| !it.is_empty()).cloned();
    let (mut group, mut resource) = match related.kind {
        Some(CoreKind::ConfigMap) => (String::new(), "configmaps".to_owned()),
        Some(CoreKind::Secret) => (String::new(), "secrets".to_owned()),
        None => (
            related.group.clone().unwrap_or_default(),
            said(related.resource.as_ref())?,
        ),
    };
    if related.origin == Origin::Service
        && let Some(projection) = &related.projection
    {
        // The core group cannot be said: what is empty stays as it is.
        group = said(projection.group.as_ref()).unwrap_or(group);
        resource = said(projection.resource.as_ref()).unwrap_or(resource);
    }
    Some(Claim {
        identity: said(related.identity_hash.as_ref()),
        ..Claim::of(&group, &resource)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims(spec: Value) -> Vec<String> {
        let mut spec = spec;
        spec["resource"] = json!({"apiGroup": "example.io", "kind": "Thing"});
        let pr = json!({"metadata": {"name": "a"}, "spec": spec});
        let pr: PublishedResource = serde_json::from_value(pr).unwrap();
        let lines = of(&pr).into_iter().map(|it| {
            let identity = it.identity.map(|it| format!(" {it}")).unwrap_or_default();
            format!("{}/{}{identity}", it.group, it.resource)
        });
        lines.collect()
    }

    #[test]
    fn each_part_of_an_object_claims_what_it_needs() {
        let none: Vec<String> = Vec::new();
        assert_eq!(claims(json!({})), none);
        assert_eq!(claims(json!({"filter": {"resource": {}}})), none);
        assert_eq!(
            claims(json!({"filter": {"namespace": {}}})),
            ["/namespaces"]
        );
        assert_eq!(
            claims(json!({"enableWorkspacePaths": true})),
            ["core.kcp.io/logicalclusters"]
        );
        assert_eq!(
            claims(
                json!({"related": [{"identifier": "a", "origin": "kcp", "kind": "Secret"},
                {"identifier": "b", "origin": "service", "kind": "ConfigMap"}]})
            ),
            ["/configmaps", "/namespaces", "/secrets"]
        );
    }

    #[test]
    fn a_related_resource_is_claimed_as_workspaces_have_it() {
        let related = |origin: &str| {
            json!({"related": [{"identifier": "a", "origin": origin, "group": "g.io", "version": "v1",
                "resource": "things", "identityHash": "abc", "projection": {"group": "h.io", "resource": "others"}}]})
        };
        assert_eq!(claims(related("kcp")), ["/namespaces", "g.io/things abc"]);
        assert_eq!(
            claims(related("service")),
            ["/namespaces", "h.io/others abc"]
        );
    }
}
