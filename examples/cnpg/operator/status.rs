//! What CloudNativePG says about a Cluster, in its own words. Pure: the time is an argument.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::kinds::{ClusterSpec, ClusterStatus};

/// How far an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The Cluster was seen; its first server is being made.
    SettingUp,
    /// The server is there but does not answer (yet, or any more).
    Waiting,
    /// Everything is as wanted.
    Healthy,
    /// Something that must be there cannot be made.
    Unable(String),
    /// The spec makes no sense.
    Invalid(String),
}

impl Stage {
    fn phase(&self) -> &'static str {
        match self {
            Self::SettingUp => "Setting up primary",
            Self::Waiting => "Waiting for the instances to become active",
            Self::Healthy => "Cluster in healthy state",
            Self::Unable(_) => "Unable to create required cluster objects",
            Self::Invalid(_) => "Invalid cluster definition",
        }
    }
}

/// The whole status of a Cluster in a stage; `reason` says more about a stage that lasts.
pub(crate) fn status(
    name: &str,
    spec: &ClusterSpec,
    stage: &Stage,
    reason: Option<&str>,
    before: Option<&ClusterStatus>,
    now: Time,
) -> ClusterStatus {
    let primary = format!("{name}-1");
    let was_up = before.is_some_and(|before| before.current_primary.is_some());
    let runs = was_up || matches!(stage, Stage::Waiting | Stage::Healthy);
    let ready = *stage == Stage::Healthy;
    let reason = match stage {
        Stage::Unable(why) | Stage::Invalid(why) => Some(why.as_str()),
        Stage::SettingUp | Stage::Waiting | Stage::Healthy => reason,
    };
    let health = if ready { "healthy" } else { "failed" };
    ClusterStatus {
        phase: Some(stage.phase().to_owned()),
        phase_reason: reason.map(str::to_owned),
        instances: Some(spec.instances),
        ready_instances: Some(i64::from(ready)),
        current_primary: runs.then(|| primary.clone()),
        target_primary: runs.then(|| primary.clone()),
        instance_names: runs.then(|| vec![primary.clone()]),
        instances_status: runs
            .then(|| BTreeMap::from([(health.to_owned(), vec![primary.clone()])])),
        write_service: Some(format!("{name}-rw")),
        read_service: Some(format!("{name}-r")),
        image: spec.image_name.clone(),
        timeline_id: ready
            .then_some(1)
            .or_else(|| before.and_then(|before| before.timeline_id)),
        latest_generated_node: runs.then_some(1),
        conditions: Some(conditions(ready, before, now)),
    }
}

/// The condition Ready beside those that somebody else wrote; its time changes only when it does.
fn conditions(ready: bool, before: Option<&ClusterStatus>, now: Time) -> Vec<Condition> {
    let mut conditions = before
        .and_then(|before| before.conditions.clone())
        .unwrap_or_default();
    let (status, reason, message) = match ready {
        true => ("True", "ClusterIsReady", "Cluster is Ready"),
        false => ("False", "ClusterIsNotReady", "Cluster Is Not Ready"),
    };
    if conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == status)
    {
        return conditions;
    }
    conditions.retain(|condition| condition.type_ != "Ready");
    conditions.push(Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: now,
        observed_generation: None,
    });
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Time {
        Time(jiff::Timestamp::from_second(second).expect("in range"))
    }

    fn spec() -> ClusterSpec {
        serde_json::from_value(json!({ "instances": 1 })).expect("a spec")
    }

    fn wire(status: &ClusterStatus) -> Value {
        let mut wire = serde_json::to_value(status).expect("plain data");
        if let Some(fields) = wire.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        wire
    }

    #[test]
    fn a_new_cluster_is_being_set_up() {
        let new = status("kcp", &spec(), &Stage::SettingUp, None, None, at(1));
        let ready = json!({ "type": "Ready", "status": "False", "reason": "ClusterIsNotReady",
            "message": "Cluster Is Not Ready", "lastTransitionTime": "1970-01-01T00:00:01Z" });
        let expected = json!({ "phase": "Setting up primary", "instances": 1, "readyInstances": 0,
            "writeService": "kcp-rw", "readService": "kcp-r", "conditions": [ready] });
        assert_eq!(wire(&new), expected);
    }

    #[test]
    fn a_healthy_cluster_names_its_primary_and_is_ready() {
        let waiting = status("kcp", &spec(), &Stage::Waiting, None, None, at(1));
        let healthy = wire(&status(
            "kcp",
            &spec(),
            &Stage::Healthy,
            None,
            Some(&waiting),
            at(2),
        ));
        assert_eq!(healthy["phase"], "Cluster in healthy state");
        assert_eq!(healthy["readyInstances"], 1);
        assert_eq!(healthy["currentPrimary"], "kcp-1");
        assert_eq!(healthy["instancesStatus"], json!({ "healthy": ["kcp-1"] }));
        assert_eq!(healthy["conditions"][0]["reason"], "ClusterIsReady");
        assert_eq!(
            healthy["conditions"][0]["lastTransitionTime"],
            "1970-01-01T00:00:02Z"
        );
    }

    #[test]
    fn a_condition_keeps_its_time_while_it_holds() {
        let first = status("kcp", &spec(), &Stage::Healthy, None, None, at(1));
        let again = status("kcp", &spec(), &Stage::Healthy, None, Some(&first), at(9));
        assert_eq!(first, again);
    }

    #[test]
    fn a_server_that_died_is_not_ready_and_still_the_primary() {
        let healthy = status("kcp", &spec(), &Stage::Healthy, None, None, at(1));
        let died = wire(&status(
            "kcp",
            &spec(),
            &Stage::Waiting,
            Some("signal: 9"),
            Some(&healthy),
            at(2),
        ));
        assert_eq!(died["readyInstances"], 0);
        assert_eq!(died["phaseReason"], "signal: 9");
        assert_eq!(died["currentPrimary"], "kcp-1");
        assert_eq!(died["conditions"][0]["status"], "False");
    }
}
