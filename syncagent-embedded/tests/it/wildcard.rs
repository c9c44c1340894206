//! A plane of its own over the core: many clusters, and a wildcard whose set of clusters changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use syncagent_embedded::api::Served;
use syncagent_embedded::core::Core;
use syncagent_embedded::plane::{Attributes, Lens, Place, Plane, Reach, Resolved, Route, User};
use syncagent_embedded::rbac::Policy;
use syncagent_embedded::request::Target;
use syncagent_embedded::status::Failure;
use syncagent_embedded::{Builder, InProcess, Server, builtin, namespaces};
use tokio::sync::watch;

type Members = Arc<BTreeSet<Arc<str>>>;

/// `/clusters/<name>` is a cluster, `/clusters/*` is all that are members.
struct Tenants {
    members: watch::Receiver<Members>,
    served: Vec<Arc<Served>>,
}

impl Plane for Tenants {
    fn route(&self, _: &Core, path: &str, _: &User) -> Result<Route, Failure> {
        let rest = path
            .strip_prefix("/clusters/")
            .ok_or_else(Failure::page_not_found)?;
        let (cluster, rest) = rest.split_once('/').ok_or_else(Failure::page_not_found)?;
        let reach = if cluster == "*" {
            Reach::All
        } else {
            Reach::One(cluster.into())
        };
        let place = Place {
            reach,
            view: "".into(),
            prefix: format!("/clusters/{cluster}"),
        };
        Ok(Route {
            place,
            path: format!("/{rest}"),
        })
    }

    fn resources(&self, _: &Core, _: &Place) -> Vec<Arc<Served>> {
        self.served.clone()
    }

    fn resolve(
        &self,
        _: &Core,
        place: &Place,
        target: &Target,
    ) -> Result<Option<Resolved>, Failure> {
        let found = self
            .served
            .iter()
            .find(|one| one.resource.plural == target.plural)
            .cloned();
        let clusters = (place.reach == Reach::All).then(|| self.members.clone());
        Ok(found.map(|served| Resolved {
            served,
            lens: Lens {
                clusters,
                ..Lens::default()
            },
        }))
    }

    fn authorise(&self, _: &Core, _: &Attributes<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn policy(&self, _: &Core, _: &Place) -> Arc<Policy> {
        Arc::default()
    }

    fn start(&self, core: &Arc<Core>) {
        for cluster in ["a", "b"] {
            let key = namespaces::key(&cluster.into(), "default");
            assert!(core.create(&key, namespaces::fresh("default")).is_ok());
        }
    }
}

fn members(names: &[&str]) -> Members {
    Arc::new(names.iter().map(|name| Arc::from(*name)).collect())
}

fn api(service: &InProcess, cluster: &str) -> Api<ConfigMap> {
    let client = Client::new(
        service.clone().at(&format!("/clusters/{cluster}")),
        "default",
    );
    if cluster == "*" {
        Api::all(client)
    } else {
        Api::default_namespaced(client)
    }
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_shows_clusters_as_they_join_and_leave() {
    let (join, members_now) = watch::channel(members(&["a"]));
    let server: Server = Builder::with_plane(move |_| {
        let served = builtin::kinds::kubernetes()
            .into_iter()
            .map(|kind| Arc::new(Served::compiled_in(kind)));
        Arc::new(Tenants {
            members: members_now,
            served: served.collect(),
        })
    })
    .build();
    let service = server.in_process();
    let (a, b, all) = (api(&service, "a"), api(&service, "b"), api(&service, "*"));
    let map = |value: &str| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": "same"}, "data": {"of": value}}))
            .unwrap()
    };
    a.create(&PostParams::default(), &map("a")).await.unwrap();
    b.create(&PostParams::default(), &map("b")).await.unwrap();
    assert_eq!(a.get("same").await.unwrap().data.unwrap()["of"], "a");
    assert_eq!(
        all.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );

    let parameters = WatchParams::default().disable_bookmarks();
    let mut events = all.watch(&parameters, "0").await.unwrap().boxed();
    let mut next = async || match events.try_next().await.unwrap().unwrap() {
        WatchEvent::Added(one) => ("added", one.data.unwrap()["of"].clone()),
        WatchEvent::Modified(one) => ("modified", one.data.unwrap()["of"].clone()),
        WatchEvent::Deleted(one) => ("deleted", one.data.unwrap()["of"].clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(next().await, ("added", "a".to_owned()));
    join.send_replace(members(&["a", "b"]));
    assert_eq!(next().await, ("added", "b".to_owned()));
    join.send_replace(members(&["b"]));
    assert_eq!(next().await, ("deleted", "a".to_owned()));
    a.delete("same", &DeleteParams::default()).await.unwrap();
    b.delete("same", &DeleteParams::default()).await.unwrap();
    assert_eq!(next().await, ("deleted", "b".to_owned()));
    let entry = server
        .audit()
        .into_iter()
        .find(|entry| entry.verb == "watch")
        .unwrap();
    assert!(entry.wildcard);
    assert!(
        a.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
