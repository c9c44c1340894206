//! Related objects: which objects an order takes down, which come up, and what these are called.
//!
//! Consumers choose names, so every name that comes from an order is checked before it becomes part of another one, and
//! a name on the service cluster is made from a template that no operator's naming meets (`{name}.taken`).

pub mod find;

use serde_json::{Map, Value, json};

use crate::definition::{Compose, Kind, Part, ReadRule};
use crate::names;
use crate::naming::{CopyName, sha3_hex};
use crate::object::api_version;
use crate::object::fingerprint::sha1_hex;
use crate::object::path::{self, Path, Spot};
use crate::template::{Placeholder, Template};

/// A compiled `takes` rule.
#[derive(Clone, Debug)]
pub struct Takes {
    /// The path of the rule, as declared.
    pub path: String,
    /// Where the name is in the order.
    pub name_at: Path,
    /// The kind of the named object.
    pub kind: Kind,
    /// The template of the copy's name.
    pub name: Template,
    /// The labels of the copy; the same for every rule that could make the same copy.
    pub labels: Vec<(String, String)>,
}

/// A name in an order that a `takes` rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenName {
    /// The path of the rule.
    pub path: String,
    /// Where in the order.
    pub spot: Spot,
    /// The kind.
    pub kind: Kind,
    /// What the consumer calls the object.
    pub name: String,
    /// What its copy is called.
    pub copy: String,
}

/// A compiled `returns` rule.
#[derive(Clone, Debug)]
pub struct Returns {
    /// Its identifier.
    pub id: String,
    /// The kind in the workspace.
    pub kind: Kind,
    /// The template of the name in the workspace.
    pub name: Template,
    /// What it reads on the service cluster, with the compiled templates of the names.
    pub reads: Vec<(ReadRule, Template)>,
    /// How it is made.
    pub how: How,
}

/// How a returned object is made.
#[derive(Clone, Debug)]
pub enum How {
    /// The first object that is read, as it is; of its `data` only these keys, if there are any here.
    Copied(Vec<String>),
    /// By a function.
    Composed(Compose),
}

impl Takes {
    /// The names that an order has under this rule, each with the name of its copy.
    ///
    /// # Errors
    ///
    /// The place and the text of the first one that is no name, or whose copy's name would be too long.
    pub fn names(&self, origin: &Value, copy: &CopyName) -> Result<Vec<TakenName>, (Spot, String)> {
        let mut found = Vec::new();
        for (spot, value) in self.name_at.each(origin) {
            let Some(name) = value.as_str().filter(|name| !name.is_empty()) else {
                continue;
            };
            let copy_name = self.copy_name(name, copy);
            if !names::is_subdomain(name) || !names::is_subdomain(&copy_name) {
                return Err((
                    spot,
                    format!("{name:?} cannot be the name of a {}", self.kind.kind),
                ));
            }
            found.push(TakenName {
                path: self.path.clone(),
                spot,
                kind: self.kind.clone(),
                name: name.to_owned(),
                copy: copy_name,
            });
        }
        Ok(found)
    }

    fn copy_name(&self, name: &str, copy: &CopyName) -> String {
        let (sha1, sha3) = (sha1_hex(name), sha3_hex(name));
        self.name.render(|placeholder| match placeholder {
            Placeholder::Name => name,
            Placeholder::NameHash => &sha1,
            Placeholder::NameSha3 => &sha3,
            Placeholder::CopyName => &copy.name,
            _ => "",
        })
    }
}

impl Returns {
    /// What the object is called in the workspace.
    #[must_use]
    pub fn name_of(&self, order: &str) -> String {
        self.name.render(|_| order)
    }

    /// What the objects it reads are called on the service cluster.
    #[must_use]
    pub fn read_names(&self, copy: &CopyName) -> Vec<String> {
        let render = |template: &Template| {
            template.render(|placeholder| match placeholder {
                Placeholder::CopyName => &copy.name,
                Placeholder::CopyNamespace => &copy.namespace,
                _ => "",
            })
        };
        self.reads
            .iter()
            .map(|(_, template)| render(template))
            .collect()
    }

    /// The content of an object that comes up as it is.
    #[must_use]
    pub fn copied(&self, source: &Value, keys: &[String]) -> Map<String, Value> {
        let mut content = content(source);
        keep_keys(&mut content, keys);
        content
    }
}

/// Leaves only these keys of `data`; none given: all of them.
pub(crate) fn keep_keys(content: &mut Map<String, Value>, keys: &[String]) {
    if !keys.is_empty()
        && let Some(Value::Object(data)) = content.get_mut("data")
    {
        data.retain(|key, _| keys.contains(key));
    }
}

/// Everything of an object that is neither its name, its metadata nor its status.
///
/// `immutable` stays behind: a consumer may replace an immutable Secret by deleting it and making it anew.
#[must_use]
pub fn content(object: &Value) -> Map<String, Value> {
    let fields = object.as_object().into_iter().flatten();
    let fields = fields.filter(|(field, _)| is_content(field));
    let mut content: Map<String, Value> = fields
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    if let Some(Value::Object(plain)) = content.remove("stringData") {
        let data = content.entry("data").or_insert_with(|| json!({}));
        for (key, value) in plain {
            if let (Some(text), Some(data)) = (value.as_str(), data.as_object_mut()) {
                data.insert(key, json!(base64(text.as_bytes())));
            }
        }
    }
    let mut content = Value::Object(content);
    crate::object::drop_nulls(&mut content);
    match content {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

/// Whether a field of an object is content.
pub(crate) fn is_content(field: &str) -> bool {
    !["apiVersion", "kind", "metadata", "status", "immutable"].contains(&field)
}

/// An object of a kind with this metadata and content.
#[must_use]
pub fn assemble(kind: &Kind, metadata: Value, content: Map<String, Value>) -> Value {
    let mut object = content;
    object.insert("apiVersion".into(), json!(api_version(kind)));
    object.insert("kind".into(), json!(kind.kind));
    object.insert("metadata".into(), metadata);
    Value::Object(object)
}

/// The annotation that says what a returned object was made of: `o.s.c.r0.t1:<fingerprint>`.
#[must_use]
pub fn made_of(parts: &[Part], fingerprint: &str) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Part::Origin => "o".to_owned(),
            Part::Status => "s".to_owned(),
            Part::Copy => "c".to_owned(),
            Part::Read(at) => format!("r{at}"),
            Part::Taken(at) => format!("t{at}"),
        })
        .collect();
    format!("{}:{fingerprint}", parts.join("."))
}

/// Reads that annotation: the parts, and the text of the fingerprint.
#[must_use]
pub fn read_made_of(text: &str) -> Option<(Vec<Part>, String)> {
    let (parts, fingerprint) = text.split_once(':')?;
    let parts = parts
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let at = || part[1..].parse().ok();
            match part.as_bytes()[0] {
                b'o' => Some(Part::Origin),
                b's' => Some(Part::Status),
                b'c' => Some(Part::Copy),
                b'r' => at().map(Part::Read),
                b't' => at().map(Part::Taken),
                _ => None,
            }
        });
    Some((parts.collect::<Option<_>>()?, fingerprint.to_owned()))
}

/// Puts the copy's name in the place of the consumer's name.
pub(crate) fn rename(object: &mut Value, taken: &TakenName) {
    path::set(object, &taken.spot, json!(taken.copy));
}

/// Base64 with padding, as `data` of a Secret has it.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Reads base64 with padding; `None` when it is none.
#[must_use]
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.chunks(4) {
        let mut bits = 0;
        for at in 0..4 {
            let byte = chunk.get(at).copied().unwrap_or(b'A');
            bits = bits << 6 | u32::from(digit(byte)?);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}
