//! OpenAPI v2, as far as it says what built-in kinds look like: `definitions`, without operations.
//!
//! That is what clients read who have to know a kind that has no CRD. Custom kinds are there in a reduced form, for this
//! version knows neither null nor alternatives; their CRD says more.

use serde_json::{Map, Value, json};

use super::{component, list, list_component, meta, object};
use crate::api::{Provenance, Resource};
use crate::builtin;

/// `/openapi/v2`.
#[must_use]
pub fn second<'a>(resources: impl IntoIterator<Item = &'a Resource>, version: &str) -> Value {
    let mut definitions = Map::new();
    for resource in resources {
        let component = component(resource);
        if !builtin::kinds::is_review(resource) {
            definitions.insert(list_component(resource), list(resource, &component));
        }
        let mut schema = object(resource);
        if resource.provenance != Provenance::BuiltIn {
            plain(&mut schema);
        }
        definitions.insert(component, schema);
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

/// The part of a custom kind's schema that this version can say.
fn plain(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    for alternative in ["anyOf", "oneOf", "not"] {
        members.remove(alternative);
    }
    let nullable = members.remove("nullable") == Some(json!(true));
    if nullable {
        members.remove("type");
    }
    if nullable || members.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true)) {
        members.remove("properties");
        members.remove("items");
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(plain);
    }
    for below in ["items", "additionalProperties"] {
        members.get_mut(below).into_iter().for_each(plain);
    }
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
    fn of_a_custom_kind_is_said_what_this_version_can_say() {
        let spec = json!({"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "size": {"type": "integer", "nullable": true, "description": "how large"},
            "more": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {}}},
            "parts": {"type": "array", "items": {"type": "object", "oneOf": [{"required": ["a"]}]}},
        }});
        let expected = json!({"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true},
            "size": {"description": "how large"},
            "more": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "parts": {"type": "array", "items": {"type": "object"}},
        }});
        let mut widget = kinds::kubernetes().remove(0);
        widget.group = "w.example.com".into();
        widget.kind = "Widget".into();
        widget.provenance = Provenance::Crd("widgets.w.example.com".into());
        widget.schema = Some(json!({"type": "object", "properties": {"spec": spec}}).into());
        let document = second(&[widget], "v1.36.2");
        let definitions = document["definitions"].as_object().expect("definitions");
        let told = definitions.iter().find(|it| it.0.ends_with(".Widget"));
        assert_eq!(
            told.expect("it is told of").1["properties"]["spec"],
            expected
        );
    }

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
