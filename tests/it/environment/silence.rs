//! Virtual workspaces that answer lists without a version, and watches that say nothing.

use std::time::Duration;

use serde_json::json;
use syncagent_embedded::Server;
use syncagent_embedded::kcp::{Delays, KcpVersion};
use tokio::time::Instant;

use super::{alive, at_rest, kcp, possible, service};
use crate::spent::Spent;
use crate::stage::{Stage, play};
use crate::things;
use crate::world::World;

/// Both generations of kcp say in their own way that a resource is not served yet: none is taken for an empty world, and
/// the first order is served within seconds of the moment from which it can be.
#[test]
fn a_resource_that_is_not_served_yet_is_asked_for_once_a_second() {
    for generation in [KcpVersion::Main, KcpVersion::V0_32] {
        play(|| async {
            if !possible() {
                return;
            }
            let thing = things::kind("Thing");
            let delays = Delays {
                establish: Duration::from_secs(40),
                ..Delays::default()
            };
            let world = World::built(
                Server::kcp().generation(generation).delays(delays),
                Server::kubernetes(),
            );
            let mut stage = Stage::running_in(world, vec![things::taking("Thing")]).await;
            let workspace = stage.world.workspace("consumer").await;
            stage.forget();
            let spent = Spent::from_here(&stage);
            let bound = Instant::now();
            let consumer = stage.bound(workspace).await;
            assert!(bound.elapsed() >= Duration::from_secs(39));
            let lists = stage.asked(|verb| verb == "list");
            let lists = lists.iter().filter(|line| line.contains("things")).count();
            assert!((5..=45).contains(&lists), "{lists} lists in 40 seconds");
            let ordered = Instant::now();
            consumer.order(&thing, "a", &json!({"size": 1})).await;
            consumer.there(&thing, "a", things::synced).await;
            let took = ordered.elapsed();
            assert!(took < Duration::from_secs(5), "{generation:?}: {took:?}");
            alive(&stage, &consumer, &thing, "a", 2).await;
            spent.at_most(70);
            stage.stop().await;
        });
    }
}

/// All connections of watches lose their other half: nothing arrives any more, no bookmark either.
#[test]
fn watches_that_are_half_open_are_found_out() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let (mut stage, consumer) = at_rest(&["a", "gone"]).await;
        let spent = Spent::from_here(&stage);
        for server in [kcp(&stage), service(&stage)] {
            server.faults().mute_watches();
        }
        consumer.order(&thing, "late", &json!({"size": 3})).await;
        consumer.delete(&thing, "gone").await;
        // What nobody was told is found by listing again: bookmarks come every minute, and two that fail to come are
        // waited for. Until then nothing is asked at all.
        Spent::over(&stage, 3).await.at_most(25);
        consumer.there(&thing, "late", things::synced).await;
        crate::stage::gone(&consumer.api, &thing, "default", "gone").await;
        alive(&stage, &consumer, &thing, "a", 2).await;
        spent.at_most(25);
        stage.stop().await;
    });
}
