//! The end of a process that is told to stop: it is never long in coming, whoever does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use syncagent_core::cli::flags::Flags;
use syncagent_embedded::Server;
use syncagent_embedded::faults::Fault;
use tokio::time::Instant;

use crate::environment::{kcp, possible, service};
use crate::published::{publish, schema_of, site, things_of};
use crate::stage::play;
use crate::things;
use crate::world::eventually;

/// From now on nothing that the agent asks is answered by these servers; says whether anything was asked whose name begins so.
fn silence(servers: &[Server], name: &'static str) -> Arc<AtomicBool> {
    let asked_for = Arc::new(AtomicBool::new(false));
    for server in servers {
        let asked_for = asked_for.clone();
        server
            .faults()
            .plan(usize::MAX, Fault::Stall, move |asked| {
                let ours = asked.agent.starts_with("syncagent/");
                asked_for.fetch_or(
                    ours && asked.target.name.starts_with(name),
                    Ordering::SeqCst,
                );
                ours
            });
    }
    asked_for
}

async fn asked(what: &str, asked_for: &AtomicBool) {
    eventually(what, || async {
        asked_for.load(Ordering::SeqCst).then_some(())
    })
    .await;
}

/// While it looks for the export, while it runs for the Lease, and amid a step. Time is paused: what passes is what the
/// process waits for.
#[test]
fn s1_2_who_is_told_to_stop_ends_well_within_five_seconds_though_no_server_answers() {
    for amid in ["the start", "the election", "a step"] {
        play(|| async move {
            if !possible() {
                return;
            }
            let site = site().await;
            let stage = &site.0;
            let elected = Flags {
                enable_leader_election: Some(true),
                ..site.flags()
            };
            publish(stage, &things_of("things", json!({}))).await;
            let running = if amid == "a step" {
                let running = site.start(elected);
                schema_of(stage, "things").await;
                let consumer = stage.consumer("consumer").await;
                let thing = things::kind("Thing");
                consumer.order(&thing, "before", &json!({"size": 3})).await;
                stage.copy(&consumer, &thing, "before").await;
                let begun = silence(&[service(stage), kcp(stage)], "a");
                consumer.order(&thing, "a", &json!({"size": 3})).await;
                asked("a step is under way", &begun).await;
                running
            } else {
                let silent = match amid {
                    "the start" => kcp(stage),
                    _ => service(stage),
                };
                let begun = silence(&[silent], "");
                let running = site.start(elected);
                asked("it waits for an answer", &begun).await;
                running
            };
            let told = Instant::now();
            let exit = running.stopped().await;
            assert!(exit.is_stopped(), "amid {amid}: {exit}");
            let took = told.elapsed();
            assert!(took < Duration::from_secs(5), "amid {amid}: {took:?}");
        });
    }
}
