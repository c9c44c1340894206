use super::*;
use serde_json::json;

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "size": {"type": "integer"},
            "mode": {"type": "string", "default": "auto"},
            "color": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "steps": {"type": "array", "items": {"type": "string"}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}},
            "opts": {"type": "object", "additionalProperties": {"type": "string"}},
            "frozen": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
            "box": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}})
}

/// A server in miniature: one object, defaulted as the schema above says.
struct World {
    shape: Shape,
    object: Option<Value>,
    clock: u32,
}

impl World {
    fn new() -> Self {
        Self {
            shape: Shape::of_schema(&schema()),
            object: None,
            clock: 0,
        }
    }

    fn write(
        &mut self,
        manager: &str,
        door: impl Fn(&Shape, &Writer<'_>, Option<&Value>) -> Result<Value, Failure>,
    ) -> Result<Value, String> {
        self.clock += 1;
        let now = format!("2026-01-01T00:00:{:02}Z", self.clock);
        let writer = Writer {
            manager,
            api_version: "v1",
            subresource: "",
            now: &now,
            scope: Scope::NotStatus,
        };
        let mut new =
            door(&self.shape, &writer, self.object.as_ref()).map_err(|failure| failure.message)?;
        if new["spec"].is_object() && new["spec"]["mode"].is_null() {
            new["spec"]["mode"] = json!("auto");
        }
        if let Some(live) = &self.object {
            keep_times(live, &mut new);
        }
        self.object = Some(new.clone());
        Ok(new)
    }

    fn apply(&mut self, manager: &str, spec: &Value, force: bool) -> Result<String, String> {
        let applied =
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}, "spec": spec});
        self.write(manager, |shape, writer, live| {
            apply(shape, writer, live, &applied, force)
        })
        .map(|object| shown(&object))
    }

    fn put(&mut self, manager: &str, spec: &Value) -> Result<String, String> {
        self.write(manager, |shape, writer, live| {
            let mut new = live.cloned().unwrap_or_else(
                || json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}}),
            );
            let mut spec = spec.clone();
            if spec["mode"].is_null() {
                spec["mode"] = json!("auto");
            }
            new["spec"] = spec;
            update(shape, writer, live, &mut new);
            Ok(new)
        })
        .map(|object| shown(&object))
    }
}

/// The spec, and who owns what: `{"size":1} alpha/Apply: .spec.size`.
fn shown(object: &Value) -> String {
    let managers = managed::decode(entries(object)).unwrap_or_default();
    let owners = managers.iter().map(|(manager, owned)| {
        let paths: Vec<String> = owned
            .fields
            .paths()
            .iter()
            .map(|path| path.iter().map(Step::to_string).collect())
            .collect();
        format!(
            " {}/{}: {}",
            manager.name,
            manager.operation,
            paths.join(" ")
        )
    });
    format!("{}{}", object["spec"], owners.collect::<String>())
}

fn is(result: Result<String, String>, wanted: &str) {
    assert_eq!(result.unwrap_or_else(|error| error), wanted);
}

#[test]
fn a_field_of_another_is_a_conflict_unless_forced() {
    let mut world = World::new();
    is(
        world.apply(
            "alpha",
            &json!({"size": 1, "color": "red", "opts": {"k": "v"}}),
            false,
        ),
        r#"{"color":"red","mode":"auto","opts":{"k":"v"},"size":1} alpha/Apply: .spec.color .spec.size .spec.opts.k"#,
    );
    is(
        world.apply("beta", &json!({"size": 2}), false),
        r#"Apply failed with 1 conflict: conflict with "alpha": .spec.size"#,
    );
    is(
        world.apply(
            "beta",
            &json!({"size": 2, "color": "blue", "opts": {"k": "w"}}),
            false,
        ),
        "Apply failed with 3 conflicts: conflicts with \"alpha\":\n- .spec.color\n- .spec.size\n- .spec.opts.k",
    );
    is(
        world.apply("beta", &json!({"size": 2}), true),
        r#"{"color":"red","mode":"auto","opts":{"k":"v"},"size":2} alpha/Apply: .spec.color .spec.opts.k beta/Apply: .spec.size"#,
    );
}

#[test]
fn what_the_last_owner_drops_goes_and_applying_again_changes_nothing() {
    let mut world = World::new();
    is(
        world.apply("alpha", &json!({"size": 1, "color": "red"}), false),
        r#"{"color":"red","mode":"auto","size":1} alpha/Apply: .spec.color .spec.size"#,
    );
    let before = world.object.clone();
    let again = world.apply("alpha", &json!({"size": 1, "color": "red"}), false);
    assert!(again.is_ok());
    assert_eq!(world.object, before);
    let shared = world.apply("beta", &json!({"size": 1}), false);
    is(
        shared,
        r#"{"color":"red","mode":"auto","size":1} alpha/Apply: .spec.color .spec.size beta/Apply: .spec.size"#,
    );
    let object = world.object.clone().unwrap_or_default();
    let first = &object["metadata"]["managedFields"][0];
    assert_eq!(
        (&first["manager"], first.get("time")),
        (&json!("beta"), None)
    );
    is(
        world.apply("alpha", &json!({"color": "red"}), false),
        r#"{"color":"red","mode":"auto","size":1} alpha/Apply: .spec.color beta/Apply: .spec.size"#,
    );
    is(
        world.apply("beta", &json!({"color": "red"}), false),
        r#"{"color":"red","mode":"auto"} alpha/Apply: .spec.color beta/Apply: .spec.color"#,
    );
    is(
        world.apply("beta", &json!({}), false),
        r#"{"color":"red","mode":"auto"} alpha/Apply: .spec.color beta/Apply: .spec"#,
    );
}

#[test]
fn items_of_keyed_lists_are_owned_one_by_one() {
    let mut world = World::new();
    let ports = |names: &[&str]| json!({"ports": names.iter().map(|name| json!({"name": name, "port": 1})).collect::<Vec<_>>()});
    let order = |result: Result<String, String>| -> String {
        let text = result.unwrap_or_else(|error| error);
        let spec = text.split_once(" alpha").map_or("", |(spec, _)| spec);
        let spec: Value = serde_json::from_str(spec).unwrap_or_default();
        let ports = spec["ports"].as_array().cloned().unwrap_or_default();
        ports
            .iter()
            .filter_map(|port| port["name"].as_str())
            .collect()
    };
    assert_eq!(
        order(world.apply("alpha", &ports(&["c", "a", "b"]), false)),
        "cab"
    );
    assert_eq!(
        order(world.apply("beta", &ports(&["x", "a"]), false)),
        "cxab"
    );
    assert_eq!(
        order(world.apply("alpha", &ports(&["a", "b", "c"]), false)),
        "xabc"
    );
    assert_eq!(order(world.apply("alpha", &ports(&["b"]), false)), "xab");
    is(
        world.apply(
            "gamma",
            &json!({"ports": [{"name": "a", "port": 9}]}),
            false,
        ),
        r#"Apply failed with 1 conflict: conflict with "beta": .spec.ports[name="a"].port"#,
    );
    is(
        world.apply(
            "gamma",
            &json!({"ports": [{"name": "d"}, {"name": "d"}]}),
            false,
        ),
        r#"failed to create typed patch object (/a; /v1, Kind=K): .spec.ports: duplicate entries for key [name="d"]"#,
    );
    is(
        world.apply("gamma", &json!({"ports": [{"port": 1}]}), false),
        r#"failed to create typed patch object (/a; /v1, Kind=K): .spec.ports: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn't have default values for any key fields)"#,
    );
    is(
        world.apply("gamma", &json!({"tags": ["d", "d"]}), false),
        r#"failed to create typed patch object (/a; /v1, Kind=K): .spec.tags: duplicate entries for key [="d"]"#,
    );
    is(
        world.apply("gamma", &json!({"size": "x"}), false),
        "failed to create typed patch object (/a; /v1, Kind=K): .spec.size: expected numeric (int or float), got string",
    );
    is(
        world.apply("gamma", &json!({"huh": "x"}), false),
        "failed to create typed patch object (/a; /v1, Kind=K): .spec.huh: field not declared in schema",
    );
}

#[test]
fn atomic_values_are_owned_as_a_whole_and_open_ones_deduced() {
    let mut world = World::new();
    is(
        world.apply(
            "alpha",
            &json!({"steps": ["a"], "frozen": {"x": "1"}, "any": {"m": {"x": 1}, "l": [1]}}),
            false,
        ),
        r#"{"any":{"l":[1],"m":{"x":1}},"frozen":{"x":"1"},"mode":"auto","steps":["a"]} alpha/Apply: .spec.frozen .spec.steps .spec.any.l .spec.any.m .spec.any.m.x"#,
    );
    is(
        world.apply("beta", &json!({"frozen": {"y": "1"}}), false),
        r#"Apply failed with 1 conflict: conflict with "alpha": .spec.frozen"#,
    );
    is(
        world.apply("beta", &json!({"any": {"m": {"y": 2}}, "tags": []}), false),
        r#"{"any":{"l":[1],"m":{"x":1,"y":2}},"frozen":{"x":"1"},"mode":"auto","steps":["a"],"tags":[]} alpha/Apply: .spec.frozen .spec.steps .spec.any.l .spec.any.m .spec.any.m.x beta/Apply: .spec.any.m .spec.any.m.y"#,
    );
}

#[test]
fn an_emptied_object_stays_while_it_is_wanted() {
    let mut world = World::new();
    assert!(
        world
            .apply(
                "alpha",
                &json!({"box": {"a": 1}, "opts": {"x": "1"}}),
                false
            )
            .is_ok()
    );
    is(
        world.apply("alpha", &json!({"box": {}}), false),
        r#"{"box":{},"mode":"auto"} alpha/Apply: .spec.box"#,
    );
}

#[test]
fn updates_take_and_clients_may_rewrite_the_entries() {
    let mut world = World::new();
    is(
        world.put("alpha", &json!({"size": 1, "color": "red"})),
        r#"{"color":"red","mode":"auto","size":1} alpha/Update: .spec .spec.color .spec.mode .spec.size"#,
    );
    is(
        world.apply("alpha", &json!({"size": 2}), false),
        r#"Apply failed with 1 conflict: conflict with "alpha" using v1: .spec.size"#,
    );
    is(
        world.apply("alpha", &json!({"size": 2}), true),
        r#"{"color":"red","mode":"auto","size":2} alpha/Apply: .spec.size alpha/Update: .spec .spec.color .spec.mode"#,
    );
    is(
        world.put("beta", &json!({"size": 3, "color": "red"})),
        r#"{"color":"red","mode":"auto","size":3} alpha/Update: .spec .spec.color .spec.mode beta/Update: .spec.size"#,
    );
    let reset = world.write("beta", |shape, writer, live| {
        let mut new = live.cloned().unwrap_or_default();
        new["metadata"]["managedFields"] = json!([{}]);
        update(shape, writer, live, &mut new);
        Ok(new)
    });
    is(
        reset.map(|object| shown(&object)),
        r#"{"color":"red","mode":"auto","size":3}"#,
    );
    is(
        world.put("beta", &json!({"size": 4})),
        r#"{"mode":"auto","size":4}"#,
    );
    is(
        world.apply("alpha", &json!({"size": 5}), false),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .spec.size"#,
    );
}

#[test]
fn old_updaters_are_merged_where_there_are_many() {
    let mut world = World::new();
    for i in 0..15 {
        let spec = json!({"opts": {"shared": "x", (format!("k{i}")): "v"}});
        let manager = format!("m{i:02}");
        let result = world.write(&manager, |shape, writer, live| {
            let mut new = live.cloned().unwrap_or_else(
                || json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}}),
            );
            new = crate::patch::merged(&new, &json!({"spec": spec}));
            update(shape, writer, live, &mut new);
            Ok(new)
        });
        assert!(result.is_ok());
    }
    let object = world.object.unwrap_or_default();
    let names: Vec<&str> = entries(&object)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(names.len(), 10);
    assert_eq!(names[0], "ancient-changes");
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn specs() -> impl Strategy<Value = Value> {
        let text = || prop::sample::select(vec!["x", "y", "z"]);
        let map = move || prop::collection::btree_map(text(), text(), 0..3);
        let ports = prop::collection::btree_map(text(), prop::option::of(0..3i64), 0..3).prop_map(
            |ports| {
                let items = ports.into_iter().map(|(name, port)| match port {
                    Some(port) => json!({"name": name, "port": port}),
                    None => json!({"name": name}),
                });
                Value::Array(items.collect())
            },
        );
        (
            prop::option::of(0..3i64),
            prop::option::of(prop::collection::btree_set(text(), 0..3)),
            prop::option::of(prop::collection::vec(text(), 0..3)),
            prop::option::of(ports),
            prop::option::of(map()),
            prop::option::of(map()),
            prop::option::of((prop::option::of(0..3i64), prop::option::of(0..3i64))),
        )
            .prop_map(|(size, tags, steps, ports, opts, frozen, both)| {
                let members = [
                    ("size", size.map(|v| json!(v))),
                    ("tags", tags.map(|v| json!(v))),
                    ("steps", steps.map(|v| json!(v))),
                    ("ports", ports),
                    ("opts", opts.map(|v| json!(v))),
                    ("frozen", frozen.map(|v| json!(v))),
                    (
                        "box",
                        both.map(|(a, b)| {
                            let members = [("a", a), ("b", b)]
                                .into_iter()
                                .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
                            Value::Object(members.collect())
                        }),
                    ),
                ];
                let members = members
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)));
                Value::Object(members.collect())
            })
    }

    fn field_set() -> impl Strategy<Value = FieldSet> {
        let step = prop_oneof![
            "[a-c.:]{1,2}".prop_map(Step::Field),
            (0..3i64).prop_map(Step::Index),
            prop_oneof![Just(json!("a")), Just(json!(1)), Just(json!(true))].prop_map(Step::Value),
            (0..3i64)
                .prop_map(|n| Step::key(vec![("name".into(), json!(n)), ("a".into(), json!("x"))])),
        ];
        prop::collection::vec(prop::collection::vec(step, 1..4), 0..8).prop_map(|paths| {
            let mut set = FieldSet::default();
            for path in paths {
                set.insert(&path);
            }
            set
        })
    }

    proptest! {
        #![proptest_config(crate::chance::cases(256))]

        #[test]
        fn fields_v1_can_be_read_back(set in field_set()) {
            prop_assert_eq!(FieldSet::decode(&set.encode()), Some(set));
        }

        #[test]
        fn sets_obey_the_laws_of_sets(a in field_set(), b in field_set()) {
            let both = a.intersection(&b);
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            prop_assert_eq!(a.union(&b), b.union(&a));
            prop_assert_eq!(a.intersection(&b), b.intersection(&a));
            prop_assert_eq!(a.difference(&b).union(&both), a);
        }

        #[test]
        fn applying_again_is_a_no_op(a in specs(), b in specs()) {
            let mut world = World::new();
            prop_assert!(world.apply("alpha", &a, false).is_ok());
            prop_assert!(world.apply("beta", &b, true).is_ok());
            let before = world.object.clone();
            prop_assert!(world.apply("beta", &b, false).is_ok());
            prop_assert_eq!(world.object, before);
        }

        #[test]
        fn what_is_applied_is_there_and_what_all_drop_is_gone(a in specs(), b in specs()) {
            let mut world = World::new();
            prop_assert!(world.apply("alpha", &a, false).is_ok());
            prop_assert!(world.apply("beta", &b, true).is_ok());
            let object = world.object.clone().unwrap_or_default();
            prop_assert_eq!(&object["spec"]["frozen"], if b["frozen"].is_null() { &a["frozen"] } else { &b["frozen"] });
            let wanted = walk::fields(&world.shape, &json!({"spec": b}));
            let there = walk::fields(&world.shape, &object);
            // An empty object that is wanted stands for all that is in it.
            let hollow = |set: FieldSet| set.paths().into_iter().filter(|p| p.len() > 2 || [".size", ".steps", ".frozen"]
                .contains(&p.last().map(Step::to_string).unwrap_or_default().as_str())).count();
            prop_assert_eq!(hollow(wanted.difference(&there)), 0);
            let gone = ["alpha", "beta"].map(|manager| world.apply(manager, &json!({}), true).is_ok());
            prop_assert_eq!(gone, [true, true]);
            // Nobody owns the emptiness of a list, so it may stay.
            let left = world.object.unwrap_or_default();
            let left: Vec<&Value> = left["spec"].as_object().into_iter().flat_map(|spec| spec.values()).collect();
            prop_assert!(left.iter().all(|value| **value == json!("auto") || **value == json!([])), "{:?}", left);
        }

        #[test]
        fn a_change_has_one_owner(a in specs(), b in specs()) {
            let mut world = World::new();
            prop_assert!(world.apply("alpha", &a, false).is_ok());
            let before = world.object.clone().unwrap_or_default();
            prop_assert!(world.apply("beta", &b, true).is_ok());
            let after = world.object.clone().unwrap_or_default();
            let changed = Comparison::of(&world.shape, &json!({"spec": before["spec"]}), &json!({"spec": after["spec"]})).set();
            let managers = managed::decode(entries(&after)).unwrap_or_default();
            let alpha = managers.get(&Manager::applier("alpha", "")).map(|o| o.fields.clone()).unwrap_or_default();
            prop_assert!(alpha.intersection(&changed).is_empty());
        }
    }
}
