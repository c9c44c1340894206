//! What differs between a Kubernetes API server and kcp.
//!
//! Everything in this crate works on logical clusters; a [`Plane`] says which there are, what is served in each, who
//! may do what, and what happens to an object on its way in and out. The Kubernetes plane (`kubernetes.rs`) knows the
//! single cluster ""; kcp's plane adds workspaces, bindings and the virtual workspace.
//!
//! A plane holds no state that the store could hold: what it answers follows from stored objects, so that a change is
//! in force the moment its write is.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::api::Served;
use crate::core::Core;
use crate::rbac::review::Decision;
use crate::rbac::{Policy, What, Who};
use crate::request::{Target, Verb};
use crate::selector::Labels;
use crate::status::Failure;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
    /// The uid, where there is one.
    pub uid: String,
    /// Further claims.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// A user who is authenticated and in these groups.
    #[must_use]
    pub fn named(name: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        if !groups.iter().any(|group| group == "system:authenticated") {
            groups.push("system:authenticated".to_owned());
        }
        Self {
            name: name.to_owned(),
            groups,
            ..Self::default()
        }
    }

    /// A user without credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    /// Whether the user is in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }
}

/// Which logical clusters a request reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One.
    One(Arc<str>),
    /// All that the view shows; only lists and watches go there.
    All,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The clusters.
    pub reach: Reach,
    /// The virtual workspace, as its plane names it; empty for none.
    pub view: Arc<str>,
    /// What preceded the path, to be repeated in URLs that the server hands out; without a trailing slash.
    pub prefix: String,
}

impl Place {
    /// A cluster, seen directly.
    #[must_use]
    pub fn cluster(name: impl Into<Arc<str>>) -> Self {
        Self {
            reach: Reach::One(name.into()),
            view: "".into(),
            prefix: String::new(),
        }
    }

    /// The name of the single cluster; empty for a wildcard.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        match &self.reach {
            Reach::One(name) => name.clone(),
            Reach::All => "".into(),
        }
    }
}

/// What remains of a URL after the plane took its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it goes.
    pub place: Place,
    /// The path there, beginning with a slash.
    pub path: String,
}

/// What restricts the objects that a request sees and may touch.
#[derive(Clone, Debug, Default)]
pub struct Lens {
    /// Only objects with these labels; others are not found.
    pub labels: Labels,
    /// On a wildcard: only objects of these clusters; joining and leaving shows in watches.
    pub clusters: Option<watch::Receiver<Arc<BTreeSet<Arc<str>>>>>,
}

/// A resource as seen at a place.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The resource.
    pub served: Arc<Served>,
    /// What is seen of it.
    pub lens: Lens,
}

impl From<Arc<Served>> for Resolved {
    fn from(served: Arc<Served>) -> Self {
        Self {
            served,
            lens: Lens::default(),
        }
    }
}

/// What authorisation decides about.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// Where.
    pub place: &'a Place,
    /// For what: `get`, `list`, ...; the lower-case method for paths that are no resources.
    pub verb: &'a str,
    /// The resource, or `None` for other paths.
    pub target: Option<&'a Target>,
    /// The path, without the plane's prefix.
    pub path: &'a str,
}

impl<'a> Attributes<'a> {
    /// The question as RBAC puts it.
    #[must_use]
    pub fn what(&self) -> What<'a> {
        match self.target {
            None => What::Path {
                verb: self.verb,
                path: self.path,
            },
            Some(target) => What::Resource {
                verb: self.verb,
                group: &target.group,
                resource: &target.plural,
                subresource: &target.subresource,
                namespace: &target.namespace,
                name: &target.name,
            },
        }
    }
}

/// A write, as admission sees it.
#[derive(Debug)]
pub struct Admission<'a> {
    /// Who writes.
    pub user: &'a User,
    /// Where; always a single cluster.
    pub place: &'a Place,
    /// The resource.
    pub served: &'a Served,
    /// The URL.
    pub target: &'a Target,
    /// `Create`, `Update` (also for patches) or `Delete`.
    pub verb: Verb,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The object before, as served; absent for a creation.
    pub old: Option<&'a Value>,
}

/// How a resource answers that is known but not served yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Early {
    /// A list without items and without a version; a watch that says nothing.
    Nothing,
    /// A refusal.
    Refused(Box<Failure>),
}

/// What a product is.
pub trait Plane: Send + Sync + 'static {
    /// Takes the plane's part off a URL. The user is known, but nothing is authorised yet.
    ///
    /// # Errors
    /// For places that do not exist.
    fn route(&self, core: &Core, path: &str, user: &User) -> Result<Route, Failure>;

    /// Everything served at a place, for discovery and documents: one entry per resource and version.
    fn resources(&self, core: &Core, place: &Place) -> Vec<Arc<Served>>;

    /// One resource.
    ///
    /// # Errors
    /// For a resource that will be there but is not yet.
    fn resolve(
        &self,
        core: &Core,
        place: &Place,
        target: &Target,
    ) -> Result<Option<Resolved>, Failure>;

    /// Whether the user may.
    ///
    /// # Errors
    /// 403 with the text for the user.
    fn authorise(&self, core: &Core, request: &Attributes<'_>) -> Result<(), Failure>;

    /// Changes or refuses a write; `new` is absent for deletions. Runs before validation, after defaulting.
    ///
    /// # Errors
    /// What the client is told.
    fn admit(
        &self,
        core: &Core,
        request: &Admission<'_>,
        new: Option<&mut Value>,
    ) -> Result<(), Failure> {
        let _ = (core, request, new);
        Ok(())
    }

    /// Refuses a write that is valid otherwise. Runs after validation.
    ///
    /// # Errors
    /// What the client is told.
    fn check(&self, core: &Core, request: &Admission<'_>, new: &Value) -> Result<(), Failure> {
        let _ = (core, request, new);
        Ok(())
    }

    /// Adds to an object on its way out of a wildcard what only wildcards show.
    fn present_in_wildcard(
        &self,
        place: &Place,
        served: &Served,
        metadata: bool,
        object: &mut Value,
    ) {
        let _ = (place, served, metadata, object);
    }

    /// Answers a list or watch of a resource that is known but not served yet.
    fn early(&self, core: &Core, place: &Place, served: &Served, verb: Verb) -> Option<Early> {
        let _ = (core, place, served, verb);
        None
    }

    /// Refuses whatever is asked at a place that is away for a while, for reasons that do not concern the whole server.
    fn away(&self, core: &Core, place: &Place) -> Option<Failure> {
        let _ = (core, place);
        None
    }

    /// How far the resource versions that clients see at a place are ahead of the store's: places that would be different
    /// servers count apart.
    fn ahead(&self, core: &Core, place: &Place) -> u64 {
        let _ = (core, place);
        0
    }

    /// Brings in step at once what follows from where logical clusters lie.
    fn recount(&self, core: &Core) {
        let _ = core;
    }

    /// The roles and bindings of a place, for reviews and impersonation.
    fn policy(&self, core: &Core, place: &Place) -> Arc<Policy>;

    /// What a review is answered with.
    fn decide(&self, core: &Core, place: &Place, who: Who<'_>, what: What<'_>) -> Decision {
        self.policy(core, place).allows(who, what).into()
    }

    /// Whether [`Plane::present`] adds anything; `false` leaves it as it is, without a copy.
    fn presents(&self) -> bool {
        false
    }

    /// Adds to an object on its way out what is never stored.
    fn present(&self, cluster: &str, object: &mut Value) {
        let _ = (cluster, object);
    }

    /// Removes from an object on its way in what [`Plane::present`] added.
    fn unpresent(&self, object: &mut Value) {
        let _ = object;
    }

    /// Answers a path that is neither a resource nor a common document.
    fn other(
        &self,
        core: &Core,
        place: &Place,
        method: &http::Method,
        path: &str,
    ) -> Option<Result<Value, Failure>> {
        let _ = (core, place, method, path);
        None
    }

    /// Whether discovery has an aggregated form at a place, for the core group or for all others: kcp aggregates only
    /// `/api`, and its virtual workspaces nothing.
    fn aggregates(&self, place: &Place, core: bool) -> bool {
        let _ = (place, core);
        true
    }

    /// The content type of the index of OpenAPI documents, where it is not that of JSON: kube-apiserver calls it text,
    /// kcp does not.
    fn openapi_index_type(&self) -> Option<&'static str> {
        Some("text/plain; charset=utf-8")
    }

    /// Tells where the server can be reached from now on, for URLs that it hands out.
    fn listening(&self, url: &str) {
        let _ = url;
    }

    /// The initial objects and the tasks of the plane's controllers. Called once, within a runtime.
    fn start(&self, core: &Arc<Core>);
}
