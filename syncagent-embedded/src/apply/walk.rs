//! One object: is it of its shape, and which fields does it set.

use serde_json::Value;

use super::path::Step;
use super::set::FieldSet;
use super::shape::{Form, Scalar, Shape};

/// What is not of the shape, in the words of the server; empty where all is well.
///
/// `duplicates` says whether keyed lists may name an item twice: an applied object must not, a stored one may.
pub(super) fn check(shape: &Shape, value: &Value, duplicates: bool) -> Vec<String> {
    let mut out = Vec::new();
    visit(shape, value, duplicates, "", &mut out);
    out
}

/// The errors of [`check`] as one text.
pub(super) fn joined(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|line| format!("\n  {line}")).collect();
            format!("errors:{}", lines.concat())
        }
    }
}

fn visit(shape: &Shape, value: &Value, duplicates: bool, at: &str, out: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let prefix = if at.is_empty() {
        String::new()
    } else {
        format!("{at}: ")
    };
    match shape.form(Some(value)) {
        Form::Scalar(kind) => {
            if let Some(problem) = scalar(kind, value) {
                out.push(format!("{prefix}{problem}"));
            }
        }
        Form::List(list) => {
            let Some(items) = value.as_array() else {
                out.push(format!("{prefix}expected list, got &{{{}}}", go(value)));
                return;
            };
            let mut seen = Vec::new();
            for (i, item) in items.iter().enumerate() {
                let step = if list.atomic() {
                    Step::Index(i64::try_from(i).unwrap_or(i64::MAX))
                } else {
                    match list.step(item) {
                        Ok(step) => step,
                        Err(problem) => {
                            out.push(format!("{prefix}element {i}: {problem}"));
                            return;
                        }
                    }
                };
                if seen.contains(&step) && !duplicates {
                    out.push(format!("{prefix}duplicate entries for key {step}"));
                }
                visit(list.item(), item, duplicates, &format!("{at}{step}"), out);
                if !list.atomic() {
                    seen.push(step);
                }
            }
        }
        Form::Map(map) => {
            let Some(members) = value.as_object() else {
                out.push(format!("{prefix}expected map, got &{{{}}}", go(value)));
                return;
            };
            for (name, member) in members {
                let Some(shape) = map.declared(name).or_else(|| map.rest()) else {
                    out.push(format!("{at}.{name}: field not declared in schema"));
                    return;
                };
                visit(shape, member, duplicates, &format!("{at}.{name}"), out);
            }
        }
    }
}

fn scalar(kind: Scalar, value: &Value) -> Option<String> {
    let fits = match kind {
        Scalar::Numeric => value.is_number(),
        Scalar::String => value.is_string(),
        Scalar::Boolean => value.is_boolean(),
        Scalar::Any => !value.is_array() && !value.is_object(),
    };
    (!fits).then(|| match kind {
        Scalar::Numeric => format!("expected numeric (int or float), got {}", go_type(value)),
        Scalar::String => format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_syntax(value)
        ),
        Scalar::Boolean => format!("expected boolean, got &{{{}}}", go(value)),
        Scalar::Any => format!("expected any scalar, got &{{{}}}", go(value)),
    })
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As `%v`.
fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", go(v))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

/// As `%#v`.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k:?}:{}", go_syntax(v)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// The fields that an object sets.
pub(super) fn fields(shape: &Shape, value: &Value) -> FieldSet {
    let mut out = FieldSet::default();
    collect(shape, value, &mut Vec::new(), &mut out);
    out
}

fn collect(shape: &Shape, value: &Value, path: &mut Vec<Step>, out: &mut FieldSet) {
    match shape.form(Some(value)) {
        Form::Scalar(_) => out.insert(path),
        Form::List(list) if list.atomic() => out.insert(path),
        Form::List(list) => {
            let mut seen = Vec::new();
            for item in value.as_array().into_iter().flatten() {
                let Ok(step) = list.step(item) else { continue };
                path.push(step.clone());
                out.insert(path);
                if !seen.contains(&step) {
                    collect(list.item(), item, path, out);
                    seen.push(step);
                }
                path.pop();
            }
        }
        Form::Map(map) if map.atomic() => out.insert(path),
        Form::Map(map) => {
            for (name, member) in value.as_object().into_iter().flatten() {
                let declared = map.declared(name).is_some();
                path.push(Step::field(name));
                collect(map.member(name), member, path, out);
                let hollow = member.is_null() || member.as_object().is_some_and(|m| m.is_empty());
                if hollow || !declared {
                    out.insert(path);
                }
                path.pop();
            }
        }
    }
}
