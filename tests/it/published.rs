//! Publications without code: `PublishedResource` objects on the service cluster, the whole process between both servers.

mod builtin;
mod events;
mod schemas;
mod warnings;

use serde_json::{Value, json};
use syncagent_core::api::published_resource::PublishedResource;
use syncagent_core::cli::flags::Flags;
use syncagent_core::compat::{Projected, Source};
use syncagent_core::io::clients::Server;

use crate::program::Site;
use crate::stage::{CRDS, EXPORT, Stage, install, play};
use crate::things;
use crate::world::{World, change, created, eventually, group, own_labels, selecting, skipped_for};

pub(crate) const PUBLISHED: &str = "/apis/syncagent.kcp.io/v1alpha1/publishedresources";
const SCHEMAS: &str = "/apis/apis.kcp.io/v1alpha1/apiresourceschemas";

/// A definition of the kind as it is known to both agents: it keeps whatever is written.
pub(crate) fn definition() -> Value {
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "publishedresources.syncagent.kcp.io"},
        "spec": {
            "group": "syncagent.kcp.io", "scope": "Cluster",
            "names": {"plural": "publishedresources", "singular": "publishedresource",
                "kind": "PublishedResource", "listKind": "PublishedResourceList"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}}}],
        },
    })
}

/// What an object is called. They are not namespaced, so on a service cluster that tests share each test has names of its
/// own.
pub(crate) fn called(name: &str) -> String {
    match World::is_real() {
        true => format!("{name}.{}", group()),
        false => name.to_owned(),
    }
}

/// Where an object is.
pub(crate) fn at(name: &str) -> String {
    format!("{PUBLISHED}/{}", called(name))
}

/// An object that offers things.
pub(crate) fn things_of(name: &str, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource",
        "metadata": {"name": called(name), "labels": own_labels()},
        "spec": {"resource": {"apiGroup": group(), "kind": "Thing"},
            "naming": {"namespace": "$remoteClusterName", "name": "$remoteName"}}});
    if let (Some(known), Value::Object(more)) = (object["spec"].as_object_mut(), spec) {
        known.extend(more);
    }
    object
}

/// The same with the names that are given where none are declared: nothing has to be said about them.
fn unmistakable(name: &str, spec: Value) -> Value {
    let mut object = things_of(name, spec);
    object["spec"]["naming"] = Value::Null;
    object
}

/// Servers with things and the definition of the kind.
pub(crate) async fn site() -> Site {
    let site = Site::new(vec![things::plain("Thing")]).await;
    install(&site.0.service, &definition()).await;
    site
}

async fn published(stage: &Stage, name: &str) -> Value {
    stage.service.get(&at(name)).await.unwrap().body
}

/// The schema that an object says it is offered with, once it does.
pub(crate) async fn schema_of(stage: &Stage, name: &str) -> String {
    eventually("the object names its schema", || async {
        let status = published(stage, name).await["status"].clone();
        status["resourceSchemaName"].as_str().map(str::to_owned)
    })
    .await
}

pub(crate) async fn publish(stage: &Stage, object: &Value) {
    created(stage.service.post(PUBLISHED, object).await);
}

#[test]
fn an_object_publishes_a_kind_and_its_orders_are_served() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let thing = things::kind("Thing");
        publish(stage, &things_of("things", json!({}))).await;
        let running = site.start(site.flags());
        let schema = schema_of(stage, "things").await;
        assert!(
            schema.ends_with(&format!(".things.{}", group())),
            "{schema}"
        );
        let hash = schema.split('.').next().unwrap();
        assert!(hash.starts_with('v') && hash.len() == 9, "{schema}");

        let ready = stage.provider.api.get(&format!("{SCHEMAS}/{schema}")).await;
        let ready = ready.unwrap().body;
        assert_eq!(
            ready["metadata"]["labels"]["syncagent.kcp.io/agent-name"],
            site.agent()
        );
        let export = stage.exported().await;
        assert_eq!(
            export["metadata"]["annotations"]["syncagent.kcp.io/agent-name"],
            site.agent()
        );
        assert_eq!(export["spec"]["resources"][0]["schema"], schema.as_str());
        let claims = export["spec"]["permissionClaims"].as_array().unwrap();
        assert_eq!(claims.len(), 1, "{claims:?}");
        assert_eq!(claims[0]["resource"], "events");

        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 3})).await;
        let copy = stage.copy(&consumer, &thing, "a").await;
        assert_eq!(copy["spec"]["size"], 3);
        assert_eq!(
            copy["metadata"]["labels"]["syncagent.kcp.io/agent-name"],
            site.agent()
        );

        // Each side is told by the part of the Go agent that tells it there.
        stage.calm().await;
        let told = |api: Server| async move {
            let events = api.get("/api/v1/namespaces/default/events").await.unwrap();
            let events = events.body["items"].as_array().unwrap().clone();
            let line = |it: &Value| {
                let text = |it: &Value| it.as_str().unwrap().to_owned();
                let (by, what) = (&it["source"]["component"], &it["reason"]);
                format!("{} {} {}", text(by), text(what), text(&it["type"]))
            };
            let mut lines: Vec<String> = events.iter().map(line).collect();
            lines.sort();
            lines
        };
        assert_eq!(
            told(stage.provider.api.clone()).await,
            [
                "syncagent-apiexport AddingPermissionClaims Normal",
                "syncagent-apiexport AddingResourceSchemas Normal"
            ]
        );
        assert_eq!(
            told(consumer.api.clone()).await,
            [
                "syncagent-sync ObjectAccepted Normal",
                "syncagent-sync ObjectPlaced Normal"
            ]
        );

        // The object is deleted: nothing is served any more, and nothing is undone.
        let gone = stage.service.delete(&at("things"), &json!({})).await;
        assert!(gone.unwrap().is_success());
        stage.calm().await;
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"size": 4}})).await;
        stage.calm().await;
        assert_eq!(stage.copy(&consumer, &thing, "a").await["spec"]["size"], 3);
        assert_eq!(stage.exported().await["spec"], export["spec"]);
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn what_does_not_work_is_said_on_it_and_concerns_nobody_else() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let broken = things_of(
            "broken",
            json!({"projection": {"kind": "Broken", "version": "v2", "versions": {"v1": "v3"}},
                "mutation": {"spec": [{"regex": {"path": "spec.note", "pattern": "("}}, {}]}}),
        );
        publish(stage, &broken).await;
        let mut missing = things_of("missing", json!({}));
        missing["spec"]["resource"]["kind"] = "Nothing".into();
        publish(stage, &missing).await;
        // Nothing can be offered of it, and what else is wrong is said as well.
        let mut both = things_of("both", json!({"mutation": {"spec": [{}]}}));
        both["spec"]["resource"]["versions"] = json!(["v9"]);
        publish(stage, &both).await;
        publish(stage, &unmistakable("things", json!({}))).await;
        let running = site.start(site.flags());
        schema_of(stage, "things").await;

        let ready = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.unwrap_or_default().into_iter();
            conditions.find(|it| it["type"] == "Ready")
        };
        let said = eventually("the object says what is wrong", || async {
            ready(&published(stage, "broken").await)
        })
        .await;
        assert_eq!(
            (&said["status"], &said["reason"]),
            (&json!("False"), &json!("Invalid"))
        );
        let message = said["message"].as_str().unwrap();
        for part in ["spec.mutation.spec[0]", "spec.mutation.spec[1]"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        let said = eventually("the object says all that is wrong", || async {
            ready(&published(stage, "both").await)
        })
        .await;
        let message = said["message"].as_str().unwrap();
        for part in ["spec.resource.versions", "spec.mutation.spec[0]"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        let said = eventually("the object says what it waits for", || async {
            ready(&published(stage, "missing").await)
        })
        .await;
        assert_eq!(said["reason"], "Waiting");
        let message = said["message"].as_str().unwrap();
        assert!(
            message.starts_with("spec.resource: the service cluster serves no Nothing"),
            "{message}"
        );
        assert_eq!(
            ready(&published(stage, "things").await),
            None,
            "it works, and says no more"
        );

        let events = stage.service.get("/api/v1/namespaces/default/events").await;
        let events = events.unwrap().body["items"].as_array().cloned().unwrap();
        let of = |name: &str| {
            let mut about = events
                .iter()
                .filter(|it| it["involvedObject"]["name"] == called(name).as_str());
            about.next().cloned().unwrap_or_default()
        };
        for name in ["broken", "missing"] {
            let event = of(name);
            assert_eq!(event["type"], "Warning", "{event}");
            assert_eq!(event["reason"], "ReconcilingError");
            assert_eq!(event["source"]["component"], "syncagent-apiresourceschema");
        }
        assert_eq!(of("things"), Value::Null);

        // A kind that comes later is found.
        created(
            stage
                .service
                .post(CRDS, &things::service_crd(&things::kind("Nothing")))
                .await,
        );
        schema_of(stage, "missing").await;
        let said = eventually("the object says that it works", || async {
            ready(&published(stage, "missing").await).filter(|it| it["status"] == "True")
        })
        .await;
        assert_eq!(said["message"], "");
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn an_object_that_is_not_synchronized_publishes_its_schema_alone() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let thing = things::kind("Thing");
        let off = json!({"synchronization": {"enabled": false}});
        publish(stage, &things_of("things", off)).await;
        let running = site.start(site.flags());
        schema_of(stage, "things").await;
        let consumer = stage.consumer("consumer").await;
        let order = consumer.order(&thing, "a", &json!({"size": 3})).await;
        stage.calm().await;
        let path = things::path(&thing, "default", "a");
        let now = consumer.api.get(&path).await.unwrap().body;
        assert_eq!(
            now["metadata"]["resourceVersion"],
            order["metadata"]["resourceVersion"]
        );
        // Switched on, it is served.
        let on = json!({"spec": {"synchronization": {"enabled": true}}});
        change(&stage.service, &at("things"), &on).await;
        stage.copy(&consumer, &thing, "a").await;
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn only_selected_objects_count_and_one_that_is_selected_no_more_stops() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let thing = things::kind("Thing");
        let mut object = things_of("things", json!({}));
        publish(stage, &object).await;
        let running = site.start(Flags {
            published_resource_selector: Some(selecting("team=db")),
            ..site.flags()
        });
        stage.calm().await;
        assert_eq!(published(stage, "things").await["status"], Value::Null);
        let path = at("things");
        object = change(
            &stage.service,
            &path,
            &json!({"metadata": {"labels": {"team": "db"}}}),
        )
        .await;
        assert_eq!(object["metadata"]["labels"]["team"], "db");
        schema_of(stage, "things").await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 3})).await;
        stage.copy(&consumer, &thing, "a").await;
        change(
            &stage.service,
            &path,
            &json!({"metadata": {"labels": {"team": null}}}),
        )
        .await;
        stage.calm().await;
        consumer.order(&thing, "b", &json!({"size": 3})).await;
        stage.calm().await;
        let copy = things::path(&thing, &consumer.cluster, "b");
        assert_eq!(stage.service.get(&copy).await.unwrap().code, 404);
        assert!(running.stopped().await.is_stopped());
    });
}

/// Related objects of an object that offers things, as an object says them.
fn credentials() -> Value {
    json!({"related": [{"identifier": "credentials", "origin": "service", "kind": "Secret",
        "object": {"template": {"template": "{{ .LocalObject.metadata.name }}-credentials"}}}]})
}

/// An installation as the Go agent leaves it: its schema, its export through v1alpha1, its status. Constructed; the name of
/// its schema.
async fn made_by_go(site: &Site) -> String {
    made_by_go_with(site, credentials()).await
}

/// The same with what the object says beside.
pub(crate) async fn made_by_go_with(site: &Site, spec: Value) -> String {
    let stage = &site.0;
    let object = unmistakable("things", spec);
    publish(stage, &object).await;
    let crd = stage
        .service
        .get(&format!("{CRDS}/{}", things::named("Thing")))
        .await;
    let pr: PublishedResource = serde_json::from_value(object).unwrap();
    let projected = Projected::of(&pr, &Source::from_crd(&crd.unwrap().body)).unwrap();
    created(
        stage
            .provider
            .api
            .post(SCHEMAS, &projected.resource_schema(&site.agent()))
            .await,
    );
    let name = projected.schema_name();
    let claim = |resource: &str| json!({"group": "", "resource": resource, "all": true});
    let export = format!("/apis/apis.kcp.io/v1alpha1/apiexports/{EXPORT}");
    let filled = json!({"metadata": {"annotations": {"syncagent.kcp.io/agent-name": site.agent()}},
        "spec": {"latestResourceSchemas": [name],
            "permissionClaims": [claim("events"), claim("namespaces"), claim("secrets")]}});
    change(&stage.provider.api, &export, &filled).await;
    let status = json!({"status": {"resourceSchemaName": name}});
    let at = format!("{}/status", at("things"));
    change(&stage.service, &at, &status).await;
    name
}

#[test]
fn an_installation_that_the_go_agent_left_settled_is_not_written_to() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let schema = made_by_go(&site).await;
        let before = stage.exported().await;
        stage.forget();
        let running = site.start(site.flags());
        stage.calm().await;
        let writes = stage.asked(|verb| !matches!(verb, "get" | "list" | "watch"));
        assert_eq!(writes, Vec::<String>::new());
        assert_eq!(stage.exported().await, before);
        assert_eq!(schema_of(stage, "things").await, schema);
        // It is looked after all the same.
        let thing = things::kind("Thing");
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 3})).await;
        let copies = things::collection(&thing);
        eventually("there is a copy", || async {
            let copies = stage.service.get(&copies).await.unwrap().body;
            let copies = copies["items"].as_array().cloned().unwrap_or_default();
            let mut copies = copies.into_iter();
            copies.find(|it| it["metadata"]["namespace"] == consumer.cluster.as_str())
        })
        .await;
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn a_plan_says_what_would_be_written_and_ends() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        publish(stage, &things_of("things", json!({}))).await;
        stage.forget();
        let running = site.start(Flags {
            dry_run: Some(true),
            ..site.flags()
        });
        assert!(running.end.await.unwrap().is_stopped());
        let writes = stage.asked(|verb| !matches!(verb, "get" | "list" | "watch"));
        assert_eq!(writes, Vec::<String>::new());
        let notices = stage.notices.lock().unwrap();
        let lines: Vec<String> = notices.iter().map(ToString::to_string).collect();
        let has = |start: &str| lines.iter().any(|it| it.starts_with(start));
        assert!(
            has(&format!("would fill the export {EXPORT} with v")),
            "{lines:#?}"
        );
        assert!(has("would name the schema v"), "{lines:#?}");
    });
}

#[test]
fn parts_that_are_left_out_are_left_to_others() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        publish(stage, &things_of("things", json!({}))).await;
        let without = |parts: &[&str]| Flags {
            disabled_controllers: parts.iter().map(|&it| it.to_owned()).collect(),
            ..site.flags()
        };
        // Neither schema nor export.
        let running = site.start(without(&["apiexport", "apiresourceschema"]));
        stage.calm().await;
        assert_eq!(stage.exported().await["spec"]["resources"], Value::Null);
        assert_eq!(published(stage, "things").await["status"], Value::Null);
        assert!(running.stopped().await.is_stopped());
        // Schema and export, and no orders.
        let running = site.start(without(&["sync"]));
        schema_of(stage, "things").await;
        let thing = things::kind("Thing");
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 3})).await;
        stage.calm().await;
        let copy = things::path(&thing, &consumer.cluster, "a");
        assert_eq!(stage.service.get(&copy).await.unwrap().code, 404);
        assert!(running.stopped().await.is_stopped());
        // Orders, and what others offered.
        let running = site.start(without(&["apiexport", "apiresourceschema"]));
        stage.copy(&consumer, &thing, "a").await;
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn a_service_cluster_without_the_definition_says_how_to_install_it() {
    play(|| async {
        let site = Site::new(vec![things::plain("Thing")]).await;
        let stage = &site.0;
        if World::is_real() {
            return skipped_for(
                "the other tests on this service cluster have installed the definition",
                "it would take a service cluster of its own",
            );
        }
        let running = site.start(site.flags());
        eventually("the remedy is told", || async {
            let notices = stage.notices.lock().unwrap();
            let mut lines = notices.iter().map(ToString::to_string);
            lines.find(|it| it.contains("syncagent crd | kubectl apply -f -"))
        })
        .await;
        // It is waited for.
        install(&stage.service, &definition()).await;
        publish(stage, &things_of("things", json!({}))).await;
        schema_of(stage, "things").await;
        assert!(running.stopped().await.is_stopped());
    });
}
