//! From a `PublishedResource` to a settled take-over: what its conversion says is what kcp's api-syncagent did.

use serde_json::{Value, json};
use syncagent_core::definition::Side;
use syncagent_core::object::state;
use syncagent_core::plan::{Ending, ObjectRef};
use syncagent_core::publication::Publication;
use syncagent_core::related::base64;

use crate::compat_definition::{converted, converted_between, key_of, remote};
use crate::constructed::{Entry, GoAgent, STATES};
use crate::fixture::{compile, order, secret};
use crate::world::{Agent, World};

fn publication() -> Publication {
    let conversion = converted(&json!({"related": [
        {"identifier": "password", "origin": "kcp", "version": "v1", "resource": "secrets",
            "object": {"reference": {"path": "spec.secret.name"}}},
        {"identifier": "creds", "origin": "service", "version": "v1", "resource": "secrets",
            "object": {"template": {"template": "{{ .Object.metadata.name }}-creds"}}},
    ]}));
    compile(conversion.continued(STATES).definition)
}

fn go(publication: &Publication) -> GoAgent<'_> {
    let entry = |id, origin, find, called| Entry {
        id,
        origin,
        kind: secret(),
        cleanup: false,
        find,
        called,
    };
    GoAgent {
        publication,
        related: vec![
            entry(
                "password",
                Side::Workspace,
                |order: &Value| {
                    let name = order["spec"]["secret"]["name"].as_str();
                    name.map(str::to_owned).into_iter().collect()
                },
                |found: &str, _: &str| found.to_owned(),
            ),
            entry(
                "creds",
                Side::Service,
                |copy: &Value| {
                    let name = copy["metadata"]["name"].as_str().unwrap();
                    vec![format!("{name}-creds")]
                },
                |_: &str, order: &str| format!("{order}-creds"),
            ),
        ],
    }
}

#[test]
fn s13_1_what_a_published_resource_made_is_settled_and_goes_on() {
    let publication = publication();
    let mut agent = Agent::new(&publication, &key_of(&publication, "default", "a"));
    let mut world = World::default();
    let beside = |at: ObjectRef, name: String| ObjectRef {
        kind: secret(),
        name,
        ..at
    };
    let password = beside(agent.origin(), "pw".into());
    let creds = beside(agent.copy(), format!("{}-creds", agent.copy().name));
    let value = |it: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"labels": {"team.kcp.io/a": "b"}}, "data": {"password": it}})
    };
    world.put(&password, value("cA=="));
    world.put(&creds, value("Yw=="));
    let mut it = order(
        &publication,
        &agent.key,
        &json!({"size": 1, "secret": {"name": "pw"}}),
    );
    it["metadata"]["annotations"] = json!({"kcp.io/cluster": agent.key.cluster, "note": "n"});
    it["metadata"]["labels"] = json!({"team.kcp.io/a": "b"});
    world.put(&agent.origin(), it);
    let go = go(&publication);
    go.pass(&mut world, &agent.key);
    world.edit(&agent.copy(), |it| {
        it["status"] = json!({"phase": "ready", "observedGeneration": 9});
    });
    go.pass(&mut world, &agent.key);

    let before = world.objects.clone();
    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    assert_eq!(agent.take_sent(), [""; 0]);
    assert_eq!(world.objects, before);
    agent.assert_settled(&mut world);

    world.edit(&agent.origin(), |it| it["spec"]["size"] = json!(2));
    world.edit(&password, |it| it["data"]["password"] = json!("bmV3"));
    world.edit(&creds, |it| it["data"]["password"] = json!("bmV3"));
    agent.restart(&world);
    agent.run(&mut world, None);
    let mut sent = agent.take_sent();
    sent.sort();
    assert_eq!(
        sent,
        [
            "Refresh 200",
            r#"Retake("password") 200"#,
            r#"Update("creds") 200"#
        ]
    );
    agent.assert_settled(&mut world);
}

/// A Secret that is published: no hash of what is in it stands on its copy, and the Go agent's state Secrets, which carry
/// the labels of a copy, are none. (The Go agent finds two copies then, and is stuck.)
#[test]
fn s5_7_a_published_secret_is_kept_and_no_hash_of_it_is_written_down() {
    let conversion = converted_between(&json!({}), secret(), remote());
    let publication = compile(
        conversion
            .expect("it converts")
            .continued(STATES)
            .definition,
    );
    let mut agent = Agent::new(&publication, &key_of(&publication, "default", "a"));
    let mut world = World::default();
    let mut it = order(&publication, &agent.key, &Value::Null);
    it.as_object_mut().unwrap().remove("spec");
    it["data"] = json!({"password": "cA==", "user": "dQ=="});
    it["metadata"]["annotations"] = json!({"kcp.io/cluster": agent.key.cluster});
    let value = state::encode(&state::stripped(&it, false));
    world.put(&agent.origin(), it);
    let slot = state::data_key(&agent.key.cluster, &agent.key.namespace, &agent.key.name);
    let remembered = publication.state_secret(&agent.key).expect("there is one");
    world.put(
        &remembered,
        json!({"metadata": {"labels": state::labels(&agent.key.identity())},
            "data": {slot: base64(value.as_bytes())}}),
    );
    let state = world.objects[&remembered].clone();
    assert_eq!(publication.key_of_copy(&state), None);

    agent.restart(&world);
    assert_eq!(agent.run(&mut world, None), Some(Ending::Settled));
    world.edit(&agent.copy(), |it| it["data"]["user"] = json!("bG9jYWw="));
    world.edit(&agent.origin(), |it| it["data"]["password"] = json!("bmV3"));
    agent.take_sent();
    agent.restart(&world);
    agent.run(&mut world, None);
    assert_eq!(agent.take_sent(), ["Refresh 200"]);
    let copy = &world.objects[&agent.copy()];
    assert_eq!(
        copy["data"],
        json!({"password": "bmV3", "user": "bG9jYWw="})
    );
    let marks = copy["metadata"]["annotations"].as_object().unwrap();
    let known = [
        "remote-object-name",
        "remote-object-namespace",
        "publication",
        "origin-uid",
        "origin-generation",
    ];
    let known = known.map(|it| format!("syncagent.kcp.io/{it}"));
    let others: Vec<_> = marks.keys().filter(|it| !known.contains(it)).collect();
    assert_eq!(others, [""; 0]);
    assert_eq!(world.objects[&remembered], state);
    agent.assert_settled(&mut world);
}
