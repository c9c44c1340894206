//! What a copy is called.

use super::Scope;

/// Templates for the name of a copy.
///
/// Placeholders: `{workspace}` (the logical cluster's name), `{namespace}`, `{name}`, and `{namespace.hash}`,
/// `{name.hash}` (the first 20 hex digits of the SHA-1). `{{` and `}}` are literal braces.
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
