//! Compiles what says whose objects take part and what becomes of their copies.

use super::Compiler;
use crate::definition::{Loss, Operator, Scope, Selector};
use crate::names;
use crate::publication::NamespaceMarks;
use crate::template::{Placeholder, Template};

const WORKSPACE: &[Placeholder] = &[Placeholder::Workspace];

impl Compiler<'_> {
    /// Whether the filter and the policies make sense.
    pub(super) fn ownership(&mut self) {
        let only = &self.definition.only;
        if self.definition.offered.scope == Scope::Cluster {
            let kind = &self.definition.offered.kind;
            if !only.namespaces.is_empty() {
                self.problems.push(format!(
                    "only: a {kind} has no namespace, so `namespaces` selects nothing; leave it out"
                ));
            }
            if !only.namespace_selector.is_empty() {
                self.problems.push(format!(
                    "only: a {kind} has no namespace whose labels could be selected; leave `namespace_selector` out"
                ));
            }
        }
        self.selector("only: selector", &only.selector);
        self.selector("only: namespace_selector", &only.namespace_selector);
        let losses = &self.definition.policy.losses;
        for (what, loss) in [("unreadable", losses.unreadable), ("claim", losses.claim)] {
            if loss == Loss::Retire {
                self.problems.push(format!(
                    "losses: `{what}` is no evidence that anybody wants a copy deleted, so it cannot be `Retire`; say `Keep` or `Report`"
                ));
            }
        }
    }

    fn selector(&mut self, what: &str, selector: &Selector) {
        let mut problems = Vec::new();
        for (key, value) in &selector.labels {
            label(key, std::slice::from_ref(value), &mut problems);
        }
        for it in &selector.expressions {
            label(&it.key, &it.values, &mut problems);
            match it.operator {
                Operator::In | Operator::NotIn if it.values.is_empty() => {
                    problems.push(format!("`{}` is compared with no value; add some", it.key));
                }
                Operator::Exists | Operator::DoesNotExist if !it.values.is_empty() => {
                    problems.push(format!(
                        "`{}` is only looked for, so it takes no values",
                        it.key
                    ));
                }
                _ => {}
            }
        }
        let problems = problems.into_iter().map(|it| format!("{what}: {it}"));
        self.problems.extend(problems);
    }

    /// What a new namespace carries.
    pub(super) fn namespace_marks(&mut self) -> NamespaceMarks {
        let rule = &self.definition.namespaces;
        if !(rule.labels.is_empty() && rule.annotations.is_empty())
            && self.definition.service.scope == Scope::Cluster
        {
            let kind = &self.definition.service.kind;
            self.problems.push(format!(
                "namespaces: a {kind} lives in none on the service cluster; leave `namespaces` out"
            ));
        }
        let mut found = Vec::new();
        for (key, value) in &rule.labels {
            // The longest name of a workspace stands for all.
            let value = value.replace("{workspace}", "0123456789abcdef");
            label(key, &[value], &mut found);
        }
        for (key, _) in &rule.annotations {
            label(key, &[], &mut found);
        }
        let found = found.into_iter().map(|it| format!("namespaces: {it}"));
        self.problems.extend(found);
        let compiled = [&rule.labels, &rule.annotations].map(|pairs| {
            let pairs = pairs.iter().filter_map(|(key, value)| {
                if key.starts_with(names::PREFIX) {
                    self.problems
                        .push(format!("namespaces: `{key}` is the agent's own"));
                }
                let template = match Template::parse(value, WORKSPACE) {
                    Ok(template) => template,
                    Err(mistakes) => {
                        let mistakes = mistakes
                            .iter()
                            .map(|it| format!("namespaces: `{value}`: {it}"));
                        self.problems.extend(mistakes);
                        return None;
                    }
                };
                if template.has(Placeholder::Workspace)
                    && self.scheme.as_ref().is_some_and(|it| !it.is_exclusive())
                {
                    self.problems.push(format!(
                        "namespaces: `{value}` names a workspace, and the namespaces of the copies belong to several; add `{{workspace}}` to the naming or take it out here"
                    ));
                }
                Some((key.clone(), template))
            });
            pairs.collect()
        });
        let [labels, annotations] = compiled;
        NamespaceMarks {
            labels,
            annotations,
        }
    }
}

/// Whether a key and its values can be those of a label.
fn label(key: &str, values: &[String], problems: &mut Vec<String>) {
    let part = |text: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let inner = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        let bytes = text.as_bytes();
        text.len() <= names::LABEL_LENGTH
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(inner)
    };
    let sound = match key.split_once('/') {
        Some((domain, name)) => names::is_subdomain(domain) && part(name),
        None => part(key),
    };
    if !sound {
        problems.push(format!("`{key}` cannot be the key of a label"));
    }
    for value in values.iter().filter(|it| !it.is_empty() && !part(it)) {
        problems.push(format!("`{value}` cannot be the value of a label"));
    }
}
