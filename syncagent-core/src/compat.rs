//! Compatibility with kcp's Go api-syncagent: publications that are written as `PublishedResource` objects, without code.
//!
//! ```text
//!   PublishedResource ──┐
//!                       ├─► Projected ──► APIResourceSchema, with the Go agent's name
//!   CRD, or OpenAPI ────┘       └───────► Definition, which the engine runs
//! ```
//!
//! Everything here is a pure function. What is read from servers comes in as JSON.
//!
//! The Go agent's names are kept, byte for byte, where an installation would notice: a schema of another name is a second
//! schema, a write to the export and to each status.

pub mod check;
pub mod first;
pub mod go_json;
pub mod openapi;
pub mod priority;

mod projected;
mod schema;
mod source;

mod definition;

use std::fmt;

pub(crate) use definition::problems_beside_the_kind;
pub use definition::{Conversion, Kinds, Offer, Unconverted, convert, convert_offer};
pub use projected::Projected;
pub use source::Source;

/// Something that is wrong with a `PublishedResource`, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldProblem {
    /// The field, as in `spec.related[0].object`.
    pub path: String,
    /// What is wrong with it, and what to write instead.
    pub what: String,
}

impl FieldProblem {
    /// A problem with a field.
    ///
    /// ```
    /// use syncagent_core::compat::FieldProblem;
    ///
    /// let problem = FieldProblem::new("spec.resource.kind", "is empty; name a kind");
    /// assert_eq!(problem.to_string(), "spec.resource.kind: is empty; name a kind");
    /// ```
    #[must_use]
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}
