//! Templates of names, and the proof that a naming keeps tenants apart.
//!
//! A template is text with placeholders: `{workspace}-{name}`. `{{` and `}}` are literal braces. Which placeholders
//! have a meaning depends on where the template stands, so parsing takes the allowed ones.
//!
//! A naming is *safe* when the pair (namespace, name) of a copy tells from which workspace, namespace and name its
//! origin comes. That holds when each of the three appears, and when what stands between two placeholders cannot be part
//! of either of them: `{namespace}-{name}` gives `a-b-c` for both `a`/`b-c` and `a-b`/`c`; `{namespace}.{name}` is fine,
//! for a namespace has no dot. A hash has a fixed length and needs no separator; how many of its digits stand, 20 where
//! nothing is said, is written behind a colon: `{name.hash:16}`.
//!
//! This file knows only the standard library: `syncagent-derive` compiles the very same file (by a symbolic link), so a
//! naming that the macro accepts is one that the engine accepts.

use std::fmt;

/// What a template may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placeholder {
    /// The logical cluster's name.
    Workspace,
    /// The first 20 hex digits of the SHA-1 of the logical cluster's name.
    WorkspaceHash,
    /// The order's namespace.
    Namespace,
    /// The order's name; for a taken object, that object's name.
    Name,
    /// The first 20 hex digits of the SHA-1 of the namespace.
    NamespaceHash,
    /// The first 20 hex digits of the SHA-1 of the name.
    NameHash,
    /// The first 20 hex digits of the SHA3-256 of the namespace, as the Go agent's default names have them.
    NamespaceSha3,
    /// The first 20 hex digits of the SHA3-256 of the name.
    NameSha3,
    /// The namespace of the primary's copy.
    CopyNamespace,
    /// The name of the primary's copy.
    CopyName,
    /// The name of a related object that was found.
    Found,
    /// The first 20 hex digits of the SHA-1 of that name.
    FoundHash,
    /// The namespace of a related object that was found.
    FoundNamespace,
    /// The first 20 hex digits of the SHA-1 of that namespace.
    FoundNamespaceHash,
}

use Placeholder::{
    CopyName, CopyNamespace, Found, FoundHash, FoundNamespace, FoundNamespaceHash, Name, NameHash,
    NameSha3, Namespace, NamespaceHash, NamespaceSha3, Workspace, WorkspaceHash,
};

/// How many hex digits of a hash stand where no length is written.
const DIGITS: usize = 20;
/// The fewest hex digits that are taken for a name or a namespace.
const FEWEST: usize = 12;

impl Placeholder {
    /// Every placeholder.
    pub const ALL: &'static [Self] = &[
        Workspace,
        Namespace,
        Name,
        NamespaceHash,
        NameHash,
        WorkspaceHash,
        NamespaceSha3,
        NameSha3,
        CopyNamespace,
        CopyName,
        Found,
        FoundHash,
        FoundNamespace,
        FoundNamespaceHash,
    ];
    /// What tells the workspace.
    pub const OF_WORKSPACE: &'static [Self] = &[Workspace, WorkspaceHash];
    /// What tells the order's namespace.
    pub const OF_NAMESPACE: &'static [Self] = &[Namespace, NamespaceHash, NamespaceSha3];
    /// What tells the name.
    pub const OF_NAME: &'static [Self] = &[Name, NameHash, NameSha3];
    /// What the name and the namespace of a copy are made of.
    pub const NAMING: &'static [Self] = &[
        Workspace,
        Namespace,
        Name,
        NamespaceHash,
        NameHash,
        WorkspaceHash,
        NamespaceSha3,
        NameSha3,
    ];
    /// What a constant on a copy may hold.
    pub const SET: &'static [Self] = &[
        Workspace,
        Namespace,
        Name,
        NamespaceHash,
        NameHash,
        WorkspaceHash,
        NamespaceSha3,
        NameSha3,
        CopyNamespace,
        CopyName,
    ];
    /// What the name of a taken object's copy is made of.
    pub const TAKEN: &'static [Self] = &[Name, NameHash, NameSha3, CopyName];
    /// What the name of a returned object is made of: things that the consumer knows.
    pub const RETURNED: &'static [Self] = &[Name];
    /// What the name of an object of the service cluster is made of that belongs to one copy.
    pub const BESIDE_COPY: &'static [Self] = &[CopyName];

    /// The word between the braces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Workspace => "workspace",
            Namespace => "namespace",
            Name => "name",
            NamespaceHash => "namespace.hash",
            NameHash => "name.hash",
            WorkspaceHash => "workspace.hash",
            NamespaceSha3 => "namespace.sha3",
            NameSha3 => "name.sha3",
            CopyNamespace => "copy.namespace",
            CopyName => "copy.name",
            Found => "found",
            FoundHash => "found.hash",
            FoundNamespace => "found.namespace",
            FoundNamespaceHash => "found.namespace.hash",
        }
    }

    /// Whether a value always has the same length.
    const fn is_fixed(self) -> bool {
        self.lengths().is_some()
    }

    /// The fewest and the most hex digits of a hash.
    const fn lengths(self) -> Option<(usize, usize)> {
        match self {
            NamespaceHash | NameHash | FoundHash | FoundNamespaceHash => Some((FEWEST, 40)),
            NamespaceSha3 | NameSha3 => Some((FEWEST, 64)),
            // What keeps workspaces apart is not cut: somebody may look for two that meet.
            WorkspaceHash => Some((DIGITS, 40)),
            _ => None,
        }
    }

    /// Whether a value can contain the character.
    const fn may_contain(self, c: char) -> bool {
        match self {
            Workspace => c.is_ascii_lowercase() || c.is_ascii_digit(),
            Namespace | CopyNamespace | FoundNamespace => {
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
            }
            NamespaceHash | NameHash | WorkspaceHash | NamespaceSha3 | NameSha3 | FoundHash
            | FoundNamespaceHash => c.is_ascii_digit() || matches!(c, 'a'..='f'),
            Name | CopyName | Found => {
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'
            }
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.word())
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Literal text.
    Text(String),
    /// A placeholder.
    Slot(Placeholder),
    /// A hash of this many hex digits.
    Cut(Placeholder, usize),
}

impl Part {
    fn placeholder(&self) -> Option<Placeholder> {
        match self {
            Self::Text(_) => None,
            Self::Slot(it) | Self::Cut(it, _) => Some(*it),
        }
    }
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// A word that is no placeholder anywhere.
    Unknown {
        /// The word between the braces.
        word: String,
        /// What may stand here.
        allowed: &'static [Placeholder],
    },
    /// A placeholder that has no meaning here.
    Misplaced {
        /// The placeholder.
        found: Placeholder,
        /// What may stand here.
        allowed: &'static [Placeholder],
    },
    /// A length that the placeholder does not take.
    Length {
        /// The placeholder.
        found: Placeholder,
        /// What stands behind its colon.
        length: String,
    },
    /// A `{` without its `}`.
    Unclosed,
    /// A `}` without its `{`.
    Unopened,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, allowed: &[Placeholder]| {
            let words: Vec<String> = allowed.iter().map(|it| format!("`{it}`")).collect();
            write!(f, "here may stand {}", words.join(", "))
        };
        match self {
            Self::Unknown { word, allowed } => {
                write!(f, "unknown placeholder `{{{word}}}`")?;
                match nearest(word, allowed) {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None => {
                        f.write_str("; ")?;
                        list(f, allowed)
                    }
                }
            }
            Self::Misplaced { found, allowed } => {
                write!(f, "`{found}` has no meaning here; ")?;
                list(f, allowed)
            }
            Self::Length { found, length } => match found.lengths() {
                Some((fewest, most)) => write!(
                    f,
                    "`{{{}:{length}}}` is no length of that hash: it has {fewest} to {most} digits",
                    found.word()
                ),
                None => write!(
                    f,
                    "`{found}` takes no length; a hash does, as in `{{name.hash:16}}`"
                ),
            },
            Self::Unclosed => f.write_str("a `{` is never closed; write `{{` for a literal brace"),
            Self::Unopened => f.write_str("a `}` was never opened; write `}}` for a literal brace"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// The fewest hex digits of a hash that are taken to tell a name.
    pub const FEWEST_DIGITS: usize = FEWEST;

    /// Parses a text in which the allowed placeholders may stand.
    ///
    /// # Errors
    /// Every mistake in it, from left to right.
    pub fn parse(text: &str, allowed: &'static [Placeholder]) -> Result<Self, Vec<TemplateError>> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut mistakes = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            if tail.starts_with("{{") || tail.starts_with("}}") {
                literal.push_str(&tail[..1]);
                rest = &tail[2..];
            } else if let Some(after) = tail.strip_prefix('}') {
                mistakes.push(TemplateError::Unopened);
                rest = after;
            } else if let Some(end) = tail.find('}') {
                match slot(&tail[1..end], allowed) {
                    Ok(part) => {
                        if !literal.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut literal)));
                        }
                        parts.push(part);
                    }
                    Err(mistake) => mistakes.push(mistake),
                }
                rest = &tail[end + 1..];
            } else {
                mistakes.push(TemplateError::Unclosed);
                rest = "";
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        if mistakes.is_empty() {
            Ok(Self { parts })
        } else {
            Err(mistakes)
        }
    }

    /// A template of these pieces.
    #[must_use]
    pub fn of(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Its pieces, from left to right.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it asks for the placeholder.
    #[must_use]
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.parts
            .iter()
            .any(|part| part.placeholder() == Some(placeholder))
    }

    /// Whether it asks for one of the placeholders.
    #[must_use]
    pub fn has_any(&self, placeholders: &[Placeholder]) -> bool {
        placeholders.iter().any(|it| self.has(*it))
    }

    /// Fills in what it asks for; of a hash, all of it is given, and it is cut here.
    #[must_use]
    pub fn render<'a>(&self, value: impl Fn(Placeholder) -> &'a str) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Slot(placeholder) if placeholder.is_fixed() => {
                    cut(value(*placeholder), DIGITS)
                }
                Part::Slot(placeholder) => value(*placeholder),
                Part::Cut(placeholder, length) => cut(value(*placeholder), *length),
            })
            .collect()
    }

    /// The first two placeholders whose values cannot be told apart in the result, if there are such.
    #[must_use]
    pub fn ambiguity(&self) -> Option<(Placeholder, Placeholder)> {
        let middle = strip_left(&self.parts);
        let middle = strip_right(middle);
        let mut slots = middle.iter().filter_map(Part::placeholder);
        Some((slots.next()?, slots.next()?))
    }

    /// The first character of its literal text that cannot be in the name of an object (or of a namespace, which knows
    /// no dots).
    #[must_use]
    pub fn bad_character(&self, namespace: bool) -> Option<char> {
        self.parts.iter().find_map(|part| match part {
            Part::Text(text) => text.chars().find(|&c| {
                !(c.is_ascii_lowercase()
                    || c.is_ascii_digit()
                    || c == '-'
                    || (c == '.' && !namespace))
            }),
            Part::Slot(_) | Part::Cut(..) => None,
        })
    }
}

/// Drops what can be read off from the left: text, what has a fixed length, what ends at a character it cannot contain.
fn strip_left(mut parts: &[Part]) -> &[Part] {
    loop {
        parts = match parts {
            [Part::Text(_) | Part::Cut(..), rest @ ..] => rest,
            [Part::Slot(slot), rest @ ..] if slot.is_fixed() || ends(*slot, rest.first()) => rest,
            _ => return parts,
        }
    }
}

/// The same from the right.
fn strip_right(mut parts: &[Part]) -> &[Part] {
    loop {
        parts = match parts {
            [rest @ .., Part::Text(_) | Part::Cut(..)] => rest,
            [rest @ .., Part::Slot(slot)] if slot.is_fixed() || ends(*slot, rest.last()) => rest,
            _ => return parts,
        }
    }
}

fn ends(slot: Placeholder, neighbour: Option<&Part>) -> bool {
    matches!(neighbour, Some(Part::Text(text)) if text.chars().any(|c| !slot.may_contain(c)))
}

fn cut(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

fn slot(text: &str, allowed: &'static [Placeholder]) -> Result<Part, TemplateError> {
    let (word, length) = match text.split_once(':') {
        Some((word, length)) => (word, Some(length)),
        None => (text, None),
    };
    let Some(&found) = Placeholder::ALL.iter().find(|it| it.word() == word) else {
        return Err(TemplateError::Unknown {
            word: word.to_owned(),
            allowed,
        });
    };
    if !allowed.contains(&found) {
        return Err(TemplateError::Misplaced { found, allowed });
    }
    let Some(length) = length else {
        return Ok(Part::Slot(found));
    };
    let digits = length.parse::<usize>().ok();
    match (found.lengths(), digits) {
        (Some((fewest, most)), Some(digits)) if (fewest..=most).contains(&digits) => {
            Ok(Part::Cut(found, digits))
        }
        _ => Err(TemplateError::Length {
            found,
            length: length.to_owned(),
        }),
    }
}

/// The allowed placeholder that a misspelt word means, if one is near enough.
fn nearest(word: &str, allowed: &[Placeholder]) -> Option<Placeholder> {
    let near = |it: &&Placeholder| {
        distance(word, it.word()) <= 2 || (!word.is_empty() && it.word().starts_with(word))
    };
    allowed
        .iter()
        .filter(near)
        .min_by_key(|it| distance(word, it.word()))
        .copied()
}

/// How many letters must be added, dropped or changed to get from one word to the other.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = if x == *y {
                diagonal
            } else {
                1 + diagonal.min(row[j]).min(row[j + 1])
            };
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

/// How two orders could get the same copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Collision {
    /// Orders of two workspaces, for the naming does not tell the workspace.
    Workspaces,
    /// Orders of two namespaces of a workspace, for the naming does not tell the namespace.
    Namespaces,
    /// Two orders of one namespace, for the naming does not tell the name.
    Names,
    /// What stands between two placeholders can be part of them.
    RunTogether(Placeholder, Placeholder),
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspaces => f.write_str("two workspaces could collide: the naming has no `{workspace}`"),
            Self::Namespaces => f.write_str(
                "two namespaces of a workspace could collide: the naming has neither `{namespace}` nor `{namespace.hash}`",
            ),
            Self::Names => {
                f.write_str("two orders of a namespace could collide: the naming has neither `{name}` nor `{name.hash}`")
            }
            Self::RunTogether(left, right) => {
                write!(f, "`{left}` and `{right}` run together, so that two orders could collide")?;
                match left {
                    Workspace => write!(f, "; write `{left}-{right}`"),
                    Namespace => write!(f, "; write `{NamespaceHash}-{right}`, for a hash has a fixed length"),
                    Name | CopyName if *right == Name => {
                        write!(f, "; write `{left}-{NameHash}`, for a hash has a fixed length")
                    }
                    Name => write!(f, "; write `{NameHash}-{right}`, for a hash has a fixed length"),
                    _ => f.write_str("; put something between them that neither can hold"),
                }
            }
        }
    }
}

impl std::error::Error for Collision {}

/// From where in a workspace the orders of a publication come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// From one namespace, or the kind has no namespaces.
    OneNamespace,
    /// From any number of namespaces.
    ManyNamespaces,
}

/// How a naming could give two orders the same copy; empty when it is safe.
#[must_use]
pub fn collisions(namespace: Option<&Template>, name: &Template, orders: Orders) -> Vec<Collision> {
    let has = |these: &[Placeholder]| {
        name.has_any(these) || namespace.is_some_and(|template| template.has_any(these))
    };
    let mut found = Vec::new();
    if !has(Placeholder::OF_WORKSPACE) {
        found.push(Collision::Workspaces);
    }
    if orders == Orders::ManyNamespaces && !has(Placeholder::OF_NAMESPACE) {
        found.push(Collision::Namespaces);
    }
    if !has(Placeholder::OF_NAME) {
        found.push(Collision::Names);
    }
    for template in namespace.into_iter().chain([name]) {
        if let Some((left, right)) = template.ambiguity() {
            found.push(Collision::RunTogether(left, right));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text, Placeholder::NAMING).expect("a template")
    }

    #[test]
    fn renders_what_it_parsed() {
        let it = template("{{{workspace}}}-{name.hash}");
        assert_eq!(it.render(Placeholder::word), "{workspace}-name.hash");
    }

    #[test]
    fn names_every_mistake() {
        let mistakes = Template::parse("{worspace}/{copy.name}/}{nonsense}{", Placeholder::NAMING)
            .unwrap_err();
        let said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            said[0],
            "unknown placeholder `{worspace}`; did you mean `{workspace}`?"
        );
        assert!(
            said[1]
                .starts_with("`{copy.name}` has no meaning here; here may stand `{workspace}`, "),
            "{}",
            said[1]
        );
        assert_eq!(mistakes[2], TemplateError::Unopened);
        assert!(
            said[3].starts_with("unknown placeholder `{nonsense}`; here may stand"),
            "{}",
            said[3]
        );
        assert_eq!(mistakes[4], TemplateError::Unclosed);
    }

    #[test]
    fn a_naming_is_safe_when_it_can_be_read_back() {
        use Orders::{ManyNamespaces as Many, OneNamespace as One};
        let run = Collision::RunTogether;
        for (namespace, name, orders, expected) in [
            (Some("{workspace}"), "{name}", One, vec![]),
            (
                Some("{workspace}"),
                "{name}",
                Many,
                vec![Collision::Namespaces],
            ),
            (
                Some("{workspace}"),
                "{namespace.hash}-{name.hash}",
                Many,
                vec![],
            ),
            (Some("{workspace}"), "{namespace.hash}{name}", Many, vec![]),
            (Some("{workspace}-{namespace}"), "{name}", Many, vec![]),
            (
                Some("{workspace}{namespace}"),
                "{name}",
                Many,
                vec![run(Workspace, Namespace)],
            ),
            (
                Some("{workspace}"),
                "{namespace}-{name}",
                Many,
                vec![run(Namespace, Name)],
            ),
            (Some("{workspace}"), "{namespace}.{name}", Many, vec![]),
            (Some("{workspace}"), "{name}.{namespace}", Many, vec![]),
            (
                Some("{workspace}"),
                "{name}-{namespace}",
                Many,
                vec![run(Name, Namespace)],
            ),
            (Some("all"), "{name}", One, vec![Collision::Workspaces]),
            (Some("{workspace}"), "it", One, vec![Collision::Names]),
            (None, "{workspace}-{name}", One, vec![]),
            (None, "{workspace}x{name}", One, vec![run(Workspace, Name)]),
            (None, "pg-{workspace}-{namespace}-{name.hash}", Many, vec![]),
            (
                None,
                "fixed",
                Many,
                vec![
                    Collision::Workspaces,
                    Collision::Namespaces,
                    Collision::Names,
                ],
            ),
        ] {
            let (ns, nm) = (namespace.map(template), template(name));
            assert_eq!(
                collisions(ns.as_ref(), &nm, orders),
                expected,
                "{namespace:?} {name} {orders:?}"
            );
        }
    }
}
