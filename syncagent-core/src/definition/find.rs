//! Related objects that are found: by a reference, by labels, or under a fixed name; on either side.
//!
//! `takes` and `returns` are the short words for the two usual cases. A [`RelatedRule`] is the long one: any kind, several
//! objects at once, other namespaces, another kind on the other side, its status too. It is what a `PublishedResource`
//! says with `related`.
//!
//! Texts are templates. Beside the placeholders of [`CopyNaming`](super::CopyNaming), which speak of the order, and
//! `{copy.name}`, `{copy.namespace}`, there are `{found}`, `{found.hash}`, `{found.namespace}` and
//! `{found.namespace.hash}`, which speak of the object that was found.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::{Drift, Kind, Mutation, Pass};

/// Where an object is written by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// In the workspace: it goes down to the service cluster.
    Workspace,
    /// On the service cluster: it comes up into the workspace.
    Service,
}

/// Objects that belong to an order, and are copied to the other side.
///
/// ```
/// use syncagent_core::definition::{Find, Kind, RelatedRule, Scope, Labelled, Side};
///
/// let config_map = Kind {
///     group: String::new(),
///     version: "v1".into(),
///     kind: "ConfigMap".into(),
///     plural: "configmaps".into(),
///     scope: Scope::Namespaced,
/// };
/// // Every ConfigMap of the order's namespace that says which order it is for.
/// let rule = RelatedRule::new(
///     "scripts",
///     Side::Workspace,
///     config_map,
///     Find::Labels(Labelled::label("example.io/for", "{name}")),
/// );
/// assert!(rule.namespaces.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct RelatedRule {
    /// Its identifier within the publication, unique.
    pub id: String,
    /// Where the objects are written.
    pub origin: Side,
    /// Their kind there.
    pub kind: Kind,
    /// The kind of their copies on the other side.
    pub into: Kind,
    /// The identity hash of the export that offers the kind in workspaces, when that is another export.
    pub identity: Option<String>,
    /// Which objects.
    pub objects: Objects,
    /// In which namespaces; `None`: beside the order, or beside its copy. What a name becomes here is the namespace of
    /// the copies.
    pub namespaces: Option<Objects>,
    /// Labels set on the copies.
    pub labels: Vec<(String, String)>,
    /// Labels and annotations of the original that its copy has too.
    pub pass: Pass,
    /// Which keys of `data` cross; empty means all.
    pub keys: Vec<String>,
    /// What is changed on the way, from the original to the copy, whichever way that is.
    pub mutations: Vec<Mutation>,
    /// When the copies go.
    pub cleanup: Cleanup,
    /// Whether the status crosses too, from the original to the copy. Where the copy's kind has no status this is said
    /// once and does no harm.
    pub status: bool,
    /// What happens when somebody changes a copy. `Keep` and `Report` leave that until the original changes. Default
    /// `Correct`.
    pub drift: Drift,
    /// What happens when nothing proves that tenants are kept apart.
    pub unproven: Unproven,
}

/// How objects are found, and what their copies are called.
#[derive(Clone, Debug)]
pub struct Objects {
    /// How they are found.
    pub find: Find,
    /// What becomes of their names.
    pub called: Called,
}

/// How objects are found.
#[derive(Clone, Debug)]
pub enum Find {
    /// By a path of the order, or of its copy where the objects are on the service cluster. An array gives several.
    Reference {
        /// The path, as in `spec.items[].ref.name`.
        path: String,
        /// What happens to each value.
        rewrite: Option<Rewrite>,
    },
    /// By a path in gjson's syntax, with its results: a null, or a text without anything in it, names nothing, and keeps its
    /// place among several.
    GoReference {
        /// The path, as in `spec.items.#.ref.name`.
        path: String,
        /// What happens to each value.
        rewrite: Option<Rewrite>,
    },
    /// By their labels. A selector that demands nothing selects nothing.
    Labels(Labelled),
    /// Under one name.
    Named(Text),
}

/// What the copy of a found object is called.
#[derive(Clone, Debug)]
pub enum Called {
    /// A name that cannot meet another one: for objects that go down a template like `{found}.taken`, for those that come
    /// up `{name}-<id>`. A namespace becomes the one that the order's copy, or the order, is in.
    Default,
    /// By a template, or a function.
    Text(Text),
    /// The name, rewritten.
    Rewritten(Rewrite),
    /// What the same path or text gives on the other side: on the order for what comes up, on its copy for what goes down.
    /// Several are paired by position.
    Mirrored,
}

/// A regular expression and what stands in the place of each match: `$1`, `${1}` and `${name}` are groups. An empty
/// pattern gives the replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The expression.
    pub pattern: String,
    /// The replacement.
    pub replacement: String,
}

/// Labels that an object must have.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// Labels with these values; a pair whose key comes out empty demands nothing.
    pub labels: Vec<(Text, Text)>,
    /// What else is demanded.
    pub expressions: Vec<Expression>,
}

/// One demand on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// It has one of the values.
    In(String, Vec<String>),
    /// It has none of the values, or is not there.
    NotIn(String, Vec<String>),
    /// It is there.
    Exists(String),
    /// It is not there.
    DoesNotExist(String),
}

/// When the copies of related objects go. Whatever a rule says: what is still used by another order stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cleanup {
    /// With the order, or as soon as the rule does not find the object any more. A named object that vanishes leaves its
    /// copy where it is, for the service may need it, and the order says so. The default.
    #[default]
    WithOrder,
    /// Also when the original is gone.
    WithOrigin,
    /// Never. An object of the consumer is let go all the same.
    Never,
}

/// What happens when nothing proves that a rule keeps tenants apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unproven {
    /// The definition is refused. The default.
    #[default]
    Refused,
    /// It is only said ([`Publications::warnings`](crate::publication::Publications::warnings)). An object that carries
    /// somebody else's marks, or none, is left alone all the same.
    Allowed,
}

/// A text that is made for each order.
#[derive(Clone, Debug)]
pub enum Text {
    /// A template.
    Template(String),
    /// A Go text template with sprig's functions. Its data: `.Side` (`kcp` or `service`), `.Object` (the primary on that
    /// side), `.RemoteObject` (the order), `.LocalObject` (its copy), `.ClusterName`, `.ClusterPath` (empty unless
    /// [`Definition::workspace_paths`](super::Definition)), and where a name that was found is made into another one `.Value`
    /// (that name) and `.RelatedObject` (the object, which costs a GET of it for each of its changes; nothing for a namespace).
    Go(String),
    /// A pure function.
    With(TextFn),
}

/// A pure function that makes a text; an error is a sentence for the consumer.
#[derive(Clone)]
pub struct TextFn(Arc<Make>);

type Make = dyn Fn(&Scene<'_>) -> Result<String, String> + Send + Sync;

/// What a [`TextFn`] sees.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// For which side the text is made.
    pub side: Side,
    /// The logical cluster.
    pub cluster: &'a str,
    /// The path of the workspace; empty where the definition does not ask for it.
    pub path: &'a str,
    /// The order.
    pub order: Option<&'a Value>,
    /// Its copy: as it is for what comes up, as it is asked for where something goes down.
    pub copy: Option<&'a Value>,
    /// The name that was found, where one is renamed.
    pub found: Option<&'a str>,
    /// The object that was found, where one is renamed and the template looks at it.
    pub object: Option<&'a Value>,
}

impl TextFn {
    /// A function as a text.
    pub fn new(
        make: impl Fn(&Scene<'_>) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// What the function says.
    pub fn make(&self, scene: &Scene<'_>) -> Result<String, String> {
        (self.0)(scene)
    }
}

impl fmt::Debug for TextFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two functions are told apart by where they are.
        write!(f, "TextFn({:p})", Arc::as_ptr(&self.0))
    }
}

impl From<&str> for Text {
    fn from(template: &str) -> Self {
        Self::Template(template.to_owned())
    }
}

impl Labelled {
    /// One label; both are templates.
    #[must_use]
    pub fn label(key: &str, value: &str) -> Self {
        Self {
            labels: vec![(key.into(), value.into())],
            expressions: Vec::new(),
        }
    }
}

impl Find {
    /// By a path.
    #[must_use]
    pub fn reference(path: &str) -> Self {
        Self::Reference {
            path: path.to_owned(),
            rewrite: None,
        }
    }

    /// Under one name, a template.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::Named(name.into())
    }
}

impl From<Find> for Objects {
    fn from(find: Find) -> Self {
        Self {
            find,
            called: Called::Default,
        }
    }
}

impl Objects {
    /// What becomes of the names.
    #[must_use]
    pub fn called(self, called: Called) -> Self {
        Self { called, ..self }
    }
}

impl RelatedRule {
    /// A rule with every default: the same kind on both sides, beside the order, without status, gone with the order.
    #[must_use]
    pub fn new(id: &str, origin: Side, kind: Kind, objects: impl Into<Objects>) -> Self {
        Self {
            id: id.to_owned(),
            origin,
            into: kind.clone(),
            kind,
            identity: None,
            objects: objects.into(),
            namespaces: None,
            labels: Vec::new(),
            pass: Pass::default(),
            keys: Vec::new(),
            mutations: Vec::new(),
            cleanup: Cleanup::default(),
            status: false,
            drift: Drift::Correct,
            unproven: Unproven::default(),
        }
    }
}
