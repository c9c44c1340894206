//! What comes up into the workspace with an order: objects of the service cluster as they are, or composed ones.
//!
//! A composed object is made anew only when a part that its function looked at has another version. The parts and a
//! fingerprint of their versions stand on the object, so a restart compares metadata only.
//! What a function looks at is fetched as it is found out: a run that meets a part that is not in hand is a question.

use serde_json::{Map, Value};

use super::carry;
use super::compose::{self, learn_reads};
use super::drift;
use super::find::{self, Finding};
use super::forward;
use super::locate::name_of;
use super::make::make;
use super::record::{ReadKnown, ReturnedKnown, StatusKnown};
use super::seen::{Depth, Sight};
use super::step::Step;
use super::withdraw::{goes_with_origin, let_go, withdraw_all_but_kept};
use crate::definition::{Cleanup, Scope, Side};
use crate::names;
use crate::object::fingerprint::Fingerprint;
use crate::object::reference::{Known, ObjectRef};
use crate::object::{annotation, is_deleting, is_older, label, version};
use crate::publication::Publication;
use crate::related::find::Related;
use crate::related::{Returns, content, read_made_of};

/// How an entry is made.
#[derive(Clone, Copy)]
pub(super) enum Maker<'a> {
    /// By a rule that says what comes up.
    Rule(&'a Returns),
    /// Found, and copied.
    Found(&'a Related),
}

pub(super) fn maker<'a>(publication: &'a Publication, entry: &ReturnedKnown) -> Option<Maker<'a>> {
    let rule = publication.returns().iter().find(|it| it.id == entry.id);
    let found = || publication.related_rule(&entry.id).map(Maker::Found);
    rule.map(Maker::Rule).or_else(found)
}

pub(super) fn returned(step: &mut Step<'_>, origin: Option<&Value>, copy: Option<&Value>) {
    resolve(step);
    // Without a copy there is nothing that could come from it.
    let ready = step.record.copy.as_ref().is_some_and(|it| !it.deleting);
    if ready {
        resolve_found(step, origin, copy);
    }
    let mut kept = Vec::new();
    for mut entry in std::mem::take(&mut step.record.returned) {
        if entry.dropped && withdraw_all_but_kept(step, &mut entry) {
            continue;
        }
        concern(step, &entry);
        if ready
            && !entry.dropped
            && let Some(maker) = maker(step.publication, &entry)
            && learn(step, &mut entry)
            && !goes_with_origin(step, &mut entry)
        {
            make(step, &mut entry, maker, origin, copy);
        } else {
            leave_off(step, &mut entry);
        }
        kept.push(entry);
    }
    step.record.returned = kept;
}

/// The step does not come to what an object is made of: what there is news of is looked at again.
fn leave_off(step: &Step<'_>, entry: &mut ReturnedKnown) {
    for read in &mut entry.reads {
        if *step.seen.of(&read.object) != Sight::Unseen {
            read.known = None;
        }
    }
}

/// The step is about what came up, and about what it is made of.
fn concern(step: &mut Step<'_>, entry: &ReturnedKnown) {
    step.concern(&entry.object);
    for read in &entry.reads {
        step.concern(&read.object);
    }
}

/// Brings up what stays behind in any case, while the order is being deleted and its copy is still there: the Go agent does,
/// and whoever waits for the end may still need it.
pub(super) fn bring_up_what_stays(step: &mut Step<'_>) {
    let origin = step.origin_body();
    let copy = step.copy_ref().ok().and_then(|it| step.seen.of(&it).body());
    let mut entries = std::mem::take(&mut step.record.returned);
    for entry in entries.iter_mut().filter(|it| !it.dropped) {
        let Some(maker @ Maker::Found(rule)) = maker(step.publication, entry) else {
            continue;
        };
        if rule.cleanup != Cleanup::Never {
            continue;
        }
        concern(step, entry);
        if learn(step, entry) {
            make(step, entry, maker, origin, copy);
        }
    }
    step.record.returned = entries;
}

/// Fills in what the rules name, once.
pub(super) fn resolve(step: &mut Step<'_>) {
    let (publication, key) = (step.publication, step.key);
    let rules = publication.returns();
    let known = step.record.returned.iter();
    if known
        .filter(|it| publication.related_rule(&it.id).is_none())
        .count()
        == rules.len()
    {
        return;
    }
    let Ok(copy) = step.copy_ref() else {
        return;
    };
    let copy = name_of(&copy);
    let namespace = |scope, namespace: &str| match scope {
        Scope::Namespaced => namespace.to_owned(),
        Scope::Cluster => String::new(),
    };
    for rule in rules {
        let object = ObjectRef {
            place: key.workspace(),
            kind: rule.kind.clone(),
            namespace: namespace(rule.kind.scope, &key.namespace),
            name: rule.name_of(&key.name),
        };
        let mut entry = ReturnedKnown::new(rule.id.clone(), object, []);
        entry.reads = compose::reads(&rule.reads, &copy);
        step.record.returned.push(entry);
    }
}

/// Matches what the rules find on the service cluster with what is remembered.
fn resolve_found(step: &mut Step<'_>, origin: Option<&Value>, copy: Option<&Value>) {
    let publication = step.publication;
    for (at, rule) in publication.related().iter().enumerate() {
        if rule.origin != Side::Service {
            continue;
        }
        if let Finding::Pairs(pairs) = find::find(step, at, origin, copy) {
            let entries = &mut step.record.returned;
            let mine = entries.iter_mut().filter(|it| it.id == rule.id);
            mine.for_each(|it| it.dropped = true);
            for pair in pairs {
                let known = entries.iter_mut().find(|it| {
                    it.id == rule.id
                        && it.object == pair.copy
                        && it.reads.iter().any(|read| read.object == pair.origin)
                });
                match known {
                    Some(known) => known.dropped = false,
                    None => {
                        let entry = ReturnedKnown::new(rule.id.clone(), pair.copy, [pair.origin]);
                        entries.push(entry);
                    }
                }
            }
            // What became of an object that another original takes the place of now is not its business.
            let kept: Vec<ObjectRef> = entries
                .iter()
                .filter(|it| !it.dropped)
                .map(|it| it.object.clone())
                .collect();
            entries.retain(|it| !it.dropped || !kept.contains(&it.object));
        }
        // As long as it is not known what there is, nothing is left over.
        if !rule.is_fixed() && step.record.found[at].resolved {
            leave(step, at);
        }
    }
}

/// Takes note of what is left from before a restart and was not found again.
pub(super) fn leave(step: &mut Step<'_>, at: usize) {
    let rule = &step.publication.related()[at];
    for (_, object) in find::sweep(step, at) {
        if !step.record.returned.iter().any(|it| it.object == object) {
            let mut entry = ReturnedKnown::new(rule.id.clone(), object, []);
            entry.dropped = true;
            step.record.returned.push(entry);
        }
    }
}

impl ReturnedKnown {
    /// An object nobody looked at yet.
    fn new(id: String, object: ObjectRef, reads: impl IntoIterator<Item = ObjectRef>) -> Self {
        let reads = reads.into_iter();
        Self {
            id,
            object,
            reads: reads
                .map(|object| ReadKnown {
                    object,
                    known: None,
                })
                .collect(),
            at: None,
            looked: false,
            foreign: false,
            parts: Vec::new(),
            made_of: None,
            content: None,
            dirty: false,
            refused: None,
            recreate: false,
            dropped: false,
            status: StatusKnown::Unknown,
            leaves: None,
        }
    }
}

/// Whether an object of the workspace is what this order returned.
pub(super) fn is_ours(step: &Step<'_>, entry: &ReturnedKnown, object: &Value) -> bool {
    label(object, names::AGENT) == step.publication.agent().as_str()
        && annotation(object, names::ORDER) == Some(&order(step, &entry.object))
        && annotation(object, names::RELATED_UID).is_none()
}

/// Whether an object of the workspace is what this order returned, marked or not; `None`: it was asked for.
pub(super) fn is_known(step: &mut Step<'_>, entry: &ReturnedKnown, object: &Value) -> Option<bool> {
    if is_ours(step, entry, object) {
        return Some(true);
    }
    let source = entry.reads.first().map(|it| it.object.clone());
    let known = entry.at.as_ref().map(|it| it.uid.clone());
    match source {
        Some(source) => carry::is_theirs(step, &source, object, known.as_deref()),
        None => Some(false),
    }
}

/// The order that an object belongs to, as its mark says it.
pub(super) fn order(step: &Step<'_>, object: &ObjectRef) -> String {
    let (id, name) = (step.publication.id(), &step.key.name);
    if object.namespace == step.key.namespace {
        format!("{id}/{name}")
    } else {
        format!("{id}/{}/{name}", step.key.namespace)
    }
}

/// Takes note of the object and of what it is made of; says whether all of it is known.
fn learn(step: &mut Step<'_>, entry: &mut ReturnedKnown) -> bool {
    let kind = entry.object.kind.kind.clone();
    let name = entry.object.name.clone();
    match step.seen.of(&entry.object) {
        Sight::Absent => {
            // A consumer may delete it, or what they put in its place; it comes again.
            entry.dirty |= entry.at.is_some() || entry.foreign;
            entry.at = None;
            entry.leaves = None;
            entry.status = StatusKnown::Unknown;
            entry.looked = true;
            entry.foreign = false;
        }
        Sight::There(object) | Sight::Outline(object)
            if entry
                .at
                .as_ref()
                .is_some_and(|it| is_older(version(object), &it.version)) => {}
        Sight::There(object) | Sight::Outline(object) => {
            entry.looked = true;
            let Some(ours) = is_known(step, entry, object) else {
                return false;
            };
            entry.foreign = !ours;
            if entry.foreign {
                entry.at = None;
                taken_name(step, entry);
                return false;
            }
            if is_deleting(object) {
                let_go(step, entry, object);
                step.waiting
                    .push(format!("a returned {kind} is being deleted"));
                return false;
            }
            let now = Known::of(object);
            let body = step.seen.of(&entry.object).body();
            let corrects = !step.publication.follows_go_agent()
                && match maker(step.publication, entry) {
                    Some(Maker::Found(rule)) => rule.corrects(),
                    _ => true,
                };
            if entry.at.is_none() {
                entry.status = forward::told(object, &step.manager());
                entry.dirty |= corrects && drift::lacks_fields(object, &step.manager());
                let said = annotation(object, names::MADE_OF).and_then(read_made_of);
                (entry.parts, entry.made_of) = match said {
                    Some((parts, print)) => (parts, Some(print)),
                    None => (Vec::new(), None),
                };
            } else if !corrects {
                // Whatever somebody made of it stays until its original changes.
            } else if entry.at.as_ref() != Some(&now) && entry.content.is_none() {
                // Since a restart nobody knows what was in it: make it anew.
                entry.dirty = true;
            } else if entry.at.as_ref() != Some(&now) {
                let Some(body) = body else {
                    step.look(&entry.object, Depth::Body);
                    return false;
                };
                let same = entry.content == Some(print(&content(body)))
                    && annotation(body, names::MADE_OF)
                        .and_then(read_made_of)
                        .map(|it| it.1)
                        == entry.made_of;
                entry.dirty |= !same;
            }
            entry.at = Some(now);
        }
        Sight::Doubt => {
            step.look(&entry.object, Depth::Body);
            return false;
        }
        Sight::Barred => {
            entry.status.doubt();
            step.trouble(
                "NotAllowed",
                format!(
                    "the {kind} {name:?} may not be made: accept the claim for it in the binding"
                ),
            );
            step.refused
                .push(format!("a {kind} may not be written in the workspace"));
            return false;
        }
        Sight::Unseen if !entry.looked => {
            step.look(&entry.object, Depth::Outline);
            return false;
        }
        Sight::Unseen if entry.foreign => {
            taken_name(step, entry);
            return false;
        }
        Sight::Unseen => {}
    }
    learn_reads(step, &mut entry.reads)
}

/// Somebody else's object has the name of a returned one.
fn taken_name(step: &mut Step<'_>, entry: &ReturnedKnown) {
    let (kind, name) = (&entry.object.kind.kind, &entry.object.name);
    let message =
        format!("there is a {kind} {name:?} already; the one of this order cannot be made");
    step.trouble("NameTaken", message);
    step.refused.push(format!(
        "a {kind} of the consumer has the name of a returned one"
    ));
}

/// The fingerprint of content.
pub(super) fn print(content: &Map<String, Value>) -> Fingerprint {
    Fingerprint::of(&Value::Object(content.clone()))
}
