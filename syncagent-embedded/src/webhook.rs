//! Mutating admission webhooks, as functions in this process.
//!
//! A webhook sees every write after the server has settled who owns which field, and before the object is validated: what
//! it changes belongs to whoever owned the field before, and what it adds belongs to nobody. So a client whose apply was
//! rewritten goes on owning a field whose value is not the one that it sent, as on a real server. What a webhook leaves
//! behind is pruned and defaulted like what a client sends; it cannot move an object, nor touch its `managedFields`.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::plane::Admission;

/// What a webhook does: changes the object, or denies the write with a message.
type Mutate = dyn Fn(&Admission<'_>, &mut Value) -> Result<(), String> + Send + Sync;

/// A registered webhook.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) name: Arc<str>,
    mutate: Arc<Mutate>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.name)
    }
}

impl Webhook {
    pub(crate) fn new(
        name: &str,
        mutate: impl Fn(&Admission<'_>, &mut Value) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            mutate: Arc::new(mutate),
        }
    }

    /// Calls it; says whether it changed anything.
    pub(crate) fn call(&self, write: &Admission<'_>, object: &mut Value) -> Result<bool, String> {
        let before = object.clone();
        (self.mutate)(write, object)?;
        if !object["metadata"].is_object() {
            object["metadata"] = before["metadata"].clone();
        }
        for kept in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "deletionTimestamp",
            "managedFields",
        ] {
            match before["metadata"].get(kept) {
                Some(value) => object["metadata"][kept] = value.clone(),
                None => {
                    if let Some(metadata) = object["metadata"].as_object_mut() {
                        metadata.remove(kept);
                    }
                }
            }
        }
        Ok(*object != before)
    }
}
