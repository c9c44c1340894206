//! What a `PublishedResource` says about itself: a status, and an event where something is wrong.
//!
//! The Go agent writes `status.resourceSchemaName` and nothing else, and an object that works is left as that agent leaves
//! it. A condition is only written on one that does not work, or that shows a condition already. The Go agent's definition of
//! the kind has no room for conditions; a server then drops them, and what was said once is not said again.

use serde_json::{Value, json};

/// The condition.
const READY: &str = "Ready";

/// What there is to say about an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Says<'a> {
    /// The schema that it is offered with; `None`: not offered yet.
    pub(super) schema: Option<&'a str>,
    /// What keeps it from working.
    pub(super) problems: Vec<String>,
    /// Whether its author has to change something.
    pub(super) broken: bool,
}

/// What was said about an object so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) problems: Vec<String>,
    pub(super) event: String,
}

/// What has to be said now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Report {
    /// A merge patch of the status.
    pub(super) patch: Option<Value>,
    /// The message of a warning.
    pub(super) event: Option<String>,
}

/// What has to be said about an object.
pub(super) fn report(object: &Value, says: &Says<'_>, told: &Told, now: &str) -> Report {
    let mut status = serde_json::Map::new();
    if let Some(schema) = says.schema
        && object["status"]["resourceSchemaName"] != schema
    {
        status.insert("resourceSchemaName".into(), schema.into());
    }
    let shown = object["status"]["conditions"].as_array();
    let shown = shown.map(Vec::as_slice).unwrap_or_default();
    let known = shown.iter().find(|it| it["type"] == READY);
    let news = says.problems != told.problems || known.is_some();
    if news && (!says.problems.is_empty() || known.is_some()) {
        let condition = condition(object, says, known, now);
        if known != Some(&condition) {
            let others = shown.iter().filter(|it| it["type"] != READY).cloned();
            let all: Vec<Value> = others.chain([condition]).collect();
            status.insert("conditions".into(), all.into());
        }
    }
    let message = says.problems.join("\n");
    Report {
        patch: (!status.is_empty()).then(|| json!({"status": status})),
        event: (!message.is_empty() && message != told.event).then_some(message),
    }
}

fn condition(object: &Value, says: &Says<'_>, known: Option<&Value>, now: &str) -> Value {
    let (status, reason) = match (says.problems.is_empty(), says.broken) {
        (true, _) => ("True", "Published"),
        (false, true) => ("False", "Invalid"),
        (false, false) => ("False", "Waiting"),
    };
    let since = known.filter(|it| it["status"] == status);
    let since = since.and_then(|it| it["lastTransitionTime"].as_str());
    let mut condition = json!({
        "type": READY,
        "status": status,
        "reason": reason,
        "message": says.problems.join("\n"),
        "lastTransitionTime": since.unwrap_or(now),
    });
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        condition["observedGeneration"] = generation.into();
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-29T03:00:00Z";

    fn says<'a>(schema: Option<&'a str>, problems: &[&str]) -> Says<'a> {
        Says {
            schema,
            problems: problems.iter().map(|&it| it.to_owned()).collect(),
            broken: true,
        }
    }

    #[test]
    fn an_object_that_works_says_what_the_go_agent_says() {
        let fresh = json!({"metadata": {"generation": 1}, "spec": {}});
        let report = |object: &Value, schema| {
            super::report(object, &says(schema, &[]), &Told::default(), NOW)
        };
        assert_eq!(report(&fresh, None), Report::default());
        let patch = report(&fresh, Some("v1.things.example.io")).patch.unwrap();
        assert_eq!(
            patch,
            json!({"status": {"resourceSchemaName": "v1.things.example.io"}})
        );
        let settled = json!({"metadata": {}, "status": patch["status"]});
        assert_eq!(
            report(&settled, Some("v1.things.example.io")),
            Report::default()
        );
    }

    #[test]
    fn all_problems_are_said_at_once_and_once() {
        let object =
            json!({"metadata": {"generation": 3}, "status": {"conditions": [{"type": "Other"}]}});
        let wrong = says(None, &["a: is wrong", "b: is wrong"]);
        let first = report(&object, &wrong, &Told::default(), NOW);
        assert_eq!(first.event.as_deref(), Some("a: is wrong\nb: is wrong"));
        let patch = first.patch.unwrap();
        assert_eq!(
            patch["status"]["conditions"],
            json!([{"type": "Other"}, {"type": "Ready", "status": "False", "reason": "Invalid",
                "message": "a: is wrong\nb: is wrong", "lastTransitionTime": NOW, "observedGeneration": 3}])
        );
        let told = Told {
            problems: wrong.problems.clone(),
            event: "a: is wrong\nb: is wrong".to_owned(),
        };
        // Also where the server dropped the condition.
        assert_eq!(report(&object, &wrong, &told, "later"), Report::default());
        let mut shown = object;
        shown["status"] = patch["status"].clone();
        assert_eq!(report(&shown, &wrong, &told, "later"), Report::default());
        // A restarted agent finds it as it is.
        let again = report(&shown, &wrong, &Told::default(), "later");
        assert_eq!(again.patch, None);
        // Mended.
        let right = says(Some("v1.a.b"), &[]);
        let patch = report(&shown, &right, &told, "later").patch.unwrap();
        assert_eq!(patch["status"]["resourceSchemaName"], "v1.a.b");
        let ready = &patch["status"]["conditions"][1];
        assert_eq!(ready["status"], "True");
        assert_eq!(ready["lastTransitionTime"], "later");
    }
}
