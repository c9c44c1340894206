//! One order of about 2 KiB and its copy, in every state that is planned for, without servers.

#[path = "../shared/thing.rs"]
mod thing;

use serde_json::{Value, json};
use syncagent::definition::{
    CopyNaming, Definition, Kind, Only, SchemaSource, Scope, StatusField, StatusRule, StatusSource,
};
use syncagent_core::object::identity::Identity;
use syncagent_core::plan::{
    Context, Deed, Heard, Key, ObjectRef, Plan, Question, Record, Reply, Seen, Sight, absorb, plan,
};
use syncagent_core::publication::{Publication, Publications};

const GROUP: &str = "example.io";

/// A publication with one order of it, which is settled.
pub(crate) struct Settled {
    publications: Publications,
    pub(crate) key: Key,
    /// The order and its copy, as their servers have them.
    pub(crate) origin: Value,
    pub(crate) copy: Value,
    pub(crate) record: Record,
    context: Context,
}

impl Settled {
    /// Plays an order to its end: what servers answer is made up here.
    pub(crate) fn new() -> Self {
        let publications = Publications::compile("things.example.io", &[definition()]);
        let publications = publications.expect("the definition is sound");
        let key = first(&publications).key(Identity {
            cluster: "2xj8f9k3m5n7p1q4".into(),
            namespace: "default".into(),
            name: "one".into(),
        });
        let mut it = Self {
            publications,
            key,
            origin: order(),
            copy: Value::Null,
            record: Record::default(),
            context: Context {
                now: "2026-11-22T18:00:00Z".into(),
                paused: false,
                referred: false,
                torn: None,
            },
        };
        it.settle();
        it
    }

    pub(crate) fn publication(&self) -> &Publication {
        first(&self.publications)
    }

    /// What is planned with this in hand.
    pub(crate) fn plan(&self, record: &Record, seen: &Seen) -> Plan {
        plan(&self.context, self.publication(), &self.key, record, seen)
    }

    /// What was seen when an event brought the order as it is.
    pub(crate) fn brought(&self, origin: &Value) -> Seen {
        let mut seen = Seen::new();
        seen.note(
            self.publication().origin(&self.key),
            Sight::There(origin.clone()),
        );
        seen
    }

    /// What was seen when an event brought the copy as it is.
    pub(crate) fn brought_copy(&self, copy: &Value) -> Seen {
        let mut seen = Seen::new();
        let at = self.publication().copy(&self.key).expect("the name fits");
        seen.note(at, Sight::There(copy.clone()));
        seen
    }

    /// What was seen at the very first.
    pub(crate) fn first_sight(&self) -> Seen {
        let mut seen = self.brought(&order());
        let namespace = ObjectRef::service_namespace(&self.key.cluster);
        seen.note(
            namespace,
            Sight::Outline(json!({"metadata": {"name": self.key.cluster}})),
        );
        seen
    }

    fn settle(&mut self) {
        let mut seen = self.first_sight();
        for _ in 0..10 {
            let planned = self.plan(&self.record, &seen);
            if planned.effects.is_empty() && planned.questions.is_empty() {
                return;
            }
            self.record = planned.record;
            for question in planned.questions {
                let Question::Look { object, .. } = question else {
                    panic!("an order alone asks for nothing else: {question:?}");
                };
                seen.note(object, Sight::Absent);
            }
            for effect in &planned.effects {
                let body = self.answer(&effect.deed, &effect.request.body);
                let reply = Reply { code: 200, body };
                let publication = first(&self.publications);
                let heard = absorb(
                    publication,
                    &self.key,
                    &mut self.record,
                    &mut seen,
                    effect,
                    reply,
                );
                assert_eq!(heard, Heard::Next, "{effect}");
            }
        }
        panic!("it does not come to rest");
    }

    /// What a server would answer.
    fn answer(&mut self, deed: &Deed, body: &Value) -> Value {
        match deed {
            Deed::Hold => {
                let finalizer = body
                    .as_array()
                    .and_then(|ops| ops.last())
                    .map(|op| op["value"].clone());
                self.origin["metadata"]["finalizers"] = finalizer.unwrap_or_default();
                self.origin["metadata"]["resourceVersion"] = json!("13");
                self.origin.clone()
            }
            Deed::Place => {
                self.copy = body.clone();
                self.copy["metadata"]["uid"] = json!("c0c0");
                self.copy["metadata"]["resourceVersion"] = json!("21");
                self.copy["metadata"]["generation"] = json!(1);
                self.copy.clone()
            }
            Deed::Reflect => {
                let status = body
                    .as_array()
                    .and_then(|ops| ops.last())
                    .map(|op| op["value"].clone());
                self.origin["status"] = status.unwrap_or_default();
                self.origin["metadata"]["resourceVersion"] = json!("14");
                self.origin.clone()
            }
            other => panic!("an order alone is never {other:?}"),
        }
    }
}

fn first(publications: &Publications) -> &Publication {
    publications.iter().next().expect("there is one")
}

/// What publishes the kind.
pub(crate) fn definition() -> Definition {
    let kind = Kind {
        group: GROUP.into(),
        version: "v1".into(),
        kind: "Thing".into(),
        plural: "things".into(),
        scope: Scope::Namespaced,
    };
    Definition {
        schema: SchemaSource::Type(thing::crd(GROUP)),
        copy: CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}".into(),
        },
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        status: StatusRule::Fields(vec![StatusField {
            path: "status.phase".into(),
            source: StatusSource::At("status.phase".into()),
        }]),
        ..Definition::new(kind.clone(), kind)
    }
}

/// The order, as a server answers with it.
fn order() -> Value {
    let mut order = thing::order(GROUP, "one");
    let metadata = json!({
        "name": "one", "namespace": "default", "uid": "0f0e", "resourceVersion": "12", "generation": 1,
        "annotations": {"kcp.io/cluster": "2xj8f9k3m5n7p1q4"},
    });
    order["metadata"] = metadata;
    order
}

/// The order with another size.
pub(crate) fn changed(origin: &Value) -> Value {
    let mut origin = origin.clone();
    origin["spec"]["size"] = json!(4);
    origin["metadata"]["generation"] = json!(2);
    origin["metadata"]["resourceVersion"] = json!("15");
    origin
}

/// The copy with a status of its operator, of which the consumer sees a part.
pub(crate) fn reported(copy: &Value) -> Value {
    let mut copy = copy.clone();
    copy["status"] = json!({"phase": "ready", "observedGeneration": 1, "nodes": [{"name": "n1"}, {"name": "n2"}]});
    copy["metadata"]["resourceVersion"] = json!("22");
    copy
}

/// The order while it is being deleted.
pub(crate) fn deleting(origin: &Value) -> Value {
    let mut origin = origin.clone();
    origin["metadata"]["deletionTimestamp"] = json!("2026-11-22T18:00:00Z");
    origin["metadata"]["resourceVersion"] = json!("16");
    origin
}
