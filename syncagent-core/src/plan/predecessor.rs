//! What kcp's api-syncagent left, where its installation is continued.
//!
//! Its copies carry its labels and nothing of ours. What it brought over last stands in a state Secret; what we brought over
//! last stands on the copy, with a hash of what the Secret said at that time, so that a Secret that says something else is
//! known to be newer: the Go agent ran in between. Where neither tells, the server's memory of who wrote which field stands
//! in, and what nobody can tell counts as brought over: nothing is lost by that.

use serde_json::Value;

use super::copy::{Copy, learn};
use super::keep::Leaves;
use super::seen::{Depth, Question, Sight};
use super::stated::{Stated, Word};
use super::step::Step;
use super::untake;
use crate::definition::Drift;
use crate::names;
use crate::object::{annotation, label, uid};

/// The state Secret of the order; `None`: it was asked for.
pub(super) fn stated<'a>(step: &mut Step<'a>) -> Option<&'a Stated> {
    let secret = step.publication.state_secret(step.key)?;
    let seen = step.seen;
    let found = seen.stated(&secret);
    if found.is_none() {
        step.ask(Question::State { secret });
    }
    found
}

/// Learns, once, what the Go agent remembers of the order; says whether it is known.
pub(super) fn learn_state(step: &mut Step<'_>) -> bool {
    let needed = step.publication.follows_go_agent()
        && step.publication.policy().drift != Drift::Correct
        && step.record.stated.is_none();
    if !needed {
        return true;
    }
    let (identity, kind) = (step.key.identity(), step.publication.offered());
    let Some(stated) = stated(step) else {
        return false;
    };
    step.record.stated = Some(match stated.of(&identity, kind) {
        Word::Said(leaves) => leaves.print(),
        Word::None | Word::Garbled => String::new(),
    });
    true
}

/// What was brought over last, as far as anybody tells; `None`: it was asked for.
pub(super) fn written(
    step: &mut Step<'_>,
    copy: &Value,
    wanted: &Leaves,
    salt: &str,
) -> Option<Leaves> {
    let own = annotation(copy, names::LEAVES).is_some();
    let at_that_time = annotation(copy, names::STATE).unwrap_or_default();
    let now = step.record.stated.as_deref().unwrap_or_default();
    let newer = !own || at_that_time != now;
    if !now.is_empty() && newer {
        let (identity, kind) = (step.key.identity(), step.publication.offered());
        if let Word::Said(leaves) = stated(step)?.of(&identity, kind) {
            return Some(leaves.clone());
        }
    }
    let manager = step.manager();
    let told = Leaves::of_copy(copy, wanted, salt, &manager);
    Some(told.without_marks())
}

/// Whether a copy whose labels say that it is this order's is so, where these labels may be another's.
pub(super) enum Proof {
    Given,
    Lacking,
    Asked,
}

/// Looks for proof, where the labels of a copy leave a doubt: it does not say which agent made it, or not for which of two
/// publications of its kind.
pub(super) fn proof(step: &mut Step<'_>, copy: &Value) -> Proof {
    let publication = step.publication;
    let known = step.record.copy.as_ref();
    let says_all = !label(copy, names::AGENT).is_empty()
        && (!publication.has_rivals() || annotation(copy, names::PUBLICATION).is_some());
    // Of an order that is held and being deleted, what links to it is what it is held for.
    let going = step.record.deleting && step.is_held() && !publication.has_rivals();
    if !publication.follows_go_agent()
        || says_all
        || going
        || known.is_some_and(|it| it.known.uid == uid(copy))
    {
        return Proof::Given;
    }
    let (identity, kind) = (step.key.identity(), publication.offered());
    match stated(step).map(|it| it.of(&identity, kind)) {
        None => Proof::Asked,
        Some(Word::None) => Proof::Lacking,
        Some(Word::Garbled | Word::Said(_)) => Proof::Given,
    }
}

/// The order is gone although it was held. The Go agent left everything then, and who continues its installation cannot
/// tell what happened before: nothing is deleted. Consumers' objects that were held for the order are let go.
pub(super) fn orphaned(step: &mut Step<'_>) {
    let mut done = true;
    let mut entries = std::mem::take(&mut step.record.taken);
    for entry in &mut entries {
        done &= untake::let_original_go(step, entry);
    }
    step.record.taken = entries;
    let Ok(copy_ref) = step.copy_ref() else {
        step.gone = done;
        return;
    };
    let there = match learn(step, &copy_ref) {
        Copy::Recorded | Copy::Ours(_) => true,
        Copy::Unclear | Copy::Unknown if *step.seen.of(&copy_ref) != Sight::Unseen => {
            step.look(&copy_ref, Depth::Body);
            return;
        }
        Copy::Asked => return,
        _ => false,
    };
    if !there {
        step.gone = done;
        return;
    }
    if let Some(origin) = step.record.origin.take() {
        step.record.orphan = Some(origin.uid.into());
    }
    step.refused.push(format!(
        "{copy_ref} is an orphan, for its order is gone; it stays until somebody deletes it, or orders under the same name again"
    ));
}
