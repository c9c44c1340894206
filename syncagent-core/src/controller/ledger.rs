//! What metadata watches say about related objects: enough to answer "is it there, and which version" without a request.
//!
//! Related kinds are watched as metadata only, so no Secret's data is ever in memory between two steps. Objects that
//! carry marks of this agent are kept with their whole metadata, for the marks say what they were made of; of everybody
//! else's only uid, version and finalizers are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::definition::Kind;
use crate::names;
use crate::object;
use crate::plan::{ObjectRef, Place, Sight};

/// Where a watch looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// The service cluster.
    Service,
    /// All workspaces of an endpoint, by its URL.
    Endpoint(Arc<str>),
}

/// All sheets, one per kind and source.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sheets: BTreeMap<(Source, Kind), Sheet>,
}

/// What is known of the objects of one kind in one source.
#[derive(Debug, Default)]
struct Sheet {
    synced: bool,
    listing: Option<BTreeSet<ObjectRef>>,
    entries: BTreeMap<ObjectRef, Outline>,
}

/// The metadata of one object.
#[derive(Debug)]
enum Outline {
    /// One that carries our marks.
    Marked(Box<Value>),
    /// One of somebody else.
    Plain {
        uid: String,
        version: String,
        deleting: Option<String>,
        finalizers: Vec<String>,
        /// Of a consumer's namespace only: they may select orders.
        labels: Option<Box<Value>>,
    },
}

impl Outline {
    fn of(object: &Value, labelled: bool) -> Self {
        let marked = |map: &Value| {
            map.as_object()
                .is_some_and(|map| map.keys().any(|key| key.starts_with(names::PREFIX)))
        };
        let metadata = &object["metadata"];
        if marked(&metadata["labels"]) || marked(&metadata["annotations"]) {
            return Self::Marked(Box::new(object.clone()));
        }
        Self::Plain {
            uid: object::uid(object).to_owned(),
            version: object::version(object).to_owned(),
            deleting: metadata["deletionTimestamp"].as_str().map(str::to_owned),
            finalizers: object::finalizers(object),
            labels: (labelled && metadata["labels"].is_object())
                .then(|| Box::new(metadata["labels"].clone())),
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Marked(object) => object::version(object),
            Self::Plain { version, .. } => version,
        }
    }

    fn show(&self, at: &ObjectRef) -> Value {
        match self {
            Self::Marked(object) => (**object).clone(),
            Self::Plain {
                uid,
                version,
                deleting,
                finalizers,
                labels,
            } => {
                let mut metadata = json!({"name": at.name, "uid": uid, "resourceVersion": version});
                if !at.namespace.is_empty() {
                    metadata["namespace"] = at.namespace.as_str().into();
                }
                if let Some(labels) = labels {
                    metadata["labels"] = (**labels).clone();
                }
                if let Some(time) = deleting {
                    metadata["deletionTimestamp"] = time.as_str().into();
                }
                if !finalizers.is_empty() {
                    metadata["finalizers"] = finalizers.clone().into();
                }
                json!({"metadata": metadata})
            }
        }
    }
}

impl Ledger {
    /// A list begins.
    pub(crate) fn listing(&mut self, source: &Source, kind: &Kind) {
        self.sheet(source, kind).listing = Some(BTreeSet::new());
    }

    /// A list is complete; returns what is no longer there.
    pub(crate) fn listed(&mut self, source: &Source, kind: &Kind) -> Vec<ObjectRef> {
        let sheet = self.sheet(source, kind);
        sheet.synced = true;
        let Some(seen) = sheet.listing.take() else {
            return Vec::new();
        };
        let gone: Vec<_> = sheet
            .entries
            .keys()
            .filter(|at| !seen.contains(*at))
            .cloned()
            .collect();
        for at in &gone {
            sheet.entries.remove(at);
        }
        gone
    }

    /// An object is there; says whether that is news.
    pub(crate) fn there(&mut self, source: &Source, at: &ObjectRef, object: &Value) -> bool {
        let sheet = self.sheet(source, &at.kind);
        if let Some(listing) = &mut sheet.listing {
            listing.insert(at.clone());
        }
        let labelled = at.kind.kind == "Namespace" && at.place != Place::Service;
        let outline = Outline::of(object, labelled);
        let news = sheet
            .entries
            .get(at)
            .is_none_or(|known| known.version() != outline.version());
        sheet.entries.insert(at.clone(), outline);
        news
    }

    /// An object left the watch.
    pub(crate) fn left(&mut self, source: &Source, at: &ObjectRef) {
        self.sheet(source, &at.kind).entries.remove(at);
    }

    /// Drops what was told of one kind, given as `plural.group`: nobody listens any more.
    pub(crate) fn forget_resource(&mut self, source: &Source, resource: &str) {
        self.sheets
            .retain(|(at, kind), _| at != source || names::resource(kind) != resource);
    }

    /// Drops what an endpoint told. It says nothing about the objects.
    pub(crate) fn forget(&mut self, source: &Source) {
        self.sheets.retain(|(at, _), _| at != source);
    }

    /// What is known of an object; `None` when the watch cannot tell.
    pub(crate) fn answer(&self, source: &Source, at: &ObjectRef) -> Option<Sight> {
        let sheet = self.sheets.get(&(source.clone(), at.kind.clone()))?;
        match sheet.entries.get(at) {
            Some(outline) => Some(Sight::Outline(outline.show(at))),
            None if sheet.synced && sheet.listing.is_none() => Some(Sight::Absent),
            None => None,
        }
    }

    fn sheet(&mut self, source: &Source, kind: &Kind) -> &mut Sheet {
        self.sheets
            .entry((source.clone(), kind.clone()))
            .or_default()
    }
}

/// Which object a watch told about.
pub(crate) fn place_of(source: &Source, kind: &Kind, told: &Value) -> Option<ObjectRef> {
    let place = match source {
        Source::Service => Place::Service,
        Source::Endpoint(_) => {
            Place::Workspace(object::annotation(told, "kcp.io/cluster")?.to_owned())
        }
    };
    Some(ObjectRef {
        place,
        kind: kind.clone(),
        namespace: object::meta(told, "namespace").to_owned(),
        name: object::meta(told, "name").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        ObjectRef::service_namespace("x").kind
    }

    fn object(name: &str, version: &str) -> Value {
        json!({"metadata": {"name": name, "uid": "u", "resourceVersion": version,
            "labels": {"color": "red"}, "managedFields": [{}]}})
    }

    #[test]
    fn only_a_complete_list_says_that_something_is_absent() {
        let mut ledger = Ledger::default();
        let (source, at) = (Source::Service, ObjectRef::service_namespace("a"));
        assert_eq!(ledger.answer(&source, &at), None);
        ledger.listing(&source, &kind());
        assert_eq!(ledger.answer(&source, &at), None);
        assert!(ledger.listed(&source, &kind()).is_empty());
        assert_eq!(ledger.answer(&source, &at), Some(Sight::Absent));
        assert!(ledger.there(&source, &at, &object("a", "1")));
        assert!(!ledger.there(&source, &at, &object("a", "1")));
        let Some(Sight::Outline(shown)) = ledger.answer(&source, &at) else {
            panic!("it is there");
        };
        // What nobody needs is not kept.
        assert_eq!(
            shown["metadata"],
            json!({"name": "a", "uid": "u", "resourceVersion": "1"})
        );
        ledger.listing(&source, &kind());
        assert_eq!(ledger.listed(&source, &kind()), [at]);
    }

    #[test]
    fn our_marks_are_kept() {
        let mut ledger = Ledger::default();
        let (source, at) = (Source::Service, ObjectRef::service_namespace("a"));
        let mut marked = object("a", "1");
        marked["metadata"]["annotations"] = json!({names::RELATED_VERSION: "7"});
        ledger.there(&source, &at, &marked);
        assert_eq!(ledger.answer(&source, &at), Some(Sight::Outline(marked)));
    }

    #[test]
    fn workspaces_are_told_apart() {
        let source = Source::Endpoint("https://kcp".into());
        let told = json!({"metadata": {"name": "a", "annotations": {"kcp.io/cluster": "1abc"}}});
        let at = place_of(&source, &kind(), &told).unwrap();
        assert_eq!(at.place, Place::Workspace("1abc".to_owned()));
        assert_eq!(place_of(&source, &kind(), &object("a", "1")), None);
    }
}
