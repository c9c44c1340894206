//! Sets of fields, as tries, and their `FieldsV1` form.
//!
//! A set holds paths. In a trie node the *members* are the places that belong to the set themselves, the *children*
//! lead to places below; a place can be both, and `FieldsV1` then writes the place itself as `"."`:
//!
//! ```text
//! {"f:spec": {".": {}, "f:size": {}}}     spec itself, and spec.size
//! {"f:spec": {"f:size": {}}}              spec.size only
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::Step;
use super::shape::{Form, Shape};

/// A set of places in an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<Step>,
    children: BTreeMap<Step, Self>,
}

impl FieldSet {
    /// The set of these paths.
    #[must_use]
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let steps: Vec<Step> = path.iter().map(|name| Step::field(name)).collect();
            set.insert(&steps);
        }
        set
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Adds a place. The whole object is never a member.
    pub fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether the place one step below is a member.
    #[must_use]
    pub fn has(&self, step: &Step) -> bool {
        self.members.contains(step)
    }

    /// What is below this step, if anything.
    #[must_use]
    pub fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step).filter(|set| !set.is_empty())
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (step, set) in &other.children {
            let child = out.children.entry(step.clone()).or_default();
            *child = child.union(set);
        }
        out
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let members = self.members.intersection(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(step, set)| {
            let both = set.intersection(other.children.get(step)?);
            (!both.is_empty()).then(|| (step.clone(), both))
        });
        Self {
            members,
            children: children.collect(),
        }
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let members = self.members.difference(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(step, set)| {
            let left = match other.children.get(step) {
                Some(others) => set.difference(others),
                None => set.clone(),
            };
            (!left.is_empty()).then(|| (step.clone(), left))
        });
        Self {
            members,
            children: children.collect(),
        }
    }

    /// Without a member of the object and all that is below it.
    #[must_use]
    pub fn without_field(mut self, name: &str) -> Self {
        let step = Step::field(name);
        self.members.remove(&step);
        self.children.remove(&step);
        self
    }

    /// Only a member of the object and what is below it.
    #[must_use]
    pub fn only_field(mut self, name: &str) -> Self {
        let step = Step::field(name);
        self.members.retain(|s| *s == step);
        self.children.retain(|s, _| *s == step);
        self
    }

    /// The set with every declared member on the way to a place added, which makes removal take the parents too.
    #[must_use]
    pub fn with_named_fields(&self, shape: &Shape) -> Self {
        let mut out = Self {
            members: self.members.clone(),
            children: BTreeMap::new(),
        };
        let form = shape.form(None);
        for (step, set) in &self.children {
            let mut below = Shape::OPEN;
            match (step, &form) {
                (Step::Field(name), Form::Map(map)) => {
                    if let Some(shape) = map.declared(name) {
                        out.members.insert(step.clone());
                        below = shape;
                    } else if let Some(shape) = map.rest() {
                        below = shape;
                    }
                }
                (Step::Key(_), Form::List(list)) => below = list.item(),
                _ => {}
            }
            out.children
                .insert(step.clone(), set.with_named_fields(below));
        }
        out
    }

    /// Every place, members before what is below, each in order.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<Step>> {
        fn visit(set: &FieldSet, prefix: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
            for step in &set.members {
                let mut path = prefix.clone();
                path.push(step.clone());
                out.push(path);
            }
            for (step, child) in &set.children {
                prefix.push(step.clone());
                visit(child, prefix, out);
                prefix.pop();
            }
        }
        let mut out = Vec::new();
        visit(self, &mut Vec::new(), &mut out);
        out
    }

    /// The set as `FieldsV1`.
    #[must_use]
    pub fn encode(&self) -> Value {
        let mut out = Map::new();
        for step in &self.members {
            out.insert(step.encode(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            if child.is_empty() {
                continue;
            }
            let Value::Object(mut below) = child.encode() else {
                continue;
            };
            if self.members.contains(step) {
                below.insert(".".into(), Value::Object(Map::new()));
            }
            out.insert(step.encode(), Value::Object(below));
        }
        Value::Object(out)
    }

    /// Reads `FieldsV1`; `None` where it is malformed.
    #[must_use]
    pub fn decode(fields: &Value) -> Option<Self> {
        let mut out = Self::default();
        for (key, below) in fields.as_object()? {
            if key == "." {
                continue;
            }
            let step = Step::decode(key)?;
            let map = below.as_object()?;
            if map.is_empty() || map.contains_key(".") {
                out.members.insert(step.clone());
            }
            let child = Self::decode(below)?;
            if !child.is_empty() {
                out.children.insert(step, child);
            }
        }
        Some(out)
    }
}
