//! Roles and bindings: defaults and validation. Who may write them is decided in [`crate::rbac`].

use serde_json::{Value, json};

use super::{Write, items, text};
use crate::status::Cause;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The group of a bound role, and of users and groups, goes without saying.
pub(super) fn default(object: &mut Value) {
    if object.get("roleRef").is_some_and(Value::is_object)
        && text(object, "/roleRef/apiGroup").is_empty()
    {
        object["roleRef"]["apiGroup"] = json!(GROUP);
    }
    for subject in object
        .get_mut("subjects")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if matches!(text(subject, "/kind"), "User" | "Group")
            && text(subject, "/apiGroup").is_empty()
        {
            subject["apiGroup"] = json!(GROUP);
        }
    }
}

pub(super) fn validate(write: Write<'_>, object: &Value) -> Vec<Cause> {
    match write.resource.plural.as_str() {
        "roles" => rules(object, true),
        "clusterroles" => rules(object, false),
        plural => binding(write.old, object, plural == "rolebindings"),
    }
}

fn rules(role: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (at, rule) in items(role, "/rules").iter().enumerate() {
        let field = |key: &str| format!("rules[{at}].{key}");
        let empty = |key: &str| items(rule, &format!("/{key}")).is_empty();
        if empty("verbs") {
            causes.push(Cause::required(
                field("verbs"),
                "verbs must contain at least one value",
            ));
        }
        if !empty("nonResourceURLs") {
            if namespaced {
                let urls = &rule["nonResourceURLs"];
                causes.push(Cause::invalid(
                    field("nonResourceURLs"),
                    urls,
                    "namespaced rules cannot apply to non-resource URLs",
                ));
            }
            if ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|key| !empty(key))
            {
                let urls = &rule["nonResourceURLs"];
                causes.push(Cause::invalid(
                    field("nonResourceURLs"),
                    urls,
                    "rules cannot apply to both regular resources and non-resource URLs",
                ));
            }
            continue;
        }
        if empty("apiGroups") {
            causes.push(Cause::required(
                field("apiGroups"),
                "resource rules must supply at least one api group",
            ));
        }
        if empty("resources") {
            causes.push(Cause::required(
                field("resources"),
                "resource rules must supply at least one resource",
            ));
        }
    }
    causes
}

fn binding(old: Option<&Value>, binding: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let reference = |key: &str| text(binding, &format!("/roleRef/{key}"));
    if reference("apiGroup") != GROUP {
        causes.push(Cause::not_supported(
            "roleRef.apiGroup",
            &json!(reference("apiGroup")),
            &[GROUP],
        ));
    }
    let kinds: &[&str] = if namespaced {
        &["ClusterRole", "Role"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&reference("kind")) {
        causes.push(Cause::not_supported(
            "roleRef.kind",
            &json!(reference("kind")),
            kinds,
        ));
    }
    if reference("name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (at, subject) in items(binding, "/subjects").iter().enumerate() {
        let field = |key: &str| format!("subjects[{at}].{key}");
        let subject_text = |key: &str| text(subject, &format!("/{key}"));
        if subject_text("name").is_empty() {
            causes.push(Cause::required(field("name"), ""));
        }
        match subject_text("kind") {
            "ServiceAccount" => {
                if !subject_text("apiGroup").is_empty() {
                    causes.push(Cause::not_supported(
                        field("apiGroup"),
                        &subject["apiGroup"],
                        &[""],
                    ));
                }
                if subject_text("namespace").is_empty() {
                    causes.push(Cause::required(field("namespace"), ""));
                }
            }
            "User" | "Group" => {
                if subject_text("apiGroup") != GROUP {
                    causes.push(Cause::not_supported(
                        field("apiGroup"),
                        &subject["apiGroup"],
                        &[GROUP],
                    ));
                }
            }
            kind => causes.push(Cause::not_supported(
                field("kind"),
                &json!(kind),
                &["Group", "ServiceAccount", "User"],
            )),
        }
    }
    if let Some(old) = old
        && old["roleRef"] != binding["roleRef"]
    {
        // The value is Go's struct, in the order and spelling of its fields.
        let shown = format!(
            "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
            binding["roleRef"]["apiGroup"], binding["roleRef"]["kind"], binding["roleRef"]["name"]
        );
        causes.push(Cause::new(
            "FieldValueInvalid",
            "roleRef",
            format!("Invalid value: {shown}: cannot change roleRef"),
        ));
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::tests::write;
    use super::*;

    #[test]
    fn a_binding_is_completed_and_its_role_stays() {
        let made = write("rolebindings.rbac.authorization.k8s.io", "", None, &json!({
            "metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
        }))
        .expect("it fits");
        assert_eq!(made["roleRef"]["apiGroup"], GROUP);
        assert_eq!(made["subjects"][0]["apiGroup"], GROUP);
        let mut other = made.clone();
        other["roleRef"]["name"] = json!("more");
        assert_eq!(
            write("rolebindings.rbac.authorization.k8s.io", "", Some(&made), &other),
            Err("RoleBinding.rbac.authorization.k8s.io \"b\" is invalid: roleRef: Invalid value: \
                 {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"more\"}: cannot change roleRef"
                .to_owned())
        );
    }

    #[test]
    fn rules_say_what_and_where() {
        let refused = write(
            "roles.rbac.authorization.k8s.io",
            "",
            None,
            &json!({
                "metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"]}, {"nonResourceURLs": ["/x"], "verbs": ["get"]}],
            }),
        );
        assert_eq!(
            refused,
            Err("Role.rbac.authorization.k8s.io \"r\" is invalid: [rules[0].verbs: Required value: verbs must contain at least one value, \
                 rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs]"
                .to_owned())
        );
        let empty = write(
            "clusterroles.rbac.authorization.k8s.io",
            "",
            None,
            &json!({"metadata": {"name": "r"}}),
        )
        .expect("it fits");
        assert_eq!(empty["rules"], Value::Null);
    }
}
