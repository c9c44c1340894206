//! A subset of a schema's fields: what consumers see when a provider shows only some of a kind.
//!
//! The same choice prunes the schema that is published and the object that goes down, so what is not seen is neither sent
//! nor cleared: the operator's own fields stay the operator's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::object::path::{Path, Step};

/// The fields that are seen, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subset {
    /// Everything from here on.
    whole: bool,
    fields: BTreeMap<String, Self>,
    each: Option<Box<Self>>,
}

impl Subset {
    /// What these paths and everything below them cover.
    #[must_use]
    pub fn of(paths: &[Path]) -> Self {
        let mut root = Self::default();
        for path in paths {
            let mut node = &mut root;
            for step in path.steps() {
                node = match step {
                    Step::Field(name) => node.fields.entry(name.clone()).or_default(),
                    Step::Each => node.each.get_or_insert_default(),
                };
            }
            node.whole = true;
        }
        root
    }

    /// Whether something at or below a path is seen.
    #[must_use]
    pub fn touches(&self, path: &Path) -> bool {
        self.at(path).is_some()
    }

    /// Whether all of a path is seen.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        self.at(path).is_some_and(|node| node.whole)
    }

    /// What is seen at a path, or above it where that is seen whole; `None`: nothing.
    fn at(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |node, step| match step {
            _ if node.whole => Some(node),
            Step::Field(name) => node.fields.get(name),
            Step::Each => node.each.as_deref(),
        })
    }

    /// The object without what is not seen.
    #[must_use]
    pub fn prune(&self, object: &Value) -> Value {
        if self.whole {
            return object.clone();
        }
        match object {
            Value::Object(map) => {
                let seen = map.iter().filter_map(|(name, value)| {
                    Some((name.clone(), self.prune_field(name, value)?))
                });
                Value::Object(seen.collect())
            }
            Value::Array(list) => match &self.each {
                Some(each) => list.iter().map(|it| each.prune(it)).collect(),
                None => Value::Null,
            },
            _ => Value::Null,
        }
    }

    /// A field of an object without what is not seen; `None`: nothing of it is.
    #[must_use]
    pub fn prune_field(&self, name: &str, value: &Value) -> Option<Value> {
        if self.whole {
            return Some(value.clone());
        }
        Some(self.fields.get(name)?.prune(value))
    }

    /// The schema without what is not seen. Rules and alternatives of a node that is seen in part are left out: they may
    /// speak of what is not there.
    #[must_use]
    pub fn schema(&self, schema: &Value) -> Value {
        if self.whole {
            return schema.clone();
        }
        let mut out = schema.as_object().cloned().unwrap_or_default();
        for part in [
            "x-kubernetes-validations",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "properties",
            "additionalProperties",
            "x-kubernetes-preserve-unknown-fields",
            "maxProperties",
            "minProperties",
            "example",
        ] {
            out.remove(part);
        }
        if let Some(each) = &self.each {
            let mut each = (**each).clone();
            for key in schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
            {
                if let Some(key) = key.as_str() {
                    // A list of this kind cannot be without its keys.
                    each.fields.entry(key.to_owned()).or_default().whole = true;
                }
            }
            out.insert("items".into(), each.schema(&schema["items"]));
        }
        let mut properties = Map::new();
        for (name, below) in &self.fields {
            let declared = &schema["properties"][name];
            let found = match (declared, &schema["additionalProperties"]) {
                (Value::Null, Value::Null | Value::Bool(_)) => {
                    json!({"x-kubernetes-preserve-unknown-fields": true})
                }
                (Value::Null, more) => more.clone(),
                (declared, _) => declared.clone(),
            };
            properties.insert(name.clone(), below.schema(&found));
        }
        if let Some(required) = out.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|it| it.as_str().is_some_and(|it| properties.contains_key(it)));
            if required.is_empty() {
                out.remove("required");
            }
        }
        if let Some(default) = out.get_mut("default") {
            *default = self.prune(default);
        }
        if !properties.is_empty() {
            out.insert("properties".into(), Value::Object(properties));
        }
        Value::Object(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subset(paths: &[&str]) -> Subset {
        let paths: Vec<Path> = paths.iter().map(|it| it.parse().unwrap()).collect();
        Subset::of(&paths)
    }

    #[test]
    fn what_is_not_seen_is_neither_in_the_object_nor_in_the_schema() {
        let seen = subset(&["spec.size", "spec.items[].a", "status"]);
        let object = json!({"spec": {"size": 1, "pool": "x", "items": [{"a": 1, "b": 2}, {"b": 3}]}, "status": {"x": 1}, "data": 1});
        assert_eq!(
            seen.prune(&object),
            json!({"spec": {"size": 1, "items": [{"a": 1}, {}]}, "status": {"x": 1}})
        );
        let schema = json!({"type": "object", "required": ["spec", "data"], "properties": {
            "spec": {"type": "object", "required": ["pool"], "x-kubernetes-validations": [{"rule": "has(self.pool)"}],
                "properties": {"size": {"type": "integer"}, "pool": {"type": "string"},
                    "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                        "items": {"type": "object", "required": ["id", "b"], "properties":
                            {"id": {"type": "string"}, "a": {"type": "integer"}, "b": {"type": "integer"}}}}}},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }});
        assert_eq!(
            seen.schema(&schema),
            json!({"type": "object", "required": ["spec"], "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"},
                    "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                        "items": {"type": "object", "required": ["id"], "properties":
                            {"id": {"type": "string"}, "a": {"type": "integer"}}}}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }})
        );
    }

    #[test]
    fn a_key_of_a_map_becomes_a_field() {
        let seen = subset(&["spec.labels.tier"]);
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}}}}}});
        assert_eq!(
            seen.schema(&schema)["properties"]["spec"]["properties"]["labels"],
            json!({"type": "object", "properties": {"tier": {"type": "string"}}})
        );
    }

    #[test]
    fn paths_are_seen_as_a_whole_or_in_part() {
        let seen = subset(&["spec.items[].a"]);
        let path = |text: &str| text.parse::<Path>().unwrap();
        assert!(seen.touches(&path("spec.items")) && !seen.covers(&path("spec.items")));
        assert!(seen.covers(&path("spec.items[].a.b")));
        assert!(!seen.touches(&path("spec.items[].b")));
    }
}
