//! A plan says in words what it would do and why, and who has to do something; never what a Secret holds.

use serde_json::json;
use syncagent_core::plan::{Hands, Sight};

use crate::fixture::{compile, full_thing, key, order, secret, thing};
use crate::world::{Agent, World};

#[test]
fn a_plan_is_read_as_text() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let asked = agent.plan().to_string();
    assert_eq!(
        asked,
        "would look at workspace 1abc: things.example.io default/a\nthen looks again"
    );
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    let copy = agent.copy();
    agent.seen.note(copy.clone(), Sight::Absent);
    let namespace = syncagent_core::plan::ObjectRef::service_namespace(&copy.namespace);
    agent.seen.note(namespace, Sight::Absent);
    let planned = agent.plan().to_string();
    let lines: Vec<&str> = planned.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "would hold workspace 1abc: things.example.io default/a because nothing is placed before the order is held",
            "would namespace service: namespaces 1abc because the copy will live in it",
        ]
    );
    assert!(lines[2].starts_with("would place service: things.example.io 1abc/"));
    assert!(lines[2].ends_with("because it is not there yet"));
    agent.run(&mut world, None).expect("it is not cut");
    assert_eq!(agent.plan().to_string(), "settled");
}

#[test]
fn an_order_that_does_not_get_on_says_in_whose_hands_it_is() {
    let publication = compile(full_thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None).expect("it is not cut");
    let planned = agent.plan();
    assert_eq!(planned.hands, Some(Hands::Consumer));
    assert_eq!(planned.troubles[0].reason, "WaitingForSecret");
    assert!(
        planned
            .to_string()
            .contains("would tell the consumer: WaitingForSecret: waiting for the Secret \"pw\"")
    );
    assert!(
        planned
            .to_string()
            .ends_with("(in the hands of the consumer)")
    );
}

#[test]
fn what_a_secret_holds_is_in_no_text_of_a_plan() {
    let publication = compile(full_thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    let pw = syncagent_core::plan::ObjectRef {
        kind: secret(),
        name: "pw".into(),
        ..agent.origin()
    };
    world.put(
        &pw,
        json!({"data": {"password": "c2VjcmV0LW1hcms="}, "type": "Opaque"}),
    );
    agent.event(&world, &agent.origin());
    let mut texts = String::new();
    for _ in 0..10 {
        let planned = agent.plan();
        texts.push_str(&planned.to_string());
        for effect in &planned.effects {
            texts.push_str(&effect.to_string());
        }
        if agent.run(&mut world, Some(1)).is_some() {
            break;
        }
    }
    assert!(texts.contains("would take "), "{texts}");
    assert!(!texts.contains("c2VjcmV0LW1hcms"), "{texts}");
}
