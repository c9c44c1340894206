//! Running a function of the provider's over what it looks at: for an object that comes up, and for a status.
//!
//! What a function looks at is fetched as it is found out: a run that meets a part that is not in hand is a question. What it
//! never looks at is never fetched, the order included.

use serde_json::{Value, json};

use super::record::ReadKnown;
use super::seen::{Depth, Sight};
use super::step::Step;
use crate::definition::{Compose, Part, ReadRule, Scope, Sources};
use crate::names;
use crate::naming::CopyName;
use crate::object::fingerprint::Fingerprint;
use crate::object::reference::{Known, ObjectRef, Place};
use crate::object::{is_older, label, version};
use crate::template::{Placeholder, Template};

/// The fingerprint of the versions of some parts, as text.
pub(super) fn versions(step: &Step<'_>, reads: &[ReadKnown], parts: &[Part]) -> String {
    let version = |part: &Part| match part {
        Part::Origin => step.record.wish.map(|it| it.to_string()),
        Part::Status => step.record.shown.map(|it| it.to_string()),
        Part::Copy => step
            .record
            .copy
            .as_ref()
            .map(|it| format!("{}/{}", it.known.uid, it.content)),
        Part::Read(at) => {
            let known = reads.get(*at).and_then(|it| it.known.clone()).flatten();
            known.map(|it| format!("{}/{}", it.uid, it.version))
        }
        Part::Taken(at) => {
            let taken = step.record.taken.iter().filter(|it| !it.dropped).nth(*at);
            taken
                .and_then(|it| it.seen.as_ref())
                .map(|it| format!("{}/{}", it.uid, it.version))
        }
    };
    let versions: Vec<Option<String>> = parts.iter().map(version).collect();
    Fingerprint::of(&json!(versions)).to_string()
}

/// What a function makes, and what it looked at; `None`: ask first.
pub(super) fn composed(
    step: &mut Step<'_>,
    (rules, reads): (&[(ReadRule, Template)], &[ReadKnown]),
    compose: Compose,
    origin: Option<&Value>,
    copy: Option<&Value>,
) -> Option<(Option<Value>, Vec<Part>)> {
    // A function that does not look at the order does not need it.
    let key = step.key;
    let stand_in = json!({"metadata": {"name": key.name, "namespace": key.namespace}});
    let mut sources = Sources::new(origin.cloned().unwrap_or(stand_in), copy.cloned());
    for ((read, _), known) in rules.iter().zip(reads) {
        // What counts as not there, for it belongs to another workspace, is not shown either.
        let body = step.seen.of(&known.object).body();
        let body = body.filter(|_| known.known != Some(None));
        sources = sources.with_read(read.clone(), body.cloned());
    }
    let taken: Vec<_> = step
        .record
        .taken
        .iter()
        .filter(|it| !it.dropped)
        .cloned()
        .collect();
    for entry in &taken {
        sources = sources.with_taken(&entry.path, step.seen.of(&entry.origin).body().cloned());
    }
    let made = compose(&sources);
    let parts = sources.used();
    let mut missing = Vec::new();
    for part in &parts {
        match part {
            Part::Origin | Part::Status if origin.is_none() => {
                missing.push(step.publication.origin(step.key));
            }
            Part::Origin | Part::Status => {}
            Part::Copy if copy.is_none() => missing.extend(step.copy_ref().ok()),
            Part::Copy => {}
            Part::Read(at) => {
                let read = &reads[*at];
                if read.known != Some(None) && step.seen.of(&read.object).body().is_none() {
                    missing.push(read.object.clone());
                }
            }
            Part::Taken(at) => {
                let taken = &taken[*at];
                if taken.seen.is_some() && step.seen.of(&taken.origin).body().is_none() {
                    missing.push(taken.origin.clone());
                }
            }
        }
    }
    if missing.is_empty() {
        return Some((made, parts));
    }
    for object in missing {
        step.look(&object, Depth::Body);
    }
    None
}

/// The objects that a function may read beside a copy.
pub(super) fn reads(rules: &[(ReadRule, Template)], copy: &CopyName) -> Vec<ReadKnown> {
    let known = rules.iter().map(|(read, template)| ReadKnown {
        object: ObjectRef {
            place: Place::Service,
            kind: read.kind.clone(),
            namespace: match read.kind.scope {
                Scope::Namespaced => copy.namespace.clone(),
                Scope::Cluster => String::new(),
            },
            name: template.render(|placeholder| match placeholder {
                Placeholder::CopyName => &copy.name,
                Placeholder::CopyNamespace => &copy.namespace,
                _ => "",
            }),
        },
        known: None,
    });
    known.collect()
}

/// Takes note of what is read; says whether all of it is known.
pub(super) fn learn_reads(step: &mut Step<'_>, reads: &mut [ReadKnown]) -> bool {
    let mut all = true;
    for read in reads {
        match step.seen.of(&read.object) {
            Sight::There(object) | Sight::Outline(object) => {
                let known = read.known.as_ref().and_then(Option::as_ref);
                if !known.is_some_and(|it| {
                    it.uid == crate::object::uid(object) && is_older(version(object), &it.version)
                }) {
                    // Whoever it belongs to: what another workspace brought down is not shown to this one.
                    let whose = label(object, names::CLUSTER);
                    let others = !whose.is_empty() && whose != step.key.cluster;
                    read.known = Some((!others).then(|| Known::of(object)));
                }
            }
            Sight::Absent => read.known = Some(None),
            Sight::Barred => {
                read.known = Some(None);
                step.refused.push(format!(
                    "a {} may not be read on the service cluster",
                    read.object.kind.kind
                ));
            }
            Sight::Doubt => {
                step.look(&read.object, Depth::Body);
                all = false;
            }
            Sight::Unseen if read.known.is_none() => {
                step.look(&read.object, Depth::Outline);
                all = false;
            }
            Sight::Unseen => {}
        }
    }
    all
}
