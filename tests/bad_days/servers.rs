//! The servers of a day, the provider's and the consumers' places on them, and the agents between.

use std::path::Path;

use serde_json::{Value, json};
use syncagent_core::api::published_resource;
use syncagent_real::guard::Guard;
use syncagent_real::{Cluster, Programs};
use tokio::task::JoinHandle;

use crate::agents::{Agents, Make, published};
use crate::operator::operate;
use crate::place::Place;
use crate::workspaces::Workspaces;
use crate::{EXPORT, Trouble, things};

/// A consumer's workspace.
#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) cluster: String,
    pub(crate) api: Place,
}

/// Everything that a day needs. What runs ends with it.
pub(crate) struct Servers {
    pub(crate) cluster: Cluster,
    pub(crate) kcp: Workspaces,
    pub(crate) service: Place,
    pub(crate) agents: Agents,
    pub(crate) guard: Guard,
    provider: Place,
    provider_path: String,
    operator: Option<JoinHandle<()>>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.rest();
    }
}

impl Servers {
    /// Starts them, with a provider whose export is still empty, an operator, and agents that may do what they must.
    pub(crate) async fn start(
        programs: &Programs,
        kcp: Option<&Path>,
        make: Make,
        with_certificate: bool,
    ) -> Result<Self, Trouble> {
        let cluster = Cluster::start(programs).await?;
        let kcp = Workspaces::start(kcp).await?;
        let guard = Guard::make("syncagent-bad-days")?;
        let service = Place::of(&std::fs::read_to_string(cluster.kubeconfig())?).await?;
        let (provider, path, _) = kcp.workspace("provider").await?;
        let [token, at] = ["kcp.token", "kcp.kubeconfig"].map(|it| guard.dir().join(it));
        std::fs::write(&token, kcp.token()?)?;
        std::fs::write(&at, kcp.kubeconfig(Some(token), &path)?)?;
        let kind = things::kind("Thing");
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        service.made(crds, &things::service_crd(&kind)).await?;
        service.soon(&things::collection(&kind), |_| true).await?;
        if make != Make::Library {
            let objects = "/apis/syncagent.kcp.io/v1alpha1/publishedresources";
            service.made(crds, &published_resource::crd()).await?;
            service.soon(objects, |_| true).await?;
            service.made(objects, &published()).await?;
        }
        let (here, there) = make.rules()?;
        permit(&service, "user", &here).await?;
        permit(&provider, kcp.user(), &there).await?;
        let export = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": {"name": EXPORT}, "spec": {}});
        provider
            .made("/apis/apis.kcp.io/v1alpha2/apiexports", &export)
            .await?;
        let slice = format!("/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/{EXPORT}");
        provider.soon(&slice, |_| true).await?;
        let user = match with_certificate {
            true => cluster.user_with_certificate(),
            false => cluster.user(),
        };
        let mut servers = Self {
            cluster,
            kcp,
            service,
            agents: Agents::new(make, [user, at]),
            guard,
            provider,
            provider_path: path.trim_start_matches("/clusters/").to_owned(),
            operator: None,
        };
        servers.work();
        Ok(servers)
    }

    /// Lets the operator work.
    pub(crate) fn work(&mut self) {
        self.operator = Some(tokio::spawn(operate(self.service.clone())));
    }

    /// Lets the operator rest.
    pub(crate) fn rest(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.abort();
        }
    }

    /// Starts an agent.
    pub(crate) fn start_agent(&mut self, number: usize) -> Result<(), Trouble> {
        self.agents.start(number, &mut self.guard)
    }

    /// Kills an agent.
    pub(crate) fn kill_agent(&mut self, number: usize) -> Result<(), Trouble> {
        self.agents.kill(number, &mut self.guard)
    }

    /// Looks after the agents.
    pub(crate) fn keep_agents(&mut self) -> Result<(), Trouble> {
        self.agents.keep(&mut self.guard)
    }

    /// Tells the agents of the credentials that are in force.
    pub(crate) fn tell(&self) -> Result<(), Trouble> {
        self.cluster.tell()?;
        let [told, new] = ["kcp.token", "kcp.token.new"].map(|it| self.guard.dir().join(it));
        std::fs::write(&new, self.kcp.token()?)?;
        std::fs::rename(new, told)?;
        Ok(())
    }

    /// Whether an agent said this.
    pub(crate) fn said(&self, what: &str) -> bool {
        self.agents.said(&self.guard, what)
    }

    /// What the agents said about what a trouble names, and the end of it.
    pub(crate) fn last_words(&self, trouble: &str) -> String {
        self.agents.last_words(&self.guard, trouble)
    }

    /// Workspaces that bind the export and accept its claims.
    pub(crate) async fn consumers(&self, count: usize) -> Result<Vec<Consumer>, Trouble> {
        let path = format!("/apis/apis.kcp.io/v1alpha2/apiexports/{EXPORT}");
        let filled = |it: &Value| it["spec"]["resources"][0].is_object();
        let export = self.provider.soon(&path, filled).await?;
        let mut claims = export["spec"]["permissionClaims"].clone();
        for claim in claims.as_array_mut().into_iter().flatten() {
            claim["selector"] = json!({"matchAll": true});
            claim["state"] = json!("Accepted");
        }
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding", "metadata": {"name": "things"},
            "spec": {"reference": {"export": {"path": self.provider_path, "name": EXPORT}}, "permissionClaims": claims}});
        let mut consumers = Vec::new();
        for n in 0..count {
            let (api, _, cluster) = self.kcp.workspace(&format!("consumer-{n}")).await?;
            api.made("/apis/apis.kcp.io/v1alpha2/apibindings", &binding)
                .await?;
            api.soon(&things::collection(&things::kind("Thing")), |_| true)
                .await?;
            api.soon("/api/v1/namespaces/default", |_| true).await?;
            consumers.push(Consumer { cluster, api });
        }
        Ok(consumers)
    }
}

async fn permit(place: &Place, user: &str, rules: &[Value]) -> Result<(), Trouble> {
    let group = "rbac.authorization.k8s.io";
    let path = format!("/apis/{group}/v1");
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "agent"}, "rules": rules});
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "agent"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "agent"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}]});
    place.made(&format!("{path}/clusterroles"), &role).await?;
    place
        .made(&format!("{path}/clusterrolebindings"), &binding)
        .await
}
