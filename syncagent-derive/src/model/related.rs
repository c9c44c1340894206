//! Related objects that are found: by a path, by labels, or under a name.

use darling::error::Accumulator;
use syn::Path;

use super::{Mutation, PointAt, Requirement, mutations, requirements};
use crate::attr::{
    LabelAttr, MadeText, RelatedAttr, RewriteAttr, SelectedAttr, SelectedLabelAttr, Text, Word,
};

/// Objects that belong to an order.
pub(crate) struct Related {
    pub(crate) kind: Path,
    pub(crate) id: Text,
    /// The variant of `Side`.
    pub(crate) origin: &'static str,
    pub(crate) into: Option<Path>,
    pub(crate) identity: Option<Text>,
    pub(crate) objects: Objects,
    pub(crate) namespaces: Option<Objects>,
    pub(crate) labels: Vec<LabelAttr>,
    pub(crate) pass_labels: Vec<Text>,
    pub(crate) pass_annotations: Vec<Text>,
    pub(crate) keys: Vec<Text>,
    pub(crate) changes: Vec<Mutation>,
    /// The variant of `Cleanup`.
    pub(crate) cleanup: Option<&'static str>,
    /// The variant of `Drift`.
    pub(crate) drift: Option<&'static str>,
    /// The variant of `Unproven`.
    pub(crate) unproven: Option<&'static str>,
    pub(crate) status: bool,
}

/// How they are found and what their copies are called.
pub(crate) struct Objects {
    pub(crate) find: Find,
    pub(crate) called: Called,
}

/// How they are found.
pub(crate) enum Find {
    Reference(Text, Option<RewriteAttr>),
    Selected(Vec<SelectedLabelAttr>, Vec<Requirement>),
    Named(MadeText),
}

/// What their copies are called.
pub(crate) enum Called {
    Default,
    Text(MadeText),
    Rewritten(RewriteAttr),
    Mirrored,
}

/// What was said about finding and naming, of objects or of namespaces.
struct Said {
    reference: Option<Text>,
    named: Option<MadeText>,
    selected: Option<SelectedAttr>,
    rewrite: Option<RewriteAttr>,
    called: Option<MadeText>,
    mirrored: Option<Word>,
}

impl Related {
    pub(super) fn of(attr: RelatedAttr, acc: &mut Accumulator) -> Option<Self> {
        let keys = attr.keys;
        let origin = word(
            &keys.origin,
            "origin",
            &[("workspace", "Workspace"), ("service", "Service")],
            acc,
        );
        let cleanup = keys.cleanup.as_ref().and_then(|text| {
            let words = &[
                ("with-order", "WithOrder"),
                ("with-origin", "WithOrigin"),
                ("never", "Never"),
            ];
            word(text, "cleanup", words, acc)
        });
        let drift = keys.drift.as_ref().and_then(|text| {
            let words = &[
                ("correct", "Correct"),
                ("keep", "Keep"),
                ("report", "Report"),
            ];
            word(text, "drift", words, acc)
        });
        let unproven = keys.unproven.as_ref().and_then(|text| {
            let words = &[("refused", "Refused"), ("allowed", "Allowed")];
            word(text, "unproven", words, acc)
        });
        let pass = keys
            .pass
            .map_or_else(Default::default, |it| (it.labels.0, it.annotations.0));
        let changes = mutations(keys.changes, acc);
        let said = Said {
            reference: keys.reference,
            named: keys.named,
            selected: keys.selected,
            rewrite: keys.rewrite,
            called: keys.called,
            mirrored: keys.mirrored,
        };
        let objects = said.objects(&keys.id, acc);
        let namespaces = keys.within.map(|it| {
            let said = Said {
                reference: it.reference,
                named: it.named,
                selected: it.selected,
                rewrite: it.rewrite,
                called: it.called,
                mirrored: it.mirrored,
            };
            said.objects(&keys.id, acc)
        });
        Some(Self {
            kind: attr.kind.0,
            id: keys.id,
            origin: origin?,
            into: keys.into.map(|it| it.0),
            identity: keys.identity,
            objects: objects?,
            namespaces: namespaces.flatten(),
            labels: keys.labels,
            pass_labels: pass.0,
            pass_annotations: pass.1,
            keys: keys.keys.0,
            changes,
            cleanup,
            drift,
            unproven,
            status: keys.status,
        })
    }
}

impl Said {
    fn objects(self, id: &Text, acc: &mut Accumulator) -> Option<Objects> {
        let mut rewrite = self.rewrite;
        let finds = [
            self.reference.map(|it| Find::Reference(it, None)),
            self.selected.map(|it| {
                let demands = requirements(it.matches.as_ref(), acc);
                Find::Selected(it.labels, demands)
            }),
            self.named.map(Find::Named),
        ];
        let mut finds = finds.into_iter().flatten();
        let find = match (finds.next(), finds.next()) {
            (Some(find), None) => find,
            (first, _) => {
                let message = if first.is_some() {
                    "objects are found in one way: keep one of `reference`, `selected` and `named`"
                } else {
                    "say how they are found: `reference = \"spec..\"`, `selected(label(..))` or `named = \"..\"`"
                };
                acc.point_at(id, message);
                return None;
            }
        };
        let find = match find {
            Find::Reference(path, _) => Find::Reference(path, rewrite.take()),
            other => other,
        };
        let called = match (self.called, self.mirrored, rewrite) {
            (None, None, None) => Called::Default,
            (Some(text), None, None) => Called::Text(text),
            (None, Some(_), None) => Called::Mirrored,
            (None, None, Some(rewrite)) => Called::Rewritten(rewrite),
            _ => {
                acc.point_at(
                    id,
                    "a copy gets its name in one way: keep one of `called`, `mirrored` and `rewrite`",
                );
                return None;
            }
        };
        Some(Objects { find, called })
    }
}

fn word(
    text: &Text,
    key: &str,
    words: &[(&str, &'static str)],
    acc: &mut Accumulator,
) -> Option<&'static str> {
    let found = words.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        acc.point_at(
            text,
            format!("`{key}` can be one of {}", crate::attr::quoted(&known)),
        );
    }
    found.map(|(_, variant)| *variant)
}
