//! Owner references: what happens to the dependents of an object that goes.
//!
//! On a real cluster this is the garbage collector of kube-controller-manager, and kcp runs the same; here it is a task
//! of the server, unless a Kubernetes server was built bare. Dependents of a deleted owner are deleted once their last
//! owner is gone; an owner that is deleted in the foreground waits for them, one that is deleted with `Orphan` leaves them
//! behind without a reference. Owners are known by uid and lie in the same cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::Core;
use crate::store::Key;

/// The uids of an object's owners.
pub(crate) fn of(object: &Value) -> Vec<String> {
    let list = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let uids = list
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str());
    uids.map(str::to_owned).collect()
}

/// How an object that is being deleted wants its dependents treated, by the finalizer that says so.
pub(crate) fn policy(object: &Value) -> Option<&'static str> {
    object.pointer("/metadata/deletionTimestamp")?;
    let finalizers = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)?;
    ["foregroundDeletion", "orphan"]
        .into_iter()
        .find(|name| finalizers.iter().any(|one| one == name))
}

/// What is left to look at after a write.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// The owner with this uid is gone.
    Gone(String),
    /// This object names owners; they may be gone already.
    Check(Key),
    /// This object is being deleted and waits for its dependents.
    Waits(Key),
}

/// Collects what nobody owns any longer.
pub(crate) async fn run(core: Arc<Core>) {
    let mut work = core.store().follow_owners();
    loop {
        work.mark_unchanged();
        let tasks = core.store().take_owner_tasks();
        for task in &tasks {
            step(&core, task);
        }
        if tasks.is_empty() && work.changed().await.is_err() {
            return;
        }
    }
}

fn step(core: &Arc<Core>, task: &Task) {
    match task {
        Task::Gone(uid) => {
            let dependents = core.store().dependents(uid);
            for key in dependents {
                collect(core, &key);
            }
        }
        Task::Check(key) => collect(core, key),
        Task::Waits(key) => settle(core, key),
    }
}

/// Deletes an object whose owners are all gone; drops the references to those that are gone otherwise.
fn collect(core: &Arc<Core>, key: &Key) {
    let Some(stored) = core.read(key) else { return };
    let owners = of(&stored.object);
    let alive = |uid: &str| {
        core.store()
            .key_of(uid)
            .is_some_and(|owner| owner.cluster == key.cluster)
    };
    let left: Vec<&String> = owners.iter().filter(|uid| alive(uid)).collect();
    if left.is_empty() && !owners.is_empty() {
        core.delete(key);
    } else if left.len() < owners.len() {
        // Known before the store is locked for the change.
        let left: Vec<String> = left.into_iter().cloned().collect();
        drop_references(core, key, |uid| !left.iter().any(|one| one == uid));
    }
    // An owner that is deleted in the foreground may have waited for this one.
    for uid in &owners {
        let owner = core.store().key_of(uid);
        if let Some(owner) = owner {
            settle(core, &owner);
        }
    }
}

/// Lets an owner go that waited for its dependents.
fn settle(core: &Arc<Core>, key: &Key) {
    let Some(stored) = core.read(key) else { return };
    let Some(policy) = policy(&stored.object) else {
        return;
    };
    let dependents = core.store().dependents(stored.uid());
    let mut waits = false;
    for dependent in dependents {
        if policy == "orphan" {
            drop_references(core, &dependent, |uid| uid == stored.uid());
            continue;
        }
        core.delete(&dependent);
        waits |= core
            .read(&dependent)
            .is_some_and(|one| blocks(&one.object, stored.uid()));
    }
    if !waits {
        core.modify(key, |object| {
            if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|name| name != policy);
            }
            true
        });
    }
}

/// Whether a dependent holds up the deletion of its owner.
fn blocks(dependent: &Value, uid: &str) -> bool {
    let list = dependent
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == json!(true))
}

fn drop_references(core: &Arc<Core>, key: &Key, gone: impl Fn(&str) -> bool) {
    core.modify(key, |object| {
        let Some(metadata) = object["metadata"].as_object_mut() else {
            return false;
        };
        let Some(owners) = metadata
            .get_mut("ownerReferences")
            .and_then(Value::as_array_mut)
        else {
            return false;
        };
        owners.retain(|owner| !owner["uid"].as_str().is_some_and(&gone));
        if owners.is_empty() {
            metadata.remove("ownerReferences");
        }
        true
    });
}
