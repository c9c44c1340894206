//! A kind without a CRD: what the server says of itself is published, in another group.

use serde_json::json;
use syncagent_core::access::program::{
    cluster_rules, default_rules, export_rules, kind_rule, namespace_rules, slice_rules,
};

use super::{definition, publish, schema_of, things_of};
use crate::program::Site;
use crate::stage::{EXPORT, install, play, there};
use crate::things;
use crate::world::{change, created, eventually};

#[test]
fn secrets_are_published_in_another_group_and_what_somebody_sets_on_a_copy_stays() {
    play(|| async {
        let site = Site::new(vec![]).await;
        let stage = &site.0;
        install(&stage.service, &definition()).await;
        let secret = things::core("Secret");
        let rules = [
            namespace_rules(),
            default_rules(),
            cluster_rules(),
            vec![kind_rule(&secret)],
        ];
        let provider = [export_rules(EXPORT), slice_rules(EXPORT)].concat();
        stage.grant(&rules.concat(), &provider).await;
        let mut object = things_of(
            "secrets",
            json!({"projection": {"group": "core.example.io"}}),
        );
        object["spec"]["resource"] = json!({"apiGroup": "", "kind": "Secret"});
        publish(stage, &object).await;
        let running = site.start(site.flags());
        let schema = schema_of(stage, "secrets").await;
        assert!(schema.ends_with(".secrets.core.example.io"), "{schema}");

        let consumer = stage.consumer("consumer").await;
        let orders = "/apis/core.example.io/v1/namespaces/default/secrets";
        eventually("the workspace serves the kind", || async {
            consumer
                .api
                .get(orders)
                .await
                .unwrap()
                .is_success()
                .then_some(())
        })
        .await;
        let order = json!({"apiVersion": "core.example.io/v1", "kind": "Secret",
            "metadata": {"name": "a", "namespace": "default"}, "data": {"a": "MQ==", "b": "MQ=="}});
        created(consumer.api.post(orders, &order).await);
        let at = consumer.cluster.as_str();
        let copy = there(&stage.service, &secret, at, "a", |it| {
            it["data"]["a"] == "MQ=="
        })
        .await;
        assert_eq!(copy["data"], order["data"]);
        assert_eq!(copy["type"], "Opaque");

        // As with the Go agent: only what changes in the workspace is brought over.
        stage.calm().await;
        let path = things::path(&secret, at, "a");
        change(&stage.service, &path, &json!({"data": {"a": "Mg=="}})).await;
        stage.calm().await;
        change(
            &consumer.api,
            &format!("{orders}/a"),
            &json!({"data": {"b": "Mw=="}}),
        )
        .await;
        let copy = there(&stage.service, &secret, at, "a", |it| {
            it["data"]["b"] == "Mw=="
        })
        .await;
        assert_eq!(copy["data"]["a"], "Mg==");
        assert!(running.stopped().await.is_stopped());
    });
}
