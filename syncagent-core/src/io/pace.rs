//! Gives a server the time that it asks for, or plainly needs.
//!
//! A server that answers 429 says it to one request and means all; one that cannot be reached, or that answers 502 to 504, or
//! that it does not know us (401), three times in a row, is of no use to anybody. Until its time is over no request is sent to it at all: whoever wants to
//! is told how long it takes. Then one request tries, and only when that gets through are the others let go on. So ten
//! thousand waiting orders cost a server in trouble no more than one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a server is left alone that does not say how long.
const LEAST: Duration = Duration::from_secs(1);
/// How long one that does not answer is left alone at most.
const LONG: Duration = Duration::from_secs(8);
/// Nobody is left alone for longer than this, whatever they say.
const MOST: Duration = Duration::from_secs(3600);
/// How many failures in a row are a server's own: fewer may be those of what was asked.
const FAILURES: u32 = 3;
/// How long a request that tries may take before another may, too.
const TRY: Duration = Duration::from_secs(5);

/// How a server wants to be treated; shared by all who talk to it.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Mood>);

#[derive(Debug, Default)]
struct Mood {
    busy: Option<Busy>,
    /// Failures since the last answer that was none.
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
struct Busy {
    until: Instant,
    /// Since when somebody is trying whether it is over.
    tried: Option<Instant>,
    why: Why,
}

/// Why a server is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It asked for it.
    Asked,
    /// It does not answer.
    Away,
    /// It does not accept our credentials.
    Stranger,
}

/// The right to send one request.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pace: &'a Pace,
    trying: bool,
}

/// Why a request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// How long.
    pub(crate) time: Duration,
    /// Why.
    pub(crate) why: Why,
}

impl Pace {
    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to send a request now, or how long to wait before asking again.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, Wait> {
        let now = Instant::now();
        let mut trying = false;
        if let Some(busy) = self.mood().busy.as_mut() {
            let wait = |time| Wait {
                time,
                why: busy.why,
            };
            if now < busy.until {
                return Err(wait(busy.until - now));
            }
            if busy.tried.is_some_and(|since| now < since + TRY) {
                return Err(wait(LEAST));
            }
            busy.tried = Some(now);
            trying = true;
        }
        Ok(Turn { pace: self, trying })
    }
}

impl Turn<'_> {
    /// The server answered with this code and this wish.
    pub(crate) fn heard(mut self, code: u16, wish: Option<Duration>) {
        match code {
            429 => self.rest(wish.unwrap_or(LEAST).clamp(LEAST, MOST), Why::Asked),
            502..=504 => self.failed(Why::Away),
            401 => self.failed(Why::Stranger),
            _ => {
                let mut mood = self.pace.mood();
                mood.failures = 0;
                if self.trying || mood.busy.is_some_and(|busy| busy.why != Why::Asked) {
                    mood.busy = None;
                }
            }
        }
        self.trying = false;
    }

    /// The server could not be reached.
    pub(crate) fn unreached(mut self) {
        self.failed(Why::Away);
        self.trying = false;
    }

    fn failed(&self, why: Why) {
        let mut mood = self.pace.mood();
        mood.failures = mood.failures.saturating_add(1);
        let Some(more) = mood.failures.checked_sub(FAILURES) else {
            return;
        };
        drop(mood);
        self.rest(LEAST.saturating_mul(1 << more.min(10)).min(LONG), why);
    }

    fn rest(&self, time: Duration, why: Why) {
        let mut mood = self.pace.mood();
        let until = Instant::now() + time;
        // Of several wishes the longest counts.
        let longest = mood.busy.map_or(until, |it| it.until.max(until));
        mood.busy = Some(Busy {
            until: longest,
            tried: None,
            why: match mood.busy {
                Some(busy) if busy.why == Why::Asked => Why::Asked,
                _ => why,
            },
        });
    }
}

impl Drop for Turn<'_> {
    /// Nobody waited for the answer: somebody else may try.
    fn drop(&mut self) {
        if self.trying
            && let Some(busy) = self.pace.mood().busy.as_mut()
        {
            busy.tried = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(pace: &Pace) -> Option<u64> {
        pace.turn().err().map(|wait| wait.time.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn one_tries_for_all() {
        let pace = Pace::default();
        let (a, b) = (pace.turn().unwrap(), pace.turn().unwrap());
        a.heard(429, Some(Duration::from_secs(7)));
        b.heard(200, None);
        assert_eq!(waits(&pace), Some(7));
        tokio::time::advance(Duration::from_secs(7)).await;
        let first = pace.turn().unwrap();
        assert_eq!(waits(&pace), Some(1));
        first.heard(429, None);
        tokio::time::advance(LEAST).await;
        // One that gets no answer leaves the try to the next.
        drop(pace.turn().unwrap());
        let next = pace.turn().unwrap();
        assert!(pace.turn().is_err());
        next.heard(404, None);
        let _free = (pace.turn().unwrap(), pace.turn().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_left_alone_longer_and_longer() {
        let pace = Pace::default();
        let turns: Vec<_> = (0..3).map(|_| pace.turn().unwrap()).collect();
        for turn in turns {
            turn.unreached();
        }
        for pause in [1, 2, 4, 8, 8] {
            assert_eq!(waits(&pace), Some(pause));
            tokio::time::advance(Duration::from_secs(pause)).await;
            pace.turn().unwrap().heard(503, None);
        }
        tokio::time::advance(LONG).await;
        // Somebody whose request hangs does not hold up the others for ever.
        let _hangs = pace.turn().unwrap();
        assert_eq!(waits(&pace), Some(1));
        tokio::time::advance(TRY).await;
        pace.turn().unwrap().heard(200, None);
        let _free = (pace.turn().unwrap(), pace.turn().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_know_us_is_asked_by_one_for_all() {
        let pace = Pace::default();
        for _ in 0..2 {
            pace.turn().unwrap().heard(401, None);
        }
        // Two may be those of what was asked.
        assert_eq!(waits(&pace), None);
        pace.turn().unwrap().heard(401, None);
        for pause in [1, 2, 4, 8, 8] {
            let wait = pace.turn().unwrap_err();
            assert_eq!((wait.time.as_secs(), wait.why), (pause, Why::Stranger));
            tokio::time::advance(wait.time).await;
            let one = pace.turn().unwrap();
            assert!(pace.turn().is_err(), "one tries for all");
            one.heard(401, None);
        }
        tokio::time::advance(LONG).await;
        pace.turn().unwrap().heard(200, None);
        let _free = (pace.turn().unwrap(), pace.turn().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_between_answers_is_nobodys_but_its_own() {
        let pace = Pace::default();
        for _ in 0..10 {
            pace.turn().unwrap().heard(503, None);
            pace.turn().unwrap().heard(503, None);
            pace.turn().unwrap().heard(200, None);
            // What a broken object does is no trouble of the server.
            pace.turn().unwrap().heard(500, None);
        }
    }
}
