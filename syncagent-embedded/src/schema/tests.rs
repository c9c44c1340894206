use serde_json::{Value, json};

use super::*;

fn of_spec(spec: &Value) -> Schema {
    Schema::compile(&json!({"type": "object", "properties": {"spec": spec}})).expect("a schema")
}

fn object(spec: &Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a"}, "spec": spec})
}

/// The problems with a spec, one a line.
fn problems(schema: &Schema, spec: &Value) -> Vec<String> {
    let causes = schema.validate(&object(spec), None);
    causes.iter().map(Cause::line).collect()
}

fn admitted(schema: &Schema, spec: &Value) -> (Value, Vec<String>) {
    let mut object = object(spec);
    let unknown = schema.admit(&mut object).expect("metadata");
    (object["spec"].take(), unknown)
}

#[test]
fn a_wrong_type_is_told_by_its_json_name() {
    let schema = of_spec(&json!({"type": "object", "properties": {
        "s": {"type": "string"}, "i": {"type": "integer"}, "l": {"type": "array", "items": {"type": "string"}},
        "i32": {"type": "integer", "format": "int32"}, "p": {"x-kubernetes-int-or-string": true},
        "d": {"type": "string", "format": "date-time"}}}));
    for (spec, wanted) in [
        (
            json!({"s": 1}),
            "spec.s: Invalid value: \"integer\": spec.s in body must be of type string: \"integer\"",
        ),
        (
            json!({"s": null}),
            "spec.s: Invalid value: \"null\": spec.s in body must be of type string: \"null\"",
        ),
        (
            json!({"l": ["a", 1]}),
            "spec.l[1]: Invalid value: \"integer\": spec.l[1] in body must be of type string: \"integer\"",
        ),
        (
            json!({"p": 1.5}),
            "spec.p: Invalid value: \"number\": spec.p in body must be of type integer,string: \"number\"",
        ),
        (
            json!({"i32": 3_000_000_000u64}),
            "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in spec.i32",
        ),
        (
            json!({"d": "x"}),
            "spec.d: Invalid value: \"x\": spec.d in body must be of type date-time: \"x\"",
        ),
    ] {
        assert_eq!(problems(&schema, &spec), [wanted]);
    }
    assert_eq!(
        problems(&schema, &json!({"i": 1.5})),
        [
            "<nil>: Invalid value: \"\": Checked value must be of type integer (default format) in spec.i",
            "spec.i: Invalid value: \"number\": spec.i in body must be of type integer: \"number\""
        ]
    );
    assert!(problems(&schema, &json!({"i": 1.0, "p": "50%", "l": [], "s": ""})).is_empty());
}

#[test]
fn limits_have_their_texts() {
    let schema = of_spec(
        &json!({"type": "object", "required": ["must"], "properties": {
        "must": {"type": "boolean"},
        "e": {"type": "string", "enum": ["x", "y"]}, "n": {"type": "integer", "enum": [1, 2]},
        "p": {"type": "string", "pattern": "^[a-z]+$"}, "m": {"type": "string", "minLength": 2, "maxLength": 3},
        "x": {"type": "integer", "minimum": 1, "exclusiveMinimum": true, "maximum": 10, "exclusiveMaximum": true},
        "k": {"type": "integer", "multipleOf": 5}, "a": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
        "o": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 2}}}),
    );
    for (name, value, wanted) in [
        (
            "e",
            json!("z"),
            "spec.e: Unsupported value: \"z\": supported values: \"x\", \"y\"",
        ),
        (
            "n",
            json!(3),
            "spec.n: Unsupported value: 3: supported values: \"1\", \"2\"",
        ),
        (
            "p",
            json!("A1"),
            "spec.p: Invalid value: \"A1\": spec.p in body should match '^[a-z]+$'",
        ),
        (
            "m",
            json!("a"),
            "spec.m: Invalid value: \"a\": spec.m in body should be at least 2 chars long",
        ),
        (
            "m",
            json!("abcd"),
            "spec.m: Too long: may not be more than 3 bytes",
        ),
        (
            "x",
            json!(1),
            "spec.x: Invalid value: 1: spec.x in body should be greater than 1",
        ),
        (
            "x",
            json!(10),
            "spec.x: Invalid value: 10: spec.x in body should be less than 10",
        ),
        (
            "k",
            json!(7),
            "spec.k: Invalid value: 7: spec.k in body should be a multiple of 5",
        ),
        (
            "a",
            json!([]),
            "spec.a: Invalid value: 0: spec.a in body should have at least 1 items",
        ),
        (
            "a",
            json!(["1", "2", "3"]),
            "spec.a: Too many: 3: must have at most 2 items",
        ),
        (
            "o",
            json!({}),
            "spec.o: Invalid value: 0: spec.o in body should have at least 1 properties",
        ),
        (
            "o",
            json!({"a": "", "b": "", "c": ""}),
            "spec.o: Too many: 3: must have at most 2 items",
        ),
    ] {
        assert_eq!(
            problems(&schema, &json!({"must": true, (name): value})),
            [wanted]
        );
    }
    assert_eq!(problems(&schema, &json!({})), ["spec.must: Required value"]);
    assert!(problems(&schema, &json!({"must": true, "m": "äöü"})).is_empty());
}

#[test]
fn combinators_tell_the_best_alternative() {
    let schema = of_spec(
        &json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"},
        "n": {"type": "string", "not": {"enum": ["bad"]}}, "y": {"type": "integer", "anyOf": [{"maximum": 1}, {"minimum": 10}]},
        "z": {"type": "integer", "allOf": [{"maximum": 5}, {"minimum": 2}]}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
    );
    for (spec, wanted) in [
        (
            json!({}),
            vec![
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found none valid",
                "spec.a: Required value",
            ],
        ),
        (
            json!({"a": "", "b": ""}),
            vec![
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
            ],
        ),
        (
            json!({"a": "", "n": "bad"}),
            vec!["<nil>: Invalid value: \"\": \"spec.n\" must not validate the schema (not)"],
        ),
        (
            json!({"a": "", "y": 5}),
            vec![
                "<nil>: Invalid value: \"\": \"spec.y\" must validate at least one schema (anyOf)",
                "spec.y: Invalid value: 5: spec.y in body should be less than or equal to 1",
            ],
        ),
        (
            json!({"a": "", "z": 1}),
            vec![
                "<nil>: Invalid value: \"\": \"spec.z\" must validate all the schemas (allOf)",
                "spec.z: Invalid value: 1: spec.z in body should be greater than or equal to 2",
            ],
        ),
    ] {
        assert_eq!(problems(&schema, &spec), wanted);
    }
}

#[test]
fn status_is_validated_on_its_own() {
    let schema = Schema::compile(
        &json!({"type": "object", "properties": {"status": {"type": "object", "required": ["phase"],
        "properties": {"phase": {"type": "string"}}}}}),
    )
    .expect("a schema");
    let lines = |status: Value| -> Vec<String> {
        let causes = schema.validate_status(&json!({"status": status}), None);
        causes.iter().map(Cause::line).collect()
    };
    assert_eq!(
        lines(json!({"phase": 1})),
        [
            "status.phase: Invalid value: \"integer\": phase in body must be of type string: \"integer\""
        ]
    );
    assert_eq!(lines(json!({})), ["status.phase: Required value"]);
}

#[test]
fn keyed_lists_and_sets_have_no_duplicates() {
    let schema = of_spec(&json!({"type": "object", "properties": {
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}));
    assert_eq!(
        problems(
            &schema,
            &json!({"tags": ["x", "x"], "ports": [{"name": "p"}, {"name": "p"}]})
        ),
        [
            "spec.ports[1]: Duplicate value: {\"name\":\"p\"}",
            "spec.tags[1]: Duplicate value: \"x\""
        ]
    );
}

#[test]
fn what_has_not_changed_is_tolerated() {
    let schema = of_spec(
        &json!({"type": "object", "required": ["must"], "properties": {"must": {"type": "string"},
        "s": {"type": "string", "maxLength": 2}, "n": {"type": "integer"},
        "l": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
        "lm": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object",
            "properties": {"k": {"type": "string"}, "v": {"type": "string", "pattern": "^[a-z]+$"}}}}}}),
    );
    let old = object(
        &json!({"s": "LONG", "n": 1, "l": ["BAD", "ok"], "lm": [{"k": "a", "v": "BAD"}, {"k": "b", "v": "ok"}]}),
    );
    let after = |patch: Value| -> Vec<String> {
        let new = crate::patch::merged(&old, &patch);
        let causes = schema.validate(&new, Some(&old));
        causes.iter().map(|cause| cause.field.clone()).collect()
    };
    assert!(after(json!({"metadata": {"labels": {"x": "y"}}})).is_empty());
    assert_eq!(after(json!({"spec": {"n": 2}})), ["spec.must"]);
    assert!(after(json!({"spec": {"n": 2, "must": "x"}})).is_empty());
    assert_eq!(
        after(json!({"spec": {"must": "x", "s": "OTHER"}})),
        ["spec.s"]
    );
    assert_eq!(
        after(json!({"spec": {"must": "x", "l": ["BAD", "new"]}})),
        ["spec.l[0]"]
    );
    let swapped =
        json!({"spec": {"must": "x", "lm": [{"k": "b", "v": "changed"}, {"k": "a", "v": "BAD"}]}});
    assert!(after(swapped).is_empty());
    let worse = json!({"spec": {"must": "x", "lm": [{"k": "a", "v": "WORSE"}]}});
    assert_eq!(after(worse), ["spec.lm[0].v"]);
}

#[test]
fn unknown_fields_go_and_defaults_come() {
    let schema = of_spec(&json!({"type": "object", "properties": {
        "size": {"type": "integer", "default": 3},
        "o": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}, "b": {"type": "string"}}},
        "od": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}, "default": {}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"v": {"type": "integer", "default": 7}}}},
        "nn": {"type": "string", "nullable": true}, "x": {"type": "string"},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object", "properties": {}}}},
        "t": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}}));
    let (spec, unknown) = admitted(
        &schema,
        &json!({"o": {"b": "1"}, "l": [{"q": 1}], "m": {"k": {}, "n": null}, "nn": null, "x": null, "foo": 1,
            "any": {"a": {"b": 1}, "known": {"c": 1}}, "t": {"metadata": {"name": "x", "foo": 1}, "q": 1}}),
    );
    assert_eq!(
        spec,
        json!({"size": 3, "o": {"a": "x", "b": "1"}, "od": {"a": "x"}, "l": [{"p": "TCP"}], "m": {"k": {"v": 7}}, "nn": null,
            "any": {"a": {"b": 1}, "known": {}}, "t": {"metadata": {"name": "x"}, "q": 1}})
    );
    assert_eq!(
        unknown,
        [
            "spec.any.known.c",
            "spec.foo",
            "spec.l[0].q",
            "spec.t.metadata.foo"
        ]
    );
    let (wrong, unknown) = admitted(&schema, &json!({"l": {"a": 1}, "size": null}));
    assert_eq!(
        (wrong["l"].clone(), wrong["size"].clone()),
        (json!({}), json!(3))
    );
    assert_eq!(unknown, ["spec.l.a"]);
    let mut absent = json!({"metadata": {"name": "a"}});
    schema.default(&mut absent);
    assert_eq!(absent, json!({"metadata": {"name": "a"}}));
    assert_eq!(
        problems(&schema, &json!({"t": {}})),
        [
            "spec.t.apiVersion: Required value",
            "spec.t.kind: Required value"
        ]
    );
}

fn crd(schema: &Value) -> Value {
    json!({"metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
        "status": {"storedVersions": ["v1"]}})
}

fn refusals(crd: &Value) -> Vec<String> {
    crd::check(crd, None).iter().map(Cause::line).collect()
}

#[test]
fn schemas_that_are_not_structural_are_refused_with_their_path() {
    let spec = "spec.validation.openAPIV3Schema.properties[spec]";
    for (schema, wanted) in [
        (
            json!({"properties": {"a": {"type": "string"}}}),
            ".type: Required value: must not be empty for specified object fields",
        ),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            ".properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
            ".properties[a].items: Required value: must be specified",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "items": [{"type": "string"}]}}}),
            ".properties[a].items: Forbidden: items must be a schema object and not an array",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            json!({"type": "object", "anyOf": [{"properties": {"b": {"type": "string"}}}]}),
            ".anyOf[0].properties[b].type: Forbidden: must be empty to be structural",
        ),
        (
            json!({"type": "string", "$ref": "#/x"}),
            ".$ref: Forbidden: $ref is not supported",
        ),
        (
            json!({"type": "text"}),
            ".type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
        ),
        (
            json!({"type": "integer", "default": "x"}),
            ".default: Invalid value: \"string\":  in body must be of type integer: \"string\"",
        ),
        (
            json!({"type": "integer", "minimum": 5, "default": 1}),
            ".default: Invalid value: 1:  in body should be greater than or equal to 5",
        ),
    ] {
        let crd = crd(&json!({"type": "object", "properties": {"spec": schema}}));
        assert_eq!(refusals(&crd), [format!("{spec}{wanted}")]);
    }
    let quantity = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    assert!(
        refusals(&crd(
            &json!({"type": "object", "properties": {"spec": quantity}})
        ))
        .is_empty()
    );
    let metadata = json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}});
    assert_eq!(
        refusals(&crd(&metadata)),
        [
            "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        ]
    );
    assert_eq!(
        refusals(&crd(&json!({"type": "string"}))),
        [
            "spec.validation.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root"
        ]
    );
}

#[test]
fn names_versions_columns_and_selectors_of_a_crd_are_checked() {
    let plain = crd(
        &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}),
    );
    assert!(refusals(&plain).is_empty());
    let with = |patch: Value| refusals(&crate::patch::merged(&plain, &patch));
    assert_eq!(
        with(json!({"metadata": {"name": "other.example.com"}})),
        [
            "metadata.name: Invalid value: \"other.example.com\": must be spec.names.plural+\".\"+spec.group"
        ]
    );
    assert_eq!(
        with(json!({"spec": {"scope": "Everywhere"}})),
        [
            "spec.scope: Unsupported value: \"Everywhere\": supported values: \"Cluster\", \"Namespaced\""
        ]
    );
    let version = |extra: Value| {
        let mut crd = plain.clone();
        crd["spec"]["versions"][0] = crate::patch::merged(&crd["spec"]["versions"][0], &extra);
        refusals(&crd)
    };
    assert_eq!(
        version(json!({"storage": false})),
        [
            "spec.versions: Invalid value: [{\"Name\":\"v1\",\"Served\":true,\"Storage\":false,\"Deprecated\":false,\"DeprecationWarning\":null,\"Schema\":null,\"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}]: must have exactly one version marked as storage version"
        ]
    );
    assert_eq!(
        version(
            json!({"additionalPrinterColumns": [{"name": "X", "type": "float", "jsonPath": ".spec.size"}]})
        ),
        [
            "spec.additionalPrinterColumns[0].type: Invalid value: \"float\": must be one of boolean,date,integer,number,string"
        ]
    );
    for (path, wanted) in [
        (
            ".spec.nope",
            "is an invalid path: does not refer to a valid field",
        ),
        (
            "spec.size",
            "is an invalid path: expected [ or . but got: spec",
        ),
        (
            ".spec",
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        ),
        (
            ".spec.size[0]",
            "is an invalid path: array notation is not allowed",
        ),
    ] {
        assert_eq!(
            version(json!({"selectableFields": [{"jsonPath": path}]})),
            [format!(
                "spec.selectableFields[0].jsonPath: Invalid value: \"{path}\": {wanted}"
            )]
        );
    }
    let mut old = plain.clone();
    old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    let new = crate::patch::merged(&old, &json!({"spec": {"scope": "Cluster"}}));
    let lines: Vec<String> = crd::check(&new, Some(&old))
        .iter()
        .map(Cause::line)
        .collect();
    assert_eq!(
        lines,
        ["spec.scope: Invalid value: \"Cluster\": field is immutable"]
    );
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({"type": "string"})),
            Just(json!({"type": "string", "default": "d"})),
            Just(json!({"type": "integer", "nullable": true})),
            Just(json!({"type": "integer", "default": 1})),
            Just(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
            Just(json!({"x-kubernetes-int-or-string": true})),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::btree_map("[abc]", inner.clone(), 0..3)
                    .prop_map(|properties| json!({"type": "object", "properties": properties})),
                prop::collection::btree_map("[abc]", inner.clone(), 0..3).prop_map(
                    |properties| json!({"type": "object", "properties": properties, "default": {}})
                ),
                inner
                    .clone()
                    .prop_map(|rest| json!({"type": "object", "additionalProperties": rest})),
                inner.prop_map(|items| json!({"type": "array", "items": items})),
            ]
        })
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..3i64).prop_map(|n| json!(n)),
            "[ab]".prop_map(|s| json!(s)),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::btree_map("[abcd]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::chance::cases(256))]

        #[test]
        fn admitting_twice_is_admitting_once(schema in schemas(), value in values()) {
            let schema = of_spec(&schema);
            let mut once = object(&value);
            prop_assert!(schema.admit(&mut once).is_ok());
            let mut twice = once.clone();
            prop_assert_eq!(schema.admit(&mut twice), Ok(vec![]));
            prop_assert_eq!(&twice, &once);
            schema.restore(&mut twice);
            prop_assert_eq!(twice, once);
        }

        #[test]
        fn what_was_valid_stays_valid_when_nothing_changes(schema in schemas(), value in values()) {
            let schema = of_spec(&schema);
            let object = object(&value);
            prop_assert!(schema.validate(&object, Some(&object)).is_empty() || !schema.validate(&object, None).is_empty());
        }
    }
}
