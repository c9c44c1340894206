//! The copy of an order that stands: placed when it is missing, refreshed when it differs, left alone when it is not ours.

use serde_json::{Value, json};

use super::drift;
use super::effect::{Deed, Verb};
use super::key::ObjectRef;
use super::record::{CopyKnown, Refusal};
use super::seen::{Depth, Sight};
use super::step::{Step, known_of};
use crate::names;
use crate::object::fingerprint::Fingerprint;
use crate::object::identity::Standing;
use crate::object::{self, annotation, generation, is_deleting, is_older, version};
use crate::projection::{Intent, marked, written_for};
use crate::related::content;

/// What came of tending the copy.
pub(super) struct Tended<'a> {
    /// What the service cluster is asked for, when the origin is in hand and can be brought down.
    pub(super) intent: Option<Intent>,
    /// The copy, when it is ours and in hand.
    pub(super) copy: Option<&'a Value>,
}

/// What is known of the copy now.
pub(super) enum Copy<'a> {
    /// Nobody looked yet.
    Unknown,
    /// As the record says.
    Recorded,
    /// It is not there.
    Absent,
    /// It is in hand.
    Ours(&'a Value),
    /// Something of that name is somebody else's.
    Other,
    /// It cannot be told before a question is answered.
    Unclear,
}

pub(super) fn tend<'a>(step: &mut Step<'a>, origin: Option<&Value>) -> Tended<'a> {
    let none = Tended {
        intent: None,
        copy: None,
    };
    let copy_ref = match step.publication.copy(step.key) {
        Ok(copy_ref) => copy_ref,
        Err(error) => {
            refuse(step, "Invalid", format!("metadata.name: {error}"), true);
            say_refusal(step);
            return none;
        }
    };
    let copy = learn(step, &copy_ref);
    let intent = match origin.map(|origin| step.publication.intent(step.key, origin)) {
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

/// Takes note of the copy.
pub(super) fn learn<'a>(step: &mut Step<'a>, copy_ref: &ObjectRef) -> Copy<'a> {
    match step.seen.of(copy_ref) {
        Sight::There(copy) => {
            let known = step.record.copy.as_ref();
            let stale = known.is_some_and(|it| is_older(version(copy), &it.known.version));
            if stale {
                return Copy::Recorded;
            }
            if step.publication.standing(step.key, copy) != Standing::Ours {
                step.record.copy = None;
                step.record.copy_absent = true;
                return Copy::Other;
            }
            let manager = step.manager();
            let known = CopyKnown::of(copy, step.record.copy.as_ref(), &manager);
            step.record.copy = Some(known);
            step.record.copy_absent = false;
            Copy::Ours(copy)
        }
        Sight::Absent => {
            step.record.copy = None;
            step.record.copy_absent = true;
            Copy::Absent
        }
        Sight::Outline(copy)
            if step
                .record
                .copy
                .as_ref()
                .is_some_and(|it| it.known == known_of(copy)) =>
        {
            Copy::Recorded
        }
        Sight::Doubt | Sight::Outline(_) => Copy::Unclear,
        Sight::Barred => {
            step.refused.push("the copy cannot be read".into());
            Copy::Recorded
        }
        Sight::Unseen if step.record.copy.is_some() => Copy::Recorded,
        Sight::Unseen if step.record.copy_absent => Copy::Absent,
        Sight::Unseen => Copy::Unknown,
    }
}

impl CopyKnown {
    /// What is remembered of a copy that is seen, given what was remembered before.
    pub(super) fn of(copy: &Value, before: Option<&Self>, manager: &str) -> Self {
        let applied = annotation(copy, names::APPLIED).map(str::to_owned);
        let entry = drift::print(copy, manager);
        let before = before.filter(|it| it.known.uid == object::uid(copy));
        let suspect = match before {
            Some(before) => {
                let entry_differs = before.entry.is_some() && before.entry != entry;
                before.suspect || before.applied != applied || entry_differs
            }
            // Nothing to compare with: what is ours on it is looked at when the origin is in hand.
            None => true,
        };
        // Of a write whose answer was lost, the copy itself tells what it was for.
        let same = before.filter(|it| it.applied == applied);
        Self {
            known: known_of(copy),
            entry,
            generation: same.map_or_else(|| generation(copy), |it| it.generation),
            reflects: same.map_or_else(|| written_for(copy), |it| it.reflects),
            before: match same {
                Some(same) => same.before,
                None => before.map_or(0, |it| it.reflects),
            },
            applied,
            content: Fingerprint::of(&json!({"content": content(copy), "status": copy["status"]})),
            deleting: is_deleting(copy),
            suspect,
        }
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
    );
}

/// Makes a namespace of the service cluster that does not exist; says whether what lives in it can be written.
pub(super) fn ensure_namespace(step: &mut Step<'_>, name: &str) -> bool {
    if name.is_empty() || step.effects.iter().any(|it| it.deed == Deed::Namespace) {
        return true;
    }
    let object = ObjectRef::service_namespace(name);
    match step.seen.of(&object) {
        Sight::There(_) | Sight::Outline(_) => return true,
        Sight::Unseen if step.record.copy.is_some() => return true,
        Sight::Unseen | Sight::Doubt => {
            step.look(&object, Depth::Outline);
            return false;
        }
        // Who may not look may still try.
        Sight::Absent | Sight::Barred => {}
    }
    let body = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {names::AGENT: step.publication.agent().as_str()}},
    });
    step.push(Deed::Namespace, object, Verb::Create, body);
    true
}

fn hold(step: &mut Step<'_>, origin: &Value) {
    let object = step.publication.origin(step.key);
    let finalizer = step.publication.agent().finalizer();
    let body = add_finalizer(object::uid(origin), &step.record.finalizers, &finalizer);
    step.push(
        Deed::Hold,
        object,
        Verb::JsonPatch { subresource: None },
        body,
    );
}

/// A patch that adds a finalizer to an object with exactly this uid and these finalizers.
pub(super) fn add_finalizer(uid: &str, have: &[String], finalizer: &str) -> Value {
    let mut wanted = have.to_vec();
    wanted.push(finalizer.to_owned());
    change_finalizers(uid, have, &wanted)
}

/// A patch that takes a finalizer off an object with exactly this uid and these finalizers.
pub(super) fn remove_finalizer(uid: &str, have: &[String], finalizer: &str) -> Value {
    let wanted: Vec<String> = have.iter().filter(|it| *it != finalizer).cloned().collect();
    change_finalizers(uid, have, &wanted)
}

fn change_finalizers(uid: &str, have: &[String], wanted: &[String]) -> Value {
    let test = if have.is_empty() {
        Value::Null
    } else {
        json!(have)
    };
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": uid}),
        json!({"op": "test", "path": "/metadata/finalizers", "value": test}),
    ];
    patch.push(if wanted.is_empty() {
        json!({"op": "remove", "path": "/metadata/finalizers"})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers", "value": wanted})
    });
    Value::Array(patch)
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
