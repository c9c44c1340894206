//! A look at a running agent from the program around it.

use std::fmt;
use std::sync::Arc;

use crate::controller::board::{Board, Stuck};

/// A look at a running agent: which orders do not get on, and what is counted. Cheap to clone; shows nothing before the
/// agent runs.
///
/// ```no_run
/// # async fn example(agent: syncagent_core::runtime::Agent) {
/// let handle = agent.handle();
/// tokio::spawn(async move {
///     loop {
///         tokio::time::sleep(std::time::Duration::from_secs(60)).await;
///         for stuck in handle.stuck() {
///             tracing::warn!("{stuck}");
///         }
///     }
/// });
/// agent.run().await;
/// # }
/// ```
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Board>);

impl Handle {
    /// Every order that does not get on, the longest first: which, since when, why, and in whose hands.
    #[must_use]
    pub fn stuck(&self) -> Vec<Stuck> {
        self.0.stuck()
    }

    /// Everything that is counted, in the OpenMetrics text format; the names are in the documentation of the feature
    /// `metrics`.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics(&self) -> String {
        self.0.metrics.text()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
