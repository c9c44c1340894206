use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, Publish};

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(service = "Cache")]
pub struct CacheSpec {
    #[publish(takes("Secret"))]
    pub secret: LocalObjectReference,
    #[publish(refers_to = "Cache")]
    pub of: LocalObjectReference,
    #[publish(with = "days")]
    pub days: u16,
}

fn main() {}
