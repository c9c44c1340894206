use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, Publish};

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
pub struct CacheSpec {
    #[publish(refers_to = Pool)]
    pub pool: LocalObjectReference,
}

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Pool", namespaced)]
pub struct PoolSpec {
    pub size: String,
}

fn main() {}
