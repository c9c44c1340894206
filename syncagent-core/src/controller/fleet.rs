//! All watches and all workers: publications times endpoints.
//!
//! ```text
//! service cluster   copies of each publication (whole, by the agent's label)     ┐
//!                   related kinds and namespaces (metadata)                      ├─> state ─> workers ─> step
//! each endpoint     orders of each publication (whole, all workspaces at once)   │
//!                   related kinds (metadata, all workspaces at once)             ┘
//! ```
//!
//! A watch is a task and its listener is another; both end with the fleet, with the endpoint they belong to, or with the
//! generation of the publication they serve. While
//! many orders wait for their turn, listeners stop listening, so that the bodies of a large list are not all in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::ledger::{Source, place_of};
use super::state::{Job, Outcome, Subject};
use super::sync::{Shared, step};
use crate::definition::{Kind, Scope};
use crate::io::announce::Notice;
use crate::io::clients::{KcpAccess, Server, collection};
use crate::io::watch::{Event, Target, watch as follow};
use crate::names;
use crate::object;
use crate::object::identity::Identity;
use crate::plan::{Key, ObjectRef, Place, Record, Sight};
use crate::publication::Publication;

/// How long a listener stops listening while many orders wait for their turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all watches of a fleet need to know.
pub(crate) struct Course {
    /// How to reach endpoints.
    pub(crate) kcp: KcpAccess,
    /// Who we are to servers.
    pub(crate) user_agent: String,
}

/// Runs until it is dropped: watches and serves what is `wanted`, at the endpoints of `urls`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    course: Course,
    mut wanted: watch::Receiver<Vec<Arc<Publication>>>,
    mut urls: watch::Receiver<Option<BTreeSet<String>>>,
) {
    let mut fleet = Fleet {
        shared,
        course,
        wanted: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        watches: BTreeMap::new(),
        draining: JoinSet::new(),
        drains: BTreeSet::new(),
        tasks: JoinSet::new(),
    };
    fleet.tasks.spawn(work(fleet.shared.clone()));
    if !fleet.shared.dry {
        fleet.tasks.spawn(super::sweep::sweep(fleet.shared.clone()));
    }
    loop {
        fleet.heed_wanted(&wanted.borrow_and_update());
        let known = urls.borrow_and_update().clone();
        if let Some(known) = &known {
            fleet.heed_endpoints(known);
        }
        fleet.align();
        if known.is_some() {
            fleet.shared.state().know_endpoints();
        }
        fleet.shared.work.notify_waiters();
        tokio::select! {
            Ok(()) = wanted.changed() => {}
            Ok(()) = urls.changed() => {}
            Some(Ok(id)) = fleet.draining.join_next() => fleet.drained(&id),
            Some(Err(ended)) = fleet.tasks.join_next() => {
                if ended.is_panic() {
                    std::panic::resume_unwind(ended.into_panic());
                }
            }
            else => return,
        }
    }
}

/// All watches and workers, and which generation of each publication they serve.
///
/// A generation is replaced in three moves, so that there are never two writers: no step of it is begun any more and its
/// watches end; when its last step is done its orders are forgotten; then the next one begins with fresh lists, as after a
/// restart. Other publications go on meanwhile.
struct Fleet {
    shared: Arc<Shared>,
    course: Course,
    wanted: BTreeMap<String, Arc<Publication>>,
    endpoints: BTreeMap<Arc<str>, Server>,
    watches: BTreeMap<(Source, Subject), Vec<AbortHandle>>,
    /// Ends with the id of a publication when the last step of its generation is done.
    draining: JoinSet<String>,
    drains: BTreeSet<String>,
    tasks: JoinSet<()>,
}

impl Fleet {
    fn heed_wanted(&mut self, wanted: &[Arc<Publication>]) {
        let by_id = wanted.iter().map(|it| (it.id().to_owned(), it.clone()));
        self.wanted = by_id.collect();
    }

    fn heed_endpoints(&mut self, known: &BTreeSet<String>) {
        let lost: Vec<_> = self
            .endpoints
            .keys()
            .filter(|url| !known.contains(&***url))
            .cloned()
            .collect();
        for url in lost {
            self.endpoints.remove(&url);
            let source = Source::Endpoint(url.clone());
            self.watches.retain(|(at, _), handles| {
                if *at == source {
                    handles.iter().for_each(AbortHandle::abort);
                }
                *at != source
            });
            self.shared.forget_endpoint(&url);
            self.shared.announcer.tell(&Notice::EndpointLost {
                url: url.to_string(),
            });
        }
        for url in known {
            if self.endpoints.contains_key(url.as_str()) {
                continue;
            }
            let url: Arc<str> = url.as_str().into();
            match self.course.kcp.endpoint(&url, &self.course.user_agent) {
                Ok(server) => {
                    let server = server.counting(self.shared.board.metrics.clone());
                    self.shared.announcer.tell(&Notice::EndpointFound {
                        url: url.to_string(),
                    });
                    self.shared.add_endpoint(url.clone(), server.clone());
                    self.endpoints.insert(url, server);
                }
                Err(error) => self.shared.announcer.tell(&Notice::Problem {
                    order: None,
                    what: error.chain(),
                }),
            }
        }
    }

    /// Begins and ends generations and watches, until what runs is what is wanted or is on its way there.
    fn align(&mut self) {
        for running in self.shared.publications.all() {
            let id = running.id();
            let stays = self
                .wanted
                .get(id)
                .is_some_and(|it| Arc::ptr_eq(it, &running));
            if !stays && self.drains.insert(id.to_owned()) {
                self.drain(id);
            }
        }
        for (id, publication) in &self.wanted {
            if !self.drains.contains(id) && self.shared.publications.get(id).is_none() {
                self.shared.publications.begin(publication.clone());
                let at_once = publication.policy().concurrency;
                let alone = publication.projection().refers.is_empty();
                self.shared.state().open(id, at_once, alone);
            }
        }
        let wanted = self.needed();
        let over: Vec<_> = self
            .watches
            .keys()
            .filter(|at| !wanted.contains_key(at))
            .cloned()
            .collect();
        for (source, subject) in over {
            self.abort(&source, &subject);
            self.shared.state().unfollow(&source, &subject);
        }
        // Related objects first: the others wait for them.
        let (related, others): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|((_, subject), _)| subject.publication().is_none());
        for ((source, subject), (role, target)) in related.into_iter().chain(others) {
            if !self
                .watches
                .contains_key(&(source.clone(), subject.clone()))
            {
                let handles = listen(&mut self.tasks, &self.shared, source.clone(), role, target);
                self.watches.insert((source, subject), handles);
            }
        }
    }

    fn abort(&mut self, source: &Source, subject: &Subject) -> Vec<AbortHandle> {
        let handles = self.watches.remove(&(source.clone(), subject.clone()));
        let handles = handles.unwrap_or_default();
        handles.iter().for_each(AbortHandle::abort);
        handles
    }

    /// Ends a generation: no step is begun, and what is heard of is not heeded.
    fn drain(&mut self, id: &str) {
        self.shared.state().close(id);
        let own: Vec<_> = self
            .watches
            .keys()
            .filter(|(_, subject)| subject.publication() == Some(id))
            .cloned()
            .collect();
        let mut ending = Vec::new();
        for (source, subject) in own {
            ending.extend(self.abort(&source, &subject));
        }
        let (shared, id) = (self.shared.clone(), id.to_owned());
        self.draining.spawn(async move {
            while shared.state().is_busy(&id) || !ending.iter().all(AbortHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            id
        });
    }

    /// The last step of a generation is done.
    fn drained(&mut self, id: &str) {
        let successor = self.wanted.contains_key(id);
        self.shared.state().forget_publication(id, successor);
        self.shared.publications.end(id);
        self.drains.remove(id);
    }

    /// Every watch that what runs needs.
    fn needed(&self) -> BTreeMap<(Source, Subject), (Role, Target)> {
        let mut needed = BTreeMap::new();
        let mut need = |source: Source, role: Role, target: Target| {
            needed.insert((source, role.subject()), (role, target));
        };
        let endpoint = |url: &Arc<str>| Source::Endpoint(url.clone());
        for publication in self.shared.publications.all() {
            let id = publication.id();
            if !self.drains.contains(id) {
                let path = collection(publication.service(), None);
                let copies = Target::all(self.shared.service.clone(), path)
                    .labelled(publication.copy_selector());
                need(Source::Service, Role::Copies(id.to_owned()), copies);
                for (url, server) in &self.endpoints {
                    let path = collection(publication.offered(), None);
                    let orders = Target::all(server.everywhere(), path);
                    need(endpoint(url), Role::Orders(id.to_owned()), orders);
                }
            }
            let mut related = publication.taken_kinds();
            related.extend(publication.read_kinds());
            if publication.service().scope == Scope::Namespaced {
                // Whether a copy's namespace is there is answered from the ledger.
                related.push(ObjectRef::service_namespace("").kind);
            }
            for kind in related {
                let path = collection(&kind, None);
                let target = Target::all(self.shared.service.clone(), path).metadata();
                need(Source::Service, Role::Related(kind), target);
            }
            for kind in publication.workspace_kinds() {
                for (url, server) in &self.endpoints {
                    let path = collection(&kind, None);
                    let target = Target::all(server.everywhere(), path).metadata();
                    need(endpoint(url), Role::Related(kind.clone()), target);
                }
            }
        }
        needed
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
) -> Vec<AbortHandle> {
    shared
        .state()
        .follow(source.clone(), role.subject(), Instant::now());
    let (tx, mut rx) = mpsc::channel(64);
    let server = target.server.clone();
    let watching = tasks.spawn(related_first(
        shared.clone(),
        source.clone(),
        role.subject(),
        follow(target, tx),
    ));
    let shared = shared.clone();
    let listening = tasks.spawn(async move {
        let mut troubled = false;
        // The version of the list that is being read.
        let mut list = None;
        while let Some(event) = rx.recv().await {
            if let Event::Trouble(trouble) = event {
                if !shared.announcer.heard(&trouble) && !std::mem::replace(&mut troubled, true) {
                    shared.announcer.trouble(&trouble);
                }
                continue;
            }
            troubled = false;
            if matches!(event, Event::There(_)) {
                let patience = Instant::now() + PATIENCE;
                while shared.state().is_crowded(&role.subject()) && Instant::now() < patience {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            match &event {
                Event::Restored => shared.restored(&source, &role.subject(), false),
                Event::Listing(version) => list = Some(version.clone()),
                Event::Listed => list = None,
                Event::There(told) => {
                    let went_back = |at: &String| went_back(&shared, &source, &role, told, at);
                    if list.as_ref().is_some_and(went_back) {
                        shared.restored(&source, &role.subject(), true);
                        server.went_back();
                    }
                }
                Event::Left(_) | Event::Trouble(_) => {}
            }
            heed(&shared, &source, &role, event);
            shared.work.notify_waiters();
        }
    });
    vec![watching, listening]
}

/// Lists orders and copies after the related objects that their steps look at: whoever is listed can be served at once,
/// and its body need not wait in memory.
async fn related_first(
    shared: Arc<Shared>,
    source: Source,
    subject: Subject,
    watch: impl Future<Output = ()>,
) {
    while subject.publication().is_some() {
        let notified = shared.work.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let now = Instant::now();
        let listed = |source| shared.state().knows_related(source, now);
        if listed(&Source::Service) && listed(&source) {
            break;
        }
        tokio::select! {
            () = notified => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    watch.await;
}

/// Whether a list shows an object in an older version than was seen before, though the list is not older: its server was
/// restored from a backup, and told its versions to go on from where they were.
fn went_back(shared: &Shared, source: &Source, role: &Role, told: &Value, list: &str) -> bool {
    let version = object::version(told);
    let state = shared.state();
    let known = match role {
        Role::Related(kind) => {
            let at = place_of(source, kind, told);
            at.and_then(|at| state.ledger.known(source, &at))
        }
        Role::Orders(id) => shared.publications.get(id).and_then(|publication| {
            let key = key_of_order(&publication, told)?;
            state.record(&key)?.origin
        }),
        Role::Copies(id) => shared.publications.get(id).and_then(|publication| {
            let key = owner(&publication, told)?;
            state.record(&key)?.copy.map(|it| it.known)
        }),
    };
    known.is_some_and(|known| {
        known.uid == object::uid(told)
            && object::is_older(version, &known.version)
            && !object::is_older(list, &known.version)
    })
}

/// Which order an object of a workspace is.
fn key_of_order(publication: &Publication, told: &Value) -> Option<Key> {
    let cluster = object::annotation(told, names::KCP_CLUSTER)?;
    Some(publication.key(Identity {
        cluster: cluster.to_owned(),
        namespace: object::meta(told, "namespace").to_owned(),
        name: object::meta(told, "name").to_owned(),
    }))
}

/// Takes note of an event.
fn heed(shared: &Shared, source: &Source, role: &Role, event: Event) {
    let mut state = shared.state();
    match (role, event) {
        (_, Event::Trouble(_) | Event::Restored) => {}
        (Role::Related(kind), Event::Listing(_)) => {
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
            let Some(at) = place_of(source, kind, &told) else {
                return;
            };
            shared.once.forget(&at);
            if state.ledger.there(source, &at, &told) {
                told["kind"] = kind.kind.as_str().into();
                state.related(&at, &Sight::Outline(told));
            }
        }
        (Role::Related(kind), Event::Left(told)) => {
            if let Some(at) = place_of(source, kind, &told) {
                shared.once.forget(&at);
                state.ledger.left(source, &at);
                state.related(&at, &Sight::Doubt);
            }
        }
        (_, Event::Listing(_)) => state.listing(source, &role.subject()),
        (_, Event::Listed) => state.listed(source, &role.subject(), |key, record| {
            let publication = shared.publications.get(&key.publication)?;
            match role {
                Role::Copies(_) => copy_of(&publication, key, record),
                _ => record.origin.as_ref().map(|_| publication.origin(key)),
            }
        }),
        (Role::Orders(id), event) => {
            let Source::Endpoint(url) = source else {
                return;
            };
            let (told, sight) = sighted(event);
            let Some(publication) = shared.publications.get(id) else {
                return;
            };
            let Some(key) = key_of_order(&publication, &told) else {
                return;
            };
            let held = || object::finalizers(&told).contains(&publication.finalizer());
            if sight.is_some() && !object::is_deleting(&told) && held() {
                state.tear(&key, object::uid(&told));
            }
            let at = publication.origin(&key);
            let refers = sight
                .is_none()
                .then(|| publication.referred_by(&key, &told));
            if sight.is_none() {
                // Before its first step, so that no other order cleans up what this one uses.
                for taken in publication.takes(&key, &told, state.moved()) {
                    state.care(&key, &taken);
                }
                if publication.finds_more() {
                    state.expect_more(&key);
                }
            }
            state.order(&key, url, at, sight.unwrap_or(Sight::There(told)));
            if let Some(refers) = refers {
                state.refer(&key, &refers);
            }
        }
        (Role::Copies(id), event) => {
            let (told, sight) = sighted(event);
            let Some(publication) = shared.publications.get(id) else {
                return;
            };
            let Some(key) = owner(&publication, &told) else {
                return;
            };
            let at = ObjectRef {
                place: Place::Service,
                kind: publication.service().clone(),
                namespace: object::meta(&told, "namespace").to_owned(),
                name: object::meta(&told, "name").to_owned(),
            };
            let moved = publication.copy(&key).ok().as_ref() != Some(&at);
            let sight = sight.unwrap_or(Sight::There(told));
            state.copy(&key, at, sight, moved);
        }
    }
}

/// The object of an event, and the doubt when it left: leaving a watch is a question, not an absence.
fn sighted(event: Event) -> (Value, Option<Sight>) {
    match event {
        Event::There(told) => (told, None),
        Event::Left(told) => (told, Some(Sight::Doubt)),
        Event::Restored | Event::Listing(_) | Event::Listed | Event::Trouble(_) => {
            (Value::Null, None)
        }
    }
}

/// The order that a copy belongs to. The copy of an object that an order takes may be of the same kind, and is not it.
fn owner(publication: &Publication, copy: &Value) -> Option<Key> {
    match object::annotation(copy, names::RELATED_UID) {
        Some(_) => None,
        None => publication.key_of_copy(copy),
    }
}

fn copy_of(publication: &Publication, key: &Key, record: &Record) -> Option<ObjectRef> {
    record.copy.as_ref()?;
    match record.located.as_ref().or(record.named.as_ref()) {
        Some(at) => Some(publication.copy_at(at)),
        None => publication.copy(key).ok(),
    }
}

/// The copy of an order has another name than before: whoever refers to it has to look again.
fn follow_name(shared: &Shared, target: &Key) {
    let referring = |key: &Key| {
        let publication = shared.publications.get(&key.publication)?;
        let near = key.cluster == target.cluster && key.namespace == target.namespace;
        (near && publication.refers_to(&target.publication)).then(|| publication.origin(key))
    };
    shared.state().doubt(referring);
}

/// Begins steps, as many at once as the servers make the best of, for ever.
async fn work(shared: Arc<Shared>) {
    let mut steps = JoinSet::new();
    loop {
        // Listening begins before looking, so that nothing is missed in between.
        let notified = shared.work.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let now = Instant::now();
        let due = {
            let mut state = shared.state();
            state.relent(now);
            while let Some(job) = state.next(now) {
                steps.spawn(take(shared.clone(), job));
            }
            if shared.dry && state.is_quiet(now) {
                shared.quiet.notify_one();
            }
            // Whatever is due has to wait for an end of something else.
            state.next_due().filter(|_| !state.is_full())
        };
        let until = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = notified => {}
            () = until => {}
            () = reap(&mut steps) => {}
        }
    }
}

/// Lets go of steps that ended, for ever: one that is not asked for how it ended keeps its memory.
async fn reap(steps: &mut JoinSet<()>) {
    while let Some(ended) = steps.join_next().await {
        if let Err(ended) = ended
            && ended.is_panic()
        {
            std::panic::resume_unwind(ended.into_panic());
        }
    }
    std::future::pending::<()>().await;
}

/// Takes one step.
async fn take(shared: Arc<Shared>, mut job: Job) {
    let metrics = &shared.board.metrics;
    let number = metrics.begin(job.since.map(|it| it.elapsed()));
    let outcome = step(&shared, &mut job).await;
    metrics.finish(number, matches!(outcome, Outcome::Retry(_)));
    let key = job.key.clone();
    let mut state = shared.state();
    let moved = state.done(job, &outcome, Instant::now());
    metrics.stand(state.orders(), state.waiting());
    drop(state);
    if moved {
        follow_name(&shared, &key);
    }
    shared.work.notify_waiters();
}
