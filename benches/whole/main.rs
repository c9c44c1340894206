//! The whole agent as a black box: how soon, at what cost, and how near to what the servers can do at all.
//!
//! ```console
//! cargo bench --features binary --bench whole -- --objects 500,2000 --workspaces 1,50
//! cargo bench --features binary --bench whole -- --peer ./api-syncagent
//! cargo bench --features binary --bench whole -- --help
//! ```
//!
//! Whatever takes the flags of kcp's Go agent can be measured: it is started as a process, sees a `PublishedResource` and two
//! kubeconfigs, and is judged by what appears on the servers. Everything is measured in one run, each cell on fresh servers:
//! embedded ones in a process of their own, or fresh workspaces and kinds on those that are given.
//!
//! The measure of all is a client that does nothing but the agent's writes: for each order a guarded patch that adds a
//! finalizer in the workspace, and an apply on the service cluster, 32 of them in flight. It needs no watch, decides
//! nothing and remembers nothing; an agent that is as fast keeps the servers busy, and cannot be faster. The same client is
//! measured once more while it watches orders and copies: what that takes off is the price of watches, not of the agent.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench speaks through its table, and of its progress"
)]

mod agent;
mod args;
mod ceiling;
mod chart;
#[path = "../shared/process.rs"]
mod process;
mod scene;
mod serve;
mod servers;
mod sight;
mod table;
#[path = "../shared/thing.rs"]
mod thing;
mod work;

use std::time::Duration;

use clap::Parser as _;

use crate::args::{Args, Work};
use crate::scene::Scene;
use crate::servers::Servers;
use crate::table::{Cell, Results};

fn main() {
    let args = Args::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .enable_all()
        .build()
        .expect("a runtime can be built");
    if args.serve {
        runtime.block_on(serve::serve());
    } else if !args.list {
        runtime.block_on(measure(&args));
    }
}

async fn measure(args: &Args) {
    let mut results = Results::default();
    let contenders = args.contenders();
    if args.peer.is_none() {
        println!("without --peer there is nobody to compare with: ours is measured alone");
    }
    for &workspaces in &args.workspaces {
        for &objects in &args.objects {
            let cell = Cell {
                objects,
                workspaces,
            };
            for (work, watched) in [(Work::Ceiling, false), (Work::Watching, true)] {
                if args.wants(work) {
                    let rate = ceiling(args, cell, watched).await;
                    results.ceiling(cell, rate);
                }
            }
            for contender in &contenders {
                if contender.is_peer && objects > args.peer_objects {
                    continue;
                }
                let deep = workspaces == 1 && objects == args.deep();
                let servers = Servers::fresh(args).await;
                let mut scene = Scene::set(servers, workspaces, deep).await;
                let measured = work::run(args, &mut scene, contender, cell, deep).await;
                results.add(&contender.name, cell, measured);
                results.print_row(&contender.name, cell);
                work::progress(&contender.name, cell, "cleaning up");
                scene.clear().await;
            }
        }
    }
    println!("\n{}", results.table(args));
    if let Some(path) = &args.chart {
        match std::fs::write(path, chart::svg(&results.curves())) {
            Ok(()) => println!("the chart is in {}", path.display()),
            Err(error) => eprintln!("could not write {}: {error}", path.display()),
        }
    }
}

/// What the servers do when nobody thinks.
async fn ceiling(args: &Args, cell: Cell, watched: bool) -> ceiling::Ceiling {
    let servers = Servers::fresh(args).await;
    let mut scene = Scene::set(servers, cell.workspaces, false).await;
    scene.bind(&args.contenders()[0]).await;
    let orders = scene.order(cell.objects, "a").await;
    let cap = Duration::from_secs(args.cap);
    let measured = ceiling::measure(&scene, &orders, watched, cap).await;
    work::progress(measured.name(), cell, "cleaning up");
    scene.clear().await;
    measured
}
