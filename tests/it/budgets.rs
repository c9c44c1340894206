//! What the agent costs: every request it makes, counted by the servers that answer it.

mod derived;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::stage::{Stage, gone, play, there};
use crate::things;
use crate::world::{World, change, status};

#[test]
fn an_order_without_related_objects_costs_what_the_law_says() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        stage.calm().await;

        // The first of a workspace: hold, place, the own condition, and the namespace.
        stage.forget();
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "a").await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp patch things a",
            "kcp patch things/status a",
            "service create namespaces",
            "service patch things a",
        ]);

        // The second: no namespace.
        stage.forget();
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "b").await;
        consumer.there(&thing, "b", things::synced).await;
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp patch things b",
            "kcp patch things/status b",
            "service patch things b",
        ]);

        // An update.
        stage.forget();
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["size"] == 2
        })
        .await;
        stage.calm().await;
        stage.asked_exactly(&["service patch things a"]);

        // A status.
        stage.forget();
        let copy = things::path(&thing, &consumer.cluster, "a");
        status(
            &stage.service,
            &copy,
            &json!({"phase": "ready", "observedGeneration": 2}),
        )
        .await;
        consumer
            .there(&thing, "a", |o| o["status"]["phase"] == "ready")
            .await;
        stage.calm().await;
        stage.asked_exactly(&["kcp patch things/status a"]);

        // The end.
        stage.forget();
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.calm().await;
        stage.asked_exactly(&["kcp patch things a", "service delete things a"]);
        stage.stop().await;
    });
}

#[test]
fn orders_of_one_workspace_that_begin_together_make_its_namespace_once() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        stage.calm().await;
        stage.stop().await;
        let names: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
        for name in &names {
            consumer.order(&thing, name, &json!({"size": 1})).await;
        }

        stage.forget();
        stage.start();
        for name in &names {
            stage.copy(&consumer, &thing, name).await;
            consumer.there(&thing, name, things::synced).await;
        }
        stage.calm().await;
        let mut many: BTreeMap<String, usize> = BTreeMap::new();
        for line in stage.asked(|_| true) {
            let words: Vec<&str> = line.split(' ').take(3).collect();
            // Events are beside the law: some are dropped when there is much to do.
            if ["create", "patch"].contains(&words[1]) && words[2] != "events" {
                *many.entry(words.join(" ")).or_default() += 1;
            }
        }
        let wanted = [
            ("kcp patch things", 40),
            ("kcp patch things/status", 40),
            ("service create namespaces", 1),
            ("service patch things", 40),
        ];
        let wanted = wanted.into_iter().filter(|(line, _)| stage.tells_of(line));
        let wanted: BTreeMap<String, usize> =
            wanted.map(|(line, it)| (line.to_owned(), it)).collect();
        assert_eq!(many, wanted);
        stage.stop().await;
    });
}

#[test]
fn a_copy_that_goes_slowly_costs_one_look_before_the_release() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "a").await;
        let copy = things::path(&thing, &consumer.cluster, "a");
        change(
            &stage.service,
            &copy,
            &json!({"metadata": {"finalizers": ["operator.example.io/slow"]}}),
        )
        .await;
        stage.calm().await;

        stage.forget();
        consumer.delete(&thing, "a").await;
        there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
        stage.calm().await;
        assert!(
            consumer.get(&thing, "a").await.is_success(),
            "held until the copy is gone"
        );
        stage.asked_exactly(&["service delete things a"]);

        change(
            &stage.service,
            &copy,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp patch things a",
            "service delete things a",
            "service get things a -> 404",
        ]);
        stage.stop().await;
    });
}

#[test]
fn an_idle_agent_asks_for_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("one", "x").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "first": {"name": "one"}}))
            .await;
        stage.copy(&consumer, &thing, "a").await;
        stage.calm().await;
        stage.forget();
        // Long enough for every watch to be opened again, where time is free.
        let hour = if World::is_real() { 5 } else { 3600 };
        tokio::time::sleep(Duration::from_secs(hour)).await;
        stage.asked_exactly(&[]);
        stage.stop().await;
    });
}

#[test]
fn a_restart_over_settled_orders_lists_and_writes_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("one", "x").await;
        for n in 0..100 {
            // Every tenth takes a Secret as well.
            let spec = match n % 10 {
                0 => json!({"size": n, "first": {"name": "one"}}),
                _ => json!({"size": n}),
            };
            consumer.order(&thing, &format!("t{n}"), &spec).await;
        }
        for n in 0..100 {
            let name = format!("t{n}");
            stage.copy(&consumer, &thing, &name).await;
            let at = things::path(&thing, &consumer.cluster, &name);
            status(
                &stage.service,
                &at,
                &json!({"phase": "ready", "observedGeneration": 1}),
            )
            .await;
            consumer
                .there(&thing, &name, |o| {
                    o["status"]["phase"] == "ready" && things::synced(o)
                })
                .await;
        }
        stage.calm().await;
        stage.stop().await;

        stage.forget();
        stage.start();
        stage.calm().await;
        stage.asked_in_any_order(&[
            "kcp list apiexportendpointslices",
            "kcp list apiexports",
            "kcp list secrets",
            "kcp list things",
            "service list customresourcedefinitions",
            "service list namespaces",
            "service list secrets",
            "service list things",
        ]);
        stage.stop().await;
    });
}
