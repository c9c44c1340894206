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

    /// Everything that is counted, in the OpenMetrics text format.
    ///
    /// | metric | labels | what |
    /// | --- | --- | --- |
    /// | `syncagent_effects_total` | `publication`, `effect`, `outcome` | requests that change something |
    /// | `syncagent_questions_total` | `publication`, `answered` (`known`, `read`) | what a step had to find out |
    /// | `syncagent_steps_total` | `publication`, `ending` | steps that came to rest, or did not |
    /// | `syncagent_lag_seconds` | `publication`, `direction` (`down`, `up`) | histograms: from the event that brought news to the write that carried it across |
    /// | `syncagent_orders`, `syncagent_waiting`, `syncagent_stuck` | | orders that are known, wait for their turn, do not get on |
    /// | `rest_client_requests_total`, `rest_client_request_duration_seconds` | `code`, `host`, `method`; `host`, `verb` | requests to API servers |
    ///
    /// Labels are bounded by what is published, never by workspaces or orders. The rest has the names that kcp's api-syncagent
    /// has it under (`workqueue_*`, `controller_runtime_reconcile_*`), so that dashboards go on working.
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
