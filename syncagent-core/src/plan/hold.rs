//! What must be there before anything is placed: our finalizer on the origin, and the namespace that the copy lives in.

use serde_json::{Value, json};

use super::effect::{Deed, Effect, Verb};
use super::seen::{Depth, Sight};
use super::step::Step;
use crate::object;
use crate::object::reference::ObjectRef;

/// Makes a namespace of the service cluster that does not exist; says whether what lives in it can be written.
pub(super) fn ensure_namespace(step: &mut Step<'_>, name: &str) -> bool {
    let object = ObjectRef::service_namespace(name);
    let planned = |it: &Effect| it.deed == Deed::Namespace && it.request.object == object;
    if name.is_empty() || step.effects.iter().any(planned) {
        return true;
    }
    let beside = step.copy_ref().is_ok_and(|it| it.namespace == name);
    if step.record.copy.is_none() {
        // Its end, and when it is there, are told to those who wait for it.
        step.concern(&object);
    }
    match step.seen.of(&object) {
        Sight::There(_) | Sight::Outline(_) => return true,
        Sight::Unseen if beside && step.record.copy.is_some() => return true,
        Sight::Unseen | Sight::Doubt => {
            step.look(&object, Depth::Outline);
            return false;
        }
        // Who may not look may still try.
        Sight::Absent | Sight::Barred => {}
    }
    let (labels, annotations) = step.publication.namespace_marks(&step.key.cluster);
    let mut metadata = json!({"name": name});
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    step.push(
        Deed::Namespace,
        object,
        Verb::Create,
        body,
        "the copy will live in it",
    );
    true
}

/// Whether an object of the workspace has a namespace to live in, as far as a server said. The Go agent makes a missing
/// one; otherwise that is the consumer's to do, and they are told.
pub(super) fn has_namespace(step: &mut Step<'_>, object: &ObjectRef) -> bool {
    let Some(namespace) = object.namespace_of() else {
        return true;
    };
    let (kind, name) = (&object.kind.kind, &object.name);
    match step.seen.of(&namespace) {
        Sight::Absent if step.publication.follows_go_agent() => {
            let metadata = json!({"name": namespace.name});
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            let because = "what comes up will live in it";
            step.push(Deed::Namespace, namespace, Verb::Create, body, because);
            true
        }
        Sight::Absent | Sight::Barred => {
            let message = format!(
                "the {kind} {name:?} belongs into the namespace {:?}, which is not there: make it",
                namespace.name
            );
            step.trouble("WaitingForNamespace", message);
            // Nothing tells when it is there.
            step.refused.push(format!(
                "the workspace lacks the namespace of a returned {kind}"
            ));
            false
        }
        _ => true,
    }
}

pub(super) fn hold(step: &mut Step<'_>, origin: &Value) {
    let object = step.publication.origin(step.key);
    let finalizer = step.publication.finalizer();
    let body = add_finalizer(object::uid(origin), &step.record.finalizers, &finalizer);
    step.push(
        Deed::Hold,
        object,
        Verb::JsonPatch { subresource: None },
        body,
        "nothing is placed before the order is held",
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
