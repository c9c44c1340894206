//! Words that many records have in common; each is kept once, and a record holds its number.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::{names, object};

/// How many words are kept at most. They come from definitions and from agents' names, so this is hardly reached; what
/// would be more is kept in the records themselves.
const MOST: usize = 1024;
/// The longest word.
const LONGEST: usize = 160;

/// The words that packed values share. Words are added and never dropped.
#[derive(Debug)]
pub struct Words {
    list: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, usize>,
}

impl Default for Words {
    fn default() -> Self {
        let mut words = Self {
            list: Vec::new(),
            numbers: HashMap::new(),
        };
        let marks = [
            names::AGENT,
            names::CLUSTER,
            names::NAME_HASH,
            names::NAMESPACE_HASH,
            names::NAME,
            names::NAMESPACE,
            names::RELATED_UID,
            names::RELATED_VERSION,
            names::ORDER,
            names::MADE_OF,
            names::FIELDS,
            names::RELATED_KIND,
            names::FOUND_FOR,
            names::FOUND_BY,
        ];
        for mark in marks {
            words.add(mark);
            words.add(&format!("f:{mark}"));
        }
        for word in USUAL {
            words.add(word);
        }
        words
    }
}

/// What the metadata of objects is made of.
const USUAL: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "labels",
    "annotations",
    "finalizers",
    "deletionTimestamp",
    "managedFields",
    "manager",
    "operation",
    "Apply",
    "fieldsV1",
    "subresource",
    ".",
    "f:metadata",
    "f:labels",
    "f:annotations",
    "f:data",
    "f:type",
    "f:spec",
    "Synced",
    "the order is at the service",
    "True",
    "False",
];

impl Words {
    /// Adds a word, when there is room for it.
    pub fn add(&mut self, word: &str) {
        if self.list.len() >= MOST || word.len() > LONGEST || self.numbers.contains_key(word) {
            return;
        }
        let word: Arc<str> = word.into();
        self.numbers.insert(word.clone(), self.list.len());
        self.list.push(word);
    }

    /// Adds what an agent's name makes, when the text is such a thing: its finalizer, or its field manager.
    pub(super) fn add_own(&mut self, text: &str) {
        if text.ends_with(names::HOLD) || text.starts_with(names::MANAGER) {
            self.add(text);
        }
    }

    /// Adds what agents write on an object.
    pub(crate) fn learn(&mut self, object: &Value) {
        for finalizer in object::finalizers(object) {
            self.add_own(&finalizer);
        }
        self.add(object::label(object, names::AGENT));
        // The same for all Secrets of one shape; consumers choose the shapes, so they get half of the room.
        if self.list.len() < MOST / 2
            && let Some(fields) = object::annotation(object, names::FIELDS)
        {
            self.add(fields);
        }
        let entries = object["metadata"]["managedFields"].as_array();
        for entry in entries.into_iter().flatten() {
            self.add_own(entry["manager"].as_str().unwrap_or_default());
        }
    }

    pub(super) fn number(&self, word: &str) -> Option<usize> {
        self.numbers.get(word).copied()
    }

    pub(super) fn word(&self, number: usize) -> Option<&str> {
        self.list.get(number).map(|word| &**word)
    }

    #[cfg(test)]
    pub(super) fn is_known(&self, word: &str) -> bool {
        self.number(word).is_some()
    }
}
