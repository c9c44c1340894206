//! Servers that go away, agents that are stopped in the middle, consumers who pull the rug: nothing is lost.

use std::time::Duration;

use serde_json::json;

use crate::spent::{MINUTE, Spent, pass};
use crate::stage::{Consumer, Stage, gone, play, there};
use crate::things;
use crate::world::{World, change, eventually, status};

#[test]
fn the_service_cluster_goes_away_for_a_minute_and_nothing_is_lost() {
    play(|| async {
        let thing = things::kind("Thing");
        let (mut stage, [_, server]) = Stage::over_lines(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["kept", "changed", "deleted"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        let spent = Spent::from_here(&stage);
        server.outage(true);
        consumer.secret("late", "x").await;
        consumer
            .order(
                &thing,
                "new",
                &json!({"size": 3, "first": {"name": "late"}}),
            )
            .await;
        change(
            &consumer.api,
            &things::path(&thing, "default", "changed"),
            &json!({"spec": {"size": 2}}),
        )
        .await;
        consumer.delete(&thing, "deleted").await;
        pass(MINUTE).await;
        assert!(
            consumer.get(&thing, "deleted").await.is_success(),
            "held while nobody can look"
        );
        server.outage(false);

        there(&stage.service, &thing, &consumer.cluster, "changed", |c| {
            c["spec"]["size"] == 2
        })
        .await;
        gone(&consumer.api, &thing, "default", "deleted").await;
        gone(&stage.service, &thing, &consumer.cluster, "deleted").await;
        let new = stage.copy(&consumer, &thing, "new").await;
        assert_eq!(new["spec"]["first"]["name"], "late.taken");
        consumer.there(&thing, "new", things::synced).await;
        // The watches are alive again.
        reflected(&stage, &consumer, "kept").await;
        spent.at_most(25);
        stage.stop().await;
    });
}

#[test]
fn kcp_goes_away_for_a_minute_and_nothing_is_lost() {
    play(|| async {
        let thing = things::kind("Thing");
        let (mut stage, [server, _]) = Stage::over_lines(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["kept", "lost"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        let spent = Spent::from_here(&stage);
        server.outage(true);
        let at = |name: &str| things::path(&thing, &consumer.cluster, name);
        status(&stage.service, &at("kept"), &json!({"phase": "while away"})).await;
        // Somebody deletes a copy: the origin still wants one.
        assert!(
            stage
                .service
                .delete(&at("lost"), &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        pass(MINUTE).await;
        there(&stage.service, &thing, &consumer.cluster, "kept", |_| true).await;
        server.outage(false);

        consumer
            .there(&thing, "kept", |o| o["status"]["phase"] == "while away")
            .await;
        stage.copy(&consumer, &thing, "lost").await;
        consumer.order(&thing, "new", &json!({"size": 3})).await;
        stage.copy(&consumer, &thing, "new").await;
        reflected(&stage, &consumer, "new").await;
        spent.at_most(30);
        stage.stop().await;
    });
}

/// Watches are cut and history is forgotten, on both sides, while things change.
#[test]
fn cut_watches_and_forgotten_history_lose_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let (mut stage, servers) = Stage::over_lines(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let spent = Spent::from_here(&stage);
        for n in 0..5 {
            let name = format!("t{n}");
            consumer.order(&thing, &name, &json!({"size": n})).await;
            consumer.there(&thing, &name, things::synced).await;
            for server in &servers {
                server.cut_watches();
                server.compact();
            }
            let path = things::path(&thing, "default", &name);
            change(&consumer.api, &path, &json!({"spec": {"size": 50 + n}})).await;
            there(&stage.service, &thing, &consumer.cluster, &name, |c| {
                c["spec"]["size"] == 50 + n
            })
            .await;
            reflected(&stage, &consumer, &name).await;
        }
        spent.at_most(150);
        stage.stop().await;
    });
}

#[test]
fn what_goes_while_nobody_can_watch_and_history_is_forgotten_is_noticed() {
    play(|| async {
        let thing = things::kind("Thing");
        let (mut stage, servers) = Stage::over_lines(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["kept", "lost", "stripped"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        stage.calm().await;
        let lost = things::path(&thing, &consumer.cluster, "lost");
        let before = stage.service.get(&lost).await.unwrap().body;
        let spent = Spent::from_here(&stage);
        for server in &servers {
            server.refuse_watches();
            server.cut_watches();
        }
        // A copy vanishes on one side, an order on the other; no DELETED event tells.
        let reply = stage.service.delete(&lost, &json!({})).await.unwrap();
        assert!(reply.is_success(), "{reply:?}");
        let stripped = things::path(&thing, "default", "stripped");
        change(
            &consumer.api,
            &stripped,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        consumer.delete(&thing, "stripped").await;
        for server in &servers {
            server.compact();
            server.clear();
        }
        let made = there(&stage.service, &thing, &consumer.cluster, "lost", |_| true).await;
        assert_ne!(made["metadata"]["uid"], before["metadata"]["uid"]);
        gone(&stage.service, &thing, &consumer.cluster, "stripped").await;
        reflected(&stage, &consumer, "kept").await;
        spent.at_most(40);
        stage.stop().await;
    });
}

#[test]
fn an_agent_that_is_stopped_after_any_write_converges_when_it_is_started_again() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for writes in 1..=9 {
            let name = format!("t{writes}");
            let (one, two) = (format!("one-{writes}"), format!("two-{writes}"));
            consumer.secret(&one, "x").await;
            consumer.secret(&two, "y").await;
            stage.calm().await;
            stage.forget();
            let spec = json!({"size": 1, "first": {"name": one}, "second": {"name": two}});
            consumer.order(&thing, &name, &spec).await;
            interrupt(&mut stage, writes).await;
            stage.copy(&consumer, &thing, &name).await;
            consumer.there(&thing, &name, things::synced).await;
            for taken in [&one, &two] {
                stage
                    .copy(&consumer, &secret, &format!("{taken}.taken"))
                    .await;
            }
            stage.calm().await;

            stage.forget();
            consumer.delete(&thing, &name).await;
            interrupt(&mut stage, writes).await;
            gone(&consumer.api, &thing, "default", &name).await;
            gone(&stage.service, &thing, &consumer.cluster, &name).await;
            for taken in [&one, &two] {
                gone(
                    &stage.service,
                    &secret,
                    &consumer.cluster,
                    &format!("{taken}.taken"),
                )
                .await;
                let left = consumer
                    .there(&secret, taken, |s| {
                        s["metadata"].get("finalizers").is_none()
                    })
                    .await;
                assert!(left["metadata"].get("deletionTimestamp").is_none());
            }
        }
        stage.stop().await;
    });
}

/// Stops the agent when it has made so many writes, or when it makes no more, and starts it again.
pub(crate) async fn interrupt(stage: &mut Stage, writes: usize) {
    let mut quiet = 0;
    loop {
        let now = stage.requests();
        let written = now
            .iter()
            .filter(|line| !line.contains(" get ") && !line.contains(" list "));
        if written.count() >= writes || quiet > 100 {
            break;
        }
        quiet += 1;
        tokio::time::sleep(Duration::from_millis(if World::is_real() { 20 } else { 1 })).await;
    }
    stage.stop().await;
    stage.start();
}

#[test]
fn a_consumer_who_strips_the_finalizer_and_deletes_gets_rid_of_the_copy() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["watched", "missed", "kept"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        rip(&consumer, "watched").await;
        gone(&stage.service, &thing, &consumer.cluster, "watched").await;

        // And while the agent is not there.
        stage.calm().await;
        stage.stop().await;
        rip(&consumer, "missed").await;
        stage.start();
        gone(&stage.service, &thing, &consumer.cluster, "missed").await;
        stage.calm().await;
        stage.copy(&consumer, &thing, "kept").await;
        spent.at_most(20);
        stage.stop().await;
    });
}

/// Deletes an order and takes our finalizer off, faster than the agent can look.
async fn rip(consumer: &Consumer, name: &str) {
    let thing = things::kind("Thing");
    let path = things::path(&thing, "default", name);
    eventually("the order is gone", || async {
        let _ = consumer.api.delete(&path, &json!({})).await.unwrap();
        let patch = json!({"metadata": {"finalizers": null}});
        let _ = consumer
            .api
            .patch(&path, syncagent_core::io::clients::MERGE_PATCH, &patch)
            .await
            .unwrap();
        (consumer.get(&thing, name).await.code == 404).then_some(())
    })
    .await;
}

/// Something that the operator says reaches the consumer.
async fn reflected(stage: &Stage, consumer: &Consumer, name: &str) {
    let thing = things::kind("Thing");
    let at = things::path(&thing, &consumer.cluster, name);
    status(&stage.service, &at, &json!({"phase": "alive"})).await;
    consumer
        .there(&thing, name, |o| o["status"]["phase"] == "alive")
        .await;
}

#[test]
fn a_copy_that_somebody_changes_is_set_right() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "x"}))
            .await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        let at = things::path(&thing, &consumer.cluster, "a");
        change(
            &stage.service,
            &at,
            &json!({"spec": {"size": 9, "first": {"name": "theirs"}}}),
        )
        .await;
        let copy = there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["size"] == 1
        })
        .await;
        // What is not ours is left to whoever set it.
        assert_eq!(copy["spec"]["first"]["name"], "theirs");
        stage.calm().await;
        stage.stop().await;
    });
}
