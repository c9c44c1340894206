//! The children of a Cluster on the API server.

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::kinds::Cluster;
use super::{Instance, Trouble};

impl Instance {
    /// Deletes a child, if it is ours.
    pub(super) async fn delete<K>(&self, child: &K) -> kube::Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        if !child
            .owner_references()
            .iter()
            .any(|owner| owner.uid == self.uid)
        {
            return Ok(());
        }
        match self
            .api::<K>()
            .delete(&child.name_any(), &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Creates a child; one that exists is fine when it is ours.
    pub(super) async fn create<K>(&self, cluster: &Cluster, child: &K) -> Result<(), Trouble>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Serialize
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.api();
        match api.create(&PostParams::default(), child).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let there = api.get(&child.name_any()).await?;
                if there
                    .owner_references()
                    .iter()
                    .any(|owner| Some(&owner.uid) == cluster.uid().as_ref())
                {
                    return Ok(());
                }
                let what = format!("{} \"{}\"", K::kind(&()), child.name_any());
                Err(Trouble::unable(format!(
                    "refusing to reconcile {what}: it is not owned by the cluster"
                )))
            }
            answer => answer.map(drop).map_err(Trouble::from),
        }
    }

    /// Objects in the namespace of the Cluster.
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let client = self.context.client.clone();
        Api::namespaced(
            client,
            self.reference.namespace.as_deref().unwrap_or_default(),
        )
    }
}
