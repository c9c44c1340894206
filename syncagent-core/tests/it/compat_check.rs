//! `syncagent check`: what is said about files before anything is applied.

use std::fmt::Write as _;

use expect_test::expect;
use syncagent_core::compat::check::{Checked, Options, check};

const CRD: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.db.example.io}
spec:
  group: db.example.io
  scope: Namespaced
  names: {kind: Database, plural: databases}
  versions:
    - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object}}}
";

fn options(strict: bool) -> Options {
    Options {
        agent: "databases.example.io".into(),
        strict,
    }
}

fn checked(text: &str) -> Checked {
    check(&[("crd.yaml", CRD), ("it.yaml", text)], &options(false))
}

fn said(checked: &Checked) -> String {
    let mut out = String::new();
    for finding in &checked.findings {
        writeln!(out, "{finding}").expect("a text");
    }
    out
}

/// A file with one object whose spec has these lines, beside its resource.
fn object(spec: &str) -> String {
    let spec: String = spec.lines().map(|it| format!("  {it}\n")).collect();
    format!(
        "apiVersion: syncagent.kcp.io/v1alpha1\nkind: PublishedResource\nmetadata: {{name: databases}}\nspec:\n  resource: {{apiGroup: db.example.io, kind: Database, versions: [v1]}}\n{spec}"
    )
}

#[test]
fn a_sound_file_has_nothing_said_about_it() {
    let it = checked(&object(""));
    assert_eq!((it.count, said(&it)), (1, String::new()));
    assert!(it.is_fine() && it.modern.is_empty());
}

#[test]
fn everything_is_said_at_once_with_file_document_and_field() {
    let text = format!(
        "{}---\n# only a comment\n---\n{}---\nkind: ConfigMap\n---\n{}",
        object("naming: {nam: x, name: '{a}'}\nfilter: {resource: {matchLabels: {'a b': c}}}"),
        object(
            "related: [{id: a, identifier: b, origin: kcp, kind: Secret, version: v1, object: {}}]"
        ),
        object("projection: {apiGroup: g.io, scope: Namespaced}\nspeling: 1"),
    );
    let it = checked(&text);
    assert_eq!(it.count, 3);
    assert!(!it.is_fine());
    expect![[r#"
        problem: it.yaml: PublishedResource databases: spec.naming.nam: is no field; did you mean `name`?
        problem: it.yaml: PublishedResource databases: spec.naming.name: `{a}` has single braces, which mean nothing; write a template, as in `{{ .Object.metadata.name }}`
        problem: it.yaml: PublishedResource databases: spec.filter.resource.matchLabels: `a b` cannot be the key of a label
        problem: it.yaml (document 2): PublishedResource databases: spec.related[0].id: is no field; did you mean `identifier`?
        problem: it.yaml (document 2): PublishedResource databases: spec.related[0]: must specify either kind (deprecated) or group, version, resource
        problem: it.yaml (document 2): PublishedResource databases: spec.related[0]: resource and version must be configured together or not at all
        problem: it.yaml (document 2): PublishedResource databases: spec.related[0].object: says nothing; write one of reference, selector and template
        problem: it.yaml (document 4): PublishedResource databases: spec.projection.apiGroup: is no field; did you mean `group`?
        problem: it.yaml (document 4): PublishedResource databases: spec.speling: is no field, so it has no effect; take it out
    "#]].assert_eq(&said(&it));
}

#[test]
fn what_is_wrong_beside_a_kind_that_cannot_be_offered_is_said_too() {
    let spec = object("mutation: {spec: [{regex: {path: spec.x, pattern: 'a(?=b)'}}]}");
    let it = checked(&spec.replace("versions: [v1]", "versions: [v9]"));
    expect![[r#"
        problem: it.yaml: PublishedResource databases: spec.resource.versions: the CRD has no version v9; it has v1
        problem: it.yaml: PublishedResource databases: spec.mutation.spec[0].regex: `a(?=b)` is no regular expression: invalid or unsupported Perl syntax: look-around
    "#]]
    .assert_eq(&said(&it));
}

#[test]
fn what_has_not_the_form_of_the_kind_is_told_by_its_line() {
    let text = format!(
        "{}---\n{}",
        object(""),
        object("filter:\n  namespace: my-app")
    );
    let it = checked(&text);
    expect![[r#"
        problem: it.yaml (document 2): PublishedResource databases: line 13 column 16: expected mapping start
    "#]].assert_eq(&said(&it));
    let broken = checked("kind: [\n");
    assert!(!broken.is_fine());
    assert!(
        said(&broken).starts_with("problem: it.yaml: is no YAML: "),
        "{}",
        said(&broken)
    );
}

#[test]
fn what_no_file_tells_is_taken_on_trust_and_noted() {
    let text = object(
        "related: [{identifier: a, origin: service, group: g.io, version: v1, resource: widgets, object: {template: {template: x}}}]",
    );
    let it = check(&[("it.yaml", &text)], &options(false));
    assert!(it.is_fine());
    expect![[r#"
        note: it.yaml: PublishedResource databases: spec.resource: the CustomResourceDefinition of Database is not among the files, so its versions, its scope and its schema were not looked at
        note: it.yaml: PublishedResource databases: spec.related: no file tells about `widgets` of g.io; it was taken for something that lives in namespaces
    "#]].assert_eq(&said(&it));
}

#[test]
fn what_users_name_outside_a_namespace_of_their_own_is_refused_strictly() {
    let text = object(
        "naming: {namespace: all, name: '{{ .Object.metadata.name }}'}\nrelated: [{identifier: a, origin: service, kind: Secret, object: {reference: {path: spec.secret}}}]",
    );
    assert!(checked(&text).is_fine());
    let strict = check(&[("crd.yaml", CRD), ("it.yaml", &text)], &options(true));
    assert!(!strict.is_fine());
    expect![[r#"
        problem: it.yaml: PublishedResource databases: spec.naming: two workspaces could collide: the naming has no `{{ .ClusterName }}`
        problem: it.yaml: PublishedResource databases: spec.naming: two namespaces of a workspace could collide: the naming has neither `{{ .Object.metadata.namespace }}` nor `{{ .Object.metadata.namespace | sha3short }}`
        problem: it.yaml: PublishedResource databases: spec.related[0]: it could find an object of another workspace; name it after the copy, select by a label that says so, or let the copies live in a namespace per workspace
        problem: it.yaml: PublishedResource databases: spec.related[0]: a consumer who writes `spec.secret` could read any object beside the copy; set the field to a constant, or read a field of the status
    "#]].assert_eq(&said(&strict));
}

#[test]
fn an_old_file_is_printed_in_todays_form() {
    let text = "apiVersion: syncagent.kcp.io/v1alpha1
kind: PublishedResource
metadata: {name: databases, labels: {team: a}}
spec:
  resource: {apiGroup: db.example.io, kind: Database, version: v1}
  naming: {namespace: $remoteClusterName, name: $remoteName}
  related:
    - {identifier: a, origin: kcp, kind: Secret, reference: {name: {path: spec.secret.name}}}
";
    let it = checked(text);
    assert!(it.is_fine(), "{}", said(&it));
    let [modern] = it.modern.as_slice() else {
        panic!("there is one old object");
    };
    expect![[r#"
        apiVersion: syncagent.kcp.io/v1alpha1
        kind: PublishedResource
        metadata:
          labels:
            team: a
          name: databases
        spec:
          naming:
            name: "{{ .Object.metadata.name }}"
            namespace: "{{ .ClusterName }}"
          related:
          - identifier: a
            object:
              reference:
                path: spec.secret.name
            origin: kcp
            resource: secrets
            version: v1
          resource:
            apiGroup: db.example.io
            kind: Database
            versions:
            - v1
    "#]]
    .assert_eq(&modern.text);
    // It says the same, and is today's.
    let again = checked(&modern.text);
    assert_eq!(said(&again), said(&it));
    assert_eq!(again.modern, []);
}

#[test]
fn lists_and_json_are_read_too() {
    let json = r#"{"kind": "List", "items": [
        {"apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource", "metadata": {"name": "a"},
         "spec": {"resource": {"apiGroup": "db.example.io", "kind": "Database"}, "related": [{"origin": "here"}]}},
        {"apiVersion": "v1", "kind": "ConfigMap"}]}"#;
    let it = checked(json);
    assert_eq!(it.count, 1);
    expect![[r#"
        problem: it.yaml: PublishedResource a: unknown variant `here`, expected `service` or `kcp`
    "#]]
    .assert_eq(&said(&it));
}

#[test]
fn the_rules_of_the_kind_hold_offline_too() {
    let entry = |fields: &str| {
        let text = object(&format!(
            "related: [{{identifier: a, origin: service, object: {{template: {{template: x}}}}, {fields}}}]"
        ));
        said(&checked(&text))
    };
    for (fields, message) in [
        (
            "kind: Secret, version: v1, resource: secrets",
            "must specify either kind",
        ),
        (
            "version: v1",
            "resource and version must be configured together",
        ),
        (
            "kind: Secret, group: ''",
            "configuring a group also requires",
        ),
        (
            "kind: Secret, identityHash: x",
            "identity hashes can only be used with GVRs",
        ),
        (
            "kind: Secret, syncStatus: true",
            "watch must be configured when origin is service",
        ),
        (
            "kind: Secret, watch: {}",
            "exactly one of byOwner or bySelector must be set",
        ),
        (
            "kind: Secret, reference: {name: {path: a}}",
            "stands beside `object`",
        ),
    ] {
        let said = entry(fields);
        assert!(said.contains(message), "{fields}: {said}");
    }
}
