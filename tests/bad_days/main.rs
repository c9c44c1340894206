//! Bad days on real servers: what SIGKILL leaves behind, two agents where one was meant, credentials that change.
//!
//! A service cluster of its own (see `syncagent-real`), an embedded kcp and, where one is at hand, a real one; consumers
//! who order, change and delete all the time; an operator who says what it made; and the agent in a process of its own,
//! which is this program too. When the day is over, a checker that knows nothing of the engine walks both servers, and they
//! must agree. The checker itself is shown mistakes, and has to see each.
//!
//! ```console
//! cargo run -p syncagent-real -- build                             # the service cluster's programs, once
//! SYNCAGENT_TEST_ORDERS=1000 cargo test --test bad_days            # by default fewer
//! SYNCAGENT_TEST_KCP=.../kcp cargo test --test bad_days killed     # with a real kcp too; only some days
//! ```

#![expect(clippy::print_stdout, reason = "a test runner speaks")]

mod agents;
mod checker;
mod operator;
mod place;
mod planted;
mod servers;
#[path = "../it/things.rs"]
#[expect(
    dead_code,
    reason = "the kinds of other tests, of which one is used here"
)]
mod things;
mod work;
mod workspaces;
/// What [`things`] wants of a world.
mod world {
    pub(crate) fn group() -> String {
        "example.io".to_owned()
    }
}

use std::process::ExitCode;
use std::time::Instant;

use syncagent_real::{Kcp, Programs};

use crate::agents::Make;
use crate::servers::Servers;
use crate::work::Disaster;

const EXPORT: &str = "things.example.io";
/// How many orders a day has, if nobody says.
const ORDERS: usize = 100;

/// A day: what it shows, with which agents and how many orders, and what happens.
struct Day {
    name: &'static str,
    make: Make,
    agents: usize,
    /// Whether the agents show certificates instead of tokens.
    certificates: bool,
    /// The part of all orders.
    share: usize,
    disasters: &'static [Disaster],
    /// Whether mistakes are planted when it is over.
    planted: bool,
}

const DAY: Day = Day {
    name: "",
    make: Make::Library,
    agents: 1,
    certificates: false,
    share: 2,
    disasters: &[],
    planted: false,
};

const DAYS: [Day; 7] = [
    Day {
        name: "whoever_is_killed_in_the_middle_both_sides_agree_afterwards",
        share: 1,
        disasters: &[
            Disaster::Agent,
            Disaster::Apiserver,
            Disaster::Kcp,
            Disaster::Etcd,
            Disaster::Agent,
            Disaster::Kcp,
            Disaster::Everything,
        ],
        ..DAY
    },
    Day {
        name: "a_second_agent_started_by_mistake_spoils_nothing",
        agents: 2,
        disasters: &[Disaster::Agent],
        ..DAY
    },
    Day {
        name: "a_second_process_without_election_spoils_nothing",
        make: Make::Program,
        agents: 2,
        disasters: &[Disaster::Agent],
        ..DAY
    },
    Day {
        name: "of_two_elected_processes_the_other_goes_on",
        make: Make::Elected,
        agents: 2,
        disasters: &[Disaster::Agent, Disaster::Apiserver, Disaster::Second],
        ..DAY
    },
    Day {
        name: "tokens_and_authorities_that_change_are_followed",
        disasters: &[Disaster::Credentials, Disaster::Credentials],
        ..DAY
    },
    Day {
        name: "client_certificates_that_change_are_followed",
        certificates: true,
        disasters: &[Disaster::Credentials, Disaster::Credentials],
        ..DAY
    },
    Day {
        name: "mistakes_are_seen_and_those_of_the_agent_set_right",
        planted: true,
        ..DAY
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    if let [role, make, service, kcp] = &*arguments
        && role == agents::ROLE
        && let Some(make) = Make::named(make)
    {
        return runtime.block_on(agents::run(make, service, kcp));
    }
    if arguments.iter().any(|it| it == "--list") {
        return ExitCode::SUCCESS;
    }
    let filter = arguments
        .iter()
        .find(|it| it.contains(|c: char| c.is_alphabetic()) && !it.starts_with('-'));
    let orders = std::env::var("SYNCAGENT_TEST_ORDERS").ok();
    let orders: usize = orders.map_or(ORDERS, |it| it.parse().expect("a number of orders"));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let all = Instant::now();
    for real in [false, true] {
        for day in &DAYS {
            let kcp = if real { "real_kcp" } else { "embedded_kcp" };
            let name = format!("{kcp}::{}", day.name);
            if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
                continue;
            }
            let programs = Programs::built().ok_or_else(|| {
                "the service cluster is not built: cargo run -p syncagent-real -- build".to_owned()
            });
            let kcp = match real {
                false => Ok(None),
                true => Kcp::executable().map(Some).map_err(|it| it.to_string()),
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
                let kcp = kcp.as_deref();
                let servers = Servers::start(&programs, kcp, day.make, day.certificates).await?;
                live(day, orders / day.share, servers).await
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
    println!(
        "\n{passed} passed, {failed} failed, {skipped} skipped; up to {orders} orders a day, {} s",
        all.elapsed().as_secs()
    );
    ExitCode::from(u8::from(failed > 0))
}

/// What went wrong, in words.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// One day from its beginning to its end.
async fn live(day: &Day, orders: usize, mut servers: Servers) -> Result<(), Trouble> {
    let lived = lived(day, orders, &mut servers).await;
    lived.map_err(|why| {
        let words = servers.last_words(&why.to_string());
        format!("{why}\nwhat the agents said:\n{words}").into()
    })
}

async fn lived(day: &Day, orders: usize, servers: &mut Servers) -> Result<(), Trouble> {
    for n in 0..day.agents {
        servers.start_agent(n)?;
    }
    let consumers = servers.consumers(3).await?;
    let began = Instant::now();
    let (wanted, longest) = work::storm(servers, &consumers, orders, day.disasters).await?;
    let (over, stormed) = (Instant::now(), began.elapsed());
    let mut counted = checker::agree(servers, &consumers, &wanted).await?;
    let agreed = over.elapsed();
    println!(
        "  {orders} orders in {stormed:.1?}, the longest placed after {longest:.1?}; both sides agree {agreed:.1?} later: {} orders, {} copies, {} Secrets; {} starts of agents",
        counted.orders, counted.copies, counted.secrets, servers.agents.starts
    );
    if day.planted {
        planted::plant(servers, &consumers, &wanted).await?;
        counted = checker::agree(servers, &consumers, &wanted).await?;
    }
    if counted.orders != wanted.len() || counted.copies != wanted.len() {
        return Err(format!(
            "{} orders are wanted, and there are {counted:?}",
            wanted.len()
        )
        .into());
    }
    Ok(())
}
