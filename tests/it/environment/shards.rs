//! Endpoints that come, go and are away; workspaces that move between them.

use std::time::Duration;

use serde_json::json;
use syncagent::Notice;
use syncagent_embedded::Server;

use super::{alive, kcp, possible, problems, retired, settled};
use crate::spent::Spent;
use crate::stage::{Consumer, Stage, play};
use crate::things;
use crate::world::{World, change, eventually};

fn world() -> World {
    World::built(
        Server::kcp().shards(&["amber", "blue"]),
        Server::kubernetes(),
    )
}

async fn consumer_on(stage: &Stage, name: &str, shard: &str) -> Consumer {
    let workspace = stage.world.workspace_on(name, shard).await;
    stage.bound(workspace).await
}

/// Waits until so many endpoints were found, or lost.
async fn told(stage: &Stage, count: usize, right: impl Fn(&Notice) -> bool) {
    eventually("endpoints are told of", || async {
        let notices = stage.notices.lock().unwrap();
        (notices.iter().filter(|n| right(n)).count() == count).then_some(())
    })
    .await;
}

fn found(notice: &Notice) -> bool {
    matches!(notice, Notice::EndpointFound { .. })
}

fn lost(notice: &Notice) -> bool {
    matches!(notice, Notice::EndpointLost { .. })
}

#[test]
fn endpoints_are_followed_as_workspaces_come_and_go() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running_in(world(), vec![things::taking("Thing")]).await;
        let near = consumer_on(&stage, "near", "root").await;
        settled(&near, &thing, &["a"]).await;
        told(&stage, 1, found).await;
        let far = consumer_on(&stage, "far", "amber").await;
        settled(&far, &thing, &["a"]).await;
        told(&stage, 2, found).await;
        stage.calm().await;
        let copies = [&near, &far].map(|c| things::path(&thing, &c.cluster, "a"));
        let before = [
            stage.service.get(&copies[0]).await.unwrap(),
            stage.service.get(&copies[1]).await.unwrap(),
        ];

        // Amber loses its only workspace to blue: one endpoint goes, another comes, and nothing is written anywhere.
        stage.forget();
        let spent = Spent::from_here(&stage);
        kcp(&stage)
            .move_cluster(&far.cluster, "blue", Duration::from_secs(90))
            .await;
        told(&stage, 1, lost).await;
        told(&stage, 3, found).await;
        stage.calm().await;
        let writes = stage.asked(|verb| !["get", "list", "watch"].contains(&verb));
        assert!(writes.is_empty(), "{writes:#?}");
        spent.at_most(20);
        for (path, before) in copies.iter().zip(&before) {
            assert_eq!(stage.service.get(path).await.unwrap(), *before);
        }
        assert!(!retired(&stage));

        // Everybody goes on, and an end is an end also at the new place.
        alive(&stage, &far, &thing, "a", 5).await;
        alive(&stage, &near, &thing, "a", 6).await;
        far.delete(&thing, "a").await;
        crate::stage::gone(&far.api, &thing, "default", "a").await;
        crate::stage::gone(&stage.service, &thing, &far.cluster, "a").await;
        stage.stop().await;
    });
}

/// While a workspace is nowhere, its consumer cannot change anything, but its copies can: what they say arrives later.
#[test]
fn what_happens_while_a_workspace_moves_is_not_lost() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running_in(world(), vec![things::taking("Thing")]).await;
        let stays = consumer_on(&stage, "stays", "amber").await;
        let moves = consumer_on(&stage, "moves", "amber").await;
        settled(&stays, &thing, &["a"]).await;
        settled(&moves, &thing, &["a", "lost"]).await;
        stage.calm().await;
        let server = kcp(&stage);
        let spent = Spent::from_here(&stage);
        let moving = server.move_cluster(&moves.cluster, "blue", Duration::from_secs(300));
        let meanwhile = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let copy = |name: &str| things::path(&thing, &moves.cluster, name);
            let phase = json!({"phase": "on the way"});
            crate::world::status(&stage.service, &copy("a"), &phase).await;
            let deleted = stage.service.delete(&copy("lost"), &json!({})).await;
            assert!(deleted.unwrap().is_success());
            Spent::over(&stage, 3).await.at_most(6);
            // Those who stay are served all the time.
            alive(&stage, &stays, &thing, "a", 7).await;
        };
        tokio::join!(moving, meanwhile);
        moves
            .there(&thing, "a", |o| o["status"]["phase"] == "on the way")
            .await;
        alive(&stage, &moves, &thing, "a", 8).await;
        alive(&stage, &stays, &thing, "a", 9).await;
        assert!(!retired(&stage));
        spent.at_most(30);
        stage.stop().await;
    });
}

#[test]
fn a_shard_that_is_down_holds_up_nobody_else() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::running_in(world(), vec![things::taking("Thing")]).await;
        let near = consumer_on(&stage, "near", "root").await;
        let far = consumer_on(&stage, "far", "amber").await;
        let names: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        settled(&near, &thing, &["a"]).await;
        settled(&far, &thing, &names).await;
        stage.calm().await;
        let server = kcp(&stage);
        let spent = Spent::from_here(&stage);
        server.faults().shard_outage("amber", true);
        // Every copy of the shard has news for its consumer, and nobody can take them.
        for name in &names {
            let copy = things::path(&thing, &far.cluster, name);
            crate::world::status(&stage.service, &copy, &json!({"phase": "x"})).await;
        }
        tokio::time::sleep(Duration::from_secs(120)).await;
        Spent::over(&stage, 5).await.at_most(20);
        let told = problems(&stage);
        assert!(told.len() <= 2, "an outage is told once: {told:#?}");
        alive(&stage, &near, &thing, "a", 2).await;

        // An agent that is started meanwhile serves those whom it can reach.
        stage.stop().await;
        stage.start();
        alive(&stage, &near, &thing, "a", 3).await;
        near.order(&thing, "new", &json!({"size": 1})).await;
        near.there(&thing, "new", things::synced).await;
        Spent::over(&stage, 2).await.at_most(12);
        assert!(!retired(&stage));

        server.faults().shard_outage("amber", false);
        far.there(&thing, "t0", |o| o["status"]["phase"] == "x")
            .await;
        alive(&stage, &far, &thing, "t39", 4).await;
        let order = things::path(&thing, "default", "t1");
        change(&far.api, &order, &json!({"spec": {"note": "after"}})).await;
        crate::stage::there(&stage.service, &thing, &far.cluster, "t1", |c| {
            c["spec"]["note"] == "after"
        })
        .await;
        spent.at_most(70);
        stage.stop().await;
    });
}
