//! Values as a Go template sees them.
//!
//! Go's templates look at types: `{{ .a | upper }}` takes a string and nothing else, `5` in a template is an `int` and 5
//! from the API an `int64`, a key that is not there is not the same as a null. This type keeps exactly what makes a
//! difference in a result, and a weight, so that no template makes a value of unbounded size.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::found::Found;
use super::print;

/// The heaviest value that a template may make: bytes of text, plus one for each value.
pub(super) const HEAVIEST: usize = 1 << 20;

/// A value within a template.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing at all: a key that is not there.
    Missing,
    /// A null.
    Nil,
    /// A bool.
    Bool(bool),
    /// An `int`: a literal, or what a function counts.
    Int(i64),
    /// An `int64`: a number of the API.
    Int64(i64),
    /// A `float64`.
    Float(f64),
    /// A string.
    Text(Arc<str>),
    /// A slice.
    List(List),
    /// A map.
    Map(Map),
    /// What stands at the path of a mutation; a struct with methods.
    Found(Arc<Found>),
    /// The data of a template: a struct, whose fields are all known.
    Context(Arc<[(&'static str, Self)]>),
}

/// A list that knows what it weighs.
#[derive(Clone, Debug)]
pub(super) struct List {
    items: Arc<[Value]>,
    weight: usize,
}

/// A map that knows what it weighs.
#[derive(Clone, Debug)]
pub(super) struct Map {
    entries: Arc<BTreeMap<Arc<str>, Value>>,
    weight: usize,
}

impl List {
    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Map {
    pub(super) fn entries(&self) -> &BTreeMap<Arc<str>, Value> {
        &self.entries
    }
}

impl Value {
    /// A string.
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A slice.
    pub(super) fn list(items: Vec<Self>) -> Self {
        let weight = items
            .iter()
            .fold(1_usize, |sum, it| sum.saturating_add(it.weight()));
        Self::List(List {
            items: items.into(),
            weight,
        })
    }

    /// A slice of strings.
    pub(super) fn texts<T: Into<Arc<str>>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::list(items.into_iter().map(Self::text).collect())
    }

    /// A map.
    pub(super) fn map(entries: BTreeMap<Arc<str>, Self>) -> Self {
        let weight = entries.iter().fold(1_usize, |sum, (key, it)| {
            sum.saturating_add(key.len()).saturating_add(it.weight())
        });
        Self::Map(Map {
            entries: Arc::new(entries),
            weight,
        })
    }

    /// What it weighs: everything that is reached by walking it, counted as often as it is reached.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 1,
            Self::List(list) => list.weight,
            Self::Map(map) => map.weight,
            Self::Found(found) => found.weight(),
            _ => 1,
        }
    }

    /// Reads JSON of the API.
    pub(super) fn of(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(it) => Self::Bool(*it),
            Json::Number(it) => match it.as_i64() {
                Some(it) => Self::Int64(it),
                None => Self::Float(it.as_f64().unwrap_or(0.0)),
            },
            Json::String(it) => Self::text(it.as_str()),
            Json::Array(it) => Self::list(it.iter().map(Self::of).collect()),
            Json::Object(it) => {
                let entries = it
                    .iter()
                    .map(|(key, it)| (key.as_str().into(), Self::of(it)));
                Self::map(entries.collect())
            }
        }
    }

    /// Reads JSON as Go's `encoding/json` reads it into an empty interface: every number is a float.
    pub(super) fn of_plain(json: &Json) -> Self {
        match json {
            Json::Number(it) => Self::Float(it.as_f64().unwrap_or(0.0)),
            Json::Array(it) => Self::list(it.iter().map(Self::of_plain).collect()),
            Json::Object(it) => {
                let entries = it
                    .iter()
                    .map(|(key, it)| (key.as_str().into(), Self::of_plain(it)));
                Self::map(entries.collect())
            }
            other => Self::of(other),
        }
    }

    /// Writes JSON as Go's `json.Marshal` would see it.
    pub(super) fn json(&self) -> Json {
        match self {
            Self::Missing | Self::Nil => Json::Null,
            Self::Bool(it) => Json::Bool(*it),
            Self::Int(it) | Self::Int64(it) => Json::from(*it),
            Self::Float(it) => super::whole(*it).unwrap_or(Json::Null),
            Self::Text(it) => Json::String(it.to_string()),
            Self::List(it) => it.items.iter().map(Self::json).collect(),
            Self::Map(it) => {
                let entries = it
                    .entries
                    .iter()
                    .map(|(key, it)| (key.to_string(), it.json()));
                Json::Object(entries.collect())
            }
            Self::Found(it) => it.value().cloned().unwrap_or(Json::Null),
            Self::Context(it) => {
                let entries = it.iter().map(|(key, it)| ((*key).to_owned(), it.json()));
                Json::Object(entries.collect())
            }
        }
    }

    /// Whether `if` takes it for true.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Found(_) | Self::Context(_) => true,
            other => !other.is_empty(),
        }
    }

    /// Whether it is the zero of its type.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => true,
            Self::Bool(it) => !it,
            Self::Int(it) | Self::Int64(it) => *it == 0,
            Self::Float(it) => *it == 0.0,
            Self::Text(it) => it.is_empty(),
            Self::List(it) => it.items.is_empty(),
            Self::Map(it) => it.entries.is_empty(),
            Self::Found(_) | Self::Context(_) => false,
        }
    }

    /// Whether it is nothing or a null.
    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    /// As `reflect.DeepEqual` sees it.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing | Self::Nil, Self::Missing | Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.items.len() == b.items.len()
                    && a.items.iter().zip(b.items.iter()).all(|(a, b)| a.same(b))
            }
            (Self::Map(a), Self::Map(b)) => {
                a.entries.len() == b.entries.len()
                    && a.entries
                        .iter()
                        .zip(b.entries.iter())
                        .all(|((k, a), (l, b))| k == l && a.same(b))
            }
            (Self::Found(a), Self::Found(b)) => a.value() == b.value(),
            _ => false,
        }
    }

    /// What Go calls its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Found(_) | Self::Context(_) => "struct",
        }
    }
}

impl std::fmt::Display for Value {
    /// As Go's `%v`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing | Self::Nil => f.write_str("<nil>"),
            Self::Bool(it) => write!(f, "{it}"),
            Self::Int(it) | Self::Int64(it) => write!(f, "{it}"),
            Self::Float(it) => f.write_str(&print::float(*it, 'g', None)),
            Self::Text(it) => f.write_str(it),
            Self::List(it) => {
                f.write_str("[")?;
                for (at, item) in it.items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Self::Map(it) => {
                f.write_str("map[")?;
                for (at, (key, item)) in it.entries.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    write!(f, "{key}:{item}")?;
                }
                f.write_str("]")
            }
            Self::Found(it) => f.write_str(&it.text()),
            Self::Context(it) => {
                f.write_str("{")?;
                for (at, (_, item)) in it.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("}")
            }
        }
    }
}
