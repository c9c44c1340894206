//! Replays what real servers answered.
//!
//! A recording is a directory of files, one topic a file, one case a line: requests with the answers that a live server
//! gave to them. Replaying sends the same requests to a server of ours (or to a real one, which is how the replay itself
//! is checked) and compares answer by answer, after the same normalisation that the recorder did:
//!
//! - [`recording`] reads the files;
//! - [`binding`] matches texts with placeholders like `<uid:1>` and remembers what they stand for;
//! - [`projection`] repeats what the recorder left out of an answer ("managedFields left out", "only status");
//! - [`compare`] finds the first difference;
//! - [`run`] sends the requests of a case in their order, with the watches that stand meanwhile;
//! - [`report`] says what came of it;
//! - [`embedded`](mod@embedded) is the door to a server of this crate.
//!
//! The runner knows a server only through a [`Door`]: a function from request to response, and tokens for the roles that
//! recordings speak of. What is eventual in a real server is waited for: a GET that does not agree yet is asked again
//! until the patience of the [`Options`] ends.

pub mod binding;
pub mod compare;
pub mod embedded;
pub mod projection;
pub mod recording;
pub mod report;
pub mod run;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use hyper::body::Bytes;

pub use embedded::embedded;
pub use recording::Kind;
pub use report::{Outcome, Report};

/// The frames of a response, as they come.
pub type Frames = BoxStream<'static, Result<Bytes, String>>;

/// A server, as the replay sees it.
pub trait Door: Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// What kept the request from being answered, for people.
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> BoxFuture<'_, Result<http::Response<Frames>, String>>;

    /// The bearer token of a role: `admin`, `shard-admin`, `agent`; `None` for a role that has none here.
    fn token(&self, role: &str) -> Option<String>;
}

/// How patient a replay is, and what of a recording it runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an answer may take to become the recorded one.
    pub patience: Duration,
    /// The pause between two tries.
    pub tick: Duration,
    /// How long after a write to a Kubernetes server the next request follows. Entries of `managedFields` are sorted by
    /// seconds: a server that runs needs a second, an embedded one has a clock that goes on with every write.
    pub pace: Duration,
    /// How long a watch that should stay open is listened to after its last expected event.
    pub quiet: Duration,
    /// Only this topic.
    pub topic: Option<String>,
    /// Only cases whose name contains this.
    pub case: Option<String>,
    /// Keep every exchange for the report.
    pub full: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patience: Duration::from_millis(800),
            tick: Duration::from_millis(20),
            pace: Duration::ZERO,
            quiet: Duration::from_millis(300),
            topic: None,
            case: None,
            full: false,
        }
    }
}

/// Replays a directory; `open` gives the server for a topic, fresh or not as the caller likes.
///
/// # Errors
///
/// A directory that cannot be read, or a server that cannot be opened.
pub async fn replay(
    directory: &Path,
    options: &Options,
    mut open: impl FnMut(&recording::Recording) -> BoxFuture<'static, Result<Arc<dyn Door>, String>>,
) -> Result<Report, String> {
    let recording = recording::Recording::read(directory)?;
    let mut report = Report::new(&recording.name);
    for topic in &recording.topics {
        if options
            .topic
            .as_ref()
            .is_some_and(|only| only != &topic.name)
        {
            continue;
        }
        let door = open(&recording).await?;
        let mut runner = run::Runner::new(&recording, door, options.clone());
        if let Err(problem) = runner.prepare(topic).await {
            report.broken(topic, &problem);
            continue;
        }
        for case in &topic.cases {
            if options
                .case
                .as_ref()
                .is_some_and(|only| !case.case.contains(only.as_str()))
            {
                continue;
            }
            report.add(&topic.name, case, runner.case(case).await);
        }
    }
    Ok(report)
}
