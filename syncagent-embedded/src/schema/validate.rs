//! Is an object what its schema says?
//!
//! The server has three passes, and so are the functions here: the keywords of OpenAPI ([`causes`]), the uniqueness
//! that `x-kubernetes-list-type` promises ([`listed`]), and embedded resources ([`embedded`]). In the first, errors come
//! in two sorts: those that name a field, and those that only speak of one (`"spec" must validate ...`), which the API
//! reports at the root of what is validated.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::format;
use super::node::{List, Node, Rest};
use crate::status::Cause;

/// What the keywords of OpenAPI say. `root` is where the value lies: nothing for an object, `status` for its status.
pub(super) fn causes(node: &Node, value: &Value, old: Option<&Value>, root: &str) -> Vec<Cause> {
    let mut out = Found {
        root,
        causes: Vec::new(),
        matched: 0,
    };
    visit(node, value, old, "", &mut out);
    out.causes
}

struct Found<'a> {
    root: &'a str,
    causes: Vec<Cause>,
    /// How many checks were made; of several alternatives that fail, the one with most is told.
    matched: usize,
}

impl Found<'_> {
    fn fork(&self) -> Self {
        Self {
            root: self.root,
            causes: Vec::new(),
            matched: 0,
        }
    }

    fn merge(&mut self, other: Found<'_>) {
        for cause in other.causes {
            self.push(cause);
        }
        self.matched += other.matched;
    }

    fn push(&mut self, cause: Cause) {
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    fn at(&self, path: &str) -> String {
        match (self.root, path) {
            ("", "") => "<nil>".to_owned(),
            ("", path) => path.to_owned(),
            (root, "") => root.to_owned(),
            (root, path) => format!("{root}.{path}"),
        }
    }

    /// An error that names no field.
    fn general(&mut self, text: &str) {
        self.push(Cause::invalid(self.at(""), &json!(""), text));
    }

    fn invalid(&mut self, path: &str, value: &Value, what: impl Display) {
        let text = format!("{path} in body {what}");
        self.push(Cause::invalid(self.at(path), value, &text));
    }

    fn wrong_type(&mut self, path: &str, wanted: &str, found: &str) {
        let text = format!("{path} in body must be of type {wanted}: \"{found}\"");
        self.push(Cause::type_invalid(self.at(path), &json!(found), &text));
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn visit(node: &Node, value: &Value, old: Option<&Value>, path: &str, out: &mut Found<'_>) {
    // What has not changed is tolerated, even where the schema has become stricter.
    if old == Some(value) {
        return;
    }
    kind(node, value, path, out);
    if !value.is_null() {
        combinators(node, value, path, out);
        match value {
            Value::String(text) => {
                string(node, text, path, out);
                formatted(node, text, path, out);
            }
            Value::Number(_) => number(node, value, path, out),
            Value::Array(items) => list(node, items, old, path, out),
            _ => {}
        }
    }
    if let Some(values) = &node.limits.values {
        out.matched += 1;
        if !values.contains(value) {
            let texts: Vec<String> = values
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                })
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            out.push(Cause::not_supported(out.at(path), value, &texts));
        }
    }
    if let Value::Object(map) = value {
        object(node, map, old, path, out);
    }
}

fn json_type(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(n) if n.is_i64() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn kind(node: &Node, value: &Value, path: &str, out: &mut Found<'_>) {
    if node.types.is_empty() {
        return;
    }
    out.matched += 1;
    let has = |kind: &str| node.types.iter().any(|known| known == kind);
    let wanted = node.types.join(",");
    let (found, format) = json_type(value);
    if value.is_null() {
        if !node.nullable {
            out.wrong_type(path, &wanted, "null");
        }
        return;
    }
    let fits = has(found)
        || (found == "integer" && has("number"))
        || (found == "number" && has("integer") && whole(value));
    let texty = value.is_string() || value.is_array();
    if !texty && !node.format.is_empty() && !fits && format != node.format {
        out.wrong_type(path, &node.format, format);
        return;
    }
    let numeric = has("number") || has("integer");
    if !numeric && !node.format.is_empty() && texty {
        return;
    }
    if !fits {
        out.wrong_type(path, &wanted, found);
    }
}

/// Whether a float is an integer that JSON can carry without loss.
fn whole(value: &Value) -> bool {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    value
        .as_f64()
        .is_some_and(|float| float.abs() <= LARGEST && float.fract() == 0.0)
}

fn combinators(node: &Node, value: &Value, path: &str, out: &mut Found<'_>) {
    let try_one = |node: &Node, out: &Found<'_>| {
        let mut found = out.fork();
        visit(node, value, None, path, &mut found);
        (found.causes, found.matched)
    };
    let adopt = |best: Option<(Vec<Cause>, usize)>, out: &mut Found<'_>| {
        if let Some((causes, matched)) = best {
            let mut other = out.fork();
            other.causes = causes;
            other.matched = matched;
            out.merge(other);
        }
    };
    let better = |best: &Option<(Vec<Cause>, usize)>, matched: usize| {
        best.as_ref().is_none_or(|(_, most)| matched > *most)
    };
    if !node.any_of.is_empty() {
        let mut best = None;
        let mut valid = false;
        for schema in &node.any_of {
            let (causes, matched) = try_one(schema, out);
            if causes.is_empty() {
                valid = true;
                break;
            }
            if better(&best, matched) {
                best = Some((causes, matched));
            }
        }
        if !valid {
            out.general(&format!(
                "\"{path}\" must validate at least one schema (anyOf)"
            ));
            adopt(best, out);
        }
    }
    if !node.one_of.is_empty() {
        let mut best = None;
        let mut valid = 0;
        for schema in &node.one_of {
            let (causes, matched) = try_one(schema, out);
            if causes.is_empty() {
                valid += 1;
            } else if valid == 0 && better(&best, matched) {
                best = Some((causes, matched));
            }
        }
        let only = format!("\"{path}\" must validate one and only one schema (oneOf).");
        match valid {
            0 => {
                out.general(&format!("{only} Found none valid"));
                adopt(best, out);
            }
            1 => {}
            more => out.general(&format!("{only} Found {more} valid alternatives")),
        }
    }
    if !node.all_of.is_empty() {
        let mut valid = 0;
        for schema in &node.all_of {
            let found = try_one(schema, out);
            if found.0.is_empty() {
                valid += 1;
            }
            adopt(Some(found), out);
        }
        if valid < node.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            out.general(&format!(
                "\"{path}\" must validate all the schemas (allOf){none}"
            ));
        }
    }
    if let Some(not) = &node.not
        && try_one(not, out).0.is_empty()
    {
        out.general(&format!("\"{path}\" must not validate the schema (not)"));
    }
}

fn string(node: &Node, text: &str, path: &str, out: &mut Found<'_>) {
    let limits = &node.limits;
    let value = json!(text);
    let length = text.chars().count() as u64;
    out.matched += 1;
    if let Some(most) = limits.max_length.filter(|most| length > *most) {
        let text = format!("may not be more than {most} bytes");
        out.push(Cause::too_long(out.at(path), &text));
    } else if let Some(least) = limits.min_length.filter(|least| length < *least) {
        out.invalid(
            path,
            &value,
            format_args!("should be at least {least} chars long"),
        );
    } else if let Some((pattern, _)) = limits
        .pattern
        .as_ref()
        .filter(|(_, regex)| !regex.is_match(text))
    {
        out.invalid(path, &value, format_args!("should match '{pattern}'"));
    }
}

fn formatted(node: &Node, text: &str, path: &str, out: &mut Found<'_>) {
    if !node.format.is_empty() && !format::fits(&node.format, text) {
        let detail = format!("{path} in body must be of type {}: \"{text}\"", node.format);
        out.push(Cause::type_invalid(out.at(path), &json!(text), &detail));
    }
}

fn number(node: &Node, value: &Value, path: &str, out: &mut Found<'_>) {
    out.matched += 1;
    if let [kind] = node.types.as_slice() {
        in_range(kind, &node.format, value, path, out);
    }
    let limits = &node.limits;
    let float = value.as_f64().unwrap_or(f64::NAN);
    if let Some(divisor) = &limits.multiple_of {
        let fits = match (value.as_i64(), divisor.as_i64()) {
            (Some(value), Some(divisor)) => divisor != 0 && value % divisor == 0,
            _ => {
                let quotient = float / divisor.as_f64().unwrap_or(f64::NAN);
                (quotient - quotient.round()).abs() < 1e-9
            }
        };
        if !fits {
            out.invalid(
                path,
                value,
                format_args!("should be a multiple of {divisor}"),
            );
        }
    }
    if let Some(maximum) = &limits.maximum {
        let most = maximum.as_f64().unwrap_or(f64::NAN);
        if limits.exclusive_maximum && float >= most {
            out.invalid(path, value, format_args!("should be less than {maximum}"));
        } else if float > most {
            out.invalid(
                path,
                value,
                format_args!("should be less than or equal to {maximum}"),
            );
        }
    }
    if let Some(minimum) = &limits.minimum {
        let least = minimum.as_f64().unwrap_or(f64::NAN);
        if limits.exclusive_minimum && float <= least {
            out.invalid(
                path,
                value,
                format_args!("should be greater than {minimum}"),
            );
        } else if float < least {
            out.invalid(
                path,
                value,
                format_args!("should be greater than or equal to {minimum}"),
            );
        }
    }
}

fn in_range(kind: &str, format: &str, value: &Value, path: &str, out: &mut Found<'_>) {
    let float = value.as_f64().unwrap_or(f64::NAN);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`whole` says that there is nothing to lose"
    )]
    let integer = value.as_i64().or(whole(value).then_some(float as i64));
    let fits = match (kind, format) {
        ("integer", "int32") => integer.is_some_and(|n| i32::try_from(n).is_ok()),
        ("integer", "uint32") => integer.is_some_and(|n| u32::try_from(n).is_ok()),
        ("integer", "uint64") => value.as_u64().is_some(),
        ("integer", _) => integer.is_some(),
        ("number", "float" | "float32") => float.abs() <= f64::from(f32::MAX),
        _ => true,
    };
    if !fits {
        let format = if format.is_empty() {
            "(default format)".to_owned()
        } else {
            format!("with format {format}")
        };
        out.general(&format!(
            "Checked value must be of type {kind} {format} in {path}"
        ));
    }
}

fn list(node: &Node, items: &[Value], old: Option<&Value>, path: &str, out: &mut Found<'_>) {
    let limits = &node.limits;
    out.matched += 1;
    if let Some(schema) = &node.items {
        for (i, item) in items.iter().enumerate() {
            let old = same_item(&node.list, item, old);
            visit(schema, item, old, &format!("{path}[{i}]"), out);
        }
    }
    let count = items.len() as u64;
    if let Some(least) = limits.min_items.filter(|least| count < *least) {
        out.invalid(
            path,
            &json!(count),
            format_args!("should have at least {least} items"),
        );
    }
    if let Some(most) = limits.max_items.filter(|most| count > *most) {
        let text = format!("must have at most {most} items");
        out.push(Cause::too_many(out.at(path), items.len(), &text));
    }
}

/// The item as it was: only items of keyed lists can be told apart.
fn same_item<'a>(list: &List, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
    let List::Map(keys) = list else { return None };
    old?.as_array()?
        .iter()
        .find(|other| keys.iter().all(|key| other.get(key) == item.get(key)))
}

fn object(
    node: &Node,
    map: &Map<String, Value>,
    old: Option<&Value>,
    path: &str,
    out: &mut Found<'_>,
) {
    let limits = &node.limits;
    let count = map.len() as u64;
    out.matched += 1;
    if let Some(least) = limits.min_properties.filter(|least| count < *least) {
        out.invalid(
            path,
            &json!(count),
            format_args!("should have at least {least} properties"),
        );
        return;
    }
    if let Some(most) = limits.max_properties.filter(|most| count > *most) {
        let text = format!("must have at most {most} items");
        out.push(Cause::too_many(out.at(path), map.len(), &text));
        return;
    }
    for (name, value) in map {
        let schema = match (node.properties.get(name), &node.rest) {
            (Some(schema), _) => schema,
            (None, Rest::Schema(schema)) => schema,
            _ => continue,
        };
        let old = old.and_then(|old| old.get(name));
        visit(schema, value, old, &below(path, name), out);
    }
    for name in &node.required {
        if !map.contains_key(name) {
            out.push(Cause::required(out.at(&below(path, name)), ""));
        }
    }
}

/// Whether the items of sets and keyed lists are unique. An object that broke this before may break it again.
pub(super) fn listed(node: &Node, value: &Value, old: Option<&Value>, root: &str) -> Vec<Cause> {
    let find = |value: &Value| {
        let mut out = Vec::new();
        duplicates(node, value, root, &mut out);
        out
    };
    if old.is_some_and(|old| !find(old).is_empty()) {
        return Vec::new();
    }
    find(value)
}

fn duplicates(node: &Node, value: &Value, path: &str, out: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                if let Some(schema) = node.member(name) {
                    duplicates(schema, member, &below(path, name), out);
                }
            }
        }
        Value::Array(items) => {
            let mut seen: Vec<Value> = Vec::new();
            for (i, item) in items.iter().enumerate() {
                let at = format!("{path}[{i}]");
                if let Some(schema) = &node.items {
                    duplicates(schema, item, &at, out);
                }
                let name = match &node.list {
                    List::Atomic => continue,
                    List::Set => item.clone(),
                    List::Map(keys) => {
                        let keys = keys
                            .iter()
                            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
                        Value::Object(keys.collect())
                    }
                };
                if seen.contains(&name) {
                    out.push(Cause::duplicate(at, &name));
                } else {
                    seen.push(name);
                }
            }
        }
        _ => {}
    }
}

/// Whether embedded resources say what they are.
pub(super) fn embedded(node: &Node, value: &Value, root: &str) -> Vec<Cause> {
    let mut out = Vec::new();
    type_meta(node, value, root, true, &mut out);
    out
}

fn type_meta(node: &Node, value: &Value, path: &str, root: bool, out: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            if node.embedded && !root {
                for name in ["apiVersion", "kind"] {
                    let at = below(path, name);
                    match map.get(name) {
                        None => out.push(Cause::required(at, "")),
                        Some(Value::String(text)) if text.is_empty() => {
                            out.push(Cause::required(at, "must not be empty"));
                        }
                        Some(_) => {}
                    }
                }
            }
            for (name, member) in map {
                if let Some(schema) = node.member(name) {
                    type_meta(schema, member, &below(path, name), false, out);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &node.items else { return };
            for (i, item) in items.iter().enumerate() {
                type_meta(schema, item, &format!("{path}[{i}]"), false, out);
            }
        }
        _ => {}
    }
}
