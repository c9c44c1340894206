//! The end of an order: its copy retired, what belongs to it cleaned up, and only then our finalizer taken off.
//!
//! Nothing is released before the copy was observed absent; nothing is retired without evidence that the order is gone: a
//! deletion timestamp, or a GET that answered 404.

use serde_json::json;

use super::effect::{Deed, Verb};
use super::seen::Depth;
use super::step::Step;
use super::tend::{Copy, learn, remove_finalizer};
use super::{returned, taken};

/// How an order leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Its deletion was asked for.
    Deleted,
    /// It is not there any more: somebody took our finalizer off.
    Vanished,
}

pub(super) fn end(step: &mut Step<'_>, leaving: Leaving) {
    if step.record.released {
        match leaving {
            Leaving::Deleted => step
                .waiting
                .push("waiting for others to let the order go".into()),
            Leaving::Vanished => step.gone = true,
        }
        return;
    }
    if retire(step) && clean_up(step) {
        release(step, leaving);
    }
}

/// Says whether the copy is gone.
fn retire(step: &mut Step<'_>) -> bool {
    let Ok(copy_ref) = step.publication.copy(step.key) else {
        return true;
    };
    match learn(step, &copy_ref) {
        Copy::Absent | Copy::Other => true,
        Copy::Unknown | Copy::Unclear => {
            step.look(&copy_ref, Depth::Body);
            false
        }
        Copy::Recorded | Copy::Ours(_) => {
            let Some(known) = &step.record.copy else {
                return false;
            };
            if known.deleting {
                step.waiting.push("waiting for the copy to go".into());
            } else {
                let body = json!({"preconditions": {"uid": known.known.uid}});
                step.push(Deed::Retire, copy_ref, Verb::Delete, body);
            }
            false
        }
    }
}

/// Says whether nothing that belongs to the order is left.
fn clean_up(step: &mut Step<'_>) -> bool {
    if let Some(origin) = step.origin_body()
        && let Ok(intent) = step.publication.intent(step.key, origin)
    {
        taken::resolve(step, &intent);
    }
    returned::resolve(step);
    let mut done = true;
    let mut kept = Vec::new();
    for mut entry in std::mem::take(&mut step.record.taken) {
        if !taken::let_go(step, &mut entry) {
            done = false;
        }
        kept.push(entry);
    }
    step.record.taken = kept;
    let mut entries = std::mem::take(&mut step.record.returned);
    for entry in &mut entries {
        done &= returned::withdraw(step, entry);
    }
    step.record.returned = entries;
    done
}

fn release(step: &mut Step<'_>, leaving: Leaving) {
    let held = step.is_held();
    match (leaving, &step.record.origin) {
        (Leaving::Deleted, Some(origin)) if held => {
            let finalizer = step.publication.agent().finalizer();
            let body = remove_finalizer(&origin.uid, &step.record.finalizers, &finalizer);
            let verb = Verb::JsonPatch { subresource: None };
            step.push(Deed::Release, step.publication.origin(step.key), verb, body);
        }
        (Leaving::Deleted, _) => {
            step.record.released = true;
            step.waiting
                .push("waiting for others to let the order go".into());
        }
        (Leaving::Vanished, _) => step.gone = true,
    }
}
