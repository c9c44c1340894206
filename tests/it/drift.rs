//! What somebody changes on a copy, and what stands in its place: what servers really answer, and what it costs.

use serde_json::{Value, json};
use syncagent::{Definition, Notice};
use syncagent_core::definition::{Adoption, Drift, Kind};

use crate::stage::{Consumer, Stage, play, there};
use crate::things;
use crate::world::{change, created};

fn with(drift: Drift, adoption: Adoption) -> Definition {
    let mut definition = things::plain("Thing");
    definition.policy.drift = drift;
    definition.policy.adoption = adoption;
    definition
}

async fn edit(stage: &Stage, consumer: &Consumer, kind: &Kind, patch: &Value) -> Value {
    let at = things::path(kind, &consumer.cluster, "a");
    change(&stage.service, &at, patch).await
}

async fn reorder(consumer: &Consumer, kind: &Kind, spec: &Value) {
    let at = things::path(kind, "default", "a");
    change(&consumer.api, &at, &json!({"spec": spec})).await;
}

/// The copy, once its spec is this.
async fn spec(stage: &Stage, consumer: &Consumer, kind: &Kind, wanted: &Value) -> Value {
    there(&stage.service, kind, &consumer.cluster, "a", |copy| {
        copy["spec"] == *wanted
    })
    .await
}

#[test]
fn what_is_kept_costs_one_patch_per_update_and_survives_a_restart() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![with(Drift::Keep, Adoption::Refuse)]).await;
        let consumer = stage.consumer("consumer").await;
        consumer
            .order(
                &thing,
                "a",
                &json!({"size": 1, "note": "n", "first": {"name": "x"}}),
            )
            .await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.forget();
        edit(&stage, &consumer, &thing, &json!({"spec": {"size": 99}})).await;
        stage.calm().await;
        stage.asked_exactly(&[]);

        reorder(&consumer, &thing, &json!({"note": "m", "first": null})).await;
        let copy = spec(&stage, &consumer, &thing, &json!({"size": 99, "note": "m"})).await;
        stage.calm().await;
        stage.asked_exactly(&["service patch things a"]);
        assert!(copy["metadata"]["annotations"]["syncagent.kcp.io/applied-fields"].is_string());

        // What changes while nobody looks is told from what somebody set.
        stage.stop().await;
        reorder(&consumer, &thing, &json!({"note": "k"})).await;
        edit(
            &stage,
            &consumer,
            &thing,
            &json!({"spec": {"second": {"name": "theirs"}}}),
        )
        .await;
        stage.forget();
        stage.start();
        let wanted = json!({"size": 99, "note": "k", "second": {"name": "theirs"}});
        spec(&stage, &consumer, &thing, &wanted).await;
        stage.calm().await;
        let asked = stage.requests();
        let wrote = asked
            .iter()
            .filter(|it| it.contains("patch") || it.contains("get things"));
        assert!(wrote.count() <= 1, "{asked:?}");

        // Their field, changed by the consumer.
        reorder(&consumer, &thing, &json!({"size": 5})).await;
        let wanted = json!({"size": 5, "note": "k", "second": {"name": "theirs"}});
        spec(&stage, &consumer, &thing, &wanted).await;
        stage.stop().await;

        // From now on it is corrected: what was patched becomes what is applied, once.
        stage.definitions = vec![with(Drift::Correct, Adoption::Refuse)];
        reorder(&consumer, &thing, &json!({"note": null})).await;
        stage.start();
        let wanted = json!({"size": 5, "second": {"name": "theirs"}});
        let copy = spec(&stage, &consumer, &thing, &wanted).await;
        let annotations = &copy["metadata"]["annotations"];
        assert_eq!(annotations.get("syncagent.kcp.io/applied-fields"), None);
        edit(&stage, &consumer, &thing, &json!({"spec": {"size": 1}})).await;
        spec(&stage, &consumer, &thing, &wanted).await;
        stage.calm().await;
        stage.stop().await;
        stage.forget();
        stage.start();
        stage.calm().await;
        let asked = stage.requests();
        assert!(!asked.iter().any(|it| it.contains("patch")), "{asked:?}");
        stage.stop().await;
    });
}

#[test]
fn what_drifted_is_reported_and_goes_when_the_consumer_changes_the_field() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![with(Drift::Report, Adoption::Refuse)]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.forget();
        edit(&stage, &consumer, &thing, &json!({"spec": {"size": 99}})).await;
        let order = consumer
            .there(&thing, "a", |o| things::condition(o)["reason"] == "Drifted")
            .await;
        let message = things::condition(&order)["message"].to_string();
        assert!(message.contains("spec.size"), "{message}");
        stage.calm().await;
        let asked = stage.requests();
        assert!(
            !asked.iter().any(|it| it.starts_with("service")),
            "{asked:?}"
        );
        let told =
            |n: &Notice| matches!(n, Notice::Drifted { why, .. } if why.contains("spec.size"));
        assert!(stage.notices.lock().unwrap().iter().any(told));

        reorder(&consumer, &thing, &json!({"size": 2})).await;
        spec(&stage, &consumer, &thing, &json!({"size": 2})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.stop().await;
    });
}

#[test]
fn a_controller_that_fights_for_a_field_is_answered_twice_and_then_left_to_it() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "n"}))
            .await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.forget();
        for reset in 1..=3 {
            edit(&stage, &consumer, &thing, &json!({"spec": {"size": 7}})).await;
            stage.calm().await;
            let size = stage.copy(&consumer, &thing, "a").await["spec"]["size"].clone();
            assert_eq!(size, if reset < 3 { 1 } else { 7 }, "reset {reset}");
        }
        let order = consumer
            .there(&thing, "a", |o| {
                things::condition(o)["reason"] == "Contested"
            })
            .await;
        let message = things::condition(&order)["message"].to_string();
        assert!(message.contains("spec.size"), "{message}");
        assert!(!message.contains(&consumer.cluster), "{message}");
        let asked = stage.requests();
        let written = asked.iter().filter(|it| *it == "service patch things a");
        if stage.counts() {
            assert_eq!(written.count(), 2, "{asked:?}");
        }
        // However long they go on.
        stage.forget();
        for size in 8..20 {
            edit(&stage, &consumer, &thing, &json!({"spec": {"size": size}})).await;
        }
        stage.calm().await;
        stage.asked_exactly(&[]);
        // The rest of the order is served as ever, and theirs stays.
        reorder(&consumer, &thing, &json!({"note": "m"})).await;
        spec(&stage, &consumer, &thing, &json!({"size": 19, "note": "m"})).await;
        // The word of a person.
        let again = json!({"metadata": {"annotations": {"syncagent.kcp.io/correct-again": "1"}}});
        edit(&stage, &consumer, &thing, &again).await;
        spec(&stage, &consumer, &thing, &json!({"size": 1, "note": "m"})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.stop().await;
    });
}

/// Something without marks stands where the copy of `a` would be.
async fn stranger(stage: &Stage, consumer: &Consumer, kind: &Kind) {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": consumer.cluster}});
    created(stage.service.post("/api/v1/namespaces", &namespace).await);
    let mut object = things::order(kind, "a", &json!({"size": 7, "second": {"name": "old"}}));
    object["metadata"]["namespace"] = json!(consumer.cluster);
    let at = syncagent_core::io::clients::collection(kind, Some(&consumer.cluster));
    created(stage.service.post(&at, &object).await);
}

#[test]
fn something_unmarked_becomes_the_copy_as_the_policy_says() {
    for (drift, adoption) in [
        (Drift::Keep, Adoption::LabelOnly),
        (Drift::Keep, Adoption::TakeOver),
        (Drift::Correct, Adoption::TakeOver),
    ] {
        play(|| async {
            let thing = things::kind("Thing");
            let mut stage = Stage::running(vec![with(drift, adoption)]).await;
            let consumer = stage.consumer("consumer").await;
            stranger(&stage, &consumer, &thing).await;
            stage.forget();
            consumer
                .order(&thing, "a", &json!({"size": 1, "note": "n"}))
                .await;
            consumer.there(&thing, "a", things::synced).await;
            stage.calm().await;
            let asked = stage.requests();
            let service: Vec<_> = asked
                .iter()
                .filter(|it| it.contains("service ") && it.contains(" things a"))
                .collect();
            if stage.counts() {
                assert_eq!(
                    service,
                    [
                        "service patch things a -> 409",
                        "service get things a",
                        "service patch things a"
                    ],
                    "{asked:?}"
                );
            }
            let adopted = stage.copy(&consumer, &thing, "a").await["spec"].clone();
            let wanted = match adoption {
                Adoption::LabelOnly => json!({"size": 7, "second": {"name": "old"}}),
                _ => json!({"size": 1, "note": "n", "second": {"name": "old"}}),
            };
            assert_eq!(adopted, wanted);
            let told = |n: &Notice| matches!(n, Notice::Adopted { .. });
            assert!(stage.notices.lock().unwrap().iter().any(told));
            reorder(&consumer, &thing, &json!({"size": 2})).await;
            there(&stage.service, &thing, &consumer.cluster, "a", |copy| {
                copy["spec"]["size"] == 2
            })
            .await;
            stage.stop().await;
        });
    }
}

#[test]
fn what_somebody_did_to_related_objects_while_the_agent_was_down_is_set_right() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::connected("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("one", "x").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "first": {"name": "one"}}))
            .await;
        stage.copy(&consumer, &thing, "a").await;
        stage.service(&consumer, "a-rw").await;
        stage.address(&consumer, "a-rw", "10.0.0.1").await;
        let right = consumer.there(&secret, "a-connection", |_| true).await["data"].clone();
        stage.calm().await;
        stage.stop().await;

        let taken = things::path(&secret, &consumer.cluster, "one.taken");
        let forged = json!({"data": {"password": "Zm9yZ2Vk"}});
        change(&stage.service, &taken, &forged).await;
        let returned = things::path(&secret, "default", "a-connection");
        change(&consumer.api, &returned, &json!({"data": {"host": null}})).await;
        stage.forget();
        stage.start();
        there(
            &stage.service,
            &secret,
            &consumer.cluster,
            "one.taken",
            |it| it["data"]["password"] == "eA==",
        )
        .await;
        consumer
            .there(&secret, "a-connection", |it| it["data"] == right)
            .await;
        stage.calm().await;
        stage.stop().await;
        // And a restart over what is right only lists.
        stage.forget();
        stage.start();
        stage.calm().await;
        let asked = stage.requests();
        let quiet = |it: &String| !it.contains(" secrets ") && !it.contains("patch");
        assert!(asked.iter().all(quiet), "{asked:?}");
        stage.stop().await;
    });
}
