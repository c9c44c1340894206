//! Whole servers that are away, cut, or take requests and never answer.

use std::time::Duration;

use serde_json::json;
use syncagent_embedded::faults::Fault;

use super::{alive, kcp, possible, problems, service, settled};
use crate::spent::Spent;
use crate::stage::{Stage, play, there};
use crate::things;
use crate::world::change;

/// A hundred orders meet one outage, and people hear of it once per server.
#[test]
fn an_outage_is_told_once_per_server_and_costs_little() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let names: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        settled(&consumer, &thing, &all).await;
        stage.calm().await;
        for server in [service(&stage), kcp(&stage)] {
            let before = problems(&stage).len();
            let spent = Spent::from_here(&stage);
            // Everybody has something to do.
            for (n, name) in names.iter().enumerate() {
                let order = things::path(&thing, "default", name);
                change(&consumer.api, &order, &json!({"spec": {"size": n + 1}})).await;
            }
            server.faults().outage(true);
            tokio::time::sleep(Duration::from_secs(60)).await;
            Spent::over(&stage, 5).await.at_most(25);
            // The front door of a kcp and the shard behind it are two.
            let told = problems(&stage).split_off(before);
            assert!(told.len() <= 2, "{told:#?}");
            server.faults().outage(false);
            tokio::time::sleep(Duration::from_secs(60)).await;
            alive(&stage, &consumer, &thing, "t0", 50).await;
            stage.calm().await;
            spent.at_most(140);
        }
        for (n, name) in names.iter().enumerate().skip(1) {
            there(&stage.service, &thing, &consumer.cluster, name, |c| {
                c["spec"]["size"] == n + 1
            })
            .await;
        }
        stage.stop().await;
    });
}

/// The connection stays, and nothing comes back. One object's request is lost so; the others are served.
#[test]
fn requests_that_are_never_answered_end_and_hold_up_nobody() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let server = service(&stage);
        let spent = Spent::from_here(&stage);
        server.faults().plan(usize::MAX, Fault::Stall, |asked| {
            asked.agent.starts_with("syncagent/") && asked.target.name == "stuck"
        });
        consumer.order(&thing, "stuck", &json!({"size": 1})).await;
        settled(&consumer, &thing, &["a", "b", "c"]).await;
        Spent::over(&stage, 5).await.at_most(10);
        alive(&stage, &consumer, &thing, "a", 2).await;
        let told = problems(&stage);
        assert!(told.len() <= 1, "{told:#?}");
        server.faults().clear();
        tokio::time::sleep(Duration::from_secs(60)).await;
        consumer.there(&thing, "stuck", things::synced).await;
        spent.at_most(25);
        stage.stop().await;
    });
}

/// Watches are cut every second for five minutes.
#[test]
fn watches_that_are_cut_all_the_time_are_opened_with_pauses() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        settled(&consumer, &thing, &["a"]).await;
        stage.calm().await;
        let servers = [service(&stage), kcp(&stage)];
        let cutting = async {
            for _ in 0..3000 {
                for server in &servers {
                    server.faults().cut_watches();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let spent = Spent::from_here(&stage);
        cutting.await;
        alive(&stage, &consumer, &thing, "a", 2).await;
        spent.at_most(120);
        stage.stop().await;
    });
}
