//! Related objects as the Go agent brings them over: leaf by leaf, so that what somebody set on the other side stays.
//!
//! Its copies carry no marks. One is ours when the state Secret of the order tells of its original; what else stands in the
//! place of a copy is left alone. What was brought over last is remembered as long as we run, as hashes; at the first look
//! the state Secret tells, or else the server's memory of who wrote which field. A settled one costs one GET of its original
//! at each start, and no write. What is written gets our marks on the way, so after that its metadata alone tells.

use serde_json::{Map, Value, json};

use super::keep::{self, Leaves};
use super::predecessor::stated;
use super::seen::Depth;
use super::stated::{Word, salt_of};
use super::step::Step;
use crate::names;
use crate::object::reference::ObjectRef;
use crate::object::{annotation, label, uid};
use crate::related::content;
use crate::related::find::Related;

/// What is brought over of an object, leaf by leaf; `None` where that takes more than the object.
pub(super) fn leaves(rule: Option<&Related>, origin: &ObjectRef, body: &Value) -> Option<Leaves> {
    let salt = salt_of(&origin.identity());
    let Some(rule) = rule else {
        return Some(Leaves::of_content(&Value::Object(content(body)), &salt));
    };
    if rule.mutations.reads_other() {
        return None;
    }
    let crossing = rule.crossing(body, &Value::Null).ok()?;
    let mut wanted = crossing.content;
    let marks = crossing.marks;
    wanted.insert(
        "metadata".into(),
        json!({"labels": marks.labels, "annotations": marks.annotations}),
    );
    Some(Leaves::of_content(&Value::Object(wanted), &salt))
}

/// Whether an object that stands in a copy's place is that copy, though it carries no marks of ours; `None`: it was asked
/// for. `known` is the uid of what was ours before.
pub(super) fn is_theirs(
    step: &mut Step<'_>,
    origin: &ObjectRef,
    object: &Value,
    known: Option<&str>,
) -> Option<bool> {
    let made_by = label(object, names::AGENT);
    let agent = step.publication.agent().as_str();
    let marks = [names::RELATED_UID, names::ORDER];
    let others = (!made_by.is_empty() && made_by != agent)
        || marks.iter().any(|it| annotation(object, it).is_some());
    if !step.publication.follows_go_agent() || others {
        return Some(false);
    }
    if known == Some(uid(object)) {
        return Some(true);
    }
    let word = stated(step)?.of(&origin.identity(), &origin.kind);
    Some(word != Word::None)
}

/// What bringing an object over comes to.
pub(super) enum Carried {
    /// Nothing differs; this was brought over.
    Settled(Leaves),
    /// This has to be written.
    Patch(Value),
    /// It was asked for.
    Asked,
}

/// How an object is brought over to a copy that is there.
pub(super) struct Load<'a> {
    pub(super) origin: &'a ObjectRef,
    pub(super) copy: &'a ObjectRef,
    /// What is wanted, with the labels and annotations that cross.
    pub(super) wanted: &'a Value,
    /// What was brought over last, where that is remembered.
    pub(super) before: Option<&'a Leaves>,
    /// Whether the copy carries no marks of ours.
    pub(super) unmarked: bool,
}

/// Compares what is wanted with what was brought over last.
pub(super) fn carry(step: &mut Step<'_>, load: &Load<'_>) -> Carried {
    let salt = salt_of(&load.origin.identity());
    let wanted = Leaves::of_content(load.wanted, &salt);
    let before = match load.before {
        Some(before) => before.clone(),
        None => match told(step, load, &wanted, &salt) {
            Some(before) => before,
            None => return Carried::Asked,
        },
    };
    // Whether it can be changed stays each side's own.
    let patch = keep::difference(&before.without("/immutable"), &wanted, load.wanted);
    if patch.as_object().is_some_and(Map::is_empty) {
        Carried::Settled(wanted)
    } else {
        Carried::Patch(patch)
    }
}

/// What was brought over last, as far as anybody tells; `None`: it was asked for.
fn told(step: &mut Step<'_>, load: &Load<'_>, wanted: &Leaves, salt: &str) -> Option<Leaves> {
    if load.unmarked {
        let word = stated(step)?.of(&load.origin.identity(), &load.origin.kind);
        if let Word::Said(leaves) = word {
            return Some(leaves.clone());
        }
    }
    let Some(copy) = step.seen.of(load.copy).body() else {
        step.look(load.copy, Depth::Body);
        return None;
    };
    let manager = step.manager();
    Some(Leaves::of_copy(copy, wanted, salt, &manager).without_marks())
}

/// Adds marks to a patch, and the uid that it is meant for.
pub(super) fn mark(patch: &mut Value, marks: &Value, uid: &str) {
    for part in ["labels", "annotations"] {
        for (key, value) in marks[part].as_object().into_iter().flatten() {
            if key.starts_with(names::PREFIX) {
                patch["metadata"][part][key.as_str()] = value.clone();
            }
        }
    }
    patch["metadata"]["uid"] = json!(uid);
}
