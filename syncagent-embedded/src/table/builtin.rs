//! The columns of built-in kinds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CREATED, age, head, name_head};

/// The heads of the columns of a kind.
pub(super) fn heads(group: &str, plural: &str) -> Value {
    let text = |name: &str, description: &str| head(name, "string", "", description, 0);
    let wide = |name: &str, description: &str| head(name, "string", "", description, 1);
    let aged = || head("Age", "string", "", CREATED, 0);
    let heads = match (group, plural) {
        ("", "configmaps") => vec![
            name_head(),
            text(
                "Data",
                "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the keys in the BinaryData field, this is enforced during validation process.",
            ),
            aged(),
        ],
        ("", "secrets") => vec![
            name_head(),
            text(
                "Type",
                "Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types",
            ),
            text(
                "Data",
                "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4",
            ),
            aged(),
        ],
        ("", "namespaces") => vec![
            name_head(),
            text("Status", "The status of the namespace"),
            aged(),
        ],
        ("", "services") => vec![
            name_head(),
            text("Type", "How the Service is exposed"),
            text("Cluster-IP", "The virtual address of the Service"),
            text("External-IP", "Where the Service is reached from outside"),
            text("Port(s)", "The ports that the Service exposes"),
            aged(),
            wide("Selector", "The labels of the pods behind the Service"),
        ],
        ("", "serviceaccounts") => vec![
            name_head(),
            text("Secrets", "How many secrets belong to the account"),
            aged(),
        ],
        ("" | "events.k8s.io", "events") => vec![
            text(
                "Last Seen",
                "The time at which the most recent occurrence of this event was recorded.",
            ),
            text(
                "Type",
                "Type of this event (Normal, Warning), new types could be added in the future",
            ),
            text(
                "Reason",
                "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
            ),
            text("Object", "The object that this event is about."),
            wide(
                "Subobject",
                "The part of the object that this event is about.",
            ),
            wide(
                "Source",
                "The component reporting this event. Should be a short machine understandable string.",
            ),
            text(
                "Message",
                "A human-readable description of the status of this operation.",
            ),
            wide(
                "First Seen",
                "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)",
            ),
            wide("Count", "The number of times this event has occurred."),
            head("Name", "string", "name", super::NAME, 1),
        ],
        ("apps", "deployments") => vec![
            name_head(),
            text("Ready", "Number of the pod with ready state"),
            text(
                "Up-to-date",
                "Total number of non-terminated pods that have the desired template",
            ),
            text("Available", "Total number of available pods"),
            aged(),
            wide("Containers", "Names of each container in the template."),
            wide(
                "Images",
                "Images referenced by each container in the template.",
            ),
            wide("Selector", "Label selector for pods."),
        ],
        ("", "resourcequotas") => vec![
            name_head(),
            text("Request", "What is used of each request"),
            text("Limit", "What is used of each limit"),
            aged(),
        ],
        ("coordination.k8s.io", "leases") => {
            vec![name_head(), text("Holder", "Who holds the lease"), aged()]
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => vec![
            name_head(),
            text("Role", "The role that is bound"),
            aged(),
            wide("Users", "The users that the role is bound to"),
            wide("Groups", "The groups that the role is bound to"),
            wide(
                "ServiceAccounts",
                "The service accounts that the role is bound to",
            ),
        ],
        // What has no columns of its own says when it was made.
        _ => vec![name_head(), head("Created At", "date", "", CREATED, 0)],
    };
    Value::Array(heads)
}

/// The cells of an object of a kind.
pub(super) fn cells(group: &str, plural: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let count = |pointer: &str| object.pointer(pointer).map_or(0, size);
    let name = json!(text("/metadata/name"));
    let aged = json!(age(object.pointer("/metadata/creationTimestamp"), now));
    match (group, plural) {
        ("", "configmaps") => vec![name, json!(count("/data") + count("/binaryData")), aged],
        ("", "secrets") => vec![name, json!(text("/type")), json!(count("/data")), aged],
        ("", "namespaces") => vec![name, json!(text("/status/phase")), aged],
        ("", "services") => vec![
            name,
            json!(text("/spec/type")),
            json!(or_none(
                object
                    .pointer("/spec/clusterIPs/0")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            )),
            json!(external_address(object)),
            json!(or_none(ports(object))),
            aged,
            json!(or_none(labels(object.pointer("/spec/selector")))),
        ],
        ("", "serviceaccounts") => vec![name, json!(count("/secrets")), aged],
        ("" | "events.k8s.io", "events") => event(object, now),
        ("apps", "deployments") => {
            let number = |pointer: &str| {
                object
                    .pointer(pointer)
                    .and_then(Value::as_i64)
                    .unwrap_or_default()
            };
            let of_containers = |key: &str| {
                let containers = items(object, "/spec/template/spec/containers");
                let words: Vec<&str> = containers
                    .filter_map(|container| container[key].as_str())
                    .collect();
                words.join(",")
            };
            vec![
                name,
                json!(format!(
                    "{}/{}",
                    number("/status/readyReplicas"),
                    number("/spec/replicas")
                )),
                json!(number("/status/updatedReplicas")),
                json!(number("/status/availableReplicas")),
                aged,
                json!(of_containers("name")),
                json!(of_containers("image")),
                json!(or_none(labels(
                    object.pointer("/spec/selector/matchLabels")
                ))),
            ]
        }
        ("", "resourcequotas") => {
            let (request, limit) = quota(object);
            vec![name, json!(request), json!(limit), aged]
        }
        ("coordination.k8s.io", "leases") => vec![name, json!(text("/spec/holderIdentity")), aged],
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => vec![
            name,
            json!(format!(
                "{}/{}",
                text("/roleRef/kind"),
                text("/roleRef/name")
            )),
            aged,
            json!(subjects(object, "User")),
            json!(subjects(object, "Group")),
            json!(subjects(object, "ServiceAccount")),
        ],
        _ => vec![
            name,
            object
                .pointer("/metadata/creationTimestamp")
                .cloned()
                .unwrap_or(Value::Null),
        ],
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() {
        "<none>".to_owned()
    } else {
        text
    }
}

fn items<'v>(object: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn external_address(service: &Value) -> String {
    let kind = service
        .pointer("/spec/type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut external: Vec<&str> = items(service, "/spec/externalIPs")
        .filter_map(Value::as_str)
        .collect();
    match kind {
        "ExternalName" => service
            .pointer("/spec/externalName")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        "LoadBalancer" => {
            let balanced = items(service, "/status/loadBalancer/ingress").filter_map(|ingress| {
                ["ip", "hostname"]
                    .iter()
                    .find_map(|key| ingress.get(key))
                    .and_then(Value::as_str)
            });
            let mut all: Vec<&str> = balanced.collect();
            all.append(&mut external);
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        _ => or_none(external.join(",")),
    }
}

fn ports(service: &Value) -> String {
    let ports: Vec<String> = items(service, "/spec/ports")
        .map(|port| {
            let number = |key: &str| port.get(key).and_then(Value::as_i64).unwrap_or_default();
            let protocol = port
                .get("protocol")
                .and_then(Value::as_str)
                .unwrap_or("TCP");
            match number("nodePort") {
                0 => format!("{}/{protocol}", number("port")),
                node => format!("{}:{node}/{protocol}", number("port")),
            }
        })
        .collect();
    ports.join(",")
}

/// What is used of what a quota allows: requests and limits apart.
fn quota(quota: &Value) -> (String, String) {
    let hard = quota
        .pointer("/status/hard")
        .or_else(|| quota.pointer("/spec/hard"));
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, most) in hard.and_then(Value::as_object).into_iter().flatten() {
        let used = quota["status"]["used"]
            .get(name)
            .map_or_else(|| "0".to_owned(), plain);
        let part = format!("{name}: {used}/{}", plain(most));
        if name.starts_with("limits.") {
            limits.push(part);
        } else {
            requests.push(part);
        }
    }
    (requests.join(", "), limits.join(", "))
}

fn labels(labels: Option<&Value>) -> String {
    let pairs = labels.and_then(Value::as_object).into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.join(",")
}

fn subjects(binding: &Value, kind: &str) -> String {
    let names: Vec<String> = items(binding, "/subjects")
        .filter(|subject| subject.get("kind").and_then(Value::as_str) == Some(kind))
        .map(|subject| {
            let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
            match text("namespace") {
                "" => text("name").to_owned(),
                namespace => format!("{namespace}/{}", text("name")),
            }
        })
        .collect();
    names.join(", ")
}

/// Reads both the core and the newer names of an event's members.
fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let either = |old: &str, new: &str| {
        event
            .pointer(old)
            .or_else(|| event.pointer(new))
            .filter(|value| !value.is_null())
    };
    let text = |old: &str, new: &str| {
        either(old, new)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let object = {
        let (kind, name) = (
            text("/involvedObject/kind", "/regarding/kind").to_lowercase(),
            text("/involvedObject/name", "/regarding/name"),
        );
        if name.is_empty() {
            kind
        } else {
            format!("{kind}/{name}")
        }
    };
    let reporter = |component: &str, instance: &str| {
        [component, instance]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let source = match text("/source/component", "/deprecatedSource/component") {
        empty if empty.is_empty() => reporter(
            &text("/reportingComponent", "/reportingController"),
            &text("/reportingInstance", "/reportingInstance"),
        ),
        component => reporter(&component, &text("/source/host", "/deprecatedSource/host")),
    };
    let happened = either("/eventTime", "/eventTime");
    let first = either("/firstTimestamp", "/deprecatedFirstTimestamp").or(happened);
    let last = either("/series/lastObservedTime", "/series/lastObservedTime")
        .or_else(|| either("/lastTimestamp", "/deprecatedLastTimestamp"))
        .or(first);
    let count = either("/series/count", "/series/count")
        .or_else(|| either("/count", "/deprecatedCount"))
        .and_then(Value::as_i64)
        .filter(|count| *count > 0)
        .unwrap_or(1);
    vec![
        json!(age(last, now)),
        json!(text("/type", "/type")),
        json!(text("/reason", "/reason")),
        json!(object),
        json!(text("/involvedObject/fieldPath", "/regarding/fieldPath")),
        json!(source),
        json!(text("/message", "/note").trim()),
        json!(age(first, now)),
        json!(count),
        json!(text("/metadata/name", "/metadata/name")),
    ]
}
