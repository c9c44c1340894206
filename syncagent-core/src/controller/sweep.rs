//! Lets go of what nobody needs: objects of consumers that carry our finalizer and belong to no order, and what was taken for
//! orders that are gone.
//!
//! An order that is cut off between two writes, or changes before its first step, can leave an object held that it does not
//! name any more; the consumer could never delete it. The metadata watches show what is held, the reverse index who needs
//! it, so a sweep costs nothing where all is well. Something is let go only when two sweeps in a row found it unneeded, all
//! orders were listed, and every order of its workspace is at rest.
//!
//! An order and its copy may both be lost while no agent runs. What was taken for it still says for whom: such an order is
//! looked for once, and its step decides, with the evidence of a GET.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::ledger::Source;
use super::sync::Shared;
use crate::io::announce::Notice;
use crate::io::clients::{JSON_PATCH, object};
use crate::object::{finalizers, uid};
use crate::plan::{Key, ObjectRef, Place};
use crate::publication::Publication;

/// The time between two sweeps.
const EVERY: Duration = Duration::from_secs(300);

/// Sweeps for ever.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let mut before: BTreeMap<ObjectRef, String> = BTreeMap::new();
    let mut looked_for = BTreeSet::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let all = shared.publications.all();
        look_for_strays(&shared, &all, &mut looked_for).await;
        // The Go agent's finalizer is shared: what we do not need another agent may hold.
        let own = all.iter().find(|it| !it.follows_go_agent());
        let Some(finalizer) = own.map(|it| it.finalizer()) else {
            continue;
        };
        let offered: Vec<_> = all.iter().map(|it| it.offered().clone()).collect();
        let found = shared.state().unneeded(&finalizer, Instant::now());
        let mut now = BTreeMap::new();
        for (source, at, outline) in found {
            // Orders are held too, and are no business of a sweep.
            if offered
                .iter()
                .any(|it| (&it.group, &it.plural) == (&at.kind.group, &at.kind.plural))
            {
                continue;
            }
            if before.get(&at).is_some_and(|it| it == uid(&outline)) {
                release(&shared, &source, &at, &outline, &finalizer).await;
            } else {
                now.insert(at, uid(&outline).to_owned());
            }
        }
        before = now;
    }
}

/// Has a step look for orders of which nothing is known but what was taken for them, once each.
async fn look_for_strays(
    shared: &Shared,
    all: &[Arc<Publication>],
    looked_for: &mut BTreeSet<Key>,
) {
    let mut strays = BTreeSet::new();
    let mut from = None;
    loop {
        let (found, next) = shared.state().strays(from.as_ref(), Instant::now());
        strays.extend(found);
        from = next;
        if from.is_none() {
            break;
        }
        // Everybody else has a turn between two stretches.
        tokio::task::yield_now().await;
    }
    let mut state = shared.state();
    for key in strays {
        let publication = all.iter().find(|it| it.id() == key.publication);
        let Some(publication) = publication.filter(|it| !it.follows_go_agent()) else {
            continue;
        };
        if looked_for.insert(key.clone()) {
            state.look_for(&key, publication.origin(&key));
        }
    }
    drop(state);
    shared.work.notify_waiters();
}

/// Takes our finalizer off exactly what was seen; who changed it meanwhile is looked at again.
async fn release(
    shared: &Shared,
    source: &Source,
    at: &ObjectRef,
    outline: &Value,
    finalizer: &str,
) {
    let (Source::Endpoint(url), Place::Workspace(cluster)) = (source, &at.place) else {
        return;
    };
    let Some((_, server)) = shared.workspaces(Some(url), cluster).into_iter().next() else {
        return;
    };
    let have = finalizers(outline);
    let wanted: Vec<_> = have.iter().filter(|it| *it != finalizer).collect();
    let change = match wanted.is_empty() {
        true => json!({"op": "remove", "path": "/metadata/finalizers"}),
        false => json!({"op": "add", "path": "/metadata/finalizers", "value": wanted}),
    };
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid(outline)},
        {"op": "test", "path": "/metadata/finalizers", "value": have},
        change,
    ]);
    let path = object(&at.kind, Some(&at.namespace), &at.name);
    let reply = server.patch(&path, JSON_PATCH, &patch).await;
    if reply.is_ok_and(|it| it.is_success()) {
        shared.announcer.tell(&Notice::Swept {
            object: at.to_string(),
        });
    }
}
