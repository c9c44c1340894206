//! Mutants: engines that are wrong on purpose, each to show that the laws catch it.
//!
//! A mutant changes what a plan says or what an answer leads to. Each stands for a mistake that somebody could make in the
//! engine, and names the law that has to notice.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use syncagent_core::plan::{Deed, Effect, Plan, Verb};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, full_thing, key, order, thing};
use crate::table::{broken_laws, small_worlds};
use crate::world::{Agent, World};

/// A mistake: what it does to a plan.
type Mistake = fn(&Agent<'_>, &mut Plan);

fn effect(agent: &Agent<'_>, deed: Deed, verb: Verb, body: Value) -> Effect {
    let mut agent = agent.clone();
    let object = if matches!(deed, Deed::Release | Deed::Hold) {
        agent.origin()
    } else {
        agent.copy()
    };
    agent.take_sent();
    Effect {
        deed,
        because: "a mutant",
        request: syncagent_core::plan::Request { object, verb, body },
    }
}

/// The mistake, the law that notices, and the mistake's code.
const MISTAKES: &[(&str, &str, Mistake)] = &[
    (
        "places before it holds",
        "nothing is placed before the hold",
        |_, plan| {
            plan.effects.reverse();
        },
    ),
    (
        "forgets the hold",
        "nothing is placed before the hold",
        |_, plan| {
            plan.effects.retain(|it| it.deed != Deed::Hold);
        },
    ),
    (
        "releases while the copy is there",
        "nothing is released before the copy is seen absent",
        |agent, plan| {
            if agent.record.deleting || plan.record.deleting {
                let patch = json!([{"op": "test", "path": "/metadata/uid", "value": "x"}]);
                plan.effects.push(effect(
                    agent,
                    Deed::Release,
                    Verb::JsonPatch { subresource: None },
                    patch,
                ));
            }
        },
    ),
    (
        "adopts what is not marked",
        "what is not ours is not touched",
        |agent, plan| {
            if plan
                .effects
                .iter()
                .all(|it| it.request.object != agent.copy())
            {
                let body = json!({"metadata": {"resourceVersion": "1"}});
                plan.effects.push(effect(
                    agent,
                    Deed::Place,
                    Verb::Apply { force: true },
                    body,
                ));
            }
        },
    ),
    (
        "applies without naming what it decided on",
        "every write is guarded",
        |_, plan| {
            for effect in &mut plan.effects {
                if let (Verb::Apply { .. }, Some(metadata)) = (
                    effect.request.verb,
                    effect.request.body["metadata"].as_object_mut(),
                ) {
                    metadata.remove("uid");
                    metadata.remove("resourceVersion");
                }
            }
        },
    ),
    (
        "patches without a test",
        "every write is guarded",
        |_, plan| {
            for effect in &mut plan.effects {
                if let (Verb::JsonPatch { .. }, Some(list)) =
                    (effect.request.verb, effect.request.body.as_array_mut())
                {
                    list.retain(|op| op["op"] != "test");
                }
            }
        },
    ),
    (
        "deletes whatever has the name",
        "every write is guarded",
        |_, plan| {
            for effect in &mut plan.effects {
                if effect.request.verb == Verb::Delete {
                    effect.request.body = json!({});
                }
            }
        },
    ),
    (
        "retires a live order",
        "a live order keeps its copy",
        |agent, plan| {
            if plan.record.copy.is_some() {
                let body = json!({"preconditions": {"uid": "x"}});
                plan.effects
                    .push(effect(agent, Deed::Retire, Verb::Delete, body));
            }
        },
    ),
    (
        "says the status again and again",
        "a settled world plans nothing",
        |agent, plan| {
            if plan.effects.is_empty() && plan.record.origin.is_some() {
                let verb = Verb::JsonPatch { subresource: None };
                plan.effects.push(effect(
                    agent,
                    Deed::Hold,
                    verb,
                    json!([{"op": "test", "path": "/metadata/uid"}]),
                ));
            }
        },
    ),
    (
        "writes for an order that is gone",
        "an absent order is not written to",
        |agent, plan| {
            let verb = Verb::JsonPatch { subresource: None };
            plan.effects.push(effect(
                agent,
                Deed::Hold,
                verb,
                json!([{"op": "test", "path": "/metadata/uid"}]),
            ));
        },
    ),
    (
        "refreshes what is being deleted",
        "a deleting copy is waited for",
        |agent, plan| {
            if plan.record.copy.as_ref().is_some_and(|it| it.deleting) {
                let body = json!({"metadata": {"uid": plan.record.copy.as_ref().map(|it| it.known.uid.clone())}});
                plan.effects.push(effect(
                    agent,
                    Deed::Refresh,
                    Verb::Apply { force: true },
                    body,
                ));
            }
        },
    ),
];

#[test]
fn every_mistake_is_noticed_by_its_law() {
    let publication = compile(thing());
    let worlds = small_worlds(&publication);
    for (mistake, law, change) in MISTAKES {
        let noticed = worlds.iter().any(|(row, agent)| {
            let mut plan = agent.plan();
            assert_eq!(
                broken_laws(*row, agent, &plan),
                Vec::<&str>::new(),
                "{row:?}"
            );
            change(agent, &mut plan);
            broken_laws(*row, agent, &plan).contains(law)
        });
        assert!(noticed, "an engine that {mistake} passes the law \"{law}\"");
    }
}

/// Runs an order of the full fixture to its end under a driver that makes a mistake with the answers.
fn settles(publication: &Publication, spoil: fn(&mut Agent<'_>)) -> bool {
    let settled = catch_unwind(AssertUnwindSafe(|| {
        let mut agent = Agent::new(publication, &key(publication, "a"));
        let mut world = World::default();
        let spec = json!({"size": 1, "secret": {"name": "pw"}});
        world.put(&agent.origin(), order(publication, &agent.key, &spec));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        spoil(&mut agent);
        agent.take_sent();
        agent.assert_settled(&mut world);
    }));
    settled.is_ok()
}

#[test]
fn a_record_that_forgets_is_noticed() {
    let publication = compile(full_thing());
    assert!(settles(&publication, |_| {}));
    type Forget = (&'static str, fn(&mut Agent<'_>));
    let forgets: &[Forget] = &[
        ("what was taken", |agent| agent.record.taken.clear()),
        ("what is returned", |agent| agent.record.returned.clear()),
        ("that a Secret was looked for", |agent| {
            agent.record.taken[0].looked_origin = false;
        }),
    ];
    for (what, spoil) in forgets {
        assert!(
            !settles(&publication, *spoil),
            "a record that forgets {what} costs nothing"
        );
    }
}
