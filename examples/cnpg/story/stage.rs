//! The two control planes, in this process or given, and the operator beside it.

use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream, StreamExt};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use std::collections::HashMap;
use syncagent_embedded::Server;
use tokio::task::JoinHandle;

use super::Trouble;
use super::args::Given;
use super::consumer::Consumer;
use super::home::Home;
use super::plane::{self, Plane};
use super::provider::Workspaces;
use super::say::{Narrator, Who};
use super::wait::{self, condition, documents, kind, objects};
use crate::postgres::Installation;

pub(crate) const CLUSTER_CRD: &str = include_str!("../manifests/clusters.yaml");
pub(crate) const DATABASE_CRD: &str = include_str!("../manifests/databases.yaml");
pub(crate) const OPERATOR_ACCESS: &str = include_str!("../manifests/operator.yaml");
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const CRDS: &str = "apiextensions.k8s.io/v1";
const AGENT_ACCESS: &str = include_str!("../manifests/agent-service.yaml");

/// Marks what the story installs for its stand-in operator, so that it is not taken for somebody's CloudNativePG.
const MARK: &str = "syncagent.kcp.io/story";

/// Both control planes.
pub(crate) struct Stage {
    pub(crate) kcp: Plane,
    pub(crate) service: Plane,
    /// Whether somebody's CloudNativePG is there, so that no stand-in is needed.
    pub(crate) has_operator: bool,
    /// The service cluster, as its admin.
    pub(crate) admin: Client,
}

impl Stage {
    /// Starts both, or takes those that are given, and installs the CRDs.
    pub(crate) async fn set(
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
        };
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
        stage.install(narrator).await?;
        Ok(stage)
    }

    async fn install(&mut self, narrator: &Narrator) -> Result<(), Trouble> {
        let crds = objects(
            &self.admin,
            &kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            "",
        );
        let there = crds.get_opt("clusters.postgresql.cnpg.io").await;
        let there = there.map_err(Trouble::api("look for CloudNativePG"))?;
        self.has_operator = there.is_some_and(|crd| !crd.labels().contains_key(MARK));
        for object in documents(AGENT_ACCESS)? {
            wait::create(&self.admin, &object).await?;
        }
        if self.has_operator {
            narrator.say(Who::Provider, "has CloudNativePG on the service cluster");
            return Ok(());
        }
        for object in documents(OPERATOR_ACCESS)? {
            wait::create(&self.admin, &object).await?;
        }
        for manifest in [CLUSTER_CRD, DATABASE_CRD] {
            for mut crd in documents(manifest)? {
                crd.labels_mut()
                    .insert(MARK.to_owned(), "stand-in".to_owned());
                wait::create(&self.admin, &crd).await?;
                let name = crd.name_any();
                wait::until(
                    narrator,
                    &format!("the CRD {name}"),
                    &crds,
                    &name,
                    |crd| match crd.map(|crd| condition(crd, "Established")) {
                        Some("True") => Ok(()),
                        _ => Err(wait::brief(crd)),
                    },
                )
                .await?;
                narrator.say(
                    Who::Provider,
                    &format!("installed the CRD {name} on the service cluster"),
                );
            }
        }
        Ok(())
    }

    /// Takes from given servers what the story made for all of them; embedded ones just end. What it cannot take is told.
    pub(crate) async fn strike(&self, narrator: &Narrator, workspaces: &Workspaces) {
        let mut left = Vec::new();
        if let Plane::Given(_) = self.service {
            let mut made = vec![
                ("v1", "ServiceAccount", "default", "syncagent"),
                (RBAC, "ClusterRoleBinding", "", "syncagent-of-the-story"),
                (RBAC, "ClusterRoleBinding", "", "syncagent"),
                (RBAC, "ClusterRole", "", "syncagent"),
            ];
            if !self.has_operator {
                made.extend([
                    (
                        CRDS,
                        "CustomResourceDefinition",
                        "",
                        "databases.postgresql.cnpg.io",
                    ),
                    (
                        CRDS,
                        "CustomResourceDefinition",
                        "",
                        "clusters.postgresql.cnpg.io",
                    ),
                    ("v1", "ServiceAccount", "default", "cnpg-manager"),
                    (RBAC, "ClusterRoleBinding", "", "cnpg-manager-of-the-story"),
                    (RBAC, "ClusterRoleBinding", "", "cnpg-manager"),
                    (RBAC, "ClusterRole", "", "cnpg-manager"),
                ]);
            }
            for consumer in &workspaces.consumers {
                made.push(("v1", "Namespace", "", &consumer.cluster));
            }
            for (version, of, namespace, name) in made {
                let api = objects(&self.admin, &kind(version, of), namespace);
                if let Err(error) = api.delete(name, &DeleteParams::default()).await {
                    left.push(format!("{of} {name}: {error}"));
                }
            }
        }
        if let (Plane::Given(_), Some((parent, name))) = (&self.kcp, &workspaces.own)
            && let Ok(client) = self.kcp_admin(parent).await
        {
            let api = objects(&client, &kind("tenancy.kcp.io/v1alpha1", "Workspace"), "");
            if let Err(error) = api.delete(name, &DeleteParams::default()).await {
                left.push(format!("workspace {parent}:{name}: {error}"));
            }
        }
        for what in left {
            narrator.say(Who::Story, &format!("could not take away {what}"));
        }
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
        plane::bind(&self.admin, "cnpg-manager", &manager).await?;
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
