//! What a provider declares: which kind is offered under which shape, and how its parts cross the border.
//!
//! A [`Definition`] is plain data with plain functions in it. The derive writes one from an annotated Rust type, a
//! program may write one by hand. It may be wrong: nothing is checked while it is built.
//! Compiling it yields a `Publication`, or every problem it has at once.
//!
//! Paths are written as on the wire and start at the object: `spec.bootstrap.initdb.secret`, `spec.hosts[]`,
//! `spec.items[].ref`. `[]` means "each element".

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

/// A kind of object as one API server names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version that is read and written.
    pub version: String,
    /// The kind, as in `Cluster`.
    pub kind: String,
    /// The plural under which the API server serves it, as in `clusters`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub scope: Scope,
}

/// Whether the objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They do not.
    Cluster,
}

/// Everything a provider says about one offered kind.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The kind on the service cluster: what the operator works on.
    pub service: Kind,
    /// The kind that consumers see in their workspace.
    pub offered: Kind,
    /// Where the schema that consumers see comes from.
    pub schema: SchemaSource,
    /// Templates of the copy's namespace and name; see [`CopyNaming`].
    pub copy: CopyNaming,
    /// Which objects of a workspace are offered the service at all.
    pub only: Only,
    /// What is said about single fields, in the order of declaration.
    pub fields: Vec<FieldRule>,
    /// Constants that every copy carries.
    pub set: Vec<SetRule>,
    /// Labels and annotations of the consumer that reach the copy.
    pub pass: Pass,
    /// Objects that come up into the workspace with the order.
    pub returns: Vec<ReturnRule>,
    /// What flows back as status.
    pub status: StatusRule,
    /// What is decided once per publication.
    pub policy: Policy,
}

/// Where the schema that consumers see comes from.
#[derive(Clone, Debug)]
pub enum SchemaSource {
    /// A `CustomResourceDefinition` made from the Rust type, as JSON. Only what it declares crosses the border.
    Type(Value),
    /// The CRD of the service cluster, unchanged.
    Cluster,
}

/// Templates for the name of a copy.
///
/// Placeholders: `{workspace}` (the logical cluster's name), `{namespace}`, `{name}`, and `{namespace.hash}`,
/// `{name.hash}` (the first 20 hex digits of the SHA-1). `{{` and `}}` are literal braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyNaming {
    /// The namespace; `None` for a cluster-scoped copy. Default `{workspace}`.
    pub namespace: Option<String>,
    /// The name. Default `{namespace.hash}-{name.hash}`.
    pub name: String,
}

/// Which objects of a workspace take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Namespaces of the workspace; empty means all.
    pub namespaces: Vec<String>,
    /// Labels that the object must carry, as key and value.
    pub labels: Vec<(String, String)>,
}

/// A pure function over JSON; an error is a sentence for the consumer, about the consumer's own field.
pub type Convert = fn(&Value) -> Result<Value, String>;

/// What is said about one field of the offered type.
#[derive(Clone, Debug)]
pub struct FieldRule {
    /// Where the field is on the workspace's object, as in `spec.superuserSecret`.
    pub path: String,
    /// What holds for it.
    pub rule: Rule,
}

/// The roles that a field can play.
#[derive(Clone, Debug)]
pub enum Rule {
    /// `at`, `with`: lives elsewhere on the service's object, or is computed on the way down.
    Moved {
        /// Where it lives on the service's object; `None`: the same path.
        at: Option<String>,
        /// Computes the value on the way down.
        with: Option<Convert>,
    },
    /// `takes`: names an object of the consumer that goes down with the order.
    Takes(TakeRule),
    /// `refers_to`: names an object of another publication (or of this one) and follows its naming, both ways.
    RefersTo {
        /// The offered kind of that publication.
        offered: Kind,
        /// Where the name is below the field, as in `name`; `None`: the field is the name.
        name_at: Option<String>,
    },
    /// `hidden`: never shown to the consumer and never written by the agent; the operator's own.
    Hidden,
    /// `local`: shown to the consumer and kept in the workspace.
    Local,
}

/// An object of the consumer that goes down with the order.
#[derive(Clone, Debug)]
pub struct TakeRule {
    /// The kind of the named object, the same on both sides.
    pub kind: Kind,
    /// Where the name is below the field, as in `name`; `None`: the field is the name.
    pub name_at: Option<String>,
    /// The name of the copy, with `{name}` the name in the workspace, `{copy.name}` the primary copy's name.
    /// Default `{name}.taken`: a suffix no operator uses, so a consumer cannot pre-empt `<copy>-ca` and the like.
    /// The field on the service's object follows this name.
    pub name: String,
    /// Labels set on the copy.
    pub labels: Vec<(String, String)>,
}

/// A constant on every copy.
#[derive(Clone, Debug, PartialEq)]
pub struct SetRule {
    /// Where, on the service's object.
    pub at: String,
    /// What; text may hold the placeholders of [`CopyNaming`] and `{copy.name}`, `{copy.namespace}`.
    pub value: Value,
}

/// Labels and annotations of the consumer that reach the copy, by key; `*` is all but the agent's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Keys of labels.
    pub labels: Vec<String>,
    /// Keys of annotations.
    pub annotations: Vec<String>,
}

/// An object that comes up into the workspace with the order.
#[derive(Clone, Debug)]
pub struct ReturnRule {
    /// Its identifier within the publication, unique.
    pub id: String,
    /// Its kind in the workspace.
    pub kind: Kind,
    /// Its name in the workspace; `{name}` is the order's name. It lives in the order's namespace.
    pub name: String,
    /// What it is made of.
    pub source: ReturnSource,
}

/// What a returned object is made of.
#[derive(Clone, Debug)]
pub enum ReturnSource {
    /// `from`: a copy of an object of the service cluster, of the same kind, in the copy's namespace.
    From {
        /// Its name there, a template over `{copy.name}`.
        name: String,
        /// Which keys of its `data` come up; empty means all.
        keys: Vec<String>,
    },
    /// `with`: composed by a function over the order, its copy, what it takes, and what the rule reads.
    With {
        /// Objects of the service cluster, in the copy's namespace, that the function may see.
        reads: Vec<ReadRule>,
        /// Makes the object's content; `None` is "not yet". Name and namespace are filled in.
        compose: Compose,
    },
}

/// An object of the service cluster that a composing function may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRule {
    /// Its kind.
    pub kind: Kind,
    /// Its name there, a template over `{copy.name}`.
    pub name: String,
}

/// Composes a returned object.
pub type Compose = fn(&Sources) -> Option<Value>;

/// What a composing function sees, as JSON; `View` is its typed face.
///
/// It notices which parts a function looks at: a result is made anew only when a part it was made of changes.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    origin: Value,
    copy: Option<Value>,
    reads: Vec<(ReadRule, Option<Value>)>,
    taken: Vec<(String, Option<Value>)>,
    used: Rc<RefCell<BTreeSet<Part>>>,
}

/// A part of what a composing function sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What the consumer wrote.
    Origin,
    /// The status that the consumer sees.
    Status,
    /// The copy.
    Copy,
    /// One of the objects that the rule reads, by position.
    Read(usize),
    /// One of the objects that the order takes, by position.
    Taken(usize),
}

impl Sources {
    /// The sources of one order: its origin, with the status that the consumer is shown, and its copy.
    #[must_use]
    pub fn new(origin: Value, copy: Option<Value>) -> Self {
        Self {
            origin,
            copy,
            ..Self::default()
        }
    }

    /// Adds an object that the rule reads; `None`: it is not there.
    #[must_use]
    pub fn with_read(mut self, rule: ReadRule, object: Option<Value>) -> Self {
        self.reads.push((rule, object));
        self
    }

    /// Adds an object that the order takes: the path of the rule, and the consumer's object.
    #[must_use]
    pub fn with_taken(mut self, path: impl Into<String>, object: Option<Value>) -> Self {
        self.taken.push((path.into(), object));
        self
    }

    /// The order, as the consumer wrote it; its `status` is not part of what counts as looked at.
    pub fn origin(&self) -> &Value {
        self.note(Part::Origin);
        &self.origin
    }

    /// The status that the consumer sees.
    pub fn status(&self) -> Option<&Value> {
        self.note(Part::Status);
        self.origin.get("status")
    }

    /// The copy on the service cluster, when there is one.
    pub fn copy(&self) -> Option<&Value> {
        self.note(Part::Copy);
        self.copy.as_ref()
    }

    /// The first object that the rule reads and that `which` wants; `None`: not there, or none wanted.
    pub fn read(&self, which: impl Fn(&ReadRule) -> bool) -> Option<&Value> {
        let at = self.reads.iter().position(|(rule, _)| which(rule))?;
        self.note(Part::Read(at));
        self.reads[at].1.as_ref()
    }

    /// The objects that the field at `path` of the order takes, as far as they are there.
    pub fn taken<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        let taken = self.taken.iter().enumerate();
        let wanted = taken.filter(move |(_, (field, _))| field == path);
        wanted.filter_map(|(at, (_, object))| {
            self.note(Part::Taken(at));
            object.as_ref()
        })
    }

    /// Which parts were looked at so far, in a fixed order.
    #[must_use]
    pub fn used(&self) -> Vec<Part> {
        self.used.borrow().iter().copied().collect()
    }

    /// The order, without taking note of the look.
    #[cfg(feature = "typed")]
    pub(crate) fn peek_origin(&self) -> &Value {
        &self.origin
    }

    fn note(&self, part: Part) {
        self.used.borrow_mut().insert(part);
    }
}

/// What flows back as status.
#[derive(Clone, Debug)]
pub enum StatusRule {
    /// All of it.
    Whole,
    /// Declared fields only.
    Fields(Vec<StatusField>),
    /// Nothing: the kind has no status.
    None,
}

/// One declared field of the status.
#[derive(Clone, Debug)]
pub struct StatusField {
    /// Where it is in the workspace, as in `status.phase`.
    pub path: String,
    /// Where it comes from.
    pub source: StatusSource,
}

/// Where a status field comes from.
#[derive(Clone, Debug)]
pub enum StatusSource {
    /// The same or another path of the copy.
    At(String),
    /// Computed from the value at a path of the copy; the path may be empty for the whole copy.
    With {
        /// The path of the copy.
        at: String,
        /// The function.
        with: Convert,
    },
    /// A name on the service cluster that is shown under the consumer's own name for it.
    RefersTo {
        /// The offered kind.
        offered: Kind,
        /// The path of the copy.
        at: String,
    },
}

/// What is decided once per publication.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// What happens when somebody changes the copy.
    pub drift: Drift,
    /// What happens when an object of the copy's name exists without an identity.
    pub adoption: Adoption,
    /// Whether the origin shows a condition `Synced` of our own.
    pub conditions: bool,
}

/// What happens when somebody changes the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// It is set right.
    Correct,
}

/// What happens when an object of the copy's name exists without an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adoption {
    /// It is left alone and reported.
    Refuse,
}

impl Policy {
    /// The defaults of a derived publication.
    #[must_use]
    pub fn derived() -> Self {
        Self {
            drift: Drift::Correct,
            adoption: Adoption::Refuse,
            conditions: true,
        }
    }
}
