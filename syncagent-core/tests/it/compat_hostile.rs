//! Nothing that is written in a `PublishedResource` makes the agent panic, and what compiles settles.

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::api::published_resource::PublishedResource;
use syncagent_core::compat::check::{Options, check};
use syncagent_core::compat::{Offer, convert_offer, first};
use syncagent_core::definition::{Kind, SchemaSource, Scope};
use syncagent_core::publication::Publications;

use crate::compat_definition::{local, remote, served};
use crate::fixture::AGENT;

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

fn word() -> BoxedStrategy<Value> {
    text().prop_map(Value::String).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::Bool).boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    proptest::collection::vec(of, 0..3)
        .prop_map(Value::Array)
        .boxed()
}

fn selector() -> BoxedStrategy<Value> {
    let labels = proptest::collection::btree_map(text(), text(), 0..3).prop_map(|it| json!(it));
    let requirement = (text(), text(), proptest::collection::vec(text(), 0..2)).prop_map(
        |(key, operator, values)| json!({"key": key, "operator": operator, "values": values}),
    );
    fields(vec![
        ("matchLabels", labels.boxed()),
        ("matchExpressions", list(requirement.boxed())),
    ])
}

fn regex() -> BoxedStrategy<Value> {
    fields(vec![("pattern", word()), ("replacement", word())])
}

fn reference() -> BoxedStrategy<Value> {
    (text(), maybe(regex()))
        .prop_map(|(path, regex)| json!({"path": path, "regex": regex}))
        .boxed()
}

fn source() -> BoxedStrategy<Value> {
    let template = || fields(vec![("template", word())]);
    let rewrite = fields(vec![("regex", regex()), ("template", template())]);
    let selector = (selector(), rewrite).prop_map(|(mut selector, rewrite)| {
        selector["rewrite"] = rewrite;
        selector
    });
    fields(vec![
        ("reference", reference()),
        ("selector", selector.boxed()),
        ("template", template()),
    ])
}

fn mutation() -> BoxedStrategy<Value> {
    let with = |field: &'static str| {
        (text(), text())
            .prop_map(move |(path, value)| json!({"path": path, field: value}))
            .boxed()
    };
    let one = fields(vec![
        ("delete", with("ignored")),
        ("regex", with("pattern")),
        ("template", with("template")),
        ("cel", with("expression")),
    ]);
    fields(vec![("spec", list(one.clone())), ("status", list(one))])
}

fn entry() -> BoxedStrategy<Value> {
    let object = (source(), maybe(source())).prop_map(|(mut object, namespace)| {
        object["namespace"] = namespace;
        object
    });
    let own = fields(vec![
        ("originGone", Just(json!("Delete")).boxed()),
        ("recreate", flag()),
    ]);
    let rest = fields(vec![
        ("kind", Just(json!("Secret")).boxed()),
        ("group", word()),
        ("version", word()),
        ("resource", word()),
        ("identityHash", word()),
        ("cleanup", flag()),
        (
            "projection",
            fields(vec![
                ("group", word()),
                ("version", word()),
                ("resource", word()),
            ]),
        ),
        ("object", object.boxed()),
        (
            "reference",
            reference()
                .prop_map(|it| json!({"name": it, "namespace": it}))
                .boxed(),
        ),
        ("mutation", mutation()),
        ("watch", fields(vec![("bySelector", selector())])),
        ("syncStatus", flag()),
        ("syncagent", own),
    ]);
    (text(), any::<bool>(), rest)
        .prop_map(|(identifier, kcp, mut entry)| {
            entry["identifier"] = json!(identifier);
            entry["origin"] = json!(if kcp { "kcp" } else { "service" });
            entry
        })
        .boxed()
}

fn spec() -> BoxedStrategy<Value> {
    let one_of = |words: &'static [&'static str]| {
        proptest::sample::select(words)
            .prop_map(|it| json!(it))
            .boxed()
    };
    let own = fields(vec![
        ("drift", one_of(&["Correct", "Keep", "Report"])),
        ("adoption", one_of(&["Refuse", "LabelOnly", "TakeOver"])),
        ("conditions", flag()),
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
    let rest = fields(vec![
        (
            "filter",
            fields(vec![("namespace", selector()), ("resource", selector())]),
        ),
        (
            "naming",
            fields(vec![("name", word()), ("namespace", word())]),
        ),
        ("enableWorkspacePaths", flag()),
        (
            "projection",
            fields(vec![
                ("group", word()),
                ("version", word()),
                ("kind", word()),
                ("plural", word()),
            ]),
        ),
        ("mutation", mutation()),
        ("related", list(entry())),
        ("syncagent", own),
    ]);
    (rest, text(), text())
        .prop_map(|(mut spec, group, kind)| {
            spec["resource"] = json!({"apiGroup": group, "kind": kind});
            spec
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_written_nothing_panics(spec in spec(), cluster: (bool, bool)) {
        let object = json!({
            "apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource", "metadata": {"name": "it"}, "spec": spec});
        let typed: PublishedResource = serde_json::from_value(object.clone()).expect("it has the form");
        let scoped = |kind: Kind, cluster| Kind {
            scope: if cluster { Scope::Cluster } else { Scope::Namespaced },
            ..kind
        };
        let offer = Offer {
            local: scoped(local(), cluster.0),
            remote: scoped(remote(), cluster.1),
            schema: SchemaSource::Cluster,
        };
        match convert_offer(&typed, offer, AGENT, &served) {
            // What converts compiles beside others, too, and so does its strict form.
            Ok(conversion) => {
                let definition = conversion.definition.clone();
                prop_assert!(Publications::compile(AGENT, &[definition]).is_ok());
                if let Ok(strict) = conversion.strict() {
                    prop_assert_eq!(strict.unproven, vec![]);
                }
            }
            Err(unconverted) => prop_assert!(unconverted.all().all(|it| !it.path.is_empty() && !it.what.is_empty())),
        }
        // Today's form is its own today's form, and the check reads both.
        let modern = first::modern(&typed);
        prop_assert_eq!(first::modern(&modern), modern);
        let text = object.to_string();
        let options = Options { agent: AGENT.into(), strict: cluster.0 };
        let checked = check(&[("it.json", &text)], &options);
        prop_assert_eq!(checked.count, 1);
    }
}
