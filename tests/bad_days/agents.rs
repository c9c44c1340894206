//! The agents of a day, each in a process of its own that can be killed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio, Termination as _};

use jiff::Timestamp;
use serde_json::{Value, json};
use syncagent::{Agent, Notice};
use syncagent_core::access::{program, provider_rules, service_rules};
use syncagent_core::cli::flags::Flags;
use syncagent_core::cli::settings::Settings;
use syncagent_core::io::clients::{Connection, KcpAccess};
use syncagent_core::publication::Publications;
use syncagent_core::runtime::Process;
use syncagent_real::guard::Guard;

use crate::{EXPORT, Trouble, things};

/// How this program is asked to be an agent: this, which one, and two kubeconfigs.
pub(crate) const ROLE: &str = "agent";
/// How many of their last words are shown when a day went wrong.
const LAST: usize = 15;
/// How many deletions a minute are nobody's mistake: consumers delete by the hundred here, and mean it.
const DELETIONS: usize = 100_000;

/// How an agent is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// By the library, from a definition.
    Library,
    /// The binary `syncagent`, with a `PublishedResource`.
    Program,
    /// The same with leader election.
    Elected,
}

impl Make {
    fn word(self) -> String {
        format!("{self:?}")
    }

    /// Which one is asked for.
    pub(crate) fn named(word: &str) -> Option<Self> {
        [Self::Library, Self::Program, Self::Elected]
            .into_iter()
            .find(|it| it.word() == word)
    }

    /// What it must be allowed to do: on the service cluster, and in the export's workspace.
    pub(crate) fn rules(self) -> Result<(Vec<Value>, Vec<Value>), Trouble> {
        if self == Self::Library {
            let compiled = Publications::compile("agent", &[things::taking("Thing")]);
            let compiled = compiled.map_err(|it| format!("{it:?}"))?;
            return Ok((service_rules(&compiled), provider_rules(EXPORT)));
        }
        let kinds = [things::kind("Thing"), things::core("Secret")];
        let service = [
            program::namespace_rules(),
            program::default_rules(),
            program::cluster_rules(),
            kinds.iter().map(program::kind_rule).collect(),
        ];
        let provider = [program::export_rules(EXPORT), program::slice_rules(EXPORT)];
        Ok((service.concat(), provider.concat()))
    }

    /// Whether it writes the condition `Synced`.
    pub(crate) fn tells(self) -> bool {
        self == Self::Library
    }

    /// The name of the copy of a Secret.
    pub(crate) fn copy_of(self, secret: &str) -> String {
        match self {
            Self::Library => format!("{secret}.taken"),
            Self::Program | Self::Elected => secret.to_owned(),
        }
    }
}

/// What the binary reads instead of a definition.
pub(crate) fn published() -> Value {
    json!({"apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource", "metadata": {"name": "things"},
        "spec": {"resource": {"apiGroup": "example.io", "kind": "Thing", "versions": ["v1"]},
            "naming": {"namespace": "{{ .ClusterName }}", "name": "{{ .Object.metadata.name }}"},
            "related": [{"identifier": "first", "origin": "kcp", "kind": "Secret",
                "object": {"reference": {"path": "spec.first.name"}}}]}})
}

/// Is an agent, until it is killed or cannot go on.
pub(crate) async fn run(make: Make, service: &str, kcp: &str) -> ExitCode {
    if make == Make::Library {
        let service = Connection::from_kubeconfig(Some(service)).await;
        let kcp = KcpAccess::from_kubeconfig(Some(kcp)).await;
        let agent = Agent::new(EXPORT)
            .name("agent")
            .publish_definition(things::taking("Thing"))
            .retirements_per_minute(DELETIONS)
            .notify(say)
            .connect(service.expect("a kubeconfig"), kcp.expect("a kubeconfig"));
        return agent.run().await.report();
    }
    let flags = Flags {
        kubeconfig: Some(service.to_owned()),
        kcp_kubeconfig: Some(kcp.to_owned()),
        namespace: Some("default".to_owned()),
        apiexportendpointslice_ref: Some(EXPORT.to_owned()),
        agent_name: Some("agent".to_owned()),
        metrics_address: Some("0".to_owned()),
        enable_leader_election: Some(make == Make::Elected),
        deletions_per_minute: Some(DELETIONS),
        ..Flags::default()
    };
    let settings = Settings::try_from(flags).expect("flags that make sense");
    let process = Process::new(settings).notify(say);
    process.run().await.report()
}

/// What an agent tells, and when.
fn say(notice: &Notice) {
    println!("{:.3} {notice}", Timestamp::now());
}

/// Processes that end with the guard.
pub(crate) struct Agents {
    make: Make,
    kubeconfigs: [PathBuf; 2],
    running: Vec<Child>,
    /// How often one was started.
    pub(crate) starts: usize,
}

impl Agents {
    pub(crate) fn new(make: Make, kubeconfigs: [PathBuf; 2]) -> Self {
        Self {
            make,
            kubeconfigs,
            running: Vec::new(),
            starts: 0,
        }
    }

    /// How they are made.
    pub(crate) fn make(&self) -> Make {
        self.make
    }

    /// Starts an agent; the same number again after it ended.
    pub(crate) fn start(&mut self, number: usize, guard: &mut Guard) -> Result<(), Trouble> {
        let log = log(number, guard);
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(std::env::current_exe()?)
            .args([ROLE, &self.make.word()])
            .args(&self.kubeconfigs)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        guard.watch(child.id())?;
        self.starts += 1;
        if number < self.running.len() {
            self.running[number] = child;
        } else {
            self.running.push(child);
        }
        Ok(())
    }

    /// Starts those again that ended by themselves, as a kubelet does. Only who loses an election may.
    pub(crate) fn keep(&mut self, guard: &mut Guard) -> Result<(), Trouble> {
        for number in 0..self.running.len() {
            let Some(status) = self.running[number].try_wait()? else {
                continue;
            };
            guard.forget(self.running[number].id())?;
            if self.make != Make::Elected {
                return Err(format!("agent {number} ended by itself: {status}").into());
            }
            self.start(number, guard)?;
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, number: usize, guard: &mut Guard) -> Result<(), Trouble> {
        self.keep(guard)?;
        let agent = &mut self.running[number];
        agent.kill()?;
        guard.forget(agent.id())?;
        agent.wait()?;
        Ok(())
    }

    /// Whether one of them said this.
    pub(crate) fn said(&self, guard: &Guard, what: &str) -> bool {
        let log = |number| std::fs::read_to_string(log(number, guard)).unwrap_or_default();
        (0..self.running.len()).any(|number| log(number).contains(what))
    }

    /// The end of what each of them said, and before it whatever is about what this trouble names.
    pub(crate) fn last_words(&self, guard: &Guard, trouble: &str) -> String {
        let mut names: Vec<&str> = trouble
            .split(|c: char| !(c.is_ascii_alphanumeric() || "-./".contains(c)))
            .filter_map(|word| word.rsplit('/').next())
            .filter(|word| word.starts_with("order-") || word.starts_with("secret-"))
            .collect();
        names.sort_unstable();
        names.dedup();
        let words = |number| {
            let log = std::fs::read_to_string(log(number, guard)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let (before, last) = lines.split_at(lines.len().saturating_sub(LAST));
            let named = |line: &&&str| names.iter().any(|name| line.contains(name));
            let told: Vec<&str> = before.iter().filter(named).chain(last).copied().collect();
            format!("agent {number}:\n{}", told.join("\n"))
        };
        let all: Vec<String> = (0..self.running.len()).map(words).collect();
        all.join("\n")
    }
}

fn log(number: usize, guard: &Guard) -> PathBuf {
    guard.dir().join(format!("agent-{number}.log"))
}
