use k8s_openapi::api::core::v1::Secret;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(returns(Secret, id = "one", from = "{copy.name}-a", with = compose))]
#[publish(returns(Secret, id = "two"))]
pub struct CacheSpec {
    pub size: String,
}

#[allow(dead_code)]
fn compose(_: &syncagent::View<Cache>) -> Option<Secret> {
    None
}

fn main() {}
