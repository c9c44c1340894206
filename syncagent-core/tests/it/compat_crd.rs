//! The definition of `PublishedResource`: section 2 of the contract, as far as it can be read off the document. What a server
//! makes of it is in the facade's `tests/it/published_resources.rs`.

use expect_test::expect_file;
use serde_json::{Value, json};
use syncagent_core::api::published_resource::crd;

fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
    let step = |at: &'a Value, name: &str| match name {
        "[]" => &at["items"],
        name => &at["properties"][name],
    };
    path.split('.')
        .filter(|it| !it.is_empty())
        .fold(schema, step)
}

#[test]
fn s2_the_document() {
    let text = serde_json::to_string_pretty(&crd()).expect("it is JSON");
    expect_file!["compat_crd.json"].assert_eq(&(text + "\n"));
}

#[test]
fn s2_1_what_is_required_is_required_and_nothing_else() {
    let crd = crd();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    for (path, wanted) in [
        ("", json!(["spec"])),
        ("spec", json!(["resource"])),
        ("spec.resource", json!(["apiGroup", "kind"])),
        ("spec.synchronization", json!(["enabled"])),
        ("spec.projection", Value::Null),
        ("spec.naming", Value::Null),
        ("spec.mutation.spec.[].delete", json!(["path"])),
        ("spec.mutation.spec.[].regex", json!(["path"])),
        (
            "spec.mutation.spec.[].template",
            json!(["path", "template"]),
        ),
        ("spec.mutation.status.[].cel", json!(["path", "expression"])),
        ("spec.related.[]", json!(["identifier", "origin"])),
        ("spec.related.[].object", Value::Null),
        ("spec.related.[].object.reference", json!(["path"])),
        ("spec.related.[].object.selector", json!(["rewrite"])),
        (
            "spec.related.[].object.namespace.selector",
            json!(["rewrite"]),
        ),
        ("spec.related.[].reference", json!(["name"])),
        ("status", Value::Null),
    ] {
        assert!(at(schema, path).is_object(), "{path}");
        let required = at(schema, path)
            .get("required")
            .cloned()
            .unwrap_or_default();
        assert_eq!(required, wanted, "{path}");
    }
}

#[test]
fn s2_2_the_rules_and_their_messages_stand_as_they_are() {
    let crd = crd();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let rules = |path: &str| -> Vec<(String, String)> {
        let rules = at(schema, path)["x-kubernetes-validations"]
            .as_array()
            .expect("rules");
        let text = |it: &Value| it.as_str().expect("a text").to_owned();
        rules
            .iter()
            .map(|it| (text(&it["rule"]), text(&it["message"])))
            .collect()
    };
    let pair = |(rule, message): (&str, &str)| (rule.to_owned(), message.to_owned());
    let go = [
        (
            "has(self.kind) != (has(self.version) || has(self.resource))",
            "must specify either kind (deprecated) or group, version, resource",
        ),
        (
            "has(self.resource) == has(self.version)",
            "resource and version must be configured together or not at all",
        ),
        (
            "!has(self.group) || (has(self.resource) && has(self.version))",
            "configuring a group also requires a version and resource",
        ),
        (
            "!has(self.identityHash) || (has(self.group) && has(self.version) && has(self.resource))",
            "identity hashes can only be used with GVRs",
        ),
        (
            "!(self.origin == 'service' && has(self.syncStatus) && self.syncStatus) || has(self.watch)",
            "watch must be configured when origin is service and syncStatus is true",
        ),
    ];
    let ours = rules("spec.related.[]");
    assert_eq!(ours[..5], go.map(pair));
    // The first form makes `object` optional: one of both has to be there.
    assert_eq!(ours[5].0, "has(self.object) != has(self.reference)");
    assert_eq!(ours.len(), 6);
    assert_eq!(
        rules("spec.related.[].watch"),
        [pair((
            "has(self.byOwner) != has(self.bySelector)",
            "exactly one of byOwner or bySelector must be set"
        ))]
    );
    // There are no others, no defaults, and no columns.
    let text = crd.to_string();
    assert_eq!(text.matches("x-kubernetes-validations").count(), 2);
    assert_eq!(text.matches(r#""default""#).count(), 0);
    assert_eq!(
        crd["spec"]["versions"][0].get("additionalPrinterColumns"),
        None
    );
}

#[test]
fn s2_1_null_is_a_word_of_its_own_for_two_lists_only() {
    let text = crd().to_string();
    assert_eq!(text.matches(r#""nullable":true"#).count(), 2);
}

#[test]
fn s2_the_schema_is_one_that_a_server_takes() {
    let crd = crd();
    fn walk(schema: &Value, path: &str) {
        for banned in [
            "$ref", "$defs", "$schema", "oneOf", "anyOf", "allOf", "const", "title", "default",
        ] {
            assert_eq!(schema.get(banned), None, "{path} has {banned}");
        }
        let known = ["object", "array", "string", "boolean", "integer"];
        let of = schema["type"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has no type"));
        assert!(known.contains(&of), "{path} is {of}");
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            walk(below, &format!("{path}.{name}"));
        }
        for name in ["items", "additionalProperties"] {
            if let Some(below) = schema.get(name) {
                walk(below, &format!("{path}.{name}"));
            }
        }
    }
    walk(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "");
}
