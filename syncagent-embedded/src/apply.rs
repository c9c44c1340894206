//! Who owns which field: the bookkeeping of updates, and server-side apply.
//!
//! Every writer owns the fields it set, in an entry of `metadata.managedFields`. A writer that *updates* (POST, PUT,
//! JSON and merge patch) takes what it changed away from everybody; a writer that *applies* says what it wants in full,
//! gets a conflict (409) where another owns a field and wants another value, shares the field where the value is the
//! same, and removes what it wanted before, wants no longer, and nobody else owns.
//!
//! How a server calls it, after the object has been decoded, pruned and defaulted, and before it is validated:
//!
//! ```text
//! let shape = apply::shape(&resource);                                   // compile once per resource
//! let writer = apply::Writer { manager, api_version, subresource, now, scope: Scope::of(&resource, subresource) };
//! apply::update(&shape, &writer, live.as_ref(), &mut new);               // POST (live: None), PUT, patches
//! let new = apply::apply(&shape, &writer, live.as_ref(), &patch, force)?; // apply-patch+yaml; then prune, default, validate
//! apply::keep_times(&live, &mut new);                                    // at the end: nothing but times differs = a no-op
//! ```
//!
//! `live` and `new` carry their `metadata.managedFields` as stored and as sent: a client may rewrite them, empty them
//! (`[{}]`) or leave them out. What the server sets itself (`uid`, `resourceVersion`, ...) belongs to nobody. Defaults
//! belong to whoever updates with them in, and to nobody in an apply.

mod builtin;
mod compare;
mod managed;
mod merge;
mod path;
mod set;
mod shape;
mod walk;

use serde_json::{Map, Value, json};

pub use self::path::Step;
pub use self::set::FieldSet;
pub use self::shape::{Form, ListForm, ListKind, ListShape, MapForm, MapShape, Scalar, Shape};

use self::compare::Comparison;
use self::managed::{Manager, Managers, Owned};
use crate::api::{Provenance, Resource};
use crate::status::{Cause, Failure};

/// Who writes, through which door, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager: of the request's `fieldManager`, else what comes before `/` in the user agent.
    pub manager: &'a str,
    /// The version of the request, as `v1` or `apps/v1`.
    pub api_version: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The time of the request, in seconds: `2026-01-02T03:04:05Z`.
    pub now: &'a str,
    /// The fields that this door writes at all.
    pub scope: Scope,
}

/// The fields that an endpoint writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// All but `status`: the main endpoint of a kind with a status subresource.
    NotStatus,
    /// Only `status`: the status endpoint of a kind that comes from a CRD.
    OnlyStatus,
    /// All but `spec`: the status endpoint of a built-in kind.
    NotSpec,
}

impl Scope {
    /// The scope of an endpoint of a resource.
    #[must_use]
    pub fn of(resource: &Resource, subresource: &str) -> Self {
        let builtin = resource.provenance == Provenance::BuiltIn;
        match (subresource, resource.status) {
            ("status", _) if builtin => Self::NotSpec,
            ("status", _) => Self::OnlyStatus,
            ("", true) => Self::NotStatus,
            _ => Self::All,
        }
    }

    fn narrow(self, set: FieldSet) -> FieldSet {
        match self {
            Self::All => set,
            Self::NotStatus => set.without_field("status"),
            Self::OnlyStatus => set.only_field("status"),
            Self::NotSpec => set.without_field("spec"),
        }
    }
}

/// The shape of a resource's objects.
#[must_use]
pub fn shape(resource: &Resource) -> Shape {
    match &resource.schema {
        Some(schema) => Shape::of_schema(schema),
        None => builtin::shape(&resource.group, &resource.kind).clone(),
    }
}

/// Writes `managedFields` of an object that is about to be stored by POST, PUT or a patch that is no apply.
pub fn update(shape: &Shape, writer: &Writer<'_>, live: Option<&Value>, new: &mut Value) {
    let stored = live.map(entries).cloned().unwrap_or(Value::Null);
    let sent = entries(new).clone();
    let managers = if !writer.subresource.is_empty() {
        managed::decode(&stored).unwrap_or_default()
    } else if is_reset(&sent) {
        Managers::new()
    } else {
        match managed::decode(&sent) {
            Some(managers) if !managers.is_empty() => managers,
            _ => managed::decode(&stored).unwrap_or_default(),
        }
    };
    if managers.is_empty() && live.is_some() {
        // An object that nobody manages stays so until the first apply.
        set_entries(new, &managers);
        return;
    }
    let empty = empty_of(new);
    let managers = updated(shape, writer, live.unwrap_or(&empty), new, managers);
    set_entries(new, &managers);
}

/// Writes `managedFields` of an object that is about to be created by POST; `blank` is what a created object of a
/// built-in kind has from the beginning. What the object says of managers itself counts for nothing, except that one
/// of a version that is not this kind's leaves the object without any.
pub fn create(shape: &Shape, writer: &Writer<'_>, blank: Option<&Value>, new: &mut Value) {
    let group = |version: &str| {
        version
            .rsplit_once('/')
            .map_or("", |(group, _)| group)
            .to_owned()
    };
    let foreign = entries(new)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["apiVersion"].as_str())
        .any(|version| group(version) != group(writer.api_version));
    let managers = if foreign {
        Managers::new()
    } else {
        let empty = empty_of(new);
        updated(shape, writer, blank.unwrap_or(&empty), new, Managers::new())
    };
    set_entries(new, &managers);
}

/// Applies an object over the stored one (or over nothing) and returns the object to store.
///
/// # Errors
/// 409 with the conflicts, 400 where the applied object carries `managedFields`, 500 where it is not of its shape.
pub fn apply(
    shape: &Shape,
    writer: &Writer<'_>,
    live: Option<&Value>,
    applied: &Value,
    force: bool,
) -> Result<Value, Failure> {
    if !entries(applied).is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let errors = walk::check(shape, applied, false);
    if !errors.is_empty() {
        return Err(Failure::unclassified(format!(
            "failed to create typed patch object ({}): {}",
            identity(applied),
            walk::joined(&errors)
        )));
    }
    let empty = empty_of(applied);
    let live = live.unwrap_or(&empty);
    let mut managers = managed::decode(entries(live)).unwrap_or_default();
    let bare = without_entries(live);
    if managers.is_empty() {
        let first = Writer {
            manager: "before-first-apply",
            scope: Scope::All,
            ..*writer
        };
        managers = updated(shape, &first, &empty_of(live), &bare, managers);
    }

    let me = Manager::applier(writer.manager, writer.subresource);
    let mut merged = merge::merge(shape, &bare, applied);
    let before = managers.get(&me).cloned();
    let wanted = writer.scope.narrow(walk::fields(shape, applied));
    managers.insert(
        me.clone(),
        Owned {
            api_version: writer.api_version.into(),
            time: before.as_ref().and_then(|owned| owned.time.clone()),
            fields: wanted,
        },
    );
    if let Some(before) = before.filter(|owned| !owned.fields.is_empty()) {
        merged = prune(shape, &merged, &managers, &before.fields);
    }
    keep_server_metadata(live, &mut merged);

    let compared = Comparison::of(shape, &bare, &merged).map(|set| writer.scope.narrow(set));
    take(&mut managers, &compared, &me, force)?;
    let changed = bare != merged;
    if let Some(owned) = managers.get_mut(&me) {
        owned.fields = strip(&owned.fields);
        if changed {
            owned.time = Some(writer.now.into());
        }
    }
    managers.retain(|_, owned| !owned.fields.is_empty());
    set_entries(&mut merged, &managers);
    Ok(merged)
}

/// Takes the entries of the stored object over where a write changed nothing but their times.
///
/// To be called last, when all that the server sets itself has been set; `resourceVersion` is left alone.
pub fn keep_times(live: &Value, new: &mut Value) {
    let same = |a: &Value, b: &Value| {
        let timeless = |entries: &Value| -> Vec<Value> {
            let mut entries = entries.as_array().cloned().unwrap_or_default();
            for entry in &mut entries {
                if let Some(entry) = entry.as_object_mut() {
                    entry.remove("time");
                }
            }
            entries.sort_by(path::order);
            entries
        };
        timeless(entries(a)) == timeless(entries(b)) && without_entries(a) == without_entries(b)
    };
    if same(live, new) {
        let stored = entries(live).clone();
        if let Some(metadata) = new["metadata"].as_object_mut() {
            match stored {
                Value::Null => metadata.remove("managedFields"),
                stored => metadata.insert("managedFields".into(), stored),
            };
        }
    }
}

fn updated(
    shape: &Shape,
    writer: &Writer<'_>,
    live: &Value,
    new: &Value,
    mut managers: Managers,
) -> Managers {
    let (live, new) = (without_entries(live), without_entries(new));
    if !walk::check(shape, &live, true).is_empty() || !walk::check(shape, &new, true).is_empty() {
        // What is not of its shape cannot be tracked, and loses what was known.
        return Managers::new();
    }
    let compared = Comparison::of(shape, &live, &new).map(|set| writer.scope.narrow(set));
    let nobody = Manager::updater("", "", "");
    // Forced, so there is no conflict to report.
    let _ = take(&mut managers, &compared, &nobody, true);
    let mine = strip(&compared.set());
    if !mine.is_empty() {
        let me = Manager::updater(writer.manager, writer.api_version, writer.subresource);
        let before = managers.get(&me).map(|owned| owned.fields.clone());
        managers.insert(
            me,
            Owned {
                api_version: writer.api_version.into(),
                time: Some(writer.now.into()),
                fields: mine.union(&before.unwrap_or_default()),
            },
        );
    }
    managed::cap(&mut managers);
    managers
}

/// Takes from everybody else what has changed and what is gone; without force, a change of what another owns is a
/// conflict.
fn take(
    managers: &mut Managers,
    compared: &Comparison,
    me: &Manager,
    force: bool,
) -> Result<(), Failure> {
    let changed = compared.set();
    let others = || managers.iter().filter(|(manager, _)| *manager != me);
    if !force {
        let conflicts: Vec<(&Manager, Vec<Vec<Step>>)> = others()
            .map(|(manager, owned)| (manager, owned.fields.intersection(&changed).paths()))
            .filter(|(_, paths)| !paths.is_empty())
            .collect();
        if !conflicts.is_empty() {
            return Err(conflict(&conflicts));
        }
    }
    for (manager, owned) in managers.iter_mut() {
        if manager != me {
            owned.fields = owned
                .fields
                .difference(&changed)
                .difference(&compared.removed);
        }
    }
    managers.retain(|manager, owned| manager == me || !owned.fields.is_empty());
    Ok(())
}

fn conflict(conflicts: &[(&Manager, Vec<Vec<Step>>)]) -> Failure {
    let show = |path: &Vec<Step>| path.iter().map(Step::to_string).collect::<String>();
    let mut causes: Vec<Cause> = conflicts
        .iter()
        .flat_map(|(manager, paths)| {
            paths.iter().map(|path| {
                let text = format!("conflict with {}", manager.named());
                Cause::new("FieldManagerConflict", show(path), text)
            })
        })
        .collect();
    let lines = match (conflicts, causes.as_slice()) {
        ([(manager, _)], [one]) => format!("conflict with {}: {}", manager.named(), one.field),
        _ => {
            let groups = conflicts.iter().map(|(manager, paths)| {
                let paths: Vec<String> = paths.iter().map(show).collect();
                format!(
                    "conflicts with {}:\n- {}",
                    manager.named(),
                    paths.join("\n- ")
                )
            });
            groups.collect::<Vec<_>>().join("\n")
        }
    };
    // The server tells causes in no order.
    causes.sort_by(|a, b| a.field.cmp(&b.field));
    Failure::apply_conflict(causes, &lines)
}

/// Removes what the applier owned before, wants no longer, and nobody else owns.
fn prune(shape: &Shape, merged: &Value, managers: &Managers, before: &FieldSet) -> Value {
    let before = before.with_named_fields(shape);
    let mut pruned = merge::remove(shape, merged, &before);
    // What others own inside a removed place comes back.
    let mut owned = FieldSet::default();
    for entry in managers.values() {
        owned = owned.union(&entry.fields);
    }
    let all = walk::fields(shape, merged).with_named_fields(shape);
    let left = walk::fields(shape, &pruned).with_named_fields(shape);
    let kept = left.union(&owned.with_named_fields(shape));
    pruned = merge::remove(shape, merged, &all.difference(&kept));
    // What nobody owns (defaults) and was in no removed place comes back too.
    let left = walk::fields(shape, &pruned).with_named_fields(shape);
    merge::remove(shape, merged, &all.difference(&left).intersection(&before))
}

/// What the server sets belongs to nobody.
fn strip(set: &FieldSet) -> FieldSet {
    set.difference(&FieldSet::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ]))
}

/// An applier that gives up all of its metadata does not take the name of the object along.
fn keep_server_metadata(live: &Value, merged: &mut Value) {
    const KEPT: &[&str] = &[
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ];
    let Some(object) = merged.as_object_mut() else {
        return;
    };
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    let Some(metadata) = metadata.as_object_mut() else {
        return;
    };
    for name in KEPT {
        if let Some(value) = live["metadata"].get(*name) {
            metadata
                .entry((*name).to_owned())
                .or_insert_with(|| value.clone());
        }
    }
}

fn entries(object: &Value) -> &Value {
    &object["metadata"]["managedFields"]
}

fn is_reset(entries: &Value) -> bool {
    matches!(entries.as_array().map(Vec::as_slice), Some([one]) if one.as_object().is_some_and(Map::is_empty))
}

fn set_entries(object: &mut Value, managers: &Managers) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return;
    };
    if managers.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), managed::encode(managers));
    }
}

fn without_entries(object: &Value) -> Value {
    let mut out = object.clone();
    if let Some(metadata) = out.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    out
}

/// What is there before anything was written: the type, and what Go structs of built-in kinds always have.
fn empty_of(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut out = builtin::empty(group, kind);
    out["apiVersion"] = json!(api_version);
    out["kind"] = json!(kind);
    out
}

fn identity(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let api_version = text(&object["apiVersion"]);
    let (group, version) = api_version
        .split_once('/')
        .unwrap_or(("", api_version.as_str()));
    format!(
        "{}/{}; {group}/{version}, Kind={}",
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
        text(&object["kind"])
    )
}

#[cfg(test)]
mod tests;
