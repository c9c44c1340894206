//! What a function says in the status: run again only when something changed that it looked at.
//!
//! What it said is remembered, for a status is written as a whole, and the copy's part of it changes more often.

use serde_json::Value;

use super::compose::{composed, learn_reads, reads, versions};
use super::locate::name_of;
use super::record::MadeKnown;
use super::step::Step;
use crate::definition::Part;

/// Registers what the function reads.
pub(super) fn concern(step: &mut Step<'_>) {
    let Some(rule) = step.publication.made_status() else {
        return;
    };
    if step.record.made.is_none() {
        let Ok(copy) = step.copy_ref() else { return };
        step.record.made = Some(Box::new(MadeKnown {
            reads: reads(&rule.reads, &name_of(&copy)),
            ..MadeKnown::default()
        }));
    }
    let known = step.record.made.iter().flat_map(|it| &it.reads);
    let objects: Vec<_> = known.map(|it| it.object.clone()).collect();
    for object in &objects {
        step.concern(object);
    }
}

/// What the function said is shown.
pub(super) fn said(step: &mut Step<'_>) {
    if let Some(known) = &mut step.record.made {
        known.unsaid = false;
    }
}

/// What the function says.
pub(super) enum Word {
    /// This, and whether it is something new.
    Said(Option<Value>, bool),
    /// Something must be found out first.
    Asked,
}

pub(super) fn speak(step: &mut Step<'_>, origin: Option<&Value>, copy: Option<&Value>) -> Word {
    let Some(rule) = step.publication.made_status() else {
        return Word::Said(None, false);
    };
    let ready = step.record.copy.as_ref().is_some_and(|it| !it.deleting);
    let Some(mut known) = step.record.made.take().filter(|_| ready) else {
        return Word::Said(None, false);
    };
    let word = say(step, &mut known, rule, origin, copy);
    step.record.made = Some(known);
    word
}

fn say(
    step: &mut Step<'_>,
    known: &mut MadeKnown,
    rule: &crate::status::Made,
    origin: Option<&Value>,
    copy: Option<&Value>,
) -> Word {
    if !learn_reads(step, &mut known.reads) {
        return Word::Asked;
    }
    let before = known.said.as_deref().map(parse);
    let current = versions(step, &known.reads, &known.parts);
    if known.made_of.as_ref() == Some(&current) {
        return Word::Said(before, known.unsaid);
    }
    // It would be made of itself.
    let without = origin.map(|origin| {
        let mut origin = origin.clone();
        origin["status"] = Value::Null;
        origin
    });
    let parts = (&rule.reads[..], &known.reads[..]);
    let Some((made, mut parts)) = composed(step, parts, rule.make, without.as_ref(), copy) else {
        return Word::Asked;
    };
    parts.retain(|it| *it != Part::Status);
    known.made_of = Some(versions(step, &known.reads, &parts));
    known.parts = parts;
    let made = made.filter(Value::is_object);
    known.said = made.as_ref().map(ToString::to_string);
    known.unsaid |= made != before;
    Word::Said(made, known.unsaid)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
