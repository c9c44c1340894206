//! What an agent shows of itself: what it would do, what does not get on, what it counts.

use serde_json::json;
use syncagent::{Definition, Hands, Notice};
use syncagent_core::definition::SchemaSource;

use crate::stage::{Stage, play};
use crate::things;
use crate::world::{change, eventually, skipped};

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
        stage.calm().await;
        let text = stage.handle.as_ref().unwrap().metrics();
        let publication = format!("publication={:?}", things::named("Thing"));
        for line in [
            format!("syncagent_effects_total{{{publication},effect=\"hold\",outcome=\"done\"}} 2"),
            format!("syncagent_effects_total{{{publication},effect=\"place\",outcome=\"done\"}} 2"),
            format!("syncagent_lag_seconds_count{{{publication},direction=\"down\"}} 2"),
            "syncagent_orders 2".to_owned(),
            "syncagent_waiting 0".to_owned(),
            "syncagent_stuck 0".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
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
