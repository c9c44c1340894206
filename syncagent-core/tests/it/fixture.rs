//! Small publications and the objects in them.

use serde_json::{Value, json};
use syncagent_core::definition::{
    CopyNaming, Definition, FieldRule, Kind, Only, ReadRule, ReturnRule, ReturnSource, Rule,
    SchemaSource, Scope, Sources, StatusField, StatusRule, StatusSource, TakeRule,
};
use syncagent_core::plan::Key;
use syncagent_core::publication::{Publication, Publications};

pub(crate) const AGENT: &str = "things.example.io";
pub(crate) const CLUSTER: &str = "1abc";

pub(crate) fn kind(group: &str, kind: &str, plural: &str) -> Kind {
    Kind {
        group: group.into(),
        version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
        scope: Scope::Namespaced,
    }
}

pub(crate) fn secret() -> Kind {
    kind("", "Secret", "secrets")
}

pub(crate) fn service() -> Kind {
    kind("", "Service", "services")
}

/// A CRD with these properties of a spec.
pub(crate) fn crd(kind: &Kind, spec: &Value) -> Value {
    json!({
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.kind, "plural": kind.plural},
            "versions": [{
                "name": kind.version,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "spec": {"type": "object", "properties": spec},
                        "status": {"type": "object", "properties": {
                            "phase": {"type": "string"},
                            "observedGeneration": {"type": "integer"},
                            "owner": {"type": "string"},
                        }},
                    },
                }},
            }],
        },
    })
}

pub(crate) fn spec_schema() -> Value {
    let text = json!({"type": "string"});
    let named = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({
        "size": {"type": "integer"},
        "color": text,
        "secret": named,
        "admin": named,
        "pool": text,
        "note": text,
        "hosts": {"type": "array", "items": {"type": "string"}},
        "items": {"type": "array", "items": {"type": "object", "properties": {"a": text, "ref": named}}},
    })
}

pub(crate) fn at(path: &str, source: &str) -> StatusField {
    StatusField {
        path: path.into(),
        source: StatusSource::At(source.into()),
    }
}

/// Things: nothing is taken, nothing is returned.
pub(crate) fn thing() -> Definition {
    let kind = kind("example.io", "Thing", "things");
    Definition {
        schema: SchemaSource::Type(crd(&kind, &spec_schema())),
        status: StatusRule::Fields(vec![
            at("status.phase", "status.phase"),
            at("status.observedGeneration", "status.observedGeneration"),
        ]),
        ..Definition::new(kind.clone(), kind)
    }
}

pub(crate) fn takes(path: &str, name: &str) -> FieldRule {
    FieldRule {
        path: path.into(),
        rule: Rule::Takes(TakeRule {
            kind: secret(),
            name_at: Some("name".into()),
            name: name.into(),
            labels: vec![("reload".into(), "true".into())],
        }),
    }
}

/// Things that take a Secret and return a composed one.
pub(crate) fn full_thing() -> Definition {
    Definition {
        copy: CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}".into(),
        },
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        fields: vec![takes("spec.secret", "{name}.taken")],
        returns: vec![ReturnRule {
            id: "connection".into(),
            kind: secret(),
            name: "{name}-connection".into(),
            source: ReturnSource::With {
                reads: vec![ReadRule {
                    kind: service(),
                    name: "{copy.name}-rw".into(),
                }],
                compose: connection,
            },
        }],
        ..thing()
    }
}

/// Host from the Service, password from the taken Secret.
fn connection(sources: &Sources) -> Option<Value> {
    sources.origin();
    let service = sources.read(|rule| rule.kind.kind == "Service")?;
    let host = service["status"]["ip"].as_str()?.to_owned();
    let secret = sources.taken("spec.secret").next()?;
    Some(json!({"data": {"host": host, "password": secret["data"]["password"]}}))
}

pub(crate) fn compile(definition: Definition) -> Publication {
    let publications =
        Publications::compile(AGENT, &[definition]).unwrap_or_else(|problems| panic!("{problems}"));
    let first = publications.iter().next().expect("one was published");
    first.clone()
}

pub(crate) fn key(publication: &Publication, name: &str) -> Key {
    Key {
        publication: publication.id().into(),
        cluster: CLUSTER.into(),
        namespace: "default".into(),
        name: name.into(),
    }
}

/// An order as its consumer writes it.
pub(crate) fn order(publication: &Publication, key: &Key, spec: &Value) -> Value {
    let kind = publication.offered();
    json!({
        "apiVersion": format!("{}/{}", kind.group, kind.version),
        "kind": kind.kind,
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": spec,
    })
}
