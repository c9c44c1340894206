//! What answers are evidence of, and what they are not: a 404 that is about something else, permission that comes late,
//! credentials that are worth nothing, a watch that is late.

use std::time::Duration;

use serde_json::json;
use syncagent::Hands;
use syncagent_core::definition::{Loss, Policy};
use syncagent_embedded::faults::{Asked, Fault};
use syncagent_embedded::status::Failure;
use tokio::time::Instant;

use super::{alive, at_rest, kcp, possible, problems, retired, service};
use crate::spent::Spent;
use crate::stage::{Stage, gone, play, there};
use crate::takeover::STATES;
use crate::things;
use crate::world::{change, eventually};

/// The agent's requests of this kind for the object of this name.
fn of(verb: &'static str, name: &'static str) -> impl Fn(&Asked<'_>) -> bool + Send + Sync {
    move |asked| {
        let ours = asked.agent.starts_with("syncagent/");
        ours && asked.verb == verb && asked.target.name == name
    }
}

/// What servers answer where a kind is not served, or nothing is there at all.
fn page_not_found() -> Fault {
    let failure = Failure::new(
        404,
        "NotFound",
        "the server could not find the requested resource",
    );
    Fault::Refuse(Box::new(failure))
}

/// What may not be seen is looked at soon, and later each time: 5, 15 and 45 seconds after the last look, a quarter sooner at
/// most.
async fn looks_at_last(stage: &Stage) {
    let spent = Spent::from_here(stage);
    tokio::time::sleep(Duration::from_secs(32)).await;
    let looks = spent.busiest();
    let looks = looks.iter().filter(|line| line.contains(" get "));
    assert_eq!(looks.count(), 2, "{:#?}", spent.busiest());
}

/// An order goes, and for a while its workspace answers as if it had never served the kind.
#[test]
fn a_kind_that_is_not_served_is_no_evidence_that_an_order_is_gone() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let (mut stage, consumer) = at_rest(&["a"]).await;
        let spent = Spent::from_here(&stage);
        let server = kcp(&stage);
        // It goes while nobody can watch.
        server
            .faults()
            .fail_next(usize::MAX, 503, |verb, _| verb == "watch");
        server.faults().cut_watches();
        let path = things::path(&thing, "default", "a");
        change(
            &consumer.api,
            &path,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        consumer.delete(&thing, "a").await;
        server.faults().compact();
        server.faults().clear();
        server
            .faults()
            .plan(usize::MAX, page_not_found(), of("get", "a"));
        eventually("it cannot be read", || async {
            let stuck = stage.stuck();
            stuck
                .iter()
                .any(|it| it.why.contains("cannot be read"))
                .then_some(())
        })
        .await;
        looks_at_last(&stage).await;
        stage.copy(&consumer, &thing, "a").await;
        assert!(!retired(&stage));
        let stuck = stage.stuck();
        assert!(stuck[0].why.contains("cannot be read"), "{stuck:#?}");
        server.faults().clear();
        gone(&stage.service, &thing, &consumer.cluster, "a").await;
        spent.at_most(20);
        stage.stop().await;
    });
}

/// What a kcp does whose virtual workspace comes back, seen once with 0.32.3: it does not know the path when the status of an
/// order is written, nor when the order is looked at. The answer was not about the order, and the status is not lost; nor is
/// one that comes while the order cannot be read.
#[test]
fn a_status_that_found_no_workspace_is_written_when_there_is_one() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let (mut stage, consumer) = at_rest(&["a", "b"]).await;
        let spent = Spent::from_here(&stage);
        let server = kcp(&stage);
        for verb in ["get", "patch"] {
            let faults = server.faults();
            faults.plan(usize::MAX, page_not_found(), move |asked| {
                asked.agent.starts_with("syncagent/") && asked.verb == verb
            });
        }
        let say = async |name: &str, phase: &str| {
            let copy = things::path(&thing, &consumer.cluster, name);
            crate::world::status(&stage.service, &copy, &json!({"phase": phase})).await;
        };
        say("a", "first").await;
        say("b", "first").await;
        eventually("they cannot be read", || async {
            (stage.stuck().len() == 2).then_some(())
        })
        .await;
        say("b", "second").await;
        stage.calm().await;
        server.faults().clear();
        for (name, phase) in [("a", "first"), ("b", "second")] {
            consumer
                .there(&thing, name, |it| it["status"]["phase"] == phase)
                .await;
        }
        spent.at_most(30);
        stage.stop().await;
    });
}

/// The service cluster does not find the path of a copy that is to be deleted; the copy is there.
#[test]
fn an_order_is_held_until_it_is_its_copy_that_is_not_found() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let (mut stage, consumer) = at_rest(&["a"]).await;
        let spent = Spent::from_here(&stage);
        let server = service(&stage);
        server
            .faults()
            .plan(usize::MAX, page_not_found(), of("delete", "a"));
        consumer.delete(&thing, "a").await;
        Spent::over(&stage, 2).await.at_most(20);
        stage.copy(&consumer, &thing, "a").await;
        assert!(consumer.get(&thing, "a").await.is_success(), "it is held");
        server.faults().clear();
        gone(&consumer.api, &thing, "default", "a").await;
        gone(&stage.service, &thing, &consumer.cluster, "a").await;
        spent.at_most(20);
        stage.stop().await;
    });
}

/// Secrets may not be read, and then they may: nothing tells of that. Each of these orders names one of its own.
async fn waits_for_permission(names: &[&str]) -> (Stage, Spent) {
    let thing = things::kind("Thing");
    let secret = things::core("Secret");
    let stage = Stage::running(vec![things::taking("Thing")]).await;
    let consumer = stage.consumer("consumer").await;
    for name in names {
        consumer.secret(name, "x").await;
    }
    let spent = Spent::from_here(&stage);
    let forbidden = Failure::forbidden("", "secrets", "any", "not yet");
    let forbidden = Fault::Refuse(Box::new(forbidden));
    let server = kcp(&stage);
    server.faults().plan(usize::MAX, forbidden, |asked| {
        asked.agent.starts_with("syncagent/")
            && asked.verb == "get"
            && asked.target.plural == "secrets"
    });
    for name in names {
        let spec = json!({"size": 1, "first": {"name": name}});
        consumer.order(&thing, name, &spec).await;
    }
    for name in names {
        consumer
            .there(&thing, name, |it| {
                things::condition(it)["reason"] == "NotAllowed"
            })
            .await;
    }
    looks_at_last(&stage).await;
    server.faults().clear();
    let granted = Instant::now();
    for name in names {
        stage
            .copy(&consumer, &secret, &format!("{name}.taken"))
            .await;
        consumer.there(&thing, name, things::synced).await;
    }
    assert!(
        granted.elapsed() < Duration::from_secs(45),
        "{:?}",
        granted.elapsed()
    );
    (stage, spent)
}

#[test]
fn a_permission_that_is_granted_is_noticed_within_a_few_looks() {
    play(|| async {
        if !possible() {
            return;
        }
        let (mut stage, spent) = waits_for_permission(&["a"]).await;
        spent.at_most(20);
        stage.stop().await;
    });
}

/// Of many orders one looks for all, and calls the others.
#[test]
fn who_waits_for_the_same_permission_is_called_by_the_one_who_looks() {
    play(|| async {
        if !possible() {
            return;
        }
        let (mut stage, spent) = waits_for_permission(&["a", "b", "c", "d"]).await;
        spent.at_most(70);
        stage.stop().await;
    });
}

/// The token of the agent is worth nothing any more: that is the provider's to mend, and one request tries for all.
#[test]
fn credentials_that_are_not_accepted_are_told_as_that_and_tried_by_one() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let names: Vec<String> = (0..30).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut stage, consumer) = at_rest(&all).await;
        let spent = Spent::from_here(&stage);
        let server = service(&stage);
        let before = problems(&stage).len();
        let (token, name) = (
            stage.user.service.token().to_owned(),
            stage.user.service.name.clone(),
        );
        server.drop_token(&token);
        server.clear_audit();
        for name in &names {
            let path = things::path(&thing, "default", name);
            change(&consumer.api, &path, &json!({"spec": {"size": 9}})).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let stuck = stage.stuck();
        assert_eq!(stuck.len(), names.len(), "{stuck:#?}");
        for one in &stuck {
            assert_eq!(one.hands, Hands::Provider, "{one}");
            assert!(
                one.why.contains("does not accept the agent's credentials"),
                "{one}"
            );
        }
        let told = problems(&stage).split_off(before);
        assert!(told.len() <= 1, "{told:#?}");
        server.token(&token, &name, &[]);
        for name in &names {
            there(&stage.service, &thing, &consumer.cluster, name, |it| {
                it["spec"]["size"] == 9
            })
            .await;
        }
        eventually("nothing is stuck", || async {
            let stuck = stage.stuck();
            stuck.is_empty().then_some(())
        })
        .await;
        spent.at_most(50);
        stage.stop().await;
    });
}

/// Somebody deletes a workspace's namespace, and no watch tells of it for minutes.
#[test]
fn a_namespace_that_went_unseen_is_made_again_at_once() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let (mut stage, consumer) = at_rest(&["a"]).await;
        let spent = Spent::from_here(&stage);
        service(&stage).faults().mute_watches();
        let namespace = format!("/api/v1/namespaces/{}", consumer.cluster);
        let reply = stage.service.delete(&namespace, &json!({})).await;
        assert!(reply.unwrap().is_success());
        eventually("the namespace is gone", || async {
            (stage.service.get(&namespace).await.unwrap().code == 404).then_some(())
        })
        .await;
        let before = Instant::now();
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "b").await;
        assert!(
            before.elapsed() < Duration::from_secs(5),
            "{:?}",
            before.elapsed()
        );
        // What went with it is noticed when it is noticed that the watches say nothing.
        tokio::time::sleep(Duration::from_secs(150)).await;
        stage.copy(&consumer, &thing, "a").await;
        alive(&stage, &consumer, &thing, "b", 2).await;
        spent.at_most(30);
        stage.stop().await;
    });
}

/// A namespace that is on its way out when an order comes is made again as soon as it is gone.
#[test]
fn an_order_that_meets_a_namespace_on_its_way_out_waits_for_no_pause() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let (mut stage, consumer) = at_rest(&["a"]).await;
        let spent = Spent::from_here(&stage);
        let copy = things::path(&thing, &consumer.cluster, "a");
        // The operator takes its time.
        change(
            &stage.service,
            &copy,
            &json!({"metadata": {"finalizers": ["operator.example.io/busy"]}}),
        )
        .await;
        let namespace = format!("/api/v1/namespaces/{}", consumer.cluster);
        let reply = stage.service.delete(&namespace, &json!({})).await;
        assert!(reply.unwrap().is_success());
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        // Long enough for the longest pause.
        Spent::over(&stage, 5).await.at_most(20);
        change(
            &stage.service,
            &copy,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        eventually("the namespace is gone", || async {
            let reply = stage.service.get(&namespace).await.unwrap();
            (reply.code == 404 || reply.body["status"]["phase"] == "Active").then_some(())
        })
        .await;
        let before = Instant::now();
        for name in ["a", "b"] {
            stage.copy(&consumer, &thing, name).await;
        }
        assert!(
            before.elapsed() < Duration::from_secs(5),
            "{:?}",
            before.elapsed()
        );
        spent.at_most(40);
        stage.stop().await;
    });
}

/// An order and its copy are lost while no agent runs; what was taken for the order still says so.
#[test]
fn what_was_taken_for_an_order_that_was_lost_with_its_copy_is_cleaned_up() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["lost", "kept"] {
            consumer.secret(name, "x").await;
            let spec = json!({"size": 1, "first": {"name": name}});
            consumer.order(&thing, name, &spec).await;
            consumer.there(&thing, name, things::synced).await;
        }
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        stage.stop().await;
        let path = things::path(&thing, "default", "lost");
        change(
            &consumer.api,
            &path,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        consumer.delete(&thing, "lost").await;
        let copy = things::path(&thing, &consumer.cluster, "lost");
        let reply = stage.service.delete(&copy, &json!({})).await;
        assert!(reply.unwrap().is_success());
        stage.start();
        stage.calm().await;
        stage.copy(&consumer, &secret, "lost.taken").await;
        // The sweep is slow.
        tokio::time::sleep(Duration::from_secs(300)).await;
        gone(&stage.service, &secret, &consumer.cluster, "lost.taken").await;
        consumer
            .there(&secret, "lost", |it| {
                it["metadata"].get("finalizers").is_none()
            })
            .await;
        stage.copy(&consumer, &secret, "kept.taken").await;
        stage.calm().await;
        stage.forget();
        tokio::time::sleep(Duration::from_secs(900)).await;
        stage.asked_exactly(&[]);
        spent.at_most(30);
        stage.stop().await;
    });
}

/// A server deletes an order that it had looked at before our finalizer was on it, as real ones do: that is a deletion as
/// every other. Where somebody takes our finalizer off an order that goes, what becomes of the copy is the policy's.
#[test]
fn an_order_that_is_deleted_while_it_is_taken_hold_of_is_no_orphan() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut reported = Policy::derived();
        reported.losses.stripped = Loss::Report;
        for policy in [Policy::derived(), reported, Policy::take_over(STATES)] {
            let stays = policy != Policy::derived();
            let mut definition = things::plain("Thing");
            definition.policy = policy;
            let mut stage = Stage::running(vec![definition]).await;
            let consumer = stage.consumer("consumer").await;
            for name in ["torn", "stripped"] {
                consumer.order(&thing, name, &json!({"size": 1})).await;
                stage.copy(&consumer, &thing, name).await;
            }
            stage.calm().await;
            let spent = Spent::from_here(&stage);
            let torn = |asked: &Asked<'_>| asked.verb == "delete" && asked.target.name == "torn";
            kcp(&stage).faults().plan(1, Fault::Overlook, torn);
            consumer.delete(&thing, "torn").await;
            gone(&stage.service, &thing, &consumer.cluster, "torn").await;

            // The other one is asked to go, and stripped before the agent hears of either.
            kcp(&stage).faults().mute_watches();
            consumer.delete(&thing, "stripped").await;
            let order = things::path(&thing, "default", "stripped");
            let free = json!({"metadata": {"finalizers": null}});
            change(&consumer.api, &order, &free).await;
            gone(&consumer.api, &thing, "default", "stripped").await;
            kcp(&stage).faults().cut_watches();
            stage.calm().await;
            if stays {
                stage.copy(&consumer, &thing, "stripped").await;
                let stuck = stage.stuck();
                assert_eq!(stuck.len(), 1, "{stuck:#?}");
                assert!(stuck[0].why.contains("is an orphan"), "{stuck:#?}");
            } else {
                gone(&stage.service, &thing, &consumer.cluster, "stripped").await;
            }
            spent.at_most(20);
            stage.stop().await;
        }
    });
}
