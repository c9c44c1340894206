//! Schemas: what consumers see, made from a CRD, and looking up paths in one.
//!
//! A published schema is named by a hash of its content, so equal content has an equal name and publishing is idempotent;
//! kcp's schemas are immutable anyway. What a new one does to objects that exist is judged before an export names it.

pub mod compat;
mod publish;

use serde_json::Value;

use crate::object::path::{Path, Step};

#[cfg(feature = "compat")]
pub(crate) use publish::add_conditions;
pub use publish::{Offer, published};

/// The version of a CRD, with its schema; `None` when the CRD does not serve it.
#[must_use]
pub fn version<'a>(crd: &'a Value, name: &str) -> Option<&'a Value> {
    let versions = crd["spec"]["versions"].as_array()?;
    versions
        .iter()
        .find(|it| it["name"] == name && it["served"] != false)
}

/// The schema of a version of a CRD.
#[must_use]
pub fn of_version(version: &Value) -> &Value {
    &version["schema"]["openAPIV3Schema"]
}

/// What a schema says about a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup<'a> {
    /// It declares it so.
    Declared(&'a Value),
    /// It lets anything be there.
    Open,
    /// It does not know it.
    Missing,
}

/// Looks a path up in a schema.
#[must_use]
pub fn lookup<'a>(schema: &'a Value, path: &Path) -> Lookup<'a> {
    let mut at = schema;
    for (position, step) in path.steps().iter().enumerate() {
        if at["x-kubernetes-preserve-unknown-fields"] == true
            && !matches!(step, Step::Field(name) if at["properties"].get(name).is_some())
        {
            return Lookup::Open;
        }
        let next = match step {
            // Of metadata a schema says nothing, and every server knows it.
            Step::Field(name) if position == 0 && name == "metadata" => return Lookup::Open,
            Step::Field(name) => {
                at["properties"]
                    .get(name)
                    .or_else(|| match at.get("additionalProperties") {
                        Some(Value::Bool(true)) => Some(&Value::Null),
                        other => other.filter(|it| it.is_object()),
                    })
            }
            Step::Each => at.get("items"),
        };
        match next {
            Some(Value::Null) => return Lookup::Open,
            Some(next) => at = next,
            None => return Lookup::Missing,
        }
    }
    Lookup::Declared(at)
}

/// The paths of all leaves that a schema declares below a path, lists as `[]`.
#[must_use]
pub fn leaves(schema: &Value, below: &Path) -> Vec<Path> {
    let Lookup::Declared(start) = lookup(schema, below) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    collect(start, below, &mut found);
    found
}

fn collect(schema: &Value, at: &Path, found: &mut Vec<Path>) {
    let properties = schema["properties"].as_object().filter(|it| !it.is_empty());
    if let Some(properties) = properties {
        for (name, schema) in properties {
            collect(schema, &at.join(&Path::of(&[name])), found);
        }
    } else if schema["items"]["properties"].is_object() {
        let each = Path::from_steps(vec![Step::Each]);
        collect(&schema["items"], &at.join(&each), found);
    } else {
        found.push(at.clone());
    }
}
