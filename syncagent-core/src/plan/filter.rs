//! Orders that leave the filter: their labels changed, or the namespace's, or the definition.
//!
//! An object that was never selected costs nothing. One that was has our finalizer on it, and a copy: what becomes of them
//! is a policy, and its deletion is always seen to, so that our finalizer never sticks. Labels of namespaces come from a
//! metadata watch; where a workspace does not show them nothing is concluded.

use serde_json::Value;

use super::copy::{Copy, learn};
use super::end::{Leaving, end};
use super::seen::{Depth, Sight};
use super::step::Step;
use super::{reflect, returned, taken};
use crate::definition;
use crate::object::reference::{ObjectRef, Place};

/// Whether an order takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// It does.
    In,
    /// It does not.
    Out,
    /// It cannot be told now.
    Unknown,
}

/// Finds out whether an order takes part.
pub(super) fn selection(step: &mut Step<'_>, origin: Option<&Value>) -> Selection {
    if let Some(origin) = origin {
        step.record.outside = !step.publication.selects(origin);
    }
    if step.record.outside {
        return Selection::Out;
    }
    let selector = step.publication.namespace_selector();
    if selector.is_empty() {
        return Selection::In;
    }
    let namespace = namespace(step);
    step.concern(&namespace);
    match step.seen.of(&namespace) {
        Sight::There(object) | Sight::Outline(object) => {
            let labels = &object["metadata"]["labels"];
            step.record.namespace_outside = Some(!selector.matches(labels));
        }
        Sight::Unseen if step.record.namespace_outside.is_some() => {}
        Sight::Unseen | Sight::Doubt => step.look(&namespace, Depth::Outline),
        // The order lives in it, so it is there: we are not shown it.
        Sight::Absent => step.waiting.push(
            "waiting to see the order's namespace: the claim for namespaces may not be accepted"
                .into(),
        ),
        Sight::Barred => step.refused.push(
            "the order's namespace may not be read: the claim for namespaces is not accepted"
                .into(),
        ),
    }
    match step.record.namespace_outside {
        Some(true) => Selection::Out,
        Some(false) => Selection::In,
        None => Selection::Unknown,
    }
}

/// The order's own namespace, whose labels may select it.
pub(super) fn namespace(step: &Step<'_>) -> ObjectRef {
    ObjectRef {
        place: Place::Workspace(step.key.cluster.clone()),
        ..ObjectRef::service_namespace(&step.key.namespace)
    }
}

/// What is done for an order that does not take part.
pub(super) fn leave(step: &mut Step<'_>, origin: Option<&Value>) {
    let Ok(copy_ref) = step.copy_ref() else {
        return;
    };
    let copy = learn(step, &copy_ref);
    if matches!(copy, Copy::Asked) {
        return;
    }
    if matches!(copy, Copy::Unclear) {
        step.look(&copy_ref, Depth::Body);
        return;
    }
    if !step.is_held() && step.record.copy.is_none() {
        // It never did, or everything is done.
        return;
    }
    if matches!(copy, Copy::Unknown) {
        // Whether there is anything to keep.
        step.look(&copy_ref, Depth::Body);
        return;
    }
    let nothing = matches!(copy, Copy::Absent | Copy::Other | Copy::Unmarked(_));
    if nothing || step.publication.policy().leaving == definition::Leaving::Retire {
        // What is taken is for the copy alone: where that is not, nothing is kept.
        end(step, Leaving::Unselected);
        return;
    }
    say(step, "what was made for it stays as it is");
    let body = match copy {
        Copy::Ours(copy) => Some(copy),
        _ => None,
    };
    if let Some(body) = body.filter(|_| step.record.taken.is_empty()) {
        let names = step.publication.projection().taken_of_copy(body);
        taken::resolve_named(step, &names, &copy_ref.namespace);
    }
    if origin.is_some() {
        taken::resolve_found(step, origin, None, body);
    }
    for entry in step.record.taken.clone() {
        // Nobody else may clean up what the copy still uses.
        step.concern(&entry.origin);
        step.concern(&entry.copy);
    }
    returned::returned(step, origin, body);
    if step.effects.is_empty() && step.questions.is_empty() {
        reflect::reflect(step, origin, body, None);
    }
}

/// Tells the consumer of an order that is let go what became of what was made for it.
pub(super) fn say_left(step: &mut Step<'_>) {
    let what = match step.publication.policy().leaving {
        definition::Leaving::Retire => "what was made for it is deleted",
        definition::Leaving::Keep => "nothing is kept for it",
    };
    say(step, what);
}

/// Tells the consumer that the order takes part no more.
fn say(step: &mut Step<'_>, what: &str) {
    let message = format!("this order is not offered the service any more; {what}");
    step.trouble("NotSelected", message);
}
