//! Objects that many steps would make at the same moment, made once.
//!
//! The first orders of a workspace begin together, and each finds that the namespace of its copy is missing. One of them
//! makes it; the others wait for the answer and take it for theirs. A step that comes a little later, and was decided
//! before the watch told of the namespace, takes that answer too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio::time::Instant;

use crate::plan::{ObjectRef, Reply};

/// How long an answer counts for steps that begin to wait after it, unless a watch tells of the object before. Longer than
/// a watch is late, and shorter than anybody takes to delete a namespace.
const FRESH: Duration = Duration::from_secs(2);

/// The last answer, and when it came.
type Answered = Option<(Reply, Instant)>;

/// What is being made, or was just made.
#[derive(Debug, Default)]
pub(crate) struct Once {
    objects: Mutex<HashMap<ObjectRef, Arc<Turns<Answered>>>>,
}

/// The right to make an object; whoever else wants it waits until this is dropped.
#[derive(Debug)]
pub(crate) struct Making {
    answered: OwnedMutexGuard<Answered>,
    since: Instant,
}

impl Once {
    /// Waits until nobody else makes the object.
    pub(crate) async fn turn(&self, object: &ObjectRef) -> Making {
        let since = Instant::now();
        let turns = {
            let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            // Where no watch tells of what was made, an answer goes when the next one comes.
            objects.retain(|_, turns| {
                let old = |it: &Answered| it.as_ref().is_none_or(|(_, at)| since >= *at + FRESH);
                Arc::strong_count(turns) > 1 || turns.try_lock().is_ok_and(|it| !old(&it))
            });
            objects.entry(object.clone()).or_default().clone()
        };
        Making {
            answered: turns.lock_owned().await,
            since,
        }
    }

    /// Something told of the object, and knows better from now on than an answer from before: a watch, or a server that says
    /// that it is not there.
    pub(crate) fn forget(&self, object: &ObjectRef) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.remove(object);
    }
}

impl Making {
    /// The answer that somebody else got meanwhile, whatever it is; or not long ago, when the object was there then.
    pub(crate) fn answer(&self) -> Option<Reply> {
        let (reply, at) = self.answered.as_ref()?;
        let there = matches!(reply.code, 200..=299 | 409);
        let counts = *at > self.since || (there && self.since < *at + FRESH);
        counts.then(|| reply.clone())
    }

    /// Lets the others have the answer.
    pub(crate) fn heard(mut self, reply: &Reply) {
        *self.answered = Some((reply.clone(), Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(code: u16) -> Reply {
        Reply {
            code,
            body: json!({}),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_has_the_answer_of_who_went() {
        let once = Once::default();
        let at = ObjectRef::service_namespace("a");
        let first = once.turn(&at).await;
        assert_eq!(first.answer(), None);
        let second = once.turn(&at);
        let first = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            first.heard(&answer(503));
        };
        let (second, ()) = tokio::join!(second, first);
        assert_eq!(second.answer(), Some(answer(503)), "it was refused as well");
        drop(second);
        // Whoever comes later tries again.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let third = once.turn(&at).await;
        assert_eq!(third.answer(), None);
        third.heard(&answer(201));
        assert_eq!(once.turn(&at).await.answer(), Some(answer(201)));
        let other = ObjectRef::service_namespace("b");
        assert_eq!(once.turn(&other).await.answer(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_until_a_watch_tells_more_or_it_is_old() {
        let once = Once::default();
        let at = ObjectRef::service_namespace("a");
        once.turn(&at).await.heard(&answer(409));
        once.forget(&at);
        assert_eq!(once.turn(&at).await.answer(), None);
        once.turn(&at).await.heard(&answer(201));
        tokio::time::sleep(FRESH).await;
        assert_eq!(once.turn(&at).await.answer(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_it_to_the_next() {
        let once = Once::default();
        let at = ObjectRef::service_namespace("a");
        drop(once.turn(&at).await);
        assert_eq!(once.turn(&at).await.answer(), None);
    }
}
