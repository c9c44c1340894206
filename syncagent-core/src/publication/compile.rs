//! From definitions to publications, or to all problems at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Problem, Problems, Publication, Publications, rule_word};
use crate::definition::{
    CopyNaming, Definition, FieldRule, Kind, ReturnRule, ReturnSource, Rule, SchemaSource, Scope,
    StatusRule, StatusSource, TakeRule,
};
use crate::names::{self, AgentName};
use crate::naming::{Scheme, orders};
use crate::object::path::Path;
use crate::projection::{Constant, Move, Projection, Refers, Set};
use crate::related::{How, Returns, Takes};
use crate::schema::{self, Lookup};
use crate::status::{Field, Turn, Up};
use crate::template::{Orders, Placeholder, Template};

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

    fn projection(&mut self) -> Projection {
        let mut projection = Projection {
            moves: Vec::new(),
            kept: Vec::new(),
            refers: Vec::new(),
            takes: Vec::new(),
            set: Vec::new(),
            pass: self.definition.pass.clone(),
        };
        for rule in &self.definition.fields {
            self.field(rule, &mut projection);
        }
        for set in &self.definition.set {
            let at = self.path("set", &set.at);
            if at
                .as_ref()
                .is_some_and(|at| at.eaches() > 0 || at.is_empty())
            {
                self.problems
                    .push(format!("set: `{}` does not lead to one place", set.at));
            }
            if at
                .as_ref()
                .is_some_and(|at| at.is_within(&Path::of(&["status"])))
            {
                self.problems
                    .push(format!("set: `{}` is the operator's to write", set.at));
            }
            match (at, Constant::parse(&set.value)) {
                (Some(at), Ok(value)) => projection.set.push(Set { at, value }),
                (_, Err(mistakes)) => {
                    self.problems
                        .extend(mistakes.iter().map(|m| format!("set: `{}`: {m}", set.at)));
                }
                _ => {}
            }
        }
        for key in projection
            .pass
            .labels
            .iter()
            .chain(&projection.pass.annotations)
        {
            if key.starts_with(names::PREFIX) {
                self.problems
                    .push(format!("pass: `{key}` is the agent's own"));
            }
        }
        projection
    }

    fn field(&mut self, rule: &FieldRule, projection: &mut Projection) {
        let what = rule_word(&rule.rule);
        let Some(path) = self.offered_path(what, &rule.path) else {
            return;
        };
        if path.is_empty()
            || path.is_within(&Path::of(&["status"]))
            || path.is_within(&Path::of(&["metadata"]))
        {
            self.problems.push(format!(
                "{what}: `{}` is no field that a consumer orders with",
                rule.path
            ));
            return;
        }
        match &rule.rule {
            Rule::Hidden | Rule::Local => projection.kept.push(path),
            Rule::Moved { at, with } => {
                let to = match at {
                    Some(at) => self.path("at", at),
                    None => Some(path.clone()),
                };
                let Some(to) = to else { return };
                if to.eaches() != path.eaches() {
                    self.problems.push(format!(
                        "at: `{to}` and `{path}` do not say `[]` equally often"
                    ));
                } else if to.is_empty()
                    || to.is_within(&Path::of(&["metadata"]))
                    || to.is_within(&Path::of(&["status"]))
                {
                    self.problems
                        .push(format!("at: `{to}` is no field that a consumer may write"));
                } else {
                    projection.moves.push(Move {
                        from: path,
                        to,
                        with: *with,
                    });
                }
            }
            Rule::RefersTo { offered, name_at } => {
                let at = self.below(what, &path, name_at.as_deref());
                let scheme = self.target(what, offered);
                if let (Some(name_at), Some(scheme)) = (at, scheme) {
                    projection.refers.push(Refers {
                        offered: offered.clone(),
                        name_at,
                        scheme,
                    });
                }
            }
            Rule::Takes(take) => {
                if let Some(takes) = self.takes(rule, &path, take) {
                    projection.takes.push(takes);
                }
            }
        }
    }

    /// Where a name is below a field.
    fn below(&mut self, what: &str, path: &Path, name_at: Option<&str>) -> Option<Path> {
        let below = match name_at {
            Some(text) => path.join(&self.path(what, text)?),
            None => path.clone(),
        };
        if let Some(schema) = self.schema
            && schema::lookup(schema, path) != Lookup::Missing
            && schema::lookup(schema, &below) == Lookup::Missing
        {
            self.problems.push(format!(
                "{what}: `{below}` is not in the schema of {}",
                self.definition.offered.kind
            ));
        }
        Some(below)
    }

    fn takes(&mut self, rule: &FieldRule, path: &Path, take: &TakeRule) -> Option<Takes> {
        let what = format!("takes `{}`", rule.path);
        let name_at = self.below(&what, path, take.name_at.as_deref());
        if take.kind.scope == Scope::Namespaced {
            for (whose, kind) in [
                ("orders", &self.definition.offered),
                ("copies", &self.definition.service),
            ] {
                if kind.scope == Scope::Cluster {
                    self.problems.push(format!(
                        "{what}: the {whose} have no namespace, and a {} lives in one",
                        take.kind.kind
                    ));
                }
            }
        } else {
            self.problems.push(format!(
                "{what}: a {} has no namespace, so it belongs to no order",
                take.kind.kind
            ));
        }
        let name = self.template(&what, &take.name, Placeholder::TAKEN)?;
        self.taken_names_are_safe(&what, take, &name);
        Some(Takes {
            path: rule.path.clone(),
            name_at: name_at?,
            kind: take.kind.clone(),
            name,
            labels: take.labels.clone(),
        })
    }

    /// The copy of one consumer's object may never meet the copy of another's.
    fn taken_names_are_safe(&mut self, what: &str, take: &TakeRule, name: &Template) {
        use Placeholder::{Name, NameHash, Namespace, NamespaceHash, Workspace};
        if take.name == "{name}" {
            self.problems.push(format!(
                "{what}: a consumer could choose the name of an object that the operator makes; add a suffix, as in `{{name}}.taken`"
            ));
        }
        let Some(scheme) = &self.scheme else { return };
        let hint = "write name = \"{copy.name}-{name.hash}.taken\"";
        let many =
            orders(&self.definition.offered, &self.definition.only) == Orders::ManyNamespaces;
        if !name.has(Name) && !name.has(NameHash) {
            self.problems.push(format!(
                "{what}: `{}` does not tell the taken object's name",
                take.name
            ));
        } else if !scheme.beside_tells(name, &[Workspace]) {
            self.problems.push(format!(
                "{what}: `{}` could be the same for two workspaces; {hint}",
                take.name
            ));
        } else if many && !scheme.beside_tells(name, &[Namespace, NamespaceHash]) {
            self.problems.push(format!(
                "{what}: `{}` could be the same for two namespaces of a workspace; {hint}, or offer one namespace only",
                take.name
            ));
        } else if let Some((left, right)) = name.ambiguity() {
            self.problems.push(format!(
                "{what}: in `{}`, `{left}` and `{right}` run together; {hint}",
                take.name
            ));
        }
    }

    fn up(&mut self) -> Up {
        let StatusRule::Fields(fields) = &self.definition.status else {
            return match self.definition.status {
                StatusRule::Whole => Up::Whole,
                _ => Up::None,
            };
        };
        let mut compiled = Vec::new();
        for field in fields {
            let what = "status";
            let Some(to) = self.offered_path(what, &field.path) else {
                continue;
            };
            if !to.is_within(&Path::of(&["status"])) {
                self.problems
                    .push(format!("{what}: `{}` is not below `status`", field.path));
            }
            let (at, turn) = match &field.source {
                StatusSource::At(at) => (at, Some(Turn::AsIs)),
                StatusSource::With { at, with } => (at, Some(Turn::With(*with))),
                StatusSource::RefersTo { offered, at } => {
                    let scheme = self.target(&format!("refers_to `{}`", field.path), offered);
                    (
                        at,
                        scheme.map(|scheme| Turn::Named(offered.clone(), scheme)),
                    )
                }
            };
            let Some(from) = self.path(what, at) else {
                continue;
            };
            if from.eaches() != to.eaches() {
                self.problems.push(format!(
                    "{what}: `{from}` and `{to}` do not say `[]` equally often"
                ));
            }
            if let Some(turn) = turn {
                compiled.push(Field { to, from, turn });
            }
        }
        Up::Fields(compiled)
    }

    fn returns(&mut self) -> Vec<Returns> {
        let mut ids = BTreeSet::new();
        let mut targets = BTreeSet::new();
        let mut compiled = Vec::new();
        for rule in &self.definition.returns {
            let what = format!("returns `{}`", rule.id);
            if !ids.insert(&rule.id) {
                self.problems.push(format!("{what}: the id is used twice"));
            }
            if !targets.insert((&rule.kind, &rule.name)) {
                self.problems.push(format!(
                    "{what}: another rule returns a {} of that name",
                    rule.kind.kind
                ));
            }
            if rule.kind.scope == Scope::Namespaced
                && self.definition.offered.scope == Scope::Cluster
            {
                self.problems.push(format!(
                    "{what}: orders have no namespace, and a {} lives in one",
                    rule.kind.kind
                ));
            }
            if let Some(returns) = self.return_rule(&what, rule) {
                compiled.push(returns);
            }
        }
        compiled
    }

    fn return_rule(&mut self, what: &str, rule: &ReturnRule) -> Option<Returns> {
        let name = self.template(what, &rule.name, Placeholder::RETURNED);
        if name
            .as_ref()
            .is_some_and(|name| !name.has(Placeholder::Name))
        {
            self.problems.push(format!(
                "{what}: `{}` is the same for every order",
                rule.name
            ));
        }
        let (rules, how) = match &rule.source {
            ReturnSource::From { name, keys } => {
                let read = crate::definition::ReadRule {
                    kind: rule.kind.clone(),
                    name: name.clone(),
                };
                (vec![read], How::Copied(keys.clone()))
            }
            ReturnSource::With { reads, compose } => (reads.clone(), How::Composed(*compose)),
        };
        let mut reads = Vec::new();
        for read in rules {
            let template = self.template(what, &read.name, Placeholder::BESIDE_COPY);
            if read.kind.scope == Scope::Namespaced
                && self.definition.service.scope == Scope::Cluster
            {
                self.problems.push(format!(
                    "{what}: copies have no namespace, and a {} lives in one",
                    read.kind.kind
                ));
            }
            let Some(template) = template else { continue };
            if let Some(scheme) = &self.scheme {
                use Placeholder::Workspace;
                let told = match read.kind.scope {
                    Scope::Namespaced => {
                        scheme.is_exclusive() || scheme.beside_tells(&template, &[Workspace])
                    }
                    Scope::Cluster => template.has(Placeholder::CopyName),
                };
                if !told {
                    self.problems.push(format!(
                        "{what}: `{}` could be an object of another workspace; name it after `{{copy.name}}`",
                        read.name
                    ));
                }
            }
            reads.push((read, template));
        }
        Some(Returns {
            id: rule.id.clone(),
            kind: rule.kind.clone(),
            name: name?,
            reads,
            how,
        })
    }

    fn hidden(&mut self) -> Vec<Path> {
        let rules = self.definition.fields.iter();
        let hidden = rules.filter(|it| matches!(it.rule, Rule::Hidden));
        hidden.filter_map(|it| it.path.parse().ok()).collect()
    }
}

impl Default for CopyNaming {
    /// A namespace for each workspace, and hashes in it.
    fn default() -> Self {
        Self {
            namespace: Some("{workspace}".into()),
            name: "{namespace.hash}-{name.hash}".into(),
        }
    }
}
