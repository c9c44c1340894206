use k8s_openapi::api::core::v1::Secret;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, Publish};

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
pub struct CacheSpec {
    #[publish(takes(Secret, name = "password"))]
    pub secret: LocalObjectReference,
    #[publish(takes(Secret, name = "{workspace}-{name}"))]
    pub other: LocalObjectReference,
    #[publish(takes(Secret, name = "{copy.name}-{name}"))]
    pub third: LocalObjectReference,
    #[publish(takes(Secret, name = "{name}"))]
    pub fourth: LocalObjectReference,
}

fn main() {}
