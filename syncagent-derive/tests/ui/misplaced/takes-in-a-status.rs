use k8s_openapi::api::core::v1::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syncagent::{LocalObjectReference, PublishStatus};

#[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct CacheStatus {
    #[publish(takes(Secret))]
    pub secret: Option<LocalObjectReference>,
}

fn main() {}
