//! The stage for a small story: a kcp and a service cluster inside this process, one provider, one consumer.
//!
//! Nothing in here belongs to what a provider writes. With real servers the clients come from kubeconfigs, and people
//! create workspaces and bindings with `kubectl kcp`.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::conditions::is_crd_established;
use kube::runtime::wait::{Condition as _, await_condition};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use syncagent::KcpAccess;
use syncagent_embedded::Server;

/// What can go wrong on the way: it ends the example.
pub(crate) type Trouble = Box<dyn Error + Send + Sync>;

/// Long enough for every machine, and short enough to notice that something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two servers, and who is on them.
pub(crate) struct Stage {
    kcp: Server,
    service: Server,
    export: &'static str,
}

impl Stage {
    /// Starts both servers; makes the provider's workspace with an empty export, and the consumer's.
    pub(crate) async fn set(
        export: &'static str,
        served: CustomResourceDefinition,
    ) -> Result<Self, Trouble> {
        let stage = Self {
            kcp: Server::kcp().build(),
            service: Server::kubernetes().build(),
            export,
        };
        let crds: Api<CustomResourceDefinition> = Api::all(stage.service());
        let crd = crds.create(&PostParams::default(), &served).await?;
        let crd = crd.name_any();
        until(&crds, &crd, "the CRD to be served", |it| {
            is_crd_established().matches_object(Some(it))
        })
        .await?;
        for workspace in ["root:provider", "root:consumer"] {
            let made = stage.kcp.create_workspace(workspace).await;
            made.map_err(|failure| format!("could not create {workspace}: {failure:?}"))?;
        }
        let exports = stage.exports();
        create(
            &exports,
            "apis.kcp.io/v1alpha2",
            "APIExport",
            export,
            json!({}),
        )
        .await?;
        Ok(stage)
    }

    /// The service cluster.
    pub(crate) fn service(&self) -> Client {
        Client::new(
            self.service.in_process().as_user(&self.service.admin()),
            "default",
        )
    }

    /// The provider's workspace, and the endpoints that kcp makes for its export.
    pub(crate) fn provider(&self) -> KcpAccess {
        let root = self.kcp.in_process().as_user(&self.kcp.kcp_admin());
        KcpAccess::new(self.at("root:provider"), move |_| {
            Ok(Client::new(root.clone(), "default"))
        })
    }

    /// The consumer's workspace.
    pub(crate) fn consumer(&self) -> Client {
        self.at("root:consumer")
    }

    /// Binds the export in the consumer's workspace as soon as it offers something, and accepts what it claims.
    pub(crate) async fn bind(&self) -> Result<(), Trouble> {
        let offers = |it: &DynamicObject| {
            it.data["spec"]["resources"]
                .as_array()
                .is_some_and(|it| !it.is_empty())
        };
        let export = until(
            &self.exports(),
            self.export,
            "an export that offers something",
            offers,
        )
        .await?;
        let mut claims = export.data["spec"]["permissionClaims"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for claim in &mut claims {
            claim["state"] = json!("Accepted");
            claim["selector"] = json!({ "matchAll": true });
        }
        let bindings = objects(self.consumer(), "apis.kcp.io", "v1alpha2", "APIBinding");
        let reference = json!({ "export": { "path": "root:provider", "name": self.export } });
        let spec = json!({ "reference": reference, "permissionClaims": claims });
        create(
            &bindings,
            "apis.kcp.io/v1alpha2",
            "APIBinding",
            self.export,
            spec,
        )
        .await?;
        until(&bindings, self.export, "the binding", |it| {
            it.data["status"]["phase"] == "Bound"
        })
        .await?;
        Ok(())
    }

    fn exports(&self) -> Api<DynamicObject> {
        objects(
            self.at("root:provider"),
            "apis.kcp.io",
            "v1alpha2",
            "APIExport",
        )
    }

    fn at(&self, workspace: &str) -> Client {
        let prefix = format!("/clusters/{workspace}");
        Client::new(
            self.kcp
                .in_process()
                .as_user(&self.kcp.kcp_admin())
                .at(&prefix),
            "default",
        )
    }
}

/// Prints one line of the story.
#[expect(clippy::print_stdout, reason = "an example is there to be read")]
pub(crate) fn say(who: &str, what: impl std::fmt::Display) {
    println!("{who:>9}  {what}");
}

/// Waits until an object is as wanted, by watching it.
pub(crate) async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    good: impl Fn(&K) -> bool,
) -> Result<K, Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let found = watch(api, name, what, |it: Option<&K>| it.is_some_and(&good)).await?;
    Ok(found.expect("it was looked at"))
}

/// Waits until an object is gone.
pub(crate) async fn until_gone<K>(api: &Api<K>, name: &str) -> Result<(), Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watch(api, name, &format!("{name} to go"), |it: Option<&K>| {
        it.is_none()
    })
    .await
    .map(drop)
}

async fn watch<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    good: impl Fn(Option<&K>) -> bool,
) -> Result<Option<K>, Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let watched = async {
        loop {
            // What was just bound may need a moment until it is served.
            match await_condition(api.clone(), name, &good).await {
                Ok(object) => return object,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, watched).await;
    found.map_err(|_| format!("waited too long for {what}").into())
}

async fn create(
    api: &Api<DynamicObject>,
    version: &str,
    kind: &str,
    name: &str,
    spec: Value,
) -> Result<(), Trouble> {
    let metadata = json!({ "name": name });
    let object = json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec });
    api.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

fn objects(client: Client, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    Api::all_with(
        client,
        &ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
    )
}
