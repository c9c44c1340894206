//! Related objects of an installation that is continued, at the edges: whose a copy is where marks are missing or lie, what
//! stays, and what is not written once more.

use serde_json::{Value, json};
use syncagent_core::definition::{Called, Find, Objects, Side};
use syncagent_core::object::{annotation, finalizers};
use syncagent_core::plan::{Ending, ObjectRef};
use syncagent_core::publication::Publication;

use crate::constructed::CLEANUP;
use crate::fixture::{compile, key, order};
use crate::takeover_related::{Places, both_ways, go, secret_with, settle, taken_over};
use crate::world::{Agent, World, without};

/// An order that was made under us: nothing of the Go agent's tells of it.
fn made_under_us(publication: &Publication) -> (World, Agent<'_>, Places) {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let at = Places::of(&agent);
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(publication, &agent.key, &spec));
    world.put(&at.password, secret_with("cA=="));
    world.put(&at.creds, secret_with("Yw=="));
    settle(&mut world, &mut agent);
    agent.take_sent();
    (world, agent, at)
}

fn look_at(world: &World, agent: &mut Agent<'_>, at: &[&ObjectRef]) {
    for at in at {
        agent.hint(world, at);
    }
}

/// The state names its original, but its own marks name another one.
#[test]
fn what_was_made_of_another_object_is_left_alone() {
    let publication = compile(both_ways());
    for (down, mark) in [
        (true, "syncagent.kcp.io/related-origin-uid"),
        (true, "syncagent.kcp.io/order"),
        (false, "syncagent.kcp.io/order"),
    ] {
        let (mut world, mut agent, at) = taken_over(&publication);
        let to = if down { &at.taken } else { &at.login };
        world.edit(to, |it| {
            it["metadata"]["annotations"] = json!({mark: "another"});
        });
        let theirs = world.objects[to].clone();
        let ending = settle(&mut world, &mut agent);
        assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
        assert_eq!(agent.take_sent(), [""; 0], "{mark}");
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(world.objects[to], theirs, "{mark}");
    }
}

#[test]
fn a_copy_that_was_known_is_ours_without_its_marks() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = made_under_us(&publication);
    for copy in [&at.taken, &at.login] {
        world.edit(copy, |it| {
            let metadata = it["metadata"].as_object_mut().unwrap();
            metadata.remove("labels");
            metadata.remove("annotations");
        });
    }
    look_at(&world, &mut agent, &[&at.taken, &at.login]);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    // What changes is still brought over, and its marks with it.
    world.edit(&at.password, |it| it["data"]["password"] = json!("bmV3"));
    look_at(&world, &mut agent, &[&at.password]);
    agent.run(&mut world, None);
    assert_eq!(world.objects[&at.taken]["data"]["password"], "bmV3");
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert!(!world.objects.contains_key(&at.taken));
    assert!(!world.objects.contains_key(&agent.origin()));
}

#[test]
fn what_somebody_sets_on_a_copy_of_ours_stays() {
    let publication = compile(both_ways());
    for asleep in [true, false] {
        let (mut world, mut agent, at) = made_under_us(&publication);
        for copy in [&at.taken, &at.login] {
            world.edit(copy, |it| {
                it["data"]["user"] = json!("bG9jYWw=");
                it["data"].as_object_mut().unwrap().remove("password");
            });
        }
        let gets = agent.gets;
        if asleep {
            agent.restart(&world);
        } else {
            look_at(&world, &mut agent, &[&at.taken, &at.login]);
        }
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        assert_eq!(agent.take_sent(), [""; 0], "{asleep}");
        // What is left anyway is not worth a look.
        assert!(asleep || agent.gets == gets, "{:?}", agent.looked);
        for copy in [&at.taken, &at.login] {
            assert_eq!(world.objects[copy]["data"], json!({"user": "bG9jYWw="}));
        }
        agent.assert_settled(&mut world);
    }
}

#[test]
fn what_cannot_be_changed_at_its_origin_is_taken_over_without_a_write() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    for origin in [&at.password, &at.creds] {
        world.edit(origin, |it| it["immutable"] = json!(true));
    }
    go(&publication).pass(&mut world, &agent.key);
    for copy in [&at.taken, &at.login] {
        assert_eq!(world.objects[copy]["immutable"], true, "it is brought over");
    }
    let before = world.objects.clone();
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(agent.take_sent(), [""; 0]);
    assert_eq!(world.objects, before);
}

#[test]
fn a_status_that_is_there_is_not_brought_again() {
    let mut definition = both_ways();
    for rule in &mut definition.related {
        rule.status = true;
    }
    let publication = compile(definition);
    let (mut world, mut agent, at) = taken_over(&publication);
    let ready = |it: &mut Value| it["status"] = json!({"phase": "ready"});
    for object in [&at.password, &at.taken, &at.creds, &at.login] {
        world.edit(object, ready);
    }
    let before = world.objects.clone();
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(agent.take_sent(), [""; 0]);
    assert_eq!(world.objects, before);
    // Another one is, whoever wrote the copy.
    for object in [&at.password, &at.creds] {
        world.edit(object, |it| it["status"] = json!({"phase": "failed"}));
    }
    look_at(&world, &mut agent, &[&at.password, &at.creds]);
    agent.run(&mut world, None);
    let mut sent = agent.take_sent();
    sent.sort();
    assert_eq!(
        sent,
        [r#"Forward("creds") 200"#, r#"Forward("password") 200"#]
    );
    for object in [&at.taken, &at.login] {
        assert_eq!(world.objects[object]["status"]["phase"], "failed");
    }
}

#[test]
fn an_order_that_vanished_holds_nothing_and_its_copies_stay() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    settle(&mut world, &mut agent);
    world.objects.remove(&agent.origin());
    agent.event(&world, &agent.origin());
    let ending = agent.run(&mut world, None);
    let Some(Ending::Refused(why)) = ending else {
        panic!("{ending:?}");
    };
    assert!(why.contains("orphan"), "{why}");
    assert_eq!(agent.take_sent(), [r#"ReleaseTaken("password") 200"#]);
    assert_eq!(finalizers(&world.objects[&at.password]), [""; 0]);
    for left in [&agent.copy(), &at.taken, &at.login, &at.creds] {
        assert!(world.objects.contains_key(left), "{left}");
    }
    // The consumer orders under the same name again, and all of it is theirs as it was.
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!(finalizers(&world.objects[&at.password]), [CLEANUP]);
}

/// A server may delete an order although it is held, where it was asked to before the hold: a deletion as every other.
#[test]
fn an_order_that_is_deleted_while_it_is_taken_hold_of_ends_as_every_other() {
    let publication = compile(both_ways());
    let left = |world: &World| -> Vec<String> {
        let named = |(at, object): (&ObjectRef, &Value)| format!("{at} {:?}", finalizers(object));
        world.objects.iter().map(named).collect()
    };
    let (mut world, mut agent, _) = taken_over(&publication);
    settle(&mut world, &mut agent);
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    let wanted = left(&world);
    assert!(!world.objects.contains_key(&agent.copy()));
    for heard in [true, false] {
        let (mut world, mut agent, _) = taken_over(&publication);
        settle(&mut world, &mut agent);
        let order = world.objects.remove(&agent.origin()).unwrap();
        if !heard {
            // The answer to a write is here before the watch tells what became of the order.
            agent.event(&world, &agent.origin());
            let ending = agent.run(&mut world, None);
            assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
        }
        agent.torn = order["metadata"]["uid"].as_str().map(str::to_owned);
        agent.event(&world, &agent.origin());
        assert_eq!(agent.run(&mut world, None), Some(Ending::Gone));
        assert_eq!(left(&world), wanted);
    }
}

#[test]
fn that_an_order_before_was_deleted_while_it_was_held_says_nothing_of_this_one() {
    let publication = compile(both_ways());
    let (mut world, mut agent, _) = taken_over(&publication);
    settle(&mut world, &mut agent);
    world.objects.remove(&agent.origin());
    agent.torn = Some("another".to_owned());
    agent.event(&world, &agent.origin());
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
    assert!(world.objects.contains_key(&agent.copy()));
}

/// The Go agent is done with an order that is not there: neither the copy nor what was held for it is touched, for nobody can
/// tell any more who else holds it with the finalizer that all of them share. So it is here, and the copy is reported. An
/// order of the same name takes all of it over, and lets it go in the end.
#[test]
fn s5_1_an_order_that_vanished_while_no_agent_ran_leaves_all_as_it_is() {
    let publication = compile(both_ways());
    for ran_before in [false, true] {
        let (mut world, mut agent, at) = taken_over(&publication);
        if ran_before {
            settle(&mut world, &mut agent);
        }
        world.objects.remove(&agent.origin());
        let before = world.objects.clone();
        assert_eq!(go(&publication).pass(&mut world, &agent.key), [""; 0]);
        let ending = settle(&mut world, &mut agent);
        let Some(Ending::Refused(why)) = ending else {
            panic!("{ending:?}");
        };
        assert!(why.contains("orphan"), "{why}");
        assert_eq!(agent.take_sent(), [""; 0]);
        assert_eq!(world.objects, before);
        assert_eq!(finalizers(&world.objects[&at.password]), [CLEANUP]);

        let spec = json!({"size": 1, "secret": {"name": "pw"}});
        world.put(&agent.origin(), order(&publication, &agent.key, &spec));
        agent.event(&world, &agent.origin());
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(finalizers(&world.objects[&at.password]), [""; 0]);
        for gone in [&agent.origin(), &agent.copy(), &at.taken] {
            assert!(!world.objects.contains_key(gone), "{gone}");
        }
    }
}

#[test]
fn what_was_written_since_counts_more_than_the_state() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    settle(&mut world, &mut agent);
    world.edit(&at.password, |it| it["data"]["password"] = json!("bmV3"));
    look_at(&world, &mut agent, &[&at.password]);
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), [r#"Retake("password") 200"#]);
    // The state Secret says the old password; whoever sets it now sets it after us.
    let field = json!({"f:data": {"f:password": {}}});
    world.edit(&at.taken, |it| {
        it["data"]["password"] = json!("bG9jYWw=");
        for entry in it["metadata"]["managedFields"].as_array_mut().unwrap() {
            without(&mut entry["fieldsV1"], &field);
        }
    });
    world.edit(&at.password, |it| it["data"]["user"] = json!("bmV1"));
    settle(&mut world, &mut agent);
    assert_eq!(agent.take_sent(), [r#"Retake("password") 200"#]);
    assert_eq!(
        world.objects[&at.taken]["data"],
        json!({"password": "bG9jYWw=", "user": "bmV1"})
    );
}

/// They are numbered as `namespace/name` of their originals sorts, which is not how namespaces alone do.
#[test]
fn annotations_are_numbered_by_the_names_of_originals() {
    let mut definition = both_ways();
    definition.related.retain(|it| it.origin == Side::Service);
    let namespaces = Find::GoReference {
        path: "spec.hosts".into(),
        rewrite: None,
    };
    let text = |text: &str| Called::Text(text.into());
    let rule = &mut definition.related[0];
    rule.namespaces = Some(Objects::from(namespaces).called(text("{found}")));
    rule.objects = Objects::from(Find::named("creds")).called(text("{name}-login"));
    let publication = compile(definition);
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let creds = Places::of(&agent).creds;
    for namespace in ["team", "team-b"] {
        let at = ObjectRef {
            namespace: namespace.into(),
            name: "creds".into(),
            ..creds.clone()
        };
        world.put(&at, secret_with("Yw=="));
    }
    let spec = json!({"size": 1, "hosts": ["team", "team-b"]});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    settle(&mut world, &mut agent);
    let origin = &world.objects[&agent.origin()];
    let named = ["0", "1"].map(|index| {
        let mark = format!("related-resources.syncagent.kcp.io/creds.{index}");
        annotation(origin, &mark).expect("it is annotated")
    });
    let wanted = ["team-b", "team"].map(|it| {
        format!(r#"{{"namespace":"{it}","name":"a-login","apiVersion":"v1","kind":"Secret"}}"#)
    });
    assert_eq!(named, wanted);
    agent.assert_settled(&mut world);
}
