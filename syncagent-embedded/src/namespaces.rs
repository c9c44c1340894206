//! Namespaces: what they are born with, and how they end.
//!
//! A namespace that is deleted stays Terminating until everything in it is gone and its finalizer is removed. On a real
//! cluster that is the work of kube-controller-manager; here it is a task of the server, unless the server was built
//! bare.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::Core;
use crate::store::{Key, Scope};

/// The bucket of namespaces.
pub const BUCKET: &str = "namespaces";

/// The key of a namespace.
#[must_use]
pub fn key(cluster: &Arc<str>, name: &str) -> Key {
    Key {
        bucket: BUCKET.into(),
        cluster: cluster.clone(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// A namespace as it is stored at the beginning.
#[must_use]
pub fn fresh(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    })
}

/// Ends namespaces that are being deleted.
pub(crate) async fn run(core: Arc<Core>) {
    core.follow(BUCKET, |core, event| {
        let Some(stored) = &event.after else { return };
        let deleting = |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some();
        let before = event
            .before
            .as_ref()
            .is_some_and(|before| deleting(&before.object));
        if deleting(&stored.object) && !before {
            core.spawn(end(core.clone(), stored.key.clone()));
        }
    })
    .await;
}

async fn end(core: Arc<Core>, namespace: Key) {
    let mut pause = core.settings.delay.max(Duration::from_millis(1));
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
        if core.read(&namespace).is_none() {
            return;
        }
        if sweep(&core, &namespace) == 0 {
            core.modify(&namespace, |object| {
                object["spec"]["finalizers"] = json!([]);
                true
            });
            return;
        }
    }
}

/// Deletes what is in a namespace; the number of objects that are still there.
fn sweep(core: &Arc<Core>, namespace: &Key) -> usize {
    let mut left = 0;
    let buckets = core.store().buckets();
    for bucket in buckets {
        let scope = Scope {
            bucket,
            cluster: Some(namespace.cluster.clone()),
            namespace: Some(namespace.name.clone()),
        };
        let present = core.store().list(&scope, None, None).unwrap_or_default();
        for stored in present {
            core.delete(&stored.key);
            if core.read(&stored.key).is_some() {
                left += 1;
            }
        }
    }
    left
}
