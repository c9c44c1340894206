//! Where copies are, whose they are, and what becomes of them.

use serde_json::{Value, json};
use syncagent::Notice;
use syncagent_core::definition::{CopyNaming, FieldRule, Leaving, Rule};

use crate::stage::{Stage, gone, play, there};
use crate::things;
use crate::world::{change, created, eventually, status};

#[test]
fn a_changed_naming_applies_to_new_orders_only() {
    play(|| async {
        let (thing, user) = (things::kind("Thing"), things::kind("User"));
        let mut users = things::plain("User");
        users.fields.push(FieldRule {
            path: "spec.first".into(),
            rule: Rule::RefersTo {
                offered: thing.clone(),
                name_at: Some("name".into()),
            },
        });
        let mut stage = Stage::running(vec![things::taking("Thing"), users]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("pw", "x").await;
        let spec = json!({"size": 1, "second": {"name": "pw"}});
        consumer.order(&thing, "old", &spec).await;
        consumer.there(&thing, "old", things::synced).await;
        stage.calm().await;
        stage.stop().await;

        stage.definitions[0].copy = CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}-two".into(),
        };
        stage.forget();
        stage.start();
        stage.calm().await;
        let writes = stage.requests();
        let writes: Vec<_> = writes
            .iter()
            .filter(|line| {
                ["patch", "create", "delete"]
                    .iter()
                    .any(|verb| line.contains(verb))
            })
            .collect();
        assert_eq!(writes, Vec::<&String>::new());

        // New orders have new names, the old one keeps its own, and others refer to both as they are.
        consumer.order(&thing, "new", &json!({"size": 2})).await;
        stage.copy(&consumer, &thing, "new-two").await;
        for (name, copy) in [("old", "old"), ("new", "new-two")] {
            let spec = json!({"first": {"name": name}});
            consumer.order(&user, name, &spec).await;
            let referring = stage.copy(&consumer, &user, name).await;
            assert_eq!(referring["spec"]["first"]["name"], copy);
        }
        let path = things::path(&thing, "default", "old");
        change(&consumer.api, &path, &json!({"spec": {"size": 7}})).await;
        there(&stage.service, &thing, &consumer.cluster, "old", |c| {
            c["spec"]["size"] == 7
        })
        .await;
        let at = things::path(&thing, &consumer.cluster, "old");
        status(&stage.service, &at, &json!({"phase": "ready"})).await;
        consumer
            .there(&thing, "old", |o| o["status"]["phase"] == "ready")
            .await;

        // When somebody deletes it, it is made anew under the new name, and those who refer to it follow.
        assert!(
            stage
                .service
                .delete(&at, &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        stage.copy(&consumer, &thing, "old-two").await;
        there(&stage.service, &user, &consumer.cluster, "old", |c| {
            c["spec"]["first"]["name"] == "old-two"
        })
        .await;
        for name in ["old", "new"] {
            consumer.delete(&thing, name).await;
            gone(&consumer.api, &thing, "default", name).await;
            gone(
                &stage.service,
                &thing,
                &consumer.cluster,
                &format!("{name}-two"),
            )
            .await;
        }
        stage.stop().await;
    });
}

#[test]
fn a_duplicated_copy_is_reported_and_left_alone() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        let mut twin = stage.copy(&consumer, &thing, "a").await;
        let labels = twin["metadata"]["labels"].clone();
        let annotations = twin["metadata"]["annotations"].clone();
        twin["metadata"] = json!({"name": "twin", "labels": labels, "annotations": annotations});
        // Timestamps have seconds: let it be younger.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        let path = syncagent_core::io::clients::collection(&thing, Some(&consumer.cluster));
        let twin = created(stage.service.post(&path, &twin).await);
        eventually("it is reported", || async {
            let notices = stage.notices.lock().unwrap();
            let told =
                |it: &Notice| matches!(it, Notice::Refused { why, .. } if why.contains("/twin "));
            notices.iter().any(told).then_some(())
        })
        .await;
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"size": 5}})).await;
        there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["size"] == 5
        })
        .await;
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        gone(&stage.service, &thing, &consumer.cluster, "a").await;
        stage.calm().await;
        assert_eq!(stage.copy(&consumer, &thing, "twin").await, twin);
        stage.stop().await;
    });
}

#[test]
fn namespaces_that_lose_their_label_let_go_of_their_orders() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut definition = things::taking("Thing");
        definition.only.namespace_selector.labels = vec![("tier".into(), "gold".into())];
        definition.policy.leaving = Leaving::Retire;
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        // Nothing is offered before the namespace is labelled.
        consumer.secret("pw", "x").await;
        let spec = json!({"size": 1, "first": {"name": "pw"}});
        stage.calm().await;
        stage.forget();
        consumer.order(&thing, "a", &spec).await;
        stage.calm().await;
        assert_eq!(stage.requests(), Vec::<String>::new());
        let namespace = "/api/v1/namespaces/default";
        let gold = json!({"metadata": {"labels": {"tier": "gold"}}});
        change(&consumer.api, namespace, &gold).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.copy(&consumer, &thing, "a").await;
        stage.calm().await;
        // The label goes while the agent is away.
        stage.stop().await;
        let none = json!({"metadata": {"labels": {"tier": null}}});
        change(&consumer.api, namespace, &none).await;
        stage.start();
        gone(&stage.service, &thing, &consumer.cluster, "a").await;
        let free = |object: &Value| object["metadata"].get("finalizers").is_none();
        let order = consumer.there(&thing, "a", free).await;
        assert_eq!(things::condition(&order)["reason"], "NotSelected");
        consumer.there(&things::core("Secret"), "pw", free).await;
        change(&consumer.api, namespace, &gold).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.copy(&consumer, &thing, "a").await;
        stage.stop().await;
    });
}

#[test]
fn in_the_foreground_dependents_go_first_and_orphans_stay() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for (name, word) in [("whole", "foreground"), ("parted", "orphan")] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            let order = things::path(&thing, "default", name);
            let asked = json!({"metadata": {"annotations": {
                "syncagent.kcp.io/deletion-propagation-policy": word}}});
            change(&consumer.api, &order, &asked).await;
            let copy = stage.copy(&consumer, &thing, name).await;
            assert!(
                !copy["metadata"]["annotations"]
                    .to_string()
                    .contains("propagation")
            );
            let owner = json!({"apiVersion": "example.io/v1", "kind": "Thing", "name": name,
                "uid": copy["metadata"]["uid"], "blockOwnerDeletion": true});
            let dependent = json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "ownerReferences": [owner]}});
            let path = format!("/api/v1/namespaces/{}/secrets", consumer.cluster);
            created(stage.service.post(&path, &dependent).await);
            stage.calm().await;
            consumer.delete(&thing, name).await;
            gone(&consumer.api, &thing, "default", name).await;
        }
        let at = |name: &str| format!("/api/v1/namespaces/{}/secrets/{name}", consumer.cluster);
        // Whoever sees the order gone knows that nothing is left, or that all of it is.
        assert_eq!(stage.service.get(&at("whole")).await.unwrap().code, 404);
        let left = stage.service.get(&at("parted")).await.unwrap();
        assert_eq!(
            (left.code, left.body["metadata"].get("ownerReferences")),
            (200, None)
        );
        stage.stop().await;
    });
}
