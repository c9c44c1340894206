//! What servers would know, as far as the files tell: CustomResourceDefinitions, and the other PublishedResources.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::is_ours;
use crate::api::published_resource::PublishedResource;
use crate::compat::{FieldProblem, Kinds, Offer, Projected, Source};
use crate::definition::{Kind, SchemaSource, Scope, Side};

/// What the files tell.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// By group and kind.
    crds: BTreeMap<(String, String), Value>,
    /// The PublishedResources, by name.
    published: BTreeMap<String, PublishedResource>,
}

/// The same, for one object, with notes of what was taken on trust.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    servers: &'a Servers,
    trusted: RefCell<Vec<FieldProblem>>,
}

impl Servers {
    pub(super) fn of<'a>(documents: impl Iterator<Item = &'a Value>) -> Self {
        let mut servers = Self::default();
        for object in documents {
            if object["kind"] == "CustomResourceDefinition" {
                let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
                let spec = &object["spec"];
                let key = (text(&spec["group"]), text(&spec["names"]["kind"]));
                servers.crds.insert(key, defaulted(object));
            } else if is_ours(object)
                && let Ok(typed) = serde_json::from_value::<PublishedResource>(object.clone())
            {
                servers.published.insert(typed.name().to_owned(), typed);
            }
        }
        servers
    }

    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            servers: self,
            trusted: RefCell::default(),
        }
    }

    fn crd(&self, resource: &PublishedResource) -> Option<&Value> {
        let source = &resource.spec.resource;
        self.crds
            .get(&(source.api_group.clone(), source.kind.clone()))
    }
}

impl Sight<'_> {
    /// What an object offers, and what is to be said about that.
    pub(super) fn offer(
        &self,
        resource: &PublishedResource,
        agent: &str,
    ) -> Result<(Offer, Vec<FieldProblem>), Vec<FieldProblem>> {
        if let Some(crd) = self.servers.crd(resource) {
            let projected = Projected::of(resource, &Source::from_crd(crd))?;
            return Ok((Offer::of(&projected, agent), projected.warnings().to_vec()));
        }
        let source = &resource.spec.resource;
        let mut problems = Vec::new();
        if source.kind.is_empty() {
            let what = "is empty; name the kind that is offered";
            problems.push(FieldProblem::new("spec.resource.kind", what));
        }
        if source.version.as_ref().is_some_and(|it| !it.is_empty())
            && source.versions.as_ref().is_some_and(|it| !it.is_empty())
        {
            let what = "stands beside `versions`; write only that";
            problems.push(FieldProblem::new("spec.resource.version", what));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.trust(
            "spec.resource",
            format!(
                "the CustomResourceDefinition of {} is not among the files, so its versions, its scope and its schema were not looked at",
                source.kind
            ),
        );
        let (local, remote) = guessed(resource);
        let offer = Offer {
            local,
            remote,
            schema: SchemaSource::Cluster,
        };
        Ok((offer, Vec::new()))
    }

    /// What was taken on trust.
    pub(super) fn notes(&self) -> Vec<FieldProblem> {
        self.trusted.borrow().clone()
    }

    fn trust(&self, path: &str, what: String) {
        self.trusted
            .borrow_mut()
            .push(FieldProblem::new(path, what));
    }
}

impl Kinds for Sight<'_> {
    fn kind(&self, _: Side, group: &str, version: &str, resource: &str) -> Option<Kind> {
        let crds = self.servers.crds.values();
        let mut named = crds.filter(|crd| {
            let spec = &crd["spec"];
            let versions = spec["versions"].as_array().into_iter().flatten();
            spec["group"] == group
                && spec["names"]["plural"] == resource
                && versions
                    .clone()
                    .any(|it| it["name"] == version && it["served"] != false)
        });
        if let Some(crd) = named.next() {
            return Some(Kind {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: crd["spec"]["names"]["kind"].as_str()?.to_owned(),
                plural: resource.to_owned(),
                scope: match crd["spec"]["scope"].as_str() {
                    Some("Cluster") => Scope::Cluster,
                    _ => Scope::Namespaced,
                },
            });
        }
        let api = if group.is_empty() {
            "the core group"
        } else {
            group
        };
        self.trust(
            "spec.related",
            format!("no file tells about `{resource}` of {api}; it was taken for something that lives in namespaces"),
        );
        Some(Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: resource.to_owned(),
            plural: resource.to_owned(),
            scope: Scope::Namespaced,
        })
    }

    fn published(&self, name: &str) -> Option<Kind> {
        let other = self.servers.published.get(name)?;
        let projected = self
            .servers
            .crd(other)
            .and_then(|crd| Projected::of(other, &Source::from_crd(crd)).ok());
        Some(projected.map_or_else(|| guessed(other).1, |it| it.remote()))
    }
}

/// A CRD with the names that an API server fills in.
fn defaulted(crd: &Value) -> Value {
    let mut crd = crd.clone();
    let names = &mut crd["spec"]["names"];
    let Some(kind) = names["kind"].as_str().map(str::to_owned) else {
        return crd;
    };
    for (field, name) in [
        ("singular", kind.to_lowercase()),
        ("listKind", format!("{kind}List")),
    ] {
        if names[field].as_str().is_none_or(str::is_empty) {
            names[field] = name.into();
        }
    }
    crd
}

/// The kinds on both sides as they most often are.
fn guessed(resource: &PublishedResource) -> (Kind, Kind) {
    let source = &resource.spec.resource;
    let projection = resource.spec.projection.clone().unwrap_or_default();
    let versions = source.versions.iter().flatten().chain(&source.version);
    let version = versions.last().cloned().unwrap_or_else(|| "v1".into());
    let plural = |kind: &str| format!("{}s", kind.to_lowercase());
    let own = |it: Option<String>, otherwise: String| match it {
        Some(it) if !it.is_empty() => it,
        _ => otherwise,
    };
    let local = Kind {
        group: source.api_group.clone(),
        version: version.clone(),
        kind: source.kind.clone(),
        plural: plural(&source.kind),
        scope: projection.scope.unwrap_or(Scope::Namespaced),
    };
    let renamed = projection.versions.and_then(|it| it.get(&version).cloned());
    let kind = own(projection.kind, local.kind.clone());
    let remote = Kind {
        group: own(projection.group, local.group.clone()),
        version: own(projection.version.or(renamed), version),
        plural: own(projection.plural, plural(&kind)),
        kind,
        scope: local.scope,
    };
    (local, remote)
}
