//! Fights: a field that somebody sets back again and again.
//!
//! A field that is reset is corrected. When the same field is reset three times in a row, each time within an hour of the
//! last, somebody means it: a controller with an opinion of its own, or an operator that owns the field by right. From
//! then on it is left to them, and said: with path and manager to the provider, without any name of the service's to the
//! consumer. The rest of the copy goes on being corrected.
//!
//! It is corrected again when the consumer changes that very field, when somebody sets it to what is wanted, when the
//! agent starts again, or when a person says so on the copy ([`CORRECT_AGAIN`](crate::names::CORRECT_AGAIN)).
//!
//! A webhook that changes what we write is no fight: it does so under our name, and ownership is all that counts here.
//!
//! Where changes are only reported, the same list says what differs.

use serde_json::Value;

use super::adopt::salt;
use super::drift::{self, Lost};
use super::keep::{self, as_people_say, value_print};
use super::record::{CopyKnown, Drifted, Record};
use super::step::Step;
use crate::definition::Drift;
use crate::names;
use crate::object::annotation;
use crate::object::fingerprint::Fingerprint;
use crate::projection::Intent;

/// How many resets make a fight.
const RESETS: u8 = 3;
/// Resets that are further apart are no row, in seconds.
const ROW: i64 = 3600;

/// Takes note of what a copy in hand says about fields that somebody else set.
pub(super) fn observe(step: &mut Step<'_>, known: &mut CopyKnown, copy: &Value) {
    let now = seconds(&step.context.now);
    let again = annotation(copy, names::CORRECT_AGAIN)
        .map_or(0, |it| value_print("", "", &Value::from(it)));
    let told_so = step.record.again != again;
    step.record.again = again;
    let salt = salt(step.key);
    let before = step.record.drifted.iter().filter(|it| it.left).count();
    step.record.drifted.retain(|it| {
        let value = copy.pointer(&it.path).unwrap_or(&Value::Null);
        let as_wanted = value_print(&salt, &it.path, value) == it.wanted;
        !told_so
            && (if it.resets == 0 {
                true
            } else if it.left {
                !as_wanted
            } else {
                now - it.at <= ROW
            })
    });
    if before > step.record.drifted.iter().filter(|it| it.left).count() {
        known.suspect = true;
    }
    if step.publication.policy().drift == Drift::Report {
        compare(step, known, copy);
    }
}

/// What of the copy is not what was ordered, and not as we left it.
fn compare(step: &mut Step<'_>, known: &CopyKnown, copy: &Value) {
    let Some(leaves) = &known.leaves else { return };
    let salt = salt(step.key);
    let manager = step.manager();
    let have = keep::leaves(copy);
    let differing = leaves.iter().filter(|(path, wanted)| {
        let same = have
            .get(*path)
            .is_some_and(|value| value_print(&salt, path, value) == *wanted);
        // What a webhook made of what we wrote is still ours.
        !same && !keep::is_mark(path) && !drift::is_ours(copy, path, &manager)
    });
    let drifted: Vec<_> = differing
        .map(|(path, wanted)| Drifted {
            path: path.to_owned(),
            manager: drift::owner(copy, path, &manager).unwrap_or_default(),
            wanted,
            resets: 0,
            corrected: false,
            left: true,
            at: 0,
        })
        .collect();
    // Marks are fought for under every policy.
    step.record.drifted.retain(|it| it.resets > 0);
    for entry in drifted {
        if step.record.drifted.iter().all(|it| it.path != entry.path) {
            step.record.drifted.push(entry);
        }
    }
}

/// The consumer changed a field: whatever was said about it is over.
pub(super) fn forget_changed(step: &mut Step<'_>, intent: &Intent) {
    if step.record.drifted.is_empty() {
        return;
    }
    let salt = salt(step.key);
    let wanted = keep::leaves(&intent.object);
    step.record.drifted.retain(|it| {
        wanted
            .get(&it.path)
            .is_some_and(|value| value_print(&salt, &it.path, value) == it.wanted)
    });
}

/// Whether a field is left to others.
pub(super) fn is_left(record: &Record, path: &str) -> bool {
    record.drifted.iter().any(|it| it.left && it.path == path)
}

/// Counts resets; says whether anything is to be corrected.
pub(super) fn weigh(step: &mut Step<'_>, lost: Vec<Lost>, intent: &Intent) -> bool {
    let now = seconds(&step.context.now);
    let salt = salt(step.key);
    let mut correct = false;
    for Lost { path, manager } in lost {
        let manager = manager.unwrap_or_default();
        let Some(entry) = step.record.drifted.iter_mut().find(|it| it.path == path) else {
            let value = intent.object.pointer(&path).unwrap_or(&Value::Null);
            step.record.drifted.push(Drifted {
                wanted: value_print(&salt, &path, value),
                path,
                manager,
                resets: 1,
                corrected: false,
                left: false,
                at: now,
            });
            correct = true;
            continue;
        };
        entry.manager = manager;
        if entry.corrected {
            entry.resets = if now - entry.at > ROW {
                1
            } else {
                entry.resets + 1
            };
            entry.corrected = false;
            entry.at = now;
            entry.left = entry.resets >= RESETS;
        }
        correct |= !entry.left;
    }
    correct
}

/// The copy was written: whatever is not left was corrected.
pub(super) fn corrected(record: &mut Record) {
    for entry in &mut record.drifted {
        entry.corrected = !entry.left;
    }
}

/// Whether what is left can only be spared with the copy in hand.
pub(super) fn needs_copy(record: &Record, object: &Value) -> bool {
    let left = record.drifted.iter().filter(|it| it.left);
    left.into_iter()
        .any(|it| object.pointer(&it.path).is_some_and(Value::is_array))
}

/// Takes what is left to others out of what is applied.
///
/// Of a list some items may still be ours, and leaving it out would take them away: it is applied as it is on the copy.
pub(super) fn spare(record: &Record, object: &mut Value, copy: Option<&Value>) {
    for entry in record.drifted.iter().filter(|it| it.left) {
        let have = copy.and_then(|copy| copy.pointer(&entry.path));
        match (object.pointer_mut(&entry.path), have) {
            (Some(wanted), Some(have)) if wanted.is_array() => *wanted = have.clone(),
            (Some(_), _) => take_out(object, &entry.path),
            (None, _) => {}
        }
    }
}

fn take_out(object: &mut Value, path: &str) {
    let Some((parent, field)) = path.rsplit_once('/') else {
        return;
    };
    if let Some(Value::Object(parent)) = object.pointer_mut(parent) {
        parent.remove(&*keep::unescape(field));
    }
}

/// Says what is left as others set it.
pub(super) fn say(step: &mut Step<'_>) {
    let left = step.record.drifted.iter().filter(|it| it.left);
    let left: Vec<_> = left.cloned().collect();
    let mut sentences = Vec::new();
    for entry in &left {
        let path = as_people_say(&entry.path);
        let here = step.publication.projection().up_path(&path);
        let here = here.unwrap_or_else(|| "a part of the order".to_owned());
        let (sentence, why) = match entry.manager.as_str() {
            "" => (
                format!("{here}: it was taken out at the service"),
                format!("{path} was taken out"),
            ),
            manager => (
                format!("{here}: it was set to something else at the service"),
                format!("{path} was set to something else by {manager:?}"),
            ),
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
        step.drifted.push(if entry.resets == 0 {
            format!("{why}; it is left so until the order changes it")
        } else {
            format!(
                "{why} {} times in a row; it is not corrected until the order changes it or the copy is annotated with {}",
                entry.resets,
                names::CORRECT_AGAIN
            )
        });
    }
    if !sentences.is_empty() {
        let reason = if left.iter().any(|it| it.resets > 0) {
            "Contested"
        } else {
            "Drifted"
        };
        step.trouble(reason, sentences.join("; "));
    }
}

/// Seconds since 1970 of a time like `2026-11-22T18:00:00Z`; 0 of anything else.
fn seconds(time: &str) -> i64 {
    let number = |from: usize, to: usize| time.get(from..to).and_then(|it| it.parse::<i64>().ok());
    let parts = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)];
    let parts: Option<Vec<i64>> = parts.iter().map(|(a, b)| number(*a, *b)).collect();
    let Some(&[year, month, day, hour, minute, second]) = parts.as_deref() else {
        return 0;
    };
    // Years begin in March, so that the day that comes and goes is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}

/// The fingerprint that stands for nothing.
pub(super) fn nothing() -> Fingerprint {
    Fingerprint::of(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), 0);
        assert_eq!(seconds("2000-03-01T00:00:01Z"), 951_868_801);
        assert_eq!(seconds("2026-11-22T18:00:00Z"), 1_795_370_400);
        assert_eq!(seconds("soon"), 0);
    }
}
