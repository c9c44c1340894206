//! Two objects: which fields were added, changed and removed.

use serde_json::Value;

use super::path::Step;
use super::set::FieldSet;
use super::shape::{Form, ListForm, MapForm, Shape};

/// How the second object differs from the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Comparison {
    pub(super) fn of(shape: &Shape, before: &Value, after: &Value) -> Self {
        let mut out = Self::default();
        out.visit(shape, Some(before), Some(after), &mut Vec::new());
        out
    }

    /// What the second object sets in another way than the first.
    pub(super) fn set(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    pub(super) fn map(self, narrow: impl Fn(FieldSet) -> FieldSet) -> Self {
        Self {
            added: narrow(self.added),
            modified: narrow(self.modified),
            removed: narrow(self.removed),
        }
    }

    fn visit(
        &mut self,
        shape: &Shape,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &mut Vec<Step>,
    ) {
        let (left, right) = (shape.form(before), shape.form(after));
        // An absent side takes the form of the other. Two different forms are compared in both.
        let leaf = if after.is_none() {
            self.formed(left, before, after, path)
        } else if before.is_none() || same_form(&left, &right) {
            self.formed(right, before, after, path)
        } else {
            self.formed(left, before, after, path);
            self.formed(right, before, after, path)
        };
        if !leaf {
            match (before, after) {
                (None, _) => self.added.insert(path),
                (_, None) => self.removed.insert(path),
                _ => {}
            }
        }
    }

    /// Compares under one form; says whether the place is a leaf.
    fn formed(
        &mut self,
        form: Form<'_>,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &mut Vec<Step>,
    ) -> bool {
        let leaf = match form {
            Form::Scalar(_) => true,
            Form::List(list) => {
                let (left, right) = (items(before), items(after));
                let leaf = list.atomic() || (left.is_empty() && right.is_empty());
                if !leaf {
                    self.lists(list, left, right, path);
                }
                leaf
            }
            Form::Map(map) => {
                let leaf = map.atomic() || (hollow(before) && hollow(after));
                if !leaf {
                    self.maps(map, before, after, path);
                }
                leaf
            }
        };
        if leaf {
            match (before, after) {
                (None, _) => self.added.insert(path),
                (_, None) => self.removed.insert(path),
                (a, b) if a != b => self.modified.insert(path),
                _ => {}
            }
        }
        leaf
    }

    fn maps(
        &mut self,
        map: MapForm<'_>,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &mut Vec<Step>,
    ) {
        let left = before.and_then(Value::as_object);
        let right = after.and_then(Value::as_object);
        let mut names: Vec<&String> = left.into_iter().flat_map(|map| map.keys()).collect();
        names.extend(
            right
                .into_iter()
                .flat_map(|map| map.keys())
                .filter(|name| left.is_none_or(|map| !map.contains_key(*name))),
        );
        for name in names {
            path.push(Step::field(name));
            let (a, b) = (
                left.and_then(|map| map.get(name)),
                right.and_then(|map| map.get(name)),
            );
            self.visit(map.member(name), a, b, path);
            path.pop();
        }
    }

    fn lists(
        &mut self,
        list: ListForm<'_>,
        before: &[Value],
        after: &[Value],
        path: &mut Vec<Step>,
    ) {
        let (left, right) = (named(list, before), named(list, after));
        let mut steps: Vec<&Step> = Vec::new();
        for (step, _) in left.iter().chain(&right) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        for step in steps {
            let a: Vec<&Value> = with_step(&left, step);
            let b: Vec<&Value> = with_step(&right, step);
            path.push(step.clone());
            match (a.as_slice(), b.as_slice()) {
                (a, b) if a.len() <= 1 && b.len() <= 1 => {
                    self.visit(list.item(), a.first().copied(), b.first().copied(), path);
                }
                (a, b) if a.len() > 1 && b.len() > 1 => {
                    if a != b {
                        self.modified.insert(path);
                    }
                }
                (a, []) if a.len() > 1 => self.removed.insert(path),
                (a, [one]) if a.len() > 1 => self.visit(list.item(), None, Some(one), path),
                ([one], _) => {
                    self.visit(list.item(), Some(one), None, path);
                    self.added.insert(path);
                }
                _ => self.added.insert(path),
            }
            path.pop();
        }
    }
}

fn named<'a>(list: ListForm<'_>, items: &'a [Value]) -> Vec<(Step, &'a Value)> {
    items
        .iter()
        .filter_map(|item| Some((list.step(item).ok()?, item)))
        .collect()
}

fn with_step<'a>(items: &[(Step, &'a Value)], step: &Step) -> Vec<&'a Value> {
    items
        .iter()
        .filter(|(s, _)| s == step)
        .map(|(_, item)| *item)
        .collect()
}

pub(super) fn items(value: Option<&Value>) -> &[Value] {
    value
        .and_then(Value::as_array)
        .map_or(&[], |items| items.as_slice())
}

pub(super) fn hollow(value: Option<&Value>) -> bool {
    value
        .and_then(Value::as_object)
        .is_none_or(|map| map.is_empty())
}

pub(super) fn same_form(a: &Form<'_>, b: &Form<'_>) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}
