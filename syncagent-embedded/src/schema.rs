//! Structural schemas: what an object of a custom kind may contain, what is dropped, what is filled in.
//!
//! A schema is compiled once per version of a CRD and then does five things:
//!
//! ```text
//! let schema = Schema::compile(&open_api_v3_schema)?;
//! // a body of POST, PUT or a patch:  (Err: Go's wording, for `X in version "v1" cannot be handled as a X: ...`)
//! let unknown = schema.admit(&mut object)?;      // default, drop what is unknown (named), drop nulls; metadata too
//! // the outcome of an apply, and what is read from the store after the schema changed:
//! schema.default(&mut object);                   // fills in only
//! schema.restore(&mut stored);                   // prune and default, silently
//! // before it is stored; causes are sorted; `old` tolerates what has not changed (ratcheting)
//! let causes = schema.validate(&object, old);            // the main endpoint
//! let causes = schema.validate_status(&object, old);     // the status endpoint
//! ```
//!
//! Whether a CRD itself is acceptable is told by [`crd::check`]. The texts are those of kube-apiserver 1.36.

mod admit;
mod cel;
pub mod crd;
mod format;
mod node;
mod structural;
mod validate;

use std::sync::Arc;

use serde_json::Value;

use crate::apply::Shape;
use crate::status::Cause;

use self::node::Node;

/// A compiled structural schema.
#[derive(Clone, Debug)]
pub struct Schema {
    root: Node,
    shape: Arc<Shape>,
}

impl Schema {
    /// Compiles an `openAPIV3Schema`.
    ///
    /// # Errors
    /// Where a pattern is no regular expression.
    pub fn compile(schema: &Value) -> Result<Self, Error> {
        let mut root = Node::compile(schema, "")?;
        root.embedded = true;
        let shape = Arc::new(Shape::of_schema(schema));
        Ok(Self { root, shape })
    }

    /// What server-side apply merges how.
    #[must_use]
    pub fn shape(&self) -> Arc<Shape> {
        self.shape.clone()
    }

    /// Brings an object that a client sent into the form in which it is kept: defaults are filled in, unknown fields
    /// and nulls of fields that take none are dropped, metadata is normalised. Returns the paths of what was unknown.
    ///
    /// # Errors
    /// Go's wording where metadata has a member of a wrong type.
    pub fn admit(&self, object: &mut Value) -> Result<Vec<String>, String> {
        self.default(object);
        let mut unknown = crate::fields::metadata(object)?;
        admit::embedded_metadata(&self.root, object, "", true, &mut unknown)?;
        unknown.extend(self.prune(object));
        admit::drop_nulls(&self.root, object);
        unknown.sort();
        Ok(unknown)
    }

    /// Drops the fields that the schema does not know and names them, sorted.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        admit::prune(Some(&self.root), object, "", &mut unknown);
        unknown.sort();
        unknown
    }

    /// Fills in the defaults. Nothing is filled in below what is absent.
    pub fn default(&self, object: &mut Value) {
        admit::default(&self.root, object);
    }

    /// Brings an object from the store into the form that the schema has now.
    pub fn restore(&self, object: &mut Value) {
        self.prune(object);
        self.default(object);
    }

    /// What is wrong with an object. With the object as it was before, what has not changed is tolerated.
    #[must_use]
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        all_causes(&self.root, object, old, "", cel::any(&self.root))
    }

    /// What is wrong with the status of an object, which is all that its status endpoint looks at.
    #[must_use]
    pub fn validate_status(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let Some(node) = self.root.properties.get("status") else {
            return Vec::new();
        };
        let Some(status) = object.get("status") else {
            return Vec::new();
        };
        let old = old.and_then(|old| old.get("status"));
        all_causes(node, status, old, "status", cel::any(&self.root))
    }
}

fn all_causes(
    node: &Node,
    value: &Value,
    old: Option<&Value>,
    root: &str,
    rules: bool,
) -> Vec<Cause> {
    let mut causes = validate::causes(node, value, old, root);
    causes.extend(validate::listed(node, value, old, root));
    causes.extend(validate::embedded(node, value, root));
    if rules {
        let blocked = causes.iter().any(|cause| BLOCKING.contains(&cause.reason));
        if blocked {
            let text = "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            causes.sort_by_key(Cause::line);
            causes.push(Cause::new("FieldValueInvalid", "<nil>", text));
            return causes;
        } else {
            causes.extend(cel::causes(node, value, old, root));
        }
    }
    causes.sort_by_key(Cause::line);
    causes
}

/// With these problems rules are not looked at: they might meet values that they cannot expect.
const BLOCKING: &[&str] = &[
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// Why a schema does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `pattern` is no regular expression.
    #[error("`{path}` has a pattern that is no regular expression: {why}")]
    Pattern {
        /// Where, as `spec.name`.
        path: String,
        /// Why.
        why: String,
    },
    /// A rule is no CEL, or more of it than this server understands.
    #[error("`{path}` has a rule that this server cannot evaluate: `{rule}`: {why}")]
    Rule {
        /// Where, as `spec.name`.
        path: String,
        /// The rule.
        rule: String,
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests;
