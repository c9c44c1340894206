//! Who is next: a queue that is fair to tenants.
//!
//! Work is queued per lane (a logical cluster) and lanes are served in turn, so a tenant with ten thousand dirty objects
//! delays a quiet one by at most one object per other lane. A key is queued once, however often it is pushed; a key that
//! is being worked on is not handed out a second time, but comes again when it is finished if it was pushed meanwhile.
//! Keys may be pushed for later: that is how back-off is made. The queue has no clock: the caller brings the time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// A key that says whose work it is.
pub trait Laned: Clone + Eq + Hash + Ord {
    /// Whose.
    type Lane: Clone + Eq + Hash;
    /// The lane of this key.
    fn lane(&self) -> Self::Lane;
}

/// A fair queue of keys, with times of type `T`.
#[derive(Debug)]
pub struct Queue<K: Laned, T: Ord + Copy> {
    lanes: HashMap<K::Lane, VecDeque<K>>,
    turn: VecDeque<K::Lane>,
    queued: HashSet<K>,
    running: HashMap<K, bool>,
    later: BTreeMap<(T, K), ()>,
    due: HashMap<K, T>,
}

impl<K: Laned, T: Ord + Copy> Default for Queue<K, T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            turn: VecDeque::new(),
            queued: HashSet::new(),
            running: HashMap::new(),
            later: BTreeMap::new(),
            due: HashMap::new(),
        }
    }
}

impl<K: Laned, T: Ord + Copy> Queue<K, T> {
    /// Queues a key for now. Being pushed beats waiting: an appointment for later is dropped.
    pub fn push(&mut self, key: K) {
        self.cancel(&key);
        if let Some(again) = self.running.get_mut(&key) {
            *again = true;
            return;
        }
        if !self.queued.insert(key.clone()) {
            return;
        }
        let lane = key.lane();
        let line = self.lanes.entry(lane.clone()).or_default();
        if line.is_empty() {
            self.turn.push_back(lane);
        }
        line.push_back(key);
    }

    /// Queues a key for later. The earlier of two appointments holds; a key that is queued already is not delayed.
    pub fn push_at(&mut self, key: K, at: T) {
        if self.queued.contains(&key) || self.due.get(&key).is_some_and(|due| *due <= at) {
            return;
        }
        self.cancel(&key);
        self.due.insert(key.clone(), at);
        self.later.insert((at, key), ());
    }

    /// Hands out the next key; it is being worked on until [`Queue::finish`].
    pub fn pop(&mut self, now: T) -> Option<K> {
        while let Some(((at, _), ())) = self.later.first_key_value()
            && *at <= now
        {
            let ((_, key), ()) = self.later.pop_first()?;
            self.due.remove(&key);
            self.push(key);
        }
        let lane = self.turn.pop_front()?;
        let line = self.lanes.get_mut(&lane)?;
        let key = line.pop_front()?;
        if line.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turn.push_back(lane);
        }
        self.queued.remove(&key);
        self.running.insert(key.clone(), false);
        Some(key)
    }

    /// Says that the work on a key is done; it comes again when it was pushed meanwhile.
    pub fn finish(&mut self, key: &K) {
        if self.running.remove(key) == Some(true) {
            self.push(key.clone());
        }
    }

    /// The keys that are being worked on.
    pub fn running(&self) -> impl Iterator<Item = &K> {
        self.running.keys()
    }

    /// When the next appointment is.
    #[must_use]
    pub fn next_due(&self) -> Option<T> {
        self.later.first_key_value().map(|((at, _), ())| *at)
    }

    /// How many keys wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queued.len()
    }

    /// Whether nothing is queued or worked on; appointments do not count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty()
    }

    /// Drops an appointment.
    pub fn cancel(&mut self, key: &K) {
        if let Some(at) = self.due.remove(key) {
            self.later.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Key = (&'static str, u32);

    impl Laned for Key {
        type Lane = &'static str;
        fn lane(&self) -> &'static str {
            self.0
        }
    }

    #[test]
    fn a_noisy_tenant_delays_a_quiet_one_by_one_object() {
        let mut queue = Queue::<Key, u64>::default();
        for n in 0..10_000 {
            queue.push(("noisy", n));
        }
        queue.push(("quiet", 0));
        assert_eq!(queue.pop(0), Some(("noisy", 0)));
        assert_eq!(queue.pop(0), Some(("quiet", 0)));
    }

    #[test]
    fn lanes_that_are_always_hot_get_equal_shares() {
        let names: [&'static str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
        let mut queue = Queue::<Key, u64>::default();
        let mut served: BTreeMap<Key, usize> = BTreeMap::new();
        // Unequal numbers of objects, every one of them dirty again as soon as it was served.
        for (size, name) in names.iter().enumerate() {
            for n in 0..=u32::try_from(size).unwrap() * 10 {
                queue.push((name, n));
            }
        }
        for _ in 0..7 * 610 {
            let key = queue.pop(0).unwrap();
            *served.entry(key).or_default() += 1;
            queue.push(key);
            queue.finish(&key);
        }
        for (size, name) in names.iter().enumerate() {
            let counts: Vec<_> = served
                .iter()
                .filter(|(k, _)| k.0 == *name)
                .map(|(_, n)| *n)
                .collect();
            assert_eq!(counts.iter().sum::<usize>(), 610, "lane {name}");
            assert_eq!(
                counts.len(),
                size * 10 + 1,
                "every object of {name} was served"
            );
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn a_key_is_worked_on_once_at_a_time_and_comes_again() {
        let mut queue = Queue::<Key, u64>::default();
        queue.push(("a", 1));
        queue.push(("a", 1));
        assert_eq!(queue.pop(0), Some(("a", 1)));
        queue.push(("a", 1));
        assert_eq!(queue.pop(0), None);
        queue.finish(&("a", 1));
        assert_eq!(queue.pop(0), Some(("a", 1)));
        queue.finish(&("a", 1));
        assert_eq!(queue.pop(0), None);
        assert!(queue.is_idle());
    }

    #[test]
    fn appointments_are_kept_and_a_push_beats_them() {
        let mut queue = Queue::<Key, u64>::default();
        queue.push_at(("a", 1), 10);
        queue.push_at(("a", 1), 20);
        assert_eq!(queue.next_due(), Some(10));
        assert_eq!(queue.pop(9), None);
        assert_eq!(queue.pop(10), Some(("a", 1)));
        queue.push_at(("a", 1), 30);
        queue.finish(&("a", 1));
        queue.push(("a", 1));
        assert_eq!(queue.next_due(), None);
        assert_eq!(queue.pop(11), Some(("a", 1)));
    }
}
