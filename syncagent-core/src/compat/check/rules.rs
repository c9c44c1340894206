//! The rules of the kind's own definition (section 2.2), which an API server would refuse an object by.

use serde_json::Value;

use crate::compat::FieldProblem;

/// Every rule that an object breaks.
pub(super) fn broken(object: &Value) -> Vec<FieldProblem> {
    let mut found = Vec::new();
    let entries = object["spec"]["related"].as_array();
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let path = format!("spec.related[{at}]");
        let has = |field: &str| entry.get(field).is_some_and(|it| !it.is_null());
        let synced = entry["syncStatus"] == true;
        let rules = [
            (
                has("kind") != (has("version") || has("resource")),
                "must specify either kind (deprecated) or group, version, resource",
            ),
            (
                has("resource") == has("version"),
                "resource and version must be configured together or not at all",
            ),
            (
                !has("group") || (has("resource") && has("version")),
                "configuring a group also requires a version and resource",
            ),
            (
                !has("identityHash") || (has("group") && has("version") && has("resource")),
                "identity hashes can only be used with GVRs",
            ),
            (
                !(entry["origin"] == "service" && synced) || has("watch"),
                "watch must be configured when origin is service and syncStatus is true",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        found.extend(broken.map(|(_, what)| FieldProblem::new(&path, what)));
        let watch = &entry["watch"];
        let both =
            ["byOwner", "bySelector"].map(|it| watch.get(it).is_some_and(|it| !it.is_null()));
        if has("watch") && both[0] == both[1] {
            let what = "exactly one of byOwner or bySelector must be set";
            found.push(FieldProblem::new(format!("{path}.watch"), what));
        }
    }
    found
}
