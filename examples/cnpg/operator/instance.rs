//! One Cluster: its server, from the first `initdb` to the removed directory.
//!
//! *Expected flow*: Services and missing Secrets are created; a server is made, started, given its owner, its first
//! database and its passwords; Databases are settled; the status says so. After that the instance sleeps until it is
//! woken by a change of its Cluster, of a Database, of a Secret with `cnpg.io/reload`, or by the end of the server.
//!
//! *Guarantees*: when [`Instance::run`] returns, neither the process nor its directory is left.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::children::{self, CLUSTER_LABEL, Credentials, User};
use super::kinds::{Cluster, ClusterSpec};
use super::status::{Stage, status};
use super::{Context, databases};
use crate::postgres::{self, Server, sql};

/// Settings that are the operator's own.
const FIXED: [&str; 6] = [
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "data_directory",
    "hba_file",
    "config_file",
];
/// The directories of servers are numbered: a path of a socket may not be long.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Why an instance should look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Cluster,
    Databases,
    Secrets,
}

/// Why a step could not be taken.
#[derive(Debug)]
struct Trouble {
    stage: Stage,
    reason: Option<String>,
    again: Duration,
}

/// A Cluster and its server.
pub(crate) struct Instance {
    context: Context,
    reference: ObjectRef<Cluster>,
    uid: String,
    server: Option<Server>,
    /// Whether owner and first database exist.
    bootstrapped: bool,
    /// The versions of the Secrets whose passwords are set.
    passwords: BTreeMap<&'static str, Option<String>>,
    /// The generation whose Secrets were looked at.
    generation: Option<i64>,
    /// Whether the Services exist.
    served: bool,
    /// The port that the Services point to.
    announced: Option<u16>,
    died: Option<String>,
}

impl Instance {
    pub(crate) fn of(context: Context, reference: ObjectRef<Cluster>, uid: String) -> Self {
        Self {
            context,
            reference,
            uid,
            server: None,
            bootstrapped: false,
            passwords: BTreeMap::new(),
            generation: None,
            served: false,
            announced: None,
            died: None,
        }
    }

    /// Works until the Cluster is gone or the operator stops.
    pub(crate) async fn run(
        mut self,
        mut wakes: mpsc::UnboundedReceiver<Wake>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let Some(cluster) = self.wanted() else {
                self.leave().await;
                return;
            };
            // Even initdb is given up when the operator has to stop.
            let again = tokio::select! {
                again = self.step(&cluster) => again,
                _ = stopped.changed() => break,
            };
            let pause = async {
                match again {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            let server = async {
                match &mut self.server {
                    Some(server) => server.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopped.changed() => break,
                () = pause => {}
                status = server => {
                    let how = status.map_or_else(|| "it is unknown how".to_owned(), |status| status.to_string());
                    self.died = Some(format!("the server ended: {how}"));
                }
                wake = wakes.recv() => {
                    let mut next = wake;
                    while let Some(wake) = next {
                        if wake == Wake::Secrets { self.generation = None; }
                        next = wakes.try_recv().ok();
                    }
                }
            }
        }
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// The Cluster, as long as it is the one this instance was made for.
    fn wanted(&self) -> Option<Cluster> {
        let cluster = self.context.clusters.get(&self.reference)?;
        (cluster.uid().as_deref() == Some(&self.uid)).then(|| Cluster::clone(&cluster))
    }

    /// One look at everything; says when to look again without being woken.
    async fn step(&mut self, cluster: &Cluster) -> Option<Duration> {
        let outcome = self.settle(cluster).await;
        let (stage, reason, again) = match outcome {
            Ok(again) => (Stage::Healthy, None, again),
            Err(Trouble {
                stage,
                reason,
                again,
            }) => (stage, reason, Some(again)),
        };
        match self.tell(&stage, reason.as_deref()).await {
            Ok(()) => again,
            Err(error) => {
                tracing::warn!(cluster = %self.reference, %error, "could not write the status");
                Some(Duration::from_secs(1))
            }
        }
    }

    async fn settle(&mut self, cluster: &Cluster) -> Result<Option<Duration>, Trouble> {
        let settings = settings(&cluster.spec)?;
        let fresh = self.generation != cluster.metadata.generation;
        if !self.served {
            self.tell(&Stage::SettingUp, None).await?;
            for service in children::services(cluster) {
                self.create(cluster, &service).await?;
            }
            self.served = true;
        }
        let mut passwords = None;
        if fresh || !self.bootstrapped {
            passwords = Some(self.credentials(cluster).await?);
        }
        if self.server.as_ref().is_none_or(|server| !server.runs()) {
            self.start(&settings).await?;
        }
        if let Some((owner, superuser)) = passwords {
            self.apply_passwords(cluster, &owner, superuser.as_ref())
                .await?;
            self.generation = cluster.metadata.generation;
        }
        let Some(server) = &self.server else {
            return Ok(None);
        };
        if self.announced != Some(server.port()) {
            let services: Api<Service> = self.api();
            for name in children::served(&cluster.name_any()) {
                let patch = Patch::Merge(children::address(server.port()));
                services
                    .patch_status(&name, &PatchParams::default(), &patch)
                    .await?;
            }
            self.announced = Some(server.port());
        }
        if cluster.spec.instances > 1 {
            let reason = format!(
                "1 of {} instances is active: this stand-in has no replicas",
                cluster.spec.instances
            );
            return Err(Trouble {
                stage: Stage::Waiting,
                reason: Some(reason),
                again: Duration::from_secs(600),
            });
        }
        self.tell(&Stage::Healthy, None).await?;
        let failed = databases::settle(&self.context, &self.reference, server).await?;
        Ok(failed.then_some(Duration::from_secs(30)))
    }

    /// Makes the server if there is none, and starts it.
    async fn start(&mut self, settings: &[(String, String)]) -> Result<(), Trouble> {
        if let Some(died) = self.died.take() {
            // Shown for a moment before the next attempt, like a container that is being restarted.
            return Err(Trouble {
                stage: Stage::Waiting,
                reason: Some(died),
                again: Duration::from_secs(1),
            });
        }
        if self.server.is_none() {
            let dir = self
                .context
                .data
                .join(NUMBER.fetch_add(1, Ordering::Relaxed).to_string());
            self.server = Some(Server::at(&self.context.installation, &dir)?);
        }
        self.tell(&Stage::Waiting, None).await?;
        if let Some(server) = &mut self.server {
            server.start(settings).await.map_err(|error| {
                let reason = Some(error.to_string());
                Trouble {
                    stage: Stage::Waiting,
                    reason,
                    again: Duration::from_secs(2),
                }
            })?;
        }
        Ok(())
    }

    /// The Secrets that are referred to, or generated ones, with the versions they were read in.
    async fn credentials(&self, cluster: &Cluster) -> Result<(Known, Option<Known>), Trouble> {
        let spec = &cluster.spec;
        let named = spec
            .bootstrap
            .initdb
            .secret
            .as_ref()
            .map(|secret| secret.name.as_str());
        let owner = self
            .credential(cluster, User::App, named, spec.owner())
            .await?;
        if owner.credentials.username != spec.owner() {
            let reason = format!(
                "secret \"{}\" is for user \"{}\", not for the owner \"{}\"",
                owner.secret,
                owner.credentials.username,
                spec.owner()
            );
            return Err(Trouble {
                stage: Stage::Invalid(reason),
                reason: None,
                again: Duration::from_secs(30),
            });
        }
        if !spec.enable_superuser_access {
            return Ok((owner, None));
        }
        let named = spec
            .superuser_secret
            .as_ref()
            .map(|secret| secret.name.as_str());
        let superuser = self
            .credential(cluster, User::Superuser, named, "postgres")
            .await?;
        Ok((owner, Some(superuser)))
    }

    async fn credential(
        &self,
        cluster: &Cluster,
        user: User,
        named: Option<&str>,
        role: &str,
    ) -> Result<Known, Trouble> {
        let secrets: Api<Secret> = self.api();
        let name = named.map_or_else(|| user.secret_name(&cluster.name_any()), str::to_owned);
        let secret = match (secrets.get_opt(&name).await?, named) {
            (Some(secret), _) => secret,
            (None, None) => {
                let generated = children::secret(cluster, user, role, &random()?);
                self.create(cluster, &generated).await?;
                secrets.get(&name).await?
            }
            (None, Some(_)) => {
                let reason = Some(format!("secret \"{name}\" not found"));
                return Err(Trouble {
                    stage: Stage::SettingUp,
                    reason,
                    again: Duration::from_secs(1),
                });
            }
        };
        let credentials = Credentials::of(&secret).map_err(Trouble::unable)?;
        Ok(Known {
            secret: name,
            version: secret.resource_version(),
            credentials,
        })
    }

    /// Owner, first database and passwords; each only when it is new.
    async fn apply_passwords(
        &mut self,
        cluster: &Cluster,
        owner: &Known,
        superuser: Option<&Known>,
    ) -> Result<(), Trouble> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let sql = server.superuser("postgres").await?;
        let Credentials { username, password } = &owner.credentials;
        if !self.bootstrapped {
            sql::run(&sql, "CREATE ROLE %I LOGIN", &[username]).await?;
            let database = &cluster.spec.bootstrap.initdb.database;
            sql::run(&sql, "CREATE DATABASE %I OWNER %I", &[database, username]).await?;
            self.bootstrapped = true;
        }
        let version = Some(owner.version.clone());
        if self.passwords.get("owner").cloned() != version {
            sql::run(&sql, "ALTER ROLE %I PASSWORD %L", &[username, password]).await?;
            self.passwords.insert("owner", owner.version.clone());
        }
        let version = superuser.map(|known| known.version.clone());
        if self.passwords.get("superuser").cloned() != version {
            match superuser {
                Some(known) => {
                    sql::run(
                        &sql,
                        "ALTER ROLE postgres PASSWORD %L",
                        &[&known.credentials.password],
                    )
                    .await?;
                }
                None => sql
                    .batch_execute("ALTER ROLE postgres PASSWORD NULL")
                    .await
                    .map_err(postgres::Error::from)?,
            }
            match version {
                Some(version) => self.passwords.insert("superuser", version),
                None => self.passwords.remove("superuser"),
            };
        }
        Ok(())
    }

    /// Removes everything that the Cluster brought along.
    async fn leave(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        let gone = async {
            databases::orphan(&self.context, &self.reference).await?;
            // A cluster of its own would collect these; deleting twice does no harm.
            let ours =
                ListParams::default().labels(&format!("{CLUSTER_LABEL}={}", self.reference.name));
            for service in self.api::<Service>().list(&ours).await? {
                self.delete(&service).await?;
            }
            for secret in self.api::<Secret>().list(&ours).await? {
                self.delete(&secret).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = gone.await {
            tracing::warn!(cluster = %self.reference, %error, "could not clean up");
        }
    }

    async fn delete<K>(&self, child: &K) -> kube::Result<()>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        if !child
            .owner_references()
            .iter()
            .any(|owner| owner.uid == self.uid)
        {
            return Ok(());
        }
        match self
            .api::<K>()
            .delete(&child.name_any(), &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Creates a child; one that exists is fine when it is ours.
    async fn create<K>(&self, cluster: &Cluster, child: &K) -> Result<(), Trouble>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Serialize
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.api();
        match api.create(&PostParams::default(), child).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let there = api.get(&child.name_any()).await?;
                if there
                    .owner_references()
                    .iter()
                    .any(|owner| Some(&owner.uid) == cluster.uid().as_ref())
                {
                    return Ok(());
                }
                let what = format!("{} \"{}\"", K::kind(&()), child.name_any());
                Err(Trouble::unable(format!(
                    "refusing to reconcile {what}: it is not owned by the cluster"
                )))
            }
            answer => answer.map(drop).map_err(Trouble::from),
        }
    }

    /// Writes the status if it says something new.
    async fn tell(&self, stage: &Stage, reason: Option<&str>) -> kube::Result<()> {
        // What was wanted may be older than what we wrote since.
        let Some(cluster) = self.wanted() else {
            return Ok(());
        };
        let name = cluster.name_any();
        let clusters: Api<Cluster> = self.api();
        let before = match clusters.get_opt(&name).await? {
            Some(now) if now.uid().as_deref() == Some(&self.uid) => now.status,
            _ => return Ok(()),
        };
        let after = status(
            &name,
            &cluster.spec,
            stage,
            reason,
            before.as_ref(),
            Time(jiff::Timestamp::now()),
        );
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({ "status": after }));
        match clusters
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let client: Client = self.context.client.clone();
        Api::namespaced(
            client,
            self.reference.namespace.as_deref().unwrap_or_default(),
        )
    }
}

/// Credentials, and the version of the Secret they were read from.
#[derive(Debug)]
struct Known {
    secret: String,
    version: Option<String>,
    credentials: Credentials,
}

impl Trouble {
    fn unable(reason: String) -> Self {
        Self {
            stage: Stage::Unable(reason),
            reason: None,
            again: Duration::from_secs(5),
        }
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        Self {
            again: Duration::from_secs(1),
            ..Self::unable(error.to_string())
        }
    }
}

impl From<postgres::Error> for Trouble {
    fn from(error: postgres::Error) -> Self {
        Self::unable(error.to_string())
    }
}

/// The settings that the owner may choose.
fn settings(spec: &ClusterSpec) -> Result<Vec<(String, String)>, Trouble> {
    let invalid = |reason: String| Trouble {
        stage: Stage::Invalid(reason),
        reason: None,
        again: Duration::from_secs(600),
    };
    if spec.instances < 1 {
        return Err(invalid(format!(
            "spec.instances: {} is less than 1",
            spec.instances
        )));
    }
    let parameters = &spec.postgresql.parameters;
    for name in parameters.keys() {
        let plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if !plain || FIXED.contains(&name.as_str()) {
            return Err(invalid(format!(
                "spec.postgresql.parameters: Can't set fixed configuration parameter {name:?}"
            )));
        }
    }
    Ok(parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect())
}

/// A password: 64 characters of a source that nobody can guess.
fn random() -> Result<String, Trouble> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0; 64];
    let read =
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|error| Trouble::unable(format!("no randomness for a password: {error}")))?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect())
}
