//! Identity: the marks on a copy that say which origin it belongs to.
//!
//! Labels hold what is selected by (hashes, for a label has 63 characters), annotations hold what is read. A copy is
//! *ours* only when all of them agree; a copy with some other identity belongs to *another* and is never touched; one
//! without any is *unmarked*, and the adoption policy says what to do.

use serde_json::{Map, Value, json};

use super::fingerprint::sha1_hex;
use super::{annotation, label};
use crate::names;

/// Which object in which workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The logical cluster.
    pub cluster: String,
    /// The namespace there; empty for a cluster-scoped object.
    pub namespace: String,
    /// The name there.
    pub name: String,
}

/// What a copy says about whom it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// To the origin in question.
    Ours,
    /// To nobody.
    Unmarked,
    /// To another origin, or to another agent.
    Foreign,
}

impl Identity {
    /// The labels of a copy.
    #[must_use]
    pub fn labels(&self, agent: &str) -> Map<String, Value> {
        let mut labels = self.links();
        labels.insert(names::AGENT.into(), json!(agent));
        labels
    }

    /// The labels that link a copy to its order, whoever made it.
    #[must_use]
    pub fn links(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(names::CLUSTER.into(), json!(self.cluster));
        labels.insert(names::NAME_HASH.into(), json!(sha1_hex(&self.name)));
        if !self.namespace.is_empty() {
            labels.insert(
                names::NAMESPACE_HASH.into(),
                json!(sha1_hex(&self.namespace)),
            );
        }
        labels
    }

    /// The annotations of a copy.
    #[must_use]
    pub fn annotations(&self) -> Map<String, Value> {
        let mut annotations = Map::new();
        annotations.insert(names::NAME.into(), json!(self.name));
        if !self.namespace.is_empty() {
            annotations.insert(names::NAMESPACE.into(), json!(self.namespace));
        }
        annotations
    }

    /// What a copy of the Go agent's says: the labels that link it decide, and the agent's own may be missing. Annotations
    /// that are missing are no contradiction, for they are restored.
    #[must_use]
    pub fn linked(&self, agent: &str, object: &Value) -> Standing {
        let made_by = label(object, names::AGENT);
        let linked = |mark: &&str| !label(object, mark).is_empty();
        if made_by.is_empty() && !names::LINK_LABELS.iter().any(linked) {
            return Standing::Unmarked;
        }
        let wanted = self.links();
        let agree = names::LINK_LABELS.iter().all(|mark| {
            let wanted = wanted.get(*mark).and_then(Value::as_str);
            label(object, mark) == wanted.unwrap_or_default()
        });
        if agree && (made_by.is_empty() || made_by == agent) {
            Standing::Ours
        } else {
            Standing::Foreign
        }
    }

    /// The identity that a copy carries, if it carries one.
    #[must_use]
    pub fn read(object: &Value) -> Option<Self> {
        let cluster = label(object, names::CLUSTER);
        let name = annotation(object, names::NAME)?;
        (!cluster.is_empty()).then(|| Self {
            cluster: cluster.to_owned(),
            namespace: annotation(object, names::NAMESPACE)
                .unwrap_or_default()
                .to_owned(),
            name: name.to_owned(),
        })
    }

    /// What a copy says about whom it belongs to, seen from this origin and this agent.
    #[must_use]
    pub fn standing(&self, agent: &str, object: &Value) -> Standing {
        let marks = [
            names::CLUSTER,
            names::NAME_HASH,
            names::NAMESPACE_HASH,
            names::AGENT,
        ];
        if marks.iter().all(|mark| label(object, mark).is_empty()) {
            return Standing::Unmarked;
        }
        let wanted = self.labels(agent);
        let labels_agree = marks.iter().all(|mark| {
            label(object, mark)
                == wanted
                    .get(*mark)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
        });
        if labels_agree && Self::read(object).as_ref() == Some(self) {
            Standing::Ours
        } else {
            Standing::Foreign
        }
    }
}
