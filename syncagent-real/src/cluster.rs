//! A service cluster: etcd, kube-apiserver with RBAC and tokens, and the controllers that collect garbage, empty
//! namespaces and make service accounts.
//!
//! There are no nodes, so nothing runs in it; everything else is what a provider has.

use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::authority::{self, Authority};
use crate::error::Error;
use crate::guard::Guard;
use crate::programs::Programs;
use crate::server::{self, AUDIT_POLICY, Server};

/// Who is known, by their tokens; the servers listen on loopback and live for a moment.
fn tokens(user: &str) -> String {
    format!("admin-token,admin,1,\"system:masters\"\n{user},user,2\n")
}

/// A part of the cluster, to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Where everything is stored.
    Etcd,
    /// What everybody talks to.
    Apiserver,
    /// What collects garbage and empties namespaces.
    Controllers,
}

/// A running service cluster; dropping it ends it, and leaves nothing.
#[derive(Debug)]
pub struct Cluster {
    // Fields are dropped in this order: processes are only forgotten, the guard ends them.
    etcd: Server,
    apiserver: Server,
    controllers: Server,
    kubeconfig: String,
    version: String,
    /// Who signs the server's certificates, in turn.
    authorities: [Authority; 2],
    rotations: usize,
    guard: Guard,
}

/// What `user` shows, if they are told.
const USER_FILES: [&str; 4] = ["user.token", "user.crt", "user.key", "user-ca.crt"];

impl Cluster {
    /// Starts one, and waits until it is ready: some seconds.
    ///
    /// # Errors
    ///
    /// When a server does not become ready; the error has its last words.
    pub async fn start(programs: &Programs) -> Result<Self, Error> {
        let guard = Guard::make("syncagent-real-cluster")?;
        let dir = guard.dir().to_owned();
        let write = |name: &str, text: &str| write(&dir, name, text);
        let [client, peer, secure] = server::ports()?;
        let (client, peer) = (
            format!("http://127.0.0.1:{client}"),
            format!("http://127.0.0.1:{peer}"),
        );
        let authorities = [Authority::new("first")?, Authority::new("second")?];
        let accounts = KeyPair::generate().map_err(authority::failed)?;
        write("accounts.key", &accounts.serialize_pem())?;
        write("accounts.pub", &accounts.public_key_pem())?;
        let url = format!("https://127.0.0.1:{secure}");
        // The administrator is prepared for either.
        let both = authorities.each_ref().map(Authority::certificate).concat();
        let kubeconfig = server::kubeconfig(
            &json!({"server": url, "certificate-authority-data": server::base64(&both)}),
            &json!({"token": "admin-token"}),
        );
        let user = |name: &str, shown: &Value| {
            let cluster = json!({"server": url, "certificate-authority": dir.join("user-ca.crt")});
            write(name, &server::kubeconfig(&cluster, shown))
        };
        user(
            "user.kubeconfig",
            &json!({"tokenFile": dir.join("user.token")}),
        )?;
        let certified =
            json!({"client-certificate": dir.join("user.crt"), "client-key": dir.join("user.key")});
        user("user-certificate.kubeconfig", &certified)?;
        let policy = write("audit-policy.json", AUDIT_POLICY)?;
        let access = write("admin.kubeconfig", &kubeconfig)?;

        let etcd = Server::new(
            "etcd",
            programs.path("etcd"),
            &dir,
            vec![
                "--name=default".to_owned(),
                format!("--data-dir={}", dir.join("etcd").display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=default={peer}"),
                "--unsafe-no-fsync".to_owned(),
                "--log-level=warn".to_owned(),
            ],
        );
        let apiserver = Server::new(
            "kube-apiserver",
            programs.path("kube-apiserver"),
            &dir,
            vec![
                format!("--etcd-servers={client}"),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={secure}"),
                format!("--tls-cert-file={}", dir.join("server.crt").display()),
                format!(
                    "--tls-private-key-file={}",
                    dir.join("server.key").display()
                ),
                "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!(
                    "--service-account-key-file={}",
                    dir.join("accounts.pub").display()
                ),
                format!(
                    "--service-account-signing-key-file={}",
                    dir.join("accounts.key").display()
                ),
                format!("--token-auth-file={}", dir.join("tokens.csv").display()),
                format!("--client-ca-file={}", dir.join("clients-ca.crt").display()),
                "--authorization-mode=RBAC".to_owned(),
                // There is no kubelet that would hand out tokens.
                "--disable-admission-plugins=ServiceAccount".to_owned(),
                format!("--audit-policy-file={}", policy.display()),
                format!("--audit-log-path={}", dir.join("audit.log").display()),
                "--audit-log-mode=blocking".to_owned(),
                // In one piece: by default another file is begun after 100 MiB.
                "--audit-log-maxsize=100000".to_owned(),
            ],
        );
        let controllers = Server::new(
            "kube-controller-manager",
            programs.path("kube-controller-manager"),
            &dir,
            vec![
                format!("--kubeconfig={}", access.display()),
                "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller".to_owned(),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
            ],
        );
        let mut cluster = Self {
            etcd,
            apiserver,
            controllers,
            kubeconfig,
            version: String::new(),
            authorities,
            rotations: 0,
            guard,
        };
        cluster.issue()?;
        cluster.tell()?;
        cluster.revive().await?;
        cluster.version = server::version(&server::client(&cluster.kubeconfig).await?).await?;
        Ok(cluster)
    }

    /// What kube-apiserver says that it is.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The administrator's kubeconfig: a file that lives as long as the cluster.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.guard.dir().join("admin.kubeconfig")
    }

    /// A kubeconfig of the user `user`, who may do nothing until they are granted something. It names files with their
    /// token and with the authority that they trust, which change with [`Cluster::tell`].
    #[must_use]
    pub fn user(&self) -> PathBuf {
        self.guard.dir().join("user.kubeconfig")
    }

    /// The same of the same user, who shows a certificate from a file.
    #[must_use]
    pub fn user_with_certificate(&self) -> PathBuf {
        self.guard.dir().join("user-certificate.kubeconfig")
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
    pub fn kill(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Etcd => self.etcd.kill(&mut self.guard),
            Part::Apiserver => self.apiserver.kill(&mut self.guard),
            Part::Controllers => self.controllers.kill(&mut self.guard),
        }
    }

    /// Starts what was killed, over the same data and at the same addresses, and waits until the cluster is ready.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn revive(&mut self) -> Result<(), Error> {
        self.etcd.start(&mut self.guard)?;
        self.apiserver.start(&mut self.guard)?;
        self.apiserver.ready(&self.kubeconfig, "/readyz").await?;
        // The controllers give up on a server that is away for long.
        self.controllers.start(&mut self.guard)
    }

    /// Gives kube-apiserver a certificate of another authority, and takes the user's token and certificate away: they
    /// have others, of which nobody was told yet. kube-apiserver is killed for it, and back when this returns.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn rotate(&mut self) -> Result<(), Error> {
        self.kill(Part::Apiserver)?;
        self.rotations += 1;
        self.issue()?;
        self.revive().await
    }

    /// Writes into the user's files what is in force.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn tell(&self) -> Result<(), Error> {
        for name in USER_FILES {
            let (new, told) = (self.untold(name), self.guard.dir().join(name));
            // Nobody reads half of it.
            std::fs::rename(&new, &told).map_err(Error::write(&told))?;
        }
        Ok(())
    }

    fn untold(&self, name: &str) -> PathBuf {
        self.guard.dir().join(format!("{name}.new"))
    }

    /// Fresh secrets for the server and for the user.
    fn issue(&self) -> Result<(), Error> {
        let dir = self.guard.dir();
        let token = format!("user-token-{}", self.rotations);
        let authority = &self.authorities[self.rotations % self.authorities.len()];
        let server = authority.server()?;
        let clients = Authority::new("clients")?;
        let user = clients.client("user")?;
        let [new_token, new_certificate, new_key, new_authority] =
            USER_FILES.map(|it| self.untold(it));
        for (path, text) in [
            (dir.join("server.crt"), &*server.certificate),
            (dir.join("server.key"), &*server.key),
            (dir.join("clients-ca.crt"), clients.certificate()),
            (dir.join("tokens.csv"), &*tokens(&token)),
            (new_token, &*token),
            (new_certificate, &*user.certificate),
            (new_key, &*user.key),
            (new_authority, authority.certificate()),
        ] {
            std::fs::write(&path, text).map_err(Error::write(&path))?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The guard would end them, too, and nobody would ask then how they ended: they would stay as long as we.
        for part in [Part::Controllers, Part::Apiserver, Part::Etcd] {
            let _ = self.kill(part);
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(Error::write(&path))?;
    Ok(path)
}
