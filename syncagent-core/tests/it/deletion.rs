//! Deletion needs evidence, and happens in order.

use serde_json::{Value, json};
use syncagent_core::definition::Drift;
use syncagent_core::plan::{
    Effect, Ending, Heard, Later, Plan, Record, Reply, Seen, Sight, absorb,
};
use syncagent_core::publication::Publication;

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

/// An order that is deleted, at the moment in which its copy is to be.
struct Retiring<'a> {
    agent: Agent<'a>,
    planned: Plan,
}

impl<'a> Retiring<'a> {
    fn new(publication: &'a Publication) -> Self {
        let mut agent = Agent::new(publication, &key(publication, "a"));
        let mut world = settled(&mut agent);
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        let planned = agent.plan();
        Self { agent, planned }
    }

    fn retire(&self) -> &Effect {
        let first = self.planned.effects.first();
        first.expect("the copy is retired")
    }

    /// What an answer to the deletion of the copy is taken for.
    fn hears(&self, code: u16, body: Value) -> (Heard, Record, Seen) {
        let (publication, key) = (self.agent.publication, &self.agent.key);
        let (mut record, mut seen) = (self.planned.record.clone(), self.agent.seen.clone());
        let reply = Reply { code, body };
        let heard = absorb(
            publication,
            key,
            &mut record,
            &mut seen,
            self.retire(),
            reply,
        );
        (heard, record, seen)
    }
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

#[test]
fn a_404_that_is_about_something_else_is_no_evidence() {
    let publication = compile(thing());
    let retiring = Retiring::new(&publication);
    let copy = &retiring.retire().request.object;
    let status = |details: Value| json!({"kind": "Status", "reason": "NotFound", "code": 404, "details": details});
    // As recorded from kube-apiserver 1.36 and kcp: a kind or an endpoint that is not served, a namespace, a workspace.
    let page = json!({"causes": [{"reason": "UnexpectedServerResponse", "message": "404 page not found"}]});
    let workspace = json!({"group": "tenancy.kcp.io", "kind": "workspaces", "name": copy.name});
    let others = [
        json!("404 page not found"),
        status(json!({})),
        status(page),
        status(json!({"kind": "namespaces", "name": copy.namespace})),
        status(json!({"group": copy.kind.group, "kind": copy.kind.plural, "name": "b"})),
        status(workspace),
    ];
    for body in others {
        assert!(!copy.is_missing_by(&body), "{body}");
        let (heard, record, seen) = retiring.hears(404, body);
        assert_eq!(heard, Heard::Later(Later::Unavailable));
        assert!(record.copy.is_some() && !record.copy_absent);
        assert_eq!(*seen.of(copy), Sight::Unseen);
    }
    let body =
        status(json!({"group": copy.kind.group, "kind": copy.kind.plural, "name": copy.name}));
    assert!(copy.is_missing_by(&body));
    let (heard, record, _) = retiring.hears(404, body);
    assert_eq!(heard, Heard::Next);
    assert!(record.copy.is_none() && record.copy_absent);
}

#[test]
fn who_is_not_known_to_a_server_is_told_apart_from_who_may_not() {
    let publication = compile(thing());
    let retiring = Retiring::new(&publication);
    for (code, later) in [(401, Later::Unaccepted), (403, Later::Denied)] {
        let body = json!({"kind": "Status", "code": code, "message": "no"});
        let (heard, ..) = retiring.hears(code, body);
        assert_eq!(heard, Heard::Later(later));
    }
}

#[test]
fn a_record_that_forgot_its_versions_believes_an_older_object_and_no_absence() {
    let mut definition = thing();
    definition.policy.drift = Drift::Correct;
    let publication = compile(definition);
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    let backup = world.clone();
    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    // The service cluster goes back: the copy is older, and is brought up to date.
    let copy = agent.copy();
    world
        .objects
        .insert(copy.clone(), backup.objects[&copy].clone());
    agent.event(&world, &copy);
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), Vec::<String>::new(), "old news");
    assert!(agent.record.forget_versions(true));
    agent.event(&world, &copy);
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Refresh 200"]);
    assert_eq!(world.objects[&copy]["spec"]["size"], 2);
    // The workspace goes back to before there was an order: nobody deleted it.
    world.objects.remove(&agent.origin());
    assert!(agent.record.forget_versions(false));
    agent.record.unsure = true;
    agent.event(&world, &agent.origin());
    let ending = agent.run(&mut world, None);
    assert!(
        matches!(&ending, Some(Ending::Refused(why)) if why.contains("orphan")),
        "{ending:?}"
    );
    assert!(world.objects.contains_key(&copy), "its copy stays");
    // Once it was seen since, its absence counts as ever.
    let spec = json!({"size": 2});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.objects.remove(&agent.origin());
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Gone));
    assert!(!world.objects.contains_key(&copy));
}
