//! Finding: from an order and its copy to the related objects of a rule, and to what their copies are called.
//!
//! It goes in two strides. The **seed** is what the two bodies say: names, or labels to select by. It is small and
//! remembered, so that an event of a related object needs no body. The **pairs** follow from the seed and from what the
//! selections answered. Templates are rendered from the rule as it was compiled, for each order anew: nothing of one order
//! ever reaches another.

mod reference;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{Cleanup, Drift, Kind, Pass, Rewrite, Scope, Side};
use crate::mutation::{Pattern, Pipeline};
use crate::names;
use crate::naming::CopyName;
use crate::object::fingerprint::Fingerprint;
use crate::object::identity::Identity;
use crate::object::labels::{Demand, Labels};
use crate::object::reference::{ObjectRef, Place};
use crate::object::selection::{Member, Query};
use crate::projection::Marks;

pub use reference::Reference;
use text::Look;
pub use text::Text;

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
    /// The labels and annotations that a copy has of its original.
    pub pass: Pass,
    /// Which keys of `data` cross; empty means all.
    pub keys: Vec<String>,
    /// What is changed on the way.
    pub mutations: Pipeline,
    /// When the copies go.
    pub cleanup: Cleanup,
    /// Whether the status crosses too.
    pub status: bool,
    /// What happens when somebody changes a copy.
    pub drift: Drift,
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
    Reference(Reference, Option<Rewriting>),
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
    /// The path of its workspace; empty where it is not known.
    pub path: &'a str,
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

/// What is known of an object that was found and is renamed by what it says.
#[derive(Clone, Debug)]
pub enum Glimpse<'a> {
    /// What its copy is called: it was looked at before.
    Called(String),
    /// The object.
    There(&'a Value),
    /// It is not there.
    Gone,
    /// It must be looked at first.
    Asked,
}

/// What crosses of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crossing {
    /// Its content.
    pub content: Map<String, Value>,
    /// Its labels and annotations.
    pub(crate) marks: Marks,
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
    /// What of an object crosses; `copy` is its copy, which mutations may look at.
    ///
    /// # Errors
    ///
    /// When it cannot be changed as declared: a sentence for the consumer.
    pub fn crossing(&self, object: &Value, copy: &Value) -> Result<Crossing, String> {
        let mut object = object.clone();
        let before = object["metadata"].clone();
        if let Err(stop) = self.mutations.apply(&mut object, Some(copy)) {
            let kind = &self.kind.kind;
            return Err(match stop.said {
                Some(said) => format!("a {kind} cannot be brought over: {said}"),
                None => format!("a {kind} cannot be brought over as the service wants it"),
            });
        }
        let mut content = super::content(&object);
        super::keep_keys(&mut content, &self.keys);
        let marks = Marks::crossing(&self.pass, &before, &object["metadata"]);
        Ok(Crossing { content, marks })
    }

    /// Whether a change of a copy is set right.
    #[must_use]
    pub fn corrects(&self) -> bool {
        self.drift == Drift::Correct
    }

    /// Every text of the rule, and for which side it is made.
    fn texts(&self) -> impl Iterator<Item = (&Text, Side)> {
        let searches = self.namespaces.iter().chain([&self.objects]);
        searches.flat_map(|search| {
            let (here, there) = (self.origin, self.origin.other());
            let mut texts = Vec::new();
            match &search.by {
                By::Named(text) => {
                    texts.push((text, here));
                    if matches!(search.called, Called::Mirrored) {
                        texts.push((text, there));
                    }
                }
                By::Labels(labels, _) => {
                    let labels = labels.iter().flat_map(|(key, value)| [key, value]);
                    texts.extend(labels.map(|it| (it, here)));
                }
                By::Reference(..) => {}
            }
            if let Called::Text(text) = &search.called {
                texts.push((text, there));
            }
            texts
        })
    }

    /// Every path that is followed on one side.
    fn references(&self, side: Side) -> impl Iterator<Item = &Reference> {
        let searches = self.namespaces.iter().chain([&self.objects]);
        searches.filter_map(move |search| match &search.by {
            By::Reference(path, _)
                if side == self.origin || matches!(search.called, Called::Mirrored) =>
            {
                Some(path)
            }
            _ => None,
        })
    }

    /// Which bodies say where to look.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let reads = |side| {
            self.references(side).next().is_some()
                || self
                    .texts()
                    .any(|(text, of)| text.look(of, side) != Look::Nothing)
        };
        Reads {
            order: reads(Side::Workspace),
            copy: reads(Side::Service),
        }
    }

    /// Whether it follows from the copy as it stands, and not only from what the copy is asked to be.
    #[must_use]
    pub fn wants_copy(&self) -> bool {
        let side = Side::Service;
        self.origin == side
            || self.references(side).any(Reference::is_beyond_intent)
            || self
                .texts()
                .any(|(text, of)| text.look(of, side).is_beyond_intent())
    }

    /// Whether what copies are called follows from what the found objects say.
    #[must_use]
    pub fn reads_found(&self) -> bool {
        matches!(&self.objects.called, Called::Text(text) if text.reads_found())
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

    /// A fingerprint of what the body on one side says about where to look.
    #[must_use]
    pub fn print(&self, side: Side, body: &Value) -> Fingerprint {
        let mut read: Vec<Value> = self.references(side).map(|it| it.read(body)).collect();
        for (text, of) in self.texts() {
            match text.look(of, side) {
                Look::Nothing => {}
                #[cfg(feature = "mutations")]
                Look::At(paths) => read.extend(paths.iter().map(|path| {
                    let found = path.iter().try_fold(body, |value, field| value.get(field));
                    found.cloned().unwrap_or_default()
                })),
                Look::All => {
                    let mut body = body.clone();
                    if let Some(metadata) = body["metadata"].as_object_mut() {
                        let kept = ["name", "namespace", "labels", "annotations"];
                        metadata.retain(|key, _| kept.contains(&key.as_str()));
                    }
                    read.push(body);
                }
            }
        }
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
                    let values = view.body(side).map(|it| path.texts(it));
                    let values = values.unwrap_or_default().into_iter();
                    values
                        .map(|value| match rewriting {
                            Some(rewriting) => rewriting.apply(&value),
                            None => value,
                        })
                        .collect()
                }
                By::Named(text) => vec![text.make(view, side, None)?],
                By::Labels(..) => Vec::new(),
            })
        };
        if let By::Labels(labels, more) = &search.by {
            let mut demands = more.clone();
            for (key, value) in labels {
                let key = key.make(view, self.origin, None)?;
                if !key.is_empty() {
                    let value = value.make(view, self.origin, None)?;
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
            Called::Text(text) if text.is_made() && !text.reads_found() => own
                .iter()
                .map(|found| {
                    let found = text::Found::named(found, "");
                    text.make(view, self.origin.other(), Some(found)).map(Some)
                })
                .collect::<Result<_, _>>()?,
            _ => own.iter().map(|_| None).collect(),
        };
        let mut names: Vec<_> = own.into_iter().zip(called).collect();
        names.retain(|(found, called)| !found.is_empty() && called.as_deref() != Some(""));
        // Of what is named twice the last one counts.
        let mut at = 0;
        while at < names.len() {
            if names[at + 1..].iter().any(|it| it.0 == names[at].0) {
                names.remove(at);
            } else {
                at += 1;
            }
        }
        Ok(Wanted::Names(names))
    }

    /// The objects with their copies; `ask` answers a selection, or takes note that it must be asked, and `object` does so
    /// for an object whose name follows from what it says.
    ///
    /// # Errors
    ///
    /// When an answer or a body is missing. Every selection that can be asked by then was asked.
    pub fn pairs<'a>(
        &self,
        view: &View<'_>,
        seed: &Seed,
        ask: &mut dyn FnMut(Query) -> Option<Vec<Member>>,
        object: &mut dyn FnMut(&ObjectRef) -> Glimpse<'a>,
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
                    let found = text::Found::named(&name, "");
                    let to = self.called(search, view, found, given, beside)?;
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
                let origin = ObjectRef {
                    place: view.place(self.origin),
                    kind: self.kind.clone(),
                    namespace: from.clone(),
                    name: name.clone(),
                };
                let mut seen = text::Found::named(&name, &from);
                let mut given = given;
                if given.is_none() && self.reads_found() {
                    match object(&origin) {
                        Glimpse::Called(called) => given = Some(called),
                        Glimpse::There(body) => seen.object = Some(body),
                        Glimpse::Gone => continue,
                        Glimpse::Asked => {
                            missing = Some(Missing::Answer);
                            continue;
                        }
                    }
                }
                let called = self.called(&self.objects, view, seen, given, "")?;
                let fine = names::is_subdomain(&called)
                    && (to.is_empty() || names::is_dns_label(&to))
                    && (selected || names::is_subdomain(&name))
                    && (to.is_empty() == (self.into.scope == Scope::Cluster));
                if !fine {
                    found.troubles.push(("Invalid", self.unfit(&name)));
                    continue;
                }
                found.pairs.push(Pair {
                    origin,
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
        found: text::Found<'_>,
        given: Option<String>,
        beside: &str,
    ) -> Result<String, Missing> {
        Ok(match (&search.called, given) {
            (_, Some(given)) => given,
            (Called::Beside | Called::Mirrored, None) => beside.to_owned(),
            (Called::Rewritten(rewriting), None) => rewriting.apply(found.name),
            (Called::Text(text), None) => {
                let side = self.origin.other();
                let lacks = |of, body: Option<&Value>| {
                    body.is_none() && text.look(side, of) != Look::Nothing
                };
                if lacks(Side::Workspace, view.order) || lacks(Side::Service, view.there) {
                    return Err(Missing::Bodies);
                }
                text.make(view, side, Some(found)).unwrap_or_default()
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
