//! What consumers see of a kind: a CRD, changed as a `PublishedResource` says.
//!
//! Versions are chosen, in the order of the CRD. One of them is stored: the one that the CRD stores where it was chosen,
//! else the last one that is served, in that order (which is not the order of their maturity). Then they are renamed, and
//! where a map renames them they are sorted; at last the kind gets its names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::source::kind;
use super::{FieldProblem, Source, go_json, priority, schema};
use crate::api::published_resource::{Projection, PublishedResource, SourceResource};
use crate::definition::Kind;
use crate::names;
use crate::schema::add_conditions;

/// What consumers see of a kind, and how it is called on both sides.
///
/// ```
/// use serde_json::json;
/// use syncagent_core::api::published_resource::PublishedResource;
/// use syncagent_core::compat::{Projected, Source};
///
/// let source = Source::from_crd(&json!({
///     "metadata": {"name": "things.example.io"},
///     "spec": {"group": "example.io", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
///         "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
/// }));
/// let publication: PublishedResource = serde_json::from_value(json!({
///     "metadata": {"name": "things"},
///     "spec": {"resource": {"apiGroup": "example.io", "kind": "Thing"}, "projection": {"kind": "Widget"}},
/// }))?;
/// let projected = Projected::of(&publication, &source).expect("nothing is wrong with it");
/// assert_eq!(projected.remote().plural, "widgets");
/// assert!(projected.schema_name().ends_with(".widgets.example.io"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Projected {
    crd: Value,
    local: Kind,
    remote: Kind,
    warnings: Vec<FieldProblem>,
}

impl Projected {
    /// Applies a `PublishedResource` to what the service cluster says about its kind.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn of(publication: &PublishedResource, source: &Source) -> Result<Self, Vec<FieldProblem>> {
        let mut work = Work::default();
        let mut crd = source.crd().clone();
        work.is_of_the_kind(&publication.spec.resource, &crd);
        let local = source.stored();
        if local.is_none() {
            work.problem("spec.resource", "no version of the CRD is stored");
        }
        let projection = publication.spec.projection.as_ref();
        let mut versions = work.chosen(&publication.spec.resource, &crd);
        if let Some(projection) = projection {
            work.rename(projection, &mut versions);
            rename_kind(projection, &mut crd);
        }
        if publication
            .spec
            .syncagent
            .as_ref()
            .and_then(|it| it.conditions)
            == Some(true)
        {
            versions.iter_mut().for_each(make_room);
        }
        crd["spec"]["versions"] = versions.into();
        crd["spec"] = go_json::parsed(&crd["spec"]);
        work.can_be_offered(&crd);
        match (local, kind(&crd)) {
            (Some(local), Some(remote)) if work.problems.is_empty() => Ok(Self {
                crd,
                local,
                remote,
                warnings: work.warnings,
            }),
            _ => Err(work.problems),
        }
    }

    /// The projected CRD.
    #[must_use]
    pub fn crd(&self) -> &Value {
        &self.crd
    }

    /// The kind on the service cluster, in the version that its CRD stores, chosen or not.
    #[must_use]
    pub fn local(&self) -> Kind {
        self.local.clone()
    }

    /// The kind in workspaces, in the version that is stored there.
    #[must_use]
    pub fn remote(&self) -> Kind {
        self.remote.clone()
    }

    /// The name of the `APIResourceSchema`.
    #[must_use]
    pub fn schema_name(&self) -> String {
        schema::name(&self.crd)
    }

    /// The `APIResourceSchema`, with the marks of an agent.
    #[must_use]
    pub fn resource_schema(&self, agent: &str) -> Value {
        schema::of(&self.crd, agent)
    }

    /// What has no effect, and was probably meant to have one.
    #[must_use]
    pub fn warnings(&self) -> &[FieldProblem] {
        &self.warnings
    }
}

/// A text that says something: an empty one is as good as none.
pub(super) fn said(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|it| !it.is_empty())
}

fn name(version: &Value) -> &str {
    version["name"].as_str().unwrap_or_default()
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[derive(Default)]
struct Work {
    problems: Vec<FieldProblem>,
    warnings: Vec<FieldProblem>,
}

impl Work {
    fn problem(&mut self, path: &str, what: impl Into<String>) {
        self.problems.push(FieldProblem::new(path, what));
    }

    fn warn(&mut self, path: &str, what: impl Into<String>) {
        self.warnings.push(FieldProblem::new(path, what));
    }

    fn is_of_the_kind(&mut self, resource: &SourceResource, crd: &Value) {
        let spec = &crd["spec"];
        for (field, wanted, at) in [
            ("kind", &resource.kind, &spec["names"]["kind"]),
            ("apiGroup", &resource.api_group, &spec["group"]),
        ] {
            if at.as_str().unwrap_or_default() != wanted {
                let theirs = at.as_str().unwrap_or_default();
                self.problem(
                    &format!("spec.resource.{field}"),
                    format!("is `{wanted}`, and the CRD is of `{theirs}`"),
                );
            }
        }
    }

    /// The versions that are published, one of them stored.
    fn chosen(&mut self, resource: &SourceResource, crd: &Value) -> Vec<Value> {
        let all = crd["spec"]["versions"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let one = said(resource.version.as_ref());
        let several = resource.versions.as_deref().unwrap_or_default();
        if one.is_some() && !several.is_empty() {
            self.problem(
                "spec.resource.version",
                "says the same as `versions`, which is there too; leave this one out",
            );
        }
        let wanted: Vec<&str> = one
            .into_iter()
            .chain(several.iter().map(String::as_str))
            .collect();
        let path = if one.is_some() {
            "spec.resource.version"
        } else {
            "spec.resource.versions"
        };
        let there = listed(all.iter().map(name));
        let missing: Vec<_> = wanted
            .iter()
            .copied()
            .filter(|it| !all.iter().any(|v| name(v) == *it))
            .collect();
        if !missing.is_empty() {
            let what = format!(
                "the CRD has no version {}; it has {there}",
                listed(missing.iter().copied())
            );
            if missing.len() == wanted.len() {
                self.problem(path, what);
                return Vec::new();
            }
            self.warn(path, what);
        }
        let chosen = all
            .iter()
            .filter(|it| wanted.is_empty() || wanted.contains(&name(it)));
        let mut chosen: Vec<Value> = chosen.cloned().collect();
        let Some(last) = chosen.iter().rposition(|it| it["served"] == true) else {
            if !chosen.is_empty() {
                let what = format!(
                    "of the versions {} none is served",
                    listed(chosen.iter().map(name))
                );
                self.problem(path, what);
            }
            return Vec::new();
        };
        if !chosen.iter().any(|it| it["storage"] == true) {
            chosen[last]["storage"] = true.into();
        }
        chosen
    }

    fn rename(&mut self, projection: &Projection, versions: &mut [Value]) {
        let several = projection.versions.as_ref().filter(|it| !it.is_empty());
        if let Some(to) = said(projection.version.as_ref()) {
            if several.is_some() {
                self.warn(
                    "spec.projection.versions",
                    "has no effect beside `version`; leave that one out",
                );
            }
            match versions {
                [] => {}
                [only] => only["name"] = to.into(),
                more => self.problem(
                    "spec.projection.version",
                    format!(
                        "renames one version, and {} are published ({}); use `versions`",
                        more.len(),
                        listed(more.iter().map(name))
                    ),
                ),
            }
        } else if let Some(renamed) = several {
            self.rename_each(renamed, versions);
        }
    }

    fn rename_each(&mut self, renamed: &BTreeMap<String, String>, versions: &mut [Value]) {
        for from in renamed
            .keys()
            .filter(|from| !versions.iter().any(|it| name(it) == *from))
        {
            self.warn(
                "spec.projection.versions",
                format!("`{from}` is not among the published versions"),
            );
        }
        let mut seen = BTreeSet::new();
        for version in versions.iter_mut() {
            if let Some(to) = renamed.get(name(version)) {
                version["name"] = to.as_str().into();
            }
            if !seen.insert(name(version).to_owned()) {
                let what = format!("gives two versions the name `{}`", name(version));
                self.problem("spec.projection.versions", what);
            }
        }
        versions.sort_by(|one, two| priority::compare(name(one), name(two)));
    }

    /// What kcp does not take.
    fn can_be_offered(&mut self, crd: &Value) {
        let spec = &crd["spec"];
        let group = spec["group"].as_str().unwrap_or_default();
        if group.is_empty() {
            self.problem(
                "spec.projection.group",
                "is missing: a kind of the core group has to be offered in a group of your own; name one, as in `core.example.io`",
            );
        }
        if names::is_protected(group) {
            let what = format!(
                "is missing: kcp does not take Kubernetes' own group `{group}`; name a group of your own"
            );
            self.problem("spec.projection.group", what);
        }
        let crd_name = crd["metadata"]["name"].as_str().unwrap_or_default();
        if !group.is_empty() && !names::is_subdomain(&format!("irrelevant.{crd_name}")) {
            self.problem(
                "spec.projection",
                format!("gives the name `{crd_name}`, which is no DNS name"),
            );
        }
        for version in spec["versions"].as_array().into_iter().flatten() {
            if !version["schema"]["openAPIV3Schema"].is_object() {
                let what = format!("version {} of the CRD has no schema", name(version));
                self.problem("spec.resource", what);
            }
        }
    }
}

fn rename_kind(projection: &Projection, crd: &mut Value) {
    let spec = &mut crd["spec"];
    if let Some(group) = said(projection.group.as_ref()) {
        spec["group"] = group.into();
    }
    if let Some(scope) = projection.scope {
        spec["scope"] = scope.word().into();
    }
    let names = &mut spec["names"];
    if let Some(kind) = said(projection.kind.as_ref()) {
        let lower = kind.to_lowercase();
        names["kind"] = kind.into();
        names["listKind"] = format!("{kind}List").into();
        names["plural"] = format!("{lower}s").into();
        names["singular"] = lower.into();
    }
    if let Some(plural) = said(projection.plural.as_ref()) {
        names["plural"] = plural.into();
    }
    for (list, declared) in [
        ("shortNames", &projection.short_names),
        ("categories", &projection.categories),
    ] {
        if let Some(declared) = declared {
            names[list] = json!(declared);
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = format!(
        "{}.{}",
        text(&spec["names"]["plural"]),
        text(&spec["group"])
    );
    crd["metadata"]["name"] = name.into();
}

/// Room for a condition of ours in the status.
fn make_room(version: &mut Value) {
    let schema = &mut version["schema"]["openAPIV3Schema"];
    if schema.is_object() {
        add_conditions(schema);
        version["subresources"]["status"] = json!({});
    }
}
