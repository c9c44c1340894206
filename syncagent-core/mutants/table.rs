//! The tables of mutants, as text.
//!
//! ```text
//! # A remark.
//! [name]
//! law:   2 nothing is placed before the hold
//! wrong: what the mistaken engine does
//! find:  if let Some(origin) = origin && <<!step.is_held()>>
//! put:   false
//! fails: table::every_small_world
//! ```
//!
//! A line that is indented continues the one before. In `find`, `<<` and `>>` mark what is replaced, the rest says where;
//! without marks all of it is.

use std::collections::BTreeSet;
use std::path::Path;

/// One mistake.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    /// The number of the invariant in ARCHITECTURE.md (or `-`, for those by absence), and its words.
    pub(crate) law: String,
    pub(crate) kind: Kind,
    pub(crate) find: String,
    pub(crate) put: String,
    pub(crate) tests: Vec<String>,
}

/// Whether it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Text,
}

impl Mutant {
    pub(crate) fn law_number(&self) -> String {
        self.law.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// Reads a table.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let mut all: Vec<Vec<(String, String)>> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            all.push(vec![("name".into(), name.to_owned())]);
            continue;
        }
        let fields = all
            .last_mut()
            .ok_or_else(|| format!("no name before {line:?}"))?;
        if line.starts_with(' ') {
            let (_, value) = fields.last_mut().ok_or("nothing to continue")?;
            value.push('\n');
            value.push_str(line.trim());
        } else {
            let (key, value) = line
                .split_once(':')
                .ok_or_else(|| format!("no field: {line:?}"))?;
            fields.push((key.to_owned(), value.trim().to_owned()));
        }
    }
    let mut names = BTreeSet::new();
    all.into_iter()
        .map(|fields| {
            let name = fields[0].1.clone();
            if !names.insert(name.clone()) {
                return Err(format!("{name} is there twice"));
            }
            let known = ["name", "law", "wrong", "kind", "find", "put", "fails"];
            if let Some((key, _)) = fields
                .iter()
                .find(|(key, _)| !known.contains(&key.as_str()))
            {
                return Err(format!("{name}: what is {key}?"));
            }
            let get = |key: &str| {
                let found = fields.iter().find(|(it, _)| it == key);
                found
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| format!("{name} has no {key}"))
            };
            get("wrong")?;
            let mutant = Mutant {
                law: get("law")?,
                kind: match get("kind").as_deref() {
                    Ok("text") => Kind::Text,
                    Ok(other) => return Err(format!("{name}: no such kind: {other}")),
                    Err(_) => Kind::Code,
                },
                find: get("find")?,
                put: get("put")?,
                tests: get("fails")?
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                name: name.clone(),
            };
            if mutant.tests.is_empty() {
                return Err(format!("{name} names no test"));
            }
            Ok(mutant)
        })
        .collect()
}

/// The numbers of the invariants that ARCHITECTURE.md lists.
pub(crate) fn numbered_laws(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("ARCHITECTURE.md");
    let section = text
        .split("\n## ")
        .find(|it| it.starts_with("Invariants"))
        .expect("a section on invariants");
    let numbers = section.lines().filter_map(|line| {
        let (number, _) = line.split_once(". ")?;
        number.parse::<u8>().ok().map(|it| it.to_string())
    });
    let numbers: Vec<String> = numbers.collect();
    assert!(numbers.len() >= 6, "the invariants are numbered");
    numbers
}
