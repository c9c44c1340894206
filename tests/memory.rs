//! What an agent keeps in memory: counted by its allocator, in a process that holds nothing but the agent.
//!
//! The servers run in a child process, which is this program too. Every order has 4 KiB and takes a Secret of its own. The
//! agent is measured at rest with few orders and with many, and the difference is divided by the number of orders. The
//! resident set, which an allocator keeps and which is what people see, is printed beside it and judged by nobody. Then
//! the agent is started anew over all of them: it may list and watch, and nothing else, and the highest point of its memory on
//! the way has a bound.
//!
//! ```console
//! SYNCAGENT_MEMORY_ORDERS=10000 cargo test --test memory
//! ```

#![expect(clippy::print_stdout, reason = "what was measured is printed")]

#[path = "it/lines.rs"]
#[expect(
    dead_code,
    reason = "another test's stage, of which little is used here"
)]
mod lines;
#[path = "it/stage.rs"]
#[expect(dead_code, reason = "likewise")]
mod stage;
#[path = "it/things.rs"]
#[expect(dead_code, reason = "likewise")]
mod things;
#[path = "it/world.rs"]
#[expect(dead_code, reason = "likewise")]
mod world;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use syncagent::Agent;
use tokio_util::sync::CancellationToken;

use crate::stage::{EXPORT, Stage};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How many bytes of the engine an order may have at rest.
const MOST: usize = 1000;
/// How many bytes connections may keep for reading after a burst (`io/connect.rs`): one has them when there are few orders,
/// or when there are many, or not. Of a dozen quiet runs one differed by two of them. With ten thousand orders that is 13
/// bytes for each.
const BUFFERS: usize = 2 * (64 << 10);
/// How many bytes of the engine an order may have at the highest point of a restart: both of its bodies wait, packed, until
/// the lists of both sides are complete, and a page of each list is in hand.
const PEAK: usize = 24 << 10;
/// With how many orders there is nothing that comes only once.
const FEW: usize = 312;
/// In how many workspaces they are.
const WORKSPACES: usize = 10;
/// How this program is asked to be the servers.
const SERVERS: &str = "SYNCAGENT_MEMORY_SERVERS";
/// How many orders there are in the end.
const ORDERS: &str = "SYNCAGENT_MEMORY_ORDERS";

fn main() {
    if std::env::args().any(|arg| arg == "--list") {
        return;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    if std::env::var(SERVERS).is_ok() {
        runtime.block_on(serve());
    } else {
        runtime.block_on(measure());
    }
}

/// The agent's side.
async fn measure() {
    let orders = std::env::var(ORDERS).ok();
    // By default so many that tables which double are as full as with ten thousand.
    let orders = orders.map_or(1250, |it| it.parse().expect("a number of orders"));
    let mut servers = Servers::start();
    let began = Instant::now();

    let agent = servers.agent().await;
    servers.ask(&format!("orders {FEW}"));
    let few = Sample::take().await;
    let middle_orders = (orders / 10).max(FEW + 1);
    let middle = servers.sample(middle_orders).await;
    let many = servers.sample(orders).await;
    println!("settled {orders} orders in {:?}", began.elapsed());
    stop(agent).await;

    let empty = Sample::take().await;
    ALLOCATOR.reset_peak_usage();
    let began = Instant::now();
    let agent = servers.agent().await;
    let asked = servers.ask("restart");
    let peak = ALLOCATOR.peak_usage() - empty.heap;
    let again = Sample::take().await;
    println!("started anew in {:?}", began.elapsed());
    stop(agent).await;

    let grown = |from: &Sample, to: &Sample, orders: usize| {
        let per = |from: usize, to: usize| (to.max(from) - from) / orders.max(1);
        (per(from.heap, to.heap), per(from.resident, to.resident))
    };
    let (heap, _) = grown(&few, &many, orders - FEW);
    let (slope, resident) = grown(&middle, &many, orders - middle_orders);
    println!(
        "{heap} bytes of the engine for each of {orders} orders, each with a Secret that it takes"
    );
    println!(
        "from {} to {orders} orders: {slope} bytes of the heap, {resident} of the resident set for each",
        middle_orders
    );
    let after = again.heap.saturating_sub(empty.heap) / orders;
    println!(
        "after a restart: {after} bytes for each, with everything that an agent has only once; at the highest point of the restart {} for each, {} MiB in all",
        peak / orders,
        peak >> 20
    );
    println!("the restart asked for {asked}");

    let peak = peak / orders;
    assert!(
        peak <= PEAK,
        "{peak} bytes for an order at the highest point are too many"
    );
    let most = MOST + BUFFERS / (orders - FEW);
    assert!(
        heap <= most,
        "{heap} bytes for an order are too many, {most} are allowed"
    );
    let asked: BTreeMap<String, usize> = serde_json::from_str(&asked).expect("a map");
    let lists = |line: &String| line.split(' ').nth(1) == Some("list");
    assert!(
        asked.keys().all(lists),
        "a restart lists and does nothing else: {asked:?}"
    );
    // Four collections of that many objects, in pages of 500, and a few lists of what there is one of.
    let pages = asked.values().sum::<usize>();
    assert!(pages <= 4 * orders.div_ceil(500) + 10, "{pages} pages");
}

async fn stop(agent: (CancellationToken, tokio::task::JoinHandle<syncagent::Exit>)) {
    agent.0.cancel();
    assert!(agent.1.await.expect("it does not panic").is_stopped());
}

/// What this process takes at one moment.
struct Sample {
    heap: usize,
    resident: usize,
}

impl Sample {
    /// At rest: the least of a while, in which what is under way arrives.
    async fn take() -> Self {
        let mut least = Self::now();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = Self::now();
            if now.heap < least.heap {
                least = now;
            }
        }
        least
    }

    fn now() -> Self {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = pages
            .split(' ')
            .nth(1)
            .and_then(|it| it.parse::<usize>().ok());
        Self {
            heap: ALLOCATOR.current_usage(),
            resident: pages.unwrap_or_default() * 4096,
        }
    }
}

/// The child.
struct Servers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    kubeconfigs: (String, String),
}

impl Servers {
    fn start() -> Self {
        let this = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(this)
            .env(SERVERS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let to = child.stdin.take().expect("it was piped");
        let from = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut servers = Self {
            child,
            to,
            from,
            kubeconfigs: Default::default(),
        };
        let said: Value = serde_json::from_str(&servers.hear()).expect("JSON");
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        servers.kubeconfigs = (text("service"), text("kcp"));
        servers
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the servers speak");
        line
    }

    /// Asks for something, and waits until it is done.
    fn ask(&mut self, what: &str) -> String {
        writeln!(self.to, "{what}").expect("the servers listen");
        let said = tokio::task::block_in_place(|| self.hear());
        assert!(!said.is_empty(), "the servers ended");
        said.trim().to_owned()
    }

    async fn sample(&mut self, orders: usize) -> Sample {
        self.ask(&format!("orders {orders}"));
        Sample::take().await
    }

    /// Starts an agent, which knows the servers by their kubeconfigs alone.
    async fn agent(&self) -> (CancellationToken, tokio::task::JoinHandle<syncagent::Exit>) {
        let token = CancellationToken::new();
        let agent = Agent::new(EXPORT)
            .publish_definition(things::taking("Thing"))
            .connect(
                stage::parsed(&self.kubeconfigs.0).await,
                stage::parsed(&self.kubeconfigs.1).await,
            )
            // A connection has buffers, and how many are open follows from the steps under way, not from the orders.
            .concurrency(16)
            .shutdown(token.clone());
        (token, tokio::spawn(agent.run()))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The servers' side: does what it is asked, and says when the agent came to rest.
async fn serve() {
    let stage = Stage::set(vec![things::taking("Thing")]).await;
    let kcp = stage.world.embedded_kcp().expect("embedded").clone();
    let service = stage.world.embedded_service().expect("embedded").clone();
    let at = "127.0.0.1:0".parse().expect("an address");
    let kcp_at = kcp.listen(at).await.expect("a port is free");
    let service_at = service.listen(at).await.expect("a port is free");
    stage.export(&json!({})).await;
    println!(
        "{}",
        json!({
            "service": service_at.kubeconfig(&service.admin()),
            "kcp": kcp_at.kubeconfig_at(&kcp.kcp_admin(), &stage.provider.path),
        })
    );
    let mut consumers = Vec::new();
    let mut there = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("the agent's side speaks");
        match line.strip_prefix("orders ") {
            Some(orders) => {
                if consumers.is_empty() {
                    stage.filled().await;
                    for n in 0..WORKSPACES {
                        consumers.push(stage.consumer(&format!("consumer-{n}")).await);
                    }
                }
                let orders: usize = orders.parse().expect("a number");
                let new = futures::stream::iter(there..orders);
                new.for_each_concurrent(16, |n| order(&consumers[n % WORKSPACES], n))
                    .await;
                there = orders;
                settled(&stage, &consumers, there).await;
                println!("settled");
            }
            None => {
                let pages = there.div_ceil(500);
                let lists = |side| format!("{side} list things");
                for list in [lists("kcp"), lists("service")] {
                    while stage.requests().iter().filter(|it| **it == list).count() < pages {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                settled(&stage, &consumers, there).await;
                let mut asked: BTreeMap<String, usize> = BTreeMap::new();
                for line in stage.requests() {
                    *asked.entry(line).or_default() += 1;
                }
                println!("{}", json!(asked));
            }
        }
        stage.forget();
    }
}

async fn order(consumer: &stage::Consumer, n: usize) {
    let (name, secret) = (format!("order-{n:05}"), format!("order-{n:05}-password"));
    consumer.secret(&secret, &format!("password-{n}")).await;
    let note = "one of four thousand bytes or so; ".repeat(4096 / 34);
    let spec = json!({"size": 1, "note": note, "first": {"name": secret}});
    consumer.order(&things::kind("Thing"), &name, &spec).await;
}

/// Waits until every order is told to be well, and the agent asks for nothing any more.
async fn settled(stage: &Stage, consumers: &[stage::Consumer], orders: usize) {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = stage.requests().len();
        if now > 0 && now == before && well(consumers).await == orders {
            return;
        }
        before = now;
    }
}

/// How many orders say that they are well.
async fn well(consumers: &[stage::Consumer]) -> usize {
    let path = syncagent_core::io::clients::collection(&things::kind("Thing"), Some("default"));
    let mut well = 0;
    for consumer in consumers {
        let all = consumer.api.get(&path).await.expect("a list").body;
        let all = all["items"].as_array().into_iter().flatten();
        well += all.filter(|it| things::synced(it)).count();
    }
    well
}
