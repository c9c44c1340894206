//! An in-process kcp: workspaces, exports, bindings, and the virtual workspaces of exports.
//!
//! kcp is an API server with many clusters in one store, and a few controllers. So is this: a [`Plane`] for the server
//! of this crate, and one loop (`reconcile`) that brings everything in step whenever something changed. What the
//! plane answers follows from stored objects alone:
//!
//! | question | answered by |
//! | --- | --- |
//! | which cluster is `root:a:b`? | the workspaces on the way (`model`) |
//! | what is served in a workspace? | built-in kinds, kcp's own (`kinds`), bound resources (`bindings`), CRDs |
//! | what is served in a virtual workspace? | the export's resources and claims |
//! | who may? | `access` |
//! | what is filled in and refused? | `admission`, `schemas`, `types` |
//! | which objects does an export see? | those with its claim label (`claims`) |
//! | where does a workspace lie? | an annotation of its logical cluster (`shards`) |
//!
//! Two generations of kcp are spoken: [`KcpVersion::V0_32`] and [`KcpVersion::Main`]; they differ in how a virtual
//! workspace answers while a resource is not established yet. Steps that take kcp a while take a (short, settable)
//! while here too, so that nobody comes to rely on them being immediate.

mod access;
mod admission;
mod bindings;
mod claims;
mod convert;
mod exports;
mod hash;
mod kinds;
mod model;
mod schemas;
mod shards;
mod types;
mod url;
mod workspaces;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Server;
use crate::api::{Provenance, Served, qualified};
use crate::builtin::kinds as built_in;
use crate::clock::Clock;
use crate::core::{Core, lock};
use crate::crds;
use crate::namespaces;
use crate::owners;
use crate::plane::{
    Admission, Attributes, Early, Lens, Place, Plane, Reach, Resolved, Route, User,
};
use crate::rbac::review::Decision;
use crate::rbac::{Policy, What, Who};
use crate::request::{Target, Verb};
use crate::selector::Labels;
use crate::status::Failure;

use access::{Access, Policies};
use claims::Claimed;
use model::{
    BINDINGS, CLUSTER, EXPORTS, HIDDEN, HIDDEN_CLUSTER, LOGICAL, SCHEMAS, SLICES, cluster_of,
    items, key, text, unset_meta,
};

/// Which kcp is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KcpVersion {
    /// The release 0.32 of June 2026.
    V0_32,
    /// The main branch of August 2026.
    #[default]
    Main,
}

/// How long kcp's eventual steps take.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// From the first binding of a schema until it is served; about 5 seconds in a real kcp.
    pub establish: Duration,
    /// From a change until the controllers act on it.
    pub react: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            establish: Duration::from_millis(50),
            react: Duration::from_millis(1),
        }
    }
}

/// A kcp that is about to be built.
pub struct Builder {
    generation: KcpVersion,
    delays: Delays,
    shards: Vec<String>,
    old_only: bool,
    inner: Box<dyn FnOnce(crate::Builder) -> crate::Builder + Send>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Which kcp to speak.
    #[must_use]
    pub fn generation(mut self, generation: KcpVersion) -> Self {
        self.generation = generation;
        self
    }

    /// How long eventual steps take.
    #[must_use]
    pub fn delays(mut self, delays: Delays) -> Self {
        self.delays = delays;
        self
    }

    /// More shards besides `root`.
    #[must_use]
    pub fn shards(mut self, names: &[&str]) -> Self {
        self.shards = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Serves nothing of `apis.kcp.io/v1alpha2`, as releases did before there was that version.
    #[must_use]
    pub fn without_v1alpha2(mut self) -> Self {
        self.old_only = true;
        self
    }

    /// Where timestamps come from.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|inner| inner.clock(clock))
    }

    /// How many events each resource remembers; watches and pages from before get 410.
    #[must_use]
    pub fn history(self, events: usize) -> Self {
        self.with(move |inner| inner.history(events))
    }

    /// How often a watch that allows bookmarks gets one.
    #[must_use]
    pub fn bookmarks_every(self, period: Duration) -> Self {
        self.with(move |inner| inner.bookmarks_every(period))
    }

    /// What the server holds from the beginning: what another one held.
    #[must_use]
    pub fn holding(self, held: Vec<crate::snapshot::Held>) -> Self {
        self.with(move |inner| inner.holding(held))
    }

    fn with(
        mut self,
        change: impl FnOnce(crate::Builder) -> crate::Builder + Send + 'static,
    ) -> Self {
        let inner = self.inner;
        self.inner = Box::new(|builder| change(inner(builder)));
        self
    }

    /// Starts the server. Must be called within a tokio runtime.
    #[must_use]
    pub fn build(self) -> Server {
        let Self {
            generation,
            delays,
            shards,
            old_only,
            inner,
        } = self;
        let plane = crate::Builder::with_plane(move |_| {
            let shards = shards::Shards::new(&shards);
            Arc::new(Kcp::new(generation, delays, shards, old_only))
        });
        inner(plane).build()
    }
}

impl Server {
    /// A kcp, with one shard unless it is given more.
    #[must_use]
    pub fn kcp() -> Builder {
        Builder {
            generation: KcpVersion::default(),
            delays: Delays::default(),
            shards: Vec::new(),
            old_only: false,
            inner: Box::new(|builder| builder),
        }
    }

    /// The token of kcp's administrator: `kcp-admin`, in the group `system:kcp:admin`.
    #[must_use]
    pub fn kcp_admin(&self) -> String {
        let mut user = User::named("kcp-admin", &["system:kcp:admin"]);
        user.uid = "4d1c0d1e-0000-4000-8000-6b6370000001".to_owned();
        self.core().add_user(user)
    }

    /// Creates the workspaces of a path that are missing, as the administrator would, and waits until they are ready.
    ///
    /// # Errors
    /// What kcp answered to a creation.
    pub async fn create_workspace(&self, path: &str) -> Result<String, Failure> {
        use http_body_util::BodyExt as _;
        let service = self.in_process().as_user(&self.kcp_admin());
        let ask = |method: &str, path: String, body: Value| {
            let request = http::Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", "application/json");
            let request = request.body(http_body_util::Full::new(hyper::body::Bytes::from(
                body.to_string(),
            )));
            let service = service.clone();
            async move {
                let request = request.map_err(|e| Failure::bad_request(e.to_string()))?;
                let answer = match tower::ServiceExt::oneshot(service, request).await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                };
                let code = answer.status().as_u16();
                let body = answer
                    .into_body()
                    .collect()
                    .await
                    .map_err(|e| Failure::internal(&e.to_string()))?;
                let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
                Ok::<_, Failure>((code, body))
            }
        };
        let mut parent = String::from("root");
        let mut cluster = parent.clone();
        for name in path.split(':').skip(1) {
            let at = format!("/clusters/{parent}/apis/tenancy.kcp.io/v1alpha1/workspaces");
            let workspace = json!({
                "apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name},
                "spec": {"type": {"name": "universal", "path": "root"}},
            });
            let (code, body) = ask("POST", at.clone(), workspace).await?;
            if code != 201 && code != 409 {
                return Err(Failure::unclassified(text(&body, "/message")));
            }
            loop {
                let (_, body) = ask("GET", format!("{at}/{name}"), Value::Null).await?;
                if body["status"]["phase"] == "Ready" {
                    text(&body, "/spec/cluster").clone_into(&mut cluster);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            parent = format!("{parent}:{name}");
        }
        Ok(cluster)
    }
}

/// kcp, as a plane.
pub struct Kcp(Arc<Shared>);

/// The uid of a schema and the identity of an export.
type BoundKey = (String, String);

impl std::fmt::Debug for Kcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kcp")
            .field("generation", &self.0.generation)
            .finish_non_exhaustive()
    }
}

/// What the plane and its controllers share.
struct Shared {
    generation: KcpVersion,
    delays: Delays,
    shards: shards::Shards,
    /// The bucket of workspaces, which are a bound resource themselves.
    workspaces: String,
    /// The bucket of partitions.
    partitions: String,
    built_in: Vec<Arc<Served>>,
    own: Vec<Arc<Served>>,
    local: crds::Cache,
    /// Bound resources, by the uid of their schema and the identity.
    bound: Mutex<HashMap<BoundKey, Vec<Arc<Served>>>>,
    policies: Policies,
    base: Mutex<String>,
    /// When hidden CRDs will be established.
    pending: Mutex<BTreeMap<String, tokio::time::Instant>>,
    /// The claims that the labels in a workspace are in step with.
    claims: Mutex<HashMap<String, Vec<Claimed>>>,
}

/// Built-in kinds that can be claimed in a kcp but are not served here.
const CLAIMABLE: [&str; 3] = [
    "resourcequotas",
    "certificatesigningrequests.certificates.k8s.io",
    "tokenreviews.authentication.k8s.io",
];

/// A virtual workspace, as a place names it.
#[derive(Clone, Copy, Debug)]
struct View<'a> {
    cluster: &'a str,
    export: &'a str,
    /// The shard; empty for `root`.
    shard: &'a str,
}

impl<'a> View<'a> {
    fn of(view: &'a str) -> Self {
        let mut parts = view.split('/');
        let mut next = || parts.next().unwrap_or_default();
        Self {
            cluster: next(),
            export: next(),
            shard: next(),
        }
    }
}

impl Kcp {
    fn new(generation: KcpVersion, delays: Delays, shards: shards::Shards, old_only: bool) -> Self {
        let mut own = kinds::own();
        own.retain(|one| !old_only || one.resource.version != "v1alpha2");
        let bucket = |plural: &str, export: &str| {
            format!("{plural}.{export}:{}", kinds::root_identity(export))
        };
        let shared = Shared {
            generation,
            delays,
            shards,
            workspaces: bucket("workspaces", "tenancy.kcp.io"),
            partitions: bucket("partitions", "topology.kcp.io"),
            built_in: built_in::kcp()
                .into_iter()
                .map(|kind| Arc::new(Served::compiled_in(kind)))
                .collect(),
            own,
            local: crds::Cache::default(),
            bound: Mutex::default(),
            policies: Policies::default(),
            base: Mutex::new("https://kcp.embedded:6443".to_owned()),
            pending: Mutex::default(),
            claims: Mutex::default(),
        };
        Self(Arc::new(shared))
    }
}

impl Shared {
    /// Whether a logical cluster lies on a shard.
    fn lies_on(&self, core: &Core, cluster: &str, shard: &str) -> bool {
        !self.shards.are_several()
            || match (self.shards.of(core, cluster), self.shards.named(shard)) {
                (Some(at), Some(shard)) => at.name == shard.name,
                _ => false,
            }
    }

    /// Where the server can be reached.
    fn url(&self) -> String {
        lock(&self.base).clone()
    }

    /// Whether a claim needs no identity: built-in kinds and kcp's own.
    fn is_native(&self, group: &str, plural: &str) -> bool {
        let mut all = self.built_in.iter().chain(&self.own);
        CLAIMABLE.contains(&qualified(plural, group).as_str())
            || all.any(|one| one.resource.group == group && one.resource.plural == plural)
    }

    /// The versions of a bound resource.
    fn bound(&self, hidden: &Value, uid: &str, identity: &str) -> Vec<Arc<Served>> {
        let at = (uid.to_owned(), identity.to_owned());
        if let Some(known) = lock(&self.bound).get(&at) {
            return known.clone();
        }
        let all: Vec<Arc<Served>> = crds::served(&schemas::to_crd(hidden, true))
            .into_iter()
            .map(|mut served| {
                let name = qualified(&served.resource.plural, &served.resource.group);
                served.bucket = format!("{name}:{identity}").into();
                served.resource.provenance = Provenance::Bound(identity.to_owned());
                // The schema of an export may change under stored objects.
                served.revised = true;
                Arc::new(served)
            })
            .collect();
        lock(&self.bound).insert(at, all.clone());
        all
    }

    /// All bound resources of a workspace.
    fn bound_in(&self, core: &Core, cluster: &str) -> Vec<Arc<Served>> {
        let mut all = Vec::new();
        for binding in core.all(BINDINGS, Some(cluster)) {
            for one in items(&binding.object, "/status/boundResources") {
                let uid = text(one, "/schema/UID");
                if let Some(hidden) = core.read(&key(HIDDEN, HIDDEN_CLUSTER, uid)) {
                    all.extend(self.bound(&hidden.object, uid, text(one, "/schema/identityHash")));
                }
            }
        }
        all
    }

    /// Everything that a workspace serves.
    fn served(&self, core: &Core, cluster: &str) -> Vec<Arc<Served>> {
        let mut all: Vec<Arc<Served>> = self.built_in.iter().chain(&self.own).cloned().collect();
        all.extend(self.bound_in(core, cluster));
        for local in crds::all(core, &self.local, cluster) {
            let taken = all.iter().any(|one| {
                one.resource.group == local.resource.group
                    && one.resource.plural == local.resource.plural
            });
            if !taken {
                all.push(local);
            }
        }
        all
    }

    /// A resource of a workspace, in any version.
    fn find(&self, core: &Core, cluster: &str, group: &str, plural: &str) -> Option<Arc<Served>> {
        let fits =
            |one: &&Arc<Served>| one.resource.group == group && one.resource.plural == plural;
        let near = self.built_in.iter().chain(&self.own).find(fits).cloned();
        near.or_else(|| self.served(core, cluster).iter().find(fits).cloned())
    }

    /// The resources of an export with the label that restricts what is seen of them.
    fn view(&self, core: &Core, view: View<'_>) -> Vec<Resolved> {
        let Some(export) = core.read(&key(EXPORTS, view.cluster, view.export)) else {
            return Vec::new();
        };
        let identity = text(&export.object, "/status/identityHash");
        let mut all: Vec<Resolved> = Vec::new();
        for resource in items(&export.object, "/spec/resources") {
            if let Some(schema) = core.read(&key(SCHEMAS, view.cluster, text(resource, "/schema")))
            {
                all.extend(
                    self.bound(&schema.object, schema.uid(), identity)
                        .into_iter()
                        .map(|s| viewed(&s).into()),
                );
            }
        }
        let label = hash::export(view.cluster, view.export);
        for claim in items(&export.object, "/spec/permissionClaims") {
            let (group, plural) = (text(claim, "/group"), text(claim, "/resource"));
            if all
                .iter()
                .any(|r| r.served.resource.group == group && r.served.resource.plural == plural)
            {
                continue;
            }
            let lens = || Lens {
                labels: label_is(&format!("{}{label}", hash::CLAIMED), &hash::claim(claim)),
                clusters: None,
            };
            for served in self.claimable(core, claim) {
                all.push(Resolved {
                    served: viewed(&served),
                    lens: lens(),
                });
            }
        }
        if !all
            .iter()
            .any(|r| r.served.resource.plural == "apibindings")
        {
            for served in self
                .own
                .iter()
                .filter(|one| one.resource.plural == "apibindings")
            {
                let mut reading = (*viewed(served)).clone();
                reading.resource.verbs = ["get", "list", "watch"].map(str::to_owned).to_vec();
                all.push(Resolved {
                    served: Arc::new(reading),
                    lens: Lens {
                        labels: label_is(hash::EXPORT, &label),
                        clusters: None,
                    },
                });
            }
        }
        all
    }

    /// The resources that a claim speaks of.
    fn claimable(&self, core: &Core, claim: &Value) -> Vec<Arc<Served>> {
        let (group, plural) = (text(claim, "/group"), text(claim, "/resource"));
        let events = group.is_empty() && plural == "events";
        let native = self.built_in.iter().chain(&self.own).filter(|one| {
            one.resource.plural == plural
                && (one.resource.group == group || events && one.resource.group == "events.k8s.io")
        });
        let native: Vec<Arc<Served>> = native.cloned().collect();
        if !native.is_empty() {
            return native;
        }
        let identity = text(claim, "/identityHash");
        let export = core.all(EXPORTS, None).into_iter().find(|export| {
            text(&export.object, "/status/identityHash") == identity
                && items(&export.object, "/spec/resources")
                    .iter()
                    .any(|r| text(r, "/group") == group && text(r, "/name") == plural)
        });
        let Some(export) = export else {
            return Vec::new();
        };
        let resources = items(&export.object, "/spec/resources").iter();
        resources
            .filter(|r| text(r, "/group") == group && text(r, "/name") == plural)
            .filter_map(|r| core.read(&key(SCHEMAS, &export.key.cluster, text(r, "/schema"))))
            .flat_map(|schema| self.bound(&schema.object, schema.uid(), identity))
            .collect()
    }
}

/// A resource as the discovery of a virtual workspace shows it.
fn viewed(served: &Arc<Served>) -> Arc<Served> {
    let mut copy = (**served).clone();
    copy.resource.verbs = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ]
    .map(str::to_owned)
    .to_vec();
    copy.resource.short_names.clear();
    Arc::new(copy)
}

fn label_is(name: &str, value: &str) -> Labels {
    Labels::parse(&format!("{name}={value}")).unwrap_or_default()
}

impl Plane for Kcp {
    fn route(&self, core: &Core, path: &str, user: &User) -> Result<Route, Failure> {
        match url::parse(path) {
            url::Prefix::None => Ok(Route {
                place: Place::cluster(""),
                path: path.to_owned(),
            }),
            url::Prefix::Cluster { cluster: "*", rest } => Ok(Route {
                place: Place {
                    reach: Reach::All,
                    view: "".into(),
                    prefix: "/clusters/*".into(),
                },
                path: rest.to_owned(),
            }),
            url::Prefix::Cluster { cluster, rest } => {
                if cluster.is_empty() {
                    return Ok(Route {
                        place: Place::cluster(""),
                        path: rest.to_owned(),
                    });
                }
                if !url::is_path(cluster) {
                    let shown = Value::from(cluster);
                    return Err(Failure::bad_request(format!(
                        "invalid cluster: {shown} does not match the regex"
                    )));
                }
                let name: Arc<str> = if cluster.contains(':') && !cluster.starts_with("system:") {
                    cluster_of(core, &self.0.workspaces, cluster).ok_or_else(|| {
                        Failure::not_found("tenancy.kcp.io", "workspaces", cluster)
                    })?
                } else {
                    cluster.into()
                };
                let prefix = format!("/clusters/{cluster}");
                Ok(Route {
                    place: Place {
                        reach: Reach::One(name),
                        view: "".into(),
                        prefix,
                    },
                    path: rest.to_owned(),
                })
            }
            url::Prefix::Export {
                shard,
                provider,
                export,
                cluster,
                rest,
            } => {
                if cluster.contains(':') || self.0.shards.named(shard).is_none() {
                    return Err(access::unresolved(user, "get", path));
                }
                let below = match shard {
                    "" => String::new(),
                    shard => format!("/shards/{shard}"),
                };
                let reach = if cluster == "*" {
                    Reach::All
                } else {
                    Reach::One(cluster.into())
                };
                let prefix =
                    format!("{below}/services/apiexport/{provider}/{export}/clusters/{cluster}");
                Ok(Route {
                    place: Place {
                        reach,
                        view: format!("{provider}/{export}/{shard}").into(),
                        prefix,
                    },
                    path: rest.to_owned(),
                })
            }
            url::Prefix::Unresolved => Err(access::unresolved(user, "get", path)),
        }
    }

    fn resources(&self, core: &Core, place: &Place) -> Vec<Arc<Served>> {
        if place.view.is_empty() {
            return self.0.served(core, &place.name());
        }
        self.0
            .view(core, View::of(&place.view))
            .into_iter()
            .map(|resolved| resolved.served)
            .collect()
    }

    fn resolve(
        &self,
        core: &Core,
        place: &Place,
        target: &Target,
    ) -> Result<Option<Resolved>, Failure> {
        let Target {
            group,
            version,
            plural,
            identity,
            ..
        } = target;
        let fits = |one: &Served| {
            one.resource.group == *group
                && one.resource.version == *version
                && one.resource.plural == *plural
                && identity
                    .as_ref()
                    .is_none_or(|hash| one.resource.provenance == Provenance::Bound(hash.clone()))
        };
        if !place.view.is_empty() {
            let view = View::of(&place.view);
            let all = self.0.view(core, view);
            let mut found = all.into_iter().find(|resolved| fits(&resolved.served));
            if self.0.shards.are_several()
                && place.reach == Reach::All
                && let Some(resolved) = &mut found
            {
                resolved.lens.clusters = self.0.shards.named(view.shard).map(|s| s.members());
            }
            return Ok(found);
        }
        let near = self
            .0
            .built_in
            .iter()
            .chain(&self.0.own)
            .find(|one| fits(one))
            .cloned();
        if let Some(near) = near {
            return Ok(Some(near.into()));
        }
        match (&place.reach, identity) {
            (Reach::One(cluster), _) => {
                let bound = self
                    .0
                    .bound_in(core, cluster)
                    .into_iter()
                    .find(|one| fits(one));
                let local = || crds::find(core, &self.0.local, cluster, group, version, plural);
                Ok(bound
                    .or_else(|| local().filter(|_| identity.is_none()))
                    .map(Into::into))
            }
            (Reach::All, Some(hash)) => {
                let all = core.all(EXPORTS, None);
                let export = all
                    .iter()
                    .find(|e| text(&e.object, "/status/identityHash") == hash);
                let found = export.and_then(|export| {
                    let view = self.0.view(
                        core,
                        View {
                            cluster: &export.key.cluster,
                            export: &export.key.name,
                            shard: "",
                        },
                    );
                    view.into_iter().find(|resolved| fits(&resolved.served))
                });
                Ok(found)
            }
            (Reach::All, None) => Ok(None),
        }
    }

    fn authorise(&self, core: &Core, request: &Attributes<'_>) -> Result<(), Failure> {
        Access {
            shared: &self.0,
            core,
        }
        .check(request)
    }

    fn admit(
        &self,
        core: &Core,
        request: &Admission<'_>,
        new: Option<&mut Value>,
    ) -> Result<(), Failure> {
        let Some(new) = new else { return Ok(()) };
        admission::fill(&self.0, core, request, new)?;
        let resource = &request.served.resource;
        let claims = claims::of_workspace(core, &self.0.workspaces, &request.place.name());
        claims::relabel(&claims, &resource.group, &resource.plural, new);
        Ok(())
    }

    fn check(&self, core: &Core, request: &Admission<'_>, new: &Value) -> Result<(), Failure> {
        admission::check(&self.0, core, request, new)
    }

    fn present_in_wildcard(
        &self,
        place: &Place,
        served: &Served,
        metadata: bool,
        object: &mut Value,
    ) {
        const ORIGINAL: &str = "kcp.io/original-api-version";
        if served.built_in() {
            if place.view.is_empty() && !metadata {
                model::set_meta(object, "annotations", ORIGINAL, "");
            }
        } else if metadata {
            model::set_meta(
                object,
                "annotations",
                ORIGINAL,
                &served.resource.api_version(),
            );
        }
    }

    fn early(&self, core: &Core, place: &Place, served: &Served, verb: Verb) -> Option<Early> {
        if place.view.is_empty() || !matches!(verb, Verb::List | Verb::Watch) {
            return None;
        }
        let view = View::of(&place.view);
        let label = hash::export(view.cluster, view.export);
        let export = core.read(&key(EXPORTS, view.cluster, view.export))?;
        let resource = &served.resource;
        let has = |list: &[Value], name: &str| {
            list.iter().any(|one| {
                text(one, "/group") == resource.group && text(one, name) == resource.plural
            })
        };
        if !has(items(&export.object, "/spec/resources"), "/name") {
            return None;
        }
        let consumer = match &place.reach {
            Reach::One(cluster) => Some(cluster.clone()),
            Reach::All => None,
        };
        let bound = core
            .all(BINDINGS, consumer.as_deref())
            .iter()
            .any(|binding| {
                binding.object["metadata"]["labels"][hash::EXPORT] == label.as_str()
                    && self.0.lies_on(core, &binding.key.cluster, view.shard)
                    && has(
                        items(&binding.object, "/status/boundResources"),
                        "/resource",
                    )
            });
        if bound {
            return None;
        }
        Some(match self.0.generation {
            KcpVersion::Main => Early::Nothing,
            KcpVersion::V0_32 => Early::Refused(Box::new(access::unexpected())),
        })
    }

    fn away(&self, core: &Core, place: &Place) -> Option<Failure> {
        let shards = &self.0.shards;
        if !shards.are_several() {
            return None;
        }
        let shard = match (&place.reach, place.view.is_empty()) {
            (_, false) => shards.named(View::of(&place.view).shard),
            (Reach::One(cluster), true) => shards.of(core, cluster),
            (Reach::All, true) => None,
        };
        if shard.is_some_and(|shard| core.faults.is_shard_out(&shard.name)) {
            return Some(Failure::unavailable(
                "the server is currently unable to handle the request",
            ));
        }
        match &place.reach {
            Reach::One(cluster) if shards.of(core, cluster).is_none() => Some(shards::moving()),
            _ => None,
        }
    }

    fn ahead(&self, core: &Core, place: &Place) -> u64 {
        let shards = &self.0.shards;
        let shard = match &place.reach {
            Reach::One(cluster) => shards.of(core, cluster),
            Reach::All => shards.named(View::of(&place.view).shard),
        };
        shard.map_or(0, |shard| shard.ahead)
    }

    fn recount(&self, core: &Core) {
        self.0.shards.recount(core);
    }

    fn policy(&self, core: &Core, place: &Place) -> Arc<Policy> {
        self.0.policies.of(core, &place.name())
    }

    fn decide(&self, core: &Core, place: &Place, who: Who<'_>, what: What<'_>) -> Decision {
        let user = User {
            name: who.name.to_owned(),
            groups: who.groups.to_vec(),
            ..User::default()
        };
        let (verb, target, path) = match what {
            What::Path { verb, path } => (verb, None, path),
            What::Resource {
                verb,
                group,
                resource,
                subresource,
                namespace,
                name,
            } => {
                let target = Target {
                    group: group.to_owned(),
                    plural: resource.to_owned(),
                    subresource: subresource.to_owned(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    ..Target::default()
                };
                (verb, Some(target), "")
            }
        };
        let question = Attributes {
            user: &user,
            place,
            verb,
            target: target.as_ref(),
            path,
        };
        let allowed = self.authorise(core, &question).is_ok();
        let reason = if allowed {
            "access granted"
        } else {
            "access denied"
        };
        Decision {
            allowed,
            reason: reason.to_owned(),
        }
    }

    fn presents(&self) -> bool {
        true
    }

    fn present(&self, cluster: &str, object: &mut Value) {
        workspaces::locate(cluster, object);
    }

    fn unpresent(&self, object: &mut Value) {
        unset_meta(object, "annotations", CLUSTER);
    }

    fn other(
        &self,
        _core: &Core,
        _place: &Place,
        _method: &http::Method,
        path: &str,
    ) -> Option<Result<Value, Failure>> {
        let (minor, before, release) = match self.0.generation {
            KcpVersion::V0_32 => ("35", "34", "v1.35.1+kcp-v0.32.0"),
            KcpVersion::Main => ("36", "35", "v1.36.0+kcp-v0.32.3"),
        };
        (path == "/version").then(|| {
            Ok(json!({
                "major": "1", "minor": minor, "emulationMajor": "1", "emulationMinor": minor,
                "minCompatibilityMajor": "1", "minCompatibilityMinor": before, "gitVersion": release,
                "gitCommit": "$Format:%H$", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
                "goVersion": "go1.26.8", "compiler": "gc", "platform": "linux/amd64",
            }))
        })
    }

    fn aggregates(&self, place: &Place, core: bool) -> bool {
        place.view.is_empty() && core
    }

    fn openapi_index_type(&self) -> Option<&'static str> {
        None
    }

    fn listening(&self, url: &str) {
        url.clone_into(&mut lock(&self.0.base));
    }

    fn start(&self, core: &Arc<Core>) {
        let shared = self.0.clone();
        access::bootstrap(core);
        let spec = json!({"directlyDeletable": false});
        workspaces::found(
            &shared,
            core,
            model::SHARD,
            "root",
            "root",
            "root:root",
            "system:apiserver",
            &spec,
        );
        for export in kinds::DEFAULTS {
            let mut resources = Vec::new();
            for (name, spec) in kinds::root_schemas(export, shared.generation) {
                let plural = text(&spec, "/names/plural").to_owned();
                let schema = json!({
                    "apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema",
                    "metadata": {"generation": 1}, "spec": spec,
                });
                let _ = core.create(&key(SCHEMAS, "root", &name), schema);
                resources.push(json!({"group": export, "name": plural, "schema": name, "storage": {"crd": {}}}));
            }
            let object = json!({
                "apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport",
                "metadata": {"generation": 1, "annotations": {model::PATH: "root"}},
                "spec": {
                    "identity": {"secretRef": {"name": export, "namespace": "kcp-system"}}, "resources": resources,
                },
                "status": {"identityHash": kinds::root_identity(export)},
            });
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "Opaque",
                "data": {"key": base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD, kinds::root_key(export),
                )},
            });
            let system: Arc<str> = "root".into();
            let _ = core.create(
                &namespaces::key(&system, "kcp-system"),
                namespaces::fresh("kcp-system"),
            );
            let _ = core.create(
                &model::key_in("secrets", "root", "kcp-system", export),
                secret,
            );
            let _ = core.create(&key(EXPORTS, "root", export), object);
        }
        pass(&shared, core);
        core.spawn(crds::run(core.clone()));
        core.spawn(namespaces::run(core.clone()));
        core.spawn(owners::run(core.clone()));
        core.spawn(reconcile(shared, core.clone()));
    }
}

/// Brings everything in step once; says when to look again at the latest.
fn pass(shared: &Shared, core: &Core) -> Option<Duration> {
    exports::pass(shared, core);
    let busy = workspaces::pass(shared, core);
    shared.shards.recount(core);
    workspaces::furnish(core);
    let wake = bindings::pass(shared, core);
    exports::pass(shared, core);
    let soon = Duration::from_millis(10);
    if busy {
        Some(wake.map_or(soon, |at| at.min(soon)))
    } else {
        wake
    }
}

/// The controllers: a pass whenever something changed.
async fn reconcile(shared: Arc<Shared>, core: Arc<Core>) {
    let buckets = [
        EXPORTS,
        BINDINGS,
        SCHEMAS,
        SLICES,
        LOGICAL,
        HIDDEN,
        namespaces::BUCKET,
        crds::BUCKET,
        "secrets",
        &shared.workspaces,
        &shared.partitions,
    ];
    let mut changes: Vec<_> = buckets.iter().map(|bucket| core.changes(bucket)).collect();
    loop {
        for change in &mut changes {
            change.mark_unchanged();
        }
        let wake = pass(&shared, &core);
        {
            let any = futures::future::select_all(
                changes.iter_mut().map(|change| Box::pin(change.changed())),
            );
            match wake {
                None => {
                    let _ = any.await;
                }
                Some(wake) => {
                    let _ = tokio::time::timeout(wake, any).await;
                }
            }
        }
        tokio::time::sleep(shared.delays.react).await;
    }
}
