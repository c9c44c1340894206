//! What the agent makes of the provider's workspace before there is any order.

use serde_json::json;

use crate::stage::{EXPORT, Stage, play};
use crate::things;
use crate::world::{created, eventually};

#[test]
fn the_export_is_awaited_and_filled() {
    play(|| async {
        let mut stage = Stage::set(vec![things::taking("Thing")]).await;
        stage.start();
        eventually("the agent waits", || async {
            let notices = stage.notices.lock().unwrap();
            notices
                .iter()
                .any(|n| n.to_string() == format!("waits for the export {EXPORT}"))
                .then_some(())
        })
        .await;
        stage.export(&json!({})).await;
        stage.filled().await;
        let export = stage.exported().await;
        let schema = export["spec"]["resources"][0]["schema"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            schema.ends_with(&format!(".{}", things::named("Thing"))),
            "{schema}"
        );
        let claims = export["spec"]["permissionClaims"].as_array().unwrap();
        let claimed: Vec<_> = claims
            .iter()
            .map(|it| (&it["resource"], &it["verbs"]))
            .collect();
        let all = json!(["*"]);
        assert_eq!(
            claimed,
            [(&json!("events"), &all), (&json!("secrets"), &all)]
        );
        let path = format!("/apis/apis.kcp.io/v1alpha1/apiresourceschemas/{schema}");
        assert!(stage.provider.api.get(&path).await.unwrap().is_success());
        stage.stop().await;
    });
}

#[test]
fn foreign_entries_of_the_export_are_kept() {
    play(|| async {
        let mut stage = Stage::set(vec![things::taking("Thing")]).await;
        let schema = json!({
            "apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema",
            "metadata": {"name": "v1.others.other.io"},
            "spec": {
                "group": "other.io", "scope": "Namespaced",
                "names": {"plural": "others", "singular": "other", "kind": "Other", "listKind": "OtherList"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}],
            },
        });
        created(
            stage
                .provider
                .api
                .post("/apis/apis.kcp.io/v1alpha1/apiresourceschemas", &schema)
                .await,
        );
        let other = json!({"group": "other.io", "name": "others", "schema": "v1.others.other.io",
            "storage": {"crd": {}}});
        let claim = json!({"group": "", "resource": "configmaps", "verbs": ["get"]});
        stage
            .export(&json!({"resources": [other], "permissionClaims": [claim]}))
            .await;
        stage.start();
        stage.filled().await;
        let export = stage.exported().await;
        assert_eq!(export["spec"]["resources"][0], other);
        assert_eq!(
            export["spec"]["permissionClaims"][0]["resource"],
            "configmaps"
        );
        assert_eq!(
            export["spec"]["permissionClaims"][0]["verbs"],
            json!(["get"])
        );
        assert_eq!(export["spec"]["permissionClaims"][1]["resource"], "events");
        assert_eq!(export["spec"]["permissionClaims"][2]["resource"], "secrets");
        stage.stop().await;
    });
}

#[test]
fn a_kind_that_is_offered_later_is_served_to_those_who_have_bound() {
    play(|| async {
        let (thing, other) = (things::kind("Thing"), things::kind("Other"));
        let both = vec![things::plain("Thing"), things::plain("Other")];
        let mut stage = Stage::set(both.clone()).await;
        stage.definitions.truncate(1);
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.stop().await;

        // The agent watches the new kind before kcp serves it: a silence that is not an empty world.
        stage.permit(&both).await;
        stage.definitions = both;
        stage.start();
        stage.filled().await;
        let path = things::collection(&other);
        eventually("the workspace serves the new kind", || async {
            consumer
                .api
                .get(&path)
                .await
                .unwrap()
                .is_success()
                .then_some(())
        })
        .await;
        consumer.order(&other, "b", &json!({"size": 2})).await;
        consumer.there(&other, "b", things::synced).await;
        assert_eq!(stage.copy(&consumer, &other, "b").await["spec"]["size"], 2);
        stage.stop().await;
    });
}
