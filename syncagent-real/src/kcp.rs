//! A kcp: one executable that somebody has installed, started on free loopback ports with a fresh directory.
//!
//! Nobody builds it here, since not all of it is in package registries; v0.32 and later are known to work.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::Error;
use crate::guard::Guard;
use crate::server::{self, AUDIT_POLICY, Server};

/// Names the executable.
pub const EXECUTABLE: &str = "SYNCAGENT_TEST_KCP";

/// How many users a kcp knows beside its administrator.
const USERS: usize = 500;

/// Its administrator: kcp makes a kubeconfig with a token of its own, which is another one after each start.
const ADMIN: &str = "admin-token,admin,admin,\"system:kcp:admin\"\n";

/// What is answered once workspaces can be made, which is later than `/readyz`.
const WORKSPACES: &str = "/apis/tenancy.kcp.io/v1alpha1/workspaces";

/// A running kcp; dropping it ends it, and leaves nothing.
#[derive(Debug)]
pub struct Kcp {
    server: Server,
    /// The administrator's kubeconfig.
    root: String,
    version: String,
    rotations: usize,
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
        let guard = Guard::make("syncagent-real-kcp")?;
        let dir = guard.dir().to_owned();
        let [secure, client, peer] = server::ports()?;
        let policy = dir.join("audit-policy.json");
        std::fs::write(&policy, AUDIT_POLICY).map_err(Error::write(&policy))?;
        let made = dir.join("made.kubeconfig");
        let executable = executable.canonicalize();
        let executable = executable.map_err(Error::system("find the kcp executable"))?;
        let server = Server::new(
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
                format!("--token-auth-file={}", dir.join("tokens.csv").display()),
                format!("--audit-policy-file={}", policy.display()),
                format!("--audit-log-path={}", dir.join("audit.log").display()),
                "--audit-log-mode=blocking".to_owned(),
                // In one piece: by default another file is begun after 100 MiB.
                "--audit-log-maxsize=100000".to_owned(),
            ],
        )
        .with_environment(&[("UNSAFE_E2E_HACK_DISABLE_ETCD_FSYNC", "true")]);
        let mut kcp = Self {
            server,
            root: String::new(),
            version: String::new(),
            rotations: 0,
            guard,
        };
        kcp.issue()?;
        kcp.server.start(&mut kcp.guard)?;
        // The file is there long before the server serves, and for a moment half of it.
        let look = async || of_admin(&std::fs::read_to_string(&made).ok()?);
        kcp.root = kcp.server.until("started", look).await?;
        let path = kcp.kubeconfig();
        std::fs::write(&path, &kcp.root).map_err(Error::write(&path))?;
        kcp.server.ready(&kcp.root, WORKSPACES).await?;
        kcp.version = server::version(&server::client(&kcp.root).await?).await?;
        Ok(kcp)
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
        self.server.ready(&self.root, WORKSPACES).await
    }

    /// Gives all users other tokens, see [`Kcp::users`]; the old ones are worth nothing any more. It is killed for it, and
    /// back when this returns.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn rotate(&mut self) -> Result<(), Error> {
        self.kill()?;
        self.rotations += 1;
        self.issue()?;
        self.revive().await
    }

    /// Fresh tokens.
    fn issue(&self) -> Result<(), Error> {
        let more = match self.rotations {
            0 => String::new(),
            n => format!("-{n}"),
        };
        let users = (0..USERS).map(|n| format!("token-{n}{more},user-{n},{n}\n"));
        let users: String = users.collect();
        let tokens = self.guard.dir().join("tokens.csv");
        for (path, text) in [(self.users(), &users), (tokens, &format!("{ADMIN}{users}"))] {
            std::fs::write(&path, text).map_err(Error::write(&path))?;
        }
        Ok(())
    }
}

impl Drop for Kcp {
    fn drop(&mut self) {
        // The guard would end it, too, and nobody would ask then how it ended: it would stay as long as we.
        let _ = self.kill();
    }
}

/// The kubeconfig that kcp makes, of the administrator that we know; `None` while it is half written.
fn of_admin(made: &str) -> Option<String> {
    let file = kube::config::Kubeconfig::from_yaml(made).ok()?;
    let file: Value = serde_json::to_value(file).ok()?;
    let mut clusters = file["clusters"].as_array()?.iter();
    let root = clusters.find(|it| it["name"] == "root")?;
    let admin = json!({"token": "admin-token"});
    Some(server::kubeconfig(&root["cluster"], &admin))
}
