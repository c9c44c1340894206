//! News is told once. What comes while a workspace is shut, wholly or in part, is not lost.
//!
//! A watch tells of a change and then of the next one; nobody repeats it. So whatever an order hears while it can do nothing
//! about it has to be remembered until it can: as what is known, or as what is to be looked at again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::definition::{Definition, Find, Labelled, RelatedRule, Side};
use syncagent_core::plan::{Ending, Heard, ObjectRef, Place, Sight};

use crate::fixture::{compile, full_thing, key, order, secret, thing};
use crate::histories::{Act, Land, recipes};
use crate::world::{Agent, World};

/// What happens while the workspace is shut.
#[derive(Clone, Copy, Debug)]
enum News {
    Status(u8),
    Make(u8),
    Unmake,
    Drift,
    Vanish,
    /// Somebody changes the copy of what the order takes.
    Taken(u8),
    /// The operator labels another Secret for the order, or the first one no more.
    Join(u8),
    Leave,
    /// The order is deleted and made again.
    Replace,
    /// An event of the order is heard, that brings nothing.
    Doubt,
    /// The workspace's objects are not listed any more.
    Hide,
}

/// What is shut.
#[derive(Clone, Copy, Debug)]
enum Shut {
    /// All of the workspace; writes are answered with this.
    Away(u16),
    /// The claim for Secrets was taken back.
    Secrets,
}

fn news() -> impl Strategy<Value = Vec<(News, bool)>> {
    let one = prop_oneof![
        3 => (0..4u8).prop_map(News::Status),
        3 => (2..5u8).prop_map(News::Make),
        1 => Just(News::Unmake),
        1 => Just(News::Drift),
        1 => Just(News::Vanish),
        1 => (0..3u8).prop_map(News::Taken),
        2 => (0..4u8).prop_map(News::Join),
        1 => Just(News::Leave),
        1 => Just(News::Replace),
        2 => Just(News::Doubt),
        1 => Just(News::Hide),
    ];
    prop::collection::vec((one, any::<bool>()), 1..6)
}

fn shuts() -> impl Strategy<Value = Shut> {
    prop_oneof![
        Just(Shut::Away(404)),
        Just(Shut::Away(403)),
        Just(Shut::Away(500)),
        Just(Shut::Secrets),
    ]
}

/// Secrets that the operator labels for the order.
fn labelled() -> RelatedRule {
    let selector = Labelled::label("for", "{name}");
    RelatedRule::new("labelled", Side::Service, secret(), Find::Labels(selector))
}

type Objects = BTreeMap<ObjectRef, Value>;

impl News {
    /// Makes a change on the service cluster.
    fn happen(self, land: &mut Land<'_>) {
        let (origin, copy) = (land.agents[0].origin(), land.agents[0].copy());
        let secret = |name: &str| ObjectRef {
            kind: secret(),
            name: name.into(),
            ..copy.clone()
        };
        let world = &mut land.world;
        match self {
            Self::Status(n) if world.objects.contains_key(&copy) => world.edit(&copy, |it| {
                it["status"] = json!({"phase": format!("phase-{n}")});
            }),
            Self::Status(_) => {}
            Self::Make(n) => land.act(Act::Make(0, n)),
            Self::Unmake => {
                let app = format!("{}-app", copy.name);
                world.objects.retain(|at, _| at.name != app);
            }
            Self::Drift => land.act(Act::Drift(0)),
            Self::Vanish => {
                world.objects.remove(&copy);
            }
            Self::Taken(n) => {
                let taken = world.objects.keys();
                let taken = taken.filter(|at| at.place == Place::Service);
                if let Some(at) = { taken }.find(|at| at.name.ends_with(".taken")).cloned() {
                    let data = json!({"password": format!("theirs-{n}")});
                    world.edit(&at, |it| it["data"] = data);
                }
            }
            Self::Join(n) if !copy.namespace.is_empty() => world.put(
                &secret(&format!("more-{n}")),
                json!({"metadata": {"labels": {"for": "a"}}, "data": {"n": n}}),
            ),
            Self::Leave if world.objects.contains_key(&secret("more-0")) => {
                world.edit(&secret("more-0"), |it| it["metadata"]["labels"] = json!({}));
            }
            Self::Join(_) | Self::Leave => {}
            Self::Replace => {
                if let Some(mut object) = world.objects.remove(&origin) {
                    object["metadata"] = json!({"labels": object["metadata"]["labels"]});
                    world.put(&origin, object);
                }
            }
            Self::Doubt => land.agents[0].seen.note(origin, Sight::Doubt),
            Self::Hide => {
                let agent = &mut land.agents[0];
                let concerns = world.index.get(&agent.key).cloned().unwrap_or_default();
                for at in concerns.into_iter().filter(|at| at.place != Place::Service) {
                    agent.seen.note(at, Sight::Doubt);
                }
            }
        }
    }
}

/// Tells the agent of what differs on the service cluster, if it asked for that.
fn tell(land: &mut Land<'_>, before: &Objects) {
    let Land { world, agents, .. } = land;
    let agent = &mut agents[0];
    let concerns = world.index.get(&agent.key).cloned().unwrap_or_default();
    let all = before.keys().chain(world.objects.keys());
    let differs = |at: &&ObjectRef| world.objects.get(at) != before.get(at);
    let all: Vec<_> = all.filter(differs).cloned().collect();
    for at in all.into_iter().filter(|at| at.place == Place::Service) {
        let selected = world.objects.get(&at);
        let selected = selected.is_some_and(|it| it["metadata"]["labels"]["for"] == "a");
        if at == agent.copy() {
            agent.event(world, &at);
        } else if selected || concerns.contains(&at) {
            agent.hint(world, &at);
        }
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(400))]

    #[test]
    fn what_comes_while_a_workspace_is_shut_is_not_lost(
        recipe in recipes(), finds in any::<bool>(), shut in shuts(), news in news(),
    ) {
        let mut definition = recipe.definition();
        if finds && recipe.alone() {
            definition.related = vec![labelled()];
        }
        let publication = compile(definition);
        let mut land = Land::new(&publication, recipe);
        for act in [Act::Secret(0, 0), Act::Secret(0, 2), Act::Order(0), Act::Make(0, 1), Act::Step(0)] {
            land.act(act);
        }
        for act in [Act::Rename(0, 2), Act::Fulfil(0), Act::Step(0)] {
            land.act(act);
        }
        match shut {
            Shut::Away(code) => land.world.away = Some(code),
            Shut::Secrets => land.world.barred = true,
        }
        for (news, heard) in news {
            let before = land.world.objects.clone();
            news.happen(&mut land);
            tell(&mut land, &before);
            if heard {
                land.run(0);
            }
        }
        land.run(0);
        land.world.away = None;
        land.world.barred = false;
        let agent = &mut land.agents[0];
        agent.seen.note(agent.origin(), Sight::Doubt);
        // What may not be read when a step ends is looked at again in the next one.
        for _ in 0..2 {
            land.agents[0].record.look_again();
            land.run(0);
        }
        let settled = land.world.picture();
        // Whoever is told everything once more has nothing to add.
        land.agents[0].take_sent();
        tell(&mut land, &Objects::new());
        land.act(Act::Step(0));
        prop_assert_eq!(land.agents[0].take_sent(), Vec::<String>::new(), "{:#?}", settled);
        prop_assert_eq!(land.world.picture(), settled);
    }
}

/// An order at rest that names a Secret, which is there.
fn settled(agent: &mut Agent<'_>) -> World {
    let mut world = World::default();
    let (pw, _) = secrets(agent);
    world.put(&pw, json!({"data": {"password": "eA=="}}));
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&agent.origin(), order(agent.publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    world
}

/// The Secret that the order names, and its copy.
fn secrets(agent: &Agent<'_>) -> (ObjectRef, ObjectRef) {
    let at = |of: ObjectRef, name: &str| ObjectRef {
        kind: secret(),
        name: name.into(),
        ..of
    };
    (at(agent.origin(), "pw"), at(agent.copy(), "pw.taken"))
}

fn phase(world: &World, at: &ObjectRef) -> Value {
    world.objects[at]["status"]["phase"].clone()
}

/// The virtual workspace is gone when a status is to be written, and back a moment later: the answer that it does not know the
/// path was not about the order.
#[test]
fn a_status_that_met_a_workspace_on_its_way_is_sent_when_that_is_there() {
    let publication = compile(thing());
    for closed_to_the_look in [false, true] {
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = settled(&mut agent);
        world.edit(&agent.copy(), |it| it["status"] = json!({"phase": "ready"}));
        agent.event(&world, &agent.copy());
        miss(&mut agent, &mut world);
        let mut sent = vec!["Reflect 404"];
        if closed_to_the_look {
            world.away = Some(404);
            let ending = agent.run(&mut world, None);
            assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
            world.away = None;
            // It comes back, and is away for the next write again.
            agent.event(&world, &agent.origin());
            miss(&mut agent, &mut world);
            sent.push("Reflect 404");
        }
        assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
        sent.push("Reflect 200");
        assert_eq!(agent.take_sent(), sent);
        assert_eq!(phase(&world, &agent.origin()), "ready");
        agent.assert_settled(&mut world);
    }
}

/// The same of the status of what comes up with an order.
#[test]
fn a_related_status_that_met_a_workspace_on_its_way_is_sent_when_that_is_there() {
    let rule = RelatedRule {
        status: true,
        ..labelled()
    };
    let publication = compile(Definition {
        related: vec![rule],
        ..Definition {
            fields: Vec::new(),
            returns: Vec::new(),
            ..full_thing()
        }
    });
    for closed_to_the_look in [false, true] {
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = World::default();
        let at = |of: ObjectRef, name: &str| ObjectRef {
            kind: secret(),
            name: name.into(),
            ..of
        };
        let source = at(agent.copy(), "more-0");
        world.put(
            &source,
            json!({"metadata": {"labels": {"for": "a"}}, "status": {"odd": 1}}),
        );
        world.put(
            &agent.origin(),
            order(&publication, &agent.key, &json!({"size": 1})),
        );
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        let above = world.objects.keys();
        let above = above.filter(|it| it.place != Place::Service && it.kind == secret());
        let above: Vec<_> = above.cloned().collect();
        assert_eq!(world.objects[&above[0]]["status"]["odd"], 1);
        agent.take_sent();
        world.edit(&source, |it| it["status"]["odd"] = json!(2));
        agent.hint(&world, &source);
        miss(&mut agent, &mut world);
        assert_eq!(agent.take_sent(), ["Forward(\"labelled\") 404"]);
        if closed_to_the_look {
            world.away = Some(404);
            let ending = agent.run(&mut world, None);
            assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
            world.away = None;
            miss(&mut agent, &mut world);
        }
        agent.run(&mut world, None);
        assert_eq!(
            world.objects[&above[0]]["status"]["odd"], 2,
            "{:?}",
            agent.sent
        );
        agent.assert_settled(&mut world);
    }
}

/// Runs until something is written, and the workspace is away for just that.
fn miss(agent: &mut Agent<'_>, world: &mut World) {
    let mut planned = agent.plan();
    while planned.effects.is_empty() {
        agent.record = planned.record;
        for question in planned.questions {
            agent.answer(world, question);
        }
        planned = agent.plan();
    }
    agent.record = planned.record;
    world.away = Some(404);
    let heard = agent.perform(world, &planned.effects[0]);
    assert_eq!(heard, Heard::Again);
    world.away = None;
}

/// A server that does not say what was not found is believed when it says so twice and shows the order in between.
#[test]
fn a_status_that_has_no_place_is_not_sent_for_ever() {
    let publication = compile(thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.statusless = vec!["Thing".into()];
    world.vague = true;
    let spec = json!({"size": 1});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let sent = agent.take_sent();
    let tries = sent.iter().filter(|it| *it == "Reflect 404").count();
    assert_eq!(tries, 2, "{sent:?}");
    agent.assert_settled(&mut world);
}

/// An order that is looked at, or may not be read, still uses what it took: nobody else takes it away meanwhile.
#[test]
fn what_an_order_uses_stays_its_concern_while_it_is_looked_at_or_may_not_be_read() {
    let publication = compile(full_thing());
    for sight in [Sight::Doubt, Sight::Barred] {
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        settled(&mut agent);
        let before = agent.plan().concerns;
        assert!(before.contains(&secrets(&agent).0));
        agent.seen.note(agent.origin(), sight);
        assert_eq!(agent.plan().concerns, before);
    }
}

/// Something else takes the place of a copy for a while, and what the copy is made from changes.
#[test]
fn what_changes_while_something_else_is_in_its_copys_place_is_not_lost() {
    let publication = compile(full_thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = settled(&mut agent);
    let (pw, taken) = secrets(&agent);
    let marks = world.objects[&taken]["metadata"].clone();
    world.edit(&taken, |it| {
        it["metadata"]["labels"] = json!({});
        it["metadata"]["annotations"] = json!({});
    });
    agent.hint(&world, &taken);
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
    world.edit(&pw, |it| it["data"]["password"] = json!("eQ=="));
    agent.hint(&world, &pw);
    agent.run(&mut world, None);
    world.edit(&taken, |it| {
        for field in ["labels", "annotations"] {
            it["metadata"][field] = marks[field].clone();
        }
    });
    agent.hint(&world, &taken);
    agent.run(&mut world, None);
    assert_eq!(world.objects[&taken]["data"]["password"], "eQ==");
    agent.assert_settled(&mut world);
}
