//! What is said in words of both sides: references that follow names, and a status that a function makes.

use serde_json::{Value, json};
use syncagent_core::definition::{
    CopyNaming, Definition, FieldRule, Kind, MadeStatus, Only, ReadRule, Rule, Scope, Sources,
    StatusField, StatusRule, StatusSource,
};
use syncagent_core::plan::{Ending, ObjectRef};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, at, compile, crd, key, kind, order, service, spec_schema, thing};
use crate::world::{Agent, World};

fn named(name: &str) -> CopyNaming {
    CopyNaming {
        namespace: Some("{workspace}".into()),
        name: name.into(),
    }
}

fn default_only() -> Only {
    Only {
        namespaces: vec!["default".into()],
        ..Only::default()
    }
}

pub(crate) fn pool() -> Definition {
    let kind = kind("example.io", "Pool", "pools");
    Definition {
        schema: syncagent_core::definition::SchemaSource::Type(crd(&kind, &spec_schema())),
        copy: named("pool-{name}"),
        only: default_only(),
        ..Definition::new(kind.clone(), kind)
    }
}

fn refers_to(path: &str, name_at: Option<&str>) -> FieldRule {
    FieldRule {
        path: path.into(),
        rule: Rule::RefersTo {
            offered: pool().offered,
            name_at: name_at.map(str::to_owned),
        },
    }
}

/// Things that refer to pools, singly and in arrays, and pools; the operator says in the status which one it chose.
pub(crate) fn neighbours() -> Publications {
    let things = Definition {
        copy: named("{name}"),
        only: default_only(),
        fields: vec![
            refers_to("spec.pool", None),
            refers_to("spec.items[].ref", Some("name")),
            refers_to("spec.hosts[]", None),
        ],
        status: StatusRule::Fields(vec![
            at("status.phase", "status.phase"),
            StatusField {
                path: "status.owner".into(),
                source: StatusSource::RefersTo {
                    offered: pool().offered,
                    at: "status.owner".into(),
                },
            },
        ]),
        ..thing()
    };
    Publications::compile(AGENT, &[things, pool()]).expect("it compiles")
}

fn referring() -> Publication {
    neighbours().get("things.example.io").expect("it").clone()
}

#[test]
fn a_name_follows_another_publication_down_and_up_and_in_arrays() {
    let publication = referring();
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let spec = json!({"pool": "big", "items": [{"a": "x"}, {"ref": {"name": "one"}}, {"ref": {"name": "two"}}],
        "hosts": ["big", "small"]});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let copy = world.objects[&agent.copy()]["spec"].clone();
    assert_eq!(
        copy,
        json!({"pool": "pool-big", "hosts": ["pool-big", "pool-small"],
            "items": [{"a": "x"}, {"ref": {"name": "pool-one"}}, {"ref": {"name": "pool-two"}}]})
    );
    world.edit(&agent.copy(), |it| {
        it["status"] = json!({"phase": "ready", "owner": "pool-two"});
    });
    agent.event(&world, &agent.copy());
    agent.run(&mut world, None);
    let status = &world.objects[&agent.origin()]["status"];
    assert_eq!(status["owner"], "two");
    agent.assert_settled(&mut world);
}

#[test]
fn a_refusal_speaks_of_elements_by_the_consumers_names() {
    let publication = referring();
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let spec = json!({"items": [{"ref": {"name": "one"}}, {"ref": {"name": "two"}}]});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    world.refuses = vec![(
        "spec.items[1].ref.name".into(),
        "Invalid value: \"pool-two\": it is full, use pool-one".into(),
    )];
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let condition = &world.objects[&agent.origin()]["status"]["conditions"][0];
    assert_eq!(
        condition["message"],
        "spec.items[1].ref.name: Invalid value: \"two\": it is full, use one"
    );
}

/// The address of the Service; the copy's phase flows back by itself.
fn say(sources: &Sources) -> Option<Value> {
    let service = sources.read(|_| true)?;
    let ip = service["status"]["ip"].as_str()?;
    Some(json!({"owner": ip}))
}

fn speaking() -> Publication {
    compile(Definition {
        copy: named("{name}"),
        only: default_only(),
        made_status: Some(MadeStatus {
            reads: vec![ReadRule {
                kind: service(),
                name: "{copy.name}-rw".into(),
            }],
            make: say,
        }),
        ..thing()
    })
}

fn ready(world: &mut World, agent: &mut Agent<'_>, phase: &str) -> (usize, Vec<String>) {
    agent.gets = 0;
    world.edit(&agent.copy(), |it| it["status"] = json!({"phase": phase}));
    agent.event(world, &agent.copy());
    agent.run(world, None);
    (agent.gets, agent.take_sent())
}

#[test]
fn a_status_is_made_of_what_the_function_looks_at_and_of_nothing_else() {
    let publication = speaking();
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    agent.take_sent();
    let rw = ObjectRef {
        kind: service(),
        name: "a-rw".into(),
        ..agent.copy()
    };
    assert!(agent.plan().concerns.contains(&rw), "it is waited for");
    // It appears: one look at it, one at the copy, one write.
    world.put(&rw, json!({"status": {"ip": "10.0.0.1"}}));
    agent.hint(&world, &rw);
    agent.gets = 0;
    agent.run(&mut world, None);
    assert_eq!(
        (agent.gets, agent.take_sent()),
        (2, vec!["Reflect 200".into()])
    );
    let status =
        |world: &World, agent: &Agent<'_>| world.objects[&agent.origin()]["status"].clone();
    assert_eq!(status(&world, &agent)["owner"], "10.0.0.1");
    // What it did not look at costs what it always costs: nothing is read.
    assert_eq!(
        ready(&mut world, &mut agent, "ready"),
        (0, vec!["Reflect 200".into()])
    );
    assert_eq!(status(&world, &agent)["owner"], "10.0.0.1");
    assert_eq!(status(&world, &agent)["phase"], "ready");
    // An event that says nothing new is followed by one look and no write.
    world.edit(&rw, |it| it["metadata"]["labels"] = json!({"x": "y"}));
    agent.hint(&world, &rw);
    agent.run(&mut world, None);
    assert_eq!((agent.gets, agent.take_sent()), (1, vec![]));
    agent.assert_settled(&mut world);
    // Gone: it has nothing to say.
    world.delete(&rw);
    agent.hint(&world, &rw);
    agent.run(&mut world, None);
    assert_eq!(status(&world, &agent).get("owner"), None);
    // A restart looks once at what the status is made of, and writes nothing.
    world.put(&rw, json!({"status": {"ip": "10.0.0.2"}}));
    agent.hint(&world, &rw);
    agent.run(&mut world, None);
    agent.take_sent();
    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!((agent.gets, agent.take_sent()), (1, vec![]));
}

#[test]
fn a_made_status_survives_a_death_at_any_moment() {
    let publication = speaking();
    for cut in 0..6 {
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = World::default();
        world.put(
            &agent.origin(),
            order(&publication, &agent.key, &json!({"size": 1})),
        );
        let rw = ObjectRef {
            kind: service(),
            name: "a-rw".into(),
            ..agent.copy()
        };
        world.put(&rw, json!({"status": {"ip": "10.0.0.1"}}));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, Some(cut));
        agent.restart(&world);
        agent.run(&mut world, None);
        assert_eq!(
            world.objects[&agent.origin()]["status"]["owner"],
            "10.0.0.1",
            "{cut}"
        );
        agent.assert_settled(&mut world);
    }
}

#[test]
fn a_function_never_sees_what_another_workspace_brought_down() {
    let publication = speaking();
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    let rw = ObjectRef {
        kind: service(),
        name: "a-rw".into(),
        ..agent.copy()
    };
    let label = json!({"syncagent.kcp.io/remote-object-cluster": "2xyz"});
    world.put(
        &rw,
        json!({"metadata": {"labels": label}, "status": {"ip": "10.6.6.6"}}),
    );
    agent.event(&world, &agent.origin());
    agent.event(&world, &rw);
    agent.run(&mut world, None);
    let text = world.objects[&agent.origin()].to_string();
    assert!(!text.contains("10.6.6.6"), "{text}");
}

#[test]
fn what_a_status_is_made_of_is_checked() {
    let cluster = Kind {
        scope: Scope::Cluster,
        ..service()
    };
    let definition = Definition {
        made_status: Some(MadeStatus {
            reads: vec![ReadRule {
                kind: cluster,
                name: "shared".into(),
            }],
            make: say,
        }),
        ..thing()
    };
    let problems = Publications::compile(AGENT, &[definition]).expect_err("it could leak");
    assert!(
        problems
            .to_string()
            .contains("made_status: `shared` could be an object of another workspace"),
        "{problems}"
    );
}
