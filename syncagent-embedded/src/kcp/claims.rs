//! Accepted claims: what of a consumer's workspace an export may see.
//!
//! Every object of a claimed resource that the claim's selector matches carries a label; the virtual workspace shows
//! objects by it. The label is kept by admission on every write, and by a sweep when a binding's claims change.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::hash;
use super::model::{BINDINGS, export_of, items, same_claim, set_meta, text, unset_meta};
use crate::core::Core;
use crate::store::Stored;

/// A claim in force in a workspace.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claimed {
    /// The API group.
    pub(super) group: String,
    /// The plural.
    pub(super) plural: String,
    /// The label that marks claimed objects ...
    pub(super) label: String,
    /// ... and its value.
    pub(super) value: String,
    /// The selector of the binding's claim.
    pub(super) selector: Value,
}

/// The claims of a binding that are accepted and asked for.
pub(super) fn accepted<'a>(binding: &'a Value, export: &Value) -> Vec<&'a Value> {
    let wanted = items(export, "/spec/permissionClaims");
    items(binding, "/spec/permissionClaims")
        .iter()
        .filter(|claim| {
            claim["state"] == "Accepted" && wanted.iter().any(|other| same_claim(claim, other))
        })
        .collect()
}

/// All claims in force in a workspace.
pub(super) fn of_workspace(core: &Core, workspaces: &str, cluster: &str) -> Vec<Claimed> {
    let mut all = Vec::new();
    for stored in core.all(BINDINGS, Some(cluster)) {
        let binding = &stored.object;
        let Some(export) = export_of(
            core,
            workspaces,
            cluster,
            &binding["spec"]["reference"]["export"],
        ) else {
            continue;
        };
        let label = format!(
            "{}{}",
            hash::CLAIMED,
            hash::export(&export.key.cluster, &export.key.name)
        );
        for claim in accepted(binding, &export.object) {
            all.push(Claimed {
                group: text(claim, "/group").to_owned(),
                plural: text(claim, "/resource").to_owned(),
                label: label.clone(),
                value: hash::claim(claim),
                selector: claim["selector"].clone(),
            });
        }
    }
    all
}

/// Gives an object exactly the claim labels that it should have; says whether that changed anything.
pub(super) fn relabel(claims: &[Claimed], group: &str, plural: &str, object: &mut Value) -> bool {
    // The two groups of events share their objects, and the label of the core one.
    let group = if plural == "events" { "" } else { group };
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
    for claim in claims
        .iter()
        .filter(|claim| claim.group == group && claim.plural == plural)
    {
        if selects(&claim.selector, object) {
            wanted.insert(&claim.label, &claim.value);
        }
    }
    let own = (group, plural) == ("apis.kcp.io", "apibindings");
    let present: Vec<(String, String)> = object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            name.starts_with(hash::CLAIMED) && !(own && *value == hash::OWN_BINDING)
        })
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let mut changed = false;
    for (name, _) in present
        .iter()
        .filter(|(name, _)| !wanted.contains_key(name.as_str()))
    {
        unset_meta(object, "labels", name);
        changed = true;
    }
    for (name, value) in wanted {
        if !present.iter().any(|(n, v)| n == name && v == value) {
            set_meta(object, "labels", name, value);
            changed = true;
        }
    }
    changed
}

/// Whether a selector of a claim matches an object: `matchAll`, or labels and expressions.
pub(super) fn selects(selector: &Value, object: &Value) -> bool {
    if selector["matchAll"] == true {
        return true;
    }
    let labels = &object["metadata"]["labels"];
    let equal = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(name, value)| labels[name] == *value);
    let expressions = items(selector, "/matchExpressions").iter().all(|one| {
        let value = labels.get(text(one, "/key"));
        let among = || value.is_some_and(|value| items(one, "/values").contains(value));
        match text(one, "/operator") {
            "In" => among(),
            "NotIn" => !among(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    });
    let some = !selector["matchLabels"].is_null() || !selector["matchExpressions"].is_null();
    some && equal && expressions
}

/// Relabels the stored objects of a claimed resource.
pub(super) fn sweep(
    core: &Core,
    claims: &[Claimed],
    group: &str,
    plural: &str,
    objects: &[Arc<Stored>],
) {
    for stored in objects {
        let mut copy = (*stored.object).clone();
        if relabel(claims, group, plural, &mut copy) {
            core.modify(&stored.key, |object| relabel(claims, group, plural, object));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_carry_the_labels_of_matching_claims_only() {
        let claim = |selector: Value| Claimed {
            group: String::new(),
            plural: "secrets".into(),
            label: "claimed.internal.apis.kcp.io/x".into(),
            value: "v".into(),
            selector,
        };
        let mut secret = json!({"metadata": {"labels": {"claimed.internal.apis.kcp.io/forged": "y", "app": "a"}}});
        let claims = [claim(json!({"matchLabels": {"app": "a"}}))];
        assert!(relabel(&claims, "", "secrets", &mut secret));
        assert_eq!(
            secret["metadata"]["labels"],
            json!({"app": "a", "claimed.internal.apis.kcp.io/x": "v"})
        );
        assert!(!relabel(&claims, "", "secrets", &mut secret));
        assert!(relabel(
            &[claim(json!({"matchLabels": {"app": "b"}}))],
            "",
            "secrets",
            &mut secret
        ));
        assert_eq!(secret["metadata"]["labels"], json!({"app": "a"}));
    }
}
