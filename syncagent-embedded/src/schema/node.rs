//! One place of a compiled schema.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::Error;
use super::cel::Rule;

/// One place of a schema, with what is below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// `string`, `integer`...; two for `int-or-string`; none where the schema says nothing.
    pub(super) types: Vec<String>,
    pub(super) nullable: bool,
    pub(super) preserve: bool,
    pub(super) embedded: bool,
    pub(super) format: String,
    pub(super) default: Option<Value>,
    pub(super) properties: BTreeMap<String, Self>,
    pub(super) required: Vec<String>,
    pub(super) rest: Rest,
    pub(super) items: Option<Box<Self>>,
    pub(super) list: List,
    pub(super) limits: Limits,
    pub(super) all_of: Vec<Self>,
    pub(super) any_of: Vec<Self>,
    pub(super) one_of: Vec<Self>,
    pub(super) not: Option<Box<Self>>,
    pub(super) rules: Vec<Rule>,
}

/// Members of an object that are not declared.
#[derive(Clone, Debug, Default)]
pub(super) enum Rest {
    /// `additionalProperties` is absent.
    #[default]
    Undeclared,
    /// Any.
    Any,
    /// Of this schema.
    Schema(Box<Node>),
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum List {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// The limits on a value itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) values: Option<Vec<Value>>,
    pub(super) minimum: Option<Value>,
    pub(super) maximum: Option<Value>,
    pub(super) exclusive_minimum: bool,
    pub(super) exclusive_maximum: bool,
    pub(super) multiple_of: Option<Value>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
    pub(super) pattern: Option<(String, Regex)>,
    pub(super) min_items: Option<u64>,
    pub(super) max_items: Option<u64>,
    pub(super) min_properties: Option<u64>,
    pub(super) max_properties: Option<u64>,
}

impl Node {
    pub(super) fn compile(schema: &Value, path: &str) -> Result<Self, Error> {
        let flag = |name: &str| schema[name] == Value::Bool(true);
        let below = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        let mut properties = BTreeMap::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            properties.insert(name.clone(), Self::compile(schema, &below(name))?);
        }
        let several = |name: &str| -> Result<Vec<Self>, Error> {
            let schemas = schema[name].as_array().into_iter().flatten();
            schemas.map(|schema| Self::compile(schema, path)).collect()
        };
        let one = |schema: &Value, path: &str| -> Result<Option<Box<Self>>, Error> {
            Ok(match schema {
                Value::Object(_) => Some(Box::new(Self::compile(schema, path)?)),
                _ => None,
            })
        };
        let mut rules = Vec::new();
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            rules.push(Rule::compile(rule).map_err(|why| Error::Rule {
                path: path.to_owned(),
                rule: rule["rule"].as_str().unwrap_or_default().to_owned(),
                why,
            })?);
        }
        let rest = match &schema["additionalProperties"] {
            Value::Bool(true) => Rest::Any,
            schema => one(schema, &below("*"))?.map_or(Rest::Undeclared, Rest::Schema),
        };
        let types = match schema["type"].as_str() {
            _ if flag("x-kubernetes-int-or-string") => vec!["integer".into(), "string".into()],
            Some(kind) if !kind.is_empty() => vec![kind.to_owned()],
            _ => Vec::new(),
        };
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let list = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => List::Set,
            Some("map") => List::Map(texts(&schema["x-kubernetes-list-map-keys"])),
            _ => List::Atomic,
        };
        Ok(Self {
            types,
            nullable: flag("nullable"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            format: schema["format"].as_str().unwrap_or_default().to_owned(),
            default: schema
                .get("default")
                .filter(|default| !default.is_null())
                .cloned(),
            properties,
            required: texts(&schema["required"]),
            rest,
            items: one(&schema["items"], &format!("{path}[]"))?,
            list,
            limits: Limits::compile(schema, path)?,
            all_of: several("allOf")?,
            any_of: several("anyOf")?,
            one_of: several("oneOf")?,
            not: one(&schema["not"], path)?,
            rules,
        })
    }

    /// The schema of a member, where there is one.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.rest {
            Rest::Schema(schema) => Some(schema),
            _ => None,
        })
    }
}

impl Limits {
    fn compile(schema: &Value, path: &str) -> Result<Self, Error> {
        let number = |name: &str| schema.get(name).filter(|value| value.is_number()).cloned();
        let pattern = match schema["pattern"].as_str() {
            Some(text) if !text.is_empty() => {
                let regex = Regex::new(text).map_err(|error| Error::Pattern {
                    path: path.to_owned(),
                    why: error.to_string(),
                })?;
                Some((text.to_owned(), regex))
            }
            _ => None,
        };
        Ok(Self {
            values: schema["enum"]
                .as_array()
                .filter(|values| !values.is_empty())
                .cloned(),
            minimum: number("minimum"),
            maximum: number("maximum"),
            exclusive_minimum: schema["exclusiveMinimum"] == Value::Bool(true),
            exclusive_maximum: schema["exclusiveMaximum"] == Value::Bool(true),
            multiple_of: number("multipleOf"),
            min_length: schema["minLength"].as_u64(),
            max_length: schema["maxLength"].as_u64(),
            pattern,
            min_items: schema["minItems"].as_u64(),
            max_items: schema["maxItems"].as_u64(),
            min_properties: schema["minProperties"].as_u64(),
            max_properties: schema["maxProperties"].as_u64(),
        })
    }
}
