//! What metadata watches say about related objects: enough to answer "is it there, and which version" without a request.
//!
//! Related kinds are watched as metadata only, so no Secret's data is ever in memory between two steps. There may be many
//! more of them than orders, so a row is small and packed: what an object is called, its uid, version, finalizers and
//! deletion; of a workspace's namespaces also their labels, which may select orders. Of objects that carry marks of this
//! agent the marks are kept too, for they say what the object was made of, and the entry of this agent in `managedFields`,
//! which says whether somebody took a field. Nothing else is kept: whoever needs other labels finds them in the event, or
//! asks for the object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::numbered::Numbered;
use super::pack::{Words, number, numbers, plant, raw, raws, root};
use super::sorted::Sorted;
use crate::definition::Kind;
use crate::names;
use crate::object;
use crate::plan::{Key, Known, Member, ObjectRef, Place, Query, Sight};

/// Where a watch looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// The service cluster.
    Service,
    /// All workspaces of an endpoint, by its URL.
    Endpoint(Arc<str>),
}

/// Who owns which field, and by what a taken object was found, packed; the same for many objects.
type Fields = Numbered<[u8]>;

/// All sheets, one per kind and source.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    words: Words,
    fields: Fields,
    sheets: BTreeMap<(Source, Kind), Sheet>,
}

/// What is known of the objects of one kind in one source.
#[derive(Debug, Default)]
struct Sheet {
    synced: bool,
    listing: bool,
    /// Which list is read, or was read last.
    round: u8,
    /// What is kept of each object, by what it is called.
    rows: Sorted,
}

impl Sheet {
    /// Whether it tells of everything that there is.
    fn is_complete(&self) -> bool {
        self.synced && !self.listing
    }

    fn row<'a>(&'a self, called: &'a [u8]) -> Option<Row<'a>> {
        let kept = self.rows.get(called)?;
        Some(Row { called, kept })
    }

    fn all(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.all().map(Row::of)
    }

    /// What a query may be about, without a look at the rows of other places and namespaces.
    fn within(&self, query: &Query) -> impl Iterator<Item = Row<'_>> {
        let namespace = Some(&query.namespace).filter(|it| !it.is_empty());
        let start = begin(&query.place, namespace.map(String::as_str));
        self.rows.beginning(start).map(Row::of)
    }
}

/// How what objects of a place, or of one of its namespaces, are called begins.
fn begin(place: &Place, namespace: Option<&str>) -> Vec<u8> {
    let cluster = match place {
        Place::Workspace(cluster) => cluster.as_str(),
        Place::Service => "",
    };
    let mut out = Vec::new();
    for text in [Some(cluster), namespace].into_iter().flatten() {
        raw(text, &mut out);
    }
    out
}

/// What an object is called within its sheet.
fn called(at: &ObjectRef) -> Vec<u8> {
    let mut out = begin(&at.place, Some(&at.namespace));
    raw(&at.name, &mut out);
    out
}

/// Reads what an object is called.
fn texts(mut called: &[u8]) -> [&str; 3] {
    [(); 3].map(|()| raws(&mut called).expect("it says what the object is called"))
}

/// Packs what is kept of an object: the round that told of it, the number of its fields plus one, and its outline. What is
/// the same for many objects is shared.
fn pack(
    round: u8,
    called: &[u8],
    mut outline: Value,
    words: &Words,
    fields: &mut Fields,
) -> Vec<u8> {
    let mut kept = vec![round];
    let shared = share(&mut outline).map(|shared| {
        let mut packed = Vec::new();
        plant(&shared, words, &[], &mut packed);
        u64::from(fields.take(&packed[..])) + 1
    });
    number(shared.unwrap_or_default(), &mut kept);
    plant(&outline, words, &texts(called), &mut kept);
    kept
}

/// The number of the fields that something kept shares.
fn shares(kept: &[u8]) -> Option<u32> {
    let number = numbers(&mut &kept[1..])
        .unwrap_or_default()
        .checked_sub(1)?;
    u32::try_from(number).ok()
}

/// Lets go of what it shares.
fn let_go(kept: &[u8], fields: &mut Fields) {
    if let Some(number) = shares(kept) {
        fields.give_back(number);
    }
}

/// One object: what it is called, and what is kept of it.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    called: &'a [u8],
    kept: &'a [u8],
}

impl<'a> Row<'a> {
    fn of((called, kept): (&'a [u8], &'a [u8])) -> Self {
        Self { called, kept }
    }

    fn round(self) -> u8 {
        self.kept[0]
    }

    fn outline(self, words: &Words, fields: &Fields) -> Value {
        let mut rest = &self.kept[1..];
        numbers(&mut rest);
        let read = |mut bytes: &[u8], near: &[&str]| {
            root(&mut bytes, words, near).expect("what was packed can be unpacked")
        };
        let mut outline = read(rest, &texts(self.called));
        if let Some(number) = shares(self.kept) {
            unite(&mut outline, read(fields.of(number), &[]));
        }
        outline
    }

    fn object(self, source: &Source, kind: &Kind) -> ObjectRef {
        let [cluster, namespace, name] = texts(self.called);
        ObjectRef {
            place: match source {
                Source::Service => Place::Service,
                Source::Endpoint(_) => Place::Workspace(cluster.to_owned()),
            },
            kind: kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Where a walk through many rows goes on, and how many it looks at before others have their turn.
pub(crate) type Bookmark = (Kind, Vec<u8>);
const STRETCH: usize = 1000;

/// The part of an outline that says who owns which field.
const FIELDS: &str = "managedFields";

/// Takes out of an outline what is the same for many objects: who owns which field, by which field of an order a taken
/// object was found, and of which publication that order is.
fn share(outline: &mut Value) -> Option<Value> {
    let owned = outline.as_object_mut()?.remove(FIELDS);
    let mut by = None;
    let mut publication = None;
    if let Some(Value::Object(marks)) = outline.get_mut("annotations") {
        by = marks.remove(names::FOUND_BY);
        if let Some(found_for) = marks.get_mut(names::FOUND_FOR)
            && let Some((of, order)) = found_for.as_str().and_then(|it| it.split_once('/'))
        {
            publication = Some(Value::from(of));
            *found_for = order.split('/').collect();
        }
    }
    let shared = [owned, by, publication];
    let some = shared.iter().any(Option::is_some);
    some.then(|| shared.into_iter().map(Option::unwrap_or_default).collect())
}

/// Puts back what [`share`] took out.
fn unite(outline: &mut Value, mut shared: Value) {
    let [owned, by, publication] = [0, 1, 2].map(|at| shared[at].take());
    if !owned.is_null() {
        outline[FIELDS] = owned;
    }
    if !by.is_null() {
        outline["annotations"][names::FOUND_BY] = by;
    }
    if let Some(of) = publication.as_str() {
        let found_for = &mut outline["annotations"][names::FOUND_FOR];
        let parts = found_for.as_array().into_iter().flatten();
        let parts: Vec<&str> = [of]
            .into_iter()
            .chain(parts.filter_map(Value::as_str))
            .collect();
        *found_for = parts.join("/").into();
    }
}

/// What is kept of an object: its metadata, without its name.
fn outline(at: &ObjectRef, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let marks = |map: &Value| -> Map<String, Value> {
        let map = map.as_object().into_iter().flatten();
        map.filter(|(key, _)| key.starts_with(names::PREFIX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut kept = json!({"uid": object::uid(object), "resourceVersion": object::version(object)});
    if metadata["deletionTimestamp"].is_string() {
        kept["deletionTimestamp"] = metadata["deletionTimestamp"].clone();
    }
    let finalizers = object::finalizers(object);
    if !finalizers.is_empty() {
        kept["finalizers"] = finalizers.into();
    }
    let (labels, annotations) = (marks(&metadata["labels"]), marks(&metadata["annotations"]));
    if at.kind.kind == "Namespace" && at.place != Place::Service {
        if metadata["labels"].is_object() {
            kept["labels"] = metadata["labels"].clone();
        }
        return kept;
    }
    if labels.is_empty() && annotations.is_empty() {
        return kept;
    }
    kept["labels"] = labels.into();
    kept["annotations"] = annotations.into();
    let entries = metadata[FIELDS].as_array();
    let ours = |entry: &&Value| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        manager.starts_with(names::MANAGER)
    };
    let ours = entries.into_iter().flatten().filter(ours).map(|entry| {
        let parts = ["manager", "operation", "subresource", "fieldsV1"];
        let parts = parts.iter().filter_map(|it| Some((*it, entry.get(it)?)));
        parts
            .map(|(key, it)| (key.to_owned(), it.clone()))
            .collect()
    });
    if entries.is_some() {
        kept[FIELDS] = Value::Array(ours.map(Value::Object).collect());
    }
    kept
}

impl Ledger {
    /// A list begins.
    pub(crate) fn listing(&mut self, source: &Source, kind: &Kind) {
        let sheet = self.sheet(source, kind);
        sheet.listing = true;
        sheet.round = sheet.round.wrapping_add(1);
    }

    /// A list is complete; returns what is no longer there.
    pub(crate) fn listed(&mut self, source: &Source, kind: &Kind) -> Vec<ObjectRef> {
        let sheet = self.sheets.entry((source.clone(), kind.clone()));
        let sheet = sheet.or_default();
        sheet.synced = true;
        if !std::mem::take(&mut sheet.listing) {
            return Vec::new();
        }
        let old = sheet.all().filter(|row| row.round() != sheet.round);
        let old: Vec<_> = old.map(|row| row.called.to_vec()).collect();
        for called in &old {
            if let Some(kept) = sheet.rows.remove(called) {
                let_go(&kept, &mut self.fields);
            }
        }
        let object = |called: &Vec<u8>| Row { called, kept: &[] }.object(source, kind);
        let mut gone: Vec<_> = old.iter().map(object).collect();
        gone.sort();
        gone
    }

    /// An object is there; says whether that is news.
    pub(crate) fn there(&mut self, source: &Source, at: &ObjectRef, object: &Value) -> bool {
        self.words.learn(object);
        let sheet = self.sheets.entry((source.clone(), at.kind.clone()));
        let sheet = sheet.or_default();
        let called = called(at);
        let outline = outline(at, object);
        let kept = pack(sheet.round, &called, outline, &self.words, &mut self.fields);
        let Some(before) = sheet.rows.put(&called, &kept) else {
            return true;
        };
        let row = Row::of((&called, &before));
        let known = row.outline(&self.words, &self.fields);
        let_go(&before, &mut self.fields);
        known["resourceVersion"] != object::version(object)
    }

    /// An object left the watch.
    pub(crate) fn left(&mut self, source: &Source, at: &ObjectRef) {
        if let Some(kept) = self.sheet(source, &at.kind).rows.remove(&called(at)) {
            let_go(&kept, &mut self.fields);
        }
    }

    /// Drops what was told of one kind, given as `plural.group`: nobody listens any more.
    pub(crate) fn forget_resource(&mut self, source: &Source, resource: &str) {
        self.forget_sheets(|(at, kind)| at == source && names::resource(kind) == resource);
    }

    /// Drops what an endpoint told. It says nothing about the objects.
    pub(crate) fn forget(&mut self, source: &Source) {
        self.forget_sheets(|(at, _)| at == source);
    }

    fn forget_sheets(&mut self, which: impl Fn(&(Source, Kind)) -> bool) {
        for (_, sheet) in self.sheets.extract_if(.., |at, _| which(at)) {
            let rows = sheet.all();
            rows.for_each(|row| let_go(row.kept, &mut self.fields));
        }
    }

    /// What a selection answers; `None` when the watch cannot tell: of the labels it keeps only those of objects with our
    /// marks, so it tells of selections that demand one.
    pub(crate) fn select(&self, source: &Source, query: &Query) -> Option<Vec<(Member, Value)>> {
        if !query.labels.demands(names::AGENT) {
            return None;
        }
        let sheet = self.sheets.get(&(source.clone(), query.kind.clone()))?;
        if !sheet.is_complete() {
            return None;
        }
        let found = sheet.within(query).filter_map(|row| {
            let at = row.object(source, &query.kind);
            if !query.covers(&at) {
                return None;
            }
            let object = self.show(row, &at);
            let selected = query.labels.select(&object);
            selected.then(|| (Member::of(&at), object))
        });
        Some(found.collect())
    }

    /// Every object of a workspace that carries a finalizer, as far as complete lists show.
    pub(crate) fn held(&self, finalizer: &str) -> Vec<(Source, ObjectRef, Value)> {
        let mut held = Vec::new();
        for ((source, kind), sheet) in &self.sheets {
            if *source == Source::Service || !sheet.is_complete() {
                continue;
            }
            for row in sheet.all() {
                let at = row.object(source, kind);
                let object = self.show(row, &at);
                if object::finalizers(&object).iter().any(|it| it == finalizer) {
                    held.push((source.clone(), at, object));
                }
            }
        }
        held
    }

    /// The orders for which taken copies on the service cluster say that they were brought down, as far as complete lists
    /// show: of a stretch of all that there are, from a bookmark on, and where the next one begins.
    pub(crate) fn taken_for(&self, from: Option<&Bookmark>) -> (BTreeSet<Key>, Option<Bookmark>) {
        let (mut keys, mut looked) = (BTreeSet::new(), 0);
        for ((source, kind), sheet) in &self.sheets {
            let start = match from {
                Some((at, _)) if kind < at => continue,
                Some((at, called)) if kind == at => &called[..],
                _ => &[],
            };
            if *source != Source::Service || !sheet.is_complete() {
                continue;
            }
            for row in sheet.rows.from(start.to_vec()).map(Row::of) {
                if looked == STRETCH {
                    return (keys, Some((kind.clone(), row.called.to_vec())));
                }
                looked += 1;
                if shares(row.kept).is_none() {
                    continue;
                }
                let object = json!({"metadata": row.outline(&self.words, &self.fields)});
                if object::annotation(&object, names::RELATED_UID).is_some()
                    && let Some(text) = object::annotation(&object, names::FOUND_FOR)
                {
                    keys.extend(Key::parse(text));
                }
            }
        }
        (keys, None)
    }

    /// A row as an object, with what it is called. Unless it is a consumer's namespace, most of its labels are not kept.
    fn show(&self, row: Row<'_>, at: &ObjectRef) -> Value {
        let mut metadata = row.outline(&self.words, &self.fields);
        metadata["name"] = at.name.as_str().into();
        if !at.namespace.is_empty() {
            metadata["namespace"] = at.namespace.as_str().into();
        }
        if at.kind.kind == "Namespace" && at.place != Place::Service {
            json!({"metadata": metadata})
        } else {
            json!({"metadata": metadata, object::ABRIDGED: true})
        }
    }

    /// Which version of an object was told last.
    pub(crate) fn known(&self, source: &Source, at: &ObjectRef) -> Option<Known> {
        let sheet = self.sheets.get(&(source.clone(), at.kind.clone()))?;
        let called = called(at);
        let outline = sheet.row(&called)?.outline(&self.words, &self.fields);
        let text = |field: &str| outline[field].as_str().unwrap_or_default().to_owned();
        Some(Known {
            uid: text("uid"),
            version: text("resourceVersion"),
        })
    }

    /// What is known of an object; `None` when the watch cannot tell.
    pub(crate) fn answer(&self, source: &Source, at: &ObjectRef) -> Option<Sight> {
        let sheet = self.sheets.get(&(source.clone(), at.kind.clone()))?;
        match sheet.row(&called(at)) {
            Some(row) => Some(Sight::Outline(self.show(row, at))),
            None if sheet.is_complete() => Some(Sight::Absent),
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
    use crate::controller::sorted::tests::read;
    use crate::definition::Scope;
    use crate::object::labels::Labels;

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
        assert!(ledger.there(&source, &at, &object("a", "2")));
        ledger.listing(&source, &kind());
        assert_eq!(ledger.listed(&source, &kind()), [at]);
    }

    #[test]
    fn what_many_rows_share_comes_back_as_it_was() {
        for annotations in [
            json!({names::FOUND_FOR: "things.example.io/1abc/default/a", names::FOUND_BY: "spec.second"}),
            json!({names::FOUND_FOR: "things.example.io/1abc//a", names::RELATED_VERSION: "7"}),
            json!({names::FOUND_FOR: "somebody's own", names::FOUND_BY: ""}),
            json!({names::FOUND_FOR: "a/"}),
        ] {
            for owned in [None, Some(json!([{"manager": "syncagent:things"}]))] {
                let mut outline = json!({"uid": "u", "annotations": annotations});
                if let Some(owned) = owned {
                    outline[FIELDS] = owned;
                }
                let (mut rest, before) = (outline.clone(), outline);
                if let Some(shared) = share(&mut rest) {
                    unite(&mut rest, shared);
                }
                assert_eq!(rest, before);
            }
        }
    }

    #[test]
    fn our_marks_are_kept_and_nobody_elses() {
        let mut ledger = Ledger::default();
        let (source, at) = (Source::Service, ObjectRef::service_namespace("a"));
        let mut marked = object("a", "1");
        marked["metadata"]["annotations"] = json!({names::RELATED_VERSION: "7", "note": "private"});
        marked["metadata"]["labels"] = json!({names::AGENT: "things", "color": "red"});
        marked["metadata"]["managedFields"] = json!([
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {}}},
            {"manager": "syncagent:things", "operation": "Apply", "time": "2026-11-22T19:06:46Z",
                "fieldsV1": {"f:data": {"f:password": {}}}},
        ]);
        ledger.there(&source, &at, &marked);
        let shown = json!({object::ABRIDGED: true, "metadata": {"name": "a", "uid": "u", "resourceVersion": "1",
            "labels": {names::AGENT: "things"}, "annotations": {names::RELATED_VERSION: "7"},
            "managedFields": [{"manager": "syncagent:things", "operation": "Apply",
                "fieldsV1": {"f:data": {"f:password": {}}}}]}});
        assert_eq!(ledger.answer(&source, &at), Some(Sight::Outline(shown)));
        // Who owns which field is kept once for all, and no longer than anybody has it.
        let other = ObjectRef::service_namespace("b");
        marked["metadata"]["name"] = json!("b");
        ledger.there(&source, &other, &marked);
        ledger.there(&source, &other, &marked);
        assert_eq!(ledger.fields.len(), 1);
        ledger.left(&source, &at);
        assert_eq!(ledger.fields.len(), 1);
        ledger.forget(&source);
        assert_eq!(ledger.fields.len(), 0);
    }

    #[test]
    fn the_labels_of_a_consumers_namespace_are_kept() {
        let mut ledger = Ledger::default();
        let source = Source::Endpoint("https://kcp".into());
        let at = ObjectRef {
            place: Place::Workspace("1abc".to_owned()),
            ..ObjectRef::service_namespace("a")
        };
        ledger.there(&source, &at, &object("a", "1"));
        let Some(Sight::Outline(shown)) = ledger.answer(&source, &at) else {
            panic!("it is there");
        };
        assert_eq!(shown["metadata"]["labels"], json!({"color": "red"}));
    }

    #[test]
    fn a_second_list_finds_what_is_gone_in_every_workspace() {
        let mut ledger = Ledger::default();
        let source = Source::Endpoint("https://kcp".into());
        let at = |cluster: &str, name: &str| ObjectRef {
            place: Place::Workspace(cluster.to_owned()),
            ..ObjectRef::service_namespace(name)
        };
        let all = [at("1", "a"), at("1", "b"), at("2", "a"), at("2", "b")];
        ledger.listing(&source, &kind());
        for at in &all {
            ledger.there(&source, at, &object(&at.name, "1"));
        }
        assert!(ledger.listed(&source, &kind()).is_empty());
        ledger.listing(&source, &kind());
        assert!(!ledger.there(&source, &all[1], &object("b", "1")));
        assert!(ledger.there(&source, &all[2], &object("a", "2")));
        let gone = ledger.listed(&source, &kind());
        assert_eq!(gone, [all[0].clone(), all[3].clone()]);
        ledger.left(&source, &all[1]);
        assert_eq!(ledger.answer(&source, &all[1]), Some(Sight::Absent));
        assert!(matches!(
            ledger.answer(&source, &all[2]),
            Some(Sight::Outline(_))
        ));
    }

    /// A ledger with so many taken Secrets, each in a namespace of its own, and for an order of its own.
    fn many(number: usize) -> (Ledger, Kind) {
        let mut ledger = Ledger::default();
        let secret = Kind {
            kind: "Secret".into(),
            plural: "secrets".into(),
            scope: Scope::Namespaced,
            ..kind()
        };
        ledger.listing(&Source::Service, &secret);
        for at in 0..number {
            let at = ObjectRef {
                kind: secret.clone(),
                namespace: format!("ns-{at}"),
                ..ObjectRef::service_namespace("pw")
            };
            let mut object = object("pw", "1");
            object["metadata"]["labels"] = json!({names::AGENT: "things"});
            object["metadata"]["annotations"] = json!({names::RELATED_UID: "u",
                names::FOUND_FOR: format!("things.example.io/1abc/{}/a", at.namespace)});
            ledger.there(&Source::Service, &at, &object);
        }
        ledger.listed(&Source::Service, &secret);
        (ledger, secret)
    }

    #[test]
    fn a_selection_in_a_namespace_reads_no_other_however_many_there_are() {
        let reads = [100, 10_000].map(|number| {
            let (ledger, kind) = many(number);
            let query = Query {
                place: Place::Service,
                kind,
                namespace: "ns-70".into(),
                labels: Labels::one(names::AGENT, "things"),
            };
            let (found, read) = read(|| ledger.select(&Source::Service, &query).unwrap());
            let members: Vec<_> = found.into_iter().map(|it| it.0).collect();
            assert_eq!(
                members,
                [Member {
                    namespace: "ns-70".into(),
                    name: "pw".into()
                }]
            );
            read
        });
        assert!(reads[1] <= reads[0] + 40, "{reads:?} rows were read");
        // One of all namespaces, and one of a workspace that has nothing, are answered likewise.
        let (ledger, kind) = many(100);
        let labels = Labels::one(names::AGENT, "things");
        let namespace = String::new();
        let mut query = Query {
            place: Place::Service,
            kind,
            namespace,
            labels,
        };
        assert_eq!(ledger.select(&Source::Service, &query).unwrap().len(), 100);
        query.namespace = "ns-7".into();
        assert_eq!(ledger.select(&Source::Service, &query).unwrap().len(), 1);
        query.namespace = "ns".into();
        assert_eq!(ledger.select(&Source::Service, &query).unwrap(), []);
    }

    #[test]
    fn a_walk_through_what_was_taken_reads_a_stretch_at_a_time_and_misses_nothing() {
        const MANY: usize = 5 * STRETCH / 2;
        let (mut ledger, secret) = many(MANY);
        let (mut keys, mut from, mut stretches) = (BTreeSet::new(), None, 0);
        loop {
            let ((found, next), read) = read(|| ledger.taken_for(from.as_ref()));
            assert!(read <= STRETCH + 100, "{read} rows were read");
            keys.extend(found);
            stretches += 1;
            let Some(next) = next else { break };
            // What the bookmark names may be gone when the walk goes on.
            let row = Row {
                called: &next.1,
                kept: &[],
            };
            ledger.left(&Source::Service, &row.object(&Source::Service, &secret));
            from = Some(next);
        }
        assert_eq!((keys.len(), stretches), (MANY - 2, 3));
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
