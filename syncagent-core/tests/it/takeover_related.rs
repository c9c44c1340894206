//! Related objects of an installation that kcp's api-syncagent ran: nothing on them says whose they are, and all of them are
//! continued.

use serde_json::{Value, json};
use syncagent_core::definition::{
    Called, Cleanup, Definition, Drift, Find, Objects, Only, Pass, RelatedRule, Side, Unproven,
};
use syncagent_core::object::reference::ObjectRef;
use syncagent_core::object::{annotation, finalizers, state};
use syncagent_core::plan::{Ending, Handback, handback};
use syncagent_core::publication::Publication;
use syncagent_core::related::base64;

use crate::constructed::{CLEANUP, Entry, GoAgent};
use crate::fixture::{compile, key, order, secret};
use crate::takeover::published;
use crate::world::{Agent, World, take_over};

/// What a `PublishedResource` with a related Secret in each direction becomes.
pub(crate) fn both_ways() -> Definition {
    let all = Pass {
        labels: vec!["*".into()],
        annotations: vec!["*".into()],
        like_go: true,
    };
    let rule = |id, origin, objects: Objects, cleanup| RelatedRule {
        pass: all.clone(),
        drift: Drift::Keep,
        cleanup,
        unproven: Unproven::Allowed,
        ..RelatedRule::new(id, origin, secret(), objects)
    };
    let down = Objects::from(Find::reference("spec.secret.name"));
    let up = Objects::from(Find::named("{copy.name}-creds"));
    Definition {
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        copy: syncagent_core::definition::CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}".into(),
        },
        related: vec![
            rule(
                "password",
                Side::Workspace,
                down.called(Called::Text("{found}.taken".into())),
                Cleanup::WithOrder,
            ),
            rule(
                "creds",
                Side::Service,
                up.called(Called::Text("{name}-login".into())),
                Cleanup::Never,
            ),
        ],
        ..published()
    }
}

pub(crate) fn go(publication: &Publication) -> GoAgent<'_> {
    GoAgent {
        publication,
        related: vec![
            Entry {
                id: "password",
                origin: Side::Workspace,
                kind: secret(),
                cleanup: false,
                find: |order| {
                    let name = order["spec"]["secret"]["name"].as_str();
                    name.map(str::to_owned).into_iter().collect()
                },
                called: |found, _| format!("{found}.taken"),
            },
            Entry {
                id: "creds",
                origin: Side::Service,
                kind: secret(),
                cleanup: false,
                find: |copy| {
                    let name = copy["metadata"]["name"].as_str().unwrap();
                    vec![format!("{name}-creds")]
                },
                called: |_, order| format!("{order}-login"),
            },
        ],
    }
}

/// Where everything is.
pub(crate) struct Places {
    pub(crate) password: ObjectRef,
    pub(crate) taken: ObjectRef,
    pub(crate) creds: ObjectRef,
    pub(crate) login: ObjectRef,
}

impl Places {
    pub(crate) fn of(agent: &Agent<'_>) -> Self {
        let beside = |at: ObjectRef, name: &str| ObjectRef {
            kind: secret(),
            name: name.into(),
            ..at
        };
        Self {
            password: beside(agent.origin(), "pw"),
            taken: beside(agent.copy(), "pw.taken"),
            creds: beside(agent.copy(), "a-creds"),
            login: beside(agent.origin(), "a-login"),
        }
    }
}

pub(crate) fn secret_with(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"labels": {"app": "x"}}, "data": {"password": value, "user": "dQ=="}})
}

const MARK: &str = "related-resources.syncagent.kcp.io/creds.0";

pub(crate) fn taken_over(publication: &Publication) -> (World, Agent<'_>, Places) {
    let agent = Agent::new(publication, &key(publication, "a"));
    let at = Places::of(&agent);
    let mut world = World::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    let mut order = order(publication, &agent.key, &spec);
    order["metadata"]["annotations"] = json!({"kcp.io/cluster": agent.key.cluster});
    world.put(&agent.origin(), order);
    world.put(&at.password, secret_with("cA=="));
    world.put(&at.creds, secret_with("Yw=="));
    go(publication).pass(&mut world, &agent.key);
    assert_eq!(finalizers(&world.objects[&at.password]), [CLEANUP]);
    assert!(annotation(&world.objects[&agent.origin()], MARK).is_some());
    (world, agent, at)
}

pub(crate) fn settle(world: &mut World, agent: &mut Agent<'_>) -> Option<Ending> {
    agent.restart(world);
    agent.run(world, None)
}

/// Everything that anybody could see of a world but versions.
fn data(world: &World, at: &ObjectRef) -> Value {
    world.objects[at]["data"].clone()
}

#[test]
fn settled_related_objects_are_taken_over_without_a_write() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    let before = world.objects.clone();
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(agent.sent, [""; 0]);
    // The originals have to be read, for nothing else tells what is in them; each once.
    assert_eq!(agent.gets, 2, "{:?}", agent.looked);
    assert!(agent.looked.contains(&at.password) && agent.looked.contains(&at.creds));
    assert_eq!(world.objects, before);
    agent.assert_settled(&mut world);
    assert_eq!(go(&publication).pass(&mut world, &agent.key), [""; 0]);
}

#[test]
fn what_changes_is_brought_over_and_what_somebody_set_stays() {
    let publication = compile(both_ways());
    for asleep in [true, false] {
        for down in [true, false] {
            let (mut world, mut agent, at) = taken_over(&publication);
            if !asleep {
                settle(&mut world, &mut agent);
            }
            let (from, to) = if down {
                (&at.password, &at.taken)
            } else {
                (&at.creds, &at.login)
            };
            world.edit(to, |it| it["data"]["user"] = json!("bG9jYWw="));
            world.edit(from, |it| {
                it["data"]["password"] = json!("bmV3");
                it["data"]["more"] = json!("bQ==");
                it["metadata"]["labels"] = json!({"app": "y"});
            });
            agent.take_sent();
            if asleep {
                agent.restart(&world);
            } else {
                agent.hint(&world, from);
                agent.hint(&world, to);
            }
            agent.run(&mut world, None);
            let deed = if down {
                r#"Retake("password") 200"#
            } else {
                r#"Update("creds") 200"#
            };
            assert_eq!(agent.take_sent(), [deed], "{asleep} {down}");
            assert_eq!(
                data(&world, to),
                json!({"password": "bmV3", "user": "bG9jYWw=", "more": "bQ=="})
            );
            assert_eq!(world.objects[to]["metadata"]["labels"]["app"], "y");
            agent.assert_settled(&mut world);
            // Its own marks tell from now on.
            settle(&mut world, &mut agent);
            assert_eq!(agent.take_sent(), [""; 0]);
            agent.assert_settled(&mut world);
            // And the consumer's next word counts.
            world.edit(from, |it| it["data"]["user"] = json!("dGhlaXJz"));
            agent.hint(&world, from);
            agent.run(&mut world, None);
            assert_eq!(agent.take_sent(), [deed]);
            assert_eq!(data(&world, to)["user"], "dGhlaXJz");
        }
    }
}

#[test]
fn what_the_state_does_not_name_is_not_adopted() {
    let publication = compile(both_ways());
    for down in [true, false] {
        let (mut world, mut agent, at) = taken_over(&publication);
        let (cluster, from, to) = if down {
            (agent.key.cluster.as_str(), &at.password, &at.taken)
        } else {
            ("", &at.creds, &at.login)
        };
        let data_key = state::data_key(cluster, &from.namespace, &from.name);
        world.edit(&go(&publication).secret(&agent.key), |it| {
            it["data"].as_object_mut().unwrap().remove(&data_key);
        });
        let before = world.objects.clone();
        let ending = settle(&mut world, &mut agent);
        assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
        assert_eq!(agent.take_sent(), [""; 0]);
        assert_eq!(world.objects[to], before[to]);
        // Deleting the order deletes nothing of that.
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(world.objects[to], before[to]);
        assert!(!world.objects.contains_key(&agent.origin()));
    }
}

#[test]
fn what_carries_another_agents_label_is_left_alone() {
    let publication = compile(both_ways());
    for down in [true, false] {
        let (mut world, mut agent, at) = taken_over(&publication);
        let to = if down { &at.taken } else { &at.login };
        world.edit(to, |it| {
            it["metadata"]["labels"]["syncagent.kcp.io/agent-name"] = json!("the.other");
        });
        let theirs = world.objects[to].clone();
        let ending = settle(&mut world, &mut agent);
        assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}");
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        assert_eq!(world.objects[to], theirs);
    }
}

#[test]
fn a_garbled_state_writes_only_what_surely_changed() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    world.edit(&go(&publication).secret(&agent.key), |it| {
        for value in it["data"].as_object_mut().unwrap().values_mut() {
            *value = json!("e30=");
        }
    });
    world.edit(&at.taken, |it| take_over(it, "unrelated", json!(1)));
    assert_eq!(settle(&mut world, &mut agent), Some(Ending::Settled));
    assert_eq!(agent.take_sent(), [""; 0]);
    world.edit(&at.password, |it| it["data"]["password"] = json!("bmV3"));
    settle(&mut world, &mut agent);
    assert_eq!(agent.take_sent(), [r#"Retake("password") 200"#]);
    assert_eq!(data(&world, &at.taken)["password"], "bmV3");
}

#[test]
fn deleting_an_order_deletes_what_went_down_and_leaves_what_came_up() {
    let publication = compile(both_ways());
    for asleep in [true, false] {
        let (mut world, mut agent, at) = taken_over(&publication);
        if !asleep {
            settle(&mut world, &mut agent);
        }
        world.delete(&agent.origin());
        if asleep {
            agent.restart(&world);
        } else {
            agent.event(&world, &agent.origin());
        }
        agent.run(&mut world, None);
        for gone in [&agent.origin(), &agent.copy(), &at.taken] {
            assert!(!world.objects.contains_key(gone), "{gone}");
        }
        for left in [&at.creds, &at.login, &at.password] {
            assert!(world.objects.contains_key(left), "{left}");
        }
        assert_eq!(finalizers(&world.objects[&at.password]), [""; 0]);
    }
}

#[test]
fn a_shared_finalizer_stays_while_another_order_needs_the_object() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    let mut other = Agent::new(&publication, &key(&publication, "b"));
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    world.put(&other.origin(), order(&publication, &other.key, &spec));
    go(&publication).pass(&mut world, &other.key);
    settle(&mut world, &mut agent);
    settle(&mut world, &mut other);
    assert_eq!((&agent.sent, &other.sent), (&vec![], &vec![]));
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(finalizers(&world.objects[&at.password]), [CLEANUP]);
    assert!(world.objects.contains_key(&at.taken));
    world.index.remove(&agent.key);
    world.delete(&other.origin());
    other.event(&world, &other.origin());
    other.run(&mut world, None);
    assert_eq!(finalizers(&world.objects[&at.password]), [""; 0]);
    assert!(!world.objects.contains_key(&at.taken));
}

#[test]
fn annotations_name_what_came_up_and_are_written_where_they_differ() {
    let publication = compile(both_ways());
    let (mut world, mut agent, at) = taken_over(&publication);
    settle(&mut world, &mut agent);
    let expected = r#"{"namespace":"default","name":"a-login","apiVersion":"v1","kind":"Secret"}"#;
    assert_eq!(
        annotation(&world.objects[&agent.origin()], MARK),
        Some(expected)
    );
    // The consumer tampers with it, and with one that nobody prunes.
    world.edit(&agent.origin(), |it| {
        it["metadata"]["annotations"][MARK] = json!("{}");
        it["metadata"]["annotations"]["related-resources.syncagent.kcp.io/creds.7"] = json!("old");
    });
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Annotate 200"]);
    let annotations = &world.objects[&agent.origin()]["metadata"]["annotations"];
    assert_eq!(annotations[MARK], expected);
    assert_eq!(
        annotations["related-resources.syncagent.kcp.io/creds.7"],
        "old"
    );
    assert!(
        world.objects[&agent.copy()]
            .to_string()
            .find("creds.7")
            .is_none()
    );
    agent.assert_settled(&mut world);
    // A new order gets its own, in one write of its own.
    let mut anew = Agent::new(&publication, &key(&publication, "c"));
    world.put(
        &anew.origin(),
        order(&publication, &anew.key, &json!({"size": 1})),
    );
    let creds = ObjectRef {
        name: "c-creds".into(),
        ..at.creds
    };
    world.put(&creds, secret_with("Yw=="));
    anew.event(&world, &anew.origin());
    anew.run(&mut world, None);
    assert_eq!(
        anew.take_sent(),
        [
            "Hold 200",
            "Place 200",
            r#"Return("creds") 200"#,
            "Annotate 200"
        ]
    );
    anew.assert_settled(&mut world);
    assert_eq!(
        go(&publication).pass(&mut world, &anew.key),
        ["update Thing c", "update Secret c-creds"],
        "without handback it writes all of it once more"
    );
}

#[test]
fn an_agent_that_dies_after_any_effect_leads_to_the_same_world() {
    let publication = compile(both_ways());
    let changes: [fn(&mut World, &Agent<'_>, &Places); 4] = [
        |world, _, at| world.edit(&at.password, |it| it["data"]["password"] = json!("bmV3")),
        |world, _, at| world.edit(&at.creds, |it| it["data"]["password"] = json!("bmV3")),
        |world, _, at| {
            world.objects.remove(&at.login);
            world.objects.remove(&at.taken);
        },
        |world, agent, _| world.delete(&agent.origin()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (mut start, agent, at) = taken_over(&publication);
        change(&mut start, &agent, &at);
        let mut end = start.clone();
        let mut agent = Agent::new(&publication, &agent.key);
        settle(&mut end, &mut agent);
        let effects = agent.take_sent().len();
        assert!(effects > 0, "{number}");
        for cut in 0..effects {
            let mut agent = Agent::new(&publication, &agent.key);
            let mut world = start.clone();
            agent.restart(&world);
            agent.run(&mut world, Some(cut));
            if world.objects.contains_key(&agent.origin()) {
                settle(&mut world, &mut agent);
            }
            assert_eq!(world.picture(), end.picture(), "{number} cut after {cut}");
        }
    }
}

/// What the program does when it hands back, in a world.
pub(crate) fn hand_back(world: &mut World, agent: &mut Agent<'_>) {
    settle(world, agent);
    agent.restart(world);
    loop {
        let planned = agent.plan();
        assert_eq!(planned.effects, [], "only what is settled is handed back");
        agent.record = planned.record;
        if planned.questions.is_empty() {
            break;
        }
        for question in planned.questions {
            agent.answer(world, question);
        }
    }
    let secret = go(agent.publication).secret(&agent.key);
    loop {
        match handback(agent.publication, &agent.key, &agent.record, &agent.seen) {
            Handback::Asked(questions) => {
                for question in questions {
                    agent.answer(world, question);
                }
            }
            Handback::Told(told) => {
                let mut object = world.objects.get(&secret).cloned().unwrap_or(json!({}));
                for (key, text) in told {
                    object["data"][key] = json!(base64(text.as_bytes()));
                }
                object["metadata"]["labels"] = Value::Object(state::labels(&agent.key.identity()));
                world.put(&secret, object);
                return;
            }
        }
    }
}

#[test]
fn what_is_handed_back_the_go_agent_finds_settled_and_so_do_we_again() {
    let publication = compile(both_ways());
    for known in [true, false] {
        let (mut world, mut agent, at) = taken_over(&publication);
        if !known {
            world.objects.remove(&go(&publication).secret(&agent.key));
            world.objects.remove(&at.taken);
            world.objects.remove(&at.login);
        }
        settle(&mut world, &mut agent);
        // A while under us: changes on both sides, and somebody's own.
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
        world.edit(&at.password, |it| it["data"]["password"] = json!("bmV3"));
        world.edit(&at.creds, |it| it["data"]["password"] = json!("bmV3"));
        settle(&mut world, &mut agent);
        world.edit(&agent.copy(), |it| it["spec"]["color"] = json!("theirs"));
        world.edit(&at.login, |it| it["data"]["user"] = json!("dGhlaXJz"));
        hand_back(&mut world, &mut agent);
        let before = world.objects.clone();
        assert_eq!(go(&publication).pass(&mut world, &agent.key), [""; 0]);
        assert_eq!(world.objects, before);
        // The state is what the Go agent itself would have written.
        let secret = go(&publication).secret(&agent.key);
        let told = world.objects[&secret]["data"].as_object().unwrap();
        assert_eq!(told.len(), 3);
        // It works for a while, and we take over again.
        world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(3));
        world.edit(&at.password, |it| it["data"]["password"] = json!("b2xk"));
        let wrote = go(&publication).pass(&mut world, &agent.key);
        assert_eq!(wrote, ["update Thing a", "update Secret pw"]);
        agent.take_sent();
        settle(&mut world, &mut agent);
        assert_eq!(agent.take_sent(), [""; 0]);
        assert_eq!(world.objects[&agent.copy()]["spec"]["color"], "theirs");
        agent.assert_settled(&mut world);
    }
}

#[test]
fn nothing_is_handed_back_of_what_is_not_there() {
    let publication = compile(both_ways());
    let (world, mut agent, _) = taken_over(&publication);
    agent.restart(&world);
    let told = handback(&publication, &agent.key, &agent.record, &agent.seen);
    assert!(told == Handback::Told(std::collections::BTreeMap::new()));
}

#[test]
fn a_status_that_cannot_be_written_is_tried_once_per_change() {
    let publication = compile(published());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.statusless.push("Thing".into());
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    settle(&mut world, &mut agent);
    world.edit(&agent.copy(), |copy| {
        copy["status"] = json!({"phase": "ready"});
    });
    agent.take_sent();
    agent.event(&world, &agent.copy());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!(agent.take_sent(), ["Reflect 404"]);
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), [""; 0]);
}
