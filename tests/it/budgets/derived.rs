//! What the derived types of the story cost: line by line the same as the definition that is written by hand
//! (`related::two_taken_secrets_and_a_composed_one_line_by_line`).

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use syncagent::{Condition, LocalObjectReference, Publish, PublishPart, PublishStatus, View};
use syncagent_core::definition::{Definition, SchemaSource};

use crate::stage::{CRDS, Stage, gone, play, there};
use crate::things;
use crate::world::{World, change, skipped_for, status};

/// A PostgreSQL cluster, as in `examples/cnpg`.
#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "postgresql.cnpg.io", version = "v1", kind = "Cluster")]
#[kube(namespaced, status = "ClusterStatus")]
#[publish(copy = "{workspace}/{name}", only(namespaces = ["default"]))]
#[publish(returns(Secret, id = "connection", reads(Service, name = "{copy.name}-rw"), with = connection))]
#[serde(rename_all = "camelCase")]
struct ClusterSpec {
    instances: i32,
    #[publish(nested)]
    bootstrap: Bootstrap,
    #[publish(takes(Secret, label(key = "cnpg.io/reload", value = "true")))]
    superuser_secret: Option<LocalObjectReference>,
}

#[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Bootstrap {
    #[publish(nested)]
    initdb: InitDb,
}

#[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct InitDb {
    database: String,
    #[publish(takes(Secret, label(key = "cnpg.io/reload", value = "true")))]
    secret: LocalObjectReference,
}

#[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ClusterStatus {
    phase: Option<String>,
    conditions: Option<Vec<Condition>>,
}

fn connection(order: &View<Cluster>) -> Option<Secret> {
    let service: Service = order.read()?;
    let host = service.status?.load_balancer?.ingress?.pop()?.ip?;
    let login: Secret = order.taken("spec.bootstrap.initdb.secret")?;
    let password = login.data?.remove("password")?;
    let secret = json!({"stringData": {"host": host}, "data": {"password": password}});
    serde_json::from_value(secret).ok()
}

/// The stage with the derived kind on the service cluster.
async fn stage(definition: Definition) -> Stage {
    let SchemaSource::Type(crd) = &definition.schema else {
        panic!("a derived definition says its own schema: {definition:?}");
    };
    let spec: Value = crd["spec"].clone();
    let mut stage = Stage::set(vec![definition]).await;
    let crd = format!("{CRDS}/clusters.postgresql.cnpg.io");
    change(&stage.service, &crd, &json!({"spec": spec})).await;
    stage.export(&json!({})).await;
    stage.start();
    stage.filled().await;
    stage
}

#[test]
fn the_storys_own_types_cost_what_is_written_by_hand() {
    if World::is_real() {
        return skipped_for(
            "its kind is CloudNativePG's own, and the service cluster is shared",
            "it would take a service cluster of its own",
        );
    }
    play(|| async {
        let definition = <Cluster as syncagent_core::typed::Publish>::definition();
        let kind = definition.offered.clone();
        let secret = things::core("Secret");
        let mut stage = stage(definition).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("app", "one").await;
        consumer.secret("root", "two").await;
        stage.calm().await;

        stage.forget();
        let spec = json!({
            "instances": 1,
            "bootstrap": {"initdb": {"database": "app", "secret": {"name": "app"}}},
            "superuserSecret": {"name": "root"},
        });
        consumer.order(&kind, "a", &spec).await;
        let copy = stage.copy(&consumer, &kind, "a").await;
        consumer.there(&kind, "a", things::synced).await;
        stage.calm().await;
        let below = |at: &Value| at["name"].as_str().unwrap().to_owned();
        let app = below(&copy["spec"]["bootstrap"]["initdb"]["secret"]);
        let root = below(&copy["spec"]["superuserSecret"]);
        stage.asked_in_any_order(&sorted(&[
            "kcp get secrets app",
            "kcp get secrets root",
            "kcp patch clusters a",
            "kcp patch secrets app",
            "kcp patch secrets root",
            "kcp patch clusters/status a",
            "service create namespaces",
            "service patch clusters a",
            &format!("service patch secrets {app}"),
            &format!("service patch secrets {root}"),
        ]));

        // The operator's Service, without an address and then with one.
        stage.forget();
        stage.service(&consumer, "a-rw").await;
        stage.calm().await;
        stage.asked_exactly(&["service get services a-rw"]);
        stage.forget();
        stage.address(&consumer, "a-rw", "10.0.0.7").await;
        consumer.there(&secret, "a-connection", |_| true).await;
        stage.calm().await;
        stage.asked_in_any_order(&[
            "kcp create secrets",
            "kcp get secrets app",
            "service get services a-rw",
        ]);

        // A status.
        stage.forget();
        let at = things::path(&kind, &consumer.cluster, "a");
        status(&stage.service, &at, &json!({"phase": "ready"})).await;
        consumer
            .there(&kind, "a", |it| it["status"]["phase"] == "ready")
            .await;
        stage.calm().await;
        stage.asked_exactly(&["kcp patch clusters/status a"]);

        // The Secret that nothing is composed of, then the other.
        let composed = [
            "kcp patch secrets a-connection",
            "service get services a-rw",
        ];
        for (name, below, more) in [("root", &root, &[][..]), ("app", &app, &composed[..])] {
            stage.forget();
            let at = things::path(&secret, "default", name);
            let new = json!({"stringData": {"password": "new"}});
            change(&consumer.api, &at, &new).await;
            there(&stage.service, &secret, &consumer.cluster, below, |it| {
                it["data"]["password"] == "bmV3"
            })
            .await;
            stage.calm().await;
            let look = format!("kcp get secrets {name}");
            let write = format!("service patch secrets {below}");
            let all = [&[look.as_str(), write.as_str()], more].concat();
            stage.asked_in_any_order(&sorted(&all));
        }

        // The end.
        stage.forget();
        consumer.delete(&kind, "a").await;
        gone(&consumer.api, &kind, "default", "a").await;
        stage.calm().await;
        stage.asked_in_any_order(&sorted(&[
            "kcp delete secrets a-connection",
            "kcp patch secrets app",
            "kcp patch secrets root",
            "kcp patch clusters a",
            "service delete clusters a",
            &format!("service delete secrets {app}"),
            &format!("service delete secrets {root}"),
        ]));
        stage.stop().await;
    });
}

fn sorted<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines
}
