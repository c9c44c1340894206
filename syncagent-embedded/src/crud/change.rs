//! Create, update and patch.

use std::sync::Arc;

use serde_json::{Value, json};

use super::finish::Origin;
use super::{Answer, Call};
use crate::builtin::protobuf;
use crate::plane::Attributes;
use crate::request::WriteOptions;
use crate::status::{Cause, Failure};
use crate::store::Stored;
use crate::{decode, fields, patch};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

impl Call {
    /// POST.
    pub(super) fn create(self) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        if !self.target.subresource.is_empty() {
            return self.create_below();
        }
        if crate::builtin::kinds::is_review(resource) {
            return self.review();
        }
        if resource.namespaced && self.target.namespace.is_empty() {
            return Err(Failure::page_not_found());
        }
        let options = WriteOptions::read(&self.query, "CreateOptions", &self.agent, false)?;
        let (object, warnings) = self.decoded(&options)?;
        if !self.target.name.is_empty() {
            self.check_name(&object)?;
        }
        let odd = self.oddities(None, &object);
        let created = self
            .finish_creation(object, &options, Origin::Sent)
            .map_err(|failure| warned(failure, &warnings))?;
        let warnings = [warnings, odd].concat();
        Ok(self.object_answer(201, &created)?.with_warnings(warnings))
    }

    /// The body of a POST or PUT as an object of the resource, and what there is to warn about.
    fn decoded(&self, options: &WriteOptions) -> Result<(Value, Vec<String>), Failure> {
        let resource = &self.served.resource;
        let built_in = self.served.built_in();
        let parsed = fields::parse(&self.body);
        if let Err(why) = &parsed
            && why.starts_with("json: cannot unmarshal number")
        {
            return Err(Failure::bad_request(format!(
                "{kind} in version \"{}\" cannot be handled as a {kind}: {why}",
                resource.version,
                kind = resource.kind
            )));
        }
        let mut object = self.sent(&resource.kind, !built_in)?;
        decode::check_type(
            &mut object,
            &resource.api_version(),
            &resource.kind,
            built_in,
        )?;
        self.check_kind(&object)?;
        let mut problems = match parsed {
            Ok(parsed) => fields::duplicates(&parsed.duplicates),
            Err(_) => Vec::new(),
        };
        problems.extend(self.normalise(&mut object, Origin::Sent)?);
        let warnings = self.complain(&object, options, problems, Origin::Sent)?;
        Ok((object, warnings))
    }

    /// The body of a POST or PUT, whatever its media type.
    pub(super) fn sent(&self, kind: &str, needs_type: bool) -> Result<Value, Failure> {
        match self.content_type.as_str() {
            "" | "application/json" | "application/yaml" => {
                decode::object(&self.body, kind, needs_type)
            }
            protobuf::MEDIA if self.served.built_in() => {
                protobuf::to_json(&self.body).map_err(Failure::bad_request)
            }
            _ => Err(Failure::unsupported_media_type(crate::request::ACCEPTED)),
        }
    }

    /// 422 for an object of another kind.
    fn check_kind(&self, object: &Value) -> Result<(), Failure> {
        let resource = &self.served.resource;
        let given = object["kind"].as_str().unwrap_or_default();
        if given == resource.kind {
            return Ok(());
        }
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let cause = Cause::invalid("kind", &json!(given), &format!("must be {}", resource.kind));
        Err(Failure::invalid(&resource.group, given, name, vec![cause]))
    }

    /// PUT.
    pub(super) fn update(self) -> Result<Answer, Failure> {
        if self.target.name.is_empty() {
            return Err(Failure::bad_request("name must be provided"));
        }
        let options = WriteOptions::read(&self.query, "UpdateOptions", &self.agent, false)?;
        let (object, mut warnings) = self.decoded(&options)?;
        self.check_name(&object)?;
        self.settle_namespace(&mut object.clone())?;
        loop {
            let (stored, old) = self.current()?;
            let odd = self.oddities(Some(&old), &object);
            let new = self
                .finish_change(&stored, &old, object.clone(), &options, Origin::Sent)
                .map_err(|failure| warned(failure, &warnings))?;
            if let Some(new) = new {
                warnings.extend(odd);
                return Ok(self.object_answer(200, &new)?.with_warnings(warnings));
            }
        }
    }

    /// What is odd but accepted about an object, and was not there before.
    fn oddities(&self, old: Option<&Value>, object: &Value) -> Vec<String> {
        let resource = &self.served.resource;
        let known = old
            .map(|old| crate::builtin::warnings(resource, old))
            .unwrap_or_default();
        let mut odd = crate::builtin::warnings(resource, object);
        odd.retain(|one| !known.contains(one));
        odd
    }

    /// The object that a write acts on, as stored and as served.
    pub(super) fn current(&self) -> Result<(Arc<Stored>, Arc<Value>), Failure> {
        let name = &self.target.name;
        let stored = self
            .core
            .read(&self.key(name))
            .ok_or_else(|| self.not_found(name))?;
        let object = self.served.to_served(&stored.object)?;
        if !self.visible(&object) {
            return Err(self.not_found(name));
        }
        Ok((stored, object))
    }

    /// PATCH.
    pub(super) fn patch(self) -> Result<Answer, Failure> {
        if self.target.name.is_empty() {
            return Err(Failure::bad_request("name must be provided"));
        }
        let built_in = self.served.built_in();
        let known = match self.content_type.as_str() {
            JSON_PATCH | MERGE_PATCH | APPLY_PATCH => true,
            STRATEGIC_PATCH => built_in,
            _ => false,
        };
        if !known {
            return Err(if built_in {
                let mut failure =
                    Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
                failure.details = Some(crate::status::Details::default());
                failure
            } else {
                Failure::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH, APPLY_PATCH])
            });
        }
        let apply = self.content_type == APPLY_PATCH;
        let options = WriteOptions::read(&self.query, "PatchOptions", &self.agent, apply)?;
        if apply {
            self.apply(&options)
        } else {
            self.patch_stored(&options)
        }
    }

    /// A patch of what is stored.
    fn patch_stored(&self, options: &WriteOptions) -> Result<Answer, Failure> {
        loop {
            let (stored, old) = self.current()?;
            // What is put on when an object is read can be patched too: kcp's annotation is always there to add others to.
            let seen = self.shown(old.clone())?;
            let patched = match self.content_type.as_str() {
                JSON_PATCH => patch::json(&self.body, &seen)?,
                MERGE_PATCH => patch::merge(&self.body, &seen)?,
                _ => patch::strategic(&self.body, &seen)?,
            };
            patch::decodable(&patched.object)?;
            let mut object = patched.object;
            let mut problems = patched.problems;
            self.check_kind(&object)?;
            self.check_patched_version(&object)?;
            let patched = object.clone();
            problems.extend(self.normalise(&mut object, Origin::Patched)?);
            let mut warnings = self.complain(&patched, options, problems, Origin::Patched)?;
            self.check_name(&object)?;
            let odd = self.oddities(Some(&old), &object);
            let new = self
                .finish_change(&stored, &old, object, options, Origin::Patched)
                .map_err(|failure| warned(failure, &warnings))?;
            if let Some(new) = new {
                warnings.extend(odd);
                return Ok(self.object_answer(200, &new)?.with_warnings(warnings));
            }
            if given_version(&self.body) {
                return Err(self.modified(&self.target.name));
            }
        }
    }

    fn check_patched_version(&self, object: &Value) -> Result<(), Failure> {
        let given = object["apiVersion"].as_str().unwrap_or_default();
        let expected = self.served.resource.api_version();
        if given == expected || self.served.built_in() {
            return Ok(());
        }
        Err(Failure::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({expected})"
        )))
    }

    /// Server-side apply.
    fn apply(&self, options: &WriteOptions) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        let read = patch::applied(&self.body)?;
        let mut applied = read.object;
        let (version, kind) = (applied["apiVersion"].as_str(), applied["kind"].as_str());
        if (version, kind)
            != (
                Some(resource.api_version().as_str()),
                Some(resource.kind.as_str()),
            )
        {
            let (group, version) = match version.unwrap_or_default().split_once('/') {
                Some((group, version)) => (group, version),
                None => ("", version.unwrap_or_default()),
            };
            return Err(Failure::bad_request(format!(
                "invalid object type: {group}/{version}, Kind={}",
                kind.unwrap_or_default()
            )));
        }
        if let Some(given) = applied.pointer("/metadata/name").and_then(Value::as_str)
            && given != self.target.name
            && !given.is_empty()
        {
            self.check_name(&applied)?;
        }
        self.core.plane.unpresent(&mut applied);
        loop {
            let present = match self.current() {
                Ok(present) => Some(present),
                Err(failure) if failure.code == 404 => None,
                Err(failure) => return Err(failure),
            };
            let Some((stored, old)) = present else {
                if !self.target.subresource.is_empty() {
                    return Err(self.not_found(&self.target.name));
                }
                return self.apply_new(&applied, &read.problems, options);
            };
            let mut merged = self.merge_applied(Some(&old), &applied, options)?;
            let mut problems = read.problems.clone();
            problems.extend(self.normalise(&mut merged, Origin::Applied)?);
            let warnings = self.complain(&merged, options, problems, Origin::Applied)?;
            self.check_name(&merged)?;
            if let Some(new) =
                self.finish_change(&stored, &old, merged, options, Origin::Applied)?
            {
                return Ok(self.object_answer(200, &new)?.with_warnings(warnings));
            }
        }
    }

    /// Server-side apply where nothing is.
    fn apply_new(
        &self,
        applied: &Value,
        problems: &[String],
        options: &WriteOptions,
    ) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        if let Some(uid) = applied
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .filter(|uid| !uid.is_empty())
        {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Failure::conflict(
                &resource.group,
                &resource.plural,
                &self.target.name,
                &why,
            ));
        }
        self.core.plane.authorise(
            &self.core,
            &Attributes {
                user: &self.user,
                place: &self.place,
                verb: "create",
                target: Some(&self.target),
                path: "",
            },
        )?;
        let mut applied = applied.clone();
        if let Some(metadata) = applied["metadata"].as_object_mut() {
            metadata.insert("name".into(), json!(self.target.name));
            metadata.remove("resourceVersion");
        } else {
            applied["metadata"] = json!({"name": self.target.name});
        }
        let mut merged = self.merge_applied(None, &applied, options)?;
        let mut problems = problems.to_vec();
        problems.extend(self.normalise(&mut merged, Origin::Applied)?);
        let warnings = self.complain(&merged, options, problems, Origin::Applied)?;
        let created = self.finish_creation(merged, options, Origin::Applied)?;
        Ok(self.object_answer(201, &created)?.with_warnings(warnings))
    }
}

/// A refusal says what there was to warn about too.
fn warned(failure: Failure, warnings: &[String]) -> Failure {
    warnings.iter().fold(failure, |failure, warning| {
        failure.with_header("warning", fields::warning(warning))
    })
}

/// Whether a patch names a version, so that losing a race is the client's business.
fn given_version(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|patch| {
        patch
            .pointer("/metadata/resourceVersion")
            .is_some_and(Value::is_string)
    })
}
