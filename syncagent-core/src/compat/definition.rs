//! From a `PublishedResource` to what the engine runs, or to everything that is wrong with it, each with its field.
//!
//! The definition does what the Go agent does with the same object, but for the defects that are mended: a selector without
//! a demand selects nothing, cluster-scoped objects have a default name, and what keeps tenants apart is never given up.
//! Where nothing proves that they are kept apart, as with a name that a user chooses, there is a warning;
//! [`Conversion::strict`] makes a problem of it.
//!
//! ```text
//! naming     spec.naming                     -> CopyNaming
//! filter     spec.filter, matchExpressions   -> Only, Selector
//! mutations  spec.mutation                   -> Mutations
//! related    spec.related                    -> RelatedRule
//! policy     spec.syncagent                  -> Policy, references, status
//! ```

mod filter;
mod mutations;
mod naming;
mod policy;
mod related;

use std::fmt;

use super::{FieldProblem, Projected, first};
use crate::api::published_resource::PublishedResource;
use crate::definition::{
    Adoption, Definition, Dialect, Drift, GoAgent, Kind, Pass, SchemaSource, Scope, Side,
    StatusRule,
};
use crate::names::AgentName;
use crate::publication::Publication;

/// What a `PublishedResource` says, for the engine.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The definition. It compiles.
    pub definition: Definition,
    /// What its author should know, and what stops nothing.
    pub warnings: Vec<FieldProblem>,
    /// Those of the warnings that say where nothing proves that tenants are kept apart.
    pub unproven: Vec<FieldProblem>,
}

/// Why a `PublishedResource` cannot be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unconverted {
    /// What its author has to change.
    pub problems: Vec<FieldProblem>,
    /// What may come by itself: kinds that no server serves yet.
    pub waiting: Vec<FieldProblem>,
}

/// Answers what servers know.
pub trait Kinds {
    /// The kind of a resource of related objects on one side; `None`: it is not served there.
    fn kind(&self, side: Side, group: &str, version: &str, resource: &str) -> Option<Kind>;

    /// The kind that another `PublishedResource` offers; `None`: there is none of this name, or it cannot be told yet.
    fn published(&self, name: &str) -> Option<Kind> {
        let _ = name;
        None
    }
}

impl<F: Fn(Side, &str, &str, &str) -> Option<Kind>> Kinds for F {
    fn kind(&self, side: Side, group: &str, version: &str, resource: &str) -> Option<Kind> {
        self(side, group, version, resource)
    }
}

impl Conversion {
    /// The same, where an installation of the Go agent is continued: in its marks, with what its state Secrets in this
    /// namespace remember.
    #[must_use]
    pub fn continued(mut self, namespace: &str) -> Self {
        let policy = &mut self.definition.policy;
        policy.dialect = Dialect::GoAgent(GoAgent {
            namespace: namespace.to_owned(),
        });
        let secrets = FieldProblem::new(policy::SECRETS.0, policy::SECRETS.1);
        if self.warnings.contains(&secrets) {
            // What was brought over is remembered there, and nothing has to be told by hashes on copies.
            self.warnings.retain(|it| *it != secrets);
            policy.drift = Drift::Keep;
            if policy.adoption == Adoption::Refuse {
                policy.adoption = Adoption::LabelOnly;
            }
            for rule in &mut self.definition.related {
                rule.drift = Drift::Keep;
            }
        }
        self.warnings.extend(policy::uncorrected(&self.definition));
        self
    }

    /// The same, with a problem in the place of each warning that tenants may not be kept apart.
    ///
    /// # Errors
    ///
    /// When there is such a warning.
    pub fn strict(self) -> Result<Self, Unconverted> {
        if self.unproven.is_empty() {
            return Ok(self);
        }
        Err(Unconverted {
            problems: self.unproven,
            waiting: Vec::new(),
        })
    }
}

impl Unconverted {
    /// Everything, problems first.
    pub fn all(&self) -> impl Iterator<Item = &FieldProblem> {
        self.problems.iter().chain(&self.waiting)
    }
}

impl From<Unconverted> for Vec<FieldProblem> {
    fn from(it: Unconverted) -> Self {
        it.problems.into_iter().chain(it.waiting).collect()
    }
}

impl fmt::Display for Unconverted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.all().enumerate() {
            let separator = if at > 0 { "\n" } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unconverted {}

/// What is between a `PublishedResource` and its definition: the kinds on both sides and the schema that offers one as the
/// other.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The kind on the service cluster.
    pub local: Kind,
    /// The kind in workspaces.
    pub remote: Kind,
    /// The schema.
    pub schema: SchemaSource,
}

impl Offer {
    /// The kinds of a projected CRD, and its schema with the marks of an agent.
    #[must_use]
    pub fn of(projected: &Projected, agent: &str) -> Self {
        Self {
            local: projected.local(),
            remote: projected.remote(),
            schema: SchemaSource::Ready(projected.resource_schema(agent)),
        }
    }
}

/// Converts a `PublishedResource` that was applied to what the service cluster serves.
///
/// ```
/// use serde_json::json;
/// use syncagent_core::compat::{Projected, Source, convert};
/// use syncagent_core::definition::Side;
///
/// let crd = json!({"metadata": {"name": "things.example.io"}, "spec": {
///     "group": "example.io", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
///     "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
/// }});
/// let resource = serde_json::from_value(json!({
///     "metadata": {"name": "things"},
///     "spec": {"resource": {"apiGroup": "example.io", "kind": "Thing"}, "naming": {"name": "{{ .Object.metadata.name }}"}},
/// }))?;
/// let projected = Projected::of(&resource, &Source::from_crd(&crd)).expect("nothing is wrong with it");
/// let nothing_related = |_: Side, _: &str, _: &str, _: &str| None;
/// let conversion = convert(&resource, &projected, "things.example.io", &nothing_related)?;
/// assert_eq!(conversion.warnings[0].path, "spec.naming");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Everything that is wrong with it. Whatever it says, this does not panic.
pub fn convert(
    resource: &PublishedResource,
    projected: &Projected,
    agent: &str,
    kinds: &dyn Kinds,
) -> Result<Conversion, Unconverted> {
    let mut conversion = convert_offer(resource, Offer::of(projected, agent), agent, kinds)?;
    conversion
        .warnings
        .extend(projected.warnings().iter().cloned());
    Ok(conversion)
}

/// Converts a `PublishedResource` whose kinds and schema are known.
///
/// # Errors
///
/// Everything that is wrong with it. Whatever it says, this does not panic.
pub fn convert_offer(
    resource: &PublishedResource,
    offer: Offer,
    agent: &str,
    kinds: &dyn Kinds,
) -> Result<Conversion, Unconverted> {
    let mut notes = Notes::default();
    notes.problems.extend(first::mixed(resource));
    let resource = &first::modern_related(resource);
    let mut definition = Definition::new(offer.local, offer.remote);
    definition.schema = offer.schema;
    definition.workspace_paths = resource.spec.enable_workspace_paths == Some(true);
    definition.pass = Pass::as_go();
    definition.status = StatusRule::Verbatim;
    policy::policy(resource, &mut definition, &mut notes);
    policy::references(resource, kinds, &mut definition, &mut notes);
    definition.copy = naming::naming(resource, &definition, &mut notes);
    definition.only = filter::only(resource, &definition.offered, &mut notes);
    definition.mutations = mutations::mutations(resource, &mut notes);
    related::related(resource, kinds, &mut definition, &mut notes);
    notes.compile(resource, &definition, agent);
    notes.finish(definition)
}

/// What is wrong beside the kind, where that cannot be told or offered: so that everything is told at once.
pub(crate) fn problems_beside_the_kind(
    resource: &PublishedResource,
    agent: &str,
    kinds: &dyn Kinds,
) -> Vec<FieldProblem> {
    const BESIDE: &[&str] = &[
        "spec.naming",
        "spec.filter",
        "spec.mutation",
        "spec.related",
    ];
    let kind = &resource.spec.resource.kind;
    // Any kind will do: what is kept says nothing of it.
    let kind = Kind {
        group: "example.io".to_owned(),
        version: "v1".to_owned(),
        kind: kind.clone(),
        plural: format!("{}s", kind.to_lowercase()),
        scope: Scope::Namespaced,
    };
    let offer = Offer {
        local: kind.clone(),
        remote: kind,
        schema: SchemaSource::Cluster,
    };
    let converted = convert_offer(resource, offer, agent, kinds);
    let mut problems = converted.err().unwrap_or_default().problems;
    problems.retain(|it| BESIDE.iter().any(|part| it.path.starts_with(part)));
    problems
}

/// What was noticed so far.
#[derive(Debug, Default)]
struct Notes {
    problems: Vec<FieldProblem>,
    waiting: Vec<FieldProblem>,
    warnings: Vec<FieldProblem>,
    unproven: Vec<FieldProblem>,
}

impl Notes {
    fn problem(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.problems.push(FieldProblem::new(path, what));
    }

    fn wait(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.waiting.push(FieldProblem::new(path, what));
    }

    fn warn(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.warnings.push(FieldProblem::new(path, what));
    }

    /// What the engine has to say about the definition.
    fn compile(&mut self, resource: &PublishedResource, definition: &Definition, agent: &str) {
        let agent = match AgentName::parse(agent) {
            Ok(agent) => agent,
            Err(error) => return self.problem("--agent-name", error.to_string()),
        };
        match Publication::alone(&agent, definition) {
            Ok(publication) => {
                for what in publication.warnings() {
                    let warning = placed(resource, what);
                    if what.starts_with("related ") || what.starts_with("copy: ") {
                        self.unproven.push(warning.clone());
                    }
                    self.warnings.push(warning);
                }
            }
            Err(problems) => {
                let problems = problems.0.iter();
                let problems = problems.map(|it| placed(resource, &it.what));
                self.problems.extend(problems);
            }
        }
    }

    fn finish(mut self, definition: Definition) -> Result<Conversion, Unconverted> {
        for list in [&mut self.problems, &mut self.waiting, &mut self.warnings] {
            let mut seen = std::collections::BTreeSet::new();
            list.retain(|it| seen.insert(it.clone()));
        }
        if self.problems.is_empty() && self.waiting.is_empty() {
            return Ok(Conversion {
                definition,
                warnings: self.warnings,
                unproven: self.unproven,
            });
        }
        Err(Unconverted {
            problems: self.problems,
            waiting: self.waiting,
        })
    }
}

/// The field that a sentence of the engine's is about, and the sentence.
fn placed(resource: &PublishedResource, what: &str) -> FieldProblem {
    let is = |word: &str| what.starts_with(word);
    if is("related `") {
        let rules = resource.related().iter().enumerate();
        for (at, _) in rules {
            let id = related::id(resource.related(), at);
            if let Some(rest) = what.strip_prefix(&format!("related `{id}`: ")) {
                return FieldProblem::new(format!("spec.related[{at}]"), in_go_terms(rest));
            }
        }
    }
    let path = match () {
        () if is("copy: the namespace") => "spec.naming.namespace",
        () if is("copy: the name") => "spec.naming.name",
        () if is("copy:") => "spec.naming",
        () if is("only:") => "spec.filter",
        () if is("mutation of") || is("a mutation looks") => "spec.mutation",
        () if is("offered:") || is("versions:") || is("the schema") => "spec.projection",
        () if is("status:") => "spec.syncagent.status",
        () if is("refers_to") => "spec.syncagent.references",
        () if is("adoption") || is("drift") => "spec.syncagent",
        () => "spec",
    };
    let plain = ["copy: ", "only: ", "offered: ", "versions: ", "status: "];
    let rest = plain.iter().find_map(|it| what.strip_prefix(it));
    FieldProblem::new(path, in_go_terms(rest.unwrap_or(what)))
}

/// A sentence of the engine's in the words that a `PublishedResource` is written in.
fn in_go_terms(what: &str) -> String {
    const WORDS: &[(&str, &str)] = &[
        ("`{workspace}`", "`{{ .ClusterName }}`"),
        ("`{namespace}`", "`{{ .Object.metadata.namespace }}`"),
        (
            "`{namespace.hash}`",
            "`{{ .Object.metadata.namespace | sha3short }}`",
        ),
        ("`{name}`", "`{{ .Object.metadata.name }}`"),
        ("`{name.hash}`", "`{{ .Object.metadata.name | sha3short }}`"),
        ("`{copy.name}`", "the copy"),
        (
            "; write `{copy.name}-{found.namespace.hash}-{found.hash}.taken`",
            "",
        ),
        (
            "; add a suffix, as in `{found}.taken`, or declare the operator's names as `reserved`",
            "; rename it with a suffix that no operator uses",
        ),
    ];
    let words = WORDS.iter();
    words.fold(what.to_owned(), |text, (own, go)| text.replace(own, go))
}
