//! An export that is deleted under the agent, and a kind that is.

use std::time::Duration;

use serde_json::json;

use super::{alive, at_rest, retired, settled};
use crate::spent::{MINUTE, Spent, pass};
use crate::stage::{CRDS, EXPORT, Stage, play, uninstall};
use crate::things;
use crate::world::{World, created, eventually};

/// The provider deletes the export and makes it again: the virtual workspace is gone, bindings and orders stay.
#[test]
fn an_export_that_is_deleted_and_made_again_loses_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        settled(&consumer, &thing, &["a", "b"]).await;
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        let path = format!("/apis/apis.kcp.io/v1alpha2/apiexports/{EXPORT}");
        let provider = &stage.provider.api;
        assert!(
            provider
                .delete(&path, &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        eventually("the export is gone", || async {
            (provider.get(&path).await.unwrap().code == 404).then_some(())
        })
        .await;
        Spent::over(&stage, 10).await.at_most(8);
        let copy = things::path(&thing, &consumer.cluster, "b");
        crate::world::status(&stage.service, &copy, &json!({"phase": "meanwhile"})).await;
        Spent::over(&stage, 10).await.at_most(12);
        for name in ["a", "b"] {
            stage.copy(&consumer, &thing, name).await;
        }
        assert!(!retired(&stage));

        stage.export(&json!({})).await;
        stage.filled().await;
        consumer
            .there(&thing, "b", |o| o["status"]["phase"] == "meanwhile")
            .await;
        alive(&stage, &consumer, &thing, "a", 2).await;
        consumer.order(&thing, "new", &json!({"size": 1})).await;
        consumer.there(&thing, "new", things::synced).await;
        assert!(!retired(&stage));
        spent.at_most(30);
        stage.stop().await;
    });
}

/// Somebody deletes the CRD at the service, and all copies with it. When it is back, everything is made again.
#[test]
fn a_kind_that_is_deleted_at_the_service_is_waited_for() {
    play(|| async {
        let thing = things::kind("Thing");
        let names: Vec<String> = (0..30).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut stage, consumer) = at_rest(&all).await;
        let spent = Spent::from_here(&stage);
        uninstall(&stage.service, &thing).await;
        pass(MINUTE).await;
        Spent::over(&stage, 10).await.at_most(7);
        created(stage.service.post(CRDS, &things::service_crd(&thing)).await);
        pass(Duration::from_secs(45)).await;
        for name in &names {
            stage.copy(&consumer, &thing, name).await;
        }
        alive(&stage, &consumer, &thing, "t0", 2).await;
        spent.at_most(90);
        stage.stop().await;
    });
}

/// Somebody changes the CRD behind what is offered, again and again. A change of its labels costs nothing, one of its spec
/// a new generation: a list and a watch on either side, and not a single order is written.
#[test]
fn a_kind_that_changes_all_the_time_is_followed_quietly() {
    play(|| async {
        let thing = things::kind("Thing");
        let names: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut stage, consumer) = at_rest(&all).await;
        let path = &format!("{CRDS}/{}", things::named("Thing"));
        let rounds = if World::is_real() { 6 } else { 60 };
        let changing = async {
            for n in 0..rounds {
                let labels = json!({"metadata": {"labels": {"round": n.to_string()}}});
                crate::world::change(&stage.service, path, &labels).await;
                let mut crd = things::service_crd(&thing)["spec"].clone();
                crd["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
                    ["extra"] = json!({"type": "string", "description": n.to_string()});
                crate::world::change(&stage.service, path, &json!({"spec": crd})).await;
                pass(Duration::from_secs(5)).await;
            }
        };
        stage.forget();
        let spent = Spent::from_here(&stage);
        changing.await;
        // Twelve changes of the spec in each minute, each with a list and a watch on either side.
        spent.at_most(60);
        let writes = stage.asked(|verb| !["get", "list", "watch"].contains(&verb));
        assert!(writes.is_empty(), "{writes:#?}");
        alive(&stage, &consumer, &thing, "t0", 2).await;
        stage.stop().await;
    });
}
