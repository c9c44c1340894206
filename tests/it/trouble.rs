//! Orders and definitions that cannot work as they are, and what their owners are told.

use serde_json::json;

use crate::spent::Spent;
use crate::stage::{Stage, play, there};
use crate::things;
use crate::world::{change, created};

#[test]
fn every_problem_is_told_at_once_and_nothing_is_started() {
    play(|| async {
        let mut first = things::plain("Thing");
        // Two consumers could get one name; and the service's type has no such fields.
        first.copy.namespace = Some("shared".into());
        let mut second = things::plain("Other");
        second.status = syncagent_core::definition::StatusRule::Fields(vec![
            syncagent_core::definition::StatusField {
                path: "status.phase".into(),
                source: syncagent_core::definition::StatusSource::At("status.nonsense".into()),
            },
        ]);
        second.set.push(syncagent_core::definition::SetRule {
            at: "spec.missing".into(),
            value: json!("x"),
        });

        // What can be known without a server.
        let stage = Stage::set(vec![first, second.clone()]).await;
        let exit = stage.agent().run().await;
        assert!(!exit.problems().is_empty(), "{exit}");
        assert!(exit.to_string().contains(&things::named("Thing")), "{exit}");

        // What only the service cluster knows.
        let mut stage = stage;
        stage.definitions = vec![things::plain("Thing"), second];
        stage.export(&json!({})).await;
        let exit = stage.agent().run().await;
        let problems = exit.problems().join("\n");
        assert!(problems.contains("status.nonsense"), "{problems}");
        assert!(problems.contains("spec.missing"), "{problems}");
        assert_eq!(
            stage.exported().await["spec"].get("resources"),
            None,
            "never half-started"
        );
    });
}

#[test]
fn a_rejected_order_tells_its_consumer_which_field_and_is_tried_when_it_changes() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1000})).await;
        let order = consumer
            .there(&thing, "a", |o| things::condition(o)["status"] == "False")
            .await;
        let condition = things::condition(&order);
        let message = condition["message"].as_str().unwrap();
        assert!(message.contains("spec.size"), "{message}");
        assert!(message.contains("100"), "{message}");
        assert!(
            !message.contains(&consumer.cluster),
            "no service-side names: {message}"
        );
        stage.calm().await;
        stage.forget();
        stage.calm().await;
        stage.asked_exactly(&[]);

        let path = things::path(&thing, "default", "a");
        change(&consumer.api, &path, &json!({"spec": {"size": 10}})).await;
        assert_eq!(stage.copy(&consumer, &thing, "a").await["spec"]["size"], 10);
        consumer.there(&thing, "a", things::synced).await;
        stage.stop().await;
    });
}

#[test]
fn a_missing_secret_is_waited_for_and_picked_up() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "first": {"name": "one"}}))
            .await;
        let order = consumer
            .there(&thing, "a", |o| things::condition(o)["status"] == "False")
            .await;
        let message = things::condition(&order)["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains("one"), "{message}");
        stage.calm().await;
        if !crate::world::World::is_real() {
            // What is missing is not asked for: its arrival is heard of.
            Spent::over(&stage, 10).await.at_most(11);
        }

        consumer.secret("one", "x").await;
        consumer.there(&thing, "a", things::synced).await;
        let secret = things::core("Secret");
        let taken = there(
            &stage.service,
            &secret,
            &consumer.cluster,
            "one.taken",
            |_| true,
        )
        .await;
        assert_eq!(taken["type"], "kubernetes.io/basic-auth");
        assert_eq!(taken["data"]["password"], "eA==");
        let copy = stage.copy(&consumer, &thing, "a").await;
        assert_eq!(copy["spec"]["first"]["name"], "one.taken");
        stage.stop().await;
    });
}

#[test]
fn an_object_of_somebody_else_is_left_alone_and_reported() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        created(
            stage
                .service
                .post(
                    "/api/v1/namespaces",
                    &json!({"apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": consumer.cluster}}),
                )
                .await,
        );
        let foreign = things::order(&thing, "a", &json!({"size": 7}));
        let at = syncagent_core::io::clients::collection(&thing, Some(&consumer.cluster));
        let mut foreign = foreign;
        foreign["metadata"]["namespace"] = consumer.cluster.as_str().into();
        let foreign = created(stage.service.post(&at, &foreign).await);

        consumer.order(&thing, "a", &json!({"size": 1})).await;
        let order = consumer
            .there(&thing, "a", |o| things::condition(o)["status"] == "False")
            .await;
        let message = things::condition(&order)["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(!message.contains(&consumer.cluster), "{message}");
        stage.calm().await;
        let now = stage.copy(&consumer, &thing, "a").await;
        assert_eq!(
            now["metadata"]["resourceVersion"],
            foreign["metadata"]["resourceVersion"]
        );
        if !crate::world::World::is_real() {
            Spent::over(&stage, 10).await.at_most(12);
            // When it is out of the way a second look finds out, some minutes later.
            let at = things::path(&thing, &consumer.cluster, "a");
            assert!(
                stage
                    .service
                    .delete(&at, &json!({}))
                    .await
                    .unwrap()
                    .is_success()
            );
            tokio::time::sleep(std::time::Duration::from_secs(301)).await;
            consumer.there(&thing, "a", things::synced).await;
            assert_eq!(stage.copy(&consumer, &thing, "a").await["spec"]["size"], 1);
        }
        let refused = |n: &syncagent::Notice| matches!(n, syncagent::Notice::Refused { .. });
        assert!(stage.notices.lock().unwrap().iter().any(refused));
        stage.stop().await;
    });
}
