//! What was asked, and how it was answered.
//!
//! The log is what tests count requests with: it has one entry per request, in the order in which they were answered
//! (a watch: when it was opened).

use std::sync::{Arc, Mutex};

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
pub struct Audit(Mutex<Vec<Entry>>);

impl Audit {
    /// The log is cut at this length, oldest first.
    const LIMIT: usize = 200_000;

    pub(crate) fn record(&self, entry: Entry) {
        let mut log = lock(&self.0);
        if log.len() >= Self::LIMIT {
            log.drain(..Self::LIMIT / 2);
        }
        log.push(entry);
    }

    /// A copy of the log.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.0).clone()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}
