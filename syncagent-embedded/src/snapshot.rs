//! What a server holds, as it holds it: to be written down, and for another server to go on from.
//!
//! Objects keep their uid, their version and everything else that stands on them, so whoever remembers some of it does not
//! notice the change. What is older than the objects is gone: no list and no watch goes back before them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Server;
use crate::store::{Key, Scope, Store};

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Its bucket, as [`crate::store`] explains them.
    pub bucket: String,
    /// Its logical cluster; empty on a Kubernetes server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The object, in its storage version.
    pub object: Value,
}

impl Held {
    /// A text of its metadata; empty where there is none.
    #[must_use]
    pub fn metadata(&self, name: &str) -> &str {
        self.object["metadata"][name].as_str().unwrap_or_default()
    }
}

impl Server {
    /// Everything that the server holds, by bucket, cluster, namespace and name.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let store = self.core().store();
        let all = store.buckets().into_iter().flat_map(|bucket| {
            let scope = Scope {
                bucket,
                cluster: None,
                namespace: None,
            };
            store.list(&scope, None, None).unwrap_or_default()
        });
        all.map(|stored| Held {
            bucket: stored.key.bucket.to_string(),
            cluster: stored.key.cluster.to_string(),
            object: (*stored.object).clone(),
        })
        .collect()
    }
}

/// Puts objects into a store that nobody uses yet.
pub(crate) fn restore(store: &mut Store, held: Vec<Held>) {
    for one in held {
        let key = Key {
            bucket: one.bucket.as_str().into(),
            cluster: one.cluster.as_str().into(),
            namespace: one.metadata("namespace").to_owned(),
            name: one.metadata("name").to_owned(),
        };
        store.restore(&key, one.object);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_server_goes_on_where_another_ended() {
        let first = Server::kubernetes().build();
        let at = Key {
            bucket: "configmaps".into(),
            cluster: "".into(),
            namespace: "default".into(),
            name: "a".into(),
        };
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}});
        let made = first.core().create(&at, config).unwrap();
        let second = Server::kubernetes().holding(first.held()).build();
        let there = second.core().read(&at).unwrap();
        assert_eq!(there.object, made.object);
        assert_eq!(there.version, made.version);
        let changed = second.core().modify(&at, |object| {
            object["data"]["a"] = json!("2");
            true
        });
        assert!(changed.unwrap().version > made.version);
        // Namespaces and roles that every server makes for itself are those of the first.
        let uid = |server: &Server| {
            let held = server.held().into_iter();
            let mut held =
                held.filter(|it| it.bucket == "namespaces" && it.metadata("name") == "default");
            held.next().unwrap().metadata("uid").to_owned()
        };
        assert_eq!(uid(&first), uid(&second));
    }
}
