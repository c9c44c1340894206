//! Policies: words that choose, one table for all of them.

use darling::error::Accumulator;

use super::PointAt;
use crate::attr::{StructAttr, Text, quoted};

/// A policy that was chosen: a field of `Policy`, the enum, and its variant.
#[derive(Clone)]
pub(crate) struct Choice {
    /// The key that was written.
    pub(crate) key: &'static str,
    /// The field, as in `losses.unbound`.
    pub(crate) field: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) text: Text,
}

type Words = &'static [(&'static str, &'static str)];

const LOSS: Words = &[("retire", "Retire"), ("keep", "Keep"), ("report", "Report")];

/// Every policy that was chosen.
pub(super) fn choices(attr: &StructAttr, acc: &mut Accumulator) -> Vec<Choice> {
    let losses = attr.losses.as_ref();
    let said: [(
        &'static str,
        &'static str,
        &'static str,
        Option<&Text>,
        Words,
    ); 12] = [
        (
            "drift",
            "drift",
            "Drift",
            attr.drift.as_ref(),
            &[
                ("correct", "Correct"),
                ("keep", "Keep"),
                ("report", "Report"),
            ],
        ),
        (
            "adoption",
            "adoption",
            "Adoption",
            attr.adoption.as_ref(),
            &[
                ("refuse", "Refuse"),
                ("label-only", "LabelOnly"),
                ("take-over", "TakeOver"),
            ],
        ),
        (
            "deletion",
            "deletion",
            "Deletion",
            attr.deletion.as_ref(),
            &[
                ("background", "Background"),
                ("foreground", "Foreground"),
                ("orphan", "Orphan"),
            ],
        ),
        (
            "leaving",
            "leaving",
            "Leaving",
            attr.leaving.as_ref(),
            &[("keep", "Keep"), ("retire", "Retire")],
        ),
        (
            "events",
            "events",
            "Events",
            attr.events.as_ref(),
            &[("off", "Off"), ("warnings", "Warnings"), ("all", "All")],
        ),
        (
            "breaking_changes",
            "breaking_changes",
            "BreakingChanges",
            attr.breaking_changes.as_ref(),
            &[("refuse", "Refuse"), ("warn", "Warn"), ("allow", "Allow")],
        ),
        (
            "colliding_names",
            "colliding_names",
            "CollidingNames",
            attr.colliding_names.as_ref(),
            &[("refuse", "Refuse"), ("warn", "Warn")],
        ),
        (
            "unbound",
            "losses.unbound",
            "Loss",
            losses.and_then(|it| it.unbound.as_ref()),
            LOSS,
        ),
        (
            "stripped",
            "losses.stripped",
            "Loss",
            losses.and_then(|it| it.stripped.as_ref()),
            LOSS,
        ),
        (
            "unreadable",
            "losses.unreadable",
            "Loss",
            losses.and_then(|it| it.unreadable.as_ref()),
            LOSS,
        ),
        (
            "claim",
            "losses.claim",
            "Loss",
            losses.and_then(|it| it.claim.as_ref()),
            LOSS,
        ),
        (
            "vanished",
            "losses.vanished",
            "Vanished",
            losses.and_then(|it| it.vanished.as_ref()),
            &[("recreate", "Recreate"), ("report", "Report")],
        ),
    ];
    let mut all = Vec::new();
    for (key, field, kind, text, words) in said {
        let Some(text) = text else { continue };
        match words.iter().find(|(word, _)| *word == text.value) {
            Some((_, variant)) => all.push(Choice {
                key,
                field,
                kind,
                variant,
                text: text.clone(),
            }),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                acc.point_at(text, format!("`{key}` can be one of {}", quoted(&known)));
            }
        }
    }
    all
}
