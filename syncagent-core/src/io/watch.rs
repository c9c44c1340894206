//! List and watch of one resource under one prefix, for ever.
//!
//! The loop pages through a list, then watches from its resourceVersion, and hands on raw JSON event by event; it keeps
//! nothing but a resourceVersion. Every way in which a server can go silent or forget is met with a bound:
//!
//! | what the server does | what the loop does |
//! | --- | --- |
//! | refuses, is away, cuts the stream | tries again with a growing pause, and goes on from where it was |
//! | asks for time (`Retry-After`) | gives it |
//! | 410, in the answer or in the stream | lists again, with a growing pause if that does not help |
//! | 410 between two pages of a list | lists again in larger pages, at last in one: what takes too long in small ones would never be complete, and in one piece at once it might fill the memory |
//! | 410 between two pages, and the listener had a part in that | goes on from there with the token of the answer, at the newest version, and then lists again in the same pages: what is settled passes quickly |
//! | a list without a resourceVersion, or 404 | takes it for "not served yet" (kcp answers so), asks again in a second |
//! | a stream without a sign of life | lists again: bookmarks come every minute, so silence is not calm |
//! | was away, and is back with an older version than it had | says so, and lists again, as does every other watch of the server: it was restored from a backup |
//!
//! Only [`Event::Listed`] says that everything that exists has been told. A list that failed half way says nothing.

use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::clients::{Reply, Server, escape};
use crate::error::{Error, ErrorKind, Trouble};
use crate::object::is_older;

/// How many objects one page of a list holds at first.
const PAGE: usize = 500;
/// How long the server may keep one watch open.
const TURN: Duration = Duration::from_secs(290);
/// How long a stream may be silent: bookmarks come every minute.
const SILENCE: Duration = Duration::from_secs(150);
/// How many bytes of a stream are kept ready between two chunks.
const CALM: usize = 16 << 10;
/// How soon a resource that is not served yet is asked for again, and for how long so often: after that it is not about
/// to be.
const NOT_YET: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How the metadata of a list is asked for.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(8));

/// What is listed and watched.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub server: Server,
    /// The collection, as in `/apis/example.io/v1/things`.
    pub path: String,
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
    /// Whether only metadata is asked for.
    pub form: Form,
}

/// How much of an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it.
    Whole,
    /// Type and metadata.
    Metadata,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The server has an older state than it had: whatever version was seen before tells nothing about what is seen now.
    Restored,
    /// A list begins, of this version; everything that exists follows.
    Listing(String),
    /// An object is there: listed, added or changed.
    There(Value),
    /// Everything that exists has been told since [`Event::Listing`].
    Listed,
    /// An object left the watch: deleted, or no longer selected. This is its last state.
    Left(Value),
    /// The watch does not get through; it goes on trying.
    Trouble(Trouble),
}

impl Target {
    /// All objects of a collection, whole.
    #[must_use]
    pub fn all(server: Server, path: impl Into<String>) -> Self {
        Self {
            server,
            path: path.into(),
            labels: None,
            fields: None,
            form: Form::Whole,
        }
    }

    /// Only the metadata of them.
    #[must_use]
    pub fn metadata(self) -> Self {
        Self {
            form: Form::Metadata,
            ..self
        }
    }

    /// Only those with these labels.
    #[must_use]
    pub fn labelled(self, selector: impl Into<String>) -> Self {
        Self {
            labels: Some(selector.into()),
            ..self
        }
    }

    /// Only the one of this name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self {
            fields: Some(format!("metadata.name={name}")),
            ..self
        }
    }

    fn query(&self, more: &str) -> String {
        let mut query = format!("{}?{more}", self.path);
        if let Some(labels) = &self.labels {
            query.push_str(&format!("&labelSelector={}", escape(labels)));
        }
        if let Some(fields) = &self.fields {
            query.push_str(&format!("&fieldSelector={}", escape(fields)));
        }
        query
    }
}

/// Why one turn of the loop ended.
enum End {
    /// The stream ended in the ordinary way: watch on from here.
    Over,
    /// The version is too old, or the stream is silent: list again.
    Gone,
    /// The list expired between two pages; `held_up` says whether whoever listens had a part in that.
    Expired { held_up: bool },
    /// The end of a list was reached, and it was not all of one version.
    Torn,
    /// Nobody listens any more.
    Unheard,
    /// Not served yet, or not any more; an error where the server says so.
    NotYet(Option<Error>),
    /// It did not work; the server asked for so much time.
    Failed(Error, Duration),
}

/// Lists and watches until nobody listens.
pub async fn watch(target: Target, events: mpsc::Sender<Event>) {
    let mut at: Option<String> = None;
    let mut pause = PAUSE.0;
    let mut page = PAGE;
    let mut missing: Option<Instant> = None;
    // Whether the server was away since it was heard last.
    let mut away = false;
    let mut past = Past {
        newest: None,
        restorations: target.server.restorations(),
        called: false,
    };
    loop {
        let started = Instant::now();
        if past.is_called() {
            at = None;
        }
        let end = match at.take() {
            None => match list(&target, page, &mut past, &events).await {
                Ok(version) => {
                    past.newest = Some(version.clone());
                    at = Some(version);
                    page = PAGE;
                    missing = None;
                    away = false;
                    continue;
                }
                Err(end) => end,
            },
            Some(version) if away => match present(&target).await {
                Ok(now) => {
                    away = false;
                    // From a version that is still to come it would be silent, and then go on as if nothing had been lost.
                    at = Some(version).filter(|it| !is_older(&now, it));
                    continue;
                }
                Err(end) => {
                    at = Some(version).filter(|_| !matches!(end, End::Gone));
                    end
                }
            },
            Some(mut version) => {
                let end = tokio::select! {
                    end = follow(&target, &mut version, &events) => end,
                    // What it was about to tell is listed.
                    () = past.call() => End::Gone,
                };
                past.newest = Some(version.clone());
                if !matches!(end, End::Gone) {
                    at = Some(version);
                }
                end
            }
        };
        match end {
            End::Unheard => return,
            // A server that ends every watch at once, or forgets at once what it listed, must not be asked in a hot loop.
            End::Over | End::Gone if started.elapsed() > Duration::from_secs(1) => {
                pause = PAUSE.0;
            }
            End::Over | End::Gone => rest(&mut pause).await,
            End::Expired { held_up } => {
                if !held_up {
                    page = page.saturating_mul(4);
                }
                rest(&mut pause).await;
            }
            // It took long, or it would not have expired.
            End::Torn => pause = PAUSE.0,
            End::NotYet(why) => {
                if let Some(error) = why
                    && events.send(Event::Trouble(error.trouble())).await.is_err()
                {
                    return;
                }
                let since = *missing.get_or_insert(started);
                sleep(if since.elapsed() < NOT_YET.1 {
                    NOT_YET.0
                } else {
                    PAUSE.1
                })
                .await;
            }
            End::Failed(error, wait) => {
                away |= error.is_outage();
                tracing::debug!(?target, "watch failed: {}", error.chain());
                if events.send(Event::Trouble(error.trouble())).await.is_err() {
                    return;
                }
                if error.kind() == ErrorKind::Denied {
                    // Grants and bindings take about a second to arrive.
                    pause = pause.max(NOT_YET.0 / 2);
                }
                sleep(wait).await;
                rest(&mut pause).await;
            }
        }
        if events.is_closed() {
            return;
        }
    }
}

async fn rest(pause: &mut Duration) {
    sleep(*pause).await;
    *pause = (*pause * 2).min(PAUSE.1);
}

/// The version that the server has now, for the price of one object's metadata.
async fn present(target: &Target) -> Result<String, End> {
    let reply = target
        .server
        .get_as(&target.query("limit=1"), METADATA)
        .await;
    let reply = reply.map_err(|error| End::Failed(error, Duration::ZERO))?;
    match reply.code {
        200 => text(&reply.body["metadata"]["resourceVersion"]).ok_or(End::Gone),
        404 | 410 => Err(End::Gone),
        _ => Err(refused(target, "LIST", &reply)),
    }
}

fn refused(target: &Target, verb: &str, reply: &Reply) -> End {
    let request = format!("{verb} {}", target.path);
    let wait = reply.retry_after.unwrap_or_default();
    End::Failed(target.server.refused(&request, reply), wait)
}

/// What a watch knows of the server's past.
struct Past {
    /// The newest version that the server showed here.
    newest: Option<String>,
    /// What all watches of the server know.
    restorations: tokio::sync::watch::Receiver<u64>,
    /// Whether another watch found that the server went back, and nothing was listed here since. The versions here may look
    /// as if nothing had happened, when the server wrote more since than was lost.
    called: bool,
}

impl Past {
    /// Waits until another watch calls.
    async fn call(&mut self) {
        if self.restorations.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.restorations.mark_changed();
    }

    fn is_called(&mut self) -> bool {
        if self.restorations.has_changed().unwrap_or_default() {
            self.restorations.mark_unchanged();
            self.called = true;
        }
        self.called
    }

    /// Whether a list of this version is one of a server that went back; whoever finds it first calls the others.
    fn is_lost(&mut self, version: &str, server: &Server) -> bool {
        if std::mem::take(&mut self.called) {
            return true;
        }
        let lost = matches!(&self.newest, Some(newest) if is_older(version, newest));
        if lost {
            if !self.restorations.has_changed().unwrap_or_default() {
                server.went_back();
            }
            self.restorations.mark_unchanged();
        }
        lost
    }
}

/// Pages through a list; returns the version to watch from.
async fn list(
    target: &Target,
    page: usize,
    past: &mut Past,
    events: &mpsc::Sender<Event>,
) -> Result<String, End> {
    let accept = match target.form {
        Form::Whole => "application/json",
        Form::Metadata => METADATA,
    };
    let mut begun = false;
    let mut torn = false;
    let mut next = String::new();
    let (mut since, mut held) = (Instant::now(), Duration::ZERO);
    loop {
        let path = target.query(&match next.as_str() {
            "" => format!("limit={page}"),
            token => format!("limit={page}&continue={}", escape(token)),
        });
        let mut reply = target
            .server
            .get_as(&path, accept)
            .await
            .map_err(|error| End::Failed(error, Duration::ZERO))?;
        if reply.code == 410 {
            // Next time what is settled takes no time, so what is the server's own slowness shows.
            let held_up = held > since.elapsed() / 10;
            match text(&reply.body["metadata"]["continue"]) {
                _ if next.is_empty() => return Err(End::Gone),
                Some(token) if held_up => {
                    // Whoever listens gets to the end once, whatever becomes of what was told before.
                    torn = true;
                    next = token;
                    (since, held) = (Instant::now(), Duration::ZERO);
                    continue;
                }
                _ => return Err(End::Expired { held_up }),
            }
        }
        if reply.code == 404 {
            let error = target
                .server
                .refused(&format!("LIST {}", target.path), &reply);
            return Err(End::NotYet(Some(error)));
        }
        if !reply.is_success() {
            return Err(refused(target, "LIST", &reply));
        }
        let Some(version) = text(&reply.body["metadata"]["resourceVersion"]) else {
            return Err(End::NotYet(None));
        };
        if !begun {
            begun = true;
            if past.is_lost(&version, &target.server) {
                tell(events, Event::Restored).await?;
            }
            tell(events, Event::Listing(version.clone())).await?;
        }
        let api_version = reply.body["apiVersion"].clone();
        let kind = reply.body["kind"]
            .as_str()
            .and_then(|k| k.strip_suffix("List"))
            .map(str::to_owned);
        let items = reply.body["items"].take();
        let telling = Instant::now();
        if let Value::Array(items) = items {
            for mut item in items {
                // Items of a list of built-in kinds do not name their type.
                if item["kind"].is_null()
                    && let Some(kind) = &kind
                {
                    item["kind"] = kind.as_str().into();
                    item["apiVersion"] = api_version.clone();
                }
                tell(events, Event::There(item)).await?;
            }
        }
        held += telling.elapsed();
        match text(&reply.body["metadata"]["continue"]) {
            Some(token) => next = token,
            None if torn => return Err(End::Torn),
            None => {
                tell(events, Event::Listed).await?;
                return Ok(version);
            }
        }
    }
}

async fn tell(events: &mpsc::Sender<Event>, event: Event) -> Result<(), End> {
    events.send(event).await.map_err(|_| End::Unheard)
}

/// Watches from a version, moving it along.
async fn follow(target: &Target, version: &mut String, events: &mpsc::Sender<Event>) -> End {
    let accept = match target.form {
        Form::Whole => "application/json",
        Form::Metadata => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    };
    let path = target.query(&format!(
        "watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
        TURN.as_secs(),
        escape(version)
    ));
    let body = match target.server.open(&path, accept).await {
        Err(error) => return End::Failed(error, Duration::ZERO),
        Ok(Err(reply)) if reply.code == 410 => return End::Gone,
        // The resource is not served any more: what is watched later may be another one. List again.
        Ok(Err(reply)) if reply.code == 404 => return End::Gone,
        Ok(Err(reply)) => {
            return refused(target, "WATCH", &reply);
        }
        Ok(Ok(body)) => body,
    };
    let mut chunks = body.into_data_stream();
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let chunk = tokio::select! {
            () = events.closed() => return End::Unheard,
            chunk = timeout(SILENCE, chunks.next()) => chunk,
        };
        match chunk {
            // Silence is not calm: the server may not serve this any more, or wait for a version of a future that was
            // lost with its disk. A list tells.
            Err(_) => return End::Gone,
            // The end, or a cut: go on from where we are.
            Ok(None | Some(Err(_))) => return End::Over,
            Ok(Some(Ok(bytes))) => rest.extend_from_slice(&bytes),
        }
        let mut from = 0;
        while let Some(length) = rest[from..].iter().position(|byte| *byte == b'\n') {
            let line = &rest[from..from + length];
            from += length + 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let Ok(frame) = serde_json::from_slice::<Value>(line) else {
                return End::Over;
            };
            if let Err(end) = heed(target, frame, version, events).await {
                return end;
            }
        }
        rest.drain(..from);
        // After a burst the line buffer is small again: there is one for each watch.
        if rest.capacity() > CALM {
            rest.shrink_to(CALM);
        }
    }
}

async fn heed(
    target: &Target,
    mut frame: Value,
    version: &mut String,
    events: &mpsc::Sender<Event>,
) -> Result<(), End> {
    let object = frame["object"].take();
    let kind = frame["type"].as_str().unwrap_or_default();
    if kind == "ERROR" {
        return Err(match object["code"].as_u64() {
            Some(410 | 504) => End::Gone,
            code => {
                let error = Error::Unexpected {
                    server: target.server.name().to_owned(),
                    request: format!("WATCH {}", target.path),
                    what: format!(
                        "an error in the stream ({}): {}",
                        code.unwrap_or_default(),
                        object["message"].as_str().unwrap_or_default()
                    ),
                };
                End::Failed(error, Duration::ZERO)
            }
        });
    }
    if let Some(moved) = text(&object["metadata"]["resourceVersion"]) {
        *version = moved;
    }
    match kind {
        "ADDED" | "MODIFIED" => tell(events, Event::There(object)).await,
        "DELETED" => tell(events, Event::Left(object)).await,
        _ => Ok(()),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|s| !s.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
