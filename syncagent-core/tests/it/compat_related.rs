//! Related objects of a `PublishedResource`: sections 6, 7.3, 8.2 and 14 of the contract.

use serde_json::{Value, json};
use syncagent_core::compat::first;
use syncagent_core::definition::{Cleanup, Kind, Side};
use syncagent_core::object::{finalizers, label};
use syncagent_core::plan::{Ending, ObjectRef, Place};
use syncagent_core::publication::{Publication, Publications};
use syncagent_core::{access, names};

use crate::compat_definition::{
    Case, converted, key_of, problems, publication, published, warnings,
};
use crate::fixture::{AGENT, CLUSTER, kind, secret};
use crate::world::{Agent, World};

fn config() -> Kind {
    kind("", "ConfigMap", "configmaps")
}

fn up(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        place: Place::Workspace(CLUSTER.into()),
        kind,
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn down(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        place: Place::Service,
        ..up(kind, namespace, name)
    }
}

/// A publication with one entry of related objects.
fn with(entry: &Value) -> Publication {
    publication(&related(entry))
}

/// The fields of a spec with one entry; what it does not say is usual.
fn related(entry: &Value) -> Value {
    let mut whole = json!({"identifier": "it", "origin": "kcp", "kind": "Secret"});
    for (field, value) in entry.as_object().expect("fields of an entry") {
        whole[field] = value.clone();
    }
    for field in ["version", "reference"] {
        if whole.get(field).is_some() && field == "version" {
            whole.as_object_mut().expect("an object").remove("kind");
        }
    }
    json!({"naming": {"name": "{{ .Object.metadata.name }}"}, "related": [whole]})
}

/// Every Secret that is there, by place and name, with its data.
fn secrets(world: &World) -> Vec<(String, Value)> {
    let all = world.objects.iter();
    all.filter(|(at, _)| at.kind == secret())
        .map(|(at, it)| (format!("{}/{}", at.namespace, at.name), it["data"].clone()))
        .collect()
}

fn names_of(world: &World, place: &Place, kind: &Kind) -> Vec<String> {
    let all = world.objects.keys();
    all.filter(|at| at.place == *place && at.kind == *kind)
        .map(|at| format!("{}/{}", at.namespace, at.name))
        .collect()
}

/// Secrets of these names in the workspace, and an order; then which copies there are.
fn taken(entry: &Value, order: &Value, have: &[&str]) -> Vec<String> {
    let publication = with(entry);
    let mut case = Case::new(&publication, order);
    for name in have {
        let object = json!({"data": {"of": name}});
        case.world.put(&up(secret(), "default", name), object);
    }
    case.begin();
    names_of(&case.world, &Place::Service, &secret())
}

#[test]
fn s6_2_a_reference_names_an_object_on_both_sides() {
    let publication = with(&json!({"object": {"reference": {"path": "spec.secretName"}}}));
    let order = json!({"spec": {"secretName": "mine"}});
    let mut case = Case::new(&publication, &order);
    let original = up(secret(), "default", "mine");
    case.world.put(&original, json!({"data": {"a": "eA=="}}));
    assert_eq!(case.begin(), Ending::Settled);
    let copy = down(secret(), CLUSTER, "mine");
    assert_eq!(case.world.objects[&copy]["data"], json!({"a": "eA=="}));
    assert_eq!(finalizers(&case.world.objects[&original]).len(), 1);
    case.agent.assert_settled(&mut case.world);
}

#[test]
fn s10_1_references_hit_and_miss_as_the_go_agents_do() {
    let by = |path: &str| json!({"object": {"reference": {"path": path}}});
    let cases: &[(&str, Value, &[&str])] = &[
        ("spec.name", json!({"name": "mine"}), &["mine"]),
        ("spec.name", json!({"name": " mine\n"}), &["mine"]),
        // The object is not there, or the field is empty, null or not there.
        ("spec.name", json!({"name": "other"}), &[]),
        ("spec.name", json!({"name": ""}), &[]),
        ("spec.name", json!({"name": null}), &[]),
        ("spec.name", json!({}), &[]),
        // Lists give one for each element.
        (
            "spec.names",
            json!({"names": ["mine", "two"]}),
            &["mine", "two"],
        ),
        ("spec.names", json!({"names": []}), &[]),
        ("spec.names", json!({"names": ["", "two"]}), &["two"]),
        (
            "spec.items.#.ref.name",
            json!({"items": [{"ref": {"name": "mine"}}, {}, {"ref": {"name": "two"}}]}),
            &["mine", "two"],
        ),
        (
            "spec.items.#(use==true)#.name",
            json!({"items": [{"name": "mine", "use": true}, {"name": "two", "use": false}]}),
            &["mine"],
        ),
        // Numbers and bools are texts.
        ("spec.port", json!({"port": 24}), &["24"]),
        ("spec.yes", json!({"yes": true}), &["true"]),
        // An escaped dot is a dot in a key.
        (r"spec.a\.b", json!({"a.b": "mine"}), &["mine"]),
    ];
    for (path, spec, expected) in cases {
        let expected: Vec<_> = expected
            .iter()
            .map(|it| format!("{CLUSTER}/{it}"))
            .collect();
        let have = ["24", "mine", "true", "two"];
        let found = taken(&by(path), &json!({"spec": spec}), &have);
        let found: Vec<_> = found
            .into_iter()
            .filter(|it| have.iter().any(|have| it.ends_with(have)))
            .collect();
        assert_eq!(found, expected, "{path} of {spec}");
    }
}

#[test]
fn s6_4_a_regex_is_applied_to_each_value_on_both_sides() {
    let by =
        |regex: &Value| json!({"object": {"reference": {"path": "spec.names", "regex": regex}}});
    let order = json!({"spec": {"names": ["ref-a", "ref-b"]}});
    let strip = json!({"pattern": "^ref-(.*)$", "replacement": "$1"});
    assert_eq!(
        taken(&by(&strip), &order, &["a", "b", "ref-a"]),
        [format!("{CLUSTER}/a"), format!("{CLUSTER}/b")]
    );
    // An empty pattern gives the replacement; of what is named twice there is one.
    let fixed = json!({"replacement": "a"});
    assert_eq!(
        taken(&by(&fixed), &order, &["a", "b"]),
        [format!("{CLUSTER}/a")]
    );
    // What comes out empty names nothing.
    let nothing = json!({"pattern": ".*", "replacement": ""});
    assert_eq!(taken(&by(&nothing), &order, &["a"]), Vec::<String>::new());
}

#[test]
fn s6_2_values_are_paired_by_position_with_those_of_the_changed_copy() {
    let mut spec = related(&json!({"object": {"reference": {"path": "spec.names"}}}));
    spec["mutation"] = json!({"spec": [{"cel": {"path": "spec.names", "expression": "value.map(it, 'x-' + it)"}}]});
    let one = publication(&spec);
    let mut case = Case::new(&one, &json!({"spec": {"names": ["b", "a"]}}));
    for name in ["a", "b"] {
        let object = json!({"data": {"of": name}});
        case.world.put(&up(secret(), "default", name), object);
    }
    assert_eq!(case.begin(), Ending::Settled);
    for name in ["a", "b"] {
        let copy = down(secret(), CLUSTER, &format!("x-{name}"));
        assert_eq!(case.world.objects[&copy]["data"]["of"], name);
    }
    // Another number on the other side is a mistake, and is said.
    spec["mutation"] = json!({"spec": [{"cel": {"path": "spec.names", "expression": "['one']"}}]});
    let other = publication(&spec);
    let mut case = Case::new(&other, &json!({"spec": {"names": ["b", "a"]}}));
    case.world
        .put(&up(secret(), "default", "a"), json!({"data": {}}));
    assert!(matches!(case.begin(), Ending::Refused(_)));
    assert_eq!(
        names_of(&case.world, &Place::Service, &secret()),
        Vec::<String>::new()
    );
}

#[test]
fn s6_3_a_service_object_comes_up_by_the_status_of_the_copy() {
    let publication = with(&json!({"origin": "service", "identifier": "creds",
        "object": {"template": {"template": "{{ if eq .Side \"kcp\" }}{{ .Object.metadata.name }}-login{{ else }}{{ .Object.status.secret }}{{ end }}"}}}));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    case.begin();
    let made = down(secret(), CLUSTER, "op-made");
    case.world
        .put(&made, json!({"type": "Opaque", "data": {"p": "eA=="}}));
    let copy = case.copy_ref();
    case.world
        .edit(&copy, |it| it["status"] = json!({"secret": "op-made"}));
    assert_eq!(case.see(&[&copy]), Ending::Settled);
    let shown = up(secret(), "default", "a-login");
    assert_eq!(case.world.objects[&shown]["data"], json!({"p": "eA=="}));
    case.agent.assert_settled(&mut case.world);
}

#[test]
fn s8_2_b_templates_know_their_side_on_both() {
    let template = "{{ .Side }}-{{ .ClusterName }}-{{ .Object.metadata.name }}";
    let publication = with(&json!({"object": {"template": {"template": template}}}));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    let original = up(secret(), "default", &format!("kcp-{CLUSTER}-a"));
    case.world.put(&original, json!({"data": {"a": "eA=="}}));
    assert_eq!(case.begin(), Ending::Settled);
    assert_eq!(
        names_of(&case.world, &Place::Service, &secret()),
        [format!("{CLUSTER}/service-{CLUSTER}-a")]
    );
}

#[test]
fn s6_4_s11_1_1_labels_are_rendered_for_each_order_anew() {
    let publication = with(&json!({"object": {"selector": {
        "matchLabels": {"for": "{{ .RemoteObject.metadata.name }}", "{{ if false }}never{{ end }}": "x"},
        "matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}],
        "rewrite": {"template": {"template": "{{ .LocalObject.metadata.name }}-{{ .Value }}"}},
    }}}));
    let mut world = World::default();
    let mut orders = Vec::new();
    for name in ["a", "b"] {
        let key = key_of(&publication, "default", name);
        let agent = Agent::new(&publication, &key);
        let order = json!({"kind": "Order", "metadata": {"name": name, "namespace": "default"}, "spec": {}});
        world.put(&agent.origin(), order);
        let labels = json!({"metadata": {"labels": {"for": name}}, "data": {"of": name}});
        world.put(&up(secret(), "default", &format!("of-{name}")), labels);
        let skipped = json!({"metadata": {"labels": {"for": name, "skip": ""}}, "data": {}});
        world.put(&up(secret(), "default", &format!("not-{name}")), skipped);
        orders.push(agent);
    }
    for agent in &mut orders {
        let origin = agent.origin();
        agent.event(&world, &origin);
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    }
    assert_eq!(
        names_of(&world, &Place::Service, &secret()),
        [format!("{CLUSTER}/a-of-a"), format!("{CLUSTER}/b-of-b")]
    );
}

#[test]
fn s6_4_a_selector_without_a_demand_selects_nothing() {
    // Said so when it is written so.
    let empty = json!({"object": {"selector": {"rewrite": {"regex": {"pattern": "a", "replacement": "b"}}}}});
    let said = warnings(&related(&empty));
    assert!(
        said[0].starts_with("spec.related[0].object.selector: demands nothing"),
        "{said:?}"
    );
    assert_eq!(
        taken(&empty, &json!({"spec": {}}), &["a"]),
        Vec::<String>::new()
    );
    // And when a template leaves nothing.
    let left = json!({"object": {"selector": {
        "matchLabels": {"{{ if false }}x{{ end }}": "y"},
        "rewrite": {"regex": {"pattern": "a", "replacement": "b"}},
    }}});
    assert_eq!(
        taken(&left, &json!({"spec": {}}), &["a"]),
        Vec::<String>::new()
    );
}

#[test]
fn s6_4_names_are_rewritten_by_a_regex_first() {
    let entry = json!({"object": {"selector": {
        "matchLabels": {"for": "a"},
        "rewrite": {"regex": {"pattern": "^(.*)$", "replacement": "x-$1"}, "template": {"template": "never"}},
    }}});
    let publication = with(&entry);
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    let original = up(secret(), "default", "one");
    case.world.put(
        &original,
        json!({"metadata": {"labels": {"for": "a"}}, "data": {}}),
    );
    case.begin();
    assert_eq!(
        names_of(&case.world, &Place::Service, &secret()),
        [format!("{CLUSTER}/x-one")]
    );
    let said = warnings(&related(&entry));
    assert!(
        said.iter()
            .any(|it| it
                .starts_with("spec.related[0].object.selector.rewrite.template: is not used"))
    );
}

#[test]
fn s8_2_d_a_name_follows_from_the_found_object() {
    let publication = with(&json!({"origin": "service", "object": {"selector": {
        "matchLabels": {"of": "{{ .LocalObject.metadata.name }}"},
        "rewrite": {"template": {"template": "{{ .Value }}-{{ .RelatedObject.metadata.labels.stage }}"}},
    }}}));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    case.begin();
    let made = down(secret(), CLUSTER, "made");
    let object =
        json!({"metadata": {"labels": {"of": "a", "stage": "test"}}, "data": {"x": "eA=="}});
    case.world.put(&made, object);
    assert_eq!(case.see(&[&made]), Ending::Settled);
    let workspace = Place::Workspace(CLUSTER.into());
    assert_eq!(
        names_of(&case.world, &workspace, &secret()),
        ["default/made-test"]
    );
    // What is known is not looked at again for the sake of another one.
    let other = down(secret(), CLUSTER, "other");
    let object = json!({"metadata": {"labels": {"of": "a", "stage": "prod"}}, "data": {}});
    case.world.put(&other, object);
    let looked = case.agent.looked.len();
    assert_eq!(case.see(&[&other]), Ending::Settled);
    let looked = case.agent.looked.split_off(looked).into_iter();
    let looked: Vec<_> = looked.filter(|at| at.place == Place::Service).collect();
    assert_eq!(looked, [other]);
    assert_eq!(
        names_of(&case.world, &workspace, &secret()),
        ["default/made-test", "default/other-prod"]
    );
}

#[test]
fn s6_2_namespaces_are_found_by_reference_selector_and_template() {
    let space = |name: &str, labels: &Value| {
        let at = ObjectRef {
            place: Place::Workspace(CLUSTER.into()),
            ..ObjectRef::service_namespace(name)
        };
        (at, json!({"metadata": {"labels": labels}}))
    };
    let by = |namespace: &Value| {
        let publication = with(&json!({"object": {
            "template": {"template": "same"}, "namespace": namespace,
        }}));
        let mut case = Case::new(
            &publication,
            &json!({"spec": {"spaces": ["x", "y"], "none": ""}}),
        );
        for name in ["x", "y", "z"] {
            let (at, object) = space(name, &json!({"team": if name == "z" { "b" } else { "a" }}));
            case.world.put(&at, object);
            case.world
                .put(&up(secret(), name, "same"), json!({"data": {"of": name}}));
        }
        case.begin();
        names_of(&case.world, &Place::Service, &secret())
    };
    assert_eq!(
        by(&json!({"reference": {"path": "spec.spaces"}})),
        ["x/same", "y/same"]
    );
    assert_eq!(
        by(
            &json!({"selector": {"matchLabels": {"team": "a"}, "rewrite": {"template": {"template": "{{ .ClusterName }}-{{ .Value }}"}}}})
        ),
        [format!("{CLUSTER}-x/same"), format!("{CLUSTER}-y/same")]
    );
    assert_eq!(
        by(
            &json!({"template": {"template": "{{ if eq .Side \"kcp\" }}z{{ else }}there{{ end }}"}})
        ),
        ["there/same"]
    );
    // Nothing found, nothing done.
    assert_eq!(
        by(&json!({"reference": {"path": "spec.missing"}})),
        Vec::<String>::new()
    );
    assert_eq!(
        by(&json!({"reference": {"path": "spec.none"}})),
        Vec::<String>::new()
    );
    assert_eq!(
        by(&json!({"template": {"template": ""}})),
        Vec::<String>::new()
    );
}

#[test]
fn s3_2_a_related_kind_may_be_another_one_on_the_other_side() {
    let entry = json!({
        "group": "db.example.io", "version": "v1", "resource": "users",
        "projection": {"group": "", "version": "v1", "resource": "configmaps"},
        "object": {"template": {"template": "it"}},
    });
    // An empty group means "as it is", so nothing is projected into the core group.
    let said = problems(&related(&entry));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("there is no `configmaps` in db.example.io/v1 on the service cluster"),
        "{said:?}"
    );
    let entry = json!({
        "version": "v1", "resource": "configmaps", "origin": "service",
        "projection": {"group": "db.example.io", "resource": "users"},
        "object": {"template": {"template": "it"}},
    });
    let rule = &converted(&related(&entry)).definition.related[0];
    assert_eq!(
        (rule.kind.kind.as_str(), rule.into.kind.as_str()),
        ("ConfigMap", "User")
    );
}

#[test]
fn s2_2_kinds_are_told_in_both_ways_and_wait_where_nobody_serves_them() {
    let object = json!({"template": {"template": "it"}});
    let by_kind = converted(&related(&json!({"kind": "ConfigMap", "object": object})));
    assert_eq!(by_kind.definition.related[0].kind, config());
    let unserved =
        json!({"version": "v1", "group": "g.io", "resource": "widgets", "object": object});
    let refused = crate::compat_definition::converted_between(
        &related(&unserved),
        crate::compat_definition::local(),
        crate::compat_definition::remote(),
    );
    let refused = refused.expect_err("nobody serves it");
    assert_eq!(refused.problems, []);
    let paths: Vec<_> = refused.waiting.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        ["spec.related[0].resource", "spec.related[0].resource"]
    );
    assert_eq!(
        problems(&related(&json!({"kind": null, "object": object}))).len(),
        1
    );
}

#[test]
fn s2_2_an_identity_hash_is_claimed() {
    let entry = json!({"group": "db.example.io", "version": "v1", "resource": "users", "identityHash": "abc",
        "object": {"template": {"template": "it"}}});
    let definition = converted(&related(&entry)).definition;
    let publications = Publications::compile(AGENT, &[definition]).expect("it compiles");
    let claims = access::claims(&publications);
    let users = claims
        .iter()
        .find(|it| it["resource"] == "users")
        .expect("a claim");
    assert_eq!(users["identityHash"], "abc");
}

#[test]
fn s6_1_copies_go_as_the_go_agents_do() {
    let object = json!({"template": {"template": "it"}});
    let cleanup = |entry: Value| {
        let mut entry = entry;
        entry["object"] = object.clone();
        converted(&related(&entry)).definition.related[0].cleanup
    };
    assert_eq!(cleanup(json!({"origin": "kcp"})), Cleanup::WithOrder);
    assert_eq!(
        cleanup(json!({"origin": "kcp", "cleanup": false})),
        Cleanup::WithOrder
    );
    assert_eq!(cleanup(json!({"origin": "service"})), Cleanup::Never);
    assert_eq!(
        cleanup(json!({"origin": "service", "cleanup": true})),
        Cleanup::WithOrder
    );
    let gone = json!({"originGone": "Delete"});
    assert_eq!(
        cleanup(json!({"origin": "kcp", "syncagent": gone})),
        Cleanup::WithOrigin
    );
    assert_eq!(
        cleanup(json!({"origin": "service", "syncagent": gone})),
        Cleanup::WithOrigin
    );
}

#[test]
fn s6_7_an_object_of_the_service_stays_behind_unless_said_otherwise() {
    for (cleanup, left) in [(false, 1), (true, 0)] {
        let publication = with(
            &json!({"origin": "service", "cleanup": cleanup, "object": {"template": {"template": "it"}}}),
        );
        let mut case = Case::new(&publication, &json!({"spec": {}}));
        case.world
            .put(&down(secret(), CLUSTER, "it"), json!({"data": {}}));
        case.begin();
        let workspace = Place::Workspace(CLUSTER.into());
        assert_eq!(names_of(&case.world, &workspace, &secret()), ["default/it"]);
        let origin = case.agent.origin();
        case.world.delete(&origin);
        case.see(&[&origin]);
        assert!(!case.world.objects.contains_key(&origin));
        assert_eq!(names_of(&case.world, &workspace, &secret()).len(), left);
    }
}

#[test]
fn s7_3_mutations_of_related_objects_see_the_original_and_its_copy() {
    let publication = with(&json!({
        "object": {"template": {"template": "it"}},
        "mutation": {
            "spec": [
                {"template": {"path": "data.who", "template": "{{ .LocalObject.metadata.namespace }}/{{ .RemoteObject.metadata.namespace }}"}},
                {"regex": {"path": "metadata.labels.stage", "replacement": "copied"}},
            ],
            "status": [{"delete": {"path": "status.x"}}],
        },
    }));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    let original = up(secret(), "default", "it");
    case.world.put(&original, json!({"data": {"a": "eA=="}}));
    assert_eq!(case.begin(), Ending::Settled);
    let copy = down(secret(), CLUSTER, "it");
    let who = format!("default/{CLUSTER}");
    assert_eq!(case.world.objects[&copy]["data"]["who"], who);
    assert_eq!(label(&case.world.objects[&copy], "stage"), "copied");
    // With the copy there, it is looked at.
    case.world
        .edit(&original, |it| it["data"]["a"] = json!("eQ=="));
    assert_eq!(case.see(&[&original]), Ending::Settled);
    assert_eq!(
        case.world.objects[&copy]["data"],
        json!({"a": "eQ==", "who": who})
    );
}

#[test]
fn s5_8_labels_and_annotations_of_related_objects_cross_both_ways() {
    let metadata = json!({"labels": {"team": "a", "claimed.internal.apis.kcp.io/x": "y"},
        "annotations": {"note": "x", "kcp.io/cluster": CLUSTER}});
    for origin in ["kcp", "service"] {
        let publication =
            with(&json!({"origin": origin, "object": {"template": {"template": "it"}}}));
        let mut case = Case::new(&publication, &json!({"spec": {}}));
        let (here, there) = (up(secret(), "default", "it"), down(secret(), CLUSTER, "it"));
        let (original, copy) = match origin {
            "kcp" => (here, there),
            _ => (there, here),
        };
        case.world.put(
            &original,
            json!({"metadata": metadata, "data": {"a": "eA=="}}),
        );
        assert_eq!(case.begin(), Ending::Settled);
        let made = &case.world.objects[&copy]["metadata"];
        assert_eq!(made["labels"]["team"], "a", "{origin}");
        assert_eq!(made["annotations"]["note"], "x");
        assert_eq!(made["annotations"].get("kcp.io/cluster"), None);
        assert_eq!(made["labels"].get("claimed.internal.apis.kcp.io/x"), None);
        // Changed later, without the content.
        case.world.edit(&original, |it| {
            it["metadata"]["labels"]["team"] = json!("b");
        });
        case.see(&[&original]);
        assert_eq!(
            case.world.objects[&copy]["metadata"]["labels"]["team"], "b",
            "{origin}"
        );
        case.agent.assert_settled(&mut case.world);
    }
}

#[test]
fn s12_3_what_somebody_changes_on_a_related_copy_stays_until_the_original_changes() {
    for origin in ["kcp", "service"] {
        let publication =
            with(&json!({"origin": origin, "object": {"template": {"template": "it"}}}));
        let mut case = Case::new(&publication, &json!({"spec": {}}));
        let (here, there) = (up(secret(), "default", "it"), down(secret(), CLUSTER, "it"));
        let (original, copy) = match origin {
            "kcp" => (here, there),
            _ => (there, here),
        };
        case.world.put(&original, json!({"data": {"a": "eA=="}}));
        case.begin();
        case.world
            .edit(&copy, |it| it["data"]["a"] = json!("changed"));
        case.agent.take_sent();
        assert_eq!(case.see(&[&copy]), Ending::Settled);
        case.agent.restart(&case.world);
        assert_eq!(case.run(), Ending::Settled);
        assert_eq!(case.agent.take_sent(), Vec::<String>::new(), "{origin}");
        assert_eq!(
            case.world.objects[&copy]["data"]["a"], "changed",
            "{origin}"
        );
        case.world
            .edit(&original, |it| it["data"]["a"] = json!("eQ=="));
        case.see(&[&original]);
        assert_eq!(case.world.objects[&copy]["data"]["a"], "eQ==", "{origin}");
    }
}

#[test]
fn s6_5_an_identifier_must_fit_into_an_annotation() {
    let object = json!({"template": {"template": "it"}});
    for (identifier, fits) in [
        ("creds", true),
        ("a b", false),
        ("a/b", false),
        (&*"x".repeat(70), false),
    ] {
        let entry =
            |origin: &str| json!({"identifier": identifier, "origin": origin, "object": object});
        let said = problems(&related(&entry("service")));
        assert_eq!(said.is_empty(), fits, "{said:?}");
        // Objects of the workspace are named by no annotation.
        assert_eq!(problems(&related(&entry("kcp"))), Vec::<String>::new());
    }
}

#[test]
fn s6_6_the_status_crosses_where_it_is_asked_for() {
    let entry = json!({"origin": "service", "group": "db.example.io", "version": "v1", "resource": "users",
        "syncStatus": true, "watch": {"byOwner": {}}, "object": {"template": {"template": "it"}}});
    let rule = &converted(&related(&entry)).definition.related[0];
    assert!(rule.status);
    assert_eq!(rule.origin, Side::Service);
    // A watch is taken and never needed.
    let mut other = entry;
    other["watch"] = json!({"bySelector": {"matchLabels": {"a": "b"}}});
    assert!(converted(&related(&other)).definition.related[0].status);
}

#[test]
fn s2_2_entries_of_one_identifier_share_the_last_mutation() {
    let entry = |name: &str, replacement: &str| {
        json!({"identifier": "same", "origin": "kcp", "kind": "Secret", "object": {"template": {"template": name}},
            "mutation": {"spec": [{"regex": {"path": "data.a", "replacement": replacement}}]}})
    };
    let spec = json!({"naming": {"name": "{{ .Object.metadata.name }}"}, "related": [entry("one", "x"), entry("two", "y")]});
    assert!(
        warnings(&spec)
            .iter()
            .any(|it| it.starts_with("spec.related[1].identifier: `same` is used twice"))
    );
    let publication = publication(&spec);
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    for name in ["one", "two"] {
        case.world
            .put(&up(secret(), "default", name), json!({"data": {}}));
    }
    assert_eq!(case.begin(), Ending::Settled);
    for name in ["one", "two"] {
        assert_eq!(
            case.world.objects[&down(secret(), CLUSTER, name)]["data"]["a"],
            "y"
        );
    }
}

#[test]
fn s4_6_what_a_user_names_outside_a_namespace_of_their_own_is_a_warning_and_strictly_a_problem() {
    let mut spec =
        related(&json!({"origin": "service", "object": {"reference": {"path": "spec.secret"}}}));
    spec["naming"] = json!({"namespace": "all", "name": "{{ .ClusterName }}-{{ .Object.metadata.namespace | sha3short }}-{{ .Object.metadata.name | sha3short }}"});
    let it = converted(&spec);
    let doubts: Vec<_> = it.unproven.iter().map(ToString::to_string).collect();
    assert!(
        doubts
            .iter()
            .any(|it| it
                .starts_with("spec.related[0]: it could find an object of another workspace")),
        "{doubts:#?}"
    );
    assert!(
        doubts
            .iter()
            .any(|it| it.contains("a consumer who writes `spec.secret` could read any object")),
        "{doubts:#?}"
    );
    assert!(it.strict().is_err());
    // With one namespace for each workspace and a name that the service says, all is proven but the name up there.
    spec["naming"] = json!({});
    spec["related"][0]["object"]["reference"]["path"] = json!("status.secret");
    let doubts = converted(&spec).unproven;
    assert_eq!(doubts, []);
}

#[test]
fn everything_that_is_wrong_with_related_objects_is_told_at_once() {
    let said = problems(&json!({"related": [
        {"identifier": "a", "origin": "kcp", "kind": "Secret"},
        {"identifier": "b", "origin": "kcp", "kind": "Secret", "object": {}},
        {"identifier": "c", "origin": "kcp", "version": "v1", "object": {"template": {"template": "x"}}},
        {"identifier": "d", "origin": "kcp", "kind": "Secret", "object": {"reference": {"path": "", "regex": {"pattern": "("}}}},
        {"identifier": "e", "origin": "kcp", "kind": "Secret", "object": {"selector": {"matchLabels": {"a b": "{{ nope }}"}, "rewrite": {}}}},
        {"identifier": "f", "origin": "kcp", "kind": "Secret", "object": {"template": {"template": "x"}, "namespace": {"template": {"template": "{{"}}}},
        {"identifier": "g", "origin": "kcp", "kind": "Secret", "object": {"template": {"template": "x"}}, "reference": {"name": {"path": "a"}}},
        {"identifier": "h", "origin": "kcp", "kind": "Secret", "object": {"template": {"template": "x"}}, "mutation": {"spec": [{}]}},
    ]}));
    let paths: Vec<_> = said
        .iter()
        .map(|it| it.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "spec.related[6].reference",
            "spec.related[0].object",
            "spec.related[1].object",
            "spec.related[2].resource",
            "spec.related[3].object.reference.regex.pattern",
            "spec.related[4].object.selector.rewrite",
            "spec.related[4].object.selector.matchLabels",
            "spec.related[4].object.selector.matchLabels",
            "spec.related[5].object.namespace.template.template",
            "spec.related[7].mutation.spec[0]",
        ],
        "{said:#?}"
    );
}

#[test]
fn s14_the_first_format_means_the_same() {
    let old = json!({
        "resource": {"apiGroup": "db.example.io", "kind": "Database", "version": "v1"},
        "naming": {"namespace": "$remoteClusterName", "name": "$remoteName"},
        "related": [{
            "identifier": "it", "origin": "kcp", "kind": "Secret",
            "reference": {"name": {"path": "spec.secret", "regex": {"pattern": "^s-", "replacement": ""}}},
        }],
    });
    let publication = publication(&old);
    let mut case = Case::new(&publication, &json!({"spec": {"secret": "s-mine"}}));
    case.world
        .put(&up(secret(), "default", "mine"), json!({"data": {}}));
    assert_eq!(case.begin(), Ending::Settled);
    assert_eq!(
        names_of(&case.world, &Place::Service, &secret()),
        [format!("{CLUSTER}/mine")]
    );
    assert_eq!(case.copy_ref().name, "a");
    // Today's form is another text, and the same publication.
    let modern = first::modern(&published(&old));
    assert!(first::is_old(&published(&old)) && !first::is_old(&modern));
    let spec = serde_json::to_value(&modern.spec).expect("it is JSON");
    assert_eq!(
        spec,
        json!({
            "resource": {"apiGroup": "db.example.io", "kind": "Database", "versions": ["v1"]},
            "naming": {"namespace": "{{ .ClusterName }}", "name": "{{ .Object.metadata.name }}"},
            "related": [{
                "identifier": "it", "origin": "kcp", "version": "v1", "resource": "secrets",
                "object": {"reference": {"path": "spec.secret", "regex": {"pattern": "^s-", "replacement": ""}}},
            }],
        })
    );
    assert!(publication.is_same(&crate::compat_definition::publication(&spec)));
}

#[test]
fn s5_8_a_copy_of_a_related_object_carries_our_marks() {
    let publication = with(&json!({"object": {"template": {"template": "it"}}}));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    let original = json!({"metadata": {"labels": {names::AGENT: "somebody-else"}}, "data": {}});
    case.world.put(&up(secret(), "default", "it"), original);
    case.begin();
    let copy = &case.world.objects[&down(secret(), CLUSTER, "it")];
    assert_eq!(label(copy, names::AGENT), AGENT);
    assert_eq!(secrets(&case.world).len(), 2);
}
