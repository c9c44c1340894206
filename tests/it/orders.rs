//! The life of an order: created, changed, reflected, deleted.

use serde_json::json;

use crate::stage::{Stage, gone, play, play_in_real_time, there};
use crate::things;
use crate::world::{change, eventually, status};

#[test]
fn an_order_is_placed_changed_reflected_and_retired() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "x"}))
            .await;

        let copy = stage.copy(&consumer, &thing, "a").await;
        assert_eq!(copy["spec"], json!({"size": 1, "note": "x"}));
        assert_eq!(copy["metadata"]["namespace"], consumer.cluster.as_str());

        // What the operator reports is seen by the consumer, with the consumer's own generation.
        let at = things::path(&thing, &consumer.cluster, "a");
        status(
            &stage.service,
            &at,
            &json!({"phase": "ready", "observedGeneration": 1}),
        )
        .await;
        let order = consumer
            .there(&thing, "a", |o| o["status"]["phase"] == "ready")
            .await;
        assert_eq!(
            order["status"]["observedGeneration"],
            order["metadata"]["generation"]
        );

        // A field that the consumer takes away disappears.
        change(
            &consumer.api,
            &things::path(&thing, "default", "a"),
            &json!({"spec": {"size": 2, "note": null}}),
        )
        .await;
        let copy = there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["size"] == 2
        })
        .await;
        assert_eq!(copy["spec"], json!({"size": 2}));

        consumer.delete(&thing, "a").await;
        gone(&stage.service, &thing, &consumer.cluster, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.stop().await;
    });
}

#[test]
fn two_consumers_with_equal_names_do_not_collide() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let first = stage.consumer("first").await;
        let second = stage.consumer("second").await;
        first.order(&thing, "same", &json!({"size": 1})).await;
        second.order(&thing, "same", &json!({"size": 2})).await;
        assert_eq!(stage.copy(&first, &thing, "same").await["spec"]["size"], 1);
        assert_eq!(stage.copy(&second, &thing, "same").await["spec"]["size"], 2);
        first.delete(&thing, "same").await;
        gone(&first.api, &thing, "default", "same").await;
        assert_eq!(stage.copy(&second, &thing, "same").await["spec"]["size"], 2);
        stage.stop().await;
    });
}

#[test]
fn a_consumer_who_unbinds_gets_rid_of_the_copies() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let leaving = stage.consumer("leaving").await;
        let staying = stage.consumer("staying").await;
        for consumer in [&leaving, &staying] {
            consumer.order(&thing, "a", &json!({"size": 1})).await;
            consumer.there(&thing, "a", things::synced).await;
        }
        let binding = "/apis/apis.kcp.io/v1alpha2/apibindings/things";
        assert!(
            leaving
                .api
                .delete(binding, &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        gone(&stage.service, &thing, &leaving.cluster, "a").await;
        eventually("the binding is gone", || async {
            (leaving.api.get(binding).await.unwrap().code == 404).then_some(())
        })
        .await;
        stage.calm().await;
        stage.copy(&staying, &thing, "a").await;
        stage.stop().await;
    });
}

#[test]
fn an_agent_with_kubeconfigs_works_over_real_sockets() {
    play_in_real_time(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::taking("Thing")]).await;
        let kubeconfigs = stage.world.kubeconfigs(&stage.provider, &stage.user);
        let [service, kcp] = kubeconfigs.await;
        stage.wire(&service, &kcp).await;
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("one", "x").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "first": {"name": "one"}}))
            .await;
        consumer.there(&thing, "a", things::synced).await;
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        gone(&stage.service, &thing, &consumer.cluster, "a").await;
        stage.stop().await;
    });
}
