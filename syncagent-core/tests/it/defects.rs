//! What goes wrong elsewhere: `defects.md` lists it, with the tests that show it right here.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use syncagent_core::definition::{StatusField, StatusRule, StatusSource};

use crate::contract::rows;
use crate::fixture::{compile, full_thing, key, order, thing};
use crate::world::{Agent, World};

#[test]
fn every_test_that_is_named_exists() {
    let listed = rows(include_str!("defects.md"));
    let numbers: BTreeSet<u8> = listed
        .iter()
        .map(|it| it.parse().expect("a number"))
        .collect();
    assert_eq!(numbers.len(), listed.len(), "one is there twice");
    assert_eq!(numbers, (1..=23).collect());
}

#[test]
fn an_order_gets_a_finalizer_and_no_mark() {
    let publication = compile(full_thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let metadata = world.objects[&agent.origin()]["metadata"].as_object();
    let fields: BTreeSet<&str> = metadata
        .expect("metadata")
        .keys()
        .map(String::as_str)
        .collect();
    let wanted = [
        "finalizers",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
    ];
    assert_eq!(fields, wanted.into());
}

#[test]
fn a_status_that_has_no_place_is_sent_once() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.statusless = vec!["Thing".into()];
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let sent = agent.take_sent();
    let tries = sent.iter().filter(|it| *it == "Reflect 404").count();
    assert_eq!(tries, 1, "{sent:?}");
    agent.assert_settled(&mut world);
    // Another status is another try, and the spec goes on.
    world.edit(&agent.copy(), |it| it["status"] = json!({"phase": "ready"}));
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Reflect 404"]);
    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert!(agent.take_sent().contains(&"Refresh 200".to_owned()));
    assert_eq!(world.objects[&agent.copy()]["spec"]["size"], 2);
}

#[test]
fn a_number_is_the_same_however_it_is_written() {
    let mut definition = thing();
    definition.status = StatusRule::Fields(vec![StatusField {
        path: "status.phase".into(),
        source: StatusSource::With {
            at: "status.ready".into(),
            with: |it| Ok(json!(it.as_f64().unwrap_or_default())),
        },
    }]);
    let publication = compile(definition);
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    // The server writes `3.0` as `3`.
    world.plain_numbers = true;
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |it| it["status"] = json!({"ready": 3}));
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    let shown: &Value = &world.objects[&agent.origin()]["status"]["phase"];
    assert!(shown.is_i64() || shown.is_u64(), "{shown}");
    agent.assert_settled(&mut world);
    agent.restart(&world);
    agent.take_sent();
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), Vec::<String>::new());
}
