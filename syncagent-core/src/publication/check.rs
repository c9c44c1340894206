//! A publication against the CRD that a service cluster really serves.
//!
//! No derive can see a foreign CRD, so a path into it may be wrong. Server-side apply answers an undeclared field with a 500,
//! long after the provider went home; here it is a sentence at the start.

use serde_json::{Value, json};

use super::compile::source;
use super::{Problem, Publication};
use crate::definition::SchemaSource;
use crate::names;
use crate::object::path::{Path, Step};
use crate::object::subset::Subset;
use crate::schema::{self, Lookup};
use crate::status::Up;

/// Every problem there is.
pub(super) fn against(publication: &Publication, crd: &Value) -> Vec<Problem> {
    let service = &publication.service;
    let resource = names::resource(service);
    let mut problems = Vec::new();
    for (what, at, ours) in [
        ("group", &crd["spec"]["group"], service.group.as_str()),
        ("kind", &crd["spec"]["names"]["kind"], service.kind.as_str()),
        ("scope", &crd["spec"]["scope"], service.scope.word()),
    ] {
        if *at != json!(ours) {
            let theirs = at.as_str().unwrap_or("nothing");
            problems.push(format!(
                "the {what} of {resource} is {theirs} on the service cluster, not {ours}"
            ));
        }
    }
    let mut wanted = vec![&service.version];
    if publication.needs_crd() {
        wanted.extend(publication.versions.iter().map(|(service, _)| service));
        problems.extend(source::unlike(
            &publication.versions,
            &publication.offered,
            |name| {
                let schema = schema::of_version(schema::version(crd, name)?);
                let subset = publication.subset.as_ref();
                Some(subset.map_or_else(|| schema.clone(), |subset| subset.schema(schema)))
            },
        ));
    }
    wanted.dedup();
    for name in wanted {
        if schema::version(crd, name).is_none() {
            problems.push(format!(
                "the service cluster does not serve {resource} in version {name}"
            ));
        }
    }
    if let Some(version) = schema::version(crd, &service.version) {
        let schema = schema::of_version(version);
        paths(publication, schema, &mut problems);
        subset(publication, schema, &mut problems);
    }
    problems
        .into_iter()
        .map(|what| publication.problem(what))
        .collect()
}

/// What consumers do not see must be there without them.
fn subset(publication: &Publication, schema: &Value, problems: &mut Vec<String>) {
    let SchemaSource::Subset(seen) = &publication.schema else {
        return;
    };
    let resource = names::resource(&publication.service);
    for path in seen.iter().filter_map(|text| text.parse::<Path>().ok()) {
        if schema::lookup(schema, &path) == Lookup::Missing {
            problems.push(format!(
                "schema: `{path}` is not in the schema of {resource} on the service cluster"
            ));
        }
    }
    let Some(seen) = &publication.subset else {
        return;
    };
    let projection = &publication.projection;
    let mut demanded = Vec::new();
    required(schema, seen, &Path::default(), &mut demanded);
    for path in demanded {
        let given = |to: &Path| to.is_within(&path) || path.is_within(to);
        let given = projection.set.iter().any(|it| given(&it.at))
            || projection.moves.iter().any(|it| given(&it.to));
        if !seen.touches(&path) && !given {
            problems.push(format!(
                "schema: {resource} demands `{path}`, which consumers do not see; add it to the subset, or set it"
            ));
        }
    }
}

/// The fields that an object has to have, once something beside them is there.
fn required(schema: &Value, seen: &Subset, at: &Path, found: &mut Vec<Path>) {
    let names = schema["required"].as_array();
    let required_here = |name: &str| names.is_some_and(|it| it.iter().any(|it| it == name));
    let in_part = |path: &Path| seen.touches(path) && !seen.covers(path);
    let properties = schema["properties"].as_object();
    for (name, below) in properties.into_iter().flatten() {
        let own = ["apiVersion", "kind", "metadata", "status"].contains(&name.as_str());
        if at.is_empty() && own {
            continue;
        }
        let path = at.join(&Path::of(&[name]));
        let demanded = required_here(name) && below.get("default").is_none();
        if demanded || in_part(&path) {
            required(below, seen, &path, found);
        }
        if demanded {
            found.push(path);
        }
    }
    let each = at.join(&Path::from_steps(vec![Step::Each]));
    if schema["items"].is_object() && in_part(&each) {
        let mut items = schema["items"].clone();
        // The keys of a list are always seen.
        if let (Some(required), Some(keys)) = (
            items["required"].as_array().cloned(),
            schema["x-kubernetes-list-map-keys"].as_array(),
        ) {
            let rest = required.into_iter().filter(|it| !keys.contains(it));
            items["required"] = rest.collect();
        }
        required(&items, seen, &each, found);
    }
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
    let metadata = Path::of(&["metadata"]);
    for path in projection.mutations.paths() {
        if !path.is_empty() && !path.is_within(&metadata) {
            must_exist("mutation", path);
        }
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
