//! What a stretch of time costs: how many requests the agent makes in any minute of it, at both servers together.
//!
//! Reads, writes, watches that are opened, and whatever is refused: all of it counts. Only embedded servers say when they
//! were asked, and real time is dear: where a server is real a moment has to do for minutes, and nothing is asserted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::stage::Stage;
use crate::world::World;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What is asked from some moment on; [`Stage::forget`] changes nothing about it.
pub(crate) struct Spent {
    world: World,
    from: [usize; 2],
}

impl Spent {
    /// Counts from here on.
    pub(crate) fn from_here(stage: &Stage) -> Self {
        Self {
            world: stage.world.clone(),
            from: stage.world.asked_until_now(),
        }
    }

    /// Lets minutes pass, and counts them.
    pub(crate) async fn over(stage: &Stage, minutes: u32) -> Self {
        let spent = Self::from_here(stage);
        pass(MINUTE * minutes).await;
        spent
    }

    /// Asserts that no minute cost more requests than this, wherever it begins.
    #[track_caller]
    pub(crate) fn at_most(&self, bound: usize) {
        if World::is_real() {
            return;
        }
        let busiest = self.busiest();
        assert!(
            busiest.len() <= bound,
            "{} requests in a minute, {bound} are allowed: {:#?}",
            busiest.len(),
            counted(&busiest)
        );
    }

    /// The minute in which most was asked.
    pub(crate) fn busiest(&self) -> Vec<String> {
        let all = self.world.asked_after(self.from);
        let (mut first, mut most) = (0, 0..0);
        for next in 0..all.len() {
            while all[next].0 - all[first].0 >= MINUTE {
                first += 1;
            }
            if next + 1 - first > most.len() {
                most = first..next + 1;
            }
        }
        all[most].iter().map(|(_, line)| line.clone()).collect()
    }
}

/// Lets time pass; of real time a moment.
pub(crate) async fn pass(time: Duration) {
    let moment = Duration::from_secs(3);
    let real = World::is_real();
    tokio::time::sleep(if real { time.min(moment) } else { time }).await;
}

/// How often each line is there; of many objects one name says enough.
fn counted(lines: &[String]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for line in lines {
        let (asked, answer) = line.split_once(" -> ").unwrap_or((line, ""));
        let what: Vec<&str> = asked.split(' ').take(3).collect();
        *counted
            .entry(format!("{} {answer}", what.join(" ")))
            .or_default() += 1;
    }
    counted
}
