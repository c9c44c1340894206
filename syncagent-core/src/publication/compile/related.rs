//! Compiles what goes down and what comes up with an order.

use std::collections::BTreeSet;

use super::Compiler;
use crate::definition::{self, FieldRule, ReturnRule, ReturnSource, Scope, TakeRule};
use crate::naming::orders;
use crate::object::path::Path;
use crate::related::{How, Returns, Takes};
use crate::template::{Orders, Placeholder, Template};

impl Compiler<'_> {
    pub(super) fn takes(
        &mut self,
        rule: &FieldRule,
        path: &Path,
        take: &TakeRule,
    ) -> Option<Takes> {
        let what = format!("takes `{}`", rule.path);
        let name_at = self.below(&what, path, take.name_at.as_deref());
        if take.kind.scope == Scope::Namespaced {
            for (whose, kind) in [
                ("orders", &self.definition.offered),
                ("copies", &self.definition.service),
            ] {
                if kind.scope == Scope::Cluster {
                    self.problems.push(format!(
                        "{what}: the {whose} have no namespace, and a {} lives in one",
                        take.kind.kind
                    ));
                }
            }
        } else {
            self.problems.push(format!(
                "{what}: a {} has no namespace, so it belongs to no order",
                take.kind.kind
            ));
        }
        let name = self.template(&what, &take.name, Placeholder::TAKEN)?;
        self.taken_names_are_safe(&what, take, &name);
        Some(Takes {
            path: rule.path.clone(),
            name_at: name_at?,
            kind: take.kind.clone(),
            name,
            labels: take.labels.clone(),
        })
    }

    /// The copy of one consumer's object may never meet the copy of another's.
    fn taken_names_are_safe(&mut self, what: &str, take: &TakeRule, name: &Template) {
        use crate::template::Placeholder as P;
        if take.name == "{name}" && self.definition.reserved.is_empty() {
            self.problems.push(format!(
                "{what}: a consumer could choose the name of an object that the operator makes; add a suffix, as in `{{name}}.taken`, or declare the operator's names as `reserved`"
            ));
        }
        let Some(scheme) = &self.scheme else { return };
        let hint = "write name = \"{copy.name}-{name.hash}.taken\"";
        let many =
            orders(&self.definition.offered, &self.definition.only) == Orders::ManyNamespaces;
        if !name.has_any(P::OF_NAME) {
            self.problems.push(format!(
                "{what}: `{}` does not tell the taken object's name",
                take.name
            ));
        } else if !scheme.beside_tells(name, P::OF_WORKSPACE) {
            self.problems.push(format!(
                "{what}: `{}` could be the same for two workspaces; {hint}",
                take.name
            ));
        } else if many && !scheme.beside_tells(name, P::OF_NAMESPACE) {
            self.problems.push(format!(
                "{what}: `{}` could be the same for two namespaces of a workspace; {hint}, or offer one namespace only",
                take.name
            ));
        } else if let Some((left, right)) = name.ambiguity() {
            self.problems.push(format!(
                "{what}: in `{}`, `{left}` and `{right}` run together; {hint}",
                take.name
            ));
        }
    }

    pub(super) fn returns(&mut self) -> Vec<Returns> {
        let mut ids = BTreeSet::new();
        let mut targets = BTreeSet::new();
        let mut compiled = Vec::new();
        for rule in &self.definition.returns {
            let what = format!("returns `{}`", rule.id);
            if !ids.insert(&rule.id) {
                self.problems.push(format!("{what}: the id is used twice"));
            }
            if !targets.insert((&rule.kind, &rule.name)) {
                self.problems.push(format!(
                    "{what}: another rule returns a {} of that name",
                    rule.kind.kind
                ));
            }
            if rule.kind.scope == Scope::Namespaced
                && self.definition.offered.scope == Scope::Cluster
            {
                self.problems.push(format!(
                    "{what}: orders have no namespace, and a {} lives in one",
                    rule.kind.kind
                ));
            }
            if let Some(returns) = self.return_rule(&what, rule) {
                compiled.push(returns);
            }
        }
        compiled
    }

    fn return_rule(&mut self, what: &str, rule: &ReturnRule) -> Option<Returns> {
        let name = self.template(what, &rule.name, Placeholder::RETURNED);
        if name
            .as_ref()
            .is_some_and(|name| !name.has(Placeholder::Name))
        {
            self.problems.push(format!(
                "{what}: `{}` is the same for every order",
                rule.name
            ));
        }
        let (rules, how) = match &rule.source {
            ReturnSource::From { name, keys } => {
                let read = definition::ReadRule {
                    kind: rule.kind.clone(),
                    name: name.clone(),
                };
                (vec![read], How::Copied(keys.clone()))
            }
            ReturnSource::With { reads, compose } => (reads.clone(), How::Composed(*compose)),
        };
        let reads = self.reads(what, rules);
        Some(Returns {
            id: rule.id.clone(),
            kind: rule.kind.clone(),
            name: name?,
            reads,
            how,
        })
    }

    /// What a function may read: nothing that could belong to another workspace.
    pub(super) fn reads(
        &mut self,
        what: &str,
        rules: Vec<definition::ReadRule>,
    ) -> Vec<(definition::ReadRule, Template)> {
        let mut reads = Vec::new();
        for read in rules {
            let template = self.template(what, &read.name, Placeholder::BESIDE_COPY);
            if read.kind.scope == Scope::Namespaced
                && self.definition.service.scope == Scope::Cluster
            {
                self.problems.push(format!(
                    "{what}: copies have no namespace, and a {} lives in one",
                    read.kind.kind
                ));
            }
            let Some(template) = template else { continue };
            if let Some(scheme) = &self.scheme {
                let told = match read.kind.scope {
                    Scope::Namespaced => {
                        scheme.is_exclusive()
                            || scheme.beside_tells(&template, Placeholder::OF_WORKSPACE)
                    }
                    Scope::Cluster => template.has(Placeholder::CopyName),
                };
                if !told {
                    self.problems.push(format!(
                        "{what}: `{}` could be an object of another workspace; name it after `{{copy.name}}`",
                        read.name
                    ));
                }
            }
            reads.push((read, template));
        }
        reads
    }
}
