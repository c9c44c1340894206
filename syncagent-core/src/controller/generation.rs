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

mod fill;
mod memory;
mod offer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::crds::Crds;
use super::definitions::{Definitions, Standing};
use super::export::Version;
use crate::access::Claim;
use crate::definition::{Definition, Kind};
use crate::io::AbortOnDrop;
use crate::io::announce::{Announcer, Notice};
use crate::io::clients::Server;
use crate::io::clock::Clock;
use crate::io::discovery::Found;
use crate::io::watch::{Event, Target, watch as follow};
use crate::names::{self, AgentName};
use crate::publication::{Problems, Publication, Publications};
use memory::Memory;

/// How long the first look at the service cluster may hold back those publications that could begin. Who only says what
/// would be done says nothing before it is over.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

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
    /// The version in which the export is read and written.
    pub(crate) version: Version,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            schemas: true,
            export: true,
            serves: true,
            like_go: false,
            version: Version::default(),
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

impl Generations {
    /// Runs for ever; or, when it is strict, until the first look finds problems, which it returns.
    pub(crate) async fn run(self) -> Problems {
        let (tx, mut exports) = mpsc::channel(16);
        let path = self.manner.version.exports();
        let target = Target::all(self.provider.clone(), path).named(&self.export);
        let _watch = AbortOnDrop(tokio::spawn(follow(target, tx)));
        let mut changes = self.definitions.changes();
        let (mut crds, mut news) = Crds::of(self.service.clone(), self.announcer.clone());
        let mut memory = Memory::default();
        let mut looking = true;
        let mut first_look = (!self.dry).then(|| Instant::now() + FIRST_LOOK);
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
            if looking && (known && listed || first_look.is_some_and(|until| now >= until)) {
                if let Some(problems) = self.problems_at_first(&memory) {
                    return problems;
                }
                first_look = None;
                looking = false;
            }
            if !looking && std::mem::take(&mut stirred) {
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
                        let object = self.manner.version.read(object);
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
                        stirred |= looking;
                        if !self.announcer.heard(&trouble)
                            && !std::mem::replace(&mut troubled, true)
                        {
                            self.announcer.trouble(&trouble);
                        }
                    }
                    Event::Restored => {
                        // What was published since is not there any more.
                        memory.published.clear();
                        memory.specs.clear();
                        stirred = true;
                    }
                    Event::Listing(_) | Event::Listed => troubled = false,
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

fn name_of(schema: &Value) -> &str {
    schema["metadata"]["name"].as_str().unwrap_or_default()
}
