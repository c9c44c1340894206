//! What is offered: versions, names, scopes and subsets of a schema.

use serde_json::{Value, json};
use syncagent_core::definition::{
    CopyNaming, Definition, FieldRule, OfferedNames, Only, Rule, SchemaSource, Scope, SetRule,
    StatusRule,
};
use syncagent_core::names::AgentName;
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, compile, crd, key, kind, order, spec_schema, thing};

/// The kind as the service cluster has it, in two versions.
fn two_versions() -> Value {
    let mut crd = crd(&kind("example.io", "Thing", "things"), &spec_schema());
    let mut older = crd["spec"]["versions"][0].clone();
    older["name"] = json!("v1beta1");
    older["storage"] = json!(false);
    older["deprecated"] = json!(true);
    crd["spec"]["versions"].as_array_mut().unwrap().push(older);
    crd["spec"]["names"]["shortNames"] = json!(["th"]);
    crd
}

/// The CRD of the service cluster as it is.
fn whole() -> Definition {
    let kind = kind("example.io", "Thing", "things");
    Definition::new(kind.clone(), kind)
}

fn subset(paths: &[&str]) -> Definition {
    Definition {
        schema: SchemaSource::Subset(paths.iter().map(|it| (*it).to_owned()).collect()),
        ..whole()
    }
}

fn problems(definition: &Definition) -> Vec<String> {
    match Publications::compile(AGENT, std::slice::from_ref(definition)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.into_iter().map(|it| it.what).collect(),
    }
}

fn against(definition: &Definition, crd: &Value) -> Vec<String> {
    match definition.check(crd) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.0.into_iter().map(|it| it.what).collect(),
    }
}

#[test]
fn several_versions_are_offered_under_names_of_their_own() {
    let definition = Definition {
        versions: vec![
            ("v1".into(), "v1".into()),
            ("v1beta1".into(), "v1alpha1".into()),
        ],
        ..whole()
    };
    let schema = compile(definition.clone())
        .resource_schema(Some(&two_versions()))
        .unwrap();
    let versions = schema["spec"]["versions"].as_array().unwrap();
    let told: Vec<_> = versions
        .iter()
        .map(|it| {
            (
                it["name"].as_str().unwrap(),
                it["storage"] == true,
                it["deprecated"] == true,
            )
        })
        .collect();
    assert_eq!(told, [("v1", true, false), ("v1alpha1", false, true)]);
    assert_eq!(schema["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(against(&definition, &two_versions()), Vec::<String>::new());
    let one = compile(whole())
        .resource_schema(Some(&two_versions()))
        .unwrap();
    assert_eq!(one["spec"].get("conversion"), None);
}

#[test]
fn versions_that_hold_something_else_are_refused() {
    let definition = Definition {
        versions: vec![
            ("v1".into(), "v1".into()),
            ("v1beta1".into(), "v1beta1".into()),
        ],
        ..whole()
    };
    let mut crd = two_versions();
    crd["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["old"] =
        json!({"type": "string"});
    assert_eq!(
        against(&definition, &crd),
        [
            "versions: what is written in v1beta1 is stored in v1 and only renamed, and there: spec.old: the field is removed"
        ]
    );
    crd["spec"]["versions"][1]["served"] = json!(false);
    assert_eq!(
        against(&definition, &crd),
        ["the service cluster does not serve things.example.io in version v1beta1"]
    );
    // Where the field is not seen, nothing of it can be lost.
    let narrow = Definition {
        schema: SchemaSource::Subset(vec!["spec.size".into()]),
        ..definition.clone()
    };
    crd["spec"]["versions"][1]["served"] = json!(true);
    assert_eq!(against(&narrow, &crd), Vec::<String>::new());
    let typed = Definition {
        schema: SchemaSource::Type(crd),
        ..definition
    };
    assert!(problems(&typed)[0].contains("spec.old: the field is removed"));
}

#[test]
fn versions_that_make_no_sense_are_told() {
    let definition = Definition {
        versions: vec![
            ("v2".into(), "v2".into()),
            ("v3".into(), "v2".into()),
            ("v4".into(), "V4".into()),
        ],
        ..whole()
    };
    assert_eq!(
        problems(&definition),
        [
            "versions: `v1` as `v1` is not among them, and the agent works with these two",
            "versions: `v2` is offered twice; give each version a name of its own",
            "versions: `V4` is no name for a version; write one as in `v1beta1`",
        ]
    );
}

#[test]
fn the_offered_kind_has_names_of_its_own() {
    let mut definition = Definition {
        names: OfferedNames {
            singular: Some("thingy".into()),
            short_names: Some(vec!["ty".into()]),
            categories: Some(vec!["all".into()]),
        },
        ..whole()
    };
    let names = |definition: &Definition| {
        let schema = compile(definition.clone()).resource_schema(Some(&two_versions()));
        schema.unwrap()["spec"]["names"].clone()
    };
    assert_eq!(
        names(&definition),
        json!({"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thingy",
            "shortNames": ["ty"], "categories": ["all"]})
    );
    assert_eq!(names(&whole())["shortNames"], json!(["th"]));
    definition.names.short_names = Some(vec![]);
    assert_eq!(names(&definition).get("shortNames"), None);

    definition.names.short_names = Some(vec!["T".into()]);
    definition.offered.group = "apps.k8s.io".into();
    definition.offered.kind = "My_Thing".into();
    let found = problems(&definition);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("Kubernetes' own"), "{found:#?}");
    definition.offered.group = String::new();
    assert!(problems(&definition)[0].contains("no group for a kind of your own"));
}

#[test]
fn scopes_change_where_names_allow_it() {
    let with = |offered: Scope, service: Scope| {
        let mut definition = thing();
        (definition.offered.scope, definition.service.scope) = (offered, service);
        definition.copy = CopyNaming::between(offered, service);
        definition
    };
    let both = [Scope::Namespaced, Scope::Cluster];
    for (offered, service) in both
        .into_iter()
        .flat_map(|it| both.map(|other| (it, other)))
    {
        assert_eq!(
            problems(&with(offered, service)),
            Vec::<String>::new(),
            "{offered:?} {service:?}"
        );
    }
    // Two namespaces of a workspace would meet in one copy.
    let mut lossy = with(Scope::Namespaced, Scope::Cluster);
    lossy.copy.name = "{workspace}-{name}".into();
    assert!(!problems(&lossy).is_empty());
    lossy.only = Only {
        namespaces: vec!["default".into()],
        ..Only::default()
    };
    lossy.copy.name = "{workspace}-{name.hash}".into();
    assert_eq!(problems(&lossy), Vec::<String>::new());
    // There is no namespace to choose, or to name a copy after.
    let mut wide = with(Scope::Cluster, Scope::Namespaced);
    wide.only.namespaces = vec!["default".into()];
    wide.copy.name = "{namespace.hash}-{name.hash}".into();
    let found = problems(&wide);
    assert!(found.iter().any(|it| it.starts_with("only:")), "{found:#?}");
    assert!(found.iter().any(|it| it.starts_with("copy:")), "{found:#?}");
}

#[test]
fn a_subset_shows_what_is_named_and_sends_nothing_else() {
    let definition = subset(&["spec.size", "spec.items[].a", "status.phase"]);
    let publication = compile(definition.clone());
    let schema = publication.resource_schema(Some(&two_versions())).unwrap();
    let properties = &schema["spec"]["versions"][0]["schema"]["properties"];
    let fields = |at: &Value| -> Vec<String> {
        at["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(fields(&properties["spec"]), ["items", "size"]);
    assert_eq!(
        fields(&properties["spec"]["properties"]["items"]["items"]),
        ["a"]
    );
    assert_eq!(fields(&properties["status"]), ["conditions", "phase"]);
    assert_eq!(against(&definition, &two_versions()), Vec::<String>::new());

    // An order from a time when more was seen.
    let key = key(&publication, "a");
    let origin = order(
        &publication,
        &key,
        &json!({"size": 1, "note": "x", "items": [{"a": "1", "ref": {"name": "y"}}]}),
    );
    let intent = publication.intent(&key, &origin).unwrap().object;
    assert_eq!(intent["spec"], json!({"size": 1, "items": [{"a": "1"}]}));
}

#[test]
fn a_subset_has_to_make_a_whole_object() {
    let mut crd = two_versions();
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["required"] = json!(["pool", "size"]);
    let definition = subset(&["spec.size", "spec.sise"]);
    assert_eq!(
        against(&definition, &crd),
        [
            "schema: `spec.sise` is not in the schema of things.example.io on the service cluster",
            "schema: things.example.io demands `spec.pool`, which consumers do not see; add it to the subset, or set it",
        ]
    );
    let set = Definition {
        set: vec![SetRule {
            at: "spec.pool".into(),
            value: json!("x"),
        }],
        ..subset(&["spec.size"])
    };
    assert_eq!(against(&set, &crd), Vec::<String>::new());
    let rule = Definition {
        fields: vec![FieldRule {
            path: "spec.note".into(),
            rule: Rule::Local,
        }],
        ..subset(&["spec.size"])
    };
    assert_eq!(
        problems(&rule),
        ["local: `spec.note` is not among the fields that consumers see; add it to the subset"]
    );
    assert!(problems(&subset(&[]))[0].contains("without a field"));
    assert!(problems(&subset(&["metadata.labels"]))[0].contains("metadata is always seen"));
}

#[test]
fn a_kind_without_a_crd_needs_a_schema_of_its_own() {
    let told = compile(whole())
        .resource_schema(None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("offer a type of your own"), "{told}");
    assert!(compile(thing()).resource_schema(None).is_ok());
}

#[test]
fn what_is_wrong_with_one_definition_does_not_concern_the_others() {
    let named = |kind: &str, plural: &str| {
        let mut definition = whole();
        definition.offered.kind = kind.into();
        definition.offered.plural = plural.into();
        definition
    };
    let broken = Definition {
        copy: CopyNaming {
            namespace: Some("shared".into()),
            name: "{name}".into(),
        },
        ..named("Broken", "brokens")
    };
    let leaning = Definition {
        fields: vec![FieldRule {
            path: "spec.secret".into(),
            rule: Rule::RefersTo {
                offered: broken.offered.clone(),
                name_at: Some("name".into()),
            },
        }],
        ..named("Leaning", "leanings")
    };
    let good = named("Good", "goods");
    let all = [
        broken,
        good.clone(),
        leaning,
        Definition {
            status: StatusRule::None,
            ..good
        },
    ];
    let agent = AgentName::parse(AGENT).unwrap();
    let each: Vec<_> = Publications::compile_each(&agent, &all)
        .into_iter()
        .map(|it| it.map(|it| it.id().to_owned()).map_err(|it| it.0.len()))
        .collect();
    assert!(matches!(&each[0], Err(1..)), "{each:?}");
    assert_eq!(
        each[1..],
        [Ok("goods.example.io".to_owned()), Err(1), Err(1)]
    );
}

#[test]
fn a_publication_is_the_same_when_nothing_of_it_changed() {
    fn one(value: &Value) -> Result<Value, String> {
        Ok(value.clone())
    }
    fn two(_: &Value) -> Result<Value, String> {
        Ok(json!("two"))
    }
    let with = |with: fn(&Value) -> Result<Value, String>| -> Publication {
        compile(Definition {
            fields: vec![FieldRule {
                path: "spec.note".into(),
                rule: Rule::Moved {
                    at: None,
                    with: Some(with),
                },
            }],
            ..thing()
        })
    };
    assert!(with(one).is_same(&with(one)));
    assert!(!with(one).is_same(&with(two)));
    assert!(!compile(thing()).is_same(&with(one)));
}
