//! Delete and deletecollection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::builtin;
use crate::core::{has_finalizers, is_namespace, mark_deleted};
use crate::request::{DeleteOptions, ListOptions, Propagation, Verb};
use crate::status::{self, Failure};
use crate::store::{Expect, Stored};

/// What became of an object.
enum Deleted {
    /// It is gone.
    Gone(Arc<Value>),
    /// Finalizers hold it.
    Held(Arc<Value>),
}

impl Call {
    /// DELETE of one object.
    pub(super) fn delete_one(self) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        if !self.target.subresource.is_empty() {
            return Err(Failure::verb_not_supported(
                &resource.group,
                &resource.plural,
                "delete",
            ));
        }
        let options = DeleteOptions::read(&self.query, &self.body)?;
        let name = self.target.name.clone();
        match self.delete_named(&name, &options)? {
            // The last state, at the version of its end.
            Deleted::Gone(object) if builtin::shows_deleted(resource) => {
                self.object_answer(200, &object)
            }
            Deleted::Gone(object) => {
                let uid = object
                    .pointer("/metadata/uid")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                Ok(Answer::value(
                    200,
                    status::deleted(&resource.group, &resource.plural, &name, uid),
                ))
            }
            Deleted::Held(object) => self.object_answer(200, &object),
        }
    }

    /// DELETE of a collection.
    pub(super) fn delete_collection(self) -> Result<Answer, Failure> {
        let list = ListOptions::read(&self.query, false)?;
        let (labels, fields) = self.selectors()?;
        let options = DeleteOptions::read(&self.query, &self.body)?;
        let (present, version) = {
            let store = self.core.store();
            (
                store.list(&self.scope(), None, None).unwrap_or_default(),
                store.revision(),
            )
        };
        let mut items = Vec::new();
        for stored in present {
            let object = self.presented(&stored.key.cluster, &stored.object)?;
            if !labels.matches(&object) || !fields.matches(&object) {
                continue;
            }
            let one = Self {
                core: self.core.clone(),
                place: self.place.clone(),
                user: self.user.clone(),
                agent: self.agent.clone(),
                verb: Verb::Delete,
                target: crate::request::Target {
                    namespace: stored.key.namespace.clone(),
                    name: stored.key.name.clone(),
                    ..self.target.clone()
                },
                served: self.served.clone(),
                lens: self.lens.clone(),
                query: self.query.clone(),
                form: self.form,
                content_type: String::new(),
                body: super::Bytes::new(),
                ahead: self.ahead,
                overlooks: self.overlooks,
            };
            match one.delete_named(&stored.key.name, &options) {
                Ok(_) => items.push(object),
                Err(failure) if failure.code == 404 => {}
                Err(failure) => return Err(failure),
            }
            if list.limit > 0 && items.len() >= list.limit {
                break;
            }
        }
        Ok(Answer::value(
            200,
            self.list_body(version, "", None, &items)?,
        ))
    }

    fn delete_named(&self, name: &str, options: &DeleteOptions) -> Result<Deleted, Failure> {
        let key = self.key(name);
        loop {
            let stored = self.core.read(&key).ok_or_else(|| self.not_found(name))?;
            let old = self.presented(&key.cluster, &stored.object)?;
            if !self.visible(&old) {
                return Err(self.not_found(name));
            }
            self.check_preconditions(&stored, options)?;
            self.admit(Verb::Delete, options.dry_run, Some(&old), None)?;
            super::kinds::check_deletion(self, name)?;
            let mut next = (*stored.object).clone();
            let expect = Expect::Version(stored.version);
            let deleting = next.pointer("/metadata/deletionTimestamp").is_some();
            let finalizers = match self.overlooks && !deleting {
                true => Vec::new(),
                false => propagated(&next, options.propagation),
            };
            set_finalizers(&mut next, &finalizers);
            if !has_finalizers(&next) {
                if options.dry_run {
                    return Ok(Deleted::Gone(old));
                }
                let removed = self.core.store().remove(&key, expect);
                if let Ok(last) = removed {
                    return Ok(Deleted::Gone(self.presented(&key.cluster, &last.object)?));
                }
                continue;
            }
            if !deleting {
                mark_deleted(&mut next, &self.core.now());
            }
            super::kinds::mark_deletion(self, &mut next);
            if next == *stored.object {
                return Ok(Deleted::Held(old));
            }
            if options.dry_run {
                return Ok(Deleted::Held(
                    self.presented(&key.cluster, &Arc::new(next))?,
                ));
            }
            let written = self.core.store().put(&key, next, expect);
            if let Ok(written) = written {
                return Ok(Deleted::Held(
                    self.presented(&key.cluster, &written.object)?,
                ));
            }
        }
    }

    fn check_preconditions(&self, stored: &Stored, options: &DeleteOptions) -> Result<(), Failure> {
        let resource = &self.served.resource;
        let refuse = |why: String| {
            Failure::conflict(&resource.group, &resource.kind, &stored.key.name, &why)
        };
        if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != stored.uid()) {
            return Err(refuse(format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have \
                 been deleted and then recreated",
                stored.uid()
            )));
        }
        let present = stored.version.to_string();
        if let Some(version) = options
            .version
            .as_deref()
            .filter(|version| *version != present)
        {
            return Err(refuse(format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record \
                 ({present}). The object might have been modified"
            )));
        }
        Ok(())
    }
}

/// The finalizers after a propagation policy had its say.
fn propagated(object: &Value, policy: Option<Propagation>) -> Vec<String> {
    let present = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut finalizers: Vec<String> = present
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let Some(policy) = policy.filter(|_| !is_namespace(object)) else {
        return finalizers;
    };
    let wanted = match policy {
        Propagation::Background => "",
        Propagation::Foreground => "foregroundDeletion",
        Propagation::Orphan => "orphan",
    };
    finalizers.retain(|name| name == wanted || (name != "foregroundDeletion" && name != "orphan"));
    if !wanted.is_empty() && !finalizers.iter().any(|name| name == wanted) {
        finalizers.push(wanted.to_owned());
    }
    finalizers
}

fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        } else {
            metadata.insert("finalizers".into(), json!(finalizers));
        }
    }
}
