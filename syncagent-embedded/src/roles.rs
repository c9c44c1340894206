//! The roles and bindings of each cluster, compiled when they are asked about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::core::{Core, lock};
use crate::rbac::{self, Policy};
use crate::store::Key;

/// The buckets that a policy is made of.
const BUCKETS: [&str; 4] = [
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
];

/// Compiled policies, by cluster and by the versions of the buckets they were made of.
#[derive(Debug, Default)]
pub struct Roles(Mutex<HashMap<String, Known>>);

/// The versions of the buckets, and the policy made of them.
type Known = ([u64; 4], Arc<Policy>);

impl Roles {
    /// The policy of a cluster as it is now.
    pub fn policy(&self, core: &Core, cluster: &str) -> Arc<Policy> {
        let versions = {
            let store = core.store();
            BUCKETS.map(|bucket| store.last_change(bucket))
        };
        if let Some((known, policy)) = lock(&self.0).get(cluster)
            && *known == versions
        {
            return policy.clone();
        }
        let objects: Vec<_> = BUCKETS
            .iter()
            .flat_map(|bucket| core.all(bucket, Some(cluster)))
            .collect();
        let policy = Arc::new(Policy::of(objects.iter().map(|stored| &*stored.object)));
        lock(&self.0).insert(cluster.to_owned(), (versions, policy.clone()));
        policy
    }
}

/// Stores the roles and bindings that every cluster begins with.
pub fn bootstrap(core: &Core, cluster: &Arc<str>) {
    for object in rbac::bootstrap::objects() {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let bucket = format!("{}s.{}", text("/kind").to_lowercase(), rbac::GROUP);
        let key = Key {
            bucket: bucket.into(),
            cluster: cluster.clone(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        };
        let _ = core.create(&key, object);
    }
}
