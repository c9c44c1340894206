//! Everything an agent knows: a record per order, who is next, who cares about what.
//!
//! Bodies are parked here between the event that brought them and the step that reads them, newest per object, and
//! nowhere else. What stays after a step is the record.
//!
//! An order whose gate is still closed waits beside the queue; see [`Gates`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::doors::{Doors, Which};
use super::flow::{Flow, Sign};
use super::gate::Gates;
pub(crate) use super::gate::Subject;
use super::gated::{Gated, Side};
use super::index::Index;
use super::ledger::{Bookmark, Ledger, Source};
use super::orders::{Orders, Turn};
use super::pause::Pauses;
use super::queue::{Laned as _, Queue, Urgency};
use super::referrers::Referrers;
use super::selections::Selections;
use crate::naming::{CopyName, Moved};
use crate::object::{self, is_older};
use crate::plan::{Key, Known, ObjectRef, Query, Record, Seen, Sight};

/// How many orders may wait for their turn before listeners stop listening.
const CROWD: usize = 4000;
/// How many orders may wait for their turn before bodies are packed while they wait.
const OPEN: usize = 128;
/// How far a list of orders may be ahead of the list of their copies, or the other way round.
const AHEAD: usize = 1000;

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
    /// Whether what went wrong last is the trouble of a whole server, of which people were told.
    pub(crate) wide: bool,
    /// Whether this is another look at what was refused, which no news asked for.
    pub(crate) again: bool,
    /// A namespace of which a server said that it is not there, whatever a watch told.
    pub(crate) missed: Option<ObjectRef>,
    /// How often a server had gone back to an older state when the step began.
    pub(crate) restored: u64,
}

/// How a step ended, for the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to do until something happens.
    Rest,
    /// Another look in a while.
    Recheck(Duration),
    /// Something may not be read: another look in a while, or soon, and later each time, by one for all.
    Knock(Duration),
    /// It did not get through: back off, at least this long.
    Retry(Duration),
    /// What it would do has to wait for a person's word.
    Pause,
    /// There is no such order any more.
    Forget,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    orders: Orders,
    index: Index,
    referrers: Referrers,
    selections: Selections<u32>,
    pub(crate) ledger: Ledger,
    moved: Arc<Moved>,
    queue: Queue<Turn, Instant>,
    gated: Gated,
    /// Orders of which only their first step can tell what they use.
    newcomers: BTreeSet<u32>,
    /// Orders that were deleted while we took hold of them, with their uids.
    torn: HashMap<u32, String>,
    /// Orders that wait for a person's word.
    paused: BTreeSet<Turn>,
    gates: Gates,
    pauses: Pauses,
    /// How many steps may be under way at once, in all.
    flow: Flow,
    /// When the first answer came that the flow was told of.
    began: Option<Instant>,
    /// How many steps of a publication may be under way at once, and how many are.
    limits: HashMap<u32, usize>,
    running: HashMap<u32, usize>,
    /// Publications that nobody may take a step for: their generation ends, or ended.
    closed: BTreeSet<String>,
    /// Publications whose orders may be decided about as soon as origin and copy are in hand.
    alone: BTreeSet<String>,
    /// How often a server was found to have gone back to an older state.
    restored: u64,
    /// What may not be read, and who waits for it.
    doors: Doors,
}

impl State {
    /// A state that takes its chance from this seed, and never has more steps under way than this.
    pub(crate) fn new(seed: u64, most: usize) -> Self {
        let mut state = Self {
            pauses: Pauses::new(seed),
            flow: Flow::new(most),
            ..Self::default()
        };
        state.queue.share(state.share());
        state
    }

    /// How many steps of one tenant may be under way: a quarter of all is never one tenant's.
    fn share(&self) -> usize {
        let limit = self.flow.limit();
        limit - limit / 4
    }

    /// A server answered what a step asked for, or did not.
    pub(crate) fn heard(&mut self, sign: Sign, now: Instant) {
        let since = *self.began.get_or_insert(now);
        let full = self.queue.waiting() > 0 && self.queue.at_work() * 4 >= self.share() * 3;
        let before = self.flow.limit();
        self.flow.heard(sign, full, now - since);
        if self.flow.limit() != before {
            tracing::debug!(steps = self.flow.limit(), "as many steps at once");
            self.queue.share(self.share());
        }
    }

    /// Whether as many steps are under way as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.at_work() >= self.flow.limit()
    }

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

    /// Steps of this publication may be taken, so many at once. `alone` says that its steps need not know where the copies
    /// of other orders are.
    pub(crate) fn open(&mut self, publication: &str, at_once: Option<usize>, alone: bool) {
        self.closed.remove(publication);
        if alone {
            self.alone.insert(publication.to_owned());
        } else {
            self.alone.remove(publication);
        }
        let number = self.orders.publication(publication);
        match at_once {
            Some(most) => self.limits.insert(number, most.max(1)),
            None => self.limits.remove(&number),
        };
        self.open_gates();
    }

    /// Whether a step of this publication is under way.
    pub(crate) fn is_busy(&self, publication: &str) -> bool {
        let mut running = self.queue.running();
        running.any(|turn| self.orders.is_of(turn.order, publication))
    }

    /// Forgets the orders of a closed publication, as a restart does. With `successor` its lists count as not read, so
    /// that nobody concludes from what is forgotten here that nobody uses an object. Without one, what its orders use
    /// stays known: they stand, though nobody tends them.
    pub(crate) fn forget_publication(&mut self, publication: &str, successor: bool) {
        let all: Vec<_> = self
            .orders
            .all()
            .filter(|order| self.orders.is_of(*order, publication))
            .collect();
        for order in all {
            self.queue.cancel(&self.orders.turn(order));
            self.paused.remove(&self.orders.turn(order));
            self.gated.remove(order);
            self.newcomers.remove(&order);
            self.torn.remove(&order);
            self.referrers.forget(order);
            self.call(order, &BTreeSet::new());
            if successor {
                self.index.forget(order);
                self.selections.forget(&order);
                self.orders.remove(order);
            } else {
                self.orders.wipe(order);
            }
        }
        self.gates.renew(publication, successor);
        self.open_gates();
    }

    /// Whether other orders use an object; `None` while that is not known of every order, for not all are listed, or one
    /// of the same workspace has not had the step yet that finds out.
    pub(crate) fn used_by_others(&self, object: &ObjectRef, key: &Key) -> Option<bool> {
        let this = self.orders.find(key);
        let mut interested = self.index.interested(object);
        if interested.any(|order| Some(order) != this) {
            return Some(true);
        }
        let may_use =
            |order: &u32| Some(*order) != this && self.orders.key(*order).cluster == key.cluster;
        let known = self.gates.orders_listed() && !self.newcomers.iter().any(may_use);
        known.then_some(false)
    }

    /// Nobody knows what this order uses before its first step.
    pub(crate) fn expect_more(&mut self, key: &Key) {
        let order = self.orders.add(key);
        if self.orders.is_new(order) {
            self.newcomers.insert(order);
        }
    }

    /// Sets what an order cares about beside its origin and its copy, and what it selects by labels.
    pub(crate) fn concern(&mut self, key: &Key, objects: &[ObjectRef], queries: Vec<Query>) {
        let order = self.orders.add(key);
        self.index.replace(order, objects);
        self.selections.replace(&order, queries);
    }

    /// Adds to what an order cares about.
    pub(crate) fn care(&mut self, key: &Key, object: &ObjectRef) {
        let order = self.orders.add(key);
        self.index.register(order, object);
    }

    /// Sets which orders this one refers to.
    pub(crate) fn refer(&mut self, key: &Key, targets: &[Key]) {
        if let Some(order) = self.orders.find(key)
            && self.referrers.set(order, targets)
        {
            self.wake(self.orders.turn(order).lane());
        }
    }

    /// How long the copy of an order has to stay for now, for others refer to the order and go first.
    pub(crate) fn referred(&mut self, key: &Key, now: Instant) -> Option<Duration> {
        let order = self.orders.find(key)?;
        // Those who may refer to it are in its workspace, and so behind the same endpoint.
        let at = self.orders.endpoint(order).cloned().map(Source::Endpoint);
        let near = |source: &Source| at.as_ref().is_none_or(|it| it == source);
        let listed = self.gates.orders_listed_at(near);
        self.referrers.wait(order, key, listed, now)
    }

    /// Somebody of this workspace let go of what they referred to: whoever waited for that may go on.
    fn wake(&mut self, lane: u32) {
        let awaited = self.referrers.awaited();
        let awaited = awaited.filter(|order| self.orders.has(*order));
        for turn in awaited.map(|order| self.orders.turn(order)) {
            if turn.lane() == lane {
                self.gated.remove(turn.order);
                self.queue.push(turn, Urgency::Change);
            }
        }
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
        at: impl Fn(&Key, &Record) -> Option<ObjectRef>,
    ) {
        let Some(round) = self.gates.listed(source, subject) else {
            return;
        };
        let expected = |order: &u32| {
            let (origin, copy) = self.orders.entry(*order).rounds;
            match (source, subject) {
                (Source::Service, Subject::Copies(id)) => {
                    copy != round && self.orders.is_of(*order, id)
                }
                (Source::Endpoint(url), Subject::Orders(id)) => {
                    origin != round
                        && self.orders.endpoint(*order) == Some(url)
                        && self.orders.is_of(*order, id)
                }
                _ => false,
            }
        };
        let missing: Vec<_> = self.orders.all().filter(expected).collect();
        for order in missing {
            if let Some(object) = at(&self.orders.key(order), &self.orders.record(order)) {
                self.park(order, object, Sight::Doubt, Urgency::Change);
            }
        }
        self.open_gates();
    }

    /// An order was seen at an endpoint.
    pub(crate) fn order(&mut self, key: &Key, url: &Arc<str>, at: ObjectRef, sight: Sight) {
        if self.is_over(key, &sight) {
            return;
        }
        let source = Source::Endpoint(url.clone());
        let subject = Subject::Orders(key.publication.clone());
        let order = self.orders.add(key);
        let moved = self.orders.endpoint(order) != Some(url);
        self.orders.tell_of(order, url);
        self.orders.entry_mut(order).rounds.0 = self.gates.round(&source, &subject);
        let listing = self.gates.is_listing(&source, &subject);
        if !moved && self.is_no_news(order, &sight) {
            return;
        }
        let there = sight.body().is_some();
        self.orders.entry_mut(order).hand().sides.0 = there;
        self.park(order, at, sight, urgency(listing));
    }

    /// The last state that a watch told of an order has our finalizer, and no deletion timestamp.
    pub(crate) fn tear(&mut self, key: &Key, uid: &str) {
        if let Some(order) = self.orders.find(key) {
            self.torn.insert(order, uid.to_owned());
        }
    }

    /// The uid of the order of this name that was deleted while we took hold of it.
    pub(crate) fn torn(&self, key: &Key) -> Option<String> {
        if self.torn.is_empty() {
            return None;
        }
        self.torn.get(&self.orders.find(key)?).cloned()
    }

    /// Where copies are that are not where naming would put them.
    pub(crate) fn moved(&self) -> &Moved {
        &self.moved
    }

    /// A copy was seen, where naming puts it or elsewhere.
    pub(crate) fn copy(&mut self, key: &Key, at: ObjectRef, sight: Sight, moved: bool) {
        if self.is_over(key, &sight) {
            return;
        }
        if moved && matches!(sight, Sight::There(_)) {
            // Before any step, so that those who refer to it know.
            let name = CopyName {
                namespace: at.namespace.clone(),
                name: at.name.clone(),
            };
            Arc::make_mut(&mut self.moved).set(&key.publication, key.identity(), Some(name));
        }
        let subject = Subject::Copies(key.publication.clone());
        let order = self.orders.add(key);
        self.orders.entry_mut(order).rounds.1 = self.gates.round(&Source::Service, &subject);
        let listing = self.gates.is_listing(&Source::Service, &subject);
        if self.is_no_news(order, &sight) {
            return;
        }
        let there = sight.body().is_some();
        self.orders.entry_mut(order).hand().sides.1 = there;
        self.park(order, at, sight, urgency(listing));
    }

    /// Whether something left of which nothing is known: the order came to its end, and the watch of its other side says
    /// so later. What is there will be listed, or is, so there is nothing to be asked.
    fn is_over(&self, key: &Key, sight: &Sight) -> bool {
        *sight == Sight::Doubt && self.orders.find(key).is_none()
    }

    /// Whether an order is at rest, and knows its origin or its copy as a watch shows it: a list tells once more, or our own
    /// write comes back.
    fn is_no_news(&self, order: u32, sight: &Sight) -> bool {
        let turn = self.orders.turn(order);
        self.orders.entry(order).busy().is_none()
            && !self.queue.is_pending(&turn)
            && !self.gated.has(order)
            && is_known(&self.orders.record(order), sight)
    }

    /// What is known of an order.
    pub(crate) fn record(&self, key: &Key) -> Option<Record> {
        self.orders.find(key).map(|order| self.orders.record(order))
    }

    /// An endpoint, or the service cluster, has an older state than it had, as a watch found out (`listing`: amid a list):
    /// versions that were seen there before tell nothing. Says whether any was known.
    pub(crate) fn restored(&mut self, source: &Source, subject: &Subject, listing: bool) -> bool {
        let all: Vec<_> = self.orders.all().collect();
        let round = self.gates.round(source, subject);
        let mut any = false;
        for order in all {
            if let Source::Endpoint(url) = source
                && self.orders.endpoint(order) != Some(url)
            {
                continue;
            }
            let mut record = self.orders.record(order);
            let mut changed = record.forget_versions(*source == Source::Service);
            any |= changed;
            if let Subject::Orders(id) = subject
                && self.orders.is_of(order, id)
                && !(listing && self.orders.entry(order).rounds.0 == round)
            {
                // The list that follows shows it, or nobody deleted it.
                record.unsure = record.origin.is_some();
                changed |= record.unsure;
            }
            if changed {
                self.orders.keep(order, &record);
            }
        }
        self.restored += 1;
        any
    }

    /// Puts objects of orders in doubt, so that they are looked at again.
    pub(crate) fn doubt(&mut self, which: impl Fn(&Key) -> Option<ObjectRef>) {
        let found: Vec<_> = self
            .orders
            .all()
            .filter_map(|order| Some((order, which(&self.orders.key(order))?)))
            .collect();
        for (order, at) in found {
            self.park(order, at, Sight::Doubt, Urgency::Change);
        }
    }

    /// A related object is as it is: tells every order that cares.
    pub(crate) fn related(&mut self, at: &ObjectRef, sight: &Sight) {
        let joins = sight.outline().map(|it| self.selections.select(at, it));
        let mut told = joins.unwrap_or_default();
        told.extend(self.index.interested(at));
        for order in told {
            if !self.closed.contains(self.orders.publication_of(order)) {
                self.park(order, at.clone(), sight.clone(), Urgency::Change);
            }
        }
    }

    /// Parks news for an order, and queues it.
    fn park(&mut self, order: u32, at: ObjectRef, sight: Sight, urgency: Urgency) {
        let turn = self.orders.turn(order);
        let failing = |busy: &super::orders::Busy| busy.failures > 0;
        let echo = self.orders.entry(order).busy().is_some_and(failing)
            && version(&sight).is_some_and(|it| self.orders.record(order).knows(&it));
        self.gated.remove(order);
        let busy = self.orders.entry_mut(order).hand();
        busy.parked.put(at, sight);
        busy.since.get_or_insert_with(Instant::now);
        let not_before = busy.not_before;
        if echo {
            // Our own writes do not bring an order forward that does not get through.
            if !self.queue.is_due(&turn) {
                self.queue.push(turn, urgency);
            }
        } else {
            busy.failures = 0;
            match not_before {
                Some(at) => self.queue.push_at(turn, at, urgency),
                None => self.queue.push(turn, urgency),
            }
        }
        // What comes during a step is most often what that step wrote.
        if self.queue.waiting() > OPEN && !self.queue.is_running(&turn) {
            self.orders.pack_parked(order);
        }
    }

    /// Whether a listener should wait before it parks another body: too many wait for their turn, or its list is far
    /// ahead of the one that it is joined with.
    pub(crate) fn is_crowded(&self, subject: &Subject) -> bool {
        // A step that does not hear that a namespace is there makes it once more.
        if matches!(subject, Subject::Related(_)) {
            return false;
        }
        if self.queue.waiting() > CROWD {
            return true;
        }
        if !subject
            .publication()
            .is_some_and(|id| self.alone.contains(id))
        {
            return false;
        }
        let ahead =
            |side, other| self.gated.alone(side) > AHEAD && self.gated.alone(other) <= AHEAD;
        match subject {
            Subject::Orders(id) => {
                let copies = Subject::Copies(id.clone());
                ahead(Side::Origin, Side::Copy) && !self.gates.is_listed(None, &copies)
            }
            Subject::Copies(id) => {
                let orders = Subject::Orders(id.clone());
                ahead(Side::Copy, Side::Origin) && !self.gates.is_listed(None, &orders)
            }
            Subject::Related(_) => false,
        }
    }

    /// Whether everything that exists was told, and every order was served.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.gates.is_complete(now) && self.queue.is_idle()
    }

    /// Objects of workspaces that carry our finalizer and that no order needs, as far as that can be told now.
    pub(crate) fn unneeded(
        &self,
        finalizer: &str,
        now: Instant,
    ) -> Vec<(Source, ObjectRef, Value)> {
        let known = self.gates.is_complete(now) && self.gates.orders_listed();
        if !known || self.queue.waiting() > 0 || !self.gated.is_empty() {
            return Vec::new();
        }
        let mut held = self.ledger.held(finalizer);
        held.retain(|(_, at, _)| self.index.interested(at).next().is_none());
        if held.is_empty() {
            return held;
        }
        for order in self.orders.all() {
            let place = self.orders.key(order).workspace();
            if !held.iter().any(|(_, at, _)| at.place == place) {
                continue;
            }
            let record = self.orders.record(order);
            let unrest = self.orders.entry(order).busy().is_some() || record.deleting;
            held.retain(|(_, at, _)| {
                let needed = record.taken.iter().any(|it| it.origin == *at);
                at.place != place || !(unrest || needed)
            });
        }
        held
    }

    /// Orders of which nothing is known but what was taken for them, as far as that can be told now: a stretch of a walk
    /// through all that was taken, and where the next one begins.
    pub(crate) fn strays(
        &self,
        from: Option<&Bookmark>,
        now: Instant,
    ) -> (BTreeSet<Key>, Option<Bookmark>) {
        let known = self.gates.is_complete(now) && self.gates.orders_listed();
        if !known || self.queue.waiting() > 0 || !self.gated.is_empty() {
            return (BTreeSet::new(), None);
        }
        let (mut keys, next) = self.ledger.taken_for(from);
        keys.retain(|key| self.orders.find(key).is_none());
        (keys, next)
    }

    /// Lets a step find out whether there is such an order.
    pub(crate) fn look_for(&mut self, key: &Key, origin: ObjectRef) {
        let order = self.orders.add(key);
        self.park(order, origin, Sight::Doubt, Urgency::Resync);
    }

    /// How many orders are known.
    pub(crate) fn orders(&self) -> usize {
        self.orders.len()
    }

    /// How many orders wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// The next step that can be done.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Job> {
        if self.is_full() {
            return None;
        }
        loop {
            let (limits, running) = (&self.limits, &self.running);
            let turn = self.queue.pop(now, |publication| {
                let most = limits.get(publication);
                most.is_none_or(|most| running.get(publication).is_none_or(|it| it < most))
            })?;
            let order = turn.order;
            if !self.orders.has(order) || self.orders.turn(order) != turn {
                self.queue.finish(&turn);
                continue;
            }
            let endpoint = self.orders.endpoint(order).cloned();
            let publication = self.orders.publication_of(order);
            let sides = self.orders.entry(order).busy().map(|busy| busy.sides);
            let joined = self.alone.contains(publication)
                && match sides {
                    Some((true, true)) => true,
                    // Where all copies are listed there is none.
                    Some((true, false)) => self.gates.knows_copies(publication),
                    _ => false,
                };
            if self.closed.contains(publication)
                || !self
                    .gates
                    .ready(publication, endpoint.as_ref(), joined, now)
            {
                self.queue.finish(&turn);
                self.orders.pack_parked(order);
                self.gated.add(order, sides.unwrap_or_default());
                continue;
            }
            *self.running.entry(turn.publication).or_default() += 1;
            let mut seen = Seen::new();
            seen.note_moved(self.moved.clone());
            let mut record = self.orders.record(order);
            let (mut second_look, mut since) = (false, None);
            if self.orders.entry(order).busy().is_some() {
                for (at, sight) in self.orders.take_parked(order) {
                    seen.note(at, sight);
                }
                let busy = self.orders.entry_mut(order).hand();
                busy.sides = (false, false);
                busy.not_before = None;
                since = busy.since.take();
                // What may not be read was put in doubt, which is no news.
                let news = seen.iter().any(|(_, it)| *it != Sight::Doubt);
                second_look = !news && std::mem::take(&mut busy.second_look);
            }
            if second_look {
                record.look_again();
            }
            return Some(Job {
                record,
                key: Arc::new(self.orders.key(order)),
                seen,
                endpoint,
                since,
                wait: None,
                wide: false,
                again: second_look,
                missed: None,
                restored: self.restored,
            });
        }
    }

    /// Takes a step's result back; says whether the copy has another name than was known.
    pub(crate) fn done(&mut self, mut job: Job, outcome: &Outcome, now: Instant) -> bool {
        let Some(order) = self.orders.find(&job.key) else {
            return false;
        };
        if job.restored != self.restored {
            // It may have seen versions from before.
            job.record.forget_versions(true);
            job.record.forget_versions(false);
            job.record.unsure |= self.orders.record(order).unsure;
        }
        let turn = self.orders.turn(order);
        self.newcomers.remove(&order);
        if *outcome == Outcome::Rest {
            self.drop_echoes(order, &job.record);
        }
        self.queue.finish(&turn);
        if let Some(running) = self.running.get_mut(&turn.publication) {
            *running = running.saturating_sub(1);
        }
        let at = job.record.located.as_deref();
        let moved = self.moved.get(&job.key.publication, &job.key.identity()) != at;
        if moved {
            let at = at.cloned();
            Arc::make_mut(&mut self.moved).set(&job.key.publication, job.key.identity(), at);
        }
        // What was let go has no copy any more that could refer to another.
        if job.record.released && self.referrers.let_go(order) {
            self.wake(turn.lane());
        }
        self.orders.keep(order, &job.record);
        let barred = matches!(outcome, Outcome::Knock(_)).then(|| job.seen.barred());
        let before = barred.into_iter().flatten();
        let before: BTreeSet<_> = before
            .map(|(at, kind)| (at.clone(), kind.clone()))
            .collect();
        // A step that did not get through tells nothing about what may be read.
        if !matches!(outcome, Outcome::Retry(_) | Outcome::Pause) {
            self.call(order, &before);
        }
        let knocks = self.doors.wait(order, &before);
        if let (None, Some(url)) = (self.orders.endpoint(order), &job.endpoint) {
            self.orders.tell_of(order, url);
        }
        let entry = self.orders.entry_mut(order);
        let more = entry.busy().is_some_and(|busy| !busy.parked.is_empty());
        match outcome {
            Outcome::Forget if !more => {
                self.index.forget(order);
                self.selections.forget(&order);
                self.queue.cancel(&turn);
                self.paused.remove(&turn);
                self.torn.remove(&order);
                let referred = self.referrers.forget(order);
                self.orders.remove(order);
                if referred {
                    self.wake(turn.lane());
                }
                return moved;
            }
            Outcome::Rest | Outcome::Forget => {
                entry.hand().failures = 0;
                entry.hand().looks = 0;
            }
            Outcome::Pause => {
                let busy = entry.hand();
                busy.failures = 0;
                // Bodies are not kept that long, and what was absent then has to be asked for again.
                for (at, sight) in job.seen.into_sights() {
                    if sight == Sight::Absent {
                        busy.parked.put_back(at, Sight::Doubt);
                    }
                }
                self.paused.insert(turn);
            }
            Outcome::Recheck(pause) => {
                entry.hand().failures = 0;
                entry.hand().second_look = true;
                self.queue.push_at(turn, now + *pause, Urgency::Resync);
            }
            Outcome::Knock(pause) => {
                let busy = entry.hand();
                busy.failures = 0;
                busy.second_look = true;
                for (at, sight) in job.seen.into_sights() {
                    if sight == Sight::Barred {
                        busy.parked.put_back(at, Sight::Doubt);
                    }
                }
                busy.looks += u32::from(knocks && job.again);
                let pause = match knocks {
                    true => self.pauses.before_look(busy.looks).min(*pause),
                    false => *pause,
                };
                self.queue.push_at(turn, now + pause, Urgency::Resync);
            }
            Outcome::Retry(least) => {
                // What was in hand is still the news; whatever came meanwhile is newer.
                let busy = entry.hand();
                busy.since = job.since.or(busy.since);
                for (at, sight) in job.seen.into_sights() {
                    busy.parked.put_back(at, sight);
                }
                let pause = self.pauses.after(busy.failures).max(*least);
                busy.failures += 1;
                busy.not_before = (!least.is_zero()).then(|| now + *least);
                self.queue.push_at(turn, now + pause, Urgency::Change);
                self.orders.pack_parked(order);
            }
        }
        self.orders.entry_mut(order).settle();
        moved
    }

    /// Lets everybody look again who waited for what this order may read now, or need not read any more.
    fn call(&mut self, order: u32, but: &BTreeSet<Which>) {
        for called in self.doors.leave(order, but) {
            if self.orders.has(called) && self.orders.entry(called).busy().is_some() {
                self.orders.entry_mut(called).hand().second_look = true;
                self.queue.push(self.orders.turn(called), Urgency::Resync);
            }
        }
    }

    /// What came during a step and is what that step wrote asks for no other step.
    fn drop_echoes(&mut self, order: u32, record: &Record) {
        let turn = self.orders.turn(order);
        if self.orders.entry(order).busy().is_none() {
            return;
        }
        let busy = self.orders.entry_mut(order).hand();
        if busy.parked.is_empty() {
            return;
        }
        busy.parked.drop_known(|sight| is_known(record, sight));
        if busy.parked.is_empty() {
            busy.since = None;
            busy.sides = (false, false);
            self.queue.dealt(&turn);
        }
    }

    /// A person has spoken: lets everybody who waited for that try again.
    pub(crate) fn resume(&mut self) {
        for turn in std::mem::take(&mut self.paused) {
            self.queue.push(turn, Urgency::Resync);
        }
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

    /// Whether the related objects of a source are listed, or will not be waited for any longer.
    pub(crate) fn knows_related(&self, source: &Source, now: Instant) -> bool {
        self.gates.knows_related(source, now)
    }

    /// Lets those who waited for a list try without it, when its grace is over.
    pub(crate) fn relent(&mut self, now: Instant) {
        if self.gates.relent(now) {
            self.open_gates();
        }
    }

    /// Lets everybody who waited for a list try again.
    fn open_gates(&mut self) {
        for order in self.gated.take() {
            self.queue.push(self.orders.turn(order), Urgency::Resync);
        }
    }
}

/// What a list tells need not be a change.
fn urgency(listing: bool) -> Urgency {
    if listing {
        Urgency::Resync
    } else {
        Urgency::Change
    }
}

/// Whether a whole origin or copy is one that a record has taken note of, or an older one.
fn is_known(record: &Record, sight: &Sight) -> bool {
    let Some(object) = sight.body() else {
        return false;
    };
    let copy = record.copy.as_ref().map(|it| &it.known);
    let mut known = record.origin.iter().chain(copy);
    known.any(|known| {
        let (uid, version) = (object::uid(object), object::version(object));
        known.uid == uid && (known.version == version || is_older(version, &known.version))
    })
}

/// Which version of which object is seen.
fn version(sight: &Sight) -> Option<Known> {
    sight.outline().map(|it| Known {
        uid: object::uid(it).to_owned(),
        version: object::version(it).to_owned(),
    })
}

#[cfg(test)]
mod tests;
