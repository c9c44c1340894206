//! Workspaces that unbind, bind again, are deleted, or leave so that nobody notices.

use serde_json::json;

use super::{alive, kcp, possible, retired, settled};
use crate::spent::{MINUTE, Spent, pass};
use crate::stage::{Consumer, Stage, gone, play};
use crate::things;
use crate::world::eventually;

const BINDING: &str = "/apis/apis.kcp.io/v1alpha2/apibindings/things";

async fn unbind(consumer: &Consumer) {
    let deleted = consumer.api.delete(BINDING, &json!({})).await.unwrap();
    assert!(deleted.is_success(), "{deleted:?}");
    eventually("the binding is gone", || async {
        (consumer.api.get(BINDING).await.unwrap().code == 404).then_some(())
    })
    .await;
}

/// kcp deletes the orders of whoever unbinds, and waits for our finalizers: both go without a storm, and binding again
/// begins anew. With the last binding the endpoint goes, and comes again with the next.
#[test]
fn a_workspace_that_unbinds_and_binds_again_begins_anew() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let workspace = stage.world.workspace("consumer").await;
        let again = workspace.clone();
        let consumer = stage.bound(workspace).await;
        consumer.secret("one", "x").await;
        let names: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        settled(&consumer, &thing, &all).await;
        let spec = json!({"size": 1, "first": {"name": "one"}});
        consumer.order(&thing, "taking", &spec).await;
        consumer.there(&thing, "taking", things::synced).await;
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        unbind(&consumer).await;
        for name in &names {
            gone(&stage.service, &thing, &consumer.cluster, name).await;
        }
        pass(MINUTE).await;
        spent.at_most(60);
        Spent::over(&stage, 10).await.at_most(8);
        // What the consumer owns stays theirs.
        let left = consumer.there(&secret, "one", |_| true).await;
        assert!(left["metadata"]["deletionTimestamp"].is_null());

        let spent = Spent::from_here(&stage);
        let consumer = stage.bound(again).await;
        settled(&consumer, &thing, &["t0", "new"]).await;
        alive(&stage, &consumer, &thing, "new", 3).await;
        spent.at_most(20);
        stage.stop().await;
    });
}

#[test]
fn a_workspace_that_is_deleted_concerns_no_other() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let leaves = stage.consumer("leaves").await;
        let stays = stage.consumer("stays").await;
        let names: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        settled(&leaves, &thing, &all).await;
        settled(&stays, &thing, &all).await;
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        stage.world.delete_workspace("leaves").await;
        for name in &names {
            gone(&stage.service, &thing, &leaves.cluster, name).await;
        }
        pass(MINUTE).await;
        spent.at_most(50);
        Spent::over(&stage, 10).await.at_most(11);
        for name in &names {
            stage.copy(&stays, &thing, name).await;
        }
        alive(&stage, &stays, &thing, "t0", 3).await;
        stage.stop().await;
    });
}

/// The workspace is gone without its orders having been deleted first: nobody can say what its consumer wanted, so the
/// copies stay, and are not asked about all the time.
#[test]
fn a_workspace_that_is_simply_not_there_any_more_loses_nothing() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let lost = stage.consumer("lost").await;
        let stays = stage.consumer("stays").await;
        settled(&lost, &thing, &["a", "b"]).await;
        settled(&stays, &thing, &["a"]).await;
        stage.calm().await;
        let server = kcp(&stage);
        for lives in [true, false] {
            if !lives {
                stage.stop().await;
            }
            let spent = Spent::from_here(&stage);
            // On a shard that nobody knows: what an import of half a kcp looks like.
            vanish(&server, &lost.cluster);
            if !lives {
                stage.start();
            }
            pass(MINUTE).await;
            Spent::over(&stage, 20).await.at_most(11);
            for name in ["a", "b"] {
                stage.copy(&lost, &thing, name).await;
            }
            alive(&stage, &stays, &thing, "a", if lives { 3 } else { 4 }).await;
            spent.at_most(20);
        }
        assert!(!retired(&stage));
        stage.stop().await;
    });
}

/// Takes everything of a logical cluster away, as if it had never been.
fn vanish(server: &syncagent_embedded::Server, cluster: &str) {
    let core = server.core();
    let buckets = core.store().buckets();
    for bucket in buckets {
        for stored in core.all(&bucket, Some(cluster)) {
            core.purge(&stored.key);
        }
    }
}
