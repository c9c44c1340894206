//! What all writes share, between decoding and the store.
//!
//! A new or changed object arrives here in the version of the request. In order: its namespace is settled, server-set
//! metadata comes from the server, the fields that this door does not write come from the old object, the plane admits
//! (and may change) it, `managedFields` are kept, generation counts, and everything is validated.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Call;
use crate::apply;
use crate::builtin;
use crate::core::is_finished;
use crate::crds;
use crate::fields;
use crate::request::{FieldValidation, Verb, WriteOptions};
use crate::schema::Schema;
use crate::status::{Cause, Details, Failure};
use crate::store::{Expect, Key, Stored};

/// How an object came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The client sent it as a whole.
    Sent,
    /// It is the stored one with a patch.
    Patched,
    /// Server-side apply made it.
    Applied,
}

impl Call {
    /// Reads an object as Go would: types are checked, what is unknown is dropped and named.
    pub(super) fn normalise(
        &self,
        object: &mut Value,
        origin: Origin,
    ) -> Result<Vec<String>, Failure> {
        let resource = &self.served.resource;
        self.core.plane.unpresent(object);
        if self.served.built_in() {
            let unknown = fields::unknown(&fields::drop_undeclared(&self.shape(), object));
            *object = builtin::decode(resource, object)?;
            builtin::default(resource, object);
            if resource.kind == "CustomResourceDefinition" {
                crds::default(object);
            }
            return Ok(unknown);
        }
        if object.get("metadata").is_none_or(Value::is_null)
            && let Some(map) = object.as_object_mut()
        {
            map.insert("metadata".into(), json!({}));
        }
        let unfit = |why: String| {
            let text = format!(
                "{kind} in version \"{}\" cannot be handled as a {kind}: {why}",
                resource.version,
                kind = resource.kind
            );
            match origin {
                Origin::Sent => Failure::bad_request(text),
                Origin::Patched | Origin::Applied => fields::undecodable(object, &why),
            }
        };
        let mut copy = object.clone();
        let unknown = match (self.structural(), origin) {
            (Some(schema), Origin::Sent | Origin::Patched) => schema.admit(&mut copy),
            // An apply merged what was admitted before with what is of the schema's shape.
            (Some(schema), Origin::Applied) => {
                fields::metadata(&mut copy).inspect(|_| schema.restore(&mut copy))
            }
            (None, _) => fields::metadata(&mut copy),
        };
        let unknown = unknown.map_err(unfit)?;
        *object = copy;
        Ok(fields::unknown(&unknown))
    }

    /// The shape for server-side apply.
    pub(super) fn shape(&self) -> Arc<apply::Shape> {
        match &self.served.schema {
            Some(schema) => schema.shape(),
            None => Arc::new(apply::shape(&self.served.resource)),
        }
    }

    /// The compiled schema of a custom kind.
    pub(super) fn structural(&self) -> Option<Arc<Schema>> {
        self.served.schema.clone()
    }

    /// Applies `fieldValidation` to what was unknown or given twice.
    pub(super) fn complain(
        &self,
        object: &Value,
        options: &WriteOptions,
        problems: Vec<String>,
        origin: Origin,
    ) -> Result<Vec<String>, Failure> {
        match options.validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(problems),
            FieldValidation::Strict if problems.is_empty() => Ok(problems),
            FieldValidation::Strict => Err(match origin {
                Origin::Sent => fields::refuse(
                    &self.served.resource.version,
                    &self.served.resource.kind,
                    &problems,
                ),
                Origin::Patched | Origin::Applied => fields::refuse_patched(object, &problems),
            }),
        }
    }

    /// Refuses a body for another namespace, and fills in the one of the URL.
    pub(super) fn settle_namespace(&self, object: &mut Value) -> Result<(), Failure> {
        let Some(metadata) = object["metadata"].as_object_mut() else {
            return Ok(());
        };
        if !self.served.resource.namespaced {
            metadata.remove("namespace");
            return Ok(());
        }
        let given = metadata
            .get("namespace")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !given.is_empty() && given != self.target.namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        metadata.insert("namespace".into(), json!(self.target.namespace));
        Ok(())
    }

    /// Refuses a body whose name is not that of the URL.
    pub(super) fn check_name(&self, object: &Value) -> Result<(), Failure> {
        let given = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let expected = &self.target.name;
        if given.is_empty() {
            return Err(Failure::bad_request(format!(
                "the name of the object ({expected} based on URL) was undeterminable: name must be provided"
            )));
        }
        if given != expected {
            return Err(Failure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({expected})"
            )));
        }
        Ok(())
    }

    fn writer<'a>(
        &'a self,
        manager: &'a str,
        api_version: &'a str,
        now: &'a str,
    ) -> apply::Writer<'a> {
        apply::Writer {
            manager,
            api_version,
            subresource: &self.target.subresource,
            now,
            scope: apply::Scope::of(&self.served.resource, &self.target.subresource),
        }
    }

    /// Server-side apply of `applied` over `live`.
    pub(super) fn merge_applied(
        &self,
        live: Option<&Value>,
        applied: &Value,
        options: &WriteOptions,
    ) -> Result<Value, Failure> {
        let (version, now) = (self.served.resource.api_version(), self.core.now());
        let writer = self.writer(&options.manager, &version, &now);
        apply::apply(
            &self.shape(),
            &writer,
            live,
            applied,
            options.force == Some(true),
        )
    }

    /// Makes a new object ready and stores it.
    pub(super) fn finish_creation(
        &self,
        mut object: Value,
        options: &WriteOptions,
        origin: Origin,
    ) -> Result<Arc<Value>, Failure> {
        let resource = &self.served.resource;
        let now = self.core.now();
        self.settle_namespace(&mut object)?;
        if !self.served.frozen.is_empty() {
            let name = object
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            return Err(Failure::forbidden(
                &resource.group,
                &resource.plural,
                name,
                &self.served.frozen,
            ));
        }
        self.check_namespace_lives(&object)?;
        self.admit(Verb::Create, options.dry_run, None, Some(&mut object))?;
        if origin != Origin::Applied {
            let version = resource.api_version();
            let writer = self.writer(&options.manager, &version, &now);
            let blank = self.served.built_in().then(|| builtin::blank(resource));
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("deletionTimestamp");
                metadata.remove("deletionGracePeriodSeconds");
            }
            apply::create(&self.shape(), &writer, blank.as_ref(), &mut object);
        }
        self.call_webhooks(Verb::Create, options.dry_run, None, &mut object)?;
        if resource.status
            && !self.served.built_in()
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        let uid = self.core.uid();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for key in [
                "selfLink",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            ] {
                metadata.remove(key);
            }
            metadata.insert("uid".into(), json!(uid));
            metadata.insert("creationTimestamp".into(), json!(now));
            if !self.served.built_in() {
                metadata.insert("generation".into(), json!(1));
            }
            let given = metadata
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let base = metadata
                .get("generateName")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if given.is_empty() && !base.is_empty() {
                let base: String = base.chars().take(58).collect();
                metadata.insert(
                    "name".into(),
                    json!(format!("{base}{}", self.core.suffix(5))),
                );
            }
        }
        self.prepare(None, &mut object)?;
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let causes = self.validate(None, &object);
        if !causes.is_empty() {
            return Err(builtin::invalid(resource, &name, causes));
        }
        self.check_write(Verb::Create, options.dry_run, None, &object)?;
        let version = object
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if version.parse::<u64>().is_ok_and(|number| number != 0) {
            return Err(Failure::unclassified(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let key = self.key(&name);
        let exists = |present: &Stored| {
            let mut failure = Failure::already_exists(&resource.group, &resource.plural, &name);
            if present
                .object
                .pointer("/metadata/deletionTimestamp")
                .is_some()
            {
                failure.message = format!("object is being deleted: {}", failure.message);
            }
            failure
        };
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        if options.dry_run {
            if let Some(present) = self.core.read(&key) {
                return Err(exists(&present));
            }
            // It never was in the store, where kcp adds the cluster.
            return Ok(Arc::new(object));
        }
        let stored = self.served.to_stored(object)?;
        let mut store = self.core.store();
        match store.put(&key, stored, Expect::Absent) {
            Ok(stored) => {
                drop(store);
                self.presented(&key.cluster, &stored.object)
            }
            Err(_) => {
                let present = store.get(&key);
                drop(store);
                Err(present.map_or_else(
                    || Failure::internal("the store lost a race"),
                    |present| exists(&present),
                ))
            }
        }
    }

    /// New objects need a namespace that is there and stays.
    fn check_namespace_lives(&self, object: &Value) -> Result<(), Failure> {
        let resource = &self.served.resource;
        if !resource.namespaced {
            return Ok(());
        }
        let namespace = &self.target.namespace;
        let key = Key {
            bucket: "namespaces".into(),
            cluster: self.cluster(),
            namespace: String::new(),
            name: namespace.clone(),
        };
        let stored = self
            .core
            .read(&key)
            .ok_or_else(|| Failure::not_found("", "namespaces", namespace))?;
        if stored
            .object
            .pointer("/metadata/deletionTimestamp")
            .is_none()
        {
            return Ok(());
        }
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut failure = Failure::forbidden(&resource.group, &resource.plural, name, &why);
        failure.details = Some(Details {
            causes: vec![Cause::new(
                "NamespaceTerminating",
                "metadata.namespace",
                format!("namespace {namespace} is being terminated"),
            )],
            ..Details::of(&resource.group, &resource.plural, name)
        });
        Err(failure)
    }

    /// Makes a changed object ready and stores it, or removes it when nothing holds it any longer. `Ok(None)`: somebody
    /// else was faster, compute again.
    pub(super) fn finish_change(
        &self,
        stored: &Arc<Stored>,
        old: &Arc<Value>,
        mut new: Value,
        options: &WriteOptions,
        origin: Origin,
    ) -> Result<Option<Arc<Value>>, Failure> {
        let resource = &self.served.resource;
        let name = self.target.name.clone();
        let now = self.core.now();
        let mut causes = Vec::new();
        self.settle_namespace(&mut new)?;
        if origin != Origin::Applied {
            let version = resource.api_version();
            let writer = self.writer(&options.manager, &version, &now);
            apply::update(&self.shape(), &writer, Some(old), &mut new);
            if self.target.subresource == "scale" {
                timeless(&mut new);
            }
        }
        self.check_version(stored, &mut new, origin)?;
        self.keep_server_fields(old, &mut new, origin, &mut causes);
        self.keep_other_fields(old, &mut new);
        self.admit(Verb::Update, options.dry_run, Some(old), Some(&mut new))?;
        self.call_webhooks(Verb::Update, options.dry_run, Some(old), &mut new)?;
        self.prepare(Some(old), &mut new)?;
        self.count_generation(old, &mut new);
        apply::keep_times(old, &mut new);
        causes.extend(new_finalizers(old, &new));
        // Two layers of the server look at the metadata, and both tell what they find.
        causes.extend(causes.clone());
        causes.extend(self.validate(Some(old), &new));
        if !causes.is_empty() {
            return Err(builtin::invalid(resource, &name, causes));
        }
        // What is read may differ from what is stored, where the schema was changed; then even no change is written.
        self.check_write(Verb::Update, options.dry_run, Some(old), &new)?;
        if new == **old && self.served.to_stored(new.clone())? == *stored.object {
            return self.shown(old.clone()).map(Some);
        }
        if options.dry_run {
            return self.shown(Arc::new(new)).map(Some);
        }
        let expect = Expect::Version(stored.version);
        if is_finished(&new) && self.target.subresource != "status" {
            // The watchers see the object as it was; the client sees what it wrote.
            let removed = self.core.store().remove(&stored.key, expect).is_ok();
            return if removed {
                self.shown(Arc::new(new)).map(Some)
            } else {
                Ok(None)
            };
        }
        let written = self
            .core
            .store()
            .put(&stored.key, self.served.to_stored(new)?, expect);
        match written {
            Ok(written) => self
                .presented(&written.key.cluster, &written.object)
                .map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Optimistic concurrency: the version and uid in the body are preconditions.
    fn check_version(
        &self,
        stored: &Stored,
        new: &mut Value,
        origin: Origin,
    ) -> Result<(), Failure> {
        let resource = &self.served.resource;
        let name = &self.target.name;
        let given_uid = new
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if origin == Origin::Sent && !given_uid.is_empty() && given_uid != stored.uid() {
            let group = if resource.group.is_empty() {
                String::new()
            } else {
                format!("{}/", resource.group)
            };
            let namespace = if resource.namespaced {
                format!("{}/", self.target.namespace)
            } else {
                String::new()
            };
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}{name}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {given_uid}, UID in object meta: {}",
                resource.plural,
                stored.uid()
            );
            return Err(Failure::conflict(
                &resource.group,
                &resource.plural,
                name,
                &why,
            ));
        }
        let given = new
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let number = if given.is_empty() {
            0
        } else {
            given.parse::<u64>().map_err(|_| {
                let shown = crate::status::quoted(&given);
                Failure::unclassified(format!(
                    "strconv.ParseUint: parsing {shown}: invalid syntax"
                ))
            })?
        };
        if number == 0 {
            if self.unconditional() {
                new["metadata"]["resourceVersion"] = json!(stored.version.to_string());
                return Ok(());
            }
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(Failure::invalid(
                &resource.group,
                &resource.plural,
                name,
                vec![cause],
            ));
        }
        if number != stored.version {
            return Err(self.modified(name));
        }
        Ok(())
    }

    /// Whether a write without a version is taken: most built-in kinds.
    fn unconditional(&self) -> bool {
        self.served.built_in() && self.served.resource.kind != "CustomResourceDefinition"
    }

    /// What only the server sets stays as it is.
    fn keep_server_fields(
        &self,
        old: &Value,
        new: &mut Value,
        origin: Origin,
        causes: &mut Vec<Cause>,
    ) {
        let old_meta = &old["metadata"];
        let Some(metadata) = new["metadata"].as_object_mut() else {
            return;
        };
        metadata.remove("selfLink");
        let mut keep = |key: &str| match old_meta.get(key) {
            Some(value) => metadata.insert(key.into(), value.clone()),
            None => metadata.remove(key),
        };
        keep("creationTimestamp");
        keep("generation");
        let deleting = old_meta.get("deletionTimestamp").is_some();
        if deleting {
            keep("deletionTimestamp");
            keep("deletionGracePeriodSeconds");
        }
        let _ = origin;
        if !deleting
            && let Some(time) = metadata
                .get("deletionTimestamp")
                .filter(|time| !time.is_null())
        {
            causes.push(Cause::invalid(
                "metadata.deletionTimestamp",
                time,
                "field is immutable",
            ));
        }
        let uid = metadata
            .get("uid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if uid.is_empty() {
            metadata.insert("uid".into(), old_meta["uid"].clone());
        } else if Some(uid) != old_meta["uid"].as_str() {
            causes.push(Cause::invalid(
                "metadata.uid",
                &json!(uid),
                "field is immutable",
            ));
        }
    }

    /// The main endpoint leaves status alone, and `/status` everything else.
    fn keep_other_fields(&self, old: &Value, new: &mut Value) {
        let resource = &self.served.resource;
        if !resource.status || (self.served.built_in() && resource.group != "apiextensions.k8s.io")
        {
            return;
        }
        if self.target.subresource == "status" {
            let status = new.get("status").cloned();
            let sent = new["metadata"].clone();
            let head = (new["apiVersion"].clone(), new["kind"].clone());
            *new = old.clone();
            (new["apiVersion"], new["kind"]) = head;
            match status {
                Some(status) => new["status"] = status,
                None => {
                    if let Some(map) = new.as_object_mut() {
                        map.remove("status");
                    }
                }
            }
            for key in [
                "resourceVersion",
                "uid",
                "managedFields",
                "deletionTimestamp",
            ] {
                match sent.get(key) {
                    Some(value) => new["metadata"][key] = value.clone(),
                    None => {
                        if let Some(map) = new["metadata"].as_object_mut() {
                            map.remove(key);
                        }
                    }
                }
            }
        } else if let Some(map) = new.as_object_mut() {
            match old.get("status") {
                Some(status) => map.insert("status".into(), status.clone()),
                None => map.remove("status"),
            };
        }
    }

    /// Every change of what is neither metadata nor (with a status subresource) status counts.
    fn count_generation(&self, old: &Value, new: &mut Value) {
        if self.served.built_in()
            || (self.target.subresource == "status" && self.served.resource.status)
        {
            return;
        }
        let wanted = |object: &Value| {
            let mut rest = object.as_object().cloned().unwrap_or_default();
            rest.remove("metadata");
            rest.remove("apiVersion");
            if self.served.resource.status {
                rest.remove("status");
            }
            rest
        };
        if wanted(old) != wanted(new) {
            let generation = old
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            new["metadata"]["generation"] = json!(generation + 1);
        }
    }

    /// Lets webhooks change an object whose owners of fields are settled.
    fn call_webhooks(
        &self,
        verb: Verb,
        dry_run: bool,
        old: Option<&Value>,
        new: &mut Value,
    ) -> Result<(), Failure> {
        for webhook in self.core.webhooks() {
            let write = self.admission(verb, dry_run, old);
            let changed = webhook.call(&write, new).map_err(|why| {
                Failure::new(
                    403,
                    "Forbidden",
                    format!(
                        "admission webhook \"{}\" denied the request: {why}",
                        webhook.name
                    ),
                )
            })?;
            if changed {
                self.normalise(new, Origin::Patched)?;
            }
        }
        Ok(())
    }

    /// What a kind does to its own objects before they are validated.
    fn prepare(&self, old: Option<&Value>, new: &mut Value) -> Result<(), Failure> {
        super::kinds::prepare(self, old, new)
    }

    /// What is wrong with an object beside its metadata.
    fn validate(&self, old: Option<&Value>, new: &Value) -> Vec<Cause> {
        super::kinds::validate(self, old, new)
    }
}

/// Entries of `/scale` carry no time and stand first.
fn timeless(object: &mut Value) {
    let Some(entries) = object
        .pointer_mut("/metadata/managedFields")
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    for entry in entries
        .iter_mut()
        .filter(|entry| entry["subresource"] == "scale")
    {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("time");
        }
    }
    entries.sort_by_key(|entry| entry.get("time").is_some());
}

fn new_finalizers(old: &Value, new: &Value) -> Option<Cause> {
    old.pointer("/metadata/deletionTimestamp")?;
    let names = |object: &Value| -> Vec<String> {
        let list = object
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        list.iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let had = names(old);
    let added: Vec<String> = names(new)
        .iter()
        .filter(|name| !had.contains(name))
        .map(|name| crate::status::quoted(name))
        .collect();
    if added.is_empty() {
        return None;
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    Some(Cause::forbidden("metadata.finalizers", &why))
}
