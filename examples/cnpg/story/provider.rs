//! What the provider does: workspaces, the empty export, and the agent that fills it.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};
use syncagent::{Agent, Notice};

use super::Trouble;
use super::home::Home;
use super::no_code;
use super::plane::{self, Plane};
use super::say::{Narrator, Who};
use super::stage::Stage;
use super::wait::{self, brief, documents, kind, objects};

const PROVIDER: &str = include_str!("../manifests/provider.yaml");
/// The name of the export.
pub(crate) const EXPORT: &str = "postgresql.cnpg.io";
/// The workspaces of the consumers.
const CONSUMERS: [&str; 2] = ["pg", "web"];

/// A workspace of a consumer.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// Its path, as in `root:consumers:pg`.
    pub(crate) path: String,
    /// The name of its logical cluster.
    pub(crate) cluster: String,
}

/// The workspaces of the story.
#[derive(Debug)]
pub(crate) struct Workspaces {
    /// Where the export lives, as in `root:providers:database`.
    pub(crate) provider: String,
    pub(crate) consumers: Vec<Workspace>,
}

/// Creates the workspaces and, by hand, the placeholder of an export.
pub(crate) async fn prepare(
    narrator: &Narrator,
    stage: &Stage,
    home: &Home,
) -> Result<Workspaces, Trouble> {
    let mut top = stage.kcp.workspace();
    if let Plane::Given(_) = stage.kcp {
        // Others are there too, and perhaps another telling of this story.
        let own = new_workspace(&format!("story-{}", std::process::id()));
        let client = stage.kcp_admin(&top).await?;
        let own = stage.kcp.make_json(&client, own).await?;
        top = ready(narrator, stage, &top, &own.name_any()).await?.path;
    }
    let workspace = async |parent: &str, name: &str| {
        let client = stage.kcp_admin(parent).await?;
        wait::create_json(&client, new_workspace(name)).await?;
        ready(narrator, stage, parent, name).await
    };
    let providers = workspace(&top, "providers").await?.path;
    let hosts = workspace(&top, "consumers").await?.path;
    let provider = workspace(&providers, "database").await?.path;
    let admin = stage.kcp.admin(Some(&provider));
    home.kubeconfig("provider", &admin)?;
    narrator.say(Who::Provider, &format!("has the workspace {provider}"));
    let mut consumers = Vec::new();
    for name in CONSUMERS {
        consumers.push(workspace(&hosts, name).await?);
    }
    let client = wait::client(&admin).await?;
    for object in documents(PROVIDER)? {
        wait::create(&client, &object).await?;
    }
    narrator.say(
        Who::Provider,
        &format!("created the APIExport {EXPORT}, still empty, and lets everybody bind it"),
    );
    Ok(Workspaces {
        provider,
        consumers,
    })
}

fn new_workspace(name: &str) -> Value {
    json!({ "apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": { "name": name } })
}

/// A workspace, once it is ready.
async fn ready(
    narrator: &Narrator,
    stage: &Stage,
    parent: &str,
    name: &str,
) -> Result<Workspace, Trouble> {
    let client = stage.kcp_admin(parent).await?;
    let path = format!("{parent}:{name}");
    let workspaces = objects(&client, &kind("tenancy.kcp.io/v1alpha1", "Workspace"), "");
    let cluster = wait::until(
        narrator,
        &format!("the workspace {path}"),
        &workspaces,
        name,
        |workspace| {
            let data = workspace.map(|workspace| &workspace.data);
            let ready = data.is_some_and(|data| data["status"]["phase"] == "Ready");
            match data.and_then(|data| data["spec"]["cluster"].as_str()) {
                Some(cluster) if ready => Ok(cluster.to_owned()),
                _ => Err(brief(workspace)),
            }
        },
    )
    .await?;
    Ok(Workspace { path, cluster })
}

/// Starts the agent and waits until the export is filled. What is returned ends when the agent does, and says how.
pub(crate) async fn offer(
    narrator: &Narrator,
    stage: &Stage,
    home: &Home,
    agent: Option<Agent>,
    workspaces: &Workspaces,
) -> Result<impl Future<Output = String> + use<>, Trouble> {
    let client = stage.kcp_admin(&workspaces.provider).await?;
    let there = Some(workspaces.provider.as_str());
    let upstairs = stage.kcp.somebody("syncagent", there).await?;
    let kcp = stage.kcp.kubeconfig(&upstairs.token, there);
    let kcp = home.kubeconfig("agent-kcp", &kcp)?;
    let downstairs = stage.service.somebody("syncagent", None).await?;
    let more = agent.is_none().then_some(no_code::ROLE);
    for role in ["syncagent"].into_iter().chain(more) {
        wait::create_json(&client, plane::binding(role, &upstairs)).await?;
        let below = plane::binding(role, &downstairs);
        stage.service.make_json(&stage.admin, below).await?;
    }
    let service = stage.service.kubeconfig(&downstairs.token, None);
    let service = home.kubeconfig("agent-service", &service)?;
    let names: Vec<String> = workspaces
        .consumers
        .iter()
        .map(|workspace| workspace.cluster.clone())
        .collect();
    let teller = narrator.clone();
    let listener = move |notice: &Notice| narrate(&teller, &names, notice);
    let running = match agent {
        Some(agent) => {
            let agent = connected(agent, &service, &kcp).await?;
            tokio::spawn(agent.notify(listener).shutdown(home.agent()).run())
        }
        None => {
            let process = no_code::process(narrator, &service, &kcp)?;
            tokio::spawn(process.notify(listener).shutdown(home.agent()).run())
        }
    };
    narrator.say(Who::Agent, "started, with access of its own to both");
    let exports = objects(&client, &kind("apis.kcp.io/v1alpha2", "APIExport"), "");
    let filled = wait::until(
        narrator,
        "the agent to fill the export",
        &exports,
        EXPORT,
        |export| {
            let spec = export.map(|export| &export.data["spec"]);
            let filled = |spec: &&Value| {
                spec["resources"]
                    .as_array()
                    .is_some_and(|resources| resources.len() == 2)
            };
            spec.filter(filled)
                .map(|_| ())
                .ok_or_else(|| spec.map_or_else(|| brief(None), Value::to_string))
        },
    );
    let mut running = Box::pin(async move {
        match running.await {
            Ok(exit) => exit.to_string(),
            Err(error) => error.to_string(),
        }
    });
    tokio::select! {
        filled = filled => filled.map(|()| running),
        how = &mut running => Err(Trouble::Ended { who: "the agent", how }),
    }
}

/// The agent with its two servers, each named by the file of a kubeconfig.
pub(crate) async fn connected(agent: Agent, service: &Path, kcp: &Path) -> Result<Agent, Trouble> {
    Ok(agent.connect(config(service).await?, config(kcp).await?))
}

async fn config(file: &Path) -> Result<Config, Trouble> {
    let wrong = |error: kube::config::KubeconfigError| {
        Trouble::Wrong(format!("could not use {}: {error}", file.display()))
    };
    let kubeconfig = Kubeconfig::read_from(file).map_err(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(wrong)
}

/// Retells what the agent did, for people: which consumer, which object.
fn narrate(narrator: &Narrator, clusters: &[String], notice: &Notice) {
    let whose = |cluster: &str| match clusters.iter().position(|known| known == cluster) {
        Some(index) => format!("consumer {}", index + 1),
        None => format!("workspace {cluster}"),
    };
    let of = |order: &syncagent::Order| {
        format!("{} {} of {}", order.kind, order.name, whose(&order.cluster))
    };
    let line = match notice {
        // What only leads to something is not worth a line; the logs have it.
        Notice::Held { .. }
        | Notice::Reflected { .. }
        | Notice::Waiting { .. }
        | Notice::ExportAwaited { .. } => return,
        Notice::Placed { order, object } => format!("placed {object}, for {}", of(order)),
        Notice::Refreshed { order, object } => format!("refreshed {object}, for {}", of(order)),
        Notice::Returned { order, object } => format!("returned {object}, for {}", of(order)),
        Notice::Retired { order, object } => format!("retired {object}, of {}", of(order)),
        Notice::Released { order } => format!("released {}", of(order)),
        Notice::Refused { order, why } => format!("refused {}: {why}", of(order)),
        other => other.to_string(),
    };
    narrator.say(Who::Agent, &line);
}

/// The permission claims of the export, each accepted.
pub(crate) async fn accepted_claims(client: &Client) -> Result<Vec<Value>, Trouble> {
    let exports = objects(client, &kind("apis.kcp.io/v1alpha2", "APIExport"), "");
    let export = exports
        .get(EXPORT)
        .await
        .map_err(Trouble::api("read the export"))?;
    let claims = export.data["spec"]["permissionClaims"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let accept = |mut claim: Value| {
        claim["state"] = json!("Accepted");
        claim["selector"] = json!({ "matchAll": true });
        claim
    };
    Ok(claims.into_iter().map(accept).collect())
}
