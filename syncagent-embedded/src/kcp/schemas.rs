//! What an `APIResourceSchema` must be.

use serde_json::{Value, json};

use super::model::{items, text};
use crate::status::Cause;

/// Problems that the CRD's own rules find (422).
pub(super) fn rules(schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let conversion = schema.pointer("/spec/conversion");
    if let Some(conversion) = conversion
        && conversion["strategy"] == "Webhook"
        && conversion.get("webhook").is_none()
    {
        let why = "Invalid value: Webhook must be specified if strategy=Webhook";
        causes.push(Cause::new("FieldValueInvalid", "spec.conversion", why));
    }
    causes
}

/// Problems that kcp's admission finds (403), each as a line.
pub(super) fn problems(schema: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let name = text(schema, "/metadata/name");
    let plural = text(schema, "/spec/names/plural");
    let group = match text(schema, "/spec/group") {
        "" => "core",
        group => group,
    };
    let end = format!(".{plural}.{group}");
    match name.strip_suffix(&end) {
        None => problems.push(format!("metadata.name: Invalid value: {}: must end in {end}", Value::from(name))),
        Some(prefix) if !is_prefix(prefix) => problems.push(format!(
            "metadata.name: Invalid value: {}: must match ^[a-z]([-a-z0-9]*[a-z0-9])?$ in front of {end}",
            Value::from(name)
        )),
        Some(_) => {}
    }
    let storage = items(schema, "/spec/versions")
        .iter()
        .filter(|v| v["storage"] == true)
        .count();
    if storage != 1 {
        problems.push(
            "spec.versions: Invalid value: null: must have exactly one version marked as storage version".to_owned(),
        );
    }
    let all = if storage == 1 {
        &["singular", "listKind"][..]
    } else {
        &["plural", "singular", "kind", "listKind"]
    };
    for field in all {
        if storage != 1 || text(schema, &format!("/spec/names/{field}")).is_empty() {
            problems.push(format!("spec.names.{field}: Required value"));
        }
    }
    if storage == 1 {
        problems.extend(kind_problem(schema));
    }
    for (n, version) in items(schema, "/spec/versions").iter().enumerate() {
        let at = format!("spec.versions[{n}].schema.openAPIV3Schema");
        match version["schema"]["type"].as_str() {
            None => problems.push(format!(
                "{at}.type: Required value: must not be empty at the root"
            )),
            Some("object") => {}
            Some(other) => {
                let value = Value::from(other);
                if version.pointer("/subresources/status").is_some() {
                    problems.push(format!(
                        "{at}.type: Invalid value: {value}: only \"object\" is allowed as the type at the root of the \
                         schema if the status subresource is enabled"
                    ));
                }
                problems.push(format!(
                    "{at}.type: Invalid value: {value}: must be object at the root"
                ));
            }
        }
    }
    problems
}

fn kind_problem(schema: &Value) -> Option<String> {
    let kind = text(schema, "/spec/names/kind");
    let fits = kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && !kind.ends_with('-');
    (!fits && !kind.is_empty()).then(|| {
        format!(
            "spec.names.kind: Invalid value: {}: may have mixed case, but should otherwise match: a DNS-1035 label \
             must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end \
             with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
             '[a-z]([-a-z0-9]*[a-z0-9])?')",
            Value::from(kind.to_lowercase())
        )
    })
}

fn is_prefix(prefix: &str) -> bool {
    prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && prefix.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && prefix
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A spec as Go prints it: members in the order of the type.
pub(super) fn in_go_order(spec: &Value) -> String {
    let names = [
        "plural",
        "singular",
        "shortNames",
        "kind",
        "listKind",
        "categories",
    ];
    let version = [
        "name",
        "served",
        "storage",
        "deprecated",
        "deprecationWarning",
        "schema",
        "subresources",
        "additionalPrinterColumns",
        "selectableFields",
    ];
    let versions: Vec<String> = items(spec, "/versions")
        .iter()
        .map(|v| members(v, &version, |_, value| value.to_string()))
        .collect();
    members(
        spec,
        &[
            "group",
            "names",
            "scope",
            "versions",
            "nameValidation",
            "conversion",
        ],
        |name, value| match name {
            "names" => members(value, &names, |_, value| value.to_string()),
            "versions" => format!("[{}]", versions.join(",")),
            _ => value.to_string(),
        },
    )
}

fn members(object: &Value, order: &[&str], show: impl Fn(&str, &Value) -> String) -> String {
    let shown: Vec<String> = order
        .iter()
        .filter_map(|name| {
            Some(format!(
                "{}:{}",
                Value::from(*name),
                show(name, object.get(*name)?)
            ))
        })
        .collect();
    format!("{{{}}}", shown.join(","))
}

/// A schema as the CRD that is served from it; `conditions` say whether it is established.
pub(super) fn to_crd(schema: &Value, established: bool) -> Value {
    let spec = &schema["spec"];
    let versions: Value = items(spec, "/versions")
        .iter()
        .map(|version| {
            let mut version = version.clone();
            version["schema"] = json!({"openAPIV3Schema": version["schema"]});
            version
        })
        .collect();
    let name = format!("{}.{}", text(spec, "/names/plural"), text(spec, "/group"));
    let status = if established { "True" } else { "False" };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "generation": 1},
        "spec": {"group": spec["group"], "names": spec["names"], "scope": spec["scope"], "versions": versions},
        "status": {"acceptedNames": spec["names"], "conditions": [{"type": "Established", "status": status}]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(name: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {
                "group": "e.io", "scope": "Namespaced",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"type": "object"}}],
            },
        })
    }

    #[test]
    fn names_are_prefix_plural_and_group() {
        assert_eq!(problems(&schema("v1.things.e.io")), Vec::<String>::new());
        let problem = "metadata.name: Invalid value: \"things.e.io\": must end in .things.e.io";
        assert_eq!(problems(&schema("things.e.io")), [problem]);
        assert!(problems(&schema("1v.things.e.io"))[0].contains("must match ^[a-z]"));
        assert!(problems(&schema("v1.2.things.e.io"))[0].contains("must match ^[a-z]"));
    }

    #[test]
    fn a_webhook_needs_its_address() {
        let mut hooked = schema("v1.things.e.io");
        hooked["spec"]["conversion"] = json!({"strategy": "Webhook"});
        assert_eq!(rules(&hooked).len(), 1);
        assert_eq!(rules(&schema("v1.things.e.io")), []);
    }
}
