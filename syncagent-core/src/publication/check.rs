//! A publication against the CRD that a service cluster really serves.
//!
//! No derive can see a foreign CRD, so a path into it may be wrong. Server-side apply answers an undeclared field with a 500,
//! long after the provider went home; here it is a sentence at the start.

use serde_json::{Value, json};

use super::{Problem, Publication};
use crate::definition::{SchemaSource, Scope};
use crate::names;
use crate::object::path::Path;
use crate::schema::{self, Lookup};
use crate::status::Up;

/// Every problem there is.
pub(super) fn against(publication: &Publication, crd: &Value) -> Vec<Problem> {
    let service = &publication.service;
    let resource = names::resource(service);
    let scope = match service.scope {
        Scope::Namespaced => "Namespaced",
        Scope::Cluster => "Cluster",
    };
    let mut problems = Vec::new();
    for (what, at, ours) in [
        ("group", &crd["spec"]["group"], service.group.as_str()),
        ("kind", &crd["spec"]["names"]["kind"], service.kind.as_str()),
        ("scope", &crd["spec"]["scope"], scope),
    ] {
        if *at != json!(ours) {
            let theirs = at.as_str().unwrap_or("nothing");
            problems.push(format!(
                "the {what} of {resource} is {theirs} on the service cluster, not {ours}"
            ));
        }
    }
    match schema::version(crd, &service.version) {
        None => problems.push(format!(
            "the service cluster does not serve {resource} in version {}",
            service.version
        )),
        Some(version) => paths(publication, schema::of_version(version), &mut problems),
    }
    problems
        .into_iter()
        .map(|what| publication.problem(what))
        .collect()
}

fn paths(publication: &Publication, schema: &Value, problems: &mut Vec<String>) {
    let resource = names::resource(&publication.service);
    let mut must_exist = |what: &str, path: &Path| {
        if schema::lookup(schema, path) == Lookup::Missing {
            problems.push(format!(
                "{what}: `{path}` is not in the schema of {resource} on the service cluster"
            ));
        }
    };
    let projection = &publication.projection;
    for moved in &projection.moves {
        must_exist("at", &moved.to);
    }
    for set in &projection.set {
        must_exist("set", &set.at);
    }
    if let Up::Fields(fields) = &publication.up {
        for field in fields.iter().filter(|it| !it.from.is_empty()) {
            must_exist("status", &field.from);
        }
    }
    let SchemaSource::Type(own) = &publication.schema else {
        return;
    };
    let Some(own) = schema::version(own, &publication.offered.version) else {
        return;
    };
    let own = schema::of_version(own);
    let roots = own["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str());
    for root in roots.filter(|root| !["apiVersion", "kind", "metadata", "status"].contains(root)) {
        for leaf in schema::leaves(own, &Path::of(&[root])) {
            let covered = |path: &Path| leaf.is_within(path) || path.is_within(&leaf);
            let moved = projection.moves.iter().any(|it| covered(&it.from));
            if !moved && !projection.kept.iter().any(covered) {
                must_exist("field", &leaf);
            }
        }
    }
}
