//! `PublishedResource` as a type: section 2 of the contract, and section 14.

use serde_json::{Value, json};
use syncagent_core::api::published_resource::{Origin, PublishedResource};

/// An object in which every field is there, in forms that may stand side by side.
fn full() -> Value {
    json!({
        "apiVersion": "syncagent.kcp.io/v1alpha1",
        "kind": "PublishedResource",
        "metadata": {"name": "things", "generation": 3, "uid": "u", "annotations": {"a": "b"}},
        "spec": {
            "resource": {"apiGroup": "", "kind": "", "version": "v1", "versions": ["v1", "v2"]},
            "filter": {
                "namespace": {"matchLabels": {"a": "b"}},
                "resource": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}, {"key": "k", "operator": "Exists"}]},
            },
            "naming": {"name": "$remoteName", "namespace": "{{ .ClusterName }}"},
            "enableWorkspacePaths": true,
            "projection": {
                "group": "g.io", "version": "v3", "versions": {"v1": "v3"}, "kind": "Other", "plural": "others",
                "scope": "Cluster", "shortNames": [], "categories": ["all"],
            },
            "mutation": {
                "spec": [
                    {"delete": {"path": "spec.a"}},
                    {"regex": {"path": "spec.a", "pattern": "a", "replacement": "b"}},
                    {"regex": {"path": "spec.a", "replacement": "b"}},
                    {"template": {"path": "spec.a", "template": "{{ .Value }}"}},
                ],
                "status": [{"cel": {"path": "status.a", "expression": "value"}}],
            },
            "related": [
                {
                    "identifier": "one", "origin": "service", "group": "", "version": "v1", "resource": "secrets",
                    "identityHash": "abc", "cleanup": true,
                    "projection": {"group": "g.io", "version": "v2", "resource": "things"},
                    "object": {
                        "selector": {"matchLabels": {"a": "{{ .ClusterName }}"}, "rewrite": {"regex": {"pattern": "a", "replacement": "b"}}},
                        "namespace": {"reference": {"path": "metadata.namespace", "regex": {"replacement": "x"}}},
                    },
                    "mutation": {"spec": [{"delete": {"path": "data.a"}}]},
                    "watch": {"byOwner": {}}, "syncStatus": true,
                    "syncagent": {"originGone": "Delete", "recreate": true},
                },
                {
                    "identifier": "two", "origin": "kcp", "kind": "Secret",
                    "object": {
                        "template": {"template": "{{ .Side }}"},
                        "namespace": {"selector": {"rewrite": {"template": {"template": "x"}}}},
                    },
                    "watch": {"bySelector": {"matchLabels": {"a": "b"}}},
                },
                {
                    "identifier": "three", "origin": "kcp", "kind": "ConfigMap",
                    "reference": {
                        "name": {"path": "spec.name", "regex": {"pattern": "a", "replacement": "b"}},
                        "namespace": {"path": "spec.namespace"},
                    },
                },
            ],
            "synchronization": {"enabled": false},
            "syncagent": {
                "drift": "Correct", "adoption": "TakeOver", "conditions": true, "events": "Warnings",
                "breakingChanges": "Refuse", "deletion": "Foreground", "leaving": "Retire",
                "references": [{"path": "spec.cluster.name", "publishedResource": "clusters"}],
                "status": [{"path": "status.phase"}, {"path": "status.expires", "from": "status.notAfter"}],
            },
        },
        "status": {"resourceSchemaName": "v1.things.g.io", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn read(object: Value) -> PublishedResource {
    serde_json::from_value(object).expect("it has the form of the type")
}

#[test]
fn s2_1_every_field_comes_back_as_it_was_read() {
    let object = full();
    let typed = read(object.clone());
    assert_eq!(serde_json::to_value(&typed).unwrap(), object);
}

#[test]
fn s2_1_what_is_not_said_is_not_said_again() {
    let object = json!({
        "metadata": {"name": "a"},
        "spec": {"resource": {"apiGroup": "", "kind": ""}},
    });
    let typed = read(object.clone());
    assert_eq!(serde_json::to_value(&typed).unwrap(), object);
    assert!(typed.is_synchronized());
    assert_eq!((typed.name(), typed.related().len()), ("a", 0));
}

#[test]
fn s2_1_null_short_names_keep_and_empty_ones_clear() {
    let with = |projection: Value| {
        let object = json!({"metadata": {}, "spec": {
            "resource": {"apiGroup": "g.io", "kind": "Thing"}, "projection": projection}});
        read(object).spec.projection.unwrap()
    };
    let null = with(json!({"shortNames": null, "categories": null}));
    assert_eq!(null, with(json!({})));
    assert_eq!((null.short_names, null.categories), (None, None));
    let empty = with(json!({"shortNames": [], "categories": []}));
    assert_eq!(empty.short_names, Some(Vec::new()));
    assert_eq!(empty.categories, Some(Vec::new()));
}

#[test]
fn s2_1_a_null_is_as_good_as_nothing() {
    // Go clients write nulls where a list is empty, and `creationTimestamp: null`.
    let typed = read(json!({
        "metadata": {"name": "a", "creationTimestamp": null},
        "spec": {"resource": {"apiGroup": "g.io", "kind": "Thing", "versions": null}, "related": null, "naming": null,
            "filter": null, "mutation": {"spec": null}, "synchronization": null, "syncagent": null},
        "status": null,
    }));
    assert!(typed.spec.resource.versions.is_none() && typed.is_synchronized());
}

#[test]
fn s2_2_an_origin_is_one_of_two_words() {
    let typed = read(full());
    let origins: Vec<_> = typed.related().iter().map(|it| it.origin).collect();
    assert_eq!(origins, [Origin::Service, Origin::Kcp, Origin::Kcp]);
    let mut wrong = full();
    wrong["spec"]["related"][0]["origin"] = json!("local");
    assert!(serde_json::from_value::<PublishedResource>(wrong).is_err());
}

#[test]
fn s14_the_first_form_of_a_reference_stands_in_the_place_of_object() {
    let typed = read(full());
    let old = &typed.related()[2];
    assert!(old.object.is_none());
    let reference = old.reference.as_ref().unwrap();
    assert_eq!(reference.name.path, "spec.name");
    assert_eq!(reference.namespace.as_ref().unwrap().path, "spec.namespace");
}
