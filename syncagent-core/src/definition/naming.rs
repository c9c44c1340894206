//! What a copy is called.

use super::Scope;

/// Templates for the name of a copy.
///
/// Placeholders: `{workspace}` (the logical cluster's name), `{namespace}`, `{name}`; their hashes `{workspace.hash}`,
/// `{namespace.hash}`, `{name.hash}` (the first 20 hex digits of the SHA-1) and `{namespace.sha3}`, `{name.sha3}` (of the
/// SHA3-256). A colon and a number ask for more or fewer digits: `{name.hash:16}`.
///
/// The syntaxes of the Go agent are taken too, and recognised by themselves: a Go template over `.ClusterName`,
/// `.ClusterPath` and `.Object`, which is the order after the mutations of the way down
/// (`{{ .Object.metadata.name | sha3short }}`; needs the feature `mutations`), and `$remoteClusterName`, `$remoteNamespace`,
/// `$remoteNamespaceHash`, `$remoteName`, `$remoteNameHash`. A name that follows from more than these three is made once: what
/// the order says later does not move its copy.
///
/// Two orders must not get the same name: what a naming tells is proven when the definition is compiled, and
/// [`Policy::colliding_names`](super::Policy) says what happens where it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyNaming {
    /// The namespace; `None` for a cluster-scoped copy. Default `{workspace}`.
    pub namespace: Option<String>,
    /// The name. Default `{namespace.hash}-{name.hash}`.
    pub name: String,
}

impl CopyNaming {
    /// The naming where none is declared: it tells all orders apart and fits into the length of a name.
    #[must_use]
    pub fn between(offered: Scope, service: Scope) -> Self {
        let order = match offered {
            Scope::Namespaced => "{namespace.hash}-{name.hash}",
            Scope::Cluster => "{name.hash}",
        };
        match service {
            Scope::Namespaced => Self {
                namespace: Some("{workspace}".into()),
                name: order.into(),
            },
            Scope::Cluster => Self {
                namespace: None,
                name: format!("{{workspace}}-{order}"),
            },
        }
    }
}

impl Default for CopyNaming {
    /// A namespace for each workspace, and hashes in it.
    fn default() -> Self {
        Self {
            namespace: Some("{workspace}".into()),
            name: "{namespace.hash}-{name.hash}".into(),
        }
    }
}
