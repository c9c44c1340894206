//! The end of an object that came up: taken out of the workspace again.

use serde_json::{Value, json};

use super::effect::{Deed, Effect, Verb};
use super::hold::remove_finalizer;
use super::record::ReturnedKnown;
use super::returned::{Maker, is_known, maker};
use super::seen::{Depth, Question, Sight};
use super::step::Step;
use crate::definition::Cleanup;
use crate::object::reference::Known;
use crate::object::{finalizers, is_deleting, uid};

fn cleanup(step: &Step<'_>, entry: &ReturnedKnown) -> Cleanup {
    match maker(step.publication, entry) {
        Some(Maker::Found(rule)) => rule.cleanup,
        _ => Cleanup::WithOrder,
    }
}

/// Takes an object out of the workspace, unless its rule says that it stays; says whether nothing is left to do.
pub(super) fn withdraw_all_but_kept(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    cleanup(step, entry) == Cleanup::Never || withdraw(step, entry)
}

/// Whether an object goes because its original is gone.
pub(super) fn goes_with_origin(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    let source = entry.reads.first();
    let gone = source.is_some_and(|it| *step.seen.of(&it.object) == Sight::Absent);
    if !gone || cleanup(step, entry) != Cleanup::WithOrigin {
        return false;
    }
    withdraw(step, entry);
    true
}

/// Takes our finalizer off a returned object that is being deleted: an order that took it down may have left it there, for
/// this order cared about the object. Says whether nothing is left to do.
pub(super) fn let_go(step: &mut Step<'_>, entry: &ReturnedKnown, object: &Value) -> bool {
    let finalizer = step.publication.finalizer();
    let have = finalizers(object);
    let doing = |it: &Effect| it.request.object == entry.object;
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
            let body = remove_finalizer(uid(object), &have, &finalizer);
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
fn withdraw(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    match step.seen.of(&entry.object) {
        Sight::There(object) | Sight::Outline(object) => {
            entry.looked = true;
            let Some(ours) = is_known(step, entry, object) else {
                return false;
            };
            entry.at = (ours && !is_deleting(object)).then(|| Known::of(object));
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
