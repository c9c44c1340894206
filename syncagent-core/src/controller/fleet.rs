//! All watches and all workers: publications times endpoints.
//!
//! ```text
//! service cluster   copies of each publication (whole, by the agent's label)     ┐
//!                   related kinds and namespaces (metadata)                      ├─> state ─> workers ─> step
//! each endpoint     orders of each publication (whole, all workspaces at once)   │
//!                   related kinds (metadata, all workspaces at once)             ┘
//! ```
//!
//! A watch is a task and its listener is another; both end with the fleet, or with the endpoint they belong to. While
//! many orders wait for their turn, listeners stop listening, so that the bodies of a large list are not all in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ledger::{Source, place_of};
use super::state::{Entry, Subject};
use super::sync::{Shared, step};
use crate::definition::{Kind, Scope};
use crate::io::announce::Notice;
use crate::io::clients::{KcpAccess, Server, collection};
use crate::io::watch::{Event, Target, watch as follow};
use crate::names;
use crate::object;
use crate::object::identity::Identity;
use crate::plan::{Key, ObjectRef, Place, Sight};
use crate::publication::Publication;

/// How many orders may wait before listeners stop listening.
const CROWD: usize = 4000;

/// Runs until it is dropped.
pub(crate) async fn run(
    shared: Arc<Shared>,
    kcp: KcpAccess,
    user_agent: String,
    agent: String,
    workers: usize,
    urls: watch::Receiver<Option<BTreeSet<String>>>,
) {
    let mut tasks = JoinSet::new();
    let mut related = BTreeSet::new();
    for publication in shared.publications.iter() {
        let target = Target::all(
            shared.service.clone(),
            collection(publication.service(), None),
        )
        .labelled(format!("{}={agent}", names::AGENT));
        listen(
            &mut tasks,
            &shared,
            Source::Service,
            Role::Copies(publication.id().to_owned()),
            target,
        );
        related.extend(publication.taken_kinds());
        related.extend(publication.read_kinds());
        if publication.service().scope == Scope::Namespaced {
            // Whether a copy's namespace is there is answered from the ledger.
            related.insert(ObjectRef::service_namespace("").kind);
        }
    }
    for kind in related {
        let target = Target::all(shared.service.clone(), collection(&kind, None)).metadata();
        listen(
            &mut tasks,
            &shared,
            Source::Service,
            Role::Related(kind),
            target,
        );
    }
    for _ in 0..workers {
        tasks.spawn(work(shared.clone()));
    }
    tasks.spawn(endpoints(shared, kcp, user_agent, urls));
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// What a watch is for.
#[derive(Clone, Debug)]
enum Role {
    Copies(String),
    Orders(String),
    Related(Kind),
}

impl Role {
    fn subject(&self) -> Subject {
        match self {
            Self::Copies(id) => Subject::Copies(id.clone()),
            Self::Orders(id) => Subject::Orders(id.clone()),
            Self::Related(kind) => Subject::Related(names::resource(kind)),
        }
    }
}

/// Starts a watch and its listener.
fn listen(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    source: Source,
    role: Role,
    target: Target,
) {
    shared
        .state()
        .follow(source.clone(), role.subject(), Instant::now());
    let (tx, mut rx) = mpsc::channel(64);
    tasks.spawn(follow(target, tx));
    let shared = shared.clone();
    tasks.spawn(async move {
        let mut troubled = false;
        while let Some(event) = rx.recv().await {
            if let Event::Trouble(what) = event {
                if !troubled {
                    troubled = true;
                    shared
                        .announcer
                        .tell(&Notice::Problem { order: None, what });
                }
                continue;
            }
            troubled = false;
            while shared.state().waiting() > CROWD && matches!(event, Event::There(_)) {
                if !shared.state().is_open() {
                    // Nobody can be served before the lists are complete: waiting here would be waiting for ourselves.
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            heed(&shared, &source, &role, event);
            shared.work.notify_waiters();
        }
    });
}

/// Takes note of an event.
fn heed(shared: &Shared, source: &Source, role: &Role, event: Event) {
    let mut state = shared.state();
    match (role, event) {
        (_, Event::Trouble(_)) => {}
        (Role::Related(kind), Event::Listing) => {
            state.ledger.listing(source, kind);
            state.listing(source, &role.subject());
        }
        (Role::Related(kind), Event::Listed) => {
            for gone in state.ledger.listed(source, kind) {
                state.related(&gone, &Sight::Doubt);
            }
            state.listed(source, &role.subject(), |_, _| None);
        }
        (Role::Related(kind), Event::There(mut told)) => {
            if let Some(at) = place_of(source, kind, &told)
                && state.ledger.there(source, &at, &told)
            {
                told["kind"] = kind.kind.as_str().into();
                state.related(&at, &Sight::Outline(told));
            }
        }
        (Role::Related(kind), Event::Left(told)) => {
            if let Some(at) = place_of(source, kind, &told) {
                state.ledger.left(source, &at);
                state.related(&at, &Sight::Doubt);
            }
        }
        (_, Event::Listing) => state.listing(source, &role.subject()),
        (_, Event::Listed) => state.listed(source, &role.subject(), |key, entry| {
            let publication = shared.publications.get(&key.publication)?;
            match role {
                Role::Copies(_) => copy_of(publication, key, entry),
                _ => entry
                    .record
                    .origin
                    .as_ref()
                    .map(|_| publication.origin(key)),
            }
        }),
        (Role::Orders(id), event) => {
            let Source::Endpoint(url) = source else {
                return;
            };
            let (told, sight) = sighted(event);
            let Some(cluster) = object::annotation(&told, "kcp.io/cluster") else {
                return;
            };
            let Some(publication) = shared.publications.get(id) else {
                return;
            };
            let key = Arc::new(publication.key(Identity {
                cluster: cluster.to_owned(),
                namespace: object::meta(&told, "namespace").to_owned(),
                name: object::meta(&told, "name").to_owned(),
            }));
            let at = publication.origin(&key);
            if sight.is_none() {
                // Before its first step, so that no other order cleans up what this one uses.
                for taken in publication.takes(&key, &told) {
                    state.index.register(&key, &taken);
                }
            }
            state.order(&key, url, at, sight.unwrap_or(Sight::There(told)));
        }
        (Role::Copies(id), event) => {
            let (told, sight) = sighted(event);
            let Some(publication) = shared.publications.get(id) else {
                return;
            };
            let Some(key) = owner(publication, &told) else {
                return;
            };
            let at = ObjectRef {
                place: Place::Service,
                kind: publication.service().clone(),
                namespace: object::meta(&told, "namespace").to_owned(),
                name: object::meta(&told, "name").to_owned(),
            };
            state.copy(&Arc::new(key), at, sight.unwrap_or(Sight::There(told)));
        }
    }
}

/// The object of an event, and the doubt when it left: leaving a watch is a question, not an absence.
fn sighted(event: Event) -> (Value, Option<Sight>) {
    match event {
        Event::There(told) => (told, None),
        Event::Left(told) => (told, Some(Sight::Doubt)),
        Event::Listing | Event::Listed | Event::Trouble(_) => (Value::Null, None),
    }
}

/// The order that a copy belongs to. The copy of an object that an order takes may be of the same kind, and is not it.
fn owner(publication: &Publication, copy: &Value) -> Option<Key> {
    match object::annotation(copy, names::RELATED_UID) {
        Some(_) => None,
        None => publication.key_of_copy(copy),
    }
}

fn copy_of(publication: &Publication, key: &Key, entry: &Entry) -> Option<ObjectRef> {
    entry.record.copy.as_ref()?;
    publication.copy(key).ok()
}

/// Does steps, one after the other, for ever.
async fn work(shared: Arc<Shared>) {
    loop {
        // Listening begins before looking, so that nothing is missed in between.
        let notified = shared.work.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let now = Instant::now();
        let (job, due) = {
            let mut state = shared.state();
            let job = state.next(now);
            if job.is_none() {
                state.relent(now);
            }
            (job, state.next_due())
        };
        match job {
            Some(mut job) => {
                let outcome = step(&shared, &mut job).await;
                shared.state().done(job, &outcome, Instant::now());
                shared.work.notify_waiters();
            }
            None => {
                let until = async {
                    match due {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = notified => {}
                    () = until => {}
                }
            }
        }
    }
}

/// Follows the set of endpoints: a set of watches for each.
async fn endpoints(
    shared: Arc<Shared>,
    kcp: KcpAccess,
    user_agent: String,
    mut urls: watch::Receiver<Option<BTreeSet<String>>>,
) {
    let mut running: BTreeMap<Arc<str>, JoinSet<()>> = BTreeMap::new();
    loop {
        let wanted = urls.borrow_and_update().clone();
        if let Some(wanted) = wanted {
            let lost: Vec<_> = running
                .keys()
                .filter(|url| !wanted.contains(&***url))
                .cloned()
                .collect();
            for url in lost {
                running.remove(&url);
                shared.forget_endpoint(&url);
                shared.announcer.tell(&Notice::EndpointLost {
                    url: url.to_string(),
                });
            }
            for url in wanted {
                let url: Arc<str> = url.into();
                if running.contains_key(&url) {
                    continue;
                }
                match kcp.endpoint(&url, &user_agent) {
                    Ok(server) => {
                        shared.announcer.tell(&Notice::EndpointFound {
                            url: url.to_string(),
                        });
                        running.insert(url.clone(), open(&shared, &url, &server));
                    }
                    Err(error) => shared.announcer.tell(&Notice::Problem {
                        order: None,
                        what: error.chain(),
                    }),
                }
            }
            shared.state().know_endpoints();
            shared.work.notify_waiters();
        }
        if urls.changed().await.is_err() {
            return;
        }
    }
}

/// Starts the watches of one endpoint.
fn open(shared: &Arc<Shared>, url: &Arc<str>, server: &Server) -> JoinSet<()> {
    shared.add_endpoint(url.clone(), server.clone());
    let mut tasks = JoinSet::new();
    let source = Source::Endpoint(url.clone());
    let mut related = BTreeSet::new();
    for publication in shared.publications.iter() {
        let target = Target::all(server.everywhere(), collection(publication.offered(), None));
        listen(
            &mut tasks,
            shared,
            source.clone(),
            Role::Orders(publication.id().to_owned()),
            target,
        );
        related.extend(publication.workspace_kinds());
    }
    for kind in related {
        let target = Target::all(server.everywhere(), collection(&kind, None)).metadata();
        listen(
            &mut tasks,
            shared,
            source.clone(),
            Role::Related(kind),
            target,
        );
    }
    tasks
}
