//! CustomResourceDefinitions: what the server makes of them, and the resources they define.
//!
//! A CRD goes through a small life: it is stored, its names are accepted (or conflict with those of another CRD of the
//! group), it is established, and its kinds are served; when it is deleted, its objects go first. `run` is the
//! controller of that life. [`served`] reads what a CRD defines from the stored object alone, so there is nothing to
//! keep in step; [`Cache`] saves the work of reading it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::api::{Column, Provenance, Resource, Scale, Served, qualified};
use crate::builtin::kinds::CUSTOM;
use crate::core::{Core, lock};
use crate::schema::Schema;
use crate::store::{Key, Scope, Stored};

/// The bucket of CRDs.
pub const BUCKET: &str = "customresourcedefinitions.apiextensions.k8s.io";

const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The key of a CRD.
#[must_use]
pub fn key(cluster: &Arc<str>, name: &str) -> Key {
    Key {
        bucket: BUCKET.into(),
        cluster: cluster.clone(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// What a client need not say.
pub(crate) fn default(object: &mut Value) {
    let kind = object
        .pointer("/spec/names/kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(names) = object
        .pointer_mut("/spec/names")
        .and_then(Value::as_object_mut)
        .filter(|_| !kind.is_empty())
    {
        names
            .entry("singular")
            .or_insert_with(|| json!(kind.to_lowercase()));
        names
            .entry("listKind")
            .or_insert_with(|| json!(format!("{kind}List")));
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("conversion")
            .or_insert_with(|| json!({"strategy": "None"}));
        if spec.get("preserveUnknownFields") != Some(&json!(true)) {
            spec.remove("preserveUnknownFields");
        }
    }
}

/// What the server decides.
pub(crate) fn prepare(old: Option<&Value>, new: &mut Value, subresource: &str) {
    let storage = storage_version(new);
    if subresource == "status" {
        let none = |stored: &Value| stored.as_array().is_none_or(Vec::is_empty);
        if new.pointer("/status/storedVersions").is_none_or(none)
            && let Some(name) = storage
        {
            new["status"]["storedVersions"] = json!([name]);
        }
        return;
    }
    match old {
        None => {
            new["metadata"]["generation"] = json!(1);
            new["status"] = json!({
                "conditions": null, "acceptedNames": {"plural": "", "kind": ""},
                "storedVersions": storage.map(|name| vec![name]),
            });
        }
        Some(old) => {
            let generation = old
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or(1);
            let changed = old["spec"] != new["spec"];
            new["metadata"]["generation"] =
                json!(if changed { generation + 1 } else { generation });
            let mut stored = old
                .pointer("/status/storedVersions")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            if let Some(name) = storage
                && !stored.contains(&json!(name))
            {
                stored.push(json!(name));
            }
            new["status"]["storedVersions"] = json!(stored);
        }
    }
}

/// What a deletion changes on a CRD.
pub(crate) fn mark_deletion(object: &mut Value, now: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("deletionGracePeriodSeconds");
        if let Some(generation) = metadata.get("generation").and_then(Value::as_i64)
            && generation > 1
        {
            metadata.insert("generation".into(), json!(generation - 1));
        }
    }
    set_condition(
        object,
        now,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    );
}

fn storage_version(crd: &Value) -> Option<String> {
    let versions = crd.pointer("/spec/versions")?.as_array()?;
    let storage = versions
        .iter()
        .find(|version| version["storage"] == json!(true))?;
    storage["name"].as_str().map(str::to_owned)
}

fn condition<'a>(crd: &'a Value, kind: &str) -> Option<&'a Value> {
    crd.pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|one| one["type"] == kind)
}

fn is_true(crd: &Value, kind: &str) -> bool {
    condition(crd, kind).is_some_and(|one| one["status"] == "True")
}

fn set_condition(
    crd: &mut Value,
    now: &str,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
) {
    let mut conditions = crd
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let fresh = json!({
        "type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message,
    });
    match conditions.iter_mut().find(|one| one["type"] == kind) {
        Some(one) => {
            let time = one["lastTransitionTime"].clone();
            let same = one["status"] == status;
            *one = fresh;
            if same {
                one["lastTransitionTime"] = time;
            }
        }
        None => conditions.push(fresh),
    }
    crd["status"]["conditions"] = json!(conditions);
}

/// The resources that a CRD defines now: none before it is established, one per served version.
#[must_use]
pub fn served(crd: &Value) -> Vec<Served> {
    if !is_true(crd, "Established") {
        return Vec::new();
    }
    let name = crd
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let group = crd
        .pointer("/spec/group")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let names = crd
        .pointer("/status/acceptedNames")
        .cloned()
        .unwrap_or_default();
    let namespaced = crd.pointer("/spec/scope").and_then(Value::as_str) == Some("Namespaced");
    let storage = storage_version(crd).unwrap_or_default();
    let generation = crd
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let versions = crd
        .pointer("/spec/versions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let revised = generation > 1 || versions.len() > 1;
    let frozen = if crd.pointer("/metadata/deletionTimestamp").is_some() {
        "create not allowed while custom resource definition is terminating"
    } else {
        ""
    };
    let one = |version: &Value| {
        let schema = version.pointer("/schema/openAPIV3Schema").cloned();
        // A schema that does not compile was refused at creation.
        let compiled = schema
            .as_ref()
            .and_then(|schema| Schema::compile(schema).ok());
        let resource = resource_of(
            Definition {
                group,
                names: &names,
                namespaced,
                version,
                provenance: Provenance::Crd(name.to_owned()),
            },
            schema,
        );
        Served {
            bucket: qualified(&resource.plural, group).into(),
            stored_as: format!("{group}/{storage}"),
            schema: compiled.map(Arc::new),
            resource,
            convert: None,
            revised,
            frozen: frozen.to_owned(),
        }
    };
    versions
        .iter()
        .filter(|version| version["served"] == json!(true))
        .map(one)
        .collect()
}

/// The parts of a definition that make a [`Resource`]; a CRD and an `APIResourceSchema` spell the rest alike.
#[derive(Clone, Debug)]
pub struct Definition<'a> {
    /// The API group.
    pub group: &'a str,
    /// `plural`, `singular`, `kind`, `listKind`, `shortNames`, `categories`.
    pub names: &'a Value,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// An entry of `versions`.
    pub version: &'a Value,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// One version of a definition as a resource.
#[must_use]
pub fn resource_of(definition: Definition<'_>, schema: Option<Value>) -> Resource {
    let Definition {
        group,
        names,
        namespaced,
        version,
        provenance,
    } = definition;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let scale = version.pointer("/subresources/scale").map(|scale| Scale {
        spec_replicas_path: text(&scale["specReplicasPath"]),
        status_replicas_path: text(&scale["statusReplicasPath"]),
        label_selector_path: scale["labelSelectorPath"].as_str().map(str::to_owned),
    });
    let column = |column: &Value| Column {
        name: text(&column["name"]),
        kind: text(&column["type"]),
        format: text(&column["format"]),
        description: text(&column["description"]),
        priority: column["priority"].as_i64().unwrap_or(0),
        json_path: text(&column["jsonPath"]),
    };
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    Resource {
        group: group.to_owned(),
        version: text(&version["name"]),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        namespaced,
        short_names: list(&names["shortNames"]),
        categories: list(&names["categories"]),
        verbs: CUSTOM.iter().map(|verb| (*verb).to_owned()).collect(),
        status: version.pointer("/subresources/status").is_some(),
        scale,
        schema: schema.map(Arc::new),
        columns: version["additionalPrinterColumns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(column)
            .collect(),
        selectable: selectable
            .map(|one| text(&one["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        provenance,
    }
}

/// Remembers what was read from a stored object, as long as it does not change.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<Key, Known>>);

/// The version that was read, and what was made of it.
type Known = (u64, Vec<Arc<Served>>);

impl Cache {
    /// What `read` makes of an object, or made of it before.
    pub fn read(
        &self,
        stored: &Stored,
        read: impl FnOnce(&Value) -> Vec<Served>,
    ) -> Vec<Arc<Served>> {
        if let Some((version, served)) = lock(&self.0).get(&stored.key)
            && *version == stored.version
        {
            return served.clone();
        }
        let served: Vec<Arc<Served>> = read(&stored.object).into_iter().map(Arc::new).collect();
        lock(&self.0).insert(stored.key.clone(), (stored.version, served.clone()));
        served
    }
}

/// The resources of all CRDs of a cluster.
#[must_use]
pub fn all(core: &Core, cache: &Cache, cluster: &str) -> Vec<Arc<Served>> {
    core.all(BUCKET, Some(cluster))
        .iter()
        .flat_map(|stored| cache.read(stored, served))
        .collect()
}

/// One resource that a CRD of a cluster defines.
#[must_use]
pub fn find(
    core: &Core,
    cache: &Cache,
    cluster: &Arc<str>,
    group: &str,
    version: &str,
    plural: &str,
) -> Option<Arc<Served>> {
    let stored = core.read(&key(cluster, &qualified(plural, group)))?;
    cache
        .read(&stored, served)
        .into_iter()
        .find(|one| one.resource.version == version)
}

/// The controller of CRDs.
pub(crate) async fn run(core: Arc<Core>) {
    core.follow(BUCKET, |core, event| {
        let Some(stored) = &event.after else {
            // A name that was taken may be free now.
            if let Some(before) = &event.before {
                for other in core.all(BUCKET, Some(&before.key.cluster)) {
                    schedule(core, &other.key);
                }
            }
            return;
        };
        let seen = event.before.as_ref().is_some_and(|before| {
            before.object["spec"] == stored.object["spec"]
                && before
                    .object
                    .pointer("/metadata/deletionTimestamp")
                    .is_some()
                    == stored
                        .object
                        .pointer("/metadata/deletionTimestamp")
                        .is_some()
                && before.object.pointer("/metadata/finalizers")
                    == stored.object.pointer("/metadata/finalizers")
        });
        if !seen {
            schedule(core, &stored.key);
        }
    })
    .await;
}

fn schedule(core: &Arc<Core>, key: &Key) {
    let (task, key) = (core.clone(), key.clone());
    core.spawn(async move {
        tokio::time::sleep(task.settings.delay).await;
        let Some(stored) = task.read(&key) else {
            return;
        };
        if stored
            .object
            .pointer("/metadata/deletionTimestamp")
            .is_some()
        {
            finish(&task, &key).await;
        } else {
            establish(&task, &stored);
        }
    });
}

fn establish(core: &Core, stored: &Stored) {
    let conflict = conflict(core, stored);
    let now = core.now();
    core.modify(&stored.key, |crd| {
        let names = crd.pointer("/spec/names").cloned().unwrap_or_default();
        match &conflict {
            None => {
                crd["status"]["acceptedNames"] = names;
                set_condition(
                    crd,
                    &now,
                    "NamesAccepted",
                    "True",
                    "NoConflicts",
                    "no conflicts found",
                );
                if !is_true(crd, "Established") {
                    let message = "the initial names have been accepted";
                    set_condition(
                        crd,
                        &now,
                        "Established",
                        "True",
                        "InitialNamesAccepted",
                        message,
                    );
                }
            }
            Some((reason, message)) => {
                set_condition(crd, &now, "NamesAccepted", "False", reason, message);
                if !is_true(crd, "Established") {
                    if crd
                        .pointer("/status/acceptedNames")
                        .is_none_or(|names| names["plural"] == "")
                    {
                        crd["status"]["acceptedNames"] =
                            json!({"plural": names["plural"], "kind": ""});
                    }
                    set_condition(
                        crd,
                        &now,
                        "Established",
                        "False",
                        "NotAccepted",
                        "not all names are accepted",
                    );
                }
            }
        }
        let finalizers = crd["metadata"]
            .get("finalizers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if !finalizers.iter().any(|name| name == FINALIZER) {
            let mut finalizers = finalizers;
            finalizers.push(json!(FINALIZER));
            crd["metadata"]["finalizers"] = json!(finalizers);
        }
        true
    });
}

/// The last name that another CRD of the group has already.
fn conflict(core: &Core, stored: &Stored) -> Option<(&'static str, String)> {
    let group = stored.object.pointer("/spec/group")?;
    let names = stored.object.pointer("/spec/names")?;
    let mut taken: Vec<String> = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    for other in core.all(BUCKET, Some(&stored.key.cluster)) {
        if other.key == stored.key || other.object.pointer("/spec/group") != Some(group) {
            continue;
        }
        let Some(accepted) = other.object.pointer("/status/acceptedNames") else {
            continue;
        };
        let short = accepted["shortNames"].as_array().into_iter().flatten();
        let one = [&accepted["plural"], &accepted["singular"]];
        taken.extend(
            one.into_iter()
                .chain(short)
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
        let one = [&accepted["kind"], &accepted["listKind"]];
        kinds.extend(one.into_iter().filter_map(Value::as_str).map(str::to_owned));
    }
    let in_use = |name: &Value, taken: &[String]| {
        let name = name.as_str().filter(|name| !name.is_empty())?;
        taken
            .iter()
            .any(|other| other == name)
            .then(|| format!("{} is already in use", crate::status::quoted(name)))
    };
    let mut found = None;
    for (reason, member, among) in [
        ("PluralConflict", "plural", &taken),
        ("SingularConflict", "singular", &taken),
    ] {
        found = in_use(&names[member], among)
            .map(|message| (reason, message))
            .or(found);
    }
    for name in names["shortNames"].as_array().into_iter().flatten() {
        found = in_use(name, &taken)
            .map(|message| ("ShortNamesConflict", message))
            .or(found);
    }
    for (reason, member, among) in [
        ("KindConflict", "kind", &kinds),
        ("ListKindConflict", "listKind", &kinds),
    ] {
        found = in_use(&names[member], among)
            .map(|message| (reason, message))
            .or(found);
    }
    found
}

/// Deletes the objects of a CRD that is being deleted, then lets it go.
async fn finish(core: &Arc<Core>, key: &Key) {
    let mut pause = core.settings.delay;
    loop {
        let Some(crd) = core.read(key) else { return };
        let plural = crd
            .object
            .pointer("/spec/names/plural")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let group = crd
            .object
            .pointer("/spec/group")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let scope = Scope {
            bucket: qualified(plural, group).into(),
            cluster: Some(key.cluster.clone()),
            namespace: None,
        };
        let served = is_true(&crd.object, "Established");
        let present = core.store().list(&scope, None, None).unwrap_or_default();
        let left = present.iter().filter(|_| served).filter(|stored| {
            core.delete(&stored.key);
            core.read(&stored.key).is_some()
        });
        if left.count() == 0 {
            let now = core.now();
            core.modify(key, |crd| {
                let message = "removed all instances";
                set_condition(
                    crd,
                    &now,
                    "Terminating",
                    "False",
                    "InstanceDeletionCompleted",
                    message,
                );
                if let Some(finalizers) = crd["metadata"]["finalizers"].as_array_mut() {
                    finalizers.retain(|name| name != FINALIZER);
                }
                true
            });
            return;
        }
        let now = core.now();
        core.modify(key, |crd| {
            let message = "CustomResource deletion is in progress";
            set_condition(
                crd,
                &now,
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                message,
            );
            true
        });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(std::time::Duration::from_millis(100));
    }
}
