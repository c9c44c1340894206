//! An agent of a million orders: what it keeps, what it asks for and how long it takes to come to rest, simulated.
//!
//! ```console
//! cargo bench --bench scale                       # 20,000 orders in 400 workspaces
//! cargo bench --bench scale -- --workspaces 20000 # a million
//! ```
//!
//! An agent places the orders of one workspace, each with a Secret that it takes, on embedded servers. Then another one
//! starts over them, and every list that it asks for is answered with that workspace as often as was asked for, each time
//! under another name and with uids of its own; nobody keeps them but the agent. Watches, and whatever else it may want, are
//! those of the embedded servers, so one more order can be made beside all the others.
//!
//! The agent, the lists and the counting allocator share a process. How long the lists take to write is measured and
//! printed beside the time of the process.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench speaks through its table, and of its progress"
)]

#[path = "../../tests/it/lines.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod lines;
mod many;
#[path = "../shared/process.rs"]
#[expect(dead_code, reason = "another bench uses the rest")]
mod process;
mod sheet;
#[path = "../../tests/it/stage.rs"]
#[expect(dead_code, reason = "the tests' stage, of which little is used here")]
mod stage;
#[path = "../../tests/it/things.rs"]
#[expect(dead_code, reason = "likewise")]
mod things;
#[path = "../../tests/it/world.rs"]
#[expect(dead_code, reason = "likewise")]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use syncagent::{Agent, Exit};
use syncagent_core::io::clients::KcpAccess;
use syncagent_embedded::Server;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::many::{Many, Shared};
use crate::sheet::Marks;
use crate::stage::{Consumer, EXPORT, Stage};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Simulates an agent of many orders.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench scale --")]
struct Args {
    /// How many workspaces there are.
    #[arg(long, value_name = "N", default_value_t = 400)]
    workspaces: usize,
    /// How many orders are in each of them.
    #[arg(long, value_name = "N", default_value_t = 50)]
    orders: usize,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    /// What cargo asks of tests.
    #[arg(long, hide = true)]
    list: bool,
}

fn main() {
    let args = Args::parse();
    if args.list {
        return;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    // Of the first workspace everything fits into one page.
    runtime.block_on(simulate(args.workspaces.max(1), args.orders.clamp(1, 200)));
}

async fn simulate(workspaces: usize, each: usize) {
    let stage = Stage::set(vec![things::taking("Thing")]).await;
    let kcp = stage.world.embedded_kcp().expect("it is embedded").clone();
    let service = stage.world.embedded_service().expect("it is embedded");
    let servers = Servers {
        kcp,
        service: service.clone(),
        provider: stage.provider.path.clone(),
    };
    stage.export(&json!({})).await;
    let first = Shared::new(None);
    let agent = servers.agent(&first);
    stage.filled().await;
    let consumer = stage.consumer("consumer").await;
    for number in 0..each {
        order(&consumer, &format!("order-{number:03}")).await;
    }
    sleep(Duration::from_secs(2)).await;
    stop(agent).await;

    let uids = uids(&stage, &consumer).await;
    let marks = Marks::new(&consumer.cluster, uids, first.applied());
    let shared = Shared::new(Some((marks, workspaces)));
    let orders = workspaces * each;
    let before = Sample::now();
    ALLOCATOR.reset_peak_usage();
    let began = Instant::now();
    let agent = servers.agent(&shared);
    quiet(&shared).await;
    let (took, writing) = (began.elapsed() - QUIET, shared.writing());
    let peak = ALLOCATOR.peak_usage().saturating_sub(before.heap);
    let after = Sample::now();
    println!("{orders} orders in {workspaces} workspaces, each with a Secret that it takes");
    let heap = after.heap.saturating_sub(before.heap);
    println!(
        "started: at rest after {:.1} s, {:.1} s of CPU, of which {:.1} s went into writing the lists",
        took.as_secs_f64(),
        (after.cpu - before.cpu).as_secs_f64(),
        writing.as_secs_f64()
    );
    println!(
        "memory: {} MiB at rest, {} bytes for each; {} MiB at most; resident {} MiB, {} before",
        heap >> 20,
        heap / orders,
        peak >> 20,
        after.resident >> 20,
        before.resident >> 20
    );
    println!("asked for: {}", words(&shared));

    let idle = Sample::now();
    sleep(Duration::from_secs(10)).await;
    println!(
        "at rest for 10 s: {:.2} s of CPU; asked for: {}",
        (Sample::now().cpu - idle.cpu).as_secs_f64(),
        words(&shared)
    );

    let began = Instant::now();
    order(&consumer, "one-more").await;
    println!(
        "one more order, until it says that it is well: {} ms; asked for: {}",
        began.elapsed().as_millis(),
        words(&shared)
    );
    stop(agent).await;
}

/// The embedded servers.
struct Servers {
    kcp: Server,
    service: Server,
    provider: String,
}

type Running = (CancellationToken, JoinHandle<Exit>);

impl Servers {
    /// Starts an agent that sees more than there is.
    fn agent(&self, shared: &Arc<Shared>) -> Running {
        let kcp = {
            let (kcp, shared) = (self.kcp.clone(), shared.clone());
            move |path: &str| {
                let inside = kcp.in_process().as_user(&kcp.kcp_admin()).at(path);
                kube::Client::new(Many::of("kcp", inside, &shared), "default")
            }
        };
        let inside = self.service.in_process().as_user(&self.service.admin());
        let service = kube::Client::new(Many::of("service", inside, shared), "default");
        let access = KcpAccess::new(kcp(&self.provider), move |_| Ok(kcp("")));
        let token = CancellationToken::new();
        let agent = Agent::new(EXPORT)
            .publish_definition(things::taking("Thing"))
            .connect(service, access)
            .shutdown(token.clone());
        (token, tokio::spawn(agent.run()))
    }
}

async fn stop(agent: Running) {
    agent.0.cancel();
    assert!(agent.1.await.expect("it does not panic").is_stopped());
}

/// Orders a thing with a Secret of its own, and waits until it says that it is well.
async fn order(consumer: &Consumer, name: &str) {
    let secret = format!("{name}-password");
    consumer.secret(&secret, "a password").await;
    let thing = things::kind("Thing");
    let note = "one of two thousand bytes or so; ".repeat(2048 / 33);
    let spec = json!({"size": 1, "note": note, "first": {"name": secret}});
    consumer.order(&thing, name, &spec).await;
    consumer.there(&thing, name, things::synced).await;
}

/// The uids of everything that belongs to a workspace.
async fn uids(stage: &Stage, consumer: &Consumer) -> Vec<String> {
    let [things, secrets] =
        [things::kind("Thing"), things::core("Secret")].map(|it| things::collection(&it));
    let all = [
        (&consumer.api, things.as_str()),
        (&consumer.api, secrets.as_str()),
        (&stage.service, things.as_str()),
        (&stage.service, secrets.as_str()),
        (&stage.service, "/api/v1/namespaces"),
    ];
    let mut uids = Vec::new();
    for (server, path) in all {
        let list = server.get(path).await.expect("a list").body;
        let items = list["items"].as_array().into_iter().flatten();
        let ours = items.filter(|it| it.to_string().contains(&consumer.cluster));
        let uid = |it: &Value| it["metadata"]["uid"].as_str().map(str::to_owned);
        uids.extend(ours.filter_map(uid));
    }
    uids
}

/// For how long nothing may happen until that counts as rest.
const QUIET: Duration = Duration::from_secs(3);

/// Waits until the agent has all lists, and nothing to do any more.
async fn quiet(shared: &Shared) {
    let mut since = Instant::now();
    let mut cpu = Sample::now().cpu;
    while since.elapsed() < QUIET {
        sleep(Duration::from_millis(250)).await;
        let now = Sample::now().cpu;
        if now - cpu > Duration::from_millis(10) || !shared.complete() {
            since = Instant::now();
            eprint!("\r{} objects of lists were handed out", shared.handed());
        }
        cpu = now;
    }
    eprint!("\r{:<60}\r", "");
}

fn words(shared: &Shared) -> String {
    let counts = shared.counts();
    let lines: Vec<_> = counts
        .iter()
        .map(|(line, count)| format!("{count} {line}"))
        .collect();
    match lines.is_empty() {
        true => "nothing".to_owned(),
        false => lines.join(", "),
    }
}

/// What this process has taken at one moment.
struct Sample {
    heap: usize,
    resident: u64,
    cpu: Duration,
}

impl Sample {
    fn now() -> Self {
        let this = std::process::id();
        Self {
            heap: ALLOCATOR.current_usage(),
            resident: process::resident(this),
            cpu: process::cpu(this),
        }
    }
}
