//! Objects, their versions, and what happened to them.
//!
//! One counter numbers all writes of a server; it is what clients see as `resourceVersion`. Objects lie in *buckets*:
//! one per stored resource (`configmaps`, `widgets.example.io`, and for a resource that kcp binds one per identity).
//! Within a bucket the order is that of etcd keys: `cluster/namespace/name`, byte by byte. The cluster is part of every
//! key; a Kubernetes server has the single cluster "".
//!
//! Every bucket keeps a bounded log of its events, each with the object before and after. The log serves three needs:
//!
//! - a watch is a cursor on the log. Nothing is queued per watcher: one that falls behind the log is cut, which bounds
//!   memory whatever clients do;
//! - a page of an earlier list is the present state with the later events undone;
//! - selectors can tell an object that starts or stops to match.
//!
//! The store decides nothing. A write states what it expects to find, and is refused when something else is there.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::owners::{self, Task};

/// Where an object lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The bucket, as [`crate::api::Served::bucket`] names it.
    pub bucket: Arc<str>,
    /// The logical cluster; empty on a Kubernetes server.
    pub cluster: Arc<str>,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    fn path(&self) -> String {
        format!("{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}

/// A stored object.
#[derive(Debug)]
pub struct Stored {
    /// Where it lies.
    pub key: Key,
    /// The version of its last write.
    pub version: u64,
    /// The object as written, in its storage version.
    pub object: Arc<Value>,
}

impl Stored {
    /// The object's uid.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.object
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub struct Event {
    /// The version of the write.
    pub version: u64,
    /// The object before; absent when it was created.
    pub before: Option<Arc<Stored>>,
    /// The object after; absent when it was deleted.
    pub after: Option<Arc<Stored>>,
    /// What a deletion shows: the last state, with the version of the deletion.
    pub last: Option<Arc<Stored>>,
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The object in this version.
    Version(u64),
}

/// Why the store refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Something else was there than the write expected.
    Raced,
    /// The log does not reach back that far.
    Compacted,
}

/// Which keys of a bucket are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The bucket.
    pub bucket: Arc<str>,
    /// One cluster, or all.
    pub cluster: Option<Arc<str>>,
    /// One namespace, or all (only with a cluster).
    pub namespace: Option<String>,
}

impl Scope {
    /// The common beginning of all paths in this scope.
    fn prefix(&self) -> String {
        match (&self.cluster, &self.namespace) {
            (None, _) => String::new(),
            (Some(cluster), None) => format!("{cluster}/"),
            (Some(cluster), Some(namespace)) => format!("{cluster}/{namespace}/"),
        }
    }

    /// Whether a key is meant.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.cluster
            .as_ref()
            .is_none_or(|cluster| *cluster == key.cluster)
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
    }
}

#[derive(Debug)]
struct Bucket {
    objects: BTreeMap<String, Arc<Stored>>,
    log: VecDeque<Arc<Event>>,
    /// The version of the newest event that was dropped from the log.
    dropped: u64,
    changed: watch::Sender<u64>,
}

/// All objects of a server.
#[derive(Debug)]
pub struct Store {
    revision: u64,
    /// Versions below this one are too old to start from.
    floor: u64,
    capacity: usize,
    buckets: HashMap<Arc<str>, Bucket>,
    owners: Option<Owners>,
}

/// Who owns whom; kept only where somebody asked for it.
#[derive(Debug, Default)]
struct Owners {
    keys: HashMap<String, Key>,
    dependents: HashMap<String, BTreeSet<Key>>,
    tasks: Vec<Task>,
    changed: watch::Sender<u64>,
}

impl Store {
    /// An empty store whose buckets remember `capacity` events each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            revision: 1,
            floor: 0,
            capacity: capacity.max(1),
            buckets: HashMap::new(),
            owners: None,
        }
    }

    /// The version of the last write.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.buckets
            .get(&key.bucket)?
            .objects
            .get(&key.path())
            .cloned()
    }

    /// Creates or replaces an object; `metadata.resourceVersion` is set here.
    ///
    /// # Errors
    /// [`Refused::Raced`].
    pub fn put(
        &mut self,
        key: &Key,
        mut object: Value,
        expect: Expect,
    ) -> Result<Arc<Stored>, Refused> {
        let version = self.revision + 1;
        let capacity = self.capacity;
        let bucket = self.bucket(&key.bucket);
        let path = key.path();
        let before = bucket.objects.get(&path).cloned();
        check(before.as_deref(), expect)?;
        set_version(&mut object, version);
        let stored = Arc::new(Stored {
            key: key.clone(),
            version,
            object: Arc::new(object),
        });
        bucket.objects.insert(path, stored.clone());
        bucket.record(
            Event {
                version,
                before: before.clone(),
                after: Some(stored.clone()),
                last: None,
            },
            capacity,
        );
        self.note(before.as_deref(), Some(&stored));
        self.revision = version;
        Ok(stored)
    }

    /// Puts an object in the version that it says, as if it had always been there: nobody is told. Meant for a store that
    /// nobody uses yet.
    pub(crate) fn restore(&mut self, key: &Key, mut object: Value) {
        let said = object["metadata"]["resourceVersion"]
            .as_str()
            .and_then(|it| it.parse().ok());
        let version = said.unwrap_or(self.revision + 1);
        set_version(&mut object, version);
        let stored = Arc::new(Stored {
            key: key.clone(),
            version,
            object: Arc::new(object),
        });
        self.note(None, Some(&stored));
        self.bucket(&key.bucket).objects.insert(key.path(), stored);
        self.revision = self.revision.max(version);
    }

    /// Removes an object; answers with its last state, in the version of the removal.
    ///
    /// # Errors
    /// [`Refused::Raced`].
    pub fn remove(&mut self, key: &Key, expect: Expect) -> Result<Arc<Stored>, Refused> {
        let version = self.revision + 1;
        let capacity = self.capacity;
        let bucket = self.bucket(&key.bucket);
        let path = key.path();
        check(bucket.objects.get(&path).map(Arc::as_ref), expect)?;
        let before = bucket.objects.remove(&path).ok_or(Refused::Raced)?;
        let mut object = (*before.object).clone();
        set_version(&mut object, version);
        let last = Arc::new(Stored {
            key: key.clone(),
            version,
            object: Arc::new(object),
        });
        bucket.record(
            Event {
                version,
                before: Some(before.clone()),
                after: None,
                last: Some(last.clone()),
            },
            capacity,
        );
        self.note(Some(&before), None);
        self.revision = version;
        Ok(last)
    }

    /// The objects of a scope in order, from `start` (a path within the scope) on, now or at an earlier version.
    ///
    /// # Errors
    /// [`Refused::Compacted`].
    pub fn list(
        &self,
        scope: &Scope,
        start: Option<&str>,
        at: Option<u64>,
    ) -> Result<Vec<Arc<Stored>>, Refused> {
        let at = at.filter(|version| *version < self.revision);
        if at.is_some_and(|version| version < self.floor) {
            return Err(Refused::Compacted);
        }
        let Some(bucket) = self.buckets.get(&scope.bucket) else {
            return Ok(Vec::new());
        };
        let prefix = scope.prefix();
        let from = start.map_or_else(|| prefix.clone(), |start| format!("{prefix}{start}"));
        let range = bucket
            .objects
            .range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded));
        let present = range.take_while(|(path, _)| path.starts_with(&prefix));
        let Some(version) = at else {
            return Ok(present.map(|(_, stored)| stored.clone()).collect());
        };
        if version < bucket.dropped {
            return Err(Refused::Compacted);
        }
        let mut then: BTreeMap<String, Arc<Stored>> = present
            .map(|(path, stored)| (path.clone(), stored.clone()))
            .collect();
        for event in bucket
            .log
            .iter()
            .rev()
            .take_while(|event| event.version > version)
        {
            let Some(key) = event
                .before
                .as_ref()
                .or(event.after.as_ref())
                .map(|stored| &stored.key)
            else {
                continue;
            };
            let path = key.path();
            if !path.starts_with(&prefix) || path.as_str() < from.as_str() {
                continue;
            }
            match &event.before {
                Some(before) => then.insert(path, before.clone()),
                None => then.remove(&path),
            };
        }
        Ok(then.into_values().collect())
    }

    /// Whether a watch may start after this version.
    ///
    /// # Errors
    /// [`Refused::Compacted`].
    pub fn reaches(&self, bucket: &Arc<str>, version: u64) -> Result<(), Refused> {
        let dropped = self.buckets.get(bucket).map_or(0, |bucket| bucket.dropped);
        if version < self.floor.max(dropped) {
            Err(Refused::Compacted)
        } else {
            Ok(())
        }
    }

    /// The events after a version, in order.
    ///
    /// # Errors
    /// [`Refused::Compacted`] when some of them are no longer known.
    pub fn since(&self, bucket: &Arc<str>, version: u64) -> Result<Vec<Arc<Event>>, Refused> {
        let Some(bucket) = self.buckets.get(bucket) else {
            return Ok(Vec::new());
        };
        if version < bucket.dropped {
            return Err(Refused::Compacted);
        }
        let start = bucket.log.partition_point(|event| event.version <= version);
        Ok(bucket.log.range(start..).cloned().collect())
    }

    /// Tells of every later write to a bucket.
    pub fn subscribe(&mut self, bucket: &Arc<str>) -> watch::Receiver<u64> {
        self.bucket(bucket).changed.subscribe()
    }

    /// The version of the last write to a bucket; 0 when there was none.
    #[must_use]
    pub fn last_change(&self, bucket: &str) -> u64 {
        self.buckets
            .get(bucket)
            .map_or(0, |bucket| *bucket.changed.borrow())
    }

    /// The names of all buckets, sorted.
    #[must_use]
    pub fn buckets(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.buckets.keys().cloned().collect();
        names.sort();
        names
    }

    // === owners

    /// Begins to keep track of owners; tells of every task that a write leaves behind.
    pub(crate) fn follow_owners(&mut self) -> watch::Receiver<u64> {
        if self.owners.is_none() {
            self.owners = Some(Owners::default());
            let present: Vec<Arc<Stored>> = self
                .buckets
                .values()
                .flat_map(|bucket| bucket.objects.values().cloned())
                .collect();
            for stored in present {
                self.note(None, Some(&stored));
            }
        }
        self.owners
            .get_or_insert_with(Owners::default)
            .changed
            .subscribe()
    }

    /// What writes left to do.
    pub(crate) fn take_owner_tasks(&mut self) -> Vec<Task> {
        self.owners
            .as_mut()
            .map(|owners| std::mem::take(&mut owners.tasks))
            .unwrap_or_default()
    }

    /// Where the object with this uid lies.
    pub(crate) fn key_of(&self, uid: &str) -> Option<Key> {
        self.owners.as_ref()?.keys.get(uid).cloned()
    }

    /// The objects that name this uid as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Key> {
        let found = self
            .owners
            .as_ref()
            .and_then(|owners| owners.dependents.get(uid));
        found
            .map(|keys| keys.iter().cloned().collect())
            .unwrap_or_default()
    }

    fn note(&mut self, before: Option<&Stored>, after: Option<&Stored>) {
        let Some(owners) = &mut self.owners else {
            return;
        };
        let tasks = owners.tasks.len();
        let had = before
            .map(|stored| owners::of(&stored.object))
            .unwrap_or_default();
        let has = after
            .map(|stored| owners::of(&stored.object))
            .unwrap_or_default();
        if let Some(before) = before {
            for uid in had.iter().filter(|uid| !has.contains(uid)) {
                if let Some(keys) = owners.dependents.get_mut(uid) {
                    keys.remove(&before.key);
                    if keys.is_empty() {
                        owners.dependents.remove(uid);
                    }
                }
                // Its owner may have waited for it.
                let owner = owners.keys.get(uid).cloned();
                owners.tasks.extend(owner.map(Task::Waits));
            }
        }
        match (before, after) {
            (_, Some(after)) => {
                for uid in &has {
                    owners
                        .dependents
                        .entry(uid.clone())
                        .or_default()
                        .insert(after.key.clone());
                }
                if before.is_none() {
                    owners
                        .keys
                        .insert(after.uid().to_owned(), after.key.clone());
                }
                if has != had {
                    owners.tasks.push(Task::Check(after.key.clone()));
                }
                if owners::policy(&after.object).is_some() {
                    owners.tasks.push(Task::Waits(after.key.clone()));
                }
            }
            (Some(before), None) => {
                owners.keys.remove(before.uid());
                if owners.dependents.contains_key(before.uid()) {
                    owners.tasks.push(Task::Gone(before.uid().to_owned()));
                }
            }
            (None, None) => {}
        }
        if owners.tasks.len() > tasks {
            owners.changed.send_modify(|count| *count += 1);
        }
    }

    /// Forgets all history: lists and watches from earlier versions are refused, as after a compaction of etcd.
    pub fn compact(&mut self) {
        self.floor = self.revision;
        for bucket in self.buckets.values_mut() {
            if let Some(last) = bucket.log.back() {
                bucket.dropped = last.version;
            }
            bucket.log.clear();
        }
    }

    fn bucket(&mut self, name: &Arc<str>) -> &mut Bucket {
        self.buckets.entry(name.clone()).or_insert_with(|| Bucket {
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            dropped: 0,
            changed: watch::Sender::new(0),
        })
    }
}

impl Bucket {
    fn record(&mut self, event: Event, capacity: usize) {
        let version = event.version;
        self.log.push_back(Arc::new(event));
        while self.log.len() > capacity {
            if let Some(oldest) = self.log.pop_front() {
                self.dropped = oldest.version;
            }
        }
        self.changed.send_replace(version);
    }
}

fn check(present: Option<&Stored>, expect: Expect) -> Result<(), Refused> {
    match (present, expect) {
        (None, Expect::Absent) => Ok(()),
        (Some(stored), Expect::Version(version)) if stored.version == version => Ok(()),
        _ => Err(Refused::Raced),
    }
}

fn set_version(object: &mut Value, version: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), json!(version.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        Key {
            bucket: "things".into(),
            cluster: "".into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn object(name: &str) -> Value {
        json!({"metadata": {"name": name}})
    }

    fn all() -> Scope {
        Scope {
            bucket: "things".into(),
            cluster: Some("".into()),
            namespace: None,
        }
    }

    fn names(list: &[Arc<Stored>]) -> Vec<String> {
        list.iter()
            .map(|stored| format!("{}/{}", stored.key.namespace, stored.key.name))
            .collect()
    }

    #[test]
    fn an_earlier_state_is_the_present_one_with_later_writes_undone() {
        let mut store = Store::new(100);
        for name in ["b", "a", "c"] {
            store
                .put(&key("n", name), object(name), Expect::Absent)
                .unwrap();
        }
        let then = store.revision();
        let b = store.get(&key("n", "b")).unwrap();
        store
            .remove(&key("n", "b"), Expect::Version(b.version))
            .unwrap();
        store
            .put(&key("n", "bb"), object("bb"), Expect::Absent)
            .unwrap();
        assert_eq!(
            names(&store.list(&all(), None, Some(then)).unwrap()),
            ["n/a", "n/b", "n/c"]
        );
        assert_eq!(
            names(&store.list(&all(), None, None).unwrap()),
            ["n/a", "n/bb", "n/c"]
        );
        assert_eq!(
            names(&store.list(&all(), Some("n/b\0"), Some(then)).unwrap()),
            ["n/c"]
        );
        store.compact();
        assert_eq!(
            store.list(&all(), None, Some(then)).unwrap_err(),
            Refused::Compacted
        );
    }

    #[test]
    fn a_cursor_behind_the_log_is_refused() {
        let mut store = Store::new(2);
        let bucket: Arc<str> = "things".into();
        let start = store.revision();
        for name in ["a", "b"] {
            store
                .put(&key("n", name), object(name), Expect::Absent)
                .unwrap();
        }
        assert_eq!(store.since(&bucket, start).unwrap().len(), 2);
        store
            .put(&key("n", "c"), object("c"), Expect::Absent)
            .unwrap();
        assert_eq!(store.since(&bucket, start).unwrap_err(), Refused::Compacted);
        assert_eq!(store.since(&bucket, store.revision()).unwrap().len(), 0);
    }

    #[test]
    fn a_write_that_expected_something_else_is_refused() {
        let mut store = Store::new(2);
        let first = store
            .put(&key("n", "a"), object("a"), Expect::Absent)
            .unwrap();
        assert_eq!(
            store
                .put(&key("n", "a"), object("a"), Expect::Absent)
                .unwrap_err(),
            Refused::Raced
        );
        store
            .put(&key("n", "a"), object("a"), Expect::Version(first.version))
            .unwrap();
        let stale = store.remove(&key("n", "a"), Expect::Version(first.version));
        assert_eq!(stale.unwrap_err(), Refused::Raced);
    }
}
