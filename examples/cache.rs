//! An operator and the publication of its own type, in one binary.
//!
//! The same type is what the operator works on and what consumers see, but not all of it: where the provider puts a
//! cache is decided on the service cluster, in a field that no consumer ever sees.
//!
//! `cargo run --example cache` plays both sides inside this process, and ends by itself.

#[path = "stage/stage.rs"]
mod stage;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::Controller;
use kube::runtime::controller::Action;
use kube::runtime::watcher::Config;
use kube::{Client, CustomResource, CustomResourceExt as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage::{Stage, Trouble, say, until, until_gone};
use syncagent::{Agent, Exit, Publish, PublishStatus};

/// A cache.
#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "cache.acme.io",
    version = "v1",
    kind = "Cache",
    namespaced,
    status = "CacheStatus"
)]
#[publish(copy = "{workspace}/{namespace.hash}-{name}")]
#[serde(rename_all = "camelCase")]
pub struct CacheSpec {
    /// How large it is.
    pub size: Size,
    /// Where it runs: the operator's own business.
    #[publish(hidden)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<String>,
}

/// The sizes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Size {
    /// A gigabyte.
    Small,
    /// 64 of them.
    Large,
}

/// How a cache is doing.
#[derive(
    PublishStatus, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct CacheStatus {
    /// Where it listens.
    pub endpoint: Option<String>,
    /// How much it holds.
    pub memory: Option<String>,
    /// The generation of the order that this is about.
    pub observed_generation: Option<i64>,
}

#[tokio::main]
async fn main() -> Result<Exit, Trouble> {
    let stage = Stage::set("cache.acme.io", Cache::crd()).await?;
    let service = stage.service();

    let agent = Agent::new("cache.acme.io")
        .publish::<Cache>()
        .connect(service.clone(), stage.provider())
        .notify(|notice| say("agent", notice));
    let operator = Controller::new(Api::<Cache>::all(service.clone()), Config::default())
        .run(reconcile, |_, error, _| retry(error), Arc::new(service))
        .for_each(|_| async {});

    tokio::select! {
        exit = agent.run() => Ok(exit),
        () = operator => Ok(Exit::stopped()),
        told = story(stage.consumer(), &stage) => told.map(|()| Exit::stopped()),
    }
}

/// The operator: finds a place for a cache, "runs" it there, and says how it is doing.
async fn reconcile(cache: Arc<Cache>, service: Arc<Client>) -> Result<Action, kube::Error> {
    if cache.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let (name, namespace) = (cache.name_any(), cache.namespace().unwrap_or_default());
    let caches: Api<Cache> = Api::namespaced((*service).clone(), &namespace);
    if cache.spec.node_pool.is_none() {
        let placed = json!({ "spec": { "nodePool": "pool-7" } });
        caches
            .patch(&name, &PatchParams::default(), &Patch::Merge(placed))
            .await?;
        say("operator", format!("found a place for {namespace}/{name}"));
        return Ok(Action::await_change());
    }
    let memory = match cache.spec.size {
        Size::Small => "1Gi",
        Size::Large => "64Gi",
    };
    let status = CacheStatus {
        endpoint: Some("10.7.0.12:6379".to_owned()),
        memory: Some(memory.to_owned()),
        observed_generation: cache.metadata.generation,
    };
    if cache.status.as_ref() != Some(&status) {
        let patch = Patch::Merge(json!({ "status": status }));
        caches
            .patch_status(&name, &PatchParams::default(), &patch)
            .await?;
        say("operator", format!("runs {namespace}/{name} with {memory}"));
    }
    Ok(Action::await_change())
}

fn retry(error: &kube::Error) -> Action {
    say("operator", format!("tries again: {error}"));
    Action::requeue(Duration::from_secs(1))
}

/// What the consumer does and sees; and what the provider could see meanwhile.
async fn story(consumer: Client, stage: &Stage) -> Result<(), Trouble> {
    stage.bind().await?;
    say("consumer", "bound cache.acme.io");

    let orders: Api<Cache> = Api::default_namespaced(consumer);
    let spec = CacheSpec {
        size: Size::Small,
        node_pool: None,
    };
    orders
        .create(&PostParams::default(), &Cache::new("sessions", spec))
        .await?;
    say("consumer", "ordered Cache sessions, small");
    let order = until(&orders, "sessions", "a small cache", |it| holds(it, "1Gi")).await?;
    say("consumer", format!("sees {}", seen(&order)?));

    let larger = Patch::Merge(json!({ "spec": { "size": "Large" } }));
    orders
        .patch("sessions", &PatchParams::default(), &larger)
        .await?;
    say("consumer", "wants it large");
    let order = until(&orders, "sessions", "a large cache", |it| holds(it, "64Gi")).await?;
    say("consumer", format!("sees {}", seen(&order)?));

    let copies: Api<Cache> = Api::all(stage.service());
    for copy in copies.list(&Default::default()).await? {
        say("provider", format!("sees {}", seen(&copy)?));
    }

    orders.delete("sessions", &DeleteParams::default()).await?;
    until_gone(&orders, "sessions").await?;
    let left = copies.list(&Default::default()).await?.items.len();
    say(
        "consumer",
        format!("deleted sessions; {left} caches are left"),
    );
    Ok(())
}

/// Whether the status says so, about the present generation of the order.
fn holds(order: &Cache, memory: &str) -> bool {
    let status = order.status.as_ref();
    status.is_some_and(|it| {
        it.memory.as_deref() == Some(memory) && it.observed_generation == order.metadata.generation
    })
}

/// Spec and status in a line.
fn seen(cache: &Cache) -> Result<Value, serde_json::Error> {
    Ok(
        json!({ "spec": serde_json::to_value(&cache.spec)?, "status": serde_json::to_value(&cache.status)? }),
    )
}
