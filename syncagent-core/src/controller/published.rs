//! Publications without code: `PublishedResource` objects on the service cluster become definitions of the agent.
//!
//! *Expected flow*: every object that the selector selects is read; what stands behind it is looked up (`source`); both are
//! converted (`crate::compat`), with what servers say about the kinds of related objects (`kinds`); the definition is handed
//! to the generations. When its schema is there, the object says so in its status (`report`).
//!
//! *Guarantees*: what is wrong with one object concerns no other, and is told on it, all at once. One that worked and was
//! changed into one that does not goes on as it was. One that is deleted, or not selected any more, stops and nothing else:
//! copies, schemas and claims stay.
//!
//! *Caveats*: while the kinds of related objects are not served yet, the schema is offered and the claims are made, for it
//! may be these claims that they wait for.

mod claims;
mod kinds;
mod report;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::board::Board;
use super::definitions::{Definitions, Entry, Standing};
use crate::api::published_resource::PublishedResource;
use crate::compat::{self, FieldProblem, Projected, Source};
use crate::definition::{BreakingChanges, Definition, SchemaSource};
use crate::error::Error;
use crate::io::AbortOnDrop;
use crate::io::announce::{Announcer, Notice};
use crate::io::clients::{KcpAccess, MERGE_PATCH, Server, escape};
use crate::io::clock::Clock;
use crate::io::events::{About, Said, post};
use crate::io::watch::{Event, Target, watch as follow};
use crate::names::AgentName;
use crate::object;
use kinds::Kinds;
pub(crate) use source::fetch;
use source::{Behind, Sources};

const GROUP: &str = "/apis/syncagent.kcp.io/v1alpha1";
/// How soon what did not get through, or is not served yet, is tried again, at first and at last.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What turns `PublishedResource` objects into definitions.
pub(crate) struct Driver {
    pub(crate) service: Server,
    pub(crate) access: KcpAccess,
    /// Where the slice is.
    pub(crate) slices: Server,
    pub(crate) slice: String,
    pub(crate) user_agent: String,
    pub(crate) agent: AgentName,
    /// Where the Go agent keeps what it remembers of orders.
    pub(crate) namespace: String,
    /// Which objects count; empty: all.
    pub(crate) selector: String,
    /// Whether an object is refused where nothing proves that tenants are kept apart.
    pub(crate) strict: bool,
    /// Whether nothing is written, only said.
    pub(crate) dry: bool,
    /// Whether the objects are told how they stand.
    pub(crate) tells: bool,
    pub(crate) definitions: Definitions,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) announcer: Announcer,
    /// Becomes true when every object that exists was looked at once.
    pub(crate) ready: watch::Sender<bool>,
}

/// A kind, as objects name it: group and kind.
pub(crate) type Named = (String, String);

/// An object, and what became of it.
struct Resource {
    object: Value,
    parsed: Result<PublishedResource, Vec<FieldProblem>>,
    verdict: Verdict,
    /// Whether it has to be converted, again.
    stirred: bool,
    /// Whether a definition of it is in force.
    defined: bool,
    told: report::Told,
}

/// What came of converting an object.
#[derive(Clone, Debug, Default, PartialEq)]
struct Verdict {
    /// The name of its schema.
    schema: Option<String>,
    /// What its author has to change.
    problems: Vec<FieldProblem>,
    /// What may come by itself.
    waits: Vec<FieldProblem>,
    warnings: Vec<FieldProblem>,
    /// Whether anything is known about it yet.
    looked: bool,
}

impl Resource {
    fn new(object: Value) -> Self {
        let parsed = serde_json::from_value(object.clone()).map_err(|error| {
            vec![FieldProblem::new(
                "spec",
                format!("cannot be read: {error}"),
            )]
        });
        Self {
            object,
            parsed,
            verdict: Verdict::default(),
            stirred: true,
            defined: false,
            told: report::Told::default(),
        }
    }

    /// Takes note of a newer state; nothing but its spec asks for another look.
    fn change(&mut self, object: Value) {
        if self.object["spec"] != object["spec"] {
            let fresh = Self::new(object);
            self.parsed = fresh.parsed;
            self.object = fresh.object;
            self.stirred = true;
        } else {
            self.object = object;
        }
    }

    fn named(&self) -> Option<Named> {
        let resource = &self.parsed.as_ref().ok()?.spec.resource;
        Some((resource.api_group.clone(), resource.kind.clone()))
    }

    fn name(&self) -> &str {
        object::meta(&self.object, "name")
    }
}

impl Driver {
    /// Runs for ever.
    pub(crate) async fn run(self) {
        let (tx, mut events) = mpsc::channel(16);
        let target = Target::all(self.service.clone(), format!("{GROUP}/publishedresources"));
        let target = match self.selector.as_str() {
            "" => target,
            selector => target.labelled(selector),
        };
        let _watch = AbortOnDrop(tokio::spawn(follow(target, tx)));
        let (mut sources, mut news) = Sources::of(self.service.clone(), self.announcer.clone());
        let mut behind: BTreeMap<Named, Behind> = BTreeMap::new();
        let mut kinds = Kinds::default();
        let mut standings = self.definitions.follow();
        let mut known: BTreeMap<String, Resource> = BTreeMap::new();
        // What is being deleted counts until it is gone, and does nothing else.
        let mut leaving: BTreeSet<String> = BTreeSet::new();
        let mut fresh: Option<BTreeSet<String>> = None;
        let mut listed = false;
        let mut troubled = false;
        let mut pause = AGAIN.0;
        loop {
            let named: BTreeSet<Named> = known.values().filter_map(Resource::named).collect();
            behind.retain(|it, _| named.contains(it));
            sources.follow(&named);
            self.board.metrics.published(known.len() + leaving.len());
            let waiting = self.convert(&mut known, &behind, &mut kinds).await;
            let told = standings.borrow_and_update().clone();
            let unsaid = self.report(&mut known, &told).await;
            if listed && known.values().all(|it| it.verdict.looked) {
                self.ready.send_replace(true);
            }
            let again = async {
                if waiting || unsaid {
                    tokio::time::sleep(pause).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                Some(event) = events.recv() => match event {
                    Event::Listing(_) => fresh = Some(BTreeSet::new()),
                    Event::There(object) => {
                        let uid = object::uid(&object).to_owned();
                        if let Some(fresh) = &mut fresh {
                            fresh.insert(uid.clone());
                        }
                        if object::is_deleting(&object) {
                            self.left(&mut known, &uid);
                            leaving.insert(uid);
                        } else {
                            Self::there(&mut known, uid, object);
                        }
                    }
                    Event::Listed => {
                        if let Some(fresh) = fresh.take() {
                            let gone = known.keys().filter(|it| !fresh.contains(*it));
                            for uid in gone.cloned().collect::<Vec<_>>() {
                                self.left(&mut known, &uid);
                            }
                            leaving.retain(|it| fresh.contains(it));
                        }
                        listed = true;
                        troubled = false;
                    }
                    Event::Left(object) => {
                        self.left(&mut known, object::uid(&object));
                        leaving.remove(object::uid(&object));
                    }
                    Event::Restored => {}
                    Event::Trouble(trouble) => {
                        if !self.announcer.heard(&trouble) && !std::mem::replace(&mut troubled, true) {
                            self.announcer.tell(&Notice::Problem {
                                order: None,
                                what: self.remedy(&trouble.what).await,
                            });
                        }
                    }
                },
                Some((named, found)) = news.recv() => {
                    stir(&mut known, |it| it.named().as_ref() == Some(&named));
                    behind.insert(named, found);
                    pause = AGAIN.0;
                }
                Ok(()) = standings.changed() => {}
                () = again => {
                    kinds.forget_missing();
                    stir(&mut known, |it| !it.verdict.waits.is_empty());
                    pause = (pause * 2).min(AGAIN.1);
                }
            }
        }
    }

    fn there(known: &mut BTreeMap<String, Resource>, uid: String, object: Value) {
        match known.get_mut(&uid) {
            Some(resource) => resource.change(object),
            None => {
                known.insert(uid, Resource::new(object));
            }
        }
    }

    /// An object is not ours to look after any more. What it made stays.
    fn left(&self, known: &mut BTreeMap<String, Resource>, uid: &str) {
        known.remove(uid);
        self.definitions.remove(uid);
    }

    /// Why there are no objects, and what to do about it.
    async fn remedy(&self, what: &str) -> String {
        match self.service.get(GROUP).await {
            Ok(reply) if reply.code == 404 => "the service cluster does not know PublishedResources yet: install them with `syncagent crd | kubectl apply -f -`".to_owned(),
            Ok(_) => format!("{what}; the agent must be allowed to get, list and watch publishedresources of syncagent.kcp.io"),
            Err(_) => what.to_owned(),
        }
    }

    /// Converts every object about which something is new; says whether any of them waits for something.
    async fn convert(
        &self,
        known: &mut BTreeMap<String, Resource>,
        behind: &BTreeMap<Named, Behind>,
        kinds: &mut Kinds,
    ) -> bool {
        for (uid, resource) in known.iter_mut().filter(|(_, it)| it.stirred) {
            let pr = match &resource.parsed {
                Ok(pr) => pr.clone(),
                Err(problems) => {
                    resource.stirred = false;
                    resource.verdict = Verdict {
                        problems: problems.clone(),
                        looked: true,
                        ..Verdict::default()
                    };
                    continue;
                }
            };
            let named = (
                pr.spec.resource.api_group.clone(),
                pr.spec.resource.kind.clone(),
            );
            let Some(found) = behind.get(&named) else {
                continue;
            };
            resource.stirred = false;
            let (verdict, entry) = match found {
                Behind::Missing(problem) => {
                    let agent = self.agent.as_str();
                    let verdict = Verdict {
                        problems: compat::problems_beside_the_kind(&pr, agent, kinds),
                        waits: vec![problem.clone()],
                        looked: true,
                        ..Verdict::default()
                    };
                    (verdict, None)
                }
                Behind::There(source) => loop {
                    let converted = self.converted(uid, &pr, source, kinds);
                    // What a first try asked for is looked up, for a second one.
                    if !kinds.answer(self).await {
                        break converted;
                    }
                },
            };
            self.warn(resource, &verdict.warnings).await;
            let sound = verdict.problems.is_empty() && verdict.waits.is_empty();
            resource.verdict = verdict;
            if self.dry {
                self.plan(resource);
            }
            if let Some(entry) = entry
                && (sound || !resource.defined)
            {
                resource.defined = sound;
                self.definitions.offer(entry);
            }
        }
        known.values().any(|it| !it.verdict.waits.is_empty())
    }

    /// Says what works, perhaps not as it was meant: once at each start, and when it is something else than before. No status
    /// is written for it, so that an object that works stays as it is.
    async fn warn(&self, resource: &Resource, warnings: &[FieldProblem]) {
        let before = &resource.verdict.warnings;
        for warning in warnings.iter().filter(|it| !before.contains(it)) {
            tracing::warn!(publishedresource = resource.name(), "{warning}");
        }
        if self.tells && !self.dry && !warnings.is_empty() && warnings != before {
            let said = Said::new(true, "PublishedWithWarnings", &lines(warnings).join("\n"));
            self.event(&resource.object, &said).await;
        }
    }

    /// Says what would be said on an object, and what keeps it from working.
    fn plan(&self, resource: &Resource) {
        let name = resource.name();
        for problem in resource
            .verdict
            .problems
            .iter()
            .chain(&resource.verdict.waits)
        {
            self.announcer.tell(&Notice::Problem {
                order: None,
                what: format!("the PublishedResource {name}: {problem}"),
            });
        }
        if let Some(schema) = &resource.verdict.schema
            && self.tells
            && resource.object["status"]["resourceSchemaName"] != schema.as_str()
        {
            self.announcer.tell(&Notice::StatusPlanned {
                resource: name.to_owned(),
                schema: schema.clone(),
            });
        }
    }

    /// What comes of an object; what is wrong only with what is done to its objects still leaves its schema to be offered.
    fn converted(
        &self,
        uid: &str,
        pr: &PublishedResource,
        source: &Source,
        kinds: &Kinds,
    ) -> (Verdict, Option<Entry>) {
        let projected = match Projected::of(pr, source) {
            Ok(projected) => projected,
            Err(mut problems) => {
                let agent = self.agent.as_str();
                problems.extend(compat::problems_beside_the_kind(pr, agent, kinds));
                let verdict = Verdict {
                    problems,
                    looked: true,
                    ..Verdict::default()
                };
                return (verdict, None);
            }
        };
        let agent = self.agent.as_str();
        let mut verdict = Verdict {
            schema: Some(projected.schema_name()),
            looked: true,
            ..Verdict::default()
        };
        let conversion =
            compat::convert(pr, &projected, agent, kinds).map(|it| it.continued(&self.namespace));
        let conversion = match self.strict {
            true => conversion.and_then(compat::Conversion::strict),
            false => conversion,
        };
        let (definition, served) = match conversion {
            Ok(conversion) => {
                verdict.warnings.extend(conversion.warnings);
                (conversion.definition, pr.is_synchronized())
            }
            Err(unconverted) => {
                verdict.problems = unconverted.problems;
                verdict.waits = unconverted.waiting;
                (bare(&projected, agent), false)
            }
        };
        let entry = Entry {
            name: uid.to_owned(),
            definition,
            served,
            claims: claims::of(pr),
        };
        (verdict, Some(entry))
    }

    /// Says on every object how it stands; says whether something did not get through.
    async fn report(
        &self,
        known: &mut BTreeMap<String, Resource>,
        standings: &BTreeMap<String, Standing>,
    ) -> bool {
        let mut unsaid = false;
        if self.dry || !self.tells {
            return unsaid;
        }
        for (uid, resource) in known.iter_mut().filter(|(_, it)| it.verdict.looked) {
            let standing = standings.get(uid);
            let schema = resource.verdict.schema.as_deref();
            let offered = standing.and_then(|it| it.schema.as_deref());
            let says = report::Says {
                schema: schema.filter(|it| offered == Some(it)),
                problems: problems(&resource.verdict, standing),
                broken: !resource.verdict.problems.is_empty()
                    || standing.is_some_and(|it| !it.problems.is_empty()),
            };
            let now = self.clock.now().to_string();
            let report = report::report(&resource.object, &says, &resource.told, &now);
            if let Some(message) = report.event {
                let said = Said::new(true, "ReconcilingError", &message);
                self.event(&resource.object, &said).await;
                resource.told.event = message;
            }
            if let Some(patch) = report.patch {
                match self.write(resource.name(), &patch).await {
                    Ok(Some(object)) => resource.object = object,
                    Ok(None) => {}
                    Err(error) => {
                        unsaid = true;
                        tracing::warn!(
                            publishedresource = resource.name(),
                            "could not write its status: {}",
                            error.chain()
                        );
                        continue;
                    }
                }
            }
            resource.told.problems = says.problems;
        }
        unsaid
    }

    /// Writes a status; `None`: there is no such object any more.
    async fn write(&self, name: &str, patch: &Value) -> Result<Option<Value>, Error> {
        let path = format!("{GROUP}/publishedresources/{}/status", escape(name));
        let reply = self.service.patch(&path, MERGE_PATCH, patch).await?;
        match reply.code {
            404 | 409 => Ok(None),
            _ if reply.is_success() => Ok(Some(reply.body)),
            _ => Err(self.service.refused(&format!("PATCH {path}"), &reply)),
        }
    }

    /// Warns on an object. Whether that gets through is not waited for.
    async fn event(&self, object: &Value, said: &Said) {
        let about = About {
            endpoint: None,
            api_version: "syncagent.kcp.io/v1alpha1".to_owned(),
            kind: "PublishedResource".to_owned(),
            cluster: String::new(),
            namespace: String::new(),
            name: object::meta(object, "name").to_owned(),
            uid: object::uid(object).to_owned(),
        };
        let now = self.clock.now().to_string();
        post(
            &self.service,
            &about,
            said,
            "syncagent-apiresourceschema",
            &now,
        )
        .await;
    }
}

/// What offers a schema and nothing else.
fn bare(projected: &Projected, agent: &str) -> Definition {
    let mut definition = Definition::new(projected.local(), projected.remote());
    definition.schema = SchemaSource::Ready(projected.resource_schema(agent));
    definition.policy.breaking_changes = BreakingChanges::Allow;
    definition
}

/// Everything that keeps an object from working, for its author.
fn problems(verdict: &Verdict, standing: Option<&Standing>) -> Vec<String> {
    let mut all = lines(verdict.problems.iter().chain(&verdict.waits));
    if let Some(standing) = standing {
        all.extend(standing.problems.iter().map(|it| it.what.clone()));
        all.extend(standing.waits.clone());
        all.extend(standing.held_back.iter().map(ToString::to_string));
    }
    all
}

fn lines<'a>(problems: impl IntoIterator<Item = &'a FieldProblem>) -> Vec<String> {
    problems.into_iter().map(ToString::to_string).collect()
}

fn stir(known: &mut BTreeMap<String, Resource>, which: impl Fn(&Resource) -> bool) {
    for resource in known.values_mut().filter(|it| which(it)) {
        resource.stirred = true;
    }
}
