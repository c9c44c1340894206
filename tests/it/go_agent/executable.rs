//! The executable as a process of its own, with the flags of the Go agent.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::program::Site;
use crate::stage::EXPORT;
use crate::takeover::STATES;
use crate::world::{selecting, skipped_for};

/// Names the Go agent's executable.
const NAMED: &str = "SYNCAGENT_TEST_GO_AGENT";

/// An executable with the Go agent's flags.
pub(crate) struct GoAgent {
    executable: PathBuf,
    ours: bool,
}

/// The executable under way; it is killed when the test ends before it.
pub(crate) struct Process {
    child: Child,
    folder: PathBuf,
}

impl GoAgent {
    /// The one that is named; says aloud where none is.
    pub(crate) fn named() -> Option<Self> {
        let Some(executable) = std::env::var_os(NAMED) else {
            let remedy = format!("{NAMED} names one");
            skipped_for("it takes an executable of the Go agent", &remedy);
            return None;
        };
        Some(Self {
            executable: executable.into(),
            ours: false,
        })
    }

    /// Our own binary in its place.
    pub(crate) fn ours() -> Option<Self> {
        let Some(executable) = option_env!("CARGO_BIN_EXE_syncagent") else {
            skipped_for("it takes our binary", "--all-features builds it");
            return None;
        };
        Some(Self {
            executable: executable.into(),
            ours: true,
        })
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    /// Starts it for the export of a site, for the objects that this selects.
    pub(crate) async fn start(&self, site: &Site, selector: &str) -> Process {
        let world = &site.0.world;
        let folder = std::env::temp_dir().join(world.unique("go-agent"));
        std::fs::create_dir_all(&folder).unwrap();
        let texts = world.kubeconfigs(&site.0.provider, &site.0.user).await;
        let [service, kcp] = [("service", &texts[0]), ("kcp", &texts[1])].map(|(name, text)| {
            let file = folder.join(name);
            std::fs::write(&file, text).unwrap();
            file
        });
        let mut command = Command::new(&self.executable);
        command
            .arg("--kubeconfig")
            .arg(service)
            .arg("--kcp-kubeconfig")
            .arg(kcp)
            .args(["--namespace", STATES, "--agent-name", &site.agent()])
            .args(["--apiexportendpointslice-ref", EXPORT])
            .args(["--metrics-address", "127.0.0.1:0"])
            .args(["--health-address", "127.0.0.1:0"])
            .arg("--enable-leader-election");
        let selector = selecting(selector);
        if !selector.is_empty() {
            command.args(["--published-resource-selector", &selector]);
        }
        let child = command
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Process { child, folder }
    }
}

impl Process {
    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stopped(mut self) {
        let pid = self.child.id().expect("it runs");
        let told = Command::new("kill").arg(pid.to_string()).status().await;
        assert!(told.unwrap().success());
        // The bound only ends a test that would never end.
        let end = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        assert!(end.is_ok(), "it does not end: {}", self.told());
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a failure, what it said is worth reading; what it reached the servers with is not kept.
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the executable said:\n{}", self.told());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
