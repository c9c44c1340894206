//! What was said lately. The same words about the same order are not a new event: they are counted on the one that is
//! there, as client-go does it, and not more often than every few minutes.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// How many events are remembered; client-go remembers as many.
const REMEMBERED: usize = 4096;
/// How long an event that is said again and again waits until its count is shown; client-go lets one through as often.
const AGAIN: Duration = Duration::from_secs(300);

/// What to do about something that is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It was not said lately: an event of its own.
    New,
    /// It was, so often by now; `None` where it was said before the agent started, and nobody knows how often.
    More(Option<u32>),
    /// It was just a moment ago: it is counted and shown later.
    Later,
}

/// Events that are on a server, by hashes of their paths: those of late, and those before them. Where two share a hash
/// one of them is counted on its own event too late; there are four thousand in 2^64.
#[derive(Debug, Default)]
pub(super) struct Lately {
    hasher: RandomState,
    new: HashMap<u64, Told>,
    old: HashMap<u64, Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    /// How often it was said.
    count: Option<u32>,
    /// When the server heard of it last.
    at: Instant,
}

impl Lately {
    /// Asks about an event.
    pub(super) fn again(&mut self, event: &str, at: Instant) -> Way {
        let event = self.hasher.hash_one(event);
        if let Some(told) = self.old.remove(&event) {
            self.keep(event, told);
        }
        let Some(told) = self.new.get_mut(&event) else {
            return Way::New;
        };
        told.count = told.count.map(|it| it.saturating_add(1));
        if at.duration_since(told.at) < AGAIN {
            return Way::Later;
        }
        told.at = at;
        Way::More(told.count)
    }

    /// An event is on the server, said so often.
    pub(super) fn is_there(&mut self, event: &str, count: Option<u32>, at: Instant) {
        self.keep(self.hasher.hash_one(event), Told { count, at });
    }

    /// An event is not there any more; servers let go of them after an hour.
    pub(super) fn is_gone(&mut self, event: &str) {
        self.new.remove(&self.hasher.hash_one(event));
    }

    fn keep(&mut self, event: u64, told: Told) {
        if self.new.len() >= REMEMBERED / 2 {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(event, told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_counted_and_shown_every_few_minutes() {
        let (mut lately, start) = (Lately::default(), Instant::now());
        assert_eq!(lately.again("one", start), Way::New);
        assert_eq!(
            lately.again("one", start),
            Way::New,
            "nothing arrived, so nothing was said"
        );
        lately.is_there("one", Some(1), start);
        let minutes = |n: u64| start + Duration::from_secs(60 * n);
        assert_eq!(lately.again("one", minutes(1)), Way::Later);
        assert_eq!(lately.again("two", minutes(1)), Way::New);
        assert_eq!(lately.again("one", minutes(5)), Way::More(Some(3)));
        assert_eq!(lately.again("one", minutes(9)), Way::Later);
        lately.is_gone("one");
        assert_eq!(lately.again("one", minutes(10)), Way::New);
    }

    #[test]
    fn nobody_knows_how_often_it_was_said_before_the_start() {
        let (mut lately, start) = (Lately::default(), Instant::now());
        lately.is_there("one", None, start);
        assert_eq!(lately.again("one", start + AGAIN), Way::More(None));
    }

    #[test]
    fn what_was_not_said_for_long_is_forgotten_first() {
        let (mut lately, start) = (Lately::default(), Instant::now());
        lately.is_there("often", Some(1), start);
        lately.is_there("once", Some(1), start);
        for n in 0..3 * REMEMBERED {
            lately.is_there(&n.to_string(), Some(1), start);
            assert_eq!(lately.again("often", start), Way::Later, "after {n}");
            assert!(lately.new.len() + lately.old.len() <= REMEMBERED);
        }
        assert_eq!(lately.again("once", start), Way::New);
    }
}
