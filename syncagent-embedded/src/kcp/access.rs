//! Who may do what in a workspace and in a virtual workspace.
//!
//! In a workspace: `system:masters` may everything; others need access to the workspace (the verb `access` on `/`) and
//! then a role, of the workspace or of those that every workspace has from the start. kcp's administrators have both
//! everywhere. In the virtual workspace of an export the question is asked about `apiexports/content` where the export
//! lives; and towards one consumer, whether it bound the resource or accepted a claim with that verb.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::claims::accepted;
use super::model::{BINDINGS, EXPORTS, export_of, items, key, logical, same_claim, text};
use super::{Shared, View};
use crate::core::{Core, lock};
use crate::plane::{Attributes, Reach, User};
use crate::rbac::{Policy, What, Who, refusal};
use crate::roles;
use crate::status::{Cause, Details, Failure};

/// kcp's words after a refusal.
const DENIED: &str = ": access denied";
/// The cluster whose roles hold in every workspace.
const BOOTSTRAP: &str = "system:admin";

/// The role that lets somebody into a workspace.
const ENTRY: &str = "system:kcp:workspace:access";

/// The buckets that a policy is made of.
const BUCKETS: [&str; 4] = [
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
];

/// What was compiled, by cluster, with the versions of the buckets it was made of.
type Compiled = HashMap<String, ([u64; 4], Arc<Policy>)>;

/// The roles and bindings of each workspace, together with those that every workspace has from the start.
#[derive(Debug, Default)]
pub(super) struct Policies(Mutex<Compiled>);

impl Policies {
    /// The policy of a workspace as it is now.
    pub(super) fn of(&self, core: &Core, cluster: &str) -> Arc<Policy> {
        let versions = {
            let store = core.store();
            BUCKETS.map(|bucket| store.last_change(bucket))
        };
        if let Some((known, policy)) = lock(&self.0).get(cluster)
            && *known == versions
        {
            return policy.clone();
        }
        let places = [BOOTSTRAP, cluster];
        let objects: Vec<_> = places
            .iter()
            .flat_map(|place| {
                BUCKETS
                    .iter()
                    .flat_map(|bucket| core.all(bucket, Some(place)))
            })
            .collect();
        let policy = Arc::new(Policy::of(objects.iter().map(|stored| &*stored.object)));
        lock(&self.0).insert(cluster.to_owned(), (versions, policy.clone()));
        policy
    }
}

/// Stores the roles that hold in every workspace.
pub(super) fn bootstrap(core: &Core) {
    roles::bootstrap(core, &BOOTSTRAP.into());
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {},
        "rules": [{"nonResourceURLs": ["/"], "verbs": ["access"]}],
    });
    let _ = core.create(&key(BUCKETS[0], BOOTSTRAP, ENTRY), role);
}

/// Answers questions about access.
pub(super) struct Access<'a> {
    pub(super) shared: &'a Shared,
    pub(super) core: &'a Core,
}

impl Access<'_> {
    /// Whether the request may go on.
    pub(super) fn check(&self, request: &Attributes<'_>) -> Result<(), Failure> {
        if request.place.view.is_empty() {
            self.workspace(request)
        } else {
            self.view(request)
        }
    }

    /// Whether somebody may do something with an object of `apis.kcp.io` in a workspace.
    pub(super) fn may(
        &self,
        user: &User,
        cluster: &str,
        verb: &str,
        plural: &str,
        sub: &str,
        name: &str,
    ) -> bool {
        let what = What::Resource {
            verb,
            group: "apis.kcp.io",
            resource: plural,
            subresource: sub,
            namespace: "",
            name,
        };
        self.allowed(user, cluster, what)
    }

    fn allowed(&self, user: &User, cluster: &str, what: What<'_>) -> bool {
        if user.is_in("system:masters") {
            return true;
        }
        if logical(self.core, cluster).is_none() {
            return false;
        }
        if user.is_in("system:kcp:admin") {
            return true;
        }
        let who = Who {
            name: &user.name,
            groups: &user.groups,
        };
        let policy = self.shared.policies.of(self.core, cluster);
        policy.allows(who, what).is_some()
    }

    /// Whether somebody may enter a workspace, without which nothing there is theirs.
    fn enters(&self, user: &User, cluster: &str) -> bool {
        let access = What::Path {
            verb: "access",
            path: "/",
        };
        self.allowed(user, cluster, access)
    }

    fn workspace(&self, request: &Attributes<'_>) -> Result<(), Failure> {
        let Attributes {
            user, place, verb, ..
        } = *request;
        let who = Who {
            name: &user.name,
            groups: &user.groups,
        };
        let master = user.is_in("system:masters");
        let refuse = || Err(refusal(who, request.what(), DENIED));
        let always = ["/healthz", "/livez", "/readyz"];
        if request.target.is_none() && always.contains(&request.path) {
            return Ok(());
        }
        let nowhere = place.reach == Reach::One("".into());
        if nowhere && master && (request.target.is_some() || request.path.starts_with("/api")) {
            return Err(Failure::internal("no cluster found in the context"));
        }
        if !nowhere && request.path == "/metrics" {
            return Err(Failure::text(
                501,
                "shard-level endpoint not available at workspace scope\n",
            ));
        }
        if place.reach == Reach::All {
            return match request.target {
                _ if !master => refuse(),
                Some(target) if !matches!(verb, "list" | "watch") => {
                    let message = format!(
                        "{verb} is not supported on {} in the \"*\" logical cluster",
                        target.plural
                    );
                    Err(
                        Failure::new(405, "MethodNotAllowed", message).with_details(Details::of(
                            &target.group,
                            &target.plural,
                            "",
                        )),
                    )
                }
                _ => Ok(()),
            };
        }
        if master {
            return Ok(());
        }
        let cluster = place.name();
        let system = request.target.is_some_and(|target| {
            target.group == "apis.kcp.io"
                && target.subresource == "status"
                && matches!(target.plural.as_str(), "apibindings" | "apiexports")
        });
        if system || !self.enters(user, &cluster) || !self.allowed(user, &cluster, request.what()) {
            return refuse();
        }
        Ok(())
    }

    fn view(&self, request: &Attributes<'_>) -> Result<(), Failure> {
        let Attributes {
            user, place, verb, ..
        } = *request;
        let view = View::of(&place.view);
        let who = Who {
            name: &user.name,
            groups: &user.groups,
        };
        let refuse = || Err(refusal(who, request.what(), DENIED));
        let master = user.is_in("system:masters");
        let export = self.core.read(&key(EXPORTS, view.cluster, view.export));
        if !master {
            if logical(self.core, view.cluster).is_none() && !view.cluster.contains(':') {
                return refuse();
            }
            if export.is_none() {
                let path = format!("{}{}", place.prefix, request.path);
                return Err(Failure::text(
                    500,
                    format!(
                        "Internal Server Error: {}: API export not found: apiexport.apis.kcp.io {} not found\n",
                        Value::from(path),
                        Value::from(view.export)
                    ),
                ));
            }
            let content = |verb| {
                self.may(
                    user,
                    view.cluster,
                    verb,
                    "apiexports",
                    "content",
                    view.export,
                )
            };
            if !self.enters(user, view.cluster) || !content(verb) {
                return refuse();
            }
        }
        let Some(export) = export else {
            return Err(Failure::page_not_found());
        };
        let Some(target) = request.target else {
            return Ok(());
        };
        match &place.reach {
            Reach::All => match verb {
                "list" | "watch"
                    if target.namespace.is_empty() || target.plural == "namespaces" =>
                {
                    Ok(())
                }
                "patch" => Err(Failure::not_found(
                    &target.group,
                    &target.plural,
                    &target.name,
                )),
                _ => Err(unexpected()),
            },
            Reach::One(consumer) if !self.shared.lies_on(self.core, consumer, view.shard) => {
                refuse()
            }
            Reach::One(_) if master => Ok(()),
            Reach::One(consumer) => {
                if self.granted(
                    &export.object,
                    view,
                    consumer,
                    verb,
                    &target.group,
                    &target.plural,
                ) {
                    Ok(())
                } else {
                    refuse()
                }
            }
        }
    }

    /// Whether a consumer gave an export this verb on a resource.
    fn granted(
        &self,
        export: &Value,
        view: View<'_>,
        consumer: &Arc<str>,
        verb: &str,
        group: &str,
        plural: &str,
    ) -> bool {
        let bindings = self.core.all(BINDINGS, Some(consumer));
        let bound = bindings.iter().filter(|stored| {
            let reference = &stored.object["spec"]["reference"]["export"];
            export_of(self.core, &self.shared.workspaces, consumer, reference).is_some_and(
                |found| *found.key.cluster == *view.cluster && found.key.name == view.export,
            )
        });
        // The two groups of events are one resource.
        let claim_group = if plural == "events" { "" } else { group };
        bound.into_iter().any(|stored| {
            let binding = &stored.object;
            let own = items(binding, "/status/boundResources")
                .iter()
                .any(|one| text(one, "/group") == group && text(one, "/resource") == plural);
            if own
                || (group, plural) == ("apis.kcp.io", "apibindings")
                    && matches!(verb, "get" | "list" | "watch")
            {
                return true;
            }
            accepted(binding, export).iter().any(|claim| {
                if text(claim, "/group") != claim_group || text(claim, "/resource") != plural {
                    return false;
                }
                // The two lists are intersected as they are: `*` is a word like any other here.
                let asked = items(export, "/spec/permissionClaims")
                    .iter()
                    .find(|other| same_claim(claim, other));
                let asked = asked
                    .map(|other| items(other, "/verbs"))
                    .unwrap_or_default();
                let mut common = items(claim, "/verbs")
                    .iter()
                    .filter(|verb| asked.contains(verb));
                common.any(|one| one == verb || one == "*")
            })
        })
    }
}

/// 403 for a virtual workspace that a URL does not name; 404 for those who may everything.
pub(super) fn unresolved(user: &User, method: &str, path: &str) -> Failure {
    if user.is_in("system:masters") {
        return Failure::page_not_found();
    }
    let who = Who {
        name: &user.name,
        groups: &user.groups,
    };
    refusal(
        who,
        What::Path { verb: method, path },
        ": Path not resolved to a valid virtual workspace",
    )
}

/// What a client makes of a 404 that it did not expect, as the virtual workspace hands it on.
pub(super) fn unexpected() -> Failure {
    let mut failure = Failure::no_such_resource();
    failure.details = Some(Details {
        causes: vec![Cause::new(
            "UnexpectedServerResponse",
            "",
            "404 page not found",
        )],
        ..Details::default()
    });
    failure
}
