//! OpenAPI v2, as far as it says what built-in kinds look like: `definitions`, without operations.
//!
//! That is what clients read who have to know a kind that has no CRD. A real server tells of custom kinds too, in a reduced
//! form; those have a CRD that says more.

use serde_json::{Map, Value, json};

use super::{component, list, list_component, meta, object};
use crate::api::{Provenance, Resource};
use crate::builtin;

/// `/openapi/v2`.
#[must_use]
pub fn second<'a>(resources: impl IntoIterator<Item = &'a Resource>, version: &str) -> Value {
    let mut definitions = Map::new();
    let built_in = |it: &&Resource| it.provenance == Provenance::BuiltIn;
    for resource in resources.into_iter().filter(built_in) {
        let component = component(resource);
        if !builtin::kinds::is_review(resource) {
            definitions.insert(list_component(resource), list(resource, &component));
        }
        definitions.insert(component, object(resource));
    }
    if !definitions.is_empty() {
        definitions.extend(meta::schemas());
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {},
        "definitions": reduced(Value::Object(definitions)),
        "parameters": {},
        "security": [{"BearerToken": []}],
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header",
            "description": "Bearer Token authentication"}},
    })
}

/// In this version a reference may stand beside a description, and leads to a definition.
fn reduced(schema: Value) -> Value {
    match schema {
        Value::Object(mut members) => {
            if let Some(Value::Array(parts)) = members.get_mut("allOf")
                && let [Value::Object(part)] = parts.as_mut_slice()
                && part.contains_key("$ref")
            {
                let part = std::mem::take(part);
                members.remove("allOf");
                members.extend(part);
            }
            if let Some(Value::String(to)) = members.get_mut("$ref") {
                *to = to.replace("#/components/schemas/", "#/definitions/");
            }
            let members = members.into_iter();
            members.map(|(key, it)| (key, reduced(it))).collect()
        }
        Value::Array(items) => items.into_iter().map(reduced).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::kinds;

    #[test]
    fn built_in_kinds_are_defined_and_every_reference_leads_somewhere() {
        let document = second(&kinds::kubernetes(), "v1.36.2");
        let definitions = document["definitions"].as_object().expect("definitions");
        let secret = &definitions["io.k8s.api.core.v1.Secret"];
        assert_eq!(
            secret["x-kubernetes-group-version-kind"],
            json!([{"group": "", "version": "v1", "kind": "Secret"}])
        );
        assert_eq!(secret["properties"]["type"]["type"], "string");
        let metadata = &secret["properties"]["metadata"];
        assert_eq!(
            metadata["$ref"],
            "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
        );
        assert!(metadata["description"].is_string() && metadata.get("allOf").is_none());
        let text = document.to_string();
        assert!(!text.contains("#/components/"), "of the third version");
        for found in text.split("#/definitions/").skip(1) {
            let name = found.split('"').next().unwrap_or_default();
            assert!(definitions.contains_key(name), "{name}");
        }
    }
}
