//! References that orders drop or change, with an agent that dies after any effect of any step: what is left in the end is
//! what an agent that never dies leaves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use syncagent_core::definition::Drift;
use syncagent_core::naming::Moved;
use syncagent_core::object::finalizers;
use syncagent_core::plan::{Key, ObjectRef, Place, Record, Seen};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, full_thing, key, order, secret, takes};
use crate::world::{Agent, World};

/// What the consumer does next.
#[derive(Clone, Debug)]
enum Act {
    /// Writes an order, new or not.
    Want(&'static str, Value),
    /// Deletes an order.
    Delete(&'static str),
    /// Nothing: the agent dies once more over the same.
    Wait,
}

fn naming(secret: &str) -> Value {
    json!({"size": 1, "secret": {"name": secret}})
}

fn want(order: &'static str, secret: &str) -> Act {
    Act::Want(order, naming(secret))
}

/// Two fields and a list that name Secrets.
fn publication(drift: Drift) -> Publication {
    let mut definition = full_thing();
    definition
        .fields
        .push(takes("spec.items[].ref", "{name}.taken"));
    definition.policy.drift = drift;
    compile(definition)
}

/// The Secrets of the consumer, and the namespace of the copies.
fn start(publication: &Publication) -> World {
    let mut world = World::default();
    for name in ["pw", "pq", "pr"] {
        let at = ObjectRef {
            kind: secret(),
            name: name.into(),
            ..publication.origin(&key(publication, "a"))
        };
        world.put(&at, json!({"data": {"password": "eA=="}}));
    }
    world
}

/// Every order that is there, with what the agent knows before its first step.
fn orders(publication: &Publication, world: &mut World) -> Vec<Key> {
    let keys = ["a", "b"].map(|name| key(publication, name));
    let mut there = Vec::new();
    world.index.clear();
    for key in keys {
        if let Some(order) = world.objects.get(&publication.origin(&key)) {
            let uses = publication.takes(&key, order, &Moved::default());
            world.index.insert(key.clone(), uses);
            there.push(key);
        }
    }
    there
}

fn act(publication: &Publication, world: &mut World, act: &Act) {
    match act {
        Act::Want(name, spec) => {
            let key = key(publication, name);
            let at = publication.origin(&key);
            if world.objects.contains_key(&at) {
                world.edit(&at, |it| it["spec"] = spec.clone());
            } else {
                world.put(&at, order(publication, &key, spec));
            }
        }
        Act::Delete(name) => world.delete(&publication.origin(&key(publication, name))),
        Act::Wait => {}
    }
}

/// An agent starts, knowing nothing, and serves every order. `cut`: it dies after so many effects. Says how many it had.
fn serve(publication: &Publication, world: &mut World, cut: Option<usize>) -> usize {
    let mut sent = 0;
    for key in orders(publication, world) {
        let mut agent = Agent::new(publication, &key);
        agent.restart(world);
        let left = cut.map(|cut| cut - sent);
        let ending = agent.run(world, left);
        sent += agent.sent.len();
        if ending.is_none() {
            break;
        }
        if !world.objects.contains_key(&agent.origin()) {
            world.index.remove(&key);
        }
    }
    sent
}

/// Lets go of what no order names, as `controller::sweep` does when everything is at rest.
fn sweep(publication: &Publication, world: &mut World) {
    orders(publication, world);
    let named: Vec<ObjectRef> = world.index.values().flatten().cloned().collect();
    let held = world.objects.iter().filter(|(at, it)| {
        let secret = at.place != Place::Service && at.kind == secret();
        secret && !finalizers(it).is_empty() && !named.contains(at)
    });
    let held: Vec<ObjectRef> = held.map(|(at, _)| at.clone()).collect();
    for at in held {
        // A copy that is still there would be forgotten for ever.
        let copy = format!("{}.taken", at.name);
        let forgotten = world.objects.keys().any(|it| it.name == copy);
        assert!(!forgotten, "{copy} is left behind");
        world.edit(&at, |it| it["metadata"]["finalizers"] = Value::Null);
    }
}

/// What there is, who holds it, and what it says.
fn left(world: &World) -> BTreeMap<String, Value> {
    // A namespace stays when it was made.
    let objects = world.objects.iter();
    let objects = objects.filter(|(at, _)| at.kind.kind != "Namespace");
    let objects = objects.map(|(at, it)| {
        let marks = &it["metadata"]["annotations"];
        let says = json!([
            it["spec"],
            it["data"],
            it["status"],
            it["metadata"]["finalizers"],
            marks["syncagent.kcp.io/takes"],
        ]);
        (at.to_string(), says)
    });
    objects.collect()
}

/// Takes every way in which an agent may die over these acts, each to its end; says how many there are. Nobody dies over
/// what was `before`.
fn explore(publication: &Publication, before: &[Act], acts: &[Act]) -> usize {
    let mut steady = start(publication);
    // An agent that lives on hears of everything.
    let mut agents: Vec<Agent<'_>> = Vec::new();
    for it in before.iter().chain(acts) {
        act(publication, &mut steady, it);
        for key in orders(publication, &mut steady) {
            if !agents.iter().any(|it| it.key == key) {
                agents.push(Agent::new(publication, &key));
            }
            let agent = agents
                .iter_mut()
                .find(|it| it.key == key)
                .expect("an agent");
            agent.event(&steady, &agent.origin());
            agent.run(&mut steady, None);
            if !steady.objects.contains_key(&agent.origin()) {
                (agent.record, agent.seen) = (Record::default(), Seen::new());
                steady.index.remove(&key);
            }
        }
    }
    let mut first = start(publication);
    for it in before {
        act(publication, &mut first, it);
        serve(publication, &mut first, None);
    }
    let mut worlds = vec![(first, Vec::new())];
    for it in acts {
        let mut next = Vec::new();
        for (mut world, history) in worlds {
            act(publication, &mut world, it);
            let effects = serve(publication, &mut world.clone(), None);
            for cut in 0..=effects {
                let mut world = world.clone();
                serve(publication, &mut world, Some(cut));
                let mut history = history.clone();
                history.push(cut);
                next.push((world, history));
            }
        }
        worlds = next;
    }
    let ways = worlds.len();
    for (mut world, history) in worlds {
        serve(publication, &mut world, None);
        sweep(publication, &mut world);
        assert_eq!(
            left(&world),
            left(&steady),
            "{acts:?}, dead after {history:?} effects"
        );
        // What is settled costs nothing at the next start.
        assert_eq!(
            serve(publication, &mut world, None),
            0,
            "{acts:?}: {history:?}"
        );
    }
    ways
}

const DRIFTS: [Drift; 3] = [Drift::Correct, Drift::Keep, Drift::Report];

#[test]
fn a_reference_that_is_dropped_leaves_nothing_behind_whenever_the_agent_dies() {
    for drift in DRIFTS {
        let publication = publication(drift);
        let none = || Act::Want("a", json!({"size": 1}));
        let ways = explore(&publication, &[want("a", "pw")], &[none(), Act::Wait]);
        assert!(ways > 8, "{ways}");
        explore(&publication, &[], &[want("a", "pw"), none()]);
        // And is wanted again.
        explore(&publication, &[want("a", "pw")], &[none(), want("a", "pw")]);
    }
}

#[test]
fn a_reference_that_changes_leaves_nothing_behind_whenever_the_agent_dies() {
    for drift in DRIFTS {
        let publication = publication(drift);
        let pw = [want("a", "pw")];
        explore(&publication, &pw, &[want("a", "pq"), Act::Wait]);
        explore(&publication, &pw, &[want("a", "pq"), want("a", "pr")]);
        explore(&publication, &pw, &[want("a", "pq"), want("a", "pw")]);
        explore(&publication, &[], &[want("a", "pw"), want("a", "pq")]);
        let two = |one: &str, other: &str| {
            let items = json!([{"ref": {"name": one}}, {"ref": {"name": other}}]);
            Act::Want("a", json!({"size": 1, "items": items}))
        };
        explore(&publication, &[two("pw", "pq")], &[two("pr", "pw")]);
        // It moves to another field, beside one that goes.
        explore(&publication, &[two("pw", "pq")], &[want("a", "pq")]);
    }
}

#[test]
fn an_order_that_ends_takes_along_what_it_named_before_whenever_the_agent_dies() {
    let publication = publication(Drift::Correct);
    let (pw, pq, delete) = (want("a", "pw"), want("a", "pq"), Act::Delete("a"));
    explore(
        &publication,
        std::slice::from_ref(&pw),
        &[pq.clone(), delete.clone(), Act::Wait],
    );
    explore(&publication, &[], &[pw, pq, delete]);
}

#[test]
fn a_shared_secret_goes_with_its_last_user_whenever_the_agent_dies() {
    let publication = publication(Drift::Correct);
    let both = [want("a", "pw"), want("b", "pw")];
    let serve = |acts: &[Act]| explore(&publication, &both, acts);
    // Whoever brought it down is gone when the other lets go of it.
    serve(&[Act::Delete("a"), want("b", "pq")]);
    serve(&[want("a", "pq"), want("b", "pq")]);
    serve(&[want("b", "pq"), want("a", "pr")]);
}

/// The service does not take orders of this size.
fn refusing(world: &mut World) {
    let message = "Invalid value: spec.size in body should be more".to_owned();
    world.refuses.push(("spec.size".into(), message));
}

#[test]
fn what_a_copy_still_names_stays_while_the_new_wish_is_refused() {
    for drift in DRIFTS {
        let publication = publication(drift);
        let mut world = start(&publication);
        let key = key(&publication, "a");
        let mut agent = Agent::new(&publication, &key);
        let taken = |name: &str| ObjectRef {
            kind: secret(),
            name: format!("{name}.taken"),
            ..publication.copy(&key).unwrap()
        };
        act(&publication, &mut world, &want("a", "pw"));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        refusing(&mut world);
        act(&publication, &mut world, &want("a", "pq"));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(
            world.objects[&agent.copy()]["spec"]["secret"]["name"],
            "pw.taken"
        );
        assert!(world.objects.contains_key(&taken("pw")), "{drift:?}");
        // It is as current as before.
        let pw = ObjectRef {
            kind: secret(),
            name: "pw".into(),
            ..agent.origin()
        };
        world.edit(&pw, |it| it["data"]["password"] = json!("eQ=="));
        agent.hint(&world, &pw);
        agent.run(&mut world, None);
        assert_eq!(world.objects[&taken("pw")]["data"]["password"], "eQ==");
        // After a restart, too.
        agent.restart(&world);
        agent.run(&mut world, None);
        assert!(world.objects.contains_key(&taken("pw")), "{drift:?}");
        world.refuses.clear();
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(7));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert!(!world.objects.contains_key(&taken("pw")), "{drift:?}");
        assert!(world.objects[&pw]["metadata"].get("finalizers").is_none());
        assert!(world.objects.contains_key(&taken("pq")), "{drift:?}");
    }
}

#[test]
fn what_was_taken_for_a_wish_that_was_refused_goes_with_it_after_a_restart_too() {
    for placed in [true, false] {
        let publication = publication(Drift::Correct);
        let mut world = start(&publication);
        let acts = match placed {
            true => vec![want("a", "pr"), want("a", "pw")],
            false => vec![want("a", "pw")],
        };
        for (at, it) in acts.iter().enumerate() {
            act(&publication, &mut world, it);
            if at + 1 == acts.len() {
                refusing(&mut world);
            }
            serve(&publication, &mut world, None);
        }
        let there = |world: &World, name: &str| world.objects.keys().any(|it| it.name == name);
        assert!(there(&world, "pw.taken"));
        assert!(there(&world, "a"));
        world.refuses.clear();
        act(&publication, &mut world, &want("a", "pq"));
        serve(&publication, &mut world, None);
        let left: Vec<_> = world
            .objects
            .keys()
            .filter(|it| it.name.ends_with(".taken"))
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(there(&world, "pq.taken"));
        assert_eq!(serve(&publication, &mut world, None), 0);
    }
}

#[test]
fn the_mark_of_what_goes_costs_nothing_and_goes_with_the_next_write() {
    for drift in DRIFTS {
        let publication = publication(drift);
        let mut world = start(&publication);
        let key = key(&publication, "a");
        let mut agent = Agent::new(&publication, &key);
        let told = |world: &World| {
            let copy = &world.objects[&publication.copy(&key).unwrap()];
            copy["metadata"]["annotations"]["syncagent.kcp.io/takes-no-more"].clone()
        };
        act(&publication, &mut world, &want("a", "pw"));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(told(&world), Value::Null);
        agent.take_sent();
        act(
            &publication,
            &mut world,
            &Act::Want("a", json!({"size": 1})),
        );
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(
            agent.take_sent(),
            [
                "Refresh 200",
                "Untake(\"spec.secret\") 200",
                "ReleaseTaken(\"spec.secret\") 200"
            ]
        );
        assert_eq!(told(&world), json!(r#"[["spec.secret","pw","pw.taken"]]"#));
        // It is no drift, neither for who lives nor for who starts.
        agent.assert_settled(&mut world);
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
        agent.event(&world, &agent.origin());
        agent.event(&world, &agent.copy());
        agent.run(&mut world, None);
        assert_eq!(agent.take_sent(), ["Refresh 200"]);
        assert_eq!(told(&world), Value::Null, "{drift:?}");
    }
}
