//! What an order took and takes no more, remembered across the death of an agent.
//!
//! Between the write that drops a reference and the deletion of what was taken for it an agent may die, and the next one
//! sees an order and a copy that agree. So that very write says on the copy what is left to be cleaned up
//! ([`names::TAKES_NO_MORE`]), beside what the order takes. It costs no request, and it is not taken back: what was cleaned
//! up is found absent by a look at what a metadata watch shows, and the next write of the copy leaves it out.
//!
//! Where there is no copy that could tell (the service refused the order, or it ends and its copy is gone already), the
//! taken copies tell it themselves: each says for which order it was brought down last, and by which field. They are
//! looked through only for an order that an agent worked on before and whose copy does not tell, for there may be many.

use serde_json::{Value, json};

use super::find;
use super::record::TakenKnown;
use super::seen::Question;
use super::step::Step;
use super::taken::{self, rule_of};
use crate::names;
use crate::object::annotation;
use crate::object::identity::Identity;
use crate::object::labels::Labels;
use crate::object::reference::{ObjectRef, Place};
use crate::object::selection::{Listing, Query};
use crate::projection::Intent;
use crate::related::find::Pair;

/// Takes note of what the order took before, as its copy tells: once, at the first look.
pub(super) fn by_copy(step: &mut Step<'_>, copy: &Value) {
    if std::mem::replace(&mut step.record.recalled, true) || !step.record.taken.is_empty() {
        return;
    }
    let before = step.publication.projection().taken_of_copy(copy);
    let namespace = crate::object::meta(copy, "namespace");
    taken::resolve_named(step, &before, namespace);
}

/// Says on what is written to the copy what the order takes no more and what is not cleaned up yet.
pub(super) fn mark(step: &Step<'_>, intent: &Intent, body: &mut Value) {
    let stays = |it: &TakenKnown| {
        let mut named = intent.taken.iter();
        named.any(|name| {
            (&name.kind, &name.name, &name.copy)
                == (&it.origin.kind, &it.origin.name, &it.copy.name)
        })
    };
    let named = step.record.taken.iter();
    let named = named.filter(|it| rule_of(step.publication, it).is_none() && !stays(it));
    let left: Vec<_> = named
        .map(|it| json!([it.path, it.origin.name, it.copy.name]))
        .collect();
    if !left.is_empty() {
        let text = Value::Array(left).to_string();
        body["metadata"]["annotations"][names::TAKES_NO_MORE] = json!(text);
    }
}

/// Puts what a copy says of this into what it is compared with: it is ours, and stays until the next write.
pub(super) fn spare(copy: &Value, wanted: &mut Value) {
    if let Some(told) = annotation(copy, names::TAKES_NO_MORE) {
        wanted["metadata"]["annotations"][names::TAKES_NO_MORE] = json!(told);
    }
}

/// Takes note of what was taken for the order before, as the marks of the taken copies tell: once, and only where an agent
/// worked on the order before and its copy does not tell. Says whether everything is known.
pub(super) fn by_marks(step: &mut Step<'_>) -> bool {
    if step.record.swept {
        return true;
    }
    let refused = step.record.synced.as_ref();
    let refused = refused.is_some_and(|it| ["Invalid", "Denied"].contains(&it.reason.as_str()));
    // Nothing is taken for an order that was never held. One that vanished may have been.
    let worked_on = step.is_held() || step.record.origin.is_none();
    let tells = (step.record.copy.is_some() || step.record.recalled) && !refused;
    if worked_on && !tells {
        let Ok(copy) = step.copy_ref() else {
            return true;
        };
        let takes = step.publication.projection().takes.iter();
        let mut kinds: Vec<_> = takes.map(|it| it.kind.clone()).collect();
        kinds.sort();
        kinds.dedup();
        let queries = kinds.into_iter().map(|kind| Query {
            place: Place::Service,
            kind,
            namespace: copy.namespace.clone(),
            labels: Labels::one(names::AGENT, step.publication.agent().as_str()),
        });
        let queries: Vec<_> = queries.collect();
        let missing = queries.iter().filter(|it| step.seen.listing(it).is_none());
        let missing: Vec<_> = missing.cloned().collect();
        if !missing.is_empty() {
            for query in missing {
                step.ask(Question::List { query });
            }
            return false;
        }
        for query in &queries {
            look_through(step, query);
        }
    }
    step.record.swept = true;
    true
}

/// Takes note of everything in a list that was brought down for this order by one of its fields.
fn look_through(step: &mut Step<'_>, query: &Query) {
    let Some(Listing::Members(members)) = step.seen.listing(query) else {
        return;
    };
    for member in members {
        let copy = query.at(member);
        let Some(object) = step.seen.of(&copy).outline() else {
            continue;
        };
        let takes = &step.publication.projection().takes;
        let by = annotation(object, names::FOUND_BY).unwrap_or_default();
        let ours = takes.iter().any(|it| it.path == by)
            && annotation(object, names::FOUND_FOR) == Some(&find::found_for(step));
        let Some(identity) =
            Identity::read(object).filter(|it| ours && it.cluster == step.key.cluster)
        else {
            continue;
        };
        if step.record.taken.iter().any(|it| it.copy == copy) {
            continue;
        }
        let origin = ObjectRef {
            place: step.key.workspace(),
            kind: query.kind.clone(),
            namespace: identity.namespace,
            name: identity.name,
        };
        let mut entry = TakenKnown::new(by.to_owned(), Pair { origin, copy });
        entry.dropped = true;
        step.record.taken.push(entry);
    }
}
