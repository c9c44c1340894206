//! What was written: the `#[publish(...)]` attributes, faithful to the text and with every span kept.
//!
//! Each key is read on its own, so that a mistake in one does not hide the mistakes in the others. Nothing is decided
//! here: defaults, meanings and contradictions belong to `model` and `check`.

mod groups;
mod neighbours;
mod values;

use darling::ast::NestedMeta;
use darling::error::Accumulator;
use darling::{Error, FromMeta};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

pub(crate) use groups::{
    LabelAttr, LossesAttr, MadeStatusAttr, MutationAttr, NamespaceAttr, OnlyAttr, PassAttr,
    ReadsAttr, RelatedAttr, ReturnsAttr, RewriteAttr, SelectedAttr, SelectedLabelAttr, SetAttr,
    TakesAttr, VersionAttr,
};
pub(crate) use neighbours::{KubeAttr, SerdeContainer, SerdeField};
pub(crate) use values::{FnName, MadeText, Text, Texts, TypeName, Word};

/// Keys above a struct with `#[derive(Publish)]`.
const ON_STRUCT: &[&str] = &[
    "copy",
    "only",
    "schema",
    "service",
    "fields",
    "set",
    "down",
    "up",
    "returns",
    "related",
    "reserved",
    "recreate",
    "status",
    "pass",
    "namespace",
    "versions",
    "version",
    "singular",
    "short_names",
    "categories",
    "drift",
    "adoption",
    "deletion",
    "deletion_by_order",
    "leaving",
    "losses",
    "events",
    "breaking_changes",
    "colliding_names",
    "concurrency",
    "conditions",
    "crate",
];
/// Keys on a field of a spec, or of a part of one.
const ON_FIELD: &[&str] = &[
    "nested",
    "takes",
    "refers_to",
    "at",
    "with",
    "hidden",
    "local",
];
/// Keys on a field of a status.
const ON_STATUS_FIELD: &[&str] = &["at", "with", "refers_to"];
/// Keys above a part and above a status.
const ON_PART: &[&str] = &["crate"];

/// What stands above a struct with `#[derive(Publish)]`.
#[derive(Default)]
pub(crate) struct StructAttr {
    pub(crate) copy: Option<Text>,
    pub(crate) only: Option<OnlyAttr>,
    pub(crate) schema: Option<Text>,
    pub(crate) service: Option<TypeName>,
    pub(crate) set: Vec<SetAttr>,
    pub(crate) returns: Vec<ReturnsAttr>,
    pub(crate) pass: Option<PassAttr>,
    pub(crate) fields: Option<Texts>,
    pub(crate) down: Vec<MutationAttr>,
    pub(crate) up: Vec<MutationAttr>,
    pub(crate) related: Vec<RelatedAttr>,
    pub(crate) reserved: Option<Texts>,
    pub(crate) recreate: Option<Texts>,
    pub(crate) status: Option<MadeStatusAttr>,
    pub(crate) namespace: Option<NamespaceAttr>,
    pub(crate) versions: Option<Texts>,
    pub(crate) version: Vec<VersionAttr>,
    pub(crate) singular: Option<Text>,
    pub(crate) short_names: Option<Texts>,
    pub(crate) categories: Option<Texts>,
    pub(crate) drift: Option<Text>,
    pub(crate) adoption: Option<Text>,
    pub(crate) deletion: Option<Text>,
    pub(crate) deletion_by_order: Option<bool>,
    pub(crate) leaving: Option<Text>,
    pub(crate) losses: Option<LossesAttr>,
    pub(crate) events: Option<Text>,
    pub(crate) breaking_changes: Option<Text>,
    pub(crate) colliding_names: Option<Text>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) conditions: Option<bool>,
    pub(crate) krate: Option<syn::Path>,
}

/// What stands on a field of a spec, of a part, or of a status.
#[derive(Default)]
pub(crate) struct FieldAttr {
    pub(crate) nested: Option<Word>,
    pub(crate) takes: Option<TakesAttr>,
    pub(crate) refers_to: Option<TypeName>,
    pub(crate) at: Option<Text>,
    pub(crate) with: Option<FnName>,
    pub(crate) hidden: Option<Word>,
    pub(crate) local: Option<Word>,
    /// Where each key stands.
    spans: Vec<(String, Span)>,
}

/// Where a list of keys stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Above a struct with `#[derive(Publish)]`.
    Struct,
    /// Above a part or a status.
    Part,
    /// On a field of a spec or a part.
    Field,
    /// On a field of a status.
    StatusField,
}

impl StructAttr {
    pub(crate) fn read(attrs: &[Attribute], stands: Stands, acc: &mut Accumulator) -> Self {
        let mut it = Self::default();
        for (key, item) in keys(attrs, stands, acc) {
            match key.as_str() {
                "copy" => once(&mut it.copy, &key, &item, acc),
                "only" => once(&mut it.only, &key, &item, acc),
                "schema" => once(&mut it.schema, &key, &item, acc),
                "service" => once(&mut it.service, &key, &item, acc),
                "set" => it.set.extend(acc.handle(SetAttr::from_nested_meta(&item))),
                "returns" => it
                    .returns
                    .extend(acc.handle(ReturnsAttr::from_nested_meta(&item))),
                "pass" => once(&mut it.pass, &key, &item, acc),
                "fields" => once(&mut it.fields, &key, &item, acc),
                "down" => it
                    .down
                    .extend(acc.handle(MutationAttr::from_nested_meta(&item))),
                "up" => it
                    .up
                    .extend(acc.handle(MutationAttr::from_nested_meta(&item))),
                "related" => it
                    .related
                    .extend(acc.handle(RelatedAttr::from_nested_meta(&item))),
                "reserved" => once(&mut it.reserved, &key, &item, acc),
                "recreate" => once(&mut it.recreate, &key, &item, acc),
                "status" => once(&mut it.status, &key, &item, acc),
                "namespace" => once(&mut it.namespace, &key, &item, acc),
                "versions" => once(&mut it.versions, &key, &item, acc),
                "version" => it
                    .version
                    .extend(acc.handle(VersionAttr::from_nested_meta(&item))),
                "singular" => once(&mut it.singular, &key, &item, acc),
                "short_names" => once(&mut it.short_names, &key, &item, acc),
                "categories" => once(&mut it.categories, &key, &item, acc),
                "drift" => once(&mut it.drift, &key, &item, acc),
                "adoption" => once(&mut it.adoption, &key, &item, acc),
                "deletion" => once(&mut it.deletion, &key, &item, acc),
                "deletion_by_order" => once(&mut it.deletion_by_order, &key, &item, acc),
                "leaving" => once(&mut it.leaving, &key, &item, acc),
                "losses" => once(&mut it.losses, &key, &item, acc),
                "events" => once(&mut it.events, &key, &item, acc),
                "breaking_changes" => once(&mut it.breaking_changes, &key, &item, acc),
                "colliding_names" => once(&mut it.colliding_names, &key, &item, acc),
                "concurrency" => once(&mut it.concurrency, &key, &item, acc),
                "conditions" => once(&mut it.conditions, &key, &item, acc),
                _ => once(&mut it.krate, &key, &item, acc),
            }
        }
        it
    }
}

impl FieldAttr {
    pub(crate) fn read(attrs: &[Attribute], stands: Stands, acc: &mut Accumulator) -> Self {
        let mut it = Self::default();
        for (key, item) in keys(attrs, stands, acc) {
            it.spans.push((key.clone(), key_span(&item)));
            match key.as_str() {
                "nested" => once(&mut it.nested, &key, &item, acc),
                "takes" => once(&mut it.takes, &key, &item, acc),
                "refers_to" => once(&mut it.refers_to, &key, &item, acc),
                "at" => once(&mut it.at, &key, &item, acc),
                "with" => once(&mut it.with, &key, &item, acc),
                "hidden" => once(&mut it.hidden, &key, &item, acc),
                _ => once(&mut it.local, &key, &item, acc),
            }
        }
        it
    }

    /// Where a key stands.
    pub(crate) fn spans(&self) -> impl Fn(&str) -> Span + use<> {
        let spans = self.spans.clone();
        move |key| {
            let found = spans.iter().find(|(it, _)| it == key);
            found.map_or_else(Span::call_site, |(_, span)| *span)
        }
    }
}

/// The known keys of all `#[publish(...)]`, each with its item; the others are refused here.
fn keys(attrs: &[Attribute], stands: Stands, acc: &mut Accumulator) -> Vec<(String, NestedMeta)> {
    let mut known = Vec::new();
    for attr in attrs.iter().filter(|it| it.path().is_ident("publish")) {
        let Meta::List(list) = &attr.meta else {
            acc.push(
                Error::custom("write what holds in parentheses: `#[publish(...)]`")
                    .with_span(attr.path()),
            );
            continue;
        };
        let Some(items) =
            acc.handle(NestedMeta::parse_meta_list(list.tokens.clone()).map_err(Error::from))
        else {
            continue;
        };
        for item in items {
            match key_of(&item) {
                Some(key) if stands.keys().contains(&key.as_str()) => {
                    inside(&key, &item, acc);
                    known.push((key, item));
                }
                Some(key) => {
                    acc.push(Error::custom(stands.refuse(&key)).with_span(&key_span(&item)));
                }
                None => acc.push(
                    Error::custom(format!("here stands one of {}", quoted(stands.keys())))
                        .with_span(&item),
                ),
            }
        }
    }
    known
}

/// The keys that a key has in its parentheses.
fn known_inside(key: &str) -> &'static [&'static str] {
    match key {
        "only" => &["namespaces", "label", "selector", "namespace_selector"],
        "down" | "up" | "change" => &[
            "at",
            "set",
            "default",
            "delete",
            "regex",
            "replacement",
            "template",
            "cel",
            "with",
        ],
        "losses" => &["unbound", "stripped", "unreadable", "claim", "vanished"],
        "namespace" => &["label", "annotation"],
        "annotation" => &["key", "value"],
        "version" => &["service", "offered"],
        "status" => &["with", "reads"],
        "related" => &[
            "id",
            "origin",
            "into",
            "identity",
            "reference",
            "named",
            "selected",
            "rewrite",
            "called",
            "mirrored",
            "within",
            "label",
            "keys",
            "pass",
            "change",
            "cleanup",
            "drift",
            "unproven",
            "status",
        ],
        "named" | "called" | "key" | "value" => &["template", "with"],
        "within" => &[
            "reference",
            "named",
            "selected",
            "rewrite",
            "called",
            "mirrored",
        ],
        "selected" => &["label", "matches"],
        "rewrite" => &["pattern", "replacement"],
        "set" => &["at", "value"],
        "pass" => &["labels", "annotations"],
        "takes" => &["name", "label"],
        "returns" => &["id", "name", "from", "keys", "with", "reads"],
        "reads" => &["name"],
        "label" => &["key", "value"],
        _ => &[],
    }
}

/// Whether a key stands in the parentheses of another one that does not know it.
fn is_mistyped(key: &str, items: &[NestedMeta]) -> bool {
    let known = known_inside(key);
    let mut keys = items.iter().filter_map(key_of);
    keys.any(|key| !known.contains(&key.as_str()))
}

/// Refuses unknown keys inside parentheses, however deep; a kind that stands bare is none.
fn inside(key: &str, item: &NestedMeta, acc: &mut Accumulator) {
    let known = known_inside(key);
    let NestedMeta::Meta(Meta::List(list)) = item else {
        return;
    };
    let Ok(items) = NestedMeta::parse_meta_list(list.tokens.clone()) else {
        return;
    };
    for item in items {
        let kind = matches!(&item, NestedMeta::Meta(Meta::Path(_)));
        match key_of(&item) {
            Some(key) if known.contains(&key.as_str()) => inside(&key, &item, acc),
            Some(key) if !kind => {
                acc.push(Error::custom(unknown(&key, known)).with_span(&key_span(&item)));
            }
            _ => {}
        }
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}`; known here: {}", quoted(known)),
    }
}

impl Stands {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Struct => ON_STRUCT,
            Self::Part => ON_PART,
            Self::Field => ON_FIELD,
            Self::StatusField => ON_STATUS_FIELD,
        }
    }

    /// What to write instead of a key that is unknown here.
    fn refuse(self, key: &str) -> String {
        match self {
            Self::Field | Self::StatusField if ON_STRUCT.contains(&key) => {
                format!(
                    "`{key}` is said once for the whole kind: write it above the struct that derives `Publish`"
                )
            }
            Self::Part if ON_STRUCT.contains(&key) => {
                format!(
                    "`{key}` is said once for the whole kind: write it above the struct that derives `Publish`"
                )
            }
            Self::Struct | Self::Part if ON_FIELD.contains(&key) => {
                format!("`{key}` is said about one field: write it on that field")
            }
            Self::StatusField if ON_FIELD.contains(&key) => format!(
                "`{key}` is said about fields that go down; a field of the status knows {}",
                quoted(ON_STATUS_FIELD)
            ),
            _ => unknown(key, self.keys()),
        }
    }
}

/// Fills a key that may be said once.
fn once<T: FromMeta>(slot: &mut Option<T>, key: &str, item: &NestedMeta, acc: &mut Accumulator) {
    let value = acc.handle(T::from_nested_meta(item));
    if slot.is_some() {
        acc.push(
            Error::custom(format!("`{key}` is said twice; keep one")).with_span(&key_span(item)),
        );
    } else {
        *slot = value;
    }
}

fn key_of(item: &NestedMeta) -> Option<String> {
    let path = match item {
        NestedMeta::Meta(meta) => meta.path(),
        NestedMeta::NameValueInvalidExpr(pair) => &pair.path,
        NestedMeta::Lit(_) => return None,
    };
    path.get_ident().map(ToString::to_string)
}

fn key_span(item: &NestedMeta) -> Span {
    match item {
        NestedMeta::Meta(meta) => meta.path().span(),
        NestedMeta::NameValueInvalidExpr(pair) => pair.path.span(),
        NestedMeta::Lit(lit) => lit.span(),
    }
}

/// "`a`, `b`, `c`"
pub(crate) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// The known word that a misspelt one means, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = |it: &&&str| crate::template::distance(word, it) <= 2 && it.len() > 2;
    known
        .iter()
        .filter(near)
        .min_by_key(|it| crate::template::distance(word, it))
        .copied()
}
