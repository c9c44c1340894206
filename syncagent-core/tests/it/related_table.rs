//! The truth table of related objects: what it takes until an order with a Secret below and one above it is settled.
//!
//! `related_table.txt` has one world per line: what is read (GETs), what is written, and what the consumer is told.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};
use syncagent_core::plan::{ObjectRef, Record};

use crate::fixture::{compile, full_thing, key, order, secret, service};
use crate::world::{Agent, World};

pub(crate) const SIDES: [&str; 4] = ["as it was", "absent", "changed", "deleting"];
pub(crate) const COPIES: [&str; 4] = ["as it was", "absent", "drifted", "foreign"];

pub(crate) fn change(world: &mut World, at: &ObjectRef, how: &str, new: &Value) {
    match how {
        "as it was" => {}
        "absent" => {
            world.objects.remove(at);
        }
        "changed" => world.edit(at, |it| {
            let fields = it.as_object_mut().expect("an object");
            fields.extend(new.as_object().expect("fields").clone());
        }),
        "deleting" => world.delete(at),
        "unlabelled" => world.edit(at, |it| it["metadata"]["labels"] = json!({})),
        // Somebody took a field that is ours: by its data, and by who owns it.
        "drifted" => world.edit(at, |it| {
            it["data"] = json!({"drift": "x"});
            let ours = it.pointer_mut("/metadata/managedFields/0/fieldsV1");
            if let Some(owned) = ours.and_then(Value::as_object_mut) {
                owned.remove("f:data");
            }
        }),
        "foreign" => {
            world.objects.remove(at);
            world.put(at, json!({"data": {"theirs": "x"}}));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_small_world_of_related_objects() {
    let publication = compile(full_thing());
    let mut start = World::default();
    let mut settled = Agent::new(&publication, &key(&publication, "a"));
    let here = |name: &str| ObjectRef {
        kind: secret(),
        name: name.into(),
        ..publication.origin(&key(&publication, "a"))
    };
    let there = |kind, name: &str| ObjectRef {
        kind,
        name: name.into(),
        ..publication.copy(&key(&publication, "a")).expect("a name")
    };
    let below = [here("pw"), there(secret(), "pw.taken")];
    let above = [there(service(), "a-rw"), here("a-connection")];
    let spec = json!({"size": 1, "secret": {"name": "pw"}});
    start.put(&settled.origin(), order(&publication, &settled.key, &spec));
    start.put(&below[0], json!({"data": {"password": "eA=="}}));
    start.put(&above[0], json!({"status": {"ip": "10.0.0.1"}}));
    settled.event(&start, &settled.origin());
    settled.run(&mut start, None);
    settled.take_sent();

    let mut table = String::from(
        "which     source     object     known   | gets; writes; what the consumer is told\n",
    );
    for (which, [source, object], new) in [
        ("taken", &below, json!({"data": {"password": "eQ=="}})),
        ("returned", &above, json!({"status": {"ip": "10.0.0.2"}})),
    ] {
        for source_is in SIDES {
            for object_is in COPIES {
                for known in ["none", "same"] {
                    let (mut world, mut agent) = (start.clone(), settled.clone());
                    change(&mut world, source, source_is, &new);
                    change(&mut world, object, object_is, &new);
                    let theirs = world.objects.get(object).cloned();
                    if known == "none" {
                        agent.record = Record::default();
                        agent.restart(&world);
                    } else {
                        for at in [source, object] {
                            agent.hint(&world, at);
                        }
                    }
                    agent.run(&mut world, None);
                    let (gets, sent) = (agent.gets, agent.sent.join(", "));
                    let condition = &world.objects[&agent.origin()]["status"]["conditions"][0];
                    let reason = condition["reason"].as_str().unwrap_or("-");
                    writeln!(table, "{which:<9} {source_is:<10} {object_is:<10} {known:<7} | {gets}; {sent}; {reason}").unwrap();
                    let world_is = format!("{which} {source_is} {object_is} {known}: {sent}");
                    if object_is == "foreign" {
                        assert_eq!(world.objects.get(object), theirs.as_ref(), "{world_is}");
                        assert!(
                            reason == "NameTaken" || source_is != "as it was",
                            "{world_is}: {reason}"
                        );
                    }
                    if (source_is, object_is) == ("as it was", "as it was") {
                        assert_eq!((gets, sent.as_str()), (0, ""), "{world_is}");
                    }
                    assert!(gets <= 6 && agent.sent.len() <= 4, "{world_is}");
                    agent.assert_settled(&mut world);
                }
            }
        }
    }
    expect_file!["related_table.txt"].assert_eq(&table);
}
