//! What a hostile consumer can try, and what becomes of it.
//!
//! They own a workspace. In it they choose names, specs, labels, annotations, finalizers, statuses and references as they
//! like, also such that look like the agent's own. They want to see, rename, overwrite, pre-empt or delete what is not
//! theirs: an object of another workspace, or one that the operator made.
//!
//! | attack | what happens | test |
//! | --- | --- | --- |
//! | an order carries the labels of another's copy, or of another agent | they stay behind; the copy's marks are computed | `marks_of_a_consumer_never_reach_a_copy` |
//! | an order carries the annotations of another's copy (`applied`, `takes`, `origin-uid`) | the same | `marks_of_a_consumer_never_reach_a_copy` |
//! | all of these at once, with random names, references, finalizers and statuses | nothing of another is read or written, no object of the operator changes | `whatever_a_consumer_writes_stays_with_them` |
//! | a Secret named so that its copy would be the operator's (`kcp-ca`) | its copy has a suffix; namings without a fixed part are refused | `a_consumer_cannot_choose_the_whole_name_of_a_copy` |
//! | a Secret named with a path in it, `../x`, `a/b` | it is no name: the order is told so, nothing is asked | `a_reference_that_is_a_path_is_no_name` |
//! | a Secret that is what another order is returned | it goes down as any other; both orders come to rest | `an_order_that_takes_what_it_is_returned_comes_to_rest` |
//! | an object under the name of a returned one, with our marks for another order | it is not ours; it stays, and the order says so | `a_returned_object_with_forged_marks_of_another_order_is_left_alone` |
//! | `made-of` on a returned object says nonsense | it is made anew | `nonsense_on_a_returned_object_is_repaired` |
//! | our finalizer before we put it, or another agent's | ours counts as ours, theirs is waited for | `agents::an_agent_writes_under_its_own_name_and_takes_only_its_own_finalizer_off` |
//! | our finalizer taken off | put back; if the order goes, its copy goes, after a 404 | `tenants`, `deletion::a_stripped_order_takes_its_copy_with_it_once_that_is_certain` |
//! | a status that is no status | it is replaced | `whatever_a_consumer_writes_stays_with_them` |
//! | an order deleted and made again at once, under the same name | the copy stays the new order's; nobody else's is touched | `tenants`, `histories` |
//! | a reference to an order of another workspace | it follows the naming of one's own workspace | `a_reference_leads_into_ones_own_workspace` |
//! | a reference to an object beside copies that live elsewhere | such a publication is refused | `a_reference_cannot_leave_the_namespace_of_copies` |
//! | each mark of a copy alone is somebody else's | the copy is somebody else's | `every_single_mark_counts` |
//! | a reference that moves from one field to another, round and round | nothing is deleted, and the order comes to rest | `whatever_a_consumer_writes_stays_with_them`, `related::a_reference_that_moves_to_another_field_moves_nothing_on_the_service_cluster` |
//! | a password guessed by what stands on an object | no mark depends on data | `no_mark_depends_on_the_data_of_a_secret` |
//! | Secrets of two orders, or of two workspaces, named so that their copies would meet | they share a copy only if they are one Secret | `taken_copies_of_two_orders_share_a_name_only_if_they_share_the_secret` |
//! | an order that takes what another one is returned, deleted in any order, and meddled with in between | it goes with the last of them, and what is the consumer's own stays | `what_one_order_is_returned_and_another_takes_goes_whoever_ends_first` |
//! | an order that refers to another one to keep its copy from going | it has to be in the same workspace and namespace, and a minute later it keeps nobody | `referrers::an_order_refers_to_what_it_names_as_long_as_it_is_held` |
//! | an object of the operator, named by an order so that it would come up | a rule that finds by such a name where others live, too, is refused | `found::every_problem_of_a_rule_is_said` |
//!
//! That the list is complete, and its tests are there, is a test itself: `everything_that_was_tried_is_listed`. The random ones
//! follow from a seed; see [`chance`](crate::chance).
//! | `kcp.io/cluster` and the like, through a real kcp's storage | the whole agent: `tests/it/adversary.rs` | there |

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use syncagent_core::definition::{
    CopyNaming, Definition, FieldRule, Only, Pass, ReturnRule, ReturnSource, Rule, TakeRule,
};
use syncagent_core::naming::Moved;
use syncagent_core::object::identity::{Identity, Standing};
use syncagent_core::plan::{Key, ObjectRef, Place};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, compile, full_thing, key, kind, order, secret, service, takes, thing};
use crate::world::{Agent, World};

/// What the victims and the operator have that nobody else may see.
const SECRETS: [&str; 2] = ["victims-password", "operators-secret"];

/// As open as a publication gets: everything passes, references in a list, an object as it is and a composed one come up.
fn open_thing() -> Definition {
    let all = || vec!["*".to_owned()];
    let mut definition = full_thing();
    definition.pass = Pass {
        labels: all(),
        annotations: all(),
        ..Pass::default()
    };
    definition
        .fields
        .push(takes("spec.items[].ref", "{name}.taken"));
    definition.returns.push(ReturnRule {
        id: "app".into(),
        kind: secret(),
        name: "{name}-credentials".into(),
        source: ReturnSource::From {
            name: "{copy.name}-app".into(),
            keys: vec![],
        },
    });
    definition
}

/// How a test begins; written so that this is none.
const TEST: &str = concat!("#[", "test]");

/// What a file lists as tried, and the tests in it that are not listed.
fn tried(file: &str) -> (Vec<String>, Vec<String>) {
    let source = crate::rooms::read(file);
    let rows = source.lines().filter_map(|it| it.strip_prefix("//! | "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | "));
    let named = cells.flat_map(|(_, tests)| {
        let marked = tests.split('`').skip(1).step_by(2);
        marked.map(str::to_owned).collect::<Vec<_>>()
    });
    let named: Vec<String> = named.collect();
    let tests = source.split(TEST).skip(1);
    let tests = tests.filter_map(|it| it.split_once("fn ")?.1.split('(').next());
    let missing = tests.filter(|test| !named.iter().any(|it| it == test));
    let missing = missing.map(str::to_owned).collect();
    (named, missing)
}

#[test]
fn everything_that_was_tried_is_listed() {
    let here = "syncagent-core/tests/it";
    for file in [
        format!("{here}/adversary.rs"),
        "tests/it/adversary.rs".to_owned(),
    ] {
        let (named, missing) = tried(&file);
        let own: Vec<&str> = missing.iter().map(String::as_str).collect();
        let others = ["everything_that_was_tried_is_listed"];
        assert_eq!(
            own,
            &others[usize::from(file.starts_with("tests"))..],
            "{file}"
        );
        assert!(named.len() > 5, "{file}: {named:?}");
        for test in named {
            let (at, test) = match test.split_once("::") {
                Some((module, test)) => (format!("{here}/{module}.rs"), format!("fn {test}(")),
                None if test.ends_with(".rs") => (test, TEST.to_owned()),
                // All of a module, where it is no test of this file.
                None if !test.contains('_') => (format!("{here}/{test}.rs"), TEST.to_owned()),
                None => (file.clone(), format!("fn {test}(")),
            };
            assert!(crate::rooms::read(&at).contains(&test), "{at}: {test}");
        }
    }
}

fn sha1(text: &str) -> String {
    syncagent_core::object::fingerprint::sha1_hex(text)
}

/// Marks as the agent would write them on the victim's copy.
fn forged() -> (Map<String, Value>, Map<String, Value>) {
    let labels = json!({
        "syncagent.kcp.io/agent-name": "another.example.io",
        "syncagent.kcp.io/remote-object-cluster": "2xyz",
        "syncagent.kcp.io/remote-object-name-hash": sha1("a"),
        "syncagent.kcp.io/remote-object-namespace-hash": sha1("default"),
        "kcp.io/cluster": "2xyz",
        "claimed.internal.apis.kcp.io/x": "y",
        "team": "mine",
    });
    let annotations = json!({
        "syncagent.kcp.io/remote-object-name": "a",
        "syncagent.kcp.io/remote-object-namespace": "default",
        "syncagent.kcp.io/publication": "others.other.io",
        "syncagent.kcp.io/applied": "0123456789abcdef0123456789abcdef",
        "syncagent.kcp.io/origin-uid": "uid-of-another",
        "syncagent.kcp.io/origin-generation": "77",
        "syncagent.kcp.io/takes": "[[\"spec.secret\",\"pw\",\"kcp-ca\"]]",
        "syncagent.kcp.io/related-origin-uid": "uid-of-another",
        "syncagent.kcp.io/related-origin-resource-version": "1",
        "syncagent.kcp.io/order": "things.example.io/b",
        "syncagent.kcp.io/made-of": "r9.t9:00",
        "kcp.io/cluster": "2xyz",
        "kcp.io/path": "root:victim",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "note": "mine",
    });
    let map = |it: Value| it.as_object().cloned().expect("a map");
    (map(labels), map(annotations))
}

/// Names that a consumer may give to an object, picked with care.
const NAMES: &[&str] = &[
    "a",
    "b",
    "pw",
    "pw.taken",
    "a-connection",
    "a-credentials",
    "a-rw",
    "a-app",
    "a-ca",
    "kcp-ca",
    "2xyz",
    "1abc",
    "default",
    "kube-system",
    "a.taken",
    "a.taken.taken",
    "root",
    "x",
];

/// What they may write where a name is expected.
fn wild() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => prop::sample::select(NAMES).prop_map(|it| json!(it)),
        1 => prop::sample::select(&[
            "../pw", "2xyz/pw", "", " ", "PW", "pw?x=1", "pw%2f", ".", "..", "-", "pw\n", "\u{0}", "é",
        ][..]).prop_map(|it| json!(it)),
        1 => Just(json!("x".repeat(253))),
        1 => Just(json!("x".repeat(300))),
        1 => Just(Value::Null),
        1 => Just(json!({"name": {"name": "pw"}})),
        1 => Just(json!(7)),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Order(&'static str, Value, Vec<Value>, bool),
    Secret(&'static str, bool),
    Status(&'static str, Value),
    Finalizers(&'static str, Vec<&'static str>),
    Delete(&'static str),
    DeleteSecret(&'static str),
    Relabel(&'static str),
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = || prop::sample::select(NAMES);
    let order = prop::sample::select(&["a", "b", "2xyz", "a.taken", "pw.taken"][..]);
    let status = prop_oneof![
        Just(json!(null)),
        Just(json!("text")),
        Just(json!({"conditions": "none"})),
        Just(
            json!({"conditions": [null, 7, {"type": "Synced", "status": 1, "lastTransitionTime": {}}]})
        ),
        Just(
            json!({"phase": "ready", "observedGeneration": "x", "conditions": [{"type": "Synced", "status": "True", "message": "operators"}]})
        ),
        Just(json!({"observedGeneration": i64::MAX})),
    ];
    let finalizer = prop::sample::select(
        &[
            "things.example.io.syncagent.kcp.io/hold",
            "another.example.io.syncagent.kcp.io/hold",
            "mine/x",
        ][..],
    );
    let act = prop_oneof![
        5 => (order.clone(), wild(), prop::collection::vec(wild(), 0..3), any::<bool>())
            .prop_map(|(name, secret, items, marks)| Act::Order(name, secret, items, marks)),
        4 => (name(), any::<bool>()).prop_map(|(name, marks)| Act::Secret(name, marks)),
        2 => (order.clone(), status).prop_map(|(name, status)| Act::Status(name, status)),
        1 => (order.clone(), prop::collection::vec(finalizer, 0..3)).prop_map(|(name, it)| Act::Finalizers(name, it)),
        2 => order.prop_map(Act::Delete),
        1 => name().prop_map(Act::DeleteSecret),
        2 => name().prop_map(Act::Relabel),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..25)
}

/// A town with a victim, an operator and somebody hostile.
struct Siege<'a> {
    publication: &'a Publication,
    world: World,
    hostile: Vec<Agent<'a>>,
    /// What nobody may change.
    others: Vec<(ObjectRef, Value)>,
}

impl<'a> Siege<'a> {
    fn new(publication: &'a Publication) -> Self {
        let mut world = World::default();
        // The victim: an order with everything around it, settled.
        let victim = Key {
            cluster: "2xyz".into(),
            ..key(publication, "a")
        };
        let mut agent = Agent::new(publication, &victim);
        let spec = json!({"size": 1, "secret": {"name": "pw"}});
        world.put(&agent.origin(), order(publication, &victim, &spec));
        let pw = ObjectRef {
            kind: secret(),
            name: "pw".into(),
            ..agent.origin()
        };
        world.put(&pw, json!({"data": {"password": SECRETS[0]}}));
        let rw = ObjectRef {
            kind: service(),
            name: "a-rw".into(),
            ..agent.copy()
        };
        world.put(&rw, json!({"status": {"ip": "10.9.9.9"}}));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        // The operator: what it makes beside every copy, before anybody has ordered.
        world.put(&ObjectRef::service_namespace("1abc"), json!({}));
        for name in [
            "a-ca",
            "b-ca",
            "kcp-ca",
            "pw",
            "a",
            "b",
            "a-connection",
            "2xyz",
        ] {
            for namespace in ["1abc", "2xyz"] {
                let at = ObjectRef {
                    kind: secret(),
                    namespace: namespace.into(),
                    name: name.into(),
                    place: Place::Service,
                };
                world.put(&at, json!({"data": {"ca": SECRETS[1]}}));
            }
        }
        for name in ["a-rw", "b-rw"] {
            let at = ObjectRef {
                kind: service(),
                namespace: "1abc".into(),
                name: name.into(),
                place: Place::Service,
            };
            world.put(&at, json!({"status": {"ip": "10.0.0.1"}}));
        }
        let others = world.objects.iter();
        let others = others.map(|(at, it)| (at.clone(), it.clone())).collect();
        Self {
            publication,
            world,
            hostile: Vec::new(),
            others,
        }
    }

    fn secret(&self, name: &str) -> ObjectRef {
        ObjectRef {
            place: Place::Workspace("1abc".into()),
            kind: secret(),
            namespace: "default".into(),
            name: name.into(),
        }
    }

    fn agent(&mut self, name: &str) -> usize {
        let found = self.hostile.iter().position(|it| it.key.name == name);
        found.unwrap_or_else(|| {
            self.hostile
                .push(Agent::new(self.publication, &key(self.publication, name)));
            self.hostile.len() - 1
        })
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Order(name, secret, items, marks) => {
                let i = self.agent(name);
                let (at, key) = (self.hostile[i].origin(), self.hostile[i].key.clone());
                let items: Vec<Value> = items
                    .into_iter()
                    .map(|it| json!({"a": "x", "ref": {"name": it}}))
                    .collect();
                let spec = json!({"size": 1, "secret": {"name": secret}, "items": items});
                let mut body = order(self.publication, &key, &spec);
                if marks {
                    let (labels, annotations) = forged();
                    body["metadata"]["labels"] = Value::Object(labels);
                    body["metadata"]["annotations"] = Value::Object(annotations);
                }
                match self.world.objects.get(&at) {
                    None => self.world.put(&at, body),
                    Some(_) => self.world.edit(&at, |it| {
                        it["spec"] = body["spec"].clone();
                        for part in ["labels", "annotations"] {
                            if let Some(marks) = body["metadata"].get(part) {
                                it["metadata"][part] = marks.clone();
                            }
                        }
                    }),
                }
                let uses =
                    self.publication
                        .takes(&key, &self.world.objects[&at], &Moved::default());
                self.world.index.insert(key, uses);
            }
            Act::Secret(name, marks) => {
                let at = self.secret(name);
                let mut body = json!({"data": {"password": "mine"}, "metadata": {}});
                if marks {
                    let (labels, annotations) = forged();
                    body["metadata"]["labels"] = Value::Object(labels);
                    body["metadata"]["annotations"] = Value::Object(annotations);
                }
                if !self.world.objects.contains_key(&at) {
                    self.world.put(&at, body);
                }
            }
            Act::Status(name, status) => {
                let i = self.agent(name);
                let at = self.hostile[i].origin();
                if self.world.objects.contains_key(&at) {
                    self.world.edit(&at, |it| it["status"] = status);
                }
            }
            Act::Finalizers(name, finalizers) => {
                let i = self.agent(name);
                let at = self.hostile[i].origin();
                if self.world.objects.contains_key(&at) {
                    self.world
                        .edit(&at, |it| it["metadata"]["finalizers"] = json!(finalizers));
                }
            }
            Act::Delete(name) => {
                let i = self.agent(name);
                let at = self.hostile[i].origin();
                self.world.delete(&at);
            }
            Act::DeleteSecret(name) => {
                let at = self.secret(name);
                self.world.delete(&at);
            }
            // Marks onto whatever stands there, also onto what the agent returned.
            Act::Relabel(name) => {
                let at = self.secret(name);
                if self.world.objects.contains_key(&at) {
                    let (labels, annotations) = forged();
                    self.world.edit(&at, |it| {
                        it["metadata"]["labels"] = Value::Object(labels);
                        it["metadata"]["annotations"] = Value::Object(annotations);
                    });
                }
            }
            Act::Restart => {
                for agent in &mut self.hostile {
                    agent.restart(&self.world);
                }
            }
        }
        for _ in 0..2 {
            for i in 0..self.hostile.len() {
                self.step(i);
            }
        }
        self.assert_held();
    }

    fn step(&mut self, i: usize) {
        let names = NAMES.iter().map(|name| self.secret(name));
        let secrets: Vec<ObjectRef> = names.collect();
        let agent = &mut self.hostile[i];
        let known = agent.record.origin.is_some();
        let there = [agent.origin(), agent.copy()];
        if !known && !there.iter().any(|at| self.world.objects.contains_key(at)) {
            return;
        }
        for at in there {
            agent.event(&self.world, &at);
        }
        for at in secrets {
            agent.hint(&self.world, &at);
        }
        let ending = agent.run(&mut self.world, None);
        if ending == Some(syncagent_core::plan::Ending::Gone) {
            agent.record = syncagent_core::plan::Record::default();
            self.world.index.remove(&agent.key);
        }
    }

    /// The walls stand.
    fn assert_held(&mut self) {
        for (at, was) in &self.others {
            assert_eq!(self.world.objects.get(at), Some(was), "{at}");
        }
        for (at, object) in &self.world.objects {
            let theirs = match &at.place {
                Place::Workspace(cluster) => cluster == "1abc",
                Place::Service => at.namespace == "1abc",
            };
            let operators = self.others.iter().any(|(it, _)| it == at);
            if theirs && !operators {
                let text = object["data"].to_string();
                for secret in SECRETS {
                    assert!(!text.contains(secret), "{at} has {secret}");
                }
            }
        }
        for agent in &mut self.hostile {
            let (looked, written) = (&mut agent.looked, &mut agent.written);
            let touched: Vec<ObjectRef> = looked.drain(..).chain(written.drain(..)).collect();
            let name = &agent.key.name;
            let ours = |at: &ObjectRef| match &at.place {
                Place::Workspace(cluster) => {
                    cluster == "1abc" && (at.namespace == "default" || at.namespace.is_empty())
                }
                Place::Service if at.kind.kind == "Namespace" => at.name == "1abc",
                Place::Service => {
                    let beside = [format!("{name}-rw"), format!("{name}-app"), name.clone()];
                    let declared = if at.kind.kind == "Secret" {
                        at.name.ends_with(".taken") || at.name == beside[1]
                    } else {
                        beside.contains(&at.name)
                    };
                    at.namespace == "1abc" && declared
                }
            };
            for at in &touched {
                assert!(ours(at), "{} looks at or writes to {at}", agent.key);
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(300))]

    #[test]
    fn whatever_a_consumer_writes_stays_with_them(acts in acts()) {
        static OPEN: LazyLock<Publication> = LazyLock::new(|| compile(open_thing()));
        let mut siege = Siege::new(&OPEN);
        for act in acts {
            siege.act(act);
        }
    }
}

#[test]
fn marks_of_a_consumer_never_reach_a_copy() {
    let publication = compile(open_thing());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let (labels, annotations) = forged();
    let mut body = order(&publication, &agent.key, &json!({"size": 1}));
    body["metadata"]["labels"] = Value::Object(labels);
    body["metadata"]["annotations"] = Value::Object(annotations);
    world.put(&agent.origin(), body);
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    let metadata = &world.objects[&agent.copy()]["metadata"];
    let identity = agent.key.identity();
    let mut wanted = identity.labels(AGENT);
    wanted.insert("team".into(), json!("mine"));
    assert_eq!(metadata["labels"], Value::Object(wanted));
    let annotations = metadata["annotations"].as_object().expect("annotations");
    for key in [
        "kcp.io/cluster",
        "kcp.io/path",
        "syncagent.kcp.io/takes",
        "syncagent.kcp.io/order",
    ] {
        assert!(!annotations.contains_key(key), "{key}");
    }
    assert_eq!(annotations["note"], "mine");
    assert_eq!(
        annotations["syncagent.kcp.io/publication"],
        publication.id()
    );
    assert_eq!(annotations["syncagent.kcp.io/origin-generation"], "1");
    let uid = &world.objects[&agent.origin()]["metadata"]["uid"];
    assert_eq!(annotations["syncagent.kcp.io/origin-uid"], *uid);
}

#[test]
fn every_single_mark_counts() {
    let identity = Identity {
        cluster: "1abc".into(),
        namespace: "default".into(),
        name: "a".into(),
    };
    let object = json!({"metadata": {
        "labels": identity.labels(AGENT),
        "annotations": identity.annotations(),
    }});
    assert_eq!(identity.standing(AGENT, &object), Standing::Ours);
    assert_eq!(
        identity.standing("another.example.io", &object),
        Standing::Foreign
    );
    for part in ["labels", "annotations"] {
        let marks = object["metadata"][part].as_object().expect("marks").clone();
        for mark in marks.keys() {
            let mut other = object.clone();
            other["metadata"][part][mark] = json!("x");
            assert_eq!(
                identity.standing(AGENT, &other),
                Standing::Foreign,
                "{mark} differs"
            );
            let mut less = object.clone();
            less["metadata"][part]
                .as_object_mut()
                .expect("marks")
                .remove(mark);
            assert_eq!(
                identity.standing(AGENT, &less),
                Standing::Foreign,
                "{mark} is missing"
            );
        }
    }
    // And seen from every other origin: no two of them share a copy.
    let others = [
        ("2xyz", "default", "a"),
        ("1abc", "other", "a"),
        ("1abc", "", "a"),
        ("1abc", "default", "b"),
    ];
    for (cluster, namespace, name) in others {
        let other = Identity {
            cluster: cluster.into(),
            namespace: namespace.into(),
            name: name.into(),
        };
        assert_eq!(
            other.standing(AGENT, &object),
            Standing::Foreign,
            "{other:?}"
        );
    }
    let bare = json!({"metadata": {"labels": {"team": "mine"}}});
    assert_eq!(identity.standing(AGENT, &bare), Standing::Unmarked);
}

fn problems(definition: Definition) -> String {
    match Publications::compile(AGENT, &[definition]) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn a_consumer_cannot_choose_the_whole_name_of_a_copy() {
    // The consumer calls a Secret `ca`, or an order `kcp` and a Secret `ca`: the operator makes a Secret `kcp-ca`.
    for naming in [
        "{name}",
        "{copy.name}-{name}",
        "{copy.name}.{name}",
        "{name}.{copy.name}",
    ] {
        let definition = Definition {
            fields: vec![takes("spec.secret", naming)],
            ..full_thing()
        };
        let said = problems(definition);
        let refused = [
            "a consumer could choose the name of an object that the operator makes",
            "run together",
        ];
        assert!(
            refused.iter().any(|it| said.contains(it)),
            "{naming}: {said:?}"
        );
    }
    for naming in [
        "{name}.taken",
        "taken.{name}",
        "{copy.name}-{name.hash}.taken",
        "{copy.name}-{name.hash}",
    ] {
        let definition = Definition {
            fields: vec![takes("spec.secret", naming)],
            returns: vec![],
            ..full_thing()
        };
        assert_eq!(problems(definition), "", "{naming}");
    }
}

#[test]
fn a_reference_that_is_a_path_is_no_name() {
    let publication = compile(full_thing());
    for name in ["../pw", "a/b", "2xyz/pw", "PW", "pw?x=1", "..", "pw%2f"] {
        let mut agent = Agent::new(&publication, &key(&publication, "a"));
        let mut world = World::default();
        let spec = json!({"size": 1, "secret": {"name": name}});
        world.put(&agent.origin(), order(&publication, &agent.key, &spec));
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
        let said = &world.objects[&agent.origin()]["status"]["conditions"][0];
        assert_eq!(said["reason"], "Invalid", "{name}");
        assert!(
            said["message"]
                .as_str()
                .is_some_and(|it| it.starts_with("spec.secret.name: ")),
            "{said}"
        );
        assert!(agent.looked.iter().all(|at| at.name != name), "{name}");
        assert!(!world.objects.contains_key(&agent.copy()));
    }
}

#[test]
fn a_returned_object_with_forged_marks_of_another_order_is_left_alone() {
    let publication = compile(full_thing());
    let forge = [
        (
            "agent",
            json!({"syncagent.kcp.io/agent-name": "another.example.io"}),
            "things.example.io/a",
        ),
        (
            "order",
            json!({"syncagent.kcp.io/agent-name": AGENT}),
            "things.example.io/b",
        ),
        ("no agent", json!({}), "things.example.io/a"),
    ];
    for (what, labels, of) in forge {
        let mut siege = Siege::new(&publication);
        let at = siege.secret("a-connection");
        let marks = json!({"labels": labels, "annotations": {"syncagent.kcp.io/order": of}});
        siege
            .world
            .put(&at, json!({"metadata": marks, "data": {"theirs": "x"}}));
        let theirs = siege.world.objects[&at].clone();
        siege.act(Act::Secret("pw", false));
        siege.act(Act::Order("a", json!("pw"), vec![], false));
        assert_eq!(siege.world.objects[&at], theirs, "{what}");
        let origin = siege.hostile[0].origin();
        let said = siege.world.objects[&origin]["status"]["conditions"][0]["reason"].clone();
        assert_eq!(said, "NameTaken", "{what}");
        siege.act(Act::Delete("a"));
        assert_eq!(siege.world.objects[&at], theirs, "{what}");
    }
}

#[test]
fn nonsense_on_a_returned_object_is_repaired() {
    let publication = compile(full_thing());
    for nonsense in [
        "",
        ":",
        "r:",
        "r99999999999999999999:x",
        "é:x",
        "t7.r7.o.s.c:x",
        "o..c:",
        "x:y:z",
    ] {
        let mut siege = Siege::new(&publication);
        siege.act(Act::Secret("pw", false));
        siege.act(Act::Order("a", json!("pw"), vec![], false));
        let at = siege.secret("a-connection");
        let wanted = siege.world.objects[&at]["data"].clone();
        siege.world.edit(&at, |it| {
            it["metadata"]["annotations"]["syncagent.kcp.io/made-of"] = json!(nonsense);
            it["data"] = json!({"wrong": "x"});
        });
        siege.act(Act::Restart);
        assert_eq!(siege.world.objects[&at]["data"], wanted, "{nonsense:?}");
    }
}

#[test]
fn an_order_that_takes_what_it_is_returned_comes_to_rest() {
    let publication = compile(full_thing());
    let mut siege = Siege::new(&publication);
    siege.act(Act::Secret("pw", false));
    for name in ["a", "b"] {
        siege.act(Act::Order(name, json!("pw"), vec![], false));
    }
    let own = siege.secret("a-connection");
    assert_eq!(siege.world.objects[&own]["data"]["password"], "mine");
    // Its own; then each other's.
    for (a, b) in [("a-connection", "pw"), ("b-connection", "a-connection")] {
        siege.act(Act::Order("a", json!(a), vec![], false));
        siege.act(Act::Order("b", json!(b), vec![], false));
        let before = siege.world.objects.clone();
        for _ in 0..4 {
            for i in 0..2 {
                siege.step(i);
            }
        }
        assert_eq!(before, siege.world.objects, "it rests");
    }
    // And the way out is open.
    for name in ["a", "b"] {
        siege.act(Act::Delete(name));
    }
    for i in [0, 1, 0, 1] {
        siege.step(i);
    }
    let left: Vec<&ObjectRef> = siege
        .world
        .objects
        .keys()
        .filter(|at| at.place == Place::Workspace("1abc".into()))
        .collect();
    assert_eq!(left, [&siege.secret("pw")]);
}

/// Stores and things that live in them.
fn referring(stores: CopyNaming, things: CopyNaming) -> [Definition; 2] {
    let store = kind("example.io", "Store", "stores");
    let only = Only {
        namespaces: vec!["default".into()],
        ..Only::default()
    };
    let refers = FieldRule {
        path: "spec.secret".into(),
        rule: Rule::RefersTo {
            offered: store.clone(),
            name_at: Some("name".into()),
        },
    };
    [
        Definition {
            copy: stores,
            only: only.clone(),
            ..Definition::new(store.clone(), store)
        },
        Definition {
            copy: things,
            only,
            fields: vec![refers],
            ..thing()
        },
    ]
}

fn naming(namespace: &str, name: &str) -> CopyNaming {
    CopyNaming {
        namespace: Some(namespace.into()),
        name: name.into(),
    }
}

#[test]
fn a_reference_leads_into_ones_own_workspace() {
    let definitions = referring(
        naming("all", "{workspace}-{name}"),
        naming("all", "{workspace}-{name}"),
    );
    let publications =
        Publications::compile(AGENT, &definitions).unwrap_or_else(|it| panic!("{it}"));
    let things = publications.get("things.example.io").expect("published");
    for name in NAMES.iter().chain(&["2xyz-a", "1abc-a", "store-of-2xyz"]) {
        let key = key(things, "a");
        let origin = order(things, &key, &json!({"secret": {"name": name}}));
        let intent = things
            .intent(&key, &origin)
            .unwrap_or_else(|it| panic!("{it:?}"));
        assert_eq!(
            intent.object["spec"]["secret"]["name"],
            format!("1abc-{name}")
        );
    }
}

#[test]
fn a_reference_cannot_leave_the_namespace_of_copies() {
    // A thing lives in `all`, the store it names in a namespace of the workspace: in `all`, that name is somebody else's.
    for (stores, things) in [
        (
            naming("{workspace}", "{name}"),
            naming("all", "{workspace}-{name}"),
        ),
        (
            naming("all", "{workspace}-{name}"),
            naming("{workspace}", "{name}"),
        ),
        (
            naming("stores-{workspace}", "{name}"),
            naming("{workspace}", "{name}"),
        ),
    ] {
        let said = match Publications::compile(AGENT, &referring(stores, things)) {
            Ok(_) => String::new(),
            Err(problems) => problems.to_string(),
        };
        assert!(said.contains("live in another namespace"), "{said:?}");
    }
}

#[test]
fn no_mark_depends_on_the_data_of_a_secret() {
    // Two worlds that differ in nothing but what is in the Secret: every label, every annotation and every name is the same.
    let marks = |password: &str| {
        let publication = compile(full_thing());
        let mut siege = Siege::new(&publication);
        let pw = siege.secret("pw");
        siege
            .world
            .put(&pw, json!({"data": {"password": password}}));
        siege.act(Act::Order("a", json!("pw"), vec![], false));
        assert!(
            siege
                .world
                .objects
                .contains_key(&siege.secret("a-connection"))
        );
        let all = siege.world.objects.iter();
        let mut marks: Vec<(String, Value, Value)> = Vec::new();
        for (at, it) in all {
            let metadata = &it["metadata"];
            marks.push((
                at.to_string(),
                metadata["labels"].clone(),
                metadata["annotations"].clone(),
            ));
        }
        marks
    };
    assert_eq!(marks("one"), marks("two"));
}

/// A rule that takes a Secret under a name that is a hash: a consumer cannot aim.
#[test]
fn taken_copies_of_two_orders_share_a_name_only_if_they_share_the_secret() {
    let definition = Definition {
        fields: vec![FieldRule {
            path: "spec.secret".into(),
            rule: Rule::Takes(TakeRule {
                kind: secret(),
                name_at: Some("name".into()),
                name: "{copy.name}-{name.hash}.taken".into(),
                labels: vec![],
            }),
        }],
        returns: vec![],
        ..full_thing()
    };
    let publication = compile(definition);
    let mut seen = std::collections::BTreeMap::new();
    for cluster in ["1abc", "2xyz"] {
        for order_name in NAMES {
            for name in NAMES {
                let key = Key {
                    cluster: cluster.into(),
                    ..key(&publication, order_name)
                };
                let origin = order(&publication, &key, &json!({"secret": {"name": name}}));
                let used = publication.takes(&key, &origin, &Moved::default());
                let copy = used
                    .iter()
                    .find(|at| at.place == Place::Service)
                    .expect("a copy")
                    .clone();
                let before = seen.insert(copy.clone(), (cluster, order_name, name));
                assert_eq!(before, None, "{copy}");
            }
        }
    }
}

#[test]
fn what_one_order_is_returned_and_another_takes_goes_whoever_ends_first() {
    let publication = compile(full_thing());
    for (first, meddles) in [("a", false), ("b", false), ("b", true)] {
        let mut siege = Siege::new(&publication);
        siege.act(Act::Secret("pw", false));
        siege.act(Act::Order("a", json!("pw"), vec![], false));
        siege.act(Act::Order("b", json!("a-connection"), vec![], false));
        let back = siege.secret("a-connection");
        assert_ne!(
            siege.world.objects[&back]["metadata"]["finalizers"],
            Value::Null
        );
        siege.act(Act::Delete(first));
        if meddles {
            // The consumer may delete it, too: it comes again.
            let before = siege.world.objects[&back]["metadata"]["uid"].clone();
            siege.act(Act::DeleteSecret("a-connection"));
            siege.act(Act::Secret("x", false));
            assert_ne!(siege.world.objects[&back]["metadata"]["uid"], before);
            // Or put something of their own in its place for a while.
            siege.act(Act::DeleteSecret("a-connection"));
            siege.world.put(&back, json!({"data": {"theirs": "x"}}));
            siege.act(Act::Secret("x", false));
            assert_eq!(siege.world.objects[&back]["data"], json!({"theirs": "x"}));
            siege.act(Act::DeleteSecret("a-connection"));
            siege.act(Act::Secret("x", false));
            assert_eq!(siege.world.objects[&back]["data"]["password"], "mine");
        }
        siege.act(Act::Delete(if first == "a" { "b" } else { "a" }));
        assert!(!siege.world.objects.contains_key(&back), "{first} first");
    }
}
