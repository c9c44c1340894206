//! News that a step cannot heed: the order may not be read, or a part of it is not known well enough to go on.
//!
//! A watch tells of a change once. So what was seen and not come to is remembered by its name, and is a doubt in the next
//! step: it is looked at again when that step comes to it, and costs nothing before. What the order has to do with stays its
//! concern meanwhile, so that news of it still come, and nobody takes it for unused.

use super::filter;
use super::record::Record;
use super::seen::{Seen, Sight};
use super::step::Step;
use crate::object::reference::ObjectRef;

/// What is seen, with a doubt where news was not heeded; `None`: nothing is to be added.
pub(super) fn recall(record: &Record, seen: &Seen) -> Option<Seen> {
    let unseen = |at: &&ObjectRef| *seen.of(at) == Sight::Unseen;
    let mut doubts = record.unheeded.iter().filter(unseen).peekable();
    doubts.peek()?;
    let mut all = seen.clone();
    for at in doubts {
        all.note(at.clone(), Sight::Doubt);
    }
    Some(all)
}

/// The step goes no further: whatever else was seen is left for another one. What may not be read is asked for again anyway.
pub(super) fn leave_off(step: &mut Step<'_>) {
    let origin = step.publication.origin(step.key);
    let news = |(at, sight): &(&ObjectRef, &Sight)| {
        **at != origin && !matches!(sight, Sight::Unseen | Sight::Barred)
    };
    let left = step.seen.iter().filter(news);
    step.unheeded = left.map(|(at, _)| at.clone()).collect();
    stay(step);
}

/// Everything that the order has to do with stays its concern, though the step does not come to it.
fn stay(step: &mut Step<'_>) {
    let record = &step.record;
    let taken = record.taken.iter().flat_map(|it| [&it.origin, &it.copy]);
    let returned = record.returned.iter();
    let reads = returned.clone().flat_map(|it| &it.reads);
    let made = record.made.iter().flat_map(|it| &it.reads);
    let reads = reads.chain(made).map(|it| &it.object);
    let known = taken.chain(returned.map(|it| &it.object)).chain(reads);
    step.concerns.extend(known.cloned());
    if !step.publication.namespace_selector().is_empty() {
        step.concerns.push(filter::namespace(step));
    }
    for (query, members) in record.found.iter().flat_map(|it| &it.members) {
        step.concerns.extend(members.iter().map(|it| query.at(it)));
        step.queries.push(query.clone());
    }
}
