//! Who is offered the service, what becomes of those who leave, and how copies are deleted.

use serde_json::{Value, json};
use syncagent_core::definition::{
    Definition, Deletion, Kind, Leaving, NamespaceRule, Only, Operator, Pass, Policy, Requirement,
    Scope, Selector,
};
use syncagent_core::plan::{Deed, Ending, ObjectRef, Place};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, CLUSTER, compile, full_thing, key, order, secret, service, thing};
use crate::world::{Agent, World};

pub(crate) fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::derived();
    change(&mut policy);
    policy
}

/// Things that carry `tier: gold`.
fn gold(leaving: Leaving) -> Definition {
    let only = full_thing().only;
    Definition {
        only: Only {
            selector: Selector {
                labels: vec![("tier".into(), "gold".into())],
                expressions: Vec::new(),
            },
            ..only
        },
        policy: policy(|it| it.leaving = leaving),
        ..full_thing()
    }
}

fn label(world: &mut World, at: &ObjectRef, tier: &str) {
    world.edit(at, |it| it["metadata"]["labels"] = json!({"tier": tier}));
}

pub(crate) struct Case<'a> {
    pub(crate) world: World,
    pub(crate) agent: Agent<'a>,
    pub(crate) password: ObjectRef,
    pub(crate) taken: ObjectRef,
}

/// An order with everything that belongs to it, settled.
pub(crate) fn served(publication: &Publication) -> Case<'_> {
    let mut agent = Agent::new(publication, &key(publication, "a"));
    let mut world = World::default();
    let at = |place: &ObjectRef, kind, name: &str| ObjectRef {
        kind,
        name: name.into(),
        ..place.clone()
    };
    let password = at(&agent.origin(), secret(), "pw");
    let taken = at(&agent.copy(), secret(), "pw.taken");
    world.put(&password, json!({"data": {"password": "x"}}));
    let address = json!({"status": {"ip": "10.0.0.1"}});
    world.put(&at(&agent.copy(), service(), "a-rw"), address);
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    let mut object = order(publication, &agent.key, &spec);
    object["metadata"]["labels"] = json!({"tier": "gold"});
    world.put(&agent.origin(), object);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert!(world.objects.contains_key(&agent.copy()));
    agent.take_sent();
    Case {
        world,
        agent,
        password,
        taken,
    }
}

pub(crate) fn reason(world: &World, at: &ObjectRef) -> Value {
    let conditions = &world.objects[at]["status"]["conditions"];
    let list = conditions.as_array().into_iter().flatten();
    let ours = list.filter(|it| it["type"] == "Synced");
    ours.map(|it| it["reason"].clone())
        .next()
        .unwrap_or_default()
}

pub(crate) fn held(world: &World, at: &ObjectRef) -> bool {
    let finalizers = &world.objects[at]["metadata"]["finalizers"];
    finalizers.as_array().is_some_and(|it| !it.is_empty())
}

#[test]
fn selectors_select_as_kubernetes_does() {
    let requirement = |operator, values: &[&str]| Selector {
        labels: Vec::new(),
        expressions: vec![Requirement {
            key: "a".into(),
            operator,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        }],
    };
    let worlds = [
        json!(null),
        json!({"b": "1"}),
        json!({"a": "1"}),
        json!({"a": "2"}),
    ];
    for (selector, expected) in [
        (Selector::default(), [true, true, true, true]),
        (
            requirement(Operator::In, &["1", "3"]),
            [false, false, true, false],
        ),
        (
            requirement(Operator::NotIn, &["1", "3"]),
            [true, true, false, true],
        ),
        (
            requirement(Operator::Exists, &[]),
            [false, false, true, true],
        ),
        (
            requirement(Operator::DoesNotExist, &[]),
            [true, true, false, false],
        ),
    ] {
        let found = worlds.clone().map(|labels| selector.matches(&labels));
        assert_eq!(found, expected, "{selector:?}");
    }
}

#[test]
fn an_order_that_was_never_selected_costs_nothing() {
    let publication = compile(gold(Leaving::Retire));
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!((agent.gets, agent.take_sent()), (0, vec![]));
}

#[test]
fn what_vanished_outside_the_filter_is_made_when_the_order_comes_back() {
    let publication = compile(gold(Leaving::Keep));
    for down in [false, true] {
        let Case {
            mut world,
            mut agent,
            ..
        } = served(&publication);
        let (origin, copy) = (agent.origin(), agent.copy());
        label(&mut world, &origin, "iron");
        agent.event(&world, &origin);
        agent.run(&mut world, None);
        world.delete(&copy);
        agent.event(&world, &copy);
        agent.run(&mut world, None);
        assert!(!world.objects.contains_key(&copy) && !held(&world, &origin));
        label(&mut world, &origin, "gold");
        if down {
            agent.restart(&world);
        } else {
            agent.event(&world, &origin);
        }
        agent.run(&mut world, None);
        assert!(world.objects.contains_key(&copy), "{down}");
        assert_eq!(reason(&world, &origin), "Synced");
        agent.take_sent();
        agent.assert_settled(&mut world);
    }
}

#[test]
fn who_leaves_the_filter_keeps_the_copy_and_may_come_back() {
    let publication = compile(gold(Leaving::Keep));
    for down in [false, true] {
        let Case {
            mut world,
            mut agent,
            password,
            taken,
        } = served(&publication);
        let (origin, copy) = (agent.origin(), agent.copy());
        label(&mut world, &origin, "iron");
        if down {
            agent.restart(&world);
        } else {
            agent.event(&world, &origin);
        }
        agent.run(&mut world, None);
        // What came up with it is composed anew, for the order is part of it.
        let sent = agent.take_sent();
        assert!(
            sent.iter()
                .all(|it| it.starts_with("Update") || it == "Reflect 200")
        );
        assert_eq!(reason(&world, &origin), "NotSelected");
        // The order is not followed, the status still is.
        world.edit(&origin, |it| it["spec"]["size"] = json!(9));
        agent.event(&world, &origin);
        agent.run(&mut world, None);
        world.edit(&copy, |it| it["status"] = json!({"phase": "busy"}));
        agent.event(&world, &copy);
        agent.run(&mut world, None);
        assert_eq!(world.objects[&copy]["spec"]["size"], 1);
        assert_eq!(world.objects[&origin]["status"]["phase"], "busy");
        assert_eq!(reason(&world, &origin), "NotSelected");
        agent.take_sent();
        agent.assert_settled(&mut world);
        // Its deletion is seen to: nothing of us sticks.
        let (mut ended, mut ending) = (world.clone(), agent.clone());
        ended.delete(&origin);
        if down {
            ending.restart(&ended);
        } else {
            ending.event(&ended, &origin);
        }
        ending.run(&mut ended, None);
        assert!(!ended.objects.contains_key(&origin) && !ended.objects.contains_key(&copy));
        assert!(!ended.objects.contains_key(&taken) && !held(&ended, &password));
        // And so is its return.
        label(&mut world, &origin, "gold");
        agent.event(&world, &origin);
        agent.run(&mut world, None);
        assert_eq!(world.objects[&copy]["spec"]["size"], 9);
        assert_eq!(reason(&world, &origin), "Synced");
        agent.take_sent();
        agent.assert_settled(&mut world);
    }
}

/// There is no copy: nobody holds what nothing was made for, whatever the step got to before the order left.
#[test]
fn who_leaves_the_filter_before_anything_was_made_is_let_go() {
    let publication = compile(gold(Leaving::Keep));
    let mut made = 0;
    for down in [false, true] {
        for cut in 1..9 {
            let mut agent = Agent::new(&publication, &key(&publication, "a"));
            let mut world = World::default();
            let (origin, copy) = (agent.origin(), agent.copy());
            let password = ObjectRef {
                kind: secret(),
                name: "pw".into(),
                ..origin.clone()
            };
            world.put(&password, json!({"data": {"password": "x"}}));
            let spec = json!({"size": 1, "secret": {"name": "pw"}});
            world.put(&origin, order(&publication, &agent.key, &spec));
            label(&mut world, &origin, "gold");
            agent.event(&world, &origin);
            agent.run(&mut world, Some(cut));
            if world.objects.contains_key(&copy) {
                made += 1;
                continue;
            }
            assert!(held(&world, &origin), "{cut}");
            label(&mut world, &origin, "iron");
            if down {
                agent.restart(&world);
            } else {
                agent.event(&world, &origin);
            }
            agent.run(&mut world, None);
            assert!(!held(&world, &origin) && !held(&world, &password), "{cut}");
            let ours = |it: &Value| syncagent_core::object::identity::Identity::read(it).is_some();
            assert!(!world.objects.values().any(ours), "{cut}");
            let said = world.objects[&origin]["status"]["conditions"].to_string();
            assert!(said.contains("nothing is kept for it"), "{said}");
            agent.take_sent();
            agent.assert_settled(&mut world);
            // It comes back.
            label(&mut world, &origin, "gold");
            agent.event(&world, &origin);
            agent.run(&mut world, None);
            assert!(world.objects.contains_key(&copy) && held(&world, &origin));
            assert_eq!(reason(&world, &origin), "Synced");
        }
    }
    assert!((1..16).contains(&made), "both before and after: {made}");
}

/// What stands in the copy's place is somebody's, and nothing was made.
#[test]
fn who_leaves_the_filter_with_a_stranger_in_the_way_is_let_go() {
    let publication = compile(Definition {
        policy: policy(|it| it.leaving = Leaving::Keep),
        only: gold(Leaving::Keep).only,
        ..thing()
    });
    for down in [false, true] {
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = World::default();
        let (origin, copy) = (agent.origin(), agent.copy());
        world.put(&ObjectRef::service_namespace(&copy.namespace), json!({}));
        world.put(&copy, json!({"spec": {"size": 5}}));
        let spec = json!({"size": 1});
        world.put(&origin, order(&publication, &agent.key, &spec));
        label(&mut world, &origin, "gold");
        agent.event(&world, &origin);
        agent.run(&mut world, None);
        assert!(held(&world, &origin), "held, and refused");
        label(&mut world, &origin, "iron");
        if down {
            agent.restart(&world);
        } else {
            agent.event(&world, &origin);
        }
        agent.run(&mut world, None);
        assert!(!held(&world, &origin));
        assert_eq!(world.objects[&copy]["spec"]["size"], 5);
        agent.take_sent();
        agent.assert_settled(&mut world);
    }
}

#[test]
fn who_leaves_the_filter_is_let_go_with_all_that_belongs_to_it() {
    let publication = compile(gold(Leaving::Retire));
    for down in [false, true] {
        for cut in 0..9 {
            let Case {
                mut world,
                mut agent,
                password,
                taken,
            } = served(&publication);
            let (origin, copy) = (agent.origin(), agent.copy());
            label(&mut world, &origin, "iron");
            if down {
                agent.restart(&world);
            } else {
                agent.event(&world, &origin);
            }
            agent.run(&mut world, Some(cut));
            agent.restart(&world);
            agent.run(&mut world, None);
            assert!(!world.objects.contains_key(&copy) && !world.objects.contains_key(&taken));
            assert!(!held(&world, &origin) && !held(&world, &password), "{cut}");
            assert_eq!(reason(&world, &origin), "NotSelected");
            agent.take_sent();
            agent.assert_settled(&mut world);
            // It comes back: a new one is made.
            label(&mut world, &origin, "gold");
            agent.event(&world, &origin);
            agent.run(&mut world, None);
            assert!(world.objects.contains_key(&copy) && held(&world, &origin));
            assert_eq!(reason(&world, &origin), "Synced");
        }
    }
}

#[test]
fn labels_of_namespaces_select_and_what_is_not_shown_decides_nothing() {
    let publication = compile(Definition {
        only: Only {
            namespace_selector: Selector {
                labels: Vec::new(),
                expressions: vec![Requirement {
                    key: "tier".into(),
                    operator: Operator::In,
                    values: vec!["gold".into()],
                }],
            },
            ..Only::default()
        },
        policy: policy(|it| it.leaving = Leaving::Retire),
        ..thing()
    });
    let kinds = publication.workspace_kinds();
    assert_eq!(
        kinds.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>(),
        ["Namespace"]
    );
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let namespace = ObjectRef {
        place: Place::Workspace(CLUSTER.into()),
        ..ObjectRef::service_namespace("default")
    };
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    // The claim is not accepted: we are not shown the namespace, although the order is in it.
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Waiting(_))), "{ending:?}");
    assert_eq!(agent.take_sent(), Vec::<String>::new());
    world.put(
        &namespace,
        json!({"metadata": {"labels": {"tier": "gold"}}}),
    );
    agent.hint(&world, &namespace);
    agent.run(&mut world, None);
    assert!(world.objects.contains_key(&agent.copy()));
    agent.take_sent();
    agent.assert_settled(&mut world);
    assert!(world.index[&agent.key].contains(&namespace));
    // The claim is taken back, and the agent restarts: still no news.
    let shown = world.objects.remove(&namespace).unwrap();
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), Vec::<String>::new());
    // The labels change.
    world.put(&namespace, shown);
    label(&mut world, &namespace, "iron");
    agent.hint(&world, &namespace);
    agent.run(&mut world, None);
    assert!(!world.objects.contains_key(&agent.copy()) && !held(&world, &agent.origin()));
    label(&mut world, &namespace, "gold");
    agent.hint(&world, &namespace);
    agent.run(&mut world, None);
    assert!(world.objects.contains_key(&agent.copy()));
}

#[test]
fn filters_that_cannot_work_are_told_all_at_once() {
    let cluster = Kind {
        scope: Scope::Cluster,
        ..thing().offered
    };
    let requirement = |key: &str, operator, values: &[&str]| Requirement {
        key: key.into(),
        operator,
        values: values.iter().map(|it| (*it).to_owned()).collect(),
    };
    let wrong = Definition {
        only: Only {
            namespaces: vec!["default".into()],
            selector: Selector {
                labels: vec![("a b".into(), "x".into()), ("a".into(), "?".into())],
                expressions: vec![
                    requirement("a", Operator::In, &[]),
                    requirement("a", Operator::Exists, &["x"]),
                ],
            },
            namespace_selector: Selector {
                labels: vec![("tier".into(), "gold".into())],
                expressions: Vec::new(),
            },
            ..Only::default()
        },
        namespaces: NamespaceRule {
            labels: vec![
                ("syncagent.kcp.io/agent-name".into(), "x".into()),
                ("team".into(), "{name}".into()),
            ],
            annotations: Vec::new(),
        },
        policy: policy(|it| {
            it.losses.unreadable = syncagent_core::definition::Loss::Retire;
        }),
        ..Definition::new(thing().service, cluster)
    };
    let problems = Publications::compile(AGENT, &[wrong])
        .unwrap_err()
        .to_string();
    for said in [
        "`namespaces` selects nothing",
        "leave `namespace_selector` out",
        "`a b` cannot be the key",
        "`?` cannot be the value",
        "compared with no value",
        "it takes no values",
        "is the agent's own",
        "namespaces: `{name}`",
        "`unreadable` is no evidence",
    ] {
        assert!(problems.contains(said), "{said}: {problems}");
    }
}

#[test]
fn namespaces_are_made_with_what_the_publication_says_and_others_are_left_alone() {
    let publication = compile(Definition {
        namespaces: NamespaceRule {
            labels: vec![(
                "pod-security.kubernetes.io/enforce".into(),
                "restricted".into(),
            )],
            annotations: vec![("acme.io/tenant".into(), "kcp {workspace}".into())],
        },
        ..thing()
    });
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let at = publication.copy_namespace(&agent.key).unwrap();
    let metadata = &world.objects[&at]["metadata"];
    assert_eq!(
        metadata["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    assert_eq!(metadata["labels"]["syncagent.kcp.io/agent-name"], AGENT);
    assert_eq!(
        metadata["annotations"],
        json!({"acme.io/tenant": format!("kcp {CLUSTER}")})
    );

    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(&at, json!({"metadata": {"labels": {"by": "hand"}}}));
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&at]["metadata"]["labels"],
        json!({"by": "hand"})
    );
}

const DELETION: &str = "syncagent.kcp.io/deletion-propagation-policy";

#[test]
fn dependents_go_as_the_publication_or_the_order_says() {
    use Deletion::{Background, Foreground, Orphan};
    for (deletion, by_order, annotation, expected) in [
        (Background, true, None, "Background"),
        (Foreground, true, None, "Foreground"),
        (Orphan, true, None, "Orphan"),
        (Background, true, Some("foreground"), "Foreground"),
        (Foreground, true, Some("background"), "Background"),
        (Background, true, Some("orphan"), "Orphan"),
        (Background, true, Some("Orphan"), "Background"),
        (Foreground, false, Some("orphan"), "Foreground"),
    ] {
        let publication = compile(Definition {
            policy: policy(|it| {
                it.deletion = deletion;
                it.deletion_by_order = by_order;
            }),
            pass: Pass {
                labels: vec!["*".into()],
                annotations: vec!["*".into()],
                ..Pass::default()
            },
            ..full_thing()
        });
        let Case {
            mut world,
            mut agent,
            password,
            ..
        } = served(&publication);
        if let Some(annotation) = annotation {
            world.edit(&agent.origin(), |it| {
                it["metadata"]["annotations"] = json!({DELETION: annotation, "mine": "x"});
            });
            agent.event(&world, &agent.origin());
            agent.run(&mut world, None);
            let copied = &world.objects[&agent.copy()]["metadata"]["annotations"];
            assert_eq!((&copied["mine"], copied.get(DELETION)), (&json!("x"), None));
        }
        // A taken object has a word of its own.
        world.edit(&password, |it| {
            it["metadata"]["annotations"] = json!({DELETION: "foreground"});
        });
        world.delete(&agent.origin());
        agent.event(&world, &agent.origin());
        let plan = agent.plan();
        let retire = plan
            .effects
            .iter()
            .find(|it| it.deed == Deed::Retire)
            .unwrap();
        assert_eq!(retire.request.body["propagationPolicy"], expected);
        agent.run(&mut world, Some(1));
        let mut taken = None;
        for _ in 0..9 {
            let plan = agent.plan();
            let found = plan
                .effects
                .iter()
                .find(|it| matches!(it.deed, Deed::Untake(_)));
            taken = found.map(|it| it.request.body["propagationPolicy"].clone());
            if taken.is_some() {
                break;
            }
            agent.record = plan.record;
            for question in plan.questions {
                agent.answer(&world, question);
            }
        }
        let own = if by_order { "Foreground" } else { "Background" };
        assert_eq!(taken, Some(json!(own)));
        agent.run(&mut world, None);
        assert!(!world.objects.contains_key(&agent.origin()) && !held(&world, &password));
    }
}

#[test]
fn in_the_foreground_the_order_waits_until_the_copy_is_gone() {
    let publication = compile(Definition {
        policy: policy(|it| it.deletion = Deletion::Foreground),
        ..thing()
    });
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    world.put(
        &agent.origin(),
        order(&publication, &agent.key, &json!({"size": 1})),
    );
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    // What an API server does with such a DELETE.
    let copy = agent.copy();
    world.edit(&copy, |it| {
        it["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    });
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    let ending = agent.run(&mut world, None);
    assert!(matches!(ending, Some(Ending::Waiting(_))), "{ending:?}");
    assert!(held(&world, &agent.origin()));
    world.edit(&copy, |it| it["metadata"]["finalizers"] = json!([]));
    agent.event(&world, &copy);
    agent.run(&mut world, None);
    assert!(!world.objects.contains_key(&agent.origin()));
}
