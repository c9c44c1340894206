//! From definitions to publications, or to all problems at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

mod projection;
mod related;
mod status;

use super::{Problem, Problems, Publication, Publications};
use crate::definition::{Definition, Kind, SchemaSource};
use crate::names::{self, AgentName};
use crate::naming::Scheme;
use crate::object::path::Path;
use crate::related::Takes;
use crate::schema::{self, Lookup};
use crate::template::{Placeholder, Template};

/// Compiles all definitions of an agent.
pub(super) fn all(agent: &str, definitions: &[Definition]) -> Result<Publications, Problems> {
    let mut problems = Vec::new();
    let agent = AgentName::parse(agent).map_err(|error| {
        problems.push(Problem {
            publication: String::new(),
            what: error.to_string(),
        });
    });
    if definitions.is_empty() {
        problems.push(Problem {
            publication: String::new(),
            what: "nothing is published".into(),
        });
    }
    let schemes: BTreeMap<Kind, Option<Scheme>> = definitions
        .iter()
        .map(|it| (it.offered.clone(), scheme(it).ok()))
        .collect();
    let mut ids = BTreeSet::new();
    for definition in definitions {
        let id = names::resource(&definition.offered);
        if !ids.insert(id.clone()) {
            problems.push(Problem {
                publication: id,
                what: "it is published twice".into(),
            });
        }
    }
    let placeholder = AgentName::parse("agent").expect("a name");
    let agent_name = agent.as_ref().unwrap_or(&placeholder);
    let mut compiled = Vec::new();
    for definition in definitions {
        match Compiler::new(definition, &|offered| Known::of(schemes.get(offered)))
            .compile(agent_name)
        {
            Ok(publication) => compiled.push(publication),
            Err(found) => problems.extend(found),
        }
    }
    share_labels(&mut compiled);
    match agent {
        Ok(agent) if problems.is_empty() => Ok(Publications {
            agent,
            all: compiled,
        }),
        _ => Err(Problems(problems)),
    }
}

/// Compiles one definition; references to others are taken on trust.
pub(super) fn alone(agent: &AgentName, definition: &Definition) -> Result<Publication, Problems> {
    let trusted = scheme(definition).ok();
    let known = |_: &Kind| match &trusted {
        Some(scheme) => Known::Scheme(scheme.clone()),
        None => Known::Broken,
    };
    Compiler::new(definition, &known)
        .compile(agent)
        .map_err(Problems)
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

fn scheme(definition: &Definition) -> Result<Scheme, Vec<String>> {
    Scheme::compile(
        &definition.copy,
        &definition.service,
        &definition.offered,
        &definition.only,
    )
}

/// Copies that two rules could make of the same object carry the labels of both, or the rules would quarrel.
fn share_labels(publications: &mut [Publication]) {
    type Labels = BTreeMap<String, String>;
    let mut shared: BTreeMap<(Kind, String), Labels> = BTreeMap::new();
    let id = |it: &Takes| (it.kind.clone(), format!("{:?}", it.name));
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

struct Compiler<'a> {
    definition: &'a Definition,
    known: &'a dyn Fn(&Kind) -> Known,
    problems: Vec<String>,
    scheme: Option<Scheme>,
    /// The schema that consumers see, where it is known without a server.
    schema: Option<&'a Value>,
}

impl<'a> Compiler<'a> {
    fn new(definition: &'a Definition, known: &'a dyn Fn(&Kind) -> Known) -> Self {
        Self {
            definition,
            known,
            problems: Vec::new(),
            scheme: None,
            schema: None,
        }
    }

    fn compile(mut self, agent: &AgentName) -> Result<Publication, Vec<Problem>> {
        let definition = self.definition;
        let id = names::resource(&definition.offered);
        match scheme(definition) {
            Ok(scheme) => self.scheme = Some(scheme),
            Err(problems) => self.problems.extend(problems),
        }
        self.read_schema();
        let projection = self.projection();
        let up = self.up();
        let returns = self.returns();
        let hidden = self.hidden();
        match self.scheme {
            Some(scheme) if self.problems.is_empty() => Ok(Publication {
                id,
                agent: agent.clone(),
                service: definition.service.clone(),
                offered: definition.offered.clone(),
                schema: definition.schema.clone(),
                only: definition.only.clone(),
                scheme,
                projection,
                up,
                returns,
                hidden,
                policy: definition.policy.clone(),
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

    fn read_schema(&mut self) {
        if let SchemaSource::Type(crd) = &self.definition.schema {
            let name = &self.definition.offered.version;
            match schema::version(crd, name) {
                Some(version) => self.schema = Some(schema::of_version(version)),
                None => self
                    .problems
                    .push(format!("the type has no version {name}")),
            }
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
