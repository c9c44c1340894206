use serde_json::json;

use super::*;

#[test]
fn names_given_twice_are_seen_and_the_last_wins() {
    let parsed = parse(br#"{"spec":{"size":3,"size":4,"l":[{"b":1,"b":2}]}}"#);
    assert_eq!(
        parsed,
        Ok(Parsed {
            value: json!({"spec": {"size": 4, "l": [{"b": 2}]}}),
            duplicates: vec!["spec.size".into(), "spec.l[0].b".into()],
        })
    );
}

#[test]
fn syntax_errors_speak_as_go_does() {
    let error = |text: &str| parse(text.as_bytes()).err().unwrap_or_default();
    for (text, wanted) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        (
            "{nonsense",
            "invalid character 'n' looking for beginning of object key string",
        ),
        (
            "nope",
            "invalid character 'o' in literal null (expecting 'u')",
        ),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        (
            "{\"a\":1 2}",
            "invalid character '2' after object key:value pair",
        ),
        ("[1 2]", "invalid character '2' after array element"),
        (
            "[1,]",
            "invalid character ']' looking for beginning of value",
        ),
        ("1 x", "invalid character 'x' after top-level value"),
        (
            "1e400",
            "json: cannot unmarshal number 1e400 into Go value of type float64",
        ),
        (
            "\u{1}",
            "invalid character '\\x01' looking for beginning of value",
        ),
    ] {
        assert_eq!(error(text), wanted, "{text}");
    }
    assert_eq!(parse(b"1.0").map(|p| p.value), Ok(json!(1)));
}

#[test]
fn metadata_comes_into_its_normal_form() {
    let mut object = json!({"metadata": {"name": "a", "bar": 1, "labels": null, "annotations": {}, "generation": 0,
        "ownerReferences": [{"kind": "K", "strange": 1}]}});
    assert_eq!(
        metadata(&mut object),
        Ok(vec![
            "metadata.bar".into(),
            "metadata.ownerReferences[0].strange".into()
        ])
    );
    let owner = json!({"apiVersion": "", "kind": "K", "name": "", "uid": ""});
    assert_eq!(
        object,
        json!({"metadata": {"name": "a", "ownerReferences": [owner]}})
    );
    let mut object = json!({"metadata": {"labels": {"a": 1}}});
    assert_eq!(
        metadata(&mut object),
        Err(
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
                .into()
        )
    );
}

#[test]
fn undeclared_fields_of_builtin_kinds_are_dropped_and_named() {
    let resource = crate::apply::Shape::of_schema(&json!({"type": "object", "properties": {
        "l": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}));
    let mut object =
        json!({"kind": "K", "metadata": {"name": "a"}, "top": 1, "l": [{"a": 1, "b": 2}]});
    assert_eq!(drop_undeclared(&resource, &mut object), ["l[0].b", "top"]);
    assert_eq!(
        object,
        json!({"kind": "K", "metadata": {"name": "a"}, "l": [{"a": 1}]})
    );
}
