//! Offers PostgreSQL of this cluster's CloudNativePG to every workspace that binds the export.
//! This is all that a provider writes; `story.rs` stages a walk-through around it.

mod operator;
mod postgres;
mod story;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{Agent, Condition, LocalObjectReference, View};
use syncagent::{Publish, PublishPart, PublishStatus};

/// A PostgreSQL cluster.
#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "postgresql.cnpg.io", version = "v1", kind = "Cluster")]
#[kube(namespaced, status = "ClusterStatus")]
#[kube(printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"))]
#[publish(copy = "{workspace}/{name}", only(namespaces = ["default"]))]
#[publish(returns(Secret, id = "connection", reads(Service, name = "{copy.name}-rw"), with = connection))]
#[serde(rename_all = "camelCase")]
struct ClusterSpec {
    /// Number of servers.
    instances: i32,
    /// How the first database comes to be.
    #[publish(nested)]
    bootstrap: Bootstrap,
    /// Whether the user `postgres` may log in.
    enable_superuser_access: Option<bool>,
    /// Its user name and password: a Secret in your workspace.
    #[publish(takes(Secret, label(key = "cnpg.io/reload", value = "true")))]
    superuser_secret: Option<LocalObjectReference>,
    /// The volume of each server.
    storage: Storage,
}

#[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Bootstrap {
    /// From nothing.
    #[publish(nested)]
    initdb: InitDb,
}

#[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct InitDb {
    /// The name of the database.
    database: String,
    /// The name of its owner.
    owner: String,
    /// User name and password of the owner: a Secret in your workspace.
    #[publish(takes(Secret, label(key = "cnpg.io/reload", value = "true")))]
    secret: LocalObjectReference,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Storage {
    /// Its size, as in `1Gi`; it may grow.
    size: String,
}

#[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ClusterStatus {
    /// What is going on, in the operator's words.
    phase: Option<String>,
    /// Number of servers that can be used.
    ready_instances: Option<i32>,
    /// `Ready`, and what kcp's side adds.
    conditions: Option<Vec<Condition>>,
}

/// A database in a cluster.
#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "postgresql.cnpg.io", version = "v1", kind = "Database")]
#[kube(namespaced, status = "DatabaseStatus")]
#[publish(copy = "{workspace}/{name}", only(namespaces = ["default"]))]
struct DatabaseSpec {
    /// Its name in PostgreSQL.
    name: String,
    /// The role that owns it.
    owner: String,
    /// The cluster it is in.
    #[publish(refers_to = Cluster)]
    cluster: LocalObjectReference,
}

#[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DatabaseStatus {
    /// Whether it is as ordered.
    applied: Option<bool>,
    /// Why not.
    message: Option<String>,
    /// The generation of the order that this is about.
    observed_generation: Option<i64>,
}

/// Everything needed to connect: where the Service leads, and the consumer's own credentials.
fn connection(order: &View<Cluster>) -> Option<Secret> {
    let (host, port) = address(&order.read()?)?;
    let port = port.to_string();
    let login: Secret = order.taken("spec.bootstrap.initdb.secret")?;
    let login = login.data?;
    let text = |key: &str| String::from_utf8(login.get(key)?.0.clone()).ok();
    let (user, password) = (text("username")?, text("password")?);
    let dbname = order.spec()?.bootstrap.initdb.database.clone();
    let uri = format!("postgresql://{user}:{password}@{host}:{port}/{dbname}");
    let text = serde_json::json!({ "host": host, "port": port, "user": user, "password": password,
        "dbname": dbname, "uri": uri });
    serde_json::from_value(serde_json::json!({ "stringData": text })).ok()
}

/// Where a Service leads: its load balancer, which may take its time; without one, a name that the cluster alone knows.
fn address(service: &Service) -> Option<(String, i32)> {
    let spec = service.spec.as_ref()?;
    let port = spec.ports.as_ref()?.first()?.port;
    if spec.type_.as_deref() != Some("LoadBalancer") {
        let meta = &service.metadata;
        let (name, namespace) = (meta.name.as_ref()?, meta.namespace.as_ref()?);
        return Some((format!("{name}.{namespace}.svc"), port));
    }
    let balancer = service.status.as_ref()?.load_balancer.as_ref()?;
    let ingress = balancer.ingress.as_ref()?.first()?;
    let host = ingress.ip.as_ref().or(ingress.hostname.as_ref())?.clone();
    let own = ingress.ports.as_ref().and_then(|it| it.first());
    Some((host, own.map_or(port, |it| it.port)))
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let agent = Agent::new("postgresql.cnpg.io");
    story::tell(agent.publish::<Cluster>().publish::<Database>()).await
}
