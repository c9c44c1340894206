//! Clocks that jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use syncagent_embedded::Server;
use syncagent_embedded::clock::{Clock, RuntimeClock};

use super::{alive, possible, retired, settled};
use crate::spent::Spent;
use crate::stage::{Stage, gone, play};
use crate::things;
use crate::world::World;

/// A clock that somebody sets.
#[derive(Clone, Debug)]
struct Wound(RuntimeClock, Arc<AtomicI64>);

impl Wound {
    fn new() -> Self {
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        Self(RuntimeClock::starting_at(start), Arc::default())
    }

    fn jump(&self, seconds: i64) {
        self.1.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        self.0.now() + SignedDuration::from_secs(self.1.load(Ordering::SeqCst))
    }
}

impl syncagent_core::runtime::Clock for Wound {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }
}

/// A day forth and two days back, on either server and in the agent: nothing is decided by the time of day.
#[test]
fn clocks_that_jump_move_nobody() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let clocks = [Wound::new(), Wound::new(), Wound::new()];
        let world = World::built(
            Server::kcp().clock(Arc::new(clocks[0].clone())),
            Server::kubernetes().clock(Arc::new(clocks[1].clone())),
        );
        let mut stage = Stage::set_in(world, vec![things::taking("Thing")]).await;
        stage.clock(clocks[2].clone());
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        settled(&consumer, &thing, &["a", "b"]).await;
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        const DAY: i64 = 86_400;
        for (n, seconds) in [
            (0, DAY),
            (1, DAY),
            (2, DAY),
            (1, -2 * DAY),
            (0, -2 * DAY),
            (2, -3 * DAY),
        ] {
            clocks[n].jump(seconds);
            stage.forget();
            stage.calm().await;
            stage.asked_exactly(&[]);
            Spent::over(&stage, 6).await.at_most(11);
            let name = format!("t{n}{}", seconds.unsigned_abs());
            consumer.order(&thing, &name, &json!({"size": 1})).await;
            consumer.there(&thing, &name, things::synced).await;
            alive(
                &stage,
                &consumer,
                &thing,
                "a",
                10 + u32::try_from(n).unwrap(),
            )
            .await;
            // Something that is refused is looked at again in five minutes, whatever the clock says.
            consumer.delete(&thing, &name).await;
            gone(&consumer.api, &thing, "default", &name).await;
            stage.calm().await;
        }
        stage.stop().await;
        stage.forget();
        stage.start();
        stage.calm().await;
        let writes = stage.asked(|verb| !["get", "list", "watch"].contains(&verb));
        assert!(writes.is_empty(), "{writes:#?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(retired(&stage), "only what was deleted by its consumer");
        spent.at_most(30);
        stage.stop().await;
    });
}
