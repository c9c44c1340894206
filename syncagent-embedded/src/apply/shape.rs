//! The shape of a kind: what is one value, what is merged member by member, what is a set or a keyed list.
//!
//! A shape is compiled from the structural schema of a CRD, or read from a small table for built-in kinds. Where a
//! schema says nothing (`x-kubernetes-preserve-unknown-fields`, or a type that is not known here) the shape is
//! [`Shape::Open`]: objects are merged member by member, lists are one value, deduced from what is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::path::Step;

/// The shape of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A scalar of this kind.
    Scalar(Scalar),
    /// A list.
    List(Box<ListShape>),
    /// An object.
    Map(Box<MapShape>),
    /// Anything; the value tells.
    Open,
}

/// The kind of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// An integer or a float.
    Numeric,
    /// A text.
    String,
    /// A boolean.
    Boolean,
    /// Any scalar, as `int-or-string`.
    Any,
}

/// The shape of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListShape {
    /// How items are told apart.
    pub kind: ListKind,
    /// The shape of an item.
    pub item: Shape,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq)]
pub enum ListKind {
    /// They are not: the list is one value.
    Atomic,
    /// By their value.
    Set,
    /// By these members, with the defaults of those that may be absent.
    Keyed(Vec<(String, Option<Value>)>),
}

/// The shape of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapShape {
    /// Whether the object is one value.
    pub atomic: bool,
    /// Declared members.
    pub fields: BTreeMap<String, Shape>,
    /// The shape of members that are not declared; `None` where there may be none.
    pub rest: Option<Shape>,
}

/// A shape as it appears for a given value: an open shape has become a definite one.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// A scalar.
    Scalar(Scalar),
    /// A list of this shape; `None` is an open one, that is one value.
    List(ListForm<'a>),
    /// An object of this shape; `None` is an open one.
    Map(MapForm<'a>),
}

/// The shape of a list, or that of an open one.
#[derive(Clone, Copy, Debug)]
pub struct ListForm<'a>(Option<&'a ListShape>);

/// The shape of an object, or that of an open one.
#[derive(Clone, Copy, Debug)]
pub struct MapForm<'a>(Option<&'a MapShape>);

impl<'a> ListForm<'a> {
    /// Whether the list is one value.
    pub(crate) fn atomic(self) -> bool {
        self.0.is_none_or(|list| list.kind == ListKind::Atomic)
    }

    /// The shape of an item.
    pub(crate) fn item(self) -> &'a Shape {
        self.0.map_or(Shape::OPEN, |list| &list.item)
    }

    /// The step that names an item, or why there is none.
    pub(crate) fn step(self, item: &Value) -> Result<Step, String> {
        match self.0.map(|list| &list.kind) {
            Some(ListKind::Set) => match item {
                Value::Null => Err(
                    "associative list without keys has an element that's an explicit null".into(),
                ),
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".into())
                }
                Value::Array(_) => {
                    Err("associative list without keys has an element that's a list type".into())
                }
                scalar => Ok(Step::Value(scalar.clone())),
            },
            Some(ListKind::Keyed(keys)) => {
                let map = match item {
                    Value::Null => {
                        return Err("associative list with keys may not have a null element".into());
                    }
                    Value::Object(map) => map,
                    _ => {
                        return Err(
                            "associative list with keys may not have non-map elements".into()
                        );
                    }
                };
                let found: Vec<(String, Value)> = keys
                    .iter()
                    .filter_map(|(key, default)| {
                        let value = map.get(key).or(default.as_ref())?;
                        Some((key.clone(), value.clone()))
                    })
                    .collect();
                if found.is_empty() {
                    let names: Vec<String> =
                        keys.iter().map(|(key, _)| format!("{key:?}")).collect();
                    return Err(format!(
                        "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                        names.join(" ")
                    ));
                }
                Ok(Step::key(found))
            }
            Some(ListKind::Atomic) | None => Err("atomic list has no named items".into()),
        }
    }
}

impl<'a> MapForm<'a> {
    /// Whether the object is one value.
    pub(crate) fn atomic(self) -> bool {
        self.0.is_some_and(|map| map.atomic)
    }

    /// The shape of a declared member.
    pub(crate) fn declared(self, name: &str) -> Option<&'a Shape> {
        self.0?.fields.get(name)
    }

    /// The shape of members that are not declared.
    pub(crate) fn rest(self) -> Option<&'a Shape> {
        self.0.map_or(Some(Shape::OPEN), |map| map.rest.as_ref())
    }

    /// The shape of a member, declared or not.
    pub(crate) fn member(self, name: &str) -> &'a Shape {
        self.declared(name)
            .or_else(|| self.rest())
            .unwrap_or(Shape::OPEN)
    }
}

impl Shape {
    /// The open shape, for references.
    pub const OPEN: &'static Self = &Self::Open;

    /// The shape of a kind that is served from a CRD, from the `openAPIV3Schema` of the version.
    #[must_use]
    pub fn of_schema(schema: &Value) -> Self {
        let mut shape = Self::compile(schema);
        if let Self::Map(map) = &mut shape {
            map.add_type_meta();
        }
        shape
    }

    fn compile(schema: &Value) -> Self {
        if flag(schema, "x-kubernetes-int-or-string") {
            return Self::Scalar(Scalar::Any);
        }
        match schema["type"].as_str() {
            Some("string") => Self::Scalar(Scalar::String),
            Some("integer" | "number") => Self::Scalar(Scalar::Numeric),
            Some("boolean") => Self::Scalar(Scalar::Boolean),
            Some("array") => Self::List(Box::new(ListShape::compile(schema))),
            Some("object") => Self::Map(Box::new(MapShape::compile(schema))),
            _ => Self::Open,
        }
    }

    /// What the shape is for this value.
    #[must_use]
    pub fn form(&self, value: Option<&Value>) -> Form<'_> {
        match self {
            Self::Scalar(kind) => Form::Scalar(*kind),
            Self::List(list) => Form::List(ListForm(Some(list))),
            Self::Map(map) => Form::Map(MapForm(Some(map))),
            Self::Open => match value {
                Some(Value::Array(_)) => Form::List(ListForm(None)),
                Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                    Form::Scalar(Scalar::Any)
                }
                _ => Form::Map(MapForm(None)),
            },
        }
    }
}

impl ListShape {
    fn compile(schema: &Value) -> Self {
        let items = &schema["items"];
        let item = if items.is_object() {
            Shape::compile(items)
        } else {
            Shape::Open
        };
        let kind = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => ListKind::Set,
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten();
                let keys = keys.filter_map(Value::as_str).map(|key| {
                    let default = items["properties"][key].get("default").cloned();
                    (key.to_owned(), default)
                });
                ListKind::Keyed(keys.collect())
            }
            _ => ListKind::Atomic,
        };
        Self { kind, item }
    }
}

impl MapShape {
    fn compile(schema: &Value) -> Self {
        let mut fields: BTreeMap<String, Shape> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), Shape::compile(schema)))
            .collect();
        let open = flag(schema, "x-kubernetes-preserve-unknown-fields");
        let rest = match &schema["additionalProperties"] {
            Value::Object(_) => Some(Shape::compile(&schema["additionalProperties"])),
            Value::Bool(true) => Some(Shape::Open),
            Value::Bool(false) => None,
            _ => (open || fields.is_empty()).then_some(Shape::Open),
        };
        let embedded = flag(schema, "x-kubernetes-embedded-resource");
        if embedded {
            fields.remove("metadata");
        }
        let mut map = Self {
            atomic: schema["x-kubernetes-map-type"] == "atomic",
            fields,
            rest,
        };
        if embedded {
            map.add_type_meta();
        }
        map
    }

    fn add_type_meta(&mut self) {
        let text = Shape::Scalar(Scalar::String);
        self.fields.insert("apiVersion".into(), text.clone());
        self.fields.insert("kind".into(), text);
        self.fields
            .insert("metadata".into(), super::builtin::metadata().clone());
    }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema[name] == Value::Bool(true)
}
