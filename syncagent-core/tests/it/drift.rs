//! What becomes of changes that somebody makes to a copy: corrected, kept, reported, fought for; and of objects that stand
//! where a copy would be made.

use serde_json::{Value, json};
use syncagent_core::definition::{
    Adoption, Definition, Drift, Pass, Policy, ReturnSource, Sources,
};
use syncagent_core::plan::{Ending, Hands, ObjectRef, Verb};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, full_thing, key, order, secret, service, takes, thing};
use crate::world::{Agent, World, take_over, take_over_as, without};

fn with(change: impl FnOnce(&mut Policy)) -> Publication {
    let mut definition = thing();
    change(&mut definition.policy);
    compile(definition)
}

fn kept() -> Publication {
    with(|policy| policy.drift = Drift::Keep)
}

fn reported() -> Publication {
    with(|policy| policy.drift = Drift::Report)
}

/// An order that is settled.
fn settled<'a>(publication: &'a Publication, spec: &Value) -> (World, Agent<'a>) {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    world.put(&agent.origin(), order(publication, &agent.key, spec));
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    agent.take_sent();
    (world, agent)
}

/// The consumer changes the order, and the agent hears of it.
fn reorder(world: &mut World, agent: &mut Agent<'_>, spec: &Value) -> Option<Ending> {
    world.edit(&agent.origin(), |origin| origin["spec"] = spec.clone());
    agent.event(world, &agent.origin());
    agent.run(world, None)
}

fn edited(
    world: &mut World,
    agent: &mut Agent<'_>,
    change: impl FnOnce(&mut Value),
) -> Option<Ending> {
    world.edit(&agent.copy(), change);
    agent.event(world, &agent.copy());
    agent.run(world, None)
}

fn spec(world: &World, agent: &Agent<'_>) -> Value {
    world.objects[&agent.copy()]["spec"].clone()
}

fn synced(world: &World, agent: &Agent<'_>) -> (String, String) {
    let condition = &world.objects[&agent.origin()]["status"]["conditions"][0];
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

#[test]
fn what_somebody_set_stays_until_the_consumer_changes_that_very_field() {
    for publication in [kept(), reported()] {
        let (mut world, mut agent) = settled(&publication, &json!({"size": 1, "color": "red"}));
        edited(&mut world, &mut agent, |copy| {
            take_over(copy, "size", json!(99));
        });
        // Another field is changed: one write, nothing read, theirs stays.
        agent.take_sent();
        reorder(&mut world, &mut agent, &json!({"size": 1, "color": "blue"}));
        let refreshed: Vec<_> = agent
            .sent
            .iter()
            .filter(|it| it.starts_with("Refresh"))
            .collect();
        assert_eq!((agent.gets, refreshed.len()), (0, 1), "{:?}", agent.sent);
        assert_eq!(spec(&world, &agent), json!({"size": 99, "color": "blue"}));
        // Their field is changed.
        agent.take_sent();
        reorder(&mut world, &mut agent, &json!({"size": 2, "color": "blue"}));
        assert_eq!(agent.gets, 0);
        assert_eq!(spec(&world, &agent), json!({"size": 2, "color": "blue"}));
        agent.assert_settled(&mut world);
    }
}

#[test]
fn an_update_under_keep_is_one_patch_of_what_changed_and_no_read() {
    let publication = kept();
    let (mut world, mut agent) = settled(
        &publication,
        &json!({"size": 1, "color": "red", "hosts": ["a"], "secret": {"name": "x"}}),
    );
    world.edit(&agent.origin(), |origin| {
        origin["spec"] = json!({"size": 2, "color": "red", "hosts": ["a", "b"]});
    });
    agent.event(&world, &agent.origin());
    let plan = agent.plan();
    assert_eq!(plan.questions, []);
    let [effect] = plan.effects.as_slice() else {
        panic!("{plan}");
    };
    assert_eq!(effect.request.verb, Verb::MergePatch);
    let body = &effect.request.body;
    assert_eq!(
        body["spec"],
        json!({"size": 2, "hosts": ["a", "b"], "secret": null})
    );
    let metadata = &body["metadata"];
    assert!(metadata["uid"].is_string());
    assert_eq!(metadata.get("labels"), None, "only what changed");
    assert_eq!(
        metadata["annotations"].as_object().expect("marks").len(),
        3,
        "{metadata}"
    );
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Refresh 200".into()])
    );
    agent.assert_settled(&mut world);
}

#[test]
fn what_changed_while_the_agent_was_down_is_told_from_what_somebody_set() {
    let publication = kept();
    let (mut world, mut agent) = settled(
        &publication,
        &json!({"size": 1, "color": "red", "note": "n", "pool": "p"}),
    );
    world.edit(&agent.copy(), |copy| {
        take_over(copy, "size", json!(99));
        take_over(copy, "color", json!("black"));
    });
    // The consumer changes one of the fields that somebody took, takes another field out, and adds one.
    world.edit(&agent.origin(), |origin| {
        origin["spec"] = json!({"size": 1, "color": "blue", "pool": "p", "hosts": ["h"]});
    });
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Refresh 200".into()])
    );
    assert_eq!(
        spec(&world, &agent),
        json!({"size": 99, "color": "blue", "pool": "p", "hosts": ["h"]})
    );
    agent.assert_settled(&mut world);
    // And a restart over what is settled does nothing.
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
}

#[test]
fn without_the_memory_on_the_copy_ownership_tells() {
    // A copy that was made under `correct`, kept from now on; the order changed meanwhile.
    let corrected = compile(thing());
    let (mut world, agent) = settled(&corrected, &json!({"size": 1, "color": "red", "note": "n"}));
    world.edit(&agent.copy(), |copy| take_over(copy, "size", json!(99)));
    world.edit(&agent.origin(), |origin| {
        origin["spec"] = json!({"size": 1, "color": "blue"});
    });
    let publication = kept();
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Refresh 200".into()])
    );
    assert_eq!(spec(&world, &agent), json!({"size": 99, "color": "blue"}));
    agent.assert_settled(&mut world);
}

#[test]
fn the_last_label_of_a_consumer_takes_no_mark_with_it() {
    let mut definition = thing();
    definition.policy.drift = Drift::Keep;
    definition.pass = Pass {
        labels: vec!["*".into()],
        ..Pass::default()
    };
    let publication = compile(definition);
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let mut wish = order(&publication, &agent.key, &json!({"size": 1}));
    wish["metadata"]["labels"] = json!({"tier": "gold"});
    world.put(&agent.origin(), wish);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |copy| {
        copy["metadata"]["labels"]["theirs"] = json!("x");
    });
    world.edit(&agent.origin(), |origin| {
        origin["metadata"]["labels"] = Value::Null;
    });
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let labels = &world.objects[&agent.copy()]["metadata"]["labels"];
    assert_eq!((labels.get("tier"), &labels["theirs"]), (None, &json!("x")));
    assert!(labels["syncagent.kcp.io/agent-name"].is_string());
    agent.assert_settled(&mut world);
}

#[test]
fn an_agent_that_dies_or_loses_an_answer_keeps_what_is_kept() {
    let publication = kept();
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1, "color": "red"}));
    world.edit(&agent.copy(), |copy| take_over(copy, "size", json!(99)));
    world.edit(&agent.origin(), |origin| {
        origin["spec"]["color"] = json!("blue");
    });
    agent.event(&world, &agent.origin());
    let before = (agent.record.clone(), agent.seen.clone());
    // The write arrived, its answer did not; meanwhile somebody changes the other field too.
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |copy| {
        take_over(copy, "color", json!("black"));
    });
    (agent.record, agent.seen) = before;
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(spec(&world, &agent), json!({"size": 99, "color": "black"}));
    agent.assert_settled(&mut world);
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(spec(&world, &agent), json!({"size": 99, "color": "black"}));
}

#[test]
fn a_kept_copy_that_vanished_is_made_again() {
    let publication = kept();
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1}));
    world.objects.remove(&agent.copy());
    // No event yet: the patch finds out.
    reorder(&mut world, &mut agent, &json!({"size": 2}));
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (1, vec!["Refresh 404".into(), "Place 200".into()])
    );
    assert_eq!(spec(&world, &agent), json!({"size": 2}));
    agent.assert_settled(&mut world);
}

#[test]
fn what_drifted_is_reported_by_path_and_manager_and_the_consumer_hears_no_internals() {
    let publication = reported();
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1, "color": "red"}));
    let ending = edited(&mut world, &mut agent, |copy| {
        take_over_as(copy, "cost-saver", "size", &json!(99));
    });
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Reflect 200".into()]),
        "nothing is read, nothing corrected"
    );
    let Some(Ending::Drifted(why)) = ending else {
        panic!("{ending:?}");
    };
    assert!(
        why.contains("spec.size") && why.contains("cost-saver"),
        "{why}"
    );
    let (reason, message) = synced(&world, &agent);
    assert_eq!(
        (reason.as_str(), message.as_str()),
        (
            "Drifted",
            "spec.size: it was set to something else at the service"
        )
    );
    agent.assert_settled(&mut world);
    assert_eq!(agent.plan().hands, Some(Hands::Provider));
    // Also after a restart, without a write.
    agent.restart(&world);
    assert!(matches!(
        agent.run(&mut world, None),
        Some(Ending::Drifted(_))
    ));
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
    // It goes when somebody sets it back, and when the consumer changes the field.
    let drifted = (world.clone(), agent.record.clone());
    let ending = edited(&mut world, &mut agent, |copy| {
        take_over_as(copy, "cost-saver", "size", &json!(1));
    });
    assert_eq!(ending, Some(Ending::Settled));
    assert_eq!(synced(&world, &agent).0, "Synced");
    (world, agent.record) = drifted;
    let ending = reorder(&mut world, &mut agent, &json!({"size": 5, "color": "red"}));
    assert_eq!(ending, Some(Ending::Settled));
    assert_eq!(spec(&world, &agent)["size"], 5);
    assert_eq!(synced(&world, &agent).0, "Synced");
    agent.assert_settled(&mut world);
}

#[test]
fn what_a_webhook_makes_of_our_write_is_neither_drift_nor_a_fight() {
    for drift in [Drift::Correct, Drift::Keep, Drift::Report] {
        let publication = with(|policy| policy.drift = drift);
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = World::default();
        world.normalises = Some(|object| object["spec"]["color"] = json!("RED"));
        world.put(
            &agent.origin(),
            order(
                &publication,
                &agent.key,
                &json!({"size": 1, "color": "red"}),
            ),
        );
        agent.event(&world, &agent.origin());
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        agent.take_sent();
        agent.event(&world, &agent.copy());
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        agent.restart(&world);
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        assert_eq!((agent.gets, agent.take_sent()), (0, vec![]), "{drift:?}");
        assert_eq!(synced(&world, &agent).0, "Synced");
        agent.assert_settled(&mut world);
    }
}

#[test]
fn marks_that_somebody_took_off_are_put_back_whatever_the_policy() {
    for drift in [Drift::Correct, Drift::Keep, Drift::Report] {
        let publication = with(|policy| policy.drift = drift);
        for marks in [
            vec!["syncagent.kcp.io/remote-object-name-hash"],
            vec![
                "syncagent.kcp.io/agent-name",
                "syncagent.kcp.io/remote-object-cluster",
                "syncagent.kcp.io/remote-object-name-hash",
                "syncagent.kcp.io/remote-object-namespace-hash",
            ],
        ] {
            let (mut world, mut agent) = settled(&publication, &json!({"size": 1}));
            let before = world.objects[&agent.copy()]["metadata"]["labels"].clone();
            edited(&mut world, &mut agent, |copy| {
                let fields = json!({"f:metadata": {"f:labels": marks.iter().map(|it| (format!("f:{it}"), json!({}))).collect::<serde_json::Map<_, _>>()}});
                for entry in copy["metadata"]["managedFields"]
                    .as_array_mut()
                    .expect("a list")
                {
                    without(&mut entry["fieldsV1"], &fields);
                }
                let labels = copy["metadata"]["labels"].as_object_mut().expect("labels");
                labels.retain(|key, _| !marks.contains(&key.as_str()));
            });
            assert_eq!(agent.take_sent(), ["Refresh 200"], "{drift:?} {marks:?}");
            assert_eq!(world.objects[&agent.copy()]["metadata"]["labels"], before);
            assert_eq!(spec(&world, &agent), json!({"size": 1}));
            agent.assert_settled(&mut world);
        }
    }
}

#[test]
fn a_field_that_is_reset_three_times_in_a_row_is_left_and_reported() {
    let publication = compile(thing());
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1, "color": "red"}));
    let reset = |copy: &mut Value| take_over_as(copy, "autoscaler", "size", &json!(7));
    for _ in 0..2 {
        assert_eq!(edited(&mut world, &mut agent, reset), Some(Ending::Settled));
        assert_eq!(agent.take_sent(), ["Refresh 200"]);
        assert_eq!(spec(&world, &agent)["size"], 1);
    }
    let ending = edited(&mut world, &mut agent, reset);
    assert_eq!(
        agent.take_sent(),
        ["Reflect 200"],
        "the third time it is left"
    );
    let Some(Ending::Drifted(why)) = ending else {
        panic!("{ending:?}");
    };
    assert!(
        why.contains("spec.size") && why.contains("autoscaler"),
        "{why}"
    );
    let (reason, message) = synced(&world, &agent);
    assert_eq!(reason, "Contested");
    assert!(
        message.contains("spec.size") && !message.contains("autoscaler"),
        "{message}"
    );
    agent.assert_settled(&mut world);
    // Whatever they do with it now is theirs.
    edited(&mut world, &mut agent, |copy| {
        take_over_as(copy, "autoscaler", "size", &json!(8));
    });
    assert_eq!(agent.take_sent(), Vec::<String>::new());
    // The rest is written and corrected as ever.
    reorder(&mut world, &mut agent, &json!({"size": 1, "color": "blue"}));
    assert_eq!(agent.take_sent(), ["Refresh 200"]);
    assert_eq!(spec(&world, &agent), json!({"size": 8, "color": "blue"}));
    edited(&mut world, &mut agent, |copy| {
        take_over(copy, "color", json!("black"));
    });
    assert_eq!(agent.take_sent(), ["Refresh 200"]);
    assert_eq!(spec(&world, &agent), json!({"size": 8, "color": "blue"}));
    agent.assert_settled(&mut world);
    let contested = (world.clone(), agent.record.clone());

    // It ends when the consumer changes that very field,
    assert_eq!(
        reorder(&mut world, &mut agent, &json!({"size": 3, "color": "blue"})),
        Some(Ending::Settled)
    );
    assert_eq!(spec(&world, &agent)["size"], 3);
    assert_eq!(synced(&world, &agent).0, "Synced");
    agent.assert_settled(&mut world);

    // when a person says so,
    (world, agent.record) = contested.clone();
    let again = |copy: &mut Value| {
        copy["metadata"]["annotations"]["syncagent.kcp.io/correct-again"] = json!("now");
    };
    assert_eq!(edited(&mut world, &mut agent, again), Some(Ending::Settled));
    assert_eq!(spec(&world, &agent)["size"], 1);
    agent.assert_settled(&mut world);

    // when they give in, and then it is ours again,
    (world, agent.record) = contested.clone();
    let give_in = |copy: &mut Value| take_over_as(copy, "autoscaler", "size", &json!(1));
    assert_eq!(
        edited(&mut world, &mut agent, give_in),
        Some(Ending::Settled)
    );
    agent.assert_settled(&mut world);

    // and at a restart.
    (world, agent.record) = contested;
    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!(spec(&world, &agent)["size"], 1);
    agent.assert_settled(&mut world);
}

#[test]
fn resets_that_are_far_apart_are_no_fight() {
    let publication = compile(thing());
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1}));
    for day in 1..=6 {
        agent.now = format!("2026-01-{day:02}T12:00:00Z");
        edited(&mut world, &mut agent, |copy| {
            take_over(copy, "size", json!(7));
        });
        assert_eq!(spec(&world, &agent)["size"], 1, "day {day}");
        agent.assert_settled(&mut world);
    }
}

#[test]
fn a_list_that_is_fought_for_is_left_as_it_is_and_loses_no_item() {
    let publication = compile(thing());
    let (mut world, mut agent) = settled(&publication, &json!({"size": 1, "hosts": ["a", "b"]}));
    for _ in 0..3 {
        edited(&mut world, &mut agent, |copy| {
            take_over_as(copy, "dns", "hosts", &json!(["x", "b"]));
        });
    }
    agent.take_sent();
    reorder(
        &mut world,
        &mut agent,
        &json!({"size": 2, "hosts": ["a", "b"]}),
    );
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (1, vec!["Refresh 200".into()])
    );
    assert_eq!(
        spec(&world, &agent),
        json!({"size": 2, "hosts": ["x", "b"]})
    );
    agent.assert_settled(&mut world);
}

#[test]
fn what_was_kept_is_corrected_after_its_ownership_was_rewritten_once() {
    let publication = kept();
    let (mut world, mut agent) = settled(
        &publication,
        &json!({"size": 1, "color": "red", "note": "n"}),
    );
    reorder(
        &mut world,
        &mut agent,
        &json!({"size": 2, "color": "red", "note": "m"}),
    );
    edited(&mut world, &mut agent, |copy| {
        take_over(copy, "color", json!("black"));
    });
    let kept = world.clone();
    // From now on it is corrected; the order also lost a field meanwhile.
    let publication = compile(thing());
    world.edit(&agent.origin(), |origin| {
        origin["spec"] = json!({"size": 2, "color": "red"});
    });
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (0, vec!["Inherit 200".into(), "Refresh 200".into()])
    );
    assert_eq!(spec(&world, &agent), json!({"size": 2, "color": "red"}));
    agent.assert_settled(&mut world);
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]), "once");
    // The same when the agent dies in between, and when somebody writes in between.
    for cut in 0..2 {
        let mut world = kept.clone();
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        agent.restart(&world);
        assert_eq!(agent.run(&mut world, Some(cut)), None);
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!(
            spec(&world, &agent),
            json!({"size": 2, "color": "red", "note": "m"})
        );
        agent.assert_settled(&mut world);
    }
    let mut world = kept;
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    agent.restart(&world);
    world.edit(&agent.copy(), |copy| copy["spec"]["pool"] = json!("theirs"));
    agent.run(&mut world, None);
    assert_eq!(
        agent.take_sent(),
        ["Inherit 409", "Inherit 200", "Refresh 200"]
    );
    assert_eq!(
        spec(&world, &agent),
        json!({"size": 2, "color": "red", "note": "m", "pool": "theirs"})
    );
}

/// An order whose copy's place is taken by something without marks.
fn occupied<'a>(publication: &'a Publication, there: Value) -> (World, Agent<'a>) {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(publication, &agent.key, &json!({"size": 1, "color": "red"})),
    );
    world.put(
        &publication.copy_namespace(&agent.key).expect("one"),
        json!({}),
    );
    world.put(&agent.copy(), there);
    agent.event(&world, &agent.origin());
    (world, agent)
}

fn stranger() -> Value {
    json!({"spec": {"size": 7, "pool": "fast"}, "metadata": {"managedFields": [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:size": {}, "f:pool": {}}}},
    ]}})
}

#[test]
fn an_unmarked_object_becomes_the_copy_as_it_is() {
    for drift in [Drift::Keep, Drift::Report] {
        let publication = with(|policy| {
            policy.drift = drift;
            policy.adoption = Adoption::LabelOnly;
        });
        let (mut world, mut agent) = occupied(&publication, stranger());
        agent.run(&mut world, None);
        assert_eq!(agent.gets, 1);
        assert_eq!(
            agent.take_sent()[..3],
            ["Hold 200", "Place 409", "Adopt 200"]
        );
        assert_eq!(spec(&world, &agent), json!({"size": 7, "pool": "fast"}));
        assert_eq!(
            publication.key_of_copy(&world.objects[&agent.copy()]),
            Some(agent.key.clone())
        );
        agent.assert_settled(&mut world);
        let adopted = world.clone();
        for restarted in [false, true] {
            let (mut world, mut agent) = (adopted.clone(), agent.clone());
            if restarted {
                agent.restart(&world);
                agent.run(&mut world, None);
                assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
            }
            // What differs stays until the consumer changes it.
            reorder(
                &mut world,
                &mut agent,
                &json!({"size": 1, "color": "red", "note": "n"}),
            );
            assert_eq!(agent.gets, 0);
            assert_eq!(
                spec(&world, &agent),
                json!({"size": 7, "pool": "fast", "note": "n"})
            );
            reorder(
                &mut world,
                &mut agent,
                &json!({"size": 2, "color": "red", "note": "n"}),
            );
            assert_eq!(spec(&world, &agent)["size"], 2);
            agent.assert_settled(&mut world);
        }
    }
}

#[test]
fn an_unmarked_object_is_taken_over_with_the_orders_content() {
    for drift in [Drift::Correct, Drift::Keep, Drift::Report] {
        let publication = with(|policy| {
            policy.drift = drift;
            policy.adoption = Adoption::TakeOver;
        });
        let (mut world, mut agent) = occupied(&publication, stranger());
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        assert_eq!(
            (agent.gets, agent.take_sent()),
            (
                1,
                vec![
                    "Hold 200".into(),
                    "Place 409".into(),
                    "Adopt 200".into(),
                    "Reflect 200".into()
                ]
            )
        );
        assert_eq!(
            spec(&world, &agent),
            json!({"size": 1, "color": "red", "pool": "fast"})
        );
        agent.assert_settled(&mut world);
        agent.restart(&world);
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
    }
}

#[test]
fn what_carries_a_mark_of_another_or_is_being_deleted_is_never_adopted() {
    let mark = |part: &str, key: &str, value: &str| {
        let mut object = stranger();
        object["metadata"][part][format!("syncagent.kcp.io/{key}")] = json!(value);
        object
    };
    let mut deleting = stranger();
    deleting["metadata"]["finalizers"] = json!(["operator/x"]);
    deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let strangers = [
        mark("labels", "remote-object-cluster", "2xyz"),
        mark("labels", "agent-name", "others.example.io"),
        mark("annotations", "remote-object-name", "b"),
        mark("annotations", "remote-object-namespace", "other"),
        mark("annotations", "publication", "others.example.io"),
        mark("annotations", "related-origin-uid", "u"),
        deleting,
    ];
    for adoption in [Adoption::LabelOnly, Adoption::TakeOver] {
        let publication = with(|policy| {
            policy.drift = Drift::Keep;
            policy.adoption = adoption;
        });
        for there in &strangers {
            let (mut world, mut agent) = occupied(&publication, there.clone());
            let before = world.objects[&agent.copy()].clone();
            let ending = agent.run(&mut world, None);
            assert!(
                matches!(ending, Some(Ending::Refused(_))),
                "{there} {ending:?}"
            );
            assert_eq!(world.objects[&agent.copy()], before);
            assert_eq!(synced(&world, &agent).0, "NameTaken");
        }
    }
}

#[test]
fn somebody_who_marks_the_object_first_wins() {
    for adoption in [Adoption::LabelOnly, Adoption::TakeOver] {
        let publication = with(|policy| {
            policy.drift = Drift::Keep;
            policy.adoption = adoption;
        });
        let (mut world, mut agent) = occupied(&publication, stranger());
        // Up to the decision to adopt; then another agent is quicker.
        assert_eq!(agent.run(&mut world, Some(2)), None);
        let labels = json!({"syncagent.kcp.io/agent-name": "others.example.io"});
        world.edit(&agent.copy(), |copy| {
            copy["metadata"]["labels"] = labels.clone();
        });
        let ending = agent.run(&mut world, None);
        assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
        assert!(
            agent.sent.contains(&"Adopt 409".to_owned()),
            "{:?}",
            agent.sent
        );
        assert_eq!(world.objects[&agent.copy()]["metadata"]["labels"], labels);
        assert_eq!(spec(&world, &agent), json!({"size": 7, "pool": "fast"}));
    }
}

#[test]
fn a_field_that_cannot_change_is_said_in_the_consumers_terms_and_not_tried_again() {
    for drift in [Drift::Correct, Drift::Keep] {
        let publication = with(|policy| policy.drift = drift);
        let (mut world, mut agent) = settled(&publication, &json!({"size": 1, "color": "red"}));
        world.refuses.push((
            "spec.color".into(),
            format!(
                "Invalid value: \"blue\": field is immutable in {}",
                agent.copy().name
            ),
        ));
        reorder(&mut world, &mut agent, &json!({"size": 1, "color": "blue"}));
        assert_eq!(agent.take_sent(), ["Refresh 422", "Reflect 200"]);
        assert_eq!(
            synced(&world, &agent),
            (
                "Invalid".to_owned(),
                "spec.color: Invalid value: \"blue\": field is immutable in a".to_owned()
            )
        );
        agent.record.look_again();
        agent.assert_settled(&mut world);
        assert_eq!(agent.take_sent(), Vec::<String>::new());
        // It is over when the order says what it said before.
        world.refuses.clear();
        reorder(&mut world, &mut agent, &json!({"size": 1, "color": "red"}));
        assert_eq!(agent.take_sent(), ["Reflect 200"]);
        assert_eq!(synced(&world, &agent).0, "Synced");
        agent.assert_settled(&mut world);
    }
}

#[test]
fn policies_that_contradict_each_other_are_refused() {
    let problems = |change: &dyn Fn(&mut Definition)| {
        let mut definition = thing();
        change(&mut definition);
        let compiled = syncagent_core::publication::Publications::compile("a", &[definition]);
        compiled.expect_err("contradictory").to_string()
    };
    let text = problems(&|it| it.policy.adoption = Adoption::LabelOnly);
    assert!(
        text.contains("label-only") && text.contains("take-over"),
        "{text}"
    );
    let text = problems(&|it| {
        it.policy.drift = Drift::Keep;
        it.service = crate::fixture::secret();
    });
    assert!(
        text.contains("Secret") && text.contains("correct"),
        "{text}"
    );
    let mut definition = thing();
    definition.policy = Policy::compatible();
    let _ = compile(definition);
}

#[test]
fn whoever_takes_marks_off_again_and_again_is_not_answered_for_ever() {
    for drift in [Drift::Correct, Drift::Keep, Drift::Report] {
        let publication = with(|policy| policy.drift = drift);
        let (mut world, mut agent) = settled(&publication, &json!({"size": 1}));
        let mark = "syncagent.kcp.io/remote-object-name-hash";
        let fields = json!({"f:metadata": {"f:labels": {format!("f:{mark}"): {}}}});
        let mut last = None;
        for _ in 0..10 {
            last = edited(&mut world, &mut agent, |copy| {
                let entries = copy["metadata"]["managedFields"].as_array_mut();
                for entry in entries.expect("a list") {
                    without(&mut entry["fieldsV1"], &fields);
                }
                let labels = copy["metadata"]["labels"].as_object_mut();
                labels.expect("labels").remove(mark);
            });
        }
        let written = agent.sent.iter().filter(|it| it.starts_with("Refresh"));
        assert_eq!(written.count(), 2, "{drift:?}: {:?}", agent.sent);
        assert!(matches!(last, Some(Ending::Drifted(_))), "{last:?}");
        let (reason, message) = synced(&world, &agent);
        assert!(!message.contains("remote-object"), "{reason} {message}");
        agent.assert_settled(&mut world);
    }
}

/// An order that takes a Secret and is returned one, settled.
fn with_related(publication: &Publication) -> (World, Agent<'_>) {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(publication, &agent.key, &spec));
    world.put(
        &here(&agent, "pw"),
        json!({"data": {"password": "eA==", "user": "eQ=="}, "type": "Opaque"}),
    );
    let service = ObjectRef {
        kind: service(),
        ..there(&agent, "a-rw")
    };
    world.put(&service, json!({"status": {"ip": "10.0.0.1"}}));
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    agent.take_sent();
    (world, agent)
}

fn here(agent: &Agent<'_>, name: &str) -> ObjectRef {
    ObjectRef {
        kind: secret(),
        name: name.into(),
        ..agent.origin()
    }
}

fn there(agent: &Agent<'_>, name: &str) -> ObjectRef {
    ObjectRef {
        kind: secret(),
        name: name.into(),
        ..agent.copy()
    }
}

/// Somebody changes a key of a Secret, or takes it out.
fn tamper(object: &mut Value, key: &str, value: Option<&str>) {
    let data = object["data"].as_object_mut().expect("data");
    match value {
        Some(value) => data.insert(key.into(), json!(value)),
        None => data.remove(key),
    };
    let fields = json!({"f:data": {format!("f:{key}"): {}}});
    let managed = &mut object["metadata"]["managedFields"];
    let mut entries = managed.as_array().cloned().unwrap_or_default();
    for entry in &mut entries {
        without(&mut entry["fieldsV1"], &fields);
    }
    entries.push(json!({"manager": "kubectl", "operation": "Update", "fieldsV1": fields}));
    *managed = Value::Array(entries);
}

#[test]
fn what_somebody_did_to_a_taken_copy_while_the_agent_was_down_is_found_in_the_list() {
    let publication = compile(full_thing());
    let (settled, agent) = with_related(&publication);
    let copy = there(&agent, "pw.taken");
    for (key, value) in [("password", Some("Zg==")), ("user", None)] {
        let (mut world, mut agent) = (settled.clone(), agent.clone());
        world.edit(&copy, |it| tamper(it, key, value));
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!(agent.take_sent(), ["Retake(\"spec.secret\") 200"], "{key}");
        let data = &world.objects[&copy]["data"];
        assert_eq!(*data, json!({"password": "eA==", "user": "eQ=="}));
        agent.assert_settled(&mut world);
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
    }
    // What somebody adds is theirs, and a restart reads nothing for it.
    let (mut world, mut agent) = (settled, agent);
    world.edit(&copy, |it| {
        tamper(it, "extra", Some("Zg=="));
    });
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
}

#[test]
fn what_a_consumer_did_to_a_returned_object_while_the_agent_was_down_is_found_in_the_list() {
    let publication = compile(full_thing());
    let (settled, agent) = with_related(&publication);
    let returned = here(&agent, "a-connection");
    let right = settled.objects[&returned]["data"].clone();
    for value in [Some("Zg=="), None] {
        let (mut world, mut agent) = (settled.clone(), agent.clone());
        // The world keeps no ownership of what is created: as a server would.
        world.edit(&returned, |it| {
            let fields = json!({"f:data": {"f:host": {}, "f:password": {}}});
            it["metadata"]["managedFields"] = json!([
                {"manager": publication.agent().manager(), "operation": "Update", "fieldsV1": fields},
            ]);
        });
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
        world.edit(&returned, |it| tamper(it, "host", value));
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!(agent.take_sent(), ["Update(\"connection\") 200"]);
        assert_eq!(world.objects[&returned]["data"], right);
    }
}

/// A Secret comes up as another one is below, with its type.
fn passed_on(sources: &Sources) -> Option<Value> {
    let taken = sources.taken("spec.secret").next()?;
    Some(json!({"type": taken["type"], "data": taken["data"]}))
}

#[test]
fn a_related_object_that_cannot_be_changed_is_reported_or_made_anew() {
    for recreate in [false, true] {
        let mut definition = full_thing();
        definition.returns[0].source = ReturnSource::With {
            reads: vec![],
            compose: passed_on,
        };
        if recreate {
            definition.recreate = vec!["spec.secret".into(), "connection".into()];
        }
        let publication = compile(definition);
        let (mut world, mut agent) = with_related(&publication);
        let (taken, returned) = (there(&agent, "pw.taken"), here(&agent, "a-connection"));
        let uids = [&taken, &returned].map(|at| world.objects[at]["metadata"]["uid"].clone());
        // The consumer replaces their Secret by one of another type.
        let pw = here(&agent, "pw");
        world.objects.remove(&pw);
        world.put(
            &pw,
            json!({"data": {"password": "Zg=="}, "type": "kubernetes.io/tls"}),
        );
        agent.hint(&world, &pw);
        let ending = agent.run(&mut world, None);
        let sent: Vec<_> = agent
            .take_sent()
            .into_iter()
            .filter(|it| !it.starts_with("Hold"))
            .collect();
        if recreate {
            assert_eq!(ending, Some(Ending::Settled), "{sent:?}");
            assert_eq!(
                sent,
                [
                    "Retake(\"spec.secret\") 422",
                    "Untake(\"spec.secret\") 200",
                    "Take(\"spec.secret\") 200",
                    "Update(\"connection\") 422",
                    "Unreturn(\"connection\") 200",
                    "Return(\"connection\") 200",
                ]
            );
            for (at, uid) in [&taken, &returned].into_iter().zip(uids) {
                assert_eq!(world.objects[at]["type"], "kubernetes.io/tls");
                assert_ne!(world.objects[at]["metadata"]["uid"], uid);
            }
            agent.assert_settled(&mut world);
        } else {
            assert_eq!(
                sent.last().map(String::as_str),
                Some("Reflect 200"),
                "{sent:?}"
            );
            assert!(!sent.iter().any(|it| it.starts_with("Un")), "{sent:?}");
            let (reason, message) = synced(&world, &agent);
            assert_eq!(reason, "Invalid");
            assert!(
                message.contains("\"pw\"") && message.contains("immutable"),
                "{message}"
            );
            assert!(!message.contains("taken"), "{message}");
            for (at, uid) in [&taken, &returned].into_iter().zip(uids) {
                assert_eq!(world.objects[at]["type"], "Opaque");
                assert_eq!(world.objects[at]["metadata"]["uid"], uid);
            }
            // It is not tried again before something changes.
            agent.assert_settled(&mut world);
            world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
            agent.event(&world, &agent.origin());
            agent.run(&mut world, None);
            let sent = agent.take_sent();
            assert_eq!(sent, ["Refresh 200"]);
        }
    }
}

#[test]
fn what_is_made_anew_survives_a_death_in_between_and_is_nobody_elses() {
    let mut definition = full_thing();
    definition.recreate = vec!["spec.secret".into()];
    let publication = compile(definition);
    let (settled, agent) = with_related(&publication);
    let (pw, taken) = (here(&agent, "pw"), there(&agent, "pw.taken"));
    for cut in 0..5 {
        let (mut world, mut agent) = (settled.clone(), agent.clone());
        world.objects.remove(&pw);
        world.put(
            &pw,
            json!({"data": {"password": "Zg=="}, "type": "kubernetes.io/tls"}),
        );
        agent.hint(&world, &pw);
        agent.run(&mut world, Some(cut));
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!(world.objects[&taken]["type"], "kubernetes.io/tls", "{cut}");
        agent.assert_settled(&mut world);
    }
    // Somebody puts something of theirs in its place, just before it is deleted.
    let (mut world, mut agent) = (settled, agent);
    world.objects.remove(&pw);
    world.put(
        &pw,
        json!({"data": {"password": "Zg=="}, "type": "kubernetes.io/tls"}),
    );
    agent.hint(&world, &pw);
    // Held, and refused.
    assert_eq!(agent.run(&mut world, Some(2)), None);
    assert!(agent.record.taken[0].recreate, "{:?}", agent.sent);
    world.objects.remove(&taken);
    world.put(&taken, json!({"data": {"theirs": "Zg=="}}));
    let theirs = world.objects[&taken].clone();
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
    assert_eq!(world.objects[&taken], theirs);
}

#[test]
fn what_is_made_anew_must_be_a_related_object() {
    let mut definition = full_thing();
    definition.recreate = vec![
        "spec.secret".into(),
        "connection".into(),
        "spec.size".into(),
    ];
    let compiled = syncagent_core::publication::Publications::compile("a", &[definition]);
    let text = compiled.expect_err("no such rule").to_string();
    assert!(
        text.contains("`spec.size`") && text.starts_with("1 problem:"),
        "{text}"
    );
}

#[test]
fn two_fields_that_name_one_secret_are_refused_each_for_itself() {
    for recreate in [false, true] {
        let mut definition = full_thing();
        definition.fields.push(takes("spec.admin", "{name}.taken"));
        if recreate {
            definition.recreate = vec!["spec.secret".into(), "spec.admin".into()];
        }
        let publication = compile(definition);
        let (mut world, mut agent) = with_related(&publication);
        let spec = json!({"size": 1, "secret": {"name": "pw"}, "admin": {"name": "pw"}});
        reorder(&mut world, &mut agent, &spec);
        let (pw, taken) = (here(&agent, "pw"), there(&agent, "pw.taken"));
        world.objects.remove(&pw);
        world.put(
            &pw,
            json!({"data": {"password": "Zg=="}, "type": "kubernetes.io/tls"}),
        );
        agent.hint(&world, &pw);
        agent.run(&mut world, None);
        let wanted = if recreate {
            "kubernetes.io/tls"
        } else {
            "Opaque"
        };
        assert_eq!(world.objects[&taken]["type"], wanted);
        agent.assert_settled(&mut world);
    }
}
