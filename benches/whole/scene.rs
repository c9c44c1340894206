//! What a cell is played on: a kind on the service cluster, a provider who publishes it, and consumers who bind it.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use syncagent_core::io::clients::{MERGE_PATCH, Reply, Server};
use syncagent_core::io::watch::Target;
use tokio::time::sleep;

use crate::agent::Agent;
use crate::args::Contender;
use crate::servers::Servers;
use crate::thing::{crd, order};

/// How many requests of the bench are under way at once.
pub(crate) const AT_ONCE: usize = 32;
/// How long anything may take that is no measurement.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long servers may take to delete what a cell made: they delete one object after the other.
const CLEANING: Duration = Duration::from_secs(900);

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A provider with consumers.
pub(crate) struct Scene {
    pub(crate) servers: Servers,
    pub(crate) service: Server,
    /// The group of the kind, the names of the export and of the agent, and the agent's namespace.
    pub(crate) group: String,
    pub(crate) export: String,
    pub(crate) agent: String,
    pub(crate) namespace: String,
    /// Where kubeconfigs and logs are.
    pub(crate) home: PathBuf,
    provider: Workspace,
    pub(crate) consumers: Vec<Workspace>,
    /// A further consumer, who is not counted.
    pub(crate) neighbour: Option<Workspace>,
    made: Vec<String>,
}

/// A workspace of a kcp.
pub(crate) struct Workspace {
    pub(crate) cluster: String,
    path: String,
    pub(crate) api: Server,
}

/// An order that was made.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) consumer: usize,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Scene {
    /// Makes the workspaces, the kind and what publishes it.
    pub(crate) async fn set(servers: Servers, workspaces: usize, neighbour: bool) -> Self {
        let run = format!(
            "b{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let home = std::env::temp_dir().join(format!("syncagent-whole-{run}"));
        // There are credentials in it.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&home);
        made.expect("a temporary directory can be made");
        let service = servers.service().await;
        let group = format!("{run}.bench.example.io");
        let all = (0..workspaces).map(|n| format!("{run}-consumer-{n}"));
        let mut made = vec![format!("{run}-provider"), format!("{run}-neighbour")];
        made.truncate(1 + usize::from(neighbour));
        made.extend(all);
        let parent = servers.kcp("").await;
        let new =
            futures::stream::iter(made.clone()).map(|name| workspace(&servers, &parent, name));
        let mut new: Vec<_> = new.buffered(8).collect().await;
        let provider = new.remove(0);
        let neighbour = neighbour.then(|| new.remove(0));
        servers.write(&home, &provider.path);
        let scene = Self {
            export: group.clone(),
            agent: format!("{run}-agent"),
            namespace: format!("{run}-agent"),
            servers,
            service,
            group,
            home,
            provider,
            consumers: new,
            neighbour,
            made,
        };
        scene.publish().await;
        scene
    }

    async fn publish(&self) {
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        done(self.service.post(crds, &crd(&self.group)).await);
        done(self.service.post(crds, &published_resources()).await);
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        done(self.service.post("/api/v1/namespaces", &namespace).await);
        let publication = json!({
            "apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource",
            "metadata": {"name": self.agent},
            "spec": {
                "resource": {"apiGroup": self.group, "version": "v1", "kind": "Thing"},
                "naming": {"namespace": "{{ .ClusterName }}", "name": "{{ .Object.metadata.name }}"},
            },
        });
        let path = "/apis/syncagent.kcp.io/v1alpha1/publishedresources";
        eventually("PublishedResources are served", async || {
            let reply = self.service.post(path, &publication).await.ok()?;
            (reply.is_success() || reply.code == 409).then_some(())
        })
        .await;
        let export = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport",
            "metadata": {"name": self.export}, "spec": {}});
        let exports = "/apis/apis.kcp.io/v1alpha2/apiexports";
        eventually("the export is made", async || {
            self.provider
                .api
                .post(exports, &export)
                .await
                .ok()?
                .is_success()
                .then_some(())
        })
        .await;
    }

    /// Lets an agent fill the export, lets all consumers bind it, and says what the agent had in memory then.
    pub(crate) async fn bind(&mut self, contender: &Contender) -> u64 {
        let slices = format!(
            "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/{}",
            self.export
        );
        eventually("the export has a slice", async || {
            self.provider
                .api
                .get(&slices)
                .await
                .ok()?
                .is_success()
                .then_some(())
        })
        .await;
        let mut agent = Agent::start(contender, self);
        let path = format!("/apis/apis.kcp.io/v1alpha2/apiexports/{}", self.export);
        let export = eventually("the export is filled", async || {
            if let Some(ended) = agent.ended() {
                panic!("{}; see {}", ended, self.home.display());
            }
            let export = self.provider.api.get(&path).await.ok()?.body;
            let resources = export["spec"]["resources"].as_array()?.len();
            (resources > 0).then_some(export)
        })
        .await;
        let mut claims = export["spec"]["permissionClaims"].clone();
        for claim in claims.as_array_mut().into_iter().flatten() {
            claim["selector"] = json!({"matchAll": true});
            claim["state"] = json!("Accepted");
        }
        let claims = if claims.is_null() { json!([]) } else { claims };
        let canonical = self.provider.path.trim_start_matches("/clusters/");
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding",
            "metadata": {"name": "things"},
            "spec": {"reference": {"export": {"path": canonical, "name": self.export}}, "permissionClaims": claims}});
        let consumers = self.consumers.iter().chain(&self.neighbour);
        futures::stream::iter(consumers)
            .for_each_concurrent(8, |consumer| bind(consumer, &binding, &self.group))
            .await;
        agent.quiet(&mut self.servers, PATIENCE).await;
        let resident = agent.resident();
        agent.stop().await;
        resident
    }

    /// Makes orders, spread over the consumers.
    pub(crate) async fn order(&self, objects: usize, word: &str) -> Vec<Order> {
        let new = futures::stream::iter(0..objects).map(|n| async move {
            let consumer = n % self.consumers.len();
            let name = format!("{word}{n:06}");
            let uid = self.order_in(&self.consumers[consumer], &name).await;
            Order {
                consumer,
                name,
                uid,
            }
        });
        new.buffered(AT_ONCE).collect().await
    }

    /// Makes an order, and returns its uid.
    pub(crate) async fn order_in(&self, consumer: &Workspace, name: &str) -> String {
        let body = order(&self.group, name);
        let reply = done(
            consumer
                .api
                .post(&self.collection(Some("default")), &body)
                .await,
        );
        reply.body["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The path of the kind, in a namespace or in all of them.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = format!("/apis/{}/v1", self.group);
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/things"),
            None => format!("{root}/things"),
        }
    }

    /// All copies, and nothing but their metadata.
    pub(crate) fn copies(&self) -> Target {
        Target::all(self.service.clone(), self.collection(None)).metadata()
    }

    /// Changes an order.
    pub(crate) async fn change(&self, consumer: &Workspace, name: &str, size: usize) {
        let path = format!("{}/{name}", self.collection(Some("default")));
        let patch = json!({"spec": {"size": size}});
        done(consumer.api.patch(&path, MERGE_PATCH, &patch).await);
    }

    /// Writes the status of a copy, as an operator does.
    pub(crate) async fn report(&self, consumer: &Workspace, name: &str, phase: usize) {
        let path = format!("{}/{name}/status", self.collection(Some(&consumer.cluster)));
        let patch = json!({"status": {"phase": phase.to_string()}});
        done(self.service.patch(&path, MERGE_PATCH, &patch).await);
    }

    /// The export's endpoint in kcp, addressed as an agent does.
    pub(crate) async fn endpoint(&self) -> Server {
        let path = format!(
            "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/{}",
            self.export
        );
        let url = eventually("the export has an endpoint", async || {
            let slice = self.provider.api.get(&path).await.ok()?.body;
            Some(slice["status"]["endpoints"][0]["url"].as_str()?.to_owned())
        })
        .await;
        let url: http::Uri = url.parse().expect("endpoints are URLs");
        self.servers.kcp(url.path()).await
    }

    /// Takes all finalizers off a consumer's orders.
    async fn let_go(&self, consumer: &Workspace) {
        let all = self.collection(Some("default"));
        let Ok(reply) = consumer.api.get(&all).await else {
            return;
        };
        let held = |it: &&Value| it["metadata"]["finalizers"].is_array();
        let orders = reply.body["items"].as_array().into_iter().flatten();
        let names = orders
            .filter(held)
            .filter_map(|it| it["metadata"]["name"].as_str());
        let nothing = json!({"metadata": {"finalizers": null}});
        futures::stream::iter(names)
            .for_each_concurrent(AT_ONCE, |name| {
                let path = format!("{all}/{name}");
                let (api, nothing) = (&consumer.api, &nothing);
                async move {
                    let _ = api.patch(&path, MERGE_PATCH, nothing).await;
                }
            })
            .await;
    }

    /// Removes what was made, as far as servers live on, and waits until it is gone: who is measured next must not share the
    /// servers with their own cleaning.
    pub(crate) async fn clear(self) {
        let given = self.servers.given;
        if given.kcp {
            // What somebody holds keeps a workspace from going, and its server busy with trying.
            let consumers = self.consumers.iter().chain(&self.neighbour);
            for consumer in consumers {
                self.let_go(consumer).await;
            }
            let parent = self.servers.kcp("").await;
            let all = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
            let paths = self.made.iter().map(|name| format!("{all}/{name}"));
            removed(&parent, paths.collect()).await;
        }
        if given.service {
            let consumers = self.consumers.iter().chain(&self.neighbour);
            let namespaces = consumers.map(|it| &it.cluster).chain([&self.namespace]);
            let namespaces = namespaces.map(|it| format!("/api/v1/namespaces/{it}"));
            let published = format!(
                "/apis/syncagent.kcp.io/v1alpha1/publishedresources/{}",
                self.agent
            );
            let kind = format!(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{}",
                self.group
            );
            let paths = [published, kind].into_iter().chain(namespaces);
            removed(&self.service, paths.collect()).await;
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Deletes all of this, and waits until it is gone; where that takes too long the next cell shares the servers with it, which
/// is no reason to lose what was measured.
async fn removed(server: &Server, paths: Vec<String>) {
    for path in &paths {
        let _ = server.delete(path, &json!({})).await;
    }
    let end = Instant::now() + CLEANING;
    for path in paths {
        let gone = within(end, async || {
            let reply = server.get(&path).await.ok()?;
            matches!(reply.code, 403 | 404).then_some(())
        });
        if gone.await.is_none() {
            eprintln!("\n{path} is still there; the next figures are of servers that delete it");
        }
    }
}

async fn workspace(servers: &Servers, parent: &Server, name: String) -> Workspace {
    let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
    let workspace = json!({"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name}});
    done(parent.post(path, &workspace).await);
    let ready = eventually("the workspace is ready", async || {
        let workspace = parent.get(&format!("{path}/{name}")).await.ok()?.body;
        (workspace["status"]["phase"] == "Ready").then_some(workspace)
    })
    .await;
    let url: http::Uri = ready["spec"]["URL"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .expect("a URL");
    Workspace {
        cluster: ready["spec"]["cluster"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        path: url.path().to_owned(),
        api: servers.kcp(url.path()).await,
    }
}

async fn bind(consumer: &Workspace, binding: &Value, group: &str) {
    eventually("the binding is made", async || {
        let reply = consumer
            .api
            .post("/apis/apis.kcp.io/v1alpha2/apibindings", binding)
            .await
            .ok()?;
        (reply.is_success() || reply.code == 409).then_some(())
    })
    .await;
    eventually("the workspace serves the kind", async || {
        let path = format!("/apis/{group}/v1/namespaces/default/things");
        let body = order(group, "first");
        consumer
            .api
            .get(&path)
            .await
            .ok()?
            .is_success()
            .then_some(())?;
        // It serves a kind a moment before it takes objects of it.
        consumer
            .api
            .post(&format!("{path}?dryRun=All"), &body)
            .await
            .ok()?
            .is_success()
            .then_some(())
    })
    .await;
}

/// A definition of `PublishedResource` that takes what any agent may want of it.
fn published_resources() -> Value {
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "publishedresources.syncagent.kcp.io"},
        "spec": {
            "group": "syncagent.kcp.io", "scope": "Cluster",
            "names": {"plural": "publishedresources", "singular": "publishedresource",
                "kind": "PublishedResource", "listKind": "PublishedResourceList"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}},
            }],
        },
    })
}

/// A request of the bench that must work.
pub(crate) fn done(reply: Result<Reply, syncagent_core::error::Error>) -> Reply {
    let reply = reply.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(
        reply.is_success() || reply.code == 409,
        "{} {}",
        reply.code,
        reply.message()
    );
    reply
}

async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = within(Instant::now() + PATIENCE, look).await;
    found.unwrap_or_else(|| panic!("it never happened: {what}"))
}

/// Looks until there is something, or it is too late.
async fn within<T>(end: Instant, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    while Instant::now() < end {
        if let Some(found) = look().await {
            return Some(found);
        }
        sleep(Duration::from_millis(50)).await;
    }
    None
}
