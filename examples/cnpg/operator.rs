//! A stand-in for the CloudNativePG operator, as a process of its own.
//!
//! It is what the agent must get along with: a program that watches `Cluster` and `Database` objects on one Kubernetes
//! cluster, makes databases, and writes what CloudNativePG writes about them. It gets a kubeconfig and a directory.
//! Of kcp, workspaces and the agent it knows nothing, and nothing of them is imported here.
//!
//! ```text
//! watches (clusters, databases, Secrets with cnpg.io/reload)  ──wake──▶  one instance task per Cluster
//!                                                                        │ children  Services, generated Secrets
//!                                                                        │ server    initdb, postgres, passwords
//!                                                                        │ databases CREATE DATABASE ...
//!                                                                        └ status    phase, Ready, readyInstances ...
//! ```
//!
//! An instance is level-triggered: whatever woke it, it looks at what is wanted, and settles.
//! What it does not do, and CloudNativePG does: replicas, backups, certificates, Pods, volumes.

mod children;
mod databases;
mod instance;
mod kinds;
mod status;

use std::collections::HashMap;
use std::path::PathBuf;

use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector::ObjectRef};
use kube::{Api, Client, Config, Resource, ResourceExt};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::postgres::Installation;
use instance::{Instance, Wake};
use kinds::{Cluster, Database};

/// What the operator is started with.
#[derive(Debug)]
pub(crate) struct Options {
    /// Its access to the Kubernetes cluster.
    pub(crate) kubeconfig: PathBuf,
    /// Where the servers' directories are made.
    pub(crate) data: PathBuf,
    /// The directory with PostgreSQL's programs.
    pub(crate) programs: PathBuf,
    /// Whether Services have a load balancer. CloudNativePG's have none, unless somebody asks for one.
    pub(crate) load_balancer: bool,
}

/// Why the operator could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kubeconfig does not work.
    #[error("could not use the kubeconfig")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// A client could not be made from it.
    #[error("could not make a client")]
    Client(#[from] kube::Error),
    /// There is no PostgreSQL where it was said to be.
    #[error("there is no PostgreSQL in `{}`", .0.display())]
    NoPostgres(PathBuf),
}

/// What all instances share.
#[derive(Clone)]
pub(crate) struct Context {
    client: Client,
    installation: Installation,
    data: PathBuf,
    load_balancer: bool,
    clusters: Store<Cluster>,
    databases: Store<Database>,
}

/// Something happened to the objects of a Cluster.
enum Change {
    Clusters(Vec<ObjectRef<Cluster>>),
    Databases(Vec<ObjectRef<Cluster>>),
    Secrets(Option<String>),
}

/// Runs until the standard input is closed (the one who started it is gone) or a signal says stop.
pub(crate) async fn run(options: Options) -> Result<(), Error> {
    run_until(options, ended()).await
}

/// Runs until it shall stop; when it returns, no server is left.
pub(crate) async fn run_until(
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let kubeconfig = Kubeconfig::read_from(&options.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let installation = Installation::at(&options.programs)
        .ok_or_else(|| Error::NoPostgres(options.programs.clone()))?;
    let (clusters, cluster_writer) = reflector::store();
    let (databases, database_writer) = reflector::store();
    let changes = stream::select_all([
        watcher(
            Api::<Cluster>::all(client.clone()),
            watcher::Config::default(),
        )
        .default_backoff()
        .reflect(cluster_writer)
        .filter_map(|event| async { told(event, Change::Clusters, ObjectRef::from_obj) })
        .boxed(),
        watcher(
            Api::<Database>::all(client.clone()),
            watcher::Config::default(),
        )
        .default_backoff()
        .reflect(database_writer)
        .filter_map(|event| async { told(event, Change::Databases, Database::cluster) })
        .boxed(),
        watcher(
            Api::<PartialObjectMeta<Secret>>::all(client.clone()),
            watcher::Config::default().labels("cnpg.io/reload=true"),
        )
        .default_backoff()
        .filter_map(|event| async { secret_told(event) })
        .boxed(),
    ]);
    let context = Context {
        client,
        installation,
        data: options.data,
        load_balancer: options.load_balancer,
        clusters,
        databases,
    };
    serve(context, changes, stop).await;
    Ok(())
}

/// Keeps one task per Cluster and wakes those that a change concerns.
async fn serve(context: Context, mut changes: BoxStreams, end: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut instances: HashMap<String, (ObjectRef<Cluster>, mpsc::UnboundedSender<Wake>)> =
        HashMap::new();
    let mut end = std::pin::pin!(end);
    loop {
        let change = tokio::select! {
            () = &mut end => break,
            Some(uid) = tasks.join_next() => {
                if let Ok(uid) = uid { instances.remove::<String>(&uid); }
                continue;
            }
            change = changes.next() => change,
        };
        for cluster in context.clusters.state() {
            let Some(uid) = cluster.uid() else { continue };
            if !instances.contains_key(&uid) {
                let (sender, wakes) = mpsc::unbounded_channel();
                let reference = ObjectRef::from_obj(&*cluster);
                let instance = Instance::of(context.clone(), reference.clone(), uid.clone());
                instances.insert(uid.clone(), (reference, sender));
                let stopped = stopped.clone();
                tasks.spawn(async move {
                    instance.run(wakes, stopped).await;
                    uid
                });
            }
        }
        let Some(change) = change else { break };
        for (reference, sender) in instances.values() {
            let wake = match &change {
                Change::Clusters(of) => {
                    (of.is_empty() || of.contains(reference)).then_some(Wake::Cluster)
                }
                Change::Databases(of) => {
                    (of.is_empty() || of.contains(reference)).then_some(Wake::Databases)
                }
                Change::Secrets(None) => Some(Wake::Secrets),
                Change::Secrets(namespace) => {
                    (*namespace == reference.namespace).then_some(Wake::Secrets)
                }
            };
            if let Some(wake) = wake {
                // Nobody listens once the instance has left.
                let _ = sender.send(wake);
            }
        }
    }
    let _ = stop.send(true);
    while tasks.join_next().await.is_some() {}
}

type BoxStreams = stream::SelectAll<BoxStream<'static, Change>>;

/// Which Clusters an event concerns; none named means all.
fn told<K: Resource>(
    event: watcher::Result<Event<K>>,
    change: fn(Vec<ObjectRef<Cluster>>) -> Change,
    cluster: fn(&K) -> ObjectRef<Cluster>,
) -> Option<Change> {
    match event {
        Ok(Event::Apply(object) | Event::Delete(object)) => Some(change(vec![cluster(&object)])),
        Ok(Event::InitDone) => Some(change(Vec::new())),
        Ok(Event::Init | Event::InitApply(_)) => None,
        Err(error) => {
            tracing::warn!(%error, "a watch was interrupted");
            None
        }
    }
}

fn secret_told(event: watcher::Result<Event<PartialObjectMeta<Secret>>>) -> Option<Change> {
    match event {
        Ok(Event::Apply(secret) | Event::Delete(secret)) => {
            Some(Change::Secrets(secret.namespace()))
        }
        Ok(Event::InitDone) => Some(Change::Secrets(None)),
        Ok(Event::Init | Event::InitApply(_)) => None,
        Err(error) => {
            tracing::warn!(%error, "the watch of Secrets was interrupted");
            None
        }
    }
}

/// Returns when the standard input ends or a signal arrives.
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let input = async {
        let mut input = tokio::io::stdin();
        let mut nothing = [0; 64];
        while input.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
    };
    let signalled = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = input => {}
        () = signalled(SignalKind::terminate()) => {}
        () = signalled(SignalKind::interrupt()) => {}
    }
}
