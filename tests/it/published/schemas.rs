//! The schemas of `PublishedResource` objects: whose name is on them, and how they follow a CRD that changes.

use serde_json::{Value, json};
use syncagent_core::cli::flags::Flags;

use super::{SCHEMAS, made_by_go, publish, published, schema_of, site, things_of};
use crate::schemas::{deleted_unseen, redefine};
use crate::stage::{CRDS, Stage, install, play};
use crate::things;
use crate::world::{change, eventually};

async fn schema(stage: &Stage, name: &str) -> Value {
    let reply = stage.provider.api.get(&format!("{SCHEMAS}/{name}")).await;
    reply.unwrap().body
}

/// Puts another agent's name on a schema, beside a label of somebody else.
async fn rename(stage: &Stage, name: &str) {
    let meta = json!({"metadata": {
        "labels": {"syncagent.kcp.io/agent-name": "other", "team": "db"},
        "annotations": {"syncagent.kcp.io/agent-name": null}}});
    change(&stage.provider.api, &format!("{SCHEMAS}/{name}"), &meta).await;
}

#[test]
fn the_agents_name_is_put_on_a_schema_that_is_there() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let name = made_by_go(&site).await;
        rename(stage, &name).await;
        // Somebody who only looks says so.
        let before = schema(stage, &name).await;
        let running = site.start(Flags {
            dry_run: Some(true),
            ..site.flags()
        });
        assert!(running.end.await.unwrap().is_stopped());
        assert_eq!(schema(stage, &name).await, before);
        let wanted = format!("would put the agent's name on the schema {name}");
        let notices = stage.notices.lock().unwrap().clone();
        assert!(
            notices.iter().any(|it| it.to_string() == wanted),
            "{notices:#?}"
        );

        stage.forget();
        let running = site.start(site.flags());
        let after = eventually("the schema bears the agent's name", || async {
            let schema = schema(stage, &name).await;
            let key = "syncagent.kcp.io/agent-name";
            let both = ["labels", "annotations"].map(|it| &schema["metadata"][it][key]);
            both.iter()
                .all(|it| **it == site.agent())
                .then(|| schema.clone())
        })
        .await;
        assert_eq!(after["metadata"]["labels"]["team"], "db");
        assert_eq!(after["spec"], before["spec"]);
        stage.calm().await;
        if stage.counts() {
            let writes = stage.asked(|verb| !matches!(verb, "get" | "list" | "watch"));
            assert_eq!(writes, [format!("kcp update apiresourceschemas {name}")]);
        }
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn a_schema_that_may_not_be_changed_keeps_its_name_and_nothing_waits_for_it() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        let name = made_by_go(&site).await;
        rename(stage, &name).await;
        site.forbid(1, "apiresourceschemas").await;
        stage.forget();
        let running = site.start(site.flags());
        stage.calm().await;
        if stage.counts() {
            let writes = stage.asked(|verb| !matches!(verb, "get" | "list" | "watch"));
            let refused = format!("kcp update apiresourceschemas {name} -> 403");
            assert_eq!(writes, [refused]);
        }
        let object = published(stage, "things").await;
        assert_eq!(object["status"], json!({"resourceSchemaName": name}));
        let thing = things::kind("Thing");
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 3})).await;
        let copies = things::collection(&thing);
        eventually("it is served all the same", || async {
            let copies = stage.service.get(&copies).await.unwrap().body;
            (copies["items"].as_array().map(Vec::len) == Some(1)).then_some(())
        })
        .await;
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn a_kind_that_discovery_still_shows_without_its_crd_is_waited_for() {
    play(|| async {
        let thing = things::kind("Thing");
        // Discovery is behind for a moment, or for longer than anybody doubts, or asks.
        for (running, seconds) in [(false, 2), (false, 20), (false, 100), (true, 2), (true, 20)] {
            let site = site().await;
            let stage = &site.0;
            publish(stage, &things_of("things", json!({}))).await;
            let start = || site.start(site.flags());
            let mut agent = None;
            if running {
                agent = Some(start());
                schema_of(stage, "things").await;
            }
            if !deleted_unseen(stage, &thing).await {
                return;
            }
            let agent = agent.unwrap_or_else(start);
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            let faults = stage.world.embedded_service().unwrap().faults();
            faults.stale_discovery(false);
            stage.calm().await;
            // Whatever was believed meanwhile: the next CRD counts, and what becomes of it.
            install(&stage.service, &things::service_crd(&thing)).await;
            for color in ["red", "blue"] {
                redefine(&stage.service, &thing, |spec| {
                    spec["color"] = json!({"type": "string", "description": color});
                })
                .await;
                let case = format!("running: {running}, {seconds} s, {color}");
                eventually(&case, || async {
                    let name = schema_of(stage, "things").await;
                    let schema = schema(stage, &name).await.to_string();
                    schema.contains(color).then_some(())
                })
                .await;
            }
            assert!(agent.stopped().await.is_stopped());
        }
    });
}

#[test]
fn a_crd_that_changes_is_offered_anew() {
    play(|| async {
        let site = site().await;
        let stage = &site.0;
        publish(stage, &things_of("things", json!({}))).await;
        let running = site.start(site.flags());
        let before = schema_of(stage, "things").await;
        let crd = format!("{CRDS}/{}", things::named("Thing"));
        let mut versions = stage.service.get(&crd).await.unwrap().body["spec"]["versions"].take();
        versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["color"] =
            json!({"type": "string"});
        change(
            &stage.service,
            &crd,
            &json!({"spec": {"versions": versions}}),
        )
        .await;
        let after = eventually("the object names another schema", || async {
            Some(schema_of(stage, "things").await).filter(|it| *it != before)
        })
        .await;
        let export = stage.exported().await;
        let resources = export["spec"]["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 1, "{resources:?}");
        assert_eq!(resources[0]["schema"], after.as_str());
        let spec = "/versions/0/schema/properties/spec/properties/color";
        let told = |schema: &Value| schema["spec"].pointer(spec).cloned();
        assert_eq!(
            told(&schema(stage, &after).await),
            Some(json!({"type": "string"}))
        );
        // The one before stays, for workspaces that are still bound to it.
        let old = schema(stage, &before).await;
        assert_eq!(
            (&old["metadata"]["name"], told(&old)),
            (&json!(before), None)
        );
        assert!(running.stopped().await.is_stopped());
    });
}
