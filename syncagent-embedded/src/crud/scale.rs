//! The `scale` subresource: a view of three fields of a custom object as `autoscaling/v1` Scale.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::finish::Origin;
use super::{Answer, Call};
use crate::api::Scale;
use crate::request::{Verb, WriteOptions};
use crate::status::{Cause, Failure};
use crate::{decode, patch};

impl Call {
    /// GET, PUT and PATCH of `/scale`.
    pub(super) fn scale(self) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        let Some(scale) = resource.scale.clone() else {
            return Err(self.not_found(&self.target.name));
        };
        match self.verb {
            Verb::Get => {
                let (_, object) = self.current()?;
                self.object_answer(200, &Arc::new(view(&scale, &object)?))
            }
            Verb::Update | Verb::Patch => loop {
                let (stored, old) = self.current()?;
                let present = view(&scale, &old)?;
                let (wanted, options) = self.wanted(&present)?;
                let replicas = wanted
                    .pointer("/spec/replicas")
                    .cloned()
                    .unwrap_or(json!(0));
                if replicas.as_i64().is_none_or(|count| count < 0) {
                    let why = "should be a non-negative integer";
                    let cause = Cause::invalid(scale.spec_replicas_path, &replicas, why);
                    return Err(Failure::invalid(
                        &resource.group,
                        &resource.kind,
                        &self.target.name,
                        vec![cause],
                    ));
                }
                let mut new = (*old).clone();
                set(&mut new, &scale.spec_replicas_path, replicas);
                for key in ["resourceVersion", "uid"] {
                    if let Some(value) = wanted["metadata"].get(key) {
                        new["metadata"][key] = value.clone();
                    }
                }
                if let Some(new) =
                    self.finish_change(&stored, &old, new, &options, Origin::Patched)?
                {
                    return self.object_answer(200, &Arc::new(view(&scale, &new)?));
                }
            },
            verb => Err(Failure::verb_not_supported(
                &resource.group,
                &resource.plural,
                verb.as_str(),
            )),
        }
    }

    /// The Scale that the client wants.
    fn wanted(&self, present: &Value) -> Result<(Value, WriteOptions), Failure> {
        if self.verb == Verb::Update {
            let options = WriteOptions::read(&self.query, "UpdateOptions", &self.agent, false)?;
            let mut wanted = decode::object(&self.body, "Scale", false)?;
            decode::check_type(&mut wanted, "autoscaling/v1", "Scale", true)?;
            self.check_name(&wanted)?;
            return Ok((wanted, options));
        }
        let options = WriteOptions::read(&self.query, "PatchOptions", &self.agent, false)?;
        let wanted = match self.content_type.as_str() {
            "application/json-patch+json" => patch::json(&self.body, present)?.object,
            "application/merge-patch+json" => patch::merge(&self.body, present)?.object,
            other => {
                return Err(Failure::not_implemented(format_args!(
                    "a patch of scale as {other}"
                )));
            }
        };
        Ok((wanted, options))
    }
}

fn view(scale: &Scale, object: &Value) -> Result<Value, Failure> {
    let replicas = find(object, &scale.spec_replicas_path).ok_or_else(|| {
        let path = crate::status::quoted(&scale.spec_replicas_path);
        Failure::internal(&format!("the spec replicas field {path} does not exist"))
    })?;
    let mut status = Map::new();
    status.insert(
        "replicas".into(),
        find(object, &scale.status_replicas_path)
            .cloned()
            .unwrap_or(json!(0)),
    );
    let selector = scale
        .label_selector_path
        .as_ref()
        .and_then(|path| find(object, path));
    if let Some(selector) = selector {
        status.insert("selector".into(), selector.clone());
    }
    let mut metadata = Map::new();
    for key in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object["metadata"].get(key) {
            metadata.insert(key.into(), value.clone());
        }
    }
    Ok(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": replicas}, "status": status,
    }))
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|part| !part.is_empty())
}

fn find<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    parts(path)
        .try_fold(object, |at, part| at.get(part))
        .filter(|value| !value.is_null())
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for part in parts(path) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[part];
    }
    *at = value;
}
