//! A service cluster: etcd, kube-apiserver with RBAC and tokens, and the controllers that collect garbage, empty
//! namespaces and make service accounts.
//!
//! There are no nodes, so nothing runs in it; everything else is what a provider has.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use serde_json::json;

use crate::error::Error;
use crate::guard::Guard;
use crate::programs::Programs;
use crate::server::{self, AUDIT_POLICY, Server};

/// Who is known, by their tokens; the servers listen on loopback and live for a moment.
fn tokens(user: &str) -> String {
    format!("admin-token,admin,1,\"system:masters\"\n{user},user,2\n")
}

/// A part of the cluster, to be killed and revived.
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
    authority: Authority,
    rotations: usize,
    guard: Guard,
}

/// Who signs the server's certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Cluster {
    /// Starts one, and waits until it is ready: some seconds.
    ///
    /// # Errors
    ///
    /// When a server does not become ready; the error has its last words.
    pub async fn start(programs: &Programs) -> Result<Self, Error> {
        let mut guard = Guard::make("syncagent-real-cluster")?;
        let dir = guard.dir().to_owned();
        let write = |name: &str, text: &str| write(&dir, name, text);
        let [client, peer, secure] = server::ports()?;
        let (client, peer) = (
            format!("http://127.0.0.1:{client}"),
            format!("http://127.0.0.1:{peer}"),
        );
        let authority = Authority::new().map_err(failed)?;
        let certificate = &authority.certificate;
        authority.sign(&dir)?;
        let accounts = KeyPair::generate().map_err(failed)?;
        write("accounts.key", &accounts.serialize_pem())?;
        write("accounts.pub", &accounts.public_key_pem())?;
        let url = format!("https://127.0.0.1:{secure}");
        let kubeconfig = server::kubeconfig(&url, certificate, &json!({"token": "admin-token"}));
        let token = write("user.token", "user-token-0")?;
        let user = server::kubeconfig(&url, certificate, &json!({"tokenFile": token}));
        write("user.kubeconfig", &user)?;
        let tokens = write("tokens.csv", &tokens("user-token-0"))?;
        let policy = write("audit-policy.json", AUDIT_POLICY)?;
        let access = write("admin.kubeconfig", &kubeconfig)?;

        let mut etcd = Server::new(
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
        let mut apiserver = Server::new(
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
                format!("--token-auth-file={}", tokens.display()),
                "--authorization-mode=RBAC".to_owned(),
                // There is no kubelet that would hand out tokens.
                "--disable-admission-plugins=ServiceAccount".to_owned(),
                format!("--audit-policy-file={}", policy.display()),
                format!("--audit-log-path={}", dir.join("audit.log").display()),
                "--audit-log-mode=blocking".to_owned(),
            ],
        );
        let mut controllers = Server::new(
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
        etcd.start(&mut guard)?;
        apiserver.start(&mut guard)?;
        apiserver.ready(&kubeconfig).await?;
        controllers.start(&mut guard)?;
        let version = server::version(&server::client(&kubeconfig).await?).await?;
        Ok(Self {
            etcd,
            apiserver,
            controllers,
            kubeconfig,
            version,
            authority,
            rotations: 0,
            guard,
        })
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

    /// A kubeconfig of the user `user`, who may do nothing until they are granted something. It names a file with their
    /// token, which changes with [`Cluster::rotate`].
    #[must_use]
    pub fn user(&self) -> PathBuf {
        self.guard.dir().join("user.kubeconfig")
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

    /// Gives kube-apiserver another certificate of the same authority and the user another token. The old ones are worth
    /// nothing any more; kube-apiserver is killed for it, and back when this returns.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn rotate(&mut self) -> Result<(), Error> {
        self.kill(Part::Apiserver)?;
        self.rotations += 1;
        let token = format!("user-token-{}", self.rotations);
        self.authority.sign(self.guard.dir())?;
        write(self.guard.dir(), "tokens.csv", &tokens(&token))?;
        write(self.guard.dir(), "user.token", &token)?;
        self.revive(Part::Apiserver).await
    }

    /// Starts what was killed, over the same data and at the same address, and waits until the cluster is ready.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn revive(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Etcd => self.etcd.start(&mut self.guard)?,
            Part::Apiserver => self.apiserver.start(&mut self.guard)?,
            Part::Controllers => return self.controllers.start(&mut self.guard),
        }
        self.settle().await
    }

    /// The same of all parts, after all were killed.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn revive_all(&mut self) -> Result<(), Error> {
        self.etcd.start(&mut self.guard)?;
        self.apiserver.start(&mut self.guard)?;
        self.apiserver.ready(&self.kubeconfig).await?;
        self.controllers.start(&mut self.guard)
    }

    async fn settle(&mut self) -> Result<(), Error> {
        self.apiserver.ready(&self.kubeconfig).await?;
        // The controllers give up on a server that is away for long.
        if self.controllers.running().is_err() {
            self.controllers.kill(&mut self.guard)?;
            self.controllers.start(&mut self.guard)?;
        }
        Ok(())
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(Error::write(&path))?;
    Ok(path)
}

fn failed(source: rcgen::Error) -> Error {
    Error::Server {
        what: "make certificates".to_owned(),
        source: Box::new(source),
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "service cluster for tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// Writes a fresh key and certificate of the server.
    fn sign(&self, dir: &Path) -> Result<(), Error> {
        let key = KeyPair::generate().map_err(failed)?;
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names).map_err(failed)?;
        leaf.distinguished_name
            .push(DnType::CommonName, "kube-apiserver for tests");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let signed = leaf.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        write(dir, "server.crt", &signed)?;
        write(dir, "server.key", &key.serialize_pem())?;
        Ok(())
    }
}
