//! The rules of metadata, which hold for every kind.
//!
//! Names, labels, annotations, owners and finalizers are checked in the order in which the API machinery checks them,
//! with its texts. What is checked about the name depends on the kind ([`Names`]).

use serde_json::{Value, json};

use crate::api::{Provenance, Resource};
use crate::status::{Cause, quoted};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const ANNOTATIONS: usize = 256 * 1024;

/// What a name of a kind may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Labels joined by dots: the rule of most kinds.
    Subdomain,
    /// One label: namespaces.
    Label,
    /// One label that starts with a letter: services.
    Service,
    /// Anything that can stand in a path: roles and bindings.
    Segment,
}

impl Names {
    /// The rule of a kind.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        match (
            &resource.provenance,
            resource.group.as_str(),
            resource.plural.as_str(),
        ) {
            (Provenance::BuiltIn, "", "namespaces") => Self::Label,
            (Provenance::BuiltIn, "", "services") => Self::Service,
            (Provenance::BuiltIn, "rbac.authorization.k8s.io", _) => Self::Segment,
            _ => Self::Subdomain,
        }
    }

    /// What is wrong with a name.
    #[must_use]
    pub fn problems(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => subdomain(name),
            Self::Label => label(name),
            Self::Service => service(name),
            Self::Segment => segment(name),
        }
    }
}

/// What is wrong with the metadata of an object.
#[must_use]
pub fn validate(object: &Value, names: Names) -> Vec<Cause> {
    let empty = json!({});
    let metadata = object.get("metadata").unwrap_or(&empty);
    let text = |key: &str| {
        metadata
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut causes = Vec::new();
    let invalid =
        |field: &str, value: &str, problem: &str| Cause::invalid(field, &json!(value), problem);
    if !text("generateName").is_empty() {
        // What follows the prefix is the server's; a prefix may end in a dash.
        let whole = format!("{}x", text("generateName").trim_end_matches('-'));
        let cut = if whole.len() > 250 {
            &whole[..1]
        } else {
            &whole
        };
        for problem in names.problems(cut) {
            causes.push(invalid(
                "metadata.generateName",
                text("generateName"),
                &problem,
            ));
        }
    }
    if text("name").is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        for problem in names.problems(text("name")) {
            causes.push(invalid("metadata.name", text("name"), &problem));
        }
    }
    if let Some(generation) = metadata
        .get("generation")
        .filter(|generation| generation.as_i64().is_some_and(|n| n < 0))
    {
        causes.push(Cause::invalid(
            "metadata.generation",
            generation,
            "must be greater than or equal to 0",
        ));
    }
    causes.extend(labels("metadata.labels", metadata.get("labels")));
    causes.extend(annotations(metadata.get("annotations")));
    causes.extend(owners(metadata.get("ownerReferences")));
    for finalizer in strings(metadata.get("finalizers")) {
        for problem in qualified(finalizer) {
            causes.push(invalid("metadata.finalizers", finalizer, &problem));
        }
    }
    causes
}

/// What is odd but accepted, for the `Warning` header.
#[must_use]
pub fn warnings(object: &Value) -> Vec<String> {
    const STANDARD: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];
    strings(object.pointer("/metadata/finalizers"))
        .filter(|name| !name.contains('/') && !STANDARD.contains(name))
        .map(|name| {
            format!(
                "metadata.finalizers: {}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers",
                quoted(name)
            )
        })
        .collect()
}

/// What is wrong with a map of labels at a field.
#[must_use]
pub fn labels(field: &str, labels: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        causes.extend(
            qualified(key)
                .iter()
                .map(|problem| Cause::invalid(field, &json!(key), problem)),
        );
        let value = value.as_str().unwrap_or_default();
        causes.extend(
            label_value(value)
                .iter()
                .map(|problem| Cause::invalid(field, &json!(value), problem)),
        );
    }
    causes
}

fn annotations(annotations: Option<&Value>) -> Vec<Cause> {
    const FIELD: &str = "metadata.annotations";
    let mut causes = Vec::new();
    let mut size = 0;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        let problems = qualified(&key.to_lowercase());
        causes.extend(
            problems
                .iter()
                .map(|problem| Cause::invalid(FIELD, &json!(key), problem)),
        );
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        causes.push(Cause::too_long(
            FIELD,
            &format!("may not be more than {ANNOTATIONS} bytes"),
        ));
    }
    causes
}

fn owners(owners: Option<&Value>) -> Vec<Cause> {
    const FIELD: &str = "metadata.ownerReferences";
    let owners = owners
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut causes = Vec::new();
    let mut controller: Option<&Value> = None;
    for owner in owners {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion");
        // More than one slash leaves nothing that Go would take for a version.
        let parsed = match version.matches('/').count() {
            0 => version,
            1 => version.split_once('/').map_or("", |(_, version)| version),
            _ => "",
        };
        if parsed.is_empty() {
            causes.push(Cause::invalid(
                format!("{FIELD}.apiVersion"),
                &json!(version),
                "version must not be empty",
            ));
        }
        for key in ["kind", "name", "uid"] {
            if text(key).is_empty() {
                causes.push(Cause::invalid(
                    format!("{FIELD}.{key}"),
                    &json!(""),
                    "must not be empty",
                ));
            }
        }
        if owner.get("controller") == Some(&json!(true)) {
            let named = |owner: &Value| {
                let text = |key: &str| {
                    owner
                        .get(key)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                format!("{}/{}", text("kind"), text("name"))
            };
            if let Some(first) = controller {
                let shown: Vec<String> = owners.iter().map(owner_text).collect();
                causes.push(Cause::new(
                    "FieldValueInvalid",
                    FIELD,
                    format!(
                        "Invalid value: [{}]: Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                        shown.join(","),
                        named(first),
                        named(owner)
                    ),
                ));
            } else {
                controller = Some(owner);
            }
        }
    }
    causes
}

/// An owner as Go writes it: in the order of its fields.
fn owner_text(owner: &Value) -> String {
    let mut members = Vec::new();
    for key in [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ] {
        if let Some(value) = owner.get(key) {
            members.push(format!("{}:{value}", quoted(key)));
        }
    }
    format!("{{{}}}", members.join(","))
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// What is wrong with a DNS-1123 subdomain.
#[must_use]
pub fn subdomain(name: &str) -> Vec<String> {
    let mut problems = too_long(name, 253);
    if !name.split('.').all(is_label) {
        problems.push(SUBDOMAIN.to_owned());
    }
    problems
}

/// What is wrong with a DNS-1123 label.
#[must_use]
pub fn label(name: &str) -> Vec<String> {
    let mut problems = too_long(name, 63);
    if !is_label(name) {
        let dotted = name.split('.').all(is_label);
        problems.push(
            if dotted {
                "must not contain dots"
            } else {
                LABEL_1123
            }
            .to_owned(),
        );
    }
    problems
}

fn service(name: &str) -> Vec<String> {
    let mut problems = too_long(name, 63);
    if !(is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())) {
        problems.push(LABEL_1035.to_owned());
    }
    problems
}

fn segment(name: &str) -> Vec<String> {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        _ => ['/', '%']
            .iter()
            .filter(|c| name.contains(**c))
            .map(|c| format!("may not contain '{c}'"))
            .collect(),
    }
}

/// What is wrong with a qualified name: `name` or `example.com/name`.
#[must_use]
pub fn qualified(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let part = match name.split('/').collect::<Vec<_>>().as_slice() {
        [part] => *part,
        [prefix, part] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(
                    subdomain(prefix)
                        .iter()
                        .map(|problem| format!("prefix part {problem}")),
                );
            }
            *part
        }
        _ => return vec![QUALIFIED.to_owned()],
    };
    if part.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if part.len() > 63 {
        problems.push("name part must be no more than 63 characters".to_owned());
    }
    if !is_word(part) {
        problems.push(NAME_PART.to_owned());
    }
    problems
}

fn label_value(value: &str) -> Vec<String> {
    let mut problems = too_long(value, 63);
    if !value.is_empty() && !is_word(value) {
        problems.push(LABEL_VALUE.to_owned());
    }
    problems
}

fn too_long(text: &str, most: usize) -> Vec<String> {
    if text.len() > most {
        vec![format!("must be no more than {most} characters")]
    } else {
        Vec::new()
    }
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_label(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(plain)
        && bytes.last().copied().is_some_and(plain)
        && bytes.iter().all(|&c| plain(c) || c == b'-')
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
fn is_word(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(plain)
        && bytes.last().copied().is_some_and(plain)
        && bytes
            .iter()
            .all(|&c| plain(c) || matches!(c, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metadata: &Value) -> Vec<String> {
        validate(&json!({"metadata": metadata}), Names::Subdomain)
            .iter()
            .map(Cause::line)
            .collect()
    }

    #[test]
    fn names_are_checked_as_recorded() {
        for name in ["Upper", "a_b", "a/b", "-a", "a..b", "."] {
            assert_eq!(
                lines(&json!({"name": name})),
                [format!(
                    "metadata.name: Invalid value: {name:?}: {SUBDOMAIN}"
                )]
            );
        }
        let long = "x".repeat(254);
        assert_eq!(
            lines(&json!({"name": long})),
            [format!(
                "metadata.name: Invalid value: {long:?}: must be no more than 253 characters"
            )]
        );
        assert_eq!(lines(&json!({"name": "a.b"})), Vec::<String>::new());
        assert_eq!(
            lines(&json!({})),
            ["metadata.name: Required value: name or generateName is required"]
        );
        assert_eq!(label("a.b"), ["must not contain dots"]);
        assert_eq!(label("Bad_Name"), [LABEL_1123]);
    }

    #[test]
    fn labels_annotations_and_finalizers_are_checked_as_recorded() {
        assert_eq!(
            lines(&json!({"name": "a", "labels": {"a b": "x"}})),
            [format!(
                "metadata.labels: Invalid value: \"a b\": {NAME_PART}"
            )]
        );
        assert_eq!(
            lines(&json!({"name": "a", "labels": {"a": "b c"}})),
            [format!(
                "metadata.labels: Invalid value: \"b c\": {LABEL_VALUE}"
            )]
        );
        assert_eq!(
            lines(&json!({"name": "a", "annotations": {"a b": "x"}})),
            [format!(
                "metadata.annotations: Invalid value: \"a b\": {NAME_PART}"
            )]
        );
        assert_eq!(
            lines(&json!({"name": "a", "finalizers": ["bad name"]})),
            [format!(
                "metadata.finalizers: Invalid value: \"bad name\": {NAME_PART}"
            )]
        );
        assert_eq!(
            warnings(&json!({"metadata": {"finalizers": ["nodomain", "example.com/f"]}})),
            [
                "metadata.finalizers: \"nodomain\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
            ]
        );
    }

    #[test]
    fn owners_are_checked_as_recorded() {
        let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid, "controller": true});
        assert_eq!(
            lines(
                &json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o"}]})
            ),
            ["metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"]
        );
        assert_eq!(
            lines(
                &json!({"name": "a", "ownerReferences": [{"apiVersion": "a/b/c", "kind": "ConfigMap", "name": "o", "uid": "1"}]})
            ),
            [
                "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty"
            ]
        );
        assert_eq!(
            lines(&json!({"name": "a", "ownerReferences": [owner("1"), owner("2")]})),
            [
                "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"o\",\"uid\":\"1\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"o\",\"uid\":\"2\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in references for ConfigMap/o and ConfigMap/o"
            ]
        );
    }
}
