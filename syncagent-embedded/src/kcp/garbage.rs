//! The garbage collector: dependents go with their owners.
//!
//! An object whose owners are all gone is deleted; one that is deleted in the foreground waits for the dependents that
//! block it; one whose dependents are to be orphaned loses only its place in their references. kcp runs the collector
//! of Kubernetes, which is why this is here and not in the plain Kubernetes server, whose original has none.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::model::{deleting, items, remove, text};
use crate::core::Core;
use crate::store::{Store, Stored};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// How often the collector looks, where something changed.
const PAUSE: Duration = Duration::from_millis(20);

/// Collects until the server stops.
pub(super) async fn run(core: Arc<Core>) {
    let mut seen = 0;
    loop {
        tokio::time::sleep(PAUSE).await;
        let revision = core.store().revision();
        if revision != seen {
            let matters = matters(&core.store(), seen);
            seen = revision;
            if matters {
                pass(&core);
            }
        }
    }
}

/// Whether something happened after a version that is the collector's business: an object went, or one was written that has
/// owners or is being deleted. Everything else is most of what happens, and looking at all there is takes long.
fn matters(store: &Store, version: u64) -> bool {
    let concerns = |stored: &Stored| {
        deleting(&stored.object) || !items(&stored.object, "/metadata/ownerReferences").is_empty()
    };
    store.buckets().iter().any(|bucket| {
        store.last_change(bucket) > version
            && store.since(bucket, version).map_or(true, |events| {
                let mut after = events.iter().map(|event| event.after.as_deref());
                after.any(|after| after.is_none_or(concerns))
            })
    })
}

fn pass(core: &Core) {
    let buckets = core.store().buckets();
    let all: Vec<Arc<Stored>> = buckets
        .iter()
        .flat_map(|bucket| core.all(bucket, None))
        .collect();
    let alive: HashSet<&str> = all.iter().map(|stored| stored.uid()).collect();
    for stored in &all {
        let owners = items(&stored.object, "/metadata/ownerReferences");
        if !owners.is_empty()
            && !owners
                .iter()
                .any(|owner| alive.contains(text(owner, "/uid")))
        {
            core.delete(&stored.key);
        }
        if deleting(&stored.object) {
            release(core, &all, stored);
        }
    }
}

/// Lets an object go that waited for the collector.
fn release(core: &Core, all: &[Arc<Stored>], stored: &Stored) {
    let finalizers = items(&stored.object, "/metadata/finalizers");
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if !has(FOREGROUND) && !has(ORPHAN) {
        return;
    }
    let owned = |other: &&Arc<Stored>| {
        let owners = items(&other.object, "/metadata/ownerReferences");
        other.key.cluster == stored.key.cluster
            && owners
                .iter()
                .any(|owner| text(owner, "/uid") == stored.uid())
    };
    let mut waits = false;
    for dependent in all.iter().filter(owned) {
        if has(ORPHAN) {
            core.modify(&dependent.key, |object| {
                let mut owners = items(object, "/metadata/ownerReferences").to_vec();
                owners.retain(|owner| text(owner, "/uid") != stored.uid());
                set_list(object, "ownerReferences", owners);
                true
            });
        } else {
            core.delete(&dependent.key);
            let owners = items(&dependent.object, "/metadata/ownerReferences");
            let blocks = owners
                .iter()
                .any(|o| text(o, "/uid") == stored.uid() && o["blockOwnerDeletion"] == true);
            waits |= blocks && core.read(&dependent.key).is_some();
        }
    }
    if !waits {
        core.modify(&stored.key, |object| {
            let mut finalizers = items(object, "/metadata/finalizers").to_vec();
            finalizers.retain(|name| name != FOREGROUND && name != ORPHAN);
            set_list(object, "finalizers", finalizers);
            true
        });
    }
}

/// Sets a list in the metadata, or removes it with its last item.
fn set_list(object: &mut Value, name: &str, list: Vec<Value>) {
    if list.is_empty() {
        remove(&mut object["metadata"], name);
    } else {
        object["metadata"][name] = Value::Array(list);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::{Expect, Key};

    fn key(name: &str) -> Key {
        Key {
            bucket: "widgets".into(),
            cluster: "".into(),
            namespace: String::new(),
            name: name.into(),
        }
    }

    #[test]
    fn only_what_has_owners_or_goes_is_looked_into() {
        let mut store = Store::new(4);
        let owned = json!({"metadata": {"ownerReferences": [{"uid": "u"}]}});
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for (name, object, wanted) in [
            ("plain", json!({"metadata": {}}), false),
            ("owned", owned, true),
            ("going", going, true),
        ] {
            let before = store.revision();
            assert!(!matters(&store, before), "nothing happened");
            store.put(&key(name), object, Expect::Absent).unwrap();
            assert_eq!(matters(&store, before), wanted, "{name}");
        }
        let before = store.revision();
        let plain = store.get(&key("plain")).unwrap().version;
        store.remove(&key("plain"), Expect::Version(plain)).unwrap();
        assert!(matters(&store, before), "one went");
        // What is not known any more may have been anything.
        let before = store.revision();
        for n in 0..5 {
            let object = json!({"metadata": {}});
            store
                .put(&key(&n.to_string()), object, Expect::Absent)
                .unwrap();
        }
        assert!(matters(&store, before));
        assert!(!matters(&store, store.revision() - 1));
    }
}
