//! The kinds that the tests publish, written by hand: what a derive would emit.

use serde_json::{Value, json};
use syncagent_core::definition::{
    CopyNaming, Definition, FieldRule, Kind, Only, ReadRule, ReturnRule, ReturnSource, Rule,
    SchemaSource, Scope, StatusField, StatusRule, StatusSource, TakeRule,
};

/// A kind of `example.io/v1`, or of the test's own group.
pub(crate) fn kind(kind: &str) -> Kind {
    Kind {
        group: crate::world::group(),
        version: "v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        scope: Scope::Namespaced,
    }
}

/// Plural and group of a kind, as in `things.example.io`.
pub(crate) fn named(name: &str) -> String {
    let kind = kind(name);
    format!("{}.{}", kind.plural, kind.group)
}

/// A built-in kind of the core group.
pub(crate) fn core(kind: &str) -> Kind {
    Kind {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        scope: Scope::Namespaced,
    }
}

/// The CRD of a thing: a size of at least one, a note, two named Secrets, and a status.
pub(crate) fn crd(kind: &Kind) -> Value {
    let reference = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", kind.plural, kind.group)},
        "spec": {
            "group": kind.group,
            "scope": match kind.scope {
                Scope::Namespaced => "Namespaced",
                Scope::Cluster => "Cluster",
            },
            "names": {"plural": kind.plural, "singular": kind.kind.to_lowercase(), "kind": kind.kind,
                "listKind": format!("{}List", kind.kind)},
            "versions": [{
                "name": kind.version, "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {"type": "object", "properties": {
                            "size": {"type": "integer"},
                            "note": {"type": "string"},
                            "first": reference, "second": reference,
                        }},
                        "status": {"type": "object", "properties": {
                            "phase": {"type": "string"},
                            "observedGeneration": {"type": "integer"},
                        }},
                    },
                }},
            }],
        },
    })
}

/// The CRD that the service cluster has: it also knows an upper bound, which the offered type does not tell.
pub(crate) fn service_crd(kind: &Kind) -> Value {
    let mut crd = crd(kind);
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
        ["maximum"] = json!(100);
    crd
}

/// A plain thing: no related objects, two fields of status.
pub(crate) fn plain(name: &str) -> Definition {
    let kind = kind(name);
    Definition {
        schema: SchemaSource::Type(crd(&kind)),
        copy: CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}".into(),
        },
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        status: StatusRule::Fields(
            ["status.phase", "status.observedGeneration"]
                .iter()
                .map(|path| StatusField {
                    path: (*path).to_owned(),
                    source: StatusSource::At((*path).to_owned()),
                })
                .collect(),
        ),
        ..Definition::new(kind.clone(), kind)
    }
}

/// The rule of a field that names a Secret.
pub(crate) fn takes(path: &str) -> FieldRule {
    FieldRule {
        path: path.to_owned(),
        rule: Rule::Takes(TakeRule {
            kind: core("Secret"),
            name_at: Some("name".into()),
            name: "{name}.taken".into(),
            labels: vec![],
        }),
    }
}

/// A thing that takes two Secrets.
pub(crate) fn taking(name: &str) -> Definition {
    Definition {
        fields: vec![takes("spec.first"), takes("spec.second")],
        ..plain(name)
    }
}

/// An order.
pub(crate) fn order(kind: &Kind, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{}/{}", kind.group, kind.version), "kind": kind.kind,
        "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// The path of all objects of a kind.
pub(crate) fn collection(kind: &Kind) -> String {
    syncagent_core::io::clients::collection(kind, None)
}

/// The path of one object.
pub(crate) fn path(kind: &Kind, namespace: &str, name: &str) -> String {
    syncagent_core::io::clients::object(kind, Some(namespace), name)
}

/// Whether our own condition says that all is well.
pub(crate) fn synced(order: &Value) -> bool {
    condition(order)["status"] == "True"
}

/// Our own condition on an order.
pub(crate) fn condition(order: &Value) -> Value {
    let conditions = order["status"]["conditions"].as_array();
    let ours = conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"] == "Synced");
    ours.cloned().unwrap_or_default()
}

/// A thing like the story's database: it takes two Secrets, and a connection comes up, composed of the address of the
/// Service that the operator makes and the password of the first Secret.
pub(crate) fn connected(name: &str) -> Definition {
    Definition {
        returns: vec![ReturnRule {
            id: "connection".into(),
            kind: core("Secret"),
            name: "{name}-connection".into(),
            source: ReturnSource::With {
                reads: vec![ReadRule {
                    kind: core("Service"),
                    name: "{copy.name}-rw".into(),
                }],
                compose: |sources| {
                    let service = sources.read(|_| true)?;
                    let host = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
                    let password =
                        sources.taken("spec.first").next()?["data"]["password"].as_str()?;
                    Some(json!({"stringData": {"host": host}, "data": {"password": password}}))
                },
            },
        }],
        ..taking(name)
    }
}
