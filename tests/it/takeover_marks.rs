//! The whole agent over what carries the Go agent's marks in part: a copy that does not say who made it is watched like any
//! other, and what somebody else holds with the shared finalizer stays held.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::play;
use crate::takeover::{installation, make, secret};
use crate::things;
use crate::world::{World, change, skipped, status};

const CLEANUP: &str = "syncagent.kcp.io/cleanup";

#[test]
fn s4_4_a_copy_that_does_not_say_who_made_it_is_watched_too() {
    play(|| async {
        let (mut stage, consumer) = installation().await;
        let (thing, cluster) = (things::kind("Thing"), consumer.cluster.clone());
        let copy = things::path(&thing, &cluster, "o0");
        let unsigned = json!({"metadata": {"labels": {"syncagent.kcp.io/agent-name": null}}});
        change(&stage.service, &copy, &unsigned).await;
        stage.start();
        stage.calm().await;
        stage.forget();
        status(&stage.service, &copy, &json!({"phase": "failed"})).await;
        let follows = |it: &Value| it["status"]["phase"] == "failed";
        consumer.there(&thing, "o0", follows).await;
        stage.calm().await;
        stage.asked_exactly(&["kcp patch things/status o0"]);
        stage.stop().await;
    });
}

#[test]
fn s6_7_what_somebody_else_holds_with_the_shared_finalizer_stays_held() {
    if World::is_real() {
        return skipped("it waits for a quarter of an hour");
    }
    play(|| async {
        let (mut stage, consumer) = installation().await;
        make(&consumer.api, "default", &secret("theirs", "p")).await;
        let at = "/api/v1/namespaces/default/secrets/theirs";
        let held = json!({"metadata": {"finalizers": [CLEANUP]}});
        change(&consumer.api, at, &held).await;
        stage.start();
        // Longer than it takes to find and to take off what nobody needs, where the finalizer is ours alone.
        tokio::time::sleep(Duration::from_secs(900)).await;
        stage.calm().await;
        let kept = consumer.get(&things::core("Secret"), "theirs").await.body;
        assert_eq!(kept["metadata"]["finalizers"], json!([CLEANUP]));
        stage.stop().await;
    });
}
