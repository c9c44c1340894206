//! Where the kinds differ: what a write means for a CRD, a namespace, a Secret; and the schema of custom kinds.

use serde_json::Value;

use super::Call;
use crate::builtin::{self, Taken, Write};
use crate::crds;
use crate::schema;
use crate::status::{Cause, Failure};

/// What a kind does to its own objects before they are validated.
pub(super) fn prepare(call: &Call, old: Option<&Value>, new: &mut Value) -> Result<(), Failure> {
    if !call.served.built_in() {
        return Ok(());
    }
    if key(call) == ("apiextensions.k8s.io", "customresourcedefinitions") {
        crds::prepare(old, new, &call.target.subresource);
        // What is wrong is told by the validation that follows; this is what only this server does not understand.
        if schema::crd::check(new, old).is_empty() {
            schema::crd::compiles(new).map_err(Failure::not_implemented)?;
        }
    }
    let taken = taken(call);
    builtin::prepare(write(call, old, &taken), new)
}

/// What is wrong with an object.
pub(super) fn validate(call: &Call, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    if call.served.built_in() {
        let taken = taken(call);
        let known = builtin::validate(write(call, old, &taken), new);
        let mut causes = known.clone();
        if key(call) == ("apiextensions.k8s.io", "customresourcedefinitions")
            && call.target.subresource != "status"
        {
            let more = schema::crd::check(new, old);
            causes.extend(more.into_iter().filter(|cause| !known.contains(cause)));
        }
        return causes;
    }
    let mut causes = builtin::meta::validate(new, builtin::meta::Names::of(&call.served.resource));
    if let Some(schema) = &call.served.schema {
        causes.extend(if call.target.subresource == "status" {
            schema.validate_status(new, old)
        } else {
            schema.validate(new, old)
        });
    }
    causes
}

fn write<'a>(call: &'a Call, old: Option<&'a Value>, taken: &'a Taken) -> Write<'a> {
    Write {
        resource: &call.served.resource,
        subresource: &call.target.subresource,
        old,
        taken,
    }
}

/// The addresses that Services hold, where a Service is written.
fn taken(call: &Call) -> Taken {
    if key(call) != ("", "services") {
        return Taken::default();
    }
    let services = call.core.all("services", Some(&call.place.name()));
    let own = call.key(&call.target.name);
    Taken::of(
        services
            .iter()
            .filter(|stored| stored.key != own)
            .map(|stored| &*stored.object),
    )
}

/// Objects that may not be deleted.
pub(super) fn check_deletion(call: &Call, name: &str) -> Result<(), Failure> {
    if call.served.built_in() {
        builtin::may_delete(&call.served.resource, name)
    } else {
        Ok(())
    }
}

/// What a deletion changes on an object that stays for a while.
pub(super) fn mark_deletion(call: &Call, object: &mut Value) {
    if key(call) == ("apiextensions.k8s.io", "customresourcedefinitions") {
        crds::mark_deletion(object, &call.core.now());
    }
}

fn key(call: &Call) -> (&str, &str) {
    if call.served.built_in() {
        (
            call.served.resource.group.as_str(),
            call.served.resource.plural.as_str(),
        )
    } else {
        ("custom", "custom")
    }
}
