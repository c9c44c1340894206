//! What a loss means: a policy each, with a default that is safe.
//!
//! `losses.txt` lists every loss under every policy, seen by a running agent and by one that comes back. Update it with
//! `UPDATE_EXPECT=1 cargo test -p syncagent-core losses`.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::json;
use syncagent_core::definition::{Definition, Kind, Loss, Losses, Scope, Vanished};
use syncagent_core::plan::{Context, Ending, ObjectRef, Place, Sight, Verb, plan};
use syncagent_core::publication::Publication;

use crate::filter::{Case, held, policy, reason, served};
use crate::fixture::{CLUSTER, compile, full_thing, key, order, secret, thing};
use crate::table::small_worlds;
use crate::world::{Agent, World};

fn with(change: impl FnOnce(&mut Losses)) -> Publication {
    compile(Definition {
        policy: policy(|it| change(&mut it.losses)),
        ..full_thing()
    })
}

/// What is lost with a binding or a finalizer goes this way.
fn losing(loss: Loss) -> Publication {
    with(|it| {
        it.unbound = loss;
        it.stripped = loss;
    })
}

fn binding() -> ObjectRef {
    ObjectRef {
        place: Place::Workspace(CLUSTER.into()),
        kind: Kind {
            group: "apis.kcp.io".into(),
            version: "v1alpha1".into(),
            kind: "APIBinding".into(),
            plural: "apibindings".into(),
            scope: Scope::Cluster,
        },
        namespace: String::new(),
        name: "things".into(),
    }
}

fn returned(agent: &Agent<'_>) -> ObjectRef {
    ObjectRef {
        kind: secret(),
        name: "a-connection".into(),
        ..agent.origin()
    }
}

/// The workspace unbinds: kcp deletes the orders.
fn unbind(world: &mut World, agent: &mut Agent<'_>) {
    world.put(&binding(), json!({"metadata": {"finalizers": ["kcp/x"]}}));
    world.delete(&binding());
    world.delete(&agent.origin());
}

/// Somebody strips our finalizer, and the order is gone.
fn strip(world: &mut World, agent: &mut Agent<'_>) {
    world.objects.remove(&agent.origin());
}

/// A server deletes the order although we hold it, for it had looked before.
fn tear(world: &mut World, agent: &mut Agent<'_>) {
    let order = world.objects.remove(&agent.origin()).expect("an order");
    agent.torn = order["metadata"]["uid"].as_str().map(str::to_owned);
}

fn said(ending: Option<Ending>) -> String {
    match ending {
        Some(Ending::Settled) => "settled".into(),
        Some(Ending::Gone) => "gone".into(),
        Some(Ending::Waiting(why)) => format!("waiting: {why}"),
        Some(Ending::Refused(why)) => format!("refused: {why}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_loss_under_every_policy() {
    type Happen = fn(&mut World, &mut Agent<'_>);
    type Choose = fn(&mut Losses, Loss);
    let losses: [(&str, Choose, Happen, &[Loss]); 4] = [
        (
            "unbound",
            |losses, loss| losses.unbound = loss,
            unbind,
            &[Loss::Retire, Loss::Keep, Loss::Report],
        ),
        (
            "stripped",
            |losses, loss| losses.stripped = loss,
            strip,
            &[Loss::Retire, Loss::Keep, Loss::Report],
        ),
        (
            "torn",
            |losses, loss| losses.stripped = loss,
            tear,
            &[Loss::Retire, Loss::Keep, Loss::Report],
        ),
        (
            "deleted",
            |losses, loss| losses.unbound = loss,
            // The binding stands: it is the consumer who deletes.
            |world, agent| {
                world.put(&binding(), json!({}));
                world.delete(&agent.origin());
            },
            &[Loss::Retire, Loss::Keep, Loss::Report],
        ),
    ];
    let mut table = String::from("loss      policy  agent    | what is done\n");
    for (name, choose, happen, policies) in losses {
        for loss in policies {
            for restarted in [false, true] {
                let publication = with(|it| choose(it, *loss));
                let Case {
                    mut world,
                    mut agent,
                    ..
                } = served(&publication);
                happen(&mut world, &mut agent);
                if restarted {
                    agent.restart(&world);
                } else {
                    agent.event(&world, &agent.origin());
                }
                let mut ending = agent.run(&mut world, None);
                let mut sent = agent.take_sent().join(", ");
                sent = sent.replace(" 200", "");
                if !world.objects.contains_key(&agent.origin()) && ending == Some(Ending::Settled) {
                    agent.event(&world, &agent.origin());
                    ending = agent.run(&mut world, None);
                }
                let there = world.objects.contains_key(&agent.copy());
                writeln!(
                    table,
                    "{name:<9} {:<7} {:<8} | {sent}; copy {}; {}",
                    format!("{loss:?}").to_lowercase(),
                    if restarted { "back" } else { "running" },
                    if there { "there" } else { "gone" },
                    said(ending)
                )
                .unwrap();
            }
        }
    }
    expect_file!["losses.txt"].assert_eq(&table);
}

#[test]
fn what_is_kept_outlives_crashes_and_restarts_without_a_request() {
    for (loss, happen) in [
        (Loss::Keep, unbind as fn(&mut World, &mut Agent<'_>)),
        (Loss::Report, strip),
    ] {
        for cut in 0..6 {
            let publication = losing(loss);
            let Case {
                mut world,
                mut agent,
                password,
                taken,
            } = served(&publication);
            let copy = agent.copy();
            happen(&mut world, &mut agent);
            agent.event(&world, &agent.origin());
            agent.run(&mut world, Some(cut));
            agent.restart(&world);
            agent.run(&mut world, None);
            // Nothing of us is left in the workspace; what the copy needs is left where it is.
            assert!(!world.objects.contains_key(&agent.origin()), "{cut}");
            assert!(!held(&world, &password) && !world.objects.contains_key(&returned(&agent)));
            assert!(world.objects.contains_key(&copy) && world.objects.contains_key(&taken));
            // From now on it costs nothing.
            agent.restart(&world);
            agent.take_sent();
            let ending = agent.run(&mut world, None);
            assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
            match loss {
                Loss::Report => assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}"),
                _ => assert_eq!(ending, Some(Ending::Gone)),
            }
            world.edit(&copy, |it| it["status"] = json!({"phase": "alone"}));
            agent.event(&world, &copy);
            agent.run(&mut world, None);
            assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
            // Who orders again under the same name finds it.
            let uid = world.objects[&copy]["metadata"]["uid"].clone();
            let spec = json!({"size": 8, "secret": {"name": "pw"}});
            let mut again = order(&publication, &agent.key, &spec);
            again["metadata"]["labels"] = json!({"tier": "gold"});
            world.put(&agent.origin(), again);
            agent.event(&world, &agent.origin());
            agent.run(&mut world, None);
            assert_eq!(world.objects[&copy]["spec"]["size"], 8);
            assert_eq!(world.objects[&copy]["metadata"]["uid"], uid);
            assert_eq!(reason(&world, &agent.origin()), "Synced");
            // And is its owner, also after a restart.
            agent.restart(&world);
            agent.run(&mut world, None);
            agent.take_sent();
            agent.assert_settled(&mut world);
        }
    }
}

#[test]
fn what_cannot_be_read_is_kept_and_reported() {
    for (loss, reported) in [(Loss::Report, true), (Loss::Keep, false)] {
        let publication = with(|it| it.unreadable = loss);
        let Case {
            mut world,
            mut agent,
            ..
        } = served(&publication);
        for restarted in [false, true] {
            if restarted {
                agent.restart(&world);
            }
            agent.seen.note(agent.origin(), Sight::Barred);
            let ending = agent.run(&mut world, None);
            assert_eq!(agent.take_sent(), Vec::<String>::new());
            assert_eq!(
                matches!(ending, Some(Ending::Refused(_))),
                reported,
                "{ending:?}"
            );
            assert!(world.objects.contains_key(&agent.copy()));
        }
    }
}

#[test]
fn a_copy_that_vanished_may_be_left_to_a_person() {
    let publication = compile(Definition {
        policy: policy(|it| it.losses.vanished = Vanished::Report),
        ..thing()
    });
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let wanted = order(&publication, &agent.key, &json!({"size": 1}));
    world.put(&agent.origin(), wanted.clone());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let copy = agent.copy();
    let database = world.objects[&copy].clone();
    world.delete(&copy);
    agent.event(&world, &copy);
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
    assert_eq!(reason(&world, &agent.origin()), "Vanished");
    // Neither a change of the order nor a restart makes it again.
    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.restart(&world);
    agent.run(&mut world, None);
    assert!(!world.objects.contains_key(&copy));
    agent.take_sent();
    agent.assert_settled(&mut world);
    // Somebody brings it back.
    let (mut restored, mut other) = (world.clone(), agent.clone());
    restored.put(&copy, database);
    other.event(&restored, &copy);
    other.run(&mut restored, None);
    other.event(&restored, &other.origin());
    other.run(&mut restored, None);
    assert_eq!(reason(&restored, &other.origin()), "Synced");
    assert_eq!(restored.objects[&copy]["spec"]["size"], 2);
    // Or the consumer orders anew.
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.put(&agent.origin(), wanted);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert!(world.objects.contains_key(&copy));
    assert_eq!(reason(&world, &agent.origin()), "Synced");
}

#[test]
fn while_deletions_are_paused_nothing_is_deleted_at_the_service() {
    let publication = compile(thing());
    let mut waiting = 0;
    for (row, agent) in small_worlds(&publication) {
        let free = agent.plan();
        let context = Context {
            paused: true,
            ..agent.context()
        };
        let paused = plan(
            &context,
            agent.publication,
            &agent.key,
            &agent.record,
            &agent.seen,
        );
        let deletes = |it: &&syncagent_core::plan::Effect| {
            it.request.verb == Verb::Delete && it.request.object.place == Place::Service
        };
        assert_eq!(paused.effects.iter().filter(deletes).count(), 0, "{row:?}");
        if free.effects.iter().any(|it| deletes(&it)) {
            waiting += 1;
            assert!(matches!(paused.ending, Ending::Waiting(_)), "{row:?}");
        } else {
            assert_eq!(paused, free, "{row:?}: everything else goes on");
        }
    }
    assert!(waiting > 3);
}

#[test]
fn what_was_taken_stays_where_a_copy_is_to_be_kept_that_is_not_ours_any_more() {
    fn unmark(world: &mut World, at: &ObjectRef) {
        world.edit(at, |it| {
            it["metadata"]["labels"] = json!({});
            it["metadata"]["annotations"] = json!({});
        });
    }
    fn replace(world: &mut World, at: &ObjectRef) {
        world.objects.remove(at);
        world.put(at, json!({"spec": {"size": 7}}));
    }
    fn remove(world: &mut World, at: &ObjectRef) {
        world.objects.remove(at);
    }
    type Change = fn(&mut World, &ObjectRef);
    type Happen = fn(&mut World, &mut Agent<'_>);
    // Where nothing is left that could need it, it goes.
    let cases: [(Happen, bool, Change, bool); 5] = [
        (unbind, true, unmark, true),
        (unbind, true, replace, true),
        (unbind, true, remove, false),
        (strip, false, replace, true),
        (strip, false, remove, false),
    ];
    for loss in [Loss::Keep, Loss::Report] {
        for (at, (happen, restarted, change, stays)) in cases.into_iter().enumerate() {
            let publication = losing(loss);
            let Case {
                mut world,
                mut agent,
                password,
                taken,
            } = served(&publication);
            change(&mut world, &agent.copy());
            let copy = world.objects.get(&agent.copy()).cloned();
            happen(&mut world, &mut agent);
            if restarted {
                agent.restart(&world);
            }
            for at in [agent.origin(), agent.copy()] {
                agent.event(&world, &at);
            }
            agent.run(&mut world, None);
            assert_eq!(world.objects.get(&agent.copy()), copy.as_ref(), "{at}");
            assert_eq!(world.objects.contains_key(&taken), stays, "{at}");
            assert!(!held(&world, &password), "{at}");
            assert!(!world.objects.contains_key(&returned(&agent)), "{at}");
            assert!(!world.objects.contains_key(&agent.origin()), "{at}");
        }
    }
}
