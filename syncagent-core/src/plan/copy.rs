//! What is known of the copy in this step.

use serde_json::Value;

use super::predecessor::{self, Proof};
use super::record::CopyKnown;
use super::seen::Sight;
use super::step::Step;
use super::{adopt, drift};
use crate::names;
use crate::object::fingerprint::{Fingerprint, Parts};
use crate::object::identity::Standing;
use crate::object::reference::{Known, ObjectRef};
use crate::object::{self, annotation, generation, is_deleting, is_older, label, version};
use crate::projection::written_for;
use crate::related::{content, is_content};
use crate::status::Generations;

/// What is known of the copy now.
pub(super) enum Copy<'a> {
    /// Nobody looked yet.
    Unknown,
    /// As the record says.
    Recorded,
    /// It is not there.
    Absent,
    /// It is in hand.
    Ours(&'a Value),
    /// Something of that name is somebody else's.
    Other,
    /// Something of that name is nobody's.
    Unmarked(&'a Value),
    /// It cannot be told before it is looked at.
    Unclear,
    /// It cannot be told before a question is answered, and that was asked.
    Asked,
}

/// Takes note of the copy.
pub(super) fn learn<'a>(step: &mut Step<'a>, copy_ref: &ObjectRef) -> Copy<'a> {
    match step.seen.of(copy_ref) {
        Sight::There(copy) => {
            let known = step.record.copy.as_ref();
            let stale = known.is_some_and(|it| is_older(version(copy), &it.known.version));
            if stale {
                return Copy::Recorded;
            }
            let standing = step.publication.standing(step.key, copy);
            let standing = match standing {
                Standing::Ours => match predecessor::proof(step, copy) {
                    Proof::Given => standing,
                    Proof::Lacking if label(copy, names::AGENT).is_empty() => Standing::Unmarked,
                    Proof::Lacking => Standing::Foreign,
                    Proof::Asked => return Copy::Asked,
                },
                _ => standing,
            };
            let worn = standing != Standing::Ours && adopt::is_worn(step, copy);
            if standing != Standing::Ours && !worn {
                step.record.copy = None;
                step.record.copy_absent = true;
                return match standing {
                    Standing::Unmarked => Copy::Unmarked(copy),
                    _ => Copy::Other,
                };
            }
            let manager = step.manager();
            let mut known = CopyKnown::of(copy, step.record.copy.as_ref(), &manager);
            known.suspect |= worn;
            step.record.copy = Some(known);
            step.record.copy_absent = false;
            step.record.lost = false;
            Copy::Ours(copy)
        }
        Sight::Absent => {
            step.record.lost |= step.record.copy.is_some();
            step.record.copy = None;
            step.record.copy_absent = true;
            Copy::Absent
        }
        Sight::Outline(copy)
            if step
                .record
                .copy
                .as_ref()
                .is_some_and(|it| it.known == Known::of(copy)) =>
        {
            Copy::Recorded
        }
        Sight::Doubt | Sight::Outline(_) => Copy::Unclear,
        Sight::Barred => {
            step.refused.push("the copy cannot be read".into());
            Copy::Recorded
        }
        Sight::Unseen if step.record.copy.is_some() => Copy::Recorded,
        Sight::Unseen if step.record.copy_absent => Copy::Absent,
        Sight::Unseen => Copy::Unknown,
    }
}

impl CopyKnown {
    /// Which generations of order and copy belong together.
    pub(super) const fn generations(&self) -> Generations {
        Generations {
            generation: self.generation,
            reflects: self.reflects,
            before: self.before,
        }
    }

    /// What is remembered of a copy that is seen, given what was remembered before.
    pub(super) fn of(copy: &Value, before: Option<&Self>, manager: &str) -> Self {
        let applied = annotation(copy, names::APPLIED).map(str::to_owned);
        let entry = drift::print(copy, manager);
        let before = before.filter(|it| it.known.uid == object::uid(copy));
        let suspect = match before {
            Some(before) => {
                let entry_differs = before.entry.is_some() && before.entry != entry;
                before.suspect || before.applied != applied || entry_differs
            }
            // Nothing to compare with: what is ours on it is looked at when the origin is in hand.
            None => true,
        };
        // Of a write whose answer was lost, the copy itself tells what it was for.
        let same = before.filter(|it| it.applied == applied);
        Self {
            known: Known::of(copy),
            entry,
            generation: same.map_or_else(|| generation(copy), |it| it.generation),
            reflects: same.map_or_else(|| written_for(copy), |it| it.reflects),
            before: match same {
                Some(same) => same.before,
                None => before.map_or(0, |it| it.reflects),
            },
            applied,
            content: content_print(copy),
            deleting: is_deleting(copy),
            suspect,
            leaves: same.and_then(|it| it.leaves.clone()),
        }
    }
}

/// The fingerprint of a copy's content and status.
fn content_print(copy: &Value) -> Fingerprint {
    let status = ("status", Parts::Whole(&copy["status"]));
    if copy.get("stringData").is_some() {
        let content = Value::Object(content(copy));
        let content = ("content", Parts::Whole(&content));
        return Fingerprint::of_parts(&Parts::Fields(vec![content, status]));
    }
    let fields = copy.as_object().into_iter().flatten();
    let fields = fields.filter(|(field, value)| is_content(field) && !value.is_null());
    let fields = fields.map(|(field, value)| (field.as_str(), Parts::WithoutNulls(value)));
    let content = ("content", Parts::Fields(fields.collect()));
    Fingerprint::of_parts(&Parts::Fields(vec![content, status]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copys_content_is_told_by_the_same_fingerprint_in_whichever_way() {
        for copy in [
            json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "immutable": true,
                "spec": {"a": null, "b": [null, {"c": null}]}, "more": null, "status": {"x": null}}),
            json!({"stringData": {"a": "b"}, "data": {"c": "ZA=="}}),
            Value::Null,
        ] {
            let whole = json!({"content": content(&copy), "status": copy["status"]});
            assert_eq!(content_print(&copy), Fingerprint::of(&whole), "{copy}");
        }
    }
}
