//! Deletion needs evidence, and happens in order.

use serde_json::json;
use syncagent_core::plan::{Ending, Sight};

use crate::filter::{Case, held, served};
use crate::fixture::{compile, full_thing, key, order, thing};
use crate::world::{Agent, World};

fn settled<'a>(agent: &mut Agent<'a>) -> World {
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(agent.publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    world
}

#[test]
fn deleting_costs_two_writes_and_no_read() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Retire 200".into(), "Release 200".into()])
    );
    assert!(
        world.objects.keys().all(|at| at.kind.kind == "Namespace"),
        "{:?}",
        world.objects.keys()
    );
    // The DELETED event of what was let go costs nothing.
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Gone));
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
}

#[test]
fn the_hold_stays_until_the_copy_is_seen_absent() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    world.edit(&agent.copy(), |copy| {
        copy["metadata"]["finalizers"] = json!(["operator/cleanup"]);
    });
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Retire 200"]);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
    // The operator is done: DELETED is a question, a GET answers it.
    world.edit(&agent.copy(), |copy| {
        copy["metadata"]["finalizers"] = json!([]);
    });
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (1, vec!["Release 200".into()])
    );
    assert!(!world.objects.contains_key(&agent.origin()));
}

#[test]
fn a_doubt_that_is_unfounded_deletes_nothing() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    for at in [agent.origin(), agent.copy()] {
        agent.seen.note(at, Sight::Doubt);
        agent.run(&mut world, None);
        assert_eq!(agent.gets, 1);
        assert_eq!(agent.take_sent(), Vec::<String>::new());
    }
    // An order that may not be read any more is kept.
    agent.seen.note(agent.origin(), Sight::Barred);
    let Some(Ending::Refused(_)) = agent.run(&mut world, None) else {
        panic!("it is reported");
    };
    assert_eq!(agent.take_sent(), Vec::<String>::new());
    assert!(world.objects.contains_key(&agent.copy()));
}

#[test]
fn a_stripped_order_takes_its_copy_with_it_once_that_is_certain() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    world.objects.remove(&agent.origin());
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Gone));
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (1, vec!["Retire 200".into()])
    );
    // The same after a restart: a copy without an order.
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    world.objects.remove(&agent.origin());
    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Gone));
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (1, vec!["Retire 200".into()])
    );
}

#[test]
fn a_copy_of_another_is_not_retired_with_our_order() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    // Somebody put something else in its place.
    world.objects.remove(&agent.copy());
    world.put(&agent.copy(), json!({"spec": {"size": 7}}));
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Retire 409", "Release 200"]);
    assert!(world.objects.contains_key(&agent.copy()));
}

#[test]
fn a_copy_that_vanished_is_made_again() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    world.delete(&agent.copy());
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (2, vec!["Place 200".into()])
    );
    agent.assert_settled(&mut world);
}

#[test]
fn others_finalizers_are_kept_and_waited_for() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let mut object = order(&publication, &agent.key, &json!({"size": 1}));
    object["metadata"]["finalizers"] = json!(["other/one"]);
    world.put(&agent.origin(), object);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&agent.origin()]["metadata"]["finalizers"],
        json!(["other/one"])
    );
    agent.take_sent();
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
}

#[test]
fn an_order_that_ends_before_its_first_step_leaves_what_another_takes() {
    let publication = compile(full_thing());
    let Case {
        mut world,
        password,
        taken,
        ..
    } = served(&publication);
    // Somebody else holds it, so that it is there and being deleted when it is seen first.
    let mut second = Agent::new(&publication, &key(&publication, "b"));
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    let mut object = order(&publication, &second.key, &spec);
    object["metadata"]["finalizers"] = json!(["other/one"]);
    world.put(&second.origin(), object);
    world.delete(&second.origin());
    let before = world.objects.clone();
    second.event(&world, &second.origin());
    second.run(&mut world, None);
    assert_eq!(second.take_sent(), Vec::<String>::new());
    assert_eq!(world.objects, before);
    assert!(held(&world, &password) && world.objects.contains_key(&taken));
}
