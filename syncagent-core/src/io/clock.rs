//! Time is an input: the engine asks a clock that it was given.
//!
//! Waiting goes through tokio, whose time a test can pause; the wall clock, which ends up in conditions, comes from here.

use k8s_openapi::jiff::Timestamp;

/// A wall clock.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;
}

impl Clock for std::sync::Arc<dyn Clock> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
