//! The schema that consumers see.

use serde_json::json;
use syncagent_core::definition::{Definition, FieldRule, Rule, SchemaSource};

use crate::fixture::{compile, crd, kind, spec_schema, thing};

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
