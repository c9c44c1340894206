//! What the bench sees of the servers, and when.

use std::time::{Duration, Instant};

use serde_json::Value;
use syncagent_core::io::watch::{Event, Target, watch};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A watch that notes when it saw what.
pub(crate) struct Sight {
    seen: mpsc::UnboundedReceiver<Seen>,
    tasks: [JoinHandle<()>; 2],
}

/// Something that was seen.
pub(crate) struct Seen {
    pub(crate) at: Instant,
    /// Whether it went.
    pub(crate) gone: bool,
    pub(crate) object: Value,
}

impl Sight {
    /// Begins to watch; what is there already is seen first.
    pub(crate) fn of(target: Target) -> Self {
        let (tx, mut rx) = mpsc::channel(64);
        let (note, seen) = mpsc::unbounded_channel();
        let watching = tokio::spawn(watch(target, tx));
        let noting = tokio::spawn(async move {
            while let Some(event) = rx.recv().await {
                let at = Instant::now();
                let (gone, object) = match event {
                    Event::There(object) => (false, object),
                    Event::Left(object) => (true, object),
                    Event::Restored | Event::Listing(_) | Event::Listed | Event::Trouble(_) => {
                        continue;
                    }
                };
                if note.send(Seen { at, gone, object }).is_err() {
                    return;
                }
            }
        });
        Self {
            seen,
            tasks: [watching, noting],
        }
    }

    /// Goes on watching, and keeps nothing of it.
    pub(crate) async fn idle(mut self) {
        while self.seen.recv().await.is_some() {}
    }

    /// The next thing that is seen before the deadline.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Option<Seen> {
        let left = deadline.saturating_duration_since(Instant::now());
        timeout(left, self.seen.recv()).await.ok().flatten()
    }

    /// Forgets what was seen until now, once nothing new comes.
    pub(crate) async fn calm(&mut self) {
        while timeout(Duration::from_millis(300), self.seen.recv())
            .await
            .is_ok_and(|it| it.is_some())
        {}
    }
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
