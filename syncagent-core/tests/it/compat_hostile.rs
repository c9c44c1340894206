//! Nothing that is written in a `PublishedResource` makes the agent panic, and what converts comes to rest.

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::api::published_resource::PublishedResource;
use syncagent_core::compat::check::{Options, check};
use syncagent_core::compat::{Conversion, Offer, Unconverted, convert_offer, first};
use syncagent_core::definition::{Kind, SchemaSource, Scope};
use syncagent_core::plan::{ObjectRef, Place};
use syncagent_core::publication::{Publication, Publications};

use crate::compat_definition::{Case, local, remote, served};
use crate::fixture::{AGENT, CLUSTER, kind, secret};

/// Texts that somebody might write, on purpose or not.
fn text() -> impl Strategy<Value = String> {
    let written = proptest::sample::select(vec![
        "",
        "a",
        "spec.name",
        "metadata.name",
        "status.secret",
        "spec.items.#.ref.name",
        "spec.#(a==\"b\")#.c",
        "a.-1",
        "a..b",
        "@keys",
        "a|@tostr",
        "{a,b}",
        r"a\.b",
        "{{ .Object.metadata.name }}",
        "{{ .ClusterName }}",
        "{{ .ClusterPath }}",
        "{{ . }}",
        "{{",
        "{{ end }}",
        "{{ .Nope }}",
        "{{ .Object.spec.a.b | upper }}",
        "{{ .RelatedObject.metadata.name }}-{{ .Value }}",
        "{{ .Side }}",
        "{{ range 100000000 }}x{{ end }}",
        "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}",
        "$remoteName",
        "$remoteNamespaceHash-$remoteNameHash",
        "$x",
        "{workspace}",
        "(",
        "(?=a)",
        "^(.*)$",
        "a{1000}{1000}",
        r"\1",
        "$1",
        "${",
        "*",
        "In",
        "NotIn",
        "Exists",
        "x-kubernetes",
        "\u{0}",
        "ünï",
        "../..",
        "a/b",
        "self.spec.a + 1",
        "[1, 2]",
        "null",
        "self.",
        "value",
        "v1",
        "secrets",
        "configmaps",
        "users",
        "db.example.io",
        "syncagent.kcp.io/agent-name",
        "<b>",
    ]);
    prop_oneof![
        8 => written.prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => Just("a".repeat(300)),
    ]
}

/// What may stand somewhere: something that makes sense there, or whatever somebody might write.
type Words = (bool, &'static [&'static str]);

const PATHS: &[&str] = &[
    "spec.name",
    "spec.secret",
    "status.secret",
    "spec.items.#.ref.name",
    "spec.items.0.name",
    "metadata.name",
    "spec.none",
];
const PLACES: &[&str] = &[
    "spec.name",
    "spec.new.deep",
    "spec.items.0.name",
    "spec.none",
    "data.a",
    "metadata.labels.x",
];
const TEMPLATES: &[&str] = &[
    "one",
    "{{ .Object.spec.secret }}",
    "{{ .Object.metadata.name }}",
    "{{ .Side }}",
    "{{ if eq .Side \"kcp\" }}one{{ else }}two{{ end }}",
    "{{ .ClusterName }}",
    "{{ .Object.status.secret }}",
    "{{ .Object.nope.nope | default \"two\" }}",
    "{{ fail \"no\" }}",
];
const RENAMES: &[&str] = &[
    "{{ .Value }}-x",
    "same",
    "{{ .RelatedObject.metadata.name }}",
    "{{ .LocalObject.metadata.name }}-{{ .Value }}",
    "{{ .Nope }}",
];
const LABELS: &[&str] = &[
    "a",
    "b",
    "{{ .ClusterName }}",
    "{{ .RemoteObject.metadata.name }}",
    "{{ if false }}x{{ end }}",
];
const PATTERNS: &[&str] = &["", "^(.*)$", "o", "(n)e", "[a-z]+"];
const REPLACEMENTS: &[&str] = &["", "x", "$1", "${1}-y", "one"];
const VALUES: &[&str] = &[
    "{{ .Value }}!",
    "{{ .LocalObject.kind }}",
    "{{ .RemoteObject.metadata.name }}",
    "{{ .LocalObject.spec.name | upper }}",
];
const EXPRESSIONS: &[&str] = &[
    "'x'",
    "[1, 2]",
    "null",
    "{'a': self.kind}",
    "other == null ? 'a' : 'b'",
    "self.spec.nope",
    "value",
];
const NAMES: &[&str] = &[
    "",
    "{{ .Object.metadata.name }}",
    "$remoteName",
    "$remoteNamespace-$remoteName",
    "{{ .Object.spec.name }}",
    "{{ .ClusterPath }}x",
    "{{ .Object.spec.none }}",
];
const SPACES: &[&str] = &["", "$remoteClusterName", "all", "{{ .ClusterName }}"];
const IDS: &[&str] = &["a", "b", "creds"];
const FREE: &[&str] = &[];

fn one((sound, words): Words) -> BoxedStrategy<String> {
    if sound && !words.is_empty() {
        proptest::sample::select(words)
            .prop_map(str::to_owned)
            .boxed()
    } else {
        text().boxed()
    }
}

fn maybe(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(Value::Null), 7 => inner]
}

/// Some of these fields; a null is as good as none.
fn fields(of: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = of.into_iter().unzip();
    let values: Vec<_> = values.into_iter().map(|it| maybe(it).boxed()).collect();
    values
        .prop_map(move |values| {
            let all = names.iter().zip(values).filter(|(_, it)| !it.is_null());
            Value::Object(all.map(|(name, it)| ((*name).to_owned(), it)).collect())
        })
        .boxed()
}

fn word(words: Words) -> BoxedStrategy<Value> {
    one(words).prop_map(Value::String).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::Bool).boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    proptest::collection::vec(of, 0..3)
        .prop_map(Value::Array)
        .boxed()
}

fn selector(sound: bool, labels: &'static [&'static str]) -> BoxedStrategy<Value> {
    let pairs = (one((sound, labels)), one((sound, labels)));
    let labels = proptest::collection::btree_map(pairs.0, pairs.1, 0..3).prop_map(|it| json!(it));
    let wrong = (text(), text(), proptest::collection::vec(text(), 0..2)).prop_map(
        |(key, operator, values)| json!({"key": key, "operator": operator, "values": values}),
    );
    let right = proptest::sample::select(vec![
        json!({"key": "a", "operator": "Exists"}),
        json!({"key": "b", "operator": "DoesNotExist"}),
        json!({"key": "a", "operator": "NotIn", "values": ["c"]}),
    ]);
    let requirement = if sound { right.boxed() } else { wrong.boxed() };
    fields(vec![
        ("matchLabels", labels.boxed()),
        ("matchExpressions", list(requirement)),
    ])
}

fn regex(sound: bool) -> BoxedStrategy<Value> {
    fields(vec![
        ("pattern", word((sound, PATTERNS))),
        ("replacement", word((sound, REPLACEMENTS))),
    ])
}

fn reference(sound: bool) -> BoxedStrategy<Value> {
    (one((sound, PATHS)), maybe(regex(sound)))
        .prop_map(|(path, regex)| json!({"path": path, "regex": regex}))
        .boxed()
}

fn source(sound: bool) -> BoxedStrategy<Value> {
    let template = |words| fields(vec![("template", word((sound, words)))]);
    let either = prop_oneof![
        regex(sound).prop_map(|it| json!({"regex": it})),
        template(RENAMES).prop_map(|it| json!({"template": it})),
    ];
    let wild = fields(vec![
        ("regex", regex(sound)),
        ("template", template(RENAMES)),
    ]);
    let rewrite = if sound { either.boxed() } else { wild };
    let selector = (selector(sound, LABELS), rewrite).prop_map(|(mut selector, rewrite)| {
        selector["rewrite"] = rewrite;
        selector
    });
    let of = vec![
        ("reference", reference(sound)),
        ("selector", selector.boxed()),
        ("template", template(TEMPLATES)),
    ];
    if !sound {
        return fields(of);
    }
    let each = of
        .into_iter()
        .map(|(name, it)| it.prop_map(move |it| json!({name: it})).boxed());
    proptest::strategy::Union::new(each).boxed()
}

fn mutation(sound: bool) -> BoxedStrategy<Value> {
    let with = |field: &'static str, words| {
        (one((sound, PLACES)), one((sound, words)))
            .prop_map(move |(path, value)| json!({"path": path, field: value}))
            .boxed()
    };
    let of = vec![
        ("delete", with("ignored", FREE)),
        ("regex", with("pattern", PATTERNS)),
        ("template", with("template", VALUES)),
        ("cel", with("expression", EXPRESSIONS)),
    ];
    let one = if sound {
        let each = of
            .into_iter()
            .map(|(name, it)| it.prop_map(move |it| json!({name: it})).boxed());
        proptest::strategy::Union::new(each).boxed()
    } else {
        fields(of)
    };
    fields(vec![("spec", list(one.clone())), ("status", list(one))])
}

fn entry(sound: bool) -> BoxedStrategy<Value> {
    let space = if sound {
        prop_oneof![4 => Just(Value::Null), 1 => source(sound)].boxed()
    } else {
        maybe(source(sound)).boxed()
    };
    let object = (source(sound), space).prop_map(|(mut object, namespace)| {
        object["namespace"] = namespace;
        object
    });
    let own = fields(vec![
        ("originGone", Just(json!("Delete")).boxed()),
        ("recreate", flag()),
    ]);
    let mut all = vec![
        ("cleanup", flag()),
        ("mutation", mutation(sound)),
        (
            "watch",
            fields(vec![("bySelector", selector(sound, LABELS))]),
        ),
        ("syncStatus", flag()),
        ("syncagent", own),
    ];
    let free = || word((sound, FREE));
    if !sound {
        let both = reference(sound).prop_map(|it| json!({"name": it, "namespace": it}));
        all.extend([
            ("kind", Just(json!("Secret")).boxed()),
            ("group", free()),
            ("version", free()),
            ("resource", free()),
            ("identityHash", free()),
            (
                "projection",
                fields(vec![
                    ("group", free()),
                    ("version", free()),
                    ("resource", free()),
                ]),
            ),
            ("reference", both.boxed()),
        ]);
    }
    let kinds = proptest::sample::select(vec!["Secret", "ConfigMap"]);
    (one((sound, IDS)), any::<bool>(), kinds, object, fields(all))
        .prop_map(move |(identifier, kcp, kind, object, mut entry)| {
            entry["identifier"] = json!(identifier);
            entry["origin"] = json!(if kcp { "kcp" } else { "service" });
            if sound {
                entry["kind"] = json!(kind);
            }
            entry["object"] = object;
            entry
        })
        .boxed()
}

fn spec(sound: bool) -> BoxedStrategy<Value> {
    let one_of = |words: &'static [&'static str]| {
        proptest::sample::select(words)
            .prop_map(|it| json!(it))
            .boxed()
    };
    let mut own = vec![
        ("conditions", flag()),
        ("events", one_of(&["Off", "Warnings", "All"])),
    ];
    let mut rest = vec![
        (
            "filter",
            fields(vec![("resource", selector(sound, &["a", "b"]))]),
        ),
        (
            "naming",
            fields(vec![
                ("name", word((sound, NAMES))),
                ("namespace", word((sound, SPACES))),
            ]),
        ),
        ("enableWorkspacePaths", flag()),
        ("mutation", mutation(sound)),
        ("related", list(entry(sound))),
    ];
    if sound {
        own.push(("drift", one_of(&["Correct", "Keep", "Report"])));
    } else {
        let free = || word((sound, FREE));
        own.extend([
            ("drift", one_of(&["Correct", "Keep", "Report"])),
            ("adoption", one_of(&["Refuse", "LabelOnly", "TakeOver"])),
            (
                "references",
                list(
                    text()
                        .prop_map(|it| json!({"path": it, "publishedResource": it}))
                        .boxed(),
                ),
            ),
            (
                "status",
                list(
                    text()
                        .prop_map(|it| json!({"path": it, "from": it}))
                        .boxed(),
                ),
            ),
        ]);
        rest.push((
            "filter",
            fields(vec![("namespace", selector(sound, LABELS))]),
        ));
        rest.push((
            "projection",
            fields(vec![
                ("group", free()),
                ("version", free()),
                ("kind", free()),
                ("plural", free()),
            ]),
        ));
    }
    rest.push(("syncagent", fields(own)));
    (fields(rest), text(), text())
        .prop_map(|(mut spec, group, kind)| {
            spec["resource"] = json!({"apiGroup": group, "kind": kind});
            spec
        })
        .boxed()
}

/// An order that has something at every path, and things to be found around it, settles or says why not.
fn comes_to_rest(publication: &Publication) {
    let item = json!({"ref": {"name": "one"}, "a": "b", "name": "two"});
    let order = json!({
        "metadata": {"labels": {"a": "b"}},
        "spec": {"name": "a", "a": {"b": "x"}, "secret": "one", "items": [item, {"ref": {"name": null}}, 7]},
        "status": {"secret": "two"},
    });
    let mut case = Case::new(publication, &order);
    let workspace = ObjectRef::logical_cluster(CLUSTER);
    case.world.put(
        &workspace,
        json!({"metadata": {"annotations": {"kcp.io/path": "root:a"}}}),
    );
    for (place, namespace) in [
        (Place::Workspace(CLUSTER.into()), "default"),
        (Place::Service, CLUSTER),
    ] {
        for (name, kind) in [
            ("one", secret()),
            ("two", secret()),
            ("a", kind("", "ConfigMap", "configmaps")),
        ] {
            let at = ObjectRef {
                place: place.clone(),
                kind,
                namespace: namespace.into(),
                name: name.into(),
            };
            case.world.put(
                &at,
                json!({"metadata": {"labels": {"a": "b"}}, "data": {"a": "eA=="}}),
            );
        }
    }
    case.begin();
    case.edit_order(|it| it["spec"]["secret"] = json!("two"));
    case.agent.restart(&case.world);
    case.run();
    let origin = case.agent.origin();
    case.world.delete(&origin);
    case.see(&[&origin]);
}

fn object(spec: &Value) -> Value {
    json!({
        "apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource", "metadata": {"name": "it"}, "spec": spec})
}

fn converted(object: &Value, cluster: (bool, bool)) -> Result<Conversion, Unconverted> {
    let typed: PublishedResource = serde_json::from_value(object.clone()).expect("it has the form");
    let scoped = |kind: Kind, cluster| Kind {
        scope: if cluster {
            Scope::Cluster
        } else {
            Scope::Namespaced
        },
        ..kind
    };
    let offer = Offer {
        local: scoped(local(), cluster.0),
        remote: scoped(remote(), cluster.1),
        schema: SchemaSource::Cluster,
    };
    convert_offer(&typed, offer, AGENT, &served)
}

proptest! {
    #![proptest_config(crate::chance::cases(120))]

    #[test]
    fn whatever_is_written_nothing_panics(spec in spec(false), cluster: (bool, bool)) {
        let object = object(&spec);
        match converted(&object, cluster) {
            // What converts compiles beside others, too, and so does its strict form.
            Ok(conversion) => {
                prop_assert!(Publications::compile(AGENT, std::slice::from_ref(&conversion.definition)).is_ok());
                if let Ok(strict) = conversion.strict() {
                    prop_assert_eq!(strict.unproven, vec![]);
                }
            }
            Err(unconverted) => prop_assert!(unconverted.all().all(|it| !it.path.is_empty() && !it.what.is_empty())),
        }
        // Today's form is its own today's form, and the check reads both.
        let typed: PublishedResource = serde_json::from_value(object.clone()).expect("it has the form");
        let modern = first::modern(&typed);
        prop_assert_eq!(first::modern(&modern), modern);
        let text = object.to_string();
        let options = Options { agent: AGENT.into(), strict: cluster.0 };
        let checked = check(&[("it.json", &text)], &options);
        prop_assert_eq!(checked.count, 1);
    }

    #[test]
    fn what_makes_sense_converts_and_comes_to_rest(spec in spec(true)) {
        let conversion = converted(&object(&spec), (false, false));
        let conversion = conversion.map_err(|it| TestCaseError::fail(it.to_string()))?;
        let publications = Publications::compile(AGENT, &[conversion.definition]).expect("it compiles");
        comes_to_rest(publications.iter().next().expect("there is one"));
    }
}
