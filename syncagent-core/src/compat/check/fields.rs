//! Fields that the kind does not have: an API server prunes them, and what they were to say is not done.

use serde_json::Value;

use crate::api::published_resource::PublishedResource;
use crate::compat::FieldProblem;

/// Words that documentation and habit put in the place of others.
const MISTAKEN: &[(&str, &str)] = &[
    ("spec.projection.apiGroup", "group"),
    ("spec.related[].id", "identifier"),
    ("spec.related[].apiGroup", "group"),
    ("spec.related[].projection.apiGroup", "group"),
    ("spec.related[].projection.kind", "resource"),
    ("spec.related[].source", "object"),
    ("spec.resource.group", "apiGroup"),
];

/// Every field of an object that is not one of the kind.
pub(super) fn unknown(object: &Value, typed: &PublishedResource) -> Vec<FieldProblem> {
    let known = serde_json::to_value(typed).unwrap_or_default();
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        compare(part, &object[part], &known[part], &mut found);
    }
    let own = ["apiVersion", "kind", "metadata", "spec", "status"];
    for key in object.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !own.contains(&key.as_str()) {
            found.push(FieldProblem::new(key, hint(key, key, &own)));
        }
    }
    found
}

fn compare(path: &str, said: &Value, known: &Value, found: &mut Vec<FieldProblem>) {
    match (said, known) {
        (Value::Object(said), known) => {
            for (key, value) in said {
                let here = format!("{path}.{key}");
                match known.get(key) {
                    Some(known) => compare(&here, value, known, found),
                    // A null is as good as nothing, and is not kept.
                    None if value.is_null() => {}
                    None => {
                        let beside = siblings(path);
                        found.push(FieldProblem::new(&here, hint(&here, key, &beside)));
                    }
                }
            }
        }
        (Value::Array(said), Value::Array(known)) => {
            for (at, (said, known)) in said.iter().zip(known).enumerate() {
                compare(&format!("{path}[{at}]"), said, known, found);
            }
        }
        _ => {}
    }
}

/// What to write instead.
fn hint(path: &str, key: &str, beside: &[&str]) -> String {
    let general = generalised(path);
    let mistaken = MISTAKEN.iter().find(|(it, _)| *it == general);
    let meant = mistaken.map(|(_, meant)| *meant);
    let near = || {
        let ranked = beside.iter().map(|it| (distance(key, it), *it));
        ranked.min().filter(|(far, _)| *far <= 2).map(|(_, it)| it)
    };
    match meant.or_else(near) {
        Some(meant) => format!("is no field; did you mean `{meant}`?"),
        None => "is no field, so it has no effect; take it out".to_owned(),
    }
}

/// The path with every index left out.
fn generalised(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// The fields that there are at a path.
fn siblings(path: &str) -> Vec<&'static str> {
    let source: &[_] = &["reference", "selector", "template"];
    let mutation: &[_] = &["delete", "regex", "template", "cel"];
    let known: &[&str] = match generalised(path).as_str() {
        "spec" => &[
            "resource",
            "filter",
            "naming",
            "enableWorkspacePaths",
            "projection",
            "mutation",
            "related",
            "synchronization",
            "syncagent",
        ],
        "spec.resource" => &["apiGroup", "kind", "version", "versions"],
        "spec.filter" => &["namespace", "resource"],
        "spec.naming" => &["name", "namespace"],
        "spec.projection" => &[
            "group",
            "version",
            "versions",
            "scope",
            "kind",
            "plural",
            "shortNames",
            "categories",
        ],
        "spec.mutation" | "spec.related[].mutation" => &["spec", "status"],
        "spec.related[]" => &[
            "identifier",
            "origin",
            "kind",
            "group",
            "version",
            "resource",
            "identityHash",
            "cleanup",
            "projection",
            "object",
            "mutation",
            "watch",
            "syncStatus",
            "syncagent",
        ],
        "spec.related[].object" => &["reference", "selector", "template", "namespace"],
        "spec.related[].watch" => &["byOwner", "bySelector"],
        "spec.synchronization" => &["enabled"],
        "spec.syncagent" => &[
            "drift",
            "adoption",
            "conditions",
            "events",
            "breakingChanges",
            "deletion",
            "leaving",
            "references",
            "status",
        ],
        path if path.ends_with(".namespace") => source,
        path if path.ends_with("[]") && path.contains("mutation") => mutation,
        path if path.ends_with(".selector") => &["matchLabels", "matchExpressions", "rewrite"],
        path if path.ends_with("regex") => &["path", "pattern", "replacement"],
        path if path.ends_with(".reference") => &["path", "regex"],
        _ => &[],
    };
    known.to_vec()
}

/// How many letters have to be changed, put in or taken out, in letters of any case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (place, b) in other.iter().enumerate() {
            let above = row[place + 1];
            let changed = diagonal + usize::from(a != *b);
            row[place + 1] = changed.min(above + 1).min(row[place] + 1);
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or_default()
}
