//! The copy of an order that stands: placed when it is missing, refreshed when it differs, left alone when it is not ours.

use serde_json::{Value, json};

use super::copy::{Copy, learn};
use super::effect::{Deed, Verb};
use super::fight::nothing;
use super::hold::{ensure_namespace, hold};
use super::keep::{self, Leaves};
use super::record::{CopyKnown, Refusal};
use super::seen::Depth;
use super::step::Step;
use super::{adopt, drift, fight, lost, predecessor, recall};
use crate::definition::{Drift, Vanished};
use crate::names;
use crate::object::annotation;
use crate::object::identity::Standing;
use crate::object::reference::ObjectRef;
use crate::projection::{Intent, marked};

/// What came of tending the copy.
pub(super) struct Tended<'a> {
    /// What the service cluster is asked for, when the origin is in hand and can be brought down.
    pub(super) intent: Option<Intent>,
    /// The copy, when it is ours and in hand.
    pub(super) copy: Option<&'a Value>,
}

pub(super) fn tend<'a>(step: &mut Step<'a>, origin: Option<&Value>) -> Tended<'a> {
    let none = Tended {
        intent: None,
        copy: None,
    };
    let copy_ref = match step.copy_ref() {
        Ok(copy_ref) => copy_ref,
        Err(error) => {
            refuse(step, "Invalid", format!("metadata.name: {error}"), true);
            say_refusal(step);
            return none;
        }
    };
    if !predecessor::learn_state(step) {
        return none;
    }
    let copy = learn(step, &copy_ref);
    if let Copy::Ours(copy) = &copy {
        recall::by_copy(step, copy);
    }
    if step.publication.projection().reads_copy() {
        // What is asked for depends on both: neither is decided on without the other.
        let missing = match (&copy, origin) {
            (Copy::Recorded, Some(_)) => Some(copy_ref.clone()),
            (Copy::Ours(_), None) => Some(step.publication.origin(step.key)),
            _ => None,
        };
        if let Some(missing) = missing {
            step.look(&missing, Depth::Body);
            return none;
        }
    }
    let intent = match origin.map(|origin| step.intent(origin)) {
        Some(Ok(intent)) => Some(intent),
        Some(Err(objection)) => {
            step.refused.extend(objection.detail);
            refuse(step, objection.reason, objection.message, true);
            None
        }
        None => None,
    };
    if let Some(intent) = &intent
        && step
            .record
            .refusal
            .as_ref()
            .is_some_and(|it| it.intent != intent.fingerprint)
    {
        step.record.refusal = None;
    }
    if let Some(origin) = origin
        && !step.is_held()
        && (intent.is_some() || step.record.copy.is_some())
    {
        hold(step, origin);
    }
    match &copy {
        Copy::Asked => {}
        Copy::Unclear => step.look(&copy_ref, Depth::Body),
        Copy::Other => name_taken(step, intent.as_ref()),
        Copy::Unmarked(found) => adopt::adopt(step, &copy_ref, found, intent.as_ref()),
        Copy::Absent | Copy::Unknown if step.record.refusal.is_some() => {}
        Copy::Absent | Copy::Unknown if lost::is_lost(step) => lost::say_lost(step),
        Copy::Absent | Copy::Unknown => match (&intent, origin) {
            (Some(intent), _) => place(step, &copy_ref, intent),
            (None, Some(_)) => {}
            (None, None) => step.look(&step.publication.origin(step.key), Depth::Body),
        },
        Copy::Recorded | Copy::Ours(_) => maintain(step, &copy_ref, &copy, intent.as_ref()),
    }
    say_refusal(step);
    fight::say(step);
    Tended {
        intent,
        copy: match copy {
            Copy::Ours(copy) => Some(copy),
            _ => None,
        },
    }
}

/// A copy of ours that exists: refreshed when it must be.
fn maintain(step: &mut Step<'_>, copy_ref: &ObjectRef, copy: &Copy<'_>, intent: Option<&Intent>) {
    let Some(mut known) = step.record.copy.clone() else {
        return;
    };
    if known.deleting {
        step.waiting.push("the copy is being deleted".into());
        let after = match step.publication.policy().losses.vanished {
            Vanished::Report => "",
            _ => "; it will be made again",
        };
        step.trouble(
            "Deleting",
            format!("what was ordered is being deleted at the service{after}"),
        );
        return;
    }
    let copy = match copy {
        Copy::Ours(copy) => Some(*copy),
        _ => None,
    };
    if let Some(intent) = intent {
        fight::forget_changed(step, intent);
    }
    if let Some(copy) = copy {
        fight::observe(step, &mut known, copy);
    }
    let corrects = step.publication.policy().drift == Drift::Correct;
    if !corrects
        && copy.is_some_and(|copy| step.publication.standing(step.key, copy) == Standing::Ours)
    {
        // Of what somebody changed nothing is set right, so there is nothing to look into.
        known.suspect = false;
    }
    step.record.copy = Some(known.clone());
    let Some(intent) = intent else {
        // When the order is in hand all the same, it cannot be brought down.
        if known.suspect && step.record.refusal.is_none() && step.origin_body().is_none() {
            step.look(&step.publication.origin(step.key), Depth::Body);
        }
        return;
    };
    if corrects {
        correct(step, copy_ref, copy, intent, known);
    } else {
        keep(step, copy_ref, copy, intent, known);
    }
}

/// The copy is as it should be.
fn rest(step: &mut Step<'_>, mut known: CopyKnown) {
    known.suspect = false;
    if known.reflects != step.record.generation {
        known.before = known.reflects;
        known.reflects = step.record.generation;
        step.moved = true;
    }
    step.record.copy = Some(known);
}

fn is_applied(known: &CopyKnown, intent: &Intent) -> bool {
    known.applied.as_deref() == Some(intent.fingerprint.to_string().as_str())
}

/// Everything that the order says is applied, and set right when somebody changed it.
fn correct(
    step: &mut Step<'_>,
    copy_ref: &ObjectRef,
    copy: Option<&Value>,
    intent: &Intent,
    known: CopyKnown,
) {
    let manager = step.manager();
    let same = is_applied(&known, intent);
    let mut drifted = false;
    if known.suspect {
        let Some(copy) = copy else {
            step.look(copy_ref, Depth::Body);
            return;
        };
        if let Some(patch) = drift::inherited(copy, &manager) {
            step.push(
                Deed::Inherit,
                copy_ref.clone(),
                Verb::JsonPatch { subresource: None },
                patch,
                "what was patched before is applied from now on",
            );
            return;
        }
        let mut wanted = marked(intent, 0);
        recall::spare(copy, &mut wanted);
        let lost = drift::lost(&wanted, copy, &manager);
        drifted = fight::weigh(step, lost, intent) || drift::has_surplus(&wanted, copy, &manager);
    }
    if same && !drifted {
        rest(step, known);
        return;
    }
    if step.record.refusal.is_some() {
        return;
    }
    let mut body = marked(intent, step.record.generation);
    recall::mark(step, intent, &mut body);
    if copy.is_none() && fight::needs_copy(&step.record, &body) {
        step.look(copy_ref, Depth::Body);
        return;
    }
    fight::spare(&step.record, &mut body, copy);
    body["metadata"]["uid"] = json!(known.known.uid);
    step.push(
        Deed::Refresh,
        copy_ref.clone(),
        Verb::Apply { force: true },
        body,
        if same {
            "somebody changed what is ours"
        } else {
            "the order changed"
        },
    );
}

/// Only what the consumer changed is written.
fn keep(
    step: &mut Step<'_>,
    copy_ref: &ObjectRef,
    copy: Option<&Value>,
    intent: &Intent,
    mut known: CopyKnown,
) {
    let salt = adopt::salt(step.key);
    let wanted = keep::wanted(step.publication, &intent.object, &salt);
    let theirs = step.publication.follows_go_agent();
    let same = !theirs && is_applied(&known, intent);
    let before = match (&known.leaves, copy) {
        (Some(before), _) => before.clone(),
        (None, Some(copy)) if theirs => match predecessor::written(step, copy, &wanted, &salt) {
            Some(before) => before,
            None => return,
        },
        (None, _) if same => wanted.clone(),
        (None, Some(copy)) => Leaves::of_copy(copy, &wanted, &salt, &step.manager()),
        (None, None) => {
            step.look(copy_ref, Depth::Body);
            return;
        }
    };
    let missing = copy.map(|copy| adopt::missing_marks(intent, copy));
    let mut missing = missing.unwrap_or_default();
    let mut body = keep::difference(&before, &wanted, &intent.object);
    // There, what differs is all that counts, and of the marks those that link the copy.
    let same = same || (theirs && body.as_object().is_some_and(serde_json::Map::is_empty));
    let mut extra = Vec::new();
    if theirs {
        (missing, extra) = missing.into_iter().partition(|it| keep::is_link(&it.0));
    }
    let lost = missing.iter().map(|(path, _)| drift::Lost {
        path: path.clone(),
        manager: None,
    });
    // Without its marks it is nobody's copy; but whoever takes them off again and again is not answered for ever.
    if same {
        fight::weigh(step, lost.collect(), intent);
        missing.retain(|(path, _)| !fight::is_left(&step.record, path));
    }
    let first = known.leaves.is_none();
    known.leaves = Some(before);
    if same && missing.is_empty() {
        if let Some(copy) = copy.filter(|_| first) {
            // What differs can be told only now.
            fight::observe(step, &mut known, copy);
        }
        rest(step, known);
        return;
    }
    step.record.copy = Some(known.clone());
    if step.record.refusal.is_some() {
        return;
    }
    for (path, value) in missing.into_iter().chain(extra) {
        keep::put(&mut body, &path, value);
    }
    let written = adopt::written(step, intent);
    if copy.is_some_and(|it| annotation(it, names::TAKES_NO_MORE).is_some()) {
        body["metadata"]["annotations"][names::TAKES_NO_MORE] = Value::Null;
    }
    for key in keep::VOLATILE {
        if let Some(value) = written["metadata"]["annotations"].get(*key) {
            body["metadata"]["annotations"][*key] = value.clone();
        }
    }
    body["metadata"]["uid"] = json!(known.known.uid);
    step.push(
        Deed::Refresh,
        copy_ref.clone(),
        Verb::MergePatch,
        body,
        if same {
            "somebody took marks of ours off"
        } else {
            "the order changed"
        },
    );
}

fn place(step: &mut Step<'_>, copy_ref: &ObjectRef, intent: &Intent) {
    if !ensure_namespace(step, &copy_ref.namespace) {
        return;
    }
    let mut body = adopt::written(step, intent);
    // An apply for "version 1" creates, or answers 409: it never merges into what exists.
    body["metadata"]["resourceVersion"] = json!("1");
    step.push(
        Deed::Place,
        copy_ref.clone(),
        Verb::Apply { force: false },
        body,
        "it is not there yet",
    );
}

fn refuse(step: &mut Step<'_>, reason: &str, message: String, lasting: bool) {
    step.record.refusal = Some(Refusal {
        intent: step.record.wish.unwrap_or_else(nothing),
        reason: reason.to_owned(),
        message,
        lasting,
    });
}

/// The copy's name is somebody else's.
pub(super) fn name_taken(step: &mut Step<'_>, intent: Option<&Intent>) {
    let message = "the service has something else under the name that this order would get";
    step.record.refusal = Some(Refusal {
        intent: intent
            .map(|it| it.fingerprint)
            .or(step.record.wish)
            .unwrap_or_else(nothing),
        reason: "NameTaken".into(),
        message: message.into(),
        lasting: false,
    });
}

fn say_refusal(step: &mut Step<'_>) {
    if let Some(refusal) = step.record.refusal.clone() {
        if !refusal.lasting {
            step.refused
                .push(format!("{}: {}", refusal.reason, refusal.message));
        }
        step.troubles.insert(0, (refusal.reason, refusal.message));
    }
}
