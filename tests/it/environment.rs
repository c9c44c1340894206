//! Living through the environment: each trouble is survived without a loss, and without hammering anybody.
//!
//! Every test says how many requests a minute of its trouble may cost, with [`Spent`](crate::spent::Spent); `environment.md`
//! is the list of troubles, tests and bounds, and [`table`] holds it true. Most need servers that misbehave on purpose, so
//! they run against embedded ones only, in time that is paused; the others run against real ones too, where little time
//! passes and nothing is counted. That the bounds notice an agent that does not wait is shown by mistakes that are planted:
//! `syncagent-core/mutants/whole.txt`, from `does-not-wait-longer` on.

mod answers;
mod bindings;
mod claims;
mod clocks;
mod evidence;
mod exports;
mod hooks;
mod lists;
mod servers;
mod shards;
mod silence;
mod table;
mod tokens;

use serde_json::json;
use syncagent::Notice;
use syncagent_core::definition::Kind;
use syncagent_embedded::Server;

use crate::stage::{Consumer, Stage, there};
use crate::things;
use crate::world::{change, status};

/// Whether the environment can be made to misbehave; says aloud where it cannot.
pub(crate) fn possible() -> bool {
    let embedded = !crate::world::World::is_real();
    if !embedded {
        crate::world::skipped_for(
            "only embedded servers misbehave on purpose",
            "it would take a proxy that refuses, loses and delays what real ones answer, and the patience for minutes of real time",
        );
    }
    embedded
}

/// The embedded kcp of a stage.
pub(crate) fn kcp(stage: &Stage) -> Server {
    stage.world.embedded_kcp().unwrap().clone()
}

/// The embedded service cluster of a stage.
pub(crate) fn service(stage: &Stage) -> Server {
    stage.world.embedded_service().unwrap().clone()
}

/// What people were told of troubles that concern no order, or any.
fn problems(stage: &Stage) -> Vec<String> {
    let notices = stage.notices.lock().unwrap();
    let problems = notices.iter().filter_map(|notice| match notice {
        Notice::Problem { .. } => Some(notice.to_string()),
        _ => None,
    });
    problems.collect()
}

/// Whether anything was deleted at the service.
fn retired(stage: &Stage) -> bool {
    let notices = stage.notices.lock().unwrap();
    notices.iter().any(|n| matches!(n, Notice::Retired { .. }))
}

/// Orders that are at the service, and whose consumers know.
pub(crate) async fn settled(consumer: &Consumer, kind: &Kind, names: &[&str]) {
    for name in names {
        consumer.order(kind, name, &json!({"size": 1})).await;
    }
    for name in names {
        consumer.there(kind, name, things::synced).await;
    }
}

/// An agent at rest, and a consumer whose orders of these names it settled.
pub(crate) async fn at_rest(names: &[&str]) -> (Stage, Consumer) {
    let stage = Stage::running(vec![things::plain("Thing")]).await;
    let consumer = stage.consumer("consumer").await;
    settled(&consumer, &things::kind("Thing"), names).await;
    stage.calm().await;
    (stage, consumer)
}

/// A change of the consumer comes down, and one of the operator comes up.
pub(crate) async fn alive(stage: &Stage, consumer: &Consumer, kind: &Kind, name: &str, size: u32) {
    let order = things::path(kind, "default", name);
    change(&consumer.api, &order, &json!({"spec": {"size": size}})).await;
    there(&stage.service, kind, &consumer.cluster, name, |copy| {
        copy["spec"]["size"] == size
    })
    .await;
    let phase = format!("alive {size}");
    let copy = things::path(kind, &consumer.cluster, name);
    status(&stage.service, &copy, &json!({"phase": phase})).await;
    consumer
        .there(kind, name, |order| order["status"]["phase"] == *phase)
        .await;
}
