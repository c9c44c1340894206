//! The two control planes, in this process or given, and the operator beside it.

use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream, StreamExt};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;
use syncagent_embedded::Server;
use tokio::task::JoinHandle;

use super::Trouble;
use super::args::Given;
use super::consumer::Consumer;
use super::home::Home;
use super::plane::{self, Plane};
use super::provider::{EXPORT, Workspace, Workspaces};
use super::say::{Narrator, Who};
use super::wait::{self, condition, documents, kind, objects};
use crate::postgres::Installation;

pub(crate) const CLUSTER_CRD: &str = include_str!("../manifests/clusters.yaml");
pub(crate) const DATABASE_CRD: &str = include_str!("../manifests/databases.yaml");
pub(crate) const OPERATOR_ACCESS: &str = include_str!("../manifests/operator.yaml");
const AGENT_ACCESS: &str = include_str!("../manifests/agent-service.yaml");

/// Marks what the story installs for its stand-in operator, so that it is not taken for somebody's CloudNativePG.
const MARK: &str = "syncagent.kcp.io/story";
/// The CRD by which a CloudNativePG shows, and what its Deployment is labelled, by its manifests and by its chart.
const CNPG: (&str, &str) = (
    "clusters.postgresql.cnpg.io",
    "app.kubernetes.io/name=cloudnative-pg",
);
/// How long those who leave early are given.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both control planes.
pub(crate) struct Stage {
    pub(crate) kcp: Plane,
    pub(crate) service: Plane,
    /// Whether somebody's CloudNativePG is there, so that no stand-in is needed.
    pub(crate) has_operator: bool,
    /// The service cluster, as its admin.
    pub(crate) admin: Client,
    /// The workspaces, once they are there.
    pub(crate) workspaces: OnceLock<Workspaces>,
}

impl Stage {
    /// Starts both, or takes those that are given, and looks who is there.
    pub(crate) async fn open(
        narrator: &Narrator,
        home: &Home,
        given: &Given,
    ) -> Result<Self, Trouble> {
        let kcp = match &given.kcp {
            Some(file) => Plane::given(file)?,
            None => Plane::embedded(Server::kcp().build()).await?,
        };
        let service = match &given.service {
            Some(file) => Plane::given(file)?,
            None => Plane::embedded(Server::kubernetes().build()).await?,
        };
        let admin = wait::client(&service.admin(None)).await?;
        let mut stage = Self {
            kcp,
            service,
            has_operator: false,
            admin,
            workspaces: OnceLock::new(),
        };
        stage.has_operator = stage.detect(narrator).await?;
        let root = stage.kcp.workspace();
        home.kubeconfig("kcp-admin", &stage.kcp.admin(Some(&root)))?;
        home.kubeconfig("service-admin", &stage.service.admin(None))?;
        for (plane, embedded, given) in [
            (
                &stage.kcp,
                "an embedded kcp serves",
                "a kcp that was given is at",
            ),
            (
                &stage.service,
                "an embedded service cluster serves",
                "a service cluster that was given is at",
            ),
        ] {
            let what = match plane {
                Plane::Embedded(..) => embedded,
                Plane::Given(_) => given,
            };
            narrator.say(Who::Story, &format!("{what} {}", plane.url()));
        }
        narrator.say(
            Who::Story,
            &format!("kubeconfigs are in {}", home.dir().display()),
        );
        Ok(stage)
    }

    /// Whether somebody's CloudNativePG is on the service cluster: nobody has to say so.
    async fn detect(&self, narrator: &Narrator) -> Result<bool, Trouble> {
        let (name, label) = CNPG;
        let there = self.crds().get_opt(name).await;
        let there = there.map_err(Trouble::api("look for CloudNativePG"))?;
        let Some(crd) = there else { return Ok(false) };
        if crd.labels().contains_key(MARK) {
            return Err(Trouble::Wrong(format!(
                "another telling of this story has the CRD {name} on the service cluster: wait for its end, or delete what it left"
            )));
        }
        let deployments = objects(&self.admin, &kind("apps/v1", "Deployment"), "");
        let found = deployments
            .list(&ListParams::default().labels(label))
            .await
            .map_err(Trouble::api("look for CloudNativePG's Deployment"))?;
        let Some(operator) = found.items.first() else {
            return Err(Trouble::Wrong(format!(
                "the service cluster has the CRD {name}, and no Deployment labelled {label}: install CloudNativePG's operator, or delete its CRDs, which the story then brings along"
            )));
        };
        let line = format!(
            "has CloudNativePG on the service cluster: Deployment {}/{}",
            operator.namespace().unwrap_or_default(),
            operator.name_any()
        );
        narrator.say(Who::Provider, &line);
        Ok(true)
    }

    /// The CRDs of the service cluster.
    pub(crate) fn crds(&self) -> Api<DynamicObject> {
        let of = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
        objects(&self.admin, &of, "")
    }

    /// Installs what agent and operator need on the service cluster.
    pub(crate) async fn install(&self, narrator: &Narrator) -> Result<(), Trouble> {
        for object in documents(AGENT_ACCESS)? {
            self.service.make(&self.admin, &object).await?;
        }
        if self.has_operator {
            return Ok(());
        }
        for object in documents(OPERATOR_ACCESS)? {
            self.service.make(&self.admin, &object).await?;
        }
        for manifest in [CLUSTER_CRD, DATABASE_CRD] {
            for mut crd in documents(manifest)? {
                crd.labels_mut()
                    .insert(MARK.to_owned(), "stand-in".to_owned());
                let name = self.define(narrator, &crd).await?;
                narrator.say(
                    Who::Provider,
                    &format!("installed the CRD {name} on the service cluster"),
                );
            }
        }
        Ok(())
    }

    /// Makes a CRD, waits until it is in force, and says its name.
    pub(crate) async fn define(
        &self,
        narrator: &Narrator,
        crd: &DynamicObject,
    ) -> Result<String, Trouble> {
        let name = self.service.make(&self.admin, crd).await?.name_any();
        let what = format!("the CRD {name}");
        let established = |crd: Option<&DynamicObject>| match crd {
            Some(crd) if condition(crd, "Established") == "True" => Ok(()),
            other => Err(wait::brief(other)),
        };
        wait::until(narrator, &what, &self.crds(), &name, established).await?;
        Ok(name)
    }

    /// Takes from given servers what the story made on them, however it ended; embedded ones just end. What it cannot take
    /// is told.
    pub(crate) async fn strike(&self, narrator: &Narrator) {
        let mut left = Vec::new();
        if let (Plane::Given(_), Some(workspaces)) = (&self.service, self.workspaces.get()) {
            let namespaces = objects(&self.admin, &kind("v1", "Namespace"), "");
            for Workspace { cluster, .. } in &workspaces.consumers {
                // The agent made it, if it got that far.
                match namespaces.delete(cluster, &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => left.push(format!("Namespace {cluster}: {error}")),
                    Ok(_) => {}
                }
            }
        }
        left.extend(self.service.strike().await);
        left.extend(self.kcp.strike().await);
        for what in left {
            narrator.say(Who::Story, &format!("could not take away {what}"));
        }
    }

    /// Where the story is cut off, while agent and operator are still there: what was ordered on given servers would stay, with
    /// finalizers on it. Whoever unbinds has their orders deleted.
    pub(crate) async fn cut(&self, narrator: &Narrator) {
        let embedded = |plane: &Plane| matches!(plane, Plane::Embedded(..));
        let Some(workspaces) = self.workspaces.get() else {
            return;
        };
        if embedded(&self.kcp) && embedded(&self.service) {
            return;
        }
        let left = async {
            for Workspace { path, .. } in &workspaces.consumers {
                let client = self.kcp_admin(path).await?;
                let of = kind("apis.kcp.io/v1alpha2", "APIBinding");
                let bindings = objects(&client, &of, "");
                match bindings.delete(EXPORT, &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => continue,
                    answer => answer.map_err(Trouble::api("unbind"))?,
                };
                let what = format!("{path} to be left");
                wait::until_gone(narrator, &what, &bindings, EXPORT).await?;
            }
            Ok::<_, Trouble>(())
        };
        let trouble = match tokio::time::timeout(PATIENCE, left).await {
            Ok(Ok(())) => return,
            Ok(Err(trouble)) => trouble.to_string(),
            Err(_) => format!("orders are still there after {} s", PATIENCE.as_secs()),
        };
        narrator.say(Who::Story, &format!("could not clear up: {trouble}"));
    }

    /// A client of kcp's admin for a workspace.
    pub(crate) async fn kcp_admin(&self, workspace: &str) -> Result<Client, Trouble> {
        wait::client(&self.kcp.admin(Some(workspace))).await
    }

    /// Starts the operator; what is returned ends when it does, and says how.
    pub(crate) async fn start_operator(
        &self,
        narrator: &Narrator,
        home: &mut Home,
        installation: &Installation,
    ) -> Result<BoxFuture<'static, String>, Trouble> {
        if self.has_operator {
            return Ok(std::future::pending().boxed());
        }
        let manager = self.service.somebody("cnpg-manager", None).await?;
        let binding = plane::binding("cnpg-manager", &manager);
        self.service.make_json(&self.admin, binding).await?;
        let kubeconfig = self.service.kubeconfig(&manager.token, None);
        let kubeconfig = home.kubeconfig("operator", &kubeconfig)?;
        let (id, ended) = home.start_operator(&kubeconfig, installation)?;
        let line =
            format!("started as process {id}, with access of its own to the service cluster");
        narrator.say(Who::Operator, &line);
        Ok(ended.boxed())
    }

    /// Says what the operator makes of the orders, as the provider sees it on the service cluster.
    pub(crate) fn narrate_service(&self, narrator: &Narrator) -> JoinHandle<()> {
        let clusters = watched(&self.admin, "Cluster");
        let databases = watched(&self.admin, "Database");
        let narrator = narrator.clone();
        tokio::spawn(async move {
            let mut told: HashMap<(String, String, String), String> = HashMap::new();
            let mut objects = futures::stream::select(clusters, databases);
            while let Some(object) = objects.next().await {
                let of = object.types.clone().unwrap_or_default().kind;
                let status = &object.data["status"];
                let state = match (status["phase"].as_str(), status["applied"].as_bool()) {
                    (Some(phase), _) => format!("{phase:?}"),
                    (_, Some(true)) => "applied".to_owned(),
                    (_, Some(false)) => format!(
                        "not applied: {}",
                        status["message"].as_str().unwrap_or_default()
                    ),
                    (None, None) => continue,
                };
                let key = (
                    of,
                    object.namespace().unwrap_or_default(),
                    object.name_any(),
                );
                let line = format!("{} {} in namespace {}: {state}", key.0, key.2, key.1);
                if told.insert(key, state.clone()).as_ref() != Some(&state) {
                    narrator.say(Who::Operator, &line);
                }
            }
        })
    }

    /// Shows that equal names of two consumers are two namespaces.
    pub(crate) async fn show_namespaces(
        &self,
        narrator: &Narrator,
        consumers: [&Consumer; 2],
    ) -> Result<(), Trouble> {
        let clusters = objects(&self.admin, &kind("postgresql.cnpg.io/v1", "Cluster"), "");
        let found = clusters
            .list(&ListParams::default())
            .await
            .map_err(Trouble::api("list the copies"))?;
        for consumer in consumers {
            let number = consumer.number;
            let copy = found
                .iter()
                .find(|copy| copy.namespace().as_deref() == Some(&consumer.cluster));
            let copy = copy
                .ok_or_else(|| Trouble::Wrong(format!("there is no copy for consumer {number}")))?;
            let line = format!(
                "cluster {} of consumer {number} is in namespace {}",
                copy.name_any(),
                consumer.cluster
            );
            narrator.say(Who::Provider, &line);
        }
        Ok(())
    }
}

fn watched(client: &Client, of: &str) -> impl Stream<Item = DynamicObject> + Send + Unpin + use<> {
    let of = kind("postgresql.cnpg.io/v1", of);
    let types = kube::core::TypeMeta {
        api_version: of.api_version.clone(),
        kind: of.kind.clone(),
    };
    let events = watcher(objects(client, &of, ""), watcher::Config::default()).default_backoff();
    let objects = events.filter_map(move |event| {
        let types = types.clone();
        std::future::ready(match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => Some(DynamicObject {
                types: Some(types),
                ..object
            }),
            _ => None,
        })
    });
    objects.boxed()
}
