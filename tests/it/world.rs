//! The servers of one test, and the few verbs that tests speak.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use syncagent_core::io::clients::{Connection, KcpAccess, MERGE_PATCH, Server};

/// Both sides of one test.
pub(crate) struct World {
    kcp: Side,
    service: Side,
    run: String,
}

/// One API server, embedded or real.
enum Side {
    Real(Box<kube::Config>),
}

/// A workspace: its logical cluster's name, and how a user of it addresses it.
pub(crate) struct Workspace {
    pub(crate) cluster: String,
    pub(crate) path: String,
    pub(crate) api: Server,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

impl World {
    /// Fresh servers, or fresh workspaces on the servers that the environment names.
    pub(crate) async fn new() -> Self {
        let kcp = std::env::var("SYNCAGENT_TEST_KCP_KUBECONFIG");
        let service = std::env::var("SYNCAGENT_TEST_KUBECONFIG");
        match (kcp, service) {
            (Ok(kcp), Ok(service)) => Self::from_kubeconfigs(&kcp, &service).await,
            _ => panic!("no embedded yet"),
        }
    }

    pub(crate) async fn from_kubeconfigs(kcp: &str, service: &str) -> Self {
        let run = format!(
            "t{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        Self {
            kcp: Side::Real(Box::new(config(kcp).await)),
            service: Side::Real(Box::new(config(service).await)),
            run,
        }
    }

    /// A name that no other test uses.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    /// A fresh workspace.
    pub(crate) async fn workspace(&self, name: &str) -> Workspace {
        let name = self.unique(name);
        let parent = self.kcp.api("");
        let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        created(parent.post(path, &json!({
            "apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name},
        })).await);
        let ready = eventually("the workspace is ready", || async {
            let workspace = parent.get(&format!("{path}/{name}")).await.unwrap().body;
            (workspace["status"]["phase"] == "Ready").then_some(workspace)
        })
        .await;
        let url: http::Uri = ready["spec"]["URL"].as_str().unwrap().parse().unwrap();
        let path = url.path().to_owned();
        Workspace {
            cluster: ready["spec"]["cluster"].as_str().unwrap().to_owned(),
            api: self.kcp.api(&path),
            path,
        }
    }

    /// The service cluster, as its admin sees it.
    pub(crate) fn service(&self) -> Server {
        self.service.api("")
    }

    /// How an agent reaches the service cluster.
    pub(crate) fn service_connection(&self) -> Connection {
        match &self.service {
            Side::Real(config) => (**config).clone().into(),
        }
    }

    /// How an agent reaches a provider's workspace.
    pub(crate) fn kcp_access(&self, provider: &Workspace) -> KcpAccess {
        match &self.kcp {
            Side::Real(config) => at((**config).clone(), &provider.path).into(),
        }
    }
}

impl Side {
    fn api(&self, path: &str) -> Server {
        match self {
            Self::Real(config) => {
                let config = if path.is_empty() {
                    (**config).clone()
                } else {
                    at((**config).clone(), path)
                };
                Server::new(kube::Client::try_from(config).unwrap(), "test", "test")
            }
        }
    }
}

async fn config(path: &str) -> kube::Config {
    let file = kube::config::Kubeconfig::read_from(path).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default())
        .await
        .unwrap();
    config.default_retry = false;
    config
}

/// The same server, addressed at another path.
fn at(mut config: kube::Config, path: &str) -> kube::Config {
    let mut parts = config.cluster_url.clone().into_parts();
    parts.path_and_query = Some(path.parse().unwrap());
    config.cluster_url = http::Uri::from_parts(parts).unwrap();
    config
}

/// Waits until something is there; the bound is generous and only ends a test that would never end.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..6000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never happened: {what}");
}

/// The object that a request made.
pub(crate) fn created(reply: Result<syncagent_core::io::clients::Reply, syncagent_core::error::Error>) -> Value {
    let reply = reply.unwrap();
    assert!(reply.is_success() || reply.code == 409, "{reply:?}");
    reply.body
}

/// Changes an object with a merge patch.
pub(crate) async fn change(api: &Server, path: &str, patch: &Value) -> Value {
    let reply = api.patch(path, MERGE_PATCH, patch).await.unwrap();
    assert!(reply.is_success(), "{reply:?}");
    reply.body
}
