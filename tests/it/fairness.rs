//! Tenants are fair to each other: a quiet one is served as soon beside a noisy one as alone.
//!
//! Time is that of the servers: every request of the agent takes some milliseconds, the machine's own speed counts for
//! nothing. `benches/fairness.rs` prints what is asserted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use syncagent::Agent;
use syncagent_core::io::clients::KcpAccess;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::{Service as _, service_fn};

use crate::stage::{Consumer, EXPORT, Stage};
use crate::things;

/// How many orders the noisy tenant writes at once.
pub(crate) const NOISE: usize = 1000;
/// How many orders of the quiet tenant are measured.
const SAMPLES: usize = 100;

/// A client whose every request takes 5 to 15 ms, a watch excepted.
fn slow(
    server: &syncagent_embedded::Server,
    token: &str,
    path: &str,
    chance: &Arc<AtomicU64>,
) -> kube::Client {
    let inside = server.in_process().as_user(token).at(path);
    let chance = chance.clone();
    let service = service_fn(move |request: http::Request<kube::client::Body>| {
        let mut inside = inside.clone();
        let watch = request
            .uri()
            .query()
            .is_some_and(|it| it.contains("watch="));
        // The golden ratio spreads well, and the same way every time.
        let step = chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let pause = Duration::from_micros(5_000 + (step >> 32) * 10_000 / (1 << 32));
        async move {
            if !watch {
                sleep(pause).await;
            }
            inside.call(request).await
        }
    });
    kube::Client::new(service, "default")
}

/// The stage with an agent that is far from its servers.
pub(crate) async fn stage() -> (Stage, CancellationToken) {
    let stage = Stage::set(vec![things::plain("Thing")]).await;
    stage.export(&json!({})).await;
    let kcp = stage.world.embedded_kcp().expect("embedded").clone();
    let service = stage.world.embedded_service().expect("embedded").clone();
    let chance = Arc::new(AtomicU64::new(7));
    let token = kcp.kcp_admin();
    let access = KcpAccess::new(slow(&kcp, &token, &stage.provider.path, &chance), {
        let chance = chance.clone();
        move |_| Ok(slow(&kcp, &token, "", &chance))
    });
    let end = CancellationToken::new();
    let agent = Agent::new(EXPORT)
        .publish_definition(things::plain("Thing"))
        .connect(slow(&service, &service.admin(), "", &chance), access)
        .shutdown(end.clone());
    tokio::spawn(agent.run());
    stage.filled().await;
    (stage, end)
}

/// Orders something, and measures how long it takes until its copy is there.
async fn ordered(stage: &Stage, consumer: &Consumer, name: &str) -> Duration {
    let thing = things::kind("Thing");
    consumer.order(&thing, name, &json!({"size": 1})).await;
    let began = Instant::now();
    let copy = things::path(&thing, &consumer.cluster, name);
    while stage.service.get(&copy).await.unwrap().code == 404 {
        sleep(Duration::from_millis(1)).await;
    }
    began.elapsed()
}

/// Whether the noisy tenant is almost served: its orders have their turns in the order in which they came.
async fn is_over(stage: &Stage, noisy: &Consumer, written: usize) -> bool {
    let Some(late) = written.checked_sub(NOISE / 10) else {
        return true;
    };
    let thing = things::kind("Thing");
    let copy = things::path(&thing, &noisy.cluster, &format!("n{late}"));
    stage.service.get(&copy).await.unwrap().code != 404
}

/// The times of a quiet tenant, alone and beside a noisy one, sorted.
pub(crate) async fn measured() -> (Vec<Duration>, Vec<Duration>) {
    let (stage, end) = stage().await;
    let quiet = stage.consumer("quiet").await;
    let noisy = stage.consumer("noisy").await;
    ordered(&stage, &quiet, "first").await;
    ordered(&stage, &noisy, "first").await;
    let mut alone = Vec::new();
    for n in 0..SAMPLES {
        alone.push(ordered(&stage, &quiet, &format!("alone-{n}")).await);
    }
    let (mut beside, mut written) = (Vec::new(), 0);
    while beside.len() < SAMPLES {
        if is_over(&stage, &noisy, written).await {
            let thing = things::kind("Thing");
            let spec = json!({"size": 1});
            let names: Vec<_> = (written..written + NOISE)
                .map(|n| format!("n{n}"))
                .collect();
            join_all(names.iter().map(|name| noisy.order(&thing, name, &spec))).await;
            written += NOISE;
        }
        let name = format!("beside-{}", beside.len());
        beside.push(ordered(&stage, &quiet, &name).await);
    }
    end.cancel();
    alone.sort_unstable();
    beside.sort_unstable();
    (alone, beside)
}

/// Which time this share of them does not exceed.
pub(crate) fn share(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[test]
fn a_quiet_tenant_is_served_as_soon_beside_a_noisy_one() {
    if crate::world::World::is_real() {
        return crate::world::skipped_for(
            "it makes servers slow",
            "benches/fairness and benches/whole measure real ones",
        );
    }
    crate::stage::play(|| async {
        let (alone, beside) = measured().await;
        let (alone, beside) = (share(&alone, 99), share(&beside, 99));
        assert!(
            beside.as_secs_f64() <= 1.5 * alone.as_secs_f64(),
            "{alone:?} alone, {beside:?} beside {NOISE} orders at once"
        );
    });
}

/// An event costs a server as much as a copy, so copies go first.
#[test]
fn events_wait_while_orders_do() {
    if crate::world::World::is_real() {
        return crate::world::skipped("it makes servers slow");
    }
    crate::stage::play(|| async {
        // So many events may wait.
        const MANY: usize = 240;
        let (stage, end) = stage().await;
        let consumer = stage.consumer("consumer").await;
        ordered(&stage, &consumer, "first").await;
        let kcp = stage.world.embedded_kcp().expect("embedded");
        let told = || {
            let audit = kcp.audit().into_iter();
            let events = audit.filter(|it| it.verb == "create" && it.resource == "events");
            events.count()
        };
        crate::world::eventually("the first order is told of", || async {
            (told() > 0).then_some(())
        })
        .await;
        let before = told();
        let names: Vec<_> = (0..MANY).map(|n| format!("o{n}")).collect();
        join_all(names.iter().map(|name| ordered(&stage, &consumer, name))).await;
        let meanwhile = told() - before;
        assert!(meanwhile <= MANY / 40, "{meanwhile} events went first");
        crate::world::eventually("all orders are told of", || async {
            (told() - before == MANY).then_some(())
        })
        .await;
        end.cancel();
    });
}

/// Of two tenants with much to do, neither waits for the other's end: their orders have their turns one by one.
#[test]
fn two_noisy_tenants_are_served_in_turn() {
    if crate::world::World::is_real() {
        return crate::world::skipped_for(
            "it reads the order of requests from the embedded server",
            "it would take the namespaces of the requests from audit logs",
        );
    }
    crate::stage::play(|| async {
        const EACH: usize = 40;
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let tenants = [stage.consumer("one").await, stage.consumer("two").await];
        stage.calm().await;
        stage.stop().await;
        for consumer in &tenants {
            for n in 0..EACH {
                let name = format!("o{n}");
                consumer.order(&thing, &name, &json!({"size": 1})).await;
            }
        }
        stage.forget();
        stage.start();
        for consumer in &tenants {
            for n in 0..EACH {
                stage.copy(consumer, &thing, &format!("o{n}")).await;
            }
        }
        // Who was served when: the first half of all placements, by tenant.
        let service = stage.world.embedded_service().expect("embedded");
        let placed: Vec<String> = service
            .audit()
            .into_iter()
            .filter(|it| it.verb == "patch" && it.resource == thing.plural)
            .map(|it| it.namespace)
            .collect();
        assert_eq!(placed.len(), 2 * EACH);
        let early = &placed[..EACH];
        for consumer in &tenants {
            let served = early.iter().filter(|it| **it == consumer.cluster).count();
            assert!(
                (EACH / 2 - 4..=EACH / 2 + 4).contains(&served),
                "{served} of the first {EACH} are those of {}: {early:?}",
                consumer.cluster
            );
        }
        stage.stop().await;
    });
}
