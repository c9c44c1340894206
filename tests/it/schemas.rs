//! Schemas that change while the agent runs, and what else may happen to a CRD and to the export.

use serde_json::{Value, json};
use syncagent::{Definition, Notice};
use syncagent_core::definition::{
    BreakingChanges, CopyNaming, Kind, SchemaSource, SetRule, StatusRule,
};
use syncagent_core::io::clients::Server;

use crate::stage::{CRDS, EXPORT, Stage, gone, install, play, there, uninstall};
use crate::things;
use crate::world::{change, created, eventually, skipped, status};

const EXPORTS: &str = "/apis/apis.kcp.io/v1alpha2/apiexports";

/// A thing as the service cluster has it.
fn whole(name: &str) -> Definition {
    Definition {
        schema: SchemaSource::Cluster,
        fields: Vec::new(),
        status: StatusRule::Whole,
        ..things::plain(name)
    }
}

/// Changes the schema of a CRD's first version.
pub(crate) async fn redefine(service: &Server, kind: &Kind, edit: impl FnOnce(&mut Value)) {
    let path = format!("{CRDS}/{}.{}", kind.plural, kind.group);
    let crd = service.get(&path).await.unwrap().body;
    let mut versions = crd["spec"]["versions"].clone();
    edit(&mut versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]);
    change(service, &path, &json!({"spec": {"versions": versions}})).await;
}

/// The name of the schema under which the export offers things.
async fn offered(stage: &Stage) -> String {
    let export = stage.exported().await;
    let name = export["spec"]["resources"][0]["schema"].as_str();
    name.unwrap_or_default().to_owned()
}

async fn offered_anew(stage: &Stage, before: &str) -> String {
    eventually("the export names another schema", || async {
        let now = offered(stage).await;
        (now != before).then_some(now)
    })
    .await
}

fn told(stage: &Stage, what: &str) -> bool {
    let notices = stage.notices.lock().unwrap();
    notices.iter().any(|it| it.to_string().contains(what))
}

#[test]
fn a_changed_crd_is_offered_while_the_agent_runs() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![whole("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        let before = offered(&stage).await;
        stage.forget();

        redefine(&stage.service, &thing, |spec| {
            spec["color"] = json!({"type": "string"});
        })
        .await;
        offered_anew(&stage, &before).await;
        stage.calm().await;
        // One look at what is offered now, one schema, one patch; nobody's order is touched, but listed anew.
        let mut asked = stage.requests();
        asked.retain(|line| !line.contains(" list "));
        if stage.counts() {
            let look = format!("kcp get apiresourceschemas {before}");
            let patch = format!("kcp patch apiexports {EXPORT}");
            assert_eq!(
                asked,
                [look.as_str(), "kcp create apiresourceschemas", &patch]
            );
        }
        let path = things::path(&thing, "default", "a");
        eventually("the consumer has the new field", || async {
            let spec = json!({"spec": {"color": "red"}});
            let order = change(&consumer.api, &path, &spec).await;
            (order["spec"]["color"] == "red").then_some(())
        })
        .await;
        there(&stage.service, &thing, &consumer.cluster, "a", |it| {
            it["spec"]["color"] == "red"
        })
        .await;
        if !crate::world::World::is_real() {
            // Both lists anew are over after half a minute; then nothing is asked.
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            stage.forget();
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            stage.asked_exactly(&[]);
        }
        stage.stop().await;
    });
}

#[test]
fn a_schema_that_breaks_objects_is_held_back_until_a_person_consents() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![whole("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer
            .order(&thing, "a", &json!({"size": 50, "note": "x"}))
            .await;
        consumer.there(&thing, "a", things::synced).await;
        let before = offered(&stage).await;

        redefine(&stage.service, &thing, |spec| {
            spec["size"]["maximum"] = json!(20);
            spec["extra"] = json!({"type": "string"});
            spec.as_object_mut().unwrap().remove("note");
        })
        .await;
        eventually("it is told", || async {
            told(&stage, "spec.note: the field is removed").then_some(())
        })
        .await;
        assert!(told(&stage, "spec.size: the maximum 100 becomes 20"));
        stage.calm().await;
        assert_eq!(offered(&stage).await, before);
        // Under the old schema everything goes on, also after a restart.
        stage.stop().await;
        stage.start();
        consumer.order(&thing, "b", &json!({"size": 2})).await;
        consumer.there(&thing, "b", things::synced).await;
        assert_eq!(offered(&stage).await, before);

        // A wrong word is no consent; the right one is.
        let path = format!("{EXPORTS}/{EXPORT}");
        let accept = |what: &str| json!({"metadata": {"annotations": {"syncagent.kcp.io/accept-schema": what}}});
        change(
            &stage.provider.api,
            &path,
            &accept(&format!("v0.{}", things::named("Thing"))),
        )
        .await;
        stage.calm().await;
        assert_eq!(offered(&stage).await, before);
        let wanted = {
            let notices = stage.notices.lock().unwrap();
            let mut line = notices.iter().map(ToString::to_string);
            let line = line.rfind(|it| it.contains("accept-schema=")).unwrap();
            line.rsplit('=').next().unwrap().to_owned()
        };
        change(&stage.provider.api, &path, &accept(&wanted)).await;
        assert_eq!(offered_anew(&stage, &before).await, wanted);
        stage.stop().await;
    });
}

#[test]
fn a_breaking_schema_is_offered_where_the_policy_allows_it() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut definition = whole("Thing");
        definition.policy.breaking_changes = BreakingChanges::Warn;
        let mut stage = Stage::running(vec![definition]).await;
        let before = offered(&stage).await;
        redefine(&stage.service, &thing, |spec| {
            spec["size"]["maximum"] = json!(20);
        })
        .await;
        let second = offered_anew(&stage, &before).await;
        assert!(told(&stage, "spec.size: the maximum 100 becomes 20"));
        stage.stop().await;

        stage.definitions[0].policy.breaking_changes = BreakingChanges::Allow;
        stage.notices.lock().unwrap().clear();
        stage.start();
        stage.calm().await;
        redefine(&stage.service, &thing, |spec| {
            spec["size"]["maximum"] = json!(10);
        })
        .await;
        offered_anew(&stage, &second).await;
        assert!(!told(&stage, "spec.size"));
        stage.stop().await;
    });
}

#[test]
fn a_crd_that_is_deleted_and_made_again_retires_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![whole("Thing"), things::plain("Other")]).await;
        let other = things::kind("Other");
        let consumer = stage.consumer("consumer").await;
        for name in ["a", "b"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        stage.calm().await;

        let crd = things::service_crd(&thing);
        uninstall(&stage.service, &thing).await;
        eventually("it is told", || async {
            told(
                &stage,
                &format!(
                    "waits for the service cluster to serve {}",
                    things::named("Thing")
                ),
            )
            .then_some(())
        })
        .await;
        // Another publication goes on; a change is made meanwhile.
        consumer.order(&other, "c", &json!({"size": 1})).await;
        consumer.there(&other, "c", things::synced).await;
        let at = things::path(&thing, "default", "a");
        change(&consumer.api, &at, &json!({"spec": {"size": 7}})).await;
        stage.calm().await;
        stage.forget();
        stage.calm().await;

        install(&stage.service, &crd).await;
        for (name, size) in [("a", 7), ("b", 1)] {
            there(&stage.service, &thing, &consumer.cluster, name, |it| {
                it["spec"]["size"] == size
            })
            .await;
            let order = consumer.get(&thing, name).await.body;
            assert!(
                !order["metadata"]["finalizers"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
            consumer.there(&thing, name, things::synced).await;
        }
        let released = |it: &Notice| matches!(it, Notice::Released { .. } | Notice::Retired { .. });
        assert!(!stage.notices.lock().unwrap().iter().any(released));
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.stop().await;
    });
}

/// Makes discovery of the embedded service cluster go on telling what it tells now, and deletes a CRD; says aloud where
/// nobody can be made to lag behind.
pub(crate) async fn deleted_unseen(stage: &Stage, kind: &Kind) -> bool {
    let Some(server) = stage.world.embedded_service() else {
        skipped("a real service cluster does not lag behind on request");
        return false;
    };
    server.faults().stale_discovery(true);
    let list = format!("/apis/{}/{}", kind.group, kind.version);
    let told = stage.service.get(&list).await.unwrap();
    assert_eq!(told.body["resources"][0]["kind"], kind.kind.as_str());
    uninstall(&stage.service, kind).await;
    true
}

#[test]
fn a_kind_that_discovery_still_shows_without_its_crd_is_waited_for() {
    play(|| async {
        let thing = things::kind("Thing");
        let waits = format!(
            "waits for the service cluster to serve {}",
            things::named("Thing")
        );
        // Discovery is behind for a moment, or for long; before the agent begins, or while it runs.
        for (running, seconds) in [(false, 2), (false, 20), (true, 2), (true, 20)] {
            let mut stage = Stage::set(vec![whole("Thing")]).await;
            stage.export(&json!({})).await;
            if running {
                stage.start();
                stage.filled().await;
                stage.calm().await;
            }
            if !deleted_unseen(&stage, &thing).await {
                return;
            }
            // An agent whose definitions are given ends where one is wrong; who is behind for a moment must not end it.
            if !running && seconds == 2 {
                stage.start();
            } else if !running {
                stage.drive().set("thing", whole("Thing"));
            }
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            let case = format!("running: {running}, {seconds} s");
            // Who shows a kind for long without a CRD is believed.
            assert_eq!(
                told(&stage, "shows no schema on the service cluster"),
                seconds > 2,
                "{case}"
            );
            stage.notices.lock().unwrap().clear();
            stage
                .world
                .embedded_service()
                .unwrap()
                .faults()
                .stale_discovery(false);
            if running && seconds == 2 {
                // That was told when the CRD went.
                stage.calm().await;
            } else {
                eventually(&case, || async { told(&stage, &waits).then_some(()) }).await;
            }
            install(&stage.service, &things::service_crd(&thing)).await;
            stage.filled().await;
            let consumer = stage.consumer("consumer").await;
            consumer.order(&thing, "a", &json!({"size": 1})).await;
            consumer.there(&thing, "a", things::synced).await;
            stage.stop().await;
        }
    });
}

#[test]
fn an_export_that_is_deleted_and_made_again_is_filled_again() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let before = stage.exported().await["spec"].clone();
        let path = format!("{EXPORTS}/{EXPORT}");
        assert!(
            stage
                .provider
                .api
                .delete(&path, &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        eventually("the export is gone", || async {
            (stage.provider.api.get(&path).await.unwrap().code == 404).then_some(())
        })
        .await;
        // The schema is gone as well: the agent must not trust what it once made.
        let schema = before["resources"][0]["schema"].as_str().unwrap();
        let schema = format!("/apis/apis.kcp.io/v1alpha1/apiresourceschemas/{schema}");
        stage
            .provider
            .api
            .delete(&schema, &json!({}))
            .await
            .unwrap();
        stage.calm().await;
        stage.export(&json!({})).await;
        stage.filled().await;
        let after = stage.exported().await["spec"].clone();
        assert_eq!(after["resources"], before["resources"]);
        assert_eq!(after["permissionClaims"], before["permissionClaims"]);
        assert!(stage.provider.api.get(&schema).await.unwrap().is_success());
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.stop().await;
    });
}

#[test]
fn an_export_that_others_wrote_in_every_way_is_filled() {
    play(|| async {
        let mut stage = Stage::set(vec![things::taking("Thing")]).await;
        // As an agent of another make writes it, in the old version; and the claim is there already, in another shape.
        let old = json!({"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExport", "metadata": {"name": EXPORT},
            "spec": {"permissionClaims": [{"group": "", "resource": "secrets", "all": true},
                {"group": "", "resource": "configmaps", "resourceSelector": [{"namespace": "x", "name": "y"}]}]}});
        created(
            stage
                .provider
                .api
                .post("/apis/apis.kcp.io/v1alpha1/apiexports", &old)
                .await,
        );
        stage.start();
        stage.filled().await;
        let claims = stage.exported().await["spec"]["permissionClaims"].clone();
        let resources: Vec<_> = claims
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["resource"].clone())
            .collect();
        assert_eq!(
            resources.iter().filter(|it| *it == "secrets").count(),
            1,
            "{claims:#}"
        );
        assert_eq!(
            resources.iter().filter(|it| *it == "configmaps").count(),
            1,
            "{claims:#}"
        );

        // Somebody narrows our claim and takes our entry out.
        let path = format!("{EXPORTS}/{EXPORT}");
        let mess = json!({"spec": {"resources": [], "permissionClaims": [
            {"group": "", "resource": "secrets", "verbs": ["get"]},
            {"group": "", "resource": "configmaps", "verbs": ["get"]}]}});
        change(&stage.provider.api, &path, &mess).await;
        stage.filled().await;
        eventually("the claim is whole again", || async {
            let claims = stage.exported().await["spec"]["permissionClaims"].clone();
            let of = |name: &str| {
                claims
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|it| it["resource"] == name)
                    .cloned()
            };
            (of("secrets")?["verbs"] == json!(["*"])
                && of("configmaps")?["verbs"] == json!(["get"]))
            .then_some(())
        })
        .await;
        stage.calm().await;
        stage.forget();
        stage.calm().await;
        stage.asked_exactly(&[]);
        stage.stop().await;
    });
}

#[test]
fn several_versions_are_served_and_synced() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![]).await;
        let mut crd = things::service_crd(&thing);
        let mut older = crd["spec"]["versions"][0].clone();
        older["name"] = json!("v1beta1");
        older["storage"] = json!(false);
        crd["spec"]["versions"].as_array_mut().unwrap().push(older);
        install(&stage.service, &crd).await;
        stage.definitions = vec![Definition {
            versions: vec![
                ("v1".into(), "v1".into()),
                ("v1beta1".into(), "v1alpha1".into()),
            ],
            ..whole("Thing")
        }];
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        let alpha = Kind {
            version: "v1alpha1".into(),
            ..thing.clone()
        };
        consumer.order(&alpha, "a", &json!({"size": 1})).await;
        consumer.order(&thing, "b", &json!({"size": 2})).await;
        for (name, size) in [("a", 1), ("b", 2)] {
            assert_eq!(
                stage.copy(&consumer, &thing, name).await["spec"]["size"],
                size
            );
            for kind in [&alpha, &thing] {
                let order = consumer.there(kind, name, things::synced).await;
                assert_eq!(
                    order["apiVersion"],
                    format!("{}/{}", kind.group, kind.version)
                );
            }
        }
        let path = things::path(&alpha, "default", "b");
        change(&consumer.api, &path, &json!({"spec": {"size": 3}})).await;
        there(&stage.service, &thing, &consumer.cluster, "b", |it| {
            it["spec"]["size"] == 3
        })
        .await;
        stage.stop().await;
    });
}

#[test]
fn what_consumers_do_not_see_is_neither_sent_nor_cleared() {
    play(|| async {
        let thing = things::kind("Thing");
        let seen = ["spec.size", "status.phase"];
        let definition = Definition {
            schema: SchemaSource::Subset(seen.iter().map(|it| (*it).to_owned()).collect()),
            ..whole("Thing")
        };
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        // kcp takes away what is not in the schema.
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "mine"}))
            .await;
        consumer.there(&thing, "a", things::synced).await;
        let copy = stage.copy(&consumer, &thing, "a").await;
        assert_eq!(copy["spec"], json!({"size": 1}));

        // The operator keeps its own things in the same object.
        let path = things::path(&thing, &consumer.cluster, "a");
        change(
            &stage.service,
            &path,
            &json!({"spec": {"note": "the operator's"}}),
        )
        .await;
        status(
            &stage.service,
            &path,
            &json!({"phase": "ready", "observedGeneration": 1}),
        )
        .await;
        let order = consumer
            .there(&thing, "a", |it| it["status"]["phase"] == "ready")
            .await;
        assert_eq!(order["status"].get("observedGeneration"), None);
        change(
            &consumer.api,
            &things::path(&thing, "default", "a"),
            &json!({"spec": {"size": 2}}),
        )
        .await;
        let copy = there(&stage.service, &thing, &consumer.cluster, "a", |it| {
            it["spec"]["size"] == 2
        })
        .await;
        assert_eq!(copy["spec"]["note"], "the operator's");
        stage.calm().await;
        stage.stop().await;
        stage.forget();
        stage.start();
        stage.calm().await;
        let writes = |line: &String| !line.contains(" list ");
        assert_eq!(
            stage
                .requests()
                .into_iter()
                .filter(writes)
                .collect::<Vec<_>>(),
            Vec::<String>::new()
        );
        stage.stop().await;
    });
}

#[test]
fn a_kind_without_a_crd_is_offered_under_a_type_of_ones_own() {
    play(|| async {
        let mut offered = things::kind("Config");
        let service = things::core("ConfigMap");
        offered.plural = "configs".into();
        let mut crd = things::crd(&offered);
        let version = &mut crd["spec"]["versions"][0];
        version["schema"]["openAPIV3Schema"]["properties"] =
            json!({"data": {"type": "object", "additionalProperties": {"type": "string"}}});
        let definition = Definition {
            schema: SchemaSource::Type(crd),
            copy: CopyNaming {
                namespace: Some("{workspace}".into()),
                name: "{name}.config".into(),
            },
            set: vec![SetRule {
                at: "data.by".into(),
                value: json!("{workspace}"),
            }],
            ..Definition::new(service.clone(), offered.clone())
        };
        let definition = Definition {
            only: things::plain("Thing").only,
            status: StatusRule::None,
            ..definition
        };
        let mut stage = Stage::set(vec![]).await;
        stage.definitions = vec![definition];
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        let order = json!({"apiVersion": format!("{}/v1", offered.group), "kind": "Config", "metadata": {"name": "a"}, "data": {"x": "1"}});
        let path = syncagent_core::io::clients::collection(&offered, Some("default"));
        created(consumer.api.post(&path, &order).await);
        consumer.there(&offered, "a", things::synced).await;
        let copy = stage.copy(&consumer, &service, "a.config").await;
        assert_eq!(copy["data"], json!({"x": "1", "by": consumer.cluster}));
        consumer.delete(&offered, "a").await;
        gone(&stage.service, &service, &consumer.cluster, "a.config").await;
        gone(&consumer.api, &offered, "default", "a").await;
        stage.stop().await;
    });
}
