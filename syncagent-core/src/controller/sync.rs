//! One step of one order: observe, plan, apply, until there is nothing left to ask and to do.
//!
//! *Expected flow*: plan with what is in hand; register what the order cares about, then answer the plan's questions (from
//! the ledger where a metadata watch knows, by a GET otherwise); apply its effects in order, each answer going back into
//! what is known; plan again.
//!
//! *Guarantees*: an order is worked on by one step at a time. What the order cares about is registered before it is read,
//! so nothing falls in between. A step that is cut off anywhere leaves a world that the next one understands.
//!
//! *Caveats*: a step that does not come to rest within a bound is put back with a pause rather than let loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::board::{Board, Stuck};
use super::brake::{Answer, Brake};
use super::flow::Sign;
use super::ledger::Source;
use super::once::Once;
use super::roster::Roster;
use super::state::{Job, Outcome, State, Subject};
use super::states::States;
use crate::definition::Events;
use crate::error::{Error, ErrorKind};
use crate::io::announce::{Announcer, Notice, Order};
use crate::io::clients::Server;
use crate::io::clock::Clock;
use crate::io::events::{About, Post, Said};
use crate::io::{apply, metrics, observe};
use crate::object;
use crate::plan::{
    Context, Deed, Depth, Effect, Ending, Handback, Hands, Heard, Key, Later, Listing, ObjectRef,
    Place, Query, Question, Reply, Sight, Trouble, Verb, absorb, handback, plan,
};
use crate::publication::Publication;

/// How often a step plans before it is put back.
const ROUNDS: usize = 24;
/// How often a step may be told that it decided on an old state before it is put back.
const AGAIN: usize = 2;
/// When an order that is refused gets another look.
const RECHECK: Duration = Duration::from_secs(300);
/// What is wrong where a server answers 401, and what is to be done.
const UNACCEPTED: &str = "the server does not accept the agent's credentials; look at its kubeconfig, its token or its certificate";
/// How soon an order is looked at again that a server did not allow.
const DENIED: Duration = Duration::from_secs(2);
/// How long those who are told to stop may take to finish what they are doing.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// An endpoint that is, or was, listed.
pub(crate) struct Reachable {
    server: Server,
    listed: bool,
}

/// What every step needs.
pub(crate) struct Shared {
    pub(crate) service: Server,
    /// The generation of each publication that runs.
    pub(crate) publications: Roster,
    pub(crate) manager: String,
    pub(crate) announcer: Announcer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) endpoints: Mutex<BTreeMap<Arc<str>, Reachable>>,
    pub(crate) state: Mutex<State>,
    pub(crate) work: tokio::sync::Notify,
    pub(crate) board: Arc<Board>,
    pub(crate) brake: Brake,
    /// What the Go agent remembers.
    pub(crate) states: States,
    /// What many steps would make at the same moment.
    pub(crate) once: Once,
    /// Whether effects are told and not sent.
    pub(crate) dry: bool,
    /// Whether what the Go agent has to remember of settled orders is written down.
    pub(crate) hands_back: bool,
    /// Where events for consumers are handed in.
    pub(crate) post: Post,
    /// Told when an agent that only says what it would do has said everything.
    pub(crate) quiet: tokio::sync::Notify,
}

impl Shared {
    /// The state; nobody holds it across an await, and nobody panics while holding it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers of an order's workspace: its endpoint's, or every endpoint's when nothing has told of it yet.
    pub(crate) fn workspaces(
        &self,
        endpoint: Option<&Arc<str>>,
        cluster: &str,
    ) -> Vec<(Arc<str>, Server)> {
        let endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        endpoints
            .iter()
            .filter(|(url, reachable)| endpoint.map_or(reachable.listed, |at| at == *url))
            .map(|(url, reachable)| (url.clone(), reachable.server.workspace(cluster)))
            .collect()
    }

    /// An endpoint is there.
    pub(crate) fn add_endpoint(&self, url: Arc<str>, server: Server) {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        endpoints.insert(
            url,
            Reachable {
                server,
                listed: true,
            },
        );
    }

    /// An endpoint is gone. Its server stays known: orders that are being released there may still be reached.
    pub(crate) fn forget_endpoint(&self, url: &Arc<str>) {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(reachable) = endpoints.get_mut(url) {
            reachable.listed = false;
        }
        drop(endpoints);
        self.state().lose(url);
    }

    /// A server has an older state than it had, as a watch found out (`listing`: amid a list): nothing that is seen from now
    /// on is too old.
    pub(crate) fn restored(&self, source: &Source, subject: &Subject, listing: bool) {
        let server = match source {
            Source::Service => "the service cluster".to_owned(),
            Source::Endpoint(url) => format!("kcp at {url}"),
        };
        if self.state().restored(source, subject, listing) {
            self.announcer.tell(&Notice::Restored { server });
        }
    }

    fn context(&self) -> Context {
        Context {
            now: format!("{:.0}", self.clock.now()),
            paused: false,
            referred: false,
            torn: None,
        }
    }
}

/// Does one step; what it learned is in the job.
pub(crate) async fn step(shared: &Shared, job: &mut Job) -> Outcome {
    let Some(publication) = shared.publications.get(&job.key.publication) else {
        return Outcome::Forget;
    };
    let mut stale = 0;
    let mut paused = false;
    let mut referred = None;
    for _ in 0..ROUNDS {
        let planned = plan(
            &Context {
                paused,
                referred: referred.is_some(),
                torn: shared.state().torn(&job.key),
                ..shared.context()
            },
            &publication,
            &job.key,
            &job.record,
            &job.seen,
        );
        explain(shared, job, &planned);
        if shared.dry && !planned.effects.is_empty() && planned.questions.is_empty() {
            let order = order(shared, &job.key);
            let plan = planned.to_string();
            shared.announcer.tell(&match shared.hands_back {
                true => Notice::NotHandedBack { order, why: plan },
                false => Notice::Planned { order, plan },
            });
            return Outcome::Rest;
        }
        job.record = planned.record;
        shared
            .state()
            .concern(&job.key, &planned.concerns, planned.queries);
        let mut calm = true;
        for question in planned.questions {
            calm = false;
            match answer(shared, job, question).await {
                Ok(true) => {}
                // Who else uses an object is known when all orders have been listed.
                Ok(false) => return Outcome::Retry(DENIED),
                Err(error) => {
                    left(shared, job, error.chain());
                    return trouble(shared, job, &error);
                }
            }
        }
        for effect in planned.effects.iter().filter(|_| !shared.dry) {
            calm = false;
            if effect.deed == Deed::Retire
                && let Some(wait) = referrers(shared, job)
            {
                referred = Some(wait);
                break;
            }
            if deletes_there(effect) && shared.brake.ask() == Answer::Wait {
                // What else there is to do is done.
                paused = true;
                break;
            }
            match perform(shared, &publication, job, effect).await {
                Heard::Next => {}
                Heard::Again if stale < AGAIN => {
                    stale += 1;
                    break;
                }
                Heard::Again => return Outcome::Retry(Duration::ZERO),
                Heard::Later(later) => return put_off(shared, job, effect, later),
            }
        }
        if calm && shared.hands_back {
            return match hand_back(shared, &publication, job).await {
                Ok(()) => Outcome::Rest,
                Err(error) => {
                    left(shared, job, error.chain());
                    trouble(shared, job, &error)
                }
            };
        }
        if calm && paused {
            return pause(shared, job);
        }
        if calm {
            let outcome = end(shared, job, planned.ending, planned.troubles, planned.hands);
            return referred.map_or(outcome, Outcome::Recheck);
        }
    }
    let why = "does not come to rest; it is tried again later".to_owned();
    stuck(shared, job, why.clone(), why, Hands::Provider, None, false);
    shared.board.metrics.step(&job.key.publication, "restless");
    Outcome::Retry(DENIED)
}

/// Says, where things are handed back, that what the Go agent remembers of an order stays as it is.
fn left(shared: &Shared, job: &Job, why: String) {
    if shared.hands_back {
        let order = order(shared, &job.key);
        let notice = Notice::NotHandedBack { order, why };
        shared.announcer.tell(&notice);
    }
}

/// Writes down what the Go agent has to remember of a settled order.
async fn hand_back(shared: &Shared, publication: &Publication, job: &mut Job) -> Result<(), Error> {
    let Some(secret) = publication.state_secret(&job.key) else {
        return Ok(());
    };
    if let Some(refusal) = &job.record.refusal {
        left(shared, job, format!("it is refused: {}", refusal.message));
        return Ok(());
    }
    loop {
        match handback(publication, &job.key, &job.record, &job.seen) {
            Handback::Asked(questions) => {
                for question in questions {
                    answer(shared, job, question).await?;
                }
            }
            Handback::Told(told) if told.is_empty() => return Ok(()),
            Handback::Told(told) => {
                let wrote = super::handback::write(shared, &job.key, &secret, &told).await?;
                shared.announcer.tell(&Notice::HandedBack {
                    order: order(shared, &job.key),
                    secret: format!("{}/{}", secret.namespace, secret.name),
                    wrote,
                });
                return Ok(());
            }
        }
    }
}

/// How long the copy of an order has to stay for now, for others that refer to it go first.
fn referrers(shared: &Shared, job: &Job) -> Option<Duration> {
    let publications = shared.publications.all();
    let id = &job.key.publication;
    let known = publications.iter().any(|it| it.refers_to(id));
    known
        .then(|| shared.state().referred(&job.key, Instant::now()))
        .flatten()
}

/// Whether an effect deletes something on the service cluster.
fn deletes_there(effect: &Effect) -> bool {
    effect.request.verb == Verb::Delete && effect.request.object.place == Place::Service
}

/// Nothing is deleted before a person says so.
fn pause(shared: &Shared, job: &Job) -> Outcome {
    if shared.brake.on_since().is_some() {
        let why = "deletions on the service cluster are paused and wait for a person's word";
        stuck(
            shared,
            job,
            why.into(),
            why.into(),
            Hands::Provider,
            None,
            false,
        );
    }
    shared.board.metrics.step(&job.key.publication, "paused");
    Outcome::Pause
}

/// Logs what was decided, and why.
fn explain(shared: &Shared, job: &Job, planned: &crate::plan::Plan) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let key = &job.key;
    tracing::debug!(
        publication = %key.publication,
        workspace = %key.cluster,
        object = %order(shared, key),
        "{planned}"
    );
}

/// A server did not take an effect, and it may take it later.
fn put_off(shared: &Shared, job: &Job, effect: &Effect, later: Later) -> Outcome {
    let why = match later {
        Later::Unavailable => {
            format!("could not {effect}: the server is busy or away; it is tried again")
        }
        Later::Denied => format!(
            "could not {effect}: the server does not allow it; look at the agent's permissions and, in a workspace, at the accepted claims"
        ),
        Later::Unaccepted => format!("could not {effect}: {UNACCEPTED}"),
    };
    let (hands, outcome) = match later {
        Later::Unavailable => (Hands::Server, Outcome::Retry(job.wait.unwrap_or_default())),
        Later::Denied => (Hands::Provider, Outcome::Retry(DENIED)),
        Later::Unaccepted => {
            let wait = job.wait.unwrap_or(DENIED);
            (Hands::Provider, Outcome::Retry(wait))
        }
    };
    let theme = format!("{:?} {later:?}", effect.deed);
    stuck(shared, job, why, theme, hands, None, job.wide);
    shared.board.metrics.step(&job.key.publication, "put-off");
    outcome
}

/// An order does not get on: on the board with it, and to people what is news; what concerns a whole server was told
/// once for all orders.
fn stuck(
    shared: &Shared,
    job: &Job,
    why: String,
    theme: String,
    hands: Hands,
    trouble: Option<&Trouble>,
    wide: bool,
) {
    let order = order(shared, &job.key);
    let stuck = Stuck {
        order: order.clone(),
        publication: job.key.publication.clone(),
        since: shared.context().now,
        why: why.clone(),
        hands,
        tries: u32::from(hands == Hands::Server),
    };
    let reason = trouble.map(|it| it.reason.as_str());
    let drifted = matches!(reason, Some("Drifted" | "Contested"));
    let news = shared.board.note(&job.key, stuck, theme, trouble.cloned());
    if news.consumer
        && let Some(trouble) = trouble
    {
        let like_go = shared
            .publications
            .get(&job.key.publication)
            .is_some_and(|it| it.follows_go_agent());
        // The Go agent says nothing of what is only waited for.
        let failed = hands != Hands::Service && !trouble.reason.starts_with("WaitingFor");
        say(shared, job, |policy| match like_go {
            _ if policy == Events::Off => None,
            true => failed.then(|| Said::failed(trouble)),
            false => Some(Said::warning(trouble)),
        });
    }
    if news.provider && !wide {
        shared.announcer.tell(&match hands {
            Hands::Server => Notice::Problem {
                order: Some(order),
                what: why,
            },
            Hands::Provider if drifted => Notice::Drifted { order, why },
            Hands::Provider => Notice::Refused { order, why },
            Hands::Consumer | Hands::Service => Notice::Waiting { order, why },
        });
    }
}

/// Finds out what the plan asks; says whether there is an answer already.
async fn answer(shared: &Shared, job: &mut Job, question: Question) -> Result<bool, Error> {
    match question {
        Question::Users { object } => {
            let others = shared.state().used_by_others(&object, &job.key);
            let Some(others) = others else {
                return Ok(false);
            };
            job.seen.note_users(object, others);
            shared.board.metrics.question(&job.key.publication, false);
        }
        Question::List { query } => list(shared, job, query).await?,
        Question::State { secret } => {
            let answer = shared.states.of(&shared.service, &secret).await?;
            shared
                .board
                .metrics
                .question(&job.key.publication, answer.asked);
            job.seen.note_stated(secret, answer.stated);
        }
        Question::Look { object, depth } => {
            let sight = look(shared, job, &object, depth).await?;
            job.seen.note(object, sight);
        }
    }
    Ok(true)
}

/// Makes a selection: from the ledger where a metadata watch knows, by a LIST otherwise.
async fn list(shared: &Shared, job: &mut Job, query: Query) -> Result<(), Error> {
    let known = source_of(job, &query.place)
        .and_then(|source| shared.state().ledger.select(&source, &query));
    let asked = known.is_none();
    shared.board.metrics.question(&job.key.publication, asked);
    let found = match (known, &query.place) {
        (Some(found), _) => Some(found),
        (None, Place::Service) => observe::list(&shared.service, &query).await?,
        (None, Place::Workspace(cluster)) => {
            let mut found = None;
            for (url, server) in shared.workspaces(job.endpoint.as_ref(), cluster) {
                found = observe::list(&server, &query).await?;
                if found.is_some() {
                    job.endpoint.get_or_insert(url);
                    break;
                }
            }
            found
        }
    };
    let listing = match found {
        None => Listing::Barred,
        Some(found) => {
            let mut members = Vec::new();
            for (member, outline) in found {
                let at = query.at(&member);
                if *job.seen.of(&at) == Sight::Unseen {
                    job.seen.note(at, Sight::Outline(outline));
                }
                members.push(member);
            }
            members.sort();
            Listing::Members(members)
        }
    };
    job.seen.note_listing(query, listing);
    Ok(())
}

/// The watch that knows of objects in a place.
fn source_of(job: &Job, place: &Place) -> Option<Source> {
    match (place, &job.endpoint) {
        (Place::Service, _) => Some(Source::Service),
        (Place::Workspace(_), Some(url)) => Some(Source::Endpoint(url.clone())),
        (Place::Workspace(_), None) => None,
    }
}

async fn look(
    shared: &Shared,
    job: &mut Job,
    object: &ObjectRef,
    depth: Depth,
) -> Result<Sight, Error> {
    if depth == Depth::Outline
        && let Some(source) = source_of(job, &object.place)
        && let Some(sight) = shared.state().ledger.answer(&source, object)
    {
        shared.board.metrics.question(&job.key.publication, false);
        return Ok(sight);
    }
    shared.board.metrics.question(&job.key.publication, true);
    let Place::Workspace(cluster) = &object.place else {
        return observe::look(&shared.service, object, depth).await;
    };
    // Without an endpoint the workspace may be behind any of them; those that do not have it say "forbidden".
    let mut sight = Sight::Barred;
    for (url, server) in shared.workspaces(job.endpoint.as_ref(), cluster) {
        sight = observe::look(&server, object, depth).await?;
        if sight != Sight::Barred {
            job.endpoint.get_or_insert(url);
            break;
        }
    }
    Ok(sight)
}

/// Does what the plan says, and lets it hear the answer.
async fn perform(
    shared: &Shared,
    publication: &Publication,
    job: &mut Job,
    effect: &Effect,
) -> Heard {
    if effect.deed == Deed::Namespace {
        return make_once(shared, publication, job, effect).await;
    }
    match send(shared, job, effect).await {
        Some(reply) => hear(shared, publication, job, effect, reply),
        None => Heard::Later(Later::Unavailable),
    }
}

/// Makes what other steps make at the same moment, or hears what one of them was answered.
async fn make_once(
    shared: &Shared,
    publication: &Publication,
    job: &mut Job,
    effect: &Effect,
) -> Heard {
    let object = &effect.request.object;
    let making = shared.once.turn(object).await;
    // A watch may be late: a server that said that it is not there knows better.
    let missed = job.missed.take().is_some_and(|it| it == *object);
    let source = source_of(job, &object.place).filter(|_| !missed);
    let known = source.and_then(|source| shared.state().ledger.answer(&source, object));
    if let Some(there @ Sight::Outline(_)) = known {
        job.seen.note(object.clone(), there);
        return Heard::Next;
    }
    if let Some(reply) = making.answer() {
        return take_in(publication, job, effect, reply);
    }
    let Some(reply) = send(shared, job, effect).await else {
        return Heard::Later(Later::Unavailable);
    };
    making.heard(&reply);
    hear(shared, publication, job, effect, reply)
}

/// Sends an effect; `None`: nobody serves the place.
async fn send(shared: &Shared, job: &mut Job, effect: &Effect) -> Option<Reply> {
    let server = match &effect.request.object.place {
        Place::Service => Some(shared.service.clone()),
        Place::Workspace(cluster) => shared
            .workspaces(job.endpoint.as_ref(), cluster)
            .into_iter()
            .next()
            .map(|(_, server)| server),
    };
    let server = server?;
    let sent = apply::send(&server, &shared.manager, &effect.request).await;
    let reply = sent.reply;
    let sign = match reply.code {
        _ if sent.error.is_some() => Sign::Silent,
        429 | 502..=504 => Sign::Refused,
        _ => Sign::Answered,
    };
    shared.state().heard(sign, Instant::now());
    job.wait = sent.wait;
    tracing::debug!(
        publication = %job.key.publication,
        workspace = %job.key.cluster,
        object = %effect.request.object,
        code = reply.code,
        "{effect}"
    );
    let trouble = match &sent.error {
        Some(error) => Some(error.trouble()),
        None if matches!(reply.code, 401 | 429 | 500..) => {
            let error = server.error(&effect.to_string(), reply.code, &reply.body);
            Some(error.trouble())
        }
        None => None,
    };
    job.wide = trouble.is_some_and(|it| shared.announcer.heard(&it));
    if let Some(error) = &sent.error {
        tracing::debug!("{}", error.chain());
    } else if (200..300).contains(&reply.code)
        && let Some(notice) = told(order(shared, &job.key), effect)
    {
        shared.announcer.tell(&notice);
    }
    Some(reply)
}

/// Lets the plan hear an answer.
fn take_in(publication: &Publication, job: &mut Job, effect: &Effect, reply: Reply) -> Heard {
    let (record, seen) = (&mut job.record, &mut job.seen);
    absorb(publication, &job.key, record, seen, effect, reply)
}

/// Lets the plan hear an answer, and people what is news.
fn hear(
    shared: &Shared,
    publication: &Publication,
    job: &mut Job,
    effect: &Effect,
    reply: Reply,
) -> Heard {
    let (code, uid) = (reply.code, object::uid(&reply.body).to_owned());
    if let Some(namespace) = effect.request.object.namespace_of()
        && code == 404
        && namespace.is_missing_by(&reply.body)
    {
        // Whatever was answered before, it is to be made again.
        shared.once.forget(&namespace);
        job.missed = Some(namespace);
    }
    let heard = take_in(publication, job, effect, reply);
    let lacks_status = [404, 405].contains(&code) && job.record.lacks_status(effect);
    if lacks_status && effect.deed != Deed::Reflect {
        let kind = &effect.request.object.kind.kind;
        shared.announcer.tell(&Notice::Problem {
            order: Some(order(shared, &job.key)),
            what: format!("a {kind} has no status that could be written, so none crosses"),
        });
    }
    let counted = &shared.board.metrics;
    let outcome = metrics::outcome(code, &heard);
    counted.effect(&job.key.publication, effect.deed.name(), outcome);
    if heard == Heard::Next {
        say(shared, job, |policy| Said::of(&effect.deed, policy));
    }
    if publication.follows_go_agent() && publication.policy().events == Events::All {
        if lacks_status && code == 404 {
            say(shared, job, |_| Some(Said::no_status()));
        } else if heard == Heard::Next {
            say_of_related(shared, job, effect, &uid);
        }
    }
    if heard == Heard::Next
        && let (Some(direction), Some(since)) = (metrics::direction(&effect.deed), job.since)
    {
        counted.lag(&job.key.publication, direction, since.elapsed());
    }
    heard
}

/// Begins no further step and waits for those under way, within a bound: a step is a few requests.
pub(crate) async fn finish(shared: &Shared) {
    let under_way = || {
        let running = shared.publications.all();
        let mut state = shared.state();
        for publication in &running {
            state.close(publication.id());
        }
        running.iter().any(|it| state.is_busy(it.id()))
    };
    let all = async {
        while under_way() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(LAST_STEPS, all).await.is_err() {
        tracing::warn!("stops in the middle of a step: a server did not answer in time");
    }
}

/// Says something to the consumer, as far as the publication's policy goes.
fn say(shared: &Shared, job: &Job, what: impl Fn(Events) -> Option<Said>) {
    if shared.dry {
        return;
    }
    let Some(publication) = shared.publications.get(&job.key.publication) else {
        return;
    };
    let Some(said) = what(publication.policy().events) else {
        return;
    };
    let origin = job.record.origin.as_ref();
    let about = About {
        endpoint: job.endpoint.clone(),
        api_version: object::api_version(publication.offered()),
        kind: publication.offered().kind.clone(),
        cluster: job.key.cluster.clone(),
        namespace: job.key.namespace.clone(),
        name: job.key.name.clone(),
        uid: origin.map(|it| it.uid.clone()).unwrap_or_default(),
    };
    shared.post.hand_in(about, said, shared.context().now);
}

/// Says something on the related object that an effect was for, where the Go agent does.
fn say_of_related(shared: &Shared, job: &Job, effect: &Effect, uid: &str) {
    let Some(said) = Said::of_related(&effect.deed) else {
        return;
    };
    let object = &effect.request.object;
    // It is said in the workspace, on whichever side was written.
    let (at, uid) = match &object.place {
        Place::Workspace(_) => (object, uid),
        Place::Service => {
            let taken = job.record.taken.iter().find(|it| it.copy == *object);
            match taken {
                Some(it) => (&it.origin, it.seen.as_ref().map_or("", |it| &it.uid)),
                None => return,
            }
        }
    };
    let about = About {
        endpoint: job.endpoint.clone(),
        api_version: object::api_version(&at.kind),
        kind: at.kind.kind.clone(),
        cluster: job.key.cluster.clone(),
        namespace: at.namespace.clone(),
        name: at.name.clone(),
        uid: uid.to_owned(),
    };
    shared.post.hand_in(about, said, shared.context().now);
}

/// Says how the order stands, once.
fn end(
    shared: &Shared,
    job: &Job,
    ending: Ending,
    troubles: Vec<Trouble>,
    hands: Option<Hands>,
) -> Outcome {
    let publication = &job.key.publication;
    let trouble = troubles.into_iter().next();
    let (word, outcome, why) = match ending {
        Ending::Settled => ("settled", Outcome::Rest, None),
        Ending::Gone => ("gone", Outcome::Forget, None),
        Ending::Waiting(why) => ("waiting", Outcome::Rest, Some(why)),
        Ending::Drifted(why) => ("drifted", Outcome::Rest, Some(why)),
        Ending::Refused(why) => ("refused", Outcome::Recheck(RECHECK), Some(why)),
    };
    let outcome = match outcome {
        // Permission may come at any time, and nothing tells of it.
        Outcome::Recheck(pause) if job.seen.barred().next().is_some() => Outcome::Knock(pause),
        outcome => outcome,
    };
    shared.board.metrics.step(publication, word);
    // An order may be settled and not well: when only its consumer can do something about it.
    let why = why.or_else(|| trouble.as_ref().map(ToString::to_string));
    match (hands, why) {
        (Some(hands), Some(why)) if outcome != Outcome::Forget => {
            stuck(
                shared,
                job,
                why.clone(),
                why,
                hands,
                trouble.as_ref(),
                false,
            );
        }
        _ => shared.board.clear(&job.key),
    }
    outcome
}

/// Something does not work: says so, once per order until it ends otherwise, or once for the whole server.
fn trouble(shared: &Shared, job: &Job, error: &Error) -> Outcome {
    let wide = shared.announcer.heard(&error.trouble());
    let (hands, what) = if error.is_unaccepted() {
        let what = format!("{}: {UNACCEPTED}", error.chain());
        (Hands::Provider, what)
    } else {
        (Hands::Server, error.chain())
    };
    // The path differs from try to try; what it is about does not.
    let theme = format!("{:?}", error.kind());
    stuck(shared, job, what, theme, hands, None, wide);
    shared.board.metrics.step(&job.key.publication, "put-off");
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Conflict => Outcome::Retry(Duration::ZERO),
        ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::Bug => Outcome::Retry(DENIED),
    }
}

/// An order, as people know it.
fn order(shared: &Shared, key: &Key) -> Order {
    let kind = match shared.publications.get(&key.publication) {
        Some(publication) => publication.offered().kind.clone(),
        None => key.publication.clone(),
    };
    Order {
        kind,
        cluster: key.cluster.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

/// What an effect that was done is to people.
fn told(order: Order, effect: &Effect) -> Option<Notice> {
    let at = &effect.request.object;
    let object = match at.namespace.as_str() {
        "" => format!("{} {}", at.kind.kind, at.name),
        namespace => format!("{} {namespace}/{}", at.kind.kind, at.name),
    };
    Some(match &effect.deed {
        Deed::Hold | Deed::HoldTaken(_) => Notice::Held { order },
        Deed::Place | Deed::Take(_) => Notice::Placed { order, object },
        Deed::Refresh | Deed::Retake(_) => Notice::Refreshed { order, object },
        Deed::Adopt => Notice::Adopted { order, object },
        Deed::Forward(_) => Notice::Refreshed { order, object },
        Deed::Reflect => Notice::Reflected { order },
        Deed::Return(_) | Deed::Update(_) => Notice::Returned { order, object },
        Deed::Retire | Deed::Untake(_) | Deed::Unreturn(_) => Notice::Retired { order, object },
        Deed::Leave => Notice::Kept { order, object },
        Deed::Release => Notice::Released { order },
        Deed::Namespace | Deed::Inherit | Deed::ReleaseTaken(_) | Deed::Annotate => return None,
    })
}
