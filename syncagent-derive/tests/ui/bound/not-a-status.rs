use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced, status = "CacheStatus")]
pub struct CacheSpec {
    pub size: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct CacheStatus {
    pub phase: String,
}

fn main() {}
