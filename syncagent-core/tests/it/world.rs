//! Two API servers in one map: just enough of their rules to see where plans lead.
//!
//! It keeps resource versions, uids, generations, finalizers, guards and the ownership of fields by server-side apply
//! (lists are atomic). The driver is the loop of `plan.rs`, with a count of what it sends.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use syncagent_core::object::{finalizers, generation, is_deleting, uid, version};
use syncagent_core::plan::{
    Context, Deed, Depth, Effect, Ending, Heard, Key, Listing, Member, ObjectRef, Place, Question,
    Record, Reply, Request, Seen, Sight, Stated, Subresource, Verb, absorb, plan,
};
use syncagent_core::publication::Publication;

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<ObjectRef, Value>,
    clock: u64,
    /// Applies of primary copies are refused with these causes.
    pub(crate) refuses: Vec<(String, String)>,
    /// What a webhook makes of every write to a primary copy.
    pub(crate) normalises: Option<fn(&mut Value)>,
    /// Which orders care about what.
    pub(crate) index: BTreeMap<Key, Vec<ObjectRef>>,
    /// Whether numbers without a fraction are kept as integers, as a server does that goes through a schema.
    pub(crate) plain_numbers: bool,
    /// Whether the workspace's Secrets are forbidden.
    pub(crate) barred: bool,
    /// What a workspace that may not be read answers to writes.
    pub(crate) away: Option<u16>,
    /// Kinds whose objects have no status to write.
    pub(crate) statusless: Vec<String>,
    /// Whether it is not said that it is the object that was not found.
    pub(crate) vague: bool,
    /// Namespaces that workspaces do not have.
    pub(crate) lacking: Vec<String>,
    /// Whether making namespaces in workspaces is forbidden.
    pub(crate) closed: bool,
}

fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(plain),
        Value::Array(list) => list.iter_mut().for_each(plain),
        Value::Number(number) => {
            if let Some(float) = number
                .as_f64()
                .filter(|it| number.is_f64() && it.fract() == 0.0)
            {
                #[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
                let whole = float as i64;
                *value = json!(whole);
            }
        }
        _ => {}
    }
}

fn status(code: u16, reason: &str, details: &Value) -> Reply {
    Reply {
        code,
        body: json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "details": details}),
    }
}

impl World {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock + 100
    }

    /// Lets versions and uids begin later.
    pub(crate) fn skip(&mut self, count: u64) {
        self.clock += count;
    }

    /// Takes over the service side of another world: two kcps before one service cluster.
    pub(crate) fn share_service(&mut self, other: &Self) {
        self.objects.retain(|at, _| at.place != Place::Service);
        let theirs = other.objects.iter();
        let theirs = theirs.filter(|(at, _)| at.place == Place::Service);
        self.objects
            .extend(theirs.map(|(at, it)| (at.clone(), it.clone())));
        self.clock = self.clock.max(other.clock);
    }

    /// Creates or replaces an object as its own server would: new version, new generation when the spec changed.
    pub(crate) fn put(&mut self, at: &ObjectRef, mut object: Value) {
        if self.plain_numbers {
            plain(&mut object);
        }
        let version = self.tick().to_string();
        let before = self.objects.get(at);
        if before == Some(&object) {
            return;
        }
        let same_spec = before.is_some_and(|it| it["spec"] == object["spec"]);
        let generation = before.map_or(0, generation) + i64::from(!same_spec);
        let uid = before.map_or_else(|| format!("uid-{version}"), |it| uid(it).to_owned());
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(at.name);
        if !at.namespace.is_empty() {
            metadata["namespace"] = json!(at.namespace);
        }
        if metadata["finalizers"].as_array().is_none_or(Vec::is_empty)
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.remove("finalizers");
        }
        metadata["uid"] = json!(uid);
        metadata["resourceVersion"] = json!(version);
        metadata["generation"] = json!(generation);
        if is_deleting(&object) && finalizers(&object).is_empty() {
            self.objects.remove(at);
        } else {
            self.objects.insert(at.clone(), object);
        }
    }

    /// Changes an object, as somebody else would.
    pub(crate) fn edit(&mut self, at: &ObjectRef, change: impl FnOnce(&mut Value)) {
        let mut object = self.objects[at].clone();
        change(&mut object);
        self.put(at, object);
    }

    /// Asks for an object's deletion, as somebody else would.
    pub(crate) fn delete(&mut self, at: &ObjectRef) {
        let _ = self.remove(at, None);
    }

    fn remove(&mut self, at: &ObjectRef, wanted: Option<&str>) -> Reply {
        let Some(object) = self.objects.get(at).cloned() else {
            let details = json!({"group": at.kind.group, "kind": at.kind.plural, "name": at.name});
            return status(404, "NotFound", &details);
        };
        if wanted.is_some_and(|wanted| wanted != uid(&object)) {
            return status(409, "Conflict", &json!({}));
        }
        if finalizers(&object).is_empty() {
            self.objects.remove(at);
            self.tick();
            let details = json!({"uid": uid(&object)});
            return Reply {
                code: 200,
                body: json!({"kind": "Status", "status": "Success", "details": details}),
            };
        }
        let mut deleting = object;
        if !is_deleting(&deleting) {
            deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            self.put(at, deleting);
        }
        Reply {
            code: 200,
            body: self.objects[at].clone(),
        }
    }

    /// Whether an object may not be read.
    fn bars(&self, place: &Place, kind: &str) -> bool {
        *place != Place::Service && (self.away.is_some() || self.barred && kind == "Secret")
    }

    /// Answers a request.
    pub(crate) fn send(&mut self, request: &Request, manager: &str) -> Reply {
        let at = &request.object;
        if self.bars(&at.place, &at.kind.kind) {
            return status(self.away.unwrap_or(403), "", &json!({}));
        }
        match request.verb {
            Verb::Delete => {
                let uid = request.body["preconditions"]["uid"]
                    .as_str()
                    .expect("every DELETE names a uid");
                self.remove(at, Some(uid))
            }
            Verb::Create => {
                if self.objects.contains_key(at) {
                    return status(409, "AlreadyExists", &json!({}));
                }
                if at.place != Place::Service && self.lacking.contains(&at.namespace) {
                    let details = json!({"kind": "namespaces", "name": at.namespace});
                    return status(404, "NotFound", &details);
                }
                if at.place != Place::Service && at.kind.kind == "Namespace" {
                    if self.closed {
                        return status(403, "Forbidden", &json!({}));
                    }
                    self.lacking.retain(|it| *it != at.name);
                }
                self.put(at, request.body.clone());
                self.answer(at)
            }
            Verb::JsonPatch { subresource } => self.patch(at, &request.body, subresource, manager),
            Verb::Apply { .. } => self.apply(at, &request.body, manager),
            Verb::MergePatch => self.merge(at, &request.body, manager),
        }
    }

    fn answer(&self, at: &ObjectRef) -> Reply {
        match self.objects.get(at) {
            Some(object) => Reply {
                code: 200,
                body: object.clone(),
            },
            None => Reply {
                code: 200,
                body: json!({"metadata": {"name": at.name, "deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            },
        }
    }

    fn patch(
        &mut self,
        at: &ObjectRef,
        patch: &Value,
        subresource: Option<Subresource>,
        manager: &str,
    ) -> Reply {
        let Some(before) = self.objects.get(at).cloned() else {
            return status(404, "NotFound", &json!({}));
        };
        let mut object = before.clone();
        for op in patch.as_array().expect("a patch is a list") {
            let path = op["path"].as_str().expect("a path");
            match op["op"].as_str().expect("an op") {
                "test" => {
                    if object.pointer(path).unwrap_or(&Value::Null) != &op["value"] {
                        return status(422, "Invalid", &Value::Null);
                    }
                }
                "replace" if path == "/metadata/resourceVersion" => {
                    if object.pointer(path) != Some(&op["value"]) {
                        return status(409, "Conflict", &Value::Null);
                    }
                }
                "add" | "replace" => {
                    let (parent, field) = path.rsplit_once('/').expect("a parent");
                    let field = field.replace("~1", "/").replace("~0", "~");
                    let Some(parent) = object.pointer_mut(parent) else {
                        return status(422, "Invalid", &Value::Null);
                    };
                    parent[field] = op["value"].clone();
                }
                "remove" => {
                    let (parent, field) = path.rsplit_once('/').expect("a parent");
                    let removed = object
                        .pointer_mut(parent)
                        .and_then(Value::as_object_mut)
                        .and_then(|it| it.remove(field));
                    if removed.is_none() {
                        return status(422, "Invalid", &Value::Null);
                    }
                }
                other => panic!("unknown op {other}"),
            }
        }
        if subresource.is_some() {
            if self.statusless.contains(&at.kind.kind) {
                let kind = &at.kind;
                let details = json!({"group": kind.group, "kind": kind.plural, "name": at.name});
                let details = if self.vague { json!({}) } else { details };
                return status(404, "NotFound", &details);
            }
            let status = object["status"].take();
            object = before.clone();
            object["status"] = status;
            // Who wrote the status stands in its own entry.
            let mine = json!({"manager": manager, "operation": "Update", "subresource": "status",
                "fieldsV1": {"f:status": {}}});
            let managed = &mut object["metadata"]["managedFields"];
            if managed.as_array().is_none_or(|it| !it.contains(&mine)) {
                match managed.as_array_mut() {
                    Some(entries) => entries.push(mine),
                    None => *managed = json!([mine]),
                }
            }
        }
        if changes_type(&before, &object) {
            return frozen();
        }
        if object != before {
            self.put(at, object.clone());
        }
        match self.objects.get(at) {
            Some(_) => self.answer(at),
            // The last finalizer went: the answer is what it was.
            None => Reply {
                code: 200,
                body: object,
            },
        }
    }

    /// A merge patch with preconditions; what it writes belongs to the manager's `Update` entry.
    fn merge(&mut self, at: &ObjectRef, patch: &Value, manager: &str) -> Reply {
        let Some(before) = self.objects.get(at).cloned() else {
            return status(404, "NotFound", &json!({}));
        };
        let mut patch = patch.clone();
        let metadata = patch["metadata"].as_object_mut().expect("metadata");
        let wanted = metadata.remove("uid").expect("every patch names a uid");
        if wanted != uid(&before) {
            let causes = json!([{"field": "metadata.uid", "message": "immutable"}]);
            return status(422, "Invalid", &json!({"causes": causes}));
        }
        if metadata
            .remove("resourceVersion")
            .is_some_and(|it| it != version(&before))
        {
            return status(409, "Conflict", &json!({}));
        }
        if let Some(refused) = self.refused(at) {
            return refused;
        }
        let mut object = before;
        let written = owned(&patch);
        merge_patch(&mut object, &patch);
        let managed = &mut object["metadata"]["managedFields"];
        let mut entries = managed.as_array().cloned().unwrap_or_default();
        for entry in &mut entries {
            without(&mut entry["fieldsV1"], &written);
        }
        let is_ours = |it: &Value| it["manager"] == manager && it["operation"] == "Update";
        let mut ours = match entries.iter().position(is_ours) {
            Some(at) => entries.remove(at),
            None => {
                json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {}})
            }
        };
        merge(&mut ours["fieldsV1"], &owned(&without_nulls(&patch)));
        entries.push(ours);
        *managed = Value::Array(entries);
        self.admit(at, &mut object);
        self.put(at, object);
        self.answer(at)
    }

    fn admit(&self, at: &ObjectRef, object: &mut Value) {
        if let Some(normalise) = self.normalises
            && at.kind.kind == "Thing"
        {
            normalise(object);
        }
    }

    /// What the service cluster objects to.
    fn refused(&self, at: &ObjectRef) -> Option<Reply> {
        if self.refuses.is_empty() || at.kind.kind == "Secret" {
            return None;
        }
        let causes: Vec<Value> = self
            .refuses
            .iter()
            .map(|(field, message)| json!({"field": field, "message": message}))
            .collect();
        Some(status(422, "Invalid", &json!({"causes": causes})))
    }

    fn apply(&mut self, at: &ObjectRef, body: &Value, manager: &str) -> Reply {
        let namespace = ObjectRef::service_namespace(&at.namespace);
        if !at.namespace.is_empty() && !self.objects.contains_key(&namespace) {
            return status(
                404,
                "NotFound",
                &json!({"kind": "namespaces", "name": at.namespace}),
            );
        }
        if let Some(refused) = self.refused(at) {
            return refused;
        }
        let wanted_uid = body["metadata"]["uid"].as_str();
        let wanted_version = body["metadata"]["resourceVersion"].as_str();
        let mut sent = body.clone();
        let metadata = sent["metadata"].as_object_mut().expect("metadata");
        metadata.remove("uid");
        metadata.remove("resourceVersion");
        let fields = owned(&sent);
        let object = match self.objects.get(at) {
            None if wanted_uid.is_some() => return status(409, "Conflict", &json!({})),
            None => sent,
            Some(_) if body["metadata"]["resourceVersion"] == "1" => {
                return status(409, "Conflict", &json!({}));
            }
            Some(before) if wanted_uid.is_some_and(|it| it != uid(before)) => {
                return status(
                    422,
                    "Invalid",
                    &json!({"causes": [{"field": "metadata.uid", "message": "immutable"}]}),
                );
            }
            Some(before) if wanted_version.is_some_and(|it| it != version(before)) => {
                return status(409, "Conflict", &json!({}));
            }
            Some(before) if changes_type(before, &sent) => return frozen(),
            Some(before) => {
                let mut object = before.clone();
                let entries = before["metadata"]["managedFields"].as_array();
                let ours = |it: &&Value| it["manager"] == manager && it["operation"] == "Apply";
                if let Some(had) = entries.and_then(|all| all.iter().find(ours)) {
                    drop_owned(&mut object, &had["fieldsV1"], &fields);
                }
                merge(&mut object, &sent);
                object
            }
        };
        let mut object = object;
        let managed = &mut object["metadata"]["managedFields"];
        let mut entries = managed.as_array().cloned().unwrap_or_default();
        entries.retain(|it| !(it["manager"] == manager && it["operation"] == "Apply"));
        // Every apply of ours has `force`: what it says is nobody else's any more.
        for entry in &mut entries {
            without(&mut entry["fieldsV1"], &fields);
        }
        entries.retain(|it| it["fieldsV1"].as_object().is_some_and(|it| !it.is_empty()));
        entries.insert(0, json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}));
        *managed = Value::Array(entries);
        self.admit(at, &mut object);
        self.put(at, object);
        self.answer(at)
    }

    /// What a consumer or an operator sees: no versions, no times.
    pub(crate) fn picture(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for (at, object) in &self.objects {
            let mut object = object.clone();
            let metadata = object["metadata"].as_object_mut().expect("metadata");
            for field in ["resourceVersion", "managedFields", "generation", "uid"] {
                metadata.remove(field);
            }
            if let Some(annotations) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                annotations.retain(|key, _| !key.ends_with("version") && !key.ends_with("made-of"));
            }
            all.insert(at.to_string(), object);
        }
        all
    }
}

/// The type of a Secret never changes.
fn changes_type(before: &Value, after: &Value) -> bool {
    before["type"].is_string() && after["type"].is_string() && before["type"] != after["type"]
}

fn frozen() -> Reply {
    let causes = json!([{"field": "type", "message": "Invalid value: \"x\": field is immutable"}]);
    status(422, "Invalid", &json!({"causes": causes}))
}

pub(crate) fn owned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().filter(|(key, _)| {
                !["apiVersion", "kind", "name", "namespace"].contains(&key.as_str())
            });
            Value::Object(
                fields
                    .map(|(key, value)| (format!("f:{key}"), owned(value)))
                    .collect(),
            )
        }
        _ => json!({}),
    }
}

/// Takes out what was ours and is not sent any more.
fn drop_owned(object: &mut Value, had: &Value, has: &Value) {
    let (Some(object), Some(had)) = (object.as_object_mut(), had.as_object()) else {
        return;
    };
    for (key, below) in had {
        let name = key.trim_start_matches("f:");
        match has.get(key) {
            None if below.as_object().is_none_or(Map::is_empty) => {
                object.remove(name);
            }
            has => {
                if let Some(value) = object.get_mut(name) {
                    drop_owned(value, below, has.unwrap_or(&Value::Null));
                }
            }
        }
    }
}

/// Takes out of one set of fields what is in another.
pub(crate) fn without(fields: &mut Value, taken: &Value) {
    let (Some(fields), Some(taken)) = (fields.as_object_mut(), taken.as_object()) else {
        return;
    };
    for (key, below) in taken {
        let emptied = fields.get_mut(key).is_some_and(|field| {
            without(field, below);
            field.as_object().is_none_or(Map::is_empty)
        });
        if emptied {
            fields.remove(key);
        }
    }
}

fn without_nulls(value: &Value) -> Value {
    let mut value = value.clone();
    syncagent_core::object::drop_nulls(&mut value);
    value
}

pub(crate) fn merge_patch(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            into.as_object_mut().expect("an object").remove(key);
        } else {
            merge_patch(&mut into[key], value);
        }
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Somebody changes a field of a copy: it is theirs from now on.
#[expect(clippy::needless_pass_by_value, reason = "tests write values in place")]
pub(crate) fn take_over(object: &mut Value, field: &str, value: Value) {
    take_over_as(object, "kubectl-edit", field, &value);
}

/// Somebody with a name changes a field of a copy; a null takes it out.
pub(crate) fn take_over_as(object: &mut Value, manager: &str, field: &str, value: &Value) {
    let fields = json!({"f:spec": {format!("f:{field}"): {}}});
    merge_patch(object, &json!({"spec": {field: value}}));
    let managed = &mut object["metadata"]["managedFields"];
    let mut entries = managed.as_array().cloned().unwrap_or_default();
    for entry in &mut entries {
        without(&mut entry["fieldsV1"], &fields);
    }
    if !value.is_null() {
        entries.push(json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}));
    }
    *managed = Value::Array(entries);
}

/// One agent and one order in a world.
#[derive(Clone, Debug)]
pub(crate) struct Agent<'a> {
    pub(crate) publication: &'a Publication,
    pub(crate) key: Key,
    pub(crate) record: Record,
    pub(crate) seen: Seen,
    pub(crate) sent: Vec<String>,
    pub(crate) gets: usize,
    /// Every object that was asked for, and every object that was written to.
    pub(crate) looked: Vec<ObjectRef>,
    pub(crate) written: Vec<ObjectRef>,
    /// How many selections were made on a server.
    pub(crate) lists: usize,
    /// Answers questions for outlines like a synced metadata watch: without a request.
    pub(crate) ledger: bool,
    pub(crate) now: String,
    /// Asks for every plan twice, and compares what they print.
    pub(crate) twice: bool,
    /// Whether others refer to the order that go first.
    pub(crate) referred: bool,
    /// The uid of the order that was deleted while it was held.
    pub(crate) torn: Option<String>,
}

impl<'a> Agent<'a> {
    pub(crate) fn new(publication: &'a Publication, key: &Key) -> Self {
        Self {
            publication,
            key: key.clone(),
            record: Record::default(),
            seen: Seen::new(),
            sent: Vec::new(),
            gets: 0,
            looked: Vec::new(),
            written: Vec::new(),
            lists: 0,
            ledger: true,
            now: "2026-01-01T00:00:00Z".into(),
            twice: false,
            referred: false,
            torn: None,
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            now: self.now.clone(),
            paused: false,
            referred: self.referred,
            torn: self.torn.clone(),
        }
    }

    pub(crate) fn origin(&self) -> ObjectRef {
        self.publication.origin(&self.key)
    }

    pub(crate) fn copy(&self) -> ObjectRef {
        self.publication.copy(&self.key).expect("a name")
    }

    pub(crate) fn plan(&self) -> syncagent_core::plan::Plan {
        plan(
            &self.context(),
            self.publication,
            &self.key,
            &self.record,
            &self.seen,
        )
    }

    /// An event of an object: its body when it is there, a doubt when it is not.
    pub(crate) fn event(&mut self, world: &World, at: &ObjectRef) {
        let sight = match world.objects.get(at) {
            Some(object) => Sight::There(object.clone()),
            None => Sight::Doubt,
        };
        self.seen.note(at.clone(), sight);
    }

    /// A metadata event.
    pub(crate) fn hint(&mut self, world: &World, at: &ObjectRef) {
        let sight = match world.objects.get(at) {
            Some(object) => Sight::Outline(json!({"metadata": object["metadata"]})),
            None => Sight::Doubt,
        };
        self.seen.note(at.clone(), sight);
    }

    /// What a restart brings: the lists of origins and copies.
    pub(crate) fn restart(&mut self, world: &World) {
        self.record = Record::default();
        self.seen = Seen::new();
        for (at, object) in &world.objects {
            let copy = at.kind == *self.publication.service()
                && at.place == Place::Service
                && self.publication.key_of_copy(object).as_ref() == Some(&self.key);
            if copy || *at == self.origin() {
                self.seen.note(at.clone(), Sight::There(object.clone()));
            }
        }
    }

    /// Runs until nothing is left to ask and to do. `cut`: crashes after so many effects.
    pub(crate) fn run(&mut self, world: &mut World, cut: Option<usize>) -> Option<Ending> {
        let mut done = 0;
        for _ in 0..40 {
            let planned = self.plan();
            if self.twice {
                let again = format!("{:?}", self.plan());
                assert_eq!(format!("{planned:?}"), again, "same inputs, same plan");
            }
            self.record = planned.record;
            world.index.insert(self.key.clone(), planned.concerns);
            let calm = planned.questions.is_empty() && planned.effects.is_empty();
            if calm {
                // What may not be read is looked at again.
                let seen = std::mem::take(&mut self.seen).into_sights();
                for (at, _) in seen.filter(|(_, it)| *it == Sight::Barred) {
                    self.seen.note(at, Sight::Doubt);
                }
                return Some(planned.ending);
            }
            for question in planned.questions {
                self.answer(world, question);
            }
            for effect in planned.effects {
                if cut == Some(done) {
                    return None;
                }
                done += 1;
                let heard = self.perform(world, &effect);
                match heard {
                    Heard::Next => {}
                    Heard::Again => break,
                    // It is tried again with what is in hand.
                    Heard::Later(_) if world.away.is_some() || world.barred => return None,
                    Heard::Later(why) => panic!("the world answered {why:?} to {effect}"),
                }
            }
        }
        panic!("{} does not come to rest: {:#?}", self.key, self.sent);
    }

    pub(crate) fn perform(&mut self, world: &mut World, effect: &Effect) -> Heard {
        let reply = world.send(&effect.request, &self.publication.agent().manager());
        self.sent.push(format!("{:?} {}", effect.deed, reply.code));
        self.written.push(effect.request.object.clone());
        absorb(
            self.publication,
            &self.key,
            &mut self.record,
            &mut self.seen,
            effect,
            reply,
        )
    }

    pub(crate) fn answer(&mut self, world: &World, question: Question) {
        match question {
            Question::Users { object } => {
                let mut others = world.index.iter().filter(|(key, _)| **key != self.key);
                let used = others.any(|(_, objects)| objects.contains(&object));
                self.seen.note_users(object, used);
            }
            Question::State { secret } => {
                let found = world.objects.get(&secret);
                let stated = found.map(Stated::read).unwrap_or_default();
                self.seen.note_stated(secret, stated);
            }
            Question::List { query } => {
                let ours = query.labels.demands("syncagent.kcp.io/agent-name");
                self.lists += usize::from(!(ours && self.ledger));
                let barred = world.barred || world.away.is_some();
                if barred && query.place != Place::Service {
                    self.seen.note_listing(query, Listing::Barred);
                    return;
                }
                let mut members = Vec::new();
                for (at, object) in &world.objects {
                    if query.covers(at) && query.labels.select(object) {
                        members.push(Member::of(at));
                        if *self.seen.of(at) == Sight::Unseen {
                            let outline = json!({"metadata": object["metadata"]});
                            self.seen.note(at.clone(), Sight::Outline(outline));
                        }
                    }
                }
                self.seen.note_listing(query, Listing::Members(members));
            }
            Question::Look { object, depth } => {
                let found = world.objects.get(&object);
                let free = depth == Depth::Outline && self.ledger;
                self.looked.push(object.clone());
                self.gets += usize::from(!free);
                let sight = match found {
                    _ if world.bars(&object.place, &object.kind.kind) => Sight::Barred,
                    None => Sight::Absent,
                    Some(found) if free => Sight::Outline(kept(found)),
                    Some(found) => Sight::There(found.clone()),
                };
                self.seen.note(object, sight);
            }
        }
    }

    /// What was sent since the last time.
    pub(crate) fn take_sent(&mut self) -> Vec<String> {
        self.gets = 0;
        self.lists = 0;
        std::mem::take(&mut self.sent)
    }

    /// A settled world plans nothing, however often it is looked at.
    pub(crate) fn assert_settled(&mut self, world: &mut World) {
        self.assert_settled_with(world, [self.origin(), self.copy()]);
    }

    /// The same, wherever the copy is.
    #[cfg(feature = "compat")]
    pub(crate) fn assert_settled_at(&mut self, world: &mut World) {
        let service = self.publication.service();
        let copies = world.objects.keys().filter(|at| at.kind == *service);
        let all: Vec<ObjectRef> = copies.cloned().chain([self.origin()]).collect();
        self.assert_settled_with(world, all);
    }

    fn assert_settled_with(
        &mut self,
        world: &mut World,
        seen: impl IntoIterator<Item = ObjectRef>,
    ) {
        for at in seen {
            if world.objects.contains_key(&at) {
                self.event(world, &at);
            }
        }
        let before = (self.sent.len(), self.gets, world.clone());
        let planned = self.plan();
        assert_eq!(planned.questions, [], "a settled world asks nothing");
        assert_eq!(planned.effects, [], "a settled world plans nothing");
        assert_eq!(planned, self.plan(), "same inputs, same plan");
        let _ = self.run(world, None);
        assert_eq!((self.sent.len(), self.gets), (before.0, before.1));
    }
}

/// What a metadata watch keeps of an object: all of it where it carries our marks.
fn kept(object: &Value) -> Value {
    let mut metadata = object["metadata"].clone();
    let marked = |map: &Value| {
        let keys = map.as_object().into_iter().flatten().map(|(key, _)| key);
        keys.clone().any(|key| key.starts_with("syncagent.kcp.io/"))
    };
    if marked(&metadata["labels"]) || marked(&metadata["annotations"]) {
        return json!({"metadata": metadata});
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|key, _| {
            [
                "name",
                "namespace",
                "uid",
                "resourceVersion",
                "deletionTimestamp",
                "finalizers",
            ]
            .contains(&key.as_str())
        });
    }
    json!({"metadata": metadata, "abridged": true})
}

/// What an effect writes to, for assertions.
pub(crate) fn is_guarded(effect: &Effect) -> bool {
    let body = &effect.request.body;
    match effect.request.verb {
        Verb::Create => true,
        Verb::Apply { .. } => {
            body["metadata"]["uid"].is_string() || body["metadata"]["resourceVersion"] == "1"
        }
        Verb::MergePatch => body["metadata"]["uid"].is_string(),
        Verb::JsonPatch { .. } => body[0]["op"] == "test" && body[0]["path"] == "/metadata/uid",
        Verb::Delete => body["preconditions"]["uid"].is_string(),
    }
}

pub(crate) fn writes_copy(effect: &Effect) -> bool {
    matches!(effect.deed, Deed::Place | Deed::Refresh | Deed::Adopt)
}

pub(crate) fn version_of(world: &World, at: &ObjectRef) -> String {
    version(&world.objects[at]).to_owned()
}
