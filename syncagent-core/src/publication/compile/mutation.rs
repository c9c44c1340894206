//! Compiles mutations of both directions.

use super::Compiler;
use crate::definition::{At, Change, Mutation};
use crate::mutation::Pipeline;
use crate::names;
use crate::object::path::{Path, Step};
use crate::schema::{self, Lookup};

impl Compiler<'_> {
    /// What is changed on the way down.
    pub(super) fn mutations_down(&mut self) -> Pipeline {
        let definition = self.definition;
        for mutation in &definition.mutations.down {
            if let Some((text, path)) = own_path(mutation)
                && let Some(why) = forbidden_down(&path)
            {
                self.problems.push(format!("mutation of `{text}`: {why}"));
            }
            if let (Change::Set(value) | Change::Default(value), Some((text, path))) =
                (&mutation.change, own_path(mutation))
                && path.is_within(&Path::of(&["metadata"]))
                && !value.is_string()
            {
                self.problems.push(format!(
                    "mutation of `{text}`: the value of a label or annotation is text; put it in quotes"
                ));
            }
        }
        let compiled = self.pipeline(&definition.mutations.down);
        if compiled.reads_other() {
            self.warnings.push(
                "a mutation looks at the copy on the way down: every change of an order or its copy costs a GET".into(),
            );
        }
        compiled
    }

    /// What is changed on the way up.
    pub(super) fn mutations_up(&mut self) -> Pipeline {
        let definition = self.definition;
        for mutation in &definition.mutations.up {
            let Some((text, path)) = own_path(mutation) else {
                continue;
            };
            if !path.is_within(&Path::of(&["status"])) {
                self.problems.push(format!(
                    "mutation of `{text}`: only what is below `status` goes up"
                ));
            } else if let Some(schema) = self.schema
                && !matches!(mutation.change, Change::Delete)
                && schema::lookup(schema, &path) == Lookup::Missing
            {
                self.problems.push(format!(
                    "mutation of `{text}`: it is not in the schema of {}",
                    definition.offered.kind
                ));
            }
        }
        let compiled = self.pipeline(&definition.mutations.up);
        if compiled.reads_other() {
            self.warnings.push(
                "a mutation looks at the order on the way up: every change of an order or its copy costs a GET".into(),
            );
        }
        compiled
    }

    pub(super) fn pipeline(&mut self, mutations: &[Mutation]) -> Pipeline {
        match Pipeline::compile(mutations) {
            Ok(pipeline) => pipeline,
            Err(faults) => {
                self.problems
                    .extend(faults.into_iter().map(|(position, fault)| {
                        format!("mutation of `{}`: {fault}", text(&mutations[position].at))
                    }));
                Pipeline::default()
            }
        }
    }
}

fn text(at: &At) -> &str {
    match at {
        At::Path(text) | At::Go(text) => text,
    }
}

fn own_path(mutation: &Mutation) -> Option<(&str, Path)> {
    match &mutation.at {
        At::Path(text) => text.parse().ok().map(|path| (text.as_str(), path)),
        At::Go(_) => None,
    }
}

/// Why a path of the service's object is not the provider's to write.
fn forbidden_down(path: &Path) -> Option<&'static str> {
    let field = |at: usize| match path.steps().get(at) {
        Some(Step::Field(name)) => Some(name.as_str()),
        _ => None,
    };
    match (field(0)?, field(1), field(2)) {
        ("apiVersion" | "kind", ..) => Some("the kind of a copy is declared, not computed"),
        ("status", ..) => Some("the status of a copy is the operator's to write"),
        ("metadata", Some("labels" | "annotations"), Some(key))
            if key.starts_with(names::PREFIX) =>
        {
            Some("it is the agent's own")
        }
        ("metadata", Some("labels" | "annotations"), Some(_)) => None,
        ("metadata", ..) => Some(
            "of the metadata, single labels and annotations can be written; names follow the naming",
        ),
        _ => None,
    }
}
