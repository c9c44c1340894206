use k8s_openapi::api::core::v1::Secret;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(returns(Secret, id = "a", with = compose))]
pub struct CacheSpec {
    #[publish(with = days)]
    pub days: u16,
}

fn days(days: &String) -> String {
    days.clone()
}

fn compose(_: &syncagent::View<Cache>) -> Secret {
    Secret::default()
}

fn main() {}
