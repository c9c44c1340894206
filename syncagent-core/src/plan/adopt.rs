//! Adoption: something without an identity stands where the copy would be made.
//!
//! It is found by a place that answers 409 and the GET after it. What carries the marks of another order or agent is never
//! adopted, whatever the policy; nor is what somebody is deleting. The write names uid and version, so nobody can mark it
//! in between.
//!
//! A copy of ours whose marks somebody took off is no stranger: the record knows its uid, or it still says the uid of its
//! order. It keeps its standing, and its marks are restored.

use serde_json::{Value, json};

use super::effect::{Deed, Verb};
use super::keep;
use super::recall;
use super::seen::Depth;
use super::stated;
use super::step::Step;
use super::tend::name_taken;
use crate::definition::{Adoption, Drift, Kind};
use crate::names;
use crate::object::reference::{Key, ObjectRef};
use crate::object::{annotation, is_deleting, label, uid, version};
use crate::projection::{Intent, marked};

/// Whether an object carries no mark that contradicts this order's.
fn contradicts_nothing(step: &Step<'_>, object: &Value) -> bool {
    let identity = step.key.identity();
    let labels = identity.labels(step.publication.agent().as_str());
    let annotations = identity.annotations();
    let agrees = |have: &str, wanted: Option<&Value>| {
        have.is_empty() || wanted.and_then(Value::as_str) == Some(have)
    };
    let marks = [
        names::AGENT,
        names::CLUSTER,
        names::NAME_HASH,
        names::NAMESPACE_HASH,
    ];
    let told = |key: &str| annotation(object, key).unwrap_or_default();
    marks
        .iter()
        .all(|mark| agrees(label(object, mark), labels.get(*mark)))
        && [names::NAME, names::NAMESPACE]
            .iter()
            .all(|mark| agrees(told(mark), annotations.get(*mark)))
        && agrees(
            told(names::PUBLICATION),
            Some(&json!(step.publication.id())),
        )
        && told(names::RELATED_UID).is_empty()
}

/// Whether a copy whose marks are not complete is this order's all the same.
pub(super) fn is_worn(step: &Step<'_>, object: &Value) -> bool {
    let by_record = step
        .record
        .copy
        .as_ref()
        .is_some_and(|it| it.known.uid == uid(object));
    let origin = step.record.origin.as_ref();
    let by_mark =
        origin.is_some_and(|it| annotation(object, names::ORIGIN_UID) == Some(it.uid.as_str()));
    (by_record || by_mark) && contradicts_nothing(step, object)
}

/// The marks of an order that an object does not have, as paths.
pub(super) fn missing_marks(intent: &Intent, object: &Value) -> Vec<(String, Value)> {
    keep::leaves(&intent.object)
        .into_iter()
        .filter(|(path, value)| keep::is_mark(path) && object.pointer(path) != Some(value))
        .map(|(path, value)| (path, value.clone()))
        .collect()
}

/// What salts the hashes of an order.
pub(super) fn salt(key: &Key) -> String {
    stated::salt_of(&key.identity())
}

/// What is written for an intent: its marks, and what will be remembered of it.
pub(super) fn written(step: &Step<'_>, intent: &Intent) -> Value {
    let mut object = marked(intent, step.record.generation);
    recall::mark(step, intent, &mut object);
    let annotations = &mut object["metadata"]["annotations"];
    if step.publication.follows_go_agent() && is_secret(step.publication.service()) {
        // Of what a Secret holds no hash is written down.
        if let Some(map) = annotations.as_object_mut() {
            map.remove(names::APPLIED);
        }
        return object;
    }
    if step.publication.policy().drift != Drift::Correct {
        let salt = salt(step.key);
        let text = keep::wanted(step.publication, &intent.object, &salt).text(&salt);
        if let Some(text) = text {
            annotations[names::LEAVES] = json!(text);
            if let Some(stated) = step.record.stated.as_ref().filter(|it| !it.is_empty()) {
                annotations[names::STATE] = json!(stated);
            }
        }
    }
    object
}

fn is_secret(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Secret"
}

/// Something without an identity stands in the copy's place.
pub(super) fn adopt(
    step: &mut Step<'_>,
    copy_ref: &ObjectRef,
    found: &Value,
    intent: Option<&Intent>,
) {
    let policy = step.publication.policy().adoption;
    if policy == Adoption::Refuse || is_deleting(found) || !contradicts_nothing(step, found) {
        name_taken(step, intent);
        return;
    }
    let Some(intent) = intent else {
        if step.origin_body().is_none() {
            step.look(&step.publication.origin(step.key), Depth::Body);
        }
        return;
    };
    if step.record.refusal.as_ref().is_some_and(|it| it.lasting) {
        return;
    }
    step.record.refusal = None;
    let whole = written(step, intent);
    let (verb, mut body, because) = match policy {
        Adoption::TakeOver => (
            Verb::Apply { force: true },
            whole,
            "something unmarked has its name, and is taken over",
        ),
        _ => (
            Verb::MergePatch,
            marks_of(&whole),
            "something unmarked has its name, and becomes the copy as it is",
        ),
    };
    body["metadata"]["uid"] = json!(uid(found));
    body["metadata"]["resourceVersion"] = json!(version(found));
    step.push(Deed::Adopt, copy_ref.clone(), verb, body, because);
}

/// Only what says whose a copy is, and what it stands for.
pub(super) fn marks_of(object: &Value) -> Value {
    let mut marks = json!({"metadata": {}});
    for part in ["labels", "annotations"] {
        let map = object["metadata"][part].as_object().cloned();
        let mut map = map.unwrap_or_default();
        map.retain(|key, _| key.starts_with(names::PREFIX));
        marks["metadata"][part] = Value::Object(map);
    }
    marks
}
