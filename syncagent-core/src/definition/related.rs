//! Objects that belong to an order: those that go down with it, those that come up with it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::Kind;

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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
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
