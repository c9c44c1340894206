//! Naming: where the copy of an order lives, and the proof that no two orders share one.
//!
//! The proof is made once, when a definition is compiled (`template::collisions`): namespace and name of a copy tell the
//! workspace, the namespace and the name of its origin. What remains for run time is length and spelling, and there the
//! order is refused rather than its name cut. Identity labels are the second line of defence.
//!
//! Namings of the Go agent are taken too: its templates (`{{ .ClusterName }}-{{ .Object.metadata.name | sha3short }}`) and
//! the older `$remoteName`. Where such a naming is made of forms that are understood, it is proven like one of our own;
//! else nobody can say what it tells, and it counts as one that could collide.

#[cfg(feature = "mutations")]
mod go;
mod moved;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::OnceCell;

pub use moved::Moved;

use crate::definition::{CopyNaming, Kind, Only, Scope};
use crate::names;
use crate::object::fingerprint::{hex, sha1_hex};
use crate::object::identity::Identity;
use crate::template::{self, Orders, Part, Placeholder, Template};

/// A compiled naming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    namespace: Option<Form>,
    name: Form,
}

/// A compiled template of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// With placeholders: what it tells can be proven.
    Own(Template),
    /// A Go template whose parts are not understood.
    #[cfg(feature = "mutations")]
    Go(Box<go::Naming>),
}

impl Form {
    fn own(&self) -> Option<&Template> {
        match self {
            Self::Own(template) => Some(template),
            #[cfg(feature = "mutations")]
            Self::Go(_) => None,
        }
    }

    /// Whether more is looked at than which order it is.
    fn reads_order(&self) -> bool {
        match self {
            Self::Own(_) => false,
            #[cfg(feature = "mutations")]
            Self::Go(naming) => naming.reads_order(),
        }
    }

    fn render(&self, words: &Words<'_>, order: Option<Order<'_>>) -> Result<String, NamingError> {
        let _ = order;
        match self {
            Self::Own(template) => Ok(template.render(|placeholder| words.get(placeholder))),
            #[cfg(feature = "mutations")]
            Self::Go(naming) => naming.render(words, order).ok_or(if naming.reads_order() {
                NamingError::NotMade
            } else {
                NamingError::NotAName
            }),
        }
    }
}

/// An order whose copy is named.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The order, after the mutations of the way down.
    pub object: &'a Value,
    /// The path of its workspace; empty where the definition does not ask for it.
    pub path: &'a str,
}

/// What placeholders stand for, for one order; of hashes, all digits.
pub(crate) struct Words<'a> {
    origin: &'a Identity,
    copy: Option<&'a CopyName>,
    /// Made when they are asked for: few names have one.
    sha1: [OnceCell<String>; 3],
    sha3: [OnceCell<String>; 2],
}

impl<'a> Words<'a> {
    pub(crate) fn of(origin: &'a Identity, copy: Option<&'a CopyName>) -> Self {
        Self {
            sha1: Default::default(),
            sha3: Default::default(),
            origin,
            copy,
        }
    }

    pub(crate) fn get(&self, placeholder: Placeholder) -> &str {
        let sha1 = |at: usize, text: &str| self.sha1[at].get_or_init(|| sha1_hex(text)).as_str();
        let sha3 = |at: usize, text: &str| self.sha3[at].get_or_init(|| sha3_hex(text)).as_str();
        match placeholder {
            Placeholder::Workspace => &self.origin.cluster,
            Placeholder::Namespace => &self.origin.namespace,
            Placeholder::Name => &self.origin.name,
            Placeholder::WorkspaceHash => sha1(0, &self.origin.cluster),
            Placeholder::NamespaceHash => sha1(1, &self.origin.namespace),
            Placeholder::NameHash => sha1(2, &self.origin.name),
            Placeholder::NamespaceSha3 => sha3(0, &self.origin.namespace),
            Placeholder::NameSha3 => sha3(1, &self.origin.name),
            Placeholder::CopyNamespace => self.copy.map_or("", |it| &it.namespace),
            Placeholder::CopyName => self.copy.map_or("", |it| &it.name),
            // Of objects that are found; not of an order.
            _ => "",
        }
    }
}

/// Where a copy lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CopyName {
    /// The namespace; empty when cluster-scoped.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// Why an order cannot have a copy; a sentence for the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// The names add up to more than a name may have.
    #[error("the name is too long")]
    TooLong,
    /// It takes more than the names of the order, and what there is makes none.
    #[error("no name can be made of it")]
    NotMade,
    /// The names do not add up to a name.
    #[error("the name has characters that the service does not take")]
    NotAName,
}

impl Scheme {
    /// Compiles a naming; one that could collide is refused.
    ///
    /// # Errors
    ///
    /// Every problem, as sentences for the provider.
    pub fn compile(
        naming: &CopyNaming,
        service: &Kind,
        offered: &Kind,
        only: &Only,
    ) -> Result<Self, Vec<String>> {
        let (scheme, collisions) = Self::compile_unproven(naming, service, offered, only)?;
        if collisions.is_empty() {
            Ok(scheme)
        } else {
            Err(collisions)
        }
    }

    /// Compiles a naming, and says how two orders could get the same copy, if they could.
    ///
    /// # Errors
    ///
    /// Every problem, as sentences for the provider.
    pub fn compile_unproven(
        naming: &CopyNaming,
        service: &Kind,
        offered: &Kind,
        only: &Only,
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        let mut problems = Vec::new();
        let mut parse = |what: &str, text: &str| {
            let form = form(text).map_err(|mistakes| {
                problems.extend(
                    mistakes
                        .into_iter()
                        .map(|mistake| format!("copy: the {what} `{text}`: {mistake}")),
                );
            });
            let form = form.ok()?;
            if let Some(template) = form.own() {
                if let Some(c) = template.bad_character(what == "namespace") {
                    problems.push(format!(
                        "copy: the {what} `{text}` has a `{c}`, which no {what} can have"
                    ));
                }
                if offered.scope == Scope::Cluster && template.has_any(Placeholder::OF_NAMESPACE) {
                    problems.push(format!(
                        "copy: the {what} `{text}` asks for a namespace, and {} has none",
                        offered.kind
                    ));
                }
            }
            Some(form)
        };
        let namespace = naming
            .namespace
            .as_deref()
            .map(|text| parse("namespace", text));
        let name = parse("name", &naming.name);
        match (service.scope, &naming.namespace) {
            (Scope::Namespaced, None) => {
                problems.push(format!(
                    "copy: {} lives in namespaces, and the naming has none",
                    service.kind
                ));
            }
            (Scope::Cluster, Some(_)) => {
                problems.push(format!(
                    "copy: {} has no namespaces, and the naming has one",
                    service.kind
                ));
            }
            _ => {}
        }
        let (Some(name), None | Some(Some(_))) = (name, &namespace) else {
            return Err(problems);
        };
        let namespace = namespace.flatten();
        // What a Go template tells is not known: it counts as telling nothing.
        let silent = Template::of(Vec::new());
        let own = |form: &Form| form.own().cloned();
        let told = (
            namespace
                .as_ref()
                .map(|it| own(it).unwrap_or_else(|| silent.clone())),
            own(&name).unwrap_or_else(|| silent.clone()),
        );
        let found = template::collisions(told.0.as_ref(), &told.1, orders(offered, only));
        let opaque = [namespace.as_ref(), Some(&name)]
            .into_iter()
            .flatten()
            .any(|form| form.own().is_none());
        let collisions = if opaque && !found.is_empty() {
            let text = naming.namespace.iter().chain([&naming.name]);
            let text: Vec<_> = text.map(|it| format!("`{it}`")).collect();
            vec![format!(
                "copy: two orders could collide: nothing proves that {} tells workspace, namespace and name apart; name each of them, bare or by `sha3short` or `shortHash`",
                text.join(" and ")
            )]
        } else {
            found.iter().map(|it| format!("copy: {it}")).collect()
        };
        if problems.is_empty() {
            Ok((Self { namespace, name }, collisions))
        } else {
            problems.extend(collisions);
            Err(problems)
        }
    }

    /// Where the copy of an order lives.
    ///
    /// # Errors
    ///
    /// When the names of the order do not add up to a name, or do not suffice for one.
    pub fn place(&self, origin: &Identity) -> Result<CopyName, NamingError> {
        self.place_seeing(origin, None)
    }

    /// Whether a name follows from more than which order it is for.
    #[must_use]
    pub fn reads_order(&self) -> bool {
        let namespace = self.namespace.as_ref();
        self.name.reads_order() || namespace.is_some_and(Form::reads_order)
    }

    /// Where the copy of an order lives, with the order in hand.
    ///
    /// # Errors
    ///
    /// When no name comes of it.
    pub fn place_seeing(
        &self,
        origin: &Identity,
        order: Option<Order<'_>>,
    ) -> Result<CopyName, NamingError> {
        let words = Words::of(origin, None);
        let name = self.name.render(&words, order)?;
        check(&name, names::NAME_LENGTH, names::is_subdomain)?;
        let namespace = match &self.namespace {
            Some(form) => {
                let namespace = form.render(&words, order)?;
                check(&namespace, names::LABEL_LENGTH, names::is_dns_label)?;
                namespace
            }
            None => String::new(),
        };
        Ok(CopyName { namespace, name })
    }

    /// The order's name, read back from the copy's; `None` when the name alone does not tell.
    #[must_use]
    pub fn origin_name(&self, copy: &str) -> Option<String> {
        let (before, after) = match self.name.own()?.parts() {
            [Part::Slot(Placeholder::Name)] => ("", ""),
            [Part::Text(before), Part::Slot(Placeholder::Name)] => (before.as_str(), ""),
            [Part::Slot(Placeholder::Name), Part::Text(after)] => ("", after.as_str()),
            [
                Part::Text(before),
                Part::Slot(Placeholder::Name),
                Part::Text(after),
            ] => (before.as_str(), after.as_str()),
            _ => return None,
        };
        let name = copy.strip_prefix(before)?.strip_suffix(after)?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Whether the name of the copy alone tells the name of its order.
    #[must_use]
    pub fn reads_back(&self) -> bool {
        self.name.own().is_some_and(|name| {
            let slots = name
                .parts()
                .iter()
                .filter(|part| !matches!(part, Part::Text(_)));
            name.has(Placeholder::Name) && slots.count() == 1
        })
    }

    /// Whether a name beside one's copies is a name of the other's copies: they live in the same namespace, or in none.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        match (&self.namespace, &other.namespace) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }

    /// Whether the copy's namespace belongs to one workspace alone.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.namespace
            .as_ref()
            .and_then(Form::own)
            .is_some_and(|it| it.has_any(Placeholder::OF_WORKSPACE))
    }

    /// Whether the copy's namespace tells one of the order's placeholders.
    #[must_use]
    pub fn namespace_tells(&self, placeholders: &[Placeholder]) -> bool {
        self.namespace
            .as_ref()
            .and_then(Form::own)
            .is_some_and(|it| it.has_any(placeholders))
    }

    /// Whether the copy's name tells one of the order's placeholders.
    #[must_use]
    pub fn tells(&self, placeholders: &[Placeholder]) -> bool {
        self.name.own().is_some_and(|it| it.has_any(placeholders))
    }

    /// Whether namespace and name of an object beside the copy tell the order's placeholder (`name` is the template of its
    /// name): directly, or through the copy's name.
    #[must_use]
    pub fn beside_tells(&self, name: &Template, placeholders: &[Placeholder]) -> bool {
        let in_namespace = |it: &Placeholder| {
            self.namespace
                .as_ref()
                .and_then(Form::own)
                .is_some_and(|template| template.has(*it))
        };
        let in_name = |it: &Placeholder| {
            name.has(Placeholder::CopyName) && self.name.own().is_some_and(|own| own.has(*it))
        };
        placeholders
            .iter()
            .any(|it| in_namespace(it) || in_name(it))
    }
}

/// Reads a template of a name, in whichever of its three syntaxes it is written.
fn form(text: &str) -> Result<Form, Vec<String>> {
    if text.contains("{{") {
        #[cfg(feature = "mutations")]
        return go::parse(text).map_err(|fault| vec![fault.to_string()]);
        #[cfg(not(feature = "mutations"))]
        return Err(vec![
            "this program was built without the feature `mutations`, which Go templates need"
                .into(),
        ]);
    }
    if text.contains('$') {
        return Ok(Form::Own(dollars(text)));
    }
    Template::parse(text, Placeholder::NAMING)
        .map(Form::Own)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// The Go agent's first syntax: `$remoteNamespace-$remoteName`. What is no placeholder stands for itself.
fn dollars(text: &str) -> Template {
    // Longer words first, for one starts with another.
    const WORDS: &[(&str, Placeholder)] = &[
        ("$remoteClusterName", Placeholder::Workspace),
        ("$remoteNamespaceHash", Placeholder::NamespaceHash),
        ("$remoteNamespace", Placeholder::Namespace),
        ("$remoteNameHash", Placeholder::NameHash),
        ("$remoteName", Placeholder::Name),
    ];
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = WORDS.iter().find(|(word, _)| rest.starts_with(word));
        match word {
            Some((word, placeholder)) => {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Slot(*placeholder));
                rest = &rest[word.len()..];
            }
            None => {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Template::of(parts)
}

/// From where the orders of a publication come.
#[must_use]
pub fn orders(offered: &Kind, only: &Only) -> Orders {
    if offered.scope == Scope::Cluster || only.namespaces.len() == 1 {
        Orders::OneNamespace
    } else {
        Orders::ManyNamespaces
    }
}

/// The hash of a name inside a name: the first 20 hex digits of its SHA-1.
#[must_use]
pub fn short_hash(text: &str) -> String {
    let mut hash = sha1_hex(text);
    hash.truncate(20);
    hash
}

/// The SHA3-256 of a text, in hex: what the Go agent's default names are cut from.
#[must_use]
pub fn sha3_hex(text: &str) -> String {
    use sha3::Digest as _;
    let digest = sha3::Sha3_256::digest(text.as_bytes());
    hex(&digest)
}

fn check(name: &str, length: usize, is_name: fn(&str) -> bool) -> Result<(), NamingError> {
    if name.len() > length {
        Err(NamingError::TooLong)
    } else if is_name(name) {
        Ok(())
    } else {
        Err(NamingError::NotAName)
    }
}
