//! The directory of one telling: kubeconfigs, the operator's data and log. It is gone when the story is.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::process::{ChildStdin, Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Trouble;
use crate::postgres::{Guard, Installation};

/// Tests tell several stories in one process.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// What has to be cleaned up, whenever and however the story ends.
pub(crate) struct Home {
    dir: PathBuf,
    guard: Option<Guard>,
    operator: Option<Operator>,
    agent: CancellationToken,
    /// Whether everything was left running on purpose.
    pub(crate) kept: bool,
}

/// The operator's process: it stops when its input is closed.
struct Operator {
    id: u32,
    input: Option<ChildStdin>,
    ended: watch::Receiver<Option<String>>,
}

impl Operator {
    /// Returns how it ended, once it has.
    async fn end(mut ended: watch::Receiver<Option<String>>) -> String {
        let end = ended.wait_for(Option::is_some).await;
        end.ok()
            .and_then(|how| how.clone())
            .unwrap_or_else(|| "nobody saw how".to_owned())
    }
}

impl Home {
    pub(crate) fn make() -> Result<Self, Trouble> {
        let dir = std::env::temp_dir().join(format!(
            "syncagent-cnpg-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        let what = format!("make the directory {}", dir.display());
        std::fs::create_dir(&dir).map_err(Trouble::system(what.as_str()))?;
        let guard = Guard::of(&dir)?;
        let data = dir.join("data");
        std::fs::create_dir(&data).map_err(Trouble::system(what.as_str()))?;
        for dir in [&dir, &data] {
            // The server's user passes through; the list of files is ours.
            let passable = Permissions::from_mode(0o711);
            std::fs::set_permissions(dir, passable).map_err(Trouble::system(what.as_str()))?;
        }
        Ok(Self {
            dir,
            guard: Some(guard),
            operator: None,
            agent: CancellationToken::new(),
            kept: false,
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the operator keeps its servers.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Stops the agent when cancelled.
    pub(crate) fn agent(&self) -> CancellationToken {
        self.agent.clone()
    }

    /// Writes a kubeconfig that only we may read.
    pub(crate) fn kubeconfig(&self, name: &str, text: &str) -> Result<PathBuf, Trouble> {
        let path = self.dir.join(format!("{name}.kubeconfig"));
        let write = || {
            std::fs::write(&path, "")?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            std::fs::write(&path, text)
        };
        write().map_err(Trouble::system(format!("write {}", path.display())))?;
        Ok(path)
    }

    /// Starts this executable again as the operator. What is returned ends when it does, and says how.
    pub(crate) fn start_operator(
        &mut self,
        kubeconfig: &Path,
        installation: &Installation,
    ) -> Result<(u32, impl Future<Output = String> + use<>), Trouble> {
        let log = self.dir.join("operator.log");
        let ourselves = std::env::current_exe().map_err(Trouble::system("find this executable"))?;
        let file =
            std::fs::File::create(&log).map_err(Trouble::system("write the operator's log"))?;
        let mut command = Command::new(ourselves);
        command.arg("operator").arg("--kubeconfig").arg(kubeconfig);
        command
            .arg("--data")
            .arg(self.data())
            .arg("--programs")
            .arg(&installation.programs);
        // The pipe tells it when we are gone; the group keeps a Ctrl-C for us.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(Trouble::system("start the operator"))?;
        let (id, input) = (child.id().unwrap_or_default(), child.stdin.take());
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = child.wait().await;
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let said = said.lines().last().unwrap_or("it said nothing");
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            // Nobody may want to know any more.
            let _ = sender.send(Some(format!("{how}; {said}")));
        });
        self.operator = Some(Operator {
            id,
            input,
            ended: ended.clone(),
        });
        Ok((id, Operator::end(ended)))
    }

    /// Stops the agent, the operator and its servers; removes the directory; returns when all are gone.
    pub(crate) async fn leave(mut self) {
        self.agent.cancel();
        if let Some(Operator { id, input, ended }) = self.operator.take() {
            drop(input);
            if tokio::time::timeout(Duration::from_secs(20), Operator::end(ended))
                .await
                .is_err()
            {
                // Its servers have guards of their own.
                let _ = Command::new("kill")
                    .args(["-KILL", &id.to_string()])
                    .status()
                    .await;
            }
        }
        if let Some(guard) = self.guard.take() {
            guard.finish().await;
        }
    }
}

/// Returns when somebody wants the story to end.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let signalled = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signalled(SignalKind::interrupt()) => {}
        () = signalled(SignalKind::terminate()) => {}
        () = signalled(SignalKind::hangup()) => {}
    }
}
