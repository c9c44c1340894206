//! What an agent shows of itself: what it would do, what does not get on, what it counts.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use syncagent::{Definition, Hands, Notice};
use syncagent_core::definition::{Events, SchemaSource};

use crate::stage::{Stage, play, there};
use crate::things;
use crate::world::{World, change, eventually, skipped, status};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

#[test]
fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["changed", "deleted", "settled"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            stage.copy(&consumer, &thing, name).await;
        }
        stage.calm().await;
        stage.stop().await;
        change(
            &consumer.api,
            &things::path(&thing, "default", "changed"),
            &json!({"spec": {"size": 2}}),
        )
        .await;
        consumer.delete(&thing, "deleted").await;
        consumer.order(&thing, "new", &json!({"size": 1})).await;
        stage.notices.lock().unwrap().clear();
        stage.forget();

        let exit = stage.agent().dry_run().run().await;
        assert!(exit.is_stopped());

        let mut planned = Vec::new();
        for notice in stage.notices.lock().unwrap().iter() {
            match notice {
                Notice::Planned { order, plan } => {
                    let first = plan.lines().next().unwrap_or_default();
                    let mut words = first.split(' ').skip(1);
                    let because = first.split("because ").nth(1).unwrap_or_default();
                    let what = words.next().unwrap_or_default();
                    planned.push(format!("{} {what}: {because}", order.name));
                }
                Notice::ExportPlanned { schemas, .. } => assert_eq!(*schemas, None),
                _ => {}
            }
        }
        planned.sort();
        assert_eq!(
            planned,
            [
                "changed refresh: the order changed",
                "deleted retire: the order is gone or being deleted",
                "new hold: nothing is placed before the order is held",
            ]
        );
        if !stage.counts() {
            skipped("requests are counted, and a server keeps no audit log that we know");
        } else {
            let mut writes = stage.requests();
            writes.retain(|line| !line.contains(" get ") && !line.contains(" list "));
            assert_eq!(writes, Vec::<String>::new());
        }
    });
}

/// What has not been looked at is not said to be as it should be.
#[test]
fn a_dry_run_waits_for_a_service_cluster_that_takes_its_time() {
    play(|| async {
        let definition = Definition {
            schema: SchemaSource::Cluster,
            ..things::plain("Thing")
        };
        let mut stage = Stage::set(vec![definition]).await;
        stage.export(&json!({})).await;
        let [_, service] = stage.lines();
        service.stall_next(http::Method::GET, "/customresourcedefinitions");
        let exit = stage.agent().dry_run().run().await;
        assert!(exit.is_stopped());
        let notices = stage.notices.lock().unwrap();
        let planned = notices.iter().filter_map(|it| match it {
            Notice::ExportPlanned { schemas, .. } => schemas.clone(),
            _ => None,
        });
        let planned: Vec<String> = planned.flatten().collect();
        let of = format!(".{}", things::named("Thing"));
        assert!(
            planned.len() == 1 && planned[0].ends_with(&of),
            "{notices:#?}"
        );
    });
}

#[test]
fn a_dry_run_tells_the_consumer_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let (mut stage, [kcp, _]) = Stage::over_lines(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("second", "x").await;
        for (name, secret) in [("a", "missing"), ("b", "second")] {
            let spec = json!({"size": 1, "first": {"name": secret}});
            consumer.order(&thing, name, &spec).await;
        }
        stage.calm().await;
        stage.stop().await;
        let secret = things::path(&things::core("Secret"), "default", "second");
        change(
            &consumer.api,
            &secret,
            &json!({"stringData": {"password": "y"}}),
        )
        .await;
        // The other order keeps it long enough for whatever would be said to be sent.
        kcp.stall_next(http::Method::GET, "/second");
        stage.forget();
        let exit = stage.agent().dry_run().run().await;
        assert!(exit.is_stopped());
        assert_eq!(stage.events(), [""; 0]);
    });
}

#[test]
fn an_order_that_does_not_get_on_is_listed_until_it_does() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("second", "x").await;
        let spec = json!({"first": {"name": "first"}, "second": {"name": "second"}});
        consumer.order(&thing, "a", &spec).await;
        let handle = stage.handle.clone().unwrap();
        let stuck = eventually("the order is stuck", || async { handle.stuck().pop() }).await;
        assert_eq!(stuck.order.name, "a");
        assert_eq!(stuck.order.cluster, consumer.cluster);
        assert_eq!(stuck.hands, Hands::Consumer);
        assert_eq!(stuck.why, "waiting for a Secret of the consumer");
        assert!(!stuck.since.is_empty());

        consumer.secret("first", "x").await;
        eventually("it gets on", || async {
            handle.stuck().is_empty().then_some(())
        })
        .await;
        stage.stop().await;
    });
}

#[test]
fn effects_and_lags_are_counted() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["a", "b"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            stage.copy(&consumer, &thing, name).await;
        }
        let copy = things::path(&thing, &consumer.cluster, "a");
        status(&stage.service, &copy, &json!({"phase": "up"})).await;
        consumer
            .there(&thing, "a", |it| it["status"]["phase"] == "up")
            .await;
        consumer
            .order(&thing, "large", &json!({"size": 1000}))
            .await;
        consumer
            .there(&thing, "large", |it| {
                things::condition(it)["status"] == "False"
            })
            .await;
        stage.calm().await;
        let text = stage.handle.as_ref().unwrap().metrics();
        let publication = format!("publication={:?}", things::named("Thing"));
        for line in [
            format!("syncagent_effects_total{{{publication},effect=\"hold\",outcome=\"done\"}} 3"),
            format!("syncagent_effects_total{{{publication},effect=\"place\",outcome=\"done\"}} 2"),
            format!("syncagent_lag_seconds_count{{{publication},direction=\"down\"}} 2"),
            format!("syncagent_effects_total{{{publication},effect=\"place\",outcome=\"done\"}} 2"),
            "syncagent_orders 3".to_owned(),
            "syncagent_waiting 0".to_owned(),
            "syncagent_stuck 1".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        // How often exactly news came up depends on which of it came together.
        for start in [
            format!("syncagent_lag_seconds_count{{{publication},direction=\"up\"}} "),
            format!(
                "syncagent_effects_total{{{publication},effect=\"reflect\",outcome=\"done\"}} "
            ),
        ] {
            let found = text.lines().find_map(|it| it.strip_prefix(&start));
            let count: u64 = found.map_or(0, |it| it.parse().unwrap());
            assert!(count >= 2, "{start} in\n{text}");
        }
        let refused =
            format!("syncagent_effects_total{{{publication},effect=\"place\",outcome=\"done\"}} 3");
        assert!(!text.contains(&refused), "what was refused is not done");
        stage.stop().await;
    });
}

/// Events of the log, by their fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
        }
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let level = event.metadata().level().to_string();
        fields.0.insert("level".into(), level);
        self.0.lock().unwrap().push(fields.0);
    }
}

#[test]
fn every_decision_is_logged_with_its_object_workspace_and_publication() {
    play(|| async {
        // With a single subscriber in the process, a place that another test comes to first is asked of that test's
        // thread alone, which has none, and is never of interest to anybody.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let log = Log::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        let all = log.0.lock().unwrap().clone();
        let publication = things::named("Thing");
        for (what, about) in [
            // What was decided and why, and each thing that was done.
            ("would place service: ", "Thing a in default"),
            (" because ", "Thing a in default"),
            ("place service: ", "/a"),
        ] {
            let found = all.iter().find(|it| {
                it.get("message").is_some_and(|it| it.contains(what))
                    && it.get("publication") == Some(&publication)
                    && it.get("workspace") == Some(&consumer.cluster)
                    && it.get("object").is_some_and(|it| it.contains(about))
            });
            let found = found.unwrap_or_else(|| panic!("{what}: {all:#?}"));
            assert_eq!(found["level"], "DEBUG");
        }
        stage.stop().await;
    });
}

#[test]
fn a_consumer_hears_of_success_once_and_of_troubles_when_they_change() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("second", "x").await;
        let spec = json!({"first": {"name": "first"}, "second": {"name": "second"}});
        consumer.order(&thing, "a", &spec).await;
        let path = "/api/v1/namespaces/default/events";
        let said = || async {
            let events = consumer.api.get(path).await.unwrap().body;
            let mut said: Vec<String> = events["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|it| it["involvedObject"]["name"] == "a")
                .map(|it| {
                    let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
                    format!("{} {}: {}", text("type"), text("reason"), text("message"))
                })
                .collect();
            said.sort();
            said
        };
        let wanted = [
            "Normal ObjectPlaced: the order is at the service",
            "Warning WaitingForSecret: waiting for the Secret \"first\"",
        ];
        eventually("both were said", || async {
            (said().await == wanted).then_some(())
        })
        .await;
        // A restart does not repeat them, and what is well is not said.
        stage.stop().await;
        stage.start();
        consumer.secret("first", "x").await;
        let handle = stage.handle.clone().unwrap();
        eventually("it gets on", || async {
            let carried = handle.metrics().contains("effect=\"take\"");
            (carried && handle.stuck().is_empty()).then_some(())
        })
        .await;
        stage.calm().await;
        assert_eq!(said().await, wanted);
        stage.stop().await;
    });
}

#[test]
fn what_is_said_again_is_counted_on_the_event_that_is_there() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut all = things::plain("Thing");
        all.policy.events = Events::All;
        let mut stage = Stage::running(vec![all]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "a").await;
        let path = "/api/v1/namespaces/default/events";
        let synced = || async {
            let events = consumer.api.get(path).await.unwrap().body;
            let items = events["items"].as_array().cloned().unwrap_or_default();
            let mut synced = items
                .into_iter()
                .filter(|it| it["reason"] == "ObjectSynced" && it["involvedObject"]["name"] == "a");
            let one = synced.next();
            assert_eq!(synced.next(), None, "it is one event");
            one
        };
        let change_to = async |stage: &Stage, size: usize| {
            let order = things::path(&thing, "default", "a");
            change(&consumer.api, &order, &json!({"spec": {"size": size}})).await;
            let ns = &consumer.cluster;
            there(&stage.service, &thing, ns, "a", |it| {
                it["spec"]["size"] == size
            })
            .await;
        };
        stage.calm().await;
        stage.forget();
        for size in 2..=4 {
            change_to(&stage, size).await;
            stage.calm().await;
        }
        let first = eventually("it is said", synced).await;
        assert_eq!(first["count"], 1, "the others come with a later one");
        if stage.counts() {
            assert_eq!(stage.events().len(), 1, "{:?}", stage.events());
        }
        if World::is_real() {
            skipped("five minutes pass before a count is shown, and here time is real");
            stage.stop().await;
            return;
        }

        let minutes = |n: u64| tokio::time::sleep(Duration::from_secs(60 * n));
        let name = first["metadata"]["name"].as_str().unwrap().to_owned();
        let event = format!("{path}/{name}");
        let long_ago = json!({"lastTimestamp": "2020-01-01T00:00:00Z"});
        change(&consumer.api, &event, &long_ago).await;
        minutes(5).await;
        change_to(&stage, 5).await;
        stage.calm().await;
        let second = synced().await.unwrap();
        assert_eq!(second["count"], 4, "all are counted: {second}");
        assert_ne!(second["lastTimestamp"], long_ago["lastTimestamp"]);
        assert_eq!(second["firstTimestamp"], first["firstTimestamp"]);

        // The next agent does not know how often it was said, but that it was.
        stage.stop().await;
        change(&consumer.api, &event, &long_ago).await;
        stage.start();
        stage.calm().await;
        change_to(&stage, 6).await;
        stage.calm().await;
        let third = synced().await.unwrap();
        assert_eq!(third["count"], 4);
        assert_ne!(third["lastTimestamp"], long_ago["lastTimestamp"]);
        stage.forget();
        change_to(&stage, 7).await;
        stage.calm().await;
        assert_eq!(stage.events(), [""; 0], "it is counted here, too");

        // A server lets go of events after a while.
        let gone = consumer.api.delete(&event, &json!({})).await;
        assert!(gone.unwrap().is_success());
        minutes(5).await;
        change_to(&stage, 8).await;
        stage.calm().await;
        assert_eq!(synced().await.unwrap()["count"], 1);
        stage.stop().await;
    });
}

#[test]
fn without_the_claim_nothing_is_said_and_nothing_else_is_missing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer_that("consumer", |it| it != "events").await;
        for name in ["a", "b", "c"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            stage.copy(&consumer, &thing, name).await;
        }
        stage.calm().await;
        if !stage.counts() {
            skipped("requests are counted, and a server keeps no audit log that we know");
        } else {
            assert_eq!(stage.events().len(), 1, "{:?}", stage.events());
        }
        stage.stop().await;
    });
}
