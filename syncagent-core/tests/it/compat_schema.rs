//! From a CRD and a `PublishedResource` to an `APIResourceSchema`: sections 3.1 to 3.3 of the contract, and the cases of its
//! section 10.1.

use serde_json::{Value, json};
use syncagent_core::api::published_resource::PublishedResource;
use syncagent_core::compat::{FieldProblem, Projected, Source};
use syncagent_core::definition::{Kind, Scope};

/// A version: its name, and what is said of it in words.
fn version(name: &str, flags: &str) -> Value {
    json!({
        "name": name,
        "served": !flags.contains("unserved"),
        "storage": flags.contains("stored"),
        "schema": {"openAPIV3Schema": {"type": "object", "description": name}},
    })
}

fn crd(versions: &[Value]) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.io", "generation": 7},
        "spec": {
            "group": "example.io",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList",
                "shortNames": ["th"], "categories": ["all"]},
            "versions": versions,
            "conversion": {"strategy": "None"},
        },
    })
}

/// A `PublishedResource` of things, with more in its spec.
fn publication(resource: &Value, projection: &Value) -> PublishedResource {
    let mut object = json!({"metadata": {"name": "things"}, "spec": {
        "resource": {"apiGroup": "example.io", "kind": "Thing"}}});
    merge(&mut object["spec"]["resource"], resource);
    if !projection.is_null() {
        object["spec"]["projection"] = projection.clone();
    }
    serde_json::from_value(object).expect("it has the form of the type")
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

fn project(
    versions: &[Value],
    resource: &Value,
    projection: &Value,
) -> Result<Projected, Vec<FieldProblem>> {
    Projected::of(
        &publication(resource, projection),
        &Source::from_crd(&crd(versions)),
    )
}

fn projected(versions: &[Value], resource: &Value, projection: &Value) -> Projected {
    project(versions, resource, projection).expect("nothing is wrong with it")
}

fn problems(versions: &[Value], resource: &Value, projection: &Value) -> Vec<String> {
    let problems = project(versions, resource, projection).expect_err("it has problems");
    problems.iter().map(ToString::to_string).collect()
}

/// The versions of a projected CRD: name, the version that its schema is of, and what it is.
fn versions(projected: &Projected) -> Vec<String> {
    let versions = projected.crd()["spec"]["versions"]
        .as_array()
        .expect("versions");
    let line = |it: &Value| {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let mut line = text(&it["name"]);
        let was = text(&it["schema"]["openAPIV3Schema"]["description"]);
        if was != line {
            line = format!("{line} was {was}");
        }
        if it["served"] == false {
            line.push_str(" unserved");
        }
        if it["storage"] == true {
            line.push_str(" stored");
        }
        line
    };
    versions.iter().map(line).collect()
}

fn three() -> Vec<Value> {
    vec![
        version("v1alpha1", ""),
        version("v1", "stored"),
        version("v2", ""),
    ]
}

fn none() -> Value {
    Value::Null
}

// Section 10.1, projection.

#[test]
fn s10_1_nothing_is_projected() {
    let projected = projected(&three(), &none(), &none());
    assert_eq!(projected.crd(), Source::from_crd(&crd(&three())).crd());
    let kind = Kind {
        group: "example.io".into(),
        version: "v1".into(),
        kind: "Thing".into(),
        plural: "things".into(),
        scope: Scope::Namespaced,
    };
    assert_eq!(
        (projected.local(), projected.remote()),
        (kind.clone(), kind)
    );
    assert_eq!(projected.warnings(), []);
}

#[test]
fn s10_1_one_version_is_chosen_in_the_old_style() {
    let projected = projected(&three(), &json!({"version": "v1"}), &none());
    assert_eq!(versions(&projected), ["v1 stored"]);
}

#[test]
fn s10_1_one_version_is_chosen_in_the_new_style() {
    let projected = projected(&three(), &json!({"versions": ["v1"]}), &none());
    assert_eq!(versions(&projected), ["v1 stored"]);
}

#[test]
fn s10_1_several_versions_are_chosen() {
    let projected = projected(&three(), &json!({"versions": ["v2", "v1"]}), &none());
    assert_eq!(versions(&projected), ["v1 stored", "v2"]);
}

#[test]
fn s10_1_a_version_that_is_missing() {
    for resource in [json!({"version": "v3"}), json!({"versions": ["v3"]})] {
        let path = if resource["version"].is_null() {
            "versions"
        } else {
            "version"
        };
        assert_eq!(
            problems(&three(), &resource, &none()),
            [format!(
                "spec.resource.{path}: the CRD has no version v3; it has v1alpha1, v1, v2"
            )]
        );
    }
    // One of several is no problem for the Go agent; here it is said.
    let projected = projected(&three(), &json!({"versions": ["v1", "v3"]}), &none());
    assert_eq!(versions(&projected), ["v1 stored"]);
    assert_eq!(
        projected.warnings()[0].to_string(),
        "spec.resource.versions: the CRD has no version v3; it has v1alpha1, v1, v2"
    );
}

#[test]
fn s10_1_no_version_is_served() {
    let mut all = three();
    all[2] = version("v2", "unserved");
    assert_eq!(
        problems(&all, &json!({"versions": ["v2"]}), &none()),
        ["spec.resource.versions: of the versions v2 none is served"]
    );
}

#[test]
fn s10_1_the_last_served_version_is_stored_where_the_stored_one_is_not_chosen() {
    let projected = projected(&three(), &json!({"versions": ["v1alpha1", "v2"]}), &none());
    assert_eq!(versions(&projected), ["v1alpha1", "v2 stored"]);
    // Last is meant in the order of the list.
    let mut all = vec![
        version("v3", ""),
        version("v1", ""),
        version("v2", "stored"),
    ];
    let wanted = json!({"versions": ["v1", "v3"]});
    assert_eq!(
        versions(&self::projected(&all, &wanted, &none())),
        ["v3", "v1 stored"]
    );
    // And one that is not served does not count.
    all[1] = version("v1", "unserved");
    let projected = self::projected(&all, &wanted, &none());
    assert_eq!(versions(&projected), ["v3 stored", "v1 unserved"]);
    // The service side goes by what its own CRD stores.
    assert_eq!(
        (projected.local().version, projected.remote().version),
        ("v2".into(), "v3".into())
    );
}

#[test]
fn s10_1_one_version_is_renamed_in_the_old_style() {
    let projected = projected(
        &three(),
        &json!({"version": "v1"}),
        &json!({"version": "v6"}),
    );
    assert_eq!(versions(&projected), ["v6 was v1 stored"]);
    assert_eq!(
        (projected.local().version, projected.remote().version),
        ("v1".into(), "v6".into())
    );
}

#[test]
fn s10_1_one_version_is_renamed_in_the_new_style() {
    let projected = projected(
        &three(),
        &json!({"versions": ["v1"]}),
        &json!({"versions": {"v1": "v6"}}),
    );
    assert_eq!(versions(&projected), ["v6 was v1 stored"]);
}

#[test]
fn s10_1_several_versions_are_renamed() {
    let projection = json!({"versions": {"v1alpha1": "v3", "v2": "v4"}});
    let projected = projected(&three(), &none(), &projection);
    assert_eq!(
        versions(&projected),
        ["v1 stored", "v3 was v1alpha1", "v4 was v2"]
    );
}

#[test]
fn s10_1_the_old_style_renames_one_version_only() {
    assert_eq!(
        problems(&three(), &none(), &json!({"version": "v6"})),
        [
            "spec.projection.version: renames one version, and 3 are published (v1alpha1, v1, v2); use `versions`"
        ]
    );
}

#[test]
fn s10_1_two_versions_get_one_name() {
    assert_eq!(
        problems(&three(), &none(), &json!({"versions": {"v1": "v2"}})),
        ["spec.projection.versions: gives two versions the name `v2`"]
    );
}

#[test]
fn s10_1_renamed_versions_are_sorted() {
    let all = vec![
        version("v1", "stored"),
        version("v2", ""),
        version("v1beta1", ""),
        version("foo", ""),
        version("v1alpha7", ""),
    ];
    // Without a map the order of the CRD stays.
    let names = |projected: &Projected| -> Vec<String> {
        let line = |it: String| it.split(' ').next().unwrap_or_default().to_owned();
        versions(projected).into_iter().map(line).collect()
    };
    let kept = projected(&all, &none(), &json!({"kind": "Other"}));
    assert_eq!(names(&kept), ["v1", "v2", "v1beta1", "foo", "v1alpha7"]);
    let sorted = projected(
        &all,
        &none(),
        &json!({"versions": {"v2": "v10", "v1": "v3"}}),
    );
    assert_eq!(names(&sorted), ["foo", "v1alpha7", "v1beta1", "v3", "v10"]);
    assert_eq!(sorted.remote().version, "v3");
    // A map that renames nothing sorts, too, and an empty one is none.
    let sorted = projected(&all, &none(), &json!({"versions": {"v9": "v10"}}));
    assert_eq!(names(&sorted), ["foo", "v1alpha7", "v1beta1", "v1", "v2"]);
    assert_eq!(
        sorted.warnings()[0].to_string(),
        "spec.projection.versions: `v9` is not among the published versions"
    );
    let kept = projected(&all, &none(), &json!({"versions": {}}));
    assert_eq!(names(&kept), ["v1", "v2", "v1beta1", "foo", "v1alpha7"]);
}

fn names(projected: &Projected) -> (Value, Value, Value) {
    let crd = projected.crd();
    (
        crd["metadata"]["name"].clone(),
        crd["spec"]["group"].clone(),
        crd["spec"]["names"].clone(),
    )
}

#[test]
fn s10_1_another_group() {
    let (name, group, names) = names(&projected(&three(), &none(), &json!({"group": "other.io"})));
    assert_eq!((name, group), (json!("things.other.io"), json!("other.io")));
    assert_eq!(names, crd(&[])["spec"]["names"]);
}

#[test]
fn s10_1_another_kind_brings_its_names() {
    let (name, _, names) = names(&projected(&three(), &none(), &json!({"kind": "MyWidget"})));
    assert_eq!(name, "mywidgets.example.io");
    assert_eq!(
        names,
        json!({"plural": "mywidgets", "singular": "mywidget", "kind": "MyWidget", "listKind": "MyWidgetList",
            "shortNames": ["th"], "categories": ["all"]})
    );
}

#[test]
fn s10_1_a_plural_of_its_own() {
    let (name, _, these) = names(&projected(
        &three(),
        &none(),
        &json!({"kind": "Box", "plural": "boxes"}),
    ));
    assert_eq!(
        (name, &these["plural"], &these["singular"]),
        (json!("boxes.example.io"), &json!("boxes"), &json!("box"))
    );
    let (name, _, these) = names(&projected(
        &three(),
        &none(),
        &json!({"plural": "thingies"}),
    ));
    assert_eq!(
        (name, &these["singular"]),
        (json!("thingies.example.io"), &json!("thing"))
    );
}

#[test]
fn s10_1_scope_short_names_and_categories() {
    let projection = json!({"scope": "Cluster", "shortNames": ["x", "y"], "categories": []});
    let projected = projected(&three(), &none(), &projection);
    let (_, _, names) = names(&projected);
    assert_eq!(names["shortNames"], json!(["x", "y"]));
    assert_eq!(names.get("categories"), None);
    assert_eq!(
        (projected.local().scope, projected.remote().scope),
        (Scope::Namespaced, Scope::Cluster)
    );
    // Null keeps, an empty list clears.
    let (_, _, kept) = self::names(&self::projected(
        &three(),
        &none(),
        &json!({"shortNames": null}),
    ));
    assert_eq!(kept["shortNames"], json!(["th"]));
    let (_, _, cleared) = self::names(&self::projected(
        &three(),
        &none(),
        &json!({"shortNames": []}),
    ));
    assert_eq!(cleared.get("shortNames"), None);
}

#[test]
fn s10_1_group_and_plural_name_the_crd() {
    let projection = json!({"group": "other.io", "plural": "others"});
    let projected = projected(&three(), &none(), &projection);
    assert_eq!(names(&projected).0, "others.other.io");
    let name = projected.schema_name();
    assert!(
        name.starts_with('v') && name.ends_with(".others.other.io"),
        "{name}"
    );
}

// Section 3.1.

#[test]
fn s3_1_a_crd_is_reduced_to_what_a_schema_is_made_of() {
    let mut full = crd(&three());
    full["metadata"] = json!({
        "name": "things.example.io", "generation": 7, "uid": "u", "resourceVersion": "3", "labels": {"a": "b"},
        "annotations": {"api-approved.kubernetes.io": "unapproved", "controller-gen.kubebuilder.io/version": "v1"},
    });
    full["spec"]["conversion"] =
        json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}});
    full["status"] = json!({"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]});
    let source = Source::from_crd(&full);
    let mut wanted = crd(&three());
    wanted["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved"});
    assert_eq!(*source.crd(), wanted);
}

#[test]
fn s3_1_a_schema_that_is_not_structural_is_kept_and_a_missing_one_takes_everything() {
    let mut bare = version("v1alpha1", "");
    bare.as_object_mut().unwrap().remove("schema");
    let loose = json!({"properties": {"spec": {}}});
    let mut old = version("v1", "stored");
    old["schema"]["openAPIV3Schema"] = loose.clone();
    let mut full = crd(&[bare, old]);
    full["status"] = json!({"conditions": [{"type": "NonStructuralSchema", "status": "True"}]});
    let versions = Source::from_crd(&full).crd()["spec"]["versions"].clone();
    assert_eq!(
        versions[0]["schema"]["openAPIV3Schema"],
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    );
    assert_eq!(versions[1]["schema"]["openAPIV3Schema"], loose);
    // Only under that condition.
    full["status"] = json!({"conditions": [{"type": "NonStructuralSchema", "status": "False"}]});
    assert_eq!(
        Source::from_crd(&full).crd()["spec"]["versions"][0].get("schema"),
        None
    );
    let problems =
        Projected::of(&publication(&none(), &none()), &Source::from_crd(&full)).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "spec.resource: version v1alpha1 of the CRD has no schema"
    );
}

#[test]
fn s3_1_the_service_side_works_in_the_version_that_the_crd_stores() {
    let projected = projected(
        &three(),
        &json!({"versions": ["v2"]}),
        &json!({"kind": "Other"}),
    );
    let (local, remote) = (projected.local(), projected.remote());
    assert_eq!(
        (
            local.version.as_str(),
            local.kind.as_str(),
            local.plural.as_str()
        ),
        ("v1", "Thing", "things")
    );
    assert_eq!(
        (
            remote.version.as_str(),
            remote.kind.as_str(),
            remote.plural.as_str()
        ),
        ("v2", "Other", "others")
    );
}

// Section 3.2, what is wrong.

#[test]
fn s3_2_everything_that_is_wrong_is_told_at_once() {
    let object = json!({"metadata": {"name": "things"}, "spec": {
        "resource": {"apiGroup": "other.io", "kind": "Other", "version": "v1", "versions": ["v2"]},
        "projection": {"version": "v3", "versions": {"v1": "v4"}, "group": "apps.k8s.io", "plural": "Some Things"},
    }});
    let publication = serde_json::from_value(object).unwrap();
    let mut nothing_stored = three();
    nothing_stored[1] = version("v1", "");
    let problems =
        Projected::of(&publication, &Source::from_crd(&crd(&nothing_stored))).unwrap_err();
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "spec.resource.kind: is `Other`, and the CRD is of `Thing`",
            "spec.resource.apiGroup: is `other.io`, and the CRD is of `example.io`",
            "spec.resource: no version of the CRD is stored",
            "spec.resource.version: says the same as `versions`, which is there too; leave this one out",
            "spec.projection.version: renames one version, and 2 are published (v1, v2); use `versions`",
            "spec.projection.group: is missing: kcp does not take Kubernetes' own group `apps.k8s.io`; name a group of your own",
            "spec.projection: gives the name `Some Things.apps.k8s.io`, which is no DNS name",
        ]
    );
}

#[test]
fn s3_2_empty_texts_say_nothing() {
    let projection = json!({"group": "", "version": "", "versions": {}, "kind": "", "plural": ""});
    let projected = projected(
        &three(),
        &json!({"version": "", "versions": []}),
        &projection,
    );
    assert_eq!(projected.crd(), Source::from_crd(&crd(&three())).crd());
}

#[test]
fn s3_2_the_old_style_of_renaming_wins() {
    let projection = json!({"version": "v6", "versions": {"v1": "v7"}});
    let projected = projected(&three(), &json!({"versions": ["v1"]}), &projection);
    assert_eq!(versions(&projected), ["v6 was v1 stored"]);
    assert_eq!(
        projected.warnings()[0].to_string(),
        "spec.projection.versions: has no effect beside `version`; leave that one out"
    );
}

#[test]
fn s3_2_what_is_no_crd_is_a_problem_and_no_panic() {
    for broken in [
        Value::Null,
        json!({}),
        json!({"spec": []}),
        json!({"spec": {"versions": 1}}),
        json!([1]),
    ] {
        let source = Source::from_crd(&broken);
        assert!(
            Projected::of(&publication(&none(), &none()), &source).is_err(),
            "{broken}"
        );
        assert!(source.schema_name().starts_with('v'));
    }
}

// Section 3.3.

/// `CronTab` as Kubernetes' documentation has it, in another group.
fn cron_tab() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.example.com", "generation": 1},
        "spec": {
            "group": "example.com",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {
                    "cronSpec": {"type": "string"}, "image": {"type": "string"}, "replicas": {"type": "integer"}}}},
            }}}],
            "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "shortNames": ["ct"]},
        },
    })
}

fn cron_tabs(projection: &Value) -> PublishedResource {
    serde_json::from_value(json!({"metadata": {"name": "crontabs"}, "spec": {
        "resource": {"apiGroup": "example.com", "kind": "CronTab"}, "projection": projection}}))
    .unwrap()
}

#[test]
fn s3_3_the_names_of_the_known_schemas() {
    let source = Source::from_crd(&cron_tab());
    assert_eq!(source.schema_name(), "v0595d221.crontabs.example.com");
    let plain = Projected::of(&cron_tabs(&Value::Null), &source).unwrap();
    assert_eq!(plain.schema_name(), source.schema_name());
    let other = Projected::of(&cron_tabs(&json!({"group": "kcp.example.com"})), &source).unwrap();
    assert_eq!(other.schema_name(), "v35f52fc4.crontabs.kcp.example.com");
}

#[test]
fn s3_3_conversion_and_what_a_server_adds_make_no_other_name() {
    let name = Source::from_crd(&cron_tab()).schema_name();
    let mut served = cron_tab();
    served["spec"]["names"]["listKind"] = json!("CronTabList");
    served["spec"]["conversion"] = json!({"strategy": "None"});
    served["metadata"]["uid"] = json!("u");
    served["metadata"]["generation"] = json!(9);
    served["status"] = json!({"storedVersions": ["v1"]});
    assert_eq!(Source::from_crd(&served).schema_name(), name);
    served["spec"]["conversion"] =
        json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}});
    assert_eq!(Source::from_crd(&served).schema_name(), name);
}

#[test]
fn s3_3_the_body_carries_the_marks_of_the_agent() {
    let projected =
        Projected::of(&cron_tabs(&Value::Null), &Source::from_crd(&cron_tab())).unwrap();
    let schema = projected.resource_schema("my-agent");
    assert_eq!(
        schema,
        json!({
            "apiVersion": "apis.kcp.io/v1alpha1",
            "kind": "APIResourceSchema",
            "metadata": {
                "name": "v0595d221.crontabs.example.com",
                "labels": {"syncagent.kcp.io/agent-name": "my-agent"},
                "annotations": {
                    "syncagent.kcp.io/agent-name": "my-agent",
                    "syncagent.kcp.io/source-generation": "1",
                },
            },
            "spec": {
                "group": "example.com",
                "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList",
                    "shortNames": ["ct"]},
                "scope": "Namespaced",
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {},
                    "schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                        "cronSpec": {"type": "string"}, "image": {"type": "string"}, "replicas": {"type": "integer"}}}}},
                }],
            },
        })
    );
}

#[test]
fn s3_3_the_body_has_of_each_version_what_its_crd_says() {
    let mut all = three();
    all[0]["deprecated"] = json!(true);
    all[0]["deprecationWarning"] = json!("");
    all[0]["unknown"] = json!(1);
    all[1]["subresources"] =
        json!({"status": {}, "scale": {"specReplicasPath": ".a", "statusReplicasPath": ".b"}});
    all[1]["additionalPrinterColumns"] =
        json!([{"name": "A", "type": "string", "jsonPath": ".a", "priority": 0}]);
    all[1]["selectableFields"] = json!([{"jsonPath": ".a"}]);
    all[2]["schema"]["openAPIV3Schema"]["properties"] =
        json!({"a": {"type": "string", "unknown": 1, "required": []}});
    let spec = projected(&all, &none(), &none()).resource_schema("a")["spec"].clone();
    assert_eq!(spec["conversion"], json!({"strategy": "None"}));
    let versions = &spec["versions"];
    assert_eq!(
        versions[0],
        json!({"name": "v1alpha1", "served": true, "storage": false, "deprecated": true, "deprecationWarning": "",
            "subresources": {}, "schema": {"type": "object", "description": "v1alpha1"}})
    );
    assert_eq!(versions[1]["subresources"], all[1]["subresources"]);
    assert_eq!(
        versions[1]["additionalPrinterColumns"],
        json!([{"name": "A", "type": "string", "jsonPath": ".a"}])
    );
    assert_eq!(versions[1]["selectableFields"], json!([{"jsonPath": ".a"}]));
    // What the Go agent's types do not know is not handed on.
    assert_eq!(
        versions[2]["schema"]["properties"],
        json!({"a": {"type": "string"}})
    );
}

#[test]
fn s3_3_a_schema_that_can_be_told_in_no_dns_name() {
    assert_eq!(
        problems(&three(), &none(), &json!({"plural": "my_things"})),
        ["spec.projection: gives the name `my_things.example.io`, which is no DNS name"]
    );
}

#[test]
fn s9_1_the_unprojected_crd_has_a_schema_too() {
    let source = Source::from_crd(&crd(&three()));
    let schema = source.resource_schema("pubres-toolkit");
    assert_eq!(schema["metadata"]["name"], source.schema_name().as_str());
    assert_eq!(
        schema["metadata"]["labels"]["syncagent.kcp.io/agent-name"],
        "pubres-toolkit"
    );
    assert_eq!(
        schema["metadata"]["annotations"]["syncagent.kcp.io/source-generation"],
        "7"
    );
    assert_eq!(schema["spec"]["versions"].as_array().unwrap().len(), 3);
}

// Our own.

#[test]
fn room_for_a_condition_is_made_where_one_is_wanted_and_only_there() {
    let mut publication = cron_tabs(&Value::Null);
    let source = Source::from_crd(&cron_tab());
    for said in [None, Some(false)] {
        publication
            .spec
            .syncagent
            .get_or_insert_default()
            .conditions = said;
        let projected = Projected::of(&publication, &source).unwrap();
        assert_eq!(projected.schema_name(), source.schema_name());
    }
    publication
        .spec
        .syncagent
        .get_or_insert_default()
        .conditions = Some(true);
    let projected = Projected::of(&publication, &source).unwrap();
    assert_ne!(projected.schema_name(), source.schema_name());
    let schema = projected.resource_schema("a");
    let version = &schema["spec"]["versions"][0];
    assert_eq!(version["subresources"], json!({"status": {}}));
    let conditions = &version["schema"]["properties"]["status"]["properties"]["conditions"];
    assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
}
