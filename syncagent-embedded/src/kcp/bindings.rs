//! Bindings: from the reference to an export to resources that are served, and back.
//!
//! ```text
//! export found? -> schemas found? -> names free? -> hidden CRDs established? -> boundResources, Bound
//!               -> claims: what the export asks for, what of it was accepted
//! deleted:         objects of the bound resources go first, then the finalizer
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::admission::BINDING_FINALIZER;
use super::claims::{self, Claimed, accepted};
use super::model::{
    BINDINGS, HIDDEN, HIDDEN_CLUSTER, LOGICAL, SCHEMAS, State, annotation, deleting,
    drop_condition, export_of, items, key, logical, path_of, remove, same_claim, set_condition,
    set_meta, text, unset_meta,
};
use super::{Shared, hash};
use crate::api::qualified;
use crate::core::{Core, lock};
use crate::crds;
use crate::store::Stored;

/// The annotation of a hidden CRD that is established.
const ESTABLISHED: &str = "established";

/// One pass over all bindings; says when to come back at the latest.
pub(super) fn pass(shared: &Shared, core: &Core) -> Option<Duration> {
    let mut again = establish(shared, core);
    let mut all = core.all(BINDINGS, None);
    // The older one of two has the names.
    all.sort_by_key(|stored| {
        let created = text(&stored.object, "/metadata/creationTimestamp").to_owned();
        (
            items(&stored.object, "/status/boundResources").is_empty(),
            created,
            stored.version,
        )
    });
    for stored in all {
        if deleting(&stored.object) {
            if unbind(core, &stored) {
                again = Some(again.map_or(RECHECK, |at: Duration| at.min(RECHECK)));
            }
        } else if logical(core, &stored.key.cluster).is_some() {
            bind(shared, core, &stored);
        }
    }
    again = soonest(again, establish(shared, core));
    relabel(shared, core);
    again
}

const RECHECK: Duration = Duration::from_millis(20);

fn soonest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Establishes hidden CRDs whose time has come; says when the next one's will.
fn establish(shared: &Shared, core: &Core) -> Option<Duration> {
    let now = tokio::time::Instant::now();
    let mut pending = lock(&shared.pending);
    let due: Vec<String> = pending
        .iter()
        .filter(|(_, at)| **at <= now)
        .map(|(uid, _)| uid.clone())
        .collect();
    for uid in due {
        pending.remove(&uid);
        core.modify(&key(HIDDEN, HIDDEN_CLUSTER, &uid), |object| {
            set_meta(object, "annotations", ESTABLISHED, "true");
            true
        });
    }
    pending
        .values()
        .map(|at| at.saturating_duration_since(now))
        .min()
}

/// The hidden CRD behind a schema, made when it is first asked for.
fn hidden(shared: &Shared, core: &Core, schema: &Stored) -> Arc<Stored> {
    let at = key(HIDDEN, HIDDEN_CLUSTER, schema.uid());
    if let Some(present) = core.read(&at) {
        return present;
    }
    let root = &*schema.key.cluster == "root";
    let mut object = json!({"metadata": {}, "spec": schema.object["spec"]});
    if root || shared.delays.establish.is_zero() {
        set_meta(&mut object, "annotations", ESTABLISHED, "true");
    } else {
        let when = tokio::time::Instant::now() + shared.delays.establish;
        lock(&shared.pending).insert(schema.uid().to_owned(), when);
    }
    match core.create(&at, object) {
        Ok(stored) | Err(stored) => stored,
    }
}

/// Whether a hidden CRD is established.
pub(super) fn is_established(hidden: &Value) -> bool {
    annotation(hidden, ESTABLISHED) == "true"
}

/// What a binding's resources come to.
enum Resources {
    /// They are all served.
    Bound(Vec<Value>),
    /// Some are not established yet.
    Waiting(Vec<String>),
    /// Others have the names.
    Conflict(String),
    /// A schema is missing.
    Missing(String),
}

fn bind(shared: &Shared, core: &Core, stored: &Stored) {
    let cluster = &stored.key.cluster;
    let binding = &stored.object;
    let reference = &binding["spec"]["reference"]["export"];
    let export = export_of(core, &shared.workspaces, cluster, reference);
    let now = core.now();
    let Some(export) = export else {
        let path = match text(reference, "/path") {
            "" => path_of(core, cluster),
            path => path.to_owned(),
        };
        let why = format!("APIExport {path}|{} not found", text(reference, "/name"));
        core.modify(&stored.key, |object| {
            let why = State::no("Error", "APIExportNotFound", why.as_str());
            set_condition(object, &now, "APIExportValid", &why);
            let own: Vec<String> = object["metadata"]["labels"]
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, value)| {
                    name.starts_with(hash::CLAIMED) && *value == hash::OWN_BINDING
                })
                .map(|(name, _)| name.clone())
                .collect();
            for label in own {
                unset_meta(object, "labels", &label);
            }
            if object["status"]["phase"] != "Bound" {
                object["status"]["phase"] = json!("Binding");
                let wait = waiting();
                set_condition(object, &now, "InitialBindingCompleted", &wait);
                set_condition(object, &now, "Ready", &wait);
            }
            true
        });
        return;
    };
    let resources = resources(shared, core, stored, &export);
    if let Resources::Bound(bound) = &resources {
        reserve(core, stored, bound);
    }
    let asked = items(&export.object, "/spec/permissionClaims");
    let mut applied: Vec<Value> = accepted(binding, &export.object)
        .into_iter()
        .map(without_state)
        .collect();
    applied.sort_by_key(|claim| text(claim, "/resource").to_owned());
    let label = hash::export(&export.key.cluster, &export.key.name);
    core.modify(&stored.key, |object| {
        if !items(asked_by(&export.object), "").is_empty()
            && asked
                .iter()
                .any(|c| c["group"] == "apis.kcp.io" && c["resource"] == "apibindings")
        {
            // The claim's own label takes the place of the constant one.
        } else {
            set_meta(
                object,
                "labels",
                &format!("{}{label}", hash::CLAIMED),
                hash::OWN_BINDING,
            );
        }
        object["status"]["apiExportClusterName"] = json!(&*export.key.cluster);
        for (field, list) in [
            ("exportPermissionClaims", asked),
            ("appliedPermissionClaims", applied.as_slice()),
        ] {
            if list.is_empty() {
                remove(&mut object["status"], field);
            } else {
                object["status"][field] = Value::from(list.to_vec());
            }
        }
        judge(object, &now, &resources);
        set_condition(object, &now, "PermissionClaimsApplied", &State::True);
        let valid = valid(object, asked);
        set_condition(object, &now, "PermissionClaimsValid", &valid);
        true
    });
}

fn asked_by(export: &Value) -> &Value {
    export
        .pointer("/spec/permissionClaims")
        .unwrap_or(&Value::Null)
}

fn without_state(claim: &Value) -> Value {
    let mut claim = claim.clone();
    remove(&mut claim, "state");
    claim
}

fn waiting() -> State<'static> {
    State::no(
        "Info",
        "WaitingForEstablished",
        "Waiting for API(s) to be established",
    )
}

/// The phase and conditions that follow from the resources.
fn judge(object: &mut Value, now: &str, resources: &Resources) {
    let bound = object["status"]["phase"] == "Bound";
    match resources {
        Resources::Bound(list) => {
            if list.is_empty() {
                remove(&mut object["status"], "boundResources");
            } else {
                object["status"]["boundResources"] = Value::from(list.clone());
            }
            object["status"]["phase"] = json!("Bound");
            for name in [
                "Ready",
                "APIExportValid",
                "BindingUpToDate",
                "InitialBindingCompleted",
            ] {
                set_condition(object, now, name, &State::True);
            }
            return;
        }
        Resources::Waiting(schemas) => {
            set_condition(object, now, "APIExportValid", &State::True);
            let why = format!(
                "Waiting for API(s) to be established: {}",
                schemas.join(", ")
            );
            let wait = State::no("Info", "WaitingForEstablished", why);
            set_condition(object, now, "BindingUpToDate", &wait);
            if !bound {
                set_condition(object, now, "InitialBindingCompleted", &waiting());
                set_condition(object, now, "Ready", &waiting());
            }
        }
        Resources::Conflict(why) => {
            let why = State::no("Error", "NamingConflicts", why.as_str());
            set_condition(object, now, "APIExportValid", &State::True);
            set_condition(object, now, "BindingUpToDate", &why);
            if !bound {
                set_condition(object, now, "InitialBindingCompleted", &why);
                set_condition(object, now, "Ready", &why);
            }
        }
        Resources::Missing(schema) => {
            let why = format!(
                "Invalid APIExport. Please contact the APIExport owner to resolve: APIResourceSchema {} not found",
                Value::from(schema.as_str())
            );
            set_condition(
                object,
                now,
                "APIExportValid",
                &State::no("Error", "InternalError", why),
            );
            if !bound {
                set_condition(object, now, "InitialBindingCompleted", &waiting());
                set_condition(object, now, "Ready", &waiting());
                drop_condition(object, "BindingUpToDate");
            }
        }
    }
    if !bound {
        object["status"]["phase"] = json!("Binding");
    }
}

/// Whether the claims of a binding are those of its export.
fn valid(binding: &Value, asked: &[Value]) -> State<'static> {
    let claims = items(binding, "/spec/permissionClaims");
    let unexpected: Vec<&Value> = claims
        .iter()
        .filter(|claim| !asked.iter().any(|other| same_claim(claim, other)))
        .collect();
    let list = |verbs: &Value| {
        let words: Vec<&str> = items(verbs, "").iter().filter_map(Value::as_str).collect();
        format!("[{}]", words.join(" "))
    };
    let mismatched: Vec<String> = claims
        .iter()
        .filter_map(|claim| {
            let other = asked.iter().find(|other| same_claim(claim, other))?;
            let all = json!(["*"]);
            let differ =
                claim["verbs"] != other["verbs"] && claim["verbs"] != all && other["verbs"] != all;
            differ.then(|| {
                format!(
                    "{}.{} (verbs: accepted {}, exported {})",
                    text(claim, "/resource"),
                    text(claim, "/group"),
                    list(&claim["verbs"]),
                    list(&other["verbs"])
                )
            })
        })
        .collect();
    if let Some(first) = mismatched.first() {
        let count = mismatched.len();
        let why = format!(
            "{count} permission claim(s) have mismatched verbs or selectors (showing first {count}): {first}"
        );
        return State::no("Warning", "PermissionClaimsMismatch", why);
    }
    if let Some(first) = unexpected.first() {
        let count = unexpected.len();
        let why = format!(
            "{count} unexpected and/or invalid permission claims (showing first {count}): unexpected/invalid claim for \
             {}.{} (identity {})",
            text(first, "/resource"),
            text(first, "/group"),
            Value::from(text(first, "/identityHash"))
        );
        return State::no("Error", "InvalidPermissionClaims", why);
    }
    State::True
}

fn resources(shared: &Shared, core: &Core, stored: &Stored, export: &Stored) -> Resources {
    let identity = text(&export.object, "/status/identityHash");
    let before = items(&stored.object, "/status/boundResources");
    let mut bound: Vec<Value> = Vec::new();
    let mut conflicts = Vec::new();
    let mut waiting = Vec::new();
    for resource in items(&export.object, "/spec/resources") {
        let (group, plural) = (text(resource, "/group"), text(resource, "/name"));
        let name = text(resource, "/schema");
        let Some(schema) = core.read(&key(SCHEMAS, &export.key.cluster, name)) else {
            return Resources::Missing(name.to_owned());
        };
        if let Some(owner) = owner_of(core, stored, group, plural) {
            conflicts.push(format!("{}:{owner}", qualified(plural, group)));
            continue;
        }
        let hidden = hidden(shared, core, &schema);
        if !is_established(&hidden.object) {
            waiting.push(name.to_owned());
        }
        let versions = items(&schema.object, "/spec/versions");
        let storage = versions
            .iter()
            .find(|v| v["storage"] == true)
            .map(|v| v["name"].clone());
        let old = before
            .iter()
            .find(|b| text(b, "/group") == group && text(b, "/resource") == plural);
        let mut storages = old
            .map(|old| items(old, "/storageVersions").to_vec())
            .unwrap_or_default();
        storages.extend(storage.filter(|version| !storages.contains(version)));
        bound.push(json!({
            "group": group, "resource": plural, "storageVersions": storages,
            "schema": {"name": name, "UID": schema.uid(), "identityHash": identity},
        }));
    }
    if !conflicts.is_empty() {
        conflicts.sort();
        let list = conflicts.join(" ");
        return Resources::Conflict(format!(
            "Unable to bind APIs because they are bound by other APIBindings or CRDs: map[{list}]"
        ));
    }
    if !waiting.is_empty() || identity.is_empty() {
        return Resources::Waiting(waiting);
    }
    // A resource that the export no longer has stays bound.
    for old in before {
        if !bound
            .iter()
            .any(|b| b["group"] == old["group"] && b["resource"] == old["resource"])
        {
            bound.push(old.clone());
        }
    }
    Resources::Bound(bound)
}

/// Who has the name of a resource in the workspace of a binding, if it is not the binding itself.
fn owner_of(core: &Core, stored: &Stored, group: &str, plural: &str) -> Option<String> {
    let cluster = &stored.key.cluster;
    let has = |binding: &Value| {
        items(binding, "/status/boundResources")
            .iter()
            .any(|b| text(b, "/group") == group && text(b, "/resource") == plural)
    };
    if has(&stored.object) {
        return None;
    }
    for other in core.all(BINDINGS, Some(cluster)) {
        if other.key != stored.key && has(&other.object) {
            return Some(format!("{{{} false}}", other.key.name));
        }
    }
    let crd = core.read(&crds::key(cluster, &qualified(plural, group)));
    crd.map(|_| "{ true}".to_owned())
}

/// Writes down in the logical cluster which binding has which name.
fn reserve(core: &Core, stored: &Stored, bound: &[Value]) {
    core.modify(&key(LOGICAL, &stored.key.cluster, "cluster"), |object| {
        let mut locks = locks_of(object);
        for one in bound {
            locks[qualified(text(one, "/resource"), text(one, "/group"))] =
                json!({"n": stored.key.name});
        }
        set_meta(object, "annotations", LOCKS, &locks.to_string());
        true
    });
}

const LOCKS: &str = "internal.apis.kcp.io/resource-bindings";

fn locks_of(object: &Value) -> Value {
    serde_json::from_str(annotation(object, LOCKS)).unwrap_or_else(|_| json!({}))
}

/// Deletes the objects of a binding's resources; says whether some are left.
fn unbind(core: &Core, stored: &Stored) -> bool {
    let cluster = &stored.key.cluster;
    let mut left = 0;
    for one in items(&stored.object, "/status/boundResources") {
        let plural = qualified(text(one, "/resource"), text(one, "/group"));
        let bucket = format!("{plural}:{}", text(one, "/schema/identityHash"));
        for object in core.all(&bucket, Some(cluster)) {
            core.delete(&object.key);
            left += usize::from(core.read(&object.key).is_some());
        }
    }
    let now = core.now();
    if left > 0 {
        core.modify(&stored.key, |object| {
            let why = format!(
                "Some content in the binding still has finalizers remaining: {left} objects"
            );
            let why = State::no("Error", "SomeFinalizersRemain", why);
            set_condition(object, &now, "BindingResourceDeleteSuccess", &why);
            true
        });
        return true;
    }
    core.modify(&key(LOGICAL, cluster, "cluster"), |object| {
        let mut locks = locks_of(object);
        if let Some(members) = locks.as_object_mut() {
            members.retain(|_, owner| text(owner, "/n") != stored.key.name);
        }
        set_meta(object, "annotations", LOCKS, &locks.to_string());
        true
    });
    core.modify(&stored.key, |object| {
        let mut finalizers = items(object, "/metadata/finalizers").to_vec();
        finalizers.retain(|name| name != BINDING_FINALIZER);
        if finalizers.is_empty() {
            remove(&mut object["metadata"], "finalizers");
        } else {
            object["metadata"]["finalizers"] = Value::Array(finalizers);
        }
        true
    });
    false
}

/// Brings the labels of claimed objects in step with the claims, where these changed.
fn relabel(shared: &Shared, core: &Core) {
    for place in core.all(LOGICAL, None) {
        let cluster = &place.key.cluster;
        let now = claims::of_workspace(core, &shared.workspaces, cluster);
        let before = lock(&shared.claims)
            .insert(cluster.to_string(), now.clone())
            .unwrap_or_default();
        if before == now {
            continue;
        }
        let mut changed: Vec<&Claimed> = before.iter().chain(&now).collect();
        changed.sort_by_key(|claim| (&claim.group, &claim.plural));
        changed.dedup_by_key(|claim| (claim.group.clone(), claim.plural.clone()));
        for claim in changed {
            let Some(served) = shared.find(core, cluster, &claim.group, &claim.plural) else {
                continue;
            };
            let objects = core.all(&served.bucket, Some(cluster));
            claims::sweep(core, &now, &claim.group, &claim.plural, &objects);
        }
    }
}
