//! What a provider declares: which kind is offered under which shape, and how its parts cross the border.
//!
//! A [`Definition`] is plain data with plain functions in it. The derive writes one from an annotated Rust type, a
//! program may write one by hand. It may be wrong: nothing is checked while it is built.
//! Compiling it yields a `Publication`, or every problem it has at once.
//!
//! Paths are written as on the wire and start at the object: `spec.bootstrap.initdb.secret`, `spec.hosts[]`,
//! `spec.items[].ref`. `[]` means "each element".

mod field;
mod filter;
mod find;
mod losses;
mod mutation;
mod namespaces;
mod naming;
mod policy;
mod related;
mod source;
mod status;

pub use field::{Convert, FieldRule, Pass, Rule, SetRule};
pub use filter::{Only, Operator, Requirement, Selector};
pub use find::{
    Called, Cleanup, Expression, Find, Labelled, Objects, RelatedRule, Rewrite, Scene, Side, Text,
    TextFn, Unproven,
};
pub use losses::{Deletion, Leaving, Loss, Losses, Vanished};
pub use mutation::{At, Change, Mutation, Mutations};
pub use namespaces::NamespaceRule;
pub use naming::CopyNaming;
pub use policy::{
    Adoption, BreakingChanges, CollidingNames, Dialect, Drift, Events, GoAgent, Policy,
};
pub use related::{Compose, Part, ReadRule, ReturnRule, ReturnSource, Sources, TakeRule};
pub use source::{Kind, OfferedNames, SchemaName, SchemaSource, Scope};
pub use status::{MadeStatus, StatusField, StatusRule, StatusSource};

/// Everything a provider says about one offered kind.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The kind on the service cluster: what the operator works on.
    pub service: Kind,
    /// The kind that consumers see in their workspace.
    pub offered: Kind,
    /// Where the schema that consumers see comes from.
    pub schema: SchemaSource,
    /// The versions that are offered, as the schema's CRD calls them on the service cluster and as consumers see them; empty
    /// means the two that `service` and `offered` name. Otherwise these two are among them: the agent works with them, and
    /// orders are stored so. Nothing is converted between versions but the `apiVersion`, so their schemas must allow that.
    pub versions: Vec<(String, String)>,
    /// What the offered kind is called beside its kind and plural.
    pub names: OfferedNames,
    /// How the published schema is named.
    pub schema_name: SchemaName,
    /// Templates of the copy's namespace and name; see [`CopyNaming`].
    pub copy: CopyNaming,
    /// Whether copies carry the path of their workspace (`root:org:team`), and templates know it as `.ClusterPath`. It takes a
    /// permission claim for LogicalClusters, and a GET for each order after a start.
    pub workspace_paths: bool,
    /// Which objects of a workspace are offered the service at all.
    pub only: Only,
    /// What the namespaces carry that are made for copies.
    pub namespaces: NamespaceRule,
    /// What is said about single fields, in the order of declaration.
    pub fields: Vec<FieldRule>,
    /// Constants that every copy carries.
    pub set: Vec<SetRule>,
    /// What is changed on the way, in both directions.
    pub mutations: Mutations,
    /// Labels and annotations of the consumer that reach the copy.
    pub pass: Pass,
    /// Objects that come up into the workspace with the order.
    pub returns: Vec<ReturnRule>,
    /// Objects that are found, on either side, and copied to the other one.
    pub related: Vec<RelatedRule>,
    /// Names that the operator will need beside a copy, as in `{copy.name}-ca`: nothing of a consumer is placed under
    /// them. `{copy.name}` stands for the name of any copy.
    pub reserved: Vec<String>,
    /// Related objects that are deleted and made anew when the server says that a field of theirs cannot be changed: by
    /// the id of a rule, or by the path of the field that takes them. Of all others this is reported, and nothing is done
    /// until what they are made of changes.
    ///
    /// Only what carries our identity is deleted, by its uid. In between there is none: whoever reads it has to bear that.
    pub recreate: Vec<String>,
    /// What flows back as status.
    pub status: StatusRule,
    /// What a function says in the status, beside what flows back.
    pub made_status: Option<MadeStatus>,
    /// What is decided once per publication.
    pub policy: Policy,
}

impl Definition {
    /// Offers a kind of the service cluster under its own schema, with every default of a derived publication. What
    /// differs is set on the fields.
    ///
    /// ```
    /// use syncagent_core::definition::{Definition, Kind, Only, Scope};
    ///
    /// let kind = Kind {
    ///     group: "example.io".into(),
    ///     version: "v1".into(),
    ///     kind: "Thing".into(),
    ///     plural: "things".into(),
    ///     scope: Scope::Namespaced,
    /// };
    /// let definition = Definition {
    ///     only: Only { namespaces: vec!["default".into()], ..Only::default() },
    ///     ..Definition::new(kind.clone(), kind)
    /// };
    /// assert!(definition.policy.conditions);
    /// ```
    #[must_use]
    pub fn new(service: Kind, offered: Kind) -> Self {
        Self {
            copy: CopyNaming::between(offered.scope, service.scope),
            service,
            offered,
            schema: SchemaSource::Cluster,
            versions: Vec::new(),
            names: OfferedNames::default(),
            schema_name: SchemaName::default(),
            workspace_paths: false,
            only: Only::default(),
            namespaces: NamespaceRule::default(),
            fields: Vec::new(),
            set: Vec::new(),
            mutations: Mutations::default(),
            pass: Pass::default(),
            returns: Vec::new(),
            related: Vec::new(),
            reserved: Vec::new(),
            status: StatusRule::Whole,
            made_status: None,
            recreate: Vec::new(),
            policy: Policy::derived(),
        }
    }
}
