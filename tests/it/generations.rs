//! Definitions that change, come and go while the agent runs.

use serde_json::json;
use syncagent::Definition;
use syncagent_core::definition::{CopyNaming, SetRule};
use syncagent_core::runtime::{Definitions, Standing};

use crate::spent::{MINUTE, pass};
use crate::stage::{Stage, install, play, there};
use crate::things;
use crate::world::{World, change, eventually};

/// A plain thing on which the provider writes a note.
fn noted(name: &str, note: &str) -> Definition {
    Definition {
        set: vec![SetRule {
            at: "spec.note".into(),
            value: json!(note),
        }],
        ..things::plain(name)
    }
}

async fn stands(
    definitions: &Definitions,
    name: &str,
    right: impl Fn(&Standing) -> bool,
) -> Standing {
    eventually(&format!("{name} stands as it should"), || async {
        definitions.standing(name).filter(|it| right(it))
    })
    .await
}

#[test]
fn a_definition_is_replaced_while_the_agent_runs() {
    play(|| async {
        let thing = things::kind("Thing");
        let other = things::kind("Other");
        let mut stage = Stage::set(vec![noted("Thing", "old"), things::plain("Other")]).await;
        stage.export(&json!({})).await;
        let definitions = stage.drive();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        for name in ["a", "b"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
            assert_eq!(
                stage.copy(&consumer, &thing, name).await["spec"]["note"],
                "old"
            );
        }
        consumer.order(&other, "c", &json!({"size": 1})).await;
        consumer.there(&other, "c", things::synced).await;
        stage.calm().await;
        stage.forget();

        // Another note, and names for new orders only.
        let renamed = Definition {
            copy: CopyNaming {
                namespace: Some("{workspace}".into()),
                name: "x-{name}".into(),
            },
            ..noted("Thing", "new")
        };
        definitions.set(things::named("Thing"), renamed.clone());
        for name in ["a", "b"] {
            there(&stage.service, &thing, &consumer.cluster, name, |it| {
                it["spec"]["note"] == "new"
            })
            .await;
        }
        consumer.order(&thing, "d", &json!({"size": 4})).await;
        let placed = stage.copy(&consumer, &thing, "x-d").await;
        assert_eq!(placed["spec"], json!({"size": 4, "note": "new"}));
        stage.calm().await;
        // As after a restart: lists, and one write for each copy that differs. The other publication did nothing.
        let mut asked = stage.requests();
        asked.retain(|line| line.starts_with("service") && !line.contains("x-d"));
        // The orders follow in any order.
        asked[1..].sort();
        assert_eq!(
            asked,
            [
                "service list things",
                "service patch things a",
                "service patch things b",
            ]
        );

        // The same once more changes nothing.
        stage.forget();
        definitions.set(things::named("Thing"), renamed);
        stage.calm().await;
        stage.asked_exactly(&[]);
        stage.stop().await;
    });
}

#[test]
fn the_next_generation_waits_for_the_last_step_of_the_one_before() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![noted("Thing", "old")]).await;
        stage.export(&json!({})).await;
        let [_, service] = stage.lines();
        let definitions = stage.drive();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.forget();

        // A write of the old generation is under way and gets no answer for a while.
        service.stall_next(http::Method::PATCH, "/a");
        let path = things::path(&thing, "default", "a");
        change(&consumer.api, &path, &json!({"spec": {"size": 2}})).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        definitions.set(things::named("Thing"), noted("Thing", "new"));
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let lists = |asked: Vec<String>| asked.iter().any(|line| line == "service list things");
        assert!(
            !lists(stage.requests()),
            "two generations at once: {:?}",
            stage.requests()
        );

        there(&stage.service, &thing, &consumer.cluster, "a", |it| {
            it["spec"] == json!({"size": 2, "note": "new"})
        })
        .await;
        assert!(lists(stage.requests()));
        stage.stop().await;
    });
}

#[test]
fn a_removed_publication_stops_and_touches_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::taking("Thing")]).await;
        stage.export(&json!({})).await;
        let definitions = stage.drive();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("one", "x").await;
        let spec = json!({"size": 1, "first": {"name": "one"}});
        consumer.order(&thing, "a", &spec).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.forget();
        let export = stage.exported().await;

        assert!(definitions.remove(&things::named("Thing")));
        eventually("it does not stand any more", || async {
            definitions.standings().is_empty().then_some(())
        })
        .await;
        let path = things::path(&thing, "default", "a");
        change(&consumer.api, &path, &json!({"spec": {"size": 2}})).await;
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        stage.calm().await;
        stage.asked_exactly(&[]);
        assert_eq!(stage.copy(&consumer, &thing, "a").await["spec"]["size"], 1);
        assert_eq!(
            stage.exported().await["spec"],
            export["spec"],
            "the export goes on naming it"
        );
        let told = |what: &str| {
            let notices = stage.notices.lock().unwrap();
            notices.iter().any(|it| it.to_string().contains(what))
        };
        assert!(told("which nothing needs any more"));

        definitions.set("back", things::taking("Thing"));
        there(&stage.service, &thing, &consumer.cluster, "a", |it| {
            it["spec"]["size"] == 2
        })
        .await;
        consumer.there(&thing, "b", things::synced).await;
        stage.stop().await;
    });
}

#[test]
fn one_broken_publication_blocks_no_other() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        let good = stage.definitions.pop().unwrap();
        stage.export(&json!({})).await;
        let later = ["Thing", "Lossy", "Missing"].map(things::plain);
        stage.permit(&later).await;
        // It starts with nothing, and hears of problems as data.
        let definitions = stage.drive();
        definitions.set(
            "lossy",
            Definition {
                copy: CopyNaming {
                    namespace: Some("shared".into()),
                    name: "{name}".into(),
                },
                ..things::plain("Lossy")
            },
        );
        definitions.set("missing", things::plain("Missing"));
        definitions.set("good", good.clone());
        definitions.set("twice", good.clone());
        let lossy = stands(&definitions, "lossy", |it| !it.problems.is_empty()).await;
        assert!(!lossy.running && lossy.schema.is_none());
        let missing = stands(&definitions, "missing", |it| it.waits.is_some()).await;
        assert_eq!(
            missing.waits.as_deref(),
            Some(
                format!(
                    "waits for the service cluster to serve {}",
                    things::named("Missing")
                )
                .as_str()
            )
        );
        let twice = stands(&definitions, "twice", |it| !it.problems.is_empty()).await;
        assert_eq!(twice.problems[0].what, "it is published twice");
        let standing = stands(&definitions, "good", |it| it.running).await;
        assert!(standing.schema.is_some() && standing.problems.is_empty());
        stage.definitions = vec![good.clone()];
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;

        // A definition that becomes wrong leaves what runs running.
        let wrong = Definition {
            set: vec![SetRule {
                at: "spec.nonsense".into(),
                value: json!(1),
            }],
            ..good.clone()
        };
        definitions.set("good", wrong);
        let standing = stands(&definitions, "good", |it| !it.problems.is_empty()).await;
        assert!(standing.running);
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        consumer.there(&thing, "b", things::synced).await;
        definitions.set("good", good);
        stands(&definitions, "good", |it| it.problems.is_empty()).await;
        stage.stop().await;
    });
}

#[test]
fn a_kind_that_can_have_no_crd_is_asked_for_until_it_is_there() {
    play(|| async {
        let of_core = |name: &str| Definition {
            service: things::core(name),
            ..things::plain("Thing")
        };
        for (name, served) in [("ConfigMap", true), ("Gadget", false)] {
            let mut stage = Stage::set(vec![]).await;
            stage.definitions.push(of_core(name));
            stage.export(&json!({})).await;
            let it = stage.definitions.remove(0);
            let definitions = stage.drive();
            definitions.set("it", it);
            let standing = stands(&definitions, "it", |it| it.running || it.waits.is_some()).await;
            assert_eq!(standing.running, served, "{name}");
            stage.calm().await;
            stage.forget();
            pass(MINUTE * 2).await;
            if stage.counts() {
                let all = stage.requests();
                let asked = all
                    .iter()
                    .filter(|it| it.starts_with("service get"))
                    .count();
                let least = usize::from(!World::is_real());
                let bounds = if served { 0..=0 } else { least..=10 };
                assert!(bounds.contains(&asked), "{name}: {all:#?}");
            }
            stage.stop().await;
        }
    });
}

#[test]
fn a_kind_that_is_missing_is_waited_for_while_others_run() {
    play(|| async {
        let (thing, other) = (things::kind("Thing"), things::kind("Other"));
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        stage.definitions.push(things::plain("Other"));
        stage.export(&json!({})).await;
        stage.start();
        let late = stage.definitions.pop().unwrap();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        let name = things::named("Other");
        let told = format!("{name}: waits for the service cluster to serve {name}");
        let notices: Vec<_> = stage
            .notices
            .lock()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            notices.iter().filter(|it| **it == told).count(),
            1,
            "{notices:#?}"
        );
        stage.forget();
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
        if stage.counts() {
            let asked = stage.requests().len();
            assert!(asked <= 20, "{asked} requests in two minutes of waiting");
        }

        install(&stage.service, &things::service_crd(&other)).await;
        stage.definitions.push(late);
        stage.filled().await;
        eventually("the workspace serves the new kind", || async {
            let path = things::collection(&other);
            consumer
                .api
                .get(&path)
                .await
                .unwrap()
                .is_success()
                .then_some(())
        })
        .await;
        consumer.order(&other, "b", &json!({"size": 1})).await;
        consumer.there(&other, "b", things::synced).await;
        stage.stop().await;
    });
}

#[test]
fn a_definition_that_breaks_objects_leaves_the_one_before_running() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![noted("Thing", "old")]).await;
        stage.export(&json!({})).await;
        let definitions = stage.drive();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        let before = stands(&definitions, &things::named("Thing"), |it| it.running).await;

        let mut crd = things::crd(&thing);
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["required"] =
            json!(["size"]);
        let mut strict = noted("Thing", "new");
        strict.schema = syncagent_core::definition::SchemaSource::Type(crd);
        definitions.set(things::named("Thing"), strict.clone());
        let held = stands(&definitions, &things::named("Thing"), |it| {
            !it.held_back.is_empty()
        })
        .await;
        assert_eq!(
            held.held_back[0].to_string(),
            "v1: spec.size: the field becomes required"
        );
        assert!(held.running);
        assert_eq!(held.schema, before.schema);
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        consumer.there(&thing, "b", things::synced).await;
        for name in ["a", "b"] {
            assert_eq!(
                stage.copy(&consumer, &thing, name).await["spec"]["note"],
                "old"
            );
        }

        strict.policy.breaking_changes = syncagent_core::definition::BreakingChanges::Allow;
        definitions.set(things::named("Thing"), strict);
        for name in ["a", "b"] {
            there(&stage.service, &thing, &consumer.cluster, name, |it| {
                it["spec"]["note"] == "new"
            })
            .await;
        }
        let now = stands(&definitions, &things::named("Thing"), |it| {
            it.held_back.is_empty()
        })
        .await;
        assert_ne!(now.schema, before.schema);
        stage.stop().await;
    });
}
