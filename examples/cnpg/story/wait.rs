//! Objects as plain JSON, and waiting for them by watching.

use std::time::Duration;

use futures::StreamExt;
use kube::api::{DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config};
use serde_json::Value;

use super::Trouble;
use super::say::Narrator;

/// How long anything may take; a loaded machine is not a broken one.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client from the text of a kubeconfig. It does not try again by itself: what fails shall be seen.
pub(crate) async fn client(kubeconfig: &str) -> Result<Client, Trouble> {
    let wrong = |error: &dyn std::fmt::Display| {
        Trouble::Wrong(format!("could not use a kubeconfig of ours: {error}"))
    };
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(|error| wrong(&error))?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| wrong(&error))?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| wrong(&error))
}

/// The kind of an object, whose plural adds an `s`: true of all kinds here.
pub(crate) fn kind(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk_with_plural(&gvk, &format!("{}s", kind.to_lowercase()))
}

/// Objects of a kind in a namespace; an empty one means none.
pub(crate) fn objects(client: &Client, of: &ApiResource, namespace: &str) -> Api<DynamicObject> {
    match namespace {
        "" => Api::all_with(client.clone(), of),
        namespace => Api::namespaced_with(client.clone(), namespace, of),
    }
}

/// The documents of a YAML file.
pub(crate) fn documents(yaml: &str) -> Result<Vec<DynamicObject>, Trouble> {
    let parse = |text| {
        serde_yaml::from_str::<Value>(text)
            .map_err(|error| Trouble::Wrong(format!("bad manifest: {error}")))
    };
    let parts = yaml.split("\n---\n").map(parse);
    parts.map(|part| parsed(part?)).collect()
}

/// Creates an object, whatever it is.
pub(crate) async fn create(
    client: &Client,
    object: &DynamicObject,
) -> Result<DynamicObject, Trouble> {
    let types = object.types.clone().unwrap_or_default();
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let api = objects(client, &kind(&types.api_version, &types.kind), namespace);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let answer = api.create(&PostParams::default(), object).await;
    answer.map_err(Trouble::api(format!("create {} {name}", types.kind)))
}

/// Creates an object given as JSON.
pub(crate) async fn create_json(client: &Client, object: Value) -> Result<DynamicObject, Trouble> {
    create(client, &parsed(object)?).await
}

/// An object given as JSON.
pub(crate) fn parsed(object: Value) -> Result<DynamicObject, Trouble> {
    serde_json::from_value(object).map_err(|error| Trouble::Wrong(format!("bad object: {error}")))
}

/// Watches an object until `look` has what it looks for; until then `look` says what it sees.
pub(crate) async fn until<T>(
    narrator: &Narrator,
    what: &str,
    api: &Api<DynamicObject>,
    name: &str,
    mut look: impl FnMut(Option<&DynamicObject>) -> Result<T, String>,
) -> Result<T, Trouble> {
    let _waiting = narrator.waiting(what);
    let mut last = "nothing was seen".to_owned();
    let watching = async {
        let mut states = std::pin::pin!(watcher::watch_object(api.clone(), name).default_backoff());
        while let Some(state) = states.next().await {
            match state {
                Ok(object) => match look(object.as_ref()) {
                    Ok(found) => return Some(found),
                    Err(seen) => last = seen,
                },
                Err(error) => last = error.to_string(),
            }
        }
        None
    };
    let found = tokio::time::timeout(PATIENCE, watching)
        .await
        .ok()
        .flatten();
    found.ok_or_else(|| Trouble::Overlong {
        what: what.to_owned(),
        seconds: PATIENCE.as_secs(),
        last,
    })
}

/// Waits until an object is gone.
pub(crate) async fn until_gone(
    narrator: &Narrator,
    what: &str,
    api: &Api<DynamicObject>,
    name: &str,
) -> Result<(), Trouble> {
    let look = |object: Option<&DynamicObject>| match object {
        None => Ok(()),
        Some(object) => {
            let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
            let deleting = object.metadata.deletion_timestamp.is_some();
            Err(format!(
                "it is there, deleting: {deleting}, finalizers: {finalizers:?}"
            ))
        }
    };
    until(narrator, what, api, name, look).await
}

/// Waits for something that no API tells.
pub(crate) async fn until_done<T, F>(
    narrator: &Narrator,
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, String>>,
{
    let _waiting = narrator.waiting(what);
    let mut last = "nothing was seen".to_owned();
    let looking = async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(seen) => last = seen,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.map_err(|_| Trouble::Overlong {
        what: what.to_owned(),
        seconds: PATIENCE.as_secs(),
        last,
    })
}

/// The status of a condition, or `Unknown`.
pub(crate) fn condition<'a>(object: &'a DynamicObject, of: &str) -> &'a str {
    let conditions = object.data["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == of);
    found
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or("Unknown")
}

/// The status of an object, short enough for one line.
pub(crate) fn brief(object: Option<&DynamicObject>) -> String {
    match object {
        None => "it does not exist".to_owned(),
        Some(object) => match &object.data["status"] {
            Value::Null => "it has no status".to_owned(),
            status => status.to_string().chars().take(600).collect(),
        },
    }
}
