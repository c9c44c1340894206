//! The version in which exports are read and written: v1alpha2 where kcp has it, else v1alpha1.
//!
//! Everything that decides speaks v1alpha2. What was read in the older version is told in the words of the newer one, and
//! what is written is told in those of the older one:
//!
//! | v1alpha1 | v1alpha2 |
//! | --- | --- |
//! | `latestResourceSchemas: [v1-abc.things.example.io]` | `resources: [{group, name, schema}]` |
//! | a claim with `all: true` | the same with `verbs: ["*"]` |
//! | a claim with a `resourceSelector` | the same without verbs: it allows less than is needed |
//!
//! What others wrote comes back as it was.

use serde_json::{Value, json};

use super::text;

/// A version of `apis.kcp.io` for exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    V1alpha2,
    V1alpha1,
}

impl Version {
    /// Where exports are.
    pub(crate) fn exports(self) -> &'static str {
        match self {
            Self::V1alpha2 => "/apis/apis.kcp.io/v1alpha2/apiexports",
            Self::V1alpha1 => "/apis/apis.kcp.io/v1alpha1/apiexports",
        }
    }

    /// An export that was read, in v1alpha2.
    pub(crate) fn read(self, mut export: Value) -> Value {
        if self == Self::V1alpha2 {
            return export;
        }
        let spec = &mut export["spec"];
        if let Some(schemas) = spec["latestResourceSchemas"].as_array() {
            let resources: Vec<Value> = schemas.iter().map(|it| entry(&text(it))).collect();
            spec["resources"] = resources.into();
        }
        for claim in spec["permissionClaims"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            if claim["all"] == true && claim["resourceSelector"].is_null() {
                claim["verbs"] = json!(["*"]);
            }
        }
        export
    }

    /// A patch of such an export, as it is sent; with its lists in the order of the Go agent.
    pub(crate) fn write(self, mut patch: Value) -> Value {
        let spec = patch.get_mut("spec").and_then(Value::as_object_mut);
        let (Self::V1alpha1, Some(spec)) = (self, spec) else {
            return patch;
        };
        if let Some(Value::Array(mut resources)) = spec.remove("resources") {
            resources.sort_by_key(|it| format!("{}.{}", text(&it["name"]), text(&it["group"])));
            let schemas: Vec<&Value> = resources.iter().map(|it| &it["schema"]).collect();
            spec.insert("latestResourceSchemas".into(), json!(schemas));
        }
        if let Some(Value::Array(claims)) = spec.get_mut("permissionClaims") {
            claims.iter_mut().for_each(older);
            claims.sort_by_key(|it| (text(&it["group"]), text(&it["resource"])));
        }
        patch
    }
}

/// The entry for a schema: `v1.things.example.io` is the plural `things` of `example.io`.
fn entry(schema: &str) -> Value {
    let mut parts = schema.splitn(3, '.').skip(1);
    let mut next = || parts.next().unwrap_or_default();
    let (name, group) = (next(), next());
    let group = if group == "core" { "" } else { group };
    json!({"group": group, "name": name, "schema": schema})
}

fn older(claim: &mut Value) {
    let Some(claim) = claim.as_object_mut() else {
        return;
    };
    if claim.remove("verbs").is_some() {
        claim.remove("resourceSelector");
        claim.insert("all".into(), json!(true));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Offering, fill};
    use super::*;

    fn old() -> Value {
        json!({"metadata": {}, "spec": {
            "latestResourceSchemas": ["v1-abc.widgets.other.io", "odd"],
            "permissionClaims": [
                {"group": "other.io", "resource": "gadgets", "identityHash": "1", "resourceSelector": [{"name": "a"}]},
                {"resource": "secrets", "resourceSelector": [{"name": "b"}]},
                {"resource": "events", "all": true},
            ],
        }})
    }

    fn offering() -> Offering {
        let claim = |resource: &str| json!({"group": "", "resource": resource, "verbs": ["*"]});
        Offering {
            schemas: vec![json!({
                "metadata": {"name": "v1-abc.things.example.io"},
                "spec": {"group": "example.io", "names": {"plural": "things"}},
            })],
            claims: vec![claim("events"), claim("secrets")],
            agent: None,
        }
    }

    #[test]
    fn what_is_missing_is_written_and_what_others_wrote_comes_back_as_it_was() {
        let speaks = Version::V1alpha1;
        let patch = fill(&speaks.read(old()), &offering()).expect("something is missing");
        let sent = speaks.write(patch);
        assert_eq!(
            sent["spec"],
            json!({
                "latestResourceSchemas": ["odd", "v1-abc.things.example.io", "v1-abc.widgets.other.io"],
                "permissionClaims": [
                    {"resource": "events", "all": true},
                    {"resource": "secrets", "all": true},
                    {"group": "other.io", "resource": "gadgets", "identityHash": "1", "resourceSelector": [{"name": "a"}]},
                ],
            })
        );
        let mut filled = old();
        filled["spec"] = sent["spec"].clone();
        assert_eq!(fill(&speaks.read(filled), &offering()), None);
    }

    #[test]
    fn an_empty_export_is_filled_and_the_newer_version_is_left_as_it_is() {
        let empty = json!({"metadata": {}, "spec": {}});
        let speaks = Version::V1alpha1;
        let sent = speaks.write(fill(&speaks.read(empty.clone()), &offering()).unwrap());
        assert_eq!(
            sent["spec"],
            json!({
                "latestResourceSchemas": ["v1-abc.things.example.io"],
                "permissionClaims": [
                    {"group": "", "resource": "events", "all": true},
                    {"group": "", "resource": "secrets", "all": true},
                ],
            })
        );
        let newer = Version::default();
        let patch = fill(&newer.read(empty), &offering()).unwrap();
        assert_eq!(newer.write(patch.clone()), patch);
    }
}
