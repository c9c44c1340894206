//! Objects that belong to the published ones (section 6).

use std::collections::BTreeSet;

use super::filter::{fits, requirements};
use super::mutations::{backslash, list};
use super::{Kinds, Notes};
use crate::api::published_resource::{
    CoreKind, LabelSelector, ObjectReference, ObjectSelector, ObjectSource, ObjectTemplate, Origin,
    OriginGone, PublishedResource, Regex, Related,
};
use crate::definition::{
    Called, Cleanup, Definition, Expression, Find, Kind, Labelled, Objects, Operator, Pass,
    RelatedRule, Requirement, Rewrite, Scope, Side, Text, Unproven,
};
use crate::mutation::{GoPath, Pattern, Template};
use crate::names;
use crate::object::labels::is_key;

pub(super) fn related(
    resource: &PublishedResource,
    kinds: &dyn Kinds,
    definition: &mut Definition,
    notes: &mut Notes,
) {
    let all = resource.related();
    for (at, entry) in all.iter().enumerate() {
        let path = format!("spec.related[{at}]");
        let rule = Entry {
            path: &path,
            entry,
            kinds,
            notes,
        }
        .rule(&id(all, at), mutation_of(all, entry), definition);
        let Some(rule) = rule else { continue };
        if entry.syncagent.as_ref().and_then(|it| it.recreate) == Some(true) {
            definition.recreate.push(rule.id.clone());
        }
        definition.related.push(rule);
    }
    repeated(all, notes);
}

/// The id of an entry's rule: its identifier, with a number that makes it another one where an earlier entry has the same.
pub(super) fn id(all: &[Related], at: usize) -> String {
    let own = &all[at].identifier;
    let before = all[..at].iter().filter(|it| it.identifier == *own).count();
    if before == 0 {
        return own.clone();
    }
    let numbered = (2..).map(|number| format!("{own}-{number}"));
    let mut free = numbered.filter(|id| all.iter().all(|it| it.identifier != *id));
    free.nth(before - 1).unwrap_or_default()
}

/// Which entry's mutation counts: entries of one identifier share the last one.
fn mutation_of<'a>(all: &'a [Related], entry: &Related) -> (usize, &'a Related) {
    let same = all.iter().enumerate().rev();
    same.clone()
        .filter(|(_, it)| it.identifier == entry.identifier && it.mutation.is_some())
        .chain(same.filter(|(_, it)| it.identifier == entry.identifier))
        .next()
        .unwrap_or((0, &all[0]))
}

fn repeated(all: &[Related], notes: &mut Notes) {
    let mut seen = BTreeSet::new();
    for (at, entry) in all.iter().enumerate() {
        if !seen.insert(entry.identifier.as_str()) {
            notes.warn(
                format!("spec.related[{at}].identifier"),
                format!(
                    "`{}` is used twice: both entries have the mutation of the last one, and the annotations on the published object name one of them only; give it another one",
                    entry.identifier
                ),
            );
        }
    }
}

/// One entry of `spec.related`.
struct Entry<'a> {
    path: &'a str,
    entry: &'a Related,
    kinds: &'a dyn Kinds,
    notes: &'a mut Notes,
}

impl Entry<'_> {
    fn rule(
        mut self,
        id: &str,
        (at, mutated): (usize, &Related),
        definition: &Definition,
    ) -> Option<RelatedRule> {
        let entry = self.entry;
        let origin = match entry.origin {
            Origin::Kcp => Side::Workspace,
            Origin::Service => Side::Service,
        };
        let annotation = format!("{}{id}.0", names::RELATED_PREFIX);
        if origin == Side::Service && !is_key(&annotation) {
            self.notes.problem(
                format!("{}.identifier", self.path),
                format!(
                    "`{}` cannot be part of the name of an annotation, which names the copies; write letters, digits and dashes",
                    entry.identifier
                ),
            );
        }
        let kinds = self.both_kinds(origin);
        let objects = self.objects();
        let mutation = mutated.mutation.clone().unwrap_or_default();
        let mutations = list(
            &format!("spec.related[{at}].mutation.spec"),
            mutation.spec.as_deref(),
            self.notes,
        );
        if mutation.status.is_some_and(|it| !it.is_empty()) {
            self.notes.warn(
                format!("spec.related[{at}].mutation.status"),
                "has no effect: the status of a related object only ever comes from its original",
            );
        }
        let (kind, into) = kinds?;
        let (objects, namespaces) = objects?;
        let mut rule = RelatedRule::new(id, origin, kind, objects);
        rule.into = into;
        rule.identity = entry.identity_hash.clone().filter(|it| !it.is_empty());
        rule.pass = Pass::as_go();
        rule.mutations = mutations;
        rule.cleanup = self.cleanup(origin);
        rule.status = entry.sync_status == Some(true);
        rule.drift = definition.policy.drift;
        rule.unproven = Unproven::Allowed;
        match namespaces {
            Some(_) if rule.kind.scope == Scope::Cluster => self.notes.warn(
                format!("{}.object.namespace", self.path),
                format!("a {} has no namespace, so this is not used", rule.kind.kind),
            ),
            namespaces => rule.namespaces = namespaces,
        }
        Some(rule)
    }

    /// The kind where the objects are written, and that of their copies.
    fn both_kinds(&mut self, origin: Side) -> Option<(Kind, Kind)> {
        let entry = self.entry;
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let core = entry.kind.map(|it| match it {
            CoreKind::ConfigMap => "configmaps",
            CoreKind::Secret => "secrets",
        });
        let (group, version, resource) = match core {
            Some(resource) => (String::new(), "v1".to_owned(), resource.to_owned()),
            None => (
                text(&entry.group),
                text(&entry.version),
                text(&entry.resource),
            ),
        };
        if version.is_empty() || resource.is_empty() {
            let missing = if resource.is_empty() {
                "resource"
            } else {
                "version"
            };
            let what = "is missing: the kind is told by group, version and resource, as in `version: v1`, `resource: secrets`";
            self.notes.problem(format!("{}.{missing}", self.path), what);
            return None;
        }
        let projection = entry.projection.clone().unwrap_or_default();
        let over = |it: &Option<String>, own: &str| match it.as_deref() {
            None | Some("") => own.to_owned(),
            Some(it) => it.to_owned(),
        };
        let there = (
            over(&projection.group, &group),
            over(&projection.version, &version),
            over(&projection.resource, &resource),
        );
        let field = match entry.projection {
            Some(_) => "projection",
            None => "resource",
        };
        let kind = self.kind(origin, (&group, &version, &resource), "resource");
        let into = self.kind(origin.other(), (&there.0, &there.1, &there.2), field);
        Some((kind?, into?))
    }

    fn kind(
        &mut self,
        side: Side,
        (group, version, resource): (&str, &str, &str),
        field: &str,
    ) -> Option<Kind> {
        let known = core_kind(group, version, resource);
        let kind = known.or_else(|| self.kinds.kind(side, group, version, resource));
        if kind.is_none() {
            let place = match side {
                Side::Workspace => "in workspaces",
                Side::Service => "on the service cluster",
            };
            let api = match group {
                "" => version.to_owned(),
                group => format!("{group}/{version}"),
            };
            let what = format!("there is no `{resource}` in {api} {place}");
            self.notes.wait(format!("{}.{field}", self.path), what);
        }
        kind
    }

    fn cleanup(&mut self, origin: Side) -> Cleanup {
        let own = self.entry.syncagent.as_ref();
        let gone = own.and_then(|it| it.origin_gone).unwrap_or_default();
        match (origin, gone, self.entry.cleanup) {
            (Side::Service, OriginGone::Delete, Some(false)) => {
                self.notes.warn(
                    format!("{}.cleanup", self.path),
                    "copies that go with their original go with the published object, too",
                );
                Cleanup::WithOrigin
            }
            (_, OriginGone::Delete, _) => Cleanup::WithOrigin,
            (Side::Workspace, ..) | (Side::Service, _, Some(true)) => Cleanup::WithOrder,
            (Side::Service, ..) => Cleanup::Never,
        }
    }

    /// Which objects, and in which namespaces; `None`: none at all, or something is wrong.
    fn objects(&mut self) -> Option<(Objects, Option<Objects>)> {
        let Some(object) = &self.entry.object else {
            let path = format!("{}.object", self.path);
            self.notes.problem(
                path,
                "is missing: say which objects, by reference, selector or template",
            );
            return None;
        };
        let path = format!("{}.object", self.path);
        let objects = self.source(&path, &object.name);
        let Some(namespace) = &object.namespace else {
            return Some((objects?, None));
        };
        let namespaces = self.source(&format!("{path}.namespace"), namespace);
        Some((objects?, Some(namespaces?)))
    }

    fn source(&mut self, path: &str, source: &ObjectSource) -> Option<Objects> {
        let said = [
            ("reference", source.reference.is_some()),
            ("selector", source.selector.is_some()),
            ("template", source.template.is_some()),
        ];
        let mut said = said.into_iter().filter(|(_, there)| *there);
        let Some((first, _)) = said.next() else {
            let what = "says nothing; write one of reference, selector and template";
            self.notes.problem(path, what);
            return None;
        };
        for (other, _) in said {
            let what = format!("is not used, for `{first}` stands beside it");
            self.notes.warn(format!("{path}.{other}"), what);
        }
        if let Some(it) = &source.reference {
            return self.reference(&format!("{path}.reference"), it);
        }
        if let Some(it) = &source.selector {
            return self.selector(&format!("{path}.selector"), it);
        }
        let template = self.template(&format!("{path}.template"), source.template.as_ref()?)?;
        Some(Objects {
            find: Find::Named(template),
            called: Called::Mirrored,
        })
    }

    fn reference(&mut self, path: &str, it: &ObjectReference) -> Option<Objects> {
        let rewrite = match &it.regex {
            Some(regex) => Some(self.regex(&format!("{path}.regex"), regex)?),
            None => None,
        };
        if let Err(fault) = GoPath::parse(&it.path) {
            self.notes
                .problem(format!("{path}.path"), fault.to_string());
            return None;
        }
        Some(Objects {
            find: Find::GoReference {
                path: it.path.clone(),
                rewrite,
            },
            called: Called::Mirrored,
        })
    }

    fn selector(&mut self, path: &str, it: &ObjectSelector) -> Option<Objects> {
        let called = match (&it.rewrite.regex, &it.rewrite.template) {
            (Some(regex), template) => {
                if template.is_some() {
                    let what = "is not used, for `regex` stands beside it";
                    self.notes.warn(format!("{path}.rewrite.template"), what);
                }
                let regex = self.regex(&format!("{path}.rewrite.regex"), regex);
                regex.map(Called::Rewritten)
            }
            (None, Some(template)) => self
                .template(&format!("{path}.rewrite.template"), template)
                .map(Called::Text),
            (None, None) => {
                let what = "says nothing about the names of the copies; write regex or template";
                self.notes.problem(format!("{path}.rewrite"), what);
                None
            }
        };
        let labelled = self.labels(path, &it.labels)?;
        if labelled.labels.is_empty() && labelled.expressions.is_empty() {
            let warning = "demands nothing, and so selects nothing (the Go agent takes everything); name a label";
            self.notes.warn(path, warning);
            return None;
        }
        Some(Objects {
            find: Find::Labels(labelled),
            called: called?,
        })
    }

    fn labels(&mut self, path: &str, selector: &LabelSelector) -> Option<Labelled> {
        let mut labels = Vec::new();
        let mut fine = true;
        for (key, value) in selector.match_labels.iter().flatten() {
            let path = format!("{path}.matchLabels");
            let mut text = |text: &String| match text.contains("{{") {
                true => self.go_text(&path, text),
                false => Some(Text::Template(text.clone())),
            };
            let pair = (text(key), text(value));
            let literal = |it: &String| !it.contains("{{");
            let values = [value].into_iter().filter(|it| literal(it));
            // What a template gives is looked at when it is there.
            let key = if literal(key) { key } else { "key" };
            let fit = fits(&path, key, values, self.notes);
            match pair {
                (Some(key), Some(value)) if fit => labels.push((key, value)),
                _ => fine = false,
            }
        }
        let before = self.notes.problems.len();
        let expressions = requirements(path, selector, self.notes);
        let expressions = expressions.into_iter().map(expression).collect();
        (fine && self.notes.problems.len() == before).then_some(Labelled {
            labels,
            expressions,
        })
    }

    fn regex(&mut self, path: &str, it: &Regex) -> Option<Rewrite> {
        let rewrite = Rewrite {
            pattern: it.pattern.clone().unwrap_or_default(),
            replacement: it.replacement.clone().unwrap_or_default(),
        };
        backslash(
            &format!("{path}.replacement"),
            &rewrite.replacement,
            self.notes,
        );
        if let Err(fault) = Pattern::parse(&rewrite.pattern) {
            let path = format!("{path}.pattern");
            self.notes.problem(path, fault.to_string());
            return None;
        }
        Some(rewrite)
    }

    fn template(&mut self, path: &str, it: &ObjectTemplate) -> Option<Text> {
        let text = it.template.clone().unwrap_or_default();
        self.go_text(&format!("{path}.template"), &text)
    }

    fn go_text(&mut self, path: &str, text: &str) -> Option<Text> {
        match Template::parse(text) {
            Ok(_) => Some(Text::Go(text.to_owned())),
            Err(fault) => {
                self.notes.problem(path, fault.to_string());
                None
            }
        }
    }
}

fn expression(it: Requirement) -> Expression {
    match it.operator {
        Operator::In => Expression::In(it.key, it.values),
        Operator::NotIn => Expression::NotIn(it.key, it.values),
        Operator::Exists => Expression::Exists(it.key),
        Operator::DoesNotExist => Expression::DoesNotExist(it.key),
    }
}

/// Kinds that every server has.
pub(crate) fn core_kind(group: &str, version: &str, resource: &str) -> Option<Kind> {
    let (kind, scope) = match (group, version, resource) {
        ("", "v1", "configmaps") => ("ConfigMap", Scope::Namespaced),
        ("", "v1", "secrets") => ("Secret", Scope::Namespaced),
        ("", "v1", "serviceaccounts") => ("ServiceAccount", Scope::Namespaced),
        ("", "v1", "namespaces") => ("Namespace", Scope::Cluster),
        _ => return None,
    };
    Some(Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: resource.to_owned(),
        scope,
    })
}
