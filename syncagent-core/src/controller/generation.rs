//! From definitions to what runs: validates them, publishes their schemas, fills the export, and says which generation of
//! each publication the fleet should serve.
//!
//! *Expected flow*: look up what stands behind every definition; compile each by itself and hold it against its CRD; compare
//! its schema with the one that the export names now; publish the schema, patch the export (guarded by its
//! resourceVersion), and hand the publication to the fleet. Every event, of a definition, of a CRD or of the export, starts
//! this over; where nothing differs, nothing is asked and nothing is written.
//!
//! *Guarantees*: a schema exists before the export names it. What is wrong with one publication concerns no other. A
//! definition that has problems, or whose schema would break objects that exist, leaves the generation before it running
//! under the schema it had. A kind that is not there (yet, or any more) is waited for, and nothing is retired meanwhile.
//! An export that somebody changes, or deletes and makes again, is set right; a lost race is settled by the event that the
//! winner's write causes.
//!
//! *Caveats*: what a removed publication offered, and claims that nothing needs any more, stay in the export: a person
//! decides about those.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::crds::Crds;
use super::definitions::{Definitions, Standing};
use super::export::{EXPORTS, Offering, changes, conflicts, entry, fill, is_ordinary, resource};
use super::schema;
use crate::access::{self, Claim};
use crate::definition::{BreakingChanges, Definition, Kind};
use crate::error::{Error, ErrorKind};
use crate::io::AbortOnDrop;
use crate::io::announce::{Announcer, Notice};
use crate::io::clients::{MERGE_PATCH, Server, escape};
use crate::io::clock::Clock;
use crate::io::discovery::Found;
use crate::io::events::{About, Said, post};
use crate::io::watch::{Event, Target, watch as follow};
use crate::names::{self, AgentName};
use crate::object;
use crate::publication::{Problem, Problems, Publication, Publications};
use crate::schema::compat::{Difference, differences};

/// How long the first look at the service cluster may hold back those publications that could begin.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// When a publication is begun anew after its schema changed. A watch that was opened before shows objects through the
/// schema of that time, and servers take a while to notice: kcp about a second, a large one longer.
const RENEW: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(30)];

/// What keeps what runs in line with what is defined.
pub(crate) struct Generations {
    pub(crate) provider: Server,
    pub(crate) service: Server,
    pub(crate) export: String,
    pub(crate) agent: AgentName,
    pub(crate) announcer: Announcer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) definitions: Definitions,
    /// Where the fleet hears what to serve.
    pub(crate) wanted: watch::Sender<Vec<Arc<Publication>>>,
    /// Whether problems at the first look end the agent, rather than being reported as data.
    pub(crate) strict: bool,
    pub(crate) manner: Manner,
    /// Whether nothing is written, only said.
    pub(crate) dry: bool,
    /// Where others hear what the export says.
    pub(crate) seen: watch::Sender<Option<Value>>,
    /// Becomes true when the fleet was told for the first time what to serve.
    pub(crate) looked: watch::Sender<bool>,
}

/// In which manner publications are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Whether schemas are published; otherwise somebody else does it, and they are waited for.
    pub(crate) schemas: bool,
    /// Whether the export is filled; otherwise somebody else does it, and what it offers is served.
    pub(crate) export: bool,
    /// Whether orders are served.
    pub(crate) serves: bool,
    /// Whether the export is marked, and told of, as the Go agent does it.
    pub(crate) like_go: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            schemas: true,
            export: true,
            serves: true,
            like_go: false,
        }
    }
}

/// A definition that could run.
struct Candidate {
    name: String,
    served: bool,
    claims: Vec<Claim>,
    publication: Publication,
    schema: Value,
}

/// What keeps a definition from running.
enum Bar {
    /// What runs of it may go on.
    Problems(Problems),
    /// The service cluster has not answered yet; what runs may go on.
    Unknown,
    /// The kind is not there: nothing of it can run.
    Missing(Kind),
}

/// Whether the export may name a schema.
enum Verdict {
    Accepted,
    /// It would break objects that exist. With the old spec.
    HeldBack(Vec<Difference>, Value),
    /// The export's entry is of another sort.
    Alien,
}

/// What is remembered between two looks.
#[derive(Default)]
struct Memory {
    found: BTreeMap<Kind, Found>,
    export: Option<Value>,
    /// Schemas that we know to exist.
    published: BTreeSet<String>,
    /// Schemas that bear the agent's name, or were to.
    marked: BTreeSet<String>,
    /// Specs of schemas that the export names, where a verdict needed them.
    specs: BTreeMap<String, Option<Value>>,
    running: BTreeMap<String, Arc<Publication>>,
    /// When which publication is begun anew.
    renewals: BTreeSet<(Instant, String)>,
    /// What was claimed for us, as `plural.group`.
    claimed: BTreeSet<String>,
    /// What was told about whom, so that nothing is told twice.
    told: BTreeMap<String, BTreeSet<String>>,
}

impl Generations {
    /// Runs for ever; or, when it is strict, until the first look finds problems, which it returns.
    pub(crate) async fn run(self) -> Problems {
        let (tx, mut exports) = mpsc::channel(16);
        let target = Target::all(self.provider.clone(), EXPORTS).named(&self.export);
        let _watch = AbortOnDrop(tokio::spawn(follow(target, tx)));
        let mut changes = self.definitions.changes();
        let (mut crds, mut news) = Crds::of(self.service.clone(), self.announcer.clone());
        let mut memory = Memory::default();
        let mut first_look = Some(Instant::now() + FIRST_LOOK);
        let mut retry: Option<Instant> = None;
        let mut pause = PAUSE.0;
        let mut listed = false;
        let mut troubled = false;
        let mut stirred = true;
        loop {
            changes.borrow_and_update();
            let kinds: BTreeSet<Kind> = self
                .definitions
                .all()
                .into_iter()
                .map(|it| it.definition.service)
                .collect();
            memory.found.retain(|kind, _| kinds.contains(kind));
            crds.follow(&kinds);
            let now = Instant::now();
            let known = kinds.iter().all(|kind| memory.found.contains_key(kind));
            if first_look.is_some_and(|until| (known && listed) || now >= until) {
                if let Some(problems) = self.problems_at_first(&memory) {
                    return problems;
                }
                first_look = None;
            }
            if first_look.is_none() && std::mem::take(&mut stirred) {
                let settled = self.align(&mut memory).await;
                self.looked.send_replace(true);
                if settled {
                    pause = PAUSE.0;
                    retry = None;
                } else {
                    retry = Some(Instant::now() + pause);
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
            let renewal = memory.renewals.first().map(|(at, _)| *at);
            let due = first_look.or(retry).into_iter().chain(renewal).min();
            let alarm = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = changes.changed() => stirred = true,
                Some((kind, found)) = news.recv() => {
                    memory.find(kind, found);
                    stirred = true;
                }
                Some(event) = exports.recv() => match event {
                    Event::There(object) => {
                        listed = true;
                        troubled = false;
                        self.seen.send_replace(Some(object.clone()));
                        memory.export = Some(object);
                        stirred = true;
                    }
                    Event::Listed if !listed => {
                        listed = true;
                        stirred = true;
                        self.await_export();
                    }
                    Event::Left(_) => {
                        // Whoever deletes the export may have deleted the schemas, too.
                        memory.published.clear();
                        memory.specs.clear();
                        memory.export = None;
                        self.await_export();
                        stirred = true;
                    }
                    Event::Trouble(trouble) => {
                        listed = true;
                        stirred |= first_look.is_some();
                        if !self.announcer.heard(&trouble)
                            && !std::mem::replace(&mut troubled, true)
                        {
                            self.announcer.trouble(&trouble);
                        }
                    }
                    Event::Listing | Event::Listed => troubled = false,
                },
                () = alarm => {
                    memory.renew(Instant::now());
                    stirred = true;
                }
            }
        }
    }

    fn await_export(&self) {
        self.announcer.tell(&Notice::ExportAwaited {
            export: self.export.clone(),
        });
    }

    /// The problems that end a strict agent before anything is begun.
    fn problems_at_first(&self, memory: &Memory) -> Option<Problems> {
        if !self.strict {
            return None;
        }
        let (_, barred) = self.candidates(memory);
        let mut all = Problems::default();
        for (_, _, bar) in barred {
            if let Bar::Problems(problems) = bar {
                all.0.extend(problems.0);
            }
        }
        all.0.sort();
        all.0.dedup();
        (!all.0.is_empty()).then_some(all)
    }

    /// Every definition: what could run of it, or why nothing can.
    fn candidates(&self, memory: &Memory) -> (Vec<Candidate>, Vec<(String, String, Bar)>) {
        let entries = self.definitions.all();
        let definitions: Vec<Definition> = entries.iter().map(|it| it.definition.clone()).collect();
        let compiled = Publications::compile_each(&self.agent, &definitions);
        let mut candidates = Vec::new();
        let mut barred = Vec::new();
        for (entry, compiled) in entries.into_iter().zip(compiled) {
            let name = entry.name;
            let id = names::resource(&entry.definition.offered);
            let outcome = compiled
                .map_err(Bar::Problems)
                .and_then(|publication| hold_against(publication, memory));
            match outcome {
                Ok((publication, schema)) => candidates.push(Candidate {
                    name,
                    served: entry.served && self.manner.serves,
                    claims: entry.claims,
                    publication,
                    schema,
                }),
                Err(bar) => barred.push((name, id, bar)),
            }
        }
        (candidates, barred)
    }

    /// Brings export and fleet in line with the definitions; says whether all of it got through.
    async fn align(&self, memory: &mut Memory) -> bool {
        let (candidates, barred) = self.candidates(memory);
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut standings = BTreeMap::new();
        // What runs and is still defined goes on, unless something better is found below.
        let mut wanted: BTreeMap<String, Arc<Publication>> = BTreeMap::new();
        let keep = |id: &str, wanted: &mut BTreeMap<_, _>| {
            if let Some(running) = memory.running.get(id) {
                wanted.insert(id.to_owned(), running.clone());
            }
        };
        for (name, id, bar) in barred {
            let mut standing = Standing {
                publication: id.clone(),
                ..Standing::default()
            };
            match bar {
                Bar::Missing(kind) => {
                    let what = format!(
                        "waits for the service cluster to serve {}",
                        names::resource(&kind)
                    );
                    told.entry(id.clone()).or_default().insert(what.clone());
                    standing.waits = Some(what);
                }
                Bar::Unknown => {
                    standing.waits = Some("waits for the service cluster to answer".into());
                    keep(&id, &mut wanted);
                }
                Bar::Problems(problems) => {
                    let lines = problems.0.iter().map(|it| it.what.clone());
                    told.entry(id.clone()).or_default().extend(lines);
                    standing.problems = problems.0;
                    keep(&id, &mut wanted);
                }
            }
            standings.insert(name, standing);
        }
        for candidate in &candidates {
            keep(candidate.publication.id(), &mut wanted);
            let warnings = candidate.publication.warnings();
            if !warnings.is_empty() {
                let id = candidate.publication.id().to_owned();
                told.entry(id).or_default().extend(warnings.iter().cloned());
            }
        }
        let served: Vec<(String, bool)> = candidates
            .iter()
            .map(|it| (it.publication.id().to_owned(), it.served))
            .collect();
        let settled = match memory.export.clone() {
            Some(export) => {
                self.offer(
                    memory,
                    &export,
                    &candidates,
                    &mut wanted,
                    &mut standings,
                    &mut told,
                )
                .await
            }
            None => {
                for candidate in candidates {
                    let standing = Standing {
                        publication: candidate.publication.id().to_owned(),
                        waits: Some("waits for the export".into()),
                        ..Standing::default()
                    };
                    standings.insert(candidate.name, standing);
                }
                true
            }
        };
        for (id, served) in served {
            if !served {
                wanted.remove(&id);
            }
        }
        for standing in standings.values_mut() {
            standing.running = wanted.contains_key(&standing.publication);
        }
        self.tell(memory, told);
        memory.running = wanted;
        let all: Vec<_> = memory.running.values().cloned().collect();
        self.wanted.send_if_modified(|known| {
            let same = known.len() == all.len()
                && known
                    .iter()
                    .zip(&all)
                    .all(|(one, two)| Arc::ptr_eq(one, two));
            *known = all;
            !same
        });
        self.definitions.report(standings);
        settled
    }

    /// Offers the candidates through the export; says whether all of it got through.
    async fn offer(
        &self,
        memory: &mut Memory,
        export: &Value,
        candidates: &[Candidate],
        wanted: &mut BTreeMap<String, Arc<Publication>>,
        standings: &mut BTreeMap<String, Standing>,
        told: &mut BTreeMap<String, BTreeSet<String>>,
    ) -> bool {
        let mut settled = true;
        let mut offering = Offering::default();
        let mut accepted: Vec<&Candidate> = Vec::new();
        for candidate in candidates {
            let id = candidate.publication.id();
            let offered = candidate.publication.offered();
            let mut standing = Standing {
                publication: id.to_owned(),
                schema: entry(export, &offered.group, &offered.plural)
                    .and_then(|it| it["schema"].as_str().map(str::to_owned)),
                ..Standing::default()
            };
            let lines = told.entry(id.to_owned()).or_default();
            let mut fails = |error: &Error| {
                let what = format!("could not be offered: {}", error.chain());
                lines.insert(what.clone());
                Problem {
                    publication: id.to_owned(),
                    what,
                }
            };
            match self.verdict(memory, export, candidate).await {
                Err(error) => {
                    standing.problems.push(fails(&error));
                    settled = false;
                }
                Ok(Verdict::Alien) => {
                    let what =
                        "the export keeps it in a storage that is not the workspaces'; take that entry out".to_owned();
                    lines.insert(what.clone());
                    standing.problems.push(Problem {
                        publication: id.to_owned(),
                        what,
                    });
                }
                Ok(Verdict::HeldBack(breaking, old)) => {
                    lines.insert(held_back(candidate, &breaking));
                    if !wanted.contains_key(id) && serves(&old, offered) {
                        wanted.insert(id.to_owned(), Arc::new(candidate.publication.clone()));
                    }
                    standing.held_back = breaking;
                }
                Ok(Verdict::Accepted) => match self.publish(memory, export, candidate).await {
                    Ok(true) => {
                        self.mark(memory, candidate).await;
                        offering.schemas.push(candidate.schema.clone());
                        accepted.push(candidate);
                    }
                    Ok(false) => {
                        let name = name_of(&candidate.schema);
                        standing.waits = Some(format!("waits for the schema {name}"));
                        settled = false;
                    }
                    Err(error) => {
                        standing.problems.push(fails(&error));
                        settled = false;
                    }
                },
            }
            standings.insert(candidate.name.clone(), standing);
        }
        let served = candidates.iter().map(|it| it.publication.clone());
        let served: Vec<_> = served
            .filter(|it| {
                wanted.contains_key(it.id())
                    || accepted
                        .iter()
                        .any(|other| other.publication.id() == it.id())
            })
            .collect();
        offering.claims = self.claims(export, candidates, served);
        offering.agent = self.manner.like_go.then(|| self.agent.to_string());
        told.entry(String::new())
            .or_default()
            .extend(conflicts(export, &offering.claims));
        let filled = self.patch(export, &offering).await;
        if let Err(error) = &filled {
            settled = false;
            // Somebody was faster: their write comes as an event.
            if error.kind() != ErrorKind::Conflict {
                told.entry(String::new()).or_default().insert(format!(
                    "could not fill the export {}: {}",
                    self.export,
                    error.chain()
                ));
            }
        }
        for candidate in accepted {
            let publication = &candidate.publication;
            let offered = publication.offered();
            let before = entry(export, &offered.group, &offered.plural);
            let named = before.is_some_and(|it| it["schema"] == name_of(&candidate.schema));
            let offers = match self.manner.export {
                true => filled.is_ok() || before.is_some(),
                false => named,
            };
            if !offers
                && !self.manner.export
                && let Some(standing) = standings.get_mut(&candidate.name)
            {
                standing.waits = Some("waits for the export to offer it".into());
            }
            if filled.is_ok() && before.is_some_and(|it| it["schema"] != name_of(&candidate.schema))
            {
                memory.renew_later(publication.id());
            }
            let same = wanted
                .get(publication.id())
                .is_some_and(|running| running.is_same(publication));
            if offers && !same {
                wanted.insert(publication.id().to_owned(), Arc::new(publication.clone()));
            }
            if filled.is_ok()
                && let Some(standing) = standings.get_mut(&candidate.name)
            {
                standing.schema = Some(name_of(&candidate.schema).to_owned());
            }
        }
        if filled.is_ok() {
            self.unclaimed(memory, &offering.claims);
        }
        settled
    }

    /// What the export should claim: what orders need, and what stands beside the definitions.
    fn claims(
        &self,
        export: &Value,
        candidates: &[Candidate],
        served: Vec<Publication>,
    ) -> Vec<Value> {
        let own = |group: &str, resource: &str| {
            let ours = candidates.iter().map(|it| it.publication.offered());
            let mut ours = ours.map(|it| (it.group.as_str(), it.plural.as_str()));
            entry(export, group, resource).is_some() || ours.any(|it| it == (group, resource))
        };
        let ids: BTreeSet<String> = served.iter().map(|it| it.id().to_owned()).collect();
        let mut claims = access::claims(&Publications::of(self.agent.clone(), served));
        let beside = candidates
            .iter()
            .filter(|it| ids.contains(it.publication.id()));
        let beside = beside.flat_map(|it| it.claims.iter().cloned());
        let always = self.manner.like_go.then(|| Claim::of("", "events"));
        let beside: BTreeSet<Claim> = beside.chain(always).collect();
        for claim in beside {
            let has = claims.iter().any(|it| {
                it["group"] == claim.group.as_str() && it["resource"] == claim.resource.as_str()
            });
            if !has && !own(&claim.group, &claim.resource) {
                claims.push(claim.all_verbs());
            }
        }
        claims
    }

    /// Publishes the schema of a candidate where the export does not name it yet; says whether it is there.
    async fn publish(
        &self,
        memory: &mut Memory,
        export: &Value,
        candidate: &Candidate,
    ) -> Result<bool, Error> {
        let offered = candidate.publication.offered();
        let name = name_of(&candidate.schema);
        let named = entry(export, &offered.group, &offered.plural);
        let there = named.is_some_and(|it| it["schema"] == name);
        if there || memory.published.contains(name) {
            return Ok(true);
        }
        if !self.manner.schemas {
            return Ok(schema::read(&self.provider, name).await?.is_some());
        }
        if !self.dry {
            schema::ensure(&self.provider, &candidate.schema, &self.announcer).await?;
        }
        memory.published.insert(name.to_owned());
        Ok(true)
    }

    /// Sees once, where that is how agents are told apart, that the schema of a candidate bears the agent's name.
    async fn mark(&self, memory: &mut Memory, candidate: &Candidate) {
        let name = name_of(&candidate.schema);
        if !self.manner.like_go || !self.manner.schemas || !memory.marked.insert(name.to_owned()) {
            return;
        }
        let marked = schema::mark(&self.provider, &candidate.schema, self.dry, &self.announcer);
        if let Err(error) = marked.await {
            tracing::warn!(
                schema = name,
                "could not put the agent's name on it: {}",
                error.chain()
            );
        }
    }

    /// Whether the export may name the schema of a candidate: one GET of the schema that it names now.
    async fn verdict(
        &self,
        memory: &mut Memory,
        export: &Value,
        candidate: &Candidate,
    ) -> Result<Verdict, Error> {
        let offered = candidate.publication.offered();
        let Some(entry) = entry(export, &offered.group, &offered.plural) else {
            return Ok(Verdict::Accepted);
        };
        if !is_ordinary(entry) {
            return Ok(Verdict::Alien);
        }
        let new = name_of(&candidate.schema);
        let old = entry["schema"].as_str().unwrap_or_default();
        if old == new || old.is_empty() {
            return Ok(Verdict::Accepted);
        }
        let spec = match memory.specs.get(old) {
            Some(spec) => spec.clone(),
            None => {
                let spec = schema::read(&self.provider, old).await?;
                memory.specs.insert(old.to_owned(), spec.clone());
                spec
            }
        };
        let Some(spec) = spec else {
            // What it was nobody can tell any more.
            return Ok(Verdict::Accepted);
        };
        let mut breaking = differences(&spec, &candidate.schema["spec"]);
        breaking.retain(|it| it.breaks);
        let policy = candidate.publication.policy().breaking_changes;
        if breaking.is_empty() || policy == BreakingChanges::Allow || consents(export, new) {
            return Ok(Verdict::Accepted);
        }
        if policy == BreakingChanges::Warn {
            self.announcer.tell(&Notice::Problem {
                order: None,
                what: format!(
                    "{}: the schema {new} breaks objects that exist, and is offered all the same: {}",
                    candidate.publication.id(),
                    sentences(&breaking)
                ),
            });
            return Ok(Verdict::Accepted);
        }
        Ok(Verdict::HeldBack(breaking, spec))
    }

    async fn patch(&self, export: &Value, offering: &Offering) -> Result<(), Error> {
        if !self.manner.export {
            return Ok(());
        }
        let patch = fill(export, offering);
        if self.dry {
            let names = offering.schemas.iter().map(|it| name_of(it).to_owned());
            self.announcer.tell(&Notice::ExportPlanned {
                export: self.export.clone(),
                schemas: patch.map(|_| names.collect()),
            });
            return Ok(());
        }
        let Some(patch) = patch else {
            return Ok(());
        };
        let path = format!("{EXPORTS}/{}", escape(&self.export));
        let reply = self.provider.patch(&path, MERGE_PATCH, &patch).await?;
        if !reply.is_success() {
            return Err(self.provider.refused(&format!("PATCH {path}"), &reply));
        }
        self.announcer.tell(&Notice::ExportFilled {
            export: self.export.clone(),
            resources: offering.names(),
        });
        if self.manner.like_go {
            self.events(export, &patch).await;
        }
        Ok(())
    }

    /// Tells of a change of the export on the export.
    async fn events(&self, export: &Value, patch: &Value) {
        let about = About {
            endpoint: None,
            api_version: "apis.kcp.io/v1alpha1".to_owned(),
            kind: "APIExport".to_owned(),
            cluster: String::new(),
            namespace: String::new(),
            name: self.export.clone(),
            uid: object::uid(export).to_owned(),
        };
        let now = self.clock.now().to_string();
        for (reason, what) in changes(export, patch) {
            let warns = reason == "RemovingResourceSchemas";
            let said = Said::new(warns, reason, &what.join(", "));
            post(&self.provider, &about, &said, "syncagent-apiexport", &now).await;
        }
    }

    /// Reports claims that were ours and are not needed any more. They stay: a binding that accepted one may rely on it.
    fn unclaimed(&self, memory: &mut Memory, claims: &[Value]) {
        let now: BTreeSet<String> = claims.iter().map(resource).collect();
        let gone: Vec<_> = memory.claimed.difference(&now).cloned().collect();
        if !gone.is_empty() {
            self.announcer.tell(&Notice::Problem {
                order: None,
                what: format!(
                    "the export {} still claims {}, which nothing needs any more; take it out by hand when nobody else does",
                    self.export,
                    gone.join(", ")
                ),
            });
        }
        memory.claimed = now;
    }

    /// Tells what was not told before.
    fn tell(&self, memory: &mut Memory, told: BTreeMap<String, BTreeSet<String>>) {
        for (id, lines) in &told {
            for line in lines {
                if memory
                    .told
                    .get(id)
                    .is_some_and(|known| known.contains(line))
                {
                    continue;
                }
                let what = match id.as_str() {
                    "" => line.clone(),
                    id => format!("{id}: {line}"),
                };
                self.announcer.tell(&Notice::Problem { order: None, what });
            }
        }
        memory.told = told;
    }
}

impl Memory {
    /// Takes note of what stands behind publications.
    fn find(&mut self, kind: Kind, found: Found) {
        if let (Some(Found::Crd(_)), Found::Crd(_)) = (self.found.get(&kind), &found) {
            let concerned = self.running.values().filter(|it| *it.service() == kind);
            let concerned: Vec<_> = concerned.map(|it| it.id().to_owned()).collect();
            concerned.iter().for_each(|id| self.renew_later(id));
        }
        self.found.insert(kind, found);
    }

    fn renew_later(&mut self, id: &str) {
        if self.running.contains_key(id) {
            let now = Instant::now();
            self.renewals.retain(|(_, known)| known != id);
            let times = RENEW.iter().map(|pause| (now + *pause, id.to_owned()));
            self.renewals.extend(times);
        }
    }

    /// Begins anew what is due: an equal publication that is another one ends the generation before it.
    fn renew(&mut self, now: Instant) {
        while self.renewals.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.renewals.pop_first()
                && let Some(running) = self.running.get_mut(&id)
            {
                *running = Arc::new((**running).clone());
            }
        }
    }
}

/// Holds a sound definition against what the service cluster serves.
fn hold_against(publication: Publication, memory: &Memory) -> Result<(Publication, Value), Bar> {
    let crd = match memory.found.get(publication.service()) {
        None => return Err(Bar::Unknown),
        Some(Found::Missing) => return Err(Bar::Missing(publication.service().clone())),
        Some(Found::Bare) => None,
        Some(Found::Crd(crd)) => Some(crd),
    };
    if let Some(crd) = crd {
        publication.check(crd).map_err(Bar::Problems)?;
    }
    let schema = publication.resource_schema(crd).map_err(Bar::Problems)?;
    Ok((publication, schema))
}

/// Whether a schema serves a kind as it is to be offered.
fn serves(spec: &Value, offered: &Kind) -> bool {
    let mut versions = spec["versions"].as_array().into_iter().flatten();
    spec["scope"] == offered.scope.word()
        && spec["names"]["kind"] == offered.kind.as_str()
        && versions.any(|it| it["name"] == offered.version.as_str() && it["served"] != false)
}

/// Whether a person said that a schema may be offered.
fn consents(export: &Value, schema: &str) -> bool {
    let said = object::annotation(export, names::ACCEPT).unwrap_or_default();
    said.split(',').any(|it| it.trim() == schema)
}

fn held_back(candidate: &Candidate, breaking: &[Difference]) -> String {
    let name = name_of(&candidate.schema);
    format!(
        "the schema {name} would break objects that exist, and the export goes on naming the one before: {}; to offer it \
         all the same, annotate the export with {}={name}",
        sentences(breaking),
        names::ACCEPT,
    )
}

fn sentences(differences: &[Difference]) -> String {
    let lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

fn name_of(schema: &Value) -> &str {
    schema["metadata"]["name"].as_str().unwrap_or_default()
}
