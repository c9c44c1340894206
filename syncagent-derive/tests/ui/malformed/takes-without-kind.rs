use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, Publish};

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
pub struct CacheSpec {
    #[publish(takes)]
    pub one: LocalObjectReference,
    #[publish(takes(name = "{name}"))]
    pub two: LocalObjectReference,
}

fn main() {}
