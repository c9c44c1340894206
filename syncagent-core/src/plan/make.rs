//! The content of an object that comes up: copied, or composed by a function; made anew only when it must be.

use serde_json::{Map, Value, json};

use super::carry::{self, Carried, Load};
use super::compose::{composed, versions};
use super::drift;
use super::effect::{Deed, Verb};
use super::find;
use super::forward;
use super::hold::has_namespace;
use super::record::ReturnedKnown;
use super::returned::{Maker, order};
use super::seen::{Depth, Sight};
use super::step::Step;
use crate::definition::Part;
use crate::names;
use crate::object::reference::Known;
use crate::object::{annotation, drop_nulls};
use crate::related::{How, assemble, content, made_of};

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
        && entry.status.is_due()
        && entry.at.is_some()
        && !bring_status(step, entry)
    {
        return;
    }
    let current = versions(step, &entry.reads, &entry.parts);
    if let Some((at, message)) = entry.refused.clone() {
        if entry.made_of.as_ref() == Some(&current) && at == current {
            step.refused.push(format!(
                "the workspace does not take a {}",
                entry.object.kind.kind
            ));
            step.trouble("Invalid", message);
            return;
        }
        entry.refused = None;
    }
    if let Some(at) = entry.at.as_ref().filter(|_| entry.recreate) {
        step.push(
            Deed::Unreturn(entry.id.clone()),
            entry.object.clone(),
            Verb::Delete,
            json!({"preconditions": {"uid": at.uid}}),
            "a field of it cannot be changed, so it is made anew",
        );
        return;
    }
    if entry.made_of.as_ref() == Some(&current) && !entry.dirty {
        if entry.at.is_none() {
            step.waiting.push(format!(
                "the {} to return cannot be made yet",
                entry.object.kind.kind
            ));
        }
        return;
    }
    let compose = match maker {
        Maker::Rule(rule) => match &rule.how {
            How::Composed(compose) => Some((*compose, &rule.reads[..])),
            How::Copied(_) => None,
        },
        Maker::Found(_) => None,
    };
    let (made, parts) = match compose {
        Some((compose, rules)) => {
            let Some(made) = composed(step, (rules, &entry.reads), compose, origin, copy) else {
                return;
            };
            made
        }
        None => match copied(step, entry, maker) {
            Some(Ok(made)) => (made, vec![Part::Read(0)]),
            Some(Err(message)) => {
                step.trouble("Invalid", message.clone());
                step.refused.push(message);
                return;
            }
            None => return,
        },
    };
    let before = (entry.made_of.take(), std::mem::take(&mut entry.parts));
    entry.made_of = Some(versions(step, &entry.reads, &parts));
    entry.parts = parts;
    match made {
        Some(object)
            if matches!(maker, Maker::Found(_))
                && step.publication.follows_go_agent()
                && let Some(at) = entry.at.clone() =>
        {
            let unmarked = before.0.is_none();
            if !carry_on(step, entry, maker, (&object, unmarked), &at) {
                (entry.made_of, entry.parts) = before;
            }
        }
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

/// What comes up of an object of the service cluster; `None`: ask first.
fn copied(
    step: &mut Step<'_>,
    entry: &ReturnedKnown,
    maker: Maker<'_>,
) -> Option<Result<Option<Value>, String>> {
    let source = entry.reads.first()?;
    let object = match step.seen.of(&source.object) {
        _ if source.known == Some(None) => return Some(Ok(None)),
        Sight::There(object) => object,
        _ => {
            step.look(&source.object, Depth::Body);
            return None;
        }
    };
    let made = match maker {
        Maker::Found(rule) => {
            let beside = find::beside(step, rule, &entry.object, entry.at.is_some(), object)?;
            rule.crossing(object, &beside).map(|crossing| {
                let mut made = crossing.content;
                let marks = crossing.marks;
                let metadata = json!({"labels": marks.labels, "annotations": marks.annotations});
                made.insert("metadata".into(), metadata);
                made
            })
        }
        Maker::Rule(rule) => Ok(match &rule.how {
            How::Copied(keys) => rule.copied(object, keys),
            How::Composed(_) => Map::new(),
        }),
    };
    Some(made.map(|it| Some(Value::Object(it))))
}

/// Brings up what changed, where that is remembered leaf by leaf; says whether all of it is known.
fn carry_on(
    step: &mut Step<'_>,
    entry: &mut ReturnedKnown,
    maker: Maker<'_>,
    (wanted, unmarked): (&Value, bool),
    at: &Known,
) -> bool {
    let Some(source) = entry.reads.first().map(|it| it.object.clone()) else {
        return true;
    };
    if let Maker::Found(rule) = maker
        && rule.status
    {
        bring_status(step, entry);
    }
    let load = Load {
        origin: &source,
        copy: &entry.object,
        wanted,
        before: entry.leaves.as_ref(),
        unmarked,
    };
    match carry::carry(step, &load) {
        Carried::Asked => return false,
        Carried::Settled(leaves) => {
            entry.leaves = Some(leaves);
            entry.dirty = false;
        }
        Carried::Patch(mut patch) => {
            let marks = marks(step, entry, maker);
            carry::mark(&mut patch, &marks, &at.uid);
            entry.dirty = true;
            step.push(
                Deed::Update(entry.id.clone()),
                entry.object.clone(),
                Verb::MergePatch,
                patch,
                "what it was made of changed",
            );
        }
    }
    true
}

/// What says whose a returned object is, and what it is made of.
fn marks(step: &Step<'_>, entry: &ReturnedKnown, maker: Maker<'_>) -> Value {
    let mut annotations = json!({
        names::ORDER: order(step, &entry.object),
        names::MADE_OF: made_of(&entry.parts, entry.made_of.as_deref().unwrap_or_default()),
    });
    if let Maker::Found(rule) = maker {
        annotations[names::FOUND_BY] = json!(rule.id);
        annotations[names::FOUND_FOR] = json!(find::found_for(step));
    }
    json!({
        "labels": {names::AGENT: step.publication.agent().as_str()},
        "annotations": annotations,
    })
}

fn write(step: &mut Step<'_>, entry: &mut ReturnedKnown, maker: Maker<'_>, made: Value) {
    let mut made = made;
    drop_nulls(&mut made);
    let content = content(&made);
    let fields = drift::fields(&content);
    let mark = made_of(&entry.parts, entry.made_of.as_deref().unwrap_or_default());
    let id = entry.id.clone();
    entry.dirty = true;
    match &entry.at {
        None if !has_namespace(step, &entry.object) => {}
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
            if let Some(fields) = fields {
                annotations.insert(names::FIELDS.into(), json!(fields));
            }
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
            if let Maker::Found(_) = maker {
                // What the original has no more stays: nobody knows whose it is.
                for field in ["labels", "annotations"] {
                    for (key, value) in texts(&made["metadata"][field]) {
                        if have.is_none_or(|have| have["metadata"][field][&key] != value) {
                            let path = format!("/metadata/{field}/{}", escape(&key));
                            patch.push(json!({"op": "add", "path": path, "value": value}));
                        }
                    }
                }
            }
            let annotation = format!("/metadata/annotations/{}", escape(names::MADE_OF));
            patch.push(json!({"op": "add", "path": annotation, "value": mark}));
            // Fewer or other names than before are told too; too many are an empty list.
            let annotation = format!("/metadata/annotations/{}", escape(names::FIELDS));
            let fields = fields.unwrap_or_else(|| "[]".to_owned());
            patch.push(json!({"op": "add", "path": annotation, "value": fields}));
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
