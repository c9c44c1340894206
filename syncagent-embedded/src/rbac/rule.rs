//! One rule of a role.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{What, joined};
use crate::status::quoted;

/// What may be done with which resources, or with which paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// The verbs; `*` is all.
    pub verbs: Vec<String>,
    /// The API groups; `*` is all.
    pub groups: Vec<String>,
    /// The resources, as in `pods`, `pods/log`, `*/scale`; `*` is all.
    pub resources: Vec<String>,
    /// The names; none is all.
    pub names: Vec<String>,
    /// The paths; a `*` at the end is any rest.
    pub urls: Vec<String>,
}

/// The rules of a role or cluster role.
#[must_use]
pub fn rules(role: &Value) -> Vec<Rule> {
    role.get("rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(Rule::of)
        .collect()
}

impl Rule {
    /// Reads a rule of a role.
    #[must_use]
    pub fn of(rule: &Value) -> Self {
        let words = |key: &str| -> Vec<String> {
            let words = rule
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            words.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: words("verbs"),
            groups: words("apiGroups"),
            resources: words("resources"),
            names: words("resourceNames"),
            urls: words("nonResourceURLs"),
        }
    }

    /// The rules of somebody who may do everything.
    #[must_use]
    pub fn everything() -> [Self; 2] {
        let all = || vec!["*".to_owned()];
        [
            Self {
                verbs: all(),
                groups: all(),
                resources: all(),
                ..Self::default()
            },
            Self {
                verbs: all(),
                urls: all(),
                ..Self::default()
            },
        ]
    }

    /// As in a role.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut rule = Map::from_iter([("verbs".to_owned(), json!(self.verbs))]);
        for (key, words) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !words.is_empty() {
                rule.insert(key.to_owned(), json!(words));
            }
        }
        Value::Object(rule)
    }

    /// Whether the rule allows it.
    #[must_use]
    pub fn matches(&self, what: &What<'_>) -> bool {
        match what {
            What::Path { verb, path } => {
                any(&self.verbs, verb) && self.urls.iter().any(|url| covers_path(url, path))
            }
            What::Resource {
                verb,
                group,
                resource,
                subresource,
                name,
                ..
            } => {
                any(&self.verbs, verb)
                    && any(&self.groups, group)
                    && self
                        .resources
                        .iter()
                        .any(|known| covers_resource(known, &joined(resource, subresource)))
                    && (self.names.is_empty() || self.names.iter().any(|known| known == name))
            }
        }
    }

    /// The smallest rules that together say the same.
    #[must_use]
    pub fn atoms(&self) -> Vec<Self> {
        let mut atoms = Vec::new();
        let one = |word: &String| vec![word.clone()];
        for verb in &self.verbs {
            for url in &self.urls {
                atoms.push(Self {
                    verbs: one(verb),
                    urls: one(url),
                    ..Self::default()
                });
            }
            for group in &self.groups {
                for resource in &self.resources {
                    let atom = Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        atoms.push(atom);
                    } else {
                        atoms.extend(self.names.iter().map(|name| Self {
                            names: one(name),
                            ..atom.clone()
                        }));
                    }
                }
            }
        }
        atoms
    }

    /// Whether whoever holds this rule holds an atom.
    #[must_use]
    pub fn covers(&self, atom: &Self) -> bool {
        let all = |words: &[String], known: &[String]| words.iter().all(|word| any(known, word));
        all(&atom.verbs, &self.verbs)
            && if atom.urls.is_empty() {
                all(&atom.groups, &self.groups)
                    && atom.resources.iter().all(|word| {
                        self.resources
                            .iter()
                            .any(|known| covers_resource(known, word))
                    })
                    && (self.names.is_empty()
                        || (!atom.names.is_empty()
                            && atom.names.iter().all(|name| self.names.contains(name))))
            } else {
                atom.urls
                    .iter()
                    .all(|url| self.urls.iter().any(|known| covers_path(known, url)))
            }
    }

    /// As refusals show it.
    #[must_use]
    pub fn shown(&self) -> String {
        let parts: Vec<String> = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ]
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(key, words)| format!("{key}:{}", list(words)))
        .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// Words as Go's `%q` shows a slice.
#[must_use]
pub fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

/// Joins rules about the same resource of the same group.
#[must_use]
pub fn compact(rules: Vec<Rule>) -> Vec<Rule> {
    let mut joined: BTreeMap<(Vec<String>, Vec<String>), Rule> = BTreeMap::new();
    let mut rest = Vec::new();
    for rule in rules {
        let simple = rule.urls.is_empty()
            && rule.names.is_empty()
            && rule.groups.len() == 1
            && rule.resources.len() == 1;
        if !simple {
            rest.push(rule);
            continue;
        }
        let known = joined
            .entry((rule.groups.clone(), rule.resources.clone()))
            .or_insert_with(|| Rule {
                verbs: Vec::new(),
                ..rule.clone()
            });
        for verb in rule.verbs {
            if !known.verbs.contains(&verb) {
                known.verbs.push(verb);
            }
        }
    }
    rest.extend(joined.into_values());
    rest
}

fn any(known: &[String], word: &str) -> bool {
    known.iter().any(|one| one == "*" || one == word)
}

fn covers_resource(known: &str, resource: &str) -> bool {
    let sub = |text: &str| text.split_once('/').map(|(_, sub)| sub.to_owned());
    known == "*" || known == resource || (known.starts_with("*/") && sub(known) == sub(resource))
}

fn covers_path(known: &str, path: &str) -> bool {
    known == "*"
        || known == path
        || known
            .strip_suffix('*')
            .is_some_and(|head| path.starts_with(head))
}
