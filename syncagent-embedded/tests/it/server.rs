//! A Kubernetes server through `kube::Client`, in process and over TLS.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::discovery::ApiResource;
use kube::{Client, Config, ResourceExt as _};
use serde_json::json;
use syncagent_embedded::Server;

fn client(server: &Server) -> Client {
    Client::new(server.in_process().as_user(&server.admin()), "default")
}

fn widget_crd() -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.io"},
        "spec": {
            "group": "example.io", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    }))
    .unwrap()
}

fn widgets() -> ApiResource {
    ApiResource {
        group: "example.io".into(),
        version: "v1".into(),
        api_version: "example.io/v1".into(),
        kind: "Widget".into(),
        plural: "widgets".into(),
    }
}

fn widget(name: &str, size: i64) -> DynamicObject {
    DynamicObject::new(name, &widgets()).data(json!({"spec": {"size": size}}))
}

async fn install_widgets(client: &Client) -> Api<DynamicObject> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &widget_crd())
        .await
        .unwrap();
    let established = kube::runtime::conditions::is_crd_established();
    kube::runtime::wait::await_condition(crds, "widgets.example.io", established)
        .await
        .unwrap();
    Api::namespaced_with(client.clone(), "default", &widgets())
}

#[tokio::test(start_paused = true)]
async fn built_in_kinds_are_created_read_changed_and_deleted() {
    let server = Server::kubernetes().build();
    let api: Api<ConfigMap> = Api::namespaced(client(&server), "default");
    let made =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).unwrap();
    let created = api.create(&PostParams::default(), &made).await.unwrap();
    assert!(created.uid().is_some());
    let patch = json!({"data": {"k": "w", "l": "x"}});
    let patched = api
        .patch("a", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    assert_eq!(patched.data.as_ref().unwrap()["k"], "w");
    let stale = api
        .replace("a", &PostParams::default(), &created)
        .await
        .unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409));
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
    let again = api.create(&PostParams::default(), &made).await.unwrap();
    assert_ne!(again.uid(), created.uid());
}

#[tokio::test(start_paused = true)]
async fn custom_kinds_have_status_generation_and_finalizers() {
    let server = Server::kubernetes().build();
    let api = install_widgets(&client(&server)).await;
    api.create(&PostParams::default(), &widget("a", 1))
        .await
        .unwrap();
    let status = json!({"status": {"phase": "Ready"}});
    let one = api
        .patch_status("a", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(
        (one.metadata.generation, &one.data["status"]["phase"]),
        (Some(1), &json!("Ready"))
    );
    let change = json!({"spec": {"size": 2}, "status": {"phase": "ignored"}, "metadata": {"finalizers": ["e.io/hold"]}});
    let two = api
        .patch("a", &PatchParams::default(), &Patch::Merge(&change))
        .await
        .unwrap();
    assert_eq!(
        (two.metadata.generation, &two.data["status"]["phase"]),
        (Some(2), &json!("Ready"))
    );
    let held = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(held.left().unwrap().metadata.deletion_timestamp.is_some());
    let release = json!({"metadata": {"finalizers": null}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(&release))
        .await
        .unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn server_side_apply_remembers_who_owns_what() {
    let server = Server::kubernetes().build();
    let api = install_widgets(&client(&server)).await;
    let intent = json!({"apiVersion": "example.io/v1", "kind": "Widget", "spec": {"size": 3}});
    let applied = api
        .patch("a", &PatchParams::apply("one"), &Patch::Apply(&intent))
        .await
        .unwrap();
    assert_eq!(applied.managed_fields()[0].manager.as_deref(), Some("one"));
    let other = json!({"apiVersion": "example.io/v1", "kind": "Widget", "spec": {"size": 4}});
    let refused = api
        .patch("a", &PatchParams::apply("two"), &Patch::Apply(&other))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, kube::Error::Api(status) if status.message.contains("conflict with \"one\": .spec.size"))
    );
    let forced = api
        .patch(
            "a",
            &PatchParams::apply("two").force(),
            &Patch::Apply(&other),
        )
        .await
        .unwrap();
    assert_eq!(forced.data["spec"]["size"], 4);
}

#[tokio::test(start_paused = true)]
async fn watches_show_history_and_end_with_410_when_it_is_gone() {
    let server = Server::kubernetes().build();
    let api: Api<Secret> = Api::namespaced(client(&server), "default");
    let secret = |name: &str| Secret {
        metadata: kube::core::ObjectMeta {
            name: Some(name.into()),
            ..Default::default()
        },
        ..Default::default()
    };
    let first = api
        .create(&PostParams::default(), &secret("a"))
        .await
        .unwrap();
    api.create(&PostParams::default(), &secret("b"))
        .await
        .unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let version = first.resource_version().unwrap();
    let events = api
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .take(2)
        .try_collect::<Vec<_>>();
    let events = events.await.unwrap();
    assert!(matches!(&events[0], WatchEvent::Added(one) if one.name_any() == "b"));
    assert!(matches!(&events[1], WatchEvent::Deleted(one) if one.name_any() == "a"));
    server.faults().compact();
    let mut stream = api
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    let event = stream.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Error(status) if status.code == 410));
}

#[tokio::test(start_paused = true)]
async fn pages_show_the_state_of_the_first() {
    let server = Server::kubernetes().build();
    let api: Api<ConfigMap> = Api::namespaced(client(&server), "default");
    for name in ["a", "b", "c"] {
        let made = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        api.create(&PostParams::default(), &made).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    api.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let rest = api
        .list(&ListParams::default().continue_token(&token))
        .await
        .unwrap();
    assert_eq!(
        rest.items
            .iter()
            .map(kube::ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["c"]
    );
}

#[tokio::test(start_paused = true)]
async fn namespaces_end_with_what_is_in_them() {
    let server = Server::kubernetes().build();
    let client = client(&server);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &made)
        .await
        .unwrap();
    let inside: Api<ConfigMap> = Api::namespaced(client, "n");
    let made = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    inside.create(&PostParams::default(), &made).await.unwrap();
    let uid = namespaces.get("n").await.unwrap().uid().unwrap();
    namespaces
        .delete("n", &DeleteParams::default())
        .await
        .unwrap();
    let gone = kube::runtime::conditions::is_deleted(&uid);
    kube::runtime::wait::await_condition(namespaces, "n", gone)
        .await
        .unwrap();
    assert!(inside.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_kubeconfig_leads_to_the_server_over_tls() {
    let server = Server::kubernetes().build();
    let listening = server.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let kubeconfig =
        kube::config::Kubeconfig::from_yaml(&listening.kubeconfig(&server.admin())).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let api = install_widgets(&client).await;
    let mut stream = api
        .watch(&WatchParams::default().disable_bookmarks(), "0")
        .await
        .unwrap()
        .boxed();
    api.create(&PostParams::default(), &widget("a", 1))
        .await
        .unwrap();
    let event = stream.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Added(one) if one.name_any() == "a"));
    server.faults().outage(true);
    assert!(!matches!(stream.try_next().await, Ok(Some(_))));
    assert!(api.get("a").await.is_err());
    server.faults().outage(false);
    assert!(api.get("a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_is_told_so() {
    let server = Server::kubernetes().build();
    let jane = Client::new(
        server.in_process().as_user(&server.user("jane", &[])),
        "default",
    );
    let refused = Api::<ConfigMap>::default_namespaced(jane)
        .list(&ListParams::default())
        .await
        .unwrap_err();
    let expected = "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the \
                    namespace \"default\"";
    assert!(matches!(refused, kube::Error::Api(status) if status.message == expected));
    let entry = server.audit().pop().unwrap();
    assert_eq!(
        (entry.user.as_str(), entry.verb.as_str(), entry.code),
        ("jane", "list", 403)
    );
}

#[tokio::test(start_paused = true)]
async fn dependents_go_with_their_last_owner() {
    let server = Server::kubernetes().build();
    dependents_of(client(&server)).await;
}

#[tokio::test(start_paused = true)]
async fn dependents_go_with_their_last_owner_in_a_workspace_too() {
    let kcp = Server::kcp().build();
    let cluster = kcp.create_workspace("root:consumer").await.unwrap();
    let user = kcp.in_process().as_user(&kcp.kcp_admin());
    let workspace = user.at(&format!("/clusters/{cluster}"));
    dependents_of(Client::new(workspace, "default")).await;
}

async fn dependents_of(client: Client) {
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let create = async |name: &str, owners: &[&ConfigMap]| {
        let owners: Vec<_> = owners
            .iter()
            .map(|owner| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid(), "blockOwnerDeletion": true}))
            .collect();
        let made = json!({"metadata": {"name": name, "ownerReferences": owners}});
        let made = serde_json::from_value(made).unwrap();
        api.create(&PostParams::default(), &made).await.unwrap()
    };
    let (one, two) = (create("one", &[]).await, create("two", &[]).await);
    create("of-one", &[&one]).await;
    create("of-both", &[&one, &two]).await;
    let settle = || tokio::time::sleep(std::time::Duration::from_millis(20));
    api.delete("one", &DeleteParams::default()).await.unwrap();
    settle().await;
    assert!(api.get_opt("of-one").await.unwrap().is_none());
    assert_eq!(
        api.get("of-both").await.unwrap().owner_references().len(),
        1
    );
    // A child that comes after its owner has gone is not kept either.
    create("late", &[&one]).await;
    settle().await;
    assert!(api.get_opt("late").await.unwrap().is_none());
    // In the foreground, the owner waits.
    api.delete("two", &DeleteParams::foreground())
        .await
        .unwrap();
    settle().await;
    assert!(api.get_opt("of-both").await.unwrap().is_none());
    assert!(api.get_opt("two").await.unwrap().is_none());
    // Left behind, a child loses only its reference.
    let three = create("three", &[]).await;
    create("of-three", &[&three]).await;
    api.delete(
        "three",
        &DeleteParams {
            propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
            ..Default::default()
        },
    )
    .await
    .unwrap();
    settle().await;
    assert!(api.get_opt("three").await.unwrap().is_none());
    assert!(
        api.get("of-three")
            .await
            .unwrap()
            .owner_references()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn faults_strike_when_they_are_told_to() {
    let server = Server::kubernetes().build();
    let api: Api<ConfigMap> = Api::namespaced(client(&server), "default");
    server.faults().fail_next(1, 500, |verb, target| {
        verb == "list" && target.plural == "configmaps"
    });
    assert!(api.get_opt("a").await.unwrap().is_none());
    let struck = api.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(struck, kube::Error::Api(status) if status.code == 500));
    assert!(api.list(&ListParams::default()).await.is_ok());
    let parameters = WatchParams::default().disable_bookmarks();
    let mut stream = api.watch(&parameters, "0").await.unwrap().boxed();
    server.faults().cut_watches();
    assert!(!matches!(stream.try_next().await, Ok(Some(_))));
    let codes: Vec<u16> = server.audit().iter().map(|entry| entry.code).collect();
    assert_eq!(codes, [404, 500, 200, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_allows_bookmarks_gets_them() {
    let server = Server::kubernetes()
        .bookmarks_every(std::time::Duration::from_secs(5))
        .build();
    let api: Api<ConfigMap> = Api::namespaced(client(&server), "default");
    let version = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let other: Api<Secret> = Api::namespaced(client(&server), "default");
    let made = serde_json::from_value(json!({"metadata": {"name": "s"}})).unwrap();
    let later = other.create(&PostParams::default(), &made).await.unwrap();
    let mut stream = api
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    let event = stream.try_next().await.unwrap().unwrap();
    let WatchEvent::Bookmark(bookmark) = event else {
        panic!("expected a bookmark")
    };
    assert_eq!(
        Some(bookmark.metadata.resource_version),
        later.resource_version()
    );
}
