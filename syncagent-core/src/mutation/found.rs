//! What a Go path finds: a value with the face that templates know, and JSON in Go's spelling.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;

use super::print;
use super::value::Value;

/// A value at a path, or its absence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    value: Option<Json>,
}

impl Found {
    pub(super) fn new(value: Option<Json>) -> Self {
        Self { value }
    }

    pub(super) fn value(&self) -> Option<&Json> {
        self.value.as_ref()
    }

    /// What it weighs as text.
    pub(super) fn weight(&self) -> usize {
        fn size(json: &Json) -> usize {
            match json {
                Json::String(it) => it.len() + 2,
                Json::Array(it) => it.iter().map(size).sum::<usize>() + 2,
                Json::Object(it) => {
                    it.iter()
                        .map(|(key, it)| key.len() + size(it) + 3)
                        .sum::<usize>()
                        + 2
                }
                _ => 8,
            }
        }
        self.value.as_ref().map_or(1, size)
    }

    /// Its text: a string is itself, absence and null are empty, everything else is JSON.
    pub(super) fn text(&self) -> String {
        match &self.value {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(it)) => it.clone(),
            Some(Json::Number(it)) => number(it),
            Some(other) => json(other),
        }
    }

    /// A field or a method without arguments.
    pub(super) fn field(&self, name: &str) -> Option<Value> {
        let float = || match &self.value {
            Some(Json::Number(it)) => it.as_f64().unwrap_or(0.0),
            Some(Json::Bool(true)) => 1.0,
            Some(Json::String(it)) => it.parse().unwrap_or(0.0),
            _ => 0.0,
        };
        let found = |it: &Json| Value::Found(Arc::new(Self::new(Some(it.clone()))));
        Some(match name {
            "String" => Value::text(self.text()),
            "Str" => match &self.value {
                Some(Json::String(it)) => Value::text(it.as_str()),
                _ => Value::text(""),
            },
            "Raw" => Value::text(self.value.as_ref().map(json).unwrap_or_default()),
            "Exists" => Value::Bool(self.value.is_some()),
            "Int" => Value::Int64(self.int()),
            "Float" | "Num" => Value::Float(match (&self.value, name) {
                (Some(Json::Number(_)), _) | (_, "Float") => float(),
                _ => 0.0,
            }),
            "Bool" => Value::Bool(match &self.value {
                Some(Json::Bool(it)) => *it,
                Some(Json::Number(_)) => float() != 0.0,
                Some(Json::String(it)) => {
                    matches!(it.to_lowercase().as_str(), "1" | "t" | "true")
                }
                _ => false,
            }),
            "Type" => Value::text(match &self.value {
                None | Some(Json::Null) => "Null",
                Some(Json::Bool(false)) => "False",
                Some(Json::Bool(true)) => "True",
                Some(Json::Number(_)) => "Number",
                Some(Json::String(_)) => "String",
                Some(_) => "JSON",
            }),
            "IsObject" => Value::Bool(matches!(self.value, Some(Json::Object(_)))),
            "IsArray" => Value::Bool(matches!(self.value, Some(Json::Array(_)))),
            "IsBool" => Value::Bool(matches!(self.value, Some(Json::Bool(_)))),
            "Value" => self.value.as_ref().map_or(Value::Nil, Value::of_plain),
            "Array" => Value::list(match &self.value {
                None | Some(Json::Null) => Vec::new(),
                Some(Json::Array(it)) => it.iter().map(found).collect(),
                Some(other) => vec![found(other)],
            }),
            "Map" => Value::map(match &self.value {
                Some(Json::Object(it)) => it
                    .iter()
                    .map(|(key, it)| (key.as_str().into(), found(it)))
                    .collect(),
                _ => std::collections::BTreeMap::new(),
            }),
            _ => return None,
        })
    }

    fn int(&self) -> i64 {
        match &self.value {
            Some(Json::Bool(true)) => 1,
            #[expect(clippy::cast_possible_truncation, reason = "as Go truncates")]
            Some(Json::Number(it)) => it
                .as_i64()
                .unwrap_or_else(|| it.as_f64().unwrap_or(0.0) as i64),
            Some(Json::String(it)) => it.parse().unwrap_or(0),
            _ => 0,
        }
    }
}

/// A number as it stands in Go's JSON.
fn number(number: &serde_json::Number) -> String {
    if number.is_i64() || number.is_u64() {
        number.to_string()
    } else {
        print::float(number.as_f64().unwrap_or(0.0), 'f', None)
    }
}

/// JSON as `json.Marshal` writes it: sorted keys, no spaces, `<`, `>` and `&` escaped.
pub(crate) fn json(value: &Json) -> String {
    let mut out = String::new();
    write(value, &mut out, true);
    out
}

/// JSON as an encoder without HTML escaping writes it.
pub(super) fn raw_json(value: &Json) -> String {
    let mut out = String::new();
    write(value, &mut out, false);
    out
}

/// JSON over several lines, as `json.MarshalIndent` with two spaces writes it.
pub(super) fn pretty_json(value: &Json, depth: usize) -> String {
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Json::Array(it) if !it.is_empty() => {
            let items: Vec<_> = it
                .iter()
                .map(|it| format!("{pad}{}", pretty_json(it, depth + 1)))
                .collect();
            format!("[\n{}\n{end}]", items.join(",\n"))
        }
        Json::Object(it) if !it.is_empty() => {
            let entries = it.iter().map(|(key, it)| {
                format!(
                    "{pad}{}: {}",
                    json(&Json::String(key.clone())),
                    pretty_json(it, depth + 1)
                )
            });
            format!("{{\n{}\n{end}}}", entries.collect::<Vec<_>>().join(",\n"))
        }
        other => json(other),
    }
}

fn write(value: &Json, out: &mut String, html: bool) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(it) => out.push_str(if *it { "true" } else { "false" }),
        Json::Number(it) if it.is_i64() || it.is_u64() => {
            let _ = write!(out, "{it}");
        }
        Json::Number(it) => out.push_str(&print::json_float(it.as_f64().unwrap_or(0.0))),
        Json::String(it) => write_text(it, out, html),
        Json::Array(it) => {
            out.push('[');
            for (at, it) in it.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(it, out, html);
            }
            out.push(']');
        }
        Json::Object(it) => {
            out.push('{');
            for (at, (key, it)) in it.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(key, out, html);
                out.push(':');
                write(it, out, html);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String, html: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
