//! A kcp: one executable that somebody has installed, started on free loopback ports with a fresh directory.
//!
//! Nobody builds it here, since not all of it is in package registries; v0.32 and later are known to work.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::guard::Guard;
use crate::server::{self, AUDIT_POLICY, Server};

/// Names the executable.
pub const EXECUTABLE: &str = "SYNCAGENT_TEST_KCP";

/// How many users a kcp knows beside its administrator.
const USERS: usize = 500;

/// A running kcp; dropping it ends it, and leaves nothing.
#[derive(Debug)]
pub struct Kcp {
    server: Server,
    /// A kubeconfig that points at no workspace, as health wants it.
    anywhere: String,
    version: String,
    guard: Guard,
}

impl Kcp {
    /// The executable: what `SYNCAGENT_TEST_KCP` names, or `kcp` on `PATH`.
    ///
    /// # Errors
    ///
    /// When there is none; the text says what would help.
    pub fn executable() -> Result<PathBuf, Error> {
        if let Some(named) = std::env::var_os(EXECUTABLE).filter(|it| !it.is_empty()) {
            let named = PathBuf::from(named);
            return match named.is_file() {
                true => Ok(named),
                false => Err(Error::Missing(format!(
                    "{EXECUTABLE} names {}, which is no file",
                    named.display()
                ))),
            };
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|dir| dir.join("kcp"));
        found.into_iter().find(|it| it.is_file()).ok_or_else(|| {
            Error::Missing(format!(
                "there is no kcp on PATH; install one of its releases (v0.32 or later), or name the executable in {EXECUTABLE}"
            ))
        })
    }

    /// Starts it, and waits until workspaces can be made: half a minute.
    ///
    /// # Errors
    ///
    /// When it does not become ready; the error has its last words.
    pub async fn start(executable: &Path) -> Result<Self, Error> {
        let mut guard = Guard::make("syncagent-real-kcp")?;
        let dir = guard.dir().to_owned();
        let [secure, client, peer] = server::ports()?;
        let policy = dir.join("audit-policy.json");
        std::fs::write(&policy, AUDIT_POLICY).map_err(Error::write(&policy))?;
        let users = (0..USERS).map(|n| format!("token-{n},user-{n},{n}\n"));
        let users_at = dir.join("users.csv");
        std::fs::write(&users_at, users.collect::<String>()).map_err(Error::write(&users_at))?;
        let made = dir.join("made.kubeconfig");
        let executable = executable.canonicalize();
        let executable = executable.map_err(Error::system("find the kcp executable"))?;
        let mut server = Server::new(
            "kcp",
            executable,
            &dir,
            vec![
                "start".to_owned(),
                format!("--root-directory={}", dir.join("root").display()),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={secure}"),
                format!("--embedded-etcd-client-port={client}"),
                format!("--embedded-etcd-peer-port={peer}"),
                "--embedded-etcd-wal-size-bytes=5000".to_owned(),
                format!("--kubeconfig-path={}", made.display()),
                format!("--token-auth-file={}", users_at.display()),
                format!("--audit-policy-file={}", policy.display()),
                format!("--audit-log-path={}", dir.join("audit.log").display()),
                "--audit-log-mode=blocking".to_owned(),
            ],
        )
        .with_environment(&[("UNSAFE_E2E_HACK_DISABLE_ETCD_FSYNC", "true")]);
        server.start(&mut guard)?;
        // The file is there long before the server serves, and for a moment half of it.
        let (anywhere, root) = server
            .until("started", async || {
                let made = std::fs::read_to_string(&made).ok()?;
                Some((pointed_at("base", &made)?, pointed_at("root", &made)?))
            })
            .await?;
        server.ready(&anywhere).await?;
        let admin = server::client(&root).await?;
        server
            .until("serving workspaces", async || {
                let workspaces = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
                server::says(&admin, workspaces).await.then_some(())
            })
            .await?;
        let path = dir.join("admin.kubeconfig");
        std::fs::write(&path, &root).map_err(Error::write(&path))?;
        let version = server::version(&admin).await?;
        Ok(Self {
            server,
            anywhere,
            version,
            guard,
        })
    }

    /// What it says that it is.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The administrator's kubeconfig, which points at the workspace `root`: a file that lives as long as the kcp.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.guard.dir().join("admin.kubeconfig")
    }

    /// Users who may do nothing until they are granted something: a line `TOKEN,NAME,UID` for each.
    #[must_use]
    pub fn users(&self) -> PathBuf {
        self.guard.dir().join("users.csv")
    }

    /// The audit log: a JSON object per line. A request is in it when it was answered, a watch also when it was opened.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.guard.dir().join("audit.log")
    }

    /// SIGKILL.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.server.kill(&mut self.guard)
    }

    /// Starts it over the same data and at the same address, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn revive(&mut self) -> Result<(), Error> {
        self.server.start(&mut self.guard)?;
        self.server.ready(&self.anywhere).await
    }
}

/// The kubeconfig that kcp makes, with another current context; `None` while it is half written.
fn pointed_at(context: &str, made: &str) -> Option<String> {
    let file = kube::config::Kubeconfig::from_yaml(made).ok()?;
    let mut file: Value = serde_json::to_value(file).ok()?;
    let mut contexts = file["contexts"].as_array()?.iter();
    contexts.find(|it| it["name"] == context)?;
    file["current-context"] = Value::from(context);
    Some(format!("{file:#}\n"))
}
