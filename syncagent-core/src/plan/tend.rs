//! The copy of an order that stands: placed when it is missing, refreshed when it differs, left alone when it is not ours.

use serde_json::{Value, json};

use super::copy::{Copy, learn};
use super::drift;
use super::effect::{Deed, Verb};
use super::hold::{ensure_namespace, hold};
use super::key::ObjectRef;
use super::record::Refusal;
use super::seen::Depth;
use super::step::Step;
use crate::object::fingerprint::Fingerprint;
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
    let copy = learn(step, &copy_ref);
    let intent = match origin.map(|origin| step.intent(origin)) {
        Some(Ok(intent)) => Some(intent),
        Some(Err(objection)) => {
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
        Copy::Unclear => step.look(&copy_ref, Depth::Body),
        Copy::Other => {
            let message = "the service has something else under the name that this order would get";
            step.record.refusal = Some(Refusal {
                intent: intent
                    .as_ref()
                    .map(|it| it.fingerprint)
                    .or(step.record.wish)
                    .unwrap_or_else(nothing),
                reason: "NameTaken".into(),
                message: message.into(),
                lasting: false,
            });
        }
        Copy::Absent | Copy::Unknown if step.record.refusal.is_some() => {}
        Copy::Absent | Copy::Unknown => match (&intent, origin) {
            (Some(intent), _) => place(step, &copy_ref, intent),
            (None, Some(_)) => {}
            (None, None) => step.look(&step.publication.origin(step.key), Depth::Body),
        },
        Copy::Recorded | Copy::Ours(_) => keep(step, &copy_ref, &copy, intent.as_ref()),
    }
    say_refusal(step);
    Tended {
        intent,
        copy: match copy {
            Copy::Ours(copy) => Some(copy),
            _ => None,
        },
    }
}

/// A copy of ours that exists: refreshed when it must be.
fn keep(step: &mut Step<'_>, copy_ref: &ObjectRef, copy: &Copy<'_>, intent: Option<&Intent>) {
    let Some(mut known) = step.record.copy.clone() else {
        return;
    };
    if known.deleting {
        step.waiting.push("the copy is being deleted".into());
        step.trouble(
            "Deleting",
            "what was ordered is being deleted at the service; it will be made again",
        );
        return;
    }
    let Some(intent) = intent else {
        if known.suspect && step.record.refusal.is_none() {
            match step.origin_body() {
                // It is in hand, and cannot be brought down.
                Some(_) => {}
                None => step.look(&step.publication.origin(step.key), Depth::Body),
            }
        }
        return;
    };
    let same = known.applied.as_deref() == Some(intent.fingerprint.to_string().as_str());
    let drifted = known.suspect
        && match copy {
            Copy::Ours(copy) => !drift::owns_all(&marked(intent, 0), copy, &step.manager()),
            _ => {
                step.look(copy_ref, Depth::Body);
                return;
            }
        };
    if same && !drifted {
        known.suspect = false;
        if known.reflects != step.record.generation {
            known.before = known.reflects;
            known.reflects = step.record.generation;
            step.moved = true;
        }
        step.record.copy = Some(known);
        return;
    }
    if step.record.refusal.is_some() {
        return;
    }
    let mut body = marked(intent, step.record.generation);
    body["metadata"]["uid"] = json!(known.known.uid);
    step.push(
        Deed::Refresh,
        copy_ref.clone(),
        Verb::Apply { force: true },
        body,
        if drifted {
            "somebody changed what is ours"
        } else {
            "the order changed"
        },
    );
}

fn place(step: &mut Step<'_>, copy_ref: &ObjectRef, intent: &Intent) {
    if !ensure_namespace(step, &copy_ref.namespace) {
        return;
    }
    let mut body = marked(intent, step.record.generation);
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

fn say_refusal(step: &mut Step<'_>) {
    if let Some(refusal) = step.record.refusal.clone() {
        if !refusal.lasting {
            step.refused
                .push(format!("{}: {}", refusal.reason, refusal.message));
        }
        step.troubles.insert(0, (refusal.reason, refusal.message));
    }
}

fn nothing() -> Fingerprint {
    Fingerprint::of(&Value::Null)
}
