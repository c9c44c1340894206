//! How many steps are taken at once: as many as make the servers faster, and no more.
//!
//! Servers differ by orders of magnitude, and the same one differs from hour to hour; no fixed number suits. What can be
//! seen from here are answers. While as many steps are under way as may be, the number of answers a second is what the
//! servers make of that many, so it is tried whether more steps bring more answers:
//!
//! | what is seen | what follows |
//! | --- | --- |
//! | a quarter more steps bring 5 % more answers a second, or better | they stay, and still more are tried |
//! | they do not | as many as before, for a while; then a fifth fewer are tried |
//! | a fifth fewer bring 97 % of the answers, or better | they do as well: still fewer are tried |
//! | refusals: 429, 502 to 504 | half the steps, at most once a second, and half a minute without as many |
//! | no answer | the same, but no fewer steps than at the start: what got lost says little about the server, and a step that waits in vain must not be all there is |
//!
//! Latency is in this without being measured: with all steps under way it is their number divided by the answers a second,
//! so latency that rises while the number stands is a rate that falls. While there is less to do than may be done nothing is
//! learnt, and nothing changes.
//!
//! Real servers fill up softly: the number at which a quarter more brings 8 % more is the one that makes 70 % of what they
//! can do. And what they answer in half a second says little: a stretch is long enough that its chance is less than what it
//! decides about, mostly.
//!
//! The decision has no clock: the caller brings the time.

use std::time::Duration;

/// With how many steps an agent starts. A kube-apiserver takes 200 writes at once unless it is told otherwise
/// (`--max-mutating-requests-inflight`), and shares them fairly.
const FIRST: u16 = 48;
/// Slow servers do not make fewer of it than this; refusals do.
const LEAST: f64 = 4.0;
/// How many answers a stretch has at least, and how many for each step that may be under way.
const STRETCH: (f64, f64) = (96.0, 4.0);
/// What more steps must bring to stay, and what fewer must keep.
const GAIN: (f64, f64) = (1.05, 0.97);
/// After how many stretches something is tried.
const CALM: u32 = 6;
/// How long after a halving no other one follows.
const REST: Duration = Duration::from_secs(1);
/// How long it is not tried again how many are refused.
const FENCE: Duration = Duration::from_secs(30);

/// What became of a request, as far as it tells something of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It was dealt with, one way or other.
    Answered,
    /// The server has too much to do.
    Refused,
    /// Nobody answered.
    Silent,
}

/// How many steps may be under way.
#[derive(Clone, Debug)]
pub struct Flow {
    most: f64,
    limit: f64,
    /// The rate of answers with as many as there may be, or were before a try.
    rate: Option<f64>,
    /// What is tried, and from where.
    tried: Option<(Way, f64)>,
    /// What is tried next.
    next: Way,
    /// Since how many stretches nothing was tried.
    calm: u32,
    stretch: Stretch,
    halved: Option<Duration>,
    /// What is not tried before a time.
    fence: Option<(f64, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    More,
    Fewer,
}

/// Answers that came while as many steps were under way as may be.
#[derive(Clone, Debug, Default)]
struct Stretch {
    /// How many are still of steps that began under another limit.
    old: u32,
    since: Option<Duration>,
    answers: u32,
}

impl Default for Flow {
    fn default() -> Self {
        Self::new(usize::from(FIRST))
    }
}

impl Flow {
    /// With a bound that is never crossed.
    #[must_use]
    pub fn new(most: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "numbers of steps are small")]
        let most = most.max(1) as f64;
        Self {
            most,
            limit: f64::from(FIRST).min(most),
            rate: None,
            tried: None,
            next: Way::More,
            calm: 0,
            stretch: Stretch::default(),
            halved: None,
            fence: None,
        }
    }

    /// How many steps may be under way now.
    #[must_use]
    pub fn limit(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between one and the bound"
        )]
        let limit = self.limit.round() as usize;
        limit.max(1)
    }

    /// An answer came at a time; `full` says whether as many steps were under way as may be.
    pub fn heard(&mut self, sign: Sign, full: bool, now: Duration) {
        match sign {
            Sign::Refused => self.refused(1.0, now),
            Sign::Silent => self.refused(f64::from(FIRST), now),
            Sign::Answered if !full => {
                self.stretch.since = None;
            }
            Sign::Answered if self.stretch.old > 0 => self.stretch.old -= 1,
            Sign::Answered => self.answered(now),
        }
    }

    fn answered(&mut self, now: Duration) {
        let Some(since) = self.stretch.since else {
            self.stretch.since = Some(now);
            self.stretch.answers = 0;
            return;
        };
        self.stretch.answers += 1;
        let answers = f64::from(self.stretch.answers);
        let time = now.saturating_sub(since).as_secs_f64();
        if answers >= STRETCH.0.max(STRETCH.1 * self.limit) && time > 0.0 {
            self.stretch.since = None;
            let before = self.limit();
            self.learn(answers / time, now);
            if self.limit() != before {
                self.stretch.old = u32::try_from(self.limit()).unwrap_or(u32::MAX);
            }
        }
    }

    /// Halves it, but not below a number.
    fn refused(&mut self, least: f64, now: Duration) {
        self.stretch = Stretch::default();
        if self.halved.is_some_and(|at| now < at + REST) {
            return;
        }
        self.halved = Some(now);
        self.fence = Some(((self.limit * 0.9).max(least), now + FENCE));
        self.limit = (self.limit / 2.0).max(least.min(self.limit));
        // What a server made of more than it can take is no measure.
        self.rate = None;
        self.tried = None;
        self.next = Way::More;
        self.calm = 0;
    }

    /// So many answers came in a second.
    fn learn(&mut self, rate: f64, now: Duration) {
        let Some(before) = self.rate else {
            self.rate = Some(rate);
            self.attempt(now);
            return;
        };
        let Some((way, from)) = self.tried.take() else {
            self.rate = Some(f64::midpoint(before, rate));
            self.calm += 1;
            if self.calm >= CALM {
                self.attempt(now);
            }
            return;
        };
        let wanted = match way {
            Way::More => GAIN.0,
            Way::Fewer => GAIN.1,
        };
        if rate >= before * wanted {
            self.rate = Some(rate);
            self.attempt(now);
        } else {
            self.limit = from;
            self.turn();
        }
    }

    /// The other way is tried next, after a while.
    fn turn(&mut self) {
        self.calm = 0;
        self.next = match self.next {
            Way::More => Way::Fewer,
            Way::Fewer => Way::More,
        };
    }

    fn attempt(&mut self, now: Duration) {
        self.fence = self.fence.filter(|(_, until)| now < *until);
        let most = self
            .fence
            .map_or(self.most, |(most, _)| most.min(self.most));
        let to = match self.next {
            Way::More => (self.limit * 1.25 + 1.0).min(most.max(self.limit)),
            Way::Fewer => (self.limit * 0.8).max(LEAST.min(self.limit)),
        };
        if (to - self.limit).abs() < 0.5 {
            self.turn();
            return;
        }
        self.calm = 0;
        self.tried = Some((self.next, self.limit));
        self.limit = to;
    }
}

#[cfg(test)]
mod tests;
