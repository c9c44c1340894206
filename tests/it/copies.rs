//! Where copies are, whose they are, and what becomes of them.

use serde_json::{Value, json};
use syncagent::Notice;
use syncagent_core::definition::{CopyNaming, FieldRule, Leaving, Loss, Rule};

use crate::stage::{EXPORT, Stage, gone, play, there};
use crate::things;
use crate::world::{Workspace, World, change, created, eventually, skipped_for, status};

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
            // Who refers to an order goes first.
            consumer.delete(&user, name).await;
            gone(&consumer.api, &user, "default", name).await;
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
            let owner = json!({"apiVersion": format!("{}/v1", thing.group), "kind": "Thing", "name": name,
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

/// How many copies are left.
async fn left(stage: &Stage) -> usize {
    let path = things::collection(&things::kind("Thing"));
    let list = stage.service.get(&path).await.unwrap().body;
    list["items"].as_array().map_or(0, Vec::len)
}

#[test]
fn too_many_deletions_wait_for_a_persons_word() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        stage.limit = Some(3);
        stage.stop().await;
        stage.start();
        let consumer = stage.consumer("consumer").await;
        for n in 0..8 {
            let name = format!("t{n}");
            consumer.order(&thing, &name, &json!({"size": 1})).await;
            consumer.there(&thing, &name, things::synced).await;
        }
        for n in 0..8 {
            consumer.delete(&thing, &format!("t{n}")).await;
        }
        stage.calm().await;
        assert_eq!(left(&stage).await, 5);
        let remedy = {
            let notices = stage.notices.lock().unwrap();
            let told: Vec<_> = notices
                .iter()
                .filter_map(|it| match it {
                    Notice::Paused { limit, remedy } => Some((*limit, remedy.clone())),
                    _ => None,
                })
                .collect();
            assert_eq!(told.len(), 1);
            told.into_iter().next().unwrap()
        };
        assert_eq!(remedy.0, 3);
        let typed = format!("kubectl annotate apiexport {EXPORT} syncagent.kcp.io/retire-until=");
        assert!(remedy.1.starts_with(&typed), "{}", remedy.1);

        // Everything else goes on.
        consumer.order(&thing, "new", &json!({"size": 1})).await;
        consumer.there(&thing, "new", things::synced).await;

        // Neither time nor a restart is a person's word.
        tokio::time::sleep(std::time::Duration::from_secs(if World::is_real() {
            3
        } else {
            300
        }))
        .await;
        stage.stop().await;
        stage.start();
        stage.calm().await;
        assert_eq!(left(&stage).await, 6);
        let export = stage.exported().await;
        let paused = &export["metadata"]["annotations"]["syncagent.kcp.io/retirements-paused"];
        assert!(paused.is_string(), "{export:#}");

        // What the notice says to type.
        let until = remedy
            .1
            .strip_prefix(&typed)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let word = json!({"metadata": {"annotations": {"syncagent.kcp.io/retire-until": until}}});
        let path = format!("/apis/apis.kcp.io/v1alpha2/apiexports/{EXPORT}");
        change(&stage.provider.api, &path, &word).await;
        for n in 0..8 {
            gone(&consumer.api, &thing, "default", &format!("t{n}")).await;
        }
        assert_eq!(left(&stage).await, 1);
        eventually("the export does not say so any more", || async {
            let export = stage.exported().await;
            let annotations = &export["metadata"]["annotations"];
            annotations["syncagent.kcp.io/retirements-paused"]
                .is_null()
                .then_some(())
        })
        .await;
        stage.stop().await;
    });
}

#[test]
fn a_program_may_speak_for_a_person() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        stage.limit = Some(1);
        stage.stop().await;
        stage.start();
        let brake = stage.brake.clone().unwrap();
        let consumer = stage.consumer("consumer").await;
        for name in ["a", "b", "c"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        for name in ["a", "b", "c"] {
            consumer.delete(&thing, name).await;
        }
        eventually("the brake is on", || async { brake.on_since().map(drop) }).await;
        stage.calm().await;
        assert_eq!(left(&stage).await, 2);
        brake.release(std::time::Duration::from_secs(60));
        for name in ["a", "b", "c"] {
            gone(&consumer.api, &thing, "default", name).await;
        }
        assert!(brake.on_since().is_none());
        stage.stop().await;
    });
}

#[test]
fn a_workspace_may_unbind_and_leave_its_copies() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut definition = things::taking("Thing");
        definition.policy.losses.unbound = Loss::Report;
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("pw", "x").await;
        let spec = json!({"size": 1, "first": {"name": "pw"}});
        for name in ["a", "b"] {
            consumer.order(&thing, name, &spec).await;
            consumer.there(&thing, name, things::synced).await;
        }
        // What the consumer deletes is deleted, whatever is said about unbinding.
        consumer.delete(&thing, "b").await;
        gone(&stage.service, &thing, &consumer.cluster, "b").await;
        stage.calm().await;

        let binding = "/apis/apis.kcp.io/v1alpha2/apibindings/things";
        assert!(
            consumer
                .api
                .delete(binding, &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        eventually("the binding is gone", || async {
            (consumer.api.get(binding).await.unwrap().code == 404).then_some(())
        })
        .await;
        stage.calm().await;
        let uid = stage.copy(&consumer, &thing, "a").await["metadata"]["uid"].clone();
        stage
            .copy(&consumer, &things::core("Secret"), "pw.taken")
            .await;
        let free = |object: &Value| object["metadata"].get("finalizers").is_none();
        consumer.there(&things::core("Secret"), "pw", free).await;
        // It is listed as an orphan, also after a restart.
        let orphan = |stage: &Stage| {
            let stuck = stage.stuck();
            stuck.iter().any(|it| it.why.contains("is an orphan"))
        };
        assert!(orphan(&stage));
        stage.stop().await;
        // Another workspace keeps the export's endpoint alive.
        stage.consumer("other").await;
        stage.start();
        eventually("it is listed again", || async {
            orphan(&stage).then_some(())
        })
        .await;
        stage.calm().await;
        stage.copy(&consumer, &thing, "a").await;

        // Who comes back finds it.
        let workspace = Workspace {
            cluster: consumer.cluster.clone(),
            canonical: String::new(),
            url: String::new(),
            path: String::new(),
            api: consumer.api.clone(),
        };
        let consumer = stage.bound(workspace).await;
        consumer.order(&thing, "a", &spec).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        assert_eq!(
            stage.copy(&consumer, &thing, "a").await["metadata"]["uid"],
            uid
        );
        assert!(!orphan(&stage));
        stage.stop().await;
    });
}

#[test]
fn what_is_held_for_no_order_is_let_go() {
    play(|| async {
        if World::is_real() {
            return skipped_for(
                "a sweep comes every few minutes",
                "it would take an agent that can be told to sweep",
            );
        }
        let (thing, secret) = (things::kind("Thing"), things::core("Secret"));
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        for name in ["needed", "leaked"] {
            consumer.secret(name, "x").await;
        }
        let spec = json!({"size": 1, "first": {"name": "needed"}});
        consumer.order(&thing, "a", &spec).await;
        consumer.there(&thing, "a", things::synced).await;
        let held = |object: &Value| object["metadata"]["finalizers"].clone();
        let ours = held(
            &consumer
                .there(&secret, "needed", |it| !held(it).is_null())
                .await,
        );
        // What a crash between two writes leaves behind.
        let path = things::path(&secret, "default", "leaked");
        let both = json!(["somebody/else", ours[0]]);
        let leak = json!({"metadata": {"finalizers": both}});
        change(&consumer.api, &path, &leak).await;
        for restarted in [false, true] {
            if restarted {
                change(&consumer.api, &path, &leak).await;
                stage.stop().await;
                stage.start();
            }
            stage.calm().await;
            stage.forget();
            tokio::time::sleep(std::time::Duration::from_secs(1200)).await;
            let left = consumer.get(&secret, "leaked").await.body;
            assert_eq!(held(&left), json!(["somebody/else"]));
            assert_eq!(held(&consumer.get(&secret, "needed").await.body), ours);
            let patches = stage.requests();
            let patches = patches.iter().filter(|line| line.contains("patch"));
            assert_eq!(patches.collect::<Vec<_>>(), ["kcp patch secrets leaked"]);
        }
        stage.stop().await;
    });
}
