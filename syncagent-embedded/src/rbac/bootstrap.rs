//! The roles and bindings that every cluster starts with.

use serde_json::{Value, json};

use super::GROUP;

/// The objects, without what only the store sets.
#[must_use]
pub fn objects() -> Vec<Value> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
    let all: Vec<&str> = READ.iter().chain(&WRITE).copied().collect();
    let urls = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let plain = [
        "configmaps",
        "events",
        "serviceaccounts",
        "services",
        "services/status",
    ];
    let roles = ["rolebindings", "roles"];
    vec![
        role(
            "cluster-admin",
            &json!([
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ]),
        ),
        role(
            "system:discovery",
            &json!([{"nonResourceURLs": urls, "verbs": ["get"]}]),
        ),
        role(
            "system:public-info-viewer",
            &json!([{"nonResourceURLs": public, "verbs": ["get"]}]),
        ),
        role(
            "system:basic-user",
            &json!([
                {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
                {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
            ]),
        ),
        aggregating("admin"),
        aggregating("edit"),
        aggregating("view"),
        aggregated(
            "view",
            "edit",
            &json!([
                {"apiGroups": [""], "resources": plain, "verbs": READ},
                {"apiGroups": [""], "resources": ["namespaces"], "verbs": READ},
                {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": READ},
            ]),
        ),
        aggregated(
            "edit",
            "admin",
            &json!([
                {"apiGroups": [""], "resources": ["secrets"], "verbs": all},
                {"apiGroups": [""], "resources": plain, "verbs": WRITE},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": all},
                {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
            ]),
        ),
        aggregated(
            "admin",
            "",
            &json!([
                {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]},
                {"apiGroups": [GROUP], "resources": roles, "verbs": all},
            ]),
        ),
        binding("cluster-admin", &["system:masters"]),
        binding("system:discovery", &["system:authenticated"]),
        binding("system:basic-user", &["system:authenticated"]),
        binding(
            "system:public-info-viewer",
            &["system:authenticated", "system:unauthenticated"],
        ),
    ]
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}

fn role(name: &str, rules: &Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": metadata(name), "rules": rules})
}

fn label(name: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{name}")
}

/// A role that is the sum of others; people extend it by labelling roles of their own.
fn aggregating(name: &str) -> Value {
    let mut whole = role(name, &Value::Null);
    whole["aggregationRule"] =
        json!({"clusterRoleSelectors": [{"matchLabels": {label(name): "true"}}]});
    match name {
        "edit" => whole["metadata"]["labels"][label("admin")] = json!("true"),
        "view" => whole["metadata"]["labels"][label("edit")] = json!("true"),
        _ => {}
    }
    whole
}

/// A part of such a role, and of the one that includes it.
fn aggregated(name: &str, also: &str, rules: &Value) -> Value {
    let mut part = role(&format!("system:aggregate-to-{name}"), rules);
    part["metadata"]["labels"][label(name)] = json!("true");
    if !also.is_empty() {
        part["metadata"]["labels"][label(also)] = json!("true");
    }
    if name == "view" {
        part["metadata"]["labels"][label("admin")] = json!("true");
    }
    part
}

fn binding(role: &str, groups: &[&str]) -> Value {
    let subjects: Vec<Value> = groups
        .iter()
        .map(|name| json!({"kind": "Group", "apiGroup": GROUP, "name": name}))
        .collect();
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": metadata(role),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}, "subjects": subjects,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::super::{Policy, What, Who};
    use super::*;

    #[test]
    fn everybody_discovers_and_nobody_else_does_more() {
        let policy = Policy::of(&objects());
        let authenticated = ["system:authenticated".to_owned()];
        let who = Who {
            name: "jane",
            groups: &authenticated,
        };
        assert_eq!(
            policy
                .allows(
                    who,
                    What::Path {
                        verb: "get",
                        path: "/api"
                    }
                )
                .as_deref(),
            Some(
                "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \"system:discovery\" to Group \"system:authenticated\""
            )
        );
        assert_eq!(policy.allows(who, of("list", "configmaps", "", "")), None);
        let unauthenticated = ["system:unauthenticated".to_owned()];
        let nobody = Who {
            name: "system:anonymous",
            groups: &unauthenticated,
        };
        assert!(
            policy
                .allows(
                    nobody,
                    What::Path {
                        verb: "get",
                        path: "/readyz"
                    }
                )
                .is_some()
        );
        assert_eq!(
            policy.allows(
                nobody,
                What::Path {
                    verb: "get",
                    path: "/api"
                }
            ),
            None
        );
    }

    #[test]
    fn viewers_see_no_secrets_and_editors_write() {
        let mut objects = objects();
        for (role, user) in [("view", "v"), ("edit", "e"), ("admin", "a")] {
            let mut bound = binding(role, &[]);
            bound["metadata"]["name"] = json!(format!("test-{role}"));
            bound["subjects"] = json!([{"kind": "User", "name": user}]);
            objects.push(bound);
        }
        let policy = Policy::of(&objects);
        let may = |name, what| policy.allows(Who { name, groups: &[] }, what).is_some();
        assert!(
            may("v", of("get", "configmaps", "n", "x"))
                && !may("v", of("get", "secrets", "n", "x"))
        );
        assert!(!may("v", of("create", "configmaps", "n", "")));
        assert!(
            may("e", of("create", "configmaps", "n", ""))
                && may("e", of("get", "configmaps", "n", "x"))
        );
        assert!(may("e", of("get", "secrets", "n", "x")));
        let roles = What::Resource {
            verb: "create",
            group: GROUP,
            resource: "roles",
            subresource: "",
            namespace: "n",
            name: "",
        };
        assert!(may("a", roles) && !may("e", roles) && may("a", of("get", "configmaps", "n", "x")));
    }
}
