//! What copies are called (section 2.3 and 2.4): templates, `$` placeholders, and the default.

use super::Notes;
use crate::api::published_resource::PublishedResource;
use crate::definition::{CopyNaming, Definition, Scope};
use crate::naming::short_hash;

pub(super) fn naming(
    resource: &PublishedResource,
    definition: &Definition,
    notes: &mut Notes,
) -> CopyNaming {
    let said = resource.spec.naming.clone().unwrap_or_default();
    let orders = definition.offered.scope;
    let mut own = |field: &str, text: Option<String>| {
        let text = text.filter(|it| !it.is_empty())?;
        let path = format!("spec.naming.{field}");
        if !text.contains("{{") && text.contains(['{', '}']) {
            notes.problem(
                path,
                format!("`{text}` has single braces, which mean nothing; write a template, as in `{{{{ .Object.metadata.name }}}}`"),
            );
            return None;
        }
        Some(placeholders(text, orders))
    };
    let name = own("name", said.name);
    let namespace = own("namespace", said.namespace);
    let service = definition.service.scope;
    if service == Scope::Cluster && namespace.is_some() {
        notes.warn(
            "spec.naming.namespace",
            format!(
                "a {} has no namespace on the service cluster, so this is not used",
                definition.service.kind
            ),
        );
    }
    CopyNaming {
        namespace: match service {
            Scope::Namespaced => Some(namespace.unwrap_or_else(|| "{workspace}".into())),
            Scope::Cluster => None,
        },
        name: name.unwrap_or_else(|| default_name(orders, service).into()),
    }
}

/// The names where none are declared. The Go agent has none for objects without a namespace, so these may tell the
/// workspace, too.
fn default_name(orders: Scope, copies: Scope) -> &'static str {
    match (orders, copies) {
        (Scope::Namespaced, _) => "{namespace.sha3}-{name.sha3}",
        (Scope::Cluster, Scope::Namespaced) => "{name.sha3}",
        (Scope::Cluster, Scope::Cluster) => "{workspace}-{name.sha3}",
    }
}

/// In an object without a namespace, its placeholders stand for an empty text.
fn placeholders(text: String, orders: Scope) -> String {
    if text.contains("{{") || orders == Scope::Namespaced {
        return text;
    }
    text.replace("$remoteNamespaceHash", &short_hash(""))
        .replace("$remoteNamespace", "")
}
