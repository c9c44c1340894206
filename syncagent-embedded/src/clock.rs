//! Time, as the server sees it.
//!
//! Timestamps come from a [`Clock`]; timers use tokio's time. The default clock follows tokio's time too, so a test
//! that pauses the runtime sees timestamps move exactly with its timers.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// Where timestamps come from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The wall clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Starts at a given time and goes on with tokio's clock, whether that runs or is paused.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock {
    origin: Timestamp,
    start: tokio::time::Instant,
}

impl RuntimeClock {
    /// A clock that shows `origin` now.
    #[must_use]
    pub fn starting_at(origin: Timestamp) -> Self {
        Self {
            origin,
            start: tokio::time::Instant::now(),
        }
    }
}

impl Default for RuntimeClock {
    fn default() -> Self {
        Self::starting_at(Timestamp::now())
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.start.elapsed()).unwrap_or(SignedDuration::ZERO);
        self.origin.checked_add(passed).unwrap_or(self.origin)
    }
}

/// A time as the API writes it: `2026-01-02T03:04:05Z`.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_default_clock_follows_a_paused_runtime() {
        let clock = RuntimeClock::starting_at(Timestamp::UNIX_EPOCH);
        assert_eq!(rfc3339(clock.now()), "1970-01-01T00:00:00Z");
        tokio::time::advance(Duration::from_millis(61_500)).await;
        assert_eq!(rfc3339(clock.now()), "1970-01-01T00:01:01Z");
    }
}
