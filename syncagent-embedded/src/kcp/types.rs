//! Workspace types: which there are, and which may lie in which.

use serde_json::{Value, json};

use super::model::{annotation, logical, text};
use crate::core::Core;
use crate::plane::Admission;
use crate::status::{Cause, Failure};

/// A type of the root workspace.
struct Type {
    name: &'static str,
    /// What it implements: itself and what it extends.
    implements: &'static [&'static str],
    /// The types that a parent must implement one of; `None` for any.
    parents: Option<&'static [&'static str]>,
}

const TYPES: [Type; 5] = [
    Type {
        name: "root",
        implements: &["root:root"],
        parents: Some(&[]),
    },
    Type {
        name: "universal",
        implements: &["root:universal"],
        parents: None,
    },
    Type {
        name: "organization",
        implements: &["root:organization", "root:universal"],
        parents: Some(&["root:root"]),
    },
    Type {
        name: "team",
        implements: &["root:team", "root:universal"],
        parents: Some(&["root:organization", "root:team"]),
    },
    Type {
        name: "home",
        implements: &["root:home", "root:universal"],
        parents: Some(&[]),
    },
];

/// The annotation of a logical cluster with its type.
pub(super) const TYPE: &str = "internal.tenancy.kcp.io/type";

fn type_of(core: &Core, cluster: &str) -> String {
    let stored = logical(core, cluster);
    stored
        .map(|stored| annotation(&stored.object, TYPE).to_owned())
        .unwrap_or_default()
}

fn find(name: &str) -> Option<&'static Type> {
    TYPES.iter().find(|one| one.name == name)
}

/// Fills in the type of a workspace: the parent's default, and the path.
pub(super) fn default(core: &Core, parent: &str, workspace: &mut Value) {
    let name = text(workspace, "/spec/type/name").to_owned();
    if !workspace["spec"].is_object() {
        workspace["spec"] = json!({});
    }
    if name.is_empty() {
        let child = if type_of(core, parent) == "root:root" {
            "organization"
        } else {
            "universal"
        };
        workspace["spec"]["type"] = json!({"name": child, "path": "root"});
    } else if text(workspace, "/spec/type/path").is_empty() && find(&name).is_some() {
        workspace["spec"]["type"]["path"] = json!("root");
    }
}

/// Refuses types and changes that kcp refuses.
pub(super) fn check(core: &Core, request: &Admission<'_>, new: &Value) -> Result<(), Failure> {
    let name = text(new, "/metadata/name");
    let invalid = |causes| {
        Err(Failure::invalid(
            "tenancy.kcp.io",
            "Workspace",
            name,
            causes,
        ))
    };
    let forbidden = |why: String| {
        Err(Failure::forbidden(
            "tenancy.kcp.io",
            "workspaces",
            name,
            &why,
        ))
    };
    if let Some(old) = request.old {
        let (before, after) = (&old["spec"], &new["spec"]);
        if text(before, "/cluster") != text(after, "/cluster")
            && !text(before, "/cluster").is_empty()
        {
            return invalid(vec![if after.get("cluster").is_none() {
                Cause::new(
                    "FieldValueInvalid",
                    "spec",
                    "Invalid value: cluster cannot be unset",
                )
            } else {
                Cause::invalid("spec.cluster", &after["cluster"], "cluster is immutable")
            }]);
        }
        if before.get("URL") != after.get("URL") && !request.user.is_in("system:masters") {
            return forbidden("spec.URL can only be changed by system privileged users".into());
        }
        return Ok(());
    }
    let (path, kind) = (text(new, "/spec/type/path"), text(new, "/spec/type/name"));
    if path.is_empty() {
        return forbidden(format!(
            "workspace type {} cannot be resolved",
            Value::from(kind)
        ));
    }
    let Some(one) = find(kind).filter(|_| path == "root") else {
        let full = format!("{path}:{kind}");
        return forbidden(format!(
            "Internal error occurred: workspacetypes.tenancy.kcp.io {} not found",
            Value::from(full)
        ));
    };
    let parent = type_of(core, &request.place.name());
    let implements = find(parent.trim_start_matches("root:"))
        .map_or(&["root:universal"][..], |one| one.implements);
    match one.parents {
        Some([]) => forbidden(format!("workspace type root:{kind} cannot have any parent")),
        Some(allowed) if !allowed.iter().any(|parent| implements.contains(parent)) => {
            forbidden(format!(
                "workspace type root:{kind} only allows [{}] parent workspaces, but parent type {parent} only implements [{}]",
                allowed.join(" "),
                implements.join(" ")
            ))
        }
        _ => Ok(()),
    }
}
