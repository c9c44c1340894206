//! The truth table: every small world, what is planned in it, and what may never be planned.
//!
//! `table.txt` is the readable result, one world per line. Update it with `UPDATE_EXPECT=1 cargo test -p syncagent-core table`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::json;
use syncagent_core::plan::{Deed, Effect, Ending, Plan, Question, Record, Seen, Sight};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, key, order, thing};
use crate::world::{Agent, World, is_guarded, writes_copy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Absent,
    Live,
    Deleting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    Absent,
    Ours,
    Deleting,
    Unmarked,
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    None,
    Same,
    Stale,
}

/// One small world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    origin: Origin,
    held: bool,
    copy: Copy,
    known: Known,
    spec_differs: bool,
    status_differs: bool,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for origin in [Origin::Absent, Origin::Live, Origin::Deleting] {
        for held in [true, false] {
            for copy in [
                Copy::Absent,
                Copy::Ours,
                Copy::Deleting,
                Copy::Unmarked,
                Copy::Foreign,
            ] {
                for known in [Known::None, Known::Same, Known::Stale] {
                    for spec_differs in [false, true] {
                        for status_differs in [false, true] {
                            // A world is listed once: an absent origin is not held, an absent copy has no status.
                            let ours = matches!(copy, Copy::Ours | Copy::Deleting);
                            let pointless = (origin == Origin::Absent
                                && (!held || spec_differs || status_differs))
                                || (!ours && (spec_differs || status_differs));
                            if !pointless {
                                rows.push(Row {
                                    origin,
                                    held,
                                    copy,
                                    known,
                                    spec_differs,
                                    status_differs,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    rows
}

/// The world of a row, and an agent that sees all of it.
fn build<'a>(publication: &'a Publication, row: Row) -> (World, Agent<'a>) {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    world.edit(&agent.copy(), |copy| {
        copy["status"] = json!({"phase": "ready", "observedGeneration": 1});
    });
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    let old = agent.record.clone();
    let (origin, copy) = (agent.origin(), agent.copy());
    if row.known == Known::Stale {
        // The agent missed a whole change: both sides moved on together.
        world.edit(&origin, |it| it["spec"]["size"] = json!(2));
        agent.event(&world, &origin);
        agent.run(&mut world, None);
    }
    if row.spec_differs {
        world.edit(&origin, |it| it["spec"]["size"] = json!(9));
    }
    match row.copy {
        Copy::Absent => {
            world.objects.remove(&copy);
        }
        Copy::Ours => {}
        Copy::Deleting => world.edit(&copy, |it| {
            it["metadata"]["finalizers"] = json!(["operator/x"]);
            it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }),
        Copy::Unmarked => {
            world.objects.remove(&copy);
            world.put(&copy, json!({"spec": {"size": 7}}));
        }
        Copy::Foreign => world.edit(&copy, |it| {
            it["metadata"]["labels"]["syncagent.kcp.io/remote-object-cluster"] = json!("2xyz");
        }),
    }
    if row.status_differs {
        world.edit(&copy, |it| it["status"]["phase"] = json!("busy"));
    }
    let held: &[&str] = if row.held {
        &["things.example.io.syncagent.kcp.io/hold"]
    } else {
        &[]
    };
    match row.origin {
        Origin::Absent => {
            world.objects.remove(&origin);
        }
        Origin::Live => world.edit(&origin, |it| it["metadata"]["finalizers"] = json!(held)),
        Origin::Deleting => world.edit(&origin, |it| {
            it["metadata"]["finalizers"] =
                json!(held.iter().chain(&["other/x"]).collect::<Vec<_>>());
            it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }),
    }
    agent.record = match row.known {
        Known::None => Record::default(),
        Known::Same => agent.record,
        Known::Stale => old,
    };
    agent.seen = Seen::new();
    let namespace = publication
        .copy_namespace(&agent.key)
        .expect("it lives in one");
    for at in [origin, copy, namespace] {
        let sight = world
            .objects
            .get(&at)
            .map_or(Sight::Absent, |it| Sight::There(it.clone()));
        agent.seen.note(at, sight);
    }
    agent.take_sent();
    (world, agent)
}

fn describe(plan: &Plan) -> String {
    let mut parts = Vec::new();
    for question in &plan.questions {
        parts.push(match question {
            Question::List { .. } => "list".to_owned(),
            Question::Look { object, .. } => format!("? {}", object.kind.kind),
            Question::Users { object } => format!("? users of {}", object.kind.kind),
            Question::State { .. } => "? state".to_owned(),
        });
    }
    for effect in &plan.effects {
        let mut text = format!("{:?}", effect.deed).to_lowercase();
        if effect.deed == Deed::Reflect {
            let status = &effect.request.body[1]["value"];
            let synced = &status["conditions"][0]["reason"];
            write!(
                text,
                " {} {}",
                status["phase"].as_str().unwrap_or("-"),
                synced.as_str().unwrap_or("-")
            )
            .unwrap();
        }
        parts.push(text);
    }
    parts.push(match &plan.ending {
        Ending::Settled if parts.is_empty() => "settled".to_owned(),
        Ending::Settled => String::new(),
        Ending::Waiting(why) => format!("({why})"),
        Ending::Refused(why) => format!("(refused: {why})"),
        Ending::Gone => "gone".to_owned(),
        other => format!("{other:?}"),
    });
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// The laws that a plan breaks; for every plan of the engine there are none, whatever the world.
pub(crate) fn broken_laws(row: Row, agent: &Agent<'_>, plan: &Plan) -> Vec<&'static str> {
    let copy = agent.copy();
    let at = |deed: &Deed| plan.effects.iter().position(|it| it.deed == *deed);
    let has = |deed: &Deed| at(deed).is_some();
    let touches_copy = plan.effects.iter().any(|it| it.request.object == copy);
    let first_write = plan.effects.iter().position(writes_copy);
    let held_in_time = row.held || at(&Deed::Hold).is_some_and(|hold| Some(hold) < first_write);
    let ours = matches!(row.copy, Copy::Ours | Copy::Deleting);
    let unseen = |effect: &Effect| {
        let uid = effect.request.body["metadata"]["uid"].as_str();
        let seen = agent.seen.of(&copy).outline();
        effect.request.object == copy
            && uid.is_some()
            && seen.is_none_or(|it| it["metadata"]["uid"].as_str() != uid)
    };
    let quiet = row.origin == Origin::Live
        && row.held
        && row.copy == Copy::Ours
        && !row.spec_differs
        && !row.status_differs;
    let live = row.origin == Origin::Live;
    let absent = row.origin == Origin::Absent;
    [
        (
            "nothing is placed before the hold",
            first_write.is_none() || held_in_time,
        ),
        (
            "nothing is released before the copy is seen absent",
            !has(&Deed::Release) || !ours,
        ),
        (
            "only a deleted order is released",
            !has(&Deed::Release) || row.origin == Origin::Deleting,
        ),
        (
            "what is not ours is not touched",
            !matches!(row.copy, Copy::Unmarked | Copy::Foreign) || !touches_copy,
        ),
        (
            "every write is guarded",
            plan.effects.iter().all(is_guarded),
        ),
        (
            "a write names the copy that was seen",
            !plan.effects.iter().any(unseen),
        ),
        (
            "a live order keeps its copy",
            !live || !(has(&Deed::Retire) || has(&Deed::Release)),
        ),
        (
            "an absent order is not written to",
            !absent || plan.effects.iter().all(|it| it.deed == Deed::Retire),
        ),
        (
            "a deleting copy is waited for",
            row.copy != Copy::Deleting || !touches_copy,
        ),
        (
            "a settled world plans nothing",
            !quiet || (plan.effects.is_empty() && plan.questions.is_empty()),
        ),
    ]
    .into_iter()
    .filter(|(_, holds)| !holds)
    .map(|(law, _)| law)
    .collect()
}

/// Every small world, with an agent that sees it.
pub(crate) fn small_worlds(publication: &Publication) -> Vec<(Row, Agent<'_>)> {
    let rows = rows().into_iter();
    rows.map(|row| (row, build(publication, row).1)).collect()
}

#[test]
fn no_small_world_breaks_a_law() {
    let publication = compile(thing());
    for (row, agent) in small_worlds(&publication) {
        let plan = agent.plan();
        assert_eq!(
            broken_laws(row, &agent, &plan),
            Vec::<&str>::new(),
            "{row:?}"
        );
        assert_eq!(plan, agent.plan(), "same inputs, same plan: {row:?}");
    }
}

#[test]
fn every_small_world() {
    let publication = compile(thing());
    let mut table = String::from("origin    held  copy      known  spec     status   | plan\n");
    let mut distinct = BTreeSet::new();
    for row in rows() {
        let (mut world, mut agent) = build(&publication, row);
        let plan = agent.plan();
        assert_eq!(
            broken_laws(row, &agent, &plan),
            Vec::<&str>::new(),
            "{row:?}"
        );
        assert_eq!(plan, agent.plan(), "same inputs, same plan: {row:?}");
        let differs = |it: bool| if it { "differs" } else { "same" };
        let line = describe(&plan);
        writeln!(
            table,
            "{:<9} {:<5} {:<9} {:<6} {:<8} {:<8} | {line}",
            format!("{:?}", row.origin).to_lowercase(),
            if row.held { "held" } else { "-" },
            format!("{:?}", row.copy).to_lowercase(),
            format!("{:?}", row.known).to_lowercase(),
            differs(row.spec_differs),
            differs(row.status_differs),
        )
        .unwrap();
        distinct.insert(line);
        // Every world settles, and stays so.
        let theirs = world.objects.get(&agent.copy()).cloned();
        agent.run(&mut world, None);
        if world.objects.contains_key(&agent.origin()) {
            agent.assert_settled(&mut world);
        }
        if matches!(row.copy, Copy::Unmarked | Copy::Foreign) {
            assert_eq!(world.objects.get(&agent.copy()), theirs.as_ref(), "{row:?}");
        }
    }
    assert!(distinct.len() > 12, "{distinct:?}");
    expect_file!["table.txt"].assert_eq(&table);
}
