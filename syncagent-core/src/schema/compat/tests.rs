use serde_json::{Value, json};

use super::{between, differences, losses};

/// Asserts what changing a field from one schema to another is said to be; a `!` in front of what breaks.
#[track_caller]
fn says(old: Value, new: Value, wanted: &[&str]) {
    let root = |field: Value| json!({"type": "object", "properties": {"f": field}});
    let found: Vec<String> = between(&root(old), &root(new))
        .iter()
        .map(|it| format!("{}{it}", if it.breaks { "!" } else { "" }))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn documentation_is_not_compared() {
    says(
        json!({"type": "string", "description": "one", "title": "a"}),
        json!({"type": "string", "description": "two", "example": "b"}),
        &[],
    );
}

#[test]
fn types_may_widen_and_not_narrow() {
    let of = |name: &str| json!({"type": name});
    let either = json!({"x-kubernetes-int-or-string": true});
    says(
        of("integer"),
        of("number"),
        &["f: the type integer becomes number"],
    );
    says(
        of("number"),
        of("integer"),
        &["!f: the type number becomes integer"],
    );
    says(
        of("string"),
        either.clone(),
        &["f: the type string becomes integer or string"],
    );
    says(
        either,
        of("string"),
        &["!f: the type integer or string becomes string"],
    );
    says(
        of("string"),
        of("object"),
        &["!f: the type string becomes object"],
    );
    says(
        json!({"x-kubernetes-preserve-unknown-fields": true}),
        of("object"),
        &["!f: the type anything becomes object"],
    );
    says(
        json!({"type": "string", "nullable": true}),
        of("string"),
        &["!f: null is no longer a value"],
    );
    says(
        of("string"),
        json!({"type": "string", "nullable": true}),
        &["f: null becomes a value"],
    );
}

#[test]
fn values_may_be_added_and_not_taken_away() {
    let of = |values: &[&str]| json!({"type": "string", "enum": values});
    let free = json!({"type": "string"});
    says(
        of(&["a", "b"]),
        of(&["b", "c"]),
        &["!f: no longer a value: a", "f: becomes a value: c"],
    );
    says(
        free.clone(),
        of(&["a"]),
        &["!f: the values are limited to a list"],
    );
    says(
        of(&["a"]),
        free,
        &["f: the values are no longer limited to a list"],
    );
}

#[test]
fn patterns_and_formats_may_be_dropped_and_not_demanded() {
    let with = |field: &str, value: &str| json!({"type": "string", field: value});
    let free = json!({"type": "string"});
    for field in ["pattern", "format"] {
        says(
            free.clone(),
            with(field, "x"),
            &[&format!("!f: the {field} x is demanded")],
        );
        says(
            with(field, "x"),
            free.clone(),
            &[&format!("f: the {field} x is dropped")],
        );
        says(
            with(field, "x"),
            with(field, "y"),
            &[&format!("!f: the {field} x becomes y")],
        );
    }
    says(with("format", "int32"), with("format", "int64"), &[]);
    says(
        with("format", "int64"),
        with("format", "int32"),
        &["!f: the format int64 becomes int32"],
    );
}

#[test]
fn bounds_may_widen_and_not_narrow() {
    for (field, narrow, wide) in [
        ("minimum", 2, 1),
        ("minLength", 2, 1),
        ("minItems", 2, 1),
        ("minProperties", 2, 1),
        ("maximum", 1, 2),
        ("maxLength", 1, 2),
        ("maxItems", 1, 2),
        ("maxProperties", 1, 2),
    ] {
        let of = |value: i32| json!({"type": "integer", field: value});
        let root = |it: Value| json!({"properties": {"f": it}});
        let breaks = |old: Value, new: Value| {
            let found = between(&root(old), &root(new));
            assert_eq!(found.len(), 1, "{field}: {found:?}");
            found[0].breaks
        };
        let free = json!({"type": "integer"});
        assert!(breaks(of(wide), of(narrow)), "{field}");
        assert!(!breaks(of(narrow), of(wide)), "{field}");
        assert!(breaks(free.clone(), of(wide)), "{field}");
        assert!(!breaks(of(wide), free), "{field}");
    }
    says(
        json!({"type": "integer", "maximum": 5}),
        json!({"type": "integer", "maximum": 5, "exclusiveMaximum": true}),
        &["!f: the maximum 5 becomes 5 (not itself)"],
    );
    says(
        json!({"type": "integer", "multipleOf": 4}),
        json!({"type": "integer", "multipleOf": 2}),
        &["f: fewer multiples are demanded"],
    );
    says(
        json!({"type": "integer", "multipleOf": 2}),
        json!({"type": "integer", "multipleOf": 4}),
        &["!f: multiples of 4 are demanded"],
    );
    says(
        json!({"type": "array"}),
        json!({"type": "array", "uniqueItems": true}),
        &["!f: the elements must differ"],
    );
}

#[test]
fn fields_may_come_and_not_go_and_not_become_required() {
    let of = |fields: Value, required: Value| json!({"type": "object", "properties": fields, "required": required});
    let text = json!({"type": "string"});
    says(
        of(json!({"a": text}), json!([])),
        of(json!({"b": text}), json!([])),
        &["!f.a: the field is removed", "f.b: the field is added"],
    );
    says(
        of(json!({"a": text}), json!([])),
        of(json!({"a": text}), json!(["a"])),
        &["!f.a: the field becomes required"],
    );
    let defaulted = json!({"type": "string", "default": "x"});
    says(
        of(json!({"a": defaulted}), json!([])),
        of(json!({"a": defaulted}), json!(["a"])),
        &["f.a: the field becomes required, and has a default"],
    );
    says(
        of(json!({"a": text}), json!(["a"])),
        of(json!({"a": text}), json!([])),
        &["f.a: the field is no longer required"],
    );
    says(
        json!({"type": "array", "items": of(json!({"a": text}), json!([]))}),
        json!({"type": "array", "items": of(json!({}), json!([]))}),
        &["!f[].a: the field is removed"],
    );
}

#[test]
fn what_was_kept_stays_kept() {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let closed = json!({"type": "object"});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let numbers = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    let named = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    says(
        open.clone(),
        closed.clone(),
        &["!f: unknown fields are no longer kept"],
    );
    says(
        closed.clone(),
        open.clone(),
        &["f: unknown fields are kept"],
    );
    says(
        map.clone(),
        closed.clone(),
        &["!f: keys that are not named are no longer kept"],
    );
    says(
        closed,
        map.clone(),
        &["f: keys that are not named are kept"],
    );
    says(
        map.clone(),
        numbers,
        &["!f.*: the type string becomes integer"],
    );
    says(named.clone(), map, &["f: keys that are not named are kept"]);
    says(
        named.clone(),
        open.clone(),
        &[
            "f: unknown fields are kept",
            "f.a: the field is no longer described",
        ],
    );
    says(
        open,
        named,
        &[
            "!f: unknown fields are no longer kept",
            "!f.a: the field was kept as it came and is now described",
        ],
    );
}

#[test]
fn lists_merge_as_before() {
    let list = |kind: &str| json!({"type": "array", "x-kubernetes-list-type": kind});
    says(
        json!({"type": "array"}),
        list("map"),
        &["!f: the list type atomic becomes map"],
    );
    says(list("atomic"), json!({"type": "array"}), &[]);
    says(
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}),
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"]}),
        &["!f: the keys of the list change"],
    );
}

#[test]
fn rules_may_be_dropped_and_not_added() {
    let with = |rules: Value| json!({"type": "integer", "x-kubernetes-validations": rules});
    says(
        with(json!([{"rule": "self > 1"}])),
        with(json!([{"rule": "self > 2", "message": "more"}])),
        &[
            "!f: a rule is added: self > 2",
            "f: a rule is dropped: self > 1",
        ],
    );
    let one = json!({"type": "object", "oneOf": [{"required": ["a"]}]});
    says(
        json!({"type": "object"}),
        one.clone(),
        &["!f: `oneOf` is demanded"],
    );
    says(one, json!({"type": "object"}), &["f: `oneOf` is dropped"]);
}

fn spec(scope: &str, versions: &Value) -> Value {
    json!({"group": "e.io", "scope": scope, "names": {"plural": "things", "kind": "Thing"}, "versions": versions})
}

#[test]
fn versions_may_come_and_not_go() {
    let version = |name: &str, status: bool| {
        let subresources = if status {
            json!({"status": {}})
        } else {
            json!({})
        };
        json!({"name": name, "served": true, "schema": {"type": "object"}, "subresources": subresources})
    };
    let lines = |old: &Value, new: &Value| -> Vec<String> {
        differences(old, new)
            .iter()
            .map(|it| format!("{}{it}", if it.breaks { "!" } else { "" }))
            .collect()
    };
    let old = spec("Namespaced", &json!([version("v1", true)]));
    let new = spec("Namespaced", &json!([version("v2", true)]));
    assert_eq!(
        lines(&old, &new),
        ["version v2 is added", "!version v1 is no longer offered"]
    );
    let both = spec(
        "Namespaced",
        &json!([version("v1", true), version("v2", true)]),
    );
    assert_eq!(lines(&old, &both), ["version v2 is added"]);
    let bare = spec("Namespaced", &json!([version("v1", false)]));
    assert_eq!(
        lines(&old, &bare),
        ["!v1: the subresource status is removed"]
    );
    let wide = spec("Cluster", &json!([version("v1", true)]));
    assert_eq!(
        lines(&old, &wide),
        ["!the scope Namespaced becomes Cluster"]
    );
    assert_eq!(lines(&old, &old), Vec::<String>::new());
}

#[test]
fn versions_that_are_only_renamed_must_hold_the_same() {
    let of = |spec: Value, status: Value| {
        json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": spec},
            "status": {"type": "object", "properties": status},
        }})
    };
    let text = json!({"type": "string"});
    let old = of(json!({"a": text}), json!({"phase": text, "old": text}));
    let new = of(json!({"a": text, "b": text}), json!({"phase": text}));
    assert_eq!(losses(&old, &new), []);
    assert_eq!(
        losses(&new, &old)[0].to_string(),
        "spec.b: the field is removed"
    );
}
