//! What works, perhaps not as it was meant: said in an event, and refused by whoever wants that.

use serde_json::{Value, json};
use syncagent_core::cli::flags::Flags;

use super::{at, called, publish, published, schema_of, site, things_of};
use crate::stage::{Stage, play};
use crate::things;
use crate::world::{change, eventually};

/// What is said about names that two orders could share.
const COLLIDE: &str = "spec.naming: two namespaces of a workspace could collide: ";

/// The warnings that stand beside the object `things`.
async fn said(stage: &Stage) -> Vec<Value> {
    let events = stage.service.get("/api/v1/namespaces/default/events").await;
    let events = events.unwrap().body["items"].as_array().cloned();
    let mut events = events.unwrap_or_default();
    events.retain(|it| it["reason"] == "PublishedWithWarnings");
    events.retain(|it| it["involvedObject"]["name"] == called("things").as_str());
    events
}

#[test]
fn a_warning_is_an_event_and_no_write_to_the_object() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        publish(stage, &things_of("things", json!({}))).await;
        let running = site.start(site.flags());
        schema_of(stage, "things").await;
        stage.calm().await;
        let events = said(stage).await;
        assert_eq!(events.len(), 1, "{events:#?}");
        let event = &events[0];
        assert_eq!(event["type"], "Warning");
        assert_eq!(event["source"]["component"], "syncagent-apiresourceschema");
        let message = event["message"].as_str().unwrap();
        assert!(message.starts_with(COLLIDE), "{message}");
        let object = published(stage, "things").await;
        assert_eq!(object["status"]["conditions"], Value::Null);
        assert!(running.stopped().await.is_stopped());

        // Said again by the next process, it is the same event; the object is not touched.
        let running = site.start(site.flags());
        stage.calm().await;
        assert_eq!(said(stage).await, events);
        assert_eq!(published(stage, "things").await, object);

        // Something else is another event, with all that there is to say.
        let more = json!({"spec": {"projection": {"versions": {"v7": "v8"}}}});
        change(&stage.service, &at("things"), &more).await;
        let newer = eventually("the other warning is said", || async {
            let mut events = said(stage).await.into_iter();
            events.find(|it| it["metadata"]["name"] != event["metadata"]["name"])
        })
        .await;
        let message = newer["message"].as_str().unwrap();
        for part in [COLLIDE, "spec.projection.versions: `v7`"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn the_strict_refuse_what_others_are_warned_of() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let thing = things::kind("Thing");
        publish(stage, &things_of("things", json!({}))).await;
        let running = site.start(Flags {
            strict: Some(true),
            ..site.flags()
        });
        let ready = eventually("the object says that it is refused", || async {
            let conditions = published(stage, "things").await["status"]["conditions"].clone();
            let mut conditions = conditions.as_array().cloned()?.into_iter();
            conditions.find(|it| it["type"] == "Ready")
        })
        .await;
        assert_eq!(
            (&ready["status"], &ready["reason"]),
            (&json!("False"), &json!("Invalid"))
        );
        let message = ready["message"].as_str().unwrap();
        assert!(message.starts_with(COLLIDE), "{message}");
        schema_of(stage, "things").await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 3})).await;
        stage.calm().await;
        let copy = things::path(&thing, &consumer.cluster, "a");
        assert_eq!(stage.service.get(&copy).await.unwrap().code, 404);
        assert_eq!(said(stage).await, Vec::<Value>::new());
        assert!(running.stopped().await.is_stopped());
    });
}
