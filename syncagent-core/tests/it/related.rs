//! Related objects: what goes down, what comes up, what it costs, and what a consumer cannot do with it.

use serde_json::{Value, json};
use syncagent_core::plan::{Ending, ObjectRef, Sight};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, full_thing, key, order, secret, service, takes};
use crate::world::{Agent, World, version_of};

struct Case<'a> {
    agent: Agent<'a>,
    world: World,
    pw: ObjectRef,
    taken: ObjectRef,
    rw: ObjectRef,
    connection: ObjectRef,
}

impl<'a> Case<'a> {
    fn new(publication: &'a Publication) -> Self {
        let agent = Agent::new(publication, &key(publication, "a"));
        let here = |name: &str| ObjectRef {
            kind: secret(),
            name: name.into(),
            ..agent.origin()
        };
        let there = |kind, name: &str| ObjectRef {
            kind,
            name: name.into(),
            ..agent.copy()
        };
        let mut world = World::default();
        let spec = json!({"size": 1, "secret": {"name": "pw"}});
        world.put(&agent.origin(), order(publication, &agent.key, &spec));
        Self {
            pw: here("pw"),
            connection: here("a-connection"),
            taken: there(secret(), "pw.taken"),
            rw: there(service(), "a-rw"),
            agent,
            world,
        }
    }

    fn go(&mut self) -> (usize, Vec<String>, Ending) {
        self.agent.gets = 0;
        let ending = self
            .agent
            .run(&mut self.world, None)
            .expect("it is not cut");
        let gets = self.agent.gets;
        (gets, self.agent.take_sent(), ending)
    }

    fn with_secret(mut self) -> Self {
        self.world.put(
            &self.pw,
            json!({"data": {"password": "eA=="}, "type": "Opaque"}),
        );
        self
    }

    fn with_service(mut self) -> Self {
        self.world
            .put(&self.rw, json!({"status": {"ip": "10.0.0.1"}}));
        self
    }

    fn condition(&self) -> Value {
        self.world.objects[&self.agent.origin()]["status"]["conditions"][0].clone()
    }
}

#[test]
fn a_taken_secret_costs_one_read_a_hold_and_a_write() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    let (gets, sent, _) = case.go();
    assert_eq!(gets, 1);
    assert_eq!(
        sent,
        [
            "Hold 200",
            "Namespace 200",
            "Place 200",
            "HoldTaken(\"spec.secret\") 200",
            "Take(\"spec.secret\") 200",
            "Reflect 200"
        ]
    );
    let copy = &case.world.objects[&case.taken];
    assert_eq!(copy["data"], json!({"password": "eA=="}));
    assert_eq!(copy["metadata"]["labels"]["reload"], "true");
    assert_eq!(
        case.world.objects[&case.agent.copy()]["spec"]["secret"]["name"],
        "pw.taken"
    );
    // No hash of its data stands anywhere: the marks are names, names of keys, uids and versions.
    let marks = copy["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(
        marks["syncagent.kcp.io/related-origin-resource-version"],
        json!(version_of(&case.world, &case.pw))
    );
    assert_eq!(
        marks["syncagent.kcp.io/related-fields"],
        r#"["/data/password","/type"]"#
    );
    assert_eq!(marks.len(), 7, "{marks:?}");
    case.agent.assert_settled(&mut case.world);
}

#[test]
fn a_changed_secret_costs_one_read_and_one_write() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world
        .edit(&case.pw, |it| it["data"]["password"] = json!("eQ=="));
    case.agent.hint(&case.world, &case.pw);
    let (gets, sent, _) = case.go();
    assert_eq!(
        (gets, sent),
        (1, vec!["Retake(\"spec.secret\") 200".into()])
    );
    assert_eq!(case.world.objects[&case.taken]["data"]["password"], "eQ==");
    // Echoes cost nothing.
    case.agent.hint(&case.world, &case.pw);
    case.agent.hint(&case.world, &case.taken);
    let (gets, sent, _) = case.go();
    assert_eq!((gets, sent), (0, vec![]));
}

#[test]
fn a_missing_secret_is_waited_for_and_picked_up() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication);
    case.agent.event(&case.world, &case.agent.origin());
    let (_, sent, ending) = case.go();
    assert!(
        sent.contains(&"Place 200".into()),
        "the order is placed all the same"
    );
    assert!(matches!(ending, Ending::Waiting(_)), "{ending:?}");
    let condition = case.condition();
    assert_eq!(
        (&condition["reason"], &condition["message"]),
        (
            &json!("WaitingForSecret"),
            &json!("waiting for the Secret \"pw\"")
        )
    );
    let planned = case.agent.plan();
    assert!(
        planned.concerns.contains(&case.pw),
        "its appearance is noticed"
    );
    case = case.with_secret();
    case.agent.hint(&case.world, &case.pw);
    let (gets, sent, _) = case.go();
    // The Secret, and the copy, whose status stands in the same list as our condition.
    assert_eq!(gets, 2);
    assert_eq!(
        sent,
        [
            "HoldTaken(\"spec.secret\") 200",
            "Take(\"spec.secret\") 200",
            "Reflect 200"
        ]
    );
    assert_eq!(case.condition()["status"], "True");
}

#[test]
fn a_vanished_secret_leaves_its_copy() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world.delete(&case.pw);
    case.agent.hint(&case.world, &case.pw);
    let (_, sent, _) = case.go();
    assert_eq!(sent, ["ReleaseTaken(\"spec.secret\") 200", "Reflect 200"]);
    assert!(case.world.objects.contains_key(&case.taken));
    assert_eq!(case.condition()["reason"], "WaitingForSecret");
    case.agent.hint(&case.world, &case.pw);
    let (_, sent, _) = case.go();
    assert_eq!(sent, Vec::<String>::new());
    // A new one of that name is picked up.
    case = case.with_secret();
    case.agent.hint(&case.world, &case.pw);
    let (_, sent, _) = case.go();
    assert_eq!(
        sent,
        [
            "HoldTaken(\"spec.secret\") 200",
            "Retake(\"spec.secret\") 200",
            "Reflect 200"
        ]
    );
}

#[test]
fn an_object_of_the_operator_is_not_overwritten_by_a_taken_one() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.world
        .put(&case.taken, json!({"data": {"ca": "c2VjcmV0"}}));
    let theirs = case.world.objects[&case.taken].clone();
    case.agent.event(&case.world, &case.agent.origin());
    let (_, _, ending) = case.go();
    assert!(matches!(ending, Ending::Refused(_)));
    assert_eq!(case.world.objects[&case.taken], theirs);
    assert_eq!(case.condition()["reason"], "NameTaken");
    assert!(
        !case.condition().to_string().contains("taken\""),
        "{}",
        case.condition()
    );
}

#[test]
fn a_taken_copy_with_the_marks_of_another_is_left_alone() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    // The same object, of another workspace: it says so in one label, and nowhere else.
    case.world.edit(&case.taken, |it| {
        it["metadata"]["labels"]["syncagent.kcp.io/remote-object-cluster"] = json!("2xyz");
    });
    let theirs = case.world.objects[&case.taken].clone();
    case.world
        .edit(&case.pw, |it| it["data"]["password"] = json!("eQ=="));
    for at in [case.pw.clone(), case.taken.clone()] {
        case.agent.hint(&case.world, &at);
    }
    case.go();
    assert_eq!(case.world.objects[&case.taken], theirs);
    assert_eq!(case.condition()["reason"], "NameTaken");
    // Nor is it taken along at the end.
    case.world.delete(&case.agent.origin());
    case.agent.event(&case.world, &case.agent.origin());
    case.agent.hint(&case.world, &case.taken);
    case.go();
    assert_eq!(case.world.objects[&case.taken], theirs);
}

#[test]
fn a_secret_that_may_not_be_read_is_said() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.world.barred = true;
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    assert_eq!(case.condition()["reason"], "NotAllowed");
}

#[test]
fn a_composed_object_is_made_when_it_can_be_and_again_when_it_must() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    let (_, _, ending) = case.go();
    assert!(matches!(ending, Ending::Waiting(_)), "{ending:?}");
    assert!(case.agent.plan().concerns.contains(&case.rw));
    case = case.with_service();
    case.agent.hint(&case.world, &case.rw);
    let (gets, sent, _) = case.go();
    // The order, the Service and the Secret are read.
    assert_eq!((gets, sent), (3, vec!["Return(\"connection\") 200".into()]));
    assert_eq!(
        case.world.objects[&case.connection]["data"],
        json!({"host": "10.0.0.1", "password": "eA=="})
    );
    let back = case.world.objects[&case.connection].to_string();
    assert!(
        !back.contains("a-rw") && !back.contains("pw.taken"),
        "{back}"
    );
    case.agent.assert_settled(&mut case.world);
    // A status that the function never looked at costs nothing more than itself.
    case.world.edit(&case.agent.copy(), |copy| {
        copy["status"] = json!({"phase": "ready"});
    });
    case.agent.event(&case.world, &case.agent.copy());
    assert_eq!(case.go(), (0, vec!["Reflect 200".into()], Ending::Settled));
    case.world
        .edit(&case.rw, |it| it["status"]["ip"] = json!("10.0.0.2"));
    case.agent.hint(&case.world, &case.rw);
    let (_, sent, _) = case.go();
    assert_eq!(sent, ["Update(\"connection\") 200"]);
    assert_eq!(
        case.world.objects[&case.connection]["data"]["host"],
        "10.0.0.2"
    );
}

#[test]
fn a_changed_password_reaches_the_service_and_what_is_returned() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret().with_service();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world
        .edit(&case.pw, |it| it["data"]["password"] = json!("eQ=="));
    case.agent.hint(&case.world, &case.pw);
    let (_, sent, _) = case.go();
    assert_eq!(
        sent,
        ["Retake(\"spec.secret\") 200", "Update(\"connection\") 200"]
    );
    assert_eq!(
        case.world.objects[&case.connection]["data"]["password"],
        "eQ=="
    );
}

#[test]
fn what_a_consumer_does_to_a_returned_object_is_undone() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret().with_service();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world.edit(&case.connection, |it| {
        it["data"]["host"] = json!("elsewhere");
    });
    case.agent.hint(&case.world, &case.connection);
    let (_, sent, _) = case.go();
    assert_eq!(sent, ["Update(\"connection\") 200"]);
    assert_eq!(
        case.world.objects[&case.connection]["data"]["host"],
        "10.0.0.1"
    );
    case.world.delete(&case.connection);
    case.agent.hint(&case.world, &case.connection);
    let (_, sent, _) = case.go();
    assert_eq!(sent, ["Return(\"connection\") 200"]);
    // A label of theirs is none of our business.
    case.world.edit(&case.connection, |it| {
        it["metadata"]["labels"]["mine"] = json!("x");
    });
    case.agent.hint(&case.world, &case.connection);
    let (gets, sent, _) = case.go();
    assert_eq!((gets, sent), (1, vec![]));
}

#[test]
fn an_object_of_the_consumer_is_not_overwritten_by_a_returned_one() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret().with_service();
    case.world
        .put(&case.connection, json!({"data": {"mine": "eA=="}}));
    let theirs = case.world.objects[&case.connection].clone();
    case.agent.event(&case.world, &case.agent.origin());
    let (_, _, ending) = case.go();
    assert!(matches!(ending, Ending::Refused(_)));
    assert_eq!(case.world.objects[&case.connection], theirs);
    assert_eq!(case.condition()["reason"], "NameTaken");
    // And it survives the order.
    case.world.delete(&case.agent.origin());
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    assert_eq!(case.world.objects[&case.connection], theirs);
}

#[test]
fn the_end_cleans_up_and_costs_two_writes_per_taken_and_one_per_returned() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret().with_service();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world.delete(&case.agent.origin());
    case.agent.event(&case.world, &case.agent.origin());
    let (gets, sent, _) = case.go();
    assert_eq!(gets, 0);
    assert_eq!(
        sent,
        [
            "Retire 200",
            "Unreturn(\"connection\") 200",
            "Untake(\"spec.secret\") 200",
            "ReleaseTaken(\"spec.secret\") 200",
            "Release 200"
        ]
    );
    assert!(
        case.world.objects[&case.pw]["metadata"]
            .get("finalizers")
            .is_none()
    );
    assert!(!case.world.objects.contains_key(&case.connection));
}

#[test]
fn a_shared_secret_stays_until_its_last_user_is_gone() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    let other = key(&publication, "b");
    let origin = order(&publication, &other, &json!({"secret": {"name": "pw"}}));
    let uses = publication.takes(&other, &origin, &syncagent_core::naming::Moved::default());
    assert_eq!(uses, [case.pw.clone(), case.taken.clone()]);
    case.world.index.insert(other, uses);
    case.world.delete(&case.agent.origin());
    case.agent.event(&case.world, &case.agent.origin());
    let (_, sent, _) = case.go();
    assert_eq!(sent, ["Retire 200", "Release 200"]);
    assert!(case.world.objects.contains_key(&case.taken));
    assert!(
        !case.world.objects[&case.pw]["metadata"]["finalizers"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_secret_that_is_no_longer_named_is_let_go() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world
        .edit(&case.agent.origin(), |it| it["spec"] = json!({"size": 1}));
    case.agent.event(&case.world, &case.agent.origin());
    let (_, sent, _) = case.go();
    assert_eq!(
        sent,
        [
            "Refresh 200",
            "Untake(\"spec.secret\") 200",
            "ReleaseTaken(\"spec.secret\") 200"
        ]
    );
    assert!(!case.world.objects.contains_key(&case.taken));
    case.agent.assert_settled(&mut case.world);
}

#[test]
fn a_reference_that_moves_to_another_field_moves_nothing_on_the_service_cluster() {
    let mut definition = full_thing();
    definition
        .fields
        .push(takes("spec.items[].ref", "{name}.taken"));
    let publication = compile(definition);
    for first in ["spec.secret", "spec.items[].ref"] {
        let mut case = Case::new(&publication).with_secret();
        let origin = case.agent.origin();
        let one = json!({"size": 1, "secret": {"name": "pw"}});
        let other = json!({"size": 1, "items": [{"ref": {"name": "pw"}}]});
        let (before, after) = match first {
            "spec.secret" => (one, other),
            _ => (other, one),
        };
        case.world.edit(&origin, |it| it["spec"] = before);
        case.agent.event(&case.world, &origin);
        case.go();
        let taken = version_of(&case.world, &case.taken);
        let held = version_of(&case.world, &case.pw);
        case.world.edit(&origin, |it| it["spec"] = after);
        case.agent.event(&case.world, &origin);
        let (_, sent, _) = case.go();
        assert_eq!(sent, ["Refresh 200"], "from {first}");
        assert_eq!(version_of(&case.world, &case.taken), taken);
        assert_eq!(version_of(&case.world, &case.pw), held);
    }
}

#[test]
fn a_name_that_is_none_is_refused_in_the_consumers_terms() {
    let publication = compile(full_thing());
    for bad in ["../kube-system", "A B", "x/y", &"n".repeat(250)] {
        let mut case = Case::new(&publication);
        case.world.edit(&case.agent.origin(), |it| {
            it["spec"]["secret"]["name"] = json!(bad);
        });
        case.agent.event(&case.world, &case.agent.origin());
        let (_, sent, _) = case.go();
        assert_eq!(sent, ["Reflect 200"], "{bad}");
        let message = case.condition()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("spec.secret.name: "), "{message}");
    }
}

#[test]
fn a_refused_look_of_the_workspace_changes_nothing() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret().with_service();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    let before = case.world.picture();
    case.agent.seen.note(case.agent.origin(), Sight::Barred);
    case.go();
    assert_eq!(case.world.picture(), before);
}

#[test]
fn what_an_order_does_not_name_any_more_is_let_go_after_a_restart_too() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world
        .edit(&case.agent.origin(), |it| it["spec"] = json!({"size": 1}));
    case.agent.restart(&case.world);
    case.go();
    assert!(!case.world.objects.contains_key(&case.taken));
    assert!(
        case.world.objects[&case.pw]["metadata"]
            .get("finalizers")
            .is_none()
    );
}

#[test]
fn an_order_that_vanishes_while_the_agent_is_down_is_cleaned_up_by_what_its_copy_tells() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret().with_service();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    case.world.objects.remove(&case.agent.origin());
    case.agent.restart(&case.world);
    let (_, _, ending) = case.go();
    assert_eq!(ending, Ending::Gone);
    let left: Vec<_> = case
        .world
        .objects
        .keys()
        .map(|at| at.name.as_str())
        .collect();
    assert_eq!(
        left.len(),
        3,
        "the namespace, the Service and the Secret: {left:?}"
    );
    assert!(
        case.world.objects[&case.pw]["metadata"]
            .get("finalizers")
            .is_none()
    );
}

#[test]
fn a_taken_copy_that_lost_its_order_and_the_orders_copy_says_whom_it_was_for() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    // All of it while the agent is down.
    case.world.objects.remove(&case.agent.origin());
    case.world.objects.remove(&case.agent.copy());
    case.agent.restart(&case.world);
    case.agent.seen.note(case.agent.origin(), Sight::Doubt);
    let (_, sent, ending) = case.go();
    let cleaned = [
        "Untake(\"spec.secret\") 200",
        "ReleaseTaken(\"spec.secret\") 200",
    ];
    assert_eq!(
        (&sent[..], ending),
        (&cleaned.map(str::to_owned)[..], Ending::Gone)
    );
    assert!(!case.world.objects.contains_key(&case.taken));
}

/// Without that its marks say whose Secret it is, not which publication brought it down; so one that a removed publication
/// left looks the same, and nothing may be concluded from it.
#[test]
fn a_taken_copy_that_does_not_say_whom_it_was_for_stays_until_it_is_named_again() {
    let publication = compile(full_thing());
    let mut case = Case::new(&publication).with_secret();
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    // As it was made before it said so.
    case.world.edit(&case.taken, |it| {
        let annotations = it["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| !key.contains("/found-"));
    });
    let taken = case.world.objects[&case.taken].clone();
    // All of it while the agent is down.
    case.world.objects.remove(&case.agent.origin());
    case.world.objects.remove(&case.agent.copy());
    case.agent.restart(&case.world);
    case.agent.seen.note(case.agent.origin(), Sight::Doubt);
    let (_, sent, ending) = case.go();
    assert_eq!((sent, ending), (vec![], Ending::Gone));
    assert_eq!(case.world.objects[&case.taken], taken);
    // Whoever names the Secret again finds it as it is, and takes it along in the end.
    case.agent.record = Default::default();
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    let again = order(&publication, &case.agent.key, &spec);
    case.world.put(&case.agent.origin(), again);
    case.agent.event(&case.world, &case.agent.origin());
    let (_, sent, _) = case.go();
    let wrote: Vec<&String> = sent.iter().filter(|it| it.contains("ake(")).collect();
    assert_eq!(wrote, ["Take(\"spec.secret\") 409"], "it is there");
    assert_eq!(case.world.objects[&case.taken], taken);
    case.world.delete(&case.agent.origin());
    case.agent.event(&case.world, &case.agent.origin());
    case.go();
    assert!(!case.world.objects.contains_key(&case.taken));
    assert_eq!(
        case.world.objects[&case.pw]["metadata"].get("finalizers"),
        None
    );
}
