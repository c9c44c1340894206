//! `syncagent check FILE...`, the pure part: everything that can be said about PublishedResources before they are applied.
//!
//! Files hold YAML or JSON, several documents each. CustomResourceDefinitions among them serve as what the service cluster
//! and workspaces know; what is not among them is taken on trust, and that is said. Everything else in the files is passed
//! over, so a whole installation can be given.
//!
//! ```text
//! text ── documents ──► JSON ── unknown fields ──► PublishedResource ── rules of its CRD
//!                                                        └── Projected ── convert ── problems, warnings, today's form
//! ```

mod documents;
mod fields;
mod rules;
mod servers;

use std::fmt;

use serde_json::Value;

use super::{FieldProblem, convert_offer, first, problems_beside_the_kind};
use crate::api::published_resource::{GROUP, KIND, PublishedResource};
use documents::Document;
use servers::Servers;

/// How strictly is looked, and for whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the agent that will run them.
    pub agent: String,
    /// Whether it is a problem when nothing proves that tenants are kept apart.
    pub strict: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It cannot work.
    Problem,
    /// It works, perhaps not as it was meant.
    Warning,
    /// What was taken on trust.
    Note,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// In which file.
    pub file: String,
    /// In which of its documents, counted from 1.
    pub document: usize,
    /// Which object, as `PublishedResource databases`; empty where that cannot be told.
    pub object: String,
    /// The field, and what is to be said about it. The field is empty when it is about the document.
    pub problem: FieldProblem,
}

/// An object in today's form.
#[derive(Clone, Debug, PartialEq)]
pub struct Modern {
    /// In which file the old form is.
    pub file: String,
    /// In which of its documents.
    pub document: usize,
    /// The object.
    pub object: PublishedResource,
    /// The object as YAML, what is not known of it included.
    pub text: String,
}

/// What was found in some files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// How many PublishedResources there are.
    pub count: usize,
    /// Everything that was found, in the order of the files.
    pub findings: Vec<Finding>,
    /// Those that are in an older form, in today's.
    pub modern: Vec<Modern>,
}

impl Checked {
    /// Whether nothing stops them.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.findings.iter().all(|it| it.weight != Weight::Problem)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.weight, self.file)?;
        if self.document > 1 {
            write!(f, " (document {})", self.document)?;
        }
        if !self.object.is_empty() {
            write!(f, ": {}", self.object)?;
        }
        match self.problem.path.as_str() {
            "" => write!(f, ": {}", self.problem.what),
            _ => write!(f, ": {}", self.problem),
        }
    }
}

/// Checks files, given as name and content.
///
/// ```
/// use syncagent_core::compat::check::{Options, check};
///
/// let text = "apiVersion: syncagent.kcp.io/v1alpha1
/// kind: PublishedResource
/// metadata: {name: things}
/// spec: {resource: {apiGroup: g.io, kind: Thing}, naming: {nam: x}}
/// ";
/// let options = Options { agent: "a".into(), strict: false };
/// let checked = check(&[("things.yaml", text)], &options);
/// assert!(checked.findings[0].to_string().contains("spec.naming.nam: is no field; did you mean `name`?"));
/// ```
#[must_use]
pub fn check(files: &[(&str, &str)], options: &Options) -> Checked {
    let mut checked = Checked::default();
    let mut all: Vec<Document> = Vec::new();
    for (name, text) in files {
        let (documents, findings) = documents::read(name, text);
        all.extend(documents);
        checked.findings.extend(findings);
    }
    let servers = Servers::of(all.iter().map(|it| &it.object));
    let ours = all.iter().filter(|it| is_ours(&it.object));
    for document in ours {
        checked.count += 1;
        Inspection {
            document,
            options,
            checked: &mut checked,
        }
        .inspect(&servers);
    }
    checked.findings.sort_by_key(|it| {
        let file = files.iter().position(|(name, _)| *name == it.file);
        (file, it.document, it.weight)
    });
    checked
}

/// Whether a document is a `PublishedResource`.
pub(crate) fn is_ours(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    object["kind"] == KIND && version.split('/').next() == Some(GROUP)
}

/// One document under inspection.
struct Inspection<'a> {
    document: &'a Document,
    options: &'a Options,
    checked: &'a mut Checked,
}

impl Inspection<'_> {
    fn inspect(mut self, servers: &Servers) {
        let object = &self.document.object;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            let what = "is missing; give the object a name";
            self.say(Weight::Problem, FieldProblem::new("metadata.name", what));
        }
        if object["apiVersion"] != "syncagent.kcp.io/v1alpha1" {
            let what = "is no version of the kind; write `syncagent.kcp.io/v1alpha1`";
            self.say(Weight::Problem, FieldProblem::new("apiVersion", what));
        }
        let typed: PublishedResource = match serde_json::from_value(object.clone()) {
            Ok(typed) => typed,
            Err(error) => {
                let what = match self.document.misfit() {
                    Some(what) => what,
                    None => error.to_string(),
                };
                return self.say(Weight::Problem, FieldProblem::new("", what));
            }
        };
        for unknown in fields::unknown(object, &typed) {
            self.say(Weight::Problem, unknown);
        }
        for broken in rules::broken(object) {
            self.say(Weight::Problem, broken);
        }
        self.convert(&typed, servers);
        if first::is_old(&typed) {
            self.modern(&typed);
        }
    }

    fn convert(&mut self, typed: &PublishedResource, servers: &Servers) {
        let sight = servers.sight();
        match sight.offer(typed, &self.options.agent) {
            Err(problems) => {
                let beside = problems_beside_the_kind(typed, &self.options.agent, &sight);
                for problem in problems.into_iter().chain(beside) {
                    self.say(Weight::Problem, problem);
                }
            }
            Ok((offer, warnings)) => {
                for warning in warnings {
                    self.say(Weight::Warning, warning);
                }
                let converted = convert_offer(typed, offer, &self.options.agent, &sight);
                // The binary continues what the Go agent began; in which namespace changes nothing of what there is to say.
                match converted.map(|it| it.continued("default")) {
                    Ok(conversion) => {
                        for warning in &conversion.warnings {
                            let refused =
                                self.options.strict && conversion.unproven.contains(warning);
                            let weight = if refused {
                                Weight::Problem
                            } else {
                                Weight::Warning
                            };
                            self.say(weight, warning.clone());
                        }
                    }
                    Err(unconverted) => {
                        for problem in Vec::from(unconverted) {
                            self.say(Weight::Problem, problem);
                        }
                    }
                }
            }
        }
        for note in sight.notes() {
            self.say(Weight::Note, note);
        }
    }

    fn modern(&mut self, typed: &PublishedResource) {
        let object = first::modern(typed);
        let mut json = self.document.object.clone();
        if let Ok(spec) = serde_json::to_value(&object.spec) {
            json["spec"] = spec;
        }
        let text = serde_yaml::to_string(&json).unwrap_or_default();
        self.checked.modern.push(Modern {
            file: self.document.file.clone(),
            document: self.document.number,
            object,
            text,
        });
    }

    fn say(&mut self, weight: Weight, problem: FieldProblem) {
        let name = self.document.object["metadata"]["name"].as_str();
        let finding = Finding {
            weight,
            file: self.document.file.clone(),
            document: self.document.number,
            object: name.map_or_else(|| KIND.to_owned(), |name| format!("{KIND} {name}")),
            problem,
        };
        if !self.checked.findings.contains(&finding) {
            self.checked.findings.push(finding);
        }
    }
}
