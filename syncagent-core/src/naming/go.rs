//! Names as Go templates.
//!
//! A template sees `.ClusterName`, `.ClusterPath` and `.Object`. One that is made of the workspace, the namespace and the
//! name, bare or hashed, and of text is turned into a template of our own, about which more can be said. Any other is filled
//! in as Go does it; where it looks at more than these three, the order must be in hand to tell the name.

use gotmpl::parse::{Expr, Node, Number, PipeNode};
use serde_json::json;

use super::{Form, Order, Words};
use crate::mutation::{self, Fault};
use crate::template::{Part, Placeholder, Template};

/// A Go template whose parts are not understood.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    text: String,
    template: mutation::Template,
    reads_order: bool,
}

impl PartialEq for Naming {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Naming {}

impl Naming {
    /// Whether it looks at more than which order it is.
    pub(super) fn reads_order(&self) -> bool {
        self.reads_order
    }

    pub(super) fn render(&self, words: &Words<'_>, order: Option<Order<'_>>) -> Option<String> {
        let cluster = words.get(Placeholder::Workspace);
        if self.reads_order {
            let Order { object, path } = order?;
            return self.template.fill_naming(cluster, path, object).ok();
        }
        let mut metadata = json!({"name": words.get(Placeholder::Name)});
        let namespace = words.get(Placeholder::Namespace);
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        let object = json!({"metadata": metadata});
        self.template.fill_naming(cluster, "", &object).ok()
    }
}

/// Reads a Go template of a name.
pub(super) fn parse(text: &str) -> Result<Form, Fault> {
    let template = mutation::Template::parse(text)?;
    let known: [&[&str]; 3] = [
        &["ClusterName"],
        &["Object", "metadata", "name"],
        &["Object", "metadata", "namespace"],
    ];
    let looks = template.looks();
    let reads_order =
        looks.is_none_or(|paths| paths.iter().any(|path| !known.iter().any(|it| path == it)));
    Ok(match understood(&template) {
        Some(own) => Form::Own(own),
        None => Form::Go(Box::new(Naming {
            text: text.to_owned(),
            template,
            reads_order,
        })),
    })
}

/// The template of our own that gives the same names.
fn understood(template: &mutation::Template) -> Option<Template> {
    if template.has_defines() {
        return None;
    }
    let mut parts: Vec<Part> = Vec::new();
    for node in &template.tree().nodes {
        match node {
            Node::Text(text) => parts.push(Part::Text(text.text.to_string())),
            Node::Action(action) => parts.push(slot(&action.pipe)?),
            _ => return None,
        }
    }
    // The Go agent trims what comes out.
    if let Some(Part::Text(text)) = parts.first_mut() {
        *text = text.trim_start().to_owned();
    }
    if let Some(Part::Text(text)) = parts.last_mut() {
        *text = text.trim_end().to_owned();
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Some(Template::of(parts))
}

/// A name, bare or hashed.
fn slot(pipe: &PipeNode) -> Option<Part> {
    if !pipe.decl.is_empty() {
        return None;
    }
    let (first, rest) = pipe.commands.split_first()?;
    let mut part = match first.args.as_slice() {
        [subject] => Part::Slot(subject_of(subject)?),
        [Expr::Identifier(_, function), subject] => {
            hashed(Part::Slot(subject_of(subject)?), function.as_str(), None)?
        }
        [
            Expr::Identifier(_, function),
            subject,
            Expr::Number(_, Number::Int(length)),
        ] => hashed(
            Part::Slot(subject_of(subject)?),
            function.as_str(),
            Some(usize::try_from(*length).ok()?),
        )?,
        _ => return None,
    };
    for command in rest {
        let [Expr::Identifier(_, function)] = command.args.as_slice() else {
            return None;
        };
        part = hashed(part, function.as_str(), None)?;
    }
    Some(part)
}

fn subject_of(expr: &Expr) -> Option<Placeholder> {
    let fields = match expr {
        Expr::Field(_, fields) => fields,
        Expr::Variable(_, name, fields) if name.as_str() == "$" => fields,
        _ => return None,
    };
    let fields: Vec<&str> = fields.iter().map(|it| it.as_str()).collect();
    match fields.as_slice() {
        ["ClusterName"] => Some(Placeholder::Workspace),
        ["Object", "metadata", "name"] => Some(Placeholder::Name),
        ["Object", "metadata", "namespace"] => Some(Placeholder::Namespace),
        _ => None,
    }
}

/// What a function makes of a part; `None`: nobody can say.
fn hashed(part: Part, function: &str, length: Option<usize>) -> Option<Part> {
    let Part::Slot(subject) = part else {
        // A hash is lower-case text without spaces.
        return matches!(function, "lower" | "trim" | "toString").then_some(part);
    };
    match (subject, function, length) {
        // Names are lower-case already.
        (_, "lower" | "trim" | "toString", None) => Some(part),
        (Placeholder::Namespace, "sha3sum", None) => {
            Some(Part::Cut(Placeholder::NamespaceSha3, 64))
        }
        (Placeholder::Name, "sha3sum", None) => Some(Part::Cut(Placeholder::NameSha3, 64)),
        (Placeholder::Namespace, "sha3short", length) => {
            cut(Placeholder::NamespaceSha3, length, 64)
        }
        (Placeholder::Name, "sha3short", length) => cut(Placeholder::NameSha3, length, 64),
        (Placeholder::Workspace, "shortHash", None) => {
            Some(Part::Cut(Placeholder::WorkspaceHash, 20))
        }
        (Placeholder::Namespace, "shortHash", None) => {
            Some(Part::Cut(Placeholder::NamespaceHash, 20))
        }
        (Placeholder::Name, "shortHash", None) => Some(Part::Cut(Placeholder::NameHash, 20)),
        (Placeholder::Workspace, "sha1sum", None) => {
            Some(Part::Cut(Placeholder::WorkspaceHash, 40))
        }
        (Placeholder::Namespace, "sha1sum", None) => {
            Some(Part::Cut(Placeholder::NamespaceHash, 40))
        }
        (Placeholder::Name, "sha1sum", None) => Some(Part::Cut(Placeholder::NameHash, 40)),
        _ => None,
    }
}

/// A hash of so many digits, when they are enough to tell names apart.
fn cut(hash: Placeholder, length: Option<usize>, most: usize) -> Option<Part> {
    let length = length.unwrap_or(20).min(most);
    (length >= Template::FEWEST_DIGITS).then_some(Part::Cut(hash, length))
}
