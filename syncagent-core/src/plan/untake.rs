//! The end of a related object that goes down: its copy deleted, and only then our finalizer taken off the consumer's object.
//!
//! What another order uses stays. Without permission to look there is nothing that can be done, and nothing that must be.

use super::carry;
use super::effect::{Deed, Verb};
use super::hold::remove_finalizer;
use super::record::TakenKnown;
use super::seen::{Depth, Question, Sight};
use super::step::Step;
use super::taken::{identity, rule_of};
use crate::definition::{Cleanup, Deletion};
use crate::names;
use crate::object::identity::Standing;
use crate::object::reference::{Known, ObjectRef};
use crate::object::{self, annotation, finalizers, is_deleting};

/// Lets go of an object that is not taken any more, but of nothing that the order still takes by another field or rule
/// (`standing`: each original with its copy); says whether nothing is left to do.
pub(super) fn let_go(
    step: &mut Step<'_>,
    entry: &mut TakenKnown,
    standing: &[(ObjectRef, ObjectRef)],
) -> bool {
    // Another original may have got the name of the copy: then what is there is not its copy.
    let same = |it: &(ObjectRef, ObjectRef)| it.0 == entry.origin && it.1 == entry.copy;
    let kept = cleanup(step, entry) == Cleanup::Never || standing.iter().any(same);
    let needed = standing.iter().any(|it| it.0 == entry.origin);
    let copy_done = kept || drop_copy(step, entry, Whose::Others);
    // The consumer's object is held until its copy is gone.
    copy_done && (needed || drop_hold(step, entry))
}

/// Lets go of the consumer's object alone: its copy stays where it is. Says whether nothing is left to do.
pub(super) fn let_original_go(step: &mut Step<'_>, entry: &mut TakenKnown) -> bool {
    drop_hold(step, entry)
}

/// Whether the uses of other orders count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Others,
    Nobody,
}

fn cleanup(step: &Step<'_>, entry: &TakenKnown) -> Cleanup {
    rule_of(step.publication, entry).map_or(Cleanup::WithOrder, |it| it.cleanup)
}

/// Where a copy goes with its original: takes it away; says whether nothing is left to do for that.
pub(super) fn goes_with_origin(step: &mut Step<'_>, entry: &mut TakenKnown) -> bool {
    // What others do with it does not count: the original is gone for them too.
    cleanup(step, entry) != Cleanup::WithOrigin || drop_copy(step, entry, Whose::Nobody)
}

fn drop_copy(step: &mut Step<'_>, entry: &mut TakenKnown, whose: Whose) -> bool {
    match step.seen.of(&entry.copy) {
        Sight::There(copy) | Sight::Outline(copy) => {
            let known = entry.to.as_ref().map(|it| it.uid.clone());
            let Some(theirs) = carry::is_theirs(step, &entry.origin, copy, known.as_deref()) else {
                return false;
            };
            let marked = identity(entry).standing(step.publication.agent().as_str(), copy)
                == Standing::Ours
                && annotation(copy, names::RELATED_UID).is_some();
            let ours = theirs || marked;
            entry.looked_copy = true;
            entry.to = (ours && !is_deleting(copy)).then(|| Known::of(copy));
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
    let used = match whose {
        Whose::Others => step.seen.used_by_others(&entry.copy),
        Whose::Nobody => Some(false),
    };
    match used {
        None => {
            step.ask(Question::Users {
                object: entry.copy.clone(),
            });
            false
        }
        Some(true) => true,
        Some(false) if step.context.paused => {
            step.waiting.push(super::end::PAUSED.into());
            false
        }
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
                "nothing needs it any more",
            );
            false
        }
    }
}

fn drop_hold(step: &mut Step<'_>, entry: &mut TakenKnown) -> bool {
    match step.seen.of(&entry.origin) {
        Sight::There(object) | Sight::Outline(object) => {
            entry.looked_origin = true;
            entry.seen = Some(Known::of(object));
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
    let finalizer = step.publication.finalizer();
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

/// A consumer's object that is not copied, for another one is in its copy's place, may still go.
pub(super) fn release_deleted(step: &mut Step<'_>, entry: &mut TakenKnown) {
    let Some(object) = step.seen.of(&entry.origin).outline() else {
        return;
    };
    let finalizer = step.publication.finalizer();
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
