//! What publications say in their less usual words, against servers.

use serde_json::{Value, json};
use syncagent::Definition;
use syncagent_core::definition::{
    Find, Kind, MadeStatus, NamespaceRule, Policy, ReadRule, RelatedRule, Side,
};

use crate::stage::{Stage, gone, install, play, there};
use crate::things;
use crate::world::{Workspace, World, change, created, eventually, skipped, status};

const APIS: &str = "/apis/apis.kcp.io";

/// Another provider's export of a kind, made by hand; says its identity.
async fn other_export(provider: &Workspace, name: &str, kind: &Kind) -> String {
    let crd = &things::crd(kind)["spec"];
    let mut version = crd["versions"][0].clone();
    version["schema"] = version["schema"]["openAPIV3Schema"].clone();
    let schema = format!("v1.{}.{}", kind.plural, kind.group);
    let path = format!("{APIS}/v1alpha1/apiresourceschemas");
    let body = json!({"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema",
        "metadata": {"name": schema},
        "spec": {"group": kind.group, "scope": crd["scope"], "names": crd["names"], "versions": [version]}});
    created(provider.api.post(&path, &body).await);
    let path = format!("{APIS}/v1alpha2/apiexports");
    let body = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport",
        "metadata": {"name": name},
        "spec": {"resources": [{"group": kind.group, "name": kind.plural, "schema": schema,
            "storage": {"crd": {}}}]}});
    created(provider.api.post(&path, &body).await);
    let path = format!("{path}/{name}");
    eventually("the export has an identity", || async {
        let export = provider.api.get(&path).await.unwrap().body;
        Some(export["status"]["identityHash"].as_str()?.to_owned())
    })
    .await
}

/// A kind that another export offers is told apart by that export's identity: it is claimed so, and goes down with the
/// order that names it, its status too.
#[test]
fn an_object_of_another_export_goes_down_with_the_order() {
    play(|| async {
        let (thing, bucket) = (things::kind("Thing"), things::kind("Bucket"));
        let world = World::new().await;
        let other = world.workspace("other").await;
        let export = "buckets.example.io";
        let identity = other_export(&other, export, &bucket).await;
        install(&world.service(), &things::service_crd(&bucket)).await;
        let named = Find::reference("spec.note");
        let buckets = RelatedRule {
            identity: Some(identity.clone()),
            status: true,
            ..RelatedRule::new("buckets", Side::Workspace, bucket.clone(), named)
        };
        let definition = Definition {
            related: vec![buckets],
            ..things::plain("Thing")
        };
        let mut stage = Stage::running_in(world, vec![definition]).await;
        let claims = stage.exported().await["spec"]["permissionClaims"].clone();
        let claims = claims.as_array().unwrap();
        let ours = claims
            .iter()
            .find(|it| it["resource"] == "buckets")
            .unwrap();
        assert_eq!(ours["identityHash"], *identity);

        let workspace = stage.world.workspace("consumer").await;
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding",
            "metadata": {"name": "buckets"},
            "spec": {"reference": {"export": {"path": other.canonical, "name": export}}}});
        let path = format!("{APIS}/v1alpha2/apibindings");
        created(workspace.api.post(&path, &binding).await);
        eventually("the workspace serves buckets", || async {
            let list = workspace.api.get(&things::collection(&bucket)).await;
            list.unwrap().is_success().then_some(())
        })
        .await;
        let consumer = stage.bound(workspace).await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "one"}))
            .await;
        // It is made late.
        consumer
            .there(&thing, "a", |it| things::condition(it)["status"] == "False")
            .await;
        consumer.order(&bucket, "one", &json!({"size": 3})).await;
        let at = things::path(&bucket, "default", "one");
        status(&consumer.api, &at, &json!({"phase": "full"})).await;
        let (service, cluster) = (&stage.service, &consumer.cluster);
        there(service, &bucket, cluster, "one.buckets", |it| {
            it["spec"]["size"] == 3 && it["status"]["phase"] == "full"
        })
        .await;
        consumer.there(&thing, "a", things::synced).await;
        change(&consumer.api, &at, &json!({"spec": {"size": 4}})).await;
        there(service, &bucket, cluster, "one.buckets", |it| {
            it["spec"]["size"] == 4
        })
        .await;
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        gone(service, &bucket, cluster, "one.buckets").await;
        stage.calm().await;
        let left = consumer.get(&bucket, "one").await.body;
        assert_eq!(left["metadata"].get("finalizers"), None);
        stage.stop().await;
    });
}

#[test]
fn without_a_condition_of_ours_an_order_shows_what_the_service_says_and_nothing_else() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut policy = Policy::derived();
        policy.conditions = false;
        let definition = Definition {
            policy,
            ..things::plain("Thing")
        };
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "a").await;
        stage.calm().await;
        let status_writes = || {
            let asked = stage.requests();
            asked
                .iter()
                .filter(|it| it.contains("things/status"))
                .count()
        };
        assert_eq!(status_writes(), 0);
        assert_eq!(consumer.get(&thing, "a").await.body.get("status"), None);
        let at = things::path(&thing, &consumer.cluster, "a");
        status(&stage.service, &at, &json!({"phase": "up"})).await;
        let order = consumer
            .there(&thing, "a", |it| it["status"]["phase"] == "up")
            .await;
        assert_eq!(order["status"], json!({"phase": "up"}));
        // The provider hears all the same of what the service does not take.
        consumer.order(&thing, "b", &json!({"size": 1000})).await;
        let handle = stage.handle.clone().unwrap();
        let stuck = eventually("the order is listed", || async {
            handle.stuck().into_iter().next()
        })
        .await;
        assert_eq!(stuck.order.name, "b");
        stage.calm().await;
        assert_eq!(consumer.get(&thing, "b").await.body.get("status"), None);
        stage.stop().await;
    });
}

/// Each change of what a function looks at costs one GET of it, one of the copy, and one write.
#[test]
fn a_status_that_is_made_costs_what_its_documentation_says() {
    play(|| async {
        let thing = things::kind("Thing");
        let definition = Definition {
            made_status: Some(MadeStatus {
                reads: vec![ReadRule {
                    kind: things::core("Service"),
                    name: "{copy.name}-rw".into(),
                }],
                make: |sources| {
                    let service = sources.read(|_| true)?;
                    let ip = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
                    (!ip.is_null()).then(|| json!({"phase": ip}))
                },
            }),
            ..things::plain("Thing")
        };
        let mut stage = Stage::running(vec![definition]).await;
        if stage.service.get("/api/v1/services").await.unwrap().code == 404 {
            return skipped("a workspace that stands in for a service cluster has no Services");
        }
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.service(&consumer, "a-rw").await;
        let shown = |ip: &'static str| move |it: &Value| it["status"]["phase"] == ip;
        for ip in ["10.0.0.1", "10.0.0.2"] {
            stage.calm().await;
            stage.forget();
            stage.address(&consumer, "a-rw", ip).await;
            consumer.there(&thing, "a", shown(ip)).await;
            stage.calm().await;
            stage.asked_in_any_order(&[
                "kcp patch things/status a",
                "service get services a-rw",
                "service get things a",
            ]);
        }
        stage.stop().await;
    });
}

#[test]
fn namespaces_carry_what_a_publication_sets() {
    play(|| async {
        let thing = things::kind("Thing");
        let definition = Definition {
            namespaces: NamespaceRule {
                labels: vec![("example.io/tenant".into(), "{workspace}".into())],
                annotations: vec![("example.io/why".into(), "orders".into())],
            },
            ..things::plain("Thing")
        };
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "a").await;
        let path = format!("/api/v1/namespaces/{}", consumer.cluster);
        let metadata = stage.service.get(&path).await.unwrap().body["metadata"].clone();
        assert_eq!(metadata["labels"]["example.io/tenant"], consumer.cluster);
        assert_eq!(metadata["annotations"]["example.io/why"], "orders");
        stage.stop().await;
    });
}
