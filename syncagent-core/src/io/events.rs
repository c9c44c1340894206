//! Events in the consumer's workspace: warnings in the consumer's terms, and what else a publication's policy says.
//!
//! An event is a courtesy. It is sent after the work is done, by one task, and never holds work back: while orders wait for
//! their turn there are two a second, where the claim on `events` is not accepted the workspace is left alone for a while,
//! where a server is busy or more is said than can be sent events are dropped first. The
//! name of an event follows from what it says: said again, it is counted on the event that is there, also by an agent
//! that was started anew.

mod lately;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::lately::{Lately, Way};
use super::clients::{MERGE_PATCH, Reply, Server, escape};
use crate::definition::Events;
use crate::error::Error;
use crate::object::fingerprint::sha1_hex;
use crate::plan::{Deed, Trouble};

/// How long a message may be.
const LONGEST: usize = 1024;
/// How many events may wait; more are dropped.
const LINE: usize = 256;
/// How long a workspace without the claim is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(600);
/// How long nothing is sent to a server that was busy and did not say how long.
const BUSY: Duration = Duration::from_secs(5);

/// How long an event waits while orders wait for their turn: an event costs a server as much as a copy does.
const COURTESY: Duration = Duration::from_millis(500);
/// How often it is looked whether they still do.
const LOOK: Duration = Duration::from_millis(20);

/// The order that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// Where its workspace is reached, where it is known.
    pub(crate) endpoint: Option<Arc<str>>,
    /// `apiVersion` of the offered kind.
    pub(crate) api_version: String,
    /// The offered kind.
    pub(crate) kind: String,
    /// The logical cluster.
    pub(crate) cluster: String,
    /// The namespace; empty for a cluster-scoped order.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
    /// The uid, where it is known.
    pub(crate) uid: String,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    warning: bool,
    reason: String,
    message: String,
}

impl Said {
    /// A warning.
    pub(crate) fn warning(trouble: &Trouble) -> Self {
        Self {
            warning: true,
            reason: trouble.reason.clone(),
            message: trouble.message.clone(),
        }
    }

    /// That something failed, as the Go agent says it: one reason for all.
    pub(crate) fn failed(trouble: &Trouble) -> Self {
        Self {
            reason: "ReconcilingError".to_owned(),
            ..Self::warning(trouble)
        }
    }

    /// That a copy's kind has no status that could be written.
    pub(crate) fn no_status() -> Self {
        Self {
            warning: true,
            reason: "StatusSubresourceMissing".to_owned(),
            message: "there is no status here that could be written, so none is shown".to_owned(),
        }
    }

    /// What is said, on a related object, of an effect that was done for it; `None`: nothing. The reasons are those of
    /// kcp's api-syncagent.
    pub(crate) fn of_related(deed: &Deed) -> Option<Self> {
        let (reason, message) = match deed {
            Deed::HoldTaken(_) => ("ObjectAccepted", "it is taken to the service"),
            Deed::Take(_) => ("ObjectPlaced", "it is at the service"),
            Deed::Return(_) => ("ObjectPlaced", "it came from the service"),
            Deed::Retake(_) => ("ObjectSynced", "the change is at the service"),
            Deed::Update(_) => ("ObjectSynced", "it was brought up to date by the service"),
            Deed::Untake(_) => ("ObjectCleanup", "it is being deleted at the service"),
            Deed::Unreturn(_) => ("ObjectCleanup", "it is being deleted, for its order goes"),
            Deed::ReleaseTaken(_) => ("ObjectDeleted", "it is gone at the service"),
            _ => return None,
        };
        Some(Self {
            warning: false,
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    }

    /// Something else.
    pub(crate) fn new(warning: bool, reason: &str, message: &str) -> Self {
        // A server takes no more than 1024 bytes.
        let mut message = message.to_owned();
        if message.len() > LONGEST {
            let end = (0..=LONGEST - 3)
                .rev()
                .find(|at| message.is_char_boundary(*at));
            message.truncate(end.unwrap_or_default());
            message.push_str("...");
        }
        Self {
            warning,
            reason: reason.to_owned(),
            message,
        }
    }

    /// What is said of an effect that was done; `None`: nothing. The reasons are those of kcp's api-syncagent.
    pub(crate) fn of(deed: &Deed, policy: Events) -> Option<Self> {
        let (reason, message) = match deed {
            Deed::Place => ("ObjectPlaced", "the order is at the service"),
            _ if policy != Events::All => return None,
            Deed::Adopt => ("ObjectPlaced", "the order is at the service"),
            Deed::Hold => ("ObjectAccepted", "the order was accepted"),
            Deed::Refresh => ("ObjectSynced", "the change is at the service"),
            Deed::Reflect => ("ObjectStatusSynced", "the status is up to date"),
            Deed::Retire => (
                "ObjectCleanup",
                "what was ordered is being deleted at the service",
            ),
            Deed::Release => ("ObjectDeleted", "what was ordered is gone at the service"),
            _ => return None,
        };
        (policy != Events::Off).then(|| Self {
            warning: false,
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    }
}

/// Where events are handed in.
#[derive(Clone, Debug)]
pub(crate) struct Post(mpsc::Sender<(About, Said, String)>);

impl Post {
    /// A post, and the line of what was handed in.
    pub(crate) fn new() -> (Self, Line) {
        let (tx, rx) = mpsc::channel(LINE);
        (Self(tx), Line(rx))
    }

    /// Hands in an event; with too many waiting it is dropped. `now` is the time as RFC 3339.
    pub(crate) fn hand_in(&self, about: About, said: Said, now: String) {
        let _ = self.0.try_send((about, said, now));
    }
}

/// What was handed in.
#[derive(Debug)]
pub(crate) struct Line(mpsc::Receiver<(About, Said, String)>);

/// Sends what was handed in, for ever. `server` finds the server of an order; `crowded` says whether orders wait for their
/// turn.
pub(crate) async fn send(
    mut line: Line,
    agent: String,
    server: impl Fn(&About) -> Option<Server>,
    crowded: impl Fn() -> bool,
) {
    let mut closed: HashMap<String, Instant> = HashMap::new();
    let mut busy = Instant::now();
    let mut lately = Lately::default();
    while let Some((about, said, now)) = line.0.recv().await {
        let patience = Instant::now() + COURTESY;
        while crowded() && Instant::now() < patience {
            sleep(LOOK).await;
        }
        let at = Instant::now();
        closed.retain(|_, until| *until > at);
        if at < busy || closed.contains_key(&about.cluster) {
            continue;
        }
        let Some(server) = server(&about) else {
            continue;
        };
        match tell(&server, &mut lately, &about, &said, &agent, &now).await {
            Ok(None) => {}
            Ok(Some(reply)) if reply.is_success() => {}
            Ok(Some(reply)) if matches!(reply.code, 403 | 404) => {
                tracing::debug!(workspace = %about.cluster, "events are not accepted here");
                closed.insert(about.cluster, at + LEFT_ALONE);
            }
            Ok(Some(reply)) if reply.code == 429 || reply.code >= 500 => {
                busy = at + reply.retry_after.unwrap_or(BUSY);
            }
            Ok(Some(reply)) => tracing::debug!(code = reply.code, "an event was refused"),
            Err(error) => {
                tracing::debug!("an event was not sent: {}", error.chain());
                busy = at + BUSY;
            }
        }
    }
}

/// Says it once, or that it was said again. `None`: that can wait.
async fn tell(
    server: &Server,
    lately: &mut Lately,
    about: &About,
    said: &Said,
    agent: &str,
    now: &str,
) -> Result<Option<Reply>, Error> {
    let event = event(about, said, agent, now);
    let all = collection(about);
    let name = event["metadata"]["name"].as_str().unwrap_or_default();
    let one = format!("{all}/{}", escape(name));
    // The same name may be an event of another workspace.
    let key = format!("{}{one}", about.cluster);
    let at = Instant::now();
    match lately.again(&key, at) {
        Way::Later => return Ok(None),
        Way::More(so_often) => {
            let reply = server
                .patch(&one, MERGE_PATCH, &once_more(so_often, now))
                .await?;
            if reply.code != 404 {
                return Ok(Some(reply));
            }
            lately.is_gone(&key);
        }
        Way::New => {}
    }
    let reply = server.post(&all, &event).await?;
    if reply.is_success() {
        lately.is_there(&key, Some(1), at);
    }
    if reply.code != 409 {
        return Ok(Some(reply));
    }
    // An agent before this one said it.
    lately.is_there(&key, None, at);
    let reply = server
        .patch(&one, MERGE_PATCH, &once_more(None, now))
        .await?;
    Ok((reply.code != 404).then_some(reply))
}

/// How an event changes that was said again.
fn once_more(count: Option<u32>, now: &str) -> Value {
    let mut patch = json!({"lastTimestamp": now});
    if let Some(count) = count {
        patch["count"] = json!(count);
    }
    patch
}

/// Sends one event, about what is no order. Whether it arrives is nobody's concern.
pub(crate) async fn post(server: &Server, about: &About, said: &Said, component: &str, now: &str) {
    let event = event(about, said, component, now);
    match server.post(&collection(about), &event).await {
        // 409: it was said before.
        Ok(reply) if reply.is_success() || reply.code == 409 => {}
        Ok(reply) => tracing::debug!(code = reply.code, "an event was refused"),
        Err(error) => tracing::debug!("an event was not sent: {}", error.chain()),
    }
}

/// The namespace of the events about an order.
fn home(about: &About) -> &str {
    match about.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    }
}

/// Where the events about an order are.
fn collection(about: &About) -> String {
    format!("/api/v1/namespaces/{}/events", escape(home(about)))
}

fn event(about: &About, said: &Said, agent: &str, now: &str) -> Value {
    let content = format!(
        "{}/{}/{}/{}",
        about.kind, about.uid, said.reason, said.message
    );
    let mut stem = about.name.clone();
    stem.truncate(200);
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{stem}.{}", &sha1_hex(&content)[..16]),
            "namespace": home(about),
        },
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "type": if said.warning { "Warning" } else { "Normal" },
        "reason": said.reason,
        "message": said.message,
        "source": {"component": agent},
        "reportingComponent": agent,
        "reportingInstance": agent,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_how_much_is_told() {
        assert_eq!(Said::of(&Deed::Place, Events::Off), None);
        assert_eq!(Said::of(&Deed::Reflect, Events::Warnings), None);
        let placed = Said::of(&Deed::Place, Events::Warnings).unwrap();
        assert_eq!(
            (placed.warning, placed.reason.as_str()),
            (false, "ObjectPlaced")
        );
        let all = [
            Deed::Hold,
            Deed::Place,
            Deed::Refresh,
            Deed::Reflect,
            Deed::Retire,
            Deed::Release,
        ];
        let of_related = |deed| Said::of_related(&deed).map(|said| said.reason);
        let id = || "creds".to_owned();
        assert_eq!(
            [
                Deed::HoldTaken(id()),
                Deed::Take(id()),
                Deed::Retake(id()),
                Deed::Untake(id()),
                Deed::ReleaseTaken(id()),
                Deed::Return(id()),
                Deed::Update(id()),
                Deed::Unreturn(id()),
            ]
            .map(of_related)
            .map(Option::unwrap),
            [
                "ObjectAccepted",
                "ObjectPlaced",
                "ObjectSynced",
                "ObjectCleanup",
                "ObjectDeleted",
                "ObjectPlaced",
                "ObjectSynced",
                "ObjectCleanup",
            ]
        );
        assert_eq!(of_related(Deed::Annotate), None);
        let none = Said::no_status();
        assert!(none.warning);
        assert_eq!(none.reason, "StatusSubresourceMissing");
        let reasons: Vec<_> = all
            .iter()
            .filter_map(|deed| Said::of(deed, Events::All))
            .map(|said| said.reason)
            .collect();
        assert_eq!(
            reasons,
            [
                "ObjectAccepted",
                "ObjectPlaced",
                "ObjectSynced",
                "ObjectStatusSynced",
                "ObjectCleanup",
                "ObjectDeleted",
            ]
        );
    }

    #[test]
    fn the_name_of_an_event_follows_from_what_it_says() {
        let about = About {
            endpoint: None,
            api_version: "example.io/v1".into(),
            kind: "Thing".into(),
            cluster: "1abc".into(),
            namespace: String::new(),
            name: "x".repeat(253),
            uid: "u".into(),
        };
        let say = |message: &str| {
            let trouble = Trouble {
                reason: "Invalid".into(),
                message: message.into(),
            };
            event(
                &about,
                &Said::warning(&trouble),
                "a",
                "2026-01-01T00:00:00Z",
            )
        };
        let first = say("one");
        assert_eq!(first, say("one"));
        assert_ne!(first["metadata"]["name"], say("two")["metadata"]["name"]);
        assert_eq!(first["metadata"]["namespace"], "default");
        assert!(first["metadata"]["name"].as_str().unwrap().len() <= 253);
    }
}
