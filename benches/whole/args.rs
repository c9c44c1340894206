//! What is measured, of whom, on which servers.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Half of all orders are deleted at once, and no person is asked.
const UNASKED: &str = "--deletions-per-minute=1000000";

/// Measures whole agents, side by side.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "cargo bench --features binary --bench whole --",
    about = "Measures agents by what appears on the servers, side by side and beside what the servers can do at all.",
    after_help = "Without a kubeconfig a server is an embedded one, in a process of its own and fresh for each cell. \
                  With one, each cell has fresh workspaces and a fresh kind; requests are counted when the audit log is \
                  named as well (policy level Metadata, JSON lines)."
)]
pub(crate) struct Args {
    /// Another executable that takes the Go agent's flags, to be measured beside ours.
    #[arg(long, value_name = "PATH")]
    pub(crate) peer: Option<PathBuf>,
    /// The executable that counts as ours; by default the `syncagent` of this build.
    #[arg(long, value_name = "PATH")]
    pub(crate) agent: Option<PathBuf>,
    /// A further argument for ours; may be given again.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) agent_arg: Vec<String>,
    /// A further argument for the other; may be given again.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) peer_arg: Vec<String>,
    /// How many orders wait at start; a run for each.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "500,2000"
    )]
    pub(crate) objects: Vec<usize>,
    /// Over how many workspaces they are spread; a run for each.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    pub(crate) workspaces: Vec<usize>,
    /// With more orders than this ours is measured alone.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) peer_objects: usize,
    /// What is measured; by default everything.
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    pub(crate) only: Vec<Work>,
    /// How many seconds one piece of work may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) cap: u64,
    /// How many changes a second are a steady rate.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) rate: u32,
    /// Of how many changes a latency is taken.
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub(crate) samples: usize,
    /// The kubeconfig of a kcp: its current context is a workspace in which workspaces may be made.
    #[arg(long, value_name = "FILE")]
    pub(crate) kcp_kubeconfig: Option<PathBuf>,
    /// The kubeconfig of a service cluster.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The audit log of that kcp.
    #[arg(long, value_name = "FILE", requires = "kcp_kubeconfig")]
    pub(crate) kcp_audit: Option<PathBuf>,
    /// The audit log of that service cluster.
    #[arg(long, value_name = "FILE", requires = "kubeconfig")]
    pub(crate) audit: Option<PathBuf>,
    /// Where a chart goes, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,
    /// Be the embedded servers of another process.
    #[arg(long, hide = true)]
    pub(crate) serve: bool,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    /// What cargo asks of tests.
    #[arg(long, hide = true)]
    pub(crate) list: bool,
}

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// What a client does that only writes.
    Ceiling,
    /// The same, while it watches what an agent has to watch.
    Watching,
    /// Orders that wait at start are placed.
    Place,
    /// Changes cross, at a steady rate and all at once.
    Latency,
    /// A start over what is settled.
    Restart,
    /// A quiet tenant beside a noisy one.
    Noisy,
    /// Half of the orders are deleted.
    Delete,
}

/// Somebody who is measured.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) is_peer: bool,
}

impl Args {
    /// Whether a piece of work is asked for.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.only.is_empty() || self.only.contains(&work)
    }

    /// With how many orders latencies and the rest are measured: the most that both are measured with.
    pub(crate) fn deep(&self) -> usize {
        let fit = self.objects.iter().filter(|it| **it <= self.peer_objects);
        fit.max()
            .or(self.objects.iter().min())
            .copied()
            .unwrap_or_default()
    }

    /// Who is measured: ours first.
    pub(crate) fn contenders(&self) -> Vec<Contender> {
        let built = || PathBuf::from(env!("CARGO_BIN_EXE_syncagent"));
        let mut all = vec![Contender {
            name: "syncagent".to_owned(),
            executable: self.agent.clone().unwrap_or_else(built),
            arguments: [vec![UNASKED.to_owned()], self.agent_arg.clone()].concat(),
            is_peer: false,
        }];
        all.extend(self.peer.iter().map(|path| {
            Contender {
                name: path
                    .file_stem()
                    .map_or("peer".into(), |it| it.to_string_lossy().into_owned()),
                executable: path.clone(),
                arguments: self.peer_arg.clone(),
                is_peer: true,
            }
        }));
        all
    }
}
