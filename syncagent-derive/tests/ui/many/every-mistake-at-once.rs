use k8s_openapi::api::core::v1::Secret;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, Publish};

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(copy = "{workspace}/{nam}", schema = "crd")]
#[publish(retruns(Secret, id = "tls", from = "{copy.name}-tls"))]
pub struct CacheSpec {
    #[publish(takes(Secret), hidden)]
    pub secret: LocalObjectReference,
    #[publish(at = "/spec/volume")]
    pub size: String,
    #[publish(neted)]
    pub storage: String,
}

fn main() {}
