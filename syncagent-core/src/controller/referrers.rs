//! Who refers to whom, and how long an order that ends waits for those that refer to it to go first.
//!
//! A database is dropped through the server that it is in, so the server goes last. Who refers is told by the orders' own
//! events, before their first step, and counts for as long as we hold them: then there is, or may be, a copy that refers to
//! the other one's. It is no more than a wish about the order of things: whoever stays keeps nobody waiting for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::index::Index;
use crate::plan::Key;

/// How long an order waits for those that refer to it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it is looked again whether all orders are listed.
const SOON: Duration = Duration::from_secs(2);

/// Which orders refer to which.
#[derive(Debug, Default)]
pub(crate) struct Referrers {
    index: Index,
    /// Orders that want to go, and since when.
    awaited: BTreeMap<u32, Instant>,
}

impl Referrers {
    /// Sets what an order refers to; says whether it let go of something.
    pub(crate) fn set(&mut self, order: u32, targets: &[Key]) -> bool {
        self.index.replace(order, targets)
    }

    /// An order does not refer to anything any more; says whether it did.
    pub(crate) fn let_go(&mut self, order: u32) -> bool {
        self.index.forget(order)
    }

    /// There is no such order any more; says whether it referred to anything.
    pub(crate) fn forget(&mut self, order: u32) -> bool {
        self.awaited.remove(&order);
        self.index.forget(order)
    }

    /// How long an order that wants to go has to wait for now; `None`: nobody refers to it, or they had their time.
    /// `listed` says whether all orders are known.
    pub(crate) fn wait(
        &mut self,
        order: u32,
        key: &Key,
        listed: bool,
        now: Instant,
    ) -> Option<Duration> {
        let referred = self.index.interested(key).any(|it| it != order);
        if listed && !referred {
            return None;
        }
        let since = *self.awaited.entry(order).or_insert(now);
        let left = (since + PATIENCE).saturating_duration_since(now);
        let wait = if referred { left } else { left.min(SOON) };
        (!wait.is_zero()).then_some(wait)
    }

    /// The orders that want to go.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = u32> {
        self.awaited.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            publication: "pools.example.io".into(),
            cluster: "1abc".into(),
            namespace: "default".into(),
            name: name.into(),
        }
    }

    #[test]
    fn who_is_referred_to_waits_for_a_minute_at_most() {
        let (mut referrers, now) = (Referrers::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        let left = |referrers: &mut Referrers, seconds| {
            let wait = referrers.wait(1, &key("pool"), true, later(seconds));
            wait.map(|it| it.as_secs())
        };
        assert_eq!(left(&mut referrers, 0), None);
        referrers.set(1, &[key("pool")]);
        assert_eq!(left(&mut referrers, 0), None, "it does not wait for itself");
        referrers.set(2, &[key("pool"), key("other")]);
        assert_eq!(left(&mut referrers, 0), Some(60));
        assert_eq!(left(&mut referrers, 25), Some(35));
        assert!(referrers.set(2, &[key("other")]), "it thinks better of it");
        assert_eq!(left(&mut referrers, 26), None);
        assert!(!referrers.set(2, &[key("other"), key("pool")]));
        assert_eq!(left(&mut referrers, 59), Some(1), "the time goes on");
        assert_eq!(left(&mut referrers, 60), None);
        assert!(referrers.let_go(2));
        assert!(!referrers.let_go(2));
    }

    #[test]
    fn nobody_goes_before_it_is_known_who_refers() {
        let (mut referrers, now) = (Referrers::default(), Instant::now());
        assert_eq!(referrers.wait(1, &key("pool"), false, now), Some(SOON));
        assert_eq!(referrers.awaited().collect::<Vec<_>>(), [1]);
        let late = now + PATIENCE;
        assert_eq!(referrers.wait(1, &key("pool"), false, late), None);
        referrers.forget(1);
        assert_eq!(referrers.awaited().count(), 0);
    }
}
