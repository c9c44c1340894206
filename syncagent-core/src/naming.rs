//! Naming: where the copy of an order lives, and the proof that no two orders share one.
//!
//! The proof is made once, when a definition is compiled (`template::collisions`): namespace and name of a copy tell the
//! workspace, the namespace and the name of its origin. What remains for run time is length and spelling, and there the
//! order is refused rather than its name cut. Identity labels are the second line of defence.

mod moved;

use serde::{Deserialize, Serialize};

pub use moved::Moved;

use crate::definition::{CopyNaming, Kind, Only, Scope};
use crate::names;
use crate::object::fingerprint::sha1_hex;
use crate::object::identity::Identity;
use crate::template::{self, Orders, Part, Placeholder, Template};

/// A compiled naming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    namespace: Option<Template>,
    name: Template,
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
    /// The names do not add up to a name.
    #[error("the name has characters that the service does not take")]
    NotAName,
}

impl Scheme {
    /// Compiles a naming.
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
        let mut problems = Vec::new();
        let mut parse = |what: &str, text: &str| match Template::parse(text, Placeholder::NAMING) {
            Ok(template) => {
                if let Some(c) = template.bad_character(what == "namespace") {
                    problems.push(format!(
                        "copy: the {what} `{text}` has a `{c}`, which no {what} can have"
                    ));
                }
                if offered.scope == Scope::Cluster
                    && (template.has(Placeholder::Namespace)
                        || template.has(Placeholder::NamespaceHash))
                {
                    problems.push(format!(
                        "copy: the {what} `{text}` asks for a namespace, and {} has none",
                        offered.kind
                    ));
                }
                Some(template)
            }
            Err(mistakes) => {
                problems.extend(
                    mistakes
                        .iter()
                        .map(|m| format!("copy: the {what} `{text}`: {m}")),
                );
                None
            }
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
        if let (Some(name), None | Some(Some(_))) = (&name, &namespace) {
            let namespace = namespace.as_ref().and_then(Option::as_ref);
            let found = template::collisions(namespace, name, orders(offered, only));
            problems.extend(found.iter().map(|collision| format!("copy: {collision}")));
        }
        match (name, namespace) {
            (Some(name), namespace) if problems.is_empty() => Ok(Self {
                namespace: namespace.flatten(),
                name,
            }),
            _ => Err(problems),
        }
    }

    /// Where the copy of an order lives.
    ///
    /// # Errors
    ///
    /// When the names of the order do not add up to a name.
    pub fn place(&self, origin: &Identity) -> Result<CopyName, NamingError> {
        let namespace_hash = short_hash(&origin.namespace);
        let name_hash = short_hash(&origin.name);
        let fill = |placeholder| match placeholder {
            Placeholder::Workspace => origin.cluster.as_str(),
            Placeholder::Namespace => origin.namespace.as_str(),
            Placeholder::Name => origin.name.as_str(),
            Placeholder::NamespaceHash => namespace_hash.as_str(),
            Placeholder::NameHash => name_hash.as_str(),
            // No others are part of a naming.
            _ => "",
        };
        let name = self.name.render(fill);
        check(&name, names::NAME_LENGTH, names::is_subdomain)?;
        let namespace = match &self.namespace {
            Some(template) => {
                let namespace = template.render(fill);
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
        let (before, after) = match self.name.parts() {
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
        let slots = self
            .name
            .parts()
            .iter()
            .filter(|part| matches!(part, Part::Slot(_)));
        self.name.has(Placeholder::Name) && slots.count() == 1
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
            .is_some_and(|it| it.has(Placeholder::Workspace))
    }

    /// Whether the copy's namespace tells one of the order's placeholders.
    #[must_use]
    pub fn namespace_tells(&self, placeholders: &[Placeholder]) -> bool {
        let has = |it: &Template| placeholders.iter().any(|placeholder| it.has(*placeholder));
        self.namespace.as_ref().is_some_and(has)
    }

    /// Whether the copy's name tells one of the order's placeholders.
    #[must_use]
    pub fn tells(&self, placeholders: &[Placeholder]) -> bool {
        placeholders.iter().any(|it| self.name.has(*it))
    }

    /// Whether namespace and name of an object beside the copy tell the order's placeholder (`name` is the template of its
    /// name): directly, or through the copy's name.
    #[must_use]
    pub fn beside_tells(&self, name: &Template, placeholders: &[Placeholder]) -> bool {
        let in_namespace = |it: &Placeholder| {
            self.namespace
                .as_ref()
                .is_some_and(|template| template.has(*it))
        };
        let in_name = |it: &Placeholder| name.has(Placeholder::CopyName) && self.name.has(*it);
        placeholders
            .iter()
            .any(|it| in_namespace(it) || in_name(it))
    }
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

fn check(name: &str, length: usize, is_name: fn(&str) -> bool) -> Result<(), NamingError> {
    if name.len() > length {
        Err(NamingError::TooLong)
    } else if is_name(name) {
        Ok(())
    } else {
        Err(NamingError::NotAName)
    }
}
