//! Kinds without a CRD: section 3.1, step 6, of the contract.

use serde_json::{Value, json};
use syncagent_core::api::published_resource::PublishedResource;
use syncagent_core::compat::openapi::{Documents, Found};
use syncagent_core::compat::{FieldProblem, Projected, Source};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

/// Discovery of a group that has a kind in three versions, one of them with subresources.
fn lists() -> Vec<Value> {
    let widget = |version: &str, more: Value| {
        let mut resources = vec![
            json!({"name": "widgets", "singularName": "", "kind": "Widget", "namespaced": true,
            "shortNames": ["w"], "categories": ["all"]}),
        ];
        resources.extend(more.as_array().cloned().unwrap_or_default());
        json!({"groupVersion": format!("example.io/{version}"), "resources": resources})
    };
    vec![
        widget(
            "v1",
            json!([
                {"name": "widgets/status", "kind": "Widget", "namespaced": true},
                {"name": "widgets/scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "namespaced": true},
                {"name": "gadgets", "kind": "Gadget", "namespaced": false},
            ]),
        ),
        widget(
            "v2alpha1",
            json!([{"name": "widgets/scale", "kind": "Widget", "namespaced": true}]),
        ),
        widget("v1beta1", json!([])),
        json!({"groupVersion": "other.io/v9", "resources": [{"name": "widgets", "kind": "Widget", "namespaced": false}]}),
    ]
}

/// A document that describes a kind in these versions with this schema.
fn openapi(group: &str, kind: &str, versions: &[&str], schema: &Value, more: &Value) -> Value {
    let mut definitions = more.as_object().cloned().unwrap_or_default();
    for version in versions {
        let mut schema = schema.clone();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": group, "version": version, "kind": kind}]);
        definitions.insert(format!("io.example.{version}.{kind}"), schema);
    }
    json!({"definitions": definitions})
}

fn source(kind: &str, preferred: &str, openapi: &Value) -> Result<Source, FieldProblem> {
    let lists = lists();
    let found = Found::of("example.io", kind, &lists)?;
    let documents = Documents {
        lists: &lists,
        preferred,
        openapi,
    };
    Source::from_openapi(&found, &documents)
}

/// What becomes of the schema of one kind.
fn converted(schema: &Value, more: &Value) -> Value {
    let openapi = openapi(
        "example.io",
        "Widget",
        &["v1", "v1beta1", "v2alpha1"],
        schema,
        more,
    );
    let source = source("Widget", "v1", &openapi).expect("it can be told");
    source.crd()["spec"]["versions"][2]["schema"]["openAPIV3Schema"].clone()
}

/// What becomes of the schema of one field.
fn field(schema: &Value, more: &Value) -> Value {
    let object = json!({"type": "object", "properties": {"a": schema}});
    converted(&object, more)["properties"]["a"].clone()
}

fn plain() -> Value {
    json!({"type": "object", "description": "A widget.", "properties": {}})
}

#[test]
fn s3_1_a_crd_is_made_of_discovery() {
    let openapi = openapi(
        "example.io",
        "Widget",
        &["v1", "v1beta1", "v2alpha1"],
        &plain(),
        &Value::Null,
    );
    let source = source("Widget", "v1", &openapi).unwrap();
    let schema = json!({"openAPIV3Schema": {"type": "object", "description": "A widget."}});
    assert_eq!(
        *source.crd(),
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.io"},
            "spec": {
                "group": "example.io",
                "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
                    "shortNames": ["w"], "categories": ["all"]},
                "scope": "Namespaced",
                // By their maturity, whatever the order of discovery.
                "versions": [
                    {"name": "v2alpha1", "served": true, "storage": false, "schema": schema,
                        "subresources": {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}},
                    {"name": "v1beta1", "served": true, "storage": false, "schema": schema, "subresources": {}},
                    // Of another kind a subresource is not seen.
                    {"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"status": {}}},
                ],
                "conversion": {"strategy": "None"},
            },
        })
    );
    assert_eq!(
        source.resource_schema("a")["metadata"]["annotations"]["syncagent.kcp.io/source-generation"],
        "0"
    );
}

#[test]
fn s3_1_the_preferred_version_is_that_of_the_group_where_it_has_the_kind() {
    let of = |kind: &str, preferred: &str| {
        let openapi = openapi(
            "example.io",
            kind,
            &["v1", "v1beta1", "v2alpha1"],
            &plain(),
            &Value::Null,
        );
        source(kind, preferred, &openapi)
            .unwrap()
            .stored()
            .unwrap()
            .version
    };
    assert_eq!(of("Widget", "v1beta1"), "v1beta1");
    // Gadgets are in v1 alone.
    assert_eq!(of("Gadget", "v1beta1"), "v1");
}

#[test]
fn s3_1_what_is_missing_is_told() {
    let lists = lists();
    let problem = Found::of("example.io", "Nothing", &lists).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "spec.resource: the service cluster serves no Nothing in the group `example.io`"
    );
    let described = openapi("example.io", "Widget", &["v1"], &plain(), &Value::Null);
    let problem = source("Widget", "v1", &described).unwrap_err();
    assert!(
        problem.what.starts_with(
            "the OpenAPI document of the service cluster does not describe Widget of example.io/v"
        ),
        "{problem}"
    );
    for document in [Value::Null, json!({"definitions": []}), json!([1])] {
        assert!(source("Widget", "v1", &document).is_err());
    }
    assert!(
        Found::of(
            "",
            "Widget",
            &[Value::Null, json!({"groupVersion": 1, "resources": {}})]
        )
        .is_err()
    );
}

#[test]
fn s3_1_a_kind_of_the_core_group_has_to_be_offered_in_another_one() {
    let lists = vec![json!({"groupVersion": "v1", "resources": [
        {"name": "services", "singularName": "service", "kind": "Service", "namespaced": true},
        {"name": "services/status", "singularName": "", "kind": "Service", "namespaced": true}]})];
    let found = Found::of("", "Service", &lists).unwrap();
    assert_eq!(
        (found.plural(), found.crd_name().as_str()),
        ("services", "services.core")
    );
    let openapi = openapi("", "Service", &["v1"], &plain(), &Value::Null);
    let documents = Documents {
        lists: &lists,
        preferred: "v1",
        openapi: &openapi,
    };
    let source = Source::from_openapi(&found, &documents).unwrap();
    let publication = |projection: Value| -> PublishedResource {
        serde_json::from_value(json!({"metadata": {}, "spec": {
            "resource": {"apiGroup": "", "kind": "Service"}, "projection": projection}}))
        .unwrap()
    };
    let problems = Projected::of(&publication(Value::Null), &source).unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "spec.projection.group: is missing: a kind of the core group has to be offered in a group of your own; name one, as in `core.example.io`"
        ]
    );
    let projected =
        Projected::of(&publication(json!({"group": "core.example.io"})), &source).unwrap();
    assert!(
        projected
            .schema_name()
            .ends_with(".services.core.example.io")
    );
    assert_eq!(
        (
            projected.local().group.as_str(),
            projected.local().version.as_str()
        ),
        ("", "v1")
    );
}

#[test]
fn s3_1_a_protected_group_is_approved_in_the_crd_and_never_in_the_schema() {
    let lists = vec![json!({"groupVersion": "metrics.k8s.io/v1", "resources": [
        {"name": "pods", "singularName": "", "kind": "PodMetrics", "namespaced": true}]})];
    let found = Found::of("metrics.k8s.io", "PodMetrics", &lists).unwrap();
    let openapi = openapi(
        "metrics.k8s.io",
        "PodMetrics",
        &["v1"],
        &plain(),
        &Value::Null,
    );
    let documents = Documents {
        lists: &lists,
        preferred: "v1",
        openapi: &openapi,
    };
    let source = Source::from_openapi(&found, &documents).unwrap();
    assert_eq!(
        source.crd()["metadata"]["annotations"],
        json!({"api-approved.kubernetes.io": "https://github.com/kcp-dev/kubernetes/pull/4"})
    );
    let annotations = source.resource_schema("a")["metadata"]["annotations"].clone();
    assert_eq!(annotations.get("api-approved.kubernetes.io"), None);
    let publication = serde_json::from_value(json!({"metadata": {}, "spec": {
        "resource": {"apiGroup": "metrics.k8s.io", "kind": "PodMetrics"}}}))
    .unwrap();
    let problems = Projected::of(&publication, &source).unwrap_err();
    assert_eq!(problems[0].path, "spec.projection.group");
}

#[test]
fn s3_1_objects_keep_their_fields_and_what_is_required() {
    let schema = json!({
        "type": "object", "description": "A widget.", "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "The version."},
            "metadata": {"$ref": format!("#/definitions/{META}.ObjectMeta"), "description": "Standard."},
            "spec": refer("io.example.Spec"),
        },
    });
    let more = json!({
        format!("{META}.ObjectMeta"): {"type": "object", "properties": {"name": {"type": "string"}}},
        "io.example.Spec": {"description": "What is wanted.", "required": ["size"], "properties": {
            "size": {"type": "integer", "format": "int32", "default": 3},
            "flag": {"type": "boolean"}, "ratio": {"type": "number", "format": "double"}}},
    });
    assert_eq!(
        converted(&schema, &more),
        json!({
            "type": "object", "description": "A widget.", "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string", "description": "The version."},
                "metadata": {"type": "object"},
                // A definition of an old server says no type.
                "spec": {"type": "object", "description": "What is wanted.", "required": ["size"], "properties": {
                    "size": {"type": "integer", "format": "int32", "default": 3},
                    "flag": {"type": "boolean"}, "ratio": {"type": "number", "format": "double"}}},
            },
        })
    );
}

#[test]
fn s3_1_a_fields_description_counts_more_than_its_types() {
    let more = json!({"t": {"type": "object", "description": "The type.", "properties": {}}});
    let with = |description: Value| {
        let mut it = refer("t");
        if !description.is_null() {
            it["description"] = description;
        }
        field(&it, &more)["description"].clone()
    };
    assert_eq!(with(json!("The field.")), "The field.");
    assert_eq!(with(Value::Null), "The type.");
}

#[test]
fn s3_1_maps_and_values_of_any_kind() {
    assert_eq!(
        field(
            &json!({"type": "object", "additionalProperties": {"type": "string"}}),
            &Value::Null
        ),
        json!({"type": "object", "additionalProperties": {"type": "string"}})
    );
    let anything = json!({"x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(
        field(&json!({"type": "object"}), &Value::Null),
        json!({"type": "object", "additionalProperties": anything})
    );
    assert_eq!(
        field(&json!({"description": "Whatever."}), &Value::Null),
        json!({"description": "Whatever.", "x-kubernetes-preserve-unknown-fields": true})
    );
}

#[test]
fn s3_1_lists_are_merged_as_they_say_or_as_they_were_patched() {
    let item = json!({"type": "object", "required": ["value"], "properties": {
        "name": {"type": "string"}, "value": {"type": "string"}, "port": {"type": "string", "default": "x"}}});
    let list = |more: Value| {
        let mut list = json!({"type": "array", "items": refer("item")});
        for (key, value) in more.as_object().unwrap() {
            list[key] = value.clone();
        }
        field(&list, &json!({"item": item}))
    };
    let plain = list(json!({}));
    assert_eq!(
        (&plain["x-kubernetes-list-type"], &plain["items"]),
        (&json!("atomic"), &item)
    );
    // What is declared is kept; keys are required unless they have a default.
    let declared = list(
        json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"],
        "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "value"}),
    );
    assert_eq!(
        declared["x-kubernetes-list-map-keys"],
        json!(["name", "port"])
    );
    assert_eq!(declared["items"]["required"], json!(["value", "name"]));
    for strategy in ["merge", "merge,retainKeys"] {
        let patched = list(
            json!({"x-kubernetes-patch-strategy": strategy, "x-kubernetes-patch-merge-key": "name"}),
        );
        assert_eq!(patched["x-kubernetes-list-type"], "map");
        assert_eq!(patched["x-kubernetes-list-map-keys"], json!(["name"]));
        assert_eq!(patched["items"]["required"], json!(["value", "name"]));
    }
    let replaced = list(json!({"x-kubernetes-patch-strategy": "replace"}));
    assert_eq!(replaced["x-kubernetes-list-type"], "atomic");
    let scalars = |strategy: &str| {
        let list = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": strategy});
        field(&list, &Value::Null)["x-kubernetes-list-type"].clone()
    };
    assert_eq!(
        (scalars("merge"), scalars("")),
        (json!("set"), json!("atomic"))
    );
}

#[test]
fn s3_1_types_with_a_form_of_their_own() {
    let object = json!({"type": "object", "description": "The type."});
    for (name, wanted) in [
        (
            format!("{META}.ObjectMeta"),
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        ),
        (
            format!("{META}.Time"),
            json!({"type": "string", "format": "date-time"}),
        ),
        (
            format!("{META}.MicroTime"),
            json!({"type": "string", "format": "date-time"}),
        ),
        (format!("{META}.Duration"), json!({"type": "string"})),
        (
            format!("{META}.Fields"),
            json!({"type": "object", "additionalProperties": true}),
        ),
        (
            format!("{META}.unstructured.Unstructured"),
            json!({"type": "object"}),
        ),
        (
            "io.k8s.apimachinery.pkg.runtime.RawExtension".into(),
            json!({"type": "object"}),
        ),
        (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString".into(),
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ),
        (
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON".into(),
            json!({"x-kubernetes-preserve-unknown-fields": true}),
        ),
        (
            "io.k8s.api.core.v1.Protocol".into(),
            json!({"type": "string", "default": "TCP"}),
        ),
    ] {
        let mut wanted = wanted;
        wanted["description"] = json!("The type.");
        assert_eq!(
            field(&refer(&name), &json!({&name: object})),
            wanted,
            "{name}"
        );
    }
    let quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
    let found = field(&refer(quantity), &json!({quantity: {"type": "string"}}));
    assert_eq!(found["x-kubernetes-int-or-string"], true);
    assert!(found["pattern"].as_str().unwrap().contains("[numkMGTPE]"));
    assert_eq!(found.get("type"), None);
    let props = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    assert_eq!(field(&refer(props), &json!({props: object})), json!({}));
}

#[test]
fn s3_1_protocols_of_ports_are_tcp_where_nothing_is_said() {
    let port = json!({"type": "object", "properties": {"protocol": {"type": "string"}, "port": {"type": "integer"}}});
    for (name, wanted) in [
        ("io.k8s.api.core.v1.ContainerPort", json!("TCP")),
        ("io.k8s.api.core.v1.ServicePort", json!("TCP")),
        ("io.k8s.api.core.v1.OtherPort", Value::Null),
    ] {
        let list = json!({"type": "array", "items": refer(name),
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]});
        let items = field(&list, &json!({name: port}))["items"].clone();
        assert_eq!(items["properties"]["protocol"]["default"], wanted, "{name}");
        let defaulted = !wanted.is_null();
        let keys = if defaulted {
            json!(["port"])
        } else {
            json!(["port", "protocol"])
        };
        assert_eq!(items["required"], keys, "{name}");
    }
}

#[test]
fn s3_1_a_type_that_contains_itself_cannot_be_told() {
    let tree = json!({"tree": {"type": "object", "properties": {"children": {"type": "array", "items": refer("tree")}}}});
    let object = json!({"type": "object", "properties": {"a": refer("tree")}});
    let openapi = openapi(
        "example.io",
        "Widget",
        &["v1", "v1beta1", "v2alpha1"],
        &object,
        &tree,
    );
    let problem = source("Widget", "v1", &openapi).unwrap_err();
    assert!(
        problem
            .what
            .ends_with("cannot be told in a CRD: `tree` contains itself"),
        "{problem}"
    );
    // Twice beside each other is not inside itself.
    let twice = json!({"type": "object", "properties": {"a": refer("leaf"), "b": refer("leaf")}});
    let leaf = json!({"leaf": {"type": "object", "properties": {}}});
    assert_eq!(
        converted(&twice, &leaf)["properties"]["b"],
        json!({"type": "object"})
    );
    let nowhere = json!({"type": "object", "properties": {"a": refer("nowhere")}});
    let openapi = self::openapi(
        "example.io",
        "Widget",
        &["v1", "v1beta1", "v2alpha1"],
        &nowhere,
        &Value::Null,
    );
    assert!(source("Widget", "v1", &openapi).is_err());
}
