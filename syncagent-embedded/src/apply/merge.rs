//! Two objects become one: the applied one over the stored one, and the removal of fields from one.
//!
//! Leaves of the applied object win; objects are merged member by member; keyed lists and sets item by item, where
//! the items of the applied list keep their order and the others stay where they are.

use serde_json::{Map, Value};

use super::compare::{hollow, items, same_form};
use super::path::Step;
use super::set::FieldSet;
use super::shape::{Form, ListForm, MapForm, Shape};

/// The applied object laid over the stored one.
pub(super) fn merge(shape: &Shape, stored: &Value, applied: &Value) -> Value {
    visit(shape, Some(stored), Some(applied)).unwrap_or(Value::Null)
}

fn visit(shape: &Shape, stored: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let form = if applied.is_none() {
        shape.form(stored)
    } else {
        shape.form(applied)
    };
    let leaf = || applied.or(stored).cloned();
    match form {
        Form::Scalar(_) => leaf(),
        Form::List(list) => {
            let (left, right) = (items(stored), items(applied));
            if list.atomic() || (left.is_empty() && right.is_empty()) {
                leaf()
            } else {
                Some(Value::Array(lists(list, left, right)))
            }
        }
        Form::Map(map) => {
            let open_change = stored.zip(applied).is_some_and(|(stored, applied)| {
                !same_form(&shape.form(Some(stored)), &shape.form(Some(applied)))
            });
            if map.atomic() || (hollow(stored) && hollow(applied)) || open_change {
                leaf()
            } else {
                Some(Value::Object(maps(map, stored, applied)))
            }
        }
    }
}

fn maps(map: MapForm<'_>, stored: Option<&Value>, applied: Option<&Value>) -> Map<String, Value> {
    let stored = stored.and_then(Value::as_object);
    let applied = applied.and_then(Value::as_object);
    let mut out = stored.cloned().unwrap_or_default();
    for (name, value) in applied.into_iter().flatten() {
        let below = visit(
            map.member(name),
            stored.and_then(|m| m.get(name)),
            Some(value),
        );
        if let Some(value) = below {
            out.insert(name.clone(), value);
        }
    }
    out
}

fn lists(list: ListForm<'_>, stored: &[Value], applied: &[Value]) -> Vec<Value> {
    let name = |items: &[Value]| -> Vec<Step> {
        items
            .iter()
            .map(|item| list.step(item).unwrap_or(Step::Index(-1)))
            .collect()
    };
    let (left, right) = (name(stored), name(applied));
    let find = |steps: &[Step], items: &[Value], step: &Step| -> Option<Value> {
        let mut found = steps.iter().zip(items).filter(|(s, _)| *s == step);
        let first = found.next()?.1.clone();
        // An item that is stored twice is not merged with.
        found.next().is_none().then_some(first)
    };
    let both = |step: &Step| {
        visit(
            list.item(),
            find(&left, stored, step).as_ref(),
            find(&right, applied, step).as_ref(),
        )
    };
    let mut shared = right.iter().filter(|step| left.contains(step));
    let mut next_shared = shared.next();
    let mut merged: Vec<&Step> = Vec::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            let step = &left[l];
            if *step == right[r] {
                merged.push(step);
                out.extend(both(step));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if right.contains(step) && next_shared.is_some_and(|next| next != step) {
                // A shared item, but not the one whose turn it is.
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            let step = &left[l];
            if !right.contains(step) {
                out.push(stored[l].clone());
                l += 1;
                continue;
            }
            if merged.contains(&step) {
                l += 1;
            }
        }
        if r < right.len() {
            let step = &right[r];
            merged.push(step);
            out.extend(both(step));
            r += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    out
}

/// The object without these fields.
pub(super) fn remove(shape: &Shape, value: &Value, fields: &FieldSet) -> Value {
    match shape.form(Some(value)) {
        Form::List(list) if !list.atomic() => {
            let Some(items) = value.as_array() else {
                return value.clone();
            };
            let kept = items.iter().filter_map(|item| {
                let Ok(step) = list.step(item) else {
                    return Some(item.clone());
                };
                if fields.has(&step) {
                    return None;
                }
                Some(match fields.below(&step) {
                    Some(below) => remove(list.item(), item, below),
                    None => item.clone(),
                })
            });
            Value::Array(kept.collect())
        }
        Form::Map(map) if !map.atomic() => {
            let Some(members) = value.as_object() else {
                return value.clone();
            };
            let kept = members.iter().filter_map(|(name, member)| {
                let step = Step::field(name);
                if fields.has(&step) {
                    return None;
                }
                let member = match fields.below(&step) {
                    Some(below) => remove(map.member(name), member, below),
                    None => member.clone(),
                };
                Some((name.clone(), member))
            });
            Value::Object(kept.collect())
        }
        _ => value.clone(),
    }
}
