//! An executable that is measured, as a process.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::args::Contender;
use crate::process;
use crate::scene::Scene;
use crate::servers::Servers;

/// How long somebody must do nothing to be quiet, and how much time on a processor is nothing.
const QUIET: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(20));

/// How long servers that were given must be asked nothing before that is believed: what they have not answered yet is in no
/// log, and an agent that waits for it does nothing either.
const UNANSWERED: Duration = Duration::from_secs(4);

/// A running agent.
pub(crate) struct Agent {
    child: Child,
    pub(crate) since: Instant,
}

impl Agent {
    /// Starts it for a scene; what it says goes into a file beside the kubeconfigs.
    pub(crate) fn start(contender: &Contender, scene: &Scene) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(scene.home.join(format!("{}.log", contender.name)));
        let log = log.expect("a file can be made");
        let mut command = Command::new(&contender.executable);
        command
            .arg("--namespace")
            .arg(&scene.namespace)
            .arg("--kcp-kubeconfig")
            .arg(scene.home.join("kcp.kubeconfig"))
            .arg("--kubeconfig")
            .arg(scene.home.join("service.kubeconfig"))
            .arg("--apiexportendpointslice-ref")
            .arg(&scene.export)
            .arg("--agent-name")
            .arg(&scene.agent)
            .args(["--metrics-address", "0"])
            .args(&contender.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be used twice"))
            .stderr(log);
        let since = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "could not start {}: {error}",
                contender.executable.display()
            )
        });
        Self { child, since }
    }

    /// Its time on the processors so far.
    pub(crate) fn cpu(&self) -> Duration {
        process::cpu(self.child.id())
    }

    /// What it has in memory.
    pub(crate) fn resident(&self) -> u64 {
        process::resident(self.child.id())
    }

    /// What it had in memory at most.
    pub(crate) fn highest(&self) -> u64 {
        process::highest(self.child.id())
    }

    /// Why it is not there any more, if so.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("it ended: {status}"))
    }

    /// Waits until it does nothing any more, and says since when.
    pub(crate) async fn quiet(&self, servers: &mut Servers, cap: Duration) -> Option<Instant> {
        let end = Instant::now() + cap;
        loop {
            let since = self.idle(end).await?;
            if servers.are_embedded() {
                return Some(since);
            }
            let (asked, used) = (servers.counts(), self.cpu());
            sleep(UNANSWERED).await;
            if servers.counts() == asked && self.cpu() - used <= QUIET.1 {
                return Some(since);
            }
        }
    }

    /// Waits until it uses no processor, and says since when.
    async fn idle(&self, end: Instant) -> Option<Instant> {
        let mut samples = vec![(Instant::now(), self.cpu())];
        while Instant::now() < end {
            sleep(Duration::from_millis(100)).await;
            let now = (Instant::now(), self.cpu());
            samples.push(now);
            let first = samples.iter().position(|it| it.1 + QUIET.1 >= now.1);
            let (since, _) = samples[first.unwrap_or_default()];
            if now.0 - since >= QUIET.0 {
                return Some(since);
            }
        }
        None
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        for _ in 0..200 {
            if self.ended().is_some() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
