//! The brake: more deletions in a minute than there should be, and all of them wait for a person's word.
//!
//! A copy is somebody's database. A filter that is changed by mistake, a kcp that comes back empty, a script in the wrong
//! workspace: each looks like many orders that are gone. So every DELETE on the service cluster asks here first. When
//! more than the limit were let through within a minute, the brake is on: nothing is deleted there any more, while
//! everything else goes on. It stays on until somebody says so, on the export in the provider's workspace
//! (`syncagent.kcp.io/retire-until`, a time until which nothing is limited) or by [`Brake::release`].
//!
//! A restart does not lift it: that it is on stands on the export (`syncagent.kcp.io/retirements-paused`, since when),
//! and nothing is deleted before the export has been seen.

mod keeper;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use keeper::keep;

use crate::names;
use crate::object::annotation;

/// The time over which deletions are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// How many deletions a minute are let through unless something else is said.
const LIMIT: usize = 60;

/// May this be deleted?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes.
    Go,
    /// Not before somebody says so.
    Wait,
}

/// What is decided, apart from any lock, clock and server.
#[derive(Debug)]
struct Pedal {
    limit: usize,
    /// When deletions were let through, the oldest first; no more than the limit, and none older than the window.
    recent: VecDeque<Instant>,
    /// Whether the export was seen, which may say that the brake is on.
    known: bool,
    /// Since when the brake is on.
    on: Option<Timestamp>,
    /// When it was lifted last: what the export still says from before is old news.
    lifted: Option<Timestamp>,
    /// Until when nothing is limited.
    free: Option<Timestamp>,
}

/// What changed with the brake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// It is on.
    On,
    /// It is off, and whoever waited may try.
    Off,
}

impl Pedal {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            recent: VecDeque::new(),
            known: false,
            on: None,
            lifted: None,
            free: None,
        }
    }

    /// Asks for one deletion.
    fn ask(&mut self, at: Instant, now: Timestamp) -> (Answer, Change) {
        if !self.known || self.on.is_some() {
            return (Answer::Wait, Change::None);
        }
        if self.free.is_some_and(|until| now < until) {
            return (Answer::Go, Change::None);
        }
        while let Some(first) = self.recent.front()
            && at.duration_since(*first) >= WINDOW
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.limit {
            self.on = Some(now);
            self.recent.clear();
            return (Answer::Wait, Change::On);
        }
        self.recent.push_back(at);
        (Answer::Go, Change::None)
    }

    /// Reads what the export says.
    fn heed(&mut self, export: &Value, now: Timestamp) -> Change {
        let time = |key| annotation(export, key).and_then(|text| text.parse::<Timestamp>().ok());
        let first = !std::mem::replace(&mut self.known, true);
        let word = time(names::RETIRE_UNTIL).filter(|until| now < *until);
        if let Some(until) = word
            && self.free.is_none_or(|free| free < until)
        {
            return self.lift(until, now).max(first);
        }
        // Whatever stands there that is no time was put there by a person: on is the safer reading.
        let said = annotation(export, names::PAUSED).map(|text| text.parse().unwrap_or(now));
        let stale = |since: Timestamp| self.lifted.is_some_and(|lifted| since <= lifted);
        if let Some(since) = said
            && self.on.is_none()
            && word.is_none()
            && !stale(since)
        {
            self.on = Some(since);
            return Change::On;
        }
        Change::None.max(first && self.on.is_none())
    }

    /// Lets everything through until a moment.
    fn lift(&mut self, until: Timestamp, now: Timestamp) -> Change {
        self.free = Some(until);
        self.recent.clear();
        self.lifted = Some(now);
        match self.on.take() {
            Some(_) => Change::Off,
            None => Change::None,
        }
    }
}

impl Change {
    /// `Off` when somebody may have waited for the export to be seen.
    fn max(self, waited: bool) -> Self {
        if waited && self == Self::None {
            Self::Off
        } else {
            self
        }
    }
}

/// The brake of a running agent: see whether it is on, and lift it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use syncagent_core::runtime::Agent;
/// # async fn example(agent: Agent) {
/// let agent = agent.retirements_per_minute(10);
/// let brake = agent.brake();
/// tokio::spawn(async move {
///     // ... a person has looked at it and said yes:
///     brake.release(Duration::from_secs(600));
/// });
/// agent.run().await;
/// # }
/// ```
#[derive(Clone)]
pub struct Brake(Arc<Inner>);

struct Inner {
    pedal: Mutex<Pedal>,
    /// Something changed that the export or those who wait should know.
    changed: Notify,
    clock: Mutex<Arc<dyn crate::io::clock::Clock>>,
}

impl Default for Brake {
    fn default() -> Self {
        Self(Arc::new(Inner {
            pedal: Mutex::new(Pedal::new(LIMIT)),
            changed: Notify::new(),
            clock: Mutex::new(Arc::new(crate::io::clock::System)),
        }))
    }
}

impl Brake {
    fn pedal(&self) -> MutexGuard<'_, Pedal> {
        let lock = self.0.pedal.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let clock = self.0.clock.lock();
        clock.unwrap_or_else(PoisonError::into_inner).now()
    }

    pub(crate) fn use_clock(&self, clock: Arc<dyn crate::io::clock::Clock>) {
        let lock = self.0.clock.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = clock;
    }

    pub(crate) fn limit_to(&self, limit: usize) {
        self.pedal().limit = limit;
    }

    /// How many deletions a minute it lets through.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.pedal().limit
    }

    /// Since when it is on.
    #[must_use]
    pub fn on_since(&self) -> Option<Timestamp> {
        self.pedal().on
    }

    /// A person's word: for this long, nothing is limited, and what waits is done.
    pub fn release(&self, time: Duration) {
        let now = self.now();
        let until = now.checked_add(time).unwrap_or(Timestamp::MAX);
        self.pedal().lift(until, now);
        self.0.changed.notify_one();
    }

    /// Asks for one deletion on the service cluster.
    pub(crate) fn ask(&self) -> Answer {
        let now = self.now();
        let (answer, change) = self.pedal().ask(Instant::now(), now);
        if change != Change::None {
            self.0.changed.notify_one();
        }
        answer
    }
}

impl fmt::Debug for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Brake").field(&*self.pedal()).finish()
    }
}

#[cfg(test)]
mod tests;
