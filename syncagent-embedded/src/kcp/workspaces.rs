//! The life of a workspace: scheduled to a logical cluster, filled, ready; and emptied when it is deleted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission::{BINDING_FINALIZER, OWNER};
use super::kinds::DEFAULTS;
use super::model::{
    BINDINGS, CLUSTER, LOGICAL, PATH, State, annotation, deleting, items, key, key_in, logical,
    next_generation, path_of, remove, set_condition, set_meta, text,
};
use super::shards::AT;
use super::types::TYPE;
use super::{Shared, hash};
use crate::core::Core;
use crate::namespaces;
use crate::store::{Key, Stored};

const FINALIZER: &str = "core.kcp.io/logicalcluster";

/// One pass over all workspaces; says whether something is still under way.
pub(super) fn pass(shared: &Shared, core: &Core) -> bool {
    let mut busy = false;
    for stored in core.all(&shared.workspaces, None) {
        let workspace = &stored.object;
        if deleting(workspace) {
            busy |= delete(shared, core, &stored);
        } else if text(workspace, "/spec/cluster").is_empty() {
            schedule(shared, core, &stored);
        } else {
            settle(shared, core, &stored);
        }
    }
    busy
}

/// Gives a workspace its logical cluster, with all that a fresh one has.
fn schedule(shared: &Shared, core: &Core, stored: &Stored) {
    let workspace = &stored.object;
    let wanted = workspace
        .pointer("/spec/location/selector/matchLabels")
        .and_then(Value::as_object);
    let shard = shared.shards.iter().find(|shard| {
        wanted.is_none_or(|labels| {
            labels
                .iter()
                .all(|(name, value)| name == "name" && *value == *shard.name)
        })
    });
    let now = core.now();
    let Some(shard) = shard else {
        core.modify(&stored.key, |workspace| {
            set_meta(workspace, "labels", "tenancy.kcp.io/phase", "Unavailable");
            let why = State::no(
                "Error",
                "Unschedulable",
                "No available shards to schedule the workspace",
            );
            set_condition(workspace, &now, "WorkspaceScheduled", &why);
            workspace["status"]["phase"] = json!("Unavailable");
            true
        });
        return;
    };
    let parent = &stored.key.cluster;
    let path = format!("{}:{}", path_of(core, parent), stored.key.name);
    let cluster = hash::cluster(&format!("{parent}/{}/{}", stored.key.name, stored.uid()));
    let owner: Value = serde_json::from_str(annotation(workspace, OWNER)).unwrap_or_default();
    let kind = format!(
        "{}:{}",
        text(workspace, "/spec/type/path"),
        text(workspace, "/spec/type/name")
    );
    let spec = json!({
        "createdBy": owner, "directlyDeletable": false, "initializers": ["root:universal", "system:apibindings"],
        "owner": {
            "apiVersion": "tenancy.kcp.io/v1alpha1", "resource": "workspaces", "name": stored.key.name,
            "cluster": &**parent, "uid": stored.uid(),
        },
    });
    let creator = text(&owner, "/username").to_owned();
    let at = &shard.name;
    found(shared, core, at, &cluster, &path, &kind, &creator, &spec);
    core.modify(&stored.key, |workspace| {
        if !text(workspace, "/spec/cluster").is_empty() {
            return false;
        }
        let short = json!({"username": creator}).to_string();
        for (name, value) in [
            (AT, &**at),
            ("internal.tenancy.kcp.io/cluster", &cluster),
            ("internal.tenancy.kcp.io/shard", &hash::shard(at)),
            (OWNER, &short),
        ] {
            set_meta(workspace, "annotations", name, value);
        }
        set_meta(workspace, "labels", "tenancy.kcp.io/phase", "Ready");
        let mut finalizers = items(workspace, "/metadata/finalizers").to_vec();
        finalizers.push(json!(FINALIZER));
        workspace["metadata"]["finalizers"] = Value::Array(finalizers);
        workspace["spec"]["cluster"] = json!(cluster);
        workspace["spec"]["URL"] = json!(format!("{}/clusters/{path}", shared.url()));
        next_generation(workspace);
        for name in ["WorkspaceInitialized", "WorkspaceScheduled"] {
            set_condition(workspace, &now, name, &State::True);
        }
        workspace["status"]["phase"] = json!("Ready");
        true
    });
}

/// A logical cluster with its first objects.
#[expect(
    clippy::too_many_arguments,
    reason = "they are what a logical cluster is founded on"
)]
pub(super) fn found(
    shared: &Shared,
    core: &Core,
    shard: &str,
    cluster: &str,
    path: &str,
    kind: &str,
    creator: &str,
    spec: &Value,
) {
    let now = core.now();
    let mut object = json!({
        "apiVersion": "core.kcp.io/v1alpha1", "kind": "LogicalCluster",
        "metadata": {
            "generation": 1, "finalizers": ["core.kcp.io/logicalcluster-deletion"],
            "labels": {"tenancy.kcp.io/phase": "Ready"},
            "annotations": {
                AT: shard, TYPE: kind, PATH: path,
                OWNER: json!({"username": creator}).to_string(),
            },
        },
        "spec": spec,
        "status": {"URL": format!("{}/clusters/{cluster}", shared.url()), "phase": "Ready"},
    });
    set_condition(&mut object, &now, "WorkspaceInitialized", &State::True);
    let _ = core.create(&key(LOGICAL, cluster, "cluster"), object);
    let name: Arc<str> = cluster.into();
    for namespace in ["default", "kube-system"] {
        let mut object = namespaces::fresh(namespace);
        set_meta(
            &mut object,
            "annotations",
            "bootstrap.kcp.io/create-only",
            "true",
        );
        let _ = core.create(&namespaces::key(&name, namespace), object);
    }
    let admin = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"annotations": {"internal.kcp.io/replicate": "apis.kcp.io,tenancy.kcp.io"}},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": creator}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    });
    if cluster != "root" {
        let _ = core.create(
            &key(
                "clusterrolebindings.rbac.authorization.k8s.io",
                cluster,
                "workspace-admin",
            ),
            admin,
        );
    }
    for export in DEFAULTS {
        let binding = json!({
            "apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding",
            "metadata": {
                "generation": 1, "finalizers": [BINDING_FINALIZER], "annotations": {PATH: path},
                "labels": {hash::EXPORT: hash::export("root", export)},
            },
            "spec": {"reference": {"export": {"name": export, "path": "root"}}},
        });
        let name = hash::default_binding(cluster, "root", export);
        let _ = core.create(&key(BINDINGS, cluster, &name), binding);
    }
}

/// Namespaces get what controllers of Kubernetes put into them.
pub(super) fn furnish(core: &Core) {
    for namespace in core.all(namespaces::BUCKET, None) {
        let (cluster, name) = (&namespace.key.cluster, &namespace.key.name);
        if deleting(&namespace.object) || logical(core, cluster).is_none() {
            continue;
        }
        let account = key_in("serviceaccounts", cluster, name, "default");
        if core.read(&account).is_none() {
            let _ = core.create(
                &account,
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}}),
            );
        }
        let authority = key_in("configmaps", cluster, name, "kube-root-ca.crt");
        if core.read(&authority).is_none() {
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {},
                "data": {"ca.crt": "embedded"},
            });
            let _ = core.create(&authority, object);
        }
    }
}

/// Keeps the phase and its label what they are for a workspace whose cluster is there.
fn settle(shared: &Shared, core: &Core, stored: &Stored) {
    let cluster = text(&stored.object, "/spec/cluster");
    if logical(core, cluster).is_none() {
        return;
    }
    let url = format!(
        "{}/clusters/{}:{}",
        shared.url(),
        path_of(core, &stored.key.cluster),
        stored.key.name
    );
    core.modify(&stored.key, |workspace| {
        set_meta(workspace, "labels", "tenancy.kcp.io/phase", "Ready");
        workspace["status"]["phase"] = json!("Ready");
        workspace["spec"]["URL"] = json!(url);
        true
    });
}

/// Empties the logical cluster of a workspace that is being deleted; says whether it is still under way.
fn delete(shared: &Shared, core: &Core, stored: &Stored) -> bool {
    let cluster: Arc<str> = text(&stored.object, "/spec/cluster").into();
    let mut left = 0;
    if logical(core, &cluster).is_some() {
        core.modify(&key(LOGICAL, &cluster, "cluster"), |object| {
            object["status"]["phase"] = json!("Deleting");
            set_meta(object, "labels", "tenancy.kcp.io/phase", "Deleting");
            true
        });
        for object in contents(shared, core, &cluster) {
            core.delete(&object);
            left += usize::from(core.read(&object).is_some());
        }
        if left == 0 {
            core.purge(&key(LOGICAL, &cluster, "cluster"));
        }
    }
    if left == 0 {
        core.modify(&stored.key, |workspace| {
            let mut finalizers = items(workspace, "/metadata/finalizers").to_vec();
            finalizers.retain(|name| name != FINALIZER);
            if finalizers.is_empty() {
                remove(&mut workspace["metadata"], "finalizers");
            } else {
                workspace["metadata"]["finalizers"] = Value::Array(finalizers);
            }
            true
        });
    }
    left > 0
}

/// Everything in a logical cluster but itself. Objects of bound resources go with their bindings, but are told here
/// too, so that a finalizer on them is seen.
fn contents(shared: &Shared, core: &Core, cluster: &Arc<str>) -> Vec<Key> {
    let mut buckets: Vec<Arc<str>> = shared
        .served(core, cluster)
        .iter()
        .map(|one| one.bucket.clone())
        .collect();
    buckets.sort();
    buckets.dedup();
    let objects = buckets
        .iter()
        .filter(|bucket| ***bucket != *LOGICAL)
        .flat_map(|b| core.all(b, Some(cluster)));
    objects.map(|stored| stored.key.clone()).collect()
}

/// Adds to an object what is never stored.
pub(super) fn locate(cluster: &str, object: &mut Value) {
    if !cluster.is_empty() && object["metadata"].is_object() {
        set_meta(object, "annotations", CLUSTER, cluster);
    }
}
