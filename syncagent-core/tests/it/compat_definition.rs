//! From a `PublishedResource` to what the engine runs: sections 2, 5, 7, 8 and 11.1 of the contract.

use serde_json::{Value, json};
use syncagent_core::api::published_resource::PublishedResource;
use syncagent_core::compat::{Conversion, Offer, Unconverted, convert_offer};
use syncagent_core::definition::{
    Adoption, Definition, Drift, Events, Kind, Policy, SchemaSource, Scope, Side, StatusRule,
};
use syncagent_core::names;
use syncagent_core::object::{annotation, label};
use syncagent_core::plan::{Ending, Key, ObjectRef, Place};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, CLUSTER, compile, kind};
use crate::world::{Agent, World};

pub(crate) fn local() -> Kind {
    kind("db.example.io", "Database", "databases")
}

pub(crate) fn remote() -> Kind {
    kind("offers.example.io", "Order", "orders")
}

/// What servers know in these tests: one resource of an operator.
pub(crate) fn served(_: Side, group: &str, version: &str, resource: &str) -> Option<Kind> {
    let known = (group, version, resource) == ("db.example.io", "v1", "users");
    let nodes = (group, version, resource) == ("", "v1", "nodes");
    match (known, nodes) {
        (true, _) => Some(kind("db.example.io", "User", "users")),
        (_, true) => Some(Kind {
            scope: Scope::Cluster,
            ..kind("", "Node", "nodes")
        }),
        _ => None,
    }
}

pub(crate) fn published(spec: &Value) -> PublishedResource {
    let mut whole = json!({"resource": {"apiGroup": "db.example.io", "kind": "Database"}});
    for (field, value) in spec.as_object().expect("fields of a spec") {
        whole[field] = value.clone();
    }
    serde_json::from_value(json!({"metadata": {"name": "databases"}, "spec": whole}))
        .expect("it has the form of the type")
}

pub(crate) fn converted_between(
    spec: &Value,
    local: Kind,
    remote: Kind,
) -> Result<Conversion, Unconverted> {
    let offer = Offer {
        local,
        remote,
        schema: SchemaSource::Cluster,
    };
    convert_offer(&published(spec), offer, AGENT, &served)
}

pub(crate) fn converted(spec: &Value) -> Conversion {
    converted_between(spec, local(), remote()).unwrap_or_else(|it| panic!("{it}"))
}

/// Everything that is wrong, one to a line.
pub(crate) fn problems(spec: &Value) -> Vec<String> {
    match converted_between(spec, local(), remote()) {
        Ok(_) => Vec::new(),
        Err(it) => it.all().map(ToString::to_string).collect(),
    }
}

pub(crate) fn warnings(spec: &Value) -> Vec<String> {
    let warnings = converted(spec).warnings;
    warnings.iter().map(ToString::to_string).collect()
}

pub(crate) fn publication(spec: &Value) -> Publication {
    compile(converted(spec).definition)
}

pub(crate) fn key_of(publication: &Publication, namespace: &str, name: &str) -> Key {
    Key {
        publication: publication.id().into(),
        cluster: CLUSTER.into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

/// One order in a world, seen and brought down.
pub(crate) struct Case<'a> {
    pub(crate) world: World,
    pub(crate) agent: Agent<'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(publication: &'a Publication, order: &Value) -> Self {
        let key = key_of(publication, "default", "a");
        let mut world = World::default();
        let agent = Agent::new(publication, &key);
        let mut object = json!({
            "apiVersion": "offers.example.io/v1",
            "kind": "Order",
            "metadata": {"name": "a", "namespace": "default", "annotations": {"kcp.io/cluster": CLUSTER}},
        });
        for (field, value) in order.as_object().expect("fields of an order") {
            match field.as_str() {
                "metadata" => {
                    for (field, value) in value.as_object().expect("metadata") {
                        object["metadata"][field] = value.clone();
                    }
                }
                field => object[field] = value.clone(),
            }
        }
        world.put(&agent.origin(), object);
        Self { world, agent }
    }

    pub(crate) fn run(&mut self) -> Ending {
        self.agent
            .run(&mut self.world, None)
            .expect("it is not cut")
    }

    pub(crate) fn begin(&mut self) -> Ending {
        let origin = self.agent.origin();
        self.agent.event(&self.world, &origin);
        self.run()
    }

    /// Lets the order see these objects as they are now.
    pub(crate) fn see(&mut self, objects: &[&ObjectRef]) -> Ending {
        for at in objects {
            if at.kind == *self.agent.publication.service() || **at == self.agent.origin() {
                self.agent.event(&self.world, at);
            } else {
                self.agent.hint(&self.world, at);
            }
        }
        self.run()
    }

    pub(crate) fn edit_order(&mut self, change: impl FnOnce(&mut Value)) -> Ending {
        let origin = self.agent.origin();
        self.world.edit(&origin, change);
        self.see(&[&origin])
    }

    /// Where the copy is.
    pub(crate) fn copy_ref(&self) -> ObjectRef {
        let of_kind = |at: &&ObjectRef| {
            at.place == Place::Service && at.kind == *self.agent.publication.service()
        };
        let mut all = self.world.objects.keys().filter(of_kind);
        let one = all.next().expect("there is a copy").clone();
        assert_eq!(all.next(), None, "there is one copy");
        one
    }

    pub(crate) fn copy(&self) -> &Value {
        &self.world.objects[&self.copy_ref()]
    }

    pub(crate) fn order(&self) -> &Value {
        &self.world.objects[&self.agent.origin()]
    }
}

/// What the spec of a copy is after these mutations.
fn mutated(spec: &Value, order: &Value) -> Value {
    let publication = publication(&json!({"mutation": {"spec": spec}}));
    let mut case = Case::new(&publication, &json!({"spec": order}));
    assert_eq!(case.begin(), Ending::Settled);
    case.copy()["spec"].clone()
}

fn place(definition: &Definition, namespace: &str, name: &str) -> (String, String) {
    let publication = compile(definition.clone());
    let copy = publication.copy(&key_of(&publication, namespace, name));
    let copy = copy.expect("a name");
    (copy.namespace, copy.name)
}

#[test]
fn s2_4_the_default_names_are_those_of_the_go_agent() {
    let expected = "2928c2aa0e510f017f07-73d08a1ba188f1340dae";
    for naming in [json!({}), json!({"naming": {"name": "", "namespace": ""}})] {
        let it = converted(&naming);
        let place = place(&it.definition, "objnamespace", "objname");
        assert_eq!(place, (CLUSTER.to_owned(), expected.to_owned()));
        assert_eq!(it.warnings, []);
    }
}

#[test]
fn s2_4_s11_1_7_objects_without_a_namespace_have_a_default_name() {
    let cluster = |it: Kind| Kind {
        scope: Scope::Cluster,
        ..it
    };
    let beside = converted_between(&json!({}), local(), cluster(remote())).expect("it converts");
    let name = "73d08a1ba188f1340dae".to_owned();
    assert_eq!(
        place(&beside.definition, "", "objname"),
        (CLUSTER.to_owned(), name.clone())
    );
    assert_eq!(beside.warnings, []);
    let both = converted_between(&json!({}), cluster(local()), cluster(remote()));
    let both = both.expect("it converts");
    assert_eq!(
        place(&both.definition, "", "objname"),
        (String::new(), format!("{CLUSTER}-{name}"))
    );
    assert_eq!(both.warnings, []);
}

#[test]
fn s2_3_placeholders_are_read_once_and_the_longest_first() {
    let with = |text: &str| {
        let it = converted(&json!({"naming": {"name": text}}));
        place(&it.definition, "team", "a").1
    };
    assert_eq!(with("$remoteNames"), "as");
    assert_eq!(with("x-$remoteNamespace.$remoteName"), "x-team.a");
    // SHA-1 of "team" and of "a".
    assert_eq!(
        with("$remoteNamespaceHash-$remoteNameHash"),
        "d25187dc137f35c88bc8-86f7e437faa5a7fce15d"
    );
    // What a value holds is not read again.
    let publication = publication(&json!({"naming": {"name": "$remoteName"}}));
    let order = key_of(&publication, "team", "$remoteName");
    assert!(publication.copy(&order).is_err());
    // What is no placeholder stays, and is in no name.
    let said = problems(&json!({"naming": {"name": "$remoteName$x"}}));
    assert!(
        said[0].starts_with("spec.naming.name: the name `$remoteName$x` has a `$`"),
        "{said:?}"
    );
}

#[test]
fn s2_3_placeholders_of_a_namespace_stand_for_an_empty_text_where_there_is_none() {
    let cluster = Kind {
        scope: Scope::Cluster,
        ..remote()
    };
    let naming = json!({"naming": {"name": "$remoteNamespaceHash-$remoteNameHash"}});
    let it = converted_between(&naming, local(), cluster).expect("it converts");
    assert_eq!(
        place(&it.definition, "", "a").1,
        "da39a3ee5e6b4b0d3255-86f7e437faa5a7fce15d"
    );
}

#[test]
fn s2_3_single_braces_mean_nothing() {
    let said = problems(&json!({"naming": {"name": "{workspace}-{name}"}}));
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spec.naming.name: `{workspace}-{name}` has single braces"),
        "{said:?}"
    );
}

#[test]
fn s5_4_a_naming_for_a_copy_without_namespace_has_none() {
    let cluster = Kind {
        scope: Scope::Cluster,
        ..local()
    };
    let naming = json!({"naming": {"namespace": "all", "name": "{{ .ClusterName }}-{{ .Object.metadata.namespace | sha3short }}-{{ .Object.metadata.name | sha3short }}"}});
    let it = converted_between(&naming, cluster, remote()).expect("it converts");
    assert_eq!(it.definition.copy.namespace, None);
    assert_eq!(it.warnings[0].path, "spec.naming.namespace");
}

#[test]
fn s8_2_a_name_follows_from_the_changed_object_and_stays() {
    let publication = publication(&json!({
        "naming": {"name": "{{ .Object.spec.region }}-{{ .Object.metadata.name }}"},
        "mutation": {"spec": [{"regex": {"path": "spec.region", "pattern": "^eu-", "replacement": ""}}]},
    }));
    let mut case = Case::new(&publication, &json!({"spec": {"region": "eu-west"}}));
    assert_eq!(case.begin(), Ending::Settled);
    let copy = case.copy_ref();
    assert_eq!(
        (copy.namespace.as_str(), copy.name.as_str()),
        (CLUSTER, "west-a")
    );
    // What the order says later does not move it.
    assert_eq!(
        case.edit_order(|it| it["spec"]["region"] = json!("us")),
        Ending::Settled
    );
    assert_eq!(case.copy_ref(), copy);
    assert_eq!(case.copy()["spec"]["region"], "us");
    // Nor does a restart.
    case.agent.restart(&case.world);
    case.agent.take_sent();
    assert_eq!(case.run(), Ending::Settled);
    assert_eq!(case.agent.take_sent(), Vec::<String>::new());
    // The order ends, and its copy with it.
    let origin = case.agent.origin();
    case.world.delete(&origin);
    case.see(&[&origin]);
    assert!(!case.world.objects.contains_key(&copy));
    assert!(!case.world.objects.contains_key(&origin));
}

#[test]
fn s8_2_a_name_that_does_not_come_off_is_told_and_tried_again() {
    let publication = publication(&json!({
        "naming": {"name": "{{ .Object.spec.region | upper | lower }}-{{ .Object.metadata.name }}"},
    }));
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    case.begin();
    assert!(
        case.world
            .objects
            .keys()
            .all(|at| at.place != Place::Service)
    );
    assert_eq!(
        case.edit_order(|it| it["spec"]["region"] = json!("eu")),
        Ending::Settled
    );
    assert_eq!(case.copy_ref().name, "eu-a");
}

#[test]
fn s8_2_the_path_of_the_workspace_is_known_where_it_is_asked_for() {
    let spec = json!({
        "enableWorkspacePaths": true,
        "naming": {"name": "{{ .ClusterPath | replace \":\" \"-\" }}-{{ .Object.metadata.name }}"},
    });
    let publication = publication(&spec);
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    let workspace = ObjectRef::logical_cluster(CLUSTER);
    let object = json!({"metadata": {"annotations": {"kcp.io/path": "root:org:team"}}});
    case.world.put(&workspace, object);
    assert_eq!(case.begin(), Ending::Settled);
    assert_eq!(case.copy_ref().name, "root-org-team-a");
    assert_eq!(annotation(case.copy(), names::PATH), Some("root:org:team"));
    assert_eq!(case.agent.gets, 1);
    case.agent.assert_settled_at(&mut case.world);
    let publications = Publications::compile(AGENT, &[converted(&spec).definition]).unwrap();
    let claims = syncagent_core::access::claims(&publications);
    let claimed = claims
        .iter()
        .any(|it| it["resource"] == "logicalclusters" && it["group"] == "core.kcp.io");
    assert!(claimed, "{claims:?}");
    // Where it is not asked for it costs nothing, and is empty.
    let plain = compile(
        converted(&json!({"naming": {"name": "x{{ .ClusterPath }}-{{ .Object.metadata.name }}"}}))
            .definition,
    );
    let mut case = Case::new(&plain, &json!({"spec": {}}));
    assert_eq!(case.begin(), Ending::Settled);
    assert_eq!((case.copy_ref().name.as_str(), case.agent.gets), ("x-a", 0));
    assert_eq!(annotation(case.copy(), names::PATH), None);
}

#[test]
fn s2_4_a_naming_that_proves_nothing_is_a_warning_and_strictly_a_problem() {
    let spec = json!({"naming": {"name": "{{ .Object.metadata.name }}"}});
    let it = converted(&spec);
    assert_eq!(it.unproven.len(), 1);
    assert_eq!(it.unproven, it.warnings);
    assert_eq!(it.unproven[0].path, "spec.naming");
    let refused = it.strict().expect_err("nothing proves it");
    assert!(refused.to_string().contains("two namespaces"), "{refused}");
    assert!(converted(&json!({})).strict().is_ok());
}

#[test]
fn s5_1_both_selectors_of_the_filter_must_match() {
    let it = converted(&json!({"filter": {
        "resource": {"matchLabels": {"tier": "gold"}, "matchExpressions": [{"key": "no", "operator": "DoesNotExist"}]},
        "namespace": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]},
    }}));
    let only = &it.definition.only;
    assert!(only.selector.matches(&json!({"tier": "gold"})));
    assert!(!only.selector.matches(&json!({"tier": "gold", "no": ""})));
    assert!(only.namespace_selector.matches(&json!({"team": "b"})));
    assert!(!only.namespace_selector.matches(&json!({"team": "c"})));
    // Absent and empty selectors select everything.
    for filter in [json!({}), json!({"resource": {}, "namespace": {}})] {
        let it = converted(&json!({"filter": filter}));
        assert!(it.definition.only.selector.is_empty());
        assert!(it.definition.only.namespace_selector.is_empty());
    }
}

#[test]
fn s5_1_s11_1_6_a_namespace_filter_for_objects_without_namespace_is_a_problem() {
    let cluster = Kind {
        scope: Scope::Cluster,
        ..remote()
    };
    let filter = json!({"filter": {"namespace": {"matchLabels": {"a": "b"}}}});
    let refused = converted_between(&filter, local(), cluster).expect_err("it cannot work");
    let paths: Vec<_> = refused.all().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["spec.filter.namespace"]);
}

#[test]
fn s5_1_a_selector_that_is_none_is_named_by_its_field() {
    let said = problems(&json!({"filter": {"resource": {
        "matchLabels": {"a b": "x", "a": "y z"},
        "matchExpressions": [
            {"key": "k", "operator": "in", "values": ["v"]},
            {"key": "k", "operator": "In"},
            {"key": "k", "operator": "Exists", "values": ["v"]},
        ],
    }}}));
    assert_eq!(
        said,
        [
            "spec.filter.resource.matchLabels: `y z` cannot be the value of a label",
            "spec.filter.resource.matchLabels: `a b` cannot be the key of a label",
            "spec.filter.resource.matchExpressions[0].operator: `in` is no operator; write In, NotIn, Exists or DoesNotExist",
            "spec.filter.resource.matchExpressions[1].values: In compares with values; name some",
            "spec.filter.resource.matchExpressions[2].values: Exists takes no values; leave them out",
        ]
    );
}

#[test]
fn s5_8_all_labels_and_annotations_cross_but_the_agents_own() {
    let publication = publication(&json!({}));
    let order = json!({"spec": {}, "metadata": {
        "labels": {
            "team": "a", "apis.kcp.io/x": "kept", "claimed.internal.apis.kcp.io/abc": "no",
            names::AGENT: "somebody-else", names::CLUSTER: "other",
        },
        "annotations": {
            "note": "x", "kcp.io/cluster": CLUSTER, "tenancy.kcp.io/y": "kept",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "related-resources.syncagent.kcp.io/a.0": "{}", names::NAME: "other", names::DELETION: "orphan",
        },
    }});
    let mut case = Case::new(&publication, &order);
    assert_eq!(case.begin(), Ending::Settled);
    let copy = case.copy();
    assert_eq!(label(copy, "team"), "a");
    assert_eq!(label(copy, "apis.kcp.io/x"), "kept");
    assert_eq!(label(copy, "claimed.internal.apis.kcp.io/abc"), "");
    assert_eq!(annotation(copy, "note"), Some("x"));
    assert_eq!(annotation(copy, "tenancy.kcp.io/y"), Some("kept"));
    for key in [
        "kcp.io/cluster",
        "kubectl.kubernetes.io/last-applied-configuration",
        "related-resources.syncagent.kcp.io/a.0",
        names::DELETION,
    ] {
        assert_eq!(annotation(copy, key), None, "{key}");
    }
    // Number 18: nobody but the agent says whose copy it is.
    assert_eq!(label(copy, names::AGENT), AGENT);
    assert_eq!(label(copy, names::CLUSTER), CLUSTER);
    assert_eq!(annotation(copy, names::NAME), Some("a"));
}

#[test]
fn s5_5_1_s11_1_3_the_last_label_goes_alone() {
    let publication = publication(&json!({}));
    let order = json!({"spec": {}, "metadata": {"labels": {"team": "a"}}});
    let mut case = Case::new(&publication, &order);
    case.begin();
    let copy = case.copy_ref();
    case.world
        .edit(&copy, |it| it["metadata"]["labels"]["theirs"] = json!("x"));
    case.see(&[&copy]);
    case.edit_order(|it| it["metadata"]["labels"] = Value::Null);
    let copy = case.copy();
    assert_eq!(copy["metadata"]["labels"].get("team"), None);
    assert_eq!(label(copy, "theirs"), "x");
    assert_eq!(label(copy, names::AGENT), AGENT);
}

#[test]
fn s5_5_4_the_status_is_the_copys_as_it_stands() {
    let it = converted(&json!({}));
    assert!(matches!(it.definition.status, StatusRule::Verbatim));
    let publication = compile(it.definition);
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    case.begin();
    let copy = case.copy_ref();
    let status = json!({"phase": "Ready", "observedGeneration": 7, "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 7}]});
    case.world.edit(&copy, |it| it["status"] = status.clone());
    assert_eq!(case.see(&[&copy]), Ending::Settled);
    assert_eq!(case.order()["status"], status);
    case.agent.assert_settled_at(&mut case.world);
}

#[test]
fn s2_the_policy_is_the_go_agents_unless_something_else_is_said() {
    let policy = converted(&json!({})).definition.policy;
    assert_eq!(policy.drift, Drift::Keep);
    assert_eq!(policy.adoption, Adoption::LabelOnly);
    assert_eq!(policy.events, Events::All);
    assert!(!policy.conditions);
    let own = json!({"syncagent": {"drift": "Correct", "conditions": true, "events": "Off"}});
    let policy = converted(&own).definition.policy;
    // Adoption as it is does not go with correction.
    assert_eq!(
        (policy.drift, policy.adoption),
        (Drift::Correct, Adoption::Refuse)
    );
    assert_eq!((policy.conditions, policy.events), (true, Events::Off));
    let said = problems(&json!({"syncagent": {"drift": "Correct", "adoption": "LabelOnly"}}));
    assert!(
        said[0].starts_with("spec.syncagent: adoption `label-only`"),
        "{said:?}"
    );
}

#[test]
fn s13_an_installation_is_continued_in_its_own_marks() {
    let it = converted(&json!({})).continued("kcp-system");
    assert_eq!(it.definition.policy, Policy::take_over("kcp-system"));
    let publication = compile(it.definition);
    assert_eq!(publication.finalizer(), "syncagent.kcp.io/cleanup");
}

#[test]
fn s2_published_secrets_are_set_right_with_a_warning() {
    let it = converted_between(&json!({}), kind("", "Secret", "secrets"), remote());
    let it = it.expect("it converts");
    assert_eq!(it.definition.policy.drift, Drift::Correct);
    assert_eq!(it.warnings[0].path, "spec.resource.kind");
    // The state Secrets of an installation that is continued remember what is kept.
    let continued = it.continued("kcp-system");
    let policy = &continued.definition.policy;
    assert_eq!(
        (policy.drift, policy.adoption),
        (Drift::Keep, Adoption::LabelOnly)
    );
    assert_eq!(continued.warnings, []);
    compile(continued.definition);
}

/// The copies of orders are set right then, those of related objects are not, and that is said: by name, where an
/// installation is continued, and nowhere else.
#[test]
fn s2_related_copies_that_are_not_set_right_are_named() {
    let related = json!([
        {"identifier": "password", "origin": "kcp", "version": "v1", "resource": "secrets",
            "object": {"reference": {"path": "spec.secret.name"}}},
        {"identifier": "creds", "origin": "service", "version": "v1", "resource": "secrets",
            "object": {"reference": {"path": "spec.secret.name"}}},
    ]);
    let said = |spec: Value| {
        let before = converted(&spec);
        let known = before.warnings.clone();
        let mut after = before.continued("kcp-system").warnings;
        after.retain(|it| !known.contains(it));
        after
    };
    let warnings = said(json!({"related": related, "syncagent": {"drift": "Correct"}}));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].path, "spec.syncagent.drift");
    let what = warnings[0].to_string();
    assert!(what.contains("(password, creds)"), "{what}");
    for quiet in [
        json!({"related": related}),
        json!({"related": related, "syncagent": {"drift": "Keep"}}),
        json!({"syncagent": {"drift": "Correct"}}),
    ] {
        assert_eq!(said(quiet.clone()), [], "{quiet}");
    }
}

#[test]
fn s2_own_fields_project_the_status_and_follow_names() {
    let it = converted(&json!({"syncagent": {
        "status": [{"path": "status.phase"}, {"path": "status.expires", "from": "status.notAfter"}],
        "references": [{"path": "spec.parent", "publishedResource": "databases"}],
    }}));
    let publication = compile(it.definition);
    let mut case = Case::new(&publication, &json!({"spec": {"parent": "b"}}));
    case.begin();
    let parent = publication
        .copy(&key_of(&publication, "default", "b"))
        .unwrap();
    assert_eq!(case.copy()["spec"]["parent"], parent.name);
    let copy = case.copy_ref();
    case.world.edit(&copy, |it| {
        it["status"] = json!({"phase": "Ready", "notAfter": "2027", "secret": "x"});
    });
    case.see(&[&copy]);
    assert_eq!(
        case.order()["status"],
        json!({"phase": "Ready", "expires": "2027"})
    );
    let said = problems(
        &json!({"syncagent": {"references": [{"path": "spec.a", "publishedResource": "nobody"}]}}),
    );
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spec.syncagent.references[0].publishedResource: "),
        "{said:?}"
    );
}

#[test]
fn s7_1_the_rules_of_the_spec_see_the_object_of_the_workspace() {
    let made = mutated(
        &json!([
            {"cel": {"path": "spec.kind", "expression": "self.apiVersion + ' ' + self.kind"}},
            {"cel": {"path": "spec.cluster", "expression": "self.metadata.annotations['kcp.io/cluster']"}},
            {"template": {"path": "spec.there", "template": "{{ .RemoteObject.kind }} {{ .RemoteObject.metadata.namespace }}"}},
            {"cel": {"path": "spec.both", "expression": "other == null ? 'none' : other.spec.size"}},
        ]),
        &json!({"size": "s"}),
    );
    assert_eq!(made["kind"], "offers.example.io/v1 Order");
    assert_eq!(made["cluster"], CLUSTER);
    assert_eq!(made["there"], format!("Database {CLUSTER}"));
    // Before there is a copy, the other one is what it would be unchanged.
    assert_eq!(made["both"], "s");
}

#[test]
fn s7_1_integers_stay_integers() {
    let made = mutated(
        &json!([{"delete": {"path": "spec.gone"}}]),
        &json!({"gone": 1, "large": 9_007_199_254_740_993_i64}),
    );
    assert_eq!(made, json!({"large": 9_007_199_254_740_993_i64}));
}

#[test]
fn s7_2_a_regex_writes_text_and_makes_what_is_missing() {
    let made = mutated(
        &json!([
            {"regex": {"path": "spec.size", "pattern": "^(\\d)(\\d)$", "replacement": "$2-${1}"}},
            {"regex": {"path": "spec.new", "replacement": "x"}},
            {"regex": {"path": "spec.all", "pattern": "a", "replacement": "\\1"}},
            {"regex": {"path": "spec.object", "pattern": "(.)", "replacement": "<$1>"}},
        ]),
        &json!({"size": 24, "all": "banana", "object": {}}),
    );
    assert_eq!(
        made,
        json!({"size": "4-2", "new": "x", "all": r"b\1n\1n\1", "object": "<{><}>"})
    );
}

#[test]
fn s7_3_templates_are_text_and_see_both_objects() {
    let publication = publication(&json!({"mutation": {
        "spec": [
            {"template": {"path": "spec.html", "template": "{{ .Value }}"}},
            {"template": {"path": "spec.size", "template": " {{ .LocalObject.spec.size }}-{{ .RemoteObject.metadata.name }} "}},
        ],
        "status": [{"template": {"path": "status.from", "template": "{{ .LocalObject.kind }} {{ .RemoteObject.kind }} {{ .RemoteObject.spec.size }}"}}],
    }}));
    let mut case = Case::new(
        &publication,
        &json!({"spec": {"html": "<b> & \"x\"", "size": 3}}),
    );
    assert_eq!(case.begin(), Ending::Settled);
    let copy = case.copy_ref();
    assert_eq!(case.copy()["spec"]["html"], "<b> & \"x\"");
    let size = format!("3-{}", copy.name);
    assert_eq!(case.copy()["spec"]["size"], size);
    case.world
        .edit(&copy, |it| it["status"] = json!({"phase": "Ready"}));
    assert_eq!(case.see(&[&copy]), Ending::Settled);
    // In the status the names read naturally, and the order is seen as it was changed.
    assert_eq!(
        case.order()["status"]["from"],
        format!("Database Order {size}")
    );
    assert_eq!(case.order()["status"]["phase"], "Ready");
    case.agent.assert_settled_at(&mut case.world);
}

#[test]
fn s7_4_delete_takes_out_keys_and_elements() {
    let made = mutated(
        &json!([{"delete": {"path": "spec.a.b"}}, {"delete": {"path": "spec.list.0"}}, {"delete": {"path": "spec.nothing"}}]),
        &json!({"a": {"b": 1, "c": 2}, "list": [1, 2]}),
    );
    assert_eq!(made, json!({"a": {"c": 2}, "list": [2]}));
}

#[test]
fn s7_5_s11_1_12_cel_gives_lists_maps_and_nulls_as_they_are() {
    let made = mutated(
        &json!([
            {"cel": {"path": "spec.list", "expression": "[1, 2] + [size(self.spec.name)]"}},
            {"cel": {"path": "spec.map", "expression": "{'a': {'b': true}}"}},
            {"cel": {"path": "spec.name", "expression": "null"}},
            {"cel": {"path": "spec.double", "expression": "value == null ? 1.5 : value"}},
        ]),
        &json!({"name": "abc"}),
    );
    assert_eq!(
        made,
        json!({"list": [1, 2, 3], "map": {"a": {"b": true}}, "double": 1.5})
    );
}

#[test]
fn s7_everything_that_is_wrong_with_mutations_is_told_at_once() {
    let said = problems(&json!({"mutation": {
        "spec": [
            {},
            {"delete": {"path": "spec.items.#.a"}},
            {"regex": {"path": "spec.a", "pattern": "(?=x)"}},
            {"template": {"path": "spec.a", "template": "{{ env \"HOME\" }}"}},
            {"regex": {"path": "", "replacement": "x"}},
            {"regex": {"path": "metadata.name", "replacement": "x"}},
        ],
        "status": [{"cel": {"path": "status.a", "expression": "1 +"}}],
    }}));
    let paths: Vec<_> = said
        .iter()
        .map(|it| it.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "spec.mutation.spec[0]",
            "spec.mutation.spec[1].delete",
            "spec.mutation.spec[2].regex",
            "spec.mutation.spec[3].template",
            "spec.mutation.spec[4].regex",
            "spec.mutation.spec[5].regex.path",
            "spec.mutation.status[0].cel",
        ],
        "{said:#?}"
    );
    assert!(
        said[3].contains("it reads the environment of the agent"),
        "{}",
        said[3]
    );
}

#[test]
fn s2_1_of_several_parts_of_a_mutation_the_first_one_counts() {
    let spec = json!({"mutation": {"spec": [{
        "cel": {"path": "spec.b", "expression": "'cel'"},
        "regex": {"path": "spec.a", "replacement": "regex"},
    }]}});
    let said = warnings(&spec);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spec.mutation.spec[0].cel: is not used"),
        "{said:?}"
    );
    let publication = publication(&spec);
    let mut case = Case::new(&publication, &json!({"spec": {}}));
    case.begin();
    assert_eq!(case.copy()["spec"], json!({"a": "regex"}));
}

#[test]
fn s7_what_reads_otherwise_than_it_looks_is_pointed_out() {
    let said = warnings(&json!({"mutation": {"spec": [
        {"regex": {"path": "spec.a", "pattern": "(a)", "replacement": r"x\1"}},
        {"template": {"path": "spec.b", "template": "<p>{{ .Value }}"}},
        {"template": {"path": "spec.b", "template": "{{ if lt 1 2 }}{{ \"<\" }}{{ end }}"}},
    ]}}));
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].starts_with(r"spec.mutation.spec[0].regex.replacement: `\1` stands for itself; the group is written `${1}`"));
    assert!(
        said[1].starts_with("spec.mutation.spec[1].template.template: has a `<`"),
        "{}",
        said[1]
    );
}

#[test]
fn the_same_object_gives_the_same_publication() {
    let spec = json!({
        "naming": {"name": "{{ .Object.spec.a }}-{{ .Object.metadata.name }}"},
        "mutation": {"spec": [{"template": {"path": "spec.a", "template": "{{ .Value }}"}}, {"cel": {"path": "spec.b", "expression": "1"}}]},
        "related": [{"identifier": "a", "origin": "service", "kind": "Secret", "object": {"template": {"template": "{{ .Object.metadata.name }}"}}}],
    });
    let (one, other) = (publication(&spec), publication(&spec));
    assert!(one.is_same(&other));
    let mut changed = spec;
    changed["related"][0]["object"]["template"]["template"] =
        json!("{{ .Object.metadata.name }}-x");
    assert!(!one.is_same(&publication(&changed)));
}
