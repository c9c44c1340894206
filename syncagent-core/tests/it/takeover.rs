//! An installation of kcp's api-syncagent is continued: nothing is written where all is settled, what it preserved stays
//! preserved, and every change has exactly the effects of the contract.

use serde_json::{Value, json};
use syncagent_core::definition::{Definition, Pass, Policy, StatusRule};
use syncagent_core::object::{finalizers, state};
use syncagent_core::plan::{Ending, Key, ObjectRef, Verb};
use syncagent_core::publication::{Publication, Publications};
use syncagent_core::related::base64;

use crate::constructed::{CLEANUP, GoAgent, STATES};
use crate::fixture::{AGENT, compile, key, order, thing};
use crate::world::{Agent, World};

/// What a `PublishedResource` without related objects becomes.
pub(crate) fn published() -> Definition {
    Definition {
        pass: Pass {
            labels: vec!["*".into()],
            annotations: vec!["*".into()],
            like_go: true,
        },
        status: StatusRule::Verbatim,
        policy: Policy::take_over(STATES),
        ..thing()
    }
}

fn go(publication: &Publication) -> GoAgent<'_> {
    GoAgent {
        publication,
        related: Vec::new(),
    }
}

fn consumers(publication: &Publication, key: &Key) -> Value {
    let mut order = order(
        publication,
        key,
        &json!({"size": 1, "color": "red", "hosts": ["a"], "secret": {"name": "pw"}}),
    );
    order["metadata"]["labels"] = json!({"app": "x", "team.kcp.io/y": "z"});
    order["metadata"]["annotations"] = json!({"kcp.io/cluster": key.cluster, "note": "n",
        "syncagent.kcp.io/mine": "m"});
    order
}

/// A world that the Go agent settled, with a status.
fn taken_over(publication: &Publication) -> (World, Agent<'_>) {
    let agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    world.put(&agent.origin(), consumers(publication, &agent.key));
    let go = go(publication);
    go.pass(&mut world, &agent.key);
    world.edit(&agent.copy(), |copy| {
        copy["spec"]["pool"] = json!("defaulted");
        copy["status"] = json!({"phase": "ready", "observedGeneration": 7, "owner": "a"});
    });
    assert_eq!(go.pass(&mut world, &agent.key), ["status"]);
    (world, agent)
}

fn settle(world: &mut World, agent: &mut Agent<'_>) -> Option<Ending> {
    agent.restart(world);
    agent.run(world, None)
}

/// What was asked of servers one by one, and what was sent.
fn did(agent: &mut Agent<'_>) -> (usize, Vec<String>) {
    let gets = agent.gets;
    (gets, agent.take_sent())
}

const NOTHING: (usize, Vec<String>) = (0, Vec::new());

#[test]
fn a_settled_world_is_taken_over_without_a_write_and_without_a_read() {
    let publication = compile(published());
    let (mut world, mut agent) = taken_over(&publication);
    let before = world.objects.clone();
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(did(&mut agent), NOTHING);
    agent.assert_settled(&mut world);
    assert_eq!(world.objects, before);
    assert_eq!(go(&publication).pass(&mut world, &agent.key), [""; 0]);
}

#[test]
fn a_change_of_the_consumers_is_one_patch_of_exactly_that() {
    let publication = compile(published());
    for asleep in [false, true] {
        let (mut world, mut agent) = taken_over(&publication);
        if !asleep {
            settle(&mut world, &mut agent);
        }
        world.edit(&agent.copy(), |copy| {
            copy["spec"]["color"] = json!("locally blue");
        });
        world.edit(&agent.origin(), |it| {
            it["spec"]["size"] = json!(2);
            it["spec"].as_object_mut().unwrap().remove("secret");
            it["metadata"]["labels"]
                .as_object_mut()
                .unwrap()
                .remove("app");
        });
        agent.restart(&world);
        let planned = loop {
            let planned = agent.plan();
            if planned.questions.is_empty() {
                break planned;
            }
            for question in planned.questions {
                agent.answer(&world, question);
            }
        };
        let [effect] = planned.effects.as_slice() else {
            panic!("{planned}");
        };
        assert_eq!(effect.request.verb, Verb::MergePatch);
        let body = &effect.request.body;
        assert_eq!(body["spec"], json!({"size": 2, "secret": null}));
        assert_eq!(body["metadata"]["labels"], json!({"app": null}));
        agent.run(&mut world, None);
        assert_eq!(did(&mut agent), (0, vec!["Refresh 200".into()]));
        let copy = &world.objects[&agent.copy()];
        assert_eq!(
            copy["spec"],
            json!({"size": 2, "color": "locally blue", "hosts": ["a"], "pool": "defaulted"})
        );
        assert_eq!(copy["metadata"]["labels"]["team.kcp.io/y"], "z");
        agent.assert_settled(&mut world);
        // From then on the copy tells itself what was written.
        settle(&mut world, &mut agent);
        assert_eq!(did(&mut agent), NOTHING);
        agent.assert_settled(&mut world);
    }
}

#[test]
fn what_somebody_set_on_the_copy_stays() {
    let publication = compile(published());
    for asleep in [false, true] {
        let (mut world, mut agent) = taken_over(&publication);
        if !asleep {
            settle(&mut world, &mut agent);
        }
        world.edit(&agent.copy(), |copy| {
            copy["spec"]["size"] = json!(99);
            copy["spec"].as_object_mut().unwrap().remove("color");
            copy["metadata"]["labels"]["app"] = json!("theirs");
        });
        if asleep {
            agent.restart(&world);
        } else {
            agent.event(&world, &agent.copy());
        }
        agent.run(&mut world, None);
        assert_eq!(did(&mut agent), NOTHING);
        agent.assert_settled(&mut world);
        // Until the consumer changes that very field.
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(3));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        let copy = &world.objects[&agent.copy()];
        assert_eq!(copy["spec"]["size"], 3);
        assert_eq!(copy["spec"].get("color"), None);
        assert_eq!(copy["metadata"]["labels"]["app"], "theirs");
    }
}

#[test]
fn the_only_finalizer_is_the_go_agents() {
    let publication = compile(published());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(&agent.origin(), consumers(&publication, &agent.key));
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(
        did(&mut agent),
        (
            0,
            ["Hold 200", "Namespace 200", "Place 200"]
                .map(String::from)
                .into()
        )
    );
    assert_eq!(finalizers(&world.objects[&agent.origin()]), [CLEANUP]);
    let namespace = publication.copy_namespace(&agent.key).unwrap();
    assert_eq!(
        world.objects[&namespace]["metadata"].get("labels"),
        None,
        "namespaces are made bare"
    );
    let copy = &world.objects[&agent.copy()];
    let labels = key(&publication, "a").identity().labels(AGENT);
    for (mark, value) in labels {
        assert_eq!(copy["metadata"]["labels"][mark.as_str()], value, "{mark}");
    }
    // The Go agent finds it, and goes on.
    let go = go(&publication);
    assert_eq!(go.copy(&world, &agent.key), Some(agent.copy()));
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert!(!world.objects.contains_key(&agent.origin()));
    assert!(!world.objects.contains_key(&agent.copy()));
}

#[test]
fn a_deletion_that_the_go_agent_began_is_finished() {
    let publication = compile(published());
    for step in 0..3 {
        let (mut world, mut agent) = taken_over(&publication);
        world.delete(&agent.origin());
        if step == 1 {
            world.edit(&agent.copy(), |copy| {
                copy["metadata"]["finalizers"] = json!(["operator/x"]);
                copy["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            });
        }
        if step == 2 {
            world.objects.remove(&agent.copy());
        }
        settle(&mut world, &mut agent);
        if step == 1 {
            assert_eq!(did(&mut agent), NOTHING, "the copy is waited for");
            world.edit(&agent.copy(), |copy| {
                copy["metadata"]["finalizers"] = json!([]);
            });
            agent.event(&world, &agent.copy());
            agent.run(&mut world, None);
        }
        assert!(!world.objects.contains_key(&agent.origin()), "{step}");
        assert!(!world.objects.contains_key(&agent.copy()), "{step}");
        let secret = go(&publication).secret(&agent.key);
        assert!(world.objects.contains_key(&secret), "state is not touched");
    }
}

#[test]
fn marks_that_link_a_copy_are_restored_and_others_are_not_missed() {
    let publication = compile(published());
    let (mut world, mut agent) = taken_over(&publication);
    settle(&mut world, &mut agent);
    world.edit(&agent.copy(), |copy| {
        let metadata = copy["metadata"].as_object_mut().unwrap();
        metadata["labels"]
            .as_object_mut()
            .unwrap()
            .remove("syncagent.kcp.io/remote-object-name-hash");
        metadata.remove("annotations");
    });
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    // The order has to be read for that.
    assert_eq!(did(&mut agent), (1, vec!["Refresh 200".into()]));
    assert_eq!(
        go(&publication).copy(&world, &agent.key),
        Some(agent.copy())
    );
    agent.assert_settled(&mut world);
}

#[test]
fn a_copy_without_the_agents_label_is_ours_when_its_state_says_so() {
    let publication = compile(published());
    let unsigned = |world: &mut World, agent: &Agent<'_>| {
        world.edit(&agent.copy(), |copy| {
            copy["metadata"]["labels"]
                .as_object_mut()
                .unwrap()
                .remove("syncagent.kcp.io/agent-name");
        });
    };
    let (mut world, mut agent) = taken_over(&publication);
    unsigned(&mut world, &agent);
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(did(&mut agent), NOTHING);
    // Without a state it is adopted as it is.
    let (mut world, mut agent) = taken_over(&publication);
    unsigned(&mut world, &agent);
    world.objects.remove(&go(&publication).secret(&agent.key));
    let spec = world.objects[&agent.copy()]["spec"].clone();
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(did(&mut agent), (0, vec!["Adopt 200".into()]));
    let copy = &world.objects[&agent.copy()];
    assert_eq!(copy["spec"], spec);
    assert_eq!(
        copy["metadata"]["labels"]["syncagent.kcp.io/agent-name"],
        AGENT
    );
    agent.assert_settled(&mut world);
}

#[test]
fn what_carries_another_agents_label_is_never_touched() {
    let publication = compile(published());
    let (mut world, mut agent) = taken_over(&publication);
    world.edit(&agent.copy(), |copy| {
        copy["metadata"]["labels"]["syncagent.kcp.io/agent-name"] = json!("the.other");
    });
    let theirs = world.objects[&agent.copy()].clone();
    agent.restart(&world);
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
    assert_eq!(world.objects[&agent.copy()], theirs);
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(world.objects[&agent.copy()], theirs);
}

#[test]
fn an_orphan_is_reported_and_stays() {
    let publication = compile(published());
    for lived in [false, true] {
        let (mut world, mut agent) = taken_over(&publication);
        if lived {
            settle(&mut world, &mut agent);
        }
        world.objects.remove(&agent.origin());
        let before = world.objects.clone();
        if lived {
            agent.event(&world, &agent.origin());
        } else {
            agent.restart(&world);
        }
        let ending = agent.run(&mut world, None);
        let Some(Ending::Refused(why)) = ending else {
            panic!("{ending:?}");
        };
        assert!(why.contains("orphan"), "{why}");
        assert_eq!(agent.take_sent(), [""; 0]);
        assert_eq!(world.objects, before);
    }
}

/// What somebody does to a state Secret.
type Spoil<'a> = &'a dyn Fn(&mut World, &ObjectRef);

/// Without a readable state nothing is lost: what the server's memory of fields tells is brought over, and no more.
#[test]
fn without_a_state_only_what_surely_changed_is_written() {
    let publication = compile(published());
    let key = key(&publication, "a");
    let data_key = state::data_key(&key.cluster, &key.namespace, &key.name);
    let foreign = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"default"},"data":{}}"#;
    let spoil: [Spoil<'_>; 5] = [
        &|world, secret| {
            world.objects.remove(secret);
        },
        &|world, secret| world.edit(secret, |it| it["data"] = json!({})),
        &|world, secret| world.edit(secret, |it| it["data"][&data_key] = json!("!")),
        &|world, secret| {
            world.edit(secret, |it| it["data"][&data_key] = json!(base64(b"{")));
        },
        // Another kind of the same name took the slot.
        &|world, secret| {
            world.edit(secret, |it| {
                it["data"][&data_key] = json!(base64(foreign.as_bytes()));
            });
        },
    ];
    for spoil in spoil {
        let (mut world, mut agent) = taken_over(&publication);
        spoil(&mut world, &go(&publication).secret(&key));
        world.edit(&agent.copy(), |copy| {
            crate::world::take_over(copy, "size", json!(99));
        });
        assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
        assert_eq!(did(&mut agent), NOTHING);
        // What changed while nobody looked, where the Go agent wrote the field last.
        world.edit(&agent.origin(), |it| it["spec"]["color"] = json!("green"));
        settle(&mut world, &mut agent);
        assert_eq!(agent.take_sent(), ["Refresh 200"]);
        let spec = &world.objects[&agent.copy()]["spec"];
        assert_eq!(
            (&spec["size"], &spec["color"]),
            (&json!(99), &json!("green"))
        );
        agent.assert_settled(&mut world);
    }
}

#[test]
fn the_newer_memory_counts_after_going_back_and_forth() {
    let publication = compile(published());
    let (mut world, mut agent) = taken_over(&publication);
    settle(&mut world, &mut agent);
    let go = go(&publication);
    let size = |world: &mut World, agent: &Agent<'_>, size: i64| {
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(size));
    };
    // Ours writes 2, the Go agent 3, and while nobody runs it becomes 2 again.
    size(&mut world, &agent, 2);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    size(&mut world, &agent, 3);
    assert_eq!(go.pass(&mut world, &agent.key), ["update Thing a"]);
    size(&mut world, &agent, 2);
    agent.take_sent();
    settle(&mut world, &mut agent);
    assert_eq!(agent.take_sent(), ["Refresh 200"]);
    assert_eq!(world.objects[&agent.copy()]["spec"]["size"], 2);
    // The Secret is touched, and says what it said: the copy still knows better.
    world.edit(&go.secret(&agent.key), |it| {
        it["metadata"]["annotations"] = json!({"backup": "yes"});
    });
    settle(&mut world, &mut agent);
    assert_eq!(did(&mut agent), NOTHING);
}

#[test]
fn a_stale_state_of_an_order_that_was_made_anew_does_no_harm() {
    let publication = compile(published());
    let (mut world, mut agent) = taken_over(&publication);
    settle(&mut world, &mut agent);
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let mut anew = consumers(&publication, &agent.key);
    anew["spec"] = json!({"size": 5});
    world.put(&agent.origin(), anew);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |copy| copy["spec"]["size"] = json!(6));
    agent.take_sent();
    settle(&mut world, &mut agent);
    assert_eq!(did(&mut agent), NOTHING);
    assert_eq!(world.objects[&agent.copy()]["spec"]["size"], 6);
}

#[test]
fn two_publications_of_one_kind_are_told_apart_or_refused() {
    let mut other = published();
    other.offered.kind = "Item".into();
    other.offered.plural = "items".into();
    other.schema = syncagent_core::definition::SchemaSource::Cluster;
    other.copy.name = "item-{name}".into();
    let both = Publications::compile(AGENT, &[published(), other]).unwrap();
    let things = both.get("things.example.io").unwrap();
    let items = both.get("items.example.io").unwrap();
    let (mut world, mut agent) = taken_over(things);
    // The copy says nothing of the publication, the state does.
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(did(&mut agent), NOTHING);
    // The other publication has no such order: it is not its orphan.
    let before = world.objects.clone();
    let mut stranger = Agent::new(items, &key(items, "a"));
    stranger.restart(&world);
    assert_eq!(stranger.run(&mut world, None), Some(Ending::Gone));
    assert_eq!(world.objects, before);
    // It has one of the same name: it gets its own copy.
    world.put(&stranger.origin(), consumers(items, &stranger.key));
    settle(&mut world, &mut stranger);
    assert_eq!(world.objects[&agent.copy()], before[&agent.copy()]);
    assert!(world.objects.contains_key(&stranger.copy()));
    // What says which publication made it is no other's, though both orders are called the same.
    let theirs = world.objects[&stranger.copy()].clone();
    assert_eq!(items.key_of_copy(&theirs), Some(stranger.key.clone()));
    assert_eq!(things.key_of_copy(&theirs), None);
    world.objects.remove(&agent.copy());
    agent.take_sent();
    settle(&mut world, &mut agent);
    assert!(agent.take_sent().contains(&"Place 200".to_owned()));
    assert_eq!(world.objects[&stranger.copy()], theirs);
}

#[test]
fn an_agent_that_dies_after_any_effect_leads_to_the_same_world() {
    let publication = compile(published());
    let changes: [fn(&mut World, &Agent<'_>); 3] = [
        |world, agent| world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2)),
        |world, agent| world.delete(&agent.origin()),
        |world, agent| {
            world.objects.remove(&agent.copy());
        },
    ];
    for change in changes {
        let (mut start, agent) = taken_over(&publication);
        change(&mut start, &agent);
        let mut end = start.clone();
        let mut agent = Agent::new(&publication, &agent.key);
        settle(&mut end, &mut agent);
        let effects = agent.take_sent().len();
        assert!(effects > 0);
        for cut in 0..effects {
            let mut agent = Agent::new(&publication, &agent.key);
            let mut world = start.clone();
            agent.restart(&world);
            agent.run(&mut world, Some(cut));
            settle(&mut world, &mut agent);
            assert_eq!(world.picture(), end.picture(), "cut after {cut}");
        }
    }
}
