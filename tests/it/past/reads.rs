//! What a version reads of what is written down: every mark by its name and the form of its values.
//!
//! `reads.txt` of a version has a line for each. In the last column stands what that version did when it was started over
//! an installation where this one mark was called otherwise: that it wrote something shows that it reads the mark. For what
//! is read on other occasions than a start it says `later`.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Value, json};
use syncagent_embedded::snapshot::Held;

use super::folder::Dialect;
use super::story::{AGENT, Left, resource};

/// What is made of a mark's name when it is lost.
const LOST: &str = "-lost";

/// A mark: in what part of an object it is, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    part: String,
    name: String,
}

/// Values of fields that are read, by where they are. Lists are followed.
const FIELDS: [(&str, &str); 4] = [
    ("apiexports.apis.kcp.io", "spec.resources.schema"),
    ("apiresourceschemas.apis.kcp.io", "metadata.name"),
    ("leases.coordination.k8s.io", "metadata.name"),
    (
        "publishedresources.syncagent.kcp.io",
        "status.resourceSchemaName",
    ),
];

/// The forms of values, the narrowest first.
const FORMS: [(&str, &str); 15] = [
    ("agent", "agent-past"),
    ("lease", r"syncagent\.agent-past"),
    ("true", "true"),
    ("number", r"\d+"),
    ("hex16", "[0-9a-f]{16}"),
    ("hex32", "[0-9a-f]{32}"),
    ("hex40", "[0-9a-f]{40}"),
    ("cluster", "[0-9a-z]{16}"),
    ("uid", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    (
        "uid/loss",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[a-z]+",
    ),
    ("schema", r"v[0-9a-f]{8}\.[a-z]+\.[a-z.]+"),
    ("parts:hex32", r"[a-z]\d*(\.[a-z]\d*)*:[0-9a-f]{32}"),
    ("json", r"[\[{].*[\]}]"),
    ("base64", "([0-9a-zA-Z+/]{8})+"),
    ("name", "[0-9a-z./-]+"),
];

/// Whether a text has a form.
fn has(form: &str, text: &str) -> bool {
    let (_, form) = FORMS.iter().find(|(name, _)| *name == form).unwrap();
    let form = Regex::new(&format!("^({form})$")).unwrap();
    form.is_match(text)
        && (!text.starts_with(['[', '{']) || serde_json::from_str::<Value>(text).is_ok())
}

/// The marks of an object, with their values; a finalizer and a manager have no other value than their name.
fn marks(one: &Held) -> Vec<(Mark, String)> {
    let metadata = &one.object["metadata"];
    let mut found = Vec::new();
    let mut add = |part: &str, name: &str, value: &str| {
        let mark = Mark {
            part: part.to_owned(),
            name: name.to_owned(),
        };
        found.push((mark, value.to_owned()));
    };
    for (part, map) in [("label", "labels"), ("annotation", "annotations")] {
        for (name, value) in metadata[map].as_object().into_iter().flatten() {
            if name.contains("syncagent.kcp.io") {
                add(part, name, value.as_str().unwrap());
            }
        }
    }
    for name in metadata["finalizers"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        if name.contains("syncagent.kcp.io") {
            add("finalizer", name, "");
        }
    }
    for entry in metadata["managedFields"].as_array().into_iter().flatten() {
        let manager = entry["manager"].as_str().unwrap_or_default();
        if manager.starts_with("syncagent") && entry["operation"] == "Apply" {
            add("manager", manager, "");
        }
    }
    for (of, path) in FIELDS {
        if of == resource(one) {
            let mut values = Vec::new();
            follow(&one.object, path, &mut values);
            values
                .iter()
                .for_each(|value| add("field", &format!("{of}:{path}"), value));
        }
    }
    // The name of a state Secret says of which order it tells.
    if let Some(rest) = one.metadata("name").strip_prefix("obj-state-") {
        let (cluster, hash) = rest.split_once('-').unwrap();
        assert_eq!((cluster.len(), hash.len()), (16, 20), "{rest}");
    }
    found
}

fn follow(value: &Value, path: &str, found: &mut Vec<String>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let inner = &value[first];
    let items = inner
        .as_array()
        .map_or_else(|| vec![inner], |it| it.iter().collect());
    for item in items {
        match item.as_str() {
            Some(text) if rest.is_empty() => found.push(text.to_owned()),
            _ if rest.is_empty() => {}
            _ => follow(item, rest, found),
        }
    }
}

/// What is known of a mark: where it is, and what its values are.
#[derive(Default)]
struct Known {
    places: BTreeSet<String>,
    values: Vec<String>,
}

fn all(left: &Left) -> BTreeMap<Mark, Known> {
    let mut known: BTreeMap<Mark, Known> = BTreeMap::new();
    for (server, held) in left.objects() {
        for (mark, value) in marks(held) {
            let of = known.entry(mark).or_default();
            of.places.insert(format!("{server}/{}", resource(held)));
            of.values.push(value);
        }
    }
    known
}

/// A line of `reads.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) dialect: String,
    pub(crate) mark: Mark,
    form: String,
    places: String,
    /// What its loss leads to.
    pub(crate) then: String,
}

impl Read {
    /// The lines that follow from what is left, but for their last column.
    pub(crate) fn all(dialect: Dialect, left: &Left) -> Vec<Self> {
        let known = all(left).into_iter();
        known
            .map(|(mark, known)| {
                let fits = |form: &str| known.values.iter().all(|value| has(form, value));
                let named = known.values.iter().all(String::is_empty);
                let form = FORMS
                    .iter()
                    .map(|(name, _)| *name)
                    .find(|it| !named && fits(it));
                assert!(
                    named || form.is_some(),
                    "{mark:?}: {:?} has no form",
                    known.values
                );
                Self {
                    dialect: dialect.to_string(),
                    mark,
                    form: form.unwrap_or("-").to_owned(),
                    places: known.places.into_iter().collect::<Vec<_>>().join(","),
                    then: String::new(),
                }
            })
            .collect()
    }

    pub(crate) fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [dialect, part, name, form, places, then] = words[..] else {
            panic!("`{line}` has six words");
        };
        Self {
            dialect: dialect.to_owned(),
            mark: Mark {
                part: part.to_owned(),
                name: name.to_owned(),
            },
            form: form.to_owned(),
            places: places.to_owned(),
            then: then.to_owned(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let Mark { part, name } = &self.mark;
        let Self {
            dialect,
            form,
            places,
            then,
            ..
        } = self;
        format!("{dialect} {part} {name} {form} {places} {then}\n")
    }

    /// What of this a reader of today's objects would miss.
    pub(crate) fn missed_in(&self, left: &Left) -> Vec<String> {
        let known = all(left);
        let Some(known) = known.get(&self.mark) else {
            return vec![format!("nothing carries {:?}", self.mark)];
        };
        let places = self
            .places
            .split(',')
            .filter(|it| !known.places.contains(*it));
        let mut missed: Vec<String> = places
            .map(|it| format!("{it} does not carry {:?}", self.mark))
            .collect();
        if self.form != "-" {
            let odd = known.values.iter().filter(|value| !has(&self.form, value));
            missed
                .extend(odd.map(|it| format!("{:?} is `{it}`, and not {}", self.mark, self.form)));
        }
        missed
    }
}

/// The lines of a `reads.txt`.
pub(crate) fn lines(text: &str) -> Vec<Read> {
    let lines = text
        .lines()
        .filter(|it| !it.starts_with('#') && !it.is_empty());
    lines.map(Read::parse).collect()
}

/// What is left, but with this mark called otherwise.
pub(crate) fn lose(mark: &Mark, left: &mut Left) {
    let Mark { part, name } = mark;
    for (_, held) in left.objects_mut() {
        let of = resource(held).to_owned();
        let metadata = &mut held.object["metadata"];
        match part.as_str() {
            "label" | "annotation" => {
                let map = metadata[format!("{part}s")].as_object_mut();
                if let Some((map, value)) = map.and_then(|map| map.remove(name).map(|it| (map, it)))
                {
                    map.insert(format!("{name}{LOST}"), value);
                }
            }
            "finalizer" => {
                for it in metadata["finalizers"].as_array_mut().into_iter().flatten() {
                    if *it == name.as_str() {
                        *it = json!(format!("{name}{LOST}"));
                    }
                }
            }
            "manager" => {
                for it in metadata["managedFields"]
                    .as_array_mut()
                    .into_iter()
                    .flatten()
                {
                    if it["manager"] == name.as_str() {
                        it["manager"] = json!(format!("{name}{LOST}"));
                    }
                }
            }
            _ => {
                let (resource, path) = name.split_once(':').unwrap();
                if of == resource {
                    change(&mut held.object, path);
                }
            }
        }
    }
}

fn change(value: &mut Value, path: &str) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(inner) = value.get_mut(first) else {
        return;
    };
    let items: Vec<&mut Value> = match inner {
        Value::Array(items) => items.iter_mut().collect(),
        inner => vec![inner],
    };
    for item in items {
        match item {
            Value::String(text) if rest.is_empty() => text.push_str(LOST),
            _ => change(item, rest),
        }
    }
}

/// What stands above the lines.
pub(crate) fn title() -> String {
    format!(
        "# What this version reads: dialect, part of an object, name, form of the values, where; and what the version did\n\
         # when it was started over an installation without this one mark. The agent is called {AGENT}.\n"
    )
}
