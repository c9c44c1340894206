//! What is changed on the way (section 7).

use super::Notes;
use crate::api::published_resource::{self as api, PublishedResource};
use crate::definition::{At, Change, Mutation, Mutations};
use crate::mutation::Pipeline;

pub(super) fn mutations(resource: &PublishedResource, notes: &mut Notes) -> Mutations {
    let said = resource.spec.mutation.clone().unwrap_or_default();
    Mutations {
        down: list("spec.mutation.spec", said.spec.as_deref(), notes),
        up: list("spec.mutation.status", said.status.as_deref(), notes),
        like_go: true,
    }
}

/// Those of a list that can be applied.
pub(super) fn list(path: &str, said: Option<&[api::Mutation]>, notes: &mut Notes) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (at, it) in said.into_iter().flatten().enumerate() {
        let path = format!("{path}[{at}]");
        let Some((word, mutation)) = read(it) else {
            notes.problem(
                path,
                "says nothing; write one of delete, regex, template and cel",
            );
            continue;
        };
        let others = [
            (it.regex.is_some(), "regex"),
            (it.template.is_some(), "template"),
            (it.cel.is_some(), "cel"),
        ];
        for (_, other) in others
            .iter()
            .filter(|(there, other)| *there && *other != word)
        {
            let what = format!("is not used, for `{word}` stands beside it; make two of them");
            notes.warn(format!("{path}.{other}"), what);
        }
        let path = format!("{path}.{word}");
        if let Some(api::RegexMutation {
            replacement: Some(replacement),
            ..
        }) = it.regex.as_ref().filter(|_| word == "regex")
        {
            backslash(&format!("{path}.replacement"), replacement, notes);
        }
        if let Change::Template(template) = &mutation.change {
            markup(&format!("{path}.template"), template, notes);
        }
        let (At::Go(target) | At::Path(target)) = &mutation.at;
        if ["metadata.name", "metadata.namespace"].contains(&target.as_str()) {
            let what = "names follow `spec.naming`; changing them here would lose the copy";
            notes.problem(format!("{path}.path"), what);
            continue;
        }
        match Pipeline::compile(std::slice::from_ref(&mutation)) {
            Ok(_) => all.push(mutation),
            Err(faults) => {
                for (_, fault) in faults {
                    notes.problem(&path, fault.to_string());
                }
            }
        }
    }
    all
}

/// The first part that is there, in the order of the Go agent.
fn read(it: &api::Mutation) -> Option<(&'static str, Mutation)> {
    let go = |path: &str, change| Mutation {
        at: At::Go(path.to_owned()),
        change,
    };
    if let Some(it) = &it.delete {
        return Some(("delete", go(&it.path, Change::Delete)));
    }
    if let Some(it) = &it.regex {
        let change = Change::Regex {
            pattern: it.pattern.clone().unwrap_or_default(),
            replacement: it.replacement.clone().unwrap_or_default(),
        };
        return Some(("regex", go(&it.path, change)));
    }
    if let Some(it) = &it.template {
        let change = Change::Template(it.template.clone());
        return Some(("template", go(&it.path, change)));
    }
    let it = it.cel.as_ref()?;
    let change = Change::Cel(it.expression.clone());
    Some(("cel", go(&it.path, change)))
}

/// A group of another syntax.
pub(super) fn backslash(path: &str, replacement: &str, notes: &mut Notes) {
    let group = replacement.split('\\').skip(1);
    let mut digits = group.filter_map(|it| it.chars().next().filter(char::is_ascii_digit));
    if let Some(digit) = digits.next() {
        let what = format!("`\\{digit}` stands for itself; the group is written `${{{digit}}}`");
        notes.warn(path, what);
    }
}

/// Text outside of actions that made the Go agent escape as for HTML.
fn markup(path: &str, template: &str, notes: &mut Notes) {
    let mut plain = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    if plain.contains('<') {
        notes.warn(
            path,
            "has a `<` outside of actions, behind which the Go agent escapes what it fills in as in HTML; here it stays as it is",
        );
    }
}
