//! `PublishedResource` on a server: sections 2.1, 2.2 and 14 of the contract; and what is made of a kind without a CRD (3.1).

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, Error};
use serde_json::{Value, json};
use syncagent_core::api::published_resource::{
    GROUP, KIND, PLURAL, PublishedResource, VERSION, crd,
};
use syncagent_core::compat::openapi::{Documents, Found};
use syncagent_core::compat::{Projected, Source};

use crate::stage::play;
use crate::world::{World, eventually, group};

/// A server, for as long as the test needs it.
struct Place {
    _world: World,
    client: Client,
}

/// The group in which the kind is: on a server that others share, the test's own.
fn home() -> String {
    if World::is_real() {
        group()
    } else {
        GROUP.to_owned()
    }
}

/// The kind's definition, in that group.
fn here(mut crd: Value) -> Value {
    crd["metadata"]["name"] = json!(format!("{PLURAL}.{}", home()));
    crd["spec"]["group"] = json!(home());
    crd
}

impl Place {
    async fn new() -> Self {
        let world = World::new().await;
        Self {
            client: world.service_client(),
            _world: world,
        }
    }

    fn all(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        Api::all_with(self.client.clone(), &resource)
    }

    fn publications(&self) -> Api<DynamicObject> {
        self.all(&home(), VERSION, KIND, PLURAL)
    }

    /// Applies a CRD, and waits until it is in force.
    async fn define(&self, crd: &Value) {
        let crds = self.all(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        );
        let name = crd["metadata"]["name"].as_str().expect("a name");
        let params = PatchParams::apply("test").force();
        crds.patch(name, &params, &Patch::Apply(crd))
            .await
            .expect("the server takes it");
        let wanted = &crd["spec"]["versions"][0]["schema"];
        eventually("the definition is in force", || async {
            let there = crds.get(name).await.expect("it is there");
            let conditions = there.data["status"]["conditions"].as_array().cloned();
            let of = |kind: &str, status: &str| {
                let mut conditions = conditions.iter().flatten();
                conditions.any(|it| it["type"] == kind && it["status"] == status)
            };
            assert!(!of("NonStructuralSchema", "True"), "{conditions:?}");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let spec = &crd["spec"];
            let [group, version, kind, plural] = [
                &spec["group"],
                &spec["versions"][0]["name"],
                &spec["names"]["kind"],
                &spec["names"]["plural"],
            ]
            .map(text);
            let objects = self.all(&group, &version, &kind, &plural);
            let served = objects.list(&Default::default()).await.is_ok();
            if of("Established", "True") && served {
                assert_eq!(
                    there.data["spec"]["versions"][0]["schema"], *wanted,
                    "it stands as it was sent"
                );
                return Some(());
            }
            None
        })
        .await;
    }

    async fn create(&self, name: &str, spec: &Value) -> Result<DynamicObject, Error> {
        let object = json!({"apiVersion": format!("{}/{VERSION}", home()), "kind": KIND,
            "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).expect("an object");
        self.publications()
            .create(&PostParams::default(), &object)
            .await
    }
}

/// Why a server refused something.
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Api(status)) => {
            assert_eq!(status.code, 422, "{status:?}");
            status.message
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({"resource": {"apiGroup": "example.io", "kind": "Thing"}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

/// One related object, with more in it or less.
fn related(more: &Value) -> Value {
    let mut entry = json!({"identifier": "one", "origin": "kcp", "kind": "Secret",
        "object": {"reference": {"path": "spec.name"}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        if value.is_null() {
            entry.as_object_mut().expect("an object").remove(key);
        } else {
            entry[key] = value.clone();
        }
    }
    spec(&json!({"related": [entry]}))
}

/// The definition as the Go agent brings it: without what is ours, and with `object` required.
fn go_crd() -> Value {
    let mut crd = crd();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    remove(&mut schema["properties"]["spec"], "syncagent");
    remove(&mut schema["properties"]["status"], "conditions");
    let entry = &mut schema["properties"]["spec"]["properties"]["related"]["items"];
    remove(entry, "syncagent");
    remove(entry, "reference");
    entry["required"] = json!(["identifier", "object", "origin"]);
    entry["x-kubernetes-validations"]
        .as_array_mut()
        .expect("rules")
        .truncate(5);
    let projection = &mut schema["properties"]["spec"]["properties"]["projection"]["properties"];
    for list in ["shortNames", "categories"] {
        projection[list]
            .as_object_mut()
            .expect("a schema")
            .remove("nullable");
    }
    crd["metadata"]["annotations"] = json!({"controller-gen.kubebuilder.io/version": "v0.20.0"});
    crd
}

fn remove(schema: &mut Value, property: &str) {
    let removed = schema["properties"]
        .as_object_mut()
        .expect("properties")
        .remove(property);
    assert!(removed.is_some(), "{property}");
}

/// Objects that the Go agent's definition takes, as its section of the contract describes it.
fn of_the_go_agent() -> Vec<(&'static str, Value)> {
    vec![
        ("plain", spec(&Value::Null)),
        // Required texts may be empty.
        (
            "empty",
            json!({"resource": {"apiGroup": "", "kind": "", "version": ""}}),
        ),
        (
            "everything",
            json!({
                "resource": {"apiGroup": "example.io", "kind": "Thing", "version": "v1", "versions": ["v1"]},
                "filter": {"namespace": {"matchLabels": {"a": "b"}},
                    "resource": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}},
                "naming": {"name": "$remoteName", "namespace": "{{ .ClusterName }}"},
                "enableWorkspacePaths": true,
                "projection": {"group": "g.io", "version": "v2", "versions": {"v1": "v2"}, "kind": "Other",
                    "plural": "others", "scope": "Cluster", "shortNames": [], "categories": ["all"]},
                "mutation": {"spec": [{"delete": {"path": "a"}}, {"regex": {"path": "a", "replacement": ""}},
                    {"template": {"path": "a", "template": ""}}, {}], "status": [{"cel": {"path": "a", "expression": "1"}}]},
                "related": [
                    {"identifier": "a", "origin": "service", "kind": "ConfigMap", "cleanup": true, "syncStatus": false,
                        "object": {"template": {"template": "x"}, "namespace": {"selector": {"matchLabels": {"a": "b"},
                            "rewrite": {"regex": {"pattern": "", "replacement": "x"}}}}}},
                    {"identifier": "a", "origin": "service", "group": "", "version": "v1", "resource": "secrets",
                        "identityHash": "x", "syncStatus": true, "watch": {"byOwner": {}}, "object": {},
                        "projection": {"group": "g.io", "version": "v1", "resource": "things"},
                        "mutation": {"spec": [], "status": []}},
                    {"identifier": "", "origin": "kcp", "version": "v1", "resource": "secrets", "watch": {"bySelector": {}},
                        "object": {"selector": {"rewrite": {"template": {"template": "x"}}}}},
                ],
                "synchronization": {"enabled": false},
            }),
        ),
    ]
}

#[test]
fn s2_objects_of_the_go_agent_are_taken_and_stand_as_they_were_written() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(crd())).await;
        for (name, spec) in of_the_go_agent() {
            let there = place.create(name, &spec).await.expect(name);
            assert_eq!(there.data["spec"], spec, "{name}");
        }
    });
}

#[test]
fn s2_applied_over_the_go_agents_definition_it_keeps_every_object() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(go_crd())).await;
        for (name, spec) in of_the_go_agent() {
            place.create(name, &spec).await.expect(name);
            let status = json!({"status": {"resourceSchemaName": "v1.things.example.io"}});
            let patch = Patch::Merge(&status);
            place
                .publications()
                .patch_status(name, &PatchParams::default(), &patch)
                .await
                .expect(name);
        }
        // What is ours is nothing to the Go agent's definition.
        let ours = place
            .create("pruned", &spec(&json!({"syncagent": {"drift": "Correct"}})))
            .await
            .unwrap();
        assert_eq!(ours.data["spec"].get("syncagent"), None);
        place.define(&here(crd())).await;
        for (name, spec) in of_the_go_agent() {
            let there = place.publications().get(name).await.expect(name);
            assert_eq!(there.data["spec"], spec, "{name}");
            assert_eq!(
                there.data["status"]["resourceSchemaName"],
                "v1.things.example.io"
            );
            // It can be written, too.
            let label = json!({"metadata": {"labels": {"seen": "true"}}});
            let patch = Patch::Merge(&label);
            place
                .publications()
                .patch(name, &PatchParams::default(), &patch)
                .await
                .expect(name);
        }
        place.create("ours", &spec(&Value::Null)).await.unwrap();
        let drift = json!({"spec": {"syncagent": {"drift": "Correct"}}});
        eventually("what is ours is kept", || async {
            let ours = place.publications();
            let (params, patch) = (PatchParams::default(), Patch::Merge(&drift));
            let patched = ours.patch("ours", &params, &patch).await.unwrap();
            (patched.data["spec"]["syncagent"] == drift["spec"]["syncagent"]).then_some(())
        })
        .await;
        // And back: the object stays, without what the Go agent does not know.
        place.define(&here(go_crd())).await;
        eventually("what is ours is gone", || async {
            let back = place.publications().get("ours").await.unwrap();
            (back.data["spec"] == spec(&Value::Null)).then_some(())
        })
        .await;
    });
}

#[test]
fn s2_2_what_the_rules_refuse_is_refused_in_their_words() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(crd())).await;
        let cases = [
            (
                "must specify either kind (deprecated) or group, version, resource",
                json!({"kind": null}),
            ),
            (
                "must specify either kind (deprecated) or group, version, resource",
                json!({"version": "v1", "resource": "secrets"}),
            ),
            (
                "resource and version must be configured together or not at all",
                json!({"kind": null, "version": "v1"}),
            ),
            (
                "configuring a group also requires a version and resource",
                json!({"group": ""}),
            ),
            (
                "identity hashes can only be used with GVRs",
                json!({"kind": null, "version": "v1", "resource": "secrets", "identityHash": "x"}),
            ),
            (
                "watch must be configured when origin is service and syncStatus is true",
                json!({"origin": "service", "syncStatus": true}),
            ),
            (
                "exactly one of byOwner or bySelector must be set",
                json!({"watch": {}}),
            ),
            (
                "exactly one of byOwner or bySelector must be set",
                json!({"watch": {"byOwner": {}, "bySelector": {}}}),
            ),
            (
                "must specify exactly one of object and reference (the deprecated form)",
                json!({"object": null}),
            ),
            (
                "must specify exactly one of object and reference (the deprecated form)",
                json!({"reference": {"name": {"path": "spec.name"}}}),
            ),
        ];
        for (message, entry) in cases {
            let said = refusal(place.create("wrong", &related(&entry)).await);
            assert!(said.contains(message), "{entry}: {said}");
        }
    });
}

#[test]
fn s2_1_what_is_required_and_what_is_one_of_a_few_words() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(crd())).await;
        for (field, wrong) in [
            ("spec.resource", json!({})),
            (
                "spec.resource.apiGroup",
                json!({"resource": {"kind": "Thing"}}),
            ),
            (
                "spec.resource.kind",
                json!({"resource": {"apiGroup": "g.io"}}),
            ),
            (
                "spec.synchronization.enabled",
                spec(&json!({"synchronization": {}})),
            ),
            (
                "spec.projection.scope",
                spec(&json!({"projection": {"scope": "Galaxy"}})),
            ),
            (
                "spec.related[0].identifier",
                related(&json!({"identifier": null})),
            ),
            ("spec.related[0].origin", related(&json!({"origin": null}))),
            (
                "spec.related[0].origin",
                related(&json!({"origin": "local"})),
            ),
            ("spec.related[0].kind", related(&json!({"kind": "Service"}))),
            (
                "spec.related[0].object.reference.path",
                related(&json!({"object": {"reference": {}}})),
            ),
            (
                "spec.related[0].object.selector.rewrite",
                related(&json!({"object": {"selector": {}}})),
            ),
            (
                "spec.mutation.spec[0].delete.path",
                spec(&json!({"mutation": {"spec": [{"delete": {}}]}})),
            ),
            (
                "spec.filter.namespace",
                spec(&json!({"filter": {"namespace": "my-app"}})),
            ),
            (
                "spec.syncagent.drift",
                spec(&json!({"syncagent": {"drift": "Maybe"}})),
            ),
        ] {
            let said = refusal(place.create("wrong", &wrong).await);
            assert!(said.contains(field), "{field}: {said}");
        }
    });
}

#[test]
fn s2_1_null_lists_are_taken() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(crd())).await;
        let nulls =
            spec(&json!({"projection": {"kind": "Other", "shortNames": null, "categories": null}}));
        let there = place.create("nulls", &nulls).await.unwrap();
        let projection = &there.data["spec"]["projection"];
        assert!(projection["shortNames"].is_null() && projection["categories"].is_null());
        // A null that is not a word of its own is nothing, and does not count as there.
        place
            .create("null-kind", &related(&json!({})))
            .await
            .unwrap();
        let mut entry = related(&json!({"kind": null, "version": "v1", "resource": "secrets"}));
        entry["related"][0]["kind"] = Value::Null;
        place.create("null-group", &entry).await.unwrap();
    });
}

#[test]
fn s14_the_first_form_is_taken() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(crd())).await;
        let old = related(&json!({"object": null, "reference": {
        "name": {"path": "spec.secret.name", "regex": {"pattern": "a", "replacement": "b"}},
        "namespace": {"path": "metadata.namespace"}}}));
        let there = place.create("old", &old).await.unwrap();
        assert_eq!(there.data["spec"], old);
    });
}

#[test]
fn the_status_is_written_beside_the_spec() {
    play(|| async {
        let place = Place::new().await;
        place.define(&here(crd())).await;
        place.create("a", &spec(&Value::Null)).await.unwrap();
        let condition = json!({"type": "Ready", "status": "False", "reason": "Invalid", "message": "m",
        "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 1});
        let status = json!({"spec": {"resource": {"kind": "Other"}},
        "status": {"resourceSchemaName": "v1.things.example.io", "conditions": [condition]}});
        let patch = Patch::Merge(&status);
        let there = place
            .publications()
            .patch_status("a", &PatchParams::default(), &patch)
            .await
            .unwrap();
        assert_eq!(there.data["spec"]["resource"]["kind"], "Thing");
        assert_eq!(there.data["status"], status["status"]);
    });
}

/// What kube-apiserver 1.36.2 says about Services: its list of resources and its OpenAPI document, both cut down to what
/// concerns them.
const SERVICE: &str = include_str!("service.json");

#[test]
fn s3_1_a_built_in_kind_becomes_a_definition_that_a_server_takes() {
    play(|| async {
        let recorded: Value = serde_json::from_str(SERVICE).expect("it is JSON");
        let lists = [recorded["list"].clone()];
        let found = Found::of("", "Service", &lists).unwrap();
        let documents = Documents {
            lists: &lists,
            preferred: "v1",
            openapi: &recorded["openapi"],
        };
        let source = Source::from_openapi(&found, &documents).unwrap();
        let publication: PublishedResource =
            serde_json::from_value(json!({"metadata": {"name": "services"}, "spec": {
        "resource": {"apiGroup": "", "kind": "Service"}, "projection": {"group": group()}}}))
            .unwrap();
        let projected = Projected::of(&publication, &source).unwrap();
        let version = &projected.crd()["spec"]["versions"][0];
        assert_eq!(version["subresources"], json!({"status": {}}));
        let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let ports = &spec["ports"];
        assert_eq!(
            ports["x-kubernetes-list-map-keys"],
            json!(["port", "protocol"])
        );
        assert_eq!(ports["items"]["required"], json!(["port"]));
        assert_eq!(ports["items"]["properties"]["protocol"]["default"], "TCP");
        assert_eq!(
            ports["items"]["properties"]["targetPort"]["x-kubernetes-int-or-string"],
            true
        );
        let place = Place::new().await;
        place.define(projected.crd()).await;
        let service = json!({"apiVersion": format!("{}/v1", group()), "kind": "Service",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}], "nonsense": 1}});
        let gvk = GroupVersionKind::gvk(&group(), "v1", "Service");
        let services: Api<DynamicObject> = Api::namespaced_with(
            place.client.clone(),
            "default",
            &ApiResource::from_gvk(&gvk),
        );
        let object = serde_json::from_value(service).unwrap();
        let there = services
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        assert_eq!(
            there.data["spec"],
            json!({"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]})
        );
    });
}
