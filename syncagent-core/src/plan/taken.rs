//! What an order takes down with it: objects of the consumer, held there, copied beside the copy.
//!
//! A copy never takes the name of something that exists without our marks. Its marks name the uid and the version of the
//! consumer's object, never a hash of its data; so a restart compares metadata only. An object that vanishes leaves its copy
//! where it is, for the service may need it, and the order says so.

use serde_json::{Value, json};

use super::carry::{self, Carried, Load};
use super::effect::{Deed, Verb};
use super::find::{self, Finding};
use super::hold::{add_finalizer, ensure_namespace, remove_finalizer};
use super::record::{StatusKnown, TakenKnown};
use super::seen::{Depth, Sight};
use super::step::Step;
use super::untake::{goes_with_origin, let_go, release_deleted};
use super::{drift, forward, recall};
use crate::definition::{Kind, Loss, Side};
use crate::names;
use crate::object::identity::{Identity, Standing};
use crate::object::reference::{Known, ObjectRef, Place};
use crate::object::{self, annotation, finalizers, is_deleting, is_older, version};
use crate::projection::Intent;
use crate::publication::Publication;
use crate::related::find::{Pair, Related};
use crate::related::{TakenName, assemble, content};

pub(super) fn taken(
    step: &mut Step<'_>,
    origin: Option<&Value>,
    intent: Option<&Intent>,
    copy: Option<&Value>,
) {
    if let Some(intent) = intent {
        let namespace = object::meta(&intent.object, "namespace");
        resolve_named(step, &intent.taken, namespace);
    }
    recall::by_marks(step);
    resolve_found(step, origin, intent, copy);
    // What a wish that was refused does not name, the copy still does.
    let stands = step.record.refusal.is_some() && step.record.copy.is_some();
    let needed = |publication: &Publication, it: &TakenKnown| {
        !it.dropped || (stands && rule_of(publication, it).is_none_or(|it| !it.selects()))
    };
    let named = step.record.taken.iter();
    let named = named.filter(|it| needed(step.publication, it));
    let standing: Vec<_> = named
        .map(|it| (it.origin.clone(), it.copy.clone()))
        .collect();
    let mut kept = Vec::new();
    for mut entry in std::mem::take(&mut step.record.taken) {
        if !needed(step.publication, &entry) {
            if !let_go(step, &mut entry, &standing) {
                step.concern(&entry.origin);
                step.concern(&entry.copy);
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

/// Matches what the order names in its fields with what is remembered.
pub(super) fn resolve_named(step: &mut Step<'_>, names: &[TakenName], namespace: &str) {
    let (publication, key) = (step.publication, step.key);
    let at = |place, kind: &Kind, namespace: &str, name: &str| ObjectRef {
        place,
        kind: kind.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let found = names.iter().map(|it| {
        let pair = Pair {
            origin: at(key.workspace(), &it.kind, &key.namespace, &it.name),
            copy: at(Place::Service, &it.kind, namespace, &it.copy),
        };
        (it.path.clone(), pair)
    });
    resolve(
        step,
        |path| publication.related_rule(path).is_none(),
        found.collect(),
    );
}

/// Matches what the rules find in the workspace with what is remembered.
pub(super) fn resolve_found(
    step: &mut Step<'_>,
    origin: Option<&Value>,
    intent: Option<&Intent>,
    copy: Option<&Value>,
) {
    let publication = step.publication;
    for (at, rule) in publication.related().iter().enumerate() {
        if rule.origin != Side::Workspace {
            continue;
        }
        let there = match rule.wants_copy() {
            true => copy,
            false => intent.map(|it| &it.object),
        };
        if let Finding::Pairs(pairs) = find::find(step, at, origin, there) {
            let found = pairs.into_iter().map(|it| (rule.id.clone(), it)).collect();
            resolve(step, |path| path == rule.id, found);
        }
        // As long as it is not known what there is, nothing is left over.
        if !rule.is_fixed() && step.record.found[at].resolved {
            leave(step, at);
        }
    }
}

/// Takes note of what is left from before a restart and was not found again.
pub(super) fn leave(step: &mut Step<'_>, at: usize) {
    let rule = &step.publication.related()[at];
    for (origin, copy) in find::sweep(step, at) {
        let Some(origin) = origin else { continue };
        if !step.record.taken.iter().any(|it| it.copy == copy) {
            let mut entry = TakenKnown::new(rule.id.clone(), Pair { origin, copy });
            entry.dropped = true;
            step.record.taken.push(entry);
        }
    }
}

/// Matches what some rules found with what is remembered of them.
fn resolve(step: &mut Step<'_>, mine: impl Fn(&str) -> bool, found: Vec<(String, Pair)>) {
    for entry in &mut step.record.taken {
        entry.dropped |= mine(&entry.path);
    }
    for (path, pair) in found {
        let known = step
            .record
            .taken
            .iter_mut()
            .find(|it| it.path == path && it.origin == pair.origin && it.copy == pair.copy);
        match known {
            Some(known) => known.dropped = false,
            None => step.record.taken.push(TakenKnown::new(path, pair)),
        }
    }
}

impl TakenKnown {
    /// An object nobody looked at yet.
    pub(super) fn new(path: String, pair: Pair) -> Self {
        Self {
            path,
            origin: pair.origin,
            copy: pair.copy,
            seen: None,
            from: None,
            finalizers: Vec::new(),
            to: None,
            entry: None,
            looked_origin: false,
            looked_copy: false,
            foreign: false,
            refused: None,
            recreate: false,
            dropped: false,
            status: StatusKnown::Unknown,
            leaves: None,
        }
    }
}

pub(super) fn identity(entry: &TakenKnown) -> Identity {
    entry.origin.identity()
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
                let known = entry.to.as_ref().map(|it| it.uid.clone());
                match carry::is_theirs(step, &entry.origin, copy, known.as_deref()) {
                    None => return Copy::Asked,
                    Some(false) => {}
                    Some(true) => {
                        entry.foreign = false;
                        if known.is_none() {
                            // What it was made from is not told: that has to be compared.
                            entry.from = None;
                        }
                        return note_copy(step, entry, copy);
                    }
                }
                let standing = identity(entry).standing(step.publication.agent().as_str(), copy);
                let from = annotation(copy, names::RELATED_UID)
                    .zip(annotation(copy, names::RELATED_VERSION));
                let kind = annotation(copy, names::RELATED_KIND);
                let same_kind = kind.unwrap_or(&names::resource(&entry.copy.kind))
                    == names::resource(&entry.origin.kind);
                let (Standing::Ours, Some((uid, version)), true) = (standing, from, same_kind)
                else {
                    entry.to = None;
                    entry.foreign = true;
                    return Copy::Foreign;
                };
                entry.foreign = false;
                let print = drift::print(copy, &step.manager());
                // At the first look there is nothing to compare with, but the copy says what was ours on it.
                let lacks = drift::lacks_fields(copy, &step.manager());
                drifted = match entry.entry {
                    // There, what somebody set stays.
                    _ if step.publication.follows_go_agent() => false,
                    Some(_) => print.is_some() && print != entry.entry,
                    None => lacks,
                };
                entry.entry = entry.entry.or(print.filter(|_| !lacks));
                if entry.to.is_none() {
                    entry.status = forward::told(copy, &step.manager());
                }
                let mut from = Known {
                    uid: uid.to_owned(),
                    version: version.to_owned(),
                };
                // What changed since without a difference for the copy is known by us alone.
                if step.publication.follows_go_agent()
                    && entry
                        .to
                        .as_ref()
                        .is_some_and(|it| it.uid == object::uid(copy))
                    && let Some(newer) = entry.from.take()
                {
                    from = newer;
                }
                entry.from = Some(from);
                if let Copy::Asked = note_copy(step, entry, copy) {
                    return Copy::Asked;
                }
            }
        }
        Sight::Absent => {
            entry.looked_copy = true;
            entry.foreign = false;
            entry.to = None;
            entry.status = StatusKnown::Unknown;
            entry.leaves = None;
        }
        Sight::Doubt => {
            step.look(&entry.copy, Depth::Body);
            return Copy::Asked;
        }
        Sight::Barred => {
            entry.status.doubt();
            let what = format!("a copied {} cannot be read", entry.copy.kind.kind);
            step.refused.push(what);
        }
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

/// Takes note of a copy that is ours.
fn note_copy(step: &mut Step<'_>, entry: &mut TakenKnown, copy: &Value) -> Copy {
    entry.to = Some(Known::of(copy));
    if is_deleting(copy) {
        step.waiting.push(format!(
            "a copied {} is being deleted",
            entry.copy.kind.kind
        ));
        return Copy::Asked;
    }
    Copy::Known { drifted: false }
}

/// The step does not come to the original: where there is news of it, it is looked at again.
fn leave_off(step: &Step<'_>, entry: &mut TakenKnown) {
    entry.looked_origin &= *step.seen.of(&entry.origin) == Sight::Unseen;
}

fn take(step: &mut Step<'_>, entry: &mut TakenKnown) {
    if step.publication.is_reserved(&entry.copy.name) {
        step.trouble(
            "NameReserved",
            format!(
                "the service needs the name that the {} {:?} would get",
                entry.origin.kind.kind, entry.origin.name
            ),
        );
        step.refused.push(format!(
            "the copy of a {} would get a reserved name",
            entry.origin.kind.kind
        ));
        return;
    }
    let kind = entry.origin.kind.kind.clone();
    let name = entry.origin.name.clone();
    let drifted = match learn_copy(step, entry) {
        Copy::Known { drifted } => {
            drifted && rule_of(step.publication, entry).is_none_or(Related::corrects)
        }
        Copy::Asked => return leave_off(step, entry),
        Copy::Foreign => {
            leave_off(step, entry);
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
    let due = |entry: &TakenKnown| {
        let crosses = rule_of(step.publication, entry).is_some_and(|it| it.status);
        crosses && entry.status.is_due()
    };
    let current = |entry: &TakenKnown, object: &Value| {
        entry.to.is_some()
            && !drifted
            && entry.from.as_ref() == Some(&Known::of(object))
            && !due(entry)
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
            Some(seen)
                if entry.to.is_some()
                    && !drifted
                    && entry.from.as_ref() == Some(&seen)
                    && !due(entry) => {}
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
        Sight::Barred if step.publication.policy().losses.claim == Loss::Keep => {}
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
                entry.seen = Some(Known::of(object));
                entry.finalizers = finalizers(object);
            }
            let held = entry.finalizers.contains(&step.publication.finalizer());
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
    let finalizer = step.publication.finalizer();
    let known = Known::of(object);
    entry.looked_origin = true;
    entry.seen = Some(known.clone());
    entry.finalizers = finalizers(object);
    let held = entry.finalizers.contains(&finalizer);
    let patch = Verb::JsonPatch { subresource: None };
    if is_deleting(object) {
        if held && !goes_with_origin(step, entry) {
            return;
        }
        if held {
            let body = remove_finalizer(&known.uid, &entry.finalizers, &finalizer);
            step.push(
                Deed::ReleaseTaken(entry.path.clone()),
                entry.origin.clone(),
                patch,
                body,
                "it is being deleted, and its copy is not needed for that",
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
    if let (Some(rule), Some(to)) = (rule_of(step.publication, entry), &entry.to)
        && rule.status
    {
        let (id, copy) = (rule.id.clone(), entry.copy.clone());
        forward::forward(step, &id, &copy, to, &mut entry.status, object);
    }
    if entry.to.is_some() && !drifted && entry.from.as_ref() == Some(&known) {
        return;
    }
    let beside = match rule_of(step.publication, entry) {
        Some(rule) => find::beside(step, rule, &entry.copy, entry.to.is_some(), object),
        None => Some(Value::Null),
    };
    let Some(beside) = beside else { return };
    let mut body = match body(step, entry, object, &beside) {
        Ok(body) => body,
        Err(message) => {
            entry.refused = Some((known, message));
            say_refused(step, entry);
            return;
        }
    };
    if step.publication.follows_go_agent()
        && !entry.recreate
        && let Some(to) = entry.to.clone()
    {
        carry_on(step, entry, &to, known, &body);
        return;
    }
    if let Some(to) = entry.to.as_ref().filter(|_| entry.recreate) {
        step.push(
            Deed::Untake(entry.path.clone()),
            entry.copy.clone(),
            Verb::Delete,
            json!({"preconditions": {"uid": to.uid}}),
            "a field of it cannot be changed, so it is made anew",
        );
        return;
    }
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

/// Brings over what changed, where that is remembered leaf by leaf.
fn carry_on(step: &mut Step<'_>, entry: &mut TakenKnown, to: &Known, known: Known, body: &Value) {
    let load = Load {
        origin: &entry.origin,
        copy: &entry.copy,
        wanted: body,
        before: entry.leaves.as_ref(),
        unmarked: entry.from.is_none(),
    };
    match carry::carry(step, &load) {
        Carried::Asked => {}
        Carried::Settled(leaves) => {
            entry.leaves = Some(leaves);
            entry.from = Some(known);
        }
        Carried::Patch(mut patch) => {
            carry::mark(&mut patch, &body["metadata"], &to.uid);
            step.push(
                Deed::Retake(entry.path.clone()),
                entry.copy.clone(),
                Verb::MergePatch,
                patch,
                "the consumer changed it",
            );
        }
    }
}

fn body(
    step: &Step<'_>,
    entry: &TakenKnown,
    object: &Value,
    beside: &Value,
) -> Result<Value, String> {
    let identity = identity(entry);
    let known = Known::of(object);
    let mut labels = identity.labels(step.publication.agent().as_str());
    let found = rule_of(step.publication, entry);
    let rules = step.publication.projection().takes.iter();
    let named = rules.filter(|it| it.path == entry.path);
    for (key, value) in named
        .flat_map(|it| &it.labels)
        .chain(found.into_iter().flat_map(|it| &it.labels))
    {
        labels.entry(key.clone()).or_insert_with(|| json!(value));
    }
    let mut annotations = identity.annotations();
    annotations.insert(names::RELATED_UID.into(), json!(known.uid));
    annotations.insert(names::RELATED_VERSION.into(), json!(known.version));
    if entry.copy.kind != entry.origin.kind {
        let kind = names::resource(&entry.origin.kind);
        annotations.insert(names::RELATED_KIND.into(), json!(kind));
    }
    annotations.insert(names::FOUND_FOR.into(), json!(find::found_for(step)));
    annotations.insert(names::FOUND_BY.into(), json!(entry.path));
    let mut content = content(object);
    if let Some(found) = found {
        let crossing = found.crossing(object, beside)?;
        content = crossing.content;
        for (key, value) in crossing.marks.labels {
            labels.entry(key).or_insert(value);
        }
        for (key, value) in crossing.marks.annotations {
            annotations.entry(key).or_insert(value);
        }
    }
    if !step.publication.follows_go_agent()
        && let Some(fields) = drift::fields(&content)
    {
        annotations.insert(names::FIELDS.into(), json!(fields));
    }
    let mut metadata = json!({
        "name": entry.copy.name,
        "labels": labels,
        "annotations": annotations,
    });
    if !entry.copy.namespace.is_empty() {
        metadata["namespace"] = json!(entry.copy.namespace);
    }
    Ok(assemble(&entry.copy.kind, metadata, content))
}

/// The rule that found an object; `None`: a field of the order names it.
pub(super) fn rule_of<'a>(publication: &'a Publication, entry: &TakenKnown) -> Option<&'a Related> {
    publication.related_rule(&entry.path)
}

fn vanished(step: &mut Step<'_>, entry: &mut TakenKnown) {
    if !goes_with_origin(step, entry) {
        return;
    }
    if rule_of(step.publication, entry).is_some_and(Related::selects) {
        return;
    }
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
