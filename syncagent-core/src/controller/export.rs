//! The export, filled with what is published.
//!
//! The provider creates an `APIExport`, usually with an empty spec; the agent waits for it and fills in its resources and
//! permission claims. Entries of others stay as they are and where they are: an export may offer more than we publish.
//!
//! | what stands in the export | what becomes of it |
//! | --- | --- |
//! | an entry for a resource that is ours | its schema is set; a storage of another kind is left alone and reported |
//! | a claim of ours that allows enough | nothing, however it is written |
//! | a claim of ours that allows less | its verbs become `*`; the rest of it stays |
//! | a claim of ours for another identity | it is left alone and reported: a resource can be claimed once |
//! | entries and claims that are not ours, or not any more | they stay; bindings may rely on them |
//!
//! This is the pure part; `generation` reads and writes.

mod version;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::names;
use crate::object;

pub(crate) use version::Version;

/// The verbs that the agent uses on objects of a claim.
const USED: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// What an agent wants an export to offer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offering {
    /// The `APIResourceSchema` objects.
    pub schemas: Vec<Value>,
    /// The permission claims, as in `spec.permissionClaims`.
    pub claims: Vec<Value>,
    /// The agent whose name the export carries; `None`: it carries none.
    pub agent: Option<String>,
}

impl Offering {
    /// The entries of `spec.resources`.
    fn resources(&self) -> Vec<Value> {
        self.schemas
            .iter()
            .map(|schema| {
                json!({
                    "group": schema["spec"]["group"],
                    "name": schema["spec"]["names"]["plural"],
                    "schema": schema["metadata"]["name"],
                    "storage": {"crd": {}},
                })
            })
            .collect()
    }

    /// The offered resources, as `plural.group`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.resources()
            .iter()
            .map(|r| format!("{}.{}", text(&r["name"]), text(&r["group"])))
            .collect()
    }
}

/// The entry of a resource, as `spec.resources` has it.
#[must_use]
pub fn entry<'a>(export: &'a Value, group: &str, plural: &str) -> Option<&'a Value> {
    let entries = export["spec"]["resources"].as_array()?;
    entries
        .iter()
        .find(|it| it["group"] == group && it["name"] == plural)
}

/// Whether an entry keeps objects where the agent can serve them.
#[must_use]
pub fn is_ordinary(entry: &Value) -> bool {
    entry["storage"].is_null() || entry["storage"].get("crd").is_some()
}

/// The merge patch that makes an export offer what it should; `None` when it does.
#[must_use]
pub fn fill(export: &Value, offering: &Offering) -> Option<Value> {
    let resources = merged(
        &export["spec"]["resources"],
        offering.resources(),
        ["group", "name"],
        |have, want| have["schema"] == want["schema"] || !is_ordinary(have),
        |have, want| have["schema"] = want["schema"].clone(),
    );
    let claims = merged(
        &export["spec"]["permissionClaims"],
        offering.claims.clone(),
        ["group", "resource"],
        |have, want| is_for_another(have, want) || (allows(have) && has_identity(have, want)),
        |have, want| {
            if !allows(have) {
                have["verbs"] = want["verbs"].clone();
            }
            if !has_identity(have, want) {
                have["identityHash"] = want["identityHash"].clone();
            }
        },
    );
    let mut spec = serde_json::Map::new();
    if let Some(resources) = resources {
        spec.insert("resources".into(), resources);
    }
    if let Some(claims) = claims {
        spec.insert("permissionClaims".into(), claims);
    }
    let agent = offering.agent.as_deref();
    let named = agent.filter(|it| object::annotation(export, names::AGENT) != Some(it));
    if spec.is_empty() && named.is_none() {
        return None;
    }
    let mut patch = json!({
        "metadata": {"resourceVersion": export["metadata"]["resourceVersion"]},
        "spec": spec,
    });
    if let Some(agent) = named {
        patch["metadata"]["annotations"] = json!({names::AGENT: agent});
    }
    Some(patch)
}

/// What a patch changes in an export, as the Go agent tells it: events by reason, each with what it is about.
#[must_use]
pub fn changes(export: &Value, patch: &Value) -> Vec<(&'static str, Vec<String>)> {
    let lines = |object: &Value, key: &str, line: &dyn Fn(&Value) -> String| {
        let entries = object["spec"][key].as_array().into_iter().flatten();
        entries.map(line).collect::<BTreeSet<_>>()
    };
    let news = |key: &str, line: &dyn Fn(&Value) -> String| {
        let (before, now) = (lines(export, key, line), lines(patch, key, line));
        let is_patched = patch["spec"].get(key).is_some();
        let less = before.difference(&now).filter(|_| is_patched);
        (
            now.difference(&before).cloned().collect::<Vec<_>>(),
            less.cloned().collect::<Vec<_>>(),
        )
    };
    let (added, removed) = news("resources", &|it| text(&it["schema"]));
    let (claimed, _) = news("permissionClaims", &|it| match text(&it["group"]) {
        group if group.is_empty() => text(&it["resource"]),
        group => format!("{group}/{}", text(&it["resource"])),
    });
    let all = [
        ("AddingResourceSchemas", added),
        ("RemovingResourceSchemas", removed),
        ("AddingPermissionClaims", claimed),
    ];
    all.into_iter()
        .filter(|(_, what)| !what.is_empty())
        .collect()
}

/// What stands in the way of claims, in sentences for the provider. Nothing fails for it but what needs the claim.
#[must_use]
pub fn conflicts(export: &Value, claims: &[Value]) -> Vec<String> {
    let standing = export["spec"]["permissionClaims"].as_array();
    let standing = standing.map(Vec::as_slice).unwrap_or_default();
    let find = |want: &Value| standing.iter().find(|have| same_resource(have, want));
    let found = claims.iter().filter_map(|want| {
        let have = find(want).filter(|have| is_for_another(have, want))?;
        Some(format!(
            "the export claims {} with the identity {}, and {} is needed; take the other claim out",
            resource(want),
            text(&have["identityHash"]),
            text(&want["identityHash"]),
        ))
    });
    found.collect()
}

/// A claim as `plural.group`.
pub(crate) fn resource(claim: &Value) -> String {
    match text(&claim["group"]).as_str() {
        "" => text(&claim["resource"]),
        group => format!("{}.{group}", text(&claim["resource"])),
    }
}

fn same_resource(have: &Value, want: &Value) -> bool {
    text(&have["group"]) == text(&want["group"])
        && text(&have["resource"]) == text(&want["resource"])
}

fn has_identity(have: &Value, want: &Value) -> bool {
    text(&want["identityHash"]).is_empty()
        || text(&have["identityHash"]) == text(&want["identityHash"])
}

/// Whether a claim is taken by somebody who means another resource of that name.
fn is_for_another(have: &Value, want: &Value) -> bool {
    !text(&have["identityHash"]).is_empty() && !has_identity(have, want)
}

/// Whether a claim allows what the agent does.
fn allows(claim: &Value) -> bool {
    let verbs: Vec<_> = claim["verbs"].as_array().into_iter().flatten().collect();
    let has = |verb: &str| verbs.iter().any(|it| **it == verb);
    has("*") || USED.iter().all(|verb| has(verb))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A list-map with our entries in it and everybody else's left alone; `None` when nothing changes.
fn merged(
    list: &Value,
    ours: Vec<Value>,
    key: [&str; 2],
    same: impl Fn(&Value, &Value) -> bool,
    set: impl Fn(&mut Value, &Value),
) -> Option<Value> {
    let names = |entry: &Value| key.map(|k| text(&entry[k]));
    let mut list = list.as_array().cloned().unwrap_or_default();
    let mut changed = false;
    for want in ours {
        match list
            .iter_mut()
            .find(|have| have.is_object() && names(have) == names(&want))
        {
            None => {
                list.push(want);
                changed = true;
            }
            Some(have) if !same(have, &want) => {
                set(have, &want);
                changed = true;
            }
            Some(_) => {}
        }
    }
    changed.then_some(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering() -> Offering {
        Offering {
            schemas: vec![json!({
                "metadata": {"name": "v1-abc.things.example.io"},
                "spec": {"group": "example.io", "names": {"plural": "things"}},
            })],
            claims: vec![json!({"group": "", "resource": "secrets", "verbs": ["*"]})],
            agent: None,
        }
    }

    /// As kcp shows an export of v1alpha1 that the Go agent filled.
    #[test]
    fn an_export_that_the_go_agent_filled_needs_nothing() {
        let mut export = json!({
            "metadata": {"annotations": {"syncagent.kcp.io/agent-name": "agent"}},
            "spec": {
                "resources": [{"group": "example.io", "name": "things", "schema": "v1-abc.things.example.io",
                    "storage": {"crd": {}}}],
                "permissionClaims": [
                    {"resource": "events", "verbs": ["*"]},
                    {"group": "", "resource": "namespaces", "verbs": ["*"]},
                    {"resource": "secrets", "verbs": ["*"]},
                ],
            },
        });
        let wanted = Offering {
            agent: Some("agent".into()),
            ..offering()
        };
        assert_eq!(fill(&export, &wanted), None);
        export["metadata"]["annotations"] = json!({"other": "x"});
        let patch = fill(&export, &wanted).unwrap();
        assert_eq!(patch["spec"], json!({}));
        assert_eq!(
            patch["metadata"]["annotations"],
            json!({"syncagent.kcp.io/agent-name": "agent"})
        );
        assert_eq!(changes(&export, &patch), []);
    }

    #[test]
    fn what_changes_is_told_by_its_reason() {
        let old = json!({"group": "example.io", "name": "things", "schema": "v0-old.things.example.io", "storage": {"crd": {}}});
        let export = json!({"metadata": {}, "spec": {"resources": [old]}});
        let mut wanted = offering();
        wanted
            .claims
            .push(json!({"group": "g.io", "resource": "others", "verbs": ["*"]}));
        let patch = fill(&export, &wanted).unwrap();
        let one = |text: &str| vec![text.to_owned()];
        assert_eq!(
            changes(&export, &patch),
            [
                ("AddingResourceSchemas", one("v1-abc.things.example.io")),
                ("RemovingResourceSchemas", one("v0-old.things.example.io")),
                (
                    "AddingPermissionClaims",
                    vec!["g.io/others".to_owned(), "secrets".to_owned()]
                ),
            ]
        );
    }

    /// What a merge patch does to two fields of a spec.
    fn patched(mut export: Value, patch: &Value) -> Value {
        for key in ["resources", "permissionClaims"] {
            if let Some(list) = patch["spec"].get(key) {
                export["spec"][key] = list.clone();
            }
        }
        export
    }

    #[test]
    fn a_placeholder_is_filled_once() {
        let export = json!({"metadata": {"resourceVersion": "7"}, "spec": {}});
        let patch = fill(&export, &offering()).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let export = patched(export, &patch);
        assert_eq!(
            export["spec"]["resources"][0],
            json!({"group": "example.io", "name": "things", "schema": "v1-abc.things.example.io",
                "storage": {"crd": {}}})
        );
        assert_eq!(fill(&export, &offering()), None);
    }

    #[test]
    fn foreign_entries_stay_as_they_are() {
        let other = json!({"group": "other.io", "name": "things", "schema": "v9.things.other.io", "storage": {"crd": {}}});
        let old = json!({"group": "example.io", "name": "things", "schema": "v0-old.things.example.io", "storage": {"crd": {}}});
        let maps = json!({"resource": "configmaps", "verbs": ["get"], "defaultSelector": {"matchAll": true}});
        let export = json!({"metadata": {}, "spec": {"resources": [old, other], "permissionClaims": [maps]}});
        let export = patched(export.clone(), &fill(&export, &offering()).unwrap());
        assert_eq!(
            export["spec"]["resources"][0]["schema"],
            "v1-abc.things.example.io"
        );
        assert_eq!(export["spec"]["resources"][1], other);
        assert_eq!(export["spec"]["permissionClaims"][0], maps);
        assert_eq!(export["spec"]["permissionClaims"][1]["resource"], "secrets");
        assert_eq!(fill(&export, &offering()), None);
    }

    #[test]
    fn every_shape_of_a_claim_is_lived_with() {
        let full = json!([
            "get", "list", "watch", "create", "update", "patch", "delete"
        ]);
        for (claim, wanted) in [
            // As an export of v1alpha1 comes out, and other ways to allow enough.
            (
                json!({"group": "", "resource": "secrets", "verbs": ["*"], "x": 1}),
                None,
            ),
            (json!({"resource": "secrets", "verbs": full}), None),
            // Too little, or nothing that could be read.
            (
                json!({"group": "", "resource": "secrets", "verbs": ["get"], "defaultSelector": {"matchAll": true}}),
                Some(json!(["*"])),
            ),
            (
                json!({"group": "", "resource": "secrets"}),
                Some(json!(["*"])),
            ),
            (
                json!({"group": "", "resource": "secrets", "verbs": null}),
                Some(json!(["*"])),
            ),
        ] {
            let mut export = json!({"metadata": {}, "spec": {"permissionClaims": [claim.clone()],
                "resources": offering().resources()}});
            let patch = fill(&export, &offering());
            assert_eq!(patch.is_some(), wanted.is_some(), "{claim}");
            if let (Some(patch), Some(verbs)) = (patch, wanted) {
                export = patched(export, &patch);
                let claims = export["spec"]["permissionClaims"].as_array().unwrap();
                assert_eq!(claims.len(), 1, "{claim}");
                assert_eq!(claims[0]["verbs"], verbs, "{claim}");
                assert_eq!(
                    claims[0].get("defaultSelector"),
                    claim.get("defaultSelector")
                );
                assert_eq!(fill(&export, &offering()), None, "{claim}");
            }
        }
    }

    #[test]
    fn an_identity_is_added_and_never_exchanged() {
        let wanted = Offering {
            claims: vec![
                json!({"group": "g.io", "resource": "things", "verbs": ["*"], "identityHash": "abc"}),
            ],
            ..Offering::default()
        };
        let with = |identity: Value| {
            json!({"metadata": {}, "spec": {"permissionClaims":
                [{"group": "g.io", "resource": "things", "verbs": ["*"], "identityHash": identity}]}})
        };
        let patch = fill(&with(Value::Null), &wanted).unwrap();
        assert_eq!(patch["spec"]["permissionClaims"][0]["identityHash"], "abc");
        assert_eq!(fill(&with(json!("abc")), &wanted), None);
        assert_eq!(
            conflicts(&with(json!("abc")), &wanted.claims),
            Vec::<String>::new()
        );
        // A resource can be claimed once: the other one is somebody's.
        assert_eq!(fill(&with(json!("def")), &wanted), None);
        assert_eq!(conflicts(&with(json!("def")), &wanted.claims).len(), 1);
    }

    #[test]
    fn a_resource_that_is_kept_elsewhere_is_left_alone() {
        let entry = json!({"group": "example.io", "name": "things", "schema": "v1.things.example.io",
            "storage": {"virtual": {"reference": {}}}});
        let export = json!({"metadata": {}, "spec": {"resources": [entry], "permissionClaims": offering().claims}});
        assert_eq!(fill(&export, &offering()), None);
    }

    #[test]
    fn an_export_that_is_hardly_one_is_filled() {
        for spec in [
            Value::Null,
            json!({"resources": null, "permissionClaims": null}),
            json!({"resources": ["x", 1]}),
        ] {
            let export = json!({"metadata": {}, "spec": spec});
            let patch = fill(&export, &offering()).unwrap();
            let resources = patch["spec"]["resources"].as_array().unwrap();
            assert_eq!(resources.last().unwrap()["name"], "things");
        }
    }
}
