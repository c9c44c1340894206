//! Discovery: what a server serves, in the two forms in which clients ask for it.
//!
//! The old form is a tree (`/api`, `/apis`, `/apis/<group>`, `/apis/<group>/<version>`), one small document a level.
//! The aggregated form is one document for `/api` and one for `/apis`, asked for through `Accept`; its content type has
//! to echo the parameters, or client-go falls back to the tree. kcp aggregates `/api` only.
//!
//! Versions of a group stand in Kubernetes' order of preference: stable before beta before alpha, newer before older.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::api::{Provenance, Resource};
use crate::builtin::kinds;

/// The content type of the aggregated form.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Built-in groups in the order in which a server lists them; the others follow by name.
const PRECEDENCE: [&str; 7] = [
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "rbac.authorization.k8s.io",
    "apiextensions.k8s.io",
    "coordination.k8s.io",
];

/// In which order groups are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As kube-apiserver does: its own groups first.
    Precedence,
    /// As kcp's virtual workspaces do: by name.
    Name,
}

/// `/api`: the versions of the core group, and where they are served (`host:port`).
#[must_use]
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`: the groups with their versions.
#[must_use]
pub fn groups<'a>(resources: impl IntoIterator<Item = &'a Resource>, order: Order) -> Value {
    let groups: Vec<Value> = grouped(resources, order)
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, versions)| group_value(&name, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`, if any of it is served.
#[must_use]
pub fn group<'a>(resources: impl IntoIterator<Item = &'a Resource>, name: &str) -> Option<Value> {
    let (_, versions) = grouped(resources, Order::Name)
        .into_iter()
        .find(|(group, _)| group == name)?;
    let mut value = group_value(name, &versions);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    Some(value)
}

/// `/apis/<group>/<version>` (and `/api/v1`), if any of it is served.
#[must_use]
pub fn resources<'a>(
    all: impl IntoIterator<Item = &'a Resource>,
    group: &str,
    version: &str,
) -> Option<Value> {
    let mut served: Vec<&Resource> = all
        .into_iter()
        .filter(|r| r.group == group && r.version == version)
        .collect();
    let first = served.first()?;
    let mut list = json!({"kind": "APIResourceList", "groupVersion": first.api_version()});
    if !group.is_empty() {
        // Only the core group's list is written by a codec that leaves the version out.
        list["apiVersion"] = json!("v1");
    }
    served.sort_by(|a, b| a.plural.cmp(&b.plural));
    list["resources"] = served.into_iter().flat_map(entries).collect();
    Some(list)
}

/// `/apis` and `/api` in the aggregated form: all groups, or just the core group.
#[must_use]
pub fn aggregated<'a>(resources: impl IntoIterator<Item = &'a Resource>, core: bool) -> Value {
    let items: Vec<Value> = grouped(resources, Order::Precedence)
        .into_iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let metadata = if core {
                json!({})
            } else {
                json!({"name": name})
            };
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, served)| {
                    let resources: Vec<Value> = served
                        .iter()
                        .map(|resource| aggregated_entry(resource))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// Which form of discovery an `Accept` header asks for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The tree.
    Plain,
    /// One document; see [`AGGREGATED`].
    Aggregated,
    /// Nothing that is served: 406.
    Refused,
}

/// Reads an `Accept` header (`None`: no header) for `/api` and `/apis`.
#[must_use]
pub fn form(accept: Option<&str>) -> Form {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Form::Plain;
    };
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let mut parameters: BTreeMap<&str, &str> =
            parts.filter_map(|part| part.split_once('=')).collect();
        parameters.remove("q");
        parameters.remove("charset");
        match (media, parameters.get("as").copied()) {
            ("application/json" | "*/*" | "application/*", None) => return Form::Plain,
            ("application/json", Some("APIGroupDiscoveryList"))
                if parameters.get("g") == Some(&"apidiscovery.k8s.io")
                    && parameters.get("v") == Some(&"v2") =>
            {
                return Form::Aggregated;
            }
            _ => {}
        }
    }
    Form::Refused
}

/// `/version`, for a server that behaves as this Kubernetes (`1.36`) and is built as `git`.
#[must_use]
pub fn version(git: &str) -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": git, "gitCommit": "$Format:%H$", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.26.8", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Compares versions by preference; the preferred one is the smallest.
#[must_use]
pub fn by_preference(a: &str, b: &str) -> Ordering {
    let key = |text: &str| parse_version(text).map(Reverse);
    match (key(a), key(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// `(stability, major, minor)` of `v1`, `v2beta1`, `v1alpha3`; larger is preferred.
fn parse_version(text: &str) -> Option<(u8, u64, u64)> {
    let rest = text.strip_prefix('v')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let major = rest[..digits].parse().ok()?;
    let (stability, minor) = match &rest[digits..] {
        "" => (2, 0),
        tail => {
            let (stability, minor) = match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
                (Some(minor), _) => (1, minor),
                (_, Some(minor)) => (0, minor),
                _ => return None,
            };
            (stability, minor.parse().ok()?)
        }
    };
    Some((stability, major, minor))
}

/// The hash by which clients see that a kind is stored differently from before.
#[must_use]
pub fn storage_version_hash(resource: &Resource) -> String {
    // Events of both groups are stored as those of the core group.
    let group = if resource.group == "events.k8s.io" {
        ""
    } else {
        &resource.group
    };
    let digest = Sha256::digest(format!("{group}/{}/{}", resource.version, resource.kind));
    STANDARD.encode(&digest[..8])
}

type Versions<'a> = Vec<(String, Vec<&'a Resource>)>;

fn grouped<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
    order: Order,
) -> Vec<(String, Versions<'a>)> {
    let mut groups: BTreeMap<String, BTreeMap<String, Vec<&'a Resource>>> = BTreeMap::new();
    for resource in resources {
        let group = groups.entry(resource.group.clone()).or_default();
        group
            .entry(resource.version.clone())
            .or_default()
            .push(resource);
    }
    let mut groups: Vec<(String, Versions<'a>)> = groups
        .into_iter()
        .map(|(name, versions)| {
            let mut versions: Versions<'a> = versions.into_iter().collect();
            versions.sort_by(|a, b| by_preference(&a.0, &b.0));
            for (_, served) in &mut versions {
                served.sort_by(|a, b| a.plural.cmp(&b.plural));
            }
            (name, versions)
        })
        .collect();
    if order == Order::Precedence {
        let rank = |name: &str| {
            PRECEDENCE
                .iter()
                .position(|known| *known == name)
                .unwrap_or(PRECEDENCE.len())
        };
        groups.sort_by_key(|(name, _)| (rank(name), name.clone()));
    }
    groups
}

fn group_value(name: &str, versions: &Versions<'_>) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(
            |(version, _)| json!({"groupVersion": format!("{name}/{version}"), "version": version}),
        )
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

/// A resource and its subresources in the list of a version.
fn entries(resource: &Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        own["categories"] = json!(resource.categories);
    }
    if !kinds::is_review(resource) {
        own["storageVersionHash"] = json!(storage_version_hash(resource));
    }
    let mut all = vec![own];
    all.extend(subresources(resource).into_iter().map(|sub| {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, sub.name),
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": sub.kind,
            "verbs": sub.verbs,
        });
        if !sub.group.is_empty() {
            entry["group"] = json!(sub.group);
            entry["version"] = json!(sub.version);
        }
        entry
    }));
    all
}

fn aggregated_entry(resource: &Resource) -> Value {
    // Built-in kinds leave group and version to the reader where they are those of the list.
    let (group, version) = match resource.provenance {
        Provenance::BuiltIn => ("", ""),
        _ => (resource.group.as_str(), resource.version.as_str()),
    };
    let mut entry = Map::new();
    entry.insert("resource".into(), json!(resource.plural));
    entry.insert(
        "responseKind".into(),
        json!({"group": group, "version": version, "kind": resource.kind}),
    );
    entry.insert(
        "scope".into(),
        json!(if resource.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        }),
    );
    entry.insert("singularResource".into(), json!(resource.singular));
    entry.insert("verbs".into(), json!(resource.verbs));
    if !resource.short_names.is_empty() {
        entry.insert("shortNames".into(), json!(resource.short_names));
    }
    if !resource.categories.is_empty() {
        entry.insert("categories".into(), json!(resource.categories));
    }
    let subresources: Vec<Value> = subresources(resource)
        .into_iter()
        .map(|sub| {
            let (group, version) = if sub.group.is_empty() {
                (group, version)
            } else {
                (sub.group, sub.version)
            };
            json!({
                "subresource": sub.name,
                "responseKind": {"group": group, "version": version, "kind": sub.kind},
                "verbs": sub.verbs,
            })
        })
        .collect();
    if !subresources.is_empty() {
        entry.insert("subresources".into(), json!(subresources));
    }
    Value::Object(entry)
}

struct Sub<'a> {
    name: &'a str,
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    verbs: &'a [&'a str],
}

fn subresources(resource: &Resource) -> Vec<Sub<'_>> {
    const READ_AND_WRITE: &[&str] = &["get", "patch", "update"];
    let mut all: Vec<Sub<'_>> = kinds::subresources(resource)
        .iter()
        .map(|sub| Sub {
            name: sub.name,
            group: sub.group,
            version: sub.version,
            kind: sub.kind,
            verbs: sub.verbs,
        })
        .collect();
    if resource.status {
        all.push(Sub {
            name: "status",
            group: "",
            version: "",
            kind: &resource.kind,
            verbs: READ_AND_WRITE,
        });
    }
    if resource.scale.is_some() {
        all.push(Sub {
            name: "scale",
            group: "autoscaling",
            version: "v1",
            kind: "Scale",
            verbs: READ_AND_WRITE,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Scale;

    fn widget(version: &str) -> Resource {
        Resource {
            group: "w.example.com".into(),
            version: version.into(),
            kind: "Widget".into(),
            list_kind: "WidgetList".into(),
            plural: "widgets".into(),
            singular: "widget".into(),
            namespaced: true,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: kinds::CUSTOM.iter().map(|&verb| verb.to_owned()).collect(),
            status: true,
            scale: Some(Scale {
                spec_replicas_path: ".spec.replicas".into(),
                status_replicas_path: ".status.replicas".into(),
                label_selector_path: None,
            }),
            schema: None,
            columns: Vec::new(),
            selectable: Vec::new(),
            provenance: Provenance::Crd("widgets.w.example.com".into()),
        }
    }

    #[test]
    fn versions_stand_in_order_of_preference() {
        let mut versions = vec![
            "foo", "v1alpha1", "v1beta1", "v10", "v2", "v1", "v2alpha2", "v2beta1", "bar",
        ];
        versions.sort_by(|a, b| by_preference(a, b));
        assert_eq!(
            versions,
            [
                "v10", "v2", "v1", "v2beta1", "v1beta1", "v2alpha2", "v1alpha1", "bar", "foo"
            ]
        );
    }

    #[test]
    fn a_group_prefers_its_stable_version() {
        let served = [widget("v1beta1"), widget("v1")];
        let group = group(&served, "w.example.com").expect("the group is served");
        assert_eq!(
            group,
            json!({
                "kind": "APIGroup", "apiVersion": "v1", "name": "w.example.com",
                "versions": [
                    {"groupVersion": "w.example.com/v1", "version": "v1"},
                    {"groupVersion": "w.example.com/v1beta1", "version": "v1beta1"},
                ],
                "preferredVersion": {"groupVersion": "w.example.com/v1", "version": "v1"},
            })
        );
    }

    #[test]
    fn the_aggregated_form_is_as_recorded() {
        let list = aggregated(&[widget("v1")], false);
        assert_eq!(
            list["items"],
            json!([{"metadata": {"name": "w.example.com"}, "versions": [{"version": "v1", "resources": [{
                "resource": "widgets",
                "responseKind": {"group": "w.example.com", "version": "v1", "kind": "Widget"},
                "scope": "Namespaced",
                "singularResource": "widget",
                "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
                "subresources": [
                    {"subresource": "status", "responseKind": {"group": "w.example.com", "version": "v1", "kind": "Widget"},
                     "verbs": ["get", "patch", "update"]},
                    {"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                     "verbs": ["get", "patch", "update"]},
                ],
            }], "freshness": "Current"}]}])
        );
    }

    #[test]
    fn hashes_are_those_of_real_servers() {
        let kinds = kinds::kubernetes();
        let hash = |plural: &str| {
            kinds
                .iter()
                .find(|kind| kind.plural == plural)
                .map(storage_version_hash)
        };
        assert_eq!(hash("configmaps").as_deref(), Some("qFsyl6wFWjQ="));
        assert_eq!(hash("secrets").as_deref(), Some("S6u1pOWzb84="));
        assert_eq!(hash("events").as_deref(), Some("r2yiGXH7wu8="));
    }

    #[test]
    fn the_form_follows_the_accept_header() {
        assert_eq!(form(None), Form::Plain);
        assert_eq!(form(Some(AGGREGATED)), Form::Aggregated);
        let client_go = format!(
            "{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
        );
        assert_eq!(form(Some(&client_go)), Form::Aggregated);
        assert_eq!(
            form(Some(
                "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList"
            )),
            Form::Refused
        );
        assert_eq!(form(Some("text/html")), Form::Refused);
        assert_eq!(form(Some("*/*")), Form::Plain);
    }

    #[test]
    fn the_core_list_has_no_version_of_its_own() {
        let kinds = kinds::kubernetes();
        let core = resources(&kinds, "", "v1").expect("core/v1 is served");
        assert!(core.get("apiVersion").is_none());
        let names: Vec<&str> = core["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| r["name"].as_str())
            .collect();
        assert!(names.contains(&"namespaces/finalize"), "{names:?}");
        assert!(resources(&kinds, "", "v2").is_none());
    }
}
