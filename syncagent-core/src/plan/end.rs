//! The end of an order: its copy retired, what belongs to it cleaned up, and only then our finalizer taken off.
//!
//! Nothing is released before the copy was observed absent; nothing is retired without evidence that the order is gone: a
//! deletion timestamp, or a GET that answered 404.

use super::copy::{Copy, learn};
use super::effect::{Deed, Verb};
use super::hold::remove_finalizer;
use super::locate::locate;
use super::lost;
use super::record::Lost;
use super::seen::Depth;
use super::step::Step;
use super::{filter, predecessor, recall, reflect, returned, taken, untake, withdraw};
use crate::definition::Side;
use crate::object::identity::Standing;

/// Why nothing is deleted.
pub(super) const PAUSED: &str = "waiting for a person's word to delete";
/// Why the copy is not deleted yet.
const REFERRED: &str = "waiting for a while, so that orders which refer to this one go first";

/// How an order leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Its deletion was asked for.
    Deleted,
    /// It is not there any more: somebody took our finalizer off.
    Vanished,
    /// It lives on, and is not offered the service any more.
    Unselected,
}

pub(super) fn end(step: &mut Step<'_>, leaving: Leaving) {
    if step.record.released && !step.is_held() {
        match leaving {
            Leaving::Deleted => wait_for_others(step),
            Leaving::Vanished => step.gone = true,
            Leaving::Unselected => {}
        }
        return;
    }
    if !locate(step) {
        return;
    }
    if leaving == Leaving::Vanished && !step.is_torn() && step.publication.follows_go_agent() {
        predecessor::orphaned(step);
        return;
    }
    remember_taken(step);
    if !recall::by_marks(step) {
        return;
    }
    remember_found(step);
    match lost::keeps(step, leaving) {
        Err(()) => return,
        Ok(Some(lost)) => return keep(step, leaving, lost),
        Ok(None) => {}
    }
    let go = step.publication.follows_go_agent();
    if go && leaving == Leaving::Deleted && step.record.copy.is_some() {
        returned::bring_up_what_stays(step);
    }
    let done = match leaving {
        // The service may need what was taken until the copy is gone.
        Leaving::Deleted | Leaving::Unselected => retire(step) && clean_up(step),
        // The copy is all that tells what else there is, so it goes last.
        Leaving::Vanished => clean_up(step) && retire(step),
    };
    if done {
        release(step, leaving);
    }
}

/// Lets the order go and keeps its copy, with what was taken for it, also when the copy is not ours any more: nothing is
/// deleted on the service cluster, and nothing of us is left in the workspace.
fn keep(step: &mut Step<'_>, leaving: Leaving, lost: Lost) {
    returned::resolve(step);
    let mut done = true;
    let mut entries = std::mem::take(&mut step.record.taken);
    for entry in &mut entries {
        done &= untake::let_original_go(step, entry);
    }
    step.record.taken = entries;
    let mut entries = std::mem::take(&mut step.record.returned);
    for entry in &mut entries {
        done &= withdraw::withdraw_all_but_kept(step, entry);
    }
    step.record.returned = entries;
    // The mark says that all of this is done.
    if !done || !lost::mark(step, lost) {
        return;
    }
    match leaving {
        Leaving::Vanished if step.record.copy.is_none() => step.gone = true,
        Leaving::Vanished => lost::finish(step, lost),
        Leaving::Deleted | Leaving::Unselected => release(step, leaving),
    }
}

/// Finds out what the order took: from the order, from its copy, and where that does not tell from what was taken.
fn remember_taken(step: &mut Step<'_>) {
    let Ok(copy_ref) = step.copy_ref() else {
        return;
    };
    let copy = step.seen.of(&copy_ref).body();
    if let Some(copy) = copy.filter(|it| step.publication.standing(step.key, it) == Standing::Ours)
    {
        recall::by_copy(step, copy);
    }
    if let Some(origin) = step.origin_body()
        && let Ok(intent) = step.intent(origin)
    {
        taken::resolve_named(step, &intent.taken, &copy_ref.namespace);
    }
}

/// Finds out what the rules found: by looking again where the order is in hand, and by what carries its marks.
fn remember_found(step: &mut Step<'_>) {
    let publication = step.publication;
    let origin = step.origin_body();
    let intent = origin.and_then(|it| step.intent(it).ok());
    if origin.is_some() {
        let copy = step.copy_ref().ok().and_then(|it| step.seen.of(&it).body());
        taken::resolve_found(step, origin, intent.as_ref(), copy);
    }
    for at in 0..publication.related().len() {
        match publication.related()[at].origin {
            Side::Workspace => taken::leave(step, at),
            Side::Service => returned::leave(step, at),
        }
    }
}

/// Says whether the copy is gone.
fn retire(step: &mut Step<'_>) -> bool {
    let Ok(copy_ref) = step.copy_ref() else {
        return true;
    };
    match learn(step, &copy_ref) {
        Copy::Absent | Copy::Other | Copy::Unmarked(_) => true,
        Copy::Unknown | Copy::Unclear => {
            step.look(&copy_ref, Depth::Body);
            false
        }
        Copy::Asked => false,
        Copy::Recorded | Copy::Ours(_) => {
            let Some(known) = &step.record.copy else {
                return false;
            };
            if known.deleting {
                step.waiting.push("waiting for the copy to go".into());
            } else if step.context.referred {
                step.waiting.push(REFERRED.into());
            } else if step.context.paused {
                step.waiting.push(PAUSED.into());
            } else {
                let body = {
                    let otherwise = step.publication.policy().deletion;
                    step.delete_options(&known.known.uid, step.record.deletion, otherwise)
                };
                step.push(
                    Deed::Retire,
                    copy_ref,
                    Verb::Delete,
                    body,
                    "the order is gone or being deleted",
                );
            }
            false
        }
    }
}

/// Says whether nothing that belongs to the order is left.
fn clean_up(step: &mut Step<'_>) -> bool {
    returned::resolve(step);
    let mut done = true;
    let mut kept = Vec::new();
    for mut entry in std::mem::take(&mut step.record.taken) {
        if !untake::let_go(step, &mut entry, &[]) {
            done = false;
        }
        kept.push(entry);
    }
    step.record.taken = kept;
    let mut entries = std::mem::take(&mut step.record.returned);
    for entry in &mut entries {
        done &= withdraw::withdraw_all_but_kept(step, entry);
    }
    step.record.returned = entries;
    done
}

fn release(step: &mut Step<'_>, leaving: Leaving) {
    let held = step.is_held();
    match (leaving, &step.record.origin) {
        (Leaving::Deleted | Leaving::Unselected, Some(origin)) if held => {
            let (uid, origin_body) = (origin.uid.clone(), step.origin_body());
            if leaving == Leaving::Unselected {
                filter::say_left(step);
                reflect::reflect(step, origin_body, None, None);
                if !step.questions.is_empty() {
                    return;
                }
            }
            let finalizer = step.publication.finalizer();
            let body = remove_finalizer(&uid, &step.record.finalizers, &finalizer);
            let verb = Verb::JsonPatch { subresource: None };
            step.push(
                Deed::Release,
                step.publication.origin(step.key),
                verb,
                body,
                "nothing of the order is left at the service",
            );
        }
        (Leaving::Deleted, _) => {
            step.record.released = true;
            wait_for_others(step);
        }
        (Leaving::Vanished, _) => step.gone = true,
        (Leaving::Unselected, _) => {
            step.record.lost = false;
            step.record.taken.clear();
            step.record.returned.clear();
            step.record.found.clear();
        }
    }
}

/// Our part is done. Where nobody else holds the order it is as good as gone, and there is nothing to wait for.
fn wait_for_others(step: &mut Step<'_>) {
    if !step.record.finalizers.is_empty() {
        step.waiting
            .push("waiting for others to let the order go".into());
    }
}
