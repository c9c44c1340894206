//! A kcp of two shards, as an agent sees it.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use serde_json::{Value, json};
use syncagent_embedded::{InProcess, Server};
use tower::ServiceExt as _;

const EXPORT: &str = "things.example.io";
const THINGS: &str = "/apis/example.io/v1/things";

/// A provider on `root`, a consumer on `root` and one on `blue`, both bound.
struct World {
    kcp: Server,
    client: InProcess,
    provider: String,
    root: String,
    blue: String,
}

impl World {
    async fn new() -> Self {
        let kcp = Server::kcp().shards(&["blue"]).build();
        let client = kcp.in_process().as_user(&kcp.kcp_admin());
        let provider = kcp.create_workspace("root:provider").await.unwrap();
        let root = kcp.create_workspace("root:one").await.unwrap();
        let mut world = Self {
            kcp,
            client,
            provider,
            root,
            blue: String::new(),
        };
        world.blue = world.workspace_on("two", "blue").await;
        world.publish().await;
        for cluster in [&world.root, &world.blue] {
            world.bind(cluster).await;
            let thing = json!({"apiVersion": "example.io/v1", "kind": "Thing",
                "metadata": {"name": "a"}, "spec": {"size": 1}});
            let at = format!("/clusters/{cluster}/apis/example.io/v1/namespaces/default/things");
            assert_eq!(world.ask("POST", &at, thing).await.0, 201);
        }
        world
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(Full::new(body))
            .unwrap();
        let answer = self.client.clone().oneshot(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(method, path, "application/json", body).await
    }

    async fn until<T>(&self, path: &str, found: impl Fn(&Value) -> Option<T>) -> T {
        for _ in 0..2000 {
            if let Some(found) = found(&self.ask("GET", path, Value::Null).await.1) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{path} never became so");
    }

    async fn workspace_on(&self, name: &str, shard: &str) -> String {
        let at = "/clusters/root/apis/tenancy.kcp.io/v1alpha1/workspaces";
        let workspace = json!({"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace",
            "metadata": {"name": name},
            "spec": {"location": {"selector": {"matchLabels": {"name": shard}}}}});
        assert_eq!(self.ask("POST", at, workspace).await.0, 201);
        self.until(&format!("{at}/{name}"), |w| {
            (w["status"]["phase"] == "Ready").then(|| w["spec"]["cluster"].as_str().unwrap().into())
        })
        .await
    }

    async fn publish(&self) {
        let home = format!("/clusters/{}/apis/apis.kcp.io", self.provider);
        let schema = json!({"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema",
            "metadata": {"name": "v1.things.example.io"},
            "spec": {"group": "example.io", "scope": "Namespaced",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
                "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}]}});
        let at = format!("{home}/v1alpha1/apiresourceschemas");
        assert_eq!(self.ask("POST", &at, schema).await.0, 201);
        let export = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport",
            "metadata": {"name": EXPORT},
            "spec": {"resources": [{"group": "example.io", "name": "things",
                "schema": "v1.things.example.io", "storage": {"crd": {}}}]}});
        let at = format!("{home}/v1alpha2/apiexports");
        assert_eq!(self.ask("POST", &at, export).await.0, 201);
    }

    async fn bind(&self, cluster: &str) {
        let at = format!("/clusters/{cluster}/apis/apis.kcp.io/v1alpha2/apibindings");
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding",
            "metadata": {"name": "things"},
            "spec": {"reference": {"export": {"path": "root:provider", "name": EXPORT}}}});
        self.until(
            &format!(
                "/clusters/{}/apis/apis.kcp.io/v1alpha2/apiexports/{EXPORT}",
                self.provider
            ),
            |e| e["status"]["identityHash"].as_str().map(drop),
        )
        .await;
        let (code, body) = self.ask("POST", &at, binding).await;
        assert_eq!(code, 201, "{body}");
        self.until(&format!("{at}/things"), |b| {
            (b["status"]["phase"] == "Bound").then_some(())
        })
        .await;
    }

    /// The paths of the endpoints, once there are so many.
    async fn endpoints(&self, count: usize) -> Vec<String> {
        let at = format!(
            "/clusters/{}/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/{EXPORT}",
            self.provider
        );
        self.until(&at, |slice| {
            let urls = slice["status"]["endpoints"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let paths = urls.iter().map(|e| {
                let url: http::Uri = e["url"].as_str().unwrap().parse().unwrap();
                url.path().to_owned()
            });
            (urls.len() == count).then(|| paths.collect())
        })
        .await
    }

    /// Where things are at an endpoint, and the version of the list.
    async fn seen(&self, endpoint: &str) -> (Vec<String>, u64) {
        let (code, list) = self
            .ask(
                "GET",
                &format!("{endpoint}/clusters/*{THINGS}"),
                Value::Null,
            )
            .await;
        assert_eq!(code, 200, "{list}");
        let clusters = list["items"].as_array().unwrap().iter().map(|item| {
            item["metadata"]["annotations"]["kcp.io/cluster"]
                .as_str()
                .unwrap()
                .to_owned()
        });
        let version = list["metadata"]["resourceVersion"].as_str().unwrap();
        (clusters.collect(), version.parse().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn each_shard_shows_its_own_workspaces_at_its_own_url_in_its_own_versions() {
    let world = World::new().await;
    let urls = world.endpoints(2).await;
    assert!(!urls[0].starts_with("/shards/"));
    assert!(urls[1].starts_with("/shards/blue/services/apiexport/"));
    let (root, blue) = (world.seen(&urls[0]).await, world.seen(&urls[1]).await);
    assert_eq!(root.0, std::slice::from_ref(&world.root));
    assert_eq!(blue.0, std::slice::from_ref(&world.blue));
    assert!(blue.1 > root.1 + 1_000_000, "{blue:?} {root:?}");

    // A version of one shard is none of the other's.
    let watch = |url: &str, version: u64| {
        format!("{url}/clusters/*{THINGS}?watch=1&timeoutSeconds=1&resourceVersion={version}")
    };
    let ended = world
        .ask("GET", &watch(&urls[1], root.1), Value::Null)
        .await
        .1;
    assert_eq!(ended["object"]["code"], 410, "{ended}");

    // A workspace is refused at the other's URL, and served at its own, where versions go round.
    let at = |url: &str, cluster: &str| {
        format!("{url}/clusters/{cluster}/apis/example.io/v1/namespaces/default/things/a")
    };
    assert_eq!(
        world
            .ask("GET", &at(&urls[0], &world.blue), Value::Null)
            .await
            .0,
        403
    );
    let thing = world
        .ask("GET", &at(&urls[1], &world.blue), Value::Null)
        .await
        .1;
    let version = thing["metadata"]["resourceVersion"].clone();
    assert!(version.as_str().unwrap().parse::<u64>().unwrap() > 1_000_000);
    for guard in [version, json!("7")] {
        let stale = guard == "7";
        let patch = json!({"metadata": {"resourceVersion": guard}, "spec": {"size": 2}});
        let kind = "application/merge-patch+json";
        let (code, body) = world
            .send("PATCH", &at(&urls[1], &world.blue), kind, patch)
            .await;
        assert_eq!(code, if stale { 409 } else { 200 }, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_can_be_away_alone() {
    let world = World::new().await;
    let urls = world.endpoints(2).await;
    world.kcp.faults().shard_outage("blue", true);
    let (code, _) = world
        .ask(
            "GET",
            &format!("{}/clusters/*{THINGS}", urls[1]),
            Value::Null,
        )
        .await;
    assert_eq!(code, 503);
    world.seen(&urls[0]).await;
    world.endpoints(2).await;
    world.kcp.faults().shard_outage("blue", false);
    world.seen(&urls[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_workspace_moves_with_its_objects_in_new_versions_and_nobody_hears_of_a_deletion() {
    let world = World::new().await;
    let urls = world.endpoints(2).await;
    let moving = world
        .kcp
        .move_cluster(&world.root, "blue", Duration::from_secs(5));
    let probe = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let at = format!("/clusters/{}{THINGS}", world.root);
        assert_eq!(world.ask("GET", &at, Value::Null).await.0, 503);
        let at = format!("{}/clusters/*{THINGS}", urls[0]);
        let list = world.ask("GET", &at, Value::Null).await.1;
        assert_eq!(list["items"], json!([]), "it is on no shard");
        assert_eq!(
            world.seen(&urls[1]).await.0,
            std::slice::from_ref(&world.blue)
        );
    };
    tokio::join!(moving, probe);
    let left = world.endpoints(1).await;
    assert_eq!(left[0], urls[1]);
    let mut both = vec![world.root.clone(), world.blue.clone()];
    both.sort();
    let mut seen = world.seen(&urls[1]).await.0;
    seen.sort();
    assert_eq!(seen, both);
    let at = format!(
        "{}/clusters/{}/apis/example.io/v1/namespaces/default/things/a",
        urls[1], world.root
    );
    let thing = world.ask("GET", &at, Value::Null).await.1;
    let version = thing["metadata"]["resourceVersion"].as_str().unwrap();
    assert!(version.parse::<u64>().unwrap() > 1_000_000, "{version}");
}
