//! What goes wrong on purpose.
//!
//! Four kinds of trouble: the whole server ([`Faults::outage`], [`Faults::compact`]), what it says of itself
//! ([`Faults::stale_discovery`]), its open watches ([`Faults::cut_watches`], [`Faults::mute_watches`]), and single requests ([`Faults::plan`]), which are refused, taken
//! and never answered, held back, done without telling, or done by what was true a moment ago.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::Resource;
use crate::core::{Core, lock};
use crate::request::Target;
use crate::status::Failure;

/// A request, as a planned fault sees it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `get`, `list`, `watch`, `create`, ...
    pub verb: &'a str,
    /// The resource.
    pub target: &'a Target,
    /// The logical cluster; empty on a Kubernetes server and for a wildcard.
    pub cluster: &'a str,
    /// The name of the user.
    pub user: &'a str,
    /// The `User-Agent`.
    pub agent: &'a str,
    /// The path and query as they came.
    pub uri: &'a str,
}

/// What becomes of a request that a fault was planned for.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is refused.
    Refuse(Box<Failure>),
    /// It is taken and never answered, as on a connection of which the other half is gone.
    Stall,
    /// It is taken, and done when this is cancelled; who hangs up before has asked for nothing.
    Hold(CancellationToken),
    /// It is done, and the connection breaks before the answer arrives.
    Lose,
    /// It deletes an object whatever finalizers it has: it had looked before they were added, as a real server does that is
    /// asked for both at once. kube-apiserver 1.36 deleted 251 of 2,000 objects so whose finalizer it had just accepted.
    /// What is being deleted already stays.
    Overlook,
}

type Matcher = Box<dyn Fn(&Asked<'_>) -> bool + Send + Sync>;

/// The faults of a server; all methods act at once.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Core>);

/// The state behind [`Faults`].
pub struct Planner {
    outage: watch::Sender<bool>,
    shards_out: Mutex<BTreeSet<String>>,
    cuts: watch::Sender<u64>,
    mutes: watch::Sender<u64>,
    planned: Mutex<Vec<Planned>>,
    /// What discovery tells at which place, while it is stale.
    stale: Mutex<Option<BTreeMap<Arc<str>, Vec<Resource>>>>,
}

struct Planned {
    left: usize,
    fault: Fault,
    matches: Matcher,
}

impl Default for Planner {
    fn default() -> Self {
        Self {
            outage: watch::Sender::new(false),
            shards_out: Mutex::default(),
            cuts: watch::Sender::new(0),
            mutes: watch::Sender::new(0),
            planned: Mutex::default(),
            stale: Mutex::default(),
        }
    }
}

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner")
            .field("outage", &*self.outage.borrow())
            .finish_non_exhaustive()
    }
}

impl Faults {
    pub(crate) fn of(core: &Arc<Core>) -> Self {
        Self(core.clone())
    }

    fn planner(&self) -> &Planner {
        &self.0.faults
    }

    /// Forgets all history: lists and watches from earlier versions get 410, as after a compaction of etcd.
    pub fn compact(&self) {
        self.0.store().compact();
    }

    /// While `true`: connections are refused, requests in process answer 503, open watches are cut.
    pub fn outage(&self, on: bool) {
        self.planner().outage.send_replace(on);
        if on {
            self.cut_watches();
        }
    }

    /// Whether an outage is on.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.planner().is_out()
    }

    /// While `true`: requests to one shard of a kcp answer 503; its open watches are cut, and with them all others.
    pub fn shard_outage(&self, shard: &str, on: bool) {
        let mut out = lock(&self.planner().shards_out);
        if on {
            out.insert(shard.to_owned());
        } else {
            out.remove(shard);
        }
        drop(out);
        if on {
            self.cut_watches();
        }
    }

    /// While `true`: discovery and OpenAPI go on telling what they tell first from now on, whatever comes and goes. A
    /// kube-apiserver 1.36 that had little to do showed kinds for up to a tenth of a second after their CRD was gone.
    pub fn stale_discovery(&self, on: bool) {
        *lock(&self.planner().stale) = on.then(BTreeMap::new);
    }

    /// Breaks all open watches, as a network would.
    pub fn cut_watches(&self) {
        self.planner().cuts.send_modify(|count| *count += 1);
    }

    /// Makes all open watches half-open: they stay, and say nothing any more, no events and no bookmarks. Watches that
    /// are opened later are sound.
    pub fn mute_watches(&self) {
        self.planner().mutes.send_modify(|count| *count += 1);
    }

    /// Answers the next `count` requests for which `matches` (given verb and target) holds with this HTTP code.
    pub fn fail_next(
        &self,
        count: usize,
        code: u16,
        matches: impl Fn(&str, &Target) -> bool + Send + Sync + 'static,
    ) {
        let failure = match code {
            401 => Failure::unauthorized(),
            410 => Failure::expired("The resourceVersion for the provided list is too old."),
            429 => Failure::too_many_requests("too many requests, please try again later", 1),
            500 => Failure::internal("a planned fault"),
            503 => Failure::unavailable("a planned fault"),
            other => Failure::new(other, "", "a planned fault"),
        };
        self.fail_with(count, failure, matches);
    }

    /// The same with an answer of the caller's choice.
    pub fn fail_with(
        &self,
        count: usize,
        failure: Failure,
        matches: impl Fn(&str, &Target) -> bool + Send + Sync + 'static,
    ) {
        let matches = move |asked: &Asked<'_>| matches(asked.verb, asked.target);
        self.plan(count, Fault::Refuse(Box::new(failure)), matches);
    }

    /// What becomes of the next `count` requests for which `matches` holds; `usize::MAX` is until [`Faults::clear`].
    pub fn plan(
        &self,
        count: usize,
        fault: Fault,
        matches: impl Fn(&Asked<'_>) -> bool + Send + Sync + 'static,
    ) {
        lock(&self.planner().planned).push(Planned {
            left: count,
            fault,
            matches: Box::new(matches),
        });
    }

    /// Forgets what was planned for single requests. Those that were taken without an answer never get one.
    pub fn clear(&self) {
        lock(&self.planner().planned).clear();
    }
}

impl Planner {
    pub(crate) fn is_out(&self) -> bool {
        *self.outage.borrow()
    }

    pub(crate) fn is_shard_out(&self, shard: &str) -> bool {
        lock(&self.shards_out).contains(shard)
    }

    /// What discovery tells at a place, where this is what is true.
    pub(crate) fn told(&self, place: &Arc<str>, true_now: Vec<Resource>) -> Vec<Resource> {
        match &mut *lock(&self.stale) {
            Some(told) => told.entry(place.clone()).or_insert(true_now).clone(),
            None => true_now,
        }
    }

    pub(crate) fn outages(&self) -> watch::Receiver<bool> {
        self.outage.subscribe()
    }

    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    pub(crate) fn mutes(&self) -> watch::Receiver<u64> {
        self.mutes.subscribe()
    }

    pub(crate) fn strike(&self, asked: &Asked<'_>) -> Option<Fault> {
        let mut planned = lock(&self.planned);
        let hit = planned
            .iter_mut()
            .find(|one| one.left > 0 && (one.matches)(asked))?;
        hit.left -= 1;
        let fault = hit.fault.clone();
        planned.retain(|one| one.left > 0);
        Some(fault)
    }
}
