//! What the recorder left out, left out here too.
//!
//! A step says in words what was trimmed from its answer. Each of the phrases has its function here; a phrase that is not
//! known leaves the answer whole, and the comparison then says what is too much.

use serde_json::{Map, Value, json};

use super::recording::{Kind, Request};

/// The answer as the recorder would have written it down.
#[must_use]
pub fn project(
    kind: Kind,
    request: &Request,
    trimmed: Option<&str>,
    recorded: &Value,
    mut actual: Value,
) -> Value {
    let trimmed = trimmed.unwrap_or_default();
    let managed = recorded.to_string().contains("managedFields");
    let unmanaged = trimmed.contains("managedFields") || trimmed.starts_with("ages");
    if !managed && (kind == Kind::Kcp || unmanaged) || trimmed.contains("managedFields") {
        strip_managed_fields(&mut actual);
    }
    if request.path.ends_with("/version") {
        forget_build(&mut actual, recorded);
    }
    if kind == Kind::Kcp && actual["kind"] == "APIResourceList" {
        // A server's order of custom kinds varies; the recorder sorted them.
        sort_by(&mut actual["resources"], |r| {
            r["name"].as_str().unwrap_or_default().to_owned()
        });
    }
    if kind == Kind::Kcp && actual["kind"] == "APIGroupList" {
        sort_by(&mut actual["groups"], |g| {
            g["name"].as_str().unwrap_or_default().to_owned()
        });
    }
    if recorded.get("<digest>").is_some() {
        return json!({"<digest>": digest(request, recorded, &actual)});
    }
    let failed = actual.get("kind").is_some_and(|k| k == "Status") && actual.get("code").is_some();
    match trimmed {
        "causes sorted by field" => {
            sort_causes(&mut actual);
            actual
        }
        "body's kind and status only" => pick(&actual, recorded),
        _ if failed => actual,
        "names only" => items(&actual)
            .iter()
            .map(|i| i["metadata"]["name"].clone())
            .collect(),
        "names and list metadata" if actual.get("items").is_some() => {
            let names: Value = items(&actual)
                .iter()
                .map(|i| json!([i["metadata"]["namespace"], i["metadata"]["name"]]))
                .collect();
            json!({"names": names, "kind": actual["kind"], "metadata": actual["metadata"]})
        }
        "only status" | "status" => actual["status"].clone(),
        "metadata without managedFields, and status" => {
            json!({"metadata": actual["metadata"], "status": actual["status"]})
        }
        "generation and conditions" => {
            json!({"generation": actual["metadata"]["generation"], "conditions": actual["status"]["conditions"]})
        }
        "stored versions" => actual["status"]["storedVersions"].clone(),
        "an accepted object: names and status only" => {
            json!({"names": actual["spec"]["names"], "status": actual["status"]})
        }
        "spec.replicas, status, labels, generation" => json!({
            "replicas": actual["spec"]["replicas"], "status": actual["status"],
            "labels": actual["metadata"]["labels"], "generation": actual["metadata"]["generation"],
        }),
        "storageVersionHash marked, sorted by name (the server's order of CRDs varies)" => {
            sort_by(&mut actual["resources"], |r| r["name"].to_string());
            actual
        }
        "only the custom group, apps and coordination.k8s.io" => {
            keep_like(&mut actual["groups"], &recorded["groups"], |g| {
                g["name"].clone()
            });
            actual
        }
        "only the custom group; of it all" => {
            keep_groups(&mut actual["items"], &recorded["items"]);
            actual
        }
        "only kind, and the resource configmaps" => {
            if let Some(versions) = actual["items"][0]["versions"].as_array_mut() {
                for version in versions {
                    if let Some(resources) = version["resources"].as_array_mut() {
                        resources.retain(|r| r["resource"] == "configmaps");
                    }
                }
            }
            actual
        }
        "only the custom group" => {
            keep_paths(&mut actual["paths"], &recorded["paths"]);
            actual
        }
        "schemas of other groups left out; of the operations only id, action, kind, description" => {
            trim_openapi(&mut actual, recorded);
            actual
        }
        "rules sorted" => {
            for rules in ["resourceRules", "nonResourceRules"] {
                sort_by(&mut actual["status"][rules], rule_key);
            }
            actual
        }
        "ages; kube-root-ca.crt has no controller here" => {
            if let Some(rows) = actual["rows"].as_array_mut() {
                rows.retain(|row| row["cells"][0] != "kube-root-ca.crt");
            }
            actual
        }
        _ => actual,
    }
}

/// The recorded answer in the order that [`project`] gives to sorted ones.
#[must_use]
pub fn ordered(trimmed: Option<&str>, mut recorded: Value) -> Value {
    match trimmed {
        Some("causes sorted by field") => sort_causes(&mut recorded),
        Some("rules sorted") => {
            for rules in ["resourceRules", "nonResourceRules"] {
                if recorded["status"].get(rules).is_some() {
                    sort_by(&mut recorded["status"][rules], rule_key);
                }
            }
        }
        _ => {}
    }
    recorded
}

/// Puts the causes of a failure in an order of their own, and forgets the order in the message.
pub fn sort_causes(answer: &mut Value) {
    if let Some(causes) = answer.pointer_mut("/details/causes") {
        sort_by(causes, |c| {
            format!("{} {} {}", c["field"], c["reason"], c["message"])
        });
    }
}

/// Sorts what a message joins in brackets, for failures whose problems come in no fixed order.
pub fn sort_message(answer: &mut Value) {
    let Some(message) = answer.get("message").and_then(Value::as_str) else {
        return;
    };
    let Some((head, rest)) = message.split_once(": [") else {
        return;
    };
    let mut parts: Vec<&str> = rest.trim_end_matches(']').split(", ").collect();
    parts.sort_unstable();
    answer["message"] = Value::String(format!("{head}: [{}]", parts.join(", ")));
}

/// Leaves `managedFields` out of an object, of the items of a list, of the rows of a Table.
pub fn strip_managed_fields(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Object(metadata)) = members.get_mut("metadata") {
                metadata.remove("managedFields");
            }
            for name in ["items", "rows", "object"] {
                if let Some(inner) = members.get_mut(name) {
                    strip_managed_fields(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip_managed_fields),
        _ => {}
    }
}

/// The short form of answers that list much: discovery, OpenAPI, configuration maps.
fn digest(request: &Request, recorded: &Value, actual: &Value) -> Value {
    let path = request.path.split('?').next().unwrap_or_default();
    let aggregated = request
        .accept
        .as_deref()
        .is_some_and(|a| a.contains("APIGroupDiscoveryList"));
    let keys = |value: &Value| -> Value {
        value
            .as_object()
            .map(|o| o.keys().cloned().collect())
            .unwrap_or_default()
    };
    if aggregated {
        if actual["kind"] == "APIGroupList" {
            return json!([
                actual["kind"],
                actual["apiVersion"],
                actual["groups"].as_array().map(Vec::len)
            ]);
        }
        return json!([actual["kind"]]);
    }
    if path.ends_with("/openapi/v3") {
        let mut paths = keys(&actual["paths"]);
        if recorded["<digest>"]
            .as_array()
            .is_some_and(|r| r.len() == 1)
        {
            keep_like(&mut paths, &recorded["<digest>"], Clone::clone);
        }
        return paths;
    }
    if path.ends_with("/openapi/v2") {
        return json!([keys(actual)]);
    }
    if path.ends_with("/version") {
        return keys(actual);
    }
    if path.ends_with("/configmaps") {
        return items(actual)
            .iter()
            .map(|i| {
                json!([
                    i["metadata"]["namespace"],
                    i["metadata"]["name"],
                    keys(&i["data"])
                ])
            })
            .collect();
    }
    if actual.get("groups").is_some() {
        let mut groups: Value = actual["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|g| {
                let versions: Value = g["versions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|v| v["version"].clone())
                    .collect();
                json!([g["name"], versions, g["preferredVersion"]["version"]])
            })
            .collect();
        sort_by(&mut groups, |g| g[0].to_string());
        return groups;
    }
    let mut resources: Value = actual["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| {
            json!([
                r["name"],
                r["kind"],
                r["namespaced"],
                r["verbs"],
                r["shortNames"]
            ])
        })
        .collect();
    sort_by(&mut resources, |r| {
        r[0].as_str().unwrap_or_default().to_owned()
    });
    resources
}

fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().cloned().unwrap_or_default()
}

fn rule_key(rule: &Value) -> String {
    rule.to_string()
}

fn sort_by(value: &mut Value, key: impl Fn(&Value) -> String) {
    if let Some(items) = value.as_array_mut() {
        items.sort_by_key(|item| key(item));
    }
}

fn pick(actual: &Value, recorded: &Value) -> Value {
    let names = recorded.as_object().into_iter().flat_map(Map::keys);
    names
        .filter_map(|n| Some((n.clone(), actual.get(n)?.clone())))
        .collect()
}

fn keep_like(actual: &mut Value, recorded: &Value, key: impl Fn(&Value) -> Value) {
    let wanted: Vec<Value> = recorded
        .as_array()
        .into_iter()
        .flatten()
        .map(&key)
        .collect();
    if let Some(items) = actual.as_array_mut() {
        items.retain(|item| wanted.contains(&key(item)));
    }
}

fn keep_groups(actual: &mut Value, recorded: &Value) {
    keep_like(actual, recorded, |item| item["metadata"]["name"].clone());
}

fn keep_paths(actual: &mut Value, recorded: &Value) {
    if let Some(paths) = actual.as_object_mut() {
        paths.retain(|path, _| recorded.get(path).is_some());
    }
}

/// What a server says about its own build is true of no other.
fn forget_build(actual: &mut Value, recorded: &Value) {
    for name in [
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ] {
        if let (Some(own), Some(other)) = (actual.get_mut(name), recorded.get(name))
            && own.is_string()
        {
            *own = other.clone();
        }
    }
}

fn trim_openapi(actual: &mut Value, recorded: &Value) {
    if let Some(paths) = actual["paths"].as_object_mut() {
        for operations in paths.values_mut() {
            let Some(operations) = operations.as_object_mut() else {
                continue;
            };
            for (name, operation) in operations {
                if name == "parameters" {
                    *operation = Value::String("left out".into());
                } else if let Some(members) = operation.as_object_mut() {
                    members.retain(|n, _| {
                        matches!(
                            n.as_str(),
                            "description"
                                | "operationId"
                                | "x-kubernetes-action"
                                | "x-kubernetes-group-version-kind"
                        )
                    });
                }
            }
        }
    }
    let wanted: Vec<String> = recorded
        .pointer("/components/schemas")
        .and_then(Value::as_object)
        .map(|s| s.keys().cloned().collect())
        .unwrap_or_default();
    if let Some(schemas) = actual
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    {
        schemas.retain(|name, _| wanted.contains(name));
        for (name, schema) in schemas {
            let recorded = &recorded["components"]["schemas"][name];
            if recorded == "left out" {
                *schema = recorded.clone();
            }
        }
    }
}
