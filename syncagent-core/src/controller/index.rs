//! The reverse question: whose order does this object belong to?
//!
//! Every resolution of a related object registers who asked, also for objects that do not exist yet, and before they are
//! read, so that nothing falls in between: a Secret that appears later finds the order that waits for it.

use std::collections::{BTreeMap, BTreeSet};

/// Which keys are interested in which objects.
#[derive(Debug)]
pub struct Index<O, K> {
    keys: BTreeMap<O, BTreeSet<K>>,
    objects: BTreeMap<K, BTreeSet<O>>,
}

impl<O, K> Default for Index<O, K> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }
}

impl<O: Ord + Clone, K: Ord + Clone> Index<O, K> {
    /// Adds an interest; says whether it is new.
    pub fn register(&mut self, key: &K, object: &O) -> bool {
        if !self
            .objects
            .entry(key.clone())
            .or_default()
            .insert(object.clone())
        {
            return false;
        }
        self.keys
            .entry(object.clone())
            .or_default()
            .insert(key.clone());
        true
    }

    /// Sets all interests of a key.
    pub fn replace(&mut self, key: &K, objects: impl IntoIterator<Item = O>) {
        let now: BTreeSet<O> = objects.into_iter().collect();
        let before = self.objects.get(key).cloned().unwrap_or_default();
        for gone in before.difference(&now) {
            self.drop_one(key, gone);
        }
        for new in now.difference(&before) {
            self.keys
                .entry(new.clone())
                .or_default()
                .insert(key.clone());
        }
        if now.is_empty() {
            self.objects.remove(key);
        } else {
            self.objects.insert(key.clone(), now);
        }
    }

    /// Drops all interests of a key.
    pub fn forget(&mut self, key: &K) {
        self.replace(key, []);
    }

    /// Who is interested in an object.
    pub fn interested(&self, object: &O) -> impl Iterator<Item = &K> {
        self.keys.get(object).into_iter().flatten()
    }

    /// What a key is interested in.
    pub fn interests(&self, key: &K) -> impl Iterator<Item = &O> {
        self.objects.get(key).into_iter().flatten()
    }

    fn drop_one(&mut self, key: &K, object: &O) {
        if let Some(keys) = self.keys.get_mut(object) {
            keys.remove(key);
            if keys.is_empty() {
                self.keys.remove(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_finds_everybody_who_asked() {
        let mut index = Index::<&str, u32>::default();
        assert!(index.register(&1, &"secret"));
        assert!(!index.register(&1, &"secret"));
        index.register(&2, &"secret");
        assert_eq!(index.interested(&"secret").collect::<Vec<_>>(), [&1, &2]);
        index.forget(&1);
        assert_eq!(index.interested(&"secret").collect::<Vec<_>>(), [&2]);
    }

    #[test]
    fn replacing_drops_what_is_no_longer_named() {
        let mut index = Index::<&str, u32>::default();
        index.replace(&1, ["a", "b"]);
        index.replace(&1, ["b", "c"]);
        assert_eq!(index.interested(&"a").count(), 0);
        assert_eq!(index.interests(&1).collect::<Vec<_>>(), [&"b", &"c"]);
        index.forget(&1);
        assert_eq!(
            index.interested(&"b").count() + index.interests(&1).count(),
            0
        );
    }
}
