//! What the engine relies on in a kcp, each fact a test.
//!
//! A real kcp was seen to behave so: in the recordings (kcp 0.32.0 and main of 2026-08-07, recorded in November 2026), or
//! when it was asked (kcp 0.32.3, in November 2026), which `tests/it/facts.rs` of the whole repository does with whatever
//! kcp it is given. `facts_are_counted` prints how many there are of each.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use serde_json::{Value, json};
use syncagent_embedded::Server;
use tower::ServiceExt as _;

/// How a fact is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// From the recordings.
    Recorded,
    /// From asking.
    Asked,
}

use Known::{Asked, Recorded};

/// The facts, by the name of their test.
const FACTS: &[(&str, Known)] = &[
    ("an_export_gets_an_identity_and_a_slice", Recorded),
    (
        "an_annotation_is_added_where_there_are_none_but_that_of_kcp",
        Asked,
    ),
    ("a_slice_has_no_endpoint_before_the_first_binding", Recorded),
    ("an_empty_export_can_be_bound_and_filled_later", Recorded),
    ("objects_of_all_consumers_show_in_the_wildcard", Recorded),
    ("reads_name_the_logical_cluster", Recorded),
    ("claimed_objects_carry_a_label_and_are_seen_by_it", Recorded),
    ("claims_are_intersected_literally", Recorded),
    ("a_claim_that_is_not_accepted_is_refused", Recorded),
    ("status_is_written_through_the_virtual_workspace", Recorded),
    ("a_failed_guard_is_422", Recorded),
    ("an_unbound_consumer_is_refused", Recorded),
    ("unbinding_waits_for_finalizers", Recorded),
    (
        "an_agent_needs_to_enter_and_content_of_the_export_only",
        Asked,
    ),
    ("a_consumer_cannot_read_another_workspace", Asked),
    ("deleting_a_workspace_waits_for_finalizers", Asked),
];

#[test]
fn facts_are_counted() {
    let count = |how| FACTS.iter().filter(|(_, known)| *known == how).count();
    let (recorded, asked) = (count(Recorded), count(Asked));
    // The README says these numbers; `cargo test facts -- --nocapture` prints them.
    #[allow(clippy::print_stdout, reason = "the count is for people")]
    {
        println!("{recorded} recorded, {asked} asked");
    }
    let source = include_str!("kcp.rs");
    for (name, _) in FACTS {
        assert!(
            source.contains(&format!("async fn {name}()")),
            "{name} has no test"
        );
    }
    let tests = source.matches("#[tokio::test").count() - 1;
    assert_eq!(tests, FACTS.len(), "every test of this file is a fact");
}

/// A kcp with a provider and two consumers, and ways to ask it.
struct World {
    kcp: Server,
    admin: String,
    provider: String,
    consumers: [String; 2],
}

const EXPORT: &str = "postgresql.cnpg.io";

impl World {
    async fn new() -> Self {
        let kcp = Server::kcp().build();
        let admin = kcp.kcp_admin();
        let provider = kcp
            .create_workspace("root:providers:database")
            .await
            .unwrap();
        let first = kcp.create_workspace("root:consumers:pg").await.unwrap();
        let second = kcp.create_workspace("root:consumers:other").await.unwrap();
        Self {
            kcp,
            admin,
            provider,
            consumers: [first, second],
        }
    }

    async fn ask_as(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        self.send(token, method, path, kind, body).await
    }

    async fn send(
        &self,
        token: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: Value,
    ) -> (u16, Value) {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(body))
            .unwrap();
        let answer = self.kcp.in_process().oneshot(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (
            code,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.ask_as(&self.admin, method, path, body).await
    }

    async fn until(&self, path: &str, done: impl Fn(&(u16, Value)) -> bool) -> Value {
        for _ in 0..2000 {
            let answer = self.ask("GET", path, Value::Null).await;
            if done(&answer) {
                return answer.1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "{path} never became so: {:?}",
            self.ask("GET", path, Value::Null).await
        );
    }

    fn apis(&self, cluster: &str, plural: &str) -> String {
        let version =
            if plural.starts_with("api") && !plural.contains("slice") && !plural.contains("schema")
            {
                "v1alpha2"
            } else {
                "v1alpha1"
            };
        format!("/clusters/{cluster}/apis/apis.kcp.io/{version}/{plural}")
    }

    /// A placeholder export, as a provider makes it by hand.
    async fn export(&self) -> Value {
        let path = self.apis("root:providers:database", "apiexports");
        let export = json!({
            "apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": {"name": EXPORT}, "spec": {},
        });
        assert_eq!(self.ask("POST", &path, export).await.0, 201);
        self.until(&format!("{path}/{EXPORT}"), |(_, e)| {
            e["status"]["identityHash"].is_string()
        })
        .await
    }

    /// Binds as `kubectl kcp bind apiexport` does: it writes the verbs `*`.
    async fn bind(&self, consumer: usize, claims: &[&str]) {
        let claims: Value = claims
            .iter()
            .map(|resource| {
                json!({
                    "group": "", "resource": resource, "verbs": ["*"], "selector": {"matchAll": true},
                    "state": "Accepted",
                })
            })
            .collect();
        let binding = json!({
            "apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding", "metadata": {"name": EXPORT},
            "spec": {
                "reference": {"export": {"path": "root:providers:database", "name": EXPORT}},
                "permissionClaims": claims,
            },
        });
        let path = self.apis(&self.consumers[consumer], "apibindings");
        let (code, answer) = self.ask("POST", &path, binding).await;
        assert_eq!(code, 201, "{answer}");
        self.until(&format!("{path}/{EXPORT}"), |(_, b)| {
            b["status"]["phase"] == "Bound"
        })
        .await;
    }

    /// What the agent does: a schema, and the export that names it, with claims.
    async fn fill(&self, claims: &[(&str, &[&str])]) {
        let schema = json!({
            "apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema",
            "metadata": {"name": "v1.clusters.postgresql.cnpg.io"},
            "spec": {
                "group": "postgresql.cnpg.io", "scope": "Namespaced",
                "names": {
                    "plural": "clusters", "singular": "cluster", "kind": "Cluster", "listKind": "ClusterList",
                },
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {"instances": {"type": "integer"}}},
                        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
                    }},
                }],
            },
        });
        let path = self.apis(&self.provider, "apiresourceschemas");
        assert_eq!(self.ask("POST", &path, schema).await.0, 201);
        let claims: Value = claims
            .iter()
            .map(|(resource, verbs)| json!({"group": "", "resource": resource, "verbs": verbs}))
            .collect();
        let patch = json!({"spec": {
            "resources": [{
                "group": "postgresql.cnpg.io", "name": "clusters", "schema": "v1.clusters.postgresql.cnpg.io",
                "storage": {"crd": {}},
            }],
            "permissionClaims": claims,
        }});
        let path = format!("{}/{EXPORT}", self.apis(&self.provider, "apiexports"));
        let (code, answer) = self.ask("PATCH", &path, patch).await;
        assert_eq!(code, 200, "{answer}");
    }

    /// Lets a user do this in the provider's workspace.
    async fn permit(&self, user: &str, rules: Value) {
        let group = "rbac.authorization.k8s.io";
        let rbac = format!("/clusters/{}/apis/{group}/v1", self.provider);
        let version = format!("{group}/v1");
        let role = json!({
            "apiVersion": version, "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules,
        });
        let binding = json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": user},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        });
        for (plural, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
            let (code, answer) = self.ask("POST", &format!("{rbac}/{plural}"), object).await;
            assert_eq!(code, 201, "{answer}");
        }
    }

    fn view(&self, cluster: &str) -> String {
        format!(
            "/services/apiexport/{}/{EXPORT}/clusters/{cluster}",
            self.provider
        )
    }

    fn clusters(&self, prefix: &str) -> String {
        format!("{prefix}/apis/postgresql.cnpg.io/v1/namespaces/default/clusters")
    }

    fn consumer(&self, n: usize) -> String {
        format!("/clusters/{}", self.consumers[n])
    }

    /// Bound by both consumers before it is filled, which is the order of the story.
    async fn ready() -> Self {
        let world = Self::new().await;
        world.export().await;
        world.bind(0, &["secrets"]).await;
        world.bind(1, &["secrets"]).await;
        world
            .fill(&[("secrets", &["*"]), ("configmaps", &["*"])])
            .await;
        for n in 0..2 {
            let path = world.clusters(&world.view(&world.consumers[n]));
            world.until(&path, |(code, _)| *code == 200).await;
            world
                .until(&world.clusters(&world.consumer(n)), |(code, _)| {
                    *code == 200
                })
                .await;
        }
        world
    }

    async fn order(&self, n: usize, finalizers: &[&str]) -> Value {
        let cluster = json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "kcp", "finalizers": finalizers}, "spec": {"instances": 1},
        });
        let (code, answer) = self
            .ask("POST", &self.clusters(&self.consumer(n)), cluster)
            .await;
        assert_eq!(code, 201, "{answer}");
        answer
    }

    async fn secret(&self, n: usize) -> Value {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kcp-postgres"}, "stringData": {"k": "v"},
        });
        let path = format!("{}/api/v1/namespaces/default/secrets", self.consumer(n));
        let (code, answer) = self.ask("POST", &path, secret).await;
        assert_eq!(code, 201, "{answer}");
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_gets_an_identity_and_a_slice() {
    let world = World::new().await;
    let export = world.export().await;
    assert_eq!(
        export["spec"]["identity"]["secretRef"],
        json!({"name": EXPORT, "namespace": "kcp-system"})
    );
    assert_eq!(export["status"]["identityHash"].as_str().unwrap().len(), 64);
    let path = format!(
        "{}/{EXPORT}",
        world.apis(&world.provider, "apiexportendpointslices")
    );
    let slice = world.until(&path, |(code, _)| *code == 200).await;
    assert_eq!(
        slice["spec"]["export"],
        json!({"name": EXPORT, "path": "root:providers:database"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_slice_has_no_endpoint_before_the_first_binding() {
    let world = World::new().await;
    world.export().await;
    let path = format!(
        "{}/{EXPORT}",
        world.apis(&world.provider, "apiexportendpointslices")
    );
    let slice = world
        .until(&path, |(_, s)| s["status"]["conditions"].is_array())
        .await;
    assert_eq!(slice["status"].get("endpoints"), None);
    world.bind(0, &[]).await;
    let slice = world
        .until(&path, |(_, s)| s["status"]["endpoints"].is_array())
        .await;
    let url = slice["status"]["endpoints"][0]["url"].as_str().unwrap();
    assert!(
        url.ends_with(&format!("/services/apiexport/{}/{EXPORT}", world.provider)),
        "{url}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_export_can_be_bound_and_filled_later() {
    let world = World::ready().await;
    let path = format!(
        "{}/{EXPORT}",
        world.apis(&world.consumers[0], "apibindings")
    );
    let binding = world
        .until(&path, |(_, b)| b["status"]["boundResources"].is_array())
        .await;
    assert_eq!(
        binding["status"]["boundResources"][0]["resource"],
        "clusters"
    );
    assert_eq!(
        binding["status"]["appliedPermissionClaims"][0]["resource"],
        "secrets"
    );
}

#[tokio::test(start_paused = true)]
async fn objects_of_all_consumers_show_in_the_wildcard() {
    let world = World::ready().await;
    world.order(0, &[]).await;
    world.order(1, &[]).await;
    let path = format!("{}/apis/postgresql.cnpg.io/v1/clusters", world.view("*"));
    let (code, list) = world.ask("GET", &path, Value::Null).await;
    assert_eq!(code, 200);
    let mut from: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            item["metadata"]["annotations"]["kcp.io/cluster"]
                .as_str()
                .unwrap()
        })
        .collect();
    let mut wanted: Vec<&str> = world.consumers.iter().map(String::as_str).collect();
    from.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(from, wanted);
}

#[tokio::test(start_paused = true)]
async fn reads_name_the_logical_cluster() {
    let world = World::ready().await;
    world.order(0, &[]).await;
    for prefix in [
        world.consumer(0),
        world.view(&world.consumers[0]),
        "/clusters/root:consumers:pg".to_owned(),
    ] {
        let (_, order) = world
            .ask(
                "GET",
                &format!("{}/kcp", world.clusters(&prefix)),
                Value::Null,
            )
            .await;
        assert_eq!(
            order["metadata"]["annotations"]["kcp.io/cluster"],
            world.consumers[0].as_str()
        );
    }
    let path = "/clusters/root:consumers:pg/apis/core.kcp.io/v1alpha1/logicalclusters/cluster";
    let (_, cluster) = world.ask("GET", path, Value::Null).await;
    assert_eq!(
        cluster["metadata"]["annotations"]["kcp.io/path"],
        "root:consumers:pg"
    );
}

#[tokio::test(start_paused = true)]
async fn claimed_objects_carry_a_label_and_are_seen_by_it() {
    let world = World::ready().await;
    let secret = world.secret(0).await;
    let labels = secret["metadata"]["labels"].as_object().unwrap();
    let label = labels
        .iter()
        .find(|(name, _)| name.starts_with("claimed.internal.apis.kcp.io/"))
        .unwrap();
    assert_eq!(label.1, "ctwrJRvMX7cX8wwk40Lz00UjJhYxPWE3TpN1lu");
    let path = format!(
        "{}/api/v1/namespaces/default/secrets/kcp-postgres",
        world.view(&world.consumers[0])
    );
    assert_eq!(world.ask("GET", &path, Value::Null).await.0, 200);
    // Without the claim the label goes, and with it the sight of the secret.
    let patch = json!({"spec": {"permissionClaims": []}});
    let binding = format!(
        "{}/{EXPORT}",
        world.apis(&world.consumers[0], "apibindings")
    );
    assert_eq!(world.ask("PATCH", &binding, patch).await.0, 200);
    let direct = format!(
        "{}/api/v1/namespaces/default/secrets/kcp-postgres",
        world.consumer(0)
    );
    let unlabelled = world
        .until(&direct, |(_, s)| s["metadata"].get("labels").is_none())
        .await;
    assert_eq!(unlabelled["metadata"]["name"], "kcp-postgres");
    let list = format!("{}/api/v1/secrets", world.view("*"));
    let (code, list) = world.ask("GET", &list, Value::Null).await;
    assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn claims_are_intersected_literally() {
    let world = World::new().await;
    world.export().await;
    world.bind(0, &["secrets"]).await;
    world.fill(&[("secrets", &["get", "list"])]).await;
    world
        .until(&world.clusters(&world.consumer(0)), |(code, _)| {
            *code == 200
        })
        .await;
    // `*` of the binding and `get` of the export have no word in common.
    let path = format!(
        "{}/api/v1/namespaces/default/secrets",
        world.view(&world.consumers[0])
    );
    assert_eq!(world.ask("GET", &path, Value::Null).await.0, 403);
    // The wildcard does not ask about verbs.
    let path = format!("{}/api/v1/secrets", world.view("*"));
    assert_eq!(world.ask("GET", &path, Value::Null).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_not_accepted_is_refused() {
    let world = World::ready().await;
    let path = format!(
        "{}/api/v1/namespaces/default/configmaps",
        world.view(&world.consumers[0])
    );
    let (code, answer) = world.ask("GET", &path, Value::Null).await;
    assert_eq!(code, 403);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .ends_with(": access denied")
    );
}

#[tokio::test(start_paused = true)]
async fn status_is_written_through_the_virtual_workspace() {
    let world = World::ready().await;
    world.order(0, &[]).await;
    let path = format!(
        "{}/kcp/status",
        world.clusters(&world.view(&world.consumers[0]))
    );
    let (code, order) = world
        .ask(
            "PATCH",
            &path,
            json!({"status": {"phase": "healthy"}, "spec": {"instances": 9}}),
        )
        .await;
    assert_eq!((code, &order["status"]["phase"]), (200, &json!("healthy")));
    assert_eq!(
        (
            &order["spec"]["instances"],
            &order["metadata"]["generation"]
        ),
        (&json!(1), &json!(1))
    );
}

/// What is answered to a JSON patch of a fresh order, through the virtual workspace.
async fn patched(world: &World, patch: Value) -> (u16, Value) {
    world.order(0, &[]).await;
    let path = format!("{}/kcp", world.clusters(&world.view(&world.consumers[0])));
    let kind = "application/json-patch+json";
    world.send(&world.admin, "PATCH", &path, kind, patch).await
}

#[tokio::test(start_paused = true)]
async fn a_failed_guard_is_422() {
    let world = World::ready().await;
    let patch = json!([{"op": "test", "path": "/metadata/uid", "value": "another"}]);
    let (code, answer) = patched(&world, patch).await;
    assert_eq!(code, 422, "{answer}");
    assert_eq!(answer["details"], json!({}));
}

/// kcp's annotation is put on when an object is read, before a patch is applied to it.
#[tokio::test(start_paused = true)]
async fn an_annotation_is_added_where_there_are_none_but_that_of_kcp() {
    let world = World::ready().await;
    let patch = json!([{"op": "add", "path": "/metadata/annotations/mine", "value": "1"}]);
    let (code, answer) = patched(&world, patch).await;
    assert_eq!(code, 200, "{answer}");
    let annotations = json!({"kcp.io/cluster": world.consumers[0], "mine": "1"});
    assert_eq!(answer["metadata"]["annotations"], annotations);
}

#[tokio::test(start_paused = true)]
async fn an_unbound_consumer_is_refused() {
    let world = World::new().await;
    world.export().await;
    world.bind(0, &[]).await;
    world.fill(&[]).await;
    world
        .until(
            &world.clusters(&world.view(&world.consumers[0])),
            |(code, _)| *code == 200,
        )
        .await;
    let (code, _) = world
        .ask(
            "GET",
            &world.clusters(&world.view(&world.consumers[1])),
            Value::Null,
        )
        .await;
    assert_eq!(code, 403);
}

#[tokio::test(start_paused = true)]
async fn unbinding_waits_for_finalizers() {
    let world = World::ready().await;
    world.order(0, &["agent.example.io/hold"]).await;
    let binding = format!(
        "{}/{EXPORT}",
        world.apis(&world.consumers[0], "apibindings")
    );
    assert_eq!(world.ask("DELETE", &binding, Value::Null).await.0, 200);
    // The agent still reaches the order, which is being deleted.
    let order = format!("{}/kcp", world.clusters(&world.view(&world.consumers[0])));
    world
        .until(&order, |(_, o)| {
            o["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    assert_eq!(world.ask("GET", &binding, Value::Null).await.0, 200);
    let (code, _) = world
        .ask("PATCH", &order, json!({"metadata": {"finalizers": null}}))
        .await;
    assert_eq!(code, 200);
    world.until(&binding, |(code, _)| *code == 404).await;
    world
        .until(&world.clusters(&world.consumer(0)), |(code, _)| {
            *code == 404
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_needs_to_enter_and_content_of_the_export_only() {
    let world = World::ready().await;
    world.order(0, &[]).await;
    let enter = json!({"nonResourceURLs": ["/"], "verbs": ["access"]});
    let content = json!({
        "apiGroups": ["apis.kcp.io"], "resources": ["apiexports/content"], "resourceNames": [EXPORT],
        "verbs": ["*"],
    });
    let path = world.clusters(&world.view(&world.consumers[0]));
    for (name, rules, code) in [
        ("nobody", vec![], 403),
        ("visitor", vec![enter.clone()], 403),
        ("outsider", vec![content.clone()], 403),
        ("agent", vec![enter, content], 200),
    ] {
        let user = world.kcp.user(name, &[]);
        world.permit(name, json!(rules)).await;
        let answer = world.ask_as(&user, "GET", &path, Value::Null).await;
        assert_eq!(answer.0, code, "{name}: {answer:?}");
        let own = world.clusters(&world.consumer(0));
        let answer = world.ask_as(&user, "GET", &own, Value::Null).await;
        assert_eq!(answer.0, 403, "{name}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_cannot_read_another_workspace() {
    let world = World::ready().await;
    let secret = world.secret(0).await;
    let owner = world.kcp.user("owner-of-the-other", &[]);
    let rbac = format!(
        "{}/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        world.consumer(1)
    );
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "owner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "owner-of-the-other"}],
    });
    assert_eq!(world.ask("POST", &rbac, binding).await.0, 201);
    let name = secret["metadata"]["name"].as_str().unwrap();
    let own = format!("{}/api/v1/namespaces/default/secrets", world.consumer(1));
    assert_eq!(world.ask_as(&owner, "GET", &own, Value::Null).await.0, 200);
    let other = format!(
        "{}/api/v1/namespaces/default/secrets/{name}",
        world.consumer(0)
    );
    assert_eq!(
        world.ask_as(&owner, "GET", &other, Value::Null).await.0,
        403
    );
}

#[tokio::test(start_paused = true)]
async fn deleting_a_workspace_waits_for_finalizers() {
    let world = World::ready().await;
    world.order(0, &["agent.example.io/hold"]).await;
    let workspace = "/clusters/root:consumers/apis/tenancy.kcp.io/v1alpha1/workspaces/pg";
    assert_eq!(world.ask("DELETE", workspace, Value::Null).await.0, 200);
    let order = format!("{}/kcp", world.clusters(&world.view(&world.consumers[0])));
    world
        .until(&order, |(_, o)| {
            o["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    assert_eq!(world.ask("GET", workspace, Value::Null).await.0, 200);
    let (code, _) = world
        .ask("PATCH", &order, json!({"metadata": {"finalizers": null}}))
        .await;
    assert_eq!(code, 200);
    world.until(workspace, |(code, _)| *code == 404).await;
}
