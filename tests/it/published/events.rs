//! What consumers are told of their orders: one event for each thing done, in the words and by the name of the Go agent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{publish, schema_of, site, things_of};
use crate::stage::{Consumer, gone, play, there};
use crate::things;
use crate::world::{change, eventually, status};

/// The events about an order, by reason: of what type, and what they say.
async fn told(consumer: &Consumer, name: &str) -> BTreeMap<String, (String, String)> {
    let events = consumer.api.get("/api/v1/namespaces/default/events").await;
    let events = events.unwrap().body["items"].as_array().cloned();
    let about = |it: &Value| it["involvedObject"]["name"] == name;
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let events = events.into_iter().flatten().filter(about).map(|it| {
        assert_eq!(it["source"]["component"], "syncagent-sync", "{it}");
        assert_eq!(it["involvedObject"]["kind"], "Thing", "{it}");
        (
            text(&it["reason"]),
            (text(&it["type"]), text(&it["message"])),
        )
    });
    events.collect()
}

async fn hears(consumer: &Consumer, name: &str, reason: &str, kind: &str) {
    eventually(&format!("{name} is told of {reason}"), || async {
        let told = told(consumer, name).await;
        told.get(reason).map(|it| assert_eq!(it.0, kind, "{it:?}"))
    })
    .await;
}

#[test]
fn s5_9_each_thing_that_is_done_is_one_event_with_the_go_agents_reason() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let thing = things::kind("Thing");
        // It fails for some orders, and says where nobody but the provider should read it.
        let cel = json!({"mutation": {"spec": [
            {"cel": {"path": "spec.size", "expression": "10 / self.spec.size"}},
        ]}});
        publish(stage, &things_of("things", cel)).await;
        let running = site.start(site.flags());
        schema_of(stage, "things").await;
        let consumer = stage.consumer("consumer").await;
        let cluster = consumer.cluster.as_str();

        consumer.order(&thing, "a", &json!({"size": 5})).await;
        there(&stage.service, &thing, cluster, "a", |it| {
            it["spec"]["size"] == 2
        })
        .await;
        hears(&consumer, "a", "ObjectAccepted", "Normal").await;
        hears(&consumer, "a", "ObjectPlaced", "Normal").await;
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        hears(&consumer, "a", "ObjectSynced", "Normal").await;
        let copy = things::path(&thing, cluster, "a");
        status(&stage.service, &copy, &json!({"phase": "ready"})).await;
        hears(&consumer, "a", "ObjectStatusSynced", "Normal").await;

        consumer.order(&thing, "b", &json!({"size": 0})).await;
        hears(&consumer, "b", "ReconcilingError", "Warning").await;
        let (_, message) = &told(&consumer, "b").await["ReconcilingError"];
        for secret in ["10 /", "self", &thing.plural, cluster] {
            assert!(!message.contains(secret), "{secret} is in {message}");
        }
        let better = things::path(&thing, "default", "b");
        change(&consumer.api, &better, &json!({"spec": {"size": 1}})).await;
        hears(&consumer, "b", "ObjectPlaced", "Normal").await;

        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        hears(&consumer, "a", "ObjectCleanup", "Normal").await;
        hears(&consumer, "a", "ObjectDeleted", "Normal").await;
        assert_eq!(told(&consumer, "a").await.len(), 6);
        assert!(running.stopped().await.is_stopped());
    });
}
