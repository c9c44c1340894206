//! Finding: from an order and its copy to the related objects of a rule, and to what their copies are called.
//!
//! It goes in two strides. The **seed** is what the two bodies say: names, or labels to select by. It is small and
//! remembered, so that an event of a related object needs no body. The **pairs** follow from the seed and from what the
//! selections answered. Templates are rendered from the rule as it was compiled, for each order anew: nothing of one order
//! ever reaches another.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::definition::{Cleanup, Kind, Rewrite, Scene, Scope, Side, TextFn};
use crate::mutation::{Pattern, Pipeline};
use crate::names;
use crate::naming::{CopyName, Words};
use crate::object::fingerprint::Fingerprint;
use crate::object::fingerprint::sha1_hex;
use crate::object::identity::Identity;
use crate::object::labels::{Demand, Labels};
use crate::object::path::Path;
use crate::plan::{Member, ObjectRef, Place, Query};
use crate::template::{Placeholder, Template};

/// A compiled rule of related objects that are found.
#[derive(Clone, Debug)]
pub struct Related {
    /// Its identifier.
    pub id: String,
    /// Where the objects are written.
    pub origin: Side,
    /// Their kind there.
    pub kind: Kind,
    /// The kind of their copies.
    pub into: Kind,
    /// The identity hash of the export that offers the kind in workspaces, when it is another one.
    pub identity: Option<String>,
    /// Which objects.
    pub objects: Search,
    /// In which namespaces; `None`: beside the order, or beside its copy.
    pub namespaces: Option<Search>,
    /// The labels of the copies.
    pub labels: Vec<(String, String)>,
    /// Which keys of `data` cross; empty means all.
    pub keys: Vec<String>,
    /// What is changed on the way.
    pub mutations: Pipeline,
    /// When the copies go.
    pub cleanup: Cleanup,
    /// Whether the status crosses too.
    pub status: bool,
}

/// How objects are found, and what becomes of their names.
#[derive(Clone, Debug)]
pub struct Search {
    /// How they are found.
    pub by: By,
    /// What becomes of their names.
    pub called: Called,
}

/// How objects are found.
#[derive(Clone, Debug)]
pub enum By {
    /// By a path of the primary on their side.
    Reference(Path, Option<Rewriting>),
    /// By labels: keys and values, and what else is demanded.
    Labels(Vec<(Text, Text)>, Vec<Demand>),
    /// Under one name.
    Named(Text),
}

/// What becomes of a name.
#[derive(Clone, Debug)]
pub enum Called {
    /// The namespace of the primary on the other side.
    Beside,
    /// A text.
    Text(Text),
    /// The name, rewritten.
    Rewritten(Rewriting),
    /// What the same search gives on the other side.
    Mirrored,
}

/// A compiled text.
#[derive(Clone, Debug)]
pub enum Text {
    /// A template.
    Template(Template),
    /// A function.
    With(TextFn),
}

/// A compiled rewriting.
#[derive(Clone, Debug)]
pub struct Rewriting {
    pattern: Option<Pattern>,
    replacement: String,
}

impl Rewriting {
    /// Compiles a rewriting.
    ///
    /// # Errors
    ///
    /// When the pattern is none; a sentence for the provider.
    pub fn compile(rule: &Rewrite) -> Result<Self, String> {
        let pattern = match rule.pattern.as_str() {
            "" => None,
            text => Some(Pattern::parse(text).map_err(|fault| fault.to_string())?),
        };
        Ok(Self {
            pattern,
            replacement: rule.replacement.clone(),
        })
    }

    /// The name, rewritten.
    #[must_use]
    pub fn apply(&self, name: &str) -> String {
        match &self.pattern {
            None => self.replacement.clone(),
            Some(pattern) => pattern.replace_all(name, &self.replacement),
        }
    }
}

/// An order, for finding what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Which order.
    pub identity: &'a Identity,
    /// What its copy is called.
    pub copy: &'a CopyName,
    /// The order itself, when it is in hand.
    pub order: Option<&'a Value>,
    /// Its copy, or what the copy is asked to be.
    pub there: Option<&'a Value>,
}

/// Which bodies a rule reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The order's.
    pub order: bool,
    /// The copy's.
    pub copy: bool,
}

/// What the bodies say about where to look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    namespaces: Option<Wanted>,
    objects: Option<Wanted>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Wanted {
    /// Names, and what they are called on the other side where a body says so.
    Names(Vec<(String, Option<String>)>),
    /// Whatever has these labels.
    Selected(Labels),
}

/// An object and its copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The object.
    pub origin: ObjectRef,
    /// Its copy.
    pub copy: ObjectRef,
}

/// What a rule finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The objects with their copies, in a fixed order.
    pub pairs: Vec<Pair>,
    /// What is wrong, for the consumer: a reason and a sentence.
    pub troubles: Vec<(&'static str, String)>,
}

/// Why the pairs cannot be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A selection has not answered yet.
    Answer,
    /// A function wants to see the bodies.
    Bodies,
}

impl Related {
    /// What of an object crosses.
    ///
    /// # Errors
    ///
    /// When it cannot be changed as declared: a sentence for the consumer.
    pub fn content(&self, object: &Value) -> Result<Map<String, Value>, String> {
        let mut object = object.clone();
        if let Err(stop) = self.mutations.apply(&mut object, None) {
            let kind = &self.kind.kind;
            return Err(match stop.said {
                Some(said) => format!("a {kind} cannot be brought over: {said}"),
                None => format!("a {kind} cannot be brought over as the service wants it"),
            });
        }
        let mut content = super::content(&object);
        super::keep_keys(&mut content, &self.keys);
        Ok(content)
    }

    /// Which bodies say where to look.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        let both = Reads {
            order: true,
            copy: true,
        };
        for search in self.namespaces.iter().chain([&self.objects]) {
            let mirrored = matches!(search.called, Called::Mirrored);
            match &search.by {
                By::Reference(..) => {
                    reads.order |= mirrored || self.origin == Side::Workspace;
                    reads.copy |= mirrored || self.origin == Side::Service;
                }
                By::Named(Text::With(_)) => return both,
                By::Labels(labels, _)
                    if labels
                        .iter()
                        .any(|(key, value)| key.is_made() || value.is_made()) =>
                {
                    return both;
                }
                By::Named(_) | By::Labels(..) => {}
            }
            if matches!(&search.called, Called::Text(Text::With(_))) {
                return both;
            }
        }
        reads
    }

    /// Whether what it finds is always the same, by name.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        let fixed = |it: &Search| matches!(it.by, By::Named(Text::Template(_)));
        self.reads() == Reads::default()
            && fixed(&self.objects)
            && self.namespaces.as_ref().is_none_or(fixed)
    }

    /// Whether it finds objects by their labels.
    #[must_use]
    pub fn selects(&self) -> bool {
        let selects = |it: &Search| matches!(it.by, By::Labels(..));
        selects(&self.objects) || self.namespaces.as_ref().is_some_and(selects)
    }

    /// A fingerprint of what a body says about where to look.
    #[must_use]
    pub fn print(&self, body: &Value) -> Fingerprint {
        let paths = self
            .namespaces
            .iter()
            .chain([&self.objects])
            .map(|it| match &it.by {
                By::Reference(path, _) => Some(path),
                _ => None,
            });
        let made = |it: &Search| {
            let find = match &it.by {
                By::Named(text) => text.is_made(),
                By::Labels(all, _) => all.iter().any(|(k, v)| k.is_made() || v.is_made()),
                By::Reference(..) => false,
            };
            find || matches!(&it.called, Called::Text(text) if text.is_made())
        };
        if made(&self.objects) || self.namespaces.as_ref().is_some_and(made) {
            let mut body = body.clone();
            if let Some(metadata) = body["metadata"].as_object_mut() {
                metadata.retain(|key, _| ["name", "labels", "annotations"].contains(&key.as_str()));
            }
            return Fingerprint::of(&body);
        }
        let read: Vec<Value> = paths
            .flatten()
            .map(|path| {
                path.each(body)
                    .into_iter()
                    .map(|(_, it)| it.clone())
                    .collect()
            })
            .collect();
        Fingerprint::of(&Value::Array(read))
    }

    /// What the bodies say about where to look.
    ///
    /// # Errors
    ///
    /// When a function says so, or two sides do not fit; a sentence for the consumer.
    pub fn seed(&self, view: &View<'_>) -> Result<Seed, String> {
        let namespaces = match &self.namespaces {
            Some(search) => Some(self.wanted(search, view)?),
            None => None,
        };
        Ok(Seed {
            namespaces,
            objects: Some(self.wanted(&self.objects, view)?),
        })
    }

    fn wanted(&self, search: &Search, view: &View<'_>) -> Result<Wanted, String> {
        let side = |side| -> Result<Vec<String>, String> {
            Ok(match &search.by {
                By::Reference(path, rewriting) => {
                    let values = view.body(side).map(|it| values(path, it));
                    let values = values.unwrap_or_default().into_iter();
                    values
                        .map(|value| match rewriting {
                            Some(rewriting) => rewriting.apply(&value),
                            None => value,
                        })
                        .collect()
                }
                By::Named(text) => vec![text.make(view, side, None, "")?],
                By::Labels(..) => Vec::new(),
            })
        };
        if let By::Labels(labels, more) = &search.by {
            let mut demands = more.clone();
            for (key, value) in labels {
                let key = key.make(view, self.origin, None, "")?;
                if !key.is_empty() {
                    let value = value.make(view, self.origin, None, "")?;
                    demands.push(Demand::In(key, vec![value]));
                }
            }
            // What an API server would refuse, and what demands nothing, selects nothing.
            if demands.is_empty() || demands.iter().any(|it| !it.is_valid()) {
                return Ok(Wanted::Names(Vec::new()));
            }
            return Ok(Wanted::Selected(Labels::new(demands)));
        }
        let own = side(self.origin)?;
        let called: Vec<Option<String>> = match &search.called {
            _ if own.is_empty() => Vec::new(),
            Called::Mirrored => {
                let other = side(self.origin.other())?;
                if own.len() != other.len() {
                    return Err(format!(
                        "the order names {} related {} objects, and its copy another number",
                        if self.origin == Side::Workspace {
                            own.len()
                        } else {
                            other.len()
                        },
                        self.kind.kind,
                    ));
                }
                other.into_iter().map(Some).collect()
            }
            Called::Text(text @ Text::With(_)) => own
                .iter()
                .map(|found| {
                    text.make(view, self.origin.other(), Some(found), "")
                        .map(Some)
                })
                .collect::<Result<_, _>>()?,
            _ => own.iter().map(|_| None).collect(),
        };
        let mut names: Vec<_> = own.into_iter().zip(called).collect();
        names.retain(|(found, called)| !found.is_empty() && called.as_deref() != Some(""));
        names.dedup_by(|a, b| a.0 == b.0);
        Ok(Wanted::Names(names))
    }

    /// The objects with their copies; `ask` answers a selection, or takes note that it must be asked.
    ///
    /// # Errors
    ///
    /// When an answer or a body is missing. Every selection that can be asked by then was asked.
    pub fn pairs(
        &self,
        view: &View<'_>,
        seed: &Seed,
        ask: &mut dyn FnMut(Query) -> Option<Vec<Member>>,
    ) -> Result<Found, Missing> {
        let mut found = Found::default();
        let mut missing = None;
        let namespaces = match (&self.namespaces, &seed.namespaces) {
            (Some(search), Some(wanted)) => {
                let query = |labels: &Labels| Query {
                    place: view.place(self.origin),
                    kind: ObjectRef::service_namespace("").kind,
                    namespace: String::new(),
                    labels: labels.clone(),
                };
                let beside = view.namespace(self.origin.other());
                let mut pairs = Vec::new();
                for (name, given, _) in wanted.members(query, ask)? {
                    let to = self.called(search, view, (&name, ""), given, beside)?;
                    pairs.push((name, to));
                }
                pairs
            }
            _ => vec![(
                view.namespace(self.origin).to_owned(),
                view.namespace(self.origin.other()).to_owned(),
            )],
        };
        for (from, to) in namespaces {
            let scoped = |kind: &Kind, namespace: &str| match kind.scope {
                Scope::Namespaced => namespace.to_owned(),
                Scope::Cluster => String::new(),
            };
            let (from, to) = (scoped(&self.kind, &from), scoped(&self.into, &to));
            let query = |labels: &Labels| Query {
                place: view.place(self.origin),
                kind: self.kind.clone(),
                namespace: from.clone(),
                labels: labels.clone(),
            };
            let Some(wanted) = &seed.objects else {
                continue;
            };
            let members = match wanted.members(query, ask) {
                Ok(members) => members,
                Err(why) => {
                    missing = Some(why);
                    continue;
                }
            };
            for (name, given, selected) in members {
                let called = self.called(&self.objects, view, (&name, &from), given, "")?;
                let fine = names::is_subdomain(&called)
                    && (to.is_empty() || names::is_dns_label(&to))
                    && (selected || names::is_subdomain(&name))
                    && (to.is_empty() == (self.into.scope == Scope::Cluster));
                if !fine {
                    found.troubles.push(("Invalid", self.unfit(&name)));
                    continue;
                }
                found.pairs.push(Pair {
                    origin: ObjectRef {
                        place: view.place(self.origin),
                        kind: self.kind.clone(),
                        namespace: from.clone(),
                        name,
                    },
                    copy: ObjectRef {
                        place: view.place(self.origin.other()),
                        kind: self.into.clone(),
                        namespace: to.clone(),
                        name: called,
                    },
                });
            }
        }
        if let Some(missing) = missing {
            return Err(missing);
        }
        found.pairs.sort();
        found.pairs.dedup();
        let mut kept: Vec<Pair> = Vec::new();
        for pair in std::mem::take(&mut found.pairs) {
            if kept.iter().any(|it| it.copy == pair.copy) {
                let which = self.which(&pair.origin.name);
                found.troubles.push((
                    "NameTaken",
                    format!("{which} would get the name of another one"),
                ));
            } else {
                kept.push(pair);
            }
        }
        found.pairs = kept;
        Ok(found)
    }

    fn called(
        &self,
        search: &Search,
        view: &View<'_>,
        (name, namespace): (&str, &str),
        given: Option<String>,
        beside: &str,
    ) -> Result<String, Missing> {
        Ok(match (&search.called, given) {
            (_, Some(given)) => given,
            (Called::Beside | Called::Mirrored, None) => beside.to_owned(),
            (Called::Rewritten(rewriting), None) => rewriting.apply(name),
            (Called::Text(text), None) => {
                if text.is_made() && (view.order.is_none() || view.there.is_none()) {
                    return Err(Missing::Bodies);
                }
                text.make(view, self.origin.other(), Some(name), namespace)
                    .unwrap_or_default()
            }
        })
    }

    /// An object, as a consumer may hear of it.
    fn which(&self, name: &str) -> String {
        match self.origin {
            Side::Workspace => format!("the {} {name:?}", self.kind.kind),
            Side::Service => format!("one {} of the service", self.kind.kind),
        }
    }

    fn unfit(&self, name: &str) -> String {
        match self.origin {
            Side::Workspace => format!("{name:?} cannot be the name of a {}", self.kind.kind),
            Side::Service => format!("a {} cannot be returned under its name", self.kind.kind),
        }
    }
}

impl Wanted {
    /// Names, what they are called where that was said, and whether they were selected.
    fn members(
        &self,
        query: impl Fn(&Labels) -> Query,
        ask: &mut dyn FnMut(Query) -> Option<Vec<Member>>,
    ) -> Result<Vec<(String, Option<String>, bool)>, Missing> {
        match self {
            Self::Names(names) => Ok(names
                .iter()
                .map(|(name, called)| (name.clone(), called.clone(), false))
                .collect()),
            Self::Selected(labels) => {
                let members = ask(query(labels)).ok_or(Missing::Answer)?;
                Ok(members
                    .into_iter()
                    .map(|it| (it.name, None, true))
                    .collect())
            }
        }
    }
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Workspace => Self::Service,
            Self::Service => Self::Workspace,
        }
    }
}

impl<'a> View<'a> {
    fn body(&self, side: Side) -> Option<&'a Value> {
        match side {
            Side::Workspace => self.order,
            Side::Service => self.there,
        }
    }

    fn namespace(&self, side: Side) -> &'a str {
        match side {
            Side::Workspace => &self.identity.namespace,
            Side::Service => &self.copy.namespace,
        }
    }

    fn place(&self, side: Side) -> Place {
        match side {
            Side::Workspace => Place::Workspace(self.identity.cluster.clone()),
            Side::Service => Place::Service,
        }
    }
}

impl Text {
    /// Whether a function makes it.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        matches!(self, Self::With(_))
    }

    /// Whether it is a template with the placeholder.
    #[must_use]
    pub fn has(&self, placeholder: Placeholder) -> bool {
        matches!(self, Self::Template(template) if template.has(placeholder))
    }

    fn make(
        &self,
        view: &View<'_>,
        side: Side,
        found: Option<&str>,
        namespace: &str,
    ) -> Result<String, String> {
        let template = match self {
            Self::With(make) => {
                return make.make(&Scene {
                    side,
                    cluster: &view.identity.cluster,
                    order: view.order,
                    copy: view.there,
                    found,
                });
            }
            Self::Template(template) => template,
        };
        let found = found.unwrap_or_default();
        let words = Words::of(view.identity, Some(view.copy));
        let (hash, namespace_hash) = (sha1_hex(found), sha1_hex(namespace));
        Ok(template.render(|placeholder| match placeholder {
            Placeholder::Found => found,
            Placeholder::FoundHash => &hash,
            Placeholder::FoundNamespace => namespace,
            Placeholder::FoundNamespaceHash => &namespace_hash,
            of_order => words.get(of_order),
        }))
    }
}

/// The values at a path, as texts: an array gives each of its elements.
fn values(path: &Path, body: &Value) -> Vec<String> {
    fn text(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|it| text(it, into)),
            Value::String(it) => into.push(it.trim().to_owned()),
            Value::Null => into.push(String::new()),
            other => into.push(json!(other).to_string()),
        }
    }
    let mut texts = Vec::new();
    for (_, value) in path.each(body) {
        text(value, &mut texts);
    }
    texts
}
