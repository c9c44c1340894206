//! Going back to kcp's api-syncagent: what it is told of an order and of what belongs to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use syncagent_core::object::state;
use syncagent_core::plan::ObjectRef;
use syncagent_core::related::unbase64;

use crate::fixture::{compile, key, order};
use crate::takeover_related::{Places, both_ways, go, hand_back, secret_with, settle, taken_over};
use crate::world::{Agent, World};

/// What a state Secret tells, by key.
fn told(world: &World, secret: &ObjectRef) -> BTreeMap<String, Value> {
    let data = world.objects[secret]["data"].as_object().unwrap();
    let read = |text: &Value| state::decode(&unbase64(text.as_str().unwrap()).unwrap()).unwrap();
    let each = data.iter().map(|(key, text)| (key.clone(), read(text)));
    each.collect()
}

/// Where the status does not cross it is a part of what crosses, as far as the Go agent remembers.
#[test]
fn the_status_of_a_related_object_is_handed_back_with_it() {
    for crosses in [false, true] {
        let mut definition = both_ways();
        for rule in &mut definition.related {
            rule.status = crosses;
        }
        let publication = compile(definition);
        let (mut world, mut agent, at) = taken_over(&publication);
        for object in [&at.password, &at.creds] {
            world.edit(object, |it| it["status"] = json!({"phase": "ready"}));
        }
        hand_back(&mut world, &mut agent);
        let told = told(&world, &go(&publication).secret(&agent.key));
        for (cluster, origin) in [(agent.key.cluster.as_str(), &at.password), ("", &at.creds)] {
            let key = state::data_key(cluster, &origin.namespace, &origin.name);
            let status = told[&key].get("status");
            assert_eq!(status.is_some(), !crosses, "{origin}: {status:?}");
        }
        let key = state::data_key(&agent.key.cluster, "default", "a");
        assert_eq!(told[&key].get("status"), None, "never of the order");
    }
}

/// An order and its Secret of one name share a key, and fight over it in the Go agent.
#[test]
fn of_a_key_that_two_share_the_order_is_handed_back() {
    let publication = compile(both_ways());
    let mut agent = Agent::new(&publication, &key(&publication, "a"));
    let mut world = World::default();
    let password = ObjectRef {
        name: "a".into(),
        ..Places::of(&agent).password
    };
    let spec = json!({"size": 1, "secret": {"name": "a"}});
    world.put(&agent.origin(), order(&publication, &agent.key, &spec));
    world.put(&password, secret_with("cA=="));
    settle(&mut world, &mut agent);
    hand_back(&mut world, &mut agent);
    let told = told(&world, &go(&publication).secret(&agent.key));
    let kinds: Vec<_> = told.values().map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, [Some("Thing")]);
}

#[test]
fn marks_that_a_consumer_forged_are_not_handed_back() {
    let publication = compile(both_ways());
    let (mut world, mut agent, _) = taken_over(&publication);
    let (labels, annotations) = (
        json!({"syncagent.kcp.io/remote-object-cluster": "2xyz", "app": "x",
            "claimed.internal.apis.kcp.io/x": "y"}),
        json!({"syncagent.kcp.io/remote-object-name": "b", "note": "n", "kcp.io/cluster": "1abc"}),
    );
    world.edit(&agent.origin(), |it| {
        it["metadata"]["labels"] = labels;
        let all = it["metadata"]["annotations"].as_object_mut().unwrap();
        all.extend(annotations.as_object().unwrap().clone());
    });
    hand_back(&mut world, &mut agent);
    let told = told(&world, &go(&publication).secret(&agent.key));
    let key = state::data_key(&agent.key.cluster, "default", "a");
    let metadata = &told[&key]["metadata"];
    assert_eq!(metadata["labels"], json!({"app": "x"}));
    assert_eq!(metadata["annotations"], json!({"note": "n"}));
}
