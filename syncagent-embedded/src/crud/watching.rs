//! Watches.
//!
//! A [`Watcher`] is a cursor on the log of a bucket: it wakes up when the bucket changes, reads what is new, and turns
//! it into what its client may see. An object that starts to match is ADDED, one that stops is DELETED with its old
//! content and the version of the change. A wildcard over a changing set of clusters does the same when a cluster
//! joins or leaves. A watcher that fell behind the log ends with an error of code 410.

use hyper::body::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::{Answer, Call, metadata_only, present};
use crate::plane::Reach;
use crate::request::{Form, ListOptions, Shape, version_too_large};
use crate::selector::{Fields, Labels};
use crate::status::Failure;
use crate::store::{Event, Scope, Stored};
use crate::versions;

/// A watch that ends by itself does so after this long, unless the client names a time.
const LONGEST: Duration = Duration::from_secs(45 * 60);

/// An open watch.
#[derive(Debug)]
pub struct Watcher {
    call: Call,
    scope: Scope,
    labels: Labels,
    fields: Fields,
    clusters: Option<Arc<BTreeSet<Arc<str>>>>,
    membership: Option<watch::Receiver<Arc<BTreeSet<Arc<str>>>>>,
    cursor: u64,
    frames: VecDeque<Bytes>,
    changes: watch::Receiver<u64>,
    cuts: watch::Receiver<u64>,
    mutes: watch::Receiver<u64>,
    mute: bool,
    deadline: Pin<Box<Sleep>>,
    bookmark: Option<Pin<Box<Sleep>>>,
    rows_shown: bool,
    over: bool,
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    object: &'a Value,
}

impl Call {
    /// Opens a watch.
    pub(super) fn watch(self) -> Result<Answer, Failure> {
        let options = ListOptions::read(&self.query, true)?;
        if self.form.shape == Shape::Table {
            self.printer()?;
        }
        let (labels, fields) = self.selectors()?;
        let mut scope = self.scope();
        // A watch of a named object is a watch of its collection with a selector.
        let named = self.target.name.clone();
        if !named.is_empty() && !self.served.built_in() {
            return Err(self.not_found(&named));
        }
        if self.place.reach == Reach::All {
            scope.namespace = None;
        }
        let asked = options.parsed_version()?;
        let timeout = options
            .timeout
            .filter(|seconds| *seconds > 0)
            .map_or(LONGEST, Duration::from_secs);
        let mut membership = self.lens.clusters.clone();
        let clusters = membership
            .as_mut()
            .map(|receiver| receiver.borrow_and_update().clone());
        let core = self.core.clone();
        let changes = core.store().subscribe(&scope.bucket);
        let every = core.settings.bookmark_every;
        let mut watcher = Watcher {
            scope,
            labels,
            fields: if named.is_empty() {
                fields
            } else {
                Fields::parse(&format!("metadata.name={named}"))?
            },
            clusters,
            membership,
            cursor: 0,
            frames: VecDeque::new(),
            changes,
            cuts: core.faults.cuts(),
            mutes: core.faults.mutes(),
            mute: false,
            deadline: Box::pin(tokio::time::sleep(timeout)),
            bookmark: options
                .bookmarks
                .then(|| Box::pin(tokio::time::sleep(every))),
            rows_shown: false,
            over: false,
            call: self,
        };
        if watcher.call.form.shape == Shape::MetadataList {
            watcher.over = true;
            return Ok(Answer::Watch(Box::new(watcher)));
        }
        watcher.begin(asked, &options);
        Ok(Answer::Watch(Box::new(watcher)))
    }
}

/// How a stream breaks.
fn cut() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the watch was cut")
}

impl Watcher {
    fn begin(&mut self, asked: Option<u64>, options: &ListOptions) {
        let core = self.call.core.clone();
        let store = core.store();
        let current = store.revision();
        let streams = options.initial_events == Some(true);
        let from_now = options.initial_events == Some(false) && asked.unwrap_or(0) == 0;
        match asked {
            Some(version) if version > current && streams => {
                drop(store);
                self.fail(&version_too_large(version, current));
            }
            Some(version) if version != 0 && !streams => {
                let reached = store.reaches(&self.scope.bucket, version);
                drop(store);
                self.cursor = version;
                if reached.is_err() {
                    self.fail(&Failure::expired(format!(
                        "too old resource version: {version} ({current})"
                    )));
                }
            }
            _ => {
                let present = store.list(&self.scope, None, None).unwrap_or_default();
                drop(store);
                self.cursor = current;
                if from_now {
                    return;
                }
                for stored in present {
                    if let Some(object) = self.seen(Some(&stored)) {
                        self.push("ADDED", &object);
                    }
                }
                if options.bookmarks {
                    self.push_bookmark(true);
                }
            }
        }
    }

    /// The form of the answer.
    #[must_use]
    pub fn form(&self) -> Form {
        self.call.form
    }

    /// The next piece of the stream; `None` at its end, an error where it breaks.
    pub async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            self.mute |= self.mutes.has_changed().unwrap_or(false);
            if self.mute {
                let stop = self.call.core.stop.clone();
                tokio::select! {
                    () = stop.cancelled() => return None,
                    _ = self.cuts.changed() => {}
                }
                self.mute = false;
                self.mutes.mark_unchanged();
                self.over = true;
                return Some(Err(cut()));
            }
            if let Some(frame) = self.frames.pop_front() {
                return Some(Ok(frame));
            }
            if self.over {
                return None;
            }
            self.changes.mark_unchanged();
            self.pump();
            if !self.frames.is_empty() || self.over {
                continue;
            }
            let stop = self.call.core.stop.clone();
            let joined = async {
                match &mut self.membership {
                    Some(receiver) => {
                        if receiver.changed().await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            let marked = async {
                match &mut self.bookmark {
                    Some(sleep) => sleep.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => self.over = true,
                _ = self.cuts.changed() => {
                    self.over = true;
                    return Some(Err(cut()));
                }
                _ = self.mutes.changed() => self.mute = true,
                () = self.deadline.as_mut() => self.over = true,
                () = joined => self.rejoin(),
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        self.over = true;
                    }
                }
                () = marked => {
                    self.pump();
                    // A watch from a version that is still to come is silent until then.
                    if !self.over && self.cursor <= self.call.core.store().revision() {
                        self.push_bookmark(false);
                    }
                    let every = self.call.core.settings.bookmark_every;
                    if let Some(sleep) = &mut self.bookmark {
                        sleep.as_mut().reset(Instant::now() + every);
                    }
                }
            }
        }
    }

    /// Reads what is new in the log.
    fn pump(&mut self) {
        let core = self.call.core.clone();
        let (events, current) = {
            let store = core.store();
            (
                store.since(&self.scope.bucket, self.cursor),
                store.revision(),
            )
        };
        let Ok(events) = events else {
            self.fail(&Failure::expired(format!(
                "too old resource version: {} ({current})",
                self.cursor
            )));
            return;
        };
        for event in events {
            self.cursor = event.version;
            self.tell(&event);
        }
        self.cursor = self.cursor.max(current);
    }

    fn tell(&mut self, event: &Event) {
        let before = self.seen(event.before.as_ref());
        let after = self.seen(event.after.as_ref());
        match (before, after) {
            (None, None) => {}
            (None, Some(object)) => self.push("ADDED", &object),
            (Some(_), Some(object)) => self.push("MODIFIED", &object),
            (Some(object), None) => {
                let mut object = Arc::unwrap_or_clone(object);
                object["metadata"]["resourceVersion"] = json!(event.version.to_string());
                self.push("DELETED", &object);
            }
        }
    }

    /// An object as the client sees it, if it does.
    fn seen(&self, stored: Option<&Arc<Stored>>) -> Option<Arc<Value>> {
        let stored = stored?;
        let in_place = self.scope.contains(&stored.key)
            && self
                .clusters
                .as_ref()
                .is_none_or(|clusters| clusters.contains(&stored.key.cluster));
        if !in_place {
            return None;
        }
        let call = &self.call;
        let object = present(
            &call.core,
            &call.served,
            &stored.key.cluster,
            &stored.object,
        )
        .ok()?;
        (self.labels.matches(&object) && self.fields.matches(&object)).then_some(object)
    }

    /// The set of clusters changed: what came is added, what went is deleted.
    fn rejoin(&mut self) {
        self.pump();
        let Some(receiver) = &mut self.membership else {
            return;
        };
        let now = receiver.borrow_and_update().clone();
        let before = self.clusters.clone().unwrap_or_default();
        let core = self.call.core.clone();
        let present = core
            .store()
            .list(&self.scope, None, None)
            .unwrap_or_default();
        for stored in &present {
            let cluster = &stored.key.cluster;
            let (was, is) = (before.contains(cluster), now.contains(cluster));
            if was == is {
                continue;
            }
            self.clusters = Some(if is { now.clone() } else { before.clone() });
            if let Some(object) = self.seen(Some(stored)) {
                self.push(if is { "ADDED" } else { "DELETED" }, &object);
            }
        }
        self.clusters = Some(now);
    }

    fn push(&mut self, kind: &'static str, object: &Value) {
        let shaped = match self.call.form.shape {
            Shape::Whole => None,
            Shape::Table => Some(self.row(object)),
            Shape::Metadata | Shape::MetadataList => Some(metadata_only(object, self.call.form)),
        };
        self.rows_shown = true;
        self.write(kind, shaped.as_ref().unwrap_or(object));
    }

    fn row(&self, object: &Value) -> Value {
        let first = !self.rows_shown;
        self.call
            .printer()
            .map_or(Value::Null, |printer| printer.event(object, first))
    }

    fn push_bookmark(&mut self, initial: bool) {
        let resource = &self.call.served.resource;
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        } else {
            metadata["creationTimestamp"] = Value::Null;
        }
        let mut object = json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
        match self.call.form.shape {
            Shape::Whole => {}
            Shape::Table => {
                let first = !self.rows_shown;
                object = self
                    .call
                    .printer()
                    .map_or(Value::Null, |printer| printer.bookmark(&object, first));
                self.rows_shown = true;
            }
            Shape::Metadata | Shape::MetadataList => {
                object = metadata_only(&object, self.call.form);
            }
        }
        self.write("BOOKMARK", &object);
    }

    fn fail(&mut self, failure: &Failure) {
        self.write("ERROR", &failure.to_value());
        self.over = true;
    }

    fn write(&mut self, kind: &'static str, object: &Value) {
        let mut lifted;
        let mut object = object;
        if self.call.ahead > 0 {
            lifted = object.clone();
            versions::lift(&mut lifted, self.call.ahead);
            object = &lifted;
        }
        let mut frame = serde_json::to_vec(&Frame { kind, object }).unwrap_or_default();
        frame.push(b'\n');
        self.frames.push_back(frame.into());
    }
}
