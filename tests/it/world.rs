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
    Embedded(syncagent_embedded::Server, String),
    Real(Box<kube::Config>),
}

/// A workspace: its logical cluster's name, its canonical path, and how a user of it addresses it.
pub(crate) struct Workspace {
    pub(crate) cluster: String,
    pub(crate) canonical: String,
    pub(crate) path: String,
    pub(crate) api: Server,
}

const KCP: &str = "SYNCAGENT_TEST_KCP_KUBECONFIG";
const SERVICE: &str = "SYNCAGENT_TEST_KUBECONFIG";

static COUNT: AtomicUsize = AtomicUsize::new(0);

impl World {
    /// Fresh servers, or fresh workspaces on the servers that the environment names.
    pub(crate) async fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        Self {
            kcp: match std::env::var(KCP) {
                Ok(path) => Side::Real(Box::new(config(&path).await)),
                Err(_) => Side::embedded_kcp(),
            },
            service: match std::env::var(SERVICE) {
                Ok(path) => Side::Real(Box::new(config(&path).await)),
                Err(_) => Side::embedded_service(),
            },
            run: format!("t{}-{count}", std::process::id()),
        }
    }

    /// A fresh kcp before the same service cluster; `None` where a server is real.
    pub(crate) fn beside(&self) -> Option<Self> {
        let (Side::Embedded(..), Side::Embedded(service, token)) = (&self.kcp, &self.service)
        else {
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        Some(Self {
            kcp: Side::embedded_kcp(),
            service: Side::Embedded(service.clone(), token.clone()),
            run: format!("t{}-{count}", std::process::id()),
        })
    }

    /// Embedded servers, built like this; the environment is not asked.
    pub(crate) fn built(
        kcp: syncagent_embedded::kcp::Builder,
        service: syncagent_embedded::Builder,
    ) -> Self {
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let (kcp, service) = (kcp.build(), service.build());
        let (admin, kcp_admin) = (service.admin(), kcp.kcp_admin());
        Self {
            kcp: Side::Embedded(kcp, kcp_admin),
            service: Side::Embedded(service, admin),
            run: format!("t{}-{count}", std::process::id()),
        }
    }

    /// Whether time is that of a real server.
    pub(crate) fn is_real() -> bool {
        [KCP, SERVICE]
            .iter()
            .any(|name| std::env::var(name).is_ok())
    }

    /// The embedded service cluster, where it is embedded.
    pub(crate) fn embedded_service(&self) -> Option<&syncagent_embedded::Server> {
        self.service.server()
    }

    /// The embedded kcp, where it is embedded.
    pub(crate) fn embedded_kcp(&self) -> Option<&syncagent_embedded::Server> {
        self.kcp.server()
    }

    /// A name that no other test uses.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    /// A fresh workspace.
    pub(crate) async fn workspace(&self, name: &str) -> Workspace {
        self.workspace_with(name, &json!({})).await
    }

    /// A fresh workspace on this shard.
    pub(crate) async fn workspace_on(&self, name: &str, shard: &str) -> Workspace {
        let selector = json!({"matchLabels": {"name": shard}});
        self.workspace_with(name, &json!({"location": {"selector": selector}}))
            .await
    }

    /// Deletes a workspace.
    pub(crate) async fn delete_workspace(&self, name: &str) {
        let path = format!(
            "/apis/tenancy.kcp.io/v1alpha1/workspaces/{}",
            self.unique(name)
        );
        let deleted = self.kcp.parent().delete(&path, &json!({})).await.unwrap();
        assert!(deleted.is_success(), "{deleted:?}");
    }

    async fn workspace_with(&self, name: &str, spec: &Value) -> Workspace {
        let name = self.unique(name);
        let parent = self.kcp.parent();
        let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        created(parent.post(path, &json!({
            "apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name},
            "spec": spec,
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
            canonical: path.trim_start_matches("/clusters/").to_owned(),
            path,
        }
    }

    /// The service cluster, as its admin sees it.
    pub(crate) fn service(&self) -> Server {
        self.service.api("")
    }

    /// How an agent reaches the service cluster; with a token of its own where the server is embedded.
    pub(crate) fn service_connection(&self, token: Option<&str>) -> Connection {
        match &self.service {
            Side::Real(config) => (**config).clone().into(),
            Side::Embedded(server, admin) => client(server, token.unwrap_or(admin), "").into(),
        }
    }

    /// How an agent reaches a provider's workspace; with a token of its own where the server is embedded.
    pub(crate) fn kcp_access(&self, provider: &Workspace, token: Option<&str>) -> KcpAccess {
        match &self.kcp {
            Side::Real(config) => at((**config).clone(), &provider.path).into(),
            Side::Embedded(server, admin) => {
                let token = token.unwrap_or(admin).to_owned();
                let inside = server.clone();
                KcpAccess::new(client(server, &token, &provider.path), move |_| {
                    Ok(client(&inside, &token, ""))
                })
            }
        }
    }
}

impl Side {
    fn embedded_service() -> Self {
        let server = syncagent_embedded::Server::kubernetes().build();
        let token = server.admin();
        Self::Embedded(server, token)
    }

    fn embedded_kcp() -> Self {
        let server = syncagent_embedded::Server::kcp().build();
        let token = server.kcp_admin();
        Self::Embedded(server, token)
    }

    fn server(&self) -> Option<&syncagent_embedded::Server> {
        match self {
            Self::Embedded(server, _) => Some(server),
            Self::Real(_) => None,
        }
    }

    /// Where workspaces are made: what a kubeconfig points at, or the root.
    fn parent(&self) -> Server {
        match self {
            Self::Embedded(..) => self.api("/clusters/root"),
            Self::Real(_) => self.api(""),
        }
    }

    fn api(&self, path: &str) -> Server {
        match self {
            Self::Embedded(server, token) => {
                Server::new(client(server, token, path), "test", "test")
            }
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

fn client(server: &syncagent_embedded::Server, token: &str, path: &str) -> kube::Client {
    kube::Client::new(server.in_process().as_user(token).at(path), "default")
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

/// How often to look, 20 ms apart, before giving up.
pub(crate) const PATIENCE: usize = 3000;

/// Waits until something is there; the bound is generous and only ends a test that would never end.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..PATIENCE {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never happened: {what}");
}

/// The object that a request made.
pub(crate) fn created(
    reply: Result<syncagent_core::io::clients::Reply, syncagent_core::error::Error>,
) -> Value {
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

/// Writes a status, as an operator does.
pub(crate) async fn status(api: &Server, path: &str, status: &Value) -> Value {
    change(api, &format!("{path}/status"), &json!({"status": status})).await
}

/// Says that a test shows nothing here, past the capture of the test runner, so that nobody takes it for shown.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    let line =
        format!("skipped: {name}: {why}; without SYNCAGENT_TEST_* it runs against embedded ones\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
