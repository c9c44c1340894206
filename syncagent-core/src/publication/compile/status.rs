//! Compiles the way up.

use super::Compiler;
use crate::definition::{StatusRule, StatusSource};
use crate::object::path::Path;
use crate::status::{Field, Made, Turn, Up};

impl Compiler<'_> {
    pub(super) fn made_status(&mut self) -> Option<Made> {
        let made = self.definition.made_status.as_ref()?;
        Some(Made {
            reads: self.reads("made_status", made.reads.clone()),
            make: made.make,
        })
    }

    pub(super) fn up(&mut self) -> Up {
        let StatusRule::Fields(fields) = &self.definition.status else {
            return match self.definition.status {
                StatusRule::Whole if self.subset.is_some() => self.seen_status(),
                StatusRule::Whole => Up::Whole,
                StatusRule::Verbatim => Up::Verbatim,
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

    /// All of the status that consumers see.
    fn seen_status(&self) -> Up {
        let crate::definition::SchemaSource::Subset(paths) = &self.definition.schema else {
            return Up::Whole;
        };
        let paths = paths.iter().filter_map(|text| text.parse::<Path>().ok());
        let seen = paths.filter(|path| path.is_within(&Path::of(&["status"])));
        let fields = seen.map(|path| Field {
            to: path.clone(),
            from: path,
            turn: Turn::AsIs,
        });
        Up::Fields(fields.collect())
    }
}
