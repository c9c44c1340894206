//! Related objects that are found: by labels, by reference, by name; on either side, and through every turn of their life.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};
#[cfg(feature = "mutations")]
use syncagent_core::definition::Text;
use syncagent_core::definition::{
    Called, Change, Cleanup, CopyNaming, Definition, Expression, Find, Kind, Labelled, Mutation,
    Objects, Only, Policy, RelatedRule, Rewrite, Side, StatusRule, TextFn, Unproven,
};
use syncagent_core::object::finalizers;
use syncagent_core::plan::{Ending, Key, ObjectRef, Place};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, CLUSTER, compile, key, kind, order, secret, takes, thing};
use crate::related_table::{COPIES, SIDES, change};
use crate::world::{Agent, World};

fn config() -> Kind {
    kind("", "ConfigMap", "configmaps")
}

/// Things whose copies live beside each other under their own names.
fn with(rules: Vec<RelatedRule>) -> Definition {
    Definition {
        copy: CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}".into(),
        },
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        related: rules,
        ..thing()
    }
}

/// Every ConfigMap that says which order it is for.
fn scripts() -> RelatedRule {
    let selector = Labelled::label("for", "{name}");
    RelatedRule::new("scripts", Side::Workspace, config(), Find::Labels(selector))
}

/// The Secret that the operator names in the status.
fn credentials() -> RelatedRule {
    let find = Find::reference("status.secret");
    RelatedRule::new("credentials", Side::Service, secret(), find)
}

fn here(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef {
        place: Place::Workspace(CLUSTER.into()),
        kind,
        namespace: "default".into(),
        name: name.into(),
    }
}

fn there(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef {
        place: Place::Service,
        kind,
        namespace: CLUSTER.into(),
        name: name.into(),
    }
}

struct Case<'a> {
    publication: &'a Publication,
    world: World,
    agents: Vec<Agent<'a>>,
}

impl<'a> Case<'a> {
    /// Orders of these names, nothing synced yet.
    fn new(publication: &'a Publication, orders: &[&str]) -> Self {
        let mut world = World::default();
        let mut agents = Vec::new();
        for name in orders {
            let agent = Agent::new(publication, &key(publication, name));
            let spec = json!({"size": 1});
            world.put(&agent.origin(), order(publication, &agent.key, &spec));
            agents.push(agent);
        }
        Self {
            publication,
            world,
            agents,
        }
    }

    fn config(&mut self, name: &str, labels: &Value) -> ObjectRef {
        let at = here(config(), name);
        let object = json!({"metadata": {"labels": labels}, "data": {"text": name}});
        self.world.put(&at, object);
        at
    }

    /// Lets the first order see these objects, then run.
    fn see(&mut self, objects: &[ObjectRef]) -> (usize, usize, Vec<String>, Ending) {
        for at in objects {
            if [self.agents[0].origin(), self.agents[0].copy()].contains(at) {
                self.agents[0].event(&self.world, at);
            } else {
                self.agents[0].hint(&self.world, at);
            }
        }
        self.run(0)
    }

    fn run(&mut self, which: usize) -> (usize, usize, Vec<String>, Ending) {
        let agent = &mut self.agents[which];
        (agent.gets, agent.lists) = (0, 0);
        let ending = agent.run(&mut self.world, None).expect("it is not cut");
        let (gets, lists) = (agent.gets, agent.lists);
        (gets, lists, agent.take_sent(), ending)
    }

    fn begin(&mut self) -> (usize, usize, Vec<String>, Ending) {
        self.see(&[self.agents[0].origin()])
    }

    fn copy(&self) -> ObjectRef {
        self.agents[0].copy()
    }

    fn condition(&self) -> Value {
        self.world.objects[&self.agents[0].origin()]["status"]["conditions"][0].clone()
    }

    fn is_there(&self, at: &ObjectRef) -> bool {
        self.world.objects.contains_key(at)
    }

    fn is_held(&self, at: &ObjectRef) -> bool {
        !finalizers(&self.world.objects[at]).is_empty()
    }
}

fn problems(rules: Vec<RelatedRule>) -> String {
    match Publications::compile(AGENT, &[with(rules)]) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn what_has_the_labels_goes_down_and_costs_one_list() {
    let publication = compile(with(vec![scripts()]));
    let mut case = Case::new(&publication, &["a"]);
    let one = case.config("one", &json!({"for": "a"}));
    let two = case.config("two", &json!({"for": "a"}));
    let other = case.config("other", &json!({"for": "b"}));
    let (gets, lists, sent, ending) = case.begin();
    assert_eq!((gets, lists, ending), (2, 1, Ending::Settled));
    assert_eq!(
        sent,
        [
            "Hold 200",
            "Namespace 200",
            "Place 200",
            "HoldTaken(\"scripts\") 200",
            "HoldTaken(\"scripts\") 200",
            "Take(\"scripts\") 200",
            "Take(\"scripts\") 200",
            "Reflect 200"
        ]
    );
    assert!(case.is_there(&there(config(), "one.scripts")));
    assert!(case.is_there(&there(config(), "two.scripts")));
    assert!(!case.is_there(&there(config(), "other.scripts")));
    assert!(case.is_held(&one) && case.is_held(&two) && !case.is_held(&other));
    case.agents[0].assert_settled(&mut case.world);
    // Events of what is already there, and of what is none of this order's business, cost nothing.
    assert_eq!(case.see(&[one, two]), (0, 0, vec![], Ending::Settled));
}

#[test]
fn joiners_and_leavers_are_told_by_their_events_alone() {
    let publication = compile(with(vec![scripts()]));
    let mut case = Case::new(&publication, &["a"]);
    case.begin();
    // Registered before anything is there.
    let queries = case.agents[0].plan().queries;
    assert_eq!(queries.len(), 1, "{queries:?}");
    let late = case.config("late", &json!({"for": "a"}));
    let (gets, lists, sent, _) = case.see(std::slice::from_ref(&late));
    assert_eq!((gets, lists), (1, 0));
    assert_eq!(
        sent,
        ["HoldTaken(\"scripts\") 200", "Take(\"scripts\") 200"]
    );
    // Changed.
    case.world
        .edit(&late, |it| it["data"]["text"] = json!("new"));
    let (gets, lists, sent, _) = case.see(std::slice::from_ref(&late));
    assert_eq!((gets, lists), (1, 0));
    assert_eq!(sent, ["Retake(\"scripts\") 200"]);
    // It loses the label: its copy goes, and it is let go.
    case.world
        .edit(&late, |it| it["metadata"]["labels"] = json!({}));
    let (gets, lists, sent, ending) = case.see(std::slice::from_ref(&late));
    assert_eq!((gets, lists, ending), (0, 0, Ending::Settled));
    assert_eq!(
        sent,
        ["Untake(\"scripts\") 200", "ReleaseTaken(\"scripts\") 200"]
    );
    assert!(!case.is_held(&late));
    // And comes back.
    case.world
        .edit(&late, |it| it["metadata"]["labels"] = json!({"for": "a"}));
    let (_, lists, sent, _) = case.see(std::slice::from_ref(&late));
    assert_eq!(lists, 0);
    assert_eq!(
        sent,
        ["HoldTaken(\"scripts\") 200", "Take(\"scripts\") 200"]
    );
    // It is deleted: nothing keeps it.
    case.world.delete(&late);
    let (_, _, sent, ending) = case.see(std::slice::from_ref(&late));
    assert_eq!(
        sent,
        ["Untake(\"scripts\") 200", "ReleaseTaken(\"scripts\") 200"]
    );
    assert_eq!(ending, Ending::Settled);
    assert!(!case.is_there(&late) && !case.is_there(&there(config(), "late.scripts")));
}

/// The Go agent writes the rendered labels back into the rule, so that the first order's values stay for all others.
#[test]
fn labels_are_made_for_each_order_anew() {
    let publication = compile(with(vec![scripts()]));
    let mut case = Case::new(&publication, &["a", "b"]);
    case.config("of-a", &json!({"for": "a"}));
    case.config("of-b", &json!({"for": "b"}));
    let stranger = Key {
        cluster: "2xyz".into(),
        ..key(&publication, "a")
    };
    let mut elsewhere = Agent::new(&publication, &stranger);
    case.world.put(
        &elsewhere.origin(),
        order(&publication, &stranger, &json!({"size": 1})),
    );
    case.begin();
    let origin = case.agents[1].origin();
    case.agents[1].event(&case.world, &origin);
    case.run(1);
    elsewhere.event(&case.world, &elsewhere.origin());
    elsewhere.run(&mut case.world, None);
    let takes = |agent: &Agent<'_>| {
        let taken = agent.record.taken.iter();
        taken.map(|it| it.origin.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(takes(&case.agents[0]), ["of-a"]);
    assert_eq!(takes(&case.agents[1]), ["of-b"]);
    assert_eq!(takes(&elsewhere), Vec::<String>::new());
    for (agent, labels) in [(&case.agents[0], "for=a"), (&case.agents[1], "for=b")] {
        let queries = agent.plan().queries;
        assert_eq!(queries[0].labels.to_string(), labels);
    }
    assert_eq!(
        elsewhere.plan().queries[0].place,
        Place::Workspace("2xyz".into())
    );
}

#[test]
fn a_selector_that_demands_nothing_selects_nothing() {
    let nothing = RelatedRule::new(
        "all",
        Side::Workspace,
        config(),
        Find::Labels(Labelled::default()),
    );
    assert!(problems(vec![nothing]).contains("demands nothing"));
    // Also when it comes out empty only for an order.
    let mut selector = Labelled::label("", "x");
    selector.labels[0].0 =
        syncagent_core::definition::Text::With(TextFn::new(|_| Ok(String::new())));
    let rule = RelatedRule::new("all", Side::Workspace, config(), Find::Labels(selector));
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    let one = case.config("one", &json!({"for": "a"}));
    let (_, lists, _, ending) = case.begin();
    assert_eq!((lists, ending), (0, Ending::Settled));
    assert!(!case.is_held(&one));
}

#[test]
fn expressions_select_too() {
    let mut rule = scripts();
    rule.objects = Objects::from(Find::Labels(Labelled {
        labels: vec![("for".into(), "{name}".into())],
        expressions: vec![
            Expression::NotIn("stage".into(), vec!["draft".into()]),
            Expression::Exists("kind".into()),
        ],
    }));
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    case.config("yes", &json!({"for": "a", "kind": "x"}));
    case.config("draft", &json!({"for": "a", "kind": "x", "stage": "draft"}));
    case.config("plain", &json!({"for": "a"}));
    case.begin();
    let names: Vec<_> = case.agents[0]
        .record
        .taken
        .iter()
        .map(|it| it.origin.name.as_str())
        .collect();
    assert_eq!(names, ["yes"]);
}

#[test]
fn references_in_arrays_find_several_and_rewrite_what_they_find() {
    let find = Find::Reference {
        path: "spec.items[].ref.name".into(),
        rewrite: Some(Rewrite {
            pattern: "^ref-(.*)$".into(),
            replacement: "$1".into(),
        }),
    };
    let publication = compile(with(vec![RelatedRule::new(
        "parts",
        Side::Workspace,
        config(),
        find,
    )]));
    let mut case = Case::new(&publication, &["a"]);
    let one = case.config("one", &json!({}));
    let two = case.config("two", &json!({}));
    let origin = case.agents[0].origin();
    let refer = |case: &mut Case<'_>, names: &[&str]| {
        let items: Vec<Value> = names
            .iter()
            .map(|it| json!({"ref": {"name": it}}))
            .collect();
        case.world
            .edit(&origin, |it| it["spec"]["items"] = json!(items));
    };
    refer(&mut case, &["ref-one", "ref-two"]);
    let (gets, lists, _, ending) = case.begin();
    assert_eq!((gets, lists, ending), (2, 0, Ending::Settled));
    assert!(case.is_there(&there(config(), "one.parts")) && case.is_held(&two));
    // One is no longer named, another one is, and is not there yet.
    refer(&mut case, &["ref-two", "ref-late"]);
    let (_, _, sent, ending) = case.begin();
    assert!(
        sent.contains(&"Untake(\"parts\") 200".to_owned()),
        "{sent:?}"
    );
    assert!(matches!(ending, Ending::Waiting(_)), "{ending:?}");
    assert!(!case.is_held(&one) && !case.is_there(&there(config(), "one.parts")));
    assert_eq!(case.condition()["reason"], "WaitingForConfigMap");
    let late = case.config("late", &json!({}));
    case.see(&[late]);
    assert!(case.is_there(&there(config(), "late.parts")));
    assert_eq!(case.condition()["status"], "True");
}

#[test]
fn an_object_of_another_namespace_and_of_another_kind_on_the_other_side() {
    let mut rule = RelatedRule::new("ca", Side::Workspace, config(), Find::named("trust-{name}"));
    rule.into = secret();
    rule.namespaces = Some(Find::named("shared").into());
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    let at = ObjectRef {
        namespace: "shared".into(),
        ..here(config(), "trust-a")
    };
    case.world.put(&at, json!({"data": {"ca": "x"}}));
    let (gets, lists, _, ending) = case.begin();
    assert_eq!((gets, lists, ending), (1, 0, Ending::Settled));
    let copy = case
        .world
        .objects
        .iter()
        .find(|(it, _)| it.kind == secret())
        .map(|(it, object)| (it.clone(), object.clone()));
    let (copy_at, copy) = copy.expect("it went down as a Secret");
    assert_eq!(copy["kind"], "Secret");
    assert_eq!(copy_at.namespace, CLUSTER);
    assert!(copy_at.name.starts_with("a-") && copy_at.name.ends_with(".taken"));
    assert!(case.is_held(&at));
    case.agents[0].assert_settled(&mut case.world);
    case.agents[0].restart(&case.world);
    assert_eq!(case.run(0), (0, 0, vec![], Ending::Settled));
}

#[test]
fn namespaces_are_found_by_their_labels() {
    let mut rule = scripts();
    rule.namespaces = Some(Find::Labels(Labelled::label("team", "{namespace}")).into());
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    let namespace = |name: &str| ObjectRef {
        place: Place::Workspace(CLUSTER.into()),
        ..ObjectRef::service_namespace(name)
    };
    for (name, team) in [("x", "default"), ("y", "default"), ("z", "other")] {
        let labels = json!({"metadata": {"labels": {"team": team}}});
        case.world.put(&namespace(name), labels);
        let at = ObjectRef {
            namespace: name.into(),
            ..here(config(), "same")
        };
        let object = json!({"metadata": {"labels": {"for": "a"}}, "data": {"of": name}});
        case.world.put(&at, object);
    }
    let (_, lists, _, ending) = case.begin();
    assert_eq!((lists, ending), (3, Ending::Settled));
    let copies = |case: &Case<'_>| {
        let copies = case.world.objects.iter();
        copies
            .filter(|(at, _)| at.place == Place::Service && at.kind == config())
            .map(|(_, it)| it["data"]["of"].as_str().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(copies(&case), ["x", "y"].map(str::to_owned).into());
    // A namespace joins the team, and another one leaves it.
    let (x, z) = (namespace("x"), namespace("z"));
    case.world
        .edit(&x, |it| it["metadata"]["labels"] = json!({}));
    case.world.edit(&z, |it| {
        it["metadata"]["labels"] = json!({"team": "default"});
    });
    case.see(&[x, z]);
    assert_eq!(copies(&case), ["y", "z"].map(str::to_owned).into());
}

#[test]
fn what_the_operator_names_in_the_status_comes_up() {
    let publication = compile(with(vec![credentials()]));
    let mut case = Case::new(&publication, &["a"]);
    let (gets, lists, _, ending) = case.begin();
    assert_eq!((gets, lists, ending), (0, 0, Ending::Settled));
    let source = there(secret(), "op-made-this");
    case.world
        .put(&source, json!({"data": {"password": "eA=="}}));
    let copy = case.copy();
    case.world
        .edit(&copy, |it| it["status"]["secret"] = json!("op-made-this"));
    let (gets, lists, sent, _) = case.see(std::slice::from_ref(&copy));
    assert_eq!((gets, lists), (1, 0));
    assert_eq!(sent, ["Return(\"credentials\") 200"]);
    let up = here(secret(), "a-credentials");
    assert_eq!(case.world.objects[&up]["data"]["password"], "eA==");
    let text = case.world.objects[&up].to_string();
    assert!(!text.contains("op-made-this"), "{text}");
    case.agents[0].assert_settled(&mut case.world);
    // Changed: one look, one write.
    case.world
        .edit(&source, |it| it["data"]["password"] = json!("eQ=="));
    let (gets, _, sent, _) = case.see(std::slice::from_ref(&source));
    assert_eq!(
        (gets, sent),
        (1, vec!["Update(\"credentials\") 200".into()])
    );
    // After a restart nothing is read that a watch knows.
    case.agents[0].restart(&case.world);
    assert_eq!(case.run(0), (0, 0, vec![], Ending::Settled));
    // The operator makes another one: the same name in the workspace, other content.
    let second = there(secret(), "op-second");
    case.world
        .put(&second, json!({"data": {"password": "eg=="}}));
    case.world
        .edit(&copy, |it| it["status"]["secret"] = json!("op-second"));
    case.see(std::slice::from_ref(&copy));
    assert_eq!(case.world.objects[&up]["data"]["password"], "eg==");
    // It is named no more.
    case.world
        .edit(&copy, |it| it["status"] = json!({"phase": "ready"}));
    let (_, _, sent, _) = case.see(std::slice::from_ref(&copy));
    assert!(
        sent.contains(&"Unreturn(\"credentials\") 200".to_owned()),
        "{sent:?}"
    );
    assert!(!case.is_there(&up));
}

#[test]
fn what_comes_up_is_no_order_even_where_its_kind_is_offered() {
    let things = thing().offered;
    let rule = RelatedRule::new(
        "more",
        Side::Service,
        things.clone(),
        Find::named("{copy.name}-more"),
    );
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    case.world.put(
        &there(things.clone(), "a-more"),
        json!({"spec": {"size": 2}}),
    );
    case.begin();
    let up = here(things, "a-more");
    assert_eq!(case.world.objects[&up]["spec"]["size"], 2);
    let mut circle = Agent::new(&publication, &key(&publication, "a-more"));
    circle.event(&case.world, &up);
    circle.run(&mut case.world, None);
    assert_eq!(circle.take_sent(), Vec::<String>::new());
}

#[test]
fn what_the_operator_labels_comes_up_each_under_a_name_of_its_own() {
    let rule = RelatedRule::new(
        "users",
        Side::Service,
        secret(),
        Find::Labels(Labelled::label("cluster", "{copy.name}")),
    );
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    for name in ["a-app", "a-root"] {
        let object = json!({"metadata": {"labels": {"cluster": "a"}}, "data": {"user": name}});
        case.world.put(&there(secret(), name), object);
    }
    let (gets, lists, sent, _) = case.begin();
    assert_eq!((gets, lists), (2, 1));
    assert_eq!(sent.iter().filter(|it| it.starts_with("Return")).count(), 2);
    let up = |case: &Case<'_>| {
        let all = case.world.objects.keys();
        all.filter(|it| it.kind == secret() && it.place != Place::Service)
            .map(|it| it.name.clone())
            .collect::<Vec<_>>()
    };
    let names = up(&case);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names
            .iter()
            .all(|it| it.starts_with("a-users-") && !it.contains("app"))
    );
    // One is gone with its label; what is left over from before a restart is found by its marks.
    let root = there(secret(), "a-root");
    case.world
        .edit(&root, |it| it["metadata"]["labels"] = json!({}));
    case.agents[0].restart(&case.world);
    let (_, lists, sent, _) = case.run(0);
    assert_eq!((lists, sent), (1, vec!["Unreturn(\"users\") 200".into()]));
    assert_eq!(up(&case).len(), 1);
}

#[test]
fn two_originals_never_get_one_name() {
    let mut rule = scripts();
    rule.objects.called = Called::Rewritten(Rewrite {
        pattern: "-.*$".into(),
        replacement: ".script".into(),
    });
    let strict = problems(vec![rule.clone()]);
    assert!(strict.contains("could choose the name"), "{strict}");
    rule.unproven = Unproven::Allowed;
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    case.config("init-1", &json!({"for": "a"}));
    case.config("init-2", &json!({"for": "a"}));
    let (_, _, _, ending) = case.begin();
    assert!(matches!(ending, Ending::Refused(_)), "{ending:?}");
    assert_eq!(
        case.world.objects[&there(config(), "init.script")]["data"]["text"],
        "init-1"
    );
    let condition = case.condition();
    assert_eq!(condition["reason"], "NameTaken");
    assert_eq!(
        condition["message"],
        "the ConfigMap \"init-2\" would get the name of another one"
    );
    case.agents[0].assert_settled(&mut case.world);
    // The first one goes: the second one gets the name.
    let first = here(config(), "init-1");
    case.world.delete(&first);
    case.see(&[first]);
    assert_eq!(
        case.world.objects[&there(config(), "init.script")]["data"]["text"],
        "init-2"
    );
    assert_eq!(case.condition()["status"], "True");
}

#[test]
fn names_that_the_operator_needs_are_left_to_it() {
    let mut rule = scripts();
    rule.objects.called = Called::Text("{found}".into());
    let mut definition = with(vec![rule]);
    assert!(Publications::compile(AGENT, std::slice::from_ref(&definition)).is_err());
    definition.reserved = vec!["{copy.name}-ca".into(), "operator-config".into()];
    let publication = compile(definition);
    let mut case = Case::new(&publication, &["a"]);
    case.config("mine", &json!({"for": "a"}));
    for bad in ["b-ca", "operator-config"] {
        case.config(bad, &json!({"for": "a"}));
    }
    let (_, _, _, ending) = case.begin();
    assert!(matches!(ending, Ending::Refused(_)), "{ending:?}");
    assert_eq!(case.condition()["reason"], "NameReserved");
    assert!(case.is_there(&there(config(), "mine")));
    assert!(!case.is_there(&there(config(), "b-ca")));
    assert!(!case.is_there(&there(config(), "operator-config")));
    // Nobody is held for nothing.
    assert!(!case.is_held(&here(config(), "b-ca")));
}

#[test]
fn the_other_side_of_a_pair_is_read_from_the_other_primary() {
    let mut rule = RelatedRule::new(
        "pair",
        Side::Service,
        secret(),
        Objects::from(Find::reference("spec.pool")).called(Called::Mirrored),
    );
    let strict = problems(vec![rule.clone()]);
    assert!(strict.contains("could read any object"), "{strict}");
    rule.unproven = Unproven::Allowed;
    let publications = Publications::compile(AGENT, &[with(vec![rule])]).expect("it is allowed");
    assert_eq!(publications.warnings().len(), 1);
    let publication = publications.iter().next().expect("one").clone();
    let mut case = Case::new(&publication, &["a"]);
    let origin = case.agents[0].origin();
    case.world
        .edit(&origin, |it| it["spec"]["pool"] = json!("wanted"));
    case.world
        .put(&there(secret(), "wanted"), json!({"data": {"x": "eA=="}}));
    case.begin();
    assert!(case.is_there(&here(secret(), "wanted")));
    // What another workspace's order brought down is nobody else's.
    case.world.edit(&there(secret(), "wanted"), |it| {
        it["metadata"]["labels"] = json!({"syncagent.kcp.io/remote-object-cluster": "2xyz"});
        it["data"]["x"] = json!("c2VjcmV0");
    });
    case.see(&[there(secret(), "wanted")]);
    let up = &case.world.objects[&here(secret(), "wanted")];
    assert_eq!(up["data"]["x"], "eA==");
}

/// What the operator makes for an order comes up into a namespace of its own, which a workspace need not have.
fn into_another_namespace() -> RelatedRule {
    let called = |find, text: &str| Objects::from(find).called(Called::Text(text.into()));
    RelatedRule {
        namespaces: Some(called(Find::named("{copy.namespace}"), "team-{name}")),
        unproven: Unproven::Allowed,
        ..RelatedRule::new(
            "creds",
            Side::Service,
            secret(),
            called(Find::named("{copy.name}-creds"), "{name}-login"),
        )
    }
}

#[test]
fn a_namespace_that_is_missing_in_the_workspace_is_the_consumers_to_make() {
    let publication = compile(with(vec![into_another_namespace()]));
    let mut case = Case::new(&publication, &["a"]);
    let source = there(secret(), "a-creds");
    case.world.put(&source, json!({"data": {"x": "eA=="}}));
    case.world.lacking.push("team-a".into());
    let (_, _, sent, ending) = case.begin();
    assert!(
        sent.contains(&"Return(\"creds\") 404".to_owned()),
        "{sent:?}"
    );
    assert!(matches!(ending, Ending::Refused(_)), "{ending:?}");
    assert_eq!(case.condition()["reason"], "WaitingForNamespace");
    assert_eq!(
        case.condition()["message"],
        "the Secret \"a-login\" belongs into the namespace \"team-a\", which is not there: make it"
    );
    // A second look, minutes later, costs one try.
    case.agents[0].record.look_again();
    let (_, _, sent, _) = case.run(0);
    assert_eq!(sent, ["Return(\"creds\") 404"]);
    case.world.lacking.clear();
    case.agents[0].record.look_again();
    case.run(0);
    let up = ObjectRef {
        namespace: "team-a".into(),
        ..here(secret(), "a-login")
    };
    assert_eq!(case.world.objects[&up]["data"]["x"], "eA==");
    assert_eq!(case.condition()["status"], "True");
    case.agents[0].assert_settled(&mut case.world);
}

#[test]
fn as_the_go_agent_does_it_a_missing_namespace_is_made_in_the_workspace() {
    let publication = compile(Definition {
        policy: Policy::take_over("states"),
        ..with(vec![into_another_namespace()])
    });
    for closed in [false, true] {
        let mut case = Case::new(&publication, &["a"]);
        let source = there(secret(), "a-creds");
        case.world.put(&source, json!({"data": {"x": "eA=="}}));
        case.world.lacking.push("team-a".into());
        case.world.closed = closed;
        let (_, _, sent, ending) = case.begin();
        let namespace = ObjectRef {
            place: Place::Workspace(CLUSTER.into()),
            ..ObjectRef::service_namespace("team-a")
        };
        assert_eq!(case.is_there(&namespace), !closed, "{sent:?}");
        let up = ObjectRef {
            namespace: "team-a".into(),
            ..here(secret(), "a-login")
        };
        assert_eq!(case.is_there(&up), !closed, "{sent:?}");
        assert_eq!(matches!(ending, Ending::Refused(_)), closed, "{ending:?}");
    }
}

#[test]
fn what_is_made_anew_while_another_order_holds_it_is_let_go_and_taken_again() {
    let mut rule = credentials();
    rule.objects = Find::named("{copy.name}-creds").into();
    let mut definition = with(vec![rule]);
    definition.fields = vec![takes("spec.secret", "{name}.taken")];
    definition.recreate = vec!["credentials".into(), "spec.secret".into()];
    let publication = compile(definition);
    let mut case = Case::new(&publication, &["a", "b"]);
    let source = there(secret(), "a-creds");
    let object = |kind: &str| json!({"type": kind, "data": {"x": "eA=="}});
    case.world.put(&source, object("one"));
    case.begin();
    let up = here(secret(), "a-credentials");
    let second = case.agents[1].origin();
    case.world.edit(&second, |it| {
        it["spec"]["secret"] = json!({"name": "a-credentials"});
    });
    case.agents[1].event(&case.world, &second);
    case.run(1);
    assert!(case.is_held(&up));
    let before = case.world.objects[&up]["metadata"]["uid"].clone();
    // Its type cannot be changed, so it is made anew: while the other order holds it, it only goes.
    case.world.edit(&source, |it| it["type"] = json!("two"));
    for _ in 0..3 {
        case.see(&[source.clone(), up.clone()]);
        case.agents[1].hint(&case.world, &up);
        case.run(1);
    }
    let now = &case.world.objects[&up];
    assert_ne!(now["metadata"]["uid"], before);
    assert_eq!(now["type"], "two");
    assert!(case.is_held(&up), "{now:#}");
    let below = &case.world.objects[&there(secret(), "a-credentials.taken")];
    assert_eq!(below["type"], "two", "{below:#}");
}

#[test]
fn the_status_crosses_where_it_is_asked_for() {
    let mut rule = scripts();
    rule.kind = kind("example.io", "Script", "scripts");
    rule.into = rule.kind.clone();
    rule.status = true;
    let script = rule.kind.clone();
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    let at = here(script.clone(), "one");
    case.world.put(
        &at,
        json!({"metadata": {"labels": {"for": "a"}}, "spec": {"x": 1}, "status": {"ok": true}}),
    );
    let (gets, lists, sent, _) = case.begin();
    assert_eq!((gets, lists), (1, 1));
    assert!(
        sent.contains(&"Forward(\"scripts\") 200".to_owned()),
        "{sent:?}"
    );
    let copy = there(script, "one.scripts");
    assert_eq!(case.world.objects[&copy]["status"], json!({"ok": true}));
    case.agents[0].restart(&case.world);
    assert_eq!(case.run(0), (0, 1, vec![], Ending::Settled));
    case.world.edit(&at, |it| it["status"]["ok"] = json!(false));
    let (_, _, sent, _) = case.see(std::slice::from_ref(&at));
    assert_eq!(
        sent,
        ["Forward(\"scripts\") 200", "Retake(\"scripts\") 200"]
    );
    // A crash between the two writes of a new copy loses nothing.
    for cut in 0..9 {
        let mut case = Case::new(&publication, &["a"]);
        case.world.put(
            &at,
            json!({"metadata": {"labels": {"for": "a"}}, "spec": {"x": 1}, "status": {"ok": true}}),
        );
        let agent = &mut case.agents[0];
        agent.event(&case.world, &agent.origin());
        agent.run(&mut case.world, Some(cut));
        agent.restart(&case.world);
        agent.run(&mut case.world, None);
        assert_eq!(
            case.world.objects[&copy]["status"],
            json!({"ok": true}),
            "{cut}"
        );
    }
}

/// The Go agent answers a missing status subresource with an endless retry (defect 11).
#[test]
fn a_kind_without_status_takes_none_and_that_is_all() {
    let mut rule = scripts();
    rule.status = true;
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    case.world.statusless = vec!["ConfigMap".into()];
    let one = case.config("one", &json!({"for": "a"}));
    case.world
        .edit(&one, |it| it["status"] = json!({"odd": true}));
    let (_, _, sent, ending) = case.begin();
    assert!(
        sent.contains(&"Forward(\"scripts\") 404".to_owned()),
        "{sent:?}"
    );
    assert_eq!(ending, Ending::Settled);
    case.world
        .edit(&one, |it| it["data"]["text"] = json!("new"));
    let (_, _, sent, _) = case.see(&[one]);
    assert_eq!(sent, ["Retake(\"scripts\") 200"]);
}

#[test]
fn when_copies_go_is_a_policy() {
    for cleanup in [Cleanup::WithOrder, Cleanup::WithOrigin, Cleanup::Never] {
        let mut down = RelatedRule::new("down", Side::Workspace, config(), Find::named("one"));
        down.cleanup = cleanup;
        let mut up = RelatedRule::new("up", Side::Service, secret(), Find::named("{copy.name}-s"));
        up.cleanup = cleanup;
        let publication = compile(with(vec![down, up]));
        let start = || {
            let mut case = Case::new(&publication, &["a"]);
            let one = case.config("one", &json!({}));
            let source = there(secret(), "a-s");
            case.world.put(&source, json!({"data": {"x": "eA=="}}));
            case.begin();
            (case, one, source)
        };
        let (below, above) = (
            |case: &Case<'_>| {
                case.world
                    .objects
                    .keys()
                    .any(|it| it.place == Place::Service && it.kind == config())
            },
            |case: &Case<'_>| case.is_there(&here(secret(), "a-up")),
        );
        // The original goes, and comes back.
        let (mut case, one, source) = start();
        assert!(below(&case) && above(&case));
        case.world.delete(&one);
        case.world.objects.remove(&source);
        case.see(&[one.clone(), source.clone()]);
        case.see(&[one.clone(), source.clone()]);
        assert!(!case.is_there(&one), "{cleanup:?}: it was let go");
        let stays = cleanup != Cleanup::WithOrigin;
        assert_eq!((below(&case), above(&case)), (stays, stays), "{cleanup:?}");
        case.config("one", &json!({}));
        case.world.put(&source, json!({"data": {"x": "eQ=="}}));
        case.see(&[one.clone(), source.clone()]);
        assert!(
            below(&case) && above(&case) && case.is_held(&one),
            "{cleanup:?}"
        );
        assert_eq!(
            case.world.objects[&here(secret(), "a-up")]["data"]["x"],
            "eQ=="
        );
        case.agents[0].assert_settled(&mut case.world);
        // The order goes; with and without a restart in between.
        for restarted in [false, true] {
            let (mut case, one, _) = start();
            let origin = case.agents[0].origin();
            case.world.delete(&origin);
            if restarted {
                case.agents[0].restart(&case.world);
            }
            let (_, _, sent, _) = case.begin();
            let stays = cleanup == Cleanup::Never;
            assert_eq!(
                (below(&case), above(&case)),
                (stays, stays),
                "{cleanup:?}: {sent:?}"
            );
            assert!(!case.is_held(&one), "{cleanup:?}: {sent:?}");
            assert!(!case.is_there(&origin));
        }
    }
}

/// In the Go agent the finalizer stays for ever when the copy of the order was removed first (defect 23).
#[test]
fn finalizers_are_let_go_in_every_order_of_deletion() {
    let publication = compile(with(vec![scripts()]));
    let steps = ["order", "copy", "one", "below"];
    for first in steps {
        for second in steps {
            for third in steps {
                for restarted in [false, true] {
                    let mut case = Case::new(&publication, &["a"]);
                    let one = case.config("one", &json!({"for": "a"}));
                    case.begin();
                    let origin = case.agents[0].origin();
                    let (copy, below) = (case.copy(), there(config(), "one.scripts"));
                    for what in [first, second, third] {
                        let at = match what {
                            "order" => &origin,
                            "copy" => &copy,
                            "one" => &one,
                            _ => &below,
                        };
                        case.world.delete(at);
                        if restarted {
                            case.agents[0].restart(&case.world);
                            case.run(0);
                        } else {
                            case.see(std::slice::from_ref(at));
                        }
                    }
                    case.world.delete(&origin);
                    case.see(std::slice::from_ref(&origin));
                    let said = format!("{first}, {second}, {third}, {restarted}");
                    assert!(!case.is_there(&origin), "{said}");
                    assert!(!case.is_there(&below) && !case.is_there(&copy), "{said}");
                    assert!(!case.is_there(&one) || !case.is_held(&one), "{said}");
                }
            }
        }
    }
}

#[test]
fn what_two_orders_share_stays_until_the_last_one_is_gone() {
    let mut rule = scripts();
    rule.objects = Find::Labels(Labelled::label("shared", "yes")).into();
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a", "b"]);
    let one = case.config("one", &json!({"shared": "yes"}));
    let below = there(config(), "one.scripts");
    case.begin();
    let second = case.agents[1].origin();
    case.agents[1].event(&case.world, &second);
    let (_, _, sent, _) = case.run(1);
    assert!(
        !sent.contains(&"Take(\"scripts\") 200".to_owned()),
        "{sent:?}"
    );
    let first = case.agents[0].origin();
    case.world.delete(&first);
    case.begin();
    assert!(case.is_there(&below) && case.is_held(&one));
    case.world.index.remove(&case.agents[0].key);
    case.world.delete(&second);
    case.agents[1].event(&case.world, &second);
    case.run(1);
    assert!(!case.is_there(&below) && !case.is_held(&one));
}

#[test]
fn what_left_or_whose_order_vanished_while_nobody_looked_is_cleaned_up() {
    let publication = compile(with(vec![scripts()]));
    let mut case = Case::new(&publication, &["a"]);
    let one = case.config("one", &json!({"for": "a"}));
    let two = case.config("two", &json!({"for": "a"}));
    case.begin();
    case.world
        .edit(&one, |it| it["metadata"]["labels"] = json!({}));
    case.agents[0].restart(&case.world);
    let (gets, lists, sent, _) = case.run(0);
    assert_eq!((gets, lists), (0, 1));
    assert_eq!(
        sent,
        ["Untake(\"scripts\") 200", "ReleaseTaken(\"scripts\") 200"]
    );
    assert!(!case.is_held(&one) && case.is_held(&two));
    case.world.objects.remove(&case.agents[0].origin());
    case.agents[0].restart(&case.world);
    let (_, _, _, ending) = case.run(0);
    assert_eq!(ending, Ending::Gone);
    assert!(!case.is_held(&two) && !case.is_there(&there(config(), "two.scripts")));
}

#[test]
fn what_may_not_be_listed_is_said_and_costs_nobody_a_copy() {
    let publication = compile(with(vec![scripts()]));
    let mut case = Case::new(&publication, &["a"]);
    case.config("one", &json!({"for": "a"}));
    case.begin();
    let below = there(config(), "one.scripts");
    assert!(case.is_there(&below));
    case.world.barred = true;
    case.agents[0].restart(&case.world);
    let (_, _, _, ending) = case.run(0);
    assert!(matches!(ending, Ending::Refused(_)), "{ending:?}");
    assert!(case.is_there(&below), "a lost permission is no evidence");
    assert_eq!(case.condition()["reason"], "NotAllowed");
}

#[test]
fn every_crash_converges_to_the_same_world() {
    let definition = Definition {
        status: StatusRule::Whole,
        ..with(vec![scripts(), credentials()])
    };
    let publication = compile(definition);
    let build = || {
        let mut case = Case::new(&publication, &["a"]);
        case.config("one", &json!({"for": "a"}));
        case.config("two", &json!({"for": "a"}));
        case.world
            .put(&there(secret(), "op"), json!({"data": {"x": "eA=="}}));
        case
    };
    let fulfil = |case: &mut Case<'_>| {
        let copy = case.copy();
        if case.is_there(&copy) {
            case.world
                .edit(&copy, |it| it["status"]["secret"] = json!("op"));
        }
    };
    let finish = |case: &mut Case<'_>| {
        for _ in 0..2 {
            fulfil(case);
            let copy = case.copy();
            case.see(std::slice::from_ref(&copy));
        }
        case.agents[0].assert_settled(&mut case.world);
        case.world.picture()
    };
    let mut whole = build();
    whole.begin();
    let wanted = finish(&mut whole);
    assert!(
        wanted.keys().any(|it| it.contains("a-credentials")),
        "{wanted:#?}"
    );
    for cut in 0..12 {
        let mut case = build();
        let origin = case.agents[0].origin();
        case.agents[0].event(&case.world, &origin);
        case.agents[0].run(&mut case.world, Some(cut));
        case.agents[0].restart(&case.world);
        case.run(0);
        assert_eq!(finish(&mut case), wanted, "cut after {cut}");
        // And the same for its end.
        for end in 0..8 {
            let mut case = Case {
                publication: case.publication,
                world: case.world.clone(),
                agents: case.agents.clone(),
            };
            let origin = case.agents[0].origin();
            case.world.delete(&origin);
            case.agents[0].event(&case.world, &origin);
            case.agents[0].run(&mut case.world, Some(end));
            case.agents[0].restart(&case.world);
            case.run(0);
            let left: Vec<_> = case.world.objects.keys().map(ToString::to_string).collect();
            assert_eq!(left.len(), 4, "{end}: {left:#?}");
        }
    }
}

#[test]
fn what_crosses_is_changed_on_the_way() {
    let at = |path: &str, change| vec![Mutation::new(path, change)];
    let pattern = Change::Regex {
        pattern: "^(.*)$".into(),
        replacement: "sh $1".into(),
    };
    let mut down = scripts();
    down.mutations = at("data.text", pattern);
    let mut up = RelatedRule::new("up", Side::Service, secret(), Find::named("{copy.name}-s"));
    up.mutations = at("data.root", Change::Delete);
    let publication = compile(with(vec![down, up]));
    let mut case = Case::new(&publication, &["a"]);
    case.config("one", &json!({"for": "a"}));
    let source = json!({"data": {"root": "cg==", "app": "eA=="}});
    case.world.put(&there(secret(), "a-s"), source);
    case.begin();
    let below = &case.world.objects[&there(config(), "one.scripts")];
    assert_eq!(below["data"]["text"], "sh one");
    let above = &case.world.objects[&here(secret(), "a-up")];
    assert_eq!(above["data"], json!({"app": "eA=="}));
    case.agents[0].assert_settled(&mut case.world);
}

#[test]
fn a_function_that_refuses_is_heard_and_blocks_nothing_else() {
    let mut rule = scripts();
    rule.mutations = vec![Mutation::new(
        "data.text",
        Change::Function(|value| match value.as_str() {
            Some("bad") => Err("data.text must be a script".into()),
            _ => Ok(value.clone()),
        }),
    )];
    let publication = compile(with(vec![rule]));
    let mut case = Case::new(&publication, &["a"]);
    let bad = case.config("bad", &json!({"for": "a"}));
    case.config("good", &json!({"for": "a"}));
    case.begin();
    assert!(case.is_there(&there(config(), "good.scripts")));
    assert!(!case.is_there(&there(config(), "bad.scripts")));
    assert_eq!(
        case.condition()["message"],
        "a ConfigMap cannot be brought over: data.text must be a script"
    );
    case.agents[0].assert_settled(&mut case.world);
    case.world
        .edit(&bad, |it| it["data"]["text"] = json!("echo"));
    case.see(&[bad]);
    assert!(case.is_there(&there(config(), "bad.scripts")));
    assert_eq!(case.condition()["status"], "True");
}

/// What a `PublishedResource` says: texts of both sides, and values that follow the order.
#[cfg(feature = "mutations")]
#[test]
fn gos_templates_find_and_name() {
    let go = |text: &str| Text::Go(text.into());
    let selector = Labelled {
        labels: vec![("for".into(), go("{{ .RemoteObject.metadata.name }}"))],
        expressions: Vec::new(),
    };
    let mut down = RelatedRule::new(
        "down",
        Side::Workspace,
        config(),
        Objects::from(Find::Labels(selector)).called(Called::Text(go(
            "{{ .Value }}-{{ .LocalObject.metadata.name }}-{{ sha1sum .ClusterName | trunc 8 }}",
        ))),
    );
    down.unproven = Unproven::Allowed;
    let mut up = RelatedRule::new(
        "up",
        Side::Service,
        secret(),
        Objects::from(Find::Named(go(
            r#"{{ if eq .Side "kcp" }}mine{{ else }}{{ .Object.metadata.name }}-s{{ end }}"#,
        )))
        .called(Called::Mirrored),
    );
    up.unproven = Unproven::Allowed;
    let publication = compile(with(vec![down, up]));
    let mut case = Case::new(&publication, &["a", "b"]);
    case.config("one", &json!({"for": "a"}));
    case.config("two", &json!({"for": "b"}));
    case.world
        .put(&there(secret(), "a-s"), json!({"data": {"x": "eA=="}}));
    case.begin();
    let copies = case.world.objects.keys();
    let copies: Vec<_> = copies
        .filter(|it| it.kind == config() && it.place == Place::Service)
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert!(copies[0].starts_with("one-a-"), "{copies:?}");
    assert!(case.is_there(&here(secret(), "mine")));
    case.agents[0].assert_settled(&mut case.world);
}

/// `found_table.txt` has one world per line, as `related_table.txt` has: what is read (GETs and LISTs), what is written, and
/// what the consumer is told.
#[test]
fn every_small_world_of_found_objects() {
    let up = RelatedRule::new(
        "users",
        Side::Service,
        secret(),
        Find::Labels(Labelled::label("for", "{copy.name}")),
    );
    let publication = compile(with(vec![scripts(), up]));
    let mut start = Case::new(&publication, &["a"]);
    let one = start.config("one", &json!({"for": "a"}));
    let source = there(secret(), "s");
    let labelled = json!({"metadata": {"labels": {"for": "a"}}, "data": {"text": "x"}});
    start.world.put(&source, labelled);
    start.begin();
    let returned = start.agents[0].record.returned[0].object.clone();
    let below = [one, there(config(), "one.scripts")];
    let above = [source, returned];
    let mut table = String::from(
        "which    source     object    known | gets, lists; writes; what the consumer is told\n",
    );
    let new = json!({"data": {"text": "new"}});
    for (which, [source, object]) in [("down", &below), ("up", &above)] {
        for source_is in SIDES.into_iter().chain(["unlabelled"]) {
            for object_is in COPIES {
                for known in ["none", "same"] {
                    let (mut world, mut agent) = (start.world.clone(), start.agents[0].clone());
                    change(&mut world, source, source_is, &new);
                    change(&mut world, object, object_is, &new);
                    let theirs = world.objects.get(object).cloned();
                    (agent.gets, agent.lists) = (0, 0);
                    if known == "none" {
                        agent.restart(&world);
                    } else {
                        for at in [source, object] {
                            agent.hint(&world, at);
                        }
                    }
                    agent.run(&mut world, None);
                    let (gets, lists, sent) = (agent.gets, agent.lists, agent.sent.join(", "));
                    let condition = &world.objects[&agent.origin()]["status"]["conditions"][0];
                    let reason = condition["reason"].as_str().unwrap_or("-");
                    let world_is = format!("{which:<8} {source_is:<10} {object_is:<9} {known:<5}");
                    writeln!(table, "{world_is} | {gets}, {lists}; {sent}; {reason}").unwrap();
                    if object_is == "foreign" {
                        assert_eq!(world.objects.get(object), theirs.as_ref(), "{world_is}");
                    }
                    if (source_is, object_is) == ("as it was", "as it was") {
                        assert_eq!((gets, sent.as_str()), (0, ""), "{world_is}");
                    }
                    // After a restart the copy is what tells of a leaver: without one nobody knows that it was held.
                    let told = known == "same" || !["absent", "foreign"].contains(&object_is);
                    if source_is == "unlabelled" && which == "down" && told {
                        assert!(finalizers(&world.objects[source]).is_empty(), "{world_is}");
                    }
                    if known == "same" {
                        assert_eq!(lists, 0, "{world_is}: events tell who joins and leaves");
                    }
                    assert!(
                        gets <= 6 && lists <= 2 && agent.sent.len() <= 4,
                        "{world_is}"
                    );
                    agent.assert_settled(&mut world);
                }
            }
        }
    }
    expect_file!["found_table.txt"].assert_eq(&table);
}

#[test]
fn every_problem_of_a_rule_is_said() {
    let mut twice = scripts();
    twice.objects.called = Called::Mirrored;
    let mut elsewhere = RelatedRule::new("up", Side::Service, secret(), Find::named("fixed"));
    elsewhere.namespaces = Some(Find::named("operator").into());
    let mut run = scripts();
    run.id = "run".into();
    run.objects.called = Called::Text("{namespace}-{found}".into());
    let mut bad = scripts();
    bad.id = "bad".into();
    bad.objects = Objects::from(Find::named("x")).called(Called::Rewritten(Rewrite {
        pattern: "(".into(),
        replacement: String::new(),
    }));
    let said = problems(vec![scripts(), twice, elsewhere, run, bad]);
    for part in [
        "related `scripts`: give it an id that no other rule has",
        "related `scripts`: what is selected by labels has no counterpart on the other side",
        "related `up`: it could find an object of another workspace",
        "related `run`: `{namespace}` and `{found}` run together",
        "related `bad`: `(` is no regular expression",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
