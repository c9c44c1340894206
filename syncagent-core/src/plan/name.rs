//! What the copy of an order is called, where that follows from more than which order it is, and the path of its workspace.
//!
//! Both are found out once and remembered. A name is made anew only while there is no copy: what the order says later does
//! not move it.

use serde_json::Value;

use super::seen::{Depth, Sight};
use super::step::Step;
use crate::names;
use crate::object::annotation;
use crate::object::reference::ObjectRef;

/// Finds out what the copy is called; says whether that is known, as far as it can be.
pub(super) fn name(step: &mut Step<'_>, origin: Option<&Value>) -> bool {
    if !has_path(step) {
        return false;
    }
    let placed = step.record.located.is_some() || step.record.copy.is_some();
    let named = step.record.named.is_some();
    if !step.publication.names_by_order() || placed || (named && !step.record.copy_absent) {
        return true;
    }
    match origin {
        Some(origin) => {
            let path = step.record.path.as_deref();
            let name = step.publication.copy_name_of(step.key, origin, path);
            step.record.named = name.ok().map(Box::new);
            true
        }
        None if named => true,
        None => {
            step.look(&step.publication.origin(step.key), Depth::Body);
            false
        }
    }
}

/// Finds out the path of the workspace; says whether it is known, or not asked for.
fn has_path(step: &mut Step<'_>) -> bool {
    if !step.publication.has_paths() || step.record.path.is_some() {
        return true;
    }
    let workspace = ObjectRef::logical_cluster(&step.key.cluster);
    match step.seen.of(&workspace) {
        Sight::There(object) => {
            let path = annotation(object, names::KCP_PATH).unwrap_or_default();
            step.record.path = Some(path.into());
            return true;
        }
        // Its deletion does not wait for that: what there is was named already.
        _ if step.record.deleting => return true,
        Sight::Barred | Sight::Absent => {
            let message = "the path of the workspace may not be read: accept the claim for logicalclusters in the binding";
            step.trouble("NotAllowed", message);
            step.refused.push(message.to_owned());
        }
        Sight::Unseen | Sight::Doubt | Sight::Outline(_) => step.look(&workspace, Depth::Body),
    }
    false
}
