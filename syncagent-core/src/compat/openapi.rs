//! A CRD for a kind that has none: built into the API server, or served by an aggregated one.
//!
//! ```text
//!   discovery ──► Found ──► (no CRD of that name) ──► OpenAPI v2 ──► a CRD made up
//! ```
//!
//! Whoever reads from the service cluster asks for the resource lists of the group first, looks the kind up with
//! [`Found::of`], and asks for the CRD [`Found::crd_name`]. Only where that is a 404 the OpenAPI document is needed.
//!
//! Discovery shows a subresource of the same kind, as `status`; `scale` is of the kind `Scale`, so it is as good as never seen.

mod convert;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::source::APPROVED;
use super::{FieldProblem, priority};
use crate::names;

/// The approval that a made-up CRD of one of Kubernetes' own groups carries.
const APPROVAL: &str = "https://github.com/kcp-dev/kubernetes/pull/4";

/// A kind, as discovery shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    group: String,
    kind: String,
    /// What is said about the resource itself.
    entry: Value,
    /// Its versions, and the subresources that were seen in each.
    versions: BTreeMap<String, BTreeSet<String>>,
}

/// What the service cluster serves.
#[derive(Clone, Copy, Debug)]
pub struct Documents<'a> {
    /// The `APIResourceList`s of the group, in the order of the group's versions.
    pub lists: &'a [Value],
    /// The version that the group prefers; for the core group `v1`.
    pub preferred: &'a str,
    /// The document of `/openapi/v2`.
    pub openapi: &'a Value,
}

impl Found {
    /// Looks a kind up in the `APIResourceList`s of its group: `/api/v1`, or `/apis/<group>/<version>` for each version.
    ///
    /// ```
    /// use serde_json::json;
    /// use syncagent_core::compat::openapi::Found;
    ///
    /// let list = json!({"groupVersion": "v1", "resources": [
    ///     {"name": "services", "singularName": "service", "kind": "Service", "namespaced": true},
    ///     {"name": "services/status", "kind": "Service", "namespaced": true},
    /// ]});
    /// let found = Found::of("", "Service", &[list])?;
    /// assert_eq!(found.crd_name(), "services.core");
    /// # Ok::<(), syncagent_core::compat::FieldProblem>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When no list shows it.
    pub fn of(group: &str, kind: &str, lists: &[Value]) -> Result<Self, FieldProblem> {
        let mut main = None;
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for list in lists {
            let (of, version) = group_version(list);
            if of != group {
                continue;
            }
            for entry in resources(list).filter(|it| it["kind"] == kind) {
                let seen = versions.entry(version.to_owned()).or_default();
                match text(&entry["name"]).split_once('/') {
                    Some((_, subresource)) => {
                        seen.insert(subresource.to_owned());
                    }
                    None => main = Some(entry.clone()),
                }
            }
        }
        match main {
            Some(entry) => Ok(Self {
                group: group.to_owned(),
                kind: kind.to_owned(),
                entry,
                versions,
            }),
            None => Err(FieldProblem::new(
                "spec.resource",
                format!("the service cluster serves no {kind} in the group `{group}`"),
            )),
        }
    }

    /// The plural of the kind.
    #[must_use]
    pub fn plural(&self) -> &str {
        text(&self.entry["name"])
    }

    /// What the CRD of the kind is called, if there is one.
    #[must_use]
    pub fn crd_name(&self) -> String {
        let group = if self.group.is_empty() {
            "core"
        } else {
            &self.group
        };
        format!("{}.{group}", self.plural())
    }

    /// The version of the resource that the server prefers: that of the group where it has the resource, else the first.
    fn preferred<'a>(&self, documents: &Documents<'a>) -> Option<&'a str> {
        let mut with = documents.lists.iter().filter_map(|list| {
            let (group, version) = group_version(list);
            let has = group == self.group && resources(list).any(|it| it["name"] == self.plural());
            has.then_some(version)
        });
        let first = with.next()?;
        let preferred = |it: &str| it == documents.preferred;
        if preferred(first) || with.any(preferred) {
            return Some(documents.preferred);
        }
        Some(first)
    }
}

/// Metadata and spec of a CRD for a kind.
pub(super) fn crd(
    found: &Found,
    documents: &Documents<'_>,
) -> Result<(Value, Value), FieldProblem> {
    let problem = |what: String| FieldProblem::new("spec.resource", what);
    let Found {
        group, kind, entry, ..
    } = found;
    let Some(preferred) = found.preferred(documents) else {
        let what = format!(
            "the service cluster prefers no version of {}",
            found.crd_name()
        );
        return Err(problem(what));
    };
    let mut versions = Vec::new();
    for (version, seen) in &found.versions {
        let model = model(documents.openapi, group, version, kind).ok_or_else(|| {
            problem(format!("the OpenAPI document of the service cluster does not describe {kind} of {group}/{version}"))
        })?;
        let schema = convert::schema(documents.openapi, model).map_err(|what| {
            problem(format!(
                "{kind} of {group}/{version} cannot be told in a CRD: {what}"
            ))
        })?;
        let mut subresources = Map::new();
        if seen.contains("status") {
            subresources.insert("status".into(), json!({}));
        }
        if seen.contains("scale") {
            let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
            subresources.insert("scale".into(), scale);
        }
        versions.push(json!({
            "name": version,
            "served": true,
            "storage": version == preferred,
            "schema": {"openAPIV3Schema": schema},
            "subresources": subresources,
        }));
    }
    versions.sort_by(|one, two| priority::compare(text(&one["name"]), text(&two["name"])));
    let mut metadata = json!({"name": found.crd_name()});
    if names::is_protected(group) {
        metadata["annotations"] = json!({APPROVED: APPROVAL});
    }
    let namespaced = entry["namespaced"] == true;
    let spec = json!({
        "group": group,
        "names": {
            "plural": found.plural(),
            "singular": entry["singularName"],
            "shortNames": entry["shortNames"],
            "kind": kind,
            "categories": entry["categories"],
        },
        "scope": if namespaced { "Namespaced" } else { "Cluster" },
        "versions": versions,
    });
    Ok((metadata, spec))
}

/// The definition that stands for a kind.
fn model<'a>(openapi: &'a Value, group: &str, version: &str, kind: &str) -> Option<&'a Value> {
    let mut definitions = openapi["definitions"].as_object()?.values();
    definitions.find(|it| {
        let mut stands_for = it["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten();
        stands_for
            .any(|it| text(&it["group"]) == group && it["version"] == version && it["kind"] == kind)
    })
}

fn group_version(list: &Value) -> (&str, &str) {
    let both = text(&list["groupVersion"]);
    both.split_once('/').unwrap_or(("", both))
}

fn resources(list: &Value) -> impl Iterator<Item = &Value> {
    list["resources"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
