//! The keys that have a list of their own: `takes(Secret, name = "..")`. Unknown keys were refused before.

use darling::ast::NestedMeta;
use darling::error::Accumulator;
use darling::util::parse_expr;
use darling::{Error, FromMeta, Result};
use syn::{Expr, Lit, Meta};

use super::is_mistyped;
use super::values::{FnName, MadeText, Text, Texts, TypeName, Value, Word};

/// `label(key = "..", value = "..")`
#[derive(Clone, FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct LabelAttr {
    pub(crate) key: Text,
    pub(crate) value: Text,
}

/// `only(namespaces = [..], label(key = "..", value = ".."))`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct OnlyAttr {
    #[darling(default)]
    pub(crate) namespaces: Texts,
    #[darling(multiple, rename = "label")]
    pub(crate) labels: Vec<LabelAttr>,
    pub(crate) selector: Option<Text>,
    pub(crate) namespace_selector: Option<Text>,
}

/// `down(at = "..", ..)` and `up(at = "..", ..)`
pub(crate) struct MutationAttr {
    pub(crate) keys: MutationKeys,
    /// Whether there is a key that nobody knows, which was refused: what is missing may be meant by it.
    pub(crate) mistyped: bool,
}

impl FromMeta for MutationAttr {
    fn from_list(items: &[NestedMeta]) -> Result<Self> {
        Ok(Self {
            keys: MutationKeys::from_list(items)?,
            mistyped: is_mistyped("change", items),
        })
    }
}

#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct MutationKeys {
    pub(crate) at: Text,
    pub(crate) set: Option<Value>,
    pub(crate) default: Option<Value>,
    pub(crate) delete: Option<Word>,
    pub(crate) regex: Option<Text>,
    pub(crate) replacement: Option<Text>,
    pub(crate) template: Option<Text>,
    pub(crate) cel: Option<Text>,
    pub(crate) with: Option<FnName>,
}

/// `losses(unbound = "..", ..)`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct LossesAttr {
    pub(crate) unbound: Option<Text>,
    pub(crate) stripped: Option<Text>,
    pub(crate) unreadable: Option<Text>,
    pub(crate) claim: Option<Text>,
    pub(crate) vanished: Option<Text>,
}

/// `namespace(label(..), annotation(..))`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct NamespaceAttr {
    #[darling(multiple, rename = "label")]
    pub(crate) labels: Vec<LabelAttr>,
    #[darling(multiple, rename = "annotation")]
    pub(crate) annotations: Vec<LabelAttr>,
}

/// `version(service = "..", offered = "..")`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct VersionAttr {
    pub(crate) service: Text,
    pub(crate) offered: Text,
}

/// `status(with = .., reads(..))`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct MadeStatusAttr {
    pub(crate) with: FnName,
    #[darling(multiple)]
    pub(crate) reads: Vec<ReadsAttr>,
}

/// `rewrite(pattern = "..", replacement = "..")`
#[derive(Clone, FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct RewriteAttr {
    pub(crate) pattern: Text,
    pub(crate) replacement: Text,
}

/// `label(key = "..", value = "..")` of a selection: both are made for each order.
#[derive(Clone, FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct SelectedLabelAttr {
    pub(crate) key: MadeText,
    pub(crate) value: MadeText,
}

/// `selected(label(..), matches = "..")`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct SelectedAttr {
    #[darling(multiple, rename = "label")]
    pub(crate) labels: Vec<SelectedLabelAttr>,
    pub(crate) matches: Option<Text>,
}

/// `within(..)`: how namespaces are found, and what they become.
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct WithinAttr {
    pub(crate) reference: Option<Text>,
    pub(crate) named: Option<MadeText>,
    pub(crate) selected: Option<SelectedAttr>,
    pub(crate) rewrite: Option<RewriteAttr>,
    pub(crate) called: Option<MadeText>,
    pub(crate) mirrored: Option<Word>,
}

/// `related(Secret, id = "..", origin = "..", reference = "..", ..)`
pub(crate) struct RelatedAttr {
    pub(crate) kind: TypeName,
    pub(crate) keys: RelatedKeys,
}

#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct RelatedKeys {
    pub(crate) id: Text,
    pub(crate) origin: Text,
    pub(crate) into: Option<TypeName>,
    pub(crate) identity: Option<Text>,
    pub(crate) reference: Option<Text>,
    pub(crate) named: Option<MadeText>,
    pub(crate) selected: Option<SelectedAttr>,
    pub(crate) rewrite: Option<RewriteAttr>,
    pub(crate) called: Option<MadeText>,
    pub(crate) mirrored: Option<Word>,
    pub(crate) within: Option<WithinAttr>,
    #[darling(multiple, rename = "label")]
    pub(crate) labels: Vec<LabelAttr>,
    #[darling(default)]
    pub(crate) keys: Texts,
    pub(crate) pass: Option<PassAttr>,
    #[darling(multiple, rename = "change")]
    pub(crate) changes: Vec<MutationAttr>,
    pub(crate) cleanup: Option<Text>,
    pub(crate) drift: Option<Text>,
    pub(crate) unproven: Option<Text>,
    #[darling(default)]
    pub(crate) status: bool,
}

impl FromMeta for RelatedAttr {
    fn from_word() -> Result<Self> {
        Err(Error::custom(
            "say which objects: `related(Secret, id = \"..\", origin = \"service\", named = \"{copy.name}-ca\")`",
        ))
    }

    fn from_expr(expr: &Expr) -> Result<Self> {
        Err(
            Error::custom("say in parentheses which objects: `related(Secret, id = \"..\", ..)`")
                .with_span(expr),
        )
    }

    fn from_list(items: &[NestedMeta]) -> Result<Self> {
        let mut acc = Error::accumulator();
        let words = |it: &NestedMeta| matches!(it, NestedMeta::Meta(Meta::Path(path)) if path.is_ident("mirrored"));
        let (words, items): (Vec<_>, Vec<_>) = items.iter().cloned().partition(words);
        let (kind, mut rest) = split_kind(&items, "related", &mut acc);
        rest.extend(words);
        let keys = acc.handle(RelatedKeys::from_list(&rest));
        let both = kind.zip(keys);
        acc.finish()?;
        let (kind, keys) = both.expect("no mistake was found");
        Ok(Self { kind, keys })
    }
}

/// `set(at = "..", value = ..)`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct SetAttr {
    pub(crate) at: Text,
    #[darling(with = parse_expr::preserve_str_literal)]
    pub(crate) value: Expr,
}

/// `pass(labels = [..], annotations = [..])`
#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
pub(crate) struct PassAttr {
    #[darling(default)]
    pub(crate) labels: Texts,
    #[darling(default)]
    pub(crate) annotations: Texts,
}

/// `takes(Secret, name = "..", label(key = "..", value = ".."))`
pub(crate) struct TakesAttr {
    pub(crate) kind: TypeName,
    pub(crate) name: Option<Text>,
    pub(crate) labels: Vec<LabelAttr>,
}

/// `returns(Secret, id = "..", name = "..", from = "..", keys = [..])`, or with `with = ..` and `reads(..)`
pub(crate) struct ReturnsAttr {
    pub(crate) kind: TypeName,
    pub(crate) id: Text,
    pub(crate) name: Option<Text>,
    pub(crate) from: Option<Text>,
    pub(crate) keys: Option<Texts>,
    pub(crate) with: Option<FnName>,
    pub(crate) reads: Vec<ReadsAttr>,
}

/// `reads(Service, name = "..")`
pub(crate) struct ReadsAttr {
    pub(crate) kind: TypeName,
    pub(crate) name: Text,
}

#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
struct TakesKeys {
    name: Option<Text>,
    #[darling(multiple, rename = "label")]
    labels: Vec<LabelAttr>,
}

impl FromMeta for TakesAttr {
    fn from_word() -> Result<Self> {
        Err(Error::custom(
            "say which kind the field names: `takes(Secret)`",
        ))
    }

    fn from_expr(expr: &Expr) -> Result<Self> {
        Err(
            Error::custom("say in parentheses which kind the field names: `takes(Secret)`")
                .with_span(expr),
        )
    }

    fn from_list(items: &[NestedMeta]) -> Result<Self> {
        let mut acc = Error::accumulator();
        let (kind, rest) = split_kind(items, "takes", &mut acc);
        let keys = acc.handle(TakesKeys::from_list(&rest));
        let both = kind.zip(keys);
        acc.finish()?;
        let (kind, keys) = both.expect("no mistake was found");
        Ok(Self {
            kind,
            name: keys.name,
            labels: keys.labels,
        })
    }
}

#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
struct ReturnsKeys {
    id: Option<Text>,
    name: Option<Text>,
    from: Option<Text>,
    keys: Option<Texts>,
    with: Option<FnName>,
    #[darling(multiple)]
    reads: Vec<ReadsAttr>,
}

impl FromMeta for ReturnsAttr {
    fn from_word() -> Result<Self> {
        Err(Error::custom(
            "say what is returned: `returns(Secret, id = \"..\", from = \"..\")`",
        ))
    }

    fn from_expr(expr: &Expr) -> Result<Self> {
        Err(Error::custom(
            "say in parentheses what is returned: `returns(Secret, id = \"..\", from = \"..\")`",
        )
        .with_span(expr))
    }

    fn from_list(items: &[NestedMeta]) -> Result<Self> {
        let mut acc = Error::accumulator();
        let (kind, rest) = split_kind(items, "returns", &mut acc);
        let keys = acc.handle(ReturnsKeys::from_list(&rest));
        if keys.as_ref().is_some_and(|keys| keys.id.is_none()) {
            acc.push(Error::custom(
                "`returns` needs an identifier of its own, as in `id = \"connection\"`",
            ));
        }
        acc.finish()?;
        let keys = keys.expect("no mistake was found");
        Ok(Self {
            kind: kind.expect("no mistake was found"),
            id: keys.id.expect("no mistake was found"),
            name: keys.name,
            from: keys.from,
            keys: keys.keys,
            with: keys.with,
            reads: keys.reads,
        })
    }
}

#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
struct ReadsKeys {
    name: Option<Text>,
}

impl FromMeta for ReadsAttr {
    fn from_word() -> Result<Self> {
        Err(Error::custom(
            "say what is read: `reads(Service, name = \"{copy.name}-rw\")`",
        ))
    }

    fn from_expr(expr: &Expr) -> Result<Self> {
        Err(
            Error::custom("say in parentheses what is read: `reads(Service, name = \"..\")`")
                .with_span(expr),
        )
    }

    fn from_list(items: &[NestedMeta]) -> Result<Self> {
        let mut acc = Error::accumulator();
        let (kind, rest) = split_kind(items, "reads", &mut acc);
        let keys = acc.handle(ReadsKeys::from_list(&rest));
        if keys.as_ref().is_some_and(|keys| keys.name.is_none()) {
            acc.push(Error::custom(
                "`reads` needs the object's name there, as in `name = \"{copy.name}-rw\"`",
            ));
        }
        acc.finish()?;
        Ok(Self {
            kind: kind.expect("no mistake was found"),
            name: keys
                .and_then(|keys| keys.name)
                .expect("no mistake was found"),
        })
    }
}

/// The kind that stands first, bare, and the keys after it.
fn split_kind(
    items: &[NestedMeta],
    key: &str,
    acc: &mut Accumulator,
) -> (Option<TypeName>, Vec<NestedMeta>) {
    let mut kinds = Vec::new();
    let mut rest = Vec::new();
    for item in items {
        match item {
            NestedMeta::Meta(Meta::Path(path)) => kinds.push(path.clone()),
            NestedMeta::Lit(Lit::Str(text)) => {
                let message = format!(
                    "kinds are Rust types and stand bare: write `{key}({}, ..)`",
                    text.value()
                );
                acc.push(Error::custom(message).with_span(text));
                return (None, Vec::new());
            }
            other => rest.push(other.clone()),
        }
    }
    for further in kinds.iter().skip(1) {
        let message = format!("`{key}` names one kind; write a second `{key}(..)` for this one");
        acc.push(Error::custom(message).with_span(further));
    }
    let first = kinds.into_iter().next();
    if first.is_none() {
        acc.push(Error::custom(format!(
            "say which kind, as the first thing in the parentheses: `{key}(Secret, ..)`"
        )));
    }
    (first.map(TypeName), rest)
}
