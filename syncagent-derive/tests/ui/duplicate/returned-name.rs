use k8s_openapi::api::core::v1::Secret;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(returns(Secret, id = "tls", from = "{copy.name}-tls", name = "{name}-tls"))]
#[publish(returns(Secret, id = "ca", from = "{copy.name}-ca", name = "{name}-tls"))]
pub struct CacheSpec {
    pub size: String,
}

fn main() {}
