//! Role-based access: who may do what, and how a server says no.
//!
//! A [`Policy`] is compiled from the roles and bindings of one cluster; nothing is shared between clusters. It answers
//! questions ([`What`]) of somebody ([`Who`]) with a reason, the reason that `kubectl auth can-i` and reviews show.
//! Members of `system:masters` may do everything, whatever the roles say.
//!
//! Around it: the answers to reviews ([`review`]), the rule that nobody grants what they do not hold ([`escalation`]),
//! impersonation ([`impersonate`]), and the roles that every cluster starts with ([`bootstrap`]).

pub mod bootstrap;
pub mod escalation;
pub mod impersonate;
pub mod review;
pub mod rule;

use std::collections::BTreeMap;

use serde_json::Value;

pub use rule::Rule;

use crate::status::{Details, Failure, quoted};

/// The group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// The user name.
    pub name: &'a str,
    /// The groups.
    pub groups: &'a [String],
}

impl Who<'_> {
    /// Whether no role is needed.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// Something with a resource.
    Resource {
        /// As in `list`.
        verb: &'a str,
        /// The API group.
        group: &'a str,
        /// The plural.
        resource: &'a str,
        /// The subresource; empty for none.
        subresource: &'a str,
        /// The namespace; empty for the cluster scope.
        namespace: &'a str,
        /// The name; empty for all.
        name: &'a str,
    },
    /// Something with a path that is no resource.
    Path {
        /// The method in lower case.
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// The 403 that refuses; `suffix` follows the text (kcp's is `: access denied`).
#[must_use]
pub fn refusal(who: Who<'_>, what: What<'_>, suffix: &str) -> Failure {
    let user = quoted(who.name);
    match what {
        What::Path { verb, path } => {
            let message = format!(
                "forbidden: User {user} cannot {verb} path {}{suffix}",
                quoted(path)
            );
            Failure::new(403, "Forbidden", message).with_details(Details::default())
        }
        What::Resource {
            verb,
            group,
            resource,
            subresource,
            namespace,
            name,
        } => {
            let full = joined(resource, subresource);
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {}", quoted(namespace))
            };
            let why = format!(
                "User {user} cannot {verb} resource {} in API group {} {place}{suffix}",
                quoted(&full),
                quoted(group)
            );
            Failure::forbidden(group, resource, name, &why)
        }
    }
}

fn joined(resource: &str, subresource: &str) -> String {
    if subresource.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}/{subresource}")
    }
}

/// The roles and bindings of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    cluster_roles: BTreeMap<String, Vec<Rule>>,
    roles: BTreeMap<(String, String), Vec<Rule>>,
    bindings: Vec<Binding>,
}

#[derive(Clone, Debug)]
struct Binding {
    /// Empty for a ClusterRoleBinding.
    namespace: String,
    name: String,
    cluster_role: bool,
    role: String,
    subjects: Vec<Subject>,
}

#[derive(Clone, Debug)]
enum Subject {
    User(String),
    Group(String),
    ServiceAccount { namespace: String, name: String },
}

impl Subject {
    fn of(value: &Value, namespace: &str) -> Option<Self> {
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Some(match text("kind").as_str() {
            "User" => Self::User(text("name")),
            "Group" => Self::Group(text("name")),
            "ServiceAccount" => Self::ServiceAccount {
                namespace: Some(text("namespace"))
                    .filter(|given| !given.is_empty())
                    .unwrap_or_else(|| namespace.to_owned()),
                name: text("name"),
            },
            _ => return None,
        })
    }

    fn is(&self, who: Who<'_>) -> bool {
        match self {
            Self::User(name) => name == "*" || name == who.name,
            Self::Group(name) => who.groups.contains(name),
            Self::ServiceAccount { namespace, name } => {
                who.name
                    .strip_prefix("system:serviceaccount:")
                    .and_then(|rest| rest.split_once(':'))
                    == Some((namespace, name))
            }
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::User(name) => format!("User {}", quoted(name)),
            Self::Group(name) => format!("Group {}", quoted(name)),
            Self::ServiceAccount { namespace, name } => {
                format!("ServiceAccount {}", quoted(&format!("{name}/{namespace}")))
            }
        }
    }
}

impl Policy {
    /// Compiles roles and bindings, told apart by their `kind`; other objects are passed over.
    #[must_use]
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut policy = Self::default();
        let mut aggregated: Vec<(String, Value)> = Vec::new();
        let mut labelled: Vec<(Value, Vec<Rule>)> = Vec::new();
        for object in objects {
            let text = |pointer: &str| {
                object
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
            match text("/kind").as_str() {
                "Role" => {
                    policy.roles.insert((namespace, name), rule::rules(object));
                }
                "ClusterRole" => {
                    let rules = rule::rules(object);
                    if let Some(selectors) = object.pointer("/aggregationRule/clusterRoleSelectors")
                    {
                        aggregated.push((name.clone(), selectors.clone()));
                    }
                    if let Some(labels) = object.pointer("/metadata/labels") {
                        labelled.push((labels.clone(), rules.clone()));
                    }
                    policy.cluster_roles.insert(name, rules);
                }
                "RoleBinding" | "ClusterRoleBinding" => {
                    let subjects = object
                        .get("subjects")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten();
                    policy.bindings.push(Binding {
                        subjects: subjects
                            .filter_map(|subject| Subject::of(subject, &namespace))
                            .collect(),
                        cluster_role: text("/roleRef/kind") == "ClusterRole",
                        role: text("/roleRef/name"),
                        namespace,
                        name,
                    });
                }
                _ => {}
            }
        }
        for (name, selectors) in aggregated {
            let selectors = selectors.as_array().map(Vec::as_slice).unwrap_or_default();
            let gained = labelled
                .iter()
                .filter(|(labels, _)| selectors.iter().any(|selector| selects(selector, labels)));
            let gained: Vec<Rule> = gained
                .flat_map(|(_, rules)| rules.iter().cloned())
                .collect();
            if let Some(rules) = policy.cluster_roles.get_mut(&name) {
                rules.extend(gained);
            }
        }
        // Those of the cluster are asked first.
        policy
            .bindings
            .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        policy
    }

    /// Why somebody may do something; `None` when they may not.
    #[must_use]
    pub fn allows(&self, who: Who<'_>, what: What<'_>) -> Option<String> {
        if who.is_master() {
            return Some(String::new());
        }
        let namespace = match what {
            What::Resource { namespace, .. } => namespace,
            What::Path { .. } => "",
        };
        self.bound(who, namespace)
            .find(|(_, _, rules)| rules.iter().any(|rule| rule.matches(&what)))
            .map(|(binding, subject, _)| {
                let (kind, name) = if binding.namespace.is_empty() {
                    ("ClusterRoleBinding", binding.name.clone())
                } else {
                    (
                        "RoleBinding",
                        format!("{}/{}", binding.name, binding.namespace),
                    )
                };
                let role = if binding.cluster_role {
                    "ClusterRole"
                } else {
                    "Role"
                };
                format!(
                    "RBAC: allowed by {kind} {} of {role} {} to {}",
                    quoted(&name),
                    quoted(&binding.role),
                    subject.shown()
                )
            })
    }

    /// 403 where somebody may not do something; see [`refusal`].
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn check(&self, who: Who<'_>, what: What<'_>) -> Result<(), Failure> {
        match self.allows(who, what) {
            Some(_) => Ok(()),
            None => Err(refusal(who, what, "")),
        }
    }

    /// All rules that somebody holds in a namespace (empty: in the cluster scope).
    #[must_use]
    pub fn rules(&self, who: Who<'_>, namespace: &str) -> Vec<Rule> {
        let mut rules: Vec<Rule> = self
            .bound(who, namespace)
            .flat_map(|(_, _, rules)| rules.to_vec())
            .collect();
        if who.is_master() {
            rules.extend(Rule::everything());
        }
        rules
    }

    /// The rules of a role; `None` where there is no such role.
    #[must_use]
    pub fn role(&self, cluster: bool, namespace: &str, name: &str) -> Option<&[Rule]> {
        let rules = if cluster {
            self.cluster_roles.get(name)
        } else {
            self.roles.get(&(namespace.to_owned(), name.to_owned()))
        };
        rules.map(Vec::as_slice)
    }

    fn bound<'p>(
        &'p self,
        who: Who<'p>,
        namespace: &'p str,
    ) -> impl Iterator<Item = (&'p Binding, &'p Subject, &'p [Rule])> {
        let here = move |binding: &&Binding| {
            binding.namespace.is_empty() || binding.namespace == namespace
        };
        self.bindings
            .iter()
            .filter(here)
            .filter_map(move |binding| {
                let subject = binding.subjects.iter().find(|subject| subject.is(who))?;
                let rules = self.role(binding.cluster_role, &binding.namespace, &binding.role)?;
                Some((binding, subject, rules))
            })
    }
}

/// Whether a label selector takes these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let demands = selector
        .get("matchExpressions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    equal
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && demands.into_iter().all(|demand| {
            let label = demand
                .get("key")
                .and_then(Value::as_str)
                .and_then(|key| labels.get(key));
            let values = demand
                .get("values")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            match demand
                .get("operator")
                .and_then(Value::as_str)
                .unwrap_or_default()
            {
                "In" => label.is_some_and(|label| values.contains(label)),
                "NotIn" => label.is_none_or(|label| !values.contains(label)),
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(super) fn binding(namespace: &str, role: &str, subject: &Value) -> Value {
        let mut binding = json!({
            "kind": "RoleBinding", "metadata": {"name": format!("b-{role}"), "namespace": namespace},
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": role}, "subjects": [subject],
        });
        if namespace.is_empty() {
            binding["kind"] = json!("ClusterRoleBinding");
            binding["roleRef"]["kind"] = json!("ClusterRole");
        }
        binding
    }

    pub(super) fn role(namespace: &str, name: &str, rules: &Value) -> Value {
        let kind = if namespace.is_empty() {
            "ClusterRole"
        } else {
            "Role"
        };
        json!({"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules})
    }

    pub(super) fn user(name: &str) -> Value {
        json!({"kind": "User", "name": name})
    }

    pub(super) const fn of<'a>(
        verb: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> What<'a> {
        What::Resource {
            verb,
            group: "",
            resource,
            subresource: "",
            namespace,
            name,
        }
    }

    const JANE: Who<'_> = Who {
        name: "jane",
        groups: &[],
    };

    #[test]
    fn a_role_grants_its_verbs_in_its_namespace() {
        let objects = [
            role(
                "n",
                "r",
                &json!([{"apiGroups": [""], "resources": ["configmaps", "pods/log"], "verbs": ["get"]}]),
            ),
            binding("n", "r", &user("jane")),
        ];
        let policy = Policy::of(&objects);
        assert_eq!(
            policy
                .allows(JANE, of("get", "configmaps", "n", "a"))
                .as_deref(),
            Some("RBAC: allowed by RoleBinding \"b-r/n\" of Role \"r\" to User \"jane\"")
        );
        assert_eq!(policy.allows(JANE, of("list", "configmaps", "n", "")), None);
        assert_eq!(
            policy.allows(JANE, of("get", "configmaps", "other", "a")),
            None
        );
        let status = What::Resource {
            verb: "get",
            group: "",
            resource: "configmaps",
            subresource: "status",
            namespace: "n",
            name: "a",
        };
        assert_eq!(policy.allows(JANE, status), None);
        let log = What::Resource {
            verb: "get",
            group: "",
            resource: "pods",
            subresource: "log",
            namespace: "n",
            name: "a",
        };
        assert!(policy.allows(JANE, log).is_some());
        assert_eq!(
            policy.allows(
                Who {
                    name: "joe",
                    groups: &[]
                },
                of("get", "configmaps", "n", "a")
            ),
            None
        );
    }

    #[test]
    fn a_cluster_role_binding_opens_every_namespace() {
        let objects = [
            role(
                "",
                "r",
                &json!([
                    {"apiGroups": ["g"], "resources": ["*"], "verbs": ["list"]},
                    {"nonResourceURLs": ["/metrics/*"], "verbs": ["get"]},
                ]),
            ),
            binding("", "r", &json!({"kind": "Group", "name": "devs"})),
        ];
        let policy = Policy::of(&objects);
        let groups = ["devs".to_owned()];
        let who = Who {
            name: "jane",
            groups: &groups,
        };
        for namespace in ["", "n"] {
            let what = What::Resource {
                verb: "list",
                group: "g",
                resource: "things",
                subresource: "",
                namespace,
                name: "",
            };
            assert!(policy.allows(who, what).is_some());
            assert_eq!(policy.allows(JANE, what), None);
        }
        assert!(
            policy
                .allows(
                    who,
                    What::Path {
                        verb: "get",
                        path: "/metrics/x"
                    }
                )
                .is_some()
        );
        assert_eq!(
            policy.allows(
                who,
                What::Path {
                    verb: "get",
                    path: "/other"
                }
            ),
            None
        );
    }

    #[test]
    fn names_and_service_accounts_are_told_apart() {
        let objects = [
            role(
                "n",
                "r",
                &json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get", "list"]}]),
            ),
            binding("n", "r", &json!({"kind": "ServiceAccount", "name": "sa"})),
        ];
        let policy = Policy::of(&objects);
        let who = Who {
            name: "system:serviceaccount:n:sa",
            groups: &[],
        };
        assert!(policy.allows(who, of("get", "secrets", "n", "a")).is_some());
        assert_eq!(policy.allows(who, of("get", "secrets", "n", "b")), None);
        assert_eq!(policy.allows(who, of("list", "secrets", "n", "")), None);
    }

    #[test]
    fn aggregated_roles_gain_the_rules_of_the_labelled() {
        let mut part = role(
            "",
            "part",
            &json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]),
        );
        part["metadata"]["labels"] = json!({"to": "whole"});
        let mut whole = role("", "whole", &json!(null));
        whole["aggregationRule"] =
            json!({"clusterRoleSelectors": [{"matchLabels": {"to": "whole"}}]});
        let objects = [part, whole, binding("", "whole", &user("jane"))];
        assert!(
            Policy::of(&objects)
                .allows(JANE, of("get", "configmaps", "n", "a"))
                .is_some()
        );
    }

    #[test]
    fn refusals_are_worded_as_recorded() {
        let message = |what| refusal(JANE, what, "").message;
        assert_eq!(
            message(of("list", "configmaps", "n", "")),
            "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"n\""
        );
        let what = What::Resource {
            verb: "get",
            group: "apiextensions.k8s.io",
            resource: "customresourcedefinitions",
            subresource: "",
            namespace: "",
            name: "x.y",
        };
        assert_eq!(
            message(what),
            "customresourcedefinitions.apiextensions.k8s.io \"x.y\" is forbidden: User \"jane\" cannot get resource \"customresourcedefinitions\" in API group \"apiextensions.k8s.io\" at the cluster scope"
        );
        let token = What::Resource {
            verb: "create",
            group: "",
            resource: "serviceaccounts",
            subresource: "token",
            namespace: "n",
            name: "x",
        };
        assert_eq!(
            message(token),
            "serviceaccounts \"x\" is forbidden: User \"jane\" cannot create resource \"serviceaccounts/token\" in API group \"\" in the namespace \"n\""
        );
        let path = refusal(
            JANE,
            What::Path {
                verb: "get",
                path: "/nope",
            },
            ": access denied",
        );
        assert_eq!(
            path.message,
            "forbidden: User \"jane\" cannot get path \"/nope\": access denied"
        );
        assert_eq!(path.to_value()["details"], json!({}));
    }
}
