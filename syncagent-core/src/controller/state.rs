//! Everything an agent knows: a record per order, who is next, who cares about what.
//!
//! Bodies are parked here between the event that brought them and the step that reads them, newest per object, and
//! nowhere else. What stays after a step is the record.
//!
//! An order whose gate is still closed waits beside the queue; see [`Gates`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::gate::Gates;
pub(crate) use super::gate::Subject;
use super::index::Index;
use super::ledger::{Ledger, Source};
use super::queue::{Laned, Queue};
use crate::naming::{CopyName, Moved};
use crate::plan::{Key, ObjectRef, Record, Seen, Sight};

/// The first and the longest pause of an order that does not get through.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

impl Laned for Arc<Key> {
    type Lane = Arc<str>;

    fn lane(&self) -> Arc<str> {
        self.cluster.as_str().into()
    }
}

/// What is kept of one order.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    pub(crate) endpoint: Option<Arc<str>>,
    parked: BTreeMap<ObjectRef, Sight>,
    /// In which list the origin and the copy were seen last.
    rounds: (u32, u32),
    failures: u32,
    /// Whether the next step that nothing but time asks for is a second look at what was refused.
    second_look: bool,
    /// When the oldest news came that no step has dealt with.
    since: Option<Instant>,
}

/// One step to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: Arc<Key>,
    pub(crate) record: Record,
    pub(crate) seen: Seen,
    pub(crate) endpoint: Option<Arc<str>>,
    /// When the oldest of the news came; `None`: nothing but time asks for this step.
    pub(crate) since: Option<Instant>,
    /// What a server asked us to wait.
    pub(crate) wait: Option<Duration>,
}

/// How a step ended, for the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to do until something happens.
    Rest,
    /// Another look in a while.
    Recheck(Duration),
    /// It did not get through: back off, at least this long.
    Retry(Duration),
    /// There is no such order any more.
    Forget,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) entries: HashMap<Arc<Key>, Entry>,
    pub(crate) index: Index<ObjectRef, Arc<Key>>,
    pub(crate) ledger: Ledger,
    moved: Arc<Moved>,
    queue: Queue<Arc<Key>, Instant>,
    gated: BTreeSet<Arc<Key>>,
    gates: Gates,
    /// Publications that nobody may take a step for: their generation ends, or ended.
    closed: BTreeSet<String>,
}

impl State {
    /// Begins to follow a watch.
    pub(crate) fn follow(&mut self, source: Source, subject: Subject, now: Instant) {
        self.gates.follow(source, subject, now);
    }

    /// An endpoint is gone: its watches end, and nothing is concluded from that.
    pub(crate) fn lose(&mut self, url: &Arc<str>) {
        let source = Source::Endpoint(url.clone());
        self.gates.lose(&source);
        self.ledger.forget(&source);
        self.open_gates();
    }

    /// A single watch ends.
    pub(crate) fn unfollow(&mut self, source: &Source, subject: &Subject) {
        self.gates.end(source, subject);
        if let Subject::Related(resource) = subject {
            self.ledger.forget_resource(source, resource);
        }
        self.open_gates();
    }

    /// No step of this publication is begun any more.
    pub(crate) fn close(&mut self, publication: &str) {
        self.closed.insert(publication.to_owned());
    }

    /// Steps of this publication may be taken.
    pub(crate) fn open(&mut self, publication: &str) {
        self.closed.remove(publication);
        self.open_gates();
    }

    /// Whether a step of this publication is under way.
    pub(crate) fn is_busy(&self, publication: &str) -> bool {
        self.queue
            .running()
            .any(|key| key.publication == publication)
    }

    /// Forgets the orders of a closed publication, as a restart does. With `successor` its lists count as not read, so
    /// that nobody concludes from what is forgotten here that nobody uses an object. Without one, what its orders use
    /// stays known: they stand, though nobody tends them.
    pub(crate) fn forget_publication(&mut self, publication: &str, successor: bool) {
        let keys: Vec<_> = self
            .entries
            .keys()
            .filter(|key| key.publication == publication)
            .cloned()
            .collect();
        for key in keys {
            self.entries.remove(&key);
            self.queue.cancel(&key);
            self.gated.remove(&key);
            if successor {
                self.index.forget(&key);
            }
        }
        self.gates.renew(publication, successor);
        self.open_gates();
    }

    /// Whether it is known of every object who uses it: the orders of all publications have been listed.
    pub(crate) fn knows_users(&self) -> bool {
        self.gates.orders_listed()
    }

    /// A list begins.
    pub(crate) fn listing(&mut self, source: &Source, subject: &Subject) {
        self.gates.listing(source, subject);
    }

    /// A list is complete; whatever it was expected to show and did not is in doubt.
    pub(crate) fn listed(
        &mut self,
        source: &Source,
        subject: &Subject,
        at: impl Fn(&Key, &Entry) -> Option<ObjectRef>,
    ) {
        let Some(round) = self.gates.listed(source, subject) else {
            return;
        };
        let mut missing = Vec::new();
        for (key, entry) in &self.entries {
            let expected = match (source, subject) {
                (Source::Service, Subject::Copies(id)) => {
                    key.publication == *id && entry.rounds.1 != round
                }
                (Source::Endpoint(url), Subject::Orders(id)) => {
                    key.publication == *id
                        && entry.endpoint.as_ref() == Some(url)
                        && entry.rounds.0 != round
                }
                _ => false,
            };
            if expected && let Some(object) = at(key, entry) {
                missing.push((key.clone(), object));
            }
        }
        for (key, object) in missing {
            self.park(&key, object, Sight::Doubt);
        }
        self.open_gates();
    }

    /// An order was seen at an endpoint.
    pub(crate) fn order(&mut self, key: &Arc<Key>, url: &Arc<str>, at: ObjectRef, sight: Sight) {
        let round = self.gates.round(
            &Source::Endpoint(url.clone()),
            &Subject::Orders(key.publication.clone()),
        );
        let entry = self.entries.entry(key.clone()).or_default();
        entry.endpoint = Some(url.clone());
        entry.rounds.0 = round;
        self.park(key, at, sight);
    }

    /// Where copies are that are not where naming would put them.
    pub(crate) fn moved(&self) -> &Moved {
        &self.moved
    }

    /// A copy was seen, where naming puts it or elsewhere.
    pub(crate) fn copy(&mut self, key: &Arc<Key>, at: ObjectRef, sight: Sight, moved: bool) {
        if moved && matches!(sight, Sight::There(_)) {
            // Before any step, so that those who refer to it know.
            let name = CopyName {
                namespace: at.namespace.clone(),
                name: at.name.clone(),
            };
            Arc::make_mut(&mut self.moved).set(&key.publication, key.identity(), Some(name));
        }
        let round = self
            .gates
            .round(&Source::Service, &Subject::Copies(key.publication.clone()));
        self.entries.entry(key.clone()).or_default().rounds.1 = round;
        self.park(key, at, sight);
    }

    /// Puts objects of orders in doubt, so that they are looked at again.
    pub(crate) fn doubt(&mut self, which: impl Fn(&Key) -> Option<ObjectRef>) {
        let keys = self.entries.keys();
        let found: Vec<_> = keys
            .filter_map(|key| Some((key.clone(), which(key)?)))
            .collect();
        for (key, at) in found {
            self.park(&key, at, Sight::Doubt);
        }
    }

    /// A related object is as it is: tells every order that cares.
    pub(crate) fn related(&mut self, at: &ObjectRef, sight: &Sight) {
        let interested = self.index.interested(at);
        let keys: Vec<_> = interested
            .filter(|key| !self.closed.contains(&key.publication))
            .cloned()
            .collect();
        for key in keys {
            self.park(&key, at.clone(), sight.clone());
        }
    }

    /// Parks news for an order, and queues it.
    fn park(&mut self, key: &Arc<Key>, at: ObjectRef, sight: Sight) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.parked.insert(at, sight);
        entry.since.get_or_insert_with(Instant::now);
        self.gated.remove(key);
        self.queue.push(key.clone());
    }

    /// Whether everything that exists was told, and every order was served.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.gates.is_complete(now) && self.queue.is_idle()
    }

    /// How many orders are known.
    pub(crate) fn orders(&self) -> usize {
        self.entries.len()
    }

    /// How many orders wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// The next step that can be done.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Job> {
        loop {
            let key = self.queue.pop(now)?;
            let Some(entry) = self.entries.get_mut(&key) else {
                self.queue.finish(&key);
                continue;
            };
            let endpoint = entry.endpoint.clone();
            if self.closed.contains(&key.publication)
                || !self.gates.ready(&key, endpoint.as_ref(), now)
            {
                self.queue.finish(&key);
                self.gated.insert(key);
                continue;
            }
            let mut seen = Seen::new();
            seen.note_moved(self.moved.clone());
            for (at, sight) in std::mem::take(&mut entry.parked) {
                seen.note(at, sight);
            }
            let mut record = entry.record.clone();
            if seen.iter().next().is_none() && std::mem::take(&mut entry.second_look) {
                record.look_again();
            }
            return Some(Job {
                record,
                key,
                seen,
                endpoint,
                since: entry.since.take(),
                wait: None,
            });
        }
    }

    /// Takes a step's result back; says whether the copy has another name than was known.
    pub(crate) fn done(&mut self, job: Job, outcome: &Outcome, now: Instant) -> bool {
        let Job {
            key,
            record,
            seen,
            endpoint,
            since,
            ..
        } = job;
        self.queue.finish(&key);
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        let at = record.located.as_deref();
        let moved = self.moved.get(&key.publication, &key.identity()) != at;
        if moved {
            let at = at.cloned();
            Arc::make_mut(&mut self.moved).set(&key.publication, key.identity(), at);
        }
        entry.record = record;
        entry.endpoint = entry.endpoint.take().or(endpoint);
        match outcome {
            Outcome::Forget if entry.parked.is_empty() => {
                self.entries.remove(&key);
                self.index.forget(&key);
                self.queue.cancel(&key);
            }
            Outcome::Rest | Outcome::Forget => entry.failures = 0,
            Outcome::Recheck(pause) => {
                entry.failures = 0;
                entry.second_look = true;
                self.queue.push_at(key, now + *pause);
            }
            Outcome::Retry(least) => {
                // What was in hand is still the news; whatever came meanwhile is newer.
                entry.since = since.or(entry.since);
                for (at, sight) in seen.iter() {
                    entry
                        .parked
                        .entry(at.clone())
                        .or_insert_with(|| sight.clone());
                }
                let pause = PAUSE
                    .0
                    .saturating_mul(1 << entry.failures.min(10))
                    .min(PAUSE.1);
                entry.failures += 1;
                self.queue.push_at(key, now + pause.max(*least));
            }
        }
        moved
    }

    /// When something is due that no event announces: an appointment, or the end of a grace.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let grace = self.gates.next_grace();
        let grace = grace.filter(|_| !self.gated.is_empty());
        self.queue.next_due().into_iter().chain(grace).min()
    }

    /// All endpoints are known.
    pub(crate) fn know_endpoints(&mut self) {
        self.gates.know_endpoints();
        self.open_gates();
    }

    /// Whether every list is complete, so that waiting orders are being served.
    pub(crate) fn is_open(&self) -> bool {
        self.gates.is_open()
    }

    /// Lets those who waited for a list try without it, when its grace is over.
    pub(crate) fn relent(&mut self, now: Instant) {
        if self.gates.relent(now) {
            self.open_gates();
        }
    }

    /// Lets everybody who waited for a list try again.
    fn open_gates(&mut self) {
        for key in std::mem::take(&mut self.gated) {
            self.queue.push(key);
        }
    }
}

#[cfg(test)]
mod tests;
