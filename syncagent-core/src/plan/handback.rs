//! Going back to the Go agent: what it has to remember of an order, so that it goes on where we stopped.
//!
//! It takes an order that is settled. Of each object that was brought over, the order and its related ones, the Go agent
//! remembers how its original was then; as nothing differs now, that is how it is. What was not brought over is left out,
//! and so the Go agent brings it over. This is the one place where bodies are written down, in the Secret where the Go agent
//! has them too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::record::Record;
use super::seen::{Depth, Question, Seen};
use crate::definition::Kind;
use crate::object::reference::{Key, ObjectRef};
use crate::object::{api_version, state};
use crate::publication::Publication;
use crate::related::find::Related;

/// What comes of going back.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub enum Handback {
    /// These are to be answered first.
    Asked(Vec<Question>),
    /// This is to be remembered, by key: values hold what consumers wrote, secrets included.
    Told(BTreeMap<String, String>),
}

/// Says what the Go agent has to remember of a settled order; nothing when it has no copy.
pub fn handback(publication: &Publication, key: &Key, record: &Record, seen: &Seen) -> Handback {
    let mut asking = Asking {
        seen,
        questions: Vec::new(),
    };
    let mut told = BTreeMap::new();
    let ready = record.copy.as_ref().is_some_and(|it| !it.deleting);
    if ready && !record.deleting && record.refusal.is_none() {
        let origin = publication.origin(key);
        if let Some(body) = asking.body(&origin)
            && let Some(value) = order(publication, key, record, &mut asking, body)
        {
            told.insert(data_key(&origin), value);
        }
        // Two kinds may share a key; there the order's counts.
        let taken = record.taken.iter();
        let brought = taken.filter(|it| {
            !it.dropped && !it.foreign && it.to.is_some() && it.from.is_some() && it.from == it.seen
        });
        for entry in brought {
            let rule = publication.related_rule(&entry.path);
            if let Some(value) = related(&mut asking, rule, &entry.origin, &entry.copy) {
                told.entry(data_key(&entry.origin)).or_insert(value);
            }
        }
        let returned = record.returned.iter();
        let brought = returned.filter(|it| {
            !it.dropped && !it.foreign && it.at.is_some() && !it.dirty && it.refused.is_none()
        });
        for entry in brought {
            let (Some(rule), Some(source)) = (
                publication.related_rule(&entry.id),
                entry.reads.first().filter(|it| it.known != Some(None)),
            ) else {
                continue;
            };
            let source = &source.object;
            if let Some(value) = related(&mut asking, Some(rule), source, &entry.object) {
                told.entry(data_key(source)).or_insert(value);
            }
        }
    }
    if asking.questions.is_empty() {
        Handback::Told(told)
    } else {
        Handback::Asked(asking.questions)
    }
}

/// What has to be looked at, and was not yet.
struct Asking<'a> {
    seen: &'a Seen,
    questions: Vec<Question>,
}

impl<'a> Asking<'a> {
    fn body(&mut self, object: &ObjectRef) -> Option<&'a Value> {
        let sight = self.seen.of(object);
        if sight.body().is_none() && !matches!(sight, super::Sight::Absent | super::Sight::Barred) {
            self.questions.push(Question::Look {
                object: object.clone(),
                depth: Depth::Body,
            });
        }
        sight.body()
    }
}

fn data_key(at: &ObjectRef) -> String {
    let it = at.identity();
    state::data_key(&it.cluster, &it.namespace, &it.name)
}

/// The order as it was brought over.
fn order(
    publication: &Publication,
    key: &Key,
    record: &Record,
    asking: &mut Asking<'_>,
    origin: &Value,
) -> Option<String> {
    let projection = publication.projection();
    let copy = match &record.located {
        Some(at) => (**at).clone(),
        None => super::locate::name_of(&publication.copy(key).ok()?),
    };
    let mut changed = origin.clone();
    if projection.mutates() {
        let other = match projection.reads_copy() {
            true => Some(asking.body(&publication.copy_at(&copy))?),
            false => None,
        };
        let path = record.path.as_deref();
        changed = publication
            .changed_order(key, origin, &copy, other, path)
            .ok()?;
    }
    Some(text(changed, publication.offered(), false))
}

/// A related object as it was brought over.
fn related(
    asking: &mut Asking<'_>,
    rule: Option<&Related>,
    origin: &ObjectRef,
    copy: &ObjectRef,
) -> Option<String> {
    let mut changed = asking.body(origin)?.clone();
    if let Some(rule) = rule {
        let other = match rule.mutations.reads_other() {
            true => Some(asking.body(copy)?),
            false => None,
        };
        rule.mutations.apply(&mut changed, other).ok()?;
    }
    let with_status = rule.is_none_or(|it| !it.status);
    Some(text(changed, &origin.kind, with_status))
}

/// The text of a value: under the kind that its owner knows.
fn text(mut object: Value, kind: &Kind, with_status: bool) -> String {
    object["apiVersion"] = json!(api_version(kind));
    object["kind"] = json!(kind.kind);
    state::encode(&state::stripped(&object, with_status))
}
