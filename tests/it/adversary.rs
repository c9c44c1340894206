//! A hostile consumer, and agents that stand in each other's way, against API servers.
//!
//! What can be tried without a server is in `syncagent-core/tests/it/adversary.rs`, with a table of all that was tried. Here is
//! what a server adds: whose object it is said to be, what a list by labels brings, and what another kcp answers.
//!
//! | attack | what happens | test |
//! | --- | --- | --- |
//! | an order says in labels and annotations that it is of another workspace, `kcp.io/cluster` among them | kcp says whose it is; its copy lies in its own workspace's namespace, the victim's is not written to | `an_order_cannot_pretend_to_be_another_workspaces` |
//! | a Secret is named as one that the operator has | the operator's is neither read nor written; what goes down has another name | `a_secret_named_as_the_operators_reads_and_overwrites_nothing` |
//! | an object with the agent's marks lies where a Secret would come up | it is the consumer's own, and stays | `forged_marks_on_a_returned_name_change_nothing` |
//! | orders with the longest names, and more of them than fit | each has its own copy, or is told why not | `names_at_the_limit_collide_with_nothing` |
//! | another agent on the same service cluster, which starts, stops and retires | nobody's copies but its own are touched | `two_agents_on_one_service_cluster_leave_each_other_alone` |
//! | another kcp has an export of the same name, and an agent that is called the same | what it finds of the other's is kept, for nobody says that its orders are gone | `an_agent_of_the_same_name_for_another_kcp_retires_nothing` |

use serde_json::{Value, json};
use syncagent_core::io::clients::{MERGE_PATCH, Server};

use crate::stage::{Consumer, Stage, gone, play, there};
use crate::things;
use crate::world::{World, created, skipped, skipped_for};

/// Marks as the agent would write them onto somebody's copy.
fn forged(victim: &str, agent: &str) -> Value {
    json!({
        "labels": {
            "syncagent.kcp.io/agent-name": agent,
            "syncagent.kcp.io/remote-object-cluster": victim,
            "syncagent.kcp.io/remote-object-name-hash": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
        },
        "annotations": {
            "kcp.io/cluster": victim,
            "kcp.io/path": "root:victim",
            "syncagent.kcp.io/remote-object-name": "a",
            "syncagent.kcp.io/remote-object-namespace": "default",
            "syncagent.kcp.io/publication": things::named("Thing"),
            "syncagent.kcp.io/applied": "0123456789abcdef0123456789abcdef",
            "syncagent.kcp.io/origin-uid": "0",
            "syncagent.kcp.io/takes": "[[\"spec.first\",\"app\",\"kcp-ca\"]]",
            "syncagent.kcp.io/order": format!("{}/b", things::named("Thing")),
            "syncagent.kcp.io/made-of": "r9.t9:00",
        },
    })
}

/// Everything of these kinds in a namespace, as it is.
async fn all(api: &Server, namespace: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for path in [
        format!(
            "/apis/{}/v1/namespaces/{namespace}/things",
            crate::world::group()
        ),
        format!("/api/v1/namespaces/{namespace}/secrets"),
    ] {
        let list = api.get(&path).await.unwrap().body;
        found.extend(list["items"].as_array().cloned().unwrap_or_default());
    }
    found
}

#[test]
fn an_order_cannot_pretend_to_be_another_workspaces() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let (victim, hostile) = (
            stage.consumer("victim").await,
            stage.consumer("hostile").await,
        );
        let spec = json!({"size": 1, "first": {"name": "app"}});
        victim.secret("app", "victims").await;
        victim.order(&thing, "a", &spec).await;
        victim.there(&thing, "a", things::synced).await;
        stage.calm().await;
        let before = (
            all(&stage.service, &victim.cluster).await,
            all(&victim.api, "default").await,
        );

        let agent = stage.world.unique("agent");
        let marks = forged(&victim.cluster, &agent);
        let path = &format!(
            "/apis/{}/v1/namespaces/default/things",
            crate::world::group()
        );
        for name in ["a", "b"] {
            let mut order =
                things::order(&thing, name, &json!({"size": 66, "first": {"name": "app"}}));
            order["metadata"]["labels"] = marks["labels"].clone();
            order["metadata"]["annotations"] = marks["annotations"].clone();
            created(hostile.api.post(path, &order).await);
        }
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app"},
            "stringData": {"password": "hostile"}});
        secret["metadata"]["labels"] = marks["labels"].clone();
        secret["metadata"]["annotations"] = marks["annotations"].clone();
        created(
            hostile
                .api
                .post("/api/v1/namespaces/default/secrets", &secret)
                .await,
        );
        for name in ["a", "b"] {
            hostile.there(&thing, name, things::synced).await;
            let copy = stage.copy(&hostile, &thing, name).await;
            let labels = &copy["metadata"]["labels"];
            assert_eq!(
                labels["syncagent.kcp.io/remote-object-cluster"],
                hostile.cluster
            );
            assert_eq!(copy["metadata"]["annotations"].get("kcp.io/cluster"), None);
            assert_eq!(copy["spec"]["size"], 66);
        }
        // And again, with the agent started anew in the middle of it.
        stage.stop().await;
        for name in ["a", "b"] {
            let path = things::path(&thing, "default", name);
            let patch = json!({"metadata": marks, "spec": {"size": 67}});
            assert!(
                hostile
                    .api
                    .patch(&path, MERGE_PATCH, &patch)
                    .await
                    .unwrap()
                    .is_success()
            );
        }
        stage.start();
        for name in ["a", "b"] {
            there(&stage.service, &thing, &hostile.cluster, name, |it| {
                it["spec"]["size"] == 67
            })
            .await;
            hostile.delete(&thing, name).await;
            gone(&stage.service, &thing, &hostile.cluster, name).await;
            gone(&hostile.api, &thing, "default", name).await;
        }
        stage.calm().await;
        let after = (
            all(&stage.service, &victim.cluster).await,
            all(&victim.api, "default").await,
        );
        assert_eq!(before, after);
        let left = all(&stage.service, &hostile.cluster).await;
        assert_eq!(left, Vec::<Value>::new());
        stage.stop().await;
    });
}

#[test]
fn a_secret_named_as_the_operators_reads_and_overwrites_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::connected("Thing")]).await;
        if stage.service.get("/api/v1/services").await.unwrap().code == 404 {
            return skipped("a workspace that stands in for a service cluster has no Services");
        }
        let hostile = stage.consumer("hostile").await;
        // The namespace is there from an order before; the operator has its Secrets in it.
        hostile.order(&thing, "first", &json!({"size": 1})).await;
        hostile.there(&thing, "first", things::synced).await;
        let operators = ["kcp-ca", "kcp-superuser", "a-ca", "app"];
        let path = format!("/api/v1/namespaces/{}/secrets", hostile.cluster);
        for name in operators {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                "stringData": {"ca": "operators"}});
            created(stage.service.post(&path, &secret).await);
        }
        let before = all(&stage.service, &hostile.cluster).await;
        for (order, secret) in [
            ("kcp", "kcp-ca"),
            ("a", "a-ca"),
            ("b", "app"),
            ("kcp-ca", "kcp-superuser"),
        ] {
            hostile.secret(secret, "hostile").await;
            let spec = json!({"size": 1, "first": {"name": secret}, "second": {"name": secret}});
            hostile.order(&thing, order, &spec).await;
            stage.service(&hostile, &format!("{order}-rw")).await;
            stage
                .address(&hostile, &format!("{order}-rw"), "10.0.0.7")
                .await;
            hostile.there(&thing, order, things::synced).await;
            hostile
                .there(
                    &things::core("Secret"),
                    &format!("{order}-connection"),
                    |_| true,
                )
                .await;
        }
        stage.calm().await;
        let after = all(&stage.service, &hostile.cluster).await;
        for was in before
            .iter()
            .filter(|it| it["kind"] != "Thing" || it["metadata"]["name"] == "first")
        {
            assert!(after.contains(was), "{was:#}");
        }
        for mine in all(&hostile.api, "default").await {
            // `operators` in base64.
            assert!(!mine.to_string().contains("b3BlcmF0b3Jz"), "{mine:#}");
        }
        for line in stage.requests() {
            let looks = line.starts_with("service get secrets")
                || line.starts_with("service patch secrets");
            let of_operator = operators.iter().any(|it| line.ends_with(&format!(" {it}")));
            assert!(!(looks && of_operator), "{line}");
        }
        stage.stop().await;
    });
}

#[test]
fn forged_marks_on_a_returned_name_change_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::connected("Thing")]).await;
        if stage.service.get("/api/v1/services").await.unwrap().code == 404 {
            return skipped("a workspace that stands in for a service cluster has no Services");
        }
        let hostile = stage.consumer("hostile").await;
        let agent = stage.world.unique("agent");
        let mut mine = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a-connection"},
            "stringData": {"mine": "x"}});
        let marks = forged(&hostile.cluster, &agent);
        mine["metadata"]["labels"] = marks["labels"].clone();
        mine["metadata"]["annotations"] = marks["annotations"].clone();
        created(
            hostile
                .api
                .post("/api/v1/namespaces/default/secrets", &mine)
                .await,
        );
        hostile.secret("app", "one").await;
        hostile
            .order(&thing, "a", &json!({"size": 1, "first": {"name": "app"}}))
            .await;
        hostile
            .there(&thing, "a", |it| it["status"].is_object())
            .await;
        stage.service(&hostile, "a-rw").await;
        stage.address(&hostile, "a-rw", "10.0.0.7").await;
        hostile
            .there(&thing, "a", |it| {
                things::condition(it)["reason"] == "NameTaken"
            })
            .await;
        stage.calm().await;
        let kept = hostile.get(&secret, "a-connection").await.body;
        assert_eq!(kept["data"], json!({"mine": "eA=="}));
        hostile.delete(&thing, "a").await;
        gone(&hostile.api, &thing, "default", "a").await;
        stage.calm().await;
        let kept = hostile.get(&secret, "a-connection").await.body;
        assert_eq!(kept["data"], json!({"mine": "eA=="}));
        stage.stop().await;
    });
}

#[test]
fn names_at_the_limit_collide_with_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let hostile = stage.consumer("hostile").await;
        let long = "x".repeat(253);
        let nearly = "x".repeat(252);
        for (i, name) in [&long, &nearly].into_iter().enumerate() {
            hostile.order(&thing, name, &json!({"size": i + 1})).await;
        }
        for (i, name) in [&long, &nearly].into_iter().enumerate() {
            hostile.there(&thing, name, things::synced).await;
            let copy = stage.copy(&hostile, &thing, name).await;
            assert_eq!(copy["spec"]["size"], i + 1);
        }
        // What does not fit is said, not cut: a name that was cut could be another's.
        hostile.secret(&long, "one").await;
        let spec = json!({"size": 1, "first": {"name": long}});
        hostile.order(&thing, "a", &spec).await;
        let said = hostile
            .there(&thing, "a", |it| {
                things::condition(it)["reason"] == "Invalid"
            })
            .await;
        let message = things::condition(&said)["message"].clone();
        assert!(
            message
                .as_str()
                .is_some_and(|it| it.starts_with("spec.first.name")),
            "{message}"
        );
        stage.stop().await;
    });
}

/// What one agent made on the service cluster, in the namespace of a workspace.
async fn copies(stage: &Stage, consumer: &Consumer) -> Vec<Value> {
    all(&stage.service, &consumer.cluster).await
}

#[test]
fn two_agents_on_one_service_cluster_leave_each_other_alone() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut one = Stage::running(vec![things::taking("Thing")]).await;
        let mut two = one.beside().await;
        two.start();
        two.filled().await;
        let consumers = (one.consumer("a").await, two.consumer("b").await);
        let spec = json!({"size": 1, "first": {"name": "app"}});
        for (stage, consumer) in [(&one, &consumers.0), (&two, &consumers.1)] {
            consumer.secret("app", "x").await;
            consumer.order(&thing, "a", &spec).await;
            consumer.there(&thing, "a", things::synced).await;
            stage.calm().await;
        }
        let before = copies(&one, &consumers.0).await;
        assert_eq!(before.len(), 2, "{before:#?}");
        // The second one starts again, finds an order gone, and cleans up.
        two.stop().await;
        consumers.1.delete(&thing, "a").await;
        two.start();
        gone(&two.service, &thing, &consumers.1.cluster, "a").await;
        gone(&consumers.1.api, &thing, "default", "a").await;
        two.calm().await;
        assert_eq!(copies(&two, &consumers.1).await, Vec::<Value>::new());
        assert_eq!(copies(&one, &consumers.0).await, before);
        // And the first, meanwhile started again, writes nothing.
        one.stop().await;
        one.start();
        one.calm().await;
        assert_eq!(copies(&one, &consumers.0).await, before);
        two.stop().await;
        one.stop().await;
    });
}

#[test]
fn an_agent_of_the_same_name_for_another_kcp_retires_nothing() {
    if World::is_real() {
        return skipped_for(
            "it waits for a quarter of an hour",
            "it would take that patience",
        );
    }
    play(|| async {
        let thing = things::kind("Thing");
        let mut one = Stage::running(vec![things::taking("Thing")]).await;
        let mut two = one.beside().await;
        let twin = one.world.unique("twin");
        two.call(&twin);
        one.stop().await;
        one.call(&twin);
        one.start();
        let consumer = one.consumer("a").await;
        consumer.secret("app", "x").await;
        for name in ["a", "b"] {
            consumer
                .order(&thing, name, &json!({"size": 1, "first": {"name": "app"}}))
                .await;
            consumer.there(&thing, name, things::synced).await;
        }
        one.calm().await;
        let before = copies(&one, &consumer).await;
        two.start();
        two.filled().await;
        // Long enough for what must not happen, and short of a quarrel without end.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(copies(&one, &consumer).await, before);
        let other = two.consumer("b").await;
        other.order(&thing, "a", &json!({"size": 2})).await;
        other.there(&thing, "a", things::synced).await;
        two.calm().await;
        assert_eq!(copies(&one, &consumer).await, before);
        // Also when it starts over them, and after the slow second look.
        two.stop().await;
        two.start();
        tokio::time::sleep(std::time::Duration::from_secs(900)).await;
        two.calm().await;
        assert_eq!(copies(&one, &consumer).await, before);
        two.stop().await;
        one.stop().await;
    });
}
