//! Events: one object under two groups.
//!
//! An Event is stored in the form of the core group; `events.k8s.io` shows the same object under other names. Whoever
//! wrote it, both can read it.

use serde_json::{Value, json};

use super::{Write, meta, text};
use crate::status::Cause;

/// The members that have another name in `events.k8s.io`: core name, new name.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// An Event of `events.k8s.io` in the form of the core group.
#[must_use]
pub fn to_core(event: &Value) -> Value {
    renamed(event, "v1", |name| {
        NAMES
            .iter()
            .find(|(_, new)| *new == name)
            .map(|(core, _)| *core)
    })
}

/// An Event of the core group in the form of `events.k8s.io`.
#[must_use]
pub fn from_core(event: &Value) -> Value {
    renamed(event, "events.k8s.io/v1", |name| {
        NAMES
            .iter()
            .find(|(core, _)| *core == name)
            .map(|(_, new)| *new)
    })
}

fn renamed<'n>(event: &Value, api_version: &str, other: impl Fn(&str) -> Option<&'n str>) -> Value {
    let members = event.as_object().into_iter().flatten();
    let result: Value = members
        .map(|(name, value)| (other(name).unwrap_or(name).to_owned(), value.clone()))
        .collect();
    // Each form has members of its own that are always there.
    super::decode::encode_as(api_version, "Event", &result)
}

pub(super) fn validate(write: Write<'_>, event: &Value) -> Vec<Cause> {
    if write.old.is_some() {
        return Vec::new();
    }
    let core = write.resource.group.is_empty();
    let about = if core {
        "/involvedObject/namespace"
    } else {
        "/regarding/namespace"
    };
    let (namespace, about) = (text(event, "/metadata/namespace"), text(event, about));
    let mut causes = Vec::new();
    let agrees = if about.is_empty() {
        ["", "default"].contains(&namespace)
    } else {
        about == namespace
    };
    if !agrees {
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &json!(about),
            "does not match event.namespace",
        ));
    }
    let happened = event.get("eventTime").is_some_and(|time| !time.is_null());
    if happened {
        causes.extend(reported(event, core));
    }
    if core {
        return causes;
    }
    if !happened {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = text(event, "/type");
    if !["Normal", "Warning"].contains(&kind) {
        causes.push(Cause::invalid(
            "type",
            &json!(""),
            &format!("has invalid value: {kind}"),
        ));
    }
    for (member, field) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
    ] {
        if event.get(member).is_some_and(|time| !time.is_null()) {
            causes.push(Cause::invalid(field, &event[member], "needs to be unset"));
        }
    }
    if event["deprecatedCount"]
        .as_i64()
        .is_some_and(|count| count != 0)
    {
        causes.push(Cause::invalid(
            "count",
            &event["deprecatedCount"],
            "needs to be unset",
        ));
    }
    if !text(event, "/deprecatedSource/component").is_empty()
        || !text(event, "/deprecatedSource/host").is_empty()
    {
        causes.push(Cause::invalid(
            "source",
            &event["deprecatedSource"],
            "needs to be unset",
        ));
    }
    causes
}

/// Who reported an event that says when it happened.
fn reported(event: &Value, core: bool) -> Vec<Cause> {
    const MOST: usize = 128;
    const NOTE: usize = 1024;
    let reporter = if core {
        "reportingComponent"
    } else {
        "reportingController"
    };
    let mut causes = Vec::new();
    let controller = text(event, &format!("/{reporter}"));
    if controller.is_empty() {
        causes.push(Cause::required(reporter, ""));
    }
    causes.extend(
        meta::qualified(controller)
            .iter()
            .map(|problem| Cause::invalid(reporter, &json!(controller), problem)),
    );
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(event, &format!("/{field}"));
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
        if value.len() > MOST {
            causes.push(Cause::invalid(
                field,
                &json!(""),
                &format!("can have at most {MOST} characters"),
            ));
        }
    }
    if text(event, if core { "/message" } else { "/note" }).len() > NOTE {
        causes.push(Cause::invalid(
            "message",
            &json!(""),
            &format!("can have at most {NOTE} characters"),
        ));
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::super::tests::write;
    use super::*;

    #[test]
    fn what_one_group_writes_the_other_reads() {
        let kinds = kinds::kubernetes();
        let newer = kinds
            .iter()
            .find(|kind| kind.group == "events.k8s.io")
            .expect("it is served");
        let core = json!({
            "metadata": {"name": "e", "namespace": "n"},
            "involvedObject": {"kind": "ConfigMap", "name": "c", "namespace": "n", "apiVersion": "v1"},
            "reason": "Tested", "message": "it was tested", "type": "Normal", "source": {"component": "me"},
            "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2020-01-01T00:00:00Z", "count": 1,
        });
        let stored = write("events", "", None, &core).expect("it fits");
        let seen = super::super::encode(newer, &from_core(&stored));
        assert_eq!(
            seen,
            json!({
                "kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "e", "namespace": "n"}, "eventTime": null,
                "reason": "Tested", "regarding": {"kind": "ConfigMap", "namespace": "n", "name": "c", "apiVersion": "v1"},
                "note": "it was tested", "type": "Normal", "deprecatedSource": {"component": "me"},
                "deprecatedFirstTimestamp": "2020-01-01T00:00:00Z", "deprecatedLastTimestamp": "2020-01-01T00:00:00Z",
                "deprecatedCount": 1,
            })
        );
        let core_kind = kinds
            .iter()
            .find(|kind| kind.qualified() == "events")
            .expect("it is served");
        assert_eq!(super::super::encode(core_kind, &to_core(&seen)), stored);
    }

    #[test]
    fn refusals_are_as_recorded() {
        let new = |object: Value| {
            write("events.events.k8s.io", "", None, &object).expect_err("it is incomplete")
        };
        assert_eq!(
            new(json!({"metadata": {"name": "n", "namespace": "ns"}})),
            "Event \"n\" is invalid: [involvedObject.namespace: Invalid value: \"\": does not match event.namespace, \
             eventTime: Required value, type: Invalid value: \"\": has invalid value: ]"
        );
        let odd = new(json!({
            "metadata": {"name": "n", "namespace": "ns"}, "eventTime": "2020-01-01T00:00:00.000000Z",
            "regarding": {"namespace": "ns"}, "type": "Odd",
        }));
        assert!(odd.contains("[reportingController: Required value, reportingController: Invalid value: \"\": name part must be non-empty, "), "{odd}");
        assert!(odd.ends_with("reportingInstance: Required value, action: Required value, reason: Required value, type: Invalid value: \"\": has invalid value: Odd]"), "{odd}");
    }
}
