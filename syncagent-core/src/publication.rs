//! Publications: definitions that were checked, all of an agent's together.
//!
//! Compiling reports every problem of every definition at once, in sentences for the provider. What compiles keeps tenants
//! apart; what the service cluster really serves is checked separately ([`Publications::check`]), for only a server
//! knows that.

mod check;
mod compile;

use std::fmt;

use serde_json::{Map, Value};

use crate::definition::{
    Definition, Dialect, GoAgent, Kind, OfferedNames, Only, Policy, Rule, SchemaName, SchemaSource,
    Selector, Side,
};
use crate::mutation::Pipeline;
use crate::names::{self, AgentName};
use crate::naming::{CopyName, Moved, NamingError, Order, Scheme};
use crate::object::identity::{Identity, Standing};
use crate::object::path::Path;
use crate::object::reference::{Key, ObjectRef, Place};
use crate::object::subset::Subset;
use crate::object::{annotation, label, state};
use crate::projection::{Down, Intent, Objection, Projection};
use crate::related::Returns;
use crate::related::find::{Glimpse, Related, View};
use crate::schema::{self, Offer};
use crate::status::{Made, Up};
use crate::template::{Part, Template};

/// One publication: everything a decision needs to know about a kind that is offered.
#[derive(Clone, Debug)]
pub struct Publication {
    id: String,
    agent: AgentName,
    service: Kind,
    offered: Kind,
    schema: SchemaSource,
    versions: Vec<(String, String)>,
    names: OfferedNames,
    schema_name: SchemaName,
    subset: Option<Subset>,
    workspace_paths: bool,
    only: Only,
    namespaces: NamespaceMarks,
    scheme: Scheme,
    projection: Projection,
    up: Up,
    changes_up: Pipeline,
    returns: Vec<Returns>,
    related: Vec<Related>,
    made_status: Option<Made>,
    reserved: Vec<Template>,
    warnings: Vec<String>,
    hidden: Vec<Path>,
    recreate: Vec<String>,
    policy: Policy,
    /// Whether another publication of the agent has copies of the same kind.
    rivals: bool,
}

/// What a namespace carries that is made for copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceMarks {
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) annotations: Vec<(String, Template)>,
}

/// What is known beside an order when it is brought down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// Its copy, where mutations look at it.
    pub copy: Option<&'a Value>,
    /// The path of its workspace.
    pub path: Option<&'a str>,
}

/// All publications of an agent.
#[derive(Clone, Debug)]
pub struct Publications {
    agent: AgentName,
    all: Vec<Publication>,
}

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The publication, as `<plural>.<group>`; empty when it is about the agent.
    pub publication: String,
    /// A sentence for the provider.
    pub what: String,
}

/// Everything that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("no problem"),
            problems => {
                let s = if problems.len() == 1 { "" } else { "s" };
                write!(f, "{} problem{s}:", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.publication.is_empty() {
            write!(f, "{}: ", self.publication)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// Nothing, or everything.
    ///
    /// # Errors
    ///
    /// When there is a problem.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl Definition {
    /// Checks the definition alone against the CRD that the service cluster serves, for a test of the provider's:
    /// `Cluster::definition().check(&crd)`. References to other publications are taken on trust.
    ///
    /// # Errors
    ///
    /// Every problem there is.
    pub fn check(&self, crd: &Value) -> Result<(), Problems> {
        let agent = AgentName::parse("check").expect("a name");
        let publication = compile::alone(&agent, self)?;
        Problems(check::against(&publication, crd)).into_result()
    }
}

impl Publications {
    /// Compiles all definitions of an agent.
    ///
    /// # Errors
    ///
    /// Every problem of every definition.
    pub fn compile(agent: &str, definitions: &[Definition]) -> Result<Self, Problems> {
        compile::all(agent, definitions)
    }

    /// Compiles each definition of an agent by itself, in their order: what is wrong with one does not concern the others,
    /// unless they refer to it.
    #[must_use]
    pub fn compile_each(
        agent: &AgentName,
        definitions: &[Definition],
    ) -> Vec<Result<Publication, Problems>> {
        compile::each(agent, definitions)
    }

    /// Publications that were compiled one by one.
    #[must_use]
    pub fn of(agent: AgentName, all: Vec<Publication>) -> Self {
        Self { agent, all }
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// All publications, in the order of their definitions.
    pub fn iter(&self) -> impl Iterator<Item = &Publication> {
        self.all.iter()
    }

    /// What the definitions allow without proof: nothing that stops them, something that a provider should know.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let all = self.all.iter();
        all.flat_map(|it| it.warnings.iter().map(|what| it.problem(what.as_str())))
            .collect()
    }

    /// The publication with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Publication> {
        self.all.iter().find(|it| it.id == id)
    }

    /// Checks the publications against the CRDs that the service cluster serves, found by `crd`.
    ///
    /// # Errors
    ///
    /// Every problem there is.
    pub fn check(&self, crd: impl Fn(&Kind) -> Option<Value>) -> Result<(), Problems> {
        let mut problems = Vec::new();
        for publication in &self.all {
            match crd(&publication.service) {
                Some(crd) => problems.extend(check::against(publication, &crd)),
                None => problems.push(publication.problem(format!(
                    "the service cluster has no {}",
                    names::resource(&publication.service)
                ))),
            }
        }
        Problems(problems).into_result()
    }
}

impl Publication {
    /// Compiles a definition by itself; references to other publications are taken on trust.
    ///
    /// # Errors
    ///
    /// Every problem there is.
    pub fn alone(agent: &AgentName, definition: &Definition) -> Result<Self, Problems> {
        compile::alone(agent, definition)
    }

    /// Checks it against the CRD that the service cluster serves.
    ///
    /// # Errors
    ///
    /// Every problem there is.
    pub fn check(&self, crd: &Value) -> Result<(), Problems> {
        Problems(check::against(self, crd)).into_result()
    }

    /// Its id: `<plural>.<group>` of the offered kind.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// The kind on the service cluster.
    #[must_use]
    pub fn service(&self) -> &Kind {
        &self.service
    }

    /// The kind that consumers see.
    #[must_use]
    pub fn offered(&self) -> &Kind {
        &self.offered
    }

    /// The versions that are offered, as the schema's CRD calls them and as consumers see them.
    #[must_use]
    pub fn versions(&self) -> &[(String, String)] {
        &self.versions
    }

    /// Whether the published schema is made from the CRD of the service cluster.
    #[must_use]
    pub fn needs_crd(&self) -> bool {
        !matches!(self.schema, SchemaSource::Type(_) | SchemaSource::Ready(_))
    }

    /// Whether two publications are the same in everything, functions included: what runs need not be replaced.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        // Functions have no equality but their address, and that is what is printed of them.
        format!("{self:?}") == format!("{other:?}")
    }

    /// The `APIResourceSchema` that offers it; `crd` is the service cluster's, needed when [`needs_crd`](Self::needs_crd).
    ///
    /// # Errors
    ///
    /// When the CRD does not have the version.
    pub fn resource_schema(&self, crd: Option<&Value>) -> Result<Value, Problems> {
        let own = match &self.schema {
            SchemaSource::Ready(ready) => return Ok(ready.clone()),
            SchemaSource::Type(own) => Some(own),
            SchemaSource::Cluster | SchemaSource::Subset(_) => crd,
        };
        let Some(crd) = own else {
            let what = format!(
                "{} shows no schema on the service cluster: it comes from no CRD, or the agent may not read it; offer a \
                 type of your own",
                names::resource(&self.service)
            );
            return Err(Problems(vec![self.problem(what)]));
        };
        let offer = Offer {
            offered: &self.offered,
            versions: &self.versions,
            names: &self.names,
            hidden: &self.hidden,
            subset: self.subset.as_ref(),
            conditions: self.policy.conditions,
            name: self.schema_name,
        };
        schema::published(crd, &offer).map_err(|version| {
            Problems(vec![
                self.problem(format!("the CRD has no served version {version}")),
            ])
        })
    }

    /// Every kind of objects in workspaces beside the orders: what is taken, returned and found, and the namespaces where
    /// their labels select.
    #[must_use]
    pub fn workspace_kinds(&self) -> Vec<Kind> {
        let taken = self.projection.takes.iter().map(|it| it.kind.clone());
        let returned = self.returns.iter().map(|it| it.kind.clone());
        let found = self.related_kinds(Side::Workspace);
        let namespaces = (!self.only.namespace_selector.is_empty())
            .then(|| ObjectRef::service_namespace("").kind);
        let paths = self
            .workspace_paths
            .then(|| ObjectRef::logical_cluster("").kind);
        let all = taken
            .chain(returned)
            .chain(found)
            .chain(namespaces)
            .chain(paths);
        sorted(all.collect())
    }

    /// The kinds of workspaces that another export offers, with the identity hash of that export.
    #[must_use]
    pub fn foreign_kinds(&self) -> Vec<(Kind, String)> {
        let foreign = self.related.iter().filter_map(|it| {
            let kind = compile::kind_on(it, Side::Workspace).clone();
            Some((kind, it.identity.clone()?))
        });
        foreign.collect()
    }

    /// Every kind of related objects on the service cluster that is written: copies of what is taken.
    #[must_use]
    pub fn taken_kinds(&self) -> Vec<Kind> {
        let taken = self.projection.takes.iter().map(|it| it.kind.clone());
        let down = self.related.iter();
        let down = down.filter(|it| it.origin == Side::Workspace);
        sorted(taken.chain(down.map(|it| it.into.clone())).collect())
    }

    /// Every kind of objects on the service cluster whose status is written: copies that get the status of their original.
    #[must_use]
    pub fn forwarded_kinds(&self) -> Vec<Kind> {
        let down = self.related.iter();
        let down = down.filter(|it| it.origin == Side::Workspace && it.status);
        sorted(down.map(|it| it.into.clone()).collect())
    }

    /// Every kind of objects on the service cluster that is only read.
    #[must_use]
    pub fn read_kinds(&self) -> Vec<Kind> {
        let made = self.made_status.iter().flat_map(|it| &it.reads);
        let reads = self.returns.iter().flat_map(|it| &it.reads).chain(made);
        let up = self.related.iter().filter(|it| it.origin == Side::Service);
        let spaces = up.clone().filter(|it| it.namespaces.is_some());
        let spaces = spaces.map(|_| ObjectRef::service_namespace("").kind);
        let kinds = reads
            .map(|(rule, _)| rule.kind.clone())
            .chain(up.map(|it| it.kind.clone()))
            .chain(spaces);
        sorted(kinds.collect())
    }

    /// Every kind of objects that is returned.
    #[must_use]
    pub fn returned_kinds(&self) -> Vec<Kind> {
        let up = self.related.iter().filter(|it| it.origin == Side::Service);
        let returned = self.returns.iter().map(|it| it.kind.clone());
        sorted(returned.chain(up.map(|it| it.into.clone())).collect())
    }

    fn related_kinds(&self, side: Side) -> Vec<Kind> {
        let spaces = self.related.iter().filter(|it| it.namespaces.is_some());
        let spaces = spaces.map(|_| ObjectRef::service_namespace("").kind);
        let kinds = self.related.iter();
        let kinds = kinds.map(|it| compile::kind_on(it, side).clone());
        kinds.chain(spaces).collect()
    }

    /// Whether an object of a workspace takes part, as far as the object itself tells; see
    /// [`namespace_selector`](Self::namespace_selector).
    #[must_use]
    pub fn selects(&self, origin: &Value) -> bool {
        let namespace = crate::object::meta(origin, "namespace");
        let in_namespace = self.only.namespaces.is_empty()
            || self.only.namespaces.iter().any(|it| it == namespace);
        // What was returned is no order, even where its kind is offered: it would go round in a circle.
        let returned = label(origin, names::AGENT) == self.agent.as_str()
            && annotation(origin, names::FOUND_BY).is_some();
        in_namespace
            && !returned
            && self
                .only
                .labels
                .iter()
                .all(|(key, value)| label(origin, key) == value)
            && self.only.selector.matches(&origin["metadata"]["labels"])
    }

    /// What the labels of an order's namespace must be; empty when they do not matter.
    #[must_use]
    pub fn namespace_selector(&self) -> &Selector {
        &self.only.namespace_selector
    }

    /// Labels and annotations of a namespace that is made for copies of a workspace.
    #[must_use]
    pub fn namespace_marks(&self, cluster: &str) -> (Map<String, Value>, Map<String, Value>) {
        let fill = |pairs: &[(String, Template)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| (key.clone(), Value::String(value.render(|_| cluster))))
                .collect()
        };
        let mut labels: Map<String, Value> = fill(&self.namespaces.labels);
        if !self.follows_go_agent() {
            labels.insert(names::AGENT.into(), self.agent.as_str().into());
        }
        (labels, fill(&self.namespaces.annotations))
    }

    /// The key of the order to which an object of a workspace or a copy on the service cluster belongs.
    #[must_use]
    pub fn key(&self, identity: Identity) -> Key {
        Key {
            publication: self.id.clone(),
            cluster: identity.cluster,
            namespace: identity.namespace,
            name: identity.name,
        }
    }

    /// What is known of the Go agent's installation, where one is continued.
    #[must_use]
    pub fn go_agent(&self) -> Option<&GoAgent> {
        match &self.policy.dialect {
            Dialect::GoAgent(it) => Some(it),
            Dialect::Own => None,
        }
    }

    /// Whether whose objects are whose is written down as the Go agent does it.
    #[must_use]
    pub fn follows_go_agent(&self) -> bool {
        self.go_agent().is_some()
    }

    /// The finalizer on orders and on consumers' objects that go down.
    #[must_use]
    pub fn finalizer(&self) -> String {
        if self.follows_go_agent() {
            names::CLEANUP.to_owned()
        } else {
            self.agent.finalizer()
        }
    }

    /// Where the Go agent's installation is continued: the Secret with what it remembers of an order.
    #[must_use]
    pub fn state_secret(&self, key: &Key) -> Option<ObjectRef> {
        Some(ObjectRef::service_secret(
            &self.go_agent()?.namespace,
            &state::secret_name(&self.offered, &key.identity()),
        ))
    }

    /// The labels by which copies are watched.
    #[must_use]
    pub fn copy_selector(&self) -> String {
        if self.follows_go_agent() {
            // Its oldest copies do not say who made them.
            names::CLUSTER.to_owned()
        } else {
            format!("{}={}", names::AGENT, self.agent)
        }
    }

    /// Whether another publication of the agent has copies of the same kind.
    pub(crate) fn has_rivals(&self) -> bool {
        self.rivals
    }

    /// The key of the order that a copy says it belongs to; `None` when it is not a copy of this publication.
    #[must_use]
    pub fn key_of_copy(&self, copy: &Value) -> Option<Key> {
        if self.follows_go_agent() {
            let identity = Identity::read(copy)?;
            let key = self.key(identity);
            return (self.standing(&key, copy) == Standing::Ours).then_some(key);
        }
        let ours = label(copy, names::AGENT) == self.agent.as_str()
            && annotation(copy, names::PUBLICATION) == Some(&self.id);
        ours.then(|| Identity::read(copy).map(|identity| self.key(identity)))
            .flatten()
    }

    /// The origin of an order.
    #[must_use]
    pub fn origin(&self, key: &Key) -> ObjectRef {
        ObjectRef {
            place: key.workspace(),
            kind: self.offered.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }

    /// The copy of an order, by its naming.
    ///
    /// # Errors
    ///
    /// When the order's names do not add up to a name.
    pub fn copy(&self, key: &Key) -> Result<ObjectRef, NamingError> {
        let name = self.scheme.place(&key.identity())?;
        Ok(self.copy_at(&name))
    }

    /// The namespace of an order's copy, when it lives in one.
    #[must_use]
    pub fn copy_namespace(&self, key: &Key) -> Option<ObjectRef> {
        let name = self.scheme.place(&key.identity()).ok()?;
        (!name.namespace.is_empty()).then(|| ObjectRef::service_namespace(&name.namespace))
    }

    pub(crate) fn copy_at(&self, name: &CopyName) -> ObjectRef {
        ObjectRef {
            place: Place::Service,
            kind: self.service.clone(),
            namespace: name.namespace.clone(),
            name: name.name.clone(),
        }
    }

    pub(crate) fn copy_name(&self, key: &Key) -> Result<CopyName, NamingError> {
        self.scheme.place(&key.identity())
    }

    /// Whether copies are named after more than which order they are for.
    #[must_use]
    pub fn names_by_order(&self) -> bool {
        self.scheme.reads_order()
    }

    /// Whether copies carry the path of their workspace.
    #[must_use]
    pub fn has_paths(&self) -> bool {
        self.workspace_paths
    }

    /// Where naming puts the copy of an order that is in hand. `path` is that of its workspace, where it is known.
    ///
    /// # Errors
    ///
    /// When the order does not add up to a name.
    pub fn copy_name_of(
        &self,
        key: &Key,
        origin: &Value,
        path: Option<&str>,
    ) -> Result<CopyName, NamingError> {
        if !self.scheme.reads_order() {
            return self.copy_name(key);
        }
        let identity = key.identity();
        let path_text = path.unwrap_or_default();
        let order = |object| Order {
            object,
            path: path_text,
        };
        // Mutations may look at the copy that there would be, unchanged.
        let unchanged = self.scheme.place_seeing(&identity, Some(order(origin)));
        let unplaced = CopyName {
            namespace: String::new(),
            name: String::new(),
        };
        let before = unchanged.as_ref().unwrap_or(&unplaced);
        // What cannot be changed is refused for that, whatever it would be called.
        match self.changed_order(key, origin, before, None, path) {
            Ok(changed) => self.scheme.place_seeing(&identity, Some(order(&changed))),
            Err(_) => unchanged,
        }
    }

    /// The order as the mutations of the way down leave it.
    ///
    /// # Errors
    ///
    /// When one cannot be applied.
    pub(crate) fn changed_order(
        &self,
        key: &Key,
        origin: &Value,
        copy: &CopyName,
        other: Option<&Value>,
        path: Option<&str>,
    ) -> Result<Value, Objection> {
        let (moved, identity) = (Moved::default(), key.identity());
        let beside = Beside { copy: other, path };
        let down = self.down(&identity, copy, &moved, beside);
        self.projection.changed_order(down, origin)
    }

    fn down<'a>(
        &'a self,
        identity: &'a Identity,
        copy: &'a CopyName,
        moved: &'a Moved,
        beside: Beside<'a>,
    ) -> Down<'a> {
        Down {
            agent: self.agent.as_str(),
            publication: &self.id,
            service: &self.service,
            identity,
            copy,
            moved,
            other: beside.copy,
            path: beside.path,
        }
    }

    /// What a copy says about whom it belongs to, seen from an order of this publication.
    #[must_use]
    pub fn standing(&self, key: &Key, copy: &Value) -> Standing {
        if self.follows_go_agent() {
            let told = annotation(copy, names::PUBLICATION);
            return match key.identity().linked(self.agent.as_str(), copy) {
                Standing::Ours if told.is_some_and(|it| it != self.id) => Standing::Foreign,
                standing => standing,
            };
        }
        match key.identity().standing(self.agent.as_str(), copy) {
            Standing::Ours if annotation(copy, names::PUBLICATION) != Some(&self.id) => {
                Standing::Foreign
            }
            standing => standing,
        }
    }

    /// Whether an order may take more than [`takes`](Self::takes) tells before its first step: what has certain labels, or
    /// what its copy or the objects themselves name.
    #[must_use]
    pub fn finds_more(&self) -> bool {
        let down = self.related.iter();
        let mut down = down.filter(|it| it.origin == Side::Workspace);
        down.any(|it| it.selects() || it.wants_copy() || it.reads_found())
    }

    /// The objects that a standing order shares with others: what it takes, in the workspace and on the service cluster.
    ///
    /// Register these as soon as an order is seen, so that no other order cleans up what this one uses before its first
    /// step.
    #[must_use]
    pub fn takes(&self, key: &Key, origin: &Value, moved: &Moved) -> Vec<ObjectRef> {
        if crate::object::is_deleting(origin) || !self.selects(origin) {
            return Vec::new();
        }
        let named = moved.get(&self.id, &key.identity()).cloned();
        let Some(copy) = named.or_else(|| self.copy_name_of(key, origin, None).ok()) else {
            return Vec::new();
        };
        let taken = self.projection.taken(origin, &copy).unwrap_or_default();
        let identity = key.identity();
        let intent = self.intent_at(key, origin, &copy, moved).ok();
        let view = View {
            identity: &identity,
            copy: &copy,
            path: "",
            order: Some(origin),
            there: intent.as_ref().map(|it| &it.object),
        };
        // What is selected by labels is known only after it was asked for.
        let rules = self.related.iter();
        let found = rules
            .filter(|it| it.origin == Side::Workspace)
            .filter_map(|it| {
                let seed = it.seed(&view).ok()?;
                it.pairs(&view, &seed, &mut |_| None, &mut |_| Glimpse::Asked)
                    .ok()
            })
            .flat_map(|it| it.pairs)
            .flat_map(|it| [it.origin, it.copy]);
        taken
            .into_iter()
            .flat_map(|it| {
                let at = |place, namespace: &str, name| ObjectRef {
                    place,
                    kind: it.kind.clone(),
                    namespace: namespace.to_owned(),
                    name,
                };
                [
                    at(key.workspace(), &key.namespace, it.name.clone()),
                    at(Place::Service, &copy.namespace, it.copy.clone()),
                ]
            })
            .chain(found)
            .collect()
    }

    /// What the service cluster is asked for.
    ///
    /// # Errors
    ///
    /// When the order cannot be brought down.
    pub fn intent(&self, key: &Key, origin: &Value) -> Result<Intent, Objection> {
        let copy = self.copy_name_of(key, origin, None)?;
        self.intent_at(key, origin, &copy, &Moved::default())
    }

    /// What the service cluster is asked for where the copy is there already, under whatever name.
    ///
    /// # Errors
    ///
    /// When the order cannot be brought down.
    pub fn intent_at(
        &self,
        key: &Key,
        origin: &Value,
        copy: &CopyName,
        moved: &Moved,
    ) -> Result<Intent, Objection> {
        self.intent_beside(key, origin, copy, moved, Beside::default())
    }

    /// What the service cluster is asked for where more than the order is known.
    ///
    /// # Errors
    ///
    /// When the order cannot be brought down.
    pub fn intent_beside(
        &self,
        key: &Key,
        origin: &Value,
        copy: &CopyName,
        moved: &Moved,
        beside: Beside<'_>,
    ) -> Result<Intent, Objection> {
        let identity = key.identity();
        self.projection
            .down(self.down(&identity, copy, moved, beside), origin)
    }

    /// Whether orders of this publication may refer to orders of the other.
    #[must_use]
    pub fn refers_to(&self, id: &str) -> bool {
        let mut refers = self.projection.refers.iter();
        refers.any(|it| names::resource(&it.offered) == id)
    }

    /// The orders that this one refers to, as long as it is held: then there may be a copy of it that refers to theirs.
    #[must_use]
    pub fn referred_by(&self, key: &Key, origin: &Value) -> Vec<Key> {
        if self.projection.refers.is_empty()
            || !crate::object::finalizers(origin).contains(&self.finalizer())
        {
            return Vec::new();
        }
        let refers = self.projection.refers.iter();
        refers.flat_map(|it| it.targets(key, origin)).collect()
    }

    /// What changes the status on its way up.
    #[must_use]
    pub fn changes_up(&self) -> &Pipeline {
        &self.changes_up
    }

    /// What is allowed and has a price or a risk: sentences for the provider.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The way down.
    #[must_use]
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The way up.
    #[must_use]
    pub fn up(&self) -> &Up {
        &self.up
    }

    /// What comes up into workspaces.
    #[must_use]
    pub fn returns(&self) -> &[Returns] {
        &self.returns
    }

    /// What a function says in the status.
    #[must_use]
    pub fn made_status(&self) -> Option<&Made> {
        self.made_status.as_ref()
    }

    /// What is found, on either side.
    #[must_use]
    pub fn related(&self) -> &[Related] {
        &self.related
    }

    /// The rule of related objects with this id.
    #[must_use]
    pub fn related_rule(&self, id: &str) -> Option<&Related> {
        self.related.iter().find(|it| it.id == id)
    }

    /// Whether the operator needs the name for itself, beside one copy or another.
    #[must_use]
    pub fn is_reserved(&self, name: &str) -> bool {
        self.reserved.iter().any(|template| {
            let (before, after) = match template.parts() {
                [Part::Text(text)] => return text == name,
                [Part::Slot(_)] => ("", ""),
                [Part::Text(before), Part::Slot(_)] => (before.as_str(), ""),
                [Part::Slot(_), Part::Text(after)] => ("", after.as_str()),
                [Part::Text(before), Part::Slot(_), Part::Text(after)] => {
                    (before.as_str(), after.as_str())
                }
                _ => return false,
            };
            name.strip_prefix(before)
                .and_then(|it| it.strip_suffix(after))
                .is_some_and(|it| !it.is_empty())
        })
    }

    /// Whether a related object whose fields cannot be changed is made anew: by its rule's id, or its field's path.
    #[must_use]
    pub fn recreates(&self, rule: &str) -> bool {
        self.recreate.iter().any(|it| it == rule)
    }

    /// What is decided once per publication.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn problem(&self, what: impl Into<String>) -> Problem {
        Problem {
            publication: self.id.clone(),
            what: what.into(),
        }
    }
}

fn sorted(mut kinds: Vec<Kind>) -> Vec<Kind> {
    kinds.sort();
    kinds.dedup();
    kinds
}

/// What a rule of a definition is called, in problems.
fn rule_word(rule: &Rule) -> &'static str {
    match rule {
        Rule::Moved { .. } => "at",
        Rule::Takes(_) => "takes",
        Rule::RefersTo { .. } => "refers_to",
        Rule::Hidden => "hidden",
        Rule::Local => "local",
    }
}
