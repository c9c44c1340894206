//! Who selects by labels: the orders for which an object that appears, or gets other labels, may be a new related object.
//!
//! Registered before a selection is made, so that a joiner in between is noticed. Members are in the index, by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::definition::Kind;
use crate::plan::{ObjectRef, Place, Query};

/// Which keys select what.
#[derive(Debug)]
pub(crate) struct Selections<K> {
    places: BTreeMap<(Place, Kind), BTreeMap<Query, BTreeSet<K>>>,
    queries: BTreeMap<K, Vec<Query>>,
}

impl<K> Default for Selections<K> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            queries: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> Selections<K> {
    /// Sets all selections of a key.
    pub(crate) fn replace(&mut self, key: &K, queries: Vec<Query>) {
        if self.queries.get(key).map_or(&[][..], Vec::as_slice) == queries {
            return;
        }
        for query in self.queries.remove(key).unwrap_or_default() {
            let place = (query.place.clone(), query.kind.clone());
            if let Some(all) = self.places.get_mut(&place) {
                if let Some(keys) = all.get_mut(&query) {
                    keys.remove(key);
                    if keys.is_empty() {
                        all.remove(&query);
                    }
                }
                if all.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
        for query in &queries {
            let place = (query.place.clone(), query.kind.clone());
            let all = self.places.entry(place).or_default();
            all.entry(query.clone()).or_default().insert(key.clone());
        }
        if !queries.is_empty() {
            self.queries.insert(key.clone(), queries);
        }
    }

    /// Drops all selections of a key.
    pub(crate) fn forget(&mut self, key: &K) {
        self.replace(key, Vec::new());
    }

    /// Who selects an object as it is now.
    pub(crate) fn select(&self, at: &ObjectRef, object: &Value) -> BTreeSet<K> {
        let place = (at.place.clone(), at.kind.clone());
        let all = self.places.get(&place).into_iter().flatten();
        all.filter(|(query, _)| query.covers(at) && query.labels.select(object))
            .flat_map(|(_, keys)| keys.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::labels::Labels;

    #[test]
    fn a_joiner_is_found_by_its_labels_and_only_where_somebody_looks() {
        let at = ObjectRef::service_namespace("a");
        let red = Query {
            place: at.place.clone(),
            kind: at.kind.clone(),
            namespace: String::new(),
            labels: Labels::one("color", "red"),
        };
        let mut selections = Selections::default();
        selections.replace(&1, vec![red.clone()]);
        selections.replace(
            &2,
            vec![Query {
                labels: Labels::one("color", "blue"),
                ..red
            }],
        );
        let object = json!({"metadata": {"labels": {"color": "red"}}});
        assert_eq!(selections.select(&at, &object), BTreeSet::from([1]));
        let elsewhere = ObjectRef {
            place: Place::Workspace("x".into()),
            ..at.clone()
        };
        assert!(selections.select(&elsewhere, &object).is_empty());
        selections.forget(&1);
        assert!(selections.select(&at, &object).is_empty());
        selections.forget(&2);
        assert!(selections.places.is_empty() && selections.queries.is_empty());
    }
}
