//! Exports: their identity, and the slices that say where their virtual workspaces are.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::model::{
    BINDINGS, EXPORTS, LOGICAL, SLICES, State, annotation, cluster_of, deleting, export_of, items,
    key, key_in, next_generation, path_of, set_condition, set_meta, text,
};
use super::{Shared, hash};
use crate::core::Core;
use crate::namespaces;
use crate::store::Stored;

const SKIP: &str = "apiexports.apis.kcp.io/skip-endpointslice";

/// One pass over all exports and slices.
pub(super) fn pass(shared: &Shared, core: &Core) {
    for export in core.all(EXPORTS, None) {
        identify(core, &export);
        if text(&export.object, "/status/identityHash").is_empty()
            || !annotation(&export.object, SKIP).is_empty()
        {
            continue;
        }
        slice_of(core, &export);
        core.modify(&key(LOGICAL, &export.key.cluster, "cluster"), |logical| {
            set_meta(
                logical,
                "annotations",
                "internal.kcp.io/replicate",
                "apis.kcp.io",
            );
            true
        });
    }
    for slice in core.all(SLICES, None) {
        if orphaned(core, &slice) {
            core.delete(&slice.key);
        } else {
            fill(shared, core, &slice);
        }
    }
}

/// Gives an export its key, or reads the one that it names.
fn identify(core: &Core, export: &Stored) {
    let cluster = &export.key.cluster;
    let reference = export.object.pointer("/spec/identity/secretRef");
    let now = core.now();
    let Some(reference) = reference else {
        let space = namespaces::key(cluster, "kcp-system");
        let _ = core.create(&space, namespaces::fresh("kcp-system"));
        let fresh = hash::base36(&core.uid()) + &hash::base36(&core.uid());
        let random = &fresh.as_bytes()[..32];
        let text = URL_SAFE_NO_PAD.encode(random);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "Opaque",
            "data": {"key": STANDARD.encode(&text)},
        });
        let at = key_in("secrets", cluster, "kcp-system", &export.key.name);
        let text = match core.create(&at, secret) {
            Ok(_) => text,
            Err(present) => key_of(&present.object).unwrap_or_default(),
        };
        core.modify(&export.key, |object| {
            if object.pointer("/spec/identity/secretRef").is_some() {
                return false;
            }
            object["spec"]["identity"] =
                json!({"secretRef": {"name": export.key.name, "namespace": "kcp-system"}});
            next_generation(object);
            set_condition(object, &now, "IdentityValid", &State::True);
            object["status"]["identityHash"] = json!(hash::identity(text.as_bytes()));
            true
        });
        return;
    };
    let (namespace, name) = (text(reference, "/namespace"), text(reference, "/name"));
    let secret = core.read(&key_in("secrets", cluster, namespace, name));
    let found = match &secret {
        None => Err(format!("secrets {} not found", Value::from(name))),
        Some(secret) => {
            key_of(&secret.object).ok_or_else(|| "secret is missing data.key".to_owned())
        }
    };
    core.modify(&export.key, |object| {
        match &found {
            Ok(text) => {
                set_condition(object, &now, "IdentityValid", &State::True);
                if object["status"]["identityHash"].is_null() {
                    object["status"]["identityHash"] = json!(hash::identity(text.as_bytes()));
                }
            }
            Err(why) => {
                let why = State::no("Error", "IdentityVerificationFailed", why.as_str());
                set_condition(object, &now, "IdentityValid", &why);
            }
        }
        true
    });
}

fn key_of(secret: &Value) -> Option<String> {
    let bytes = STANDARD
        .decode(secret.pointer("/data/key")?.as_str()?)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// The default slice of an export.
fn slice_of(core: &Core, export: &Stored) {
    let at = key(SLICES, &export.key.cluster, &export.key.name);
    if core.read(&at).is_some() {
        return;
    }
    let name = &export.key.name;
    let slice = json!({
        "apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice",
        "metadata": {
            "generation": 1,
            "ownerReferences": [
                {"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExport", "name": name, "uid": export.uid()},
            ],
        },
        "spec": {"export": {"name": name, "path": path_of(core, &export.key.cluster)}},
    });
    let _ = core.create(&at, slice);
}

/// Whether the export that owns a slice is gone.
fn orphaned(core: &Core, slice: &Stored) -> bool {
    let owners = items(&slice.object, "/metadata/ownerReferences");
    let owner = owners.iter().find(|owner| owner["kind"] == "APIExport");
    owner.is_some_and(|owner| {
        let export = core.read(&key(EXPORTS, &slice.key.cluster, text(owner, "/name")));
        export.is_none_or(|export| export.uid() != text(owner, "/uid"))
    })
}

/// Says in a slice whether it is valid, and where its export's virtual workspace is once somebody bound it.
fn fill(shared: &Shared, core: &Core, slice: &Stored) {
    let reference = &slice.object["spec"]["export"];
    let export = export_of(core, &shared.workspaces, &slice.key.cluster, reference);
    let partition = text(&slice.object, "/spec/partition");
    let partition = (!partition.is_empty()).then(|| {
        core.read(&key(&shared.partitions, &slice.key.cluster, partition))
            .ok_or(partition)
    });
    let base = shared.url();
    let bound = |export: &Stored| -> Vec<Value> {
        let here = shared.shards.iter();
        let here = here.filter(|shard| is_bound(shared, core, export, &shard.name));
        let (cluster, name) = (&export.key.cluster, &export.key.name);
        here.map(|shard| {
            let at = shard.url(&base);
            json!({"url": format!("{at}/services/apiexport/{cluster}/{name}")})
        })
        .collect()
    };
    let endpoints = export.as_deref().map(bound);
    let now = core.now();
    core.modify(&slice.key, |object| {
        match &export {
            Some(_) => set_condition(object, &now, "APIExportValid", &State::True),
            None => {
                let full = format!("{}|{}", text(reference, "/path"), text(reference, "/name"));
                let why = State::no(
                    "Error",
                    "APIExportNotFound",
                    format!("APIExport {full} not found"),
                );
                set_condition(object, &now, "APIExportValid", &why);
            }
        }
        match &partition {
            Some(Err(name)) => {
                let why = format!("partition.topology.kcp.io {} not found", Value::from(*name));
                let why = State::no("Error", "PartitionInvalidReference", why);
                set_condition(object, &now, "PartitionValid", &why);
                return true;
            }
            Some(Ok(partition)) => {
                let labels = partition
                    .object
                    .pointer("/spec/selector/matchLabels")
                    .and_then(Value::as_object);
                let labels: Vec<String> = labels
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                    .collect();
                if !labels.is_empty() {
                    object["status"]["shardSelector"] = json!(labels.join(","));
                }
            }
            None => {}
        }
        set_condition(object, &now, "PartitionValid", &State::True);
        let Some(endpoints) = &endpoints else {
            return true;
        };
        if !endpoints.is_empty() {
            object["status"]["endpoints"] = json!(endpoints);
        } else if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
            status.remove("endpoints");
        }
        true
    });
}

/// Whether there is a binding of an export on a shard.
fn is_bound(shared: &Shared, core: &Core, export: &Stored, shard: &str) -> bool {
    let label = hash::export(&export.key.cluster, &export.key.name);
    core.all(BINDINGS, None).iter().any(|binding| {
        binding.object["metadata"]["labels"][hash::EXPORT] == label.as_str()
            && (!deleting(&binding.object)
                || !items(&binding.object, "/status/boundResources").is_empty())
            && cluster_of(core, &shared.workspaces, &binding.key.cluster).is_some()
            && shared.lies_on(core, &binding.key.cluster, shard)
    })
}
