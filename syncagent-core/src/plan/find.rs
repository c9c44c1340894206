//! Which related objects an order has: what its rules find, kept up to date by the events of what joins and leaves.
//!
//! The bodies of the order and of its copy are needed only when what they say about it changed. A selection is registered
//! before it is made, its members too, by name: so a joiner is told by the labels of its event, and a leaver by its own.
//! An answer that may not be had ("forbidden") is no answer: what was found before stays.
//!
//! *Caveat*: what left a selection while the agent was down is found by the marks of its copy. When somebody took that copy
//! away in the same time, nothing tells that the object was held, and our finalizer stays on it.

use serde_json::{Value, json};

use super::locate::name_of;
use super::record::FoundKnown;
use super::seen::{Depth, Question, Sight};
use super::step::Step;
use crate::definition::{Scope, Side};
use crate::names;
use crate::object::identity::Identity;
use crate::object::labels::Labels;
use crate::object::reference::{ObjectRef, Place};
use crate::object::selection::{Listing, Member, Query};
use crate::object::{annotation, is_abridged, is_deleting};
use crate::related::find::{Glimpse, Missing, Pair, Related, View};
use crate::related::{assemble, content};

/// What a rule finds now.
pub(super) enum Finding {
    /// These.
    Pairs(Vec<Pair>),
    /// What it found before, or what it will find when a question is answered.
    AsBefore,
}

/// Looks for the objects of the rule at this position. `there` is the copy, or what it is asked to be.
pub(super) fn find(
    step: &mut Step<'_>,
    at: usize,
    order: Option<&Value>,
    there: Option<&Value>,
) -> Finding {
    let rules = step.publication.related();
    step.record
        .found
        .resize_with(rules.len(), FoundKnown::default);
    let mut known = std::mem::take(&mut step.record.found[at]);
    let finding = look(step, &mut known, &rules[at], order, there);
    for (query, members) in &known.members {
        step.queries.push(query.clone());
        for member in members {
            step.concern(&query.at(member));
        }
    }
    for (reason, message) in &known.troubles {
        step.troubles.push((reason.clone(), message.clone()));
    }
    if !known.troubles.is_empty() {
        step.refused.push(format!(
            "related `{}`: {}",
            rules[at].id, known.troubles[0].1
        ));
    }
    step.record.found[at] = known;
    finding
}

fn look(
    step: &mut Step<'_>,
    known: &mut FoundKnown,
    rule: &Related,
    order: Option<&Value>,
    there: Option<&Value>,
) -> Finding {
    let Ok(name) = step.copy_ref().map(|it| name_of(&it)) else {
        return Finding::AsBefore;
    };
    let identity = step.key.identity();
    let path = step.record.path.clone().unwrap_or_default();
    let view = View {
        identity: &identity,
        copy: &name,
        path: &path,
        order,
        there,
    };
    let reads = rule.reads();
    let print = |side, body: Option<&Value>| body.map(|it| rule.print(side, it));
    let (order_print, copy_print) = (print(Side::Workspace, order), print(Side::Service, there));
    let changed = known.seed.is_none()
        || (reads.order && order_print.is_some() && order_print != known.order)
        || (reads.copy && copy_print.is_some() && copy_print != known.copy);
    if changed {
        if (reads.order && order.is_none()) || (reads.copy && there.is_none()) {
            ask_for_bodies(step, rule, order, there);
            return Finding::AsBefore;
        }
        known.troubles.clear();
        known.seed = Some(rule.seed(&view).unwrap_or_else(|message| {
            known.troubles.push(("Invalid".to_owned(), message));
            Default::default()
        }));
        (known.order, known.copy) = (order_print, copy_print);
        known.resolved = false;
    }
    if follow(step, known) {
        known.resolved = false;
    }
    let (seen, called) = (step.seen, known.called.len());
    let news = |at: &ObjectRef| !matches!(seen.of(at), Sight::Unseen);
    known.called.retain(|(at, _)| !news(at));
    if known.called.len() != called {
        known.resolved = false;
    }
    if known.resolved {
        return Finding::AsBefore;
    }
    let seed = known.seed.clone().unwrap_or_default();
    let mut used: Vec<(Query, Vec<Member>)> = Vec::new();
    let mut asked: Vec<Query> = Vec::new();
    let mut barred = false;
    let mut ask = |query: Query| {
        let before = known.members.iter().find(|(it, _)| *it == query);
        let members = match (before, seen.listing(&query)) {
            (Some((_, members)), _) => members.clone(),
            (None, Some(Listing::Members(members))) => members.clone(),
            (None, Some(Listing::Barred)) => {
                barred = true;
                return None;
            }
            (None, None) => {
                asked.push(query);
                return None;
            }
        };
        used.push((query, members.clone()));
        Some(members)
    };
    let called = std::mem::take(&mut known.called);
    let mut unseen = Vec::new();
    let mut object = |at: &ObjectRef| match (called.iter().find(|it| it.0 == *at), seen.of(at)) {
        (Some((_, name)), _) => Glimpse::Called(name.clone()),
        (None, Sight::There(body)) => Glimpse::There(body),
        (None, Sight::Absent | Sight::Barred) => Glimpse::Gone,
        (None, _) => {
            unseen.push(at.clone());
            Glimpse::Asked
        }
    };
    let found = rule.pairs(&view, &seed, &mut ask, &mut object);
    for object in unseen {
        step.look(&object, Depth::Body);
    }
    for query in asked {
        // Registered first, then asked.
        step.queries.push(query.clone());
        step.ask(Question::List { query });
    }
    if barred {
        let kind = &rule.kind.kind;
        match rule.origin {
            Side::Workspace => step.trouble(
                "NotAllowed",
                format!("no {kind} may be listed: accept the claim for it in the binding"),
            ),
            Side::Service => {}
        }
        step.refused.push(format!("no {kind} may be listed"));
        return Finding::AsBefore;
    }
    match found {
        Err(Missing::Answer) => {
            known.called = called;
            Finding::AsBefore
        }
        Err(Missing::Bodies) => {
            known.called = called;
            ask_for_bodies(step, rule, order, there);
            Finding::AsBefore
        }
        Ok(found) => {
            known.members = used;
            known.resolved = true;
            if rule.reads_found() {
                let pairs = found.pairs.iter();
                known.called = pairs
                    .map(|it| (it.origin.clone(), it.copy.name.clone()))
                    .collect();
            }
            let invalid = known.seed == Some(Default::default());
            if !invalid {
                known.troubles = found
                    .troubles
                    .into_iter()
                    .map(|(reason, message)| (reason.to_owned(), message))
                    .collect();
            }
            Finding::Pairs(found.pairs)
        }
    }
}

/// Lets members join and leave; says whether any did.
fn follow(step: &mut Step<'_>, known: &mut FoundKnown) -> bool {
    let mut moved = false;
    for (query, members) in &mut known.members {
        let before = members.len();
        members.retain(|member| {
            let at = query.at(member);
            match step.seen.of(&at) {
                Sight::There(object) | Sight::Outline(object) if !is_abridged(object) => {
                    query.labels.select(object) && !is_deleting(object)
                }
                Sight::Absent => false,
                Sight::Doubt => {
                    step.questions.push(Question::Look {
                        object: at,
                        depth: Depth::Outline,
                    });
                    true
                }
                _ => true,
            }
        });
        moved |= members.len() != before;
        let seen = step.seen;
        for (at, sight) in seen.iter() {
            if step.record.unheeded.contains(at)
                && *sight == Sight::Doubt
                && query.covers(at)
                && members.binary_search(&Member::of(at)).is_err()
            {
                // It may have joined when no step came to it; what a watch keeps of it lacks its labels.
                step.look(at, Depth::Body);
            }
            let Some(object) = sight.outline().filter(|it| !is_abridged(it)) else {
                continue;
            };
            let member = Member::of(at);
            if query.covers(at)
                && query.labels.select(object)
                && !is_deleting(object)
                && let Err(place) = members.binary_search(&member)
            {
                members.insert(place, member);
                moved = true;
            }
        }
    }
    moved
}

/// What mutations see on the other side of an original: its copy, or what that would be without them; `None`: ask first.
pub(super) fn beside(
    step: &mut Step<'_>,
    rule: &Related,
    copy: &ObjectRef,
    is_there: bool,
    original: &Value,
) -> Option<Value> {
    if !rule.mutations.reads_other() {
        return Some(Value::Null);
    }
    if !is_there {
        let mut metadata = original["metadata"].clone();
        metadata["name"] = json!(copy.name);
        metadata["namespace"] = json!(copy.namespace);
        return Some(assemble(&copy.kind, metadata, content(original)));
    }
    let body = step.seen.of(copy).body().cloned();
    if body.is_none() {
        step.look(copy, Depth::Body);
    }
    body
}

fn ask_for_bodies(
    step: &mut Step<'_>,
    rule: &Related,
    order: Option<&Value>,
    there: Option<&Value>,
) {
    if order.is_none() {
        step.look(&step.publication.origin(step.key), Depth::Body);
    }
    // What the copy is asked to be follows from the order.
    if there.is_none()
        && rule.wants_copy()
        && step.record.copy.as_ref().is_some_and(|it| !it.deleting)
        && let Ok(copy_ref) = step.copy_ref()
    {
        step.look(&copy_ref, Depth::Body);
    }
}

/// What stands on the other side from before a restart and belongs to the rule: each copy, and its original where that is
/// told. Empty until it is known, and empty ever after.
pub(super) fn sweep(step: &mut Step<'_>, at: usize) -> Vec<(Option<ObjectRef>, ObjectRef)> {
    let rule = &step.publication.related()[at];
    step.record
        .found
        .resize_with(step.publication.related().len(), FoundKnown::default);
    if step.record.found[at].swept {
        return Vec::new();
    }
    let Ok(copy) = step.copy_ref() else {
        return Vec::new();
    };
    let (place, beside) = match rule.origin {
        Side::Workspace => (Place::Service, copy.namespace),
        Side::Service => (step.key.workspace(), step.key.namespace.clone()),
    };
    let namespace = match (rule.into.scope, &rule.namespaces) {
        (Scope::Namespaced, None) => beside,
        _ => String::new(),
    };
    let query = Query {
        place,
        kind: rule.into.clone(),
        namespace,
        labels: Labels::one(names::AGENT, step.publication.agent().as_str()),
    };
    let Some(listing) = step.seen.listing(&query) else {
        step.ask(Question::List { query });
        return Vec::new();
    };
    let mut left = Vec::new();
    if let Listing::Members(members) = listing {
        for member in members {
            let copy = query.at(member);
            let Some(object) = step.seen.of(&copy).outline() else {
                continue;
            };
            let ours = annotation(object, names::FOUND_BY) == Some(rule.id.as_str())
                && annotation(object, names::FOUND_FOR) == Some(&found_for(step));
            let origin = Identity::read(object).filter(|it| it.cluster == step.key.cluster);
            let origin = origin.map(|identity| ObjectRef {
                place: step.key.workspace(),
                kind: rule.kind.clone(),
                namespace: identity.namespace,
                name: identity.name,
            });
            if ours && (origin.is_some() || rule.origin == Side::Service) {
                left.push((origin, copy));
            }
        }
    }
    step.record.found[at].swept = true;
    left
}

/// Which order, as a copy's mark says it.
pub(super) fn found_for(step: &Step<'_>) -> String {
    step.key.text()
}
