//! JSON as Go's `encoding/json` writes the `spec` of a CustomResourceDefinition.
//!
//! The Go agent names a schema by the SHA-1 of this text, so it has to come out byte for byte: the fields of each struct in
//! the order of its declaration, what is tagged `omitempty` left out when it is empty, unknown fields dropped, keys of maps
//! sorted, `<`, `>`, `&`, U+2028 and U+2029 escaped, numbers in Go's shortest form. The structs are those of
//! `k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1`; the tables below are their JSON tags. What Go writes for a few
//! dozen nasty ones is recorded in `tests/go/schemas/cases.jsonl`.
//!
//! A pointer is written when it is there, also when it points to zero: `minimum: 0`, `x-kubernetes-list-type: ""`,
//! `status: {}`. Free values (`default`, `enum`, `example`) are written as an API server hands them out, which reads and
//! writes them once: with sorted keys. What has another type than its field counts as absent; no server lets that in.

use serde_json::Value;

use crate::mutation::go_json;

/// The spec of a CRD as Go writes it, without the newline that its encoder adds.
///
/// ```
/// use serde_json::json;
/// use syncagent_core::compat::go_json;
///
/// let spec = json!({"scope": "Cluster", "group": "a<b", "unknown": 1, "versions": []});
/// assert_eq!(
///     go_json::crd_spec(&spec),
///     r#"{"group":"a\u003cb","names":{"plural":"","kind":""},"scope":"Cluster","versions":[]}"#
/// );
/// ```
#[must_use]
pub fn crd_spec(spec: &Value) -> String {
    structure(spec, SPEC)
}

/// The spec of a CRD as Go's types hold it: without what they do not know, and without what is empty.
#[must_use]
pub fn parsed(spec: &Value) -> Value {
    // What is nested too deep for the parser is no schema.
    serde_json::from_str(&crd_spec(spec)).unwrap_or_default()
}

/// A field of a struct: its name, what it is, and whether it is left out when it is empty.
struct Field(&'static str, Is, Empty);

#[derive(Clone, Copy, PartialEq)]
enum Empty {
    /// `omitempty`.
    Omitted,
    Written,
}

/// What a field is in Go.
#[derive(Clone, Copy)]
enum Is {
    /// `string`.
    Text,
    /// `bool`.
    Flag,
    /// `int32`.
    Number,
    /// `*bool`, `*string`, `*int64`.
    Pointer,
    /// `*float64`.
    Float,
    /// `[]string`.
    Texts,
    /// `*JSON`.
    Free,
    /// `[]JSON`.
    Frees,
    /// A struct, or a pointer to one.
    Struct(&'static [Field]),
    /// `[]struct`.
    Structs(&'static [Field]),
    /// `*JSONSchemaProps`.
    Schema,
    /// `[]JSONSchemaProps`.
    SchemaList,
    /// `map[string]JSONSchemaProps`.
    Schemas,
    /// `*JSONSchemaPropsOrBool`.
    SchemaOrFlag,
    /// `*JSONSchemaPropsOrArray`.
    SchemaOrSchemas,
    /// `map[string]JSONSchemaPropsOrStringArray`.
    Dependencies,
}

use Empty::{Omitted, Written};

const SPEC: &[Field] = &[
    Field("group", Is::Text, Written),
    Field("names", Is::Struct(NAMES), Written),
    Field("scope", Is::Text, Written),
    Field("versions", Is::Structs(VERSION), Written),
    Field("conversion", Is::Struct(CONVERSION), Omitted),
    Field("preserveUnknownFields", Is::Flag, Omitted),
];

const NAMES: &[Field] = &[
    Field("plural", Is::Text, Written),
    Field("singular", Is::Text, Omitted),
    Field("shortNames", Is::Texts, Omitted),
    Field("kind", Is::Text, Written),
    Field("listKind", Is::Text, Omitted),
    Field("categories", Is::Texts, Omitted),
];

/// Conversion between versions; none through a webhook gets here.
const CONVERSION: &[Field] = &[Field("strategy", Is::Text, Written)];

const VERSION: &[Field] = &[
    Field("name", Is::Text, Written),
    Field("served", Is::Flag, Written),
    Field("storage", Is::Flag, Written),
    Field("deprecated", Is::Flag, Omitted),
    Field("deprecationWarning", Is::Pointer, Omitted),
    Field("schema", Is::Struct(VALIDATION), Omitted),
    Field("subresources", Is::Struct(SUBRESOURCES), Omitted),
    Field("additionalPrinterColumns", Is::Structs(COLUMN), Omitted),
    Field("selectableFields", Is::Structs(SELECTABLE), Omitted),
];

const VALIDATION: &[Field] = &[Field("openAPIV3Schema", Is::Schema, Omitted)];

const SUBRESOURCES: &[Field] = &[
    Field("status", Is::Struct(&[]), Omitted),
    Field("scale", Is::Struct(SCALE), Omitted),
];

const SCALE: &[Field] = &[
    Field("specReplicasPath", Is::Text, Written),
    Field("statusReplicasPath", Is::Text, Written),
    Field("labelSelectorPath", Is::Pointer, Omitted),
];

const COLUMN: &[Field] = &[
    Field("name", Is::Text, Written),
    Field("type", Is::Text, Written),
    Field("format", Is::Text, Omitted),
    Field("description", Is::Text, Omitted),
    Field("priority", Is::Number, Omitted),
    Field("jsonPath", Is::Text, Written),
];

const SELECTABLE: &[Field] = &[Field("jsonPath", Is::Text, Written)];

const SCHEMA: &[Field] = &[
    Field("id", Is::Text, Omitted),
    Field("$schema", Is::Text, Omitted),
    Field("$ref", Is::Pointer, Omitted),
    Field("description", Is::Text, Omitted),
    Field("type", Is::Text, Omitted),
    Field("format", Is::Text, Omitted),
    Field("title", Is::Text, Omitted),
    Field("default", Is::Free, Omitted),
    Field("maximum", Is::Float, Omitted),
    Field("exclusiveMaximum", Is::Flag, Omitted),
    Field("minimum", Is::Float, Omitted),
    Field("exclusiveMinimum", Is::Flag, Omitted),
    Field("maxLength", Is::Pointer, Omitted),
    Field("minLength", Is::Pointer, Omitted),
    Field("pattern", Is::Text, Omitted),
    Field("maxItems", Is::Pointer, Omitted),
    Field("minItems", Is::Pointer, Omitted),
    Field("uniqueItems", Is::Flag, Omitted),
    Field("multipleOf", Is::Float, Omitted),
    Field("enum", Is::Frees, Omitted),
    Field("maxProperties", Is::Pointer, Omitted),
    Field("minProperties", Is::Pointer, Omitted),
    Field("required", Is::Texts, Omitted),
    Field("items", Is::SchemaOrSchemas, Omitted),
    Field("allOf", Is::SchemaList, Omitted),
    Field("oneOf", Is::SchemaList, Omitted),
    Field("anyOf", Is::SchemaList, Omitted),
    Field("not", Is::Schema, Omitted),
    Field("properties", Is::Schemas, Omitted),
    Field("additionalProperties", Is::SchemaOrFlag, Omitted),
    Field("patternProperties", Is::Schemas, Omitted),
    Field("dependencies", Is::Dependencies, Omitted),
    Field("additionalItems", Is::SchemaOrFlag, Omitted),
    Field("definitions", Is::Schemas, Omitted),
    Field("externalDocs", Is::Struct(DOCS), Omitted),
    Field("example", Is::Free, Omitted),
    Field("nullable", Is::Flag, Omitted),
    Field("x-kubernetes-preserve-unknown-fields", Is::Pointer, Omitted),
    Field("x-kubernetes-embedded-resource", Is::Flag, Omitted),
    Field("x-kubernetes-int-or-string", Is::Flag, Omitted),
    Field("x-kubernetes-list-map-keys", Is::Texts, Omitted),
    Field("x-kubernetes-list-type", Is::Pointer, Omitted),
    Field("x-kubernetes-map-type", Is::Pointer, Omitted),
    Field("x-kubernetes-validations", Is::Structs(RULE), Omitted),
];

const DOCS: &[Field] = &[
    Field("description", Is::Text, Omitted),
    Field("url", Is::Text, Omitted),
];

const RULE: &[Field] = &[
    Field("rule", Is::Text, Written),
    Field("message", Is::Text, Omitted),
    Field("messageExpression", Is::Text, Omitted),
    Field("reason", Is::Pointer, Omitted),
    Field("fieldPath", Is::Text, Omitted),
    Field("optionalOldSelf", Is::Pointer, Omitted),
];

fn structure(value: &Value, fields: &[Field]) -> String {
    let entries = fields.iter().filter_map(|Field(name, is, empty)| {
        let value = &value[*name];
        let written = is.write(value);
        let written = written.or_else(|| (*empty == Written).then(|| is.zero(value)));
        Some((*name, written?))
    });
    object(entries)
}

fn schema(value: &Value) -> String {
    structure(value, SCHEMA)
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let entries = entries.map(|(key, written)| format!("{}:{written}", go_json(&key.into())));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

fn list<'a>(
    items: impl IntoIterator<Item = &'a Value>,
    each: impl Fn(&'a Value) -> String,
) -> String {
    let items: Vec<_> = items.into_iter().map(each).collect();
    format!("[{}]", items.join(","))
}

/// A map that is not empty; its keys are sorted.
fn map(value: &Value, each: impl Fn(&Value) -> String) -> Option<String> {
    let entries = value.as_object().filter(|it| !it.is_empty())?;
    Some(object(
        entries.iter().map(|(key, it)| (key.as_str(), each(it))),
    ))
}

impl Is {
    /// What is written for a value; nothing for one that is empty in Go's sense.
    fn write(self, value: &Value) -> Option<String> {
        match self {
            Self::Text => value
                .as_str()
                .filter(|it| !it.is_empty())
                .map(|_| go_json(value)),
            Self::Flag => (*value == true).then(|| "true".into()),
            Self::Number => value
                .as_i64()
                .filter(|it| *it != 0)
                .map(|it| it.to_string()),
            Self::Pointer => {
                let scalar = !value.is_null() && !value.is_array() && !value.is_object();
                scalar.then(|| go_json(value))
            }
            Self::Float => value.as_f64().map(|it| go_json(&Value::from(it))),
            Self::Free => (!value.is_null()).then(|| go_json(value)),
            Self::Frees => filled(value).map(|it| list(it, go_json)),
            Self::Texts => {
                let text = |it: &Value| go_json(&Value::from(it.as_str().unwrap_or_default()));
                filled(value).map(|it| list(it, text))
            }
            Self::Struct(fields) => value.is_object().then(|| structure(value, fields)),
            Self::Structs(fields) => filled(value).map(|it| list(it, |it| structure(it, fields))),
            Self::Schema => value.is_object().then(|| schema(value)),
            Self::SchemaList => filled(value).map(|it| list(it, schema)),
            Self::Schemas => map(value, schema),
            Self::SchemaOrFlag => match value {
                Value::Bool(_) => Some(value.to_string()),
                Value::Object(_) => Some(schema(value)),
                _ => None,
            },
            Self::SchemaOrSchemas => match value {
                Value::Object(_) => Some(schema(value)),
                Value::Array(items) if items.is_empty() => Some("null".into()),
                Value::Array(items) => Some(list(items, schema)),
                _ => None,
            },
            Self::Dependencies => map(value, |it| match it {
                Value::Object(_) => schema(it),
                Value::Array(_) => Self::Texts.write(it).unwrap_or_else(|| "null".into()),
                _ => "null".into(),
            }),
        }
    }

    /// What is written for nothing where that is not left out.
    fn zero(self, value: &Value) -> String {
        match self {
            Self::Text => r#""""#.into(),
            Self::Flag => "false".into(),
            Self::Number => "0".into(),
            Self::Struct(fields) => structure(&Value::Null, fields),
            _ if value.is_array() => "[]".into(),
            _ => "null".into(),
        }
    }
}

/// The items of a list that is not empty.
fn filled(value: &Value) -> Option<&Vec<Value>> {
    value.as_array().filter(|it| !it.is_empty())
}
