//! Bad days on real servers: what SIGKILL leaves behind, two agents where one was meant, credentials that change.
//!
//! A service cluster of its own (see `syncagent-real`), an embedded kcp and, where one is at hand, a real one; consumers
//! who order, change and delete all the time; and the agent in a process of its own, which is this program too. When the
//! day is over, a checker that knows nothing of the engine walks both servers, and they must agree.
//!
//! ```console
//! cargo run -p syncagent-real -- build                             # the service cluster's programs, once
//! SYNCAGENT_TEST_ORDERS=1000 cargo test --test bad_days            # by default fewer
//! SYNCAGENT_TEST_KCP=.../kcp cargo test --test bad_days killed     # with a real kcp too; only some days
//! ```

#![expect(clippy::print_stdout, reason = "a test runner speaks")]

mod agent;
mod checker;
mod servers;
#[path = "../it/things.rs"]
#[expect(
    dead_code,
    reason = "the kinds of other tests, of which one is used here"
)]
mod things;
mod work;
/// What [`things`] wants of a world.
mod world {
    pub(crate) fn group() -> String {
        "example.io".to_owned()
    }
}

use std::process::ExitCode;
use std::time::Instant;

use syncagent_real::{Kcp, Programs};

use crate::servers::{Servers, Which};
use crate::work::Disaster;

/// A day: what it shows, with how many orders, with how many agents, and what happens.
struct Day {
    name: &'static str,
    share: usize,
    agents: usize,
    disasters: &'static [Disaster],
}

const DAYS: [Day; 3] = [
    Day {
        name: "whoever_is_killed_in_the_middle_both_sides_agree_afterwards",
        share: 1,
        agents: 1,
        disasters: &[
            Disaster::Agent,
            Disaster::Apiserver,
            Disaster::Etcd,
            Disaster::Agent,
            Disaster::Kcp,
            Disaster::Everything,
        ],
    },
    Day {
        name: "a_second_agent_started_by_mistake_spoils_nothing",
        share: 3,
        agents: 2,
        disasters: &[Disaster::Agent],
    },
    Day {
        name: "certificates_and_tokens_that_change_are_followed",
        share: 3,
        agents: 1,
        disasters: &[Disaster::Credentials, Disaster::Credentials],
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    if let [role, service, kcp] = &*arguments
        && role == agent::ROLE
    {
        return runtime.block_on(agent::run(service, kcp));
    }
    if arguments.iter().any(|it| it == "--list") {
        return ExitCode::SUCCESS;
    }
    let filter = arguments
        .iter()
        .find(|it| it.contains(|c: char| c.is_alphabetic()) && !it.starts_with('-'));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for which in [Which::Embedded, Which::Real] {
        for day in &DAYS {
            let name = format!("{}::{}", which.word(), day.name);
            if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
                continue;
            }
            let programs = Programs::built().ok_or_else(|| {
                "the service cluster is not built: cargo run -p syncagent-real -- build".to_owned()
            });
            let kcp = match which {
                Which::Embedded => Ok(None),
                Which::Real => Kcp::executable().map(Some).map_err(|it| it.to_string()),
            };
            let (programs, kcp) = match (programs, kcp) {
                (Ok(programs), Ok(kcp)) => (programs, kcp),
                (Err(why), _) | (_, Err(why)) => {
                    println!("skipped: {name}: {why}");
                    skipped += 1;
                    continue;
                }
            };
            let began = Instant::now();
            let outcome = runtime.block_on(async {
                let servers = Servers::start(&programs, kcp.as_deref()).await?;
                live(day, servers).await
            });
            let took = began.elapsed().as_secs();
            match outcome {
                Ok(()) => {
                    println!("test {name} ... ok ({took} s)");
                    passed += 1;
                }
                Err(why) => {
                    println!("test {name} ... FAILED ({took} s)\n{why}");
                    failed += 1;
                }
            }
        }
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    ExitCode::from(u8::from(failed > 0))
}

/// What went wrong, in words.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// One day from its beginning to its end.
async fn live(day: &Day, mut servers: Servers) -> Result<(), Trouble> {
    let orders = std::env::var("SYNCAGENT_TEST_ORDERS").ok();
    let orders: usize = orders.map_or(300, |it| it.parse().expect("a number of orders"));
    for n in 0..day.agents {
        servers.start_agent(n)?;
    }
    let consumers = servers.consumers(3).await?;
    let wanted = work::storm(&mut servers, &consumers, orders / day.share, day.disasters).await?;
    let judged = checker::agree(&servers, &consumers, &wanted).await;
    judged.map_err(|differences| {
        format!(
            "{differences}\nthe agents' last words:\n{}",
            servers.last_words()
        )
        .into()
    })
}
