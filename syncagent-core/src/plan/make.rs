//! The content of an object that comes up: copied, or composed by a function; made anew only when it must be.

use serde_json::{Map, Value, json};

use super::effect::{Deed, Verb};
use super::find;
use super::forward;
use super::record::{ReturnedKnown, StatusKnown};
use super::returned::{Maker, order};
use super::seen::{Depth, Sight};
use super::step::Step;
use crate::definition::{Part, Sources};
use crate::names;
use crate::object::fingerprint::Fingerprint;
use crate::object::{annotation, drop_nulls};
use crate::related::{How, Returns, assemble, content, keep_keys, made_of};

/// The fingerprint of the versions of some parts, as text.
fn versions(step: &Step<'_>, entry: &ReturnedKnown, parts: &[Part]) -> String {
    let version = |part: &Part| match part {
        Part::Origin => step.record.wish.map(|it| it.to_string()),
        Part::Status => step.record.shown.map(|it| it.to_string()),
        Part::Copy => step
            .record
            .copy
            .as_ref()
            .map(|it| format!("{}/{}", it.known.uid, it.content)),
        Part::Read(at) => {
            let known = entry
                .reads
                .get(*at)
                .and_then(|it| it.known.clone())
                .flatten();
            known.map(|it| format!("{}/{}", it.uid, it.version))
        }
        Part::Taken(at) => {
            let taken = step.record.taken.iter().filter(|it| !it.dropped).nth(*at);
            taken
                .and_then(|it| it.seen.as_ref())
                .map(|it| format!("{}/{}", it.uid, it.version))
        }
    };
    let versions: Vec<Option<String>> = parts.iter().map(version).collect();
    Fingerprint::of(&json!(versions)).to_string()
}

pub(super) fn make(
    step: &mut Step<'_>,
    entry: &mut ReturnedKnown,
    maker: Maker<'_>,
    origin: Option<&Value>,
    copy: Option<&Value>,
) {
    // The versions that it was made of must be known, and not change under our hands.
    if !step.effects.is_empty() || !step.questions.is_empty() {
        return;
    }
    if let Maker::Found(rule) = maker
        && rule.status
        && entry.status == StatusKnown::Unknown
        && entry.at.is_some()
        && !bring_status(step, entry)
    {
        return;
    }
    let current = versions(step, entry, &entry.parts);
    if entry.made_of.as_ref() == Some(&current) && !entry.dirty {
        if entry.at.is_none() {
            step.waiting.push(format!(
                "the {} to return cannot be made yet",
                entry.object.kind.kind
            ));
        }
        return;
    }
    let keys = match maker {
        Maker::Found(rule) => Some(&rule.keys),
        Maker::Rule(rule) => match &rule.how {
            How::Copied(keys) => Some(keys),
            How::Composed(_) => None,
        },
    };
    let (made, parts) = match (keys, maker) {
        (Some(keys), _) => {
            let Some(made) = copied(step, entry, keys) else {
                return;
            };
            (made, vec![Part::Read(0)])
        }
        (None, Maker::Rule(rule)) => {
            let Some(made) = composed(step, entry, rule, origin, copy) else {
                return;
            };
            made
        }
        (None, Maker::Found(_)) => return,
    };
    entry.made_of = Some(versions(step, entry, &parts));
    entry.parts = parts;
    match made {
        Some(object) if has_returned_part(step, &entry.parts) && says_so(step, entry, &object) => {}
        Some(object) => {
            if let Maker::Found(rule) = maker
                && rule.status
                && entry.at.is_some()
            {
                bring_status(step, entry);
            }
            write(step, entry, maker, object);
        }
        None => {
            entry.dirty = false;
            step.waiting.push(format!(
                "the {} to return cannot be made yet",
                entry.object.kind.kind
            ));
        }
    }
}

/// Whether a part is itself an object that came up: an order may take what it, or another one, is returned. Such orders could
/// write in a circle, each because the other wrote.
fn has_returned_part(step: &Step<'_>, parts: &[Part]) -> bool {
    let taken = |at| step.record.taken.iter().filter(|it| !it.dropped).nth(at);
    parts.iter().any(|part| match part {
        Part::Taken(at) => taken(*at)
            .and_then(|it| step.seen.of(&it.origin).outline())
            .is_some_and(|it| annotation(it, names::ORDER).is_some()),
        _ => false,
    })
}

/// Whether the object in the workspace has just this content already, or must be looked at first to know. What differs
/// then are the versions of its parts only, and no write follows from that.
fn says_so(step: &mut Step<'_>, entry: &mut ReturnedKnown, made: &Value) -> bool {
    if entry.at.is_none() {
        return false;
    }
    let Some(have) = step.seen.of(&entry.object).body() else {
        entry.dirty = true;
        step.look(&entry.object, Depth::Body);
        return true;
    };
    let mut made = made.clone();
    drop_nulls(&mut made);
    let (mut have, made) = (content(have), content(&made));
    // What a server adds by itself stays.
    have.retain(|field, _| made.contains_key(field) || field != "type");
    if have != made {
        return false;
    }
    entry.dirty = false;
    true
}

/// An object of the service cluster, as it is; `None`: ask first.
fn copied(step: &mut Step<'_>, entry: &ReturnedKnown, keys: &[String]) -> Option<Option<Value>> {
    let source = entry.reads.first()?;
    match step.seen.of(&source.object) {
        _ if source.known == Some(None) => Some(None),
        Sight::There(object) => {
            let mut content = content(object);
            keep_keys(&mut content, keys);
            Some(Some(Value::Object(content)))
        }
        _ => {
            step.look(&source.object, Depth::Body);
            None
        }
    }
}

/// What a function makes, and what it looked at; `None`: ask first.
fn composed(
    step: &mut Step<'_>,
    entry: &ReturnedKnown,
    rule: &Returns,
    origin: Option<&Value>,
    copy: Option<&Value>,
) -> Option<(Option<Value>, Vec<Part>)> {
    let How::Composed(compose) = &rule.how else {
        return None;
    };
    // A function that does not look at the order does not need it.
    let key = step.key;
    let stand_in = json!({"metadata": {"name": key.name, "namespace": key.namespace}});
    let mut sources = Sources::new(origin.cloned().unwrap_or(stand_in), copy.cloned());
    for ((read, _), known) in rule.reads.iter().zip(&entry.reads) {
        sources = sources.with_read(read.clone(), step.seen.of(&known.object).body().cloned());
    }
    let taken: Vec<_> = step
        .record
        .taken
        .iter()
        .filter(|it| !it.dropped)
        .cloned()
        .collect();
    for entry in &taken {
        sources = sources.with_taken(&entry.path, step.seen.of(&entry.origin).body().cloned());
    }
    let made = compose(&sources);
    let parts = sources.used();
    let mut missing = Vec::new();
    for part in &parts {
        match part {
            Part::Origin | Part::Status if origin.is_none() => {
                missing.push(step.publication.origin(step.key));
            }
            Part::Origin | Part::Status => {}
            Part::Copy if copy.is_none() => missing.extend(step.copy_ref().ok()),
            Part::Copy => {}
            Part::Read(at) => {
                let read = &entry.reads[*at];
                if read.known != Some(None) && step.seen.of(&read.object).body().is_none() {
                    missing.push(read.object.clone());
                }
            }
            Part::Taken(at) => {
                let taken = &taken[*at];
                if taken.seen.is_some() && step.seen.of(&taken.origin).body().is_none() {
                    missing.push(taken.origin.clone());
                }
            }
        }
    }
    if missing.is_empty() {
        return Some((made, parts));
    }
    for object in missing {
        step.look(&object, Depth::Body);
    }
    None
}

fn write(step: &mut Step<'_>, entry: &mut ReturnedKnown, maker: Maker<'_>, made: Value) {
    let mut made = made;
    drop_nulls(&mut made);
    let content = content(&made);
    let mark = made_of(&entry.parts, entry.made_of.as_deref().unwrap_or_default());
    let id = entry.id.clone();
    entry.dirty = true;
    match &entry.at {
        None => {
            let mut labels = texts(&made["metadata"]["labels"]);
            labels.insert(
                names::AGENT.into(),
                json!(step.publication.agent().as_str()),
            );
            let mut annotations = texts(&made["metadata"]["annotations"]);
            annotations.insert(names::ORDER.into(), json!(order(step, &entry.object)));
            if let Maker::Found(rule) = maker {
                labels.extend(rule.labels.iter().map(|(k, v)| (k.clone(), json!(v))));
                annotations.insert(names::FOUND_BY.into(), json!(rule.id));
                annotations.insert(names::FOUND_FOR.into(), json!(find::found_for(step)));
            }
            annotations.insert(names::MADE_OF.into(), json!(mark));
            let mut metadata = json!({
                "name": entry.object.name,
                "labels": labels,
                "annotations": annotations,
            });
            if !entry.object.namespace.is_empty() {
                metadata["namespace"] = json!(entry.object.namespace);
            }
            let body = assemble(&entry.object.kind, metadata, content);
            step.push(
                Deed::Return(id),
                entry.object.clone(),
                Verb::Create,
                body,
                "what it is made of is there",
            );
        }
        Some(at) => {
            let mut patch = vec![json!({"op": "test", "path": "/metadata/uid", "value": at.uid})];
            let have = step.seen.of(&entry.object).body();
            for (field, value) in &content {
                if have.is_none_or(|have| have.get(field) != Some(value)) {
                    patch.push(
                        json!({"op": "add", "path": format!("/{}", escape(field)), "value": value}),
                    );
                }
            }
            for field in have.map(crate::related::content).unwrap_or_default().keys() {
                // What a server adds by itself, as the type of a Secret, stays.
                if !content.contains_key(field) && field != "type" {
                    patch.push(json!({"op": "remove", "path": format!("/{}", escape(field))}));
                }
            }
            let annotation = format!("/metadata/annotations/{}", escape(names::MADE_OF));
            patch.push(json!({"op": "add", "path": annotation, "value": mark}));
            let verb = Verb::JsonPatch { subresource: None };
            step.push(
                Deed::Update(id),
                entry.object.clone(),
                verb,
                Value::Array(patch),
                "what it was made of changed",
            );
        }
    }
}

fn texts(value: &Value) -> Map<String, Value> {
    let mut map = value.as_object().cloned().unwrap_or_default();
    map.retain(|key, value| value.is_string() && !key.starts_with(names::PREFIX));
    map
}

fn escape(field: &str) -> String {
    field.replace('~', "~0").replace('/', "~1")
}

/// Brings the original's status along; says whether the original is in hand.
fn bring_status(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    let (Some(source), Some(at)) = (entry.reads.first(), entry.at.clone()) else {
        return true;
    };
    match step.seen.of(&source.object) {
        _ if source.known == Some(None) => true,
        Sight::There(original) => {
            forward::forward(
                step,
                &entry.id,
                &entry.object,
                &at,
                &mut entry.status,
                original,
            );
            true
        }
        _ => {
            step.look(&source.object, Depth::Body);
            false
        }
    }
}
