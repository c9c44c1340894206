//! Copies that are not where naming would put them.
//!
//! Naming is for new objects: a copy that carries the identity of an order keeps its name when the naming is changed
//! later, or a second database would appear. Those that differ are few, usually none, and listed here, so that other
//! orders can refer to them by their real names without asking anybody.

use std::collections::BTreeMap;

use super::CopyName;
use crate::object::identity::Identity;

/// Where copies are that are not where naming would put them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved(BTreeMap<(String, Identity), CopyName>);

impl Moved {
    /// Where the copy of an order is, by publication and identity; `None`: where naming puts it.
    #[must_use]
    pub fn get(&self, publication: &str, order: &Identity) -> Option<&CopyName> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(publication.to_owned(), order.clone()))
    }

    /// Takes note of where the copy of an order is; says whether that is news.
    pub fn set(&mut self, publication: &str, order: Identity, at: Option<CopyName>) -> bool {
        let order = (publication.to_owned(), order);
        match at {
            Some(at) => self.0.insert(order, at.clone()) != Some(at),
            None => self.0.remove(&order).is_some(),
        }
    }

    /// What copies of the orders in one namespace of a workspace are called, and what these orders are called.
    pub fn names<'a>(
        &'a self,
        cluster: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (String, String)> + 'a {
        let there =
            move |order: &Identity| order.cluster == cluster && order.namespace == namespace;
        let all = self.0.iter().filter(move |((_, order), _)| there(order));
        all.map(|((_, order), copy)| (copy.name.clone(), order.name.clone()))
    }
}
