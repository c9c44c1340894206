//! Orders that refer to others, and which copy goes first.

use std::time::Duration;

use serde_json::json;
use syncagent::Definition;
use syncagent_core::definition::{FieldRule, Rule};

use crate::spent::Spent;
use crate::stage::{Consumer, Stage, gone, play, there};
use crate::things;
use crate::world::{World, change};

/// Pools, and things whose field names one.
fn neighbours() -> Vec<Definition> {
    let pool = things::plain("Pool");
    let named = FieldRule {
        path: "spec.first".into(),
        rule: Rule::RefersTo {
            offered: pool.offered.clone(),
            name_at: Some("name".into()),
        },
    };
    let thing = Definition {
        fields: vec![named],
        ..things::plain("Thing")
    };
    vec![thing, pool]
}

/// A pool, and things in it.
async fn order(consumer: &Consumer, things: &[&str]) {
    let (pool, thing) = (things::kind("Pool"), things::kind("Thing"));
    consumer.order(&pool, "big", &json!({"size": 1})).await;
    for name in things {
        let spec = json!({"size": 1, "first": {"name": "big"}});
        consumer.order(&thing, name, &spec).await;
        consumer.there(&thing, name, things::synced).await;
    }
    consumer.there(&pool, "big", things::synced).await;
}

/// The operator takes its time with a copy, or is done with it.
async fn hold(stage: &Stage, consumer: &Consumer, name: &str, by: &[&str]) {
    let copy = things::path(&things::kind("Thing"), &consumer.cluster, name);
    let finalizers = json!({"metadata": {"finalizers": by}});
    change(&stage.service, &copy, &finalizers).await;
}

/// The copy stands, and is not about to go.
async fn stands(stage: &Stage, consumer: &Consumer) {
    let copy = stage.copy(consumer, &things::kind("Pool"), "big").await;
    assert!(copy["metadata"].get("deletionTimestamp").is_none());
}

#[test]
fn a_copy_goes_after_those_that_refer_to_it() {
    play(|| async {
        let (pool, thing) = (things::kind("Pool"), things::kind("Thing"));
        let mut stage = Stage::running(neighbours()).await;
        let consumer = stage.consumer("consumer").await;
        order(&consumer, &["a", "b"]).await;
        hold(&stage, &consumer, "a", &["example.io/slow"]).await;
        stage.calm().await;
        stage.forget();
        consumer.delete(&pool, "big").await;
        for name in ["a", "b"] {
            consumer.delete(&thing, name).await;
        }
        gone(&stage.service, &thing, &consumer.cluster, "b").await;
        stage.calm().await;
        stands(&stage, &consumer).await;
        // An agent that starts in the middle knows it, too.
        stage.stop().await;
        stage.start();
        stage.calm().await;
        stands(&stage, &consumer).await;
        let begun = tokio::time::Instant::now();
        hold(&stage, &consumer, "a", &[]).await;
        gone(&stage.service, &pool, &consumer.cluster, "big").await;
        gone(&consumer.api, &pool, "default", "big").await;
        if !World::is_real() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it is woken");
        }
        let of_copies = |line: &&String| line.starts_with("service delete ");
        let asked = stage.requests();
        let deleted: Vec<_> = asked.iter().filter(of_copies).collect();
        if stage.counts() {
            assert!(
                deleted.last().unwrap().contains(&pool.plural),
                "{deleted:?}"
            );
        }
        stage.stop().await;
    });
}

#[test]
fn who_stays_keeps_nobody_waiting_for_ever() {
    play(|| async {
        let (pool, thing) = (things::kind("Pool"), things::kind("Thing"));
        let mut stage = Stage::running(neighbours()).await;
        let consumer = stage.consumer("consumer").await;
        order(&consumer, &["a"]).await;
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        consumer.delete(&pool, "big").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        stands(&stage, &consumer).await;
        let stuck = stage.stuck();
        let [waiting] = &stuck[..] else {
            panic!("{stuck:#?}");
        };
        assert_eq!(waiting.hands, syncagent::Hands::Consumer);
        assert!(waiting.why.contains("refer to this one"), "{}", waiting.why);
        tokio::time::sleep(Duration::from_secs(35)).await;
        gone(&stage.service, &pool, &consumer.cluster, "big").await;
        gone(&consumer.api, &pool, "default", "big").await;
        spent.at_most(15);
        // It refers to another one, or to none, and is as alive as before.
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"size": 5}})).await;
        there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["size"] == 5
        })
        .await;
        stage.stop().await;
    });
}

#[test]
fn who_thinks_better_of_it_lets_the_other_go_at_once() {
    play(|| async {
        let (pool, thing) = (things::kind("Pool"), things::kind("Thing"));
        let mut stage = Stage::running(neighbours()).await;
        let consumer = stage.consumer("consumer").await;
        order(&consumer, &["a"]).await;
        stage.calm().await;
        consumer.delete(&pool, "big").await;
        stage.calm().await;
        stands(&stage, &consumer).await;
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"first": null}})).await;
        let begun = tokio::time::Instant::now();
        gone(&stage.service, &pool, &consumer.cluster, "big").await;
        if !World::is_real() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it is woken");
        }
        stage.copy(&consumer, &thing, "a").await;
        stage.stop().await;
    });
}

/// kcp deletes everything at once, in an order of its own.
#[test]
fn a_workspace_that_unbinds_is_cleaned_up_in_order() {
    play(|| async {
        let (pool, thing) = (things::kind("Pool"), things::kind("Thing"));
        let mut stage = Stage::running(neighbours()).await;
        let consumer = stage.consumer("consumer").await;
        let names = ["a", "b", "c", "d", "e"];
        order(&consumer, &names).await;
        stage.calm().await;
        stage.forget();
        let binding = "/apis/apis.kcp.io/v1alpha2/apibindings/things";
        let deleted = consumer.api.delete(binding, &json!({})).await.unwrap();
        assert!(deleted.is_success(), "{deleted:?}");
        gone(&stage.service, &pool, &consumer.cluster, "big").await;
        for name in names {
            gone(&stage.service, &thing, &consumer.cluster, name).await;
        }
        stage.calm().await;
        let of_copies = |line: &&String| line.starts_with("service delete ");
        let asked = stage.requests();
        let deleted: Vec<_> = asked.iter().filter(of_copies).collect();
        if stage.counts() {
            assert_eq!(deleted.len(), 6, "{deleted:?}");
            assert!(deleted[5].contains(&pool.plural), "{deleted:?}");
        }
        stage.stop().await;
    });
}
