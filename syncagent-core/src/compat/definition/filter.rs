//! Which objects take part (section 5.1, step 4), and label selectors in general.

use super::Notes;
use crate::api::published_resource::{LabelSelector, PublishedResource};
use crate::definition::{Kind, Only, Operator, Requirement, Scope, Selector};
use crate::object::labels::{is_key, is_value};

pub(super) fn only(resource: &PublishedResource, offered: &Kind, notes: &mut Notes) -> Only {
    let filter = resource.spec.filter.clone().unwrap_or_default();
    let mut read = |field: &str, selector: Option<&LabelSelector>| match selector {
        Some(it) => selector_of(&format!("spec.filter.{field}"), it, notes),
        None => Selector::default(),
    };
    let selector = read("resource", filter.resource.as_ref());
    let namespace_selector = read("namespace", filter.namespace.as_ref());
    if offered.scope == Scope::Cluster && filter.namespace.is_some() {
        notes.problem(
            "spec.filter.namespace",
            format!(
                "a {} has no namespace whose labels could be looked at; leave it out",
                offered.kind
            ),
        );
        return Only {
            selector,
            ..Only::default()
        };
    }
    Only {
        selector,
        namespace_selector,
        ..Only::default()
    }
}

/// A selector whose labels are used as they stand.
pub(super) fn selector_of(path: &str, selector: &LabelSelector, notes: &mut Notes) -> Selector {
    let mut labels = Vec::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        if fits(&format!("{path}.matchLabels"), key, [value], notes) {
            labels.push((key.clone(), value.clone()));
        }
    }
    Selector {
        labels,
        expressions: requirements(path, selector, notes),
    }
}

/// The `matchExpressions` of a selector.
pub(super) fn requirements(
    path: &str,
    selector: &LabelSelector,
    notes: &mut Notes,
) -> Vec<Requirement> {
    let mut all = Vec::new();
    for (at, it) in selector.match_expressions.iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{at}]");
        let values = it.values.clone().unwrap_or_default();
        let operator = match it.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                let what =
                    format!("`{other}` is no operator; write In, NotIn, Exists or DoesNotExist");
                notes.problem(format!("{path}.operator"), what);
                continue;
            }
        };
        let compares = matches!(operator, Operator::In | Operator::NotIn);
        if compares && values.is_empty() {
            let what = format!("{} compares with values; name some", it.operator);
            notes.problem(format!("{path}.values"), what);
        } else if !compares && !values.is_empty() {
            let what = format!("{} takes no values; leave them out", it.operator);
            notes.problem(format!("{path}.values"), what);
        } else if fits(&path, &it.key, &values, notes) {
            all.push(Requirement {
                key: it.key.clone(),
                operator,
                values,
            });
        }
    }
    all
}

/// Whether these can be the key and the values of a label.
pub(super) fn fits<'a>(
    path: &str,
    key: &str,
    values: impl IntoIterator<Item = &'a String>,
    notes: &mut Notes,
) -> bool {
    let mut fine = true;
    if !is_key(key) {
        notes.problem(path, format!("`{key}` cannot be the key of a label"));
        fine = false;
    }
    for value in values.into_iter().filter(|it| !is_value(it)) {
        notes.problem(path, format!("`{value}` cannot be the value of a label"));
        fine = false;
    }
    fine
}
