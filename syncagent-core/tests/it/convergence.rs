//! Every order settles, also when the agent dies in between, and costs what law 6 says.

use serde_json::json;
use syncagent_core::plan::{Ending, ObjectRef, Record, Seen};

use crate::fixture::{compile, full_thing, key, order, secret, service, thing};
use crate::world::{Agent, World, take_over};

fn ordered(agent: &Agent<'_>) -> World {
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(agent.publication, &agent.key, &spec));
    world
}

fn fulfil(world: &mut World, agent: &Agent<'_>) {
    world.edit(&agent.copy(), |copy| {
        copy["status"] =
            json!({"phase": "ready", "observedGeneration": copy["metadata"]["generation"]});
    });
}

#[test]
fn creating_costs_hold_namespace_place_and_one_condition() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!(agent.gets, 0);
    assert_eq!(
        agent.take_sent(),
        ["Hold 200", "Namespace 200", "Place 200", "Reflect 200"]
    );
    agent.assert_settled(&mut world);
    assert_eq!(agent.take_sent(), Vec::<String>::new());
}

#[test]
fn a_second_order_in_a_known_namespace_costs_hold_and_place() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    world.put(&publication.copy_namespace(&agent.key).unwrap(), json!({}));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (
            0,
            vec!["Hold 200".into(), "Place 200".into(), "Reflect 200".into()]
        )
    );
}

#[test]
fn a_change_and_a_status_cost_one_write_each() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    world.edit(&agent.origin(), |origin| origin["spec"]["size"] = json!(2));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Refresh 200".into()])
    );
    assert_eq!(world.objects[&agent.copy()]["spec"]["size"], 2);
    fulfil(&mut world, &agent);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Reflect 200".into()])
    );
    let status = &world.objects[&agent.origin()]["status"];
    assert_eq!(
        (&status["phase"], &status["observedGeneration"]),
        (&json!("ready"), &json!(2))
    );
    agent.assert_settled(&mut world);
}

#[test]
fn the_generation_that_is_shown_tells_the_truth() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    // A consumer who thought twice before the agent looked: the order's generation runs ahead of the copy's.
    world.edit(&agent.origin(), |origin| origin["spec"]["size"] = json!(5));
    world.edit(&agent.origin(), |origin| origin["spec"]["size"] = json!(6));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    fulfil(&mut world, &agent);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&agent.origin()]["status"]["observedGeneration"],
        3
    );
    // The copy is written, the operator has not looked yet, and says something else.
    world.edit(&agent.origin(), |origin| origin["spec"]["size"] = json!(7));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |copy| {
        copy["status"]["phase"] = json!("busy");
    });
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    let status = world.objects[&agent.origin()]["status"].clone();
    assert_eq!(
        (&status["phase"], &status["observedGeneration"]),
        (&json!("busy"), &json!(3))
    );
    fulfil(&mut world, &agent);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&agent.origin()]["status"]["observedGeneration"],
        4
    );
}

#[test]
fn a_generation_without_a_change_for_the_service_is_shown_too() {
    let mut definition = thing();
    definition
        .fields
        .push(syncagent_core::definition::FieldRule {
            path: "spec.note".into(),
            rule: syncagent_core::definition::Rule::Local,
        });
    let publication = compile(definition);
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    fulfil(&mut world, &agent);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    agent.take_sent();
    world.edit(&agent.origin(), |origin| {
        origin["spec"]["note"] = json!("mine");
    });
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (1, vec!["Reflect 200".into()])
    );
    assert_eq!(
        world.objects[&agent.origin()]["status"]["observedGeneration"],
        2
    );
    assert!(world.objects[&agent.copy()]["spec"].get("note").is_none());
}

#[test]
fn a_field_that_somebody_took_is_taken_back() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    world.edit(&agent.copy(), |copy| take_over(copy, "size", json!(99)));
    let (record, drifted) = (agent.record.clone(), world.clone());
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(agent.gets, 1, "the order has to be read");
    assert_eq!(agent.take_sent(), ["Refresh 200"]);
    assert_eq!(world.objects[&agent.copy()]["spec"]["size"], 1);
    // Also after a restart.
    let mut world = drifted;
    agent.record = record;
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Refresh 200".into()])
    );
    agent.assert_settled(&mut world);
}

#[test]
fn what_the_operator_adds_stays() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    world.edit(&agent.copy(), |copy| copy["spec"]["pool"] = json!("fast"));
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
    world.edit(&agent.origin(), |origin| {
        origin["spec"] = json!({"color": "red"});
    });
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&agent.copy()]["spec"],
        json!({"color": "red", "pool": "fast"})
    );
}

#[test]
fn a_restart_over_settled_orders_reads_and_writes_nothing() {
    for definition in [thing(), full_thing()] {
        let publication = compile(definition);
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = settle_with_everything(&mut agent);
        agent.restart(&world);
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
        agent.assert_settled(&mut world);
    }
}

#[test]
fn after_a_restart_a_status_costs_one_write() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settle_with_everything(&mut agent);
    agent.restart(&world);
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |copy| {
        copy["status"]["phase"] = json!("busy");
    });
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Reflect 200".into()])
    );
}

/// An order with everything around it that it needs, settled.
fn settle_with_everything(agent: &mut Agent<'_>) -> World {
    let mut world = ordered(agent);
    surround(agent, &mut world);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    fulfil(&mut world, agent);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    agent.take_sent();
    world
}

fn surround(agent: &Agent<'_>, world: &mut World) {
    let pw = ObjectRef {
        kind: secret(),
        name: "pw".into(),
        ..agent.origin()
    };
    world.put(&pw, json!({"data": {"password": "eA=="}, "type": "Opaque"}));
    let rw = ObjectRef {
        kind: service(),
        name: format!("{}-rw", agent.copy().name),
        ..agent.copy()
    };
    world.put(&rw, json!({"status": {"ip": "10.0.0.1"}}));
}

#[test]
fn an_agent_that_dies_after_any_effect_leads_to_the_same_world() {
    for definition in [thing(), full_thing()] {
        let publication = compile(definition);
        let key = key(&publication, "a");
        let mut agent = Agent::new(&publication, &key);
        let mut start = ordered(&agent);
        surround(&agent, &mut start);
        let mut end = start.clone();
        agent.event(&end, &agent.origin());
        agent.run(&mut end, None);
        let effects = agent.sent.len();
        assert!(effects >= 4, "{:?}", agent.sent);
        for cut in 0..effects {
            let mut agent = Agent::new(&publication, &key);
            let mut world = start.clone();
            agent.event(&world, &agent.origin());
            assert_eq!(agent.run(&mut world, Some(cut)), None);
            agent.restart(&world);
            agent.run(&mut world, None);
            assert_eq!(
                world.picture(),
                end.picture(),
                "cut after {cut} effects: {:?}",
                agent.sent
            );
            agent.assert_settled(&mut world);
        }
        // The same on the way out.
        let mut gone = end.clone();
        gone.delete(&agent.origin());
        let start = gone.clone();
        agent.event(&gone, &agent.origin());
        agent.take_sent();
        agent.run(&mut gone, None);
        let effects = agent.sent.len();
        assert!(
            !gone.objects.contains_key(&agent.origin()),
            "{:?}",
            agent.sent
        );
        for cut in 0..effects {
            let mut agent = Agent::new(&publication, &key);
            let mut world = start.clone();
            agent.restart(&world);
            agent.run(&mut world, Some(cut));
            agent.restart(&world);
            if world.objects.contains_key(&agent.origin()) {
                agent.run(&mut world, None);
            }
            assert_eq!(
                world.picture(),
                gone.picture(),
                "cut after {cut} effects: {:?}",
                agent.sent
            );
        }
    }
}

#[test]
fn an_answer_that_is_lost_is_found_out() {
    // The write arrived, its answer did not: the agent goes on with the record it had before.
    let publication = compile(full_thing());
    let key = key(&publication, "a");
    let mut agent = Agent::new(&publication, &key);
    let mut start = ordered(&agent);
    surround(&agent, &mut start);
    let mut end = start.clone();
    agent.event(&end, &agent.origin());
    agent.run(&mut end, None);
    for cut in 1..=agent.sent.len() {
        let mut agent = Agent::new(&publication, &key);
        let mut world = start.clone();
        agent.event(&world, &agent.origin());
        let before = (agent.record.clone(), agent.seen.clone());
        agent.run(&mut world, Some(cut));
        (agent.record, agent.seen) = before;
        agent.run(&mut world, None);
        assert_eq!(
            world.picture(),
            end.picture(),
            "cut after {cut} effects: {:?}",
            agent.sent
        );
    }
}

#[test]
fn what_the_service_refuses_is_said_once_and_tried_again_when_it_changes() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    let copy = agent.copy();
    let message = format!(
        "Invalid value: 1: spec.size in body must be more for {} in {}",
        copy.name, copy.namespace
    );
    world.refuses.push(("spec.size".into(), message));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        agent.take_sent(),
        ["Hold 200", "Namespace 200", "Place 422", "Reflect 200"]
    );
    let condition = world.objects[&agent.origin()]["status"]["conditions"][0].clone();
    assert_eq!(
        (&condition["status"], &condition["reason"]),
        (&json!("False"), &json!("Invalid"))
    );
    assert_eq!(
        condition["message"],
        "spec.size: Invalid value: 1: spec.size in body must be more for a in default"
    );
    agent.assert_settled(&mut world);
    assert_eq!(agent.take_sent(), Vec::<String>::new());
    world.refuses.clear();
    world.edit(&agent.origin(), |origin| origin["spec"]["size"] = json!(3));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Place 200", "Reflect 200"]);
    assert_eq!(
        world.objects[&agent.origin()]["status"]["conditions"][0]["status"],
        "True"
    );
}

#[test]
fn another_object_under_our_name_is_left_alone_and_said() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    world.put(&publication.copy_namespace(&agent.key).unwrap(), json!({}));
    world.put(&agent.copy(), json!({"spec": {"size": 7}}));
    let theirs = world.objects[&agent.copy()].clone();
    agent.event(&world, &agent.origin());
    let Some(Ending::Refused(_)) = agent.run(&mut world, None) else {
        panic!("it is refused");
    };
    assert_eq!(agent.take_sent(), ["Hold 200", "Place 409", "Reflect 200"]);
    assert_eq!(world.objects[&agent.copy()], theirs);
    let status = world.objects[&agent.origin()]["status"].to_string();
    assert!(status.contains("NameTaken"), "{status}");
    assert!(!status.contains(&agent.copy().name), "{status}");
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), Vec::<String>::new());
    // The name becomes free, and the slow second look finds out.
    world.objects.remove(&agent.copy());
    agent.record.look_again();
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Place 200", "Reflect 200"]);
}

#[test]
fn stale_events_are_dropped() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = ordered(&agent);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let old = world.clone();
    world.edit(&agent.origin(), |origin| origin["spec"]["size"] = json!(2));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    fulfil(&mut world, &agent);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    agent.take_sent();
    agent.event(&old, &agent.origin());
    agent.event(&old, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
}

#[test]
fn a_record_stays_small() {
    let publication = compile(full_thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let _ = settle_with_everything(&mut agent);
    assert_eq!(agent.seen, Seen::new(), "no body outlives the step");
    assert!(size_of::<Record>() <= 1024, "{} bytes", size_of::<Record>());
}
