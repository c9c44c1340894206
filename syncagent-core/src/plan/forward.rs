//! A related object's status, brought to its copy: always from the original, whichever way the object goes.
//!
//! The version that a copy is marked with is written after the status, so a copy whose mark is current has the status of
//! that version. Only of a copy that was just made this is not so; there our entry for the status in `managedFields` tells.

use serde_json::{Value, json};

use super::effect::{Deed, Subresource, Verb};
use super::record::StatusKnown;
use super::seen::Depth;
use super::step::Step;
use crate::object::fingerprint::Fingerprint;
use crate::object::reference::{Known, ObjectRef};

/// What a copy that is seen for the first time says about its status.
pub(super) fn told(copy: &Value, manager: &str) -> StatusKnown {
    let entries = copy["metadata"]["managedFields"].as_array();
    let ours = |it: &&Value| it["manager"] == manager && it["subresource"] == "status";
    match entries.into_iter().flatten().find(ours) {
        Some(_) => StatusKnown::Sent(None),
        None => StatusKnown::Unknown,
    }
}

/// Plans to write the status, when the copy does not have it.
pub(super) fn forward(
    step: &mut Step<'_>,
    rule: &str,
    copy: &ObjectRef,
    to: &Known,
    known: &mut StatusKnown,
    original: &Value,
) {
    let status = &original["status"];
    let print = Fingerprint::of(status);
    if step.publication.follows_go_agent() && *known == StatusKnown::Unknown {
        // Nobody says what was brought over, so the copy is looked at.
        match step.seen.of(copy).body() {
            Some(copy) if Fingerprint::of(&copy["status"]) == print => {
                *known = StatusKnown::Sent(Some(print));
                return;
            }
            Some(_) => {}
            None => return step.look(copy, Depth::Body),
        }
    }
    match known {
        StatusKnown::Nowhere => return,
        // The copy was looked at since then, and is there.
        StatusKnown::Missed => {
            *known = StatusKnown::Nowhere;
            return;
        }
        StatusKnown::Sent(Some(sent)) if *sent == print => return,
        StatusKnown::Unknown if status.is_null() => {
            *known = StatusKnown::Sent(Some(print));
            return;
        }
        _ => {}
    }
    let value = if status.is_null() {
        json!({})
    } else {
        status.clone()
    };
    let body = json!([
        {"op": "test", "path": "/metadata/uid", "value": to.uid},
        {"op": "add", "path": "/status", "value": value},
    ]);
    let verb = Verb::JsonPatch {
        subresource: Some(Subresource::Status),
    };
    step.push(
        Deed::Forward(rule.to_owned()),
        copy.clone(),
        verb,
        body,
        "the original has another status",
    );
}

/// The fingerprint of the status that a request brings.
pub(super) fn sent(body: &Value) -> Option<Fingerprint> {
    let status = &body[1]["value"];
    let empty = status.as_object().is_some_and(serde_json::Map::is_empty);
    Some(Fingerprint::of(if empty { &Value::Null } else { status }))
}
