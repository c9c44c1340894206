//! Refusals: 401, 403, 409, 413, 422, 429, 500, for one object, one namespace, or everybody.

use std::time::Duration;

use serde_json::json;
use syncagent_embedded::faults::{Asked, Fault};
use syncagent_embedded::status::Failure;
use tokio::time::Instant;

use super::{alive, kcp, possible, problems, service, settled};
use crate::spent::Spent;
use crate::stage::{Consumer, Stage, play, there};
use crate::things;
use crate::world::change;

/// Whether the agent asks to write something of the kind of the tests.
fn writes(asked: &Asked<'_>) -> bool {
    asked.agent.starts_with("syncagent/")
        && asked.target.plural == "things"
        && !["get", "list", "watch"].contains(&asked.verb)
}

fn refuse(failure: Failure) -> Fault {
    Fault::Refuse(Box::new(failure))
}

/// So many orders, settled.
async fn many(consumer: &Consumer, count: usize) -> Vec<String> {
    let thing = things::kind("Thing");
    let names: Vec<String> = (0..count).map(|n| format!("t{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    settled(consumer, &thing, &all).await;
    names
}

/// Changes all of them.
async fn resize(consumer: &Consumer, names: &[String], size: u32) {
    let thing = things::kind("Thing");
    for name in names {
        let path = things::path(&thing, "default", name);
        change(&consumer.api, &path, &json!({"spec": {"size": size}})).await;
    }
}

async fn resized(stage: &Stage, consumer: &Consumer, names: &[String], size: u32) {
    let thing = things::kind("Thing");
    for name in names {
        there(&stage.service, &thing, &consumer.cluster, name, |c| {
            c["spec"]["size"] == size
        })
        .await;
    }
}

#[test]
fn a_busy_server_is_given_the_time_that_it_asks_for() {
    play(|| async {
        if !possible() {
            return;
        }
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let names = many(&consumer, 100).await;
        stage.calm().await;
        let busy = Failure::too_many_requests("too many requests, please try again later", 20);
        let server = service(&stage);
        server.faults().plan(usize::MAX, refuse(busy), writes);
        resize(&consumer, &names, 2).await;
        // A hundred orders wait, sixteen workers, and one server that asks for twenty seconds: each time a handful tries.
        let spent = Spent::over(&stage, 5).await;
        let refused = |line: &String| line.ends_with("-> 429");
        assert!(spent.busiest().iter().any(refused), "it is tried at all");
        spent.at_most(10);
        let told = problems(&stage);
        assert!(told.len() <= 1, "told once per server: {told:#?}");
        server.faults().clear();
        tokio::time::sleep(Duration::from_secs(45)).await;
        resized(&stage, &consumer, &names, 2).await;
        stage.stop().await;
    });
}

/// The kcp side asks for time, too, and the service side goes on meanwhile.
#[test]
fn a_busy_kcp_does_not_hold_up_the_service_cluster() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let names = many(&consumer, 50).await;
        stage.calm().await;
        let busy = Failure::too_many_requests("too many requests, please try again later", 30);
        let server = kcp(&stage);
        server.faults().plan(usize::MAX, refuse(busy), writes);
        let spent = Spent::from_here(&stage);
        for name in &names {
            let copy = things::path(&thing, &consumer.cluster, name);
            crate::world::status(&stage.service, &copy, &json!({"phase": "up"})).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        Spent::over(&stage, 3).await.at_most(4);
        resize(&consumer, &names, 3).await;
        resized(&stage, &consumer, &names, 3).await;
        server.faults().clear();
        tokio::time::sleep(Duration::from_secs(60)).await;
        for name in &names {
            consumer
                .there(&thing, name, |o| o["status"]["phase"] == "up")
                .await;
        }
        spent.at_most(140);
        stage.stop().await;
    });
}

#[test]
fn one_object_that_is_too_large_or_invalid_concerns_no_other() {
    for (code, reason) in [
        (413, "RequestEntityTooLarge"),
        (422, "Invalid"),
        (400, "BadRequest"),
    ] {
        play(|| async {
            if !possible() {
                return;
            }
            let thing = things::kind("Thing");
            let mut stage = Stage::running(vec![things::plain("Thing")]).await;
            let consumer = stage.consumer("consumer").await;
            let server = service(&stage);
            let poisoned = |asked: &Asked<'_>| writes(asked) && asked.target.name == "poison";
            let failure = Failure::new(code, reason, "it does not fit");
            server.faults().plan(usize::MAX, refuse(failure), poisoned);
            consumer.order(&thing, "poison", &json!({"size": 1})).await;
            let names = many(&consumer, 100).await;
            let told = consumer
                .there(&thing, "poison", |o| {
                    things::condition(o)["status"] == "False"
                })
                .await;
            let told = things::condition(&told)["message"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(!told.contains(&consumer.cluster), "{told}");
            stage.calm().await;
            Spent::over(&stage, 30).await.at_most(9);
            resize(&consumer, &names, 2).await;
            resized(&stage, &consumer, &names, 2).await;
            // It is tried again when it changes.
            server.faults().clear();
            let spent = Spent::from_here(&stage);
            alive(&stage, &consumer, &thing, "poison", 5).await;
            spent.at_most(6);
            stage.stop().await;
        });
    }
}

#[test]
fn a_namespace_that_is_forbidden_concerns_no_other() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let barred = stage.consumer("barred").await;
        let free = stage.consumer("free").await;
        let server = service(&stage);
        let cluster = barred.cluster.clone();
        let failure = Failure::forbidden("example.io", "things", "", "no access to the namespace");
        server
            .faults()
            .plan(usize::MAX, refuse(failure), move |asked| {
                writes(asked) && asked.target.namespace == cluster
            });
        for n in 0..30 {
            barred
                .order(&thing, &format!("t{n}"), &json!({"size": 1}))
                .await;
        }
        let names = many(&free, 30).await;
        for n in 0..30 {
            barred
                .there(&thing, &format!("t{n}"), |o| {
                    things::condition(o)["status"] == "False"
                })
                .await;
        }
        stage.calm().await;
        // Each gets another look every five minutes.
        Spent::over(&stage, 15).await.at_most(80);
        resize(&free, &names, 2).await;
        resized(&stage, &free, &names, 2).await;
        server.faults().clear();
        let spent = Spent::from_here(&stage);
        // Somebody grants it: everything comes by itself.
        tokio::time::sleep(Duration::from_secs(330)).await;
        for n in 0..30 {
            barred.there(&thing, &format!("t{n}"), things::synced).await;
        }
        spent.at_most(160);
        stage.stop().await;
    });
}

#[test]
fn a_storm_of_conflicts_passes() {
    play(|| async {
        if !possible() {
            return;
        }
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let names = many(&consumer, 20).await;
        stage.calm().await;
        let conflict = Failure::new(409, "Conflict", "the object has been modified");
        let server = service(&stage);
        server.faults().plan(usize::MAX, refuse(conflict), writes);
        let spent = Spent::from_here(&stage);
        resize(&consumer, &names, 2).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Twenty orders, each of which tries four times a minute at most, with three writes and a look after each.
        Spent::over(&stage, 5).await.at_most(420);
        server.faults().clear();
        tokio::time::sleep(Duration::from_secs(45)).await;
        resized(&stage, &consumer, &names, 2).await;
        spent.at_most(1200);
        stage.stop().await;
    });
}

#[test]
fn a_server_that_is_broken_is_left_in_peace() {
    play(|| async {
        if !possible() {
            return;
        }
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let names = many(&consumer, 50).await;
        stage.calm().await;
        let server = service(&stage);
        server.faults().plan(
            usize::MAX,
            refuse(Failure::internal("a planned fault")),
            writes,
        );
        let spent = Spent::from_here(&stage);
        resize(&consumer, &names, 2).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Fifty orders, each of which tries four times a minute at most.
        Spent::over(&stage, 5).await.at_most(170);
        server.faults().clear();
        tokio::time::sleep(Duration::from_secs(45)).await;
        resized(&stage, &consumer, &names, 2).await;
        spent.at_most(500);
        stage.stop().await;
    });
}

#[test]
fn a_token_that_is_no_longer_known_is_waited_for() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        let user = stage.user.clone();
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        let names = many(&consumer, 50).await;
        stage.calm().await;
        service(&stage).drop_token(user.service.token());
        kcp(&stage).drop_token(user.kcp.token());
        for server in [service(&stage), kcp(&stage)] {
            server.faults().cut_watches();
        }
        let spent = Spent::from_here(&stage);
        resize(&consumer, &names, 2).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        Spent::over(&stage, 10).await.at_most(60);
        let told = problems(&stage);
        assert!(told.len() <= 8, "{told:#?}");
        service(&stage).token(user.service.token(), &user.service.name, &[]);
        kcp(&stage).token(user.kcp.token(), &user.kcp.name, &[]);
        tokio::time::sleep(Duration::from_secs(45)).await;
        resized(&stage, &consumer, &names, 2).await;
        alive(&stage, &consumer, &thing, "t0", 4).await;
        spent.at_most(130);
        stage.stop().await;
    });
}

/// Answers that never arrive: the deed may be done or not, and both are survived.
#[test]
fn answers_that_get_lost_are_no_second_deed() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let spent = Spent::from_here(&stage);
        for server in [service(&stage), kcp(&stage)] {
            server.faults().plan(10, Fault::Lose, writes);
        }
        let names = many(&consumer, 20).await;
        stage.calm().await;
        for server in [service(&stage), kcp(&stage)] {
            server.faults().plan(10, Fault::Stall, writes);
        }
        resize(&consumer, &names, 2).await;
        let begun = Instant::now();
        resized(&stage, &consumer, &names[10..], 2).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        resized(&stage, &consumer, &names, 2).await;
        assert!(begun.elapsed() < Duration::from_secs(150));
        stage.calm().await;
        stage.forget();
        stage.calm().await;
        stage.asked_exactly(&[]);
        for server in [service(&stage), kcp(&stage)] {
            server.faults().clear();
        }
        alive(&stage, &consumer, &thing, "t0", 4).await;
        spent.at_most(130);
        stage.stop().await;
    });
}

/// A kube-apiserver that has just started does not know for a moment who may do what. That is about the agent, and no fault
/// of the order that meets it.
#[test]
fn who_is_not_known_for_a_moment_is_back_in_seconds() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        settled(&consumer, &thing, &["a"]).await;
        let why = "User \"agent\" cannot patch resource \"things\" in API group \"example.io\" in the namespace \"x\"";
        let failure = Failure::forbidden("example.io", "things", "a", why);
        let spent = Spent::from_here(&stage);
        service(&stage).faults().plan(3, refuse(failure), writes);
        let changed = Instant::now();
        resize(&consumer, &["a".to_owned()], 2).await;
        resized(&stage, &consumer, &["a".to_owned()], 2).await;
        let took = changed.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
        let order = consumer.get(&thing, "a").await.body;
        assert_ne!(things::condition(&order)["reason"], "Denied");
        spent.at_most(6);
        stage.stop().await;
    });
}
