//! The two control planes in this process, and the operator beside it.

use futures::{Stream, StreamExt};
use kube::api::{DynamicObject, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use std::collections::HashMap;
use syncagent_embedded::{Listening, Server};
use tokio::task::JoinHandle;

use super::Trouble;
use super::consumer::Consumer;
use super::home::Home;
use super::say::{Narrator, Who};
use super::wait::{self, condition, documents, kind, objects};
use crate::postgres::Installation;

pub(crate) const CLUSTER_CRD: &str = include_str!("../manifests/clusters.yaml");
pub(crate) const DATABASE_CRD: &str = include_str!("../manifests/databases.yaml");
pub(crate) const OPERATOR_ACCESS: &str = include_str!("../manifests/operator.yaml");
const AGENT_ACCESS: &str = include_str!("../manifests/agent-service.yaml");

/// Both servers, listening.
pub(crate) struct Stage {
    pub(crate) kcp: Server,
    pub(crate) service: Server,
    kcp_at: Listening,
    service_at: Listening,
    /// The service cluster, as its admin.
    pub(crate) admin: Client,
}

impl Stage {
    /// Starts both, and installs the CRDs.
    pub(crate) async fn set(narrator: &Narrator, home: &Home) -> Result<Self, Trouble> {
        let anywhere = || std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let kcp = Server::kcp().build();
        let kcp_at = kcp
            .listen(anywhere())
            .await
            .map_err(Trouble::system("serve the embedded kcp"))?;
        let service = Server::kubernetes().build();
        let service_at = service
            .listen(anywhere())
            .await
            .map_err(Trouble::system("serve the service cluster"))?;
        let admin = wait::client(&service_at.kubeconfig(&service.admin())).await?;
        let stage = Self {
            kcp,
            service,
            kcp_at,
            service_at,
            admin,
        };
        home.kubeconfig(
            "kcp-admin",
            &stage.kcp_kubeconfig(&stage.kcp.admin(), "root"),
        )?;
        home.kubeconfig(
            "service-admin",
            &stage.service_kubeconfig(&stage.service.admin()),
        )?;
        narrator.say(
            Who::Story,
            &format!("an embedded kcp serves {}", stage.kcp_at.url()),
        );
        narrator.say(
            Who::Story,
            &format!(
                "an embedded service cluster serves {}",
                stage.service_at.url()
            ),
        );
        narrator.say(
            Who::Story,
            &format!("kubeconfigs are in {}", home.dir().display()),
        );
        stage.install(narrator).await?;
        Ok(stage)
    }

    async fn install(&self, narrator: &Narrator) -> Result<(), Trouble> {
        for manifest in [OPERATOR_ACCESS, AGENT_ACCESS] {
            for object in documents(manifest)? {
                wait::create(&self.admin, &object).await?;
            }
        }
        let crds = objects(
            &self.admin,
            &kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            "",
        );
        for manifest in [CLUSTER_CRD, DATABASE_CRD] {
            for crd in documents(manifest)? {
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

    /// A kubeconfig of a user of kcp for a workspace.
    pub(crate) fn kcp_kubeconfig(&self, token: &str, workspace: &str) -> String {
        self.kcp_at
            .kubeconfig_at(token, &format!("/clusters/{workspace}"))
    }

    /// A kubeconfig of a user of the service cluster.
    pub(crate) fn service_kubeconfig(&self, token: &str) -> String {
        self.service_at.kubeconfig(token)
    }

    /// A client of kcp's admin for a workspace.
    pub(crate) async fn kcp_admin(&self, workspace: &str) -> Result<Client, Trouble> {
        wait::client(&self.kcp_kubeconfig(&self.kcp.admin(), workspace)).await
    }

    /// Starts the operator; what is returned ends when it does, and says how.
    pub(crate) fn start_operator(
        &self,
        narrator: &Narrator,
        home: &mut Home,
        installation: &Installation,
    ) -> Result<impl Future<Output = String> + use<>, Trouble> {
        let token = self.service.user("cnpg-manager", &[]);
        let kubeconfig = home.kubeconfig("operator", &self.service_kubeconfig(&token))?;
        let (id, ended) = home.start_operator(&kubeconfig, installation)?;
        let line =
            format!("started as process {id}, with access of its own to the service cluster");
        narrator.say(Who::Operator, &line);
        Ok(ended)
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
