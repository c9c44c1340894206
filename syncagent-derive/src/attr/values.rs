//! The kinds of values that a key can have: Rust items stand bare, text of the wire is quoted.

use darling::ast::{MetaNameValueInvalidExpr, NestedMeta};
use darling::{Error, FromMeta, Result};
use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, Lit};

use super::is_mistyped;

/// Text of the wire, in quotes.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
}

impl FromMeta for Text {
    fn from_expr(expr: &Expr) -> Result<Self> {
        match expr {
            Expr::Lit(it) => Self::from_value(&it.lit),
            Expr::Group(it) => Self::from_expr(&it.expr),
            _ => Err(unquoted(expr)),
        }
    }

    fn from_value(value: &Lit) -> Result<Self> {
        match value {
            Lit::Str(it) => Ok(Self {
                value: it.value(),
                span: it.span(),
            }),
            _ => Err(unquoted(value)),
        }
    }

    fn from_word() -> Result<Self> {
        Err(Error::custom("a text is missing: write `= \"...\"`"))
    }

    fn from_list(_: &[NestedMeta]) -> Result<Self> {
        Err(Error::custom("one text stands here: write `= \"...\"`"))
    }
}

fn unquoted(node: &(impl Spanned + ToTokens)) -> Error {
    let tokens = node.to_token_stream().to_string().replace(' ', "");
    Error::custom(format!("text of the wire stands in quotes: `\"{tokens}\"`")).with_span(node)
}

/// A text that is made for each order: a template in quotes, `(template = "{{ .. }}")` in Go's syntax, or
/// `(with = a_function)`.
#[derive(Clone)]
pub(crate) enum MadeText {
    Plain(Text),
    Go(Text),
    With(FnName),
}

#[derive(FromMeta)]
#[darling(allow_unknown_fields)]
struct MadeKeys {
    template: Option<Text>,
    with: Option<FnName>,
}

impl FromMeta for MadeText {
    fn from_expr(expr: &Expr) -> Result<Self> {
        Text::from_expr(expr).map(Self::Plain)
    }

    fn from_value(value: &Lit) -> Result<Self> {
        Text::from_value(value).map(Self::Plain)
    }

    fn from_word() -> Result<Self> {
        Text::from_word().map(Self::Plain)
    }

    fn from_list(items: &[NestedMeta]) -> Result<Self> {
        let keys = MadeKeys::from_list(items)?;
        match (keys.template, keys.with) {
            (Some(text), None) => Ok(Self::Go(text)),
            (None, Some(function)) => Ok(Self::With(function)),
            // A key that nobody knows is refused where it stands: that is the one mistake.
            (None, None) if is_mistyped("called", items) => Ok(Self::Plain(Text {
                value: String::new(),
                span: Span::call_site(),
            })),
            _ => Err(Error::custom(
                "a text is made in one way: `= \"{..}\"`, `(template = \"{{ .. }}\")` or `(with = a_function)`",
            )),
        }
    }
}

/// Several texts: `["a", "b"]`.
#[derive(Clone, Default)]
pub(crate) struct Texts(pub(crate) Vec<Text>);

impl FromMeta for Texts {
    fn from_expr(expr: &Expr) -> Result<Self> {
        match expr {
            Expr::Array(it) => {
                let mut acc = Error::accumulator();
                let texts = it
                    .elems
                    .iter()
                    .filter_map(|element| acc.handle(Text::from_expr(element)))
                    .collect();
                acc.finish_with(Self(texts))
            }
            Expr::Group(it) => Self::from_expr(&it.expr),
            _ => {
                let tokens = expr.to_token_stream();
                Err(Error::custom(format!("a list stands here: `[{tokens}]`")).with_span(expr))
            }
        }
    }

    fn from_word() -> Result<Self> {
        Err(Error::custom("a list is missing: write `= [\"...\"]`"))
    }

    fn from_list(_: &[NestedMeta]) -> Result<Self> {
        Err(Error::custom(
            "a list stands after `=`, in brackets: `= [\"...\"]`",
        ))
    }
}

/// A Rust type, bare.
#[derive(Clone)]
pub(crate) struct TypeName(pub(crate) syn::Path);

impl FromMeta for TypeName {
    fn from_expr(expr: &Expr) -> Result<Self> {
        match expr {
            Expr::Path(it) if it.qself.is_none() => Ok(Self(it.path.clone())),
            Expr::Group(it) => Self::from_expr(&it.expr),
            _ => Err(no_item("type", expr)),
        }
    }

    fn from_invalid_expr(value: &MetaNameValueInvalidExpr) -> Result<Self> {
        Err(
            Error::custom("a Rust type stands here, bare, as in `= Cluster`")
                .with_span(&value.value),
        )
    }

    fn from_word() -> Result<Self> {
        Err(Error::custom("a Rust type is missing: write `= Cluster`"))
    }

    fn from_list(_: &[NestedMeta]) -> Result<Self> {
        Err(Error::custom(
            "one Rust type stands after `=`, bare, as in `= Cluster`",
        ))
    }
}

/// The name of a function, bare.
#[derive(Clone)]
pub(crate) struct FnName(pub(crate) syn::Path);

impl FromMeta for FnName {
    fn from_expr(expr: &Expr) -> Result<Self> {
        match expr {
            Expr::Path(it) if it.qself.is_none() => Ok(Self(it.path.clone())),
            Expr::Group(it) => Self::from_expr(&it.expr),
            Expr::Closure(it) => Err(Error::custom(
                "`with` names a function: move the closure into a `fn` and write its name",
            )
            .with_span(it)),
            _ => Err(no_item("function", expr)),
        }
    }

    fn from_word() -> Result<Self> {
        Err(Error::custom(
            "a function is missing: write `with = the_function`",
        ))
    }

    fn from_list(_: &[NestedMeta]) -> Result<Self> {
        Err(Error::custom(
            "one function stands after `=`: write `with = the_function`",
        ))
    }
}

fn no_item(what: &str, expr: &Expr) -> Error {
    let bare = match expr {
        Expr::Lit(it) => match &it.lit {
            Lit::Str(text) if syn::parse_str::<syn::Path>(&text.value()).is_ok() => {
                Some(text.value())
            }
            _ => None,
        },
        _ => None,
    };
    match bare {
        Some(bare) => Error::custom(format!(
            "a Rust {what} stands here, bare: write `{bare}` without quotes"
        )),
        None => Error::custom(format!("the name of a Rust {what} stands here, bare")),
    }
    .with_span(expr)
}

/// A value: any expression.
#[derive(Clone)]
pub(crate) struct Value(pub(crate) Expr);

impl FromMeta for Value {
    fn from_meta(item: &syn::Meta) -> Result<Self> {
        match item {
            syn::Meta::NameValue(pair) => Ok(Self(pair.value.clone())),
            other => Err(Error::custom("a value is missing: write `= ..`").with_span(other)),
        }
    }
}

/// A key without a value.
#[derive(Clone, Copy)]
pub(crate) struct Word;

impl FromMeta for Word {
    fn from_word() -> Result<Self> {
        Ok(Self)
    }

    fn from_expr(expr: &Expr) -> Result<Self> {
        Err(Error::custom("this key stands alone, without a value").with_span(expr))
    }

    fn from_list(_: &[NestedMeta]) -> Result<Self> {
        Err(Error::custom("this key stands alone, without parentheses"))
    }
}
