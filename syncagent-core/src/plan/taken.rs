//! What an order takes down with it: objects of the consumer, held there, copied beside the copy.
//!
//! A copy never takes the name of something that exists without our marks. Its marks name the uid and the version of the
//! consumer's object, never a hash of its data; so a restart compares metadata only. An object that vanishes leaves its copy
//! where it is, for the service may need it, and the order says so.

use serde_json::{Value, json};

use super::drift;
use super::effect::{Deed, Verb};
use super::hold::{add_finalizer, ensure_namespace, remove_finalizer};
use super::key::{ObjectRef, Place};
use super::record::{Known, TakenKnown};
use super::seen::{Depth, Question, Sight};
use super::step::{Step, known_of};
use crate::definition::Deletion;
use crate::names;
use crate::object::identity::{Identity, Standing};
use crate::object::{self, annotation, finalizers, is_deleting, is_older, version};
use crate::projection::Intent;
use crate::related::{TakenName, assemble, content};

pub(super) fn taken(step: &mut Step<'_>, intent: Option<&Intent>, copy: Option<&Value>) {
    if let Some(intent) = intent {
        if let Some(copy) = copy.filter(|_| step.record.taken.is_empty()) {
            // After a restart: what the order named before, it may not name any more.
            let before = step.publication.projection().taken_of_copy(copy);
            resolve(step, &before, object::meta(copy, "namespace"));
        }
        let namespace = object::meta(&intent.object, "namespace");
        resolve(step, &intent.taken, namespace);
    }
    let mut kept = Vec::new();
    for mut entry in std::mem::take(&mut step.record.taken) {
        if entry.dropped {
            if !let_go(step, &mut entry) {
                kept.push(entry);
            }
        } else {
            step.concern(&entry.origin);
            step.concern(&entry.copy);
            take(step, &mut entry);
            kept.push(entry);
        }
    }
    step.record.taken = kept;
}

/// Matches what the order names with what is remembered.
pub(super) fn resolve(step: &mut Step<'_>, names: &[TakenName], namespace: &str) {
    for entry in &mut step.record.taken {
        entry.dropped = true;
    }
    for name in names {
        let at = |place, namespace: &str, called: &str| ObjectRef {
            place,
            kind: name.kind.clone(),
            namespace: namespace.to_owned(),
            name: called.to_owned(),
        };
        let origin = at(step.key.workspace(), &step.key.namespace, &name.name);
        let copy = at(Place::Service, namespace, &name.copy);
        let known = step
            .record
            .taken
            .iter_mut()
            .find(|it| it.origin == origin && it.copy == copy);
        match known {
            Some(known) => known.dropped = false,
            None => step.record.taken.push(TakenKnown {
                path: name.path.clone(),
                origin,
                copy,
                seen: None,
                from: None,
                finalizers: Vec::new(),
                to: None,
                entry: None,
                looked_origin: false,
                looked_copy: false,
                foreign: false,
                refused: None,
                dropped: false,
            }),
        }
    }
}

fn identity(entry: &TakenKnown) -> Identity {
    Identity {
        cluster: match &entry.origin.place {
            Place::Workspace(cluster) => cluster.clone(),
            Place::Service => String::new(),
        },
        namespace: entry.origin.namespace.clone(),
        name: entry.origin.name.clone(),
    }
}

/// What the look at a copy of a taken object comes to.
enum Copy {
    Known { drifted: bool },
    Foreign,
    Asked,
}

fn learn_copy(step: &mut Step<'_>, entry: &mut TakenKnown) -> Copy {
    let mut drifted = false;
    match step.seen.of(&entry.copy) {
        Sight::There(copy) | Sight::Outline(copy) => {
            let stale = entry
                .to
                .as_ref()
                .is_some_and(|it| is_older(version(copy), &it.version));
            if !stale {
                entry.looked_copy = true;
                let standing = identity(entry).standing(step.publication.agent().as_str(), copy);
                let from = annotation(copy, names::RELATED_UID)
                    .zip(annotation(copy, names::RELATED_VERSION));
                let (Standing::Ours, Some((uid, version))) = (standing, from) else {
                    entry.to = None;
                    entry.foreign = true;
                    return Copy::Foreign;
                };
                entry.foreign = false;
                let print = drift::print(copy, &step.manager());
                drifted = entry.entry.is_some() && print.is_some() && print != entry.entry;
                entry.entry = entry.entry.or(print);
                entry.to = Some(known_of(copy));
                entry.from = Some(Known {
                    uid: uid.to_owned(),
                    version: version.to_owned(),
                });
                if is_deleting(copy) {
                    step.waiting.push(format!(
                        "a copied {} is being deleted",
                        entry.copy.kind.kind
                    ));
                    return Copy::Asked;
                }
            }
        }
        Sight::Absent => {
            entry.looked_copy = true;
            entry.foreign = false;
            entry.to = None;
        }
        Sight::Doubt => {
            step.look(&entry.copy, Depth::Body);
            return Copy::Asked;
        }
        Sight::Barred => step
            .refused
            .push(format!("a copied {} cannot be read", entry.copy.kind.kind)),
        // At the first look after a restart, a copy that exists says what it was made from.
        Sight::Unseen if !entry.looked_copy && step.record.copy.is_some() => {
            step.look(&entry.copy, Depth::Outline);
            return Copy::Asked;
        }
        Sight::Unseen if entry.foreign => return Copy::Foreign,
        Sight::Unseen => {}
    }
    Copy::Known { drifted }
}

fn take(step: &mut Step<'_>, entry: &mut TakenKnown) {
    let kind = entry.origin.kind.kind.clone();
    let name = entry.origin.name.clone();
    let drifted = match learn_copy(step, entry) {
        Copy::Known { drifted } => drifted,
        Copy::Asked => return,
        Copy::Foreign => {
            step.trouble(
                "NameTaken",
                format!("the service has something else in the place of the {kind} {name:?}"),
            );
            step.refused.push(format!(
                "the copy of a {kind} would take the place of another object"
            ));
            release_deleted(step, entry);
            return;
        }
    };
    let current = |entry: &TakenKnown, object: &Value| {
        entry.to.is_some() && !drifted && entry.from.as_ref() == Some(&known_of(object))
    };
    match step.seen.of(&entry.origin) {
        Sight::Unseen if !entry.looked_origin => {
            let depth = if entry.to.is_some() {
                Depth::Outline
            } else {
                Depth::Body
            };
            step.look(&entry.origin, depth);
        }
        Sight::Unseen => match entry.seen.clone() {
            None => vanished(step, entry),
            Some(seen) if entry.to.is_some() && !drifted && entry.from.as_ref() == Some(&seen) => {}
            Some(seen) if entry.refused.as_ref().is_some_and(|(at, _)| *at == seen) => {
                say_refused(step, entry);
            }
            Some(_) => step.look(&entry.origin, Depth::Body),
        },
        Sight::Doubt => step.look(&entry.origin, Depth::Body),
        Sight::Absent => {
            entry.looked_origin = true;
            entry.seen = None;
            entry.finalizers.clear();
            vanished(step, entry);
        }
        Sight::Barred => {
            step.trouble(
                "NotAllowed",
                format!(
                    "the {kind} {name:?} may not be read: accept the claim for it in the binding"
                ),
            );
            step.refused
                .push(format!("a {kind} may not be read in the workspace"));
        }
        Sight::Outline(object) => {
            let stale = entry
                .seen
                .as_ref()
                .is_some_and(|it| is_older(version(object), &it.version));
            entry.looked_origin = true;
            if !stale {
                entry.seen = Some(known_of(object));
                entry.finalizers = finalizers(object);
            }
            let held = entry
                .finalizers
                .contains(&step.publication.agent().finalizer());
            let (deleting, settled) = (is_deleting(object), held && current(entry, object));
            if (deleting && held) || (!deleting && !settled) {
                step.look(&entry.origin, Depth::Body);
            } else if deleting {
                entry.seen = None;
                vanished(step, entry);
            }
        }
        Sight::There(object) => take_body(step, entry, object, drifted),
    }
}

fn take_body(step: &mut Step<'_>, entry: &mut TakenKnown, object: &Value, drifted: bool) {
    let finalizer = step.publication.agent().finalizer();
    let known = known_of(object);
    entry.looked_origin = true;
    entry.seen = Some(known.clone());
    entry.finalizers = finalizers(object);
    let held = entry.finalizers.contains(&finalizer);
    let patch = Verb::JsonPatch { subresource: None };
    if is_deleting(object) {
        if held {
            let body = remove_finalizer(&known.uid, &entry.finalizers, &finalizer);
            step.push(
                Deed::ReleaseTaken(entry.path.clone()),
                entry.origin.clone(),
                patch,
                body,
                "it is being deleted, and its copy stays",
            );
        }
        // It counts as gone: what comes under its name is another one.
        entry.seen = None;
        vanished(step, entry);
        return;
    }
    if entry.refused.as_ref().is_some_and(|(at, _)| *at != known) {
        entry.refused = None;
    }
    if !held {
        // Its answer brings the version that the copy is marked with.
        let body = add_finalizer(&known.uid, &entry.finalizers, &finalizer);
        step.push(
            Deed::HoldTaken(entry.path.clone()),
            entry.origin.clone(),
            patch,
            body,
            "nothing is taken before it is held",
        );
        return;
    }
    if entry.refused.is_some() {
        say_refused(step, entry);
        return;
    }
    if entry.to.is_some() && !drifted && entry.from.as_ref() == Some(&known) {
        return;
    }
    let mut body = body(step, entry, object);
    match &entry.to {
        None => {
            if !ensure_namespace(step, &entry.copy.namespace) {
                return;
            }
            body["metadata"]["resourceVersion"] = json!("1");
            step.push(
                Deed::Take(entry.path.clone()),
                entry.copy.clone(),
                Verb::Apply { force: false },
                body,
                "the order names it",
            );
        }
        Some(to) => {
            body["metadata"]["uid"] = json!(to.uid);
            step.push(
                Deed::Retake(entry.path.clone()),
                entry.copy.clone(),
                Verb::Apply { force: true },
                body,
                if drifted {
                    "somebody changed the copy"
                } else {
                    "the consumer changed it"
                },
            );
        }
    }
}

/// A consumer's object that is not copied, for another one is in its copy's place, may still go.
fn release_deleted(step: &mut Step<'_>, entry: &mut TakenKnown) {
    let Some(object) = step.seen.of(&entry.origin).outline() else {
        return;
    };
    let finalizer = step.publication.agent().finalizer();
    let have = finalizers(object);
    if is_deleting(object) && have.contains(&finalizer) {
        let body = remove_finalizer(object::uid(object), &have, &finalizer);
        let verb = Verb::JsonPatch { subresource: None };
        let deed = Deed::ReleaseTaken(entry.path.clone());
        step.push(
            deed,
            entry.origin.clone(),
            verb,
            body,
            "it is being deleted, and was not copied",
        );
        entry.seen = None;
    }
}

fn body(step: &Step<'_>, entry: &TakenKnown, object: &Value) -> Value {
    let identity = identity(entry);
    let known = known_of(object);
    let mut labels = identity.labels(step.publication.agent().as_str());
    let rules = step.publication.projection().takes.iter();
    for (key, value) in rules
        .filter(|it| it.path == entry.path)
        .flat_map(|it| &it.labels)
    {
        labels.entry(key.clone()).or_insert_with(|| json!(value));
    }
    let mut annotations = identity.annotations();
    annotations.insert(names::RELATED_UID.into(), json!(known.uid));
    annotations.insert(names::RELATED_VERSION.into(), json!(known.version));
    let metadata = json!({
        "name": entry.copy.name,
        "namespace": entry.copy.namespace,
        "labels": labels,
        "annotations": annotations,
    });
    assemble(&entry.copy.kind, metadata, content(object))
}

fn vanished(step: &mut Step<'_>, entry: &TakenKnown) {
    let (kind, name) = (&entry.origin.kind.kind, &entry.origin.name);
    step.waiting
        .push(format!("waiting for a {kind} of the consumer"));
    step.troubles.push((
        format!("WaitingFor{kind}"),
        format!("waiting for the {kind} {name:?}"),
    ));
}

fn say_refused(step: &mut Step<'_>, entry: &TakenKnown) {
    if let Some((_, message)) = &entry.refused {
        step.trouble("Invalid", message.clone());
    }
}

/// Lets go of an object that is not taken any more; says whether nothing is left to do.
pub(super) fn let_go(step: &mut Step<'_>, entry: &mut TakenKnown) -> bool {
    let copy_done = drop_copy(step, entry);
    // The consumer's object is held until its copy is gone.
    copy_done && drop_hold(step, entry)
}

fn drop_copy(step: &mut Step<'_>, entry: &mut TakenKnown) -> bool {
    match step.seen.of(&entry.copy) {
        Sight::There(copy) | Sight::Outline(copy) => {
            let ours = identity(entry).standing(step.publication.agent().as_str(), copy)
                == Standing::Ours
                && annotation(copy, names::RELATED_UID).is_some();
            entry.looked_copy = true;
            entry.to = (ours && !is_deleting(copy)).then(|| known_of(copy));
        }
        Sight::Absent => {
            entry.looked_copy = true;
            entry.to = None;
        }
        Sight::Doubt => {
            step.look(&entry.copy, Depth::Body);
            return false;
        }
        Sight::Unseen if !entry.looked_copy && entry.to.is_none() => {
            step.look(&entry.copy, Depth::Outline);
            return false;
        }
        Sight::Unseen | Sight::Barred => {}
    }
    let Some(to) = &entry.to else { return true };
    match step.seen.used_by_others(&entry.copy) {
        None => {
            step.ask(Question::Users {
                object: entry.copy.clone(),
            });
            false
        }
        Some(true) => true,
        // It says itself how its copy is deleted; a metadata watch answers without a request.
        Some(false) if *step.seen.of(&entry.origin) == Sight::Unseen => {
            step.look(&entry.origin, Depth::Outline);
            false
        }
        Some(false) => {
            let origin = step.seen.of(&entry.origin).outline();
            let asked = origin.and_then(Deletion::asked);
            let body = step.delete_options(&to.uid, asked, Deletion::Background);
            step.push(
                Deed::Untake(entry.path.clone()),
                entry.copy.clone(),
                Verb::Delete,
                body,
                "no order needs it any more",
            );
            false
        }
    }
}

fn drop_hold(step: &mut Step<'_>, entry: &mut TakenKnown) -> bool {
    match step.seen.of(&entry.origin) {
        Sight::There(object) | Sight::Outline(object) => {
            entry.looked_origin = true;
            entry.seen = Some(known_of(object));
            entry.finalizers = finalizers(object);
        }
        Sight::Absent => {
            entry.seen = None;
            entry.finalizers.clear();
        }
        // Without permission there is nothing that can be done, and nothing that must be.
        Sight::Barred => entry.finalizers.clear(),
        Sight::Doubt => {
            step.look(&entry.origin, Depth::Body);
            return false;
        }
        Sight::Unseen if !entry.looked_origin => {
            step.look(&entry.origin, Depth::Outline);
            return false;
        }
        Sight::Unseen => {}
    }
    let finalizer = step.publication.agent().finalizer();
    let Some(seen) = entry
        .seen
        .clone()
        .filter(|_| entry.finalizers.contains(&finalizer))
    else {
        return true;
    };
    match step.seen.used_by_others(&entry.origin) {
        None => {
            step.ask(Question::Users {
                object: entry.origin.clone(),
            });
            false
        }
        Some(true) => true,
        Some(false) => {
            let body = remove_finalizer(&seen.uid, &entry.finalizers, &finalizer);
            let verb = Verb::JsonPatch { subresource: None };
            step.push(
                Deed::ReleaseTaken(entry.path.clone()),
                entry.origin.clone(),
                verb,
                body,
                "its copy is gone, or others hold it",
            );
            false
        }
    }
}
