//! What becomes of a copy when something is lost: the binding, the order, or the copy itself.
//!
//! A copy that is kept says so in an annotation, with the uid of its order and what was lost: so a restart knows, without
//! asking, that it is no orphan by accident. An order that is made again under the same name finds it by its identity.

use serde_json::json;

use super::copy::{Copy, learn};
use super::effect::{Deed, Verb};
use super::end::Leaving;
use super::record::Lost;
use super::seen::{Depth, Question, Sight};
use super::step::Step;
use super::unheeded;
use crate::definition::{Kind, Loss, Scope, Vanished};
use crate::names;
use crate::object::identity::Standing;
use crate::object::labels::Labels;
use crate::object::reference::ObjectRef;
use crate::object::selection::{Listing, Query};
use crate::object::{annotation, is_deleting};
use crate::status::Synced;

impl Lost {
    const fn word(self) -> &'static str {
        match self {
            Self::Binding => "unbound",
            Self::Order => "stripped",
        }
    }

    fn policy(self, step: &Step<'_>) -> Loss {
        let losses = &step.publication.policy().losses;
        match self {
            Self::Binding => losses.unbound,
            // What a backup did not hold nobody deleted.
            Self::Order if step.record.unsure && losses.stripped == Loss::Retire => Loss::Report,
            Self::Order => losses.stripped,
        }
    }
}

/// Why the copy of an order that ends is kept; `None`: it is not kept, `Err`: that has to be found out.
pub(super) fn keeps(step: &mut Step<'_>, leaving: Leaving) -> Result<Option<Lost>, ()> {
    let lost = match leaving {
        Leaving::Unselected => return Ok(None),
        Leaving::Vanished if !step.is_torn() => Lost::Order,
        Leaving::Deleted | Leaving::Vanished => Lost::Binding,
    };
    if lost.policy(step) == Loss::Retire {
        return Ok(None);
    }
    let Ok(copy_ref) = step.copy_ref() else {
        return Ok(None);
    };
    match learn(step, &copy_ref) {
        // Nothing is left that could need what was taken.
        Copy::Absent => return Ok(None),
        // Whoever took our marks off, or put something else in its place, may need it: that stays.
        Copy::Other | Copy::Unmarked(_) => {}
        Copy::Unknown | Copy::Unclear => {
            step.look(&copy_ref, Depth::Body);
            return Err(());
        }
        Copy::Asked => return Err(()),
        Copy::Recorded | Copy::Ours(_) => {}
    }
    if step.record.copy.as_ref().is_some_and(|it| it.deleting) {
        // There is nothing left to keep.
        return Ok(None);
    }
    if lost == Lost::Binding && !is_unbinding(step)? {
        return Ok(None);
    }
    Ok(Some(lost))
}

/// Whether the workspace of the order unbinds the export: its binding is being deleted, or gone.
fn is_unbinding(step: &mut Step<'_>) -> Result<bool, ()> {
    let query = Query {
        place: step.key.workspace(),
        kind: Kind {
            group: "apis.kcp.io".into(),
            // Every kcp serves this one.
            version: "v1alpha1".into(),
            kind: "APIBinding".into(),
            plural: "apibindings".into(),
            scope: Scope::Cluster,
        },
        namespace: String::new(),
        labels: Labels::default(),
    };
    match step.seen.listing(&query) {
        None => {
            step.ask(Question::List { query });
            Err(())
        }
        // Whoever bound it lets us see the binding.
        Some(Listing::Barred) => Ok(true),
        Some(Listing::Members(members)) => {
            let stands = |at: &ObjectRef| {
                let outline = step.seen.of(at).outline();
                outline.is_none_or(|it| !is_deleting(it))
            };
            Ok(!members.iter().any(|member| stands(&query.at(member))))
        }
    }
}

/// Marks the copy as kept; says whether it is, or there is none of ours.
pub(super) fn mark(step: &mut Step<'_>, lost: Lost) -> bool {
    let (Ok(copy_ref), Some(known)) = (step.copy_ref(), step.record.copy.clone()) else {
        return true;
    };
    let body = step.seen.of(&copy_ref).body();
    let uid = match (&step.record.origin, body) {
        (Some(origin), _) => origin.uid.clone(),
        (None, Some(copy)) => annotation(copy, names::ORIGIN_UID)
            .unwrap_or_default()
            .to_owned(),
        (None, None) => {
            step.look(&copy_ref, Depth::Body);
            return false;
        }
    };
    let wanted = format!("{uid}/{}", lost.word());
    if let Some(copy) = body {
        let marked = annotation(copy, names::KEPT) == Some(&wanted);
        step.record.kept = marked.then_some(lost);
    }
    if step.record.kept == Some(lost) {
        return true;
    }
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": known.known.uid},
        {"op": "add", "path": format!("/metadata/annotations/{}", names::KEPT.replace('/', "~1")), "value": wanted},
    ]);
    let because = match lost {
        Lost::Binding => "its workspace unbinds, and the copy is to be kept",
        Lost::Order => "its order is gone although it was held, and the copy is to be kept",
    };
    let verb = Verb::JsonPatch { subresource: None };
    step.push(Deed::Leave, copy_ref, verb, patch, because);
    false
}

/// Whether nothing but a kept copy is left of the order; then it is reported, or forgotten.
pub(super) fn is_kept(step: &mut Step<'_>) -> bool {
    let origin = step.seen.of(&step.publication.origin(step.key));
    let quiet = *origin == Sight::Unseen || (*origin == Sight::Doubt && step.record.released);
    let left = step.record.origin.is_none() || step.record.released;
    if !quiet || !left {
        return false;
    }
    let Ok(copy_ref) = step.copy_ref() else {
        return false;
    };
    let lost = match step.seen.of(&copy_ref) {
        Sight::Unseen | Sight::Barred => step.record.kept,
        _ => read(step, &copy_ref),
    };
    let Some(lost) = lost else {
        return false;
    };
    step.record.kept = Some(lost);
    finish(step, lost);
    true
}

/// What a copy says that was lost.
fn read(step: &Step<'_>, copy_ref: &ObjectRef) -> Option<Lost> {
    let copy = step.seen.of(copy_ref).outline()?;
    let (uid, word) = annotation(copy, names::KEPT)?.rsplit_once('/')?;
    let ours = step.publication.standing(step.key, copy) == Standing::Ours;
    if !ours || annotation(copy, names::ORIGIN_UID) != Some(uid) || is_deleting(copy) {
        return None;
    }
    let all = [Lost::Binding, Lost::Order];
    all.into_iter().find(|lost| lost.word() == word)
}

/// The order is gone and its copy kept.
pub(super) fn finish(step: &mut Step<'_>, lost: Lost) {
    if lost.policy(step) != Loss::Report {
        step.gone = true;
        return;
    }
    step.record.origin = None;
    let why = match lost {
        Lost::Binding => "its workspace does not bind the export any more",
        Lost::Order => "the order is gone although it was held",
    };
    let what = step
        .copy_ref()
        .map_or_else(|_| "the copy".to_owned(), |at| at.to_string());
    step.refused.push(format!(
        "{what} is an orphan, for {why}; it stays until somebody deletes it, or orders under the same name again"
    ));
}

/// The order cannot be read: its copy stays.
pub(super) fn unreadable(step: &mut Step<'_>) {
    unheeded::leave_off(step);
    if step.record.replied.is_none() {
        // Whoever said that there is no status to write said that of the workspace.
        step.record.reflected = None;
    }
    if step.publication.policy().losses.unreadable == Loss::Report {
        let what = step
            .copy_ref()
            .map_or_else(|_| "its copy".to_owned(), |at| at.to_string());
        step.refused.push(format!(
            "the order cannot be read, for its workspace is gone, unbound or closed to us; {what} is kept"
        ));
    }
}

/// Whether the copy vanished and is not to be made again.
pub(super) fn is_lost(step: &Step<'_>) -> bool {
    // After a restart the order itself tells whether it had a copy.
    let had = |it: &Synced| it.ok || [VANISHED, "Deleting"].contains(&it.reason.as_str());
    step.publication.policy().losses.vanished == Vanished::Report
        && (step.record.lost || step.record.synced.as_ref().is_some_and(had))
}

const VANISHED: &str = "Vanished";

/// Tells consumer and provider that the copy vanished.
pub(super) fn say_lost(step: &mut Step<'_>) {
    step.record.lost = true;
    step.refused
        .push("its copy vanished, and is not made again".into());
    step.trouble(
        VANISHED,
        "what was ordered is gone at the service, and is not made again by itself; delete this order to order anew",
    );
}
