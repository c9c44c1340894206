//! Who is next: a queue that is fair to tenants.
//!
//! Work is queued per lane (a logical cluster) and lanes are served in turn, so a tenant with ten thousand dirty objects
//! delays a quiet one by at most one object per other lane. A key is queued once, however often it is pushed; a key that
//! is being worked on is not handed out a second time, but comes again when it is finished if it was pushed meanwhile.
//! Keys may be pushed for later: that is how back-off is made. The queue has no clock: the caller brings the time.
//!
//! Changes go before what is only looked at again ([`Urgency`]), with the same fairness in both; now and then one of the
//! latter goes first, so that they are never starved. Keys are of classes (publications), and a class may be full: its
//! keys then keep their places while others are served. Neither may one lane have everybody who works ([`Queue::share`]).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

/// After how many changes something goes that only is looked at again.
const RUN: u32 = 8;

/// A key that says whose work it is.
pub trait Laned: Clone + Eq + Hash + Ord {
    /// Of which kind the work is.
    type Class: Clone + Debug + Ord;
    /// Whose it is.
    type Lane: Clone + Debug + Eq + Hash;
    /// The class of this key.
    fn class(&self) -> Self::Class;
    /// The lane of this key.
    fn lane(&self) -> Self::Lane;
}

/// How soon something should be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Something changed.
    Change,
    /// A list told of it, or a pause is over.
    Resync,
}

/// A fair queue of keys, with times of type `T`.
#[derive(Debug)]
pub struct Queue<K: Laned, T: Ord + Copy> {
    changes: Rank<K>,
    resyncs: Rank<K>,
    queued: HashMap<K, Urgency>,
    running: HashMap<K, Option<Urgency>>,
    later: BTreeMap<(T, K), Urgency>,
    due: HashMap<K, T>,
    /// How many changes were handed out since the last resync.
    run: u32,
    /// How many keys of each lane are being worked on, and how many may be.
    busy: HashMap<K::Lane, usize>,
    share: usize,
}

/// What is queued with one urgency; classes are served in turn.
#[derive(Debug)]
struct Rank<K: Laned> {
    classes: BTreeMap<K::Class, Lanes<K>>,
    turn: VecDeque<K::Class>,
}

/// What is queued of one class; lanes are served in turn. No lane is empty.
#[derive(Debug)]
struct Lanes<K: Laned> {
    lanes: HashMap<K::Lane, VecDeque<K>>,
    turn: VecDeque<K::Lane>,
}

impl<K: Laned> Default for Rank<K> {
    fn default() -> Self {
        Self {
            classes: BTreeMap::new(),
            turn: VecDeque::new(),
        }
    }
}

impl<K: Laned> Default for Lanes<K> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            turn: VecDeque::new(),
        }
    }
}

impl<K: Laned> Lanes<K> {
    fn push(&mut self, key: K) {
        let lane = key.lane();
        let line = self.lanes.entry(lane.clone()).or_default();
        if line.is_empty() {
            self.turn.push_back(lane);
        }
        line.push_back(key);
    }

    /// The next key of a lane that has room, among those that are meant.
    fn pop(&mut self, room: impl Fn(&K::Lane) -> bool, meant: impl Fn(&K) -> bool) -> Option<K> {
        for _ in 0..self.turn.len() {
            let lane = self.turn.pop_front()?;
            let line = self.lanes.get_mut(&lane)?;
            let mut key = None;
            if room(&lane) {
                // A key that became urgent meanwhile is in the other rank as well; here it is skipped.
                key = std::iter::from_fn(|| line.pop_front()).find(|key| meant(key));
            }
            if line.is_empty() {
                self.lanes.remove(&lane);
            } else {
                self.turn.push_back(lane);
            }
            if key.is_some() {
                return key;
            }
        }
        None
    }
}

impl<K: Laned> Rank<K> {
    fn push(&mut self, key: K) {
        let class = key.class();
        if !self.classes.contains_key(&class) {
            self.turn.push_back(class.clone());
        }
        self.classes.entry(class).or_default().push(key);
    }

    /// The next key of a class and a lane that have room, among those that are meant.
    fn pop(
        &mut self,
        room: &impl Fn(&K::Class) -> bool,
        lane: impl Fn(&K::Lane) -> bool,
        meant: impl Fn(&K) -> bool,
    ) -> Option<K> {
        for _ in 0..self.turn.len() {
            let class = self.turn.pop_front()?;
            let lanes = self.classes.get_mut(&class)?;
            let mut key = None;
            if room(&class) {
                key = lanes.pop(&lane, &meant);
            }
            if lanes.turn.is_empty() {
                self.classes.remove(&class);
            } else {
                self.turn.push_back(class);
            }
            if key.is_some() {
                return key;
            }
        }
        None
    }
}

impl<K: Laned, T: Ord + Copy> Default for Queue<K, T> {
    fn default() -> Self {
        Self {
            changes: Rank::default(),
            resyncs: Rank::default(),
            queued: HashMap::new(),
            running: HashMap::new(),
            later: BTreeMap::new(),
            due: HashMap::new(),
            run: 0,
            busy: HashMap::new(),
            share: usize::MAX,
        }
    }
}

impl<K: Laned, T: Ord + Copy> Queue<K, T> {
    /// Of one lane no more keys than this are worked on at once, so that there is somebody left for the others.
    pub fn share(&mut self, most: usize) {
        self.share = most.max(1);
    }

    /// Queues a key for now. Being pushed beats waiting: an appointment for later is dropped.
    pub fn push(&mut self, key: K, urgency: Urgency) {
        let urgency = match self.cancel(&key) {
            Some(before) => before.min(urgency),
            None => urgency,
        };
        if let Some(again) = self.running.get_mut(&key) {
            *again = Some(again.map_or(urgency, |before| before.min(urgency)));
            return;
        }
        if self
            .queued
            .get(&key)
            .is_some_and(|before| *before <= urgency)
        {
            return;
        }
        self.queued.insert(key.clone(), urgency);
        match urgency {
            Urgency::Change => self.changes.push(key),
            Urgency::Resync => self.resyncs.push(key),
        }
    }

    /// Queues a key for later. The earlier of two appointments holds; a key that is queued already is not delayed.
    pub fn push_at(&mut self, key: K, at: T, urgency: Urgency) {
        if self.queued.contains_key(&key) || self.due.get(&key).is_some_and(|due| *due <= at) {
            return;
        }
        self.cancel(&key);
        self.due.insert(key.clone(), at);
        self.later.insert((at, key), urgency);
    }

    /// Hands out the next key of a class that has room; it is being worked on until [`Queue::finish`].
    pub fn pop(&mut self, now: T, room: impl Fn(&K::Class) -> bool) -> Option<K> {
        while let Some(((at, _), _)) = self.later.first_key_value()
            && *at <= now
        {
            let ((_, key), urgency) = self.later.pop_first()?;
            self.due.remove(&key);
            self.push(key, urgency);
        }
        let change = |key: &K| self.queued.get(key) == Some(&Urgency::Change);
        let resync = |key: &K| self.queued.get(key) == Some(&Urgency::Resync);
        let (busy, share) = (&self.busy, self.share);
        let lane = |lane: &K::Lane| busy.get(lane).is_none_or(|busy| *busy < share);
        let key = if self.run < RUN {
            let first = self.changes.pop(&room, lane, change);
            first.or_else(|| self.resyncs.pop(&room, lane, resync))
        } else {
            let first = self.resyncs.pop(&room, lane, resync);
            first.or_else(|| self.changes.pop(&room, lane, change))
        }?;
        *self.busy.entry(key.lane()).or_default() += 1;
        match self.queued.remove(&key) {
            Some(Urgency::Change) => self.run = (self.run + 1).min(RUN),
            _ => self.run = 0,
        }
        self.running.insert(key.clone(), None);
        Some(key)
    }

    /// Says that the work on a key is done; it comes again when it was pushed meanwhile.
    pub fn finish(&mut self, key: &K) {
        let Some(again) = self.running.remove(key) else {
            return;
        };
        if let Some(busy) = self.busy.get_mut(&key.lane()) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&key.lane());
            }
        }
        if let Some(urgency) = again {
            self.push(key.clone(), urgency);
        }
    }

    /// Says that the work on a key dealt with what it was pushed for meanwhile.
    pub fn dealt(&mut self, key: &K) {
        if let Some(again) = self.running.get_mut(key) {
            *again = None;
        }
    }

    /// Whether a key is being worked on.
    #[must_use]
    pub fn is_running(&self, key: &K) -> bool {
        self.running.contains_key(key)
    }

    /// When the next appointment is.
    #[must_use]
    pub fn next_due(&self) -> Option<T> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many keys wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queued.len()
    }

    /// Whether a key waits for its turn, is worked on, or comes later.
    #[must_use]
    pub fn is_pending(&self, key: &K) -> bool {
        self.queued.contains_key(key) || self.running.contains_key(key) || self.is_due(key)
    }

    /// Whether a key comes later.
    #[must_use]
    pub fn is_due(&self, key: &K) -> bool {
        self.due.contains_key(key)
    }

    /// The keys that are being worked on.
    pub fn running(&self) -> impl Iterator<Item = &K> {
        self.running.keys()
    }

    /// How many keys are being worked on.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.running.len()
    }

    /// Whether nothing is queued or worked on; appointments do not count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty()
    }

    /// Drops an appointment, and says how urgent it was.
    pub fn cancel(&mut self, key: &K) -> Option<Urgency> {
        let at = self.due.remove(key)?;
        self.later.remove(&(at, key.clone()))
    }
}

#[cfg(test)]
mod tests;
