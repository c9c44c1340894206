//! The truth table of a taken-over order: every small world that kcp's api-syncagent can have left, and what becomes of it.
//!
//! `takeover_table.txt` is the readable result, one world per line. Update it with
//! `UPDATE_EXPECT=1 cargo test -p syncagent-core takeover_table`.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};
use syncagent_core::object::{finalizers, state};
use syncagent_core::plan::{Ending, Seen, Sight};
use syncagent_core::publication::Publication;
use syncagent_core::related::base64;

use crate::constructed::{CLEANUP, GoAgent};
use crate::fixture::{compile, key, order};
use crate::takeover::published;
use crate::world::{Agent, World, is_guarded, take_over};

const ORIGINS: [&str; 3] = ["absent", "live", "deleting"];
const COPIES: [&str; 6] = [
    "ours",
    "unsigned",
    "deleting",
    "unmarked",
    "another's",
    "absent",
];
const STATES: [&str; 5] = ["same", "older", "none", "garbled", "other kind"];
const CHANGES: [&str; 3] = ["none", "consumer's", "local"];

/// One small world.
#[derive(Clone, Copy, Debug)]
struct Row {
    origin: &'static str,
    held: bool,
    copy: &'static str,
    state: &'static str,
    change: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for origin in ORIGINS {
        for held in [true, false] {
            for copy in COPIES {
                for state in STATES {
                    for change in CHANGES {
                        // A world is listed once: what is not there was not changed.
                        let pointless = (origin == "absent" && (!held || change == "consumer's"))
                            || (copy != "ours" && copy != "unsigned" && change != "none")
                            || (origin == "deleting" && change != "none");
                        if !pointless {
                            rows.push(Row {
                                origin,
                                held,
                                copy,
                                state,
                                change,
                            });
                        }
                    }
                }
            }
        }
    }
    rows
}

fn build(publication: &Publication, row: Row) -> (World, Agent<'_>) {
    let agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    let go = GoAgent {
        publication,
        related: Vec::new(),
    };
    world.put(
        &agent.origin(),
        order(publication, &agent.key, &json!({"size": 1, "color": "red"})),
    );
    go.pass(&mut world, &agent.key);
    let (origin, copy, secret) = (agent.origin(), agent.copy(), go.secret(&agent.key));
    let slot = state::data_key(&agent.key.cluster, &agent.key.namespace, &agent.key.name);
    let mut say = |text: &str| {
        world.edit(&secret, |it| {
            it["data"][&slot] = json!(base64(text.as_bytes()));
        });
    };
    let thing = |size| {
        json!({"apiVersion": "example.io/v1", "kind": "Thing",
            "metadata": {"name": "a", "namespace": "default"}, "spec": {"size": size, "color": "red"}})
    };
    match row.state {
        "older" => say(&thing(0).to_string()),
        "garbled" => say("{"),
        "other kind" => say(&{
            let mut other = thing(0);
            other["kind"] = json!("Secret");
            other["apiVersion"] = json!("v1");
            other.to_string()
        }),
        "none" => {
            world.objects.remove(&secret);
        }
        _ => {}
    }
    let no_label = |it: &mut Value| {
        let labels = it["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("syncagent.kcp.io/agent-name");
    };
    match row.copy {
        "unsigned" => world.edit(&copy, no_label),
        "deleting" => world.edit(&copy, |it| {
            it["metadata"]["finalizers"] = json!(["operator/x"]);
            it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }),
        "unmarked" => {
            world.objects.remove(&copy);
            world.put(&copy, json!({"spec": {"size": 7}}));
        }
        "another's" => world.edit(&copy, |it| {
            it["metadata"]["labels"]["syncagent.kcp.io/agent-name"] = json!("the.other");
        }),
        "absent" => {
            world.objects.remove(&copy);
        }
        _ => {}
    }
    match row.change {
        "consumer's" => world.edit(&origin, |it| it["spec"]["color"] = json!("blue")),
        "local" => world.edit(&copy, |it| take_over(it, "color", json!("theirs"))),
        _ => {}
    }
    let held: &[&str] = if row.held { &[CLEANUP] } else { &[] };
    match row.origin {
        "absent" => {
            world.objects.remove(&origin);
        }
        "deleting" => world.edit(&origin, |it| {
            let all: Vec<&str> = held.iter().chain(&["other/x"]).copied().collect();
            it["metadata"]["finalizers"] = json!(all);
            it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }),
        _ => world.edit(&origin, |it| it["metadata"]["finalizers"] = json!(held)),
    }
    let mut agent = agent;
    agent.seen = Seen::new();
    for at in [origin, copy] {
        let sight = world.objects.get(&at);
        let sight = sight.map_or(Sight::Absent, |it| Sight::There(it.clone()));
        agent.seen.note(at, sight);
    }
    (world, agent)
}

/// The laws that a world breaks after everything was done in it.
fn broken(row: Row, before: &World, after: &World, agent: &Agent<'_>) -> Vec<&'static str> {
    let (origin, copy) = (agent.origin(), agent.copy());
    let secret = GoAgent {
        publication: agent.publication,
        related: Vec::new(),
    }
    .secret(&agent.key);
    let ours = ["ours", "unsigned", "deleting"].contains(&row.copy);
    let spec = |world: &World| world.objects.get(&copy).map(|it| it["spec"].clone());
    let own = after
        .objects
        .get(&origin)
        .map(finalizers)
        .unwrap_or_default();
    let told = ["same", "older"].contains(&row.state);
    let settled = row.origin == "live"
        && row.held
        && row.copy == "ours"
        && row.change != "consumer's"
        && row.state != "older";
    [
        (
            "state Secrets are never written",
            before.objects.get(&secret) == after.objects.get(&secret),
        ),
        (
            "without an order nothing is written",
            row.origin != "absent" || before.objects == after.objects,
        ),
        (
            "what is another's is not touched",
            row.copy != "another's" || before.objects.get(&copy) == after.objects.get(&copy),
        ),
        (
            "what is settled is not written",
            !settled || before.objects == after.objects,
        ),
        (
            "what somebody set stays",
            row.change != "local"
                || row.origin != "live"
                || after.objects[&copy]["spec"]["color"] == "theirs",
        ),
        (
            "what the consumer changed arrives, where it is known what was brought over",
            !(ours
                && told
                && row.copy == "ours"
                && row.origin == "live"
                && row.change == "consumer's")
                || after.objects[&copy]["spec"]["color"] == "blue",
        ),
        (
            "what is adopted keeps its content",
            row.copy != "unmarked" || row.origin != "live" || spec(before) == spec(after),
        ),
        (
            "no finalizer but the Go agent's",
            own.iter().all(|it| it == CLEANUP || it == "other/x"),
        ),
        (
            "a deleted order is let go when its copy is gone, and not before",
            row.origin != "deleting"
                || !row.held
                || own.iter().any(|it| it == CLEANUP) == (row.copy == "deleting"),
        ),
        (
            "a deleted order that was held leaves no copy of its own",
            row.origin != "deleting"
                || !row.held
                || !["ours", "unsigned"].contains(&row.copy)
                || !after.objects.contains_key(&copy),
        ),
    ]
    .into_iter()
    .filter(|(_, holds)| !holds)
    .map(|(law, _)| law)
    .collect()
}

#[test]
fn every_small_world_of_a_take_over() {
    let publication = compile(published());
    let mut table =
        String::from("origin    held  copy       state       change      | what is done\n");
    for row in rows() {
        let (mut world, mut agent) = build(&publication, row);
        let before = world.clone();
        let planned = agent.plan();
        assert!(planned.effects.iter().all(is_guarded), "{row:?}");
        let ending = agent.run(&mut world, None);
        assert_eq!(
            broken(row, &before, &world, &agent),
            [""; 0],
            "{row:?}: {:?}",
            agent.sent
        );
        let mut done = agent.take_sent();
        done.push(match ending.expect("it was not cut") {
            Ending::Settled if done.is_empty() => "settled".to_owned(),
            Ending::Settled => String::new(),
            Ending::Waiting(why) => format!("({why})"),
            Ending::Refused(why) => {
                let copy = agent.copy().to_string();
                format!("(refused: {})", why.replace(&copy, "the copy"))
            }
            Ending::Gone => "gone".to_owned(),
            other => format!("{other:?}"),
        });
        done.retain(|it| !it.is_empty());
        writeln!(
            table,
            "{:<9} {:<5} {:<10} {:<11} {:<11} | {}",
            row.origin,
            if row.held { "held" } else { "-" },
            row.copy,
            row.state,
            row.change,
            done.join(", ").to_lowercase()
        )
        .unwrap();
        // It stays so, also for an agent that starts anew.
        if world.objects.contains_key(&agent.origin()) {
            agent.assert_settled(&mut world);
            let rested = world.objects.clone();
            agent.restart(&world);
            agent.run(&mut world, None);
            assert_eq!(world.objects, rested, "{row:?} after a restart");
        }
    }
    expect_file!["takeover_table.txt"].assert_eq(&table);
}

/// A consumer who writes the marks of copies onto an order reaches nothing with them.
#[test]
fn forged_marks_of_a_consumer_stay_with_them() {
    let publication = compile(published());
    let (mut world, mut agent) = build(
        &publication,
        Row {
            origin: "live",
            held: true,
            copy: "ours",
            state: "same",
            change: "none",
        },
    );
    let victim = key(&publication, "victim");
    let mut agent_b = Agent::new(&publication, &victim);
    world.put(
        &agent_b.origin(),
        order(&publication, &victim, &json!({"size": 5})),
    );
    agent_b.restart(&world);
    agent_b.run(&mut world, None);
    let theirs = world.objects[&agent_b.copy()].clone();
    world.edit(&agent.origin(), |it| {
        it["metadata"]["labels"] = Value::Object(victim.identity().labels("the.other"));
        let mut annotations = victim.identity().annotations();
        for mark in [
            "applied",
            "applied-fields",
            "go-agent-state",
            "publication",
            "kept",
            "origin-uid",
        ] {
            annotations.insert(format!("syncagent.kcp.io/{mark}"), json!("forged"));
        }
        annotations.insert(
            "related-resources.syncagent.kcp.io/creds.0".into(),
            json!("{}"),
        );
        it["metadata"]["annotations"] = Value::Object(annotations);
    });
    let before = world.objects[&agent.copy()].clone();
    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!(agent.take_sent(), [""; 0]);
    assert_eq!(world.objects[&agent.copy()], before);
    assert_eq!(world.objects[&agent_b.copy()], theirs);
    // Also when something else is written.
    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(9));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let copy = world.objects[&agent.copy()].to_string();
    assert!(
        !copy.contains("forged") && !copy.contains("the.other"),
        "{copy}"
    );
}
