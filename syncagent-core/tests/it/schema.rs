//! The schema that consumers see.

use serde_json::{Value, json};
use syncagent_core::definition::{Definition, FieldRule, Rule, SchemaSource};
use syncagent_core::publication::Publications;

use crate::fixture::{AGENT, compile, crd, kind, spec_schema, thing};

#[test]
fn a_schema_is_named_by_its_content() {
    let name = |definition: Definition| {
        let schema = compile(definition).resource_schema(None).unwrap();
        schema["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let one = name(thing());
    assert_eq!(one, name(thing()));
    let (version, rest) = one.split_once('.').unwrap();
    assert_eq!(rest, "things.example.io");
    assert!(
        version.len() == 9
            && version.starts_with('v')
            && version[1..].bytes().all(|b| b.is_ascii_hexdigit())
    );
    let kind = kind("example.io", "Thing", "things");
    let other = Definition {
        schema: SchemaSource::Type(crd(&kind, &json!({"size": {"type": "string"}}))),
        status: syncagent_core::definition::StatusRule::None,
        ..thing()
    };
    assert_ne!(one, name(other));
}

#[test]
fn hidden_fields_are_not_in_it_and_conditions_are() {
    let kind = kind("example.io", "Thing", "things");
    let mut source = crd(&kind, &spec_schema());
    let spec =
        &mut source["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["required"] = json!(["pool"]);
    source["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
        {"name": "Pool", "type": "string", "jsonPath": ".spec.pool"},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
    ]);
    let hidden = |path: &str| FieldRule {
        path: path.into(),
        rule: Rule::Hidden,
    };
    let publication = compile(Definition {
        schema: SchemaSource::Type(source),
        fields: vec![hidden("spec.pool"), hidden("spec.items[].a")],
        ..thing()
    });
    let schema = publication.resource_schema(None).unwrap();
    assert_eq!(
        (
            &schema["spec"]["scope"],
            &schema["spec"]["names"]["listKind"]
        ),
        (&json!("Namespaced"), &json!("ThingList"))
    );
    let version = &schema["spec"]["versions"][0];
    assert_eq!(
        version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(version["subresources"], json!({"status": {}}));
    let properties = &version["schema"]["properties"];
    assert!(properties["spec"]["properties"].get("pool").is_none());
    assert!(properties["spec"].get("required").is_none());
    assert!(
        properties["spec"]["properties"]["items"]["items"]["properties"]
            .get("a")
            .is_none()
    );
    assert_eq!(
        properties["status"]["properties"]["conditions"]["items"]["required"],
        json!(["type", "status"])
    );
    assert!(version["schema"].get("openAPIV3Schema").is_none());
}

/// A schema as somebody else makes it, with a name and metadata of its own.
fn ready() -> Value {
    let version = |name: &str, storage: bool, size: &str| {
        json!({"name": name, "served": true, "storage": storage, "subresources": {},
            "schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                "size": {"type": size}, "secret": {"type": "string"}}}}}})
    };
    json!({
        "apiVersion": "apis.kcp.io/v1alpha1",
        "kind": "APIResourceSchema",
        "metadata": {"name": "v0123abcd.things.example.io", "labels": {"a": "b"}},
        "spec": {
            "group": "example.io",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "scope": "Namespaced",
            "versions": [version("v1", true, "integer"), version("v2", false, "integer")],
            "conversion": {"strategy": "None"},
        },
    })
}

fn offering(schema: Value) -> Definition {
    let kind = kind("example.io", "Thing", "things");
    Definition {
        schema: SchemaSource::Ready(schema),
        only: thing().only,
        ..Definition::new(kind.clone(), kind)
    }
}

#[test]
fn a_schema_that_was_made_elsewhere_is_published_as_it_is() {
    let publication = compile(offering(ready()));
    assert!(!publication.needs_crd());
    assert_eq!(publication.resource_schema(None).unwrap(), ready());
    assert_eq!(publication.warnings(), Vec::<String>::new());
    // The service's own CRD is still held against it.
    let kind = kind("example.io", "Thing", "things");
    let mut served = crd(&kind, &spec_schema());
    assert_eq!(publication.resource_schema(Some(&served)).unwrap(), ready());
    publication.check(&served).unwrap();
    served["spec"]["versions"][0]["served"] = json!(false);
    assert!(publication.check(&served).is_err());
}

#[test]
fn a_schema_that_was_made_elsewhere_offers_what_is_offered() {
    let mut other = ready();
    other["spec"]["group"] = json!("other.io");
    other["spec"]["names"] = json!({"plural": "others"});
    other["spec"]["scope"] = json!("Cluster");
    other["spec"]["versions"][0]["storage"] = json!(false);
    let problems = Publications::compile(AGENT, &[offering(other)]).unwrap_err();
    let lines: Vec<_> = problems.0.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(
        lines,
        [
            "schema: its group is other.io, and example.io is offered",
            "schema: its kind is missing, and Thing is offered",
            "schema: its plural is others, and things is offered",
            "schema: its scope is Cluster, and Namespaced is offered",
            "schema: it does not serve and store the version v1",
        ]
    );
    // Nothing that was made elsewhere makes the agent fall over.
    for nothing in [Value::Null, json!({"spec": []}), json!("x")] {
        assert!(Publications::compile(AGENT, &[offering(nothing)]).is_err());
    }
}

#[test]
fn versions_of_a_schema_that_was_made_elsewhere_may_differ_and_it_is_said() {
    let mut unlike = ready();
    unlike["spec"]["versions"][1]["schema"]["properties"]["spec"]["properties"]["more"] =
        json!({"type": "string"});
    let publication = compile(offering(unlike));
    let warnings = publication.warnings();
    assert!(
        warnings.len() == 1
            && warnings[0].starts_with(
                "versions: what is written in v2 is stored in v1 and only renamed, and there:"
            ),
        "{warnings:?}"
    );
}

#[test]
fn fields_are_looked_up_in_a_schema_that_was_made_elsewhere() {
    let mut definition = offering(ready());
    definition.fields = vec![FieldRule {
        path: "spec.nowhere".into(),
        rule: Rule::Local,
    }];
    let problems = Publications::compile(AGENT, &[definition]).unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("`spec.nowhere` is not in the schema of Thing")
    );
}
