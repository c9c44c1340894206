use serde_json::{Value, json};

use super::*;

fn part() -> Value {
    json!({"kind": "Part", "metadata": {"labels": {"l": "1"}}, "spec": {"size": 1, "steps": ["a", "b", "c"], "opts": {"x": "1"}}})
}

fn spec_after(operations: &Value) -> Result<Value, u16> {
    json(operations.to_string().as_bytes(), &part())
        .map(|patched| patched.object["spec"].clone())
        .map_err(|failure| failure.code)
}

#[test]
fn json_patch_has_the_manners_of_the_server() {
    let ok = |op: Value| spec_after(&json!([op])).is_ok();
    assert!(ok(
        json!({"op": "test", "path": "/spec/absent", "value": null})
    ));
    assert!(!ok(
        json!({"op": "test", "path": "/spec/absent", "value": 1})
    ));
    assert!(!ok(json!({"op": "test", "path": "/spec/size", "value": 2})));
    assert!(ok(
        json!({"op": "replace", "path": "/spec/absent", "value": 1})
    ));
    assert!(!ok(json!({"op": "remove", "path": "/spec/absent"})));
    assert!(!ok(
        json!({"op": "add", "path": "/metadata/annotations/a", "value": 1})
    ));
    assert!(!ok(
        json!({"op": "add", "path": "/spec/steps/9", "value": 1})
    ));
    assert!(!ok(json!({"op": "add"})));
    assert!(!ok(json!({"op": "nope", "path": "/a"})));
    let steps = |op: Value| spec_after(&json!([op])).map(|spec| spec["steps"].clone());
    let add = |path: &str| steps(json!({"op": "add", "path": path, "value": "x"}));
    assert_eq!(add("/spec/steps/1"), Ok(json!(["a", "x", "b", "c"])));
    assert_eq!(add("/spec/steps/3"), Ok(json!(["a", "b", "c", "x"])));
    assert_eq!(add("/spec/steps/-"), Ok(json!(["a", "b", "c", "x"])));
    assert_eq!(add("/spec/steps/-1"), Ok(json!(["a", "b", "c", "x"])));
    let moved = json!([{"op": "move", "from": "/spec/opts/x", "path": "/spec/opts/a~1b"}]);
    assert_eq!(
        spec_after(&moved).map(|spec| spec["opts"].clone()),
        Ok(json!({"a/b": "1"}))
    );
}

#[test]
fn bodies_that_are_no_patch_are_told_in_the_words_of_go() {
    let text =
        |result: Result<Patched, Failure>| result.err().map(|f| f.message).unwrap_or_default();
    let json = |body: &str| text(json(body.as_bytes(), &part()));
    assert_eq!(
        json("{"),
        "error decoding patch: unexpected end of JSON input"
    );
    assert_eq!(
        json("{}"),
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    );
    assert_eq!(
        json("[1]"),
        "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"
    );
    assert_eq!(json("null"), "");
    let merge = |body: &str| text(merge(body.as_bytes(), &part()));
    assert_eq!(merge("null"), "Invalid JSON Patch");
    assert_eq!(
        merge("\"x\""),
        "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"
    );
    let applied = |body: &str| text(applied(body.as_bytes()));
    assert_eq!(
        applied("{"),
        "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected node content"
    );
    assert_eq!(
        applied("- a"),
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}"
    );
    assert_eq!(applied(""), "");
    let many = vec![json!({"op": "test", "path": "/spec/size", "value": 1}); 10_001];
    assert_eq!(spec_after(&json!(many)), Err(413));
}

#[test]
fn strategic_merge_knows_sets_and_keys() {
    let object = json!({"kind": "Service", "metadata": {"finalizers": ["a", "b"]},
        "spec": {"ports": [{"port": 1, "name": "x"}, {"port": 2}], "selector": {"a": "b"}}});
    let after = |patch: Value| strategic(patch.to_string().as_bytes(), &object).map(|p| p.object);
    let finalizers = |patch: Value| after(patch).map(|o| o["metadata"]["finalizers"].clone());
    assert_eq!(
        finalizers(json!({"metadata": {"finalizers": ["c"]}})),
        Ok(json!(["c", "a", "b"]))
    );
    let gone = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}});
    assert_eq!(finalizers(gone), Ok(json!(["b"])));
    let order = json!({"metadata": {"$setElementOrder/finalizers": ["b", "a"]}});
    assert_eq!(finalizers(order), Ok(json!(["b", "a"])));
    let ports = |patch: Value| after(patch).map(|o| o["spec"]["ports"].clone());
    assert_eq!(
        ports(json!({"spec": {"ports": [{"port": 1, "nodePort": 3}, {"port": 4}]}})),
        Ok(json!([{"port": 1, "name": "x", "nodePort": 3}, {"port": 4}, {"port": 2}]))
    );
    assert_eq!(
        ports(json!({"spec": {"ports": [{"port": 1, "$patch": "delete"}]}})),
        Ok(json!([{"port": 2}]))
    );
    assert!(ports(json!({"spec": {"ports": [{"name": "x"}]}})).is_err());
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn values(nulls: bool) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            4 => (0..3i64).prop_map(|n| json!(n)),
            4 => "[ab]{0,2}".prop_map(|s| json!(s)),
            1 => Just(if nulls { Value::Null } else { json!(true) }),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::chance::cases(256))]

        #[test]
        fn a_diff_leads_there(a in values(false), b in values(false)) {
            prop_assert_eq!(merged(&a, &diff(&a, &b)), b);
        }

        #[test]
        fn merging_twice_is_merging_once(a in values(true), patch in values(true)) {
            let once = merged(&a, &patch);
            // The library keeps nulls inside a list that replaces an object, and drops them in one that replaces a list.
            prop_assume!(!once.to_string().contains("null"));
            prop_assert_eq!(merged(&once, &patch), once);
        }

        #[test]
        fn reading_is_the_inverse_of_writing(a in values(true)) {
            let parsed = fields::parse(a.to_string().as_bytes());
            prop_assert_eq!(parsed, Ok(Parsed { value: a, duplicates: vec![] }));
        }

        #[test]
        fn any_bytes_are_read_without_harm(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let ours = fields::parse(&text).is_ok();
            let theirs = serde_json::from_slice::<Value>(&text).is_ok();
            // Go takes text that is no UTF-8; everything else is judged alike.
            prop_assert!(ours == theirs || std::str::from_utf8(&text).is_err());
        }
    }
}
