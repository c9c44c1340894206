//! A definition that cannot work is refused with everything that is wrong with it.

use expect_test::expect;
use serde_json::json;
use syncagent_core::access;
use syncagent_core::definition::{
    CopyNaming, Definition, Events, FieldRule, Find, Labelled, Only, Pass, ReadRule, RelatedRule,
    ReturnRule, ReturnSource, Rule, SchemaSource, SetRule, Side, StatusRule,
};
use syncagent_core::names::AgentName;
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{
    AGENT, at, crd, full_thing, kind, secret, service, spec_schema, takes, thing,
};

fn problems(definitions: &[Definition]) -> String {
    match Publications::compile(AGENT, definitions) {
        Ok(_) => "no problem".into(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn all_problems_come_at_once() {
    let bad = Definition {
        copy: CopyNaming {
            namespace: Some("{worspace}".into()),
            name: "{name}".into(),
        },
        fields: vec![
            takes("spec.secret", "{name}"),
            FieldRule {
                path: "spec.sise".into(),
                rule: Rule::Hidden,
            },
            FieldRule {
                path: "spec.admin".into(),
                rule: Rule::RefersTo {
                    offered: kind("pg.io", "Cluster", "clusters"),
                    name_at: Some("nmae".into()),
                },
            },
            FieldRule {
                path: "spec.items[].a".into(),
                rule: Rule::Moved {
                    at: Some("spec.b".into()),
                    with: None,
                },
            },
        ],
        set: vec![SetRule {
            at: "spec.x".into(),
            value: json!("{nonsense}"),
        }],
        pass: Pass {
            labels: vec!["syncagent.kcp.io/agent-name".into()],
            ..Pass::default()
        },
        status: StatusRule::Fields(vec![
            at("status.phase", "status.phase"),
            at("status.fase", "status.phase"),
        ]),
        returns: vec![
            ReturnRule {
                id: "x".into(),
                kind: secret(),
                name: "fixed".into(),
                source: ReturnSource::From {
                    name: "{name}".into(),
                    keys: Vec::new(),
                },
            },
            ReturnRule {
                id: "x".into(),
                kind: secret(),
                name: "fixed".into(),
                source: ReturnSource::From {
                    name: "ca".into(),
                    keys: Vec::new(),
                },
            },
        ],
        ..thing()
    };
    expect!["29 problems:"].assert_eq(
        problems(&[bad.clone(), bad.clone()])
            .lines()
            .next()
            .unwrap_or_default(),
    );
    expect![[r#"
        14 problems:
          things.example.io: copy: the namespace `{worspace}`: unknown placeholder `{worspace}`; did you mean `{workspace}`?
          things.example.io: takes `spec.secret`: a consumer could choose the name of an object that the operator makes; add a suffix, as in `{name}.taken`, or declare the operator's names as `reserved`
          things.example.io: hidden: `spec.sise` is not in the schema of Thing
          things.example.io: refers_to: `spec.admin.nmae` is not in the schema of Thing
          things.example.io: refers_to: clusters.pg.io is not published by this agent
          things.example.io: at: `spec.b` and `spec.items[].a` do not say `[]` equally often
          things.example.io: set: `spec.x`: unknown placeholder `{nonsense}`; here may stand `{workspace}`, `{namespace}`, `{name}`, `{namespace.hash}`, `{name.hash}`, `{workspace.hash}`, `{namespace.sha3}`, `{name.sha3}`, `{copy.namespace}`, `{copy.name}`
          things.example.io: pass: `syncagent.kcp.io/agent-name` is the agent's own
          things.example.io: status: `status.fase` is not in the schema of Thing
          things.example.io: returns `x`: `fixed` is the same for every order
          things.example.io: returns `x`: `{name}`: `{name}` has no meaning here; here may stand `{copy.name}`
          things.example.io: returns `x`: the id is used twice
          things.example.io: returns `x`: another rule returns a Secret of that name
          things.example.io: returns `x`: `fixed` is the same for every order
    "#]]
    .assert_eq(&(problems(&[bad]) + "\n"));
}

#[test]
fn namings_that_let_tenants_collide_are_refused() {
    let with = |namespace: &str, name: &str| Definition {
        copy: CopyNaming {
            namespace: Some(namespace.into()),
            name: name.into(),
        },
        ..thing()
    };
    for (namespace, name) in [
        ("all", "{name}"),
        ("{workspace}", "{name}"),
        ("{workspace}", "x"),
        ("{workspace}{namespace}", "{name}"),
    ] {
        assert_ne!(
            problems(&[with(namespace, name)]),
            "no problem",
            "{namespace} {name}"
        );
    }
    // One namespace of each workspace is another matter.
    let only = Definition {
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        ..with("{workspace}", "{name}")
    };
    assert_eq!(problems(&[only]), "no problem");
}

#[test]
fn taken_names_that_let_objects_meet_are_refused() {
    let with = |name: &str, namespaces: &[&str]| Definition {
        fields: vec![takes("spec.secret", name)],
        only: Only {
            namespaces: namespaces.iter().map(|it| (*it).to_owned()).collect(),
            ..Only::default()
        },
        ..thing()
    };
    assert_eq!(
        problems(&[with("{name}.taken", &["default"])]),
        "no problem"
    );
    assert_eq!(
        problems(&[with("{copy.name}-{name.hash}.taken", &[])]),
        "no problem"
    );
    for (name, namespaces) in [
        ("{name}.taken", &[][..]),
        ("{name}", &["default"]),
        ("fixed", &["default"]),
        ("{copy.name}-{name}", &[]),
    ] {
        assert_ne!(problems(&[with(name, namespaces)]), "no problem", "{name}");
    }
}

#[test]
fn an_object_of_another_workspace_cannot_be_returned() {
    let with = |from: &str| Definition {
        copy: CopyNaming {
            namespace: Some("shared".into()),
            name: "{workspace}-{namespace.hash}-{name.hash}".into(),
        },
        returns: vec![ReturnRule {
            id: "ca".into(),
            kind: secret(),
            name: "{name}-ca".into(),
            source: ReturnSource::From {
                name: from.into(),
                keys: Vec::new(),
            },
        }],
        ..thing()
    };
    assert_eq!(problems(&[with("{copy.name}-ca")]), "no problem");
    let said = problems(&[with("root-ca")]);
    assert!(
        said.contains("could be an object of another workspace"),
        "{said}"
    );
}

#[test]
fn the_served_crd_is_checked() {
    let kind = kind("example.io", "Thing", "things");
    let definition = thing();
    let mut served = crd(&kind, &spec_schema());
    definition.check(&served).expect("it is the same");
    let properties = &mut served["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    properties["spec"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("color");
    properties["status"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("phase");
    served["spec"]["scope"] = json!("Cluster");
    expect![[r#"
        3 problems:
          things.example.io: the scope of things.example.io is Cluster on the service cluster, not Namespaced
          things.example.io: status: `status.phase` is not in the schema of things.example.io on the service cluster
          things.example.io: field: `spec.color` is not in the schema of things.example.io on the service cluster
    "#]]
    .assert_eq(&(definition.check(&served).unwrap_err().to_string() + "\n"));
    let publications = Publications::compile(AGENT, &[definition]).unwrap();
    let said = publications.check(|_| None).unwrap_err().to_string();
    assert!(
        said.contains("the service cluster has no things.example.io"),
        "{said}"
    );
}

#[test]
fn nothing_is_half_started() {
    let twice = problems(&[thing(), thing()]);
    assert!(twice.contains("published twice"), "{twice}");
    assert!(problems(&[]).contains("nothing is published"));
    let name = Publications::compile("Not A Name", &[thing()])
        .unwrap_err()
        .to_string();
    assert!(name.contains("no name for an agent"), "{name}");
}

#[test]
fn access_follows_from_what_is_published() {
    let publications = Publications::compile(AGENT, &[full_thing()]).unwrap();
    assert_eq!(
        access::claims(&publications),
        ["events", "secrets"].map(|it| json!({"group": "", "resource": it, "verbs": ["*"]}))
    );
    let rules: Vec<String> = access::service_rules(&publications)
        .iter()
        .map(ToString::to_string)
        .collect();
    expect![[r#"
        {"apiGroups":[""],"resources":["namespaces"],"verbs":["create","get","list","watch"]}
        {"apiGroups":[""],"resources":["secrets"],"verbs":["create","delete","get","list","patch","watch"]}
        {"apiGroups":[""],"resources":["services"],"verbs":["get","list","watch"]}
        {"apiGroups":["example.io"],"resources":["things"],"verbs":["create","delete","get","list","patch","watch"]}
        {"apiGroups":["apiextensions.k8s.io"],"resourceNames":["things.example.io"],"resources":["customresourcedefinitions"],"verbs":["get","list","watch"]}
    "#]]
    .assert_eq(&(rules.join("\n") + "\n"));
    let mut related = RelatedRule::new(
        "things",
        Side::Workspace,
        kind("far.io", "Far", "fars"),
        Find::Labels(Labelled::label("for", "{name}")),
    );
    related.identity = Some("abc".into());
    related.status = true;
    let far = Definition {
        related: vec![related],
        ..full_thing()
    };
    let far = Publications::compile(AGENT, &[far]).unwrap();
    assert_eq!(
        access::claims(&far)[2],
        json!({"group": "far.io", "resource": "fars", "verbs": ["*"], "identityHash": "abc"})
    );
    let status = json!({"apiGroups": ["far.io"], "resources": ["fars/status"], "verbs": ["patch"]});
    assert!(access::service_rules(&far).contains(&status));
    let binding = access::binding(&publications, "root:providers", AGENT);
    assert_eq!(binding["spec"]["permissionClaims"][0]["state"], "Accepted");
    let plain = Publications::compile(AGENT, &[thing()]).unwrap();
    assert_eq!(access::claims(&plain)[0]["resource"], "events");
    let mut quiet = thing();
    quiet.policy.events = Events::Off;
    let quiet = Publications::compile(AGENT, &[quiet]).unwrap();
    assert!(access::claims(&quiet).is_empty());
}

#[test]
fn two_rules_that_take_the_same_object_agree_on_its_labels() {
    let mut admin = takes("spec.admin", "{name}.taken");
    let Rule::Takes(take) = &mut admin.rule else {
        unreachable!("it takes")
    };
    take.labels = vec![("other".into(), "1".into())];
    let mut definition = full_thing();
    definition.fields.push(admin);
    let publications = Publications::compile(AGENT, &[definition]).unwrap();
    let takes = &publications.iter().next().unwrap().projection();
    let labels = format!("{takes:?}");
    assert_eq!(
        labels
            .matches("(\"other\", \"1\"), (\"reload\", \"true\")")
            .count(),
        2,
        "{labels}"
    );
}

#[test]
fn a_kind_of_another_export_has_one_identity() {
    let far = kind("far.io", "Far", "fars");
    let rule = |id: &str, identity: &str| RelatedRule {
        identity: Some(identity.into()),
        ..RelatedRule::new(
            id,
            Side::Workspace,
            far.clone(),
            Find::named(&format!("{{name}}-{id}")),
        )
    };
    let with = |kind: &str, rules: Vec<RelatedRule>| {
        let mut definition = thing();
        definition.offered.plural = kind.into();
        definition.service.plural = kind.into();
        definition.related = rules;
        definition
    };
    let expected = "1 problem:\n  things.example.io: related: fars.far.io is claimed with the identity `def`, and things.example.io claims it with `abc`; an export claims a kind once, so that all rules need the same `identity`";
    let two = with("things", vec![rule("a", "abc"), rule("b", "def")]);
    assert_eq!(problems(std::slice::from_ref(&two)), expected);
    let agent = AgentName::parse(AGENT).unwrap();
    assert!(Publication::alone(&agent, &two).is_err());
    // Across definitions the first one counts, as everywhere.
    let (first, second) = (
        with("others", vec![rule("a", "abc")]),
        with("things", vec![rule("a", "def")]),
    );
    let expected = expected.replace("and things.example.io", "and others.example.io");
    assert_eq!(problems(&[first.clone(), second.clone()]), expected);
    let each = Publications::compile_each(&agent, &[first, second]);
    assert!(each[0].is_ok() && each[1].is_err());
    let same = with("things", vec![rule("a", "abc"), rule("b", "abc")]);
    assert!(Publications::compile(AGENT, &[same]).is_ok());
}

#[test]
fn a_foreign_schema_source_needs_the_crd() {
    let definition = Definition {
        schema: SchemaSource::Cluster,
        returns: vec![ReturnRule {
            id: "s".into(),
            kind: secret(),
            name: "{name}-s".into(),
            source: ReturnSource::With {
                reads: vec![ReadRule {
                    kind: service(),
                    name: "{copy.name}".into(),
                }],
                compose: |_| None,
            },
        }],
        ..thing()
    };
    let publications = Publications::compile(AGENT, &[definition]).unwrap();
    let publication = publications.iter().next().unwrap();
    assert!(publication.needs_crd());
    publication.resource_schema(None).unwrap_err();
    let served = crd(publication.service(), &spec_schema());
    let schema = publication.resource_schema(Some(&served)).unwrap();
    assert_eq!(
        schema["spec"]["versions"][0]["schema"]["properties"]["spec"]["properties"]["size"]["type"],
        "integer"
    );
}
