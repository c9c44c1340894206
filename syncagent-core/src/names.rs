//! Names that stand on the wire: labels, annotations, finalizers, and what an agent is called.

use std::fmt;

use crate::definition::Kind;

/// Label: which agent made the object.
pub const AGENT: &str = "syncagent.kcp.io/agent-name";
/// Label: the logical cluster of the origin.
pub const CLUSTER: &str = "syncagent.kcp.io/remote-object-cluster";
/// Label: the SHA-1 of the origin's name.
pub const NAME_HASH: &str = "syncagent.kcp.io/remote-object-name-hash";
/// Label: the SHA-1 of the origin's namespace; absent for a cluster-scoped origin.
pub const NAMESPACE_HASH: &str = "syncagent.kcp.io/remote-object-namespace-hash";
/// Annotation: the origin's name.
pub const NAME: &str = "syncagent.kcp.io/remote-object-name";
/// Annotation: the origin's namespace.
pub const NAMESPACE: &str = "syncagent.kcp.io/remote-object-namespace";
/// Annotation: the path of the origin's workspace, where a definition asks for it.
pub const PATH: &str = "syncagent.kcp.io/remote-object-workspace-path";
/// Annotation that kcp puts on every object: its logical cluster.
pub const KCP_CLUSTER: &str = "kcp.io/cluster";
/// Annotation of a LogicalCluster: the path of the workspace, as `root:org:team`.
pub const KCP_PATH: &str = "kcp.io/path";
/// What starts the labels by which kcp tells who claimed an object.
pub const CLAIMED_PREFIX: &str = "claimed.internal.apis.kcp.io/";
/// What starts the annotations of an order that name its related objects, of which the Go agent writes one for each.
pub const RELATED_PREFIX: &str = "related-resources.syncagent.kcp.io/";
/// Annotation: the publication that made the copy, as `<plural>.<group>` of the offered kind.
pub const PUBLICATION: &str = "syncagent.kcp.io/publication";
/// Annotation: what the order takes, as JSON: a list of path, name in the workspace, name of the copy.
pub const TAKES: &str = "syncagent.kcp.io/takes";
/// Annotation: what the order took before and does not take any more, in the same form, as of when the copy was last
/// written: after a restart it tells what may be left to be cleaned up.
pub const TAKES_NO_MORE: &str = "syncagent.kcp.io/takes-no-more";
/// Annotation: the fingerprint of what was applied.
pub const APPLIED: &str = "syncagent.kcp.io/applied";
/// Annotation: hashes of the single fields that were written, where changes on the copy are kept.
pub const LEAVES: &str = "syncagent.kcp.io/applied-fields";
/// Annotation that a person sets on a copy, to any new value: fields that somebody fought for are corrected again.
pub const CORRECT_AGAIN: &str = "syncagent.kcp.io/correct-again";
/// Annotation: the uid of the origin.
pub const ORIGIN_UID: &str = "syncagent.kcp.io/origin-uid";
/// Annotation: the generation of the origin that was last written down.
pub const ORIGIN_GENERATION: &str = "syncagent.kcp.io/origin-generation";
/// Annotation on the copy of a taken object: the uid of the consumer's object.
pub const RELATED_UID: &str = "syncagent.kcp.io/related-origin-uid";
/// Annotation on the copy of a taken object: the resourceVersion of the consumer's object.
pub const RELATED_VERSION: &str = "syncagent.kcp.io/related-origin-resource-version";
/// Annotation on the copy of a related object whose original is of another kind: that kind, as `<plural>.<group>`.
pub const RELATED_KIND: &str = "syncagent.kcp.io/related-origin-kind";
/// Annotation on a related object: which of its fields we wrote, by name, so that after a restart its metadata tells
/// whether somebody took one.
pub const FIELDS: &str = "syncagent.kcp.io/related-fields";
/// Annotation on a returned object: the order it belongs to.
pub const ORDER: &str = "syncagent.kcp.io/order";
/// Annotation on a related object that was found or named: the order for which it was copied last, as publication and
/// identity.
pub const FOUND_FOR: &str = "syncagent.kcp.io/found-for";
/// Annotation on a related object that was found or named: the id of the rule, or the path of the field.
pub const FOUND_BY: &str = "syncagent.kcp.io/found-by";
/// Annotation on a returned object: which parts it was made of, and a hash of their versions.
pub const MADE_OF: &str = "syncagent.kcp.io/made-of";
/// Annotation on an object of a workspace: how its copy is deleted, `background`, `foreground` or `orphan`.
pub const DELETION: &str = "syncagent.kcp.io/deletion-propagation-policy";
/// Annotation on a copy that outlives its order: the uid of the order, and after a `/` what was lost.
pub const KEPT: &str = "syncagent.kcp.io/kept";
/// Annotation of an export, set by a person: schemas that may be offered although they break objects that exist, by name and
/// with commas between them.
pub const ACCEPT: &str = "syncagent.kcp.io/accept-schema";
/// Annotation on the export: since when deletions on the service cluster are paused.
pub const PAUSED: &str = "syncagent.kcp.io/retirements-paused";
/// Annotation on the export, a person's word: until when deletions on the service cluster are not limited, as RFC 3339.
pub const RETIRE_UNTIL: &str = "syncagent.kcp.io/retire-until";
/// Label: a Secret is what the Go agent remembers of an object.
pub const OBJECT_STATE: &str = "syncagent.kcp.io/object-state";
/// Annotation on a copy: of what the Go agent remembered when the copy was last written, a hash. What it remembers otherwise
/// is newer than what stands on the copy.
pub const STATE: &str = "syncagent.kcp.io/go-agent-state";
/// The finalizer of the Go agent, on orders and on consumers' objects that go down.
pub const CLEANUP: &str = "syncagent.kcp.io/cleanup";
/// The labels that link a copy to its order.
pub const LINK_LABELS: &[&str] = &[CLUSTER, NAME_HASH, NAMESPACE_HASH];
/// What most of the above start with.
pub const PREFIX: &str = "syncagent.kcp.io/";

/// What every agent's finalizer ends with.
pub const HOLD: &str = ".syncagent.kcp.io/hold";
/// What every agent's field manager starts with.
pub const MANAGER: &str = "syncagent:";

/// The longest name of an object.
pub const NAME_LENGTH: usize = 253;
/// The longest name of a namespace, and the longest value of a label.
pub const LABEL_LENGTH: usize = 63;

/// What an agent is called: a label value that also can start a finalizer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(String);

/// A name that an agent cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name for an agent: it takes lower-case letters, digits, dashes and dots, at most 63 characters"
)]
pub struct AgentNameError(pub String);

impl AgentName {
    /// Takes a name, usually the export's.
    ///
    /// # Errors
    ///
    /// When it is no DNS name of at most 63 characters.
    pub fn parse(name: &str) -> Result<Self, AgentNameError> {
        if name.len() <= LABEL_LENGTH && is_subdomain(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(AgentNameError(name.to_owned()))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The agent's finalizer.
    #[must_use]
    pub fn finalizer(&self) -> String {
        format!("{}{HOLD}", self.0)
    }

    /// The field manager under which the agent writes.
    #[must_use]
    pub fn manager(&self) -> String {
        format!("{MANAGER}{}", self.0)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text can be the name of an object: a DNS name.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= NAME_LENGTH && text.split('.').all(is_dns_part)
}

/// Whether a text can be the name of a namespace: one part of a DNS name.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= LABEL_LENGTH && is_dns_part(text)
}

/// Whether a group is one of those that Kubernetes keeps for itself; kcp does not take them.
#[must_use]
pub fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group == *own || group.ends_with(&format!(".{own}")))
}

fn is_dns_part(text: &str) -> bool {
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

/// The name of a resource across groups, as in `clusters.postgresql.cnpg.io`.
#[must_use]
pub fn resource(kind: &Kind) -> String {
    if kind.group.is_empty() {
        kind.plural.clone()
    } else {
        format!("{}.{}", kind.plural, kind.group)
    }
}
