//! A copy is found by its identity: naming is for new objects, and there is one copy per order.

use std::sync::Arc;

use serde_json::json;
use syncagent_core::definition::{CopyNaming, Definition};
use syncagent_core::naming::{CopyName, Moved};
use syncagent_core::plan::{Ending, ObjectRef};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, compile, full_thing, key, kind, order, secret, service, thing};
use crate::world::{Agent, World};

fn named(definition: Definition, namespace: &str, name: &str) -> Publication {
    compile(Definition {
        copy: CopyNaming {
            namespace: Some(namespace.into()),
            name: name.into(),
        },
        ..definition
    })
}

fn settled<'a>(publication: &'a Publication, spec: &serde_json::Value) -> (World, Agent<'a>) {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    let secret_at = ObjectRef {
        kind: secret(),
        name: "pw".into(),
        ..agent.origin()
    };
    world.put(&secret_at, json!({"data": {"password": "x"}}));
    world.put(&agent.origin(), order(publication, &agent.key, spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    (world, agent)
}

#[test]
fn naming_is_for_new_objects_only() {
    let before = named(thing(), "{workspace}", "{namespace.hash}-{name.hash}");
    let after = named(thing(), "b-{workspace}", "{name}-{namespace.hash}");
    let (mut world, agent) = settled(&before, &json!({"size": 1}));
    let old = agent.copy();
    // The agent comes back with another naming.
    let mut agent = Agent::new(&after, &key(&after, "a"));
    let new = agent.copy();
    assert_ne!(old, new);
    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
    // Everything goes on under the old name.
    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Refresh 200".into()])
    );
    assert_eq!(world.objects[&old]["spec"]["size"], 2);
    world.edit(&old, |it| it["status"] = json!({"phase": "ready"}));
    agent.event(&world, &old);
    agent.run(&mut world, None);
    assert_eq!(world.objects[&agent.origin()]["status"]["phase"], "ready");
    assert!(!world.objects.contains_key(&new));
    agent.take_sent();
    let mut deleted = world.clone();
    let mut ending = agent.clone();
    deleted.delete(&ending.origin());
    ending.event(&deleted, &ending.origin());
    ending.run(&mut deleted, None);
    assert_eq!(ending.take_sent(), ["Retire 200", "Release 200"]);
    assert!(!deleted.objects.contains_key(&old));
    // When it is gone there is nothing left to keep the name of.
    world.delete(&old);
    agent.event(&world, &old);
    agent.run(&mut world, None);
    assert!(world.objects.contains_key(&new) && !world.objects.contains_key(&old));
    agent.take_sent();
    agent.assert_settled(&mut world);
}

#[test]
fn a_copy_that_was_moved_is_found_after_a_crash_at_any_moment() {
    let before = named(full_thing(), "{workspace}", "{name}");
    let after = named(full_thing(), "b-{workspace}", "{name}-x");
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    for cut in 0..6 {
        let (mut world, agent) = settled(&before, &spec);
        let old = agent.copy();
        let at = |kind, name: &str| ObjectRef {
            kind,
            name: name.into(),
            ..old.clone()
        };
        world.put(
            &at(service(), "a-rw"),
            json!({"status": {"ip": "10.0.0.1"}}),
        );
        let mut agent = Agent::new(&after, &key(&after, "a"));
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(7));
        agent.restart(&world);
        agent.run(&mut world, Some(cut));
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!(world.objects[&old]["spec"]["size"], 7);
        // What belongs to it is beside it, under its real name.
        assert!(world.objects.contains_key(&at(secret(), "pw.taken")));
        let returned = ObjectRef {
            kind: secret(),
            name: "a-connection".into(),
            ..agent.origin()
        };
        assert_eq!(world.objects[&returned]["data"]["host"], "10.0.0.1");
        assert!(
            world.objects.keys().all(|at| at.namespace != "b-1abc"),
            "{cut}"
        );
        agent.take_sent();
        agent.assert_settled(&mut world);
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert!(!world.objects.contains_key(&old));
        assert!(!world.objects.contains_key(&at(secret(), "pw.taken")));
    }
}

#[test]
fn what_lost_its_labels_gets_them_back_and_is_not_replaced() {
    let before = named(thing(), "{workspace}", "{namespace.hash}-{name.hash}");
    let after = named(thing(), "b-{workspace}", "{name}-{namespace.hash}");
    let (mut world, agent) = settled(&before, &json!({"size": 1}));
    let old = agent.copy();
    let mut agent = Agent::new(&after, &key(&after, "a"));
    agent.restart(&world);
    agent.run(&mut world, None);
    let labels = world.objects[&old]["metadata"]["labels"].clone();
    world.edit(&old, |it| {
        it["metadata"]["labels"] = json!({});
        let owned = it
            .pointer_mut("/metadata/managedFields/0/fieldsV1")
            .unwrap();
        owned["f:metadata"]
            .as_object_mut()
            .unwrap()
            .remove("f:labels");
    });
    agent
        .seen
        .note(old.clone(), syncagent_core::plan::Sight::Doubt);
    let ending = agent.run(&mut world, None);
    assert_eq!(ending, Some(Ending::Settled));
    assert_eq!(world.objects[&old]["metadata"]["labels"], labels);
    assert!(!world.objects.contains_key(&agent.copy()));
}

/// Somebody duplicates the copy, labels and all.
fn duplicate(world: &mut World, copy: &ObjectRef, name: &str, made: &str) -> ObjectRef {
    let mut object = world.objects[copy].clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("uid");
    metadata.insert("creationTimestamp".into(), json!(made));
    let at = ObjectRef {
        name: name.into(),
        ..copy.clone()
    };
    world.put(&at, object);
    at
}

#[test]
fn of_two_copies_the_older_counts_and_the_other_is_left_alone() {
    let publication = compile(thing());
    for (made, older) in [
        ("2020-01-01T00:00:00Z", true),
        ("2030-01-01T00:00:00Z", false),
    ] {
        for restarted in [false, true] {
            let (mut world, mut agent) = settled(&publication, &json!({"size": 1}));
            let first = agent.copy();
            world.edit(&first, |it| {
                it["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
            });
            let second = duplicate(&mut world, &first, "second", made);
            let (counts, other) = if older {
                (&second, &first)
            } else {
                (&first, &second)
            };
            if restarted {
                agent.restart(&world);
            } else {
                agent.event(&world, &second);
            }
            let ending = agent.run(&mut world, None);
            let Some(Ending::Refused(why)) = ending else {
                panic!("{ending:?}");
            };
            assert!(why.contains(&other.to_string()), "{why}");
            // Looking at it again costs nothing.
            agent.take_sent();
            agent.event(&world, other);
            agent.run(&mut world, None);
            assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));

            world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(5));
            agent.event(&world, &agent.origin());
            agent.run(&mut world, None);
            let theirs = world.objects[other].clone();
            assert_eq!(
                world.objects[counts]["spec"]["size"], 5,
                "{made} {restarted}"
            );
            assert_eq!(theirs["spec"]["size"], 1);
            // The order ends, and the other one is still somebody's.
            world.delete(&agent.origin());
            agent.event(&world, &agent.origin());
            agent.run(&mut world, None);
            assert!(!world.objects.contains_key(counts));
            assert!(!world.objects.contains_key(&agent.origin()));
            agent.event(&world, &agent.origin());
            agent.run(&mut world, None);
            agent.event(&world, other);
            let ending = agent.run(&mut world, None);
            assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
            assert_eq!(world.objects[other], theirs);
            // Who made it takes it away.
            world.delete(other);
            agent.event(&world, other);
            assert_eq!(agent.run(&mut world, None), Some(Ending::Gone));
        }
    }
}

#[test]
fn the_second_copy_takes_over_when_the_first_is_gone() {
    let publication = compile(thing());
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1}));
    let first = agent.copy();
    world.edit(&first, |it| {
        it["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    let second = duplicate(&mut world, &first, "second", "2030-01-01T00:00:00Z");
    agent.event(&world, &second);
    agent.run(&mut world, None);
    world.delete(&first);
    agent.event(&world, &first);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert!(!world.objects.contains_key(&first));
    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(5));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(world.objects[&second]["spec"]["size"], 5);
}

#[test]
fn references_use_the_name_that_the_copy_really_has() {
    use syncagent_core::definition::{FieldRule, Rule, StatusField, StatusRule, StatusSource};
    let target = thing();
    let user = kind("example.io", "User", "users");
    let refers = FieldRule {
        path: "spec.secret".into(),
        rule: Rule::RefersTo {
            offered: target.offered.clone(),
            name_at: Some("name".into()),
        },
    };
    let user = Definition {
        offered: user.clone(),
        service: user,
        schema: syncagent_core::definition::SchemaSource::Cluster,
        fields: vec![refers],
        status: StatusRule::Fields(vec![StatusField {
            path: "status.owner".into(),
            source: StatusSource::RefersTo {
                at: "status.owner".into(),
                offered: target.offered.clone(),
            },
        }]),
        ..thing()
    };
    let publications = Publications::compile(AGENT, &[target, user]).unwrap();
    let things = publications.get("things.example.io").unwrap();
    let users = publications.get("users.example.io").unwrap();
    assert!(users.refers_to(things.id()) && !things.refers_to(users.id()));
    let target = key(things, "db");
    let mut moved = Moved::default();
    let at = CopyName {
        namespace: "1abc".into(),
        name: "old-db".into(),
    };
    assert!(moved.set(things.id(), target.identity(), Some(at.clone())));
    assert!(!moved.set(things.id(), target.identity(), Some(at)));
    let moved = Arc::new(moved);

    let mut agent = Agent::new(users, &key(users, "u"));
    let mut world = World::default();
    let spec = json!({"secret": {"name": "db"}});
    world.put(&agent.origin(), order(users, &agent.key, &spec));
    agent.seen.note_moved(moved.clone());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&agent.copy()]["spec"]["secret"]["name"],
        "old-db"
    );
    world.edit(&agent.copy(), |it| {
        it["status"] = json!({"owner": "old-db"});
    });
    agent.seen.note_moved(moved);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(world.objects[&agent.origin()]["status"]["owner"], "db");
}
