//! Deployments, as an API server without controllers keeps them: stored, defaulted, versioned, never rolled out.

use serde_json::{Value, json};

use super::{Write, items, keep};
use crate::status::Cause;

pub(super) fn default(deployment: &mut Value) {
    if !deployment["spec"].is_object() {
        deployment["spec"] = json!({});
    }
    let spec = &mut deployment["spec"];
    for (key, value) in [
        ("replicas", json!(1)),
        ("revisionHistoryLimit", json!(10)),
        ("progressDeadlineSeconds", json!(600)),
    ] {
        if spec[key].is_null() {
            spec[key] = value;
        }
    }
    let kind = spec["strategy"]["type"].as_str().unwrap_or_default();
    if kind.is_empty() {
        spec["strategy"]["type"] = json!("RollingUpdate");
    }
    if spec["strategy"]["type"] == "RollingUpdate" {
        for key in ["maxSurge", "maxUnavailable"] {
            if spec["strategy"]["rollingUpdate"][key].is_null() {
                spec["strategy"]["rollingUpdate"][key] = json!("25%");
            }
        }
    }
}

pub(super) fn prepare(write: Write<'_>, deployment: &mut Value) {
    let Some(old) = write.old else {
        deployment["status"] = json!({});
        deployment["metadata"]["generation"] = json!(1);
        return;
    };
    if write.subresource == "status" {
        keep(deployment, write.old, "spec");
        deployment["metadata"]["labels"] = old["metadata"]["labels"].clone();
        return;
    }
    keep(deployment, write.old, "status");
    let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
    let changed = i64::from(old["spec"] != deployment["spec"]);
    deployment["metadata"]["generation"] = json!(generation + changed);
}

pub(super) fn validate(write: Write<'_>, deployment: &Value) -> Vec<Cause> {
    if write.subresource == "status" {
        return Vec::new();
    }
    let mut causes = Vec::new();
    let selector = deployment
        .pointer("/spec/selector")
        .filter(|selector| !selector.is_null());
    let wanted = selector.and_then(|selector| selector["matchLabels"].as_object());
    let demands = selector.is_some_and(|selector| !items(selector, "/matchExpressions").is_empty());
    match selector {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(_) if wanted.is_none_or(serde_json::Map::is_empty) && !demands => {
            causes.push(Cause::invalid(
                "spec.selector",
                &json!({}),
                "empty selector is invalid for deployment",
            ));
        }
        Some(_) => {}
    }
    let labels = deployment
        .pointer("/spec/template/metadata/labels")
        .unwrap_or(&Value::Null);
    let fits = selector.is_some()
        && wanted.is_none_or(|wanted| {
            wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        });
    if !fits {
        // An absent map is shown bare here, not in quotes.
        let problem =
            format!("Invalid value: {labels}: `selector` does not match template `labels`");
        causes.push(Cause::new(
            "FieldValueInvalid",
            "spec.template.metadata.labels",
            problem,
        ));
    }
    if items(deployment, "/spec/template/spec/containers").is_empty() {
        causes.push(Cause::required("spec.template.spec.containers", ""));
    }
    if let Some(replicas) = deployment
        .pointer("/spec/replicas")
        .filter(|replicas| replicas.as_i64().is_some_and(|n| n < 0))
    {
        causes.push(Cause::invalid(
            "spec.replicas",
            replicas,
            "must be greater than or equal to 0",
        ));
    }
    if let Some(old) = write.old
        && old["spec"]["selector"] != deployment["spec"]["selector"]
    {
        causes.push(Cause::invalid(
            "spec.selector",
            &deployment["spec"]["selector"],
            "field is immutable",
        ));
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::tests::write;
    use super::*;

    fn deployment() -> Value {
        json!({"metadata": {"name": "a"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "one", "image": "i"}]}},
        }})
    }

    #[test]
    fn what_is_missing_is_said_as_recorded() {
        assert_eq!(
            write("deployments.apps", "", None, &json!({"metadata": {"name": "a"}, "spec": {}})),
            Err("Deployment.apps \"a\" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: \
                 `selector` does not match template `labels`, spec.template.spec.containers: Required value]"
                .to_owned())
        );
    }

    #[test]
    fn generations_count_specs_and_status_is_apart() {
        let made = write("deployments.apps", "", None, &deployment()).expect("it fits");
        assert_eq!(
            (&made["metadata"]["generation"], &made["spec"]["replicas"]),
            (&json!(1), &json!(1))
        );
        let mut more = made.clone();
        more["spec"]["replicas"] = json!(3);
        more["status"] = json!({"replicas": 3});
        let more = write("deployments.apps", "", Some(&made), &more).expect("it fits");
        assert_eq!(
            (&more["metadata"]["generation"], &more["status"]),
            (&json!(2), &json!({}))
        );
        let mut seen = more.clone();
        seen["spec"]["replicas"] = json!(9);
        seen["status"] = json!({"observedGeneration": 2});
        let seen = write("deployments.apps", "status", Some(&more), &seen).expect("it fits");
        assert_eq!(
            (&seen["spec"]["replicas"], &seen["status"]),
            (&json!(3), &json!({"observedGeneration": 2}))
        );
    }
}
