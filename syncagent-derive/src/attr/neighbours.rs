//! What the attributes of other derives say, so that nobody says it twice: `#[kube(...)]` and `#[serde(...)]`.
//!
//! Their own derives check them; whatever is not understood here is passed over.

use darling::FromMeta;
use darling::ast::NestedMeta;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, Ident, Lit, Meta, Path};

/// The parts of `#[kube(...)]` that matter here.
pub(crate) struct KubeAttr {
    /// The Rust type that kube's derive makes.
    pub(crate) kind: Ident,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
    /// The status type.
    pub(crate) status: Option<Path>,
    /// Whether the fields stand at the root of the object.
    pub(crate) no_spec: bool,
}

impl KubeAttr {
    /// Reads it; `None` when there is no kind in it.
    pub(crate) fn read(attrs: &[Attribute]) -> Option<Self> {
        let mut kind = None;
        let mut root = None;
        let mut it = (false, None, false);
        for meta in metas(attrs, "kube") {
            match &meta {
                Meta::NameValue(pair) if pair.path.is_ident("kind") => kind = ident(&pair.value),
                Meta::NameValue(pair) if pair.path.is_ident("root") => root = ident(&pair.value),
                Meta::NameValue(pair) if pair.path.is_ident("status") => {
                    it.1 = Path::from_expr(&pair.value).ok();
                }
                meta if meta.path().is_ident("namespaced") => {
                    it.0 = bool::from_meta(meta).unwrap_or(true);
                }
                meta if meta.path().is_ident("no_spec") => {
                    it.2 = bool::from_meta(meta).unwrap_or(true);
                }
                _ => {}
            }
        }
        let (namespaced, status, no_spec) = it;
        Some(Self {
            kind: root.or(kind)?,
            namespaced,
            status,
            no_spec,
        })
    }
}

fn ident(expr: &Expr) -> Option<Ident> {
    text(expr).and_then(|text| text.parse().ok())
}

fn text(expr: &Expr) -> Option<&syn::LitStr> {
    match expr {
        Expr::Lit(it) => match &it.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        Expr::Group(it) => text(&it.expr),
        _ => None,
    }
}

/// What `#[serde(...)]` says above a struct.
#[derive(Clone, Copy, Default)]
pub(crate) struct SerdeContainer {
    rename_all: Option<Case>,
    /// Every field may be absent.
    pub(crate) default: bool,
}

/// What `#[serde(...)]` says on a field.
#[derive(Default)]
pub(crate) struct SerdeField {
    rename: Option<String>,
    /// The fields of the type stand where the field would.
    pub(crate) flatten: bool,
    /// The field is not on the wire.
    pub(crate) skip: bool,
    /// The field may be absent.
    pub(crate) default: bool,
}

impl SerdeContainer {
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let metas = metas(attrs, "serde");
        let rule = metas
            .iter()
            .filter_map(|meta| named(meta, "rename_all"))
            .next_back();
        Self {
            rename_all: rule.and_then(|rule| Case::parse(&rule)),
            default: metas.iter().any(|meta| meta.path().is_ident("default")),
        }
    }

    /// The field's name on the wire.
    pub(crate) fn wire_name(self, ident: &Ident, field: &SerdeField) -> String {
        let plain = ident.unraw().to_string();
        match (&field.rename, self.rename_all) {
            (Some(name), _) => name.clone(),
            (None, Some(case)) => case.apply(&plain),
            (None, None) => plain,
        }
    }
}

impl SerdeField {
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let metas = metas(attrs, "serde");
        Self {
            rename: metas
                .iter()
                .filter_map(|meta| named(meta, "rename"))
                .next_back(),
            flatten: metas.iter().any(|meta| meta.path().is_ident("flatten")),
            default: metas.iter().any(|meta| meta.path().is_ident("default")),
            skip: metas.iter().any(|meta| meta.path().is_ident("skip")),
        }
    }
}

/// `key = "x"`, or `key(serialize = "x", ..)`.
fn named(meta: &Meta, key: &str) -> Option<String> {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident(key) => {
            text(&pair.value).map(syn::LitStr::value)
        }
        Meta::List(list) if list.path.is_ident(key) => {
            let inner = NestedMeta::parse_meta_list(list.tokens.clone()).ok()?;
            let value = |word: &str| {
                inner.iter().find_map(|item| match item {
                    NestedMeta::Meta(meta) => named(meta, word),
                    _ => None,
                })
            };
            value("serialize").or_else(|| value("deserialize"))
        }
        _ => None,
    }
}

/// The items of all attributes of that name that can be read.
fn metas(attrs: &[Attribute], name: &str) -> Vec<Meta> {
    let lists = attrs
        .iter()
        .filter(|attr| attr.path().is_ident(name))
        .filter_map(|attr| match &attr.meta {
            Meta::List(list) => NestedMeta::parse_meta_list(list.tokens.clone()).ok(),
            _ => None,
        });
    let meta = |item| match item {
        NestedMeta::Meta(meta) => Some(meta),
        _ => None,
    };
    lists.flatten().filter_map(meta).collect()
}

/// serde's renaming rules.
#[derive(Clone, Copy)]
enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    fn parse(rule: &str) -> Option<Self> {
        Some(match rule {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// What serde makes of a field's name, which is in snake case.
    fn apply(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Pascal => pascal(field),
            Self::Camel => {
                let pascal = pascal(field);
                let mut rest = pascal.chars();
                rest.next()
                    .map(|c| c.to_ascii_lowercase())
                    .into_iter()
                    .chain(rest)
                    .collect()
            }
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn pascal(field: &str) -> String {
    field
        .split('_')
        .map(|word| {
            word.chars()
                .take(1)
                .map(|c| c.to_ascii_uppercase())
                .chain(word.chars().skip(1))
                .collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn names_are_serdes() {
        for (container, field, expected) in [
            (
                parse_quote!(#[serde(rename_all = "camelCase")]),
                parse_quote!(#[serde(default)]),
                "superuserSecret",
            ),
            (
                parse_quote!(#[serde(rename_all = "PascalCase")]),
                parse_quote!(#[doc = ""]),
                "SuperuserSecret",
            ),
            (
                parse_quote!(#[serde(rename_all(serialize = "kebab-case"))]),
                parse_quote!(#[doc = ""]),
                "superuser-secret",
            ),
            (
                parse_quote!(#[serde(rename_all = "camelCase")]),
                parse_quote!(#[serde(rename = "secretRef")]),
                "secretRef",
            ),
            (
                parse_quote!(#[serde(rename_all = "SCREAMING_SNAKE_CASE")]),
                parse_quote!(#[doc = ""]),
                "SUPERUSER_SECRET",
            ),
            (
                parse_quote!(#[doc = ""]),
                parse_quote!(#[serde(skip_serializing_if = "Option::is_none")]),
                "superuser_secret",
            ),
        ] {
            let (container, field): (Attribute, Attribute) = (container, field);
            let field = SerdeField::read(&[field]);
            let name = SerdeContainer::read(&[container])
                .wire_name(&parse_quote!(superuser_secret), &field);
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn kube_names_the_type() {
        let attr: Attribute = parse_quote!(
            #[kube(group = "a.io", version = "v1", kind = "Cluster", root = "MyCluster", namespaced, status = "ClusterStatus")]
        );
        let kube = KubeAttr::read(&[attr]).expect("a kind");
        assert_eq!(kube.kind, "MyCluster");
        assert!(kube.namespaced && !kube.no_spec);
        assert!(kube.status.expect("a status").is_ident("ClusterStatus"));
    }
}
