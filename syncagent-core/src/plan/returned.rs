//! What comes up into the workspace with an order: objects of the service cluster as they are, or composed ones.
//!
//! A composed object is made anew only when a part that its function looked at has another version. The parts and a
//! fingerprint of their versions stand on the object, so a restart compares metadata only.
//! What a function looks at is fetched as it is found out: a run that meets a part that is not in hand is a question.

use serde_json::{Map, Value, json};

use super::effect::{Deed, Verb};
use super::hold::remove_finalizer;
use super::key::{ObjectRef, Place};
use super::locate::name_of;
use super::record::{ReadKnown, ReturnedKnown};
use super::seen::{Depth, Question, Sight};
use super::step::{Step, known_of};
use crate::definition::{Compose, Part, Scope, Sources};
use crate::names;
use crate::object::fingerprint::Fingerprint;
use crate::object::{annotation, drop_nulls, finalizers, is_deleting, is_older, label, version};
use crate::related::{How, Returns, assemble, content, made_of, read_made_of};

pub(super) fn returned(step: &mut Step<'_>, origin: Option<&Value>, copy: Option<&Value>) {
    resolve(step);
    // Without a copy there is nothing that could come from it.
    let ready = step.record.copy.as_ref().is_some_and(|it| !it.deleting);
    let mut entries = std::mem::take(&mut step.record.returned);
    for (entry, rule) in entries.iter_mut().zip(step.publication.returns()) {
        step.concern(&entry.object);
        for read in &entry.reads {
            step.concern(&read.object);
        }
        if ready && learn(step, entry) {
            make(step, entry, rule, origin, copy);
        }
    }
    step.record.returned = entries;
}

/// Fills in what the rules name, once.
pub(super) fn resolve(step: &mut Step<'_>) {
    let rules = step.publication.returns();
    if step.record.returned.len() == rules.len() {
        return;
    }
    let Ok(copy) = step.copy_ref() else {
        return;
    };
    let copy = name_of(&copy);
    step.record.returned = rules
        .iter()
        .map(|rule| {
            let namespace = |scope, namespace: &str| match scope {
                Scope::Namespaced => namespace.to_owned(),
                Scope::Cluster => String::new(),
            };
            let reads = rule.reads.iter().zip(rule.read_names(&copy));
            ReturnedKnown {
                id: rule.id.clone(),
                object: ObjectRef {
                    place: step.key.workspace(),
                    kind: rule.kind.clone(),
                    namespace: namespace(rule.kind.scope, &step.key.namespace),
                    name: rule.name_of(&step.key.name),
                },
                reads: reads
                    .map(|((read, _), name)| ReadKnown {
                        object: ObjectRef {
                            place: Place::Service,
                            kind: read.kind.clone(),
                            namespace: namespace(read.kind.scope, &copy.namespace),
                            name,
                        },
                        known: None,
                    })
                    .collect(),
                at: None,
                looked: false,
                foreign: false,
                parts: Vec::new(),
                made_of: None,
                content: None,
                dirty: false,
            }
        })
        .collect();
}

/// Whether an object of the workspace is what this order returned.
fn is_ours(step: &Step<'_>, object: &Value) -> bool {
    label(object, names::AGENT) == step.publication.agent().as_str()
        && annotation(object, names::ORDER) == Some(&order(step))
}

fn order(step: &Step<'_>) -> String {
    format!("{}/{}", step.publication.id(), step.key.name)
}

/// Takes note of the object and of what it is made of; says whether all of it is known.
fn learn(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    let kind = entry.object.kind.kind.clone();
    let name = entry.object.name.clone();
    match step.seen.of(&entry.object) {
        Sight::Absent => {
            // A consumer may delete it, or what they put in its place; it comes again.
            entry.dirty |= entry.at.is_some() || entry.foreign;
            entry.at = None;
            entry.looked = true;
            entry.foreign = false;
        }
        Sight::There(object) | Sight::Outline(object)
            if entry
                .at
                .as_ref()
                .is_some_and(|it| is_older(version(object), &it.version)) => {}
        Sight::There(object) | Sight::Outline(object) => {
            entry.looked = true;
            entry.foreign = !is_ours(step, object);
            if entry.foreign {
                entry.at = None;
                taken_name(step, entry);
                return false;
            }
            if is_deleting(object) {
                let_go(step, entry, object);
                step.waiting
                    .push(format!("a returned {kind} is being deleted"));
                return false;
            }
            let now = known_of(object);
            let body = step.seen.of(&entry.object).body();
            if entry.at.is_none() {
                let said = annotation(object, names::MADE_OF).and_then(read_made_of);
                (entry.parts, entry.made_of) = match said {
                    Some((parts, print)) => (parts, Some(print)),
                    None => (Vec::new(), None),
                };
            } else if entry.at.as_ref() != Some(&now) && entry.content.is_none() {
                // Since a restart nobody knows what was in it: make it anew.
                entry.dirty = true;
            } else if entry.at.as_ref() != Some(&now) {
                let Some(body) = body else {
                    step.look(&entry.object, Depth::Body);
                    return false;
                };
                let same = entry.content == Some(print(&content(body)))
                    && annotation(body, names::MADE_OF)
                        .and_then(read_made_of)
                        .map(|it| it.1)
                        == entry.made_of;
                entry.dirty |= !same;
            }
            entry.at = Some(now);
        }
        Sight::Doubt => {
            step.look(&entry.object, Depth::Body);
            return false;
        }
        Sight::Barred => {
            step.trouble(
                "NotAllowed",
                format!(
                    "the {kind} {name:?} may not be made: accept the claim for it in the binding"
                ),
            );
            step.refused
                .push(format!("a {kind} may not be written in the workspace"));
            return false;
        }
        Sight::Unseen if !entry.looked => {
            step.look(&entry.object, Depth::Outline);
            return false;
        }
        Sight::Unseen if entry.foreign => {
            taken_name(step, entry);
            return false;
        }
        Sight::Unseen => {}
    }
    learn_reads(step, entry)
}

/// Somebody else's object has the name of a returned one.
fn taken_name(step: &mut Step<'_>, entry: &ReturnedKnown) {
    let (kind, name) = (&entry.object.kind.kind, &entry.object.name);
    let message =
        format!("there is a {kind} {name:?} already; the one of this order cannot be made");
    step.trouble("NameTaken", message);
    step.refused.push(format!(
        "a {kind} of the consumer has the name of a returned one"
    ));
}

fn learn_reads(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    let mut all = true;
    for read in &mut entry.reads {
        match step.seen.of(&read.object) {
            Sight::There(object) | Sight::Outline(object) => {
                let known = read.known.as_ref().and_then(Option::as_ref);
                if !known.is_some_and(|it| {
                    it.uid == crate::object::uid(object) && is_older(version(object), &it.version)
                }) {
                    read.known = Some(Some(known_of(object)));
                }
            }
            Sight::Absent => read.known = Some(None),
            Sight::Barred => {
                read.known = Some(None);
                step.refused.push(format!(
                    "a {} may not be read on the service cluster",
                    read.object.kind.kind
                ));
            }
            Sight::Doubt => {
                step.look(&read.object, Depth::Body);
                all = false;
            }
            Sight::Unseen if read.known.is_none() => {
                step.look(&read.object, Depth::Outline);
                all = false;
            }
            Sight::Unseen => {}
        }
    }
    all
}

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

fn make(
    step: &mut Step<'_>,
    entry: &mut ReturnedKnown,
    rule: &Returns,
    origin: Option<&Value>,
    copy: Option<&Value>,
) {
    // The versions that it was made of must be known, and not change under our hands.
    if !step.effects.is_empty() || !step.questions.is_empty() {
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
    let (made, parts) = match &rule.how {
        How::Copied(keys) => {
            let Some(made) = copied(step, entry, rule, keys) else {
                return;
            };
            (made, vec![Part::Read(0)])
        }
        How::Composed(compose) => {
            let Some(made) = composed(step, entry, rule, *compose, origin, copy) else {
                return;
            };
            made
        }
    };
    entry.made_of = Some(versions(step, entry, &parts));
    entry.parts = parts;
    match made {
        Some(object) if has_returned_part(step, &entry.parts) && says_so(step, entry, &object) => {}
        Some(object) => write(step, entry, object),
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
fn copied(
    step: &mut Step<'_>,
    entry: &ReturnedKnown,
    rule: &Returns,
    keys: &[String],
) -> Option<Option<Value>> {
    let source = &entry.reads[0];
    match step.seen.of(&source.object) {
        Sight::There(object) => Some(Some(Value::Object(rule.copied(object, keys)))),
        _ if source.known == Some(None) => Some(None),
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
    compose: Compose,
    origin: Option<&Value>,
    copy: Option<&Value>,
) -> Option<(Option<Value>, Vec<Part>)> {
    let Some(origin) = origin else {
        step.look(&step.publication.origin(step.key), Depth::Body);
        return None;
    };
    let mut sources = Sources::new(origin.clone(), copy.cloned());
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

fn write(step: &mut Step<'_>, entry: &mut ReturnedKnown, made: Value) {
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
            annotations.insert(names::ORDER.into(), json!(order(step)));
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

/// The fingerprint of content.
pub(super) fn print(content: &Map<String, Value>) -> Fingerprint {
    Fingerprint::of(&Value::Object(content.clone()))
}

/// Takes our finalizer off a returned object that is being deleted: an order that took it down may have left it there, for
/// this order cared about the object. Says whether nothing is left to do.
fn let_go(step: &mut Step<'_>, entry: &ReturnedKnown, object: &Value) -> bool {
    let finalizer = step.publication.agent().finalizer();
    let have = finalizers(object);
    let doing = |it: &super::effect::Effect| it.request.object == entry.object;
    if !have.contains(&finalizer) || step.effects.iter().any(doing) {
        return true;
    }
    match step.seen.used_by_others(&entry.object) {
        None => {
            step.ask(Question::Users {
                object: entry.object.clone(),
            });
            false
        }
        // Who takes it down lets it go, too.
        Some(true) => true,
        Some(false) => {
            let body = remove_finalizer(crate::object::uid(object), &have, &finalizer);
            step.push(
                Deed::ReleaseTaken(entry.id.clone()),
                entry.object.clone(),
                Verb::JsonPatch { subresource: None },
                body,
                "a returned object is being deleted, and nobody takes it down",
            );
            false
        }
    }
}

/// Takes an object out of the workspace again; says whether nothing is left to do.
pub(super) fn withdraw(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    match step.seen.of(&entry.object) {
        Sight::There(object) | Sight::Outline(object) => {
            entry.looked = true;
            let ours = is_ours(step, object);
            entry.at = (ours && !is_deleting(object)).then(|| known_of(object));
            if ours && is_deleting(object) && !let_go(step, entry, object) {
                return false;
            }
        }
        Sight::Absent | Sight::Barred => {
            entry.looked = true;
            entry.at = None;
        }
        Sight::Doubt => {
            step.look(&entry.object, Depth::Body);
            return false;
        }
        Sight::Unseen if !entry.looked => {
            step.look(&entry.object, Depth::Outline);
            return false;
        }
        Sight::Unseen => {}
    }
    let Some(at) = &entry.at else { return true };
    let body = json!({"preconditions": {"uid": at.uid}});
    step.push(
        Deed::Unreturn(entry.id.clone()),
        entry.object.clone(),
        Verb::Delete,
        body,
        "the order does not bring it up any more",
    );
    false
}
