//! Namespaces: their label, their finalizer and their phase.

use serde_json::{Value, json};

use super::{Write, keep, text};
use crate::status::Cause;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Every namespace is labelled with its name, so that selectors can name it.
pub(super) fn default(namespace: &mut Value) {
    let name = text(namespace, "/metadata/name").to_owned();
    if name.is_empty() {
        return;
    }
    let metadata = namespace["metadata"].as_object_mut();
    let labels = metadata.map(|metadata| metadata.entry("labels").or_insert_with(|| json!({})));
    if let Some(Value::Object(labels)) = labels {
        labels.insert(NAME_LABEL.into(), json!(name));
    }
}

pub(super) fn prepare(write: Write<'_>, namespace: &mut Value) {
    match (write.old, write.subresource) {
        (None, _) => {
            // A name that the server generated is known only now.
            default(namespace);
            namespace["spec"] = json!({"finalizers": ["kubernetes"]});
            namespace["status"] = json!({"phase": "Active"});
        }
        (old, "status") => keep(namespace, old, "spec"),
        (old, "finalize") => keep(namespace, old, "status"),
        (Some(old), _) => {
            keep(namespace, Some(old), "status");
            let finalizers = old
                .pointer("/spec/finalizers")
                .cloned()
                .unwrap_or_else(|| json!([]));
            namespace["spec"] = json!({"finalizers": finalizers});
        }
    }
}

pub(super) fn validate(write: Write<'_>, namespace: &Value) -> Vec<Cause> {
    let deleting = namespace.pointer("/metadata/deletionTimestamp").is_some();
    let phase = text(namespace, "/status/phase");
    let problem = match (write.subresource, deleting, phase) {
        ("status", true, phase) if phase != "Terminating" => {
            "may only be 'Terminating' if `deletionTimestamp` is not empty"
        }
        ("status", false, phase) if phase != "Active" => {
            "may only be 'Active' if `deletionTimestamp` is empty"
        }
        _ => return Vec::new(),
    };
    vec![Cause::invalid("status.Phase", &json!(phase), problem)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::write;
    use super::*;

    #[test]
    fn a_namespace_is_born_active_and_labelled() {
        let made = write(
            "namespaces",
            "",
            None,
            &json!({"metadata": {"name": "n"}, "status": {"phase": "Terminating"}}),
        );
        assert_eq!(
            made,
            Ok(json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": {NAME_LABEL: "n"}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            }))
        );
        let refused = write(
            "namespaces",
            "",
            None,
            &json!({"metadata": {"name": "a.b"}}),
        );
        assert_eq!(refused, Err("Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": must not contain dots".to_owned()));
    }

    #[test]
    fn only_finalize_changes_the_finalizers() {
        let old =
            write("namespaces", "", None, &json!({"metadata": {"name": "n"}})).expect("it fits");
        let without = json!({"metadata": {"name": "n"}, "spec": {"finalizers": []}, "status": {"phase": "Active"}});
        let main = write("namespaces", "", Some(&old), &without).expect("it fits");
        assert_eq!(main["spec"], json!({"finalizers": ["kubernetes"]}));
        let finalized = write("namespaces", "finalize", Some(&old), &without).expect("it fits");
        assert_eq!(finalized["spec"], json!({}));
    }
}
