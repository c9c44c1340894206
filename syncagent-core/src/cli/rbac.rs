//! `syncagent rbac`: what the agent must be allowed to do, as objects to apply.
//!
//! What does not depend on what is published is what the chart of the Go agent grants. For published and related kinds the
//! rules follow from `PublishedResource` objects in files, and from CRDs beside them, which know the plurals.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access::program::{
    cluster_rules, default_rules, export_rules, handback_rules, kind_rule, namespace_rules,
    slice_rules,
};
use crate::api::published_resource::{CoreKind, Origin, PublishedResource, Related};
use crate::definition::{Kind, Scope};

/// Whose access is meant.
#[derive(Clone, Debug, clap::Args)]
pub struct Rbac {
    /// The namespace that the agent runs in.
    #[arg(long, value_name = "NAME")]
    pub namespace: String,
    /// The service account that it runs as.
    #[arg(long, value_name = "NAME", default_value = "syncagent")]
    pub service_account: String,
    /// The name of the APIExportEndpointSlice.
    #[arg(long, value_name = "NAME", required_unless_present = "handback")]
    pub apiexportendpointslice_ref: Option<String>,
    /// The name of the APIExport; without it, that of the slice.
    #[arg(long, value_name = "NAME")]
    pub apiexport: Option<String>,
    /// Who the agent is in the kcp.
    #[arg(long, value_name = "NAME", default_value = "syncagent")]
    pub kcp_user: String,
    /// Print only what `syncagent handback` takes beyond the rest: to be applied before, and deleted after.
    #[arg(long)]
    pub handback: bool,
    /// Files with the PublishedResources, and with the CustomResourceDefinitions of their kinds; `-` is the standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
}

/// The objects, each with a comment.
pub(crate) fn objects(of: &Rbac, documents: &[Value]) -> Vec<(&'static str, Value)> {
    let slice = of.apiexportendpointslice_ref.as_deref().unwrap_or_default();
    let export = of.apiexport.as_deref().unwrap_or(slice);
    let account =
        json!({"kind": "ServiceAccount", "name": of.service_account, "namespace": of.namespace});
    let user =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": of.kcp_user});
    let kinds = kinds(documents);
    let cluster: Vec<Value> = cluster_rules()
        .into_iter()
        .chain(kinds.iter().map(kind_rule))
        .collect();
    let mut all = Vec::new();
    let mut grant =
        |comment, namespace: Option<&str>, name: &str, rules: Vec<Value>, who: &Value| {
            let (role, binding) = match namespace {
                Some(_) => ("Role", "RoleBinding"),
                None => ("ClusterRole", "ClusterRoleBinding"),
            };
            let object = |kind: &str| {
                let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": name}});
                if let Some(namespace) = namespace {
                    object["metadata"]["namespace"] = namespace.into();
                }
                object
            };
            let mut granted = object(role);
            granted["rules"] = rules.into();
            let mut bound = object(binding);
            bound["roleRef"] =
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name});
            bound["subjects"] = json!([who]);
            all.push((comment, granted));
            all.push(("", bound));
        };
    let own = Some(of.namespace.as_str());
    if of.handback {
        grant(
            "On the service cluster, for `syncagent handback`; the agent does without.",
            own,
            "syncagent-handback",
            handback_rules(),
            &account,
        );
        return all;
    }
    grant(
        "On the service cluster.",
        own,
        "syncagent",
        namespace_rules(),
        &account,
    );
    // Under a name of its own, for the agent may run in this namespace.
    grant(
        "",
        Some("default"),
        "syncagent-events",
        default_rules(),
        &account,
    );
    grant("", None, "syncagent", cluster, &account);
    grant(
        "In the workspace of the APIExport.",
        None,
        "syncagent-export",
        export_rules(export),
        &user,
    );
    grant(
        "In the workspace of the APIExportEndpointSlice.",
        None,
        "syncagent-slice",
        slice_rules(slice),
        &user,
    );
    all
}

/// The kinds on the service cluster whose objects are made, changed and deleted there, each once.
fn kinds(documents: &[Value]) -> Vec<Kind> {
    let mut found = BTreeMap::new();
    let kind = |group: &str, kind: &str, plural: &str| Kind {
        group: group.to_owned(),
        version: String::new(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        scope: Scope::Namespaced,
    };
    for document in documents
        .iter()
        .filter(|it| it["kind"] == "PublishedResource")
    {
        let Ok(pr) = serde_json::from_value::<PublishedResource>(document.clone()) else {
            continue;
        };
        let resource = &pr.spec.resource;
        let plural = plural(documents, &resource.api_group, &resource.kind);
        let all = std::iter::once(kind(&resource.api_group, &resource.kind, &plural));
        let related = pr.related().iter().filter_map(on_the_service_cluster);
        for it in all.chain(related.map(|(group, plural)| kind(&group, "", &plural))) {
            found.insert((it.group.clone(), it.plural.clone()), it);
        }
    }
    found.into_values().collect()
}

/// The plural of a kind, as its CRD says it; without one, as kinds are mostly called.
fn plural(documents: &[Value], group: &str, kind: &str) -> String {
    let mut crds = documents
        .iter()
        .filter(|it| it["kind"] == "CustomResourceDefinition");
    let crd = crds.find(|it| it["spec"]["group"] == group && it["spec"]["names"]["kind"] == kind);
    let known = crd.and_then(|it| it["spec"]["names"]["plural"].as_str());
    known.map_or_else(|| format!("{}s", kind.to_lowercase()), str::to_owned)
}

fn on_the_service_cluster(related: &Related) -> Option<(String, String)> {
    let said = |it: Option<&String>| it.filter(|it| !it.is_empty()).cloned();
    let (group, resource) = match related.kind {
        Some(CoreKind::ConfigMap) => (String::new(), "configmaps".to_owned()),
        Some(CoreKind::Secret) => (String::new(), "secrets".to_owned()),
        None => (
            related.group.clone().unwrap_or_default(),
            said(related.resource.as_ref())?,
        ),
    };
    let there = related.projection.as_ref();
    let there = there.filter(|_| related.origin == Origin::Kcp);
    Some((
        there
            .and_then(|it| said(it.group.as_ref()))
            .unwrap_or(group),
        there
            .and_then(|it| said(it.resource.as_ref()))
            .unwrap_or(resource),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_follow_from_what_is_published() {
        let of = Rbac {
            namespace: "kcp-system".into(),
            service_account: "agent".into(),
            apiexportendpointslice_ref: Some("databases".into()),
            apiexport: None,
            kcp_user: "agent".into(),
            handback: false,
            files: Vec::new(),
        };
        let pr = json!({"kind": "PublishedResource", "metadata": {"name": "a"}, "spec": {
            "resource": {"apiGroup": "example.io", "kind": "Proxy"},
            "related": [{"identifier": "a", "origin": "kcp", "kind": "Secret"},
                {"identifier": "b", "origin": "kcp", "group": "g.io", "version": "v1", "resource": "xs",
                    "projection": {"group": "h.io"}}]}});
        let crd = json!({"kind": "CustomResourceDefinition", "spec": {"group": "example.io",
            "names": {"kind": "Proxy", "plural": "proxies"}}});
        let told = |documents: &[Value]| -> Vec<String> {
            let kinds = kinds(documents).into_iter();
            kinds
                .map(|it| format!("{}/{}", it.group, it.plural))
                .collect()
        };
        assert_eq!(
            told(std::slice::from_ref(&pr)),
            ["/secrets", "example.io/proxys", "h.io/xs"]
        );
        assert_eq!(
            told(&[pr.clone(), crd.clone()]),
            ["/secrets", "example.io/proxies", "h.io/xs"]
        );
        let all = objects(&of, &[pr, crd]);
        let kinds: Vec<_> = all
            .iter()
            .map(|(_, it)| it["kind"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "Role",
                "RoleBinding",
                "Role",
                "RoleBinding",
                "ClusterRole",
                "ClusterRoleBinding",
                "ClusterRole",
                "ClusterRoleBinding",
                "ClusterRole",
                "ClusterRoleBinding"
            ]
        );
        let rules = all[4].1["rules"].as_array().unwrap();
        assert_eq!(rules.last().unwrap()["resources"], json!(["xs"]));
        assert_eq!(all[6].1["rules"][1]["resourceNames"], json!(["databases"]));
    }
}
