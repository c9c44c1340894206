//! Sentences of the contract about orders and what belongs to them, beside those that the other files show by section.

use serde_json::{Value, json};
use syncagent_core::object::{finalizers, is_deleting};
use syncagent_core::plan::{Ending, ObjectRef, Place};

use crate::compat_definition::{Case, problems, publication};
use crate::fixture::{CLUSTER, secret};

const CLEANUP: &str = "syncagent.kcp.io/cleanup";
const FOREIGN: &str = "example.io/somebody";

fn continued(spec: &Value) -> syncagent_core::publication::Publication {
    let conversion = crate::compat_definition::converted(spec);
    crate::fixture::compile(conversion.continued("kcp-system").definition)
}

fn at(place: Place, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        place,
        kind: secret(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn workspace() -> Place {
    Place::Workspace(CLUSTER.into())
}

/// 5.3, E: a copy that somebody deletes is left alone until it is gone, and then made again.
#[test]
fn s5_3_a_copy_that_is_being_deleted_is_left_until_it_is_gone() {
    let publication = continued(&json!({}));
    let mut case = Case::new(&publication, &json!({"spec": {"size": 1}}));
    assert_eq!(case.begin(), Ending::Settled);
    let copy = case.copy_ref();
    case.world
        .edit(&copy, |it| it["metadata"]["finalizers"] = json!([FOREIGN]));
    case.world.delete(&copy);
    case.agent.take_sent();
    case.see(&[&copy]);
    case.edit_order(|it| it["spec"]["size"] = json!(2));
    assert_eq!(case.agent.take_sent(), [""; 0]);
    assert_eq!(case.copy()["spec"]["size"], 1);
    case.world.objects.remove(&copy);
    assert_eq!(case.see(&[&copy]), Ending::Settled);
    assert_eq!(case.copy()["spec"]["size"], 2);
    assert!(!is_deleting(case.copy()));
}

/// 5.6: the copy is deleted although somebody else holds the order; our finalizer goes when it is gone, the others stay.
#[test]
fn s5_6_who_else_holds_the_order_is_not_waited_for() {
    let publication = continued(&json!({}));
    let order = json!({"metadata": {"finalizers": [FOREIGN]}, "spec": {}});
    let mut case = Case::new(&publication, &order);
    assert_eq!(case.begin(), Ending::Settled);
    let (origin, copy) = (case.agent.origin(), case.copy_ref());
    assert_eq!(finalizers(case.order()), [FOREIGN, CLEANUP]);
    case.world.edit(&copy, |it| {
        it["metadata"]["finalizers"] = json!(["example.io/operator"]);
    });
    case.world.delete(&origin);
    case.see(&[&origin]);
    assert!(is_deleting(case.copy()));
    assert!(finalizers(case.order()).contains(&CLEANUP.to_owned()));
    case.world.objects.remove(&copy);
    case.see(&[&copy]);
    assert_eq!(finalizers(case.order()), [FOREIGN]);
}

/// 5.5.4: the status is the copy's, also where that has none any more.
#[test]
fn s5_5_4_a_status_that_goes_away_goes_away_on_the_order() {
    let publication = continued(&json!({}));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    case.begin();
    let copy = case.copy_ref();
    case.world.edit(&copy, |it| {
        it["status"] = json!({"phase": "ready", "list": []});
    });
    case.see(&[&copy]);
    assert_eq!(case.order()["status"]["phase"], "ready");
    // Nothing but what differs is written.
    case.agent.take_sent();
    case.see(&[&copy]);
    assert_eq!(case.agent.take_sent(), [""; 0]);
    case.world.edit(&copy, |it| {
        it.as_object_mut().unwrap().remove("status");
    });
    assert_eq!(case.see(&[&copy]), Ending::Settled);
    assert_eq!(case.order()["status"]["phase"], Value::Null);
}

/// 5.5.1: lists are brought over whole; what is taken off goes; what was never said stays as it is.
#[test]
fn s5_5_1_lists_are_whole_and_what_is_taken_off_goes() {
    let publication = continued(&json!({}));
    let spec = json!({"spec": {"hosts": ["a", "b"], "note": "n", "nested": {"a": 1, "b": 2}}});
    let mut case = Case::new(&publication, &spec);
    case.begin();
    let copy = case.copy_ref();
    case.world.edit(&copy, |it| {
        it["spec"]["defaulted"] = json!(true);
        it["spec"]["nested"]["c"] = json!(3);
    });
    case.see(&[&copy]);
    let ending = case.edit_order(|it| it["spec"] = json!({"hosts": ["b"], "nested": {"a": 1}}));
    assert_eq!(ending, Ending::Settled);
    assert_eq!(
        case.copy()["spec"],
        json!({"hosts": ["b"], "nested": {"a": 1, "c": 3}, "defaulted": true})
    );
}

/// 6.7: what comes up and stays behind is brought up as long as the order is there, also while that is being deleted.
#[test]
fn s6_7_what_stays_behind_is_brought_up_while_the_order_goes() {
    let publication = continued(&json!({"related": [
        {"identifier": "creds", "origin": "service", "kind": "Secret", "object": {"template": {"template": "it"}}},
    ]}));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    let made = at(Place::Service, CLUSTER, "it");
    case.world.put(&made, json!({"data": {"a": "eA=="}}));
    case.begin();
    let (origin, copy) = (case.agent.origin(), case.copy_ref());
    let login = at(workspace(), "default", "it");
    assert_eq!(case.world.objects[&login]["data"]["a"], "eA==");
    case.world.edit(&copy, |it| {
        it["metadata"]["finalizers"] = json!(["example.io/operator"]);
    });
    case.world.delete(&origin);
    case.see(&[&origin]);
    assert!(is_deleting(case.copy()));
    case.world.edit(&made, |it| it["data"]["a"] = json!("eQ=="));
    case.see(&[&made]);
    assert_eq!(case.world.objects[&login]["data"]["a"], "eQ==");
    case.world.objects.remove(&copy);
    case.see(&[&copy]);
    assert!(!case.world.objects.contains_key(&origin));
    assert_eq!(case.world.objects[&login]["data"]["a"], "eQ==");
}

/// 6.9: a template of related objects that prints a field which is not there names nothing, and stops nothing.
#[test]
fn s6_9_a_template_that_prints_a_missing_field_names_nothing() {
    for origin in ["kcp", "service"] {
        let publication = publication(&json!({"related": [
            {"identifier": "it", "origin": origin, "kind": "Secret",
                "object": {"template": {"template": "{{ .Object.spec.missing }}"}}},
        ]}));
        let mut case = Case::new(&publication, &json!({"spec": {"size": 1}}));
        case.world
            .put(&at(workspace(), "default", "other"), json!({"data": {}}));
        case.begin();
        assert_eq!(case.copy()["spec"]["size"], 1, "{origin}");
        let secrets = case.world.objects.keys().filter(|it| it.kind == secret());
        assert_eq!(secrets.count(), 1, "{origin}");
        case.edit_order(|it| it["spec"]["size"] = json!(2));
        assert_eq!(case.copy()["spec"]["size"], 2, "{origin}");
    }
}

/// 2.1, 7: a mutation that is none of the four is a problem of the one that says it, with its field; so is a path that is
/// empty.
#[test]
fn s7_6_an_empty_path_is_a_problem() {
    let rule = json!({"mutation": {"spec": [{"regex": {"path": "", "replacement": "x"}}, {"delete": {"path": ""}}]}});
    let said = problems(&rule);
    for field in ["spec.mutation.spec[0]", "spec.mutation.spec[1]"] {
        assert!(
            said.iter().any(|it| it.starts_with(field)),
            "{field}: {said:?}"
        );
    }
}
