//! Which built-in kinds each product serves.
//!
//! Discovery, tables, roles and the router all read these lists, so they hold only what is really served: there are no
//! pods on a server that nothing runs on. (Deployments are kept as any API server without controllers keeps them.)

use crate::api::{Provenance, Resource, Scale};

/// The verbs of a stored kind, as discovery shows them for built-in kinds.
pub const STORED: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The same without `deletecollection`: namespaces go one by one.
const ONE_BY_ONE: [&str; 7] = [
    "create", "delete", "get", "list", "patch", "update", "watch",
];

/// The verbs of a custom kind, in the order in which discovery shows them.
pub const CUSTOM: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// A question that is answered instead of stored.
const ASKED: [&str; 1] = ["create"];

/// What a Kubernetes API server serves.
#[must_use]
pub fn kubernetes() -> Vec<Resource> {
    let mut kinds = common();
    kinds.push(
        Kind::new("", "v1", "Service", "services")
            .short(&["svc"])
            .categories(&["all"])
            .status()
            .into(),
    );
    let mut deployments = Kind::new("apps", "v1", "Deployment", "deployments")
        .short(&["deploy"])
        .categories(&["all"])
        .status();
    deployments.0.scale = Some(Scale {
        spec_replicas_path: ".spec.replicas".to_owned(),
        status_replicas_path: ".status.replicas".to_owned(),
        label_selector_path: None,
    });
    kinds.push(deployments.into());
    kinds
}

/// What every workspace of kcp serves beside kcp's own kinds, which come from CRDs.
#[must_use]
pub fn kcp() -> Vec<Resource> {
    let mut kinds = common();
    kinds.push(
        Kind::new("", "v1", "ResourceQuota", "resourcequotas")
            .short(&["quota"])
            .status()
            .into(),
    );
    kinds
}

fn common() -> Vec<Resource> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const REVIEWS: &str = "authorization.k8s.io";
    vec![
        Kind::new("", "v1", "ConfigMap", "configmaps")
            .short(&["cm"])
            .into(),
        Kind::new("", "v1", "Event", "events").short(&["ev"]).into(),
        Kind::new("", "v1", "Namespace", "namespaces")
            .short(&["ns"])
            .cluster()
            .status()
            .verbs(&ONE_BY_ONE)
            .into(),
        Kind::new("", "v1", "Secret", "secrets").into(),
        Kind::new("", "v1", "ServiceAccount", "serviceaccounts")
            .short(&["sa"])
            .into(),
        Kind::new("events.k8s.io", "v1", "Event", "events")
            .short(&["ev"])
            .into(),
        Kind::new(
            "authentication.k8s.io",
            "v1",
            "SelfSubjectReview",
            "selfsubjectreviews",
        )
        .cluster()
        .verbs(&ASKED)
        .into(),
        Kind::new(
            REVIEWS,
            "v1",
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
        )
        .verbs(&ASKED)
        .into(),
        Kind::new(
            REVIEWS,
            "v1",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
        )
        .cluster()
        .verbs(&ASKED)
        .into(),
        Kind::new(
            REVIEWS,
            "v1",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
        )
        .cluster()
        .verbs(&ASKED)
        .into(),
        Kind::new(REVIEWS, "v1", "SubjectAccessReview", "subjectaccessreviews")
            .cluster()
            .verbs(&ASKED)
            .into(),
        Kind::new(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings")
            .cluster()
            .into(),
        Kind::new(RBAC, "v1", "ClusterRole", "clusterroles")
            .cluster()
            .into(),
        Kind::new(RBAC, "v1", "RoleBinding", "rolebindings").into(),
        Kind::new(RBAC, "v1", "Role", "roles").into(),
        Kind::new(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        )
        .short(&["crd", "crds"])
        .categories(&["api-extensions"])
        .cluster()
        .status()
        .into(),
        Kind::new("coordination.k8s.io", "v1", "Lease", "leases").into(),
    ]
}

/// Whether objects of this kind are answered and never stored.
#[must_use]
pub fn is_review(resource: &Resource) -> bool {
    resource.provenance == Provenance::BuiltIn && resource.verbs == ASKED
}

/// A subresource of a built-in kind beside `status` and `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// As in `finalize`.
    pub name: &'static str,
    /// The group of what it takes and answers; empty when it is the kind itself.
    pub group: &'static str,
    /// The version of what it takes and answers; empty when it is the kind itself.
    pub version: &'static str,
    /// The kind of what it takes and answers.
    pub kind: &'static str,
    /// What can be done with it.
    pub verbs: &'static [&'static str],
}

/// The subresources of a built-in kind beside `status` and `scale`.
#[must_use]
pub fn subresources(resource: &Resource) -> &'static [Subresource] {
    if resource.provenance != Provenance::BuiltIn {
        return &[];
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => &[Subresource {
            name: "finalize",
            group: "",
            version: "",
            kind: "Namespace",
            verbs: &["update"],
        }],
        ("", "serviceaccounts") => &[Subresource {
            name: "token",
            group: "authentication.k8s.io",
            version: "v1",
            kind: "TokenRequest",
            verbs: &["create"],
        }],
        _ => &[],
    }
}

struct Kind(Resource);

impl Kind {
    fn new(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            plural: plural.to_owned(),
            singular: kind.to_lowercase(),
            namespaced: true,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: owned(&STORED),
            status: false,
            scale: None,
            schema: None,
            columns: Vec::new(),
            selectable: Vec::new(),
            provenance: Provenance::BuiltIn,
        })
    }

    fn short(mut self, names: &[&str]) -> Self {
        self.0.short_names = owned(names);
        self
    }

    fn categories(mut self, names: &[&str]) -> Self {
        self.0.categories = owned(names);
        self
    }

    fn cluster(mut self) -> Self {
        self.0.namespaced = false;
        self
    }

    fn status(mut self) -> Self {
        self.0.status = true;
        self
    }

    fn verbs(mut self, verbs: &[&str]) -> Self {
        self.0.verbs = owned(verbs);
        self
    }
}

impl From<Kind> for Resource {
    fn from(kind: Kind) -> Self {
        let mut resource = kind.0;
        resource.selectable = selectable(&resource.group, &resource.plural);
        resource
    }
}

/// Fields beside name and namespace that a built-in kind can be selected by.
fn selectable(group: &str, plural: &str) -> Vec<String> {
    let fields: &[&str] = match (group, plural) {
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "reason",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reportingController",
            "type",
        ],
        _ => &[],
    };
    owned(fields)
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plural_of_a_group_is_served_once() {
        for kinds in [kubernetes(), kcp()] {
            let mut names: Vec<String> = kinds.iter().map(Resource::qualified).collect();
            names.sort();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn reviews_are_told_from_stored_kinds() {
        let asked: Vec<String> = kubernetes()
            .iter()
            .filter(|kind| is_review(kind))
            .map(|kind| kind.kind.clone())
            .collect();
        assert_eq!(asked.len(), 5, "{asked:?}");
    }
}
