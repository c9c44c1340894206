//! Kinds that change their scope on the way: every combination, from the first order to the last.

use serde_json::json;
use syncagent::Definition;
use syncagent_core::definition::{CopyNaming, Kind, Only, SchemaSource, Scope};
use syncagent_core::io::clients::{collection, object};

use crate::stage::{Consumer, Stage, play};
use crate::things;
use crate::world::{change, created, eventually, status};

fn namespace(kind: &Kind, name: &'static str) -> Option<&'static str> {
    (kind.scope == Scope::Namespaced).then_some(name)
}

/// The copies of a workspace's orders.
async fn copies(stage: &Stage, service: &Kind, consumer: &Consumer) -> Vec<serde_json::Value> {
    let label = format!(
        "syncagent.kcp.io/remote-object-cluster%3D{}",
        consumer.cluster
    );
    let path = format!("{}?labelSelector={label}", collection(service, None));
    let list = stage.service.get(&path).await.unwrap().body;
    list["items"].as_array().cloned().unwrap_or_default()
}

fn syncs_between(offered: Scope, service: Scope) {
    play(|| async move {
        let service = Kind {
            scope: service,
            ..things::kind("Thing")
        };
        let offered = Kind {
            scope: offered,
            kind: "Offer".into(),
            plural: "offers".into(),
            ..service.clone()
        };
        let definition = Definition {
            schema: SchemaSource::Type(things::crd(&offered)),
            copy: CopyNaming::between(offered.scope, service.scope),
            only: Only::default(),
            service: service.clone(),
            offered: offered.clone(),
            ..things::plain("Thing")
        };
        let mut stage = Stage::running(vec![definition]).await;
        let consumers = [stage.consumer("one").await, stage.consumer("two").await];
        // Equal names in two workspaces, and in two namespaces where there are such.
        let homes: Vec<Option<&str>> = match offered.scope {
            Scope::Namespaced => vec![Some("default"), Some("more")],
            Scope::Cluster => vec![None],
        };
        for consumer in &consumers {
            if let Some(more) = namespace(&offered, "more") {
                let more =
                    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": more}});
                created(consumer.api.post("/api/v1/namespaces", &more).await);
            }
            for (size, home) in (1..).zip(&homes) {
                let order = json!({"apiVersion": format!("{}/v1", crate::world::group()), "kind": "Offer", "metadata": {"name": "a"},
                    "spec": {"size": size}});
                created(
                    consumer
                        .api
                        .post(&collection(&offered, *home), &order)
                        .await,
                );
            }
        }
        for consumer in &consumers {
            let found = eventually("every order has a copy", || async {
                let found = copies(&stage, &service, consumer).await;
                (found.len() == homes.len()).then_some(found)
            })
            .await;
            for copy in found {
                assert_eq!(
                    copy["metadata"].get("namespace").is_some(),
                    service.scope == Scope::Namespaced
                );
                let name = copy["metadata"]["name"].as_str().unwrap();
                let at = object(&service, copy["metadata"]["namespace"].as_str(), name);
                status(
                    &stage.service,
                    &at,
                    &json!({"phase": format!("{}", copy["spec"]["size"])}),
                )
                .await;
            }
            for (size, home) in (1..).zip(&homes) {
                let at = object(&offered, *home, "a");
                eventually("the status of its own copy comes back", || async {
                    let order = consumer.api.get(&at).await.unwrap().body;
                    (order["status"]["phase"] == format!("{size}") && things::synced(&order))
                        .then_some(())
                })
                .await;
                change(&consumer.api, &at, &json!({"spec": {"size": size + 10}})).await;
            }
            eventually("changes arrive", || async {
                let found = copies(&stage, &service, consumer).await;
                found
                    .iter()
                    .all(|it| it["spec"]["size"].as_i64() > Some(10))
                    .then_some(())
            })
            .await;
        }
        // One goes; the other workspace keeps its own.
        for home in &homes {
            let at = object(&offered, *home, "a");
            assert!(
                consumers[0]
                    .api
                    .delete(&at, &json!({}))
                    .await
                    .unwrap()
                    .is_success()
            );
            eventually("the order is gone", || async {
                (consumers[0].api.get(&at).await.unwrap().code == 404).then_some(())
            })
            .await;
        }
        assert_eq!(copies(&stage, &service, &consumers[0]).await.len(), 0);
        assert_eq!(
            copies(&stage, &service, &consumers[1]).await.len(),
            homes.len()
        );
        // A restart finds everybody's copy again.
        stage.calm().await;
        stage.stop().await;
        stage.forget();
        stage.start();
        stage.calm().await;
        let asked: Vec<_> = stage
            .requests()
            .into_iter()
            .filter(|line| !line.contains(" list "))
            .collect();
        assert_eq!(asked, Vec::<String>::new());
        stage.stop().await;
    });
}

#[test]
fn namespaced_to_namespaced() {
    syncs_between(Scope::Namespaced, Scope::Namespaced);
}

#[test]
fn namespaced_to_cluster() {
    syncs_between(Scope::Namespaced, Scope::Cluster);
}

#[test]
fn cluster_to_namespaced() {
    syncs_between(Scope::Cluster, Scope::Namespaced);
}

#[test]
fn cluster_to_cluster() {
    syncs_between(Scope::Cluster, Scope::Cluster);
}
