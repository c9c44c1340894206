//! What goes down with an order and what comes up with it, and what that costs.

use serde_json::{Value, json};

use crate::stage::{Stage, gone, play, there};
use crate::things;
use crate::world::{change, skipped, status};

fn text(secret: &Value, key: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(secret["data"][key].as_str().unwrap_or_default())
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn two_taken_secrets_and_a_composed_one_line_by_line() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::connected("Thing")]).await;
        if stage.service.get("/api/v1/services").await.unwrap().code == 404 {
            return skipped("a workspace that stands in for a service cluster has no Services");
        }
        let consumer = stage.consumer("consumer").await;
        consumer.secret("app", "one").await;
        consumer.secret("root", "two").await;
        stage.calm().await;

        // The order: two Secrets are read, held and taken down.
        stage.forget();
        let spec = json!({"size": 1, "first": {"name": "app"}, "second": {"name": "root"}});
        consumer.order(&thing, "a", &spec).await;
        let copy = stage.copy(&consumer, &thing, "a").await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        assert_eq!(copy["spec"]["first"]["name"], "app.taken");
        assert_eq!(copy["spec"]["second"]["name"], "root.taken");
        stage.asked_exactly(&[
            "kcp get secrets app",
            "kcp get secrets root",
            "kcp patch things a",
            "kcp patch secrets app",
            "kcp patch secrets root",
            "kcp patch things/status a",
            "service create namespaces",
            "service patch things a",
            "service patch secrets app.taken",
            "service patch secrets root.taken",
        ]);

        // The operator's Service has no address yet: the function looks, and says "not yet". It does not look at the order,
        // so nobody does.
        stage.forget();
        stage.service(&consumer, "a-rw").await;
        stage.calm().await;
        stage.asked_exactly(&["service get services a-rw"]);

        // Now it has one: one look at each thing that the connection is composed of, and one write.
        stage.forget();
        stage.address(&consumer, "a-rw", "10.0.0.7").await;
        let connection = consumer.there(&secret, "a-connection", |_| true).await;
        assert_eq!(text(&connection, "host"), "10.0.0.7");
        assert_eq!(text(&connection, "password"), "one");
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp get secrets app",
            "kcp create secrets",
            "service get services a-rw",
        ]);

        // The operator is ready. The connection is not made of that: nothing is read.
        stage.forget();
        let at = things::path(&thing, &consumer.cluster, "a");
        status(
            &stage.service,
            &at,
            &json!({"phase": "ready", "observedGeneration": 1}),
        )
        .await;
        consumer
            .there(&thing, "a", |o| o["status"]["phase"] == "ready")
            .await;
        stage.calm().await;
        stage.asked_exactly(&["kcp patch things/status a"]);

        // The consumer changes a password that nothing is composed of: one look, one write. Then the other.
        stage.forget();
        let root = things::path(&secret, "default", "root");
        change(
            &consumer.api,
            &root,
            &json!({"stringData": {"password": "new"}}),
        )
        .await;
        there(
            &stage.service,
            &secret,
            &consumer.cluster,
            "root.taken",
            |s| text(s, "password") == "new",
        )
        .await;
        stage.calm().await;
        stage.asked_exactly(&["kcp get secrets root", "service patch secrets root.taken"]);
        stage.forget();
        let app = things::path(&secret, "default", "app");
        change(
            &consumer.api,
            &app,
            &json!({"stringData": {"password": "newer"}}),
        )
        .await;
        consumer
            .there(&secret, "a-connection", |s| text(s, "password") == "newer")
            .await;
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp get secrets app",
            "kcp patch secrets a-connection",
            "service patch secrets app.taken",
            "service get services a-rw",
        ]);

        // The end: what came down and what came up goes with the order.
        stage.forget();
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.calm().await;
        assert_eq!(consumer.get(&secret, "a-connection").await.code, 404);
        for name in ["app.taken", "root.taken"] {
            gone(&stage.service, &secret, &consumer.cluster, name).await;
        }
        for name in ["app", "root"] {
            let left = consumer.get(&secret, name).await.body;
            assert_eq!(left["metadata"].get("finalizers"), None, "{left:#}");
        }
        stage.asked_exactly(&[
            "kcp delete secrets a-connection",
            "kcp patch secrets app",
            "kcp patch secrets root",
            "kcp patch things a",
            "service delete things a",
            "service delete secrets app.taken",
            "service delete secrets root.taken",
        ]);
        stage.stop().await;
    });
}

#[test]
fn a_shared_secret_stays_until_the_last_order_is_gone() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("app", "one").await;
        for name in ["a", "b"] {
            consumer
                .order(&thing, name, &json!({"size": 1, "first": {"name": "app"}}))
                .await;
            consumer.there(&thing, name, things::synced).await;
        }
        let taken = there(
            &stage.service,
            &secret,
            &consumer.cluster,
            "app.taken",
            |_| true,
        )
        .await;
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.calm().await;
        let after = there(
            &stage.service,
            &secret,
            &consumer.cluster,
            "app.taken",
            |_| true,
        )
        .await;
        assert_eq!(after["metadata"], taken["metadata"], "it was never touched");
        consumer.delete(&thing, "b").await;
        gone(&stage.service, &secret, &consumer.cluster, "app.taken").await;
        gone(&consumer.api, &thing, "default", "b").await;
        let left = consumer.get(&secret, "app").await.body;
        assert_eq!(left["metadata"].get("finalizers"), None);
        stage.stop().await;
    });
}
