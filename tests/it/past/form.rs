//! What is left, without what differs between two runs: uids, versions, times, and names that servers make up.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;
use syncagent_core::names;
use syncagent_core::related::unbase64;

use super::folder::strings;
use super::story::{Left, resource};

/// The objects by place, as text.
pub(crate) type Form = BTreeMap<String, String>;

/// What kcp makes of what others write; they write none of it.
const OF_KCP: [&str; 5] = [
    "apibindings.apis.kcp.io",
    "apiexportendpointslices.apis.kcp.io",
    "bound-crds",
    "logicalclusters.core.kcp.io",
    "workspaces.tenancy.kcp.io",
];

/// The form of what is left.
pub(crate) fn of(left: &Left) -> Form {
    let names = made_up(left);
    let rules = [
        // A time, to whatever digit.
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        // A hash of something that holds a uid or a version; those of names (20 and 40 digits) are always the same.
        (r"\b([0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})\b", "<hash>"),
        // The uid of something that is gone.
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uid>"),
        // What kcp makes of names, which is shorter or longer.
        (
            r"claimed\.internal\.apis\.kcp\.io/[0-9a-zA-Z]+",
            "claimed.internal.apis.kcp.io/<digest>",
        ),
        // Hashes one after the other.
        (r"\b[0-9a-zA-Z+/]{41,}=*", "<digest>"),
    ]
    .map(|(rule, text)| (Regex::new(rule).unwrap(), text));
    let plain = |text: &str| {
        let mut text = text.to_owned();
        for (made_up, name) in &names {
            text = text.replace(made_up.as_str(), name);
        }
        for (rule, with) in &rules {
            text = rule.replace_all(&text, *with).into_owned();
        }
        text
    };
    let change = |text: &str| match state(text) {
        Some(state) => plain(&state),
        None => plain(text),
    };
    let mut form = Form::new();
    for (server, held) in left
        .objects()
        .filter(|(_, it)| !OF_KCP.contains(&resource(it)))
    {
        let mut object = held.object.clone();
        // By which kcp tells who claimed it: some follow from what it makes up, and two of them would be one here.
        if let Some(Value::Object(labels)) = object.pointer_mut("/metadata/labels") {
            labels.retain(|key, _| !key.starts_with(names::CLAIMED_PREFIX));
        }
        strings(&mut object, &change);
        // A server sorts them by their times.
        if let Some(Value::Array(fields)) = object.pointer_mut("/metadata/managedFields") {
            fields.sort_by_key(Value::to_string);
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        for version in ["resourceVersion", "uid"] {
            metadata.insert(version.to_owned(), format!("<{version}>").into());
        }
        for (annotation, with) in [
            (names::RELATED_VERSION, "<version>"),
            (names::LEAVES, "<hashes>"),
        ] {
            let all = metadata.get_mut("annotations");
            if let Some(value) = all.and_then(|it| it.get_mut(annotation)) {
                *value = with.into();
            }
        }
        let place = format!(
            "{server} {} {} {}/{}",
            plain(&held.cluster),
            plain(resource(held)),
            plain(held.metadata("namespace")),
            plain(held.metadata("name"))
        );
        let text = serde_yaml::to_string(&object).unwrap();
        assert_eq!(form.insert(place.clone(), text), None, "{place} twice");
    }
    form
}

/// What servers made up, and what it stands for.
fn made_up(left: &Left) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (_, held) in left.objects() {
        if let Some(cluster) = held.object["spec"]["cluster"].as_str() {
            names.insert(
                cluster.to_owned(),
                format!("<cluster of {}>", held.metadata("name")),
            );
        }
        let uid = held.metadata("uid").to_owned();
        let of = format!("<uid of {} {}>", resource(held), held.metadata("name"));
        names.insert(uid, of);
        // The keys of a state Secret tell of what, and of which workspace.
        for (key, value) in held.object["data"].as_object().into_iter().flatten() {
            if let Some(state) = value.as_str().and_then(state) {
                let object: Value = serde_json::from_str(&state).unwrap();
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let of = format!(
                    "<key of {} {name}>",
                    object["kind"].as_str().unwrap_or_default()
                );
                names.insert(key.clone(), of);
            }
        }
    }
    names
}

/// What a value of a state Secret holds.
fn state(text: &str) -> Option<String> {
    let text = String::from_utf8(unbase64(text)?).ok()?;
    text.starts_with("{\"apiVersion\"").then_some(text)
}

/// What differs, for people.
pub(crate) fn difference(was: &Form, is: &Form) -> Vec<String> {
    let mut told = Vec::new();
    for (place, text) in was {
        match is.get(place) {
            None => told.push(format!("{place}: was, and is no more")),
            Some(new) if new != text => {
                let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
                let (old, new) = (lines(text), lines(new));
                told.push(format!("{place}:"));
                told.extend(
                    old.iter()
                        .filter(|it| !new.contains(it))
                        .map(|it| format!("  - {it}")),
                );
                told.extend(
                    new.iter()
                        .filter(|it| !old.contains(it))
                        .map(|it| format!("  + {it}")),
                );
            }
            Some(_) => {}
        }
    }
    let fresh = is.keys().filter(|place| !was.contains_key(*place));
    told.extend(fresh.map(|place| format!("{place}: is new")));
    told
}
