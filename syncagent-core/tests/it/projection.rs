//! Down and up: fields move, constants are set, names follow, messages come back in the consumer's words.

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::definition::{
    CopyNaming, Definition, FieldRule, Only, Pass, Rule, SetRule, StatusField, StatusRule,
    StatusSource,
};
use syncagent_core::object::path::{Path, get, set, spot_text};
use syncagent_core::projection::translate;
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, at, compile, crd, key, kind, order, spec_schema, takes, thing};

fn moved(path: &str, to: &str) -> FieldRule {
    FieldRule {
        path: path.into(),
        rule: Rule::Moved {
            at: Some(to.into()),
            with: None,
        },
    }
}

fn rule(path: &str, rule: Rule) -> FieldRule {
    FieldRule {
        path: path.into(),
        rule,
    }
}

fn intent(publication: &Publication, spec: &Value) -> Value {
    let key = key(publication, "a");
    let mut origin = order(publication, &key, spec);
    origin["metadata"]["uid"] = json!("u1");
    origin["metadata"]["labels"] =
        json!({"team": "red", "other": "x", "claimed.internal.apis.kcp.io/k": "v"});
    publication
        .intent(&key, &origin)
        .expect("it can be brought down")
        .object
}

fn bounded(value: &Value) -> Result<Value, String> {
    let size = value.as_i64().unwrap_or(0);
    if size > 9 {
        Err("at most 9".into())
    } else {
        Ok(json!(size.max(0) * 10))
    }
}

fn mapped() -> Definition {
    Definition {
        fields: vec![
            moved("spec.hosts", "spec.dns.names"),
            moved("spec.color", "spec.pool"),
            moved("spec.pool", "spec.color"),
            moved("spec.items[].a", "spec.items[].b"),
            rule("spec.note", Rule::Local),
            rule(
                "spec.size",
                Rule::Moved {
                    at: Some("spec.millis".into()),
                    with: Some(bounded),
                },
            ),
            takes("spec.items[].ref", "{copy.name}-{name.hash}.taken"),
        ],
        set: vec![
            SetRule {
                at: "spec.issuer.name".into(),
                value: json!("acme"),
            },
            SetRule {
                at: "spec.out".into(),
                value: json!({"secret": "{copy.name}-tls", "n": 1}),
            },
        ],
        pass: Pass {
            labels: vec!["team".into()],
            ..Pass::default()
        },
        ..thing()
    }
}

#[test]
fn what_goes_down() {
    let publication = compile(mapped());
    let object = intent(
        &publication,
        &json!({
            "hosts": ["a", "b"], "color": "red", "pool": "fast", "note": "mine", "size": 3, "secret": null,
            "items": [{"a": "1", "ref": {"name": "x"}}, {"a": "2"}],
        }),
    );
    let copy = object["metadata"]["name"].as_str().unwrap();
    let taken = object["spec"]["items"][0]["ref"]["name"].as_str().unwrap();
    assert!(
        taken.starts_with(copy) && taken.ends_with(".taken"),
        "{taken}"
    );
    assert_eq!(
        object["spec"],
        json!({
            "dns": {"names": ["a", "b"]}, "color": "fast", "pool": "red", "millis": 30,
            "items": [{"b": "1", "ref": {"name": taken}}, {"b": "2"}],
            "issuer": {"name": "acme"}, "out": {"secret": format!("{copy}-tls"), "n": 1},
        })
    );
    let labels = object["metadata"]["labels"].as_object().unwrap();
    assert_eq!(
        (labels.get("team"), labels.get("other")),
        (Some(&json!("red")), None)
    );
    assert!(
        labels
            .keys()
            .all(|key| !key.starts_with("claimed.internal"))
    );
}

#[test]
fn an_objection_of_a_function_names_the_consumers_field() {
    let publication = compile(mapped());
    let key = key(&publication, "a");
    let objection = publication
        .intent(&key, &order(&publication, &key, &json!({"size": 10})))
        .unwrap_err();
    assert_eq!(objection.message, "spec.size: at most 9");
}

#[test]
fn fields_of_the_service_are_told_in_the_consumers_terms() {
    let publication = compile(mapped());
    let up = |field: &str| publication.projection().up_path(field);
    assert_eq!(up("spec.dns.names[1]").as_deref(), Some("spec.hosts[1]"));
    assert_eq!(up("spec.items[2].b").as_deref(), Some("spec.items[2].a"));
    assert_eq!(up("spec.color").as_deref(), Some("spec.pool"));
    assert_eq!(up("spec.millis").as_deref(), Some("spec.size"));
    assert_eq!(
        up("spec.items[0].ref.name").as_deref(),
        Some("spec.items[0].ref.name")
    );
    // Constants and what the agent writes are not the consumer's.
    assert_eq!(up("spec.issuer.name"), None);
    assert_eq!(up("spec.out.secret"), None);
    assert_eq!(up("metadata.labels"), None);
}

#[test]
fn names_are_translated_as_whole_words_and_the_longest_first() {
    let names = [
        ("pg".to_owned(), "mine".to_owned()),
        ("pg.taken".to_owned(), "secret".to_owned()),
        ("1abc".to_owned(), "default".to_owned()),
    ];
    for (said, heard) in [
        ("pg is bad.", "mine is bad."),
        ("\"pg.taken\" in 1abc", "\"secret\" in default"),
        ("pgx xpg a-pg pg-rw", "pgx xpg a-pg pg-rw"),
        ("1abc/pg.", "default/mine."),
    ] {
        assert_eq!(translate(said, &names), heard);
    }
}

/// Databases that refer to clusters, whose names are hashed or plain.
fn two(cluster_name: &str) -> Publications {
    let cluster_kind = kind("pg.io", "Cluster", "clusters");
    let database = kind("pg.io", "Database", "databases");
    let only = Only {
        namespaces: vec!["default".into()],
        ..Only::default()
    };
    let copy = CopyNaming {
        namespace: Some("{workspace}".into()),
        name: cluster_name.into(),
    };
    let cluster = Definition {
        schema: syncagent_core::definition::SchemaSource::Type(crd(&cluster_kind, &spec_schema())),
        service: cluster_kind.clone(),
        offered: cluster_kind.clone(),
        copy,
        only: only.clone(),
        ..thing()
    };
    let definition = Definition {
        schema: syncagent_core::definition::SchemaSource::Type(crd(&database, &spec_schema())),
        service: database.clone(),
        offered: database,
        only,
        fields: vec![rule(
            "spec.secret",
            Rule::RefersTo {
                offered: cluster_kind.clone(),
                name_at: Some("name".into()),
            },
        )],
        status: StatusRule::Fields(vec![
            at("status.phase", "status.phase"),
            StatusField {
                path: "status.owner".into(),
                source: StatusSource::RefersTo {
                    offered: cluster_kind,
                    at: "status.cluster".into(),
                },
            },
        ]),
        ..thing()
    };
    Publications::compile(AGENT, &[definition, cluster])
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn references_follow_names_both_ways() {
    for name in ["{name}", "c-{name}", "{namespace.hash}-{name.hash}"] {
        let publications = two(name);
        let database = publications.get("databases.pg.io").unwrap();
        let cluster = publications.get("clusters.pg.io").unwrap();
        let object = intent(database, &json!({"secret": {"name": "kcp"}}));
        let target = cluster.copy(&key(cluster, "kcp")).unwrap();
        assert_eq!(object["spec"]["secret"]["name"], json!(target.name));

        let mut agent = crate::world::Agent::new(database, &key(database, "db"));
        let mut world = crate::world::World::default();
        world.put(
            &agent.origin(),
            order(database, &agent.key, &json!({"secret": {"name": "kcp"}})),
        );
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        world.edit(&agent.copy(), |copy| {
            copy["status"] = json!({"phase": "ok", "cluster": target.name});
        });
        agent.event(&world, &agent.copy());
        agent.run(&mut world, None);
        assert_eq!(
            world.objects[&agent.origin()]["status"]["owner"],
            "kcp",
            "{name}"
        );
        // A name that nobody here can know is not shown.
        world.edit(&agent.copy(), |copy| {
            copy["status"]["cluster"] = json!("!somebody-else");
        });
        agent.event(&world, &agent.copy());
        agent.run(&mut world, None);
        let shown = world.objects[&agent.origin()]["status"].clone();
        if name != "{name}" {
            assert!(shown.get("owner").is_none(), "{name}: {shown}");
        }
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(256))]

    #[test]
    fn a_path_that_is_set_is_read(fields in prop::collection::vec("[a-z]{1,3}", 1..5), each in prop::collection::vec(any::<bool>(), 5), at in 0usize..3) {
        let text: Vec<String> = fields.iter().zip(&each).map(|(field, each)| {
            if *each { format!("{field}[]") } else { field.clone() }
        }).collect();
        let path: Path = text.join(".").parse().unwrap();
        prop_assert_eq!(path.to_string(), text.join("."));
        let spot: Vec<_> = path.like(&vec![syncagent_core::object::path::Hop::At(at); 5]);
        let mut object = json!({});
        set(&mut object, &spot, json!("x"));
        prop_assert_eq!(get(&object, &spot), Some(&json!("x")));
        let found = path.each(&object);
        prop_assert_eq!(found.len(), 1, "{}", spot_text(&spot));
        prop_assert_eq!(&found[0].0, &spot);
        path.remove(&mut object);
        prop_assert!(path.first(&object).is_none());
    }

    #[test]
    fn moving_there_and_back_is_nothing(hosts in prop::collection::vec("[a-z]{1,4}", 0..4), color in "[a-z]{1,4}", pool in "[a-z]{1,4}") {
        let there = compile(Definition { fields: vec![moved("spec.color", "spec.pool"), moved("spec.pool", "spec.color")], ..thing() });
        let spec = json!({"hosts": hosts, "color": color, "pool": pool});
        let once = intent(&there, &spec);
        let twice = intent(&there, &once["spec"]);
        prop_assert_eq!(&twice["spec"], &spec);
        // Without rules the way down changes nothing, however often it is gone.
        let plain = compile(thing());
        let once = intent(&plain, &spec);
        prop_assert_eq!(&once["spec"], &spec);
    }

    #[test]
    fn the_way_down_is_total(spec in arbitrary()) {
        let publication = compile(mapped());
        let key = key(&publication, "a");
        let mut origin = order(&publication, &key, &json!({}));
        origin["spec"] = spec;
        let _ = publication.intent(&key, &origin);
    }
}

fn arbitrary() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "hosts", "items", "a", "ref", "name", "secret", "size", "color", "note",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn a_number_crosses_as_it_was_written() {
    let publication = compile(thing());
    let key = key(&publication, "a");
    for text in [
        "0.9073038322028689",
        "-0.23076923076923078",
        "9007199254740993",
        "1.5",
        "0",
    ] {
        let origin = format!(
            r#"{{"metadata": {{"name": "a", "namespace": "default"}}, "spec": {{"size": {text}}}}}"#
        );
        let origin = serde_json::from_str(&origin).expect("it is JSON");
        let intent = publication
            .intent(&key, &origin)
            .expect("it can be brought down");
        assert_eq!(
            intent.object["spec"].to_string(),
            format!(r#"{{"size":{text}}}"#)
        );
    }
}
