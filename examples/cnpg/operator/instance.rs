//! One Cluster: its server, from the first `initdb` to the removed directory.
//!
//! *Expected flow*: Services and missing Secrets are created; a server is made, started, given its owner, its first
//! database and its passwords; Databases are settled; the status says so. After that the instance sleeps until it is
//! woken by a change of its Cluster, of a Database, of a Secret with `cnpg.io/reload`, or by the end of the server.
//!
//! *Guarantees*: when [`Instance::run`] returns, neither the process nor its directory is left.

mod credentials;
mod objects;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::children::{self, CLUSTER_LABEL};
use super::kinds::{Cluster, ClusterSpec};
use super::status::{Stage, status};
use super::{Context, databases};
use crate::postgres::{self, Server};

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
            for service in children::services(cluster, self.context.load_balancer) {
                self.create(cluster, &service).await?;
            }
            self.served = true;
        }
        let mut passwords = None;
        if fresh || !self.bootstrapped {
            match self.credentials(cluster).await {
                Ok(found) => passwords = Some(found),
                // Who can log in already is not locked out by a Secret that vanished.
                Err(trouble) if self.bootstrapped => {
                    tracing::warn!(cluster = %self.reference, ?trouble, "kept the passwords");
                }
                Err(trouble) => return Err(trouble),
            }
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
        if self.context.load_balancer && self.announced != Some(server.port()) {
            let services: Api<Service> = self.api();
            for name in children::served(&cluster.name_any()) {
                let patch = Patch::Merge(children::address(server.port()));
                services
                    .patch_status(&name, &PatchParams::default(), &patch)
                    .await?;
            }
            self.announced = Some(server.port());
        }
        if cluster.spec.instances == 1 {
            self.tell(&Stage::Healthy, None).await?;
        }
        let failed = databases::settle(&self.context, &self.reference, server).await?;
        if cluster.spec.instances > 1 {
            let reason = format!(
                "1 of {} instances is active: this stand-in has no replicas",
                cluster.spec.instances
            );
            return Err(Trouble {
                stage: Stage::Waiting,
                reason: Some(reason),
                again: Duration::from_secs(30),
            });
        }
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
