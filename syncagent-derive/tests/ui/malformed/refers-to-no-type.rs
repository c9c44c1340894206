use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, Publish};

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
pub struct CacheSpec {
    #[publish(refers_to = 5)]
    pub of: LocalObjectReference,
    #[publish(refers_to)]
    pub other: LocalObjectReference,
}

fn main() {}
