//! The truth table of drift and adoption: what is written, what the copy is then, and what the consumer is told.
//!
//! `drift_table.txt` is the readable result. Update it with `UPDATE_EXPECT=1 cargo test -p syncagent-core drift_table`.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};
use syncagent_core::definition::{Adoption, Drift};
use syncagent_core::plan::Ending;
use syncagent_core::publication::Publication;

use crate::fixture::{compile, key, order, thing};
use crate::world::{Agent, World, take_over_as, without};

const COPIES: [&str; 4] = ["as written", "taken", "taken out", "unmarked"];
const ORDERS: [&str; 4] = ["same", "that field", "another", "field gone"];

fn publication(drift: Drift, adoption: Adoption) -> Publication {
    let mut definition = thing();
    definition.policy.drift = drift;
    definition.policy.adoption = adoption;
    compile(definition)
}

fn word(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn change_copy(copy: &mut Value, how: &str) {
    match how {
        "as written" => {}
        "taken" => take_over_as(copy, "somebody", "size", &json!(99)),
        "taken out" => take_over_as(copy, "somebody", "size", &Value::Null),
        _ => {
            let fields = json!({"f:metadata": {"f:labels": {"f:syncagent.kcp.io/agent-name": {}}}});
            for entry in copy["metadata"]["managedFields"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                without(&mut entry["fieldsV1"], &fields);
            }
            let labels = copy["metadata"]["labels"].as_object_mut();
            labels
                .expect("labels")
                .remove("syncagent.kcp.io/agent-name");
        }
    }
}

fn change_order(how: &str) -> Value {
    match how {
        "same" => json!({"size": 1, "color": "red"}),
        "that field" => json!({"size": 2, "color": "red"}),
        "another" => json!({"size": 1, "color": "blue"}),
        _ => json!({"color": "red"}),
    }
}

fn outcome(world: &World, agent: &Agent<'_>, ending: Option<&Ending>) -> String {
    let sent: Vec<_> = agent.sent.iter().map(|it| it.to_lowercase()).collect();
    let copy = world.objects.get(&agent.copy());
    let condition = &world.objects[&agent.origin()]["status"]["conditions"][0]["reason"];
    let ended = match ending {
        Some(Ending::Settled) => "settled",
        Some(Ending::Drifted(_)) => "drifted",
        Some(Ending::Refused(_)) => "refused",
        other => panic!("{other:?}"),
    };
    format!(
        "{} read, {:<34} | {:<38} {:<9} {ended}",
        agent.gets,
        sent.join(", "),
        copy.map_or("-".to_owned(), |it| it["spec"].to_string()),
        condition.as_str().unwrap_or("-"),
    )
}

#[test]
fn every_small_world_of_drift_and_adoption() {
    let mut table = String::from(
        "policy   copy        order       agent     | requests | copy, condition, end\n",
    );
    for drift in [Drift::Correct, Drift::Keep, Drift::Report] {
        let publication = publication(drift, Adoption::Refuse);
        for how in COPIES {
            for wish in ORDERS {
                for restarted in [false, true] {
                    let mut agent = Agent::new(&publication, &key(&publication, "a"));
                    let mut world = World::default();
                    let spec = json!({"size": 1, "color": "red"});
                    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
                    agent.event(&world, &agent.origin());
                    let _ = agent.run(&mut world, None);
                    agent.take_sent();
                    world.edit(&agent.copy(), |copy| change_copy(copy, how));
                    world.edit(&agent.origin(), |it| it["spec"] = change_order(wish));
                    if restarted {
                        agent.restart(&world);
                    } else {
                        agent.event(&world, &agent.origin());
                        agent.event(&world, &agent.copy());
                    }
                    let ending = agent.run(&mut world, None);
                    let line = outcome(&world, &agent, ending.as_ref());
                    let changed = how == "as written" && wish != "same";
                    let writes = agent.sent.iter().filter(|it| it.starts_with("Refresh"));
                    assert!(
                        !changed || writes.count() == 1,
                        "an update is one write: {line}"
                    );
                    assert!(restarted || agent.gets == 0, "and no read: {line}");
                    writeln!(
                        table,
                        "{:<8} {how:<11} {wish:<11} {:<9} | {line}",
                        word(drift),
                        if restarted { "restarted" } else { "watching" },
                    )
                    .unwrap();
                    agent.take_sent();
                    agent.assert_settled(&mut world);
                    agent.restart(&world);
                    let _ = agent.run(&mut world, None);
                    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]), "{line}");
                }
            }
        }
    }
    table.push_str(
        "\npolicy   adoption    stranger              | requests | copy, condition, end\n",
    );
    for drift in [Drift::Correct, Drift::Keep, Drift::Report] {
        for adoption in [Adoption::Refuse, Adoption::LabelOnly, Adoption::TakeOver] {
            if (drift, adoption) == (Drift::Correct, Adoption::LabelOnly) {
                continue;
            }
            let publication = publication(drift, adoption);
            for stranger in [
                "unmarked",
                "deleting",
                "another's label",
                "another's annotation",
            ] {
                let mut agent = Agent::new(&publication, &key(&publication, "a"));
                let mut world = World::default();
                let spec = json!({"size": 1, "color": "red"});
                world.put(&agent.origin(), order(&publication, &agent.key, &spec));
                world.put(&publication.copy_namespace(&agent.key).unwrap(), json!({}));
                let mut there = json!({"spec": {"size": 7}, "metadata": {}});
                match stranger {
                    "deleting" => {
                        there["metadata"]["finalizers"] = json!(["operator/x"]);
                        there["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                    }
                    "another's label" => {
                        there["metadata"]["labels"] =
                            json!({"syncagent.kcp.io/remote-object-cluster": "2xyz"});
                    }
                    "another's annotation" => {
                        there["metadata"]["annotations"] =
                            json!({"syncagent.kcp.io/remote-object-name": "b"});
                    }
                    _ => {}
                }
                world.put(&agent.copy(), there);
                let before = world.objects[&agent.copy()].clone();
                agent.event(&world, &agent.origin());
                let ending = agent.run(&mut world, None);
                let untouched = world.objects[&agent.copy()] == before;
                let may = stranger == "unmarked" && adoption != Adoption::Refuse;
                assert_eq!(untouched, !may, "{stranger} {adoption:?}");
                let line = outcome(&world, &agent, ending.as_ref());
                writeln!(
                    table,
                    "{:<8} {:<11} {stranger:<21} | {line}",
                    word(drift),
                    word(adoption),
                )
                .unwrap();
                agent.take_sent();
                agent.assert_settled(&mut world);
            }
        }
    }
    expect_file!["drift_table.txt"].assert_eq(&table);
}
