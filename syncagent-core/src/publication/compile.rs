//! From definitions to publications, or to all problems at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

mod find;
mod mutation;
mod ownership;
mod projection;
mod related;
pub(super) mod source;
mod status;

pub(super) use find::kind_on;

use super::{Problem, Problems, Publication, Publications};
use crate::definition::{Adoption, CollidingNames, Definition, Dialect, Drift, Kind, Rule};
use crate::names::{self, AgentName};
use crate::naming::Scheme;
use crate::object::path::Path;
use crate::object::subset::Subset;
use crate::related::Takes;
use crate::schema::{self, Lookup};
use crate::template::{Placeholder, Template};

/// Compiles all definitions of an agent.
pub(super) fn all(agent: &str, definitions: &[Definition]) -> Result<Publications, Problems> {
    let mut problems = Vec::new();
    let about_agent = |what| Problem {
        publication: String::new(),
        what,
    };
    let agent = AgentName::parse(agent).map_err(|error| {
        problems.push(about_agent(error.to_string()));
    });
    if definitions.is_empty() {
        problems.push(about_agent("nothing is published".into()));
    }
    let placeholder = AgentName::parse("agent").expect("a name");
    let agent_name = agent.as_ref().unwrap_or(&placeholder);
    let mut compiled = Vec::new();
    for outcome in outcomes(agent_name, definitions) {
        match outcome {
            Outcome::Compiled(publication, _) => compiled.push(*publication),
            Outcome::Broken(found) => problems.extend(found),
        }
    }
    match agent {
        Ok(agent) if problems.is_empty() => {
            share_labels(compiled.iter_mut());
            note_rivals(compiled.iter_mut());
            Ok(Publications {
                agent,
                all: compiled,
            })
        }
        _ => Err(Problems(problems)),
    }
}

/// Compiles each definition, whatever is wrong with the others.
pub(super) fn each(
    agent: &AgentName,
    definitions: &[Definition],
) -> Vec<Result<Publication, Problems>> {
    let mut compiled: Vec<_> = outcomes(agent, definitions)
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Compiled(publication, leans) => match leans {
                Some(on) => Err(Problems(vec![publication.problem(format!(
                    "refers_to: {} has problems of its own",
                    names::resource(&on)
                ))])),
                None => Ok(*publication),
            },
            Outcome::Broken(found) => Err(Problems(found)),
        })
        .collect();
    share_labels(compiled.iter_mut().filter_map(|it| it.as_mut().ok()));
    note_rivals(compiled.iter_mut().filter_map(|it| it.as_mut().ok()));
    compiled
}

/// What became of a definition.
enum Outcome {
    /// It is sound; with a publication that it refers to and that is not, if there is one.
    Compiled(Box<Publication>, Option<Kind>),
    /// It has problems, or an earlier one offers the same.
    Broken(Vec<Problem>),
}

fn outcomes(agent: &AgentName, definitions: &[Definition]) -> Vec<Outcome> {
    let mut schemes: BTreeMap<Kind, Option<Scheme>> = BTreeMap::new();
    for definition in definitions {
        // The first one counts, as everywhere.
        schemes
            .entry(definition.offered.clone())
            .or_insert_with(|| scheme(definition).ok());
    }
    let mut ids = BTreeSet::new();
    let mut foreign = Foreign::new();
    let compile = |definition: &Definition| {
        let publication = names::resource(&definition.offered);
        let twice = (!ids.insert(publication.clone())).then(|| Problem {
            publication,
            what: "it is published twice".into(),
        });
        let leans = RefCell::new(None);
        let known = |offered: &Kind| {
            let known = Known::of(schemes.get(offered));
            if matches!(known, Known::Broken) {
                *leans.borrow_mut() = Some(offered.clone());
            }
            known
        };
        match Compiler::new(definition, &known).compile(agent) {
            Ok(publication) if twice.is_none() => match quarrels(&publication, &mut foreign) {
                found if found.is_empty() => Outcome::Compiled(Box::new(publication), leans.take()),
                found => Outcome::Broken(found),
            },
            compiled => {
                let found = compiled.err().unwrap_or_default();
                Outcome::Broken(twice.into_iter().chain(found).collect())
            }
        }
    };
    definitions.iter().map(compile).collect()
}

/// Compiles one definition; references to others are taken on trust.
pub(super) fn alone(agent: &AgentName, definition: &Definition) -> Result<Publication, Problems> {
    let trusted = scheme(definition).ok();
    let known = |_: &Kind| match &trusted {
        Some(scheme) => Known::Scheme(scheme.clone()),
        None => Known::Broken,
    };
    let publication = Compiler::new(definition, &known)
        .compile(agent)
        .map_err(Problems)?;
    match quarrels(&publication, &mut Foreign::new()) {
        found if found.is_empty() => Ok(publication),
        found => Err(Problems(found)),
    }
}

/// The identity with which a kind of another export is claimed, by group and plural, and who claimed it first.
type Foreign = BTreeMap<(String, String), (String, String)>;

/// Kinds that are claimed with two identities: an export has one claim for a kind, and the second one would undo the first.
fn quarrels(publication: &Publication, foreign: &mut Foreign) -> Vec<Problem> {
    let mut found = Vec::new();
    for (kind, identity) in publication.foreign_kinds() {
        let first = foreign
            .entry((kind.group.clone(), kind.plural.clone()))
            .or_insert_with(|| (identity.clone(), publication.id.clone()));
        if first.0 != identity {
            found.push(publication.problem(format!(
                "related: {} is claimed with the identity `{identity}`, and {} claims it with `{}`; an export claims a kind once, so that all rules need the same `identity`",
                names::resource(&kind), first.1, first.0
            )));
        }
    }
    found
}

/// What is known of the naming of another publication.
enum Known {
    Scheme(Scheme),
    /// It is published, and has problems of its own.
    Broken,
    Unknown,
}

impl Known {
    fn of(found: Option<&Option<Scheme>>) -> Self {
        match found {
            Some(Some(scheme)) => Self::Scheme(scheme.clone()),
            Some(None) => Self::Broken,
            None => Self::Unknown,
        }
    }
}

/// The naming, and how it could collide where that is allowed.
fn naming(definition: &Definition) -> Result<(Scheme, Vec<String>), Vec<String>> {
    let (scheme, collisions) = Scheme::compile_unproven(
        &definition.copy,
        &definition.service,
        &definition.offered,
        &definition.only,
    )?;
    match definition.policy.colliding_names {
        CollidingNames::Refuse if !collisions.is_empty() => Err(collisions),
        _ => Ok((scheme, collisions)),
    }
}

fn scheme(definition: &Definition) -> Result<Scheme, Vec<String>> {
    naming(definition).map(|(scheme, _)| scheme)
}

/// Copies that two rules could make of the same object carry the labels of both, or the rules would quarrel.
fn share_labels<'a>(publications: impl Iterator<Item = &'a mut Publication>) {
    type Labels = BTreeMap<String, String>;
    let mut shared: BTreeMap<(Kind, String), Labels> = BTreeMap::new();
    let id = |it: &Takes| (it.kind.clone(), format!("{:?}", it.name));
    let mut publications: Vec<_> = publications.collect();
    for takes in publications.iter().flat_map(|it| &it.projection.takes) {
        let labels = shared.entry(id(takes)).or_default();
        for (key, value) in &takes.labels {
            labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    for takes in publications
        .iter_mut()
        .flat_map(|it| &mut it.projection.takes)
    {
        takes.labels = shared[&id(takes)].clone().into_iter().collect();
    }
}

/// Copies of the Go agent's do not say to which publication they belong.
fn note_rivals<'a>(publications: impl Iterator<Item = &'a mut Publication>) {
    let mut publications: Vec<_> = publications.collect();
    let kinds: Vec<Kind> = publications.iter().map(|it| it.service.clone()).collect();
    for publication in &mut publications {
        let alike = kinds.iter().filter(|it| **it == publication.service);
        publication.rivals = alike.count() > 1;
    }
}

struct Compiler<'a> {
    definition: &'a Definition,
    known: &'a dyn Fn(&Kind) -> Known,
    problems: Vec<String>,
    warnings: Vec<String>,
    scheme: Option<Scheme>,
    /// The schema that consumers see, where it is known without a server.
    schema: Option<&'a Value>,
    /// The only fields that consumers see, where not all of them.
    subset: Option<Subset>,
    /// The versions that are offered, as the schema's CRD calls them and as consumers see them.
    versions: Vec<(String, String)>,
}

impl<'a> Compiler<'a> {
    fn new(definition: &'a Definition, known: &'a dyn Fn(&Kind) -> Known) -> Self {
        Self {
            definition,
            known,
            problems: Vec::new(),
            warnings: Vec::new(),
            scheme: None,
            schema: None,
            subset: None,
            versions: Vec::new(),
        }
    }

    fn compile(mut self, agent: &AgentName) -> Result<Publication, Vec<Problem>> {
        let definition = self.definition;
        let id = names::resource(&definition.offered);
        match naming(definition) {
            Ok((scheme, collisions)) => {
                self.scheme = Some(scheme);
                self.warnings.extend(collisions);
            }
            Err(problems) => self.problems.extend(problems),
        }
        self.policy();
        self.recreate();
        self.source();
        let projection = self.projection();
        let up = self.up();
        let changes_up = self.mutations_up();
        let returns = self.returns();
        let related = self.related();
        let made_status = self.made_status();
        let reserved = self.reserved();
        let hidden = self.hidden();
        self.ownership();
        let namespaces = self.namespace_marks();
        match self.scheme {
            Some(scheme) if self.problems.is_empty() => Ok(Publication {
                id,
                agent: agent.clone(),
                service: definition.service.clone(),
                offered: definition.offered.clone(),
                schema: definition.schema.clone(),
                versions: self.versions,
                names: definition.names.clone(),
                schema_name: definition.schema_name,
                subset: self.subset,
                workspace_paths: definition.workspace_paths,
                only: definition.only.clone(),
                namespaces,
                scheme,
                projection,
                up,
                changes_up,
                returns,
                related,
                made_status,
                reserved,
                warnings: self.warnings,
                hidden,
                recreate: definition.recreate.clone(),
                policy: definition.policy.clone(),
                rivals: false,
            }),
            _ => Err(self
                .problems
                .into_iter()
                .map(|what| Problem {
                    publication: id.clone(),
                    what,
                })
                .collect()),
        }
    }

    /// What is made anew must be a related object.
    fn recreate(&mut self) {
        let definition = self.definition;
        let taken = definition.fields.iter().filter_map(|it| match it.rule {
            Rule::Takes(_) => Some(&it.path),
            _ => None,
        });
        let returned = definition.returns.iter().map(|it| &it.id);
        let found = definition.related.iter().map(|it| &it.id);
        let known: BTreeSet<&String> = taken.chain(returned).chain(found).collect();
        for rule in definition.recreate.iter().filter(|it| !known.contains(it)) {
            self.problems.push(format!(
                "recreate: `{rule}` is neither the id of a rule of related objects nor a field that takes one"
            ));
        }
    }

    /// Policies that do not go together.
    fn policy(&mut self) {
        let policy = &self.definition.policy;
        if policy.drift == Drift::Correct && policy.adoption == Adoption::LabelOnly {
            self.problems.push(
                "adoption `label-only` leaves an object as it is, and drift `correct` sets it right at once: say adoption `take-over`, or drift `keep` or `report`"
                    .into(),
            );
        }
        let service = &self.definition.service;
        // Nothing but the Go agent's own memory is needed where its installation is continued.
        if policy.drift != Drift::Correct
            && service.group.is_empty()
            && service.kind == "Secret"
            && policy.dialect == Dialect::Own
        {
            self.problems.push(
                "drift `keep` and `report` put a hash of each field onto the copy, from which a Secret's data could be guessed: say drift `correct`"
                    .into(),
            );
        }
    }

    /// A path that must be in the schema that consumers see.
    fn offered_path(&mut self, what: &str, text: &str) -> Option<Path> {
        let path = self.path(what, text)?;
        if let Some(schema) = self.schema
            && schema::lookup(schema, &path) == Lookup::Missing
        {
            self.problems.push(format!(
                "{what}: `{text}` is not in the schema of {}",
                self.definition.offered.kind
            ));
        }
        if let Some(subset) = &self.subset
            && !subset.touches(&path)
        {
            self.problems.push(format!(
                "{what}: `{text}` is not among the fields that consumers see; add it to the subset"
            ));
        }
        Some(path)
    }

    fn path(&mut self, what: &str, text: &str) -> Option<Path> {
        match text.parse::<Path>() {
            Ok(path) => Some(path),
            Err(error) => {
                self.problems.push(format!("{what}: {error}"));
                None
            }
        }
    }

    fn template(
        &mut self,
        what: &str,
        text: &str,
        allowed: &'static [Placeholder],
    ) -> Option<Template> {
        match Template::parse(text, allowed) {
            Ok(template) => match template.bad_character(false) {
                Some(c) => {
                    self.problems.push(format!(
                        "{what}: `{text}` has a `{c}`, which no name can have"
                    ));
                    None
                }
                None => Some(template),
            },
            Err(mistakes) => {
                self.problems
                    .extend(mistakes.iter().map(|m| format!("{what}: `{text}`: {m}")));
                None
            }
        }
    }

    /// The naming of a publication that is referred to.
    fn target(&mut self, what: &str, offered: &Kind) -> Option<Scheme> {
        match (self.known)(offered) {
            Known::Scheme(scheme) => Some(scheme),
            Known::Broken => None,
            Known::Unknown => {
                self.problems.push(format!(
                    "{what}: {} is not published by this agent",
                    names::resource(offered)
                ));
                None
            }
        }
    }
}
