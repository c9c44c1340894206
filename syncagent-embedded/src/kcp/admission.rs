//! What kcp decides about writes of its own kinds: first what it fills in, then what it refuses.
//!
//! Two voices refuse. Rules that kcp's CRDs state in CEL answer 422, kcp's admission plugins answer 403 with the problem
//! in the text; clients can tell them apart, so both are here with their own words.

use serde_json::{Value, json};

use super::access::Access;
use super::hash;
use super::model::{EXPORTS, PATH, cluster_of, items, key, path_of, set_meta, text, unset_meta};
use super::types;
use super::{Shared, schemas};
use crate::core::Core;
use crate::plane::{Admission, User};
use crate::request::Verb;
use crate::status::{Cause, Failure};

/// The finalizer of bindings.
pub(super) const BINDING_FINALIZER: &str = "apis.kcp.io/apibinding-finalizer";
/// The annotation with the creator of a workspace.
pub(super) const OWNER: &str = "experimental.tenancy.kcp.io/owner";

/// Fills in what kcp fills in.
pub(super) fn fill(
    shared: &Shared,
    core: &Core,
    request: &Admission<'_>,
    new: &mut Value,
) -> Result<(), Failure> {
    let cluster = request.place.name();
    let kind = kind(request);
    if matches!(kind, "apiexports" | "apibindings" | "workspacetypes")
        && request.target.subresource.is_empty()
    {
        set_meta(new, "annotations", PATH, &path_of(core, &cluster));
    }
    match (kind, request.verb) {
        ("workspaces", Verb::Create) => {
            new["status"] = json!({"phase": "Scheduling"});
            set_meta(new, "annotations", OWNER, &owner(request.user));
            types::default(core, &cluster, new);
        }
        ("apibindings", Verb::Create | Verb::Update) => {
            let reference = &new["spec"]["reference"]["export"];
            let from = text(reference, "/path");
            let provider = if from.is_empty() {
                Some(cluster.clone())
            } else {
                cluster_of(core, &shared.workspaces, from)
            };
            let export = provider.map(|provider| hash::export(&provider, text(reference, "/name")));
            match export {
                Some(export) => set_meta(new, "labels", hash::EXPORT, &export),
                None => unset_meta(new, "labels", hash::EXPORT),
            }
            if request.verb == Verb::Create {
                let mut finalizers = items(new, "/metadata/finalizers").to_vec();
                if !finalizers.iter().any(|f| f == BINDING_FINALIZER) {
                    finalizers.push(json!(BINDING_FINALIZER));
                }
                new["metadata"]["finalizers"] = Value::Array(finalizers);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refuses what kcp refuses.
pub(super) fn check(
    shared: &Shared,
    core: &Core,
    request: &Admission<'_>,
    new: &Value,
) -> Result<(), Failure> {
    let name = text(new, "/metadata/name");
    let forbidden = |why: String| {
        Err(Failure::forbidden(
            &request.served.resource.group,
            kind(request),
            name,
            &why,
        ))
    };
    if !request.target.subresource.is_empty() {
        return Ok(());
    }
    match kind(request) {
        "apiresourceschemas" => {
            let causes = schemas::rules(new);
            if !causes.is_empty() {
                return Err(Failure::invalid(
                    "apis.kcp.io",
                    "APIResourceSchema",
                    name,
                    causes,
                ));
            }
            let problems = match request.old {
                Some(old) if old["spec"] == new["spec"] => Vec::new(),
                Some(_) => {
                    vec![format!(
                        "spec: Invalid value: {}: is immutable",
                        schemas::in_go_order(&new["spec"])
                    )]
                }
                None => schemas::problems(new),
            };
            if !problems.is_empty() {
                return forbidden(format!("[{}]", problems.join(" ")));
            }
        }
        "apiexports" => {
            older_claims(request, new)?;
            for (n, resource) in items(new, "/spec/resources").iter().enumerate() {
                let group = match text(resource, "/group") {
                    "" => "core",
                    group => group,
                };
                let end = format!(".{}.{group}", text(resource, "/name"));
                let schema = text(resource, "/schema");
                if !schema.ends_with(&end) || schema.len() == end.len() {
                    return forbidden(format!(
                        "spec.resources[{n}].schema: Invalid value: {}: must end in {end}",
                        Value::from(schema)
                    ));
                }
            }
            for (n, claim) in items(new, "/spec/permissionClaims").iter().enumerate() {
                let foreign = !shared.is_native(text(claim, "/group"), text(claim, "/resource"));
                if foreign && text(claim, "/identityHash").is_empty() {
                    return forbidden(format!(
                        "spec.permissionClaims[{n}].identityHash: Invalid value: \"\": identityHash is required for \
                         API types that are not built-in"
                    ));
                }
            }
        }
        "apibindings" => check_binding(shared, core, request, new)?,
        "apiexportendpointslices" => {
            let export = &new["spec"]["export"];
            match request.old {
                Some(old) if old["spec"]["export"] != *export => {
                    return Err(repointed("APIExportEndpointSlice", name, "spec.export"));
                }
                Some(_) => {}
                None if text(export, "/name").is_empty() => {
                    return forbidden("[spec.export.name: Required value]".into());
                }
                None => {
                    if !may_bind(shared, core, request.user, &request.place.name(), export) {
                        return forbidden(format!(
                            "unable to create APIExportEndpointSlice: no permission to bind to export {}",
                            shown(core, &request.place.name(), export)
                        ));
                    }
                }
            }
        }
        "workspaces" => types::check(core, request, new)?,
        _ => {}
    }
    Ok(())
}

/// The refusal of another export in an object that names one for good.
fn repointed(kind: &str, name: &str, field: &str) -> Failure {
    let why = "Invalid value: APIExport reference must not be changed";
    let cause = Cause::new("FieldValueInvalid", field, why.to_owned());
    Failure::invalid("apis.kcp.io", kind, name, vec![cause])
}

fn check_binding(
    shared: &Shared,
    core: &Core,
    request: &Admission<'_>,
    new: &Value,
) -> Result<(), Failure> {
    older_claims(request, new)?;
    let name = text(new, "/metadata/name");
    let cluster = request.place.name();
    let export = &new["spec"]["reference"]["export"];
    let before = request.old.map(|old| &old["spec"]["reference"]["export"]);
    if before == Some(export) {
        return Ok(());
    }
    if before.is_some()
        && (export.is_null() || may_bind(shared, core, request.user, &cluster, export))
    {
        return Err(repointed("APIBinding", name, "spec.reference"));
    }
    // The root workspace and one's own are not asked about an export that is not there.
    let near = matches!(text(export, "/path"), "" | "root");
    let admin = request.user.is_in("system:masters") || request.user.is_in("system:kcp:admin");
    if before.is_none() && near && admin || may_bind(shared, core, request.user, &cluster, export) {
        return Ok(());
    }
    if before.is_some() && near {
        return Err(repointed("APIBinding", name, "spec.reference"));
    }
    let doing = if before.is_some() { "update" } else { "create" };
    let why = format!(
        "unable to {doing} APIBinding: no permission to bind to export {}",
        shown(core, &cluster, export)
    );
    Err(Failure::forbidden("apis.kcp.io", "apibindings", name, &why))
}

/// Whether somebody may bind an export, which must exist.
fn may_bind(shared: &Shared, core: &Core, user: &User, from: &str, export: &Value) -> bool {
    let path = text(export, "/path");
    let provider = if path.is_empty() {
        Some(from.into())
    } else {
        cluster_of(core, &shared.workspaces, path)
    };
    let Some(provider) = provider else {
        return false;
    };
    let name = text(export, "/name");
    core.read(&key(EXPORTS, &provider, name)).is_some()
        && Access { shared, core }.may(user, &provider, "bind", "apiexports", "", name)
}

fn shown(core: &Core, from: &str, export: &Value) -> String {
    let path = match text(export, "/path") {
        "" => path_of(core, from),
        path => path.to_owned(),
    };
    format!("{path}:{}", text(export, "/name"))
}

/// v1alpha1 wants to know of each claim whether it is for all objects.
fn older_claims(request: &Admission<'_>, new: &Value) -> Result<(), Failure> {
    if request.served.resource.version != "v1alpha1" {
        return Ok(());
    }
    for (n, claim) in items(new, "/spec/permissionClaims").iter().enumerate() {
        if claim.get("all").is_none_or(|all| *all == false)
            && items(claim, "/resourceSelector").is_empty()
        {
            let why = "Invalid value: either \"all\" or \"resourceSelector\" must be set";
            let cause = Cause::new(
                "FieldValueInvalid",
                format!("spec.permissionClaims[{n}]"),
                why,
            );
            let resource = &request.served.resource;
            return Err(Failure::invalid(
                &resource.group,
                &resource.kind,
                text(new, "/metadata/name"),
                vec![cause],
            ));
        }
    }
    Ok(())
}

/// The creator as kcp writes it down.
fn owner(user: &User) -> String {
    let mut members = vec![format!("\"username\":{}", Value::from(user.name.as_str()))];
    if !user.uid.is_empty() {
        members.push(format!("\"uid\":{}", Value::from(user.uid.as_str())));
    }
    if !user.groups.is_empty() {
        members.push(format!("\"groups\":{}", json!(user.groups)));
    }
    format!("{{{}}}", members.join(","))
}

/// The plural, where the kind is one of kcp's own.
fn kind<'a>(request: &Admission<'a>) -> &'a str {
    let resource = &request.served.resource;
    if resource.group.ends_with(".kcp.io") {
        &resource.plural
    } else {
        ""
    }
}
