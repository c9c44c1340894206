use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "cache.acme.io", version = "v1", kind = "Cache", namespaced)]
#[publish(set(at = "/spec/storage", value = 1))]
pub struct CacheSpec {
    #[publish(at = "spec..volume")]
    pub size: String,
}

fn main() {}
