//! A service cluster: etcd, kube-apiserver with RBAC and tokens, and the controllers that collect garbage, empty
//! namespaces and make service accounts.
//!
//! There are no nodes, so nothing runs in it; everything else is what a provider has.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::error::Error;
use crate::guard::Guard;
use crate::programs::Programs;
use crate::server::{self, AUDIT_POLICY, Server};

/// Token and user of the administrator; the servers listen on loopback and live for a moment.
const ADMIN: &str = "admin-token,admin,1,\"system:masters\"\n";

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
    guard: Guard,
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
        let authority = certificates(&dir)?;
        let url = format!("https://127.0.0.1:{secure}");
        let kubeconfig = server::kubeconfig(&url, &authority, "admin-token");
        let tokens = write("tokens.csv", ADMIN)?;
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

/// Writes the server's key and certificate and the key for service accounts; returns the authority's certificate.
fn certificates(dir: &Path) -> Result<String, Error> {
    let failed = |source| Error::Server {
        what: "make certificates".to_owned(),
        source: Box::new(source),
    };
    let authority_key = KeyPair::generate().map_err(failed)?;
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "service cluster for tests");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = authority.self_signed(&authority_key).map_err(failed)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().map_err(failed)?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names).map_err(failed)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "kube-apiserver for tests");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let signed = leaf.signed_by(&key, &issuer).map_err(failed)?.pem();
    write(dir, "server.crt", &signed)?;
    write(dir, "server.key", &key.serialize_pem())?;
    let accounts = KeyPair::generate().map_err(failed)?;
    write(dir, "accounts.key", &accounts.serialize_pem())?;
    write(dir, "accounts.pub", &accounts.public_key_pem())?;
    Ok(certificate)
}
