//! When an order may be decided about: how far the watches are.
//!
//! Nothing is decided before it can be: a step of an order waits until the copies of its publication and everything
//! watched at its endpoint have been listed once, so a restart joins both sides instead of asking about each order. An
//! order that no endpoint has told of (a copy without an origin) waits for *all* endpoints. Watches of related objects get
//! a grace only: when one of them cannot be had, steps ask for single objects instead. So do orders and copies of *other*
//! publications: one that cannot be had does not block the rest, except where somebody has to know who else uses an
//! object. (What copies of others are called matters to those who refer to them.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Source;

/// How long the first list of related objects may hold back the orders of an endpoint.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

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

impl Subject {
    /// The publication whose objects these are.
    pub(crate) fn publication(&self) -> Option<&str> {
        match self {
            Self::Copies(id) | Self::Orders(id) => Some(id),
            Self::Related(_) => None,
        }
    }
}

/// How far a watch is.
#[derive(Debug)]
struct Progress {
    listed: bool,
    /// Whether what it tells comes from a list.
    listing: bool,
    since: Instant,
    /// Whether those who waited for it were let go on without it.
    relented: bool,
    /// Counts lists, to notice what is missing in the newest.
    round: u16,
}

/// How far all watches are.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    watches: BTreeMap<(Source, Subject), Progress>,
    /// Whether the slices have been read, so that all endpoints are known.
    endpoints_known: bool,
}

impl Gates {
    /// Begins to follow a watch.
    pub(crate) fn follow(&mut self, source: Source, subject: Subject, now: Instant) {
        self.watches.insert(
            (source, subject),
            Progress {
                listed: false,
                listing: false,
                since: now,
                relented: false,
                round: 0,
            },
        );
    }

    /// The watches of a source end.
    pub(crate) fn lose(&mut self, source: &Source) {
        self.watches.retain(|(at, _), _| at != source);
    }

    /// A single watch ends.
    pub(crate) fn end(&mut self, source: &Source, subject: &Subject) {
        self.watches.remove(&(source.clone(), subject.clone()));
    }

    /// The watches of a publication end. With a successor they begin again: their lists count as not read until then.
    pub(crate) fn renew(&mut self, publication: &str, successor: bool) {
        let of = |subject: &Subject| subject.publication() == Some(publication);
        if successor {
            let own = self.watches.iter_mut();
            own.filter(|((_, subject), _)| of(subject))
                .for_each(|(_, progress)| progress.listed = false);
        } else {
            self.watches.retain(|(_, subject), _| !of(subject));
        }
    }

    /// Whether the orders of all publications have been listed everywhere.
    pub(crate) fn orders_listed(&self) -> bool {
        self.orders_listed_at(|_| true)
    }

    /// Whether all orders of these endpoints are listed.
    pub(crate) fn orders_listed_at(&self, which: impl Fn(&Source) -> bool) -> bool {
        let mut orders = self.watches.iter();
        orders.all(|((source, subject), progress)| {
            !matches!(subject, Subject::Orders(_)) || progress.listed || !which(source)
        })
    }

    /// All endpoints are known.
    pub(crate) fn know_endpoints(&mut self) {
        self.endpoints_known = true;
    }

    /// Whether all endpoints are known and every list is complete, or late for good.
    pub(crate) fn is_complete(&self, now: Instant) -> bool {
        let late = |subject: &Subject, progress: &Progress| {
            matches!(subject, Subject::Related(_)) && now >= progress.since + GRACE
        };
        self.endpoints_known
            && self
                .watches
                .iter()
                .all(|((_, subject), progress)| progress.listed || late(subject, progress))
    }

    /// A list begins.
    pub(crate) fn listing(&mut self, source: &Source, subject: &Subject) {
        if let Some(progress) = self.watches.get_mut(&(source.clone(), subject.clone())) {
            progress.listing = true;
            progress.round = progress.round.wrapping_add(1);
        }
    }

    /// A list is complete; returns which one of this watch, if the watch is still followed.
    pub(crate) fn listed(&mut self, source: &Source, subject: &Subject) -> Option<u16> {
        let progress = self.watches.get_mut(&(source.clone(), subject.clone()))?;
        progress.listed = true;
        progress.listing = false;
        Some(progress.round)
    }

    /// The list that a watch reads now, or read last.
    pub(crate) fn round(&self, source: &Source, subject: &Subject) -> u16 {
        let watch = self.watches.get(&(source.clone(), subject.clone()));
        watch.map_or(0, |progress| progress.round)
    }

    /// Whether the related objects of a source are listed, or will not be waited for.
    pub(crate) fn knows_related(&self, source: &Source, now: Instant) -> bool {
        let mut related = self
            .watches
            .iter()
            .filter(|((at, subject), _)| at == source && matches!(subject, Subject::Related(_)));
        related.all(|(_, progress)| progress.listed || now >= progress.since + GRACE)
    }

    /// Whether this watch has been listed; where is left open with `None`.
    pub(crate) fn is_listed(&self, source: Option<&Source>, subject: &Subject) -> bool {
        let mut watches = self.watches.iter();
        watches.all(|((at, of), progress)| {
            of != subject || source.is_some_and(|source| source != at) || progress.listed
        })
    }

    /// Whether all copies of a publication have been listed.
    pub(crate) fn knows_copies(&self, publication: &str) -> bool {
        let copies = Subject::Copies(publication.to_owned());
        let watch = self.watches.get(&(Source::Service, copies));
        watch.is_some_and(|progress| progress.listed)
    }

    /// Whether what this watch tells now is told by a list: it need not be news.
    pub(crate) fn is_listing(&self, source: &Source, subject: &Subject) -> bool {
        let watch = self.watches.get(&(source.clone(), subject.clone()));
        watch.is_some_and(|progress| progress.listing)
    }

    /// When the next grace is over.
    pub(crate) fn next_grace(&self) -> Option<Instant> {
        self.watches
            .iter()
            .filter(|(_, progress)| !progress.listed && !progress.relented)
            .map(|(_, progress)| progress.since + GRACE)
            .min()
    }

    /// Ends graces that are over; says whether somebody may go on now without a list.
    pub(crate) fn relent(&mut self, now: Instant) -> bool {
        let over = self.watches.values_mut();
        let over = over.filter(|it| !it.relented && now >= it.since + GRACE);
        let mut any = false;
        for progress in over {
            any |= !progress.listed;
            progress.relented = true;
        }
        any
    }

    /// Whether everything a step of this order must know has been listed once. One that is `joined` has its origin in hand,
    /// and its copy or the certainty that there is none, and need not wait for the rest of their lists.
    pub(crate) fn ready(
        &self,
        publication: &str,
        endpoint: Option<&Arc<str>>,
        joined: bool,
        now: Instant,
    ) -> bool {
        let mut endpoints = 0;
        for ((source, subject), progress) in &self.watches {
            let concerned = match (source, subject) {
                (_, Subject::Copies(_) | Subject::Orders(_)) if joined => false,
                (Source::Service, _) => true,
                (Source::Endpoint(url), _) => endpoint.is_none_or(|at| at == url),
            };
            if matches!(source, Source::Endpoint(_)) {
                endpoints += 1;
            }
            let late = !is_own(subject, publication) && now >= progress.since + GRACE;
            if concerned && !progress.listed && !late {
                return false;
            }
        }
        endpoint.is_some() || (self.endpoints_known && endpoints > 0)
    }
}

/// Whether an order is never decided about without this list: it shows the order or its copy.
fn is_own(subject: &Subject, publication: &str) -> bool {
    subject.publication() == Some(publication)
}
