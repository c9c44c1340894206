use k8s_openapi::api::core::v1::Secret;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(returns(Secret, from = "{copy.name}"))]
#[publish(returns(Secret, id = "a", reads(Secret), with = f))]
#[publish(set(value = 1))]
pub struct CacheSpec {
    pub size: String,
}

fn main() {}
