//! Status back to the origin, and our own condition in it.

use serde_json::{Value, json};

use super::effect::{Deed, Subresource, Verb};
use super::seen::Depth;
use super::speak::{Word, said, speak};
use super::step::Step;
use crate::mutation::Stop;
use crate::object::fingerprint::Fingerprint;
use crate::projection::Intent;
use crate::status::{self, Synced, with_synced, without_synced};

pub(super) fn reflect(
    step: &mut Step<'_>,
    origin: Option<&Value>,
    copy: Option<&Value>,
    intent: Option<&Intent>,
) {
    let Some(uid) = step.record.origin.as_ref().map(|it| it.uid.clone()) else {
        return;
    };
    let synced = synced_now(step);
    let Word::Said(word, new) = speak(step, origin, copy) else {
        return;
    };
    let Some(mut base) = base(step, origin, copy, intent, synced.as_ref(), new) else {
        return;
    };
    if let Some(mut word) = word {
        crate::object::drop_nulls(&mut word);
        status::lay_over(&mut base, word);
    }
    let desired = match &synced {
        Some(synced) => with_synced(base, synced),
        None => base,
    };
    let print = Fingerprint::of(&desired);
    let empty = desired.as_object().is_some_and(serde_json::Map::is_empty);
    let shown = step.record.shown;
    let as_replied =
        step.record.reflected == Some(print) && shown.is_some() && shown == step.record.replied;
    if shown == Some(print) || as_replied || (empty && step.record.shown.is_none()) {
        step.record.reflected = Some(print);
        step.record.replied = shown;
        step.record.synced = synced;
        said(step);
        return;
    }
    let body = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": desired},
    ]);
    let object = step.publication.origin(step.key);
    let verb = Verb::JsonPatch {
        subresource: Some(Subresource::Status),
    };
    step.push(
        Deed::Reflect,
        object,
        verb,
        body,
        "what the consumer sees is not what is so",
    );
}

/// The status without our condition; `None`: there is nothing to say, or it must be asked for first.
fn base(
    step: &mut Step<'_>,
    origin: Option<&Value>,
    copy: Option<&Value>,
    intent: Option<&Intent>,
    synced: Option<&Synced>,
    new: bool,
) -> Option<Value> {
    let up = step.publication.up();
    let origin_ref = step.publication.origin(step.key);
    let said = same(step.record.synced.as_ref(), synced);
    match (copy, step.record.copy.clone()) {
        (Some(copy), Some(known)) => {
            let changes = step.publication.changes_up();
            if (up.needs_origin() || changes.reads_other()) && origin.is_none() {
                step.look(&origin_ref, Depth::Body);
                return None;
            }
            let mut names = intent.map(|it| it.names.clone()).unwrap_or_default();
            let (cluster, namespace) = (&step.key.cluster, &step.key.namespace);
            names.extend(step.seen.moved().names(cluster, namespace));
            let mut shown = up.project(copy, known.generations(), &names);
            let changed = origin.and_then(|it| step.changed_order(it));
            for stop in status::mutate(changes, &mut shown, copy, changed.as_ref().or(origin)) {
                let Stop { at, fault, .. } = stop;
                step.refused.push(format!("mutation of `{at}`: {fault}"));
            }
            Some(shown)
        }
        // The copy is as it was. Only what we say ourselves can have changed.
        (None, Some(known)) => {
            let lagging = step.moved
                && up.turns_generations()
                && origin.is_some_and(|it| speaks_of_others(&it["status"], known.reflects));
            let tampered =
                step.record.shown != step.record.replied || step.record.replied.is_none();
            let together = step.publication.changes_up().reads_other() && origin.is_some();
            if said && !lagging && !tampered && !new && !together {
                return None;
            }
            let copy_ref = step.copy_ref().ok()?;
            step.look(&copy_ref, Depth::Body);
            None
        }
        // There is no copy: what was said about it stays, except what we say ourselves.
        (_, None) => match origin {
            Some(origin) => Some(without_synced(&origin["status"])),
            None if said => None,
            None => {
                step.look(&origin_ref, Depth::Body);
                None
            }
        },
    }
}

/// Whether a status speaks of a generation other than the one that the copy reflects.
fn speaks_of_others(status: &Value, reflects: i64) -> bool {
    let conditions = status["conditions"].as_array();
    let observed = |it: &Value| it["observedGeneration"].as_i64();
    let all = observed(status)
        .into_iter()
        .chain(conditions.into_iter().flatten().filter_map(observed));
    status::speaks_of_generations(status) && all.into_iter().any(|it| it != reflects)
}

fn same(a: Option<&Synced>, b: Option<&Synced>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a.ok, &a.reason, &a.message) == (b.ok, &b.reason, &b.message),
        (None, None) => true,
        _ => false,
    }
}

/// Our condition, as it should be.
fn synced_now(step: &Step<'_>) -> Option<Synced> {
    if !step.publication.policy().conditions {
        return None;
    }
    let (ok, reason, message) = match step.troubles.first() {
        Some((reason, message)) => (false, reason.clone(), message.clone()),
        None => (
            true,
            "Synced".to_owned(),
            "the order is at the service".to_owned(),
        ),
    };
    let before = step.record.synced.as_ref();
    let since = match before {
        Some(before) if before.ok == ok && !before.since.is_empty() => before.since.clone(),
        _ => step.context.now.clone(),
    };
    Some(Synced {
        ok,
        reason,
        message,
        since,
    })
}
