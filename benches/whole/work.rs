//! The pieces of work that an agent is measured by.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use syncagent_core::io::watch::Target;
use tokio::time::{interval, sleep};

use crate::agent::Agent;
use crate::args::{Args, Contender, Work};
use crate::scene::{AT_ONCE, Order, Scene, Workspace, done};
use crate::servers::Counts;
use crate::sight::{Seen, Sight};
use crate::table::{Cell, Latency, Measured, Restart};

/// How many orders the noisy neighbour makes at once.
const NOISE: usize = 500;
/// How long an agent has to give memory back that it needs no more: connections are closed after half a minute, and an
/// allocator takes a while to return pages.
const GIVES_BACK: Duration = Duration::from_secs(60);
/// How often the quiet tenant changes an order.
const CALM: Duration = Duration::from_millis(200);

/// Does all of it with one agent in one cell.
pub(crate) async fn run(
    args: &Args,
    scene: &mut Scene,
    contender: &Contender,
    cell: Cell,
    deep: bool,
) -> Measured {
    let cap = Duration::from_secs(args.cap);
    let say = |what: &str| progress(&contender.name, cell, what);
    say("binding");
    let mut measured = Measured {
        idle: scene.bind(contender).await,
        ..Measured::default()
    };
    say("ordering");
    let orders = scene.order(cell.objects, "a").await;
    say("placing");
    let Some(agent) = place(scene, contender, &orders, cap, &mut measured).await else {
        return measured;
    };
    say("resting for a minute");
    sleep(GIVES_BACK).await;
    measured.resident = agent.resident();
    if !deep {
        agent.stop().await;
        return measured;
    }
    let mut agent = agent;
    if args.wants(Work::Latency) {
        let some = &orders[..orders.len().min(args.samples)];
        let pause = Duration::from_secs(1) / args.rate.max(1);
        scene.servers.forget();
        for (steady, way) in [
            (true, Way::Down),
            (true, Way::Up),
            (false, Way::Down),
            (false, Way::Up),
        ] {
            say(way.word());
            let mark = scene.servers.mark();
            let mut latency = latency(scene, some, way, steady.then_some(pause), cap).await;
            latency.carried = scene.servers.took(way.carried_by(), &mark);
            measured.latencies.push((way.word(), steady, latency));
            agent.quiet(&mut scene.servers, cap).await;
        }
        measured.changes = (2 * some.len(), scene.servers.counts());
    }
    if args.wants(Work::Noisy) {
        say("a noisy neighbour");
        measured.noisy = noisy(scene, &orders, cap).await;
        agent.quiet(&mut scene.servers, cap).await;
    }
    if args.wants(Work::Restart) {
        say("restarting");
        let before = agent.cpu();
        let idle = Instant::now();
        scene.servers.forget();
        sleep(Duration::from_secs(10)).await;
        let asked = without_watches(scene.servers.counts()).values().sum();
        measured.rest = Some((idle.elapsed(), agent.cpu() - before, asked));
        agent.stop().await;
        scene.servers.forget();
        agent = Agent::start(contender, scene);
        let quiet = agent.quiet(&mut scene.servers, cap).await;
        measured.restart = Some(Restart {
            quiet: quiet.map(|at| at - agent.since),
            cpu: agent.cpu(),
            resident: agent.resident(),
            counts: without_watches(scene.servers.counts()),
        });
    }
    if args.wants(Work::Delete) {
        say("deleting half");
        scene.servers.forget();
        let half = &orders[..orders.len() / 2];
        measured.deleted = Some((half.len(), delete(scene, half, cap).await));
        agent.quiet(&mut scene.servers, cap).await;
        measured.deletion = without_watches(scene.servers.counts());
    }
    agent.stop().await;
    measured
}

/// Starts an agent over orders that wait, until it has nothing to do any more.
async fn place(
    scene: &mut Scene,
    contender: &Contender,
    orders: &[Order],
    cap: Duration,
    measured: &mut Measured,
) -> Option<Agent> {
    let mut copies = Sight::of(scene.copies());
    copies.calm().await;
    scene.servers.forget();
    let servers = scene.servers.cpu();
    let mut agent = Agent::start(contender, scene);
    let deadline = agent.since + cap;
    let mut there = HashSet::new();
    while there.len() < orders.len() {
        let Some(Seen { at, object, .. }) = copies
            .next(deadline.min(Instant::now() + Duration::from_secs(1)))
            .await
        else {
            if let Some(ended) = agent.ended() {
                panic!("{}: {ended}; see {}", contender.name, scene.home.display());
            }
            if Instant::now() >= deadline {
                break;
            }
            continue;
        };
        if there.insert(key(&object)) {
            measured.curve.push(at - agent.since);
        }
    }
    if there.len() < orders.len() {
        agent.stop().await;
        return None;
    }
    measured.all = measured.curve.last().copied();
    measured.quiet = agent
        .quiet(&mut scene.servers, cap)
        .await
        .map(|at| at - agent.since);
    measured.cpu = agent.cpu();
    measured.highest = agent.highest();
    measured.servers = scene
        .servers
        .cpu()
        .zip(servers)
        .map(|(now, before)| now - before);
    if scene.servers.counts_requests() {
        measured.counts = without_watches(scene.servers.counts());
    }
    Some(agent)
}

fn without_watches(mut counts: Counts) -> Counts {
    counts.retain(|line, _| line.split(' ').nth(1) != Some("watch"));
    counts
}

/// Which way a change goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From an order to its copy.
    Down,
    /// From the copy's status to the order's.
    Up,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Down => "updates",
            Self::Up => "statuses",
        }
    }

    /// The agent's write that brings it to the other side.
    fn carried_by(self) -> &'static str {
        match self {
            Self::Down => "service patch things",
            Self::Up => "kcp patch things/status",
        }
    }
}

/// Changes each order once, at a pace or as fast as the servers take it, and sees when it arrives on the other side.
async fn latency(
    scene: &Scene,
    orders: &[Order],
    way: Way,
    pace: Option<Duration>,
    cap: Duration,
) -> Latency {
    let consumer = &scene.consumers[0];
    // A mark that was not written before, neither there nor in the round at another pace.
    let mark = if pace.is_some() { 1000 } else { 2000 };
    let target = match way {
        Way::Down => Target::all(scene.service.clone(), scene.collection(None)),
        Way::Up => Target::all(consumer.api.clone(), scene.collection(None)),
    };
    let mut sight = Sight::of(target);
    sight.calm().await;
    let write = |order: Order| async move {
        let begun = Instant::now();
        match way {
            Way::Down => scene.change(consumer, &order.name, mark).await,
            Way::Up => scene.report(consumer, &order.name, mark).await,
        }
        (order.name, begun, Instant::now())
    };
    let written: Vec<(String, Instant, Instant)> = match pace {
        None => {
            futures::stream::iter(orders.to_vec())
                .map(write)
                .buffer_unordered(AT_ONCE)
                .collect()
                .await
        }
        Some(pace) => {
            let beat = interval(pace);
            let ticks = futures::stream::unfold(beat, |mut beat| async {
                beat.tick().await;
                Some(((), beat))
            });
            let paced = ticks
                .zip(futures::stream::iter(orders.to_vec()))
                .map(|(_, order)| write(order));
            Box::pin(paced.buffer_unordered(AT_ONCE)).collect().await
        }
    };
    let mut arrived: HashMap<String, Instant> = HashMap::new();
    let deadline = Instant::now() + cap;
    while arrived.len() < orders.len() {
        let Some(seen) = sight.next(deadline).await else {
            break;
        };
        if has(&seen.object, way, mark) {
            arrived
                .entry(name(&seen.object).to_owned())
                .or_insert(seen.at);
        }
    }
    let crossed = written.iter().filter_map(|(name, _, answered)| {
        Some(arrived.get(name)?.saturating_duration_since(*answered))
    });
    Latency {
        missing: orders.len() - arrived.len(),
        crossed: crossed.collect(),
        writes: written
            .iter()
            .map(|(_, begun, answered)| *answered - *begun)
            .collect(),
        carried: Vec::new(),
    }
}

fn has(object: &Value, way: Way, mark: usize) -> bool {
    match way {
        Way::Down => object["spec"]["size"] == mark,
        Way::Up => object["status"]["phase"] == mark.to_string().as_str(),
    }
}

/// A quiet tenant's changes, first alone, then while a neighbour makes many orders at once.
async fn noisy(scene: &Scene, orders: &[Order], cap: Duration) -> Option<(Latency, Latency)> {
    let neighbour = scene.neighbour.as_ref()?;
    let some = &orders[..orders.len().min(50)];
    let alone = latency(scene, some, Way::Down, Some(CALM), cap).await;
    // The marks of the first round are there already: all go back first.
    for order in some {
        scene.change(&scene.consumers[0], &order.name, 1).await;
    }
    sleep(Duration::from_secs(2)).await;
    let beside = async {
        sleep(Duration::from_millis(500)).await;
        latency(scene, some, Way::Down, Some(CALM), cap).await
    };
    let (beside, ()) = tokio::join!(beside, noise(scene, neighbour));
    Some((alone, beside))
}

async fn noise(scene: &Scene, neighbour: &Workspace) {
    let all = futures::stream::iter(0..NOISE);
    all.for_each_concurrent(AT_ONCE, |n| async move {
        scene.order_in(neighbour, &format!("noise{n:06}")).await;
    })
    .await;
}

/// Deletes orders, and says how long it took until the last of them was gone.
async fn delete(scene: &Scene, orders: &[Order], cap: Duration) -> Option<Duration> {
    let consumer = &scene.consumers[0];
    let mut sight = Sight::of(Target::all(consumer.api.clone(), scene.collection(None)).metadata());
    sight.calm().await;
    let start = Instant::now();
    futures::stream::iter(orders)
        .for_each_concurrent(AT_ONCE, |order| async move {
            let path = format!("{}/{}", scene.collection(Some("default")), order.name);
            done(consumer.api.delete(&path, &json!({})).await);
        })
        .await;
    let mut gone = 0;
    while gone < orders.len() {
        let seen = sight.next(start + cap).await?;
        gone += usize::from(seen.gone);
        if gone == orders.len() {
            return Some(seen.at - start);
        }
    }
    None
}

fn key(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    format!("{namespace}/{}", name(object))
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Says what is under way, on a line of its own that the next one covers.
pub(crate) fn progress(who: &str, cell: Cell, what: &str) {
    let mut out = std::io::stderr();
    let line = format!(
        "{who}, {} orders in {} workspaces: {what}",
        cell.objects, cell.workspaces
    );
    let _ = write!(out, "\r{line:<78}");
    let _ = out.flush();
}
