//! The Kubernetes plane: one cluster, built-in kinds and CRDs, RBAC.

use std::sync::Arc;

use serde_json::Value;

use crate::api::Served;
use crate::builtin::kinds;
use crate::core::Core;
use crate::crds;
use crate::namespaces;
use crate::owners;
use crate::plane::{Admission, Attributes, Place, Plane, Resolved, Route, User};
use crate::rbac::{self, Policy, Who};
use crate::request::Target;
use crate::roles::{self, Roles};
use crate::status::Failure;

/// A plain Kubernetes API server.
pub struct Kubernetes {
    built_in: Vec<Arc<Served>>,
    cache: crds::Cache,
    roles: Roles,
    bare: bool,
}

impl Kubernetes {
    /// The plane; a bare one does nothing that kube-controller-manager does.
    #[must_use]
    pub fn new(bare: bool) -> Self {
        let built_in = kinds::kubernetes()
            .into_iter()
            .map(|kind| Arc::new(Served::compiled_in(kind)))
            .collect();
        Self {
            built_in,
            cache: crds::Cache::default(),
            roles: Roles::default(),
            bare,
        }
    }
}

impl Plane for Kubernetes {
    fn route(&self, _core: &Core, path: &str, _user: &User) -> Result<Route, Failure> {
        Ok(Route {
            place: Place::cluster(""),
            path: path.to_owned(),
        })
    }

    fn resources(&self, core: &Core, _place: &Place) -> Vec<Arc<Served>> {
        let mut all = self.built_in.clone();
        all.extend(crds::all(core, &self.cache, ""));
        all
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
            ..
        } = target;
        let fits = |one: &&Arc<Served>| {
            one.resource.group == *group
                && one.resource.version == *version
                && one.resource.plural == *plural
        };
        let found = self.built_in.iter().find(fits).cloned();
        Ok(found
            .or_else(|| crds::find(core, &self.cache, &place.name(), group, version, plural))
            .map(Into::into))
    }

    fn authorise(&self, core: &Core, request: &Attributes<'_>) -> Result<(), Failure> {
        let who = Who {
            name: &request.user.name,
            groups: &request.user.groups,
        };
        if who.is_master() {
            return Ok(());
        }
        self.roles.policy(core, "").check(who, request.what())
    }

    fn admit(
        &self,
        core: &Core,
        request: &Admission<'_>,
        new: Option<&mut Value>,
    ) -> Result<(), Failure> {
        let resource = &request.served.resource;
        match new {
            Some(new) if resource.group == rbac::GROUP => {
                let who = Who {
                    name: &request.user.name,
                    groups: &request.user.groups,
                };
                rbac::escalation::check(
                    &self.roles.policy(core, ""),
                    who,
                    &resource.plural,
                    request.old,
                    new,
                )
            }
            _ => Ok(()),
        }
    }

    fn policy(&self, core: &Core, _place: &Place) -> Arc<Policy> {
        self.roles.policy(core, "")
    }

    fn start(&self, core: &Arc<Core>) {
        let cluster: Arc<str> = "".into();
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let _ = core.create(&namespaces::key(&cluster, name), namespaces::fresh(name));
        }
        roles::bootstrap(core, &cluster);
        core.spawn(crds::run(core.clone()));
        if !self.bare {
            core.spawn(namespaces::run(core.clone()));
            core.spawn(owners::run(core.clone()));
        }
    }
}
