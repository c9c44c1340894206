use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::Publish;

#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.io", version = "v1", kind = "Thing", namespaced)]
#[publish(related(Secret, id = "ca", origin = "service", named = "{copy.name}-ca", drift = "fix", unproven = "yes"))]
pub struct ThingSpec {
    pub size: i32,
}

fn main() {}
