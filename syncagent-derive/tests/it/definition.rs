//! Attributes in, definition out: the three sketches of the design, and the corners that they leave out.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "the types are there to be described, not to be used"
)]

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use syncagent::definition::{
    Definition, ReturnSource, Rule, SchemaSource, Scope, Sources, StatusRule, StatusSource,
};
use syncagent::{Condition, LocalObjectReference, Publish, PublishPart, PublishStatus, View};

mod postgres {
    use super::*;

    /// A PostgreSQL cluster.
    #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "postgresql.cnpg.io",
        version = "v1",
        kind = "Cluster",
        namespaced,
        status = "ClusterStatus"
    )]
    #[publish(copy = "{workspace}/{name}", only(namespaces = ["default"]))]
    #[publish(returns(
        Secret, id = "connection", name = "{name}-connection", reads(Service, name = "{copy.name}-rw"), with = connection
    ))]
    #[serde(rename_all = "camelCase")]
    pub struct ClusterSpec {
        pub instances: i32,
        #[publish(nested)]
        pub bootstrap: Option<Bootstrap>,
        #[publish(takes(Secret, label(key = "cnpg.io/reload", value = "true")))]
        pub superuser_secret: Option<LocalObjectReference>,
    }

    #[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct Bootstrap {
        #[publish(nested)]
        pub initdb: Option<InitDb>,
    }

    #[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct InitDb {
        pub database: String,
        #[publish(takes(Secret))]
        pub secret: Option<LocalObjectReference>,
        #[serde(rename = "postInitSQLRefs")]
        #[publish(takes(ConfigMap, name = "{copy.name}-{name.hash}"))]
        pub sql: Vec<LocalObjectReference>,
    }

    #[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    pub struct ClusterStatus {
        pub phase: Option<String>,
        pub ready_instances: Option<i32>,
        pub conditions: Option<Vec<Condition>>,
    }

    #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "postgresql.cnpg.io",
        version = "v1",
        kind = "Database",
        namespaced,
        status = "DatabaseStatus"
    )]
    pub struct DatabaseSpec {
        #[publish(refers_to = Cluster)]
        pub cluster: LocalObjectReference,
    }

    #[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct DatabaseStatus {
        #[publish(refers_to = Cluster, at = "status.clusterName")]
        pub cluster: Option<String>,
    }

    fn connection(order: &View<Cluster>) -> Option<Secret> {
        let _instances = order.spec()?.instances;
        let service = order.read::<Service>()?;
        let host = service.spec?.load_balancer_ip?;
        Some(Secret {
            string_data: Some([("host".to_owned(), host)].into()),
            ..Secret::default()
        })
    }

    #[test]
    fn a_type_is_offered_as_it_is() {
        let it = Cluster::definition();
        assert_eq!(it.offered, it.service);
        assert_eq!(
            (it.offered.plural.as_str(), it.offered.scope),
            ("clusters", Scope::Namespaced)
        );
        assert_eq!(it.copy.namespace.as_deref(), Some("{workspace}"));
        assert_eq!(it.copy.name, "{name}");
        assert_eq!(it.only.namespaces, ["default"]);
        let SchemaSource::Type(crd) = &it.schema else {
            panic!("{:?}", it.schema)
        };
        assert_eq!(crd["spec"]["names"]["kind"], "Cluster");
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let condition = &schema["status"]["properties"]["conditions"]["items"];
        assert_eq!(condition["required"], json!(["status", "type"]));
        assert_eq!(
            condition["properties"]["lastTransitionTime"]["format"],
            "date-time"
        );
        assert!(it.check(crd).is_ok(), "{:?}", it.check(crd));
        assert!(it.policy.conditions);
    }

    #[test]
    fn fields_carry_their_rules_under_their_names_on_the_wire() {
        let said = rules(&Cluster::definition());
        assert_eq!(
            said,
            [
                "spec.bootstrap.initdb.secret takes Secret by name as {name}.taken []",
                "spec.bootstrap.initdb.postInitSQLRefs[] takes ConfigMap by name as {copy.name}-{name.hash} []",
                r#"spec.superuserSecret takes Secret by name as {name}.taken [("cnpg.io/reload", "true")]"#,
            ]
        );
        assert_eq!(
            rules(&Database::definition()),
            ["spec.cluster refers to Cluster by name"]
        );
    }

    #[test]
    fn the_status_is_what_it_declares() {
        assert_eq!(
            status(&Cluster::definition()),
            [
                "status.phase from status.phase",
                "status.readyInstances from status.readyInstances",
                "status.conditions from status.conditions",
            ]
        );
        assert_eq!(
            status(&Database::definition()),
            ["status.cluster refers to Cluster from status.clusterName"]
        );
    }

    #[test]
    fn a_returned_object_is_composed_by_the_users_function() {
        let it = Cluster::definition();
        let rule = &it.returns[0];
        assert_eq!(
            (rule.id.as_str(), rule.name.as_str()),
            ("connection", "{name}-connection")
        );
        assert_eq!(
            (rule.kind.group.as_str(), rule.kind.kind.as_str()),
            ("", "Secret")
        );
        let ReturnSource::With { reads, compose } = &rule.source else {
            panic!("{:?}", rule.source)
        };
        assert_eq!(
            (reads[0].kind.kind.as_str(), reads[0].name.as_str()),
            ("Service", "{copy.name}-rw")
        );
        let order = json!({ "metadata": { "name": "kcp" }, "spec": { "instances": 1 } });
        let service = json!({ "spec": { "loadBalancerIP": "127.0.0.1" } });
        let none = Sources::new(order.clone(), None).with_read(reads[0].clone(), None);
        assert_eq!(compose(&none), None);
        let ready = Sources::new(order, None).with_read(reads[0].clone(), Some(service));
        assert_eq!(
            compose(&ready).expect("a secret")["stringData"],
            json!({ "host": "127.0.0.1" })
        );
    }
}

mod certificates {
    use super::*;

    #[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "cert-manager.io",
        version = "v1",
        kind = "Certificate",
        namespaced,
        status = "CertificateStatus"
    )]
    #[serde(rename_all = "camelCase")]
    pub struct CertificateSpec {
        pub dns_names: Vec<String>,
        pub duration: Option<String>,
        pub issuer_ref: Issuer,
        pub secret_name: String,
        pub usages: Option<Vec<String>>,
        #[serde(rename = "isCA")]
        pub is_ca: Option<bool>,
        pub note: Option<String>,
    }

    #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct Issuer {
        pub name: String,
    }

    #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    pub struct CertificateStatus {
        pub not_after: Option<String>,
        pub revision: Option<u64>,
    }

    const ISSUER: &str = "acme";

    #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "tls.acme.io",
        version = "v1",
        kind = "TlsCert",
        namespaced,
        status = "TlsCertStatus"
    )]
    #[publish(service = Certificate)]
    #[publish(set(at = "spec.issuerRef.name", value = ISSUER), set(at = "spec.secretName", value = "{copy.name}-tls"))]
    #[publish(set(at = "spec.usages", value = ["server auth"]), set(at = "spec.isCA", value = false))]
    #[publish(returns(Secret, id = "tls", from = "{copy.name}-tls", keys = ["tls.crt", "tls.key"]))]
    #[publish(pass(labels = ["team"], annotations = ["*"]), conditions = false)]
    pub struct TlsCertSpec {
        #[publish(at = "spec.dnsNames")]
        pub hosts: Vec<String>,
        #[publish(at = "spec.duration", with = days)]
        pub days: u16,
        #[publish(with = shorter)]
        pub note: String,
        #[publish(local)]
        pub comment: Option<String>,
        #[publish(hidden)]
        pub r#priority: Option<u8>,
    }

    #[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct TlsCertStatus {
        #[publish(at = "status.notAfter")]
        pub expires: Option<String>,
        #[publish(with = ready)]
        pub ready: Option<bool>,
        #[publish(at = "status.revision", with = next)]
        pub next: Option<u64>,
        #[serde(skip)]
        pub internal: (),
    }

    fn days(days: &u16) -> String {
        format!("{}h", u32::from(*days) * 24)
    }

    fn shorter(note: &str) -> Result<String, &'static str> {
        if note.len() > 10 {
            Err("is too long")
        } else {
            Ok(note.to_owned())
        }
    }

    fn ready(copy: &Value) -> Option<bool> {
        copy["status"]["ready"].as_bool()
    }

    fn next(revision: &u64) -> u64 {
        revision + 1
    }

    #[test]
    fn another_type_stands_behind() {
        let it = TlsCert::definition();
        assert_eq!(
            (it.offered.kind.as_str(), it.service.kind.as_str()),
            ("TlsCert", "Certificate")
        );
        assert_eq!(it.service.group, "cert-manager.io");
        assert_eq!(it.copy.name, "{namespace.hash}-{name.hash}");
        assert_eq!(
            rules(&it),
            [
                "spec.hosts at spec.dnsNames",
                "spec.days at spec.duration computed",
                "spec.note computed",
                "spec.comment local",
                "spec.priority hidden",
            ]
        );
        let set: Vec<_> = it
            .set
            .iter()
            .map(|it| (it.at.as_str(), it.value.clone()))
            .collect();
        assert_eq!(
            set,
            [
                ("spec.issuerRef.name", json!("acme")),
                ("spec.secretName", json!("{copy.name}-tls")),
                ("spec.usages", json!(["server auth"])),
                ("spec.isCA", json!(false)),
            ]
        );
        assert_eq!(
            (it.pass.labels, it.pass.annotations),
            (vec!["team".to_owned()], vec!["*".to_owned()])
        );
        assert!(!it.policy.conditions);
        let rule = &it.returns[0];
        assert_eq!(rule.name, "{name}-tls");
        let ReturnSource::From { name, keys } = &rule.source else {
            panic!("{:?}", rule.source)
        };
        assert_eq!((name.as_str(), keys.len()), ("{copy.name}-tls", 2));
    }

    #[test]
    fn paths_into_the_other_type_are_checked_against_its_crd() {
        let it = TlsCert::definition();
        let mut crd = serde_json::to_value(Certificate::crd()).expect("JSON");
        it.check(&crd).expect("everything fits");
        let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let fields = schema["properties"]["spec"]["properties"].as_object_mut();
        fields.expect("fields").remove("dnsNames");
        let problems = it.check(&crd).expect_err("no such field").to_string();
        assert!(problems.contains("spec.dnsNames"), "{problems}");
    }

    #[test]
    fn functions_work_on_the_types_they_name() {
        let it = TlsCert::definition();
        let down = |at: usize, value: Value| match &it.fields[at].rule {
            Rule::Moved {
                with: Some(with), ..
            } => with(&value),
            other => panic!("{other:?}"),
        };
        assert_eq!(down(1, json!(2)), Ok(json!("48h")));
        assert!(down(1, json!("two")).is_err());
        assert_eq!(down(2, json!("short")), Ok(json!("short")));
        assert_eq!(
            down(2, json!("far too long")),
            Err("is too long".to_owned())
        );
        let StatusRule::Fields(fields) = &it.status else {
            panic!("{:?}", it.status)
        };
        let up = |at: usize, value: Value| match &fields[at].source {
            StatusSource::With { with, .. } => with(&value),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            up(1, json!({ "status": { "ready": true } })),
            Ok(json!(true))
        );
        assert_eq!(up(1, json!({})), Ok(Value::Null));
        assert_eq!(up(2, json!(6)), Ok(json!(7)));
        assert_eq!(
            status(&it),
            [
                "status.expires from status.notAfter",
                "status.ready computed from ",
                "status.next computed from status.revision",
            ]
        );
    }
}

mod corners {
    use super::*;

    /// Everything that an operator of our own offers under its own schema, for the whole cluster.
    #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "cache.acme.io",
        version = "v1",
        kind = "Cache",
        status = "CacheStatus"
    )]
    #[publish(
        schema = "cluster",
        copy = "{workspace}-{name}",
        only(label(key = "tier", value = "gold"))
    )]
    pub struct CacheSpec {
        #[serde(flatten)]
        #[publish(nested)]
        pub shared: Shared,
        #[publish(takes(Secret), at = "spec.passwordSecret")]
        pub password: String,
        #[publish(nested)]
        pub mirrors: Vec<Mirror<Shared>>,
    }

    #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct CacheStatus {
        pub endpoint: Option<String>,
    }

    #[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct Shared {
        #[serde(default)]
        #[publish(hidden)]
        pub node_pool: String,
    }

    #[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct Mirror<T: PublishPart> {
        #[publish(nested)]
        pub of: Option<Box<T>>,
    }

    #[test]
    fn parts_flatten_repeat_and_are_generic() {
        let it = Cache::definition();
        assert!(matches!(it.schema, SchemaSource::Cluster));
        assert!(matches!(it.status, StatusRule::Whole));
        assert_eq!(
            (it.copy.namespace.as_deref(), it.copy.name.as_str()),
            (None, "{workspace}-{name}")
        );
        assert_eq!(it.only.labels, [("tier".to_owned(), "gold".to_owned())]);
        assert_eq!(
            rules(&it),
            [
                "spec.node_pool hidden",
                "spec.password at spec.passwordSecret",
                "spec.password takes Secret as {copy.name}-{name.hash}.taken []",
                "spec.mirrors[].of.node_pool hidden",
            ]
        );
    }

    #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(group = "cache.acme.io", version = "v1", kind = "Plain", no_spec)]
    pub struct PlainSpec {
        #[publish(local)]
        pub note: Option<String>,
    }

    /// The facade under another name.
    pub mod elsewhere {
        pub use syncagent as renamed;
    }

    #[derive(PublishPart, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[publish(crate = "elsewhere::renamed")]
    pub struct Renamed {
        #[publish(local)]
        pub note: Option<String>,
    }

    #[test]
    fn the_facade_may_be_renamed() {
        let paths: Vec<_> = Renamed::fields("spec.a")
            .into_iter()
            .map(|it| it.path)
            .collect();
        assert_eq!(paths, ["spec.a.note"]);
    }

    #[test]
    fn nothing_said_is_a_definition_too() {
        let it = Plain::definition();
        assert!(matches!(it.status, StatusRule::None));
        assert_eq!(
            (it.copy.namespace.as_deref(), it.copy.name.as_str()),
            (None, "{workspace}-{name.hash}")
        );
        assert_eq!(rules(&it), ["note local"]);
    }
}

/// One line per rule, for people.
fn rules(it: &Definition) -> Vec<String> {
    let by = |name_at: &Option<String>| {
        name_at
            .as_ref()
            .map(|it| format!(" by {it}"))
            .unwrap_or_default()
    };
    let rule = |rule: &Rule| match rule {
        Rule::Moved { at, with } => {
            let at = at
                .as_ref()
                .map(|it| format!(" at {it}"))
                .unwrap_or_default();
            format!("{at}{}", if with.is_some() { " computed" } else { "" })
        }
        Rule::Takes(it) => format!(
            " takes {}{} as {} {:?}",
            it.kind.kind,
            by(&it.name_at),
            it.name,
            it.labels
        ),
        Rule::RefersTo { offered, name_at } => {
            format!(" refers to {}{}", offered.kind, by(name_at))
        }
        Rule::Hidden => " hidden".to_owned(),
        Rule::Local => " local".to_owned(),
    };
    it.fields
        .iter()
        .map(|it| format!("{}{}", it.path, rule(&it.rule)))
        .collect()
}

/// One line per field of the status.
fn status(it: &Definition) -> Vec<String> {
    let StatusRule::Fields(fields) = &it.status else {
        panic!("{:?}", it.status)
    };
    let source = |source: &StatusSource| match source {
        StatusSource::At(at) => format!("from {at}"),
        StatusSource::With { at, .. } => format!("computed from {at}"),
        StatusSource::RefersTo { offered, at } => format!("refers to {} from {at}", offered.kind),
    };
    fields
        .iter()
        .map(|it| format!("{} {}", it.path, source(&it.source)))
        .collect()
}

mod everything {
    use syncagent::definition::{
        Adoption, At, BreakingChanges, Called, Change, Cleanup, CollidingNames, Deletion, Drift,
        Events, Expression, Find, Leaving, Loss, Operator, Scene, Side, Text, Unproven, Vanished,
    };

    use super::*;

    /// A thing about which all is said.
    #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "example.io",
        version = "v1",
        kind = "Thing",
        namespaced,
        status = "ThingStatus"
    )]
    #[publish(only(
        label(key = "stage", value = "prod"),
        selector = "tier in (gold, silver), size != huge, owner, !legacy",
        namespace_selector = "team notin (a)",
    ))]
    #[publish(
        drift = "keep",
        adoption = "label-only",
        deletion = "foreground",
        deletion_by_order = false
    )]
    #[publish(
        leaving = "retire",
        events = "all",
        breaking_changes = "warn",
        concurrency = 4
    )]
    #[publish(losses(
        unbound = "keep",
        stripped = "report",
        unreadable = "keep",
        claim = "keep",
        vanished = "report"
    ))]
    #[publish(
        down(at = "spec.size", set = 3),
        down(at = "spec.color", default = "red")
    )]
    #[publish(
        down(at = "spec.note", delete),
        down(at = "spec.hosts[].name", regex = "x$", replacement = "y")
    )]
    #[publish(down(
        at = "metadata.labels[\"acme.io/tier\"]",
        template = "{{ .LocalObject.spec.color }}"
    ))]
    #[publish(down(at = "spec.count", cel = "size(self.spec.hosts)"), down(at = "spec.size", with = double))]
    #[publish(up(at = "status.phase", regex = "^db-"))]
    #[publish(related(
        ConfigMap, id = "scripts", origin = "workspace",
        selected(label(key = "example.io/for", value = "{name}"), matches = "kind = script"),
        called = "{found}.script", label(key = "a", value = "b"), keys = ["run"], cleanup = "with-origin", status = true,
    ))]
    #[publish(related(
        Secret, id = "ca", origin = "service", reference = "spec.caRef", rewrite(pattern = "^", replacement = "ca-"),
        mirrored, into = ConfigMap, identity = "abc", within(named = "shared", called = "{namespace}"),
    ))]
    #[publish(related(
        Secret, id = "keys", origin = "workspace", unproven = "allowed", drift = "keep",
        selected(label(key = "example.io/for", value(template = "{{ .Object.metadata.name }}"))),
        called(with = called), pass(labels = ["team"], annotations = ["*"]),
        change(at = "data.note", delete), change(at = "type", set = "Opaque"),
        change(at = "data.host", template = "{{ .Value }}"),
    ))]
    #[publish(related(
        ConfigMap,
        id = "rw",
        origin = "service",
        named(template = "{{ .LocalObject.metadata.name }}-rw")
    ))]
    #[publish(recreate = ["ca", "spec.secret"], colliding_names = "warn")]
    #[publish(reserved = ["{copy.name}-ca"], namespace(label(key = "a", value = "{workspace}"), annotation(key = "c", value = "d")))]
    #[publish(versions = ["v1"], version(service = "v1beta1", offered = "v1alpha1"))]
    #[publish(singular = "thingy", short_names = ["th"], categories = [])]
    #[publish(fields = ["spec.size", "status.phase"])]
    #[publish(status(with = status, reads(Service, name = "{copy.name}-rw")))]
    pub struct ThingSpec {
        pub size: i32,
    }

    #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct ThingStatus {
        pub phase: Option<String>,
    }

    fn called(scene: &Scene<'_>) -> Result<String, String> {
        let found = scene.found.ok_or("nothing was found")?;
        Ok(format!("{found}-of-{}", scene.cluster))
    }

    fn double(size: &i32) -> i32 {
        size * 2
    }

    fn status(order: &View<Thing>) -> Option<ThingStatus> {
        let service = order.read::<Service>()?;
        Some(ThingStatus {
            phase: service.metadata.name,
        })
    }

    #[test]
    fn related_objects_are_changed_on_the_way_and_named_in_every_way() {
        let it = Thing::definition();
        let keys = it.related.iter().find(|it| it.id == "keys").unwrap();
        assert_eq!(
            (keys.unproven, keys.drift),
            (Unproven::Allowed, Drift::Keep)
        );
        assert_eq!(
            (
                keys.pass.labels.as_slice(),
                keys.pass.annotations.as_slice()
            ),
            (&["team".to_owned()][..], &["*".to_owned()][..])
        );
        let changes = keys.mutations.iter().map(|it| match (&it.at, &it.change) {
            (At::Path(at), Change::Delete) => format!("{at} goes"),
            (At::Path(at), Change::Set(value)) => format!("{at} is {value}"),
            (At::Path(at), Change::Template(text)) => format!("{at} is made by {text}"),
            other => panic!("{other:?}"),
        });
        assert_eq!(
            changes.collect::<Vec<_>>(),
            [
                "data.note goes",
                r#"type is "Opaque""#,
                "data.host is made by {{ .Value }}"
            ]
        );
        let Find::Labels(labelled) = &keys.objects.find else {
            panic!("{:?}", keys.objects)
        };
        assert!(matches!(
            &labelled.labels[0],
            (Text::Template(key), Text::Go(value))
                if key == "example.io/for" && value == "{{ .Object.metadata.name }}"
        ));
        let Called::Text(Text::With(function)) = &keys.objects.called else {
            panic!("{:?}", keys.objects)
        };
        let scene = |found| Scene {
            side: Side::Service,
            cluster: "1abc",
            path: "",
            object: None,
            order: None,
            copy: None,
            found,
        };
        assert_eq!(
            function.make(&scene(Some("key"))).as_deref(),
            Ok("key-of-1abc")
        );
        assert_eq!(
            function.make(&scene(None)).unwrap_err(),
            "nothing was found"
        );
        let rw = it.related.iter().find(|it| it.id == "rw").unwrap();
        assert!(
            matches!(&rw.objects.find, Find::Named(Text::Go(text)) if text == "{{ .LocalObject.metadata.name }}-rw")
        );
        let others = it.related.iter().find(|it| it.id == "ca").unwrap();
        assert_eq!(
            (others.unproven, others.drift),
            (Unproven::Refused, Drift::Correct)
        );
    }

    #[test]
    fn what_cannot_be_changed_is_made_anew_where_it_is_said() {
        let it = Thing::definition();
        assert_eq!(it.recreate, ["ca", "spec.secret"]);
        assert_eq!(it.policy.colliding_names, CollidingNames::Warn);
    }

    /// The macro leaves a naming alone that would be refused otherwise.
    mod colliding {
        use super::*;

        #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
        #[kube(group = "example.io", version = "v1", kind = "Shared", namespaced)]
        #[publish(copy = "shared/{name}", colliding_names = "warn")]
        pub struct SharedSpec {
            pub size: i32,
        }

        #[test]
        fn names_that_could_collide_are_a_warning_where_that_is_said() {
            let mut it = Shared::definition();
            let SchemaSource::Type(crd) = it.schema.clone() else {
                panic!("{:?}", it.schema)
            };
            assert!(it.check(&crd).is_ok(), "{:?}", it.check(&crd));
            it.policy.colliding_names = CollidingNames::Refuse;
            assert!(it.check(&crd).is_err());
        }
    }

    #[test]
    fn filters_select_by_labels() {
        let only = Thing::definition().only;
        assert_eq!(only.labels, [("stage".to_owned(), "prod".to_owned())]);
        let said: Vec<_> = only.selector.expressions.iter().collect();
        let operators: Vec<_> = said.iter().map(|it| it.operator).collect();
        use Operator::{DoesNotExist, Exists, In, NotIn};
        assert_eq!(operators, [In, NotIn, Exists, DoesNotExist]);
        assert_eq!(said[0].values, ["gold", "silver"]);
        assert_eq!(
            (said[1].key.as_str(), said[1].values.as_slice()),
            ("size", &["huge".to_owned()][..])
        );
        assert_eq!(said[3].key, "legacy");
        assert_eq!(only.namespace_selector.expressions[0].operator, NotIn);
    }

    #[test]
    fn every_policy_can_be_chosen() {
        let policy = Thing::definition().policy;
        assert_eq!(
            (policy.drift, policy.adoption),
            (Drift::Keep, Adoption::LabelOnly)
        );
        assert_eq!(
            (policy.deletion, policy.deletion_by_order),
            (Deletion::Foreground, false)
        );
        assert_eq!(
            (policy.leaving, policy.events),
            (Leaving::Retire, Events::All)
        );
        assert_eq!(policy.breaking_changes, BreakingChanges::Warn);
        assert_eq!(policy.concurrency, Some(4));
        let losses = policy.losses;
        assert_eq!(
            (losses.unbound, losses.stripped),
            (Loss::Keep, Loss::Report)
        );
        assert_eq!((losses.unreadable, losses.claim), (Loss::Keep, Loss::Keep));
        assert_eq!(losses.vanished, Vanished::Report);
    }

    #[test]
    fn values_are_changed_in_both_directions() {
        let mutations = Thing::definition().mutations;
        let down = &mutations.down;
        assert!(matches!(&down[0].change, Change::Set(it) if *it == json!(3)));
        assert!(matches!(&down[1].change, Change::Default(it) if *it == json!("red")));
        assert!(matches!(&down[2].change, Change::Delete));
        assert!(
            matches!(&down[3].change, Change::Regex { pattern, replacement } if pattern == "x$" && replacement == "y")
        );
        assert!(matches!(&down[4].change, Change::Template(it) if it.starts_with("{{")));
        assert!(matches!(&down[5].change, Change::Cel(it) if it == "size(self.spec.hosts)"));
        let Change::Function(double) = &down[6].change else {
            panic!("{:?}", down[6])
        };
        assert_eq!(double(&json!(4)), Ok(json!(8)));
        assert!(
            matches!(&mutations.up[0].change, Change::Regex { replacement, .. } if replacement.is_empty())
        );
    }

    #[test]
    fn related_objects_are_found() {
        let related = Thing::definition().related;
        let scripts = &related[0];
        assert_eq!(
            (scripts.origin, scripts.cleanup, scripts.status),
            (Side::Workspace, Cleanup::WithOrigin, true)
        );
        let Find::Labels(labelled) = &scripts.objects.find else {
            panic!("{scripts:?}")
        };
        assert_eq!(
            labelled.expressions,
            [Expression::In("kind".into(), vec!["script".into()])]
        );
        assert!(matches!(&labelled.labels[0].1, Text::Template(it) if it == "{name}"));
        assert!(
            matches!(&scripts.objects.called, Called::Text(Text::Template(it)) if it == "{found}.script")
        );
        assert_eq!(scripts.keys, ["run"]);
        let ca = &related[1];
        assert_eq!(
            (ca.kind.kind.as_str(), ca.into.kind.as_str()),
            ("Secret", "ConfigMap")
        );
        assert_eq!(ca.identity.as_deref(), Some("abc"));
        assert!(
            matches!(&ca.objects.find, Find::Reference { path, rewrite: Some(_) } if path == "spec.caRef")
        );
        assert!(matches!(&ca.objects.called, Called::Mirrored));
        let within = ca.namespaces.as_ref().expect("namespaces");
        assert!(matches!(&within.find, Find::Named(Text::Template(it)) if it == "shared"));
    }

    #[test]
    fn what_else_can_be_said() {
        let it = Thing::definition();
        assert_eq!(it.reserved, ["{copy.name}-ca"]);
        assert_eq!(it.namespaces.labels[0].1, "{workspace}");
        assert_eq!(it.namespaces.annotations[0].0, "c");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(it.versions, [pair("v1", "v1"), pair("v1beta1", "v1alpha1")]);
        assert_eq!(it.names.singular.as_deref(), Some("thingy"));
        assert_eq!(it.names.short_names, Some(vec!["th".to_owned()]));
        assert_eq!(it.names.categories, Some(Vec::new()));
        assert!(matches!(&it.schema, SchemaSource::Subset(fields) if fields.len() == 2));
        assert!(matches!(it.status, StatusRule::Whole));
        let made = it.made_status.expect("a function");
        assert_eq!(made.reads[0].name, "{copy.name}-rw");
    }
}
