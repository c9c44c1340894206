//! The kinds that are compiled into a server, and their admission.
//!
//! A custom kind is described by its CRD; everything that the server knows about it is data. Built-in kinds have
//! behaviour besides: a Secret merges `stringData`, a Service gets an address, an Event is one object under two groups,
//! a Namespace may not be deleted while it is `default`. All of it is here, as functions of values: what the request
//! carried and what is stored goes in, the object to store or a [`Failure`] comes out.
//!
//! A write of a built-in kind takes these steps, in this order:
//!
//! 1. [`decode()`]: types are checked, unknown members dropped (a patch is applied before this step, to the stored object);
//! 2. [`default()`]: the defaults of the version; who owns which field is computed on what this step gives, compared with
//!    what is stored ([`blank`] on create);
//! 3. [`prepare`]: what the server decides itself: status and spec are kept apart, addresses allocated;
//! 4. [`validate`] (with the rules of metadata) and [`warnings`].

pub mod access;
pub mod config;
pub mod decode;
pub mod deployment;
pub mod event;
pub mod kinds;
pub mod meta;
pub mod namespace;
pub mod protobuf;
pub mod service;

use serde_json::{Value, json};

use crate::api::{Provenance, Resource};
use crate::status::{Cause, Failure};

pub use decode::{decode, encode, schema};
pub use service::Taken;

/// A write of an object of a built-in kind.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The kind.
    pub resource: &'a Resource,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'a str,
    /// What is stored; `None` on create.
    pub old: Option<&'a Value>,
    /// Addresses that other objects hold; needed for services only.
    pub taken: &'a Taken,
}

/// What a blank object of a kind looks like: what a created one is compared with to see which fields its creator set.
#[must_use]
pub fn blank(resource: &Resource) -> Value {
    encode(resource, &json!({}))
}

/// Sets the defaults of the version.
pub fn default(resource: &Resource, object: &mut Value) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "secrets") => config::default_secret(object),
        ("", "services") => service::default(object),
        ("", "namespaces") => namespace::default(object),
        ("apps", "deployments") => deployment::default(object),
        ("rbac.authorization.k8s.io", _) => access::default(object),
        _ => {}
    }
    *object = encode(resource, object);
}

/// Decides what is the server's to decide, whatever the request said.
///
/// # Errors
///
/// 422 where an address that was asked for is not to be had.
pub fn prepare(write: Write<'_>, object: &mut Value) -> Result<(), Failure> {
    match (
        write.resource.group.as_str(),
        write.resource.plural.as_str(),
    ) {
        ("", "services") => service::prepare(write, object)?,
        ("", "namespaces") => namespace::prepare(write, object),
        ("", "secrets") => config::prepare_secret(write, object),
        ("apps", "deployments") => deployment::prepare(write, object),
        ("", "resourcequotas") if write.subresource == "status" => keep(object, write.old, "spec"),
        ("", "resourcequotas") => keep(object, write.old, "status"),
        _ => {}
    }
    *object = encode(write.resource, object);
    Ok(())
}

/// What is wrong with an object, metadata first.
#[must_use]
pub fn validate(write: Write<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = meta::validate(object, meta::Names::of(write.resource));
    causes.extend(
        match (
            write.resource.group.as_str(),
            write.resource.plural.as_str(),
        ) {
            ("", "configmaps") => config::validate_config_map(write.old, object),
            ("", "secrets") => config::validate_secret(write.old, object),
            ("", "services") => service::validate(write, object),
            ("", "namespaces") => namespace::validate(write, object),
            ("" | "events.k8s.io", "events") => event::validate(write, object),
            ("coordination.k8s.io", "leases") => validate_lease(object),
            ("apps", "deployments") => deployment::validate(write, object),
            ("rbac.authorization.k8s.io", _) => access::validate(write, object),
            _ => Vec::new(),
        },
    );
    causes
}

/// 422 with these problems.
#[must_use]
pub fn invalid(resource: &Resource, name: &str, causes: Vec<Cause>) -> Failure {
    // Events of both groups are validated as those of the core group, and say so.
    let group = if resource.plural == "events" {
        ""
    } else {
        &resource.group
    };
    Failure::invalid(group, &resource.kind, name, causes)
}

/// What is odd but accepted, for the `Warning` header.
#[must_use]
pub fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    if resource.group == "apiextensions.k8s.io" {
        return Vec::new();
    }
    let mut warnings = meta::warnings(object);
    if resource.group.is_empty() && resource.plural == "secrets" {
        warnings.extend(config::secret_warnings(object));
    }
    warnings
}

/// Whether an object may be deleted at all.
///
/// # Errors
///
/// 403 for the namespaces that a cluster cannot do without.
pub fn may_delete(resource: &Resource, name: &str) -> Result<(), Failure> {
    let protected = ["default", "kube-system", "kube-public"].contains(&name);
    if resource.group.is_empty() && resource.plural == "namespaces" && protected {
        return Err(Failure::forbidden(
            "",
            "namespaces",
            name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}

/// Whether a deletion answers with the object instead of a Status.
#[must_use]
pub fn shows_deleted(resource: &Resource) -> bool {
    let answers =
        ["services", "serviceaccounts", "resourcequotas"].contains(&resource.plural.as_str());
    resource.provenance == Provenance::BuiltIn && resource.group.is_empty() && answers
}

fn validate_lease(lease: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (pointer, field, least, problem) in [
        (
            "/spec/leaseDurationSeconds",
            "spec.leaseDurationSeconds",
            1,
            "must be greater than 0",
        ),
        (
            "/spec/leaseTransitions",
            "spec.leaseTransitions",
            0,
            "must be greater than or equal to 0",
        ),
    ] {
        if let Some(value) = lease
            .pointer(pointer)
            .filter(|value| value.as_i64().is_some_and(|n| n < least))
        {
            causes.push(Cause::invalid(field, value, problem));
        }
    }
    causes
}

/// The text at a pointer; empty where there is none.
fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The items at a pointer; none where there is no list.
fn items<'v>(object: &'v Value, pointer: &str) -> &'v [Value] {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Takes a top-level member from what is stored, or away where nothing is.
fn keep(object: &mut Value, old: Option<&Value>, key: &str) {
    match old.and_then(|old| old.get(key)) {
        Some(kept) => object[key] = kept.clone(),
        None => {
            if let Some(members) = object.as_object_mut() {
                members.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static NONE: LazyLock<Taken> = LazyLock::new(Taken::default);

    /// Takes an object through all steps; the answer or the message of the refusal.
    pub(super) fn write(
        plural: &str,
        subresource: &str,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<Value, String> {
        let resource = kinds::kubernetes()
            .into_iter()
            .find(|kind| kind.qualified() == plural)
            .expect("the kind is served");
        let write = Write {
            resource: &resource,
            subresource,
            old,
            taken: &NONE,
        };
        let mut object = decode(&resource, object).map_err(|failure| failure.message)?;
        default(&resource, &mut object);
        prepare(write, &mut object).map_err(|failure| failure.message)?;
        let name = text(&object, "/metadata/name").to_owned();
        match validate(write, &object) {
            causes if causes.is_empty() => Ok(object),
            causes => Err(invalid(&resource, &name, causes).message),
        }
    }

    #[test]
    fn some_namespaces_stay() {
        let kinds = kinds::kubernetes();
        let namespaces = kinds
            .iter()
            .find(|kind| kind.plural == "namespaces")
            .expect("namespaces are served");
        let refused = may_delete(namespaces, "kube-system").expect_err("it is protected");
        assert_eq!(
            refused.message,
            "namespaces \"kube-system\" is forbidden: this namespace may not be deleted"
        );
        assert!(may_delete(namespaces, "mine").is_ok());
    }

    #[test]
    fn leases_last() {
        let lease = json!({"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0}});
        assert_eq!(
            write("leases.coordination.k8s.io", "", None, &lease),
            Err("Lease.coordination.k8s.io \"l\" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0".to_owned())
        );
    }
}
