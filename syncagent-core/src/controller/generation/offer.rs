//! What of the definitions is offered: whether their schemas may be, whether they are there, what is claimed for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::memory::Memory;
use super::{Candidate, Generations, name_of};
use crate::access::{self, Claim};
use crate::controller::definitions::Standing;
use crate::controller::export::{Offering, conflicts, entry, is_ordinary};
use crate::controller::schema;
use crate::definition::{BreakingChanges, Kind};
use crate::error::{Error, ErrorKind};
use crate::io::announce::Notice;
use crate::names;
use crate::object;
use crate::publication::{Problem, Publication, Publications};
use crate::schema::compat::{Difference, differences};

/// Whether the export may name a schema.
enum Verdict {
    Accepted,
    /// It would break objects that exist. With the old spec.
    HeldBack(Vec<Difference>, Value),
    /// The export's entry is of another sort.
    Alien,
}

impl Generations {
    /// Offers the candidates through the export; says whether all of it got through.
    pub(super) async fn offer(
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
