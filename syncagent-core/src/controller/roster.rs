//! The generation of each publication that runs.
//!
//! A publication is replaced, never changed: whoever works with one holds it whole until the end of the step. The fleet
//! alone writes here, and only while nobody takes a step of that publication.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::publication::Publication;

/// What runs, by the publication's id.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<BTreeMap<String, Arc<Publication>>>);

impl Roster {
    /// The generation that runs.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Publication>> {
        self.lock().get(id).cloned()
    }

    /// All that run, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Publication>> {
        self.lock().values().cloned().collect()
    }

    /// A generation begins.
    pub(crate) fn begin(&self, publication: Arc<Publication>) {
        self.lock().insert(publication.id().to_owned(), publication);
    }

    /// A generation has ended.
    pub(crate) fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Publication>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
