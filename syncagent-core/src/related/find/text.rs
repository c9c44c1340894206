//! Texts that are made for each order: a template, a Go template, or a function, and what they look at.

use serde_json::Value;

use super::View;
use crate::definition::{Scene, Side, TextFn};
use crate::naming::Words;
use crate::object::fingerprint::sha1_hex;
use crate::template::{Placeholder, Template};

/// A compiled text.
#[derive(Clone, Debug)]
pub enum Text {
    /// A template.
    Template(Template),
    /// A Go template.
    #[cfg(feature = "mutations")]
    Go(Box<GoText>),
    /// A function.
    With(TextFn),
}

/// A Go template, and what it looks at.
#[cfg(feature = "mutations")]
#[derive(Clone, Debug)]
pub struct GoText {
    template: crate::mutation::Template,
    /// Paths into its data; `None`: perhaps all of it.
    looks: Option<Vec<Vec<String>>>,
}

/// An object that was found and gets another name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    /// The object itself, where it is looked at.
    pub(super) object: Option<&'a Value>,
}

impl<'a> Found<'a> {
    pub(super) fn named(name: &'a str, namespace: &'a str) -> Self {
        Self {
            name,
            namespace,
            object: None,
        }
    }
}

/// What a text looks at of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Nothing,
    /// These paths: a Go template tells which.
    #[cfg(feature = "mutations")]
    At(Vec<Vec<String>>),
    /// Perhaps all of it.
    All,
}

impl Look {
    /// Whether this may be what a copy has and is not asked to be.
    pub(super) fn is_beyond_intent(&self) -> bool {
        #[cfg(feature = "mutations")]
        let beyond = |path: &Vec<String>| {
            let field = |at: usize| path.get(at).map(String::as_str);
            match (field(0), field(1)) {
                (Some("metadata"), Some(field)) => {
                    !["name", "namespace", "labels", "annotations"].contains(&field)
                }
                (Some("metadata" | "status"), _) => true,
                _ => false,
            }
        };
        match self {
            Self::Nothing => false,
            #[cfg(feature = "mutations")]
            Self::At(paths) => paths.iter().any(beyond),
            Self::All => true,
        }
    }
}

impl Text {
    /// Compiles a Go template.
    ///
    /// # Errors
    ///
    /// When it is none.
    #[cfg(feature = "mutations")]
    pub fn go(text: &str) -> Result<Self, crate::mutation::Fault> {
        let template = crate::mutation::Template::parse(text)?;
        let looks = template.looks();
        Ok(Self::Go(Box::new(GoText { template, looks })))
    }

    /// Whether a function makes it, or a Go template: what it tells cannot be proven.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        !matches!(self, Self::Template(_))
    }

    /// Whether it is a template with the placeholder.
    #[must_use]
    pub fn has(&self, placeholder: Placeholder) -> bool {
        matches!(self, Self::Template(template) if template.has(placeholder))
    }

    /// Whether it looks at an object that was found.
    pub(super) fn reads_found(&self) -> bool {
        match self {
            #[cfg(feature = "mutations")]
            Self::Go(it) => it.template.reads("RelatedObject"),
            _ => false,
        }
    }

    /// What it looks at of the body on one side, when it is made for a side.
    pub(super) fn look(&self, made_for: Side, of: Side) -> Look {
        let _ = (made_for, of);
        match self {
            Self::Template(_) => Look::Nothing,
            Self::With(_) => Look::All,
            #[cfg(feature = "mutations")]
            Self::Go(it) => {
                let Some(looks) = &it.looks else {
                    return Look::All;
                };
                let own = match of {
                    Side::Workspace => "RemoteObject",
                    Side::Service => "LocalObject",
                };
                let mine = |path: &&Vec<String>| {
                    let first = path.first().map(String::as_str);
                    first == Some(own) || (first == Some("Object") && made_for == of)
                };
                let paths: Vec<Vec<String>> = looks
                    .iter()
                    .filter(mine)
                    .map(|path| path[1..].to_vec())
                    .collect();
                match paths.as_slice() {
                    [] => Look::Nothing,
                    paths if paths.iter().any(Vec::is_empty) => Look::All,
                    _ => Look::At(paths),
                }
            }
        }
    }

    pub(super) fn make(
        &self,
        view: &View<'_>,
        side: Side,
        found: Option<Found<'_>>,
    ) -> Result<String, String> {
        let scene = Scene {
            side,
            cluster: &view.identity.cluster,
            path: view.path,
            order: view.order,
            copy: view.there,
            found: found.map(|it| it.name),
            object: found.and_then(|it| it.object),
        };
        let template = match self {
            Self::With(make) => return make.make(&scene),
            // What went wrong is the provider's to know, and it may hold names of the service cluster.
            #[cfg(feature = "mutations")]
            Self::Go(it) => {
                let made = it.template.fill_found(&scene);
                return made.map_err(|_| "the name of a related object cannot be made".to_owned());
            }
            Self::Template(template) => template,
        };
        let (found, namespace) = found.map_or(("", ""), |it| (it.name, it.namespace));
        let words = Words::of(view.identity, Some(view.copy));
        let (hash, namespace_hash) = (sha1_hex(found), sha1_hex(namespace));
        Ok(template.render(|placeholder| match placeholder {
            Placeholder::Found => found,
            Placeholder::FoundHash => &hash,
            Placeholder::FoundNamespace => namespace,
            Placeholder::FoundNamespaceHash => &namespace_hash,
            of_order => words.get(of_order),
        }))
    }
}
