//! Where the copy is: found by its identity, wherever that is; where naming puts it, when there is none.
//!
//! The record remembers a place only when it differs from the naming. When somebody duplicates a copy, labels and all, the
//! older of the two counts; the other one is reported, and neither written nor deleted. When the one that counts is gone
//! while the order stands, the other takes over: whatever it is, it is closer to the order than a fresh one.

use serde_json::Value;

use super::predecessor::{self, Proof};
use super::seen::{Depth, Sight};
use super::step::Step;
use crate::names;
use crate::naming::CopyName;
use crate::object::identity::Standing;
use crate::object::reference::{ObjectRef, Place};
use crate::object::{annotation, meta, uid};

/// Finds the copy among what is seen; says whether it is known where it is.
pub(super) fn locate(step: &mut Step<'_>) -> bool {
    for other in elsewhere(step) {
        if let Some(object) = step.seen.of(&other).outline() {
            match predecessor::proof(step, object) {
                Proof::Given => {}
                Proof::Lacking => continue,
                Proof::Asked => return false,
            }
        }
        if !choose(step, &other) {
            return false;
        }
    }
    true
}

/// Says which objects pretend to be the copy, and that an order is not forgotten before they are gone: whoever made them
/// has to say what becomes of them.
pub(super) fn report(step: &mut Step<'_>) {
    for twin in step.record.twins.clone() {
        let at = step.publication.copy_at(&twin);
        step.refused.push(format!(
            "{at} says that it is the copy of this order too; it is younger, and left alone"
        ));
    }
    if step.gone && !step.record.twins.is_empty() {
        step.gone = false;
        step.record.origin = None;
    }
}

/// When the copy of an order that stands is gone and there is a second one: that one is the copy now. Says whether it is
/// known.
pub(super) fn succeed(step: &mut Step<'_>) -> bool {
    while step.record.copy.is_none()
        && step.record.copy_absent
        && let Some(twin) = step.record.twins.first().cloned()
    {
        let at = step.publication.copy_at(&twin);
        let known = match step.seen.of(&at) {
            Sight::There(object) => is_ours(step, object),
            Sight::Absent => false,
            _ => {
                step.look(&at, Depth::Body);
                return false;
            }
        };
        step.record.twins.remove(0);
        if known {
            settle(step, &at);
        }
    }
    true
}

/// What is not there any more is not where the copy is.
pub(super) fn leave(step: &mut Step<'_>) {
    let mut twins = std::mem::take(&mut step.record.twins);
    twins.retain(|twin| match step.seen.of(&step.publication.copy_at(twin)) {
        Sight::Absent | Sight::Doubt => false,
        Sight::There(object) | Sight::Outline(object) => is_ours(step, object),
        Sight::Unseen | Sight::Barred => true,
    });
    step.record.twins = twins;
    if let Some(at) = &step.record.located
        && *step.seen.of(&step.publication.copy_at(at)) == Sight::Absent
    {
        step.record.located = None;
        step.record.lost |= step.record.copy.is_some();
        step.record.copy = None;
        step.record.copy_absent = true;
        step.record.returned.clear();
        step.record.found.clear();
        step.record.made = None;
    }
}

/// Where objects with the identity of this order are seen, apart from where its copy is known to be.
fn elsewhere(step: &Step<'_>) -> Vec<ObjectRef> {
    let here = step.copy_ref().ok();
    let seen = step.seen.iter().filter(|(at, _)| {
        at.place == Place::Service
            && at.kind == *step.publication.service()
            && Some(*at) != here.as_ref()
            && !step.record.twins.iter().any(|it| *it == name_of(at))
    });
    let ours = seen.filter(|(_, sight)| sight.outline().is_some_and(|it| is_ours(step, it)));
    ours.map(|(at, _)| at.clone()).collect()
}

/// Of two copies of one order, the older counts; says whether it is known which one that is.
fn choose(step: &mut Step<'_>, other: &ObjectRef) -> bool {
    let Ok(here) = step.copy_ref() else {
        settle(step, other);
        return true;
    };
    let age = |sight: &Sight| {
        let object = sight.outline()?;
        let made = meta(object, "creationTimestamp").to_owned();
        is_ours(step, object).then(|| (made, uid(object).to_owned()))
    };
    let sight = step.seen.of(&here);
    match (age(sight), age(step.seen.of(other))) {
        (Some(mine), Some(theirs)) if mine <= theirs => step.record.twins.push(name_of(other)),
        (Some(_), _) => {
            settle(step, other);
            step.record.twins.push(name_of(&here));
        }
        (None, _)
            if matches!(sight, Sight::Unseen | Sight::Barred) && step.record.copy.is_none() =>
        {
            settle(step, other);
        }
        (None, _) => match sight {
            Sight::Absent | Sight::There(_) | Sight::Outline(_) => settle(step, other),
            Sight::Barred => {}
            Sight::Unseen | Sight::Doubt => {
                step.look(&here, Depth::Body);
                return false;
            }
        },
    }
    true
}

/// The copy is there.
fn settle(step: &mut Step<'_>, at: &ObjectRef) {
    let named = step.named_ref().ok();
    step.record.located = (named.as_ref() != Some(at)).then(|| Box::new(name_of(at)));
    step.record.copy = None;
    step.record.copy_absent = false;
    step.record.refusal = None;
    step.record.returned.clear();
    step.record.found.clear();
    step.record.made = None;
}

fn is_ours(step: &Step<'_>, object: &Value) -> bool {
    annotation(object, names::RELATED_UID).is_none()
        && step.publication.standing(step.key, object) == Standing::Ours
}

pub(super) fn name_of(at: &ObjectRef) -> CopyName {
    CopyName {
        namespace: at.namespace.clone(),
        name: at.name.clone(),
    }
}
