//! The two kinds, as far as the stand-in acts on them. Fields of CloudNativePG that it does not know are left alone.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use kube::{CustomResource, ResourceExt};
use serde::{Deserialize, Serialize};

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Cluster",
    namespaced
)]
#[kube(status = "ClusterStatus", schema = "disabled")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterSpec {
    #[serde(default = "one")]
    pub(crate) instances: i64,
    #[serde(default)]
    pub(crate) bootstrap: Bootstrap,
    #[serde(default)]
    pub(crate) enable_superuser_access: bool,
    pub(crate) superuser_secret: Option<Named>,
    pub(crate) image_name: Option<String>,
    #[serde(default)]
    pub(crate) postgresql: Postgresql,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Bootstrap {
    #[serde(default)]
    pub(crate) initdb: InitDb,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct InitDb {
    #[serde(default = "app")]
    pub(crate) database: String,
    pub(crate) owner: Option<String>,
    pub(crate) secret: Option<Named>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Postgresql {
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterStatus {
    pub(crate) phase: Option<String>,
    pub(crate) phase_reason: Option<String>,
    pub(crate) instances: Option<i64>,
    pub(crate) ready_instances: Option<i64>,
    pub(crate) current_primary: Option<String>,
    pub(crate) target_primary: Option<String>,
    pub(crate) instance_names: Option<Vec<String>>,
    pub(crate) instances_status: Option<BTreeMap<String, Vec<String>>>,
    pub(crate) write_service: Option<String>,
    pub(crate) read_service: Option<String>,
    pub(crate) image: Option<String>,
    #[serde(rename = "timelineID")]
    pub(crate) timeline_id: Option<i64>,
    pub(crate) latest_generated_node: Option<i64>,
    pub(crate) conditions: Option<Vec<Condition>>,
}

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Database",
    namespaced
)]
#[kube(status = "DatabaseStatus", schema = "disabled")]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabaseSpec {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) cluster: Named,
    #[serde(default)]
    pub(crate) ensure: Ensure,
    #[serde(default)]
    pub(crate) database_reclaim_policy: Reclaim,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ensure {
    #[default]
    Present,
    Absent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reclaim {
    #[default]
    Retain,
    Delete,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabaseStatus {
    pub(crate) applied: Option<bool>,
    pub(crate) message: Option<String>,
    pub(crate) observed_generation: Option<i64>,
}

impl ClusterSpec {
    /// The owner of the first database, which is called like the database where it is not named.
    pub(crate) fn owner(&self) -> &str {
        self.bootstrap
            .initdb
            .owner
            .as_deref()
            .unwrap_or(&self.bootstrap.initdb.database)
    }
}

impl Database {
    /// The Cluster that has to act on it.
    pub(crate) fn cluster(&self) -> ObjectRef<Cluster> {
        ObjectRef::new(&self.spec.cluster.name).within(&self.namespace().unwrap_or_default())
    }
}

impl Default for InitDb {
    fn default() -> Self {
        Self {
            database: app(),
            owner: None,
            secret: None,
        }
    }
}

fn one() -> i64 {
    1
}

fn app() -> String {
    "app".to_owned()
}
