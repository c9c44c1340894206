//! What can be seen from outside: which orders do not get on, and what is counted.
//!
//! Only orders that are *not* settled are listed, so the list costs nothing where all is well. It also remembers what was
//! told, so that people hear of a trouble once and not with every try.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::io::announce::Order;
use crate::io::metrics::Metrics;
use crate::plan::{Hands, Key, Trouble};

/// An order that does not get on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stuck {
    /// The order.
    pub order: Order,
    /// The publication, as `<plural>.<group>`.
    pub publication: String,
    /// Since when, as RFC 3339.
    pub since: String,
    /// Why, for the provider.
    pub why: String,
    /// Who can do something about it.
    pub hands: Hands,
    /// How many tries failed since; 0 where nothing is tried before something changes.
    pub tries: u32,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} since {}, in the hands of {}: {}",
            self.order, self.since, self.hands, self.why
        )
    }
}

#[derive(Debug)]
struct Line {
    stuck: Stuck,
    /// What does not change from try to try.
    theme: String,
    trouble: Option<Trouble>,
}

/// The board.
#[derive(Debug, Default)]
pub(crate) struct Board {
    lines: Mutex<BTreeMap<Arc<Key>, Line>>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What is news about an order that does not get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// To the provider.
    pub(crate) provider: bool,
    /// To the consumer.
    pub(crate) consumer: bool,
}

impl Board {
    fn lines(&self) -> MutexGuard<'_, BTreeMap<Arc<Key>, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an order that does not get on; says what of it is news. `theme` is what does not change from try to
    /// try.
    pub(crate) fn note(
        &self,
        key: &Arc<Key>,
        stuck: Stuck,
        theme: String,
        trouble: Option<Trouble>,
    ) -> News {
        let mut lines = self.lines();
        let news = match lines.get_mut(key) {
            Some(line) => {
                let provider = line.theme != theme;
                let consumer = trouble.is_some() && line.trouble != trouble;
                let since = std::mem::take(&mut line.stuck.since);
                let tries = line.stuck.tries;
                line.stuck = Stuck {
                    since,
                    tries: tries.saturating_add(stuck.tries),
                    ..stuck
                };
                line.theme = theme;
                // What the consumer was told stays told while a server is away.
                line.trouble = trouble.or(line.trouble.take());
                News { provider, consumer }
            }
            None => {
                let consumer = trouble.is_some();
                let line = Line {
                    stuck,
                    theme,
                    trouble,
                };
                lines.insert(key.clone(), line);
                News {
                    provider: true,
                    consumer,
                }
            }
        };
        self.metrics.stuck(lines.len());
        news
    }

    /// The order gets on, or is gone.
    pub(crate) fn clear(&self, key: &Key) {
        let mut lines = self.lines();
        if lines.remove(key).is_some() {
            self.metrics.stuck(lines.len());
        }
    }

    /// Every order that does not get on, the longest first.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        let mut all: Vec<_> = self.lines().values().map(|it| it.stuck.clone()).collect();
        all.sort_by(|a, b| (&a.since, &a.order).cmp(&(&b.since, &b.order)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuck(since: &str, why: &str, tries: u32) -> Stuck {
        Stuck {
            order: Order {
                kind: "Thing".into(),
                cluster: "1abc".into(),
                namespace: "default".into(),
                name: "a".into(),
            },
            publication: "things.example.io".into(),
            since: since.into(),
            why: why.into(),
            hands: Hands::Server,
            tries,
        }
    }

    fn key() -> Arc<Key> {
        Arc::new(Key {
            publication: "things.example.io".into(),
            cluster: "1abc".into(),
            namespace: "default".into(),
            name: "a".into(),
        })
    }

    #[test]
    fn a_trouble_is_news_once_and_keeps_its_beginning() {
        let board = Board::default();
        let first = board.note(
            &key(),
            stuck("10:00", "GET /1 failed", 1),
            "away".into(),
            None,
        );
        assert!(first.provider && !first.consumer);
        let second = board.note(
            &key(),
            stuck("10:01", "GET /2 failed", 1),
            "away".into(),
            None,
        );
        assert!(!second.provider);
        let line = board.stuck().remove(0);
        assert_eq!((line.since.as_str(), line.tries), ("10:00", 2));
        assert_eq!(line.why, "GET /2 failed");
        board.clear(&key());
        assert!(board.stuck().is_empty());
    }

    #[test]
    fn the_consumer_hears_of_a_change_only() {
        let board = Board::default();
        let trouble = |message: &str| {
            Some(Trouble {
                reason: "Invalid".into(),
                message: message.into(),
            })
        };
        let note =
            |why: Option<Trouble>| board.note(&key(), stuck("10:00", "x", 0), "x".into(), why);
        assert!(note(trouble("a")).consumer);
        assert!(!note(trouble("a")).consumer);
        assert!(!note(None).consumer);
        assert!(!note(trouble("a")).consumer);
        assert!(note(trouble("b")).consumer);
    }
}
