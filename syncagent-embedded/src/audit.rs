//! What was asked, and how it was answered.
//!
//! The log is what tests count requests with: it has one entry per request, in the order in which they were answered
//! (a watch: when it was opened).

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::core::lock;

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The name of the user.
    pub user: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, ...; the lower-case method for paths that are no resources.
    pub verb: String,
    /// The API group.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// The subresource, or empty.
    pub subresource: String,
    /// The logical cluster; empty on a Kubernetes server and for a wildcard.
    pub cluster: Arc<str>,
    /// Whether it went to all clusters at once.
    pub wildcard: bool,
    /// Whether it went through a virtual workspace.
    pub virtual_workspace: bool,
    /// The namespace, or empty.
    pub namespace: String,
    /// The name, or empty.
    pub name: String,
    /// The path and query as they came.
    pub uri: String,
    /// The HTTP code of the answer.
    pub code: u16,
    /// When it was answered, by the runtime's time; `None` until it was.
    pub at: Option<Instant>,
}

impl Entry {
    /// Whether the request could change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }
}

/// The log of a server.
#[derive(Debug, Default)]
pub struct Audit(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    entries: Vec<Entry>,
    /// How many there were before these.
    cut: usize,
}

impl Audit {
    /// The log is cut at this length, oldest first.
    const LIMIT: usize = 200_000;

    pub(crate) fn record(&self, mut entry: Entry) {
        let mut log = lock(&self.0);
        if log.entries.len() >= Self::LIMIT {
            log.entries.drain(..Self::LIMIT / 2);
            log.cut += Self::LIMIT / 2;
        }
        entry.at = Some(Instant::now());
        log.entries.push(entry);
    }

    /// How many entries there ever were.
    #[must_use]
    pub fn count(&self) -> usize {
        let log = lock(&self.0);
        log.cut + log.entries.len()
    }

    /// A copy of the log, without so many of its first entries.
    #[must_use]
    pub fn entries_after(&self, count: usize) -> Vec<Entry> {
        let log = lock(&self.0);
        let skip = count.saturating_sub(log.cut).min(log.entries.len());
        log.entries[skip..].to_vec()
    }

    /// Forgets all entries; they still count.
    pub fn clear(&self) {
        let mut log = lock(&self.0);
        log.cut += log.entries.len();
        log.entries.clear();
    }
}
