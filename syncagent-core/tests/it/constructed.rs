//! What kcp's api-syncagent does to a world, `constructed`: written from sections 5 and 6 of the contract, not taken from its
//! sources and not recorded from it.
//!
//! One pass of it goes on until nothing is written any more, and tells what it wrote. A world after such a pass is what
//! the engine takes over; a pass over a world that the engine handed back must write nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use syncagent_core::definition::{Kind, Side};
use syncagent_core::object::{annotation, finalizers, is_deleting, label, state, uid};
use syncagent_core::plan::{Key, ObjectRef, Place, Request, Verb};
use syncagent_core::publication::Publication;
use syncagent_core::related::{base64, unbase64};

use crate::world::{World, owned};

pub(crate) const CLEANUP: &str = "syncagent.kcp.io/cleanup";
pub(crate) const STATES: &str = "kcp-system";
const MANAGER: &str = "api-syncagent";

/// A related entry of a `PublishedResource`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: &'static str,
    pub(crate) origin: Side,
    pub(crate) kind: Kind,
    pub(crate) cleanup: bool,
    /// The names beside the primary of the origin's side.
    pub(crate) find: fn(&Value) -> Vec<String>,
    /// What a found one is called on the other side: by its name, and by the primary's there.
    pub(crate) called: fn(&str, &str) -> String,
}

/// The Go agent of one publication.
pub(crate) struct GoAgent<'a> {
    pub(crate) publication: &'a Publication,
    pub(crate) related: Vec<Entry>,
}

/// An object and its other side.
struct Sync<'a> {
    source: ObjectRef,
    target: ObjectRef,
    /// The identity under which the source is remembered.
    cluster: &'a str,
    /// The marks on the other side, where it gets any.
    links: Option<(Map<String, Value>, Map<String, Value>)>,
    holds: bool,
}

impl GoAgent<'_> {
    /// Goes on until nothing is written; says what was.
    pub(crate) fn pass(&self, world: &mut World, key: &Key) -> Vec<String> {
        let mut wrote = Vec::new();
        for _ in 0..60 {
            let before = wrote.len();
            self.step(world, key, &mut wrote);
            if wrote.len() == before {
                return wrote;
            }
        }
        panic!("it does not come to rest: {wrote:#?}");
    }

    /// Its copy of an order.
    pub(crate) fn copy(&self, world: &World, key: &Key) -> Option<ObjectRef> {
        let links = key.identity().links();
        let mut all = world.objects.iter().filter(|(at, object)| {
            at.place == Place::Service
                && at.kind == *self.publication.service()
                && links
                    .iter()
                    .all(|(mark, value)| label(object, mark) == *value)
        });
        let found = all.next().map(|(at, _)| at.clone());
        assert!(all.next().is_none(), "two copies: it is stuck");
        found
    }

    /// Its state Secret of an order.
    pub(crate) fn secret(&self, key: &Key) -> ObjectRef {
        let name = state::secret_name(self.publication.offered(), &key.identity());
        ObjectRef::service_secret(STATES, &name)
    }

    fn step(&self, world: &mut World, key: &Key, wrote: &mut Vec<String>) {
        let source = self.publication.origin(key);
        let Some(origin) = world.objects.get(&source).cloned() else {
            return;
        };
        let found = self.copy(world, key);
        if is_deleting(&origin)
            && let Some(copy) = &found
            && self.relate(world, key, &origin, copy, wrote)
        {
            return;
        }
        let target = found
            .clone()
            .unwrap_or_else(|| self.publication.copy(key).expect("a name"));
        let identity = key.identity();
        let mut labels = identity.links();
        labels.insert(
            "syncagent.kcp.io/agent-name".into(),
            json!(self.publication.agent().as_str()),
        );
        let sync = Sync {
            source: source.clone(),
            target: target.clone(),
            cluster: &key.cluster,
            links: Some((labels, identity.annotations())),
            holds: true,
        };
        if self.sync(world, key, &sync, false, wrote) {
            return;
        }
        // Status goes back, whatever else.
        let (Some(copy), Some(origin)) = (
            world.objects.get(&target).cloned(),
            world.objects.get(&source).cloned(),
        ) else {
            return;
        };
        if is_deleting(&copy) {
            return;
        }
        let absent = json!({});
        let shown = |it: &Value| it.get("status").filter(|it| !it.is_null()).cloned();
        if shown(&copy).unwrap_or_else(|| absent.clone()) != shown(&origin).unwrap_or(absent) {
            world.edit(&source, |it| it["status"] = copy["status"].clone());
            wrote.push("status".into());
        }
        if found.is_some() {
            let origin = world.objects[&source].clone();
            self.relate(world, key, &origin, &target, wrote);
        }
    }

    /// Related objects, in order; says whether another pass is wanted.
    fn relate(
        &self,
        world: &mut World,
        key: &Key,
        origin: &Value,
        copy: &ObjectRef,
        wrote: &mut Vec<String>,
    ) -> bool {
        let local = world.objects[copy].clone();
        for entry in &self.related {
            let (primary, other) = match entry.origin {
                Side::Workspace => (origin, &local),
                Side::Service => (&local, origin),
            };
            let beside = |it: &Value| it["metadata"]["namespace"].as_str().unwrap().to_owned();
            let name = |it: &Value| it["metadata"]["name"].as_str().unwrap().to_owned();
            let place = |side| match side {
                Side::Workspace => key.workspace(),
                Side::Service => Place::Service,
            };
            let mut names = (entry.find)(primary);
            names.sort();
            let at = |side, namespace: String, name: String| ObjectRef {
                place: place(side),
                kind: entry.kind.clone(),
                namespace,
                name,
            };
            let there = names
                .into_iter()
                .map(|it| at(entry.origin, beside(primary), it))
                .filter(|it| world.objects.contains_key(it));
            for (index, source) in there.collect::<Vec<_>>().into_iter().enumerate() {
                let called = (entry.called)(&source.name, &name(other));
                let sync = Sync {
                    target: at(entry.origin.other(), beside(other), called),
                    source,
                    cluster: match entry.origin {
                        Side::Workspace => &key.cluster,
                        Side::Service => "",
                    },
                    links: None,
                    holds: entry.origin == Side::Workspace,
                };
                let leaving =
                    is_deleting(origin) && (entry.origin == Side::Workspace || entry.cleanup);
                if self.sync(world, key, &sync, leaving, wrote) {
                    return true;
                }
                if entry.origin == Side::Service && !is_deleting(origin) {
                    let mark = format!("related-resources.syncagent.kcp.io/{}.{index}", entry.id);
                    let text = format!(
                        r#"{{"namespace":"{}","name":"{}","apiVersion":"v1","kind":"{}"}}"#,
                        sync.target.namespace, sync.target.name, entry.kind.kind
                    );
                    let order = self.publication.origin(key);
                    if annotation(&world.objects[&order], &mark) != Some(&text) {
                        world.edit(&order, |it| {
                            it["metadata"]["annotations"][mark.as_str()] = json!(text);
                        });
                        wrote.push(format!("annotate {mark}"));
                        return true;
                    }
                }
            }
        }
        false
    }

    /// One object and its other side; says whether another pass is wanted.
    fn sync(
        &self,
        world: &mut World,
        key: &Key,
        sync: &Sync<'_>,
        leaving: bool,
        wrote: &mut Vec<String>,
    ) -> bool {
        let source = world.objects[&sync.source].clone();
        let what = format!("{} {}", sync.source.kind.kind, sync.source.name);
        let is_held = finalizers(&source).iter().any(|it| it == CLEANUP);
        if is_deleting(&source) || leaving {
            if !sync.holds && !leaving {
                return false;
            }
            if let Some(target) = world.objects.get(&sync.target) {
                if !is_deleting(target) {
                    world.delete(&sync.target);
                    wrote.push(format!("delete {what}"));
                }
                return true;
            }
            if is_held {
                world.edit(&sync.source, |it| {
                    let mut left = finalizers(it);
                    left.retain(|it| it != CLEANUP);
                    it["metadata"]["finalizers"] = json!(left);
                });
                wrote.push(format!("release {what}"));
                return true;
            }
            return false;
        }
        if sync.holds && !is_held {
            world.edit(&sync.source, |it| {
                let mut all = finalizers(it);
                all.push(CLEANUP.into());
                all.sort();
                it["metadata"]["finalizers"] = json!(all);
            });
            wrote.push(format!("hold {what}"));
            return true;
        }
        let Some(target) = world.objects.get(&sync.target).cloned() else {
            self.create(world, sync, &source);
            self.remember(world, key, sync, &source);
            wrote.push(format!("create {what}"));
            return true;
        };
        if is_deleting(&target) {
            return false;
        }
        if !self.bring(world, key, sync, &source, &target) {
            return false;
        }
        self.remember(world, key, sync, &source);
        wrote.push(format!("update {what}"));
        true
    }

    fn create(&self, world: &mut World, sync: &Sync<'_>, source: &Value) {
        let mut object = state::stripped(source, false);
        object["metadata"]["name"] = json!(sync.target.name);
        object["metadata"]["namespace"] = json!(sync.target.namespace);
        if let Some((labels, annotations)) = &sync.links {
            for (part, marks) in [("labels", labels), ("annotations", annotations)] {
                for (mark, value) in marks {
                    object["metadata"][part][mark.as_str()] = value.clone();
                }
            }
        }
        let kind = &sync.target.kind;
        object["kind"] = json!(kind.kind);
        object["apiVersion"] = json!(syncagent_core::object::api_version(kind));
        let fields = owned(&object);
        object["metadata"]["managedFields"] = json!([{"manager": MANAGER, "operation": "Update",
            "fieldsType": "FieldsV1", "fieldsV1": fields}]);
        if sync.target.place == Place::Service {
            world.put(
                &ObjectRef::service_namespace(&sync.target.namespace),
                json!({}),
            );
        }
        world.put(&sync.target, object);
    }

    /// Patches what changed since it was last brought over, or brings all of it; says whether anything was.
    fn bring(
        &self,
        world: &mut World,
        key: &Key,
        sync: &Sync<'_>,
        source: &Value,
        target: &Value,
    ) -> bool {
        let mut wanted = state::stripped(source, false);
        let known = self.known(world, key, sync);
        let mut patch = match known {
            Some(mut known) => {
                known["apiVersion"] = wanted["apiVersion"].clone();
                known["kind"] = wanted["kind"].clone();
                if let Some((labels, annotations)) = &sync.links {
                    for (part, marks) in [("labels", labels), ("annotations", annotations)] {
                        for (mark, value) in marks {
                            let agent = mark == "syncagent.kcp.io/agent-name";
                            if !agent && target["metadata"][part].get(mark) != Some(value) {
                                wanted["metadata"][part][mark.as_str()] = value.clone();
                            }
                        }
                    }
                }
                difference(&known, &wanted)
            }
            None => {
                let mut patch = json!({"metadata": {}});
                for (field, value) in wanted.as_object().unwrap() {
                    if !["apiVersion", "kind", "metadata"].contains(&field.as_str()) {
                        patch[field.as_str()] = value.clone();
                    }
                }
                for part in ["labels", "annotations"] {
                    if wanted["metadata"][part].is_object() {
                        patch["metadata"][part] = wanted["metadata"][part].clone();
                    }
                }
                patch
            }
        };
        if patch.as_object().is_some_and(Map::is_empty) {
            return false;
        }
        patch["metadata"]["uid"] = json!(uid(target));
        let request = Request {
            object: sync.target.clone(),
            verb: Verb::MergePatch,
            body: patch,
        };
        let reply = world.send(&request, MANAGER);
        assert_eq!(reply.code, 200, "{reply:?}");
        true
    }

    fn known(&self, world: &World, key: &Key, sync: &Sync<'_>) -> Option<Value> {
        let secret = world.objects.get(&self.secret(key))?;
        let at = state::data_key(sync.cluster, &sync.source.namespace, &sync.source.name);
        let bytes = unbase64(secret["data"][at.as_str()].as_str()?)?;
        state::decode(&bytes)
    }

    fn remember(&self, world: &mut World, key: &Key, sync: &Sync<'_>, source: &Value) {
        let at = state::data_key(sync.cluster, &sync.source.namespace, &sync.source.name);
        let value = state::encode(&state::stripped(source, false));
        let secret = self.secret(key);
        let mut object = world.objects.get(&secret).cloned().unwrap_or(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {}, "data": {},
        }));
        object["metadata"]["labels"] = Value::Object(state::labels(&key.identity()));
        object["data"][at.as_str()] = json!(base64(value.as_bytes()));
        world.put(&secret, object);
    }
}

/// The merge patch from one object to another.
fn difference(from: &Value, to: &Value) -> Value {
    let (Some(before), Some(after)) = (from.as_object(), to.as_object()) else {
        return to.clone();
    };
    let mut patch = BTreeMap::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in after {
        match before.get(key) {
            Some(same) if same == value => {}
            Some(other) if other.is_object() && value.is_object() => {
                patch.insert(key.clone(), difference(other, value));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    json!(patch)
}
