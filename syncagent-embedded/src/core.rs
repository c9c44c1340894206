//! The server itself: the store, the users, the clock and the plane, and what controllers do with them.
//!
//! Requests go through [`crate::handle`]; controllers of the server (CRDs, namespaces, kcp's reconcilers) work on the
//! store directly, with the few verbs here. They are tasks that live as long as the server.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::clock::{Clock, rfc3339};
use crate::faults::Planner;
use crate::plane::{Plane, User};
use crate::store::{Event, Expect, Key, Scope, Store, Stored};
use crate::webhook::Webhook;

/// A running server.
pub struct Core {
    store: Mutex<Store>,
    /// Timestamps.
    pub clock: Arc<dyn Clock>,
    /// The product.
    pub plane: Arc<dyn Plane>,
    /// What was asked.
    pub audit: Audit,
    /// What goes wrong on purpose.
    pub faults: Arc<Planner>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// Settings.
    pub settings: Settings,
    users: Mutex<HashMap<String, User>>,
    webhooks: Mutex<Vec<Webhook>>,
    seed: String,
    counter: AtomicU64,
}

/// What can be set when a server is built.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many events each resource remembers.
    pub history: usize,
    /// How often a watch that allows it gets a bookmark.
    pub bookmark_every: std::time::Duration,
    /// How long the server's own controllers take to act.
    pub delay: std::time::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            history: 4096,
            bookmark_every: std::time::Duration::from_secs(60),
            delay: std::time::Duration::from_millis(2),
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Locks, and goes on after a panic elsewhere: every write to what we lock is complete or not begun.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// A server that is not started yet.
    pub(crate) fn new(plane: Arc<dyn Plane>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        static SERVERS: AtomicU64 = AtomicU64::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let started = jiff::Timestamp::now().as_nanosecond();
        Self {
            store: Mutex::new(Store::new(settings.history)),
            clock,
            plane,
            audit: Audit::default(),
            faults: Arc::new(Planner::default()),
            stop: CancellationToken::new(),
            settings,
            users: Mutex::default(),
            webhooks: Mutex::default(),
            seed: format!("{number}/{started}"),
            counter: AtomicU64::new(0),
        }
    }

    /// The store. Never held across an await.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// The present time as the API writes it.
    #[must_use]
    pub fn now(&self) -> String {
        rfc3339(self.clock.now())
    }

    fn fresh(&self) -> Vec<u8> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        Sha256::digest(format!("{}/{number}", self.seed)).to_vec()
    }

    /// A new uid.
    #[must_use]
    pub fn uid(&self) -> String {
        let mut bytes = self.fresh();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    /// Random text of the alphabet that generated names use.
    #[must_use]
    pub fn suffix(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let bytes = self.fresh();
        bytes
            .iter()
            .cycle()
            .take(length)
            .map(|byte| ALPHABET[usize::from(*byte) % ALPHABET.len()] as char)
            .collect()
    }

    // === users

    /// Registers a user and answers with a bearer token.
    pub fn add_user(&self, user: User) -> String {
        let mut users = lock(&self.users);
        if let Some((token, _)) = users.iter().find(|(_, known)| **known == user) {
            return token.clone();
        }
        let token = format!(
            "{}-{}",
            user.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
            self.suffix(24)
        );
        users.insert(token.clone(), user);
        token
    }

    /// Registers a user under a token of the caller's choice.
    pub fn add_token(&self, token: &str, user: User) {
        lock(&self.users).insert(token.to_owned(), user);
    }

    /// Whose token it is.
    #[must_use]
    pub fn user_of(&self, token: &str) -> Option<User> {
        lock(&self.users).get(token).cloned()
    }

    /// Forgets a token: whoever comes with it is unauthorised.
    pub fn drop_token(&self, token: &str) {
        lock(&self.users).remove(token);
    }

    // === webhooks

    pub(crate) fn add_webhook(&self, webhook: Webhook) {
        lock(&self.webhooks).push(webhook);
    }

    pub(crate) fn clear_webhooks(&self) {
        lock(&self.webhooks).clear();
    }

    pub(crate) fn webhooks(&self) -> Vec<Webhook> {
        lock(&self.webhooks).clone()
    }

    // === what controllers do

    /// Runs a task until it ends or the server stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Tells of every later write to a bucket.
    #[must_use]
    pub fn changes(&self, bucket: &str) -> watch::Receiver<u64> {
        self.store().subscribe(&bucket.into())
    }

    /// Runs `step` for every object of a bucket that exists now or is written later, in order; deletions are told with
    /// `after` absent. Meant for controllers: after falling behind the log it starts over with what there is.
    pub async fn follow(
        self: &Arc<Self>,
        bucket: &str,
        mut step: impl FnMut(&Arc<Self>, &Event) + Send,
    ) {
        let bucket: Arc<str> = bucket.into();
        let mut changes = self.store().subscribe(&bucket);
        let scope = Scope {
            bucket: bucket.clone(),
            cluster: None,
            namespace: None,
        };
        'start: loop {
            let (present, mut cursor) = {
                let store = self.store();
                (
                    store.list(&scope, None, None).unwrap_or_default(),
                    store.revision(),
                )
            };
            for stored in present {
                step(
                    self,
                    &Event {
                        version: stored.version,
                        before: None,
                        after: Some(stored),
                        last: None,
                    },
                );
            }
            loop {
                changes.mark_unchanged();
                let Ok(events) = self.store().since(&bucket, cursor) else {
                    continue 'start;
                };
                for event in &events {
                    cursor = event.version;
                    step(self, event);
                }
                if events.is_empty() && changes.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// An object as stored.
    #[must_use]
    pub fn read(&self, key: &Key) -> Option<Arc<Stored>> {
        self.store().get(key)
    }

    /// All objects of a bucket in one cluster, or in all.
    #[must_use]
    pub fn all(&self, bucket: &str, cluster: Option<&str>) -> Vec<Arc<Stored>> {
        let scope = Scope {
            bucket: bucket.into(),
            cluster: cluster.map(Into::into),
            namespace: None,
        };
        self.store().list(&scope, None, None).unwrap_or_default()
    }

    /// Stores a new object, with uid, creation time and generation 1 unless it brings its own generation; answers
    /// with the object that is there if there is one already.
    ///
    /// # Errors
    /// The object that was there before.
    pub fn create(&self, key: &Key, mut object: Value) -> Result<Arc<Stored>, Arc<Stored>> {
        if let Some(metadata) = object
            .as_object_mut()
            .map(|object| object.entry("metadata").or_insert_with(|| json!({})))
        {
            metadata["name"] = json!(key.name);
            if !key.namespace.is_empty() {
                metadata["namespace"] = json!(key.namespace);
            }
            metadata["uid"] = json!(self.uid());
            metadata["creationTimestamp"] = json!(self.now());
        }
        loop {
            let mut store = self.store();
            if let Some(present) = store.get(key) {
                return Err(present);
            }
            if let Ok(stored) = store.put(key, object.clone(), Expect::Absent) {
                return Ok(stored);
            }
        }
    }

    /// Changes an object by a function, which says by `false` that nothing is to be written. An object that is being
    /// deleted and has lost its last finalizer goes. `None` when the object is not there.
    pub fn modify(
        &self,
        key: &Key,
        mut change: impl FnMut(&mut Value) -> bool,
    ) -> Option<Arc<Stored>> {
        loop {
            let mut store = self.store();
            let present = store.get(key)?;
            let mut object = (*present.object).clone();
            if !change(&mut object) || object == *present.object {
                return Some(present);
            }
            let expect = Expect::Version(present.version);
            let done = if is_finished(&object) {
                store.remove(key, expect)
            } else {
                store.put(key, object, expect)
            };
            if let Ok(stored) = done {
                return Some(stored);
            }
        }
    }

    /// Deletes as a client would: at once, or by a deletion timestamp when there are finalizers. `false` when there
    /// is nothing to delete.
    pub fn delete(&self, key: &Key) -> bool {
        loop {
            let mut store = self.store();
            let Some(present) = store.get(key) else {
                return false;
            };
            let expect = Expect::Version(present.version);
            let mut object = (*present.object).clone();
            if has_finalizers(&object) {
                if object.pointer("/metadata/deletionTimestamp").is_some() {
                    return true;
                }
                mark_deleted(&mut object, &self.now());
                if store.put(key, object, expect).is_ok() {
                    return true;
                }
            } else if store.remove(key, expect).is_ok() {
                return true;
            }
        }
    }

    /// Removes an object at once, whatever its finalizers say.
    pub fn purge(&self, key: &Key) {
        let mut store = self.store();
        if let Some(present) = store.get(key) {
            let _ = store.remove(key, Expect::Version(present.version));
        }
    }
}

/// Whether an object names finalizers.
#[must_use]
pub fn has_finalizers(object: &Value) -> bool {
    object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
        || (is_namespace(object)
            && object
                .pointer("/spec/finalizers")
                .and_then(Value::as_array)
                .is_some_and(|list| !list.is_empty()))
}

/// Whether an object is being deleted and nothing holds it any longer.
#[must_use]
pub fn is_finished(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null())
        && !has_finalizers(object)
}

/// Whether an object is a core Namespace.
#[must_use]
pub fn is_namespace(object: &Value) -> bool {
    object["kind"] == "Namespace" && object["apiVersion"] == "v1"
}

/// Sets what a deletion sets on an object that finalizers hold.
pub fn mark_deleted(object: &mut Value, now: &str) {
    let namespace = is_namespace(object);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.insert("deletionTimestamp".into(), json!(now));
        if !namespace {
            metadata.insert("deletionGracePeriodSeconds".into(), json!(0));
        }
        if let Some(generation) = metadata
            .get("generation")
            .and_then(Value::as_i64)
            .filter(|number| *number > 0)
        {
            metadata.insert("generation".into(), json!(generation + 1));
        }
    }
    if namespace {
        object["status"]["phase"] = json!("Terminating");
    }
}
