//! Compiles what happens to single fields on the way down.

use super::super::rule_word;
use super::Compiler;
use crate::definition::{FieldRule, Rule};
use crate::names;
use crate::object::path::Path;
use crate::projection::{Constant, Move, Projection, Refers, Set};
use crate::schema::{self, Lookup};

impl Compiler<'_> {
    pub(super) fn projection(&mut self) -> Projection {
        let mut projection = Projection {
            seen: self.subset.clone(),
            moves: Vec::new(),
            kept: Vec::new(),
            refers: Vec::new(),
            takes: Vec::new(),
            set: Vec::new(),
            mutations: self.mutations_down(),
            like_go: self.definition.mutations.like_go,
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
                if let (Some(ours), Some(theirs)) = (&self.scheme, &scheme)
                    && !ours.meets(theirs)
                {
                    self.problems.push(format!(
                        "{what}: the copies of {} live in another namespace than those of {}; beside these, the name would be somebody else's",
                        names::resource(offered),
                        names::resource(&self.definition.offered)
                    ));
                }
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
    pub(super) fn below(&mut self, what: &str, path: &Path, name_at: Option<&str>) -> Option<Path> {
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

    pub(super) fn hidden(&mut self) -> Vec<Path> {
        let rules = self.definition.fields.iter();
        let hidden = rules.filter(|it| matches!(it.rule, Rule::Hidden));
        hidden.filter_map(|it| it.path.parse().ok()).collect()
    }
}
