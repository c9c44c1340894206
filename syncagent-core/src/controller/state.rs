//! Everything an agent knows: a record per order, who is next, who cares about what.
//!
//! Bodies are parked here between the event that brought them and the step that reads them, newest per object, and
//! nowhere else. What stays after a step is the record.
//!
//! Nothing is decided before it can be: a step of an order waits until the copies of its publication and everything
//! watched at its endpoint have been listed once, so a restart joins both sides instead of asking about each order. An
//! order that no endpoint has told of (a copy without an origin) waits for *all* endpoints. Watches of related objects get
//! a grace only: when one of them cannot be had, steps ask for single objects instead.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::index::Index;
use super::ledger::{Ledger, Source};
use super::queue::{Laned, Queue};
use crate::plan::{Key, ObjectRef, Record, Seen, Sight};

/// How long the first list of related objects may hold back the orders of an endpoint.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// The first and the longest pause of an order that does not get through.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

impl Laned for Arc<Key> {
    type Lane = Arc<str>;

    fn lane(&self) -> Arc<str> {
        self.cluster.as_str().into()
    }
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// The copies of a publication.
    Copies(String),
    /// The orders of a publication at an endpoint.
    Orders(String),
    /// The metadata of a related kind, as `plural.group`.
    Related(String),
}

/// How far a watch is.
#[derive(Debug)]
struct Progress {
    listed: bool,
    since: Instant,
    /// Whether those who waited for it were let go on without it.
    relented: bool,
    /// Counts lists, to notice what is missing in the newest.
    round: u32,
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
    /// What was told to people last, so that nothing is told twice.
    pub(crate) told: Option<String>,
}

/// One step to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: Arc<Key>,
    pub(crate) record: Record,
    pub(crate) seen: Seen,
    pub(crate) endpoint: Option<Arc<str>>,
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
    queue: Queue<Arc<Key>, Instant>,
    gated: BTreeSet<Arc<Key>>,
    watches: BTreeMap<(Source, Subject), Progress>,
    /// Whether the slices have been read, so that all endpoints are known.
    endpoints_known: bool,
}

impl State {
    /// Begins to follow a watch.
    pub(crate) fn follow(&mut self, source: Source, subject: Subject, now: Instant) {
        self.watches.insert(
            (source, subject),
            Progress {
                listed: false,
                since: now,
                relented: false,
                round: 0,
            },
        );
    }

    /// An endpoint is gone: its watches end, and nothing is concluded from that.
    pub(crate) fn lose(&mut self, url: &Arc<str>) {
        let source = Source::Endpoint(url.clone());
        self.watches.retain(|(at, _), _| *at != source);
        self.ledger.forget(&source);
        self.open_gates();
    }

    /// A list begins.
    pub(crate) fn listing(&mut self, source: &Source, subject: &Subject) {
        if let Some(progress) = self.watches.get_mut(&(source.clone(), subject.clone())) {
            progress.round += 1;
        }
    }

    /// A list is complete; whatever it was expected to show and did not is in doubt.
    pub(crate) fn listed(
        &mut self,
        source: &Source,
        subject: &Subject,
        at: impl Fn(&Key, &Entry) -> Option<ObjectRef>,
    ) {
        let Some(progress) = self.watches.get_mut(&(source.clone(), subject.clone())) else {
            return;
        };
        progress.listed = true;
        let round = progress.round;
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
        let round = self.round(
            &Source::Endpoint(url.clone()),
            &Subject::Orders(key.publication.clone()),
        );
        let entry = self.entries.entry(key.clone()).or_default();
        entry.endpoint = Some(url.clone());
        entry.rounds.0 = round;
        self.park(key, at, sight);
    }

    /// A copy was seen.
    pub(crate) fn copy(&mut self, key: &Arc<Key>, at: ObjectRef, sight: Sight) {
        let round = self.round(&Source::Service, &Subject::Copies(key.publication.clone()));
        self.entries.entry(key.clone()).or_default().rounds.1 = round;
        self.park(key, at, sight);
    }

    /// A related object is as it is: tells every order that cares.
    pub(crate) fn related(&mut self, at: &ObjectRef, sight: &Sight) {
        let keys: Vec<_> = self.index.interested(at).cloned().collect();
        for key in keys {
            self.park(&key, at.clone(), sight.clone());
        }
    }

    fn round(&self, source: &Source, subject: &Subject) -> u32 {
        let watch = self.watches.get(&(source.clone(), subject.clone()));
        watch.map_or(0, |progress| progress.round)
    }

    /// Parks news for an order, and queues it.
    fn park(&mut self, key: &Arc<Key>, at: ObjectRef, sight: Sight) {
        self.entries
            .entry(key.clone())
            .or_default()
            .parked
            .insert(at, sight);
        self.gated.remove(key);
        self.queue.push(key.clone());
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
            if !ready(
                &self.watches,
                self.endpoints_known,
                &key,
                endpoint.as_ref(),
                now,
            ) {
                self.queue.finish(&key);
                self.gated.insert(key);
                continue;
            }
            let mut seen = Seen::new();
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
                wait: None,
            });
        }
    }

    /// Takes a step's result back.
    pub(crate) fn done(&mut self, job: Job, outcome: &Outcome, now: Instant) {
        let Job {
            key,
            record,
            seen,
            endpoint,
            ..
        } = job;
        self.queue.finish(&key);
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
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
    }

    /// When something is due that no event announces: an appointment, or the end of a grace.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let grace = self
            .watches
            .iter()
            .filter(|((_, subject), progress)| {
                matches!(subject, Subject::Related(_)) && !progress.listed && !progress.relented
            })
            .map(|(_, progress)| progress.since + GRACE)
            .min()
            .filter(|_| !self.gated.is_empty());
        self.queue.next_due().into_iter().chain(grace).min()
    }

    /// All endpoints are known.
    pub(crate) fn know_endpoints(&mut self) {
        self.endpoints_known = true;
        self.open_gates();
    }

    /// Whether every list is complete, so that waiting orders are being served.
    pub(crate) fn is_open(&self) -> bool {
        self.watches.values().all(|progress| progress.listed)
    }

    /// Lets those who waited for a list try without it, when its grace is over.
    pub(crate) fn relent(&mut self, now: Instant) {
        let over = self.watches.iter_mut().filter(|((_, subject), progress)| {
            matches!(subject, Subject::Related(_))
                && !progress.relented
                && now >= progress.since + GRACE
        });
        let mut any = false;
        for (_, progress) in over {
            any |= !progress.listed;
            progress.relented = true;
        }
        if any {
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

/// Whether everything a step must know has been listed once.
fn ready(
    watches: &BTreeMap<(Source, Subject), Progress>,
    endpoints_known: bool,
    key: &Key,
    endpoint: Option<&Arc<str>>,
    now: Instant,
) -> bool {
    let mut endpoints = 0;
    for ((source, subject), progress) in watches {
        let concerned = match (source, subject) {
            (_, Subject::Copies(id)) => *id == key.publication,
            (Source::Service, _) => true,
            (Source::Endpoint(url), _) => endpoint.is_none_or(|at| at == url),
        };
        if matches!(source, Source::Endpoint(_)) {
            endpoints += 1;
        }
        let late = matches!(subject, Subject::Related(_)) && now >= progress.since + GRACE;
        if concerned && !progress.listed && !late {
            return false;
        }
    }
    endpoint.is_some() || (endpoints_known && endpoints > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Kind, Scope};
    use crate::plan::{CopyKnown, Known, Place, Synced};

    fn key(name: &str) -> Arc<Key> {
        Arc::new(Key {
            publication: "things.example.io".into(),
            cluster: "1abc".into(),
            namespace: "default".into(),
            name: name.into(),
        })
    }

    fn object(place: Place, name: &str) -> ObjectRef {
        ObjectRef {
            place,
            kind: Kind {
                group: "example.io".into(),
                version: "v1".into(),
                kind: "Thing".into(),
                plural: "things".into(),
                scope: Scope::Namespaced,
            },
            namespace: "default".into(),
            name: name.into(),
        }
    }

    fn origin(name: &str) -> ObjectRef {
        object(Place::Workspace("1abc".into()), name)
    }

    fn subjects() -> (Subject, Subject) {
        let id = "things.example.io".to_owned();
        (Subject::Copies(id.clone()), Subject::Orders(id))
    }

    fn listed(state: &mut State, source: &Source, subject: &Subject) {
        state.listed(source, subject, |key, entry| {
            entry.record.origin.as_ref().map(|_| origin(&key.name))
        });
    }

    #[tokio::test(start_paused = true)]
    async fn no_step_before_both_sides_are_listed() {
        let now = Instant::now();
        let url: Arc<str> = "https://kcp".into();
        let endpoint = Source::Endpoint(url.clone());
        let (copies, orders) = subjects();
        let mut state = State::default();
        state.follow(Source::Service, copies.clone(), now);
        state.follow(endpoint.clone(), orders.clone(), now);
        state.order(&key("a"), &url, origin("a"), Sight::Doubt);
        assert!(state.next(now).is_none());
        listed(&mut state, &endpoint, &orders);
        assert!(state.next(now).is_none());
        listed(&mut state, &Source::Service, &copies);
        assert_eq!(state.next(now).unwrap().key, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_without_an_origin_waits_for_all_endpoints() {
        let now = Instant::now();
        let (copies, orders) = subjects();
        let endpoint = Source::Endpoint("https://kcp".into());
        let mut state = State::default();
        state.follow(Source::Service, copies.clone(), now);
        state.copy(&key("a"), object(Place::Service, "a"), Sight::Doubt);
        listed(&mut state, &Source::Service, &copies);
        assert!(state.next(now).is_none(), "no endpoint is known");
        state.know_endpoints();
        state.follow(endpoint.clone(), orders.clone(), now);
        assert!(state.next(now).is_none(), "its orders are not listed");
        listed(&mut state, &endpoint, &orders);
        assert!(state.next(now).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn related_objects_hold_back_for_a_while_only() {
        let now = Instant::now();
        let url: Arc<str> = "https://kcp".into();
        let endpoint = Source::Endpoint(url.clone());
        let (_, orders) = subjects();
        let mut state = State::default();
        state.follow(endpoint.clone(), orders.clone(), now);
        state.follow(endpoint.clone(), Subject::Related("secrets".into()), now);
        state.order(&key("a"), &url, origin("a"), Sight::Doubt);
        listed(&mut state, &endpoint, &orders);
        assert!(state.next(now).is_none());
        assert_eq!(state.next_due(), Some(now + GRACE));
        state.relent(now + GRACE);
        assert!(state.next(now + GRACE).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_new_list_lacks_is_in_doubt() {
        let now = Instant::now();
        let url: Arc<str> = "https://kcp".into();
        let endpoint = Source::Endpoint(url.clone());
        let (_, orders) = subjects();
        let mut state = State::default();
        state.follow(endpoint.clone(), orders.clone(), now);
        state.listing(&endpoint, &orders);
        for name in ["a", "b"] {
            state.order(&key(name), &url, origin(name), Sight::Doubt);
        }
        listed(&mut state, &endpoint, &orders);
        while let Some(mut job) = state.next(now) {
            job.record.origin = Some(crate::plan::Known::default());
            state.done(job, &Outcome::Rest, now);
        }
        state.listing(&endpoint, &orders);
        state.order(&key("b"), &url, origin("b"), Sight::Doubt);
        let job = state.next(now).unwrap();
        state.done(job, &Outcome::Rest, now);
        listed(&mut state, &endpoint, &orders);
        let job = state.next(now).unwrap();
        assert_eq!(job.key, key("a"));
        assert_eq!(job.seen.of(&origin("a")), &Sight::Doubt);
        assert!(state.next(now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_and_keep_what_was_in_hand() {
        let now = Instant::now();
        let url: Arc<str> = "https://kcp".into();
        let mut state = State::default();
        state.order(&key("a"), &url, origin("a"), Sight::Doubt);
        let mut at = now;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let job = state.next(at).unwrap();
            assert_eq!(job.seen.of(&origin("a")), &Sight::Doubt);
            state.done(job, &Outcome::Retry(Duration::ZERO), at);
            let due = state.next_due().unwrap();
            pauses.push((due - at).as_millis());
            at = due;
        }
        assert_eq!(
            pauses,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
    }

    /// The text on the heap of a record.
    fn heap(record: &Record) -> usize {
        let known = |it: &Known| it.uid.capacity() + it.version.capacity();
        let mut bytes = record.origin.as_ref().map_or(0, known);
        bytes += record
            .finalizers
            .iter()
            .map(|it| it.capacity() + size_of::<String>())
            .sum::<usize>();
        if let Some(copy) = &record.copy {
            bytes += known(&copy.known) + copy.applied.as_ref().map_or(0, String::capacity);
        }
        if let Some(synced) = &record.synced {
            bytes += synced.reason.capacity() + synced.message.capacity() + synced.since.capacity();
        }
        bytes
    }

    #[test]
    fn what_is_kept_of_a_settled_order_is_less_than_a_kibibyte() {
        let known = || Known {
            uid: "bb9f9642-0605-4da3-97b8-2bd5b2ec8fb7".into(),
            version: "1234567890".into(),
        };
        let fingerprint = || crate::object::fingerprint::Fingerprint::of(&serde_json::json!({}));
        let record = Record {
            origin: Some(known()),
            wish: Some(fingerprint()),
            finalizers: vec!["postgresql.cnpg.io.syncagent.kcp.io/hold".into()],
            copy: Some(CopyKnown {
                known: known(),
                applied: Some(fingerprint().to_string()),
                entry: Some(fingerprint()),
                generation: 7,
                reflects: 7,
                before: 6,
                content: fingerprint(),
                deleting: false,
                suspect: false,
            }),
            reflected: Some(fingerprint()),
            replied: Some(fingerprint()),
            shown: Some(fingerprint()),
            synced: Some(Synced {
                ok: true,
                reason: "Synced".into(),
                message: "the order is at the service".into(),
                since: "2026-11-22T19:06:46Z".into(),
            }),
            ..Record::default()
        };
        let size = size_of::<Entry>() + heap(&record);
        assert!(size <= 1024, "{size} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_endpoint_deletes_nothing() {
        let now = Instant::now();
        let url: Arc<str> = "https://kcp".into();
        let endpoint = Source::Endpoint(url.clone());
        let (_, orders) = subjects();
        let mut state = State::default();
        state.follow(endpoint.clone(), orders.clone(), now);
        state.order(&key("a"), &url, origin("a"), Sight::Doubt);
        listed(&mut state, &endpoint, &orders);
        let job = state.next(now).unwrap();
        state.done(job, &Outcome::Rest, now);
        state.lose(&url);
        assert!(state.next(now).is_none());
        assert!(state.entries.contains_key(&key("a")));
    }
}
