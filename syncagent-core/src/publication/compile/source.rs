//! Compiles what is offered: names, versions, scope, and which fields are seen.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Compiler;
use crate::definition::{Kind, SchemaSource, Scope};
use crate::names;
use crate::object::path::Path;
use crate::object::subset::Subset;
use crate::schema::{self, compat};

impl Compiler<'_> {
    /// Everything about what is offered that can be told without a server.
    pub(super) fn source(&mut self) {
        self.offered_names();
        self.scopes();
        self.versions();
        self.read_schema();
        self.read_ready();
        self.read_subset();
    }

    fn offered_names(&mut self) {
        let offered = &self.definition.offered;
        let mut problems = Vec::new();
        let group = offered.group.as_str();
        if !group.contains('.') || !names::is_subdomain(group) {
            problems.push(format!(
                "offered: `{group}` is no group for a kind of your own; write a DNS name with a dot, as in `example.io`"
            ));
        }
        if names::is_protected(group) {
            problems.push(format!(
                "offered: the group `{group}` is Kubernetes' own, and kcp does not take it; offer the kind in a group of your own"
            ));
        }
        let declared = &self.definition.names;
        let lists = [&declared.short_names, &declared.categories];
        let lower = [("plural", &offered.plural)]
            .into_iter()
            .chain(declared.singular.iter().map(|it| ("singular", it)))
            .chain(
                ["short name", "category"]
                    .into_iter()
                    .zip(lists)
                    .flat_map(|(what, list)| list.iter().flatten().map(move |it| (what, it))),
            );
        for (what, name) in lower {
            if !names::is_dns_label(name) {
                problems.push(format!(
                    "offered: the {what} `{name}` has to be lower-case letters, digits and dashes"
                ));
            }
        }
        let kind = offered.kind.as_str();
        if !kind.starts_with(|c: char| c.is_ascii_alphabetic())
            || !names::is_dns_label(&kind.to_lowercase())
        {
            problems.push(format!(
                "offered: `{kind}` is no name for a kind; write letters and digits, as in `DatabaseUser`"
            ));
        }
        self.problems.extend(problems);
    }

    /// Scopes may change on the way where what is said still makes sense; whether names do is the naming's to tell.
    fn scopes(&mut self) {
        let offered = &self.definition.offered;
        if offered.scope == Scope::Cluster && !self.definition.only.namespaces.is_empty() {
            self.problems.push(format!(
                "only: {} has no namespace, so none can be chosen; leave the namespaces out",
                offered.kind
            ));
        }
    }

    fn versions(&mut self) {
        let definition = self.definition;
        let main = (
            definition.service.version.clone(),
            definition.offered.version.clone(),
        );
        if definition.versions.is_empty() {
            self.versions = vec![main];
            return;
        }
        let mut problems = Vec::new();
        if !definition.versions.contains(&main) {
            problems.push(format!(
                "versions: `{}` as `{}` is not among them, and the agent works with these two",
                main.0, main.1
            ));
        }
        let mut seen = BTreeSet::new();
        for (_, offered) in &definition.versions {
            if !seen.insert(offered) {
                problems.push(format!(
                    "versions: `{offered}` is offered twice; give each version a name of its own"
                ));
            }
            if !names::is_dns_label(offered) {
                problems.push(format!(
                    "versions: `{offered}` is no name for a version; write one as in `v1beta1`"
                ));
            }
        }
        self.problems.extend(problems);
        self.versions.clone_from(&definition.versions);
    }

    /// The schema of the Rust type. Its versions are the offered ones.
    fn read_schema(&mut self) {
        let SchemaSource::Type(crd) = &self.definition.schema else {
            return;
        };
        for (service, offered) in &mut self.versions {
            service.clone_from(offered);
        }
        let missing = self.versions.iter().map(|(_, offered)| offered);
        let missing = missing.filter(|name| schema::version(crd, name).is_none());
        let missing: Vec<_> = missing
            .map(|name| format!("the type has no version {name}"))
            .collect();
        self.problems.extend(missing);
        let main = &self.definition.offered.version;
        self.schema = schema::version(crd, main).map(schema::of_version);
        let found = unlike(&self.versions, &self.definition.offered, |name| {
            Some(schema::of_version(schema::version(crd, name)?).clone())
        });
        self.problems.extend(found);
    }

    /// A schema that was made elsewhere. What its versions do to each other is for whoever made it to answer.
    fn read_ready(&mut self) {
        let SchemaSource::Ready(ready) = &self.definition.schema else {
            return;
        };
        let offered = &self.definition.offered;
        let spec = &ready["spec"];
        for (what, at, wanted) in [
            ("group", &spec["group"], offered.group.as_str()),
            ("kind", &spec["names"]["kind"], offered.kind.as_str()),
            ("plural", &spec["names"]["plural"], offered.plural.as_str()),
            ("scope", &spec["scope"], offered.scope.word()),
        ] {
            if *at != wanted {
                let theirs = at.as_str().unwrap_or("missing");
                self.problems.push(format!(
                    "schema: its {what} is {theirs}, and {wanted} is offered"
                ));
            }
        }
        match schema::version(ready, &offered.version) {
            Some(stored) if stored["storage"] == true => self.schema = Some(&stored["schema"]),
            _ => self.problems.push(format!(
                "schema: it does not serve and store the version {}",
                offered.version
            )),
        }
        let names = spec["versions"].as_array().into_iter().flatten();
        let names = names.filter_map(|it| it["name"].as_str());
        let versions: Vec<_> = names.map(|it| (it.to_owned(), it.to_owned())).collect();
        let found = unlike(&versions, offered, |name| {
            Some(schema::version(ready, name)?["schema"].clone())
        });
        self.warnings.extend(found);
    }

    fn read_subset(&mut self) {
        let SchemaSource::Subset(texts) = &self.definition.schema else {
            return;
        };
        if texts.is_empty() {
            self.problems.push(
                "schema: a subset without a field is no offer; name the fields that consumers see"
                    .into(),
            );
        }
        let mut paths = Vec::new();
        for text in texts {
            let Some(path) = self.path("schema", text) else {
                continue;
            };
            if path.is_empty() || path.is_within(&Path::of(&["metadata"])) {
                self.problems.push(format!(
                    "schema: `{text}` is nothing to choose: metadata is always seen, and all fields are without a subset"
                ));
            } else {
                paths.push(path);
            }
        }
        self.subset = Some(Subset::of(&paths));
    }
}

/// What is wrong with offering these versions together: objects are stored in one and only renamed for the others, so nothing
/// that is written in one may be lost or invalid there. `seen` is what consumers see of the schema of a version.
pub(in crate::publication) fn unlike(
    versions: &[(String, String)],
    offered: &Kind,
    seen: impl Fn(&str) -> Option<Value>,
) -> Vec<String> {
    let main = versions.iter().find(|(_, name)| *name == offered.version);
    let Some(stored) = main.and_then(|(service, _)| seen(service)) else {
        return Vec::new();
    };
    let others = versions.iter().filter(|(_, name)| *name != offered.version);
    let found = others.flat_map(|(service, name)| {
        let written = seen(service).unwrap_or_default();
        let losses = if written.is_object() {
            compat::losses(&written, &stored)
        } else {
            Vec::new()
        };
        losses.into_iter().map(move |loss| {
            format!(
                "versions: what is written in {name} is stored in {} and only renamed, and there: {loss}",
                offered.version
            )
        })
    });
    found.collect()
}
