//! Nobody grants what they do not hold.
//!
//! Writing a role needs the `escalate` verb on it, or every right that it gives; writing a binding needs `bind` on the
//! role, or every right that the role gives.

use serde_json::Value;

use super::rule::{Rule, compact, list, rules};
use super::{GROUP, Policy, What, Who};
use crate::status::Failure;

/// Checks a write of a role or binding; `plural` is one of the four.
///
/// # Errors
///
/// 403 with the rights that the writer lacks; 404 for a role that is not there.
pub fn check(
    policy: &Policy,
    who: Who<'_>,
    plural: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Failure> {
    if who.is_master() {
        return Ok(());
    }
    let text = |pointer: &str| {
        new.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let may = |verb, resource, name| {
        let what = What::Resource {
            verb,
            group: GROUP,
            resource,
            subresource: "",
            namespace,
            name,
        };
        policy.allows(who, what).is_some()
    };
    let unchanged =
        |keys: &[&str]| old.is_some_and(|old| keys.iter().all(|key| old.get(key) == new.get(key)));
    let granted = if plural.ends_with("bindings") {
        let role = text("/roleRef/name");
        let cluster = text("/roleRef/kind") == "ClusterRole";
        let roles = if cluster { "clusterroles" } else { "roles" };
        if unchanged(&["subjects", "roleRef"]) || may("bind", roles, role) {
            return Ok(());
        }
        policy
            .role(cluster, namespace, role)
            .ok_or_else(|| Failure::not_found(GROUP, roles, role))?
            .to_vec()
    } else {
        if unchanged(&["rules", "aggregationRule"]) || may("escalate", plural, name) {
            return Ok(());
        }
        let aggregates = new
            .get("aggregationRule")
            .is_some_and(|rule| !rule.is_null());
        if aggregates && lacking(&policy.rules(who, namespace), &Rule::everything()).is_some() {
            return Err(Failure::forbidden(
                GROUP,
                plural,
                name,
                "must have cluster-admin privileges to use the aggregationRule",
            ));
        }
        rules(new)
    };
    match lacking(&policy.rules(who, namespace), &granted) {
        None => Ok(()),
        Some(missing) => {
            let why = format!(
                "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{missing}",
                crate::status::quoted(who.name),
                list(who.groups)
            );
            Err(Failure::forbidden(GROUP, plural, name, &why))
        }
    }
}

/// The rights among `wanted` that are not `held`, one rule a line.
fn lacking(held: &[Rule], wanted: &[Rule]) -> Option<String> {
    let atoms = wanted.iter().flat_map(Rule::atoms);
    let missing: Vec<Rule> = atoms
        .filter(|atom| !held.iter().any(|rule| rule.covers(atom)))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let mut lines: Vec<String> = compact(missing).iter().map(Rule::shown).collect();
    lines.sort();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{binding, role, user};
    use super::*;
    use serde_json::json;

    #[test]
    fn rights_that_are_not_held_are_not_granted() {
        let admin = role(
            "",
            "cluster-admin",
            &json!([
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ]),
        );
        let own = role(
            "n",
            "own",
            &json!([{"apiGroups": ["g"], "resources": ["things"], "verbs": ["get", "list"]}]),
        );
        let objects = [admin, own, binding("n", "own", &user("jane"))];
        let policy = Policy::of(&objects);
        let groups = ["system:authenticated".to_owned()];
        let jane = Who {
            name: "jane",
            groups: &groups,
        };
        let write = |plural: &str, object: &Value| {
            check(&policy, jane, plural, None, object).map_err(|failure| failure.message)
        };

        let same = role(
            "n",
            "same",
            &json!([{"apiGroups": ["g"], "resources": ["things"], "verbs": ["get"]}]),
        );
        assert_eq!(write("roles", &same), Ok(()));
        let more = role(
            "n",
            "more",
            &json!([{"apiGroups": ["g"], "resources": ["things"], "verbs": ["get", "delete", "patch"]}]),
        );
        assert_eq!(
            write("roles", &more),
            Err("roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant \
                 RBAC permissions not currently held:\n{APIGroups:[\"g\"], Resources:[\"things\"], Verbs:[\"delete\" \"patch\"]}"
                .to_owned())
        );
        let mut all = binding("n", "cluster-admin", &user("x"));
        all["roleRef"]["kind"] = json!("ClusterRole");
        assert_eq!(
            write("rolebindings", &all),
            Err("rolebindings.rbac.authorization.k8s.io \"b-cluster-admin\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is \
                 attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n\
                 {NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
                .to_owned())
        );
        assert_eq!(
            write("rolebindings", &binding("n", "missing", &user("x"))),
            Err("roles.rbac.authorization.k8s.io \"missing\" not found".to_owned())
        );
        let masters = ["system:masters".to_owned()];
        assert_eq!(
            check(
                &policy,
                Who {
                    name: "root",
                    groups: &masters
                },
                "rolebindings",
                None,
                &all
            ),
            Ok(())
        );
    }
}
