//! What goes wrong on purpose, and what others do to what is written.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use syncagent_embedded::Server;
use syncagent_embedded::faults::Fault;
use syncagent_embedded::request::Verb;

fn client(server: &Server) -> Client {
    Client::new(server.in_process().as_user(&server.admin()), "default")
}

fn config(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a": value}})).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_taken_and_never_answered() {
    let server = Server::kubernetes().build();
    let configs: Api<ConfigMap> = Api::default_namespaced(client(&server));
    server
        .faults()
        .plan(1, Fault::Stall, |asked| asked.target.plural == "configmaps");
    let params = PostParams::default();
    let a = config("a", "1");
    let first = tokio::time::timeout(Duration::from_secs(3600), configs.create(&params, &a));
    assert!(first.await.is_err());
    // It was never done, and only the one that was planned for is lost.
    assert!(configs.get_opt("a").await.unwrap().is_none());
    configs.create(&params, &a).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_lost_after_the_deed() {
    let server = Server::kubernetes().build();
    let configs: Api<ConfigMap> = Api::default_namespaced(client(&server));
    server
        .faults()
        .plan(usize::MAX, Fault::Lose, |asked| asked.verb == "create");
    let params = PostParams::default();
    configs
        .create(&params, &config("a", "1"))
        .await
        .unwrap_err();
    assert!(configs.get_opt("a").await.unwrap().is_some());
    server.faults().clear();
    configs.create(&params, &config("b", "1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deletion_may_overlook_a_finalizer_that_came_while_it_was_under_way() {
    let server = Server::kubernetes().build();
    let configs: Api<ConfigMap> = Api::default_namespaced(client(&server));
    for name in ["a", "b"] {
        let mut held = config(name, "1");
        held.metadata.finalizers = Some(vec!["example.io/held".to_owned()]);
        configs.create(&PostParams::default(), &held).await.unwrap();
    }
    let params = DeleteParams::default();
    let watched = WatchParams::default().timeout(290);
    let mut watch = configs.watch(&watched, "0").await.unwrap().boxed();
    let deletes = |asked: &syncagent_embedded::faults::Asked<'_>| asked.verb == "delete";
    server.faults().plan(1, Fault::Overlook, deletes);
    assert!(configs.delete("a", &params).await.unwrap().is_right());
    // The last state is that of a held object, of which nobody had asked that it go.
    let last = loop {
        if let WatchEvent::Deleted(last) = watch.next().await.unwrap().unwrap() {
            break last;
        }
    };
    assert_eq!(last.metadata.finalizers.unwrap(), ["example.io/held"]);
    assert_eq!(last.metadata.deletion_timestamp, None);
    // Who is being deleted already is held.
    assert!(configs.delete("b", &params).await.unwrap().is_left());
    server.faults().plan(1, Fault::Overlook, deletes);
    assert!(configs.delete("b", &params).await.unwrap().is_left());
    assert!(configs.get_opt("b").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_mute_watch_stays_open_and_says_nothing() {
    let server = Server::kubernetes().build();
    let configs: Api<ConfigMap> = Api::default_namespaced(client(&server));
    let params = WatchParams::default().timeout(290);
    let mut watch = configs.watch(&params, "0").await.unwrap().boxed();
    // Sound until it is muted.
    configs
        .create(&PostParams::default(), &config("a", "1"))
        .await
        .unwrap();
    watch.next().await.unwrap().unwrap();
    server.faults().mute_watches();
    configs
        .create(&PostParams::default(), &config("b", "1"))
        .await
        .unwrap();
    let silence = tokio::time::timeout(Duration::from_secs(3600), watch.next());
    assert!(silence.await.is_err(), "neither events nor bookmarks");
    let mut other = configs.watch(&params, "0").await.unwrap().boxed();
    other.next().await.unwrap().unwrap();
    // A cut ends it at last.
    server.faults().cut_watches();
    assert!(!matches!(watch.next().await, Some(Ok(_))));
}

/// Things whose size somebody caps at ten, and who marks each.
async fn capped(server: &Server) -> Api<DynamicObject> {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.io"},
        "spec": {
            "group": "example.io", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer"}, "color": {"type": "string", "default": "red"},
                    }},
                }}},
            }],
        },
    });
    let crds: Api<
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    > = Api::all(client(server));
    crds.create(
        &PostParams::default(),
        &serde_json::from_value(crd).unwrap(),
    )
    .await
    .unwrap();
    let established = kube::runtime::conditions::is_crd_established();
    kube::runtime::wait::await_condition(crds, "widgets.example.io", established)
        .await
        .unwrap();
    server.webhook("cap.example.io", |write, object| {
        if write.target.plural != "widgets" || !matches!(write.verb, Verb::Create | Verb::Update) {
            return Ok(());
        }
        let size = object["spec"]["size"].as_i64().unwrap_or_default();
        if size < 0 {
            return Err("a size below zero".to_owned());
        }
        object["spec"]["size"] = json!(size.min(10));
        object["metadata"]["labels"]["seen-by"] = json!("cap");
        object["spec"]["unknown"] = json!("is pruned");
        object["metadata"]["managedFields"] = json!([]);
        Ok(())
    });
    let resource = ApiResource {
        group: "example.io".into(),
        version: "v1".into(),
        api_version: "example.io/v1".into(),
        kind: "Widget".into(),
        plural: "widgets".into(),
    };
    Api::default_namespaced_with(client(server), &resource)
}

fn owned(object: &DynamicObject) -> Vec<Value> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .map(|entry| serde_json::to_value(&entry.fields_v1).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_webhook_changes_stays_with_its_owner_and_what_it_adds_is_nobodys() {
    let server = Server::kubernetes().build();
    let widgets = capped(&server).await;
    let intent = |size: i64| {
        Patch::Apply(json!({"apiVersion": "example.io/v1", "kind": "Widget",
            "metadata": {"name": "a"}, "spec": {"size": size}}))
    };
    let params = PatchParams::apply("agent").force();
    let made = widgets.patch("a", &params, &intent(50)).await.unwrap();
    assert_eq!(made.data["spec"], json!({"size": 10, "color": "red"}));
    assert_eq!(made.metadata.labels.as_ref().unwrap()["seen-by"], "cap");
    assert_eq!(owned(&made), [json!({"f:spec": {"f:size": {}}})]);

    // The same again ends where it was: nothing is written, no event is sent.
    let again = widgets.patch("a", &params, &intent(50)).await.unwrap();
    assert_eq!(
        again.metadata.resource_version,
        made.metadata.resource_version
    );
    let less = widgets.patch("a", &params, &intent(7)).await.unwrap();
    assert_eq!(less.data["spec"]["size"], 7);
    assert_eq!(owned(&less), owned(&made));

    let denied = widgets.patch("a", &params, &intent(-1)).await.unwrap_err();
    let kube::Error::Api(status) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(status.code, 403);
    assert!(
        status
            .message
            .starts_with("admission webhook \"cap.example.io\" denied the request: "),
        "{}",
        status.message
    );
    server.clear_webhooks();
    let free = widgets.patch("a", &params, &intent(50)).await.unwrap();
    assert_eq!(free.data["spec"]["size"], 50);
}

#[tokio::test]
async fn a_dropped_token_is_nobodys() {
    let server = Server::kubernetes().build();
    let token = server.user("somebody", &["system:masters"]);
    let client = Client::new(server.in_process().as_user(&token), "default");
    client.apiserver_version().await.unwrap();
    server.drop_token(&token);
    let refused = client.apiserver_version().await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 401));
}
