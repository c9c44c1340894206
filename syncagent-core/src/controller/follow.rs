//! Tasks that each follow one thing on the service cluster, for as long as somebody wants to know what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::Error;
use crate::io::AbortOnDrop;
use crate::io::announce::Announcer;
use crate::io::clients::Server;
use crate::io::discovery::CRDS;
use crate::io::watch::{Event, Target, watch};

/// How soon something that is missing is asked for again, at first and at last.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// When asking has become so rare, a kind that shows no CRD has none: three seconds after the first time.
const BELIEVED: Duration = Duration::from_secs(4);

/// Those who follow, by what they follow.
pub(crate) struct Followers<K, N> {
    service: Server,
    announcer: Announcer,
    news: mpsc::Sender<(K, N)>,
    run: fn(Follower<K, N>) -> AbortOnDrop,
    tasks: BTreeMap<K, AbortOnDrop>,
}

impl<K: Clone + Ord, N> Followers<K, N> {
    /// Follows nothing yet, and later as `run` does; what is found out comes through the channel.
    pub(crate) fn new(
        service: Server,
        announcer: Announcer,
        run: fn(Follower<K, N>) -> AbortOnDrop,
    ) -> (Self, mpsc::Receiver<(K, N)>) {
        let (news, heard) = mpsc::channel(16);
        let followers = Self {
            service,
            announcer,
            news,
            run,
            tasks: BTreeMap::new(),
        };
        (followers, heard)
    }

    /// Follows these and no others.
    pub(crate) fn follow(&mut self, wanted: &BTreeSet<K>) {
        self.tasks.retain(|it, _| wanted.contains(it));
        for what in wanted {
            if !self.tasks.contains_key(what) {
                let follower = Follower {
                    service: self.service.clone(),
                    announcer: self.announcer.clone(),
                    what: what.clone(),
                    last: None,
                    poll: Poll(POLL.0),
                    news: self.news.clone(),
                    troubled: false,
                };
                self.tasks.insert(what.clone(), (self.run)(follower));
            }
        }
    }
}

/// One who follows.
pub(crate) struct Follower<K, N> {
    pub(crate) service: Server,
    pub(crate) announcer: Announcer,
    /// What it follows.
    pub(crate) what: K,
    /// What it told last.
    pub(crate) last: Option<N>,
    pub(crate) poll: Poll,
    news: mpsc::Sender<(K, N)>,
    troubled: bool,
}

impl<K: Clone, N: Clone> Follower<K, N> {
    /// Hands news on.
    pub(crate) async fn send(&mut self, news: N) {
        self.last = Some(news.clone());
        // Nobody listens any more when the agent ends.
        let _ = self.news.send((self.what.clone(), news)).await;
    }

    /// The server did not answer, or said nothing: to people, once until it does.
    pub(crate) fn trouble(&mut self, error: &Error) {
        let trouble = error.trouble();
        if !self.announcer.heard(&trouble) && !std::mem::replace(&mut self.troubled, true) {
            self.announcer.trouble(&trouble);
        }
    }

    /// Watches the CRD of this name until the task is dropped.
    pub(crate) fn watch_crd(&self, name: &str) -> (AbortOnDrop, mpsc::Receiver<Event>) {
        let (events, heard) = mpsc::channel(4);
        let target = Target::all(self.service.clone(), CRDS).named(name);
        (AbortOnDrop(tokio::spawn(watch(target, events))), heard)
    }

    /// The server answered.
    pub(crate) fn answered(&mut self) {
        self.troubled = false;
    }
}

/// What to think of a kind that is served and shows no CRD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crdless {
    /// Its CRD may just be gone.
    Doubted,
    /// It was shown often enough to go by it, and is asked for again.
    Believed,
    /// It has none, and is asked for no more.
    Certain,
}

impl Crdless {
    pub(crate) fn is_asked_again(self) -> bool {
        self != Self::Certain
    }
}

/// How long to wait before asking again: ever longer, up to a bound.
pub(crate) struct Poll(Duration);

impl Poll {
    /// The pause that is due now.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(POLL.1);
        pause
    }

    /// What to think of a kind that is served and shows no CRD, where this is what was thought when it was
    /// asked for before; `None`: it had one then, or was not served. Discovery goes on showing a kind for a moment after its
    /// CRD is gone.
    pub(crate) fn crdless(&mut self, before: Option<Crdless>) -> Crdless {
        if before.is_none() {
            self.reset();
        }
        match self.0 {
            pause if pause < BELIEVED => Crdless::Doubted,
            pause if pause < POLL.1 => Crdless::Believed,
            _ => Crdless::Certain,
        }
    }

    /// Begins anew: there was news.
    pub(crate) fn reset(&mut self) {
        self.0 = POLL.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_becomes_rarer_until_there_is_news() {
        let mut poll = Poll(POLL.0);
        let pauses: Vec<_> = (0..8).map(|_| poll.pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        poll.reset();
        assert_eq!(poll.pause().as_secs(), 1);
    }

    #[test]
    fn a_kind_that_shows_no_crd_is_doubted_then_believed_then_certain() {
        let mut poll = Poll(POLL.1);
        let mut thought = None;
        let mut all = Vec::new();
        for _ in 0..7 {
            thought = Some(poll.crdless(thought));
            all.extend(thought);
            poll.pause();
        }
        let [doubted, believed] = [Crdless::Doubted, Crdless::Believed];
        let expected = [doubted, doubted, believed, believed, believed, believed];
        assert_eq!(all[..6], expected);
        assert_eq!(all[6], Crdless::Certain);
    }
}
