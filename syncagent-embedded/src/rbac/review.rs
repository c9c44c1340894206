//! Questions about access that are asked as objects: reviews are answered and never stored.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Rule, What, Who};
use crate::api::Resource;
use crate::builtin;
use crate::status::{Cause, Failure, quoted};

const GROUP: &str = "authorization.k8s.io";

/// What an authoriser says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// Why.
    pub reason: String,
}

impl From<Option<String>> for Decision {
    fn from(reason: Option<String>) -> Self {
        Self {
            allowed: reason.is_some(),
            reason: reason.unwrap_or_default(),
        }
    }
}

/// Answers `SelfSubjectAccessReview`, `SubjectAccessReview` and `LocalSubjectAccessReview`.
///
/// `review` is the decoded object; `who` asks, `namespace` is that of the URL; `decide` is the authoriser.
///
/// # Errors
///
/// 422 for a question that is none.
pub fn access(
    resource: &Resource,
    who: Who<'_>,
    namespace: &str,
    review: &Value,
    decide: impl FnOnce(Who<'_>, What<'_>) -> Decision,
) -> Result<Value, Failure> {
    let own = resource.kind == "SelfSubjectAccessReview";
    let local = resource.kind == "LocalSubjectAccessReview";
    let text = |pointer: &str| {
        review
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let groups: Vec<String> = review
        .pointer("/spec/groups")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|group| group.as_str().map(str::to_owned))
        .collect();
    let mut causes = questions(review);
    if !own && text("/spec/user").is_empty() && groups.is_empty() {
        causes.insert(
            0,
            Cause::invalid(
                "spec.user",
                &json!(""),
                "at least one of user or group must be specified",
            ),
        );
    }
    if local && text("/spec/resourceAttributes/namespace") != namespace {
        let given = json!(text("/spec/resourceAttributes/namespace"));
        causes.push(Cause::invalid(
            "spec.resourceAttributes.namespace",
            &given,
            "must match metadata.namespace",
        ));
    }
    if !causes.is_empty() {
        return Err(Failure::invalid(GROUP, "", "", causes));
    }
    let what = match review.pointer("/spec/nonResourceAttributes") {
        Some(_) => What::Path {
            verb: text("/spec/nonResourceAttributes/verb"),
            path: text("/spec/nonResourceAttributes/path"),
        },
        None => What::Resource {
            verb: text("/spec/resourceAttributes/verb"),
            group: text("/spec/resourceAttributes/group"),
            resource: text("/spec/resourceAttributes/resource"),
            subresource: text("/spec/resourceAttributes/subresource"),
            namespace: text("/spec/resourceAttributes/namespace"),
            name: text("/spec/resourceAttributes/name"),
        },
    };
    let about = if own {
        who
    } else {
        Who {
            name: text("/spec/user"),
            groups: &groups,
        }
    };
    let decision = decide(about, what);
    let mut answer = review.clone();
    answer["status"] = json!({"allowed": decision.allowed, "reason": decision.reason});
    answer["metadata"] = named(review, namespace);
    Ok(builtin::encode(resource, &answer))
}

fn named(review: &Value, namespace: &str) -> Value {
    let mut metadata = Map::new();
    if let Some(name) = review.pointer("/metadata/name") {
        metadata.insert("name".into(), name.clone());
    }
    if !namespace.is_empty() {
        metadata.insert("namespace".into(), json!(namespace));
    }
    Value::Object(metadata)
}

/// Exactly one question has to be asked.
fn questions(review: &Value) -> Vec<Cause> {
    let given = |key: &str| review["spec"].get(key).filter(|value| !value.is_null());
    match (given("resourceAttributes"), given("nonResourceAttributes")) {
        (None, None) => vec![Cause::new(
            "FieldValueInvalid",
            "spec.resourceAttributes",
            "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )],
        (Some(_), Some(path)) => {
            let text =
                |key: &str| quoted(path.get(key).and_then(Value::as_str).unwrap_or_default());
            vec![Cause::new(
                "FieldValueInvalid",
                "spec.nonResourceAttributes",
                format!(
                    "Invalid value: {{\"Path\":{},\"Verb\":{}}}: cannot be specified in combination with resourceAttributes",
                    text("path"),
                    text("verb")
                ),
            )]
        }
        _ => Vec::new(),
    }
}

/// Answers `SelfSubjectRulesReview`; `rules` are those of the asker in a namespace.
///
/// # Errors
///
/// 400 where no namespace is asked about.
pub fn rules(
    resource: &Resource,
    review: &Value,
    rules: impl FnOnce(&str) -> Vec<Rule>,
) -> Result<Value, Failure> {
    let namespace = review
        .pointer("/spec/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if namespace.is_empty() {
        return Err(Failure::bad_request("no namespace on request"));
    }
    let (urls, resources): (Vec<Rule>, Vec<Rule>) = rules(namespace)
        .into_iter()
        .partition(|rule| !rule.urls.is_empty());
    let values = |rules: &[Rule]| -> Vec<Value> { rules.iter().map(Rule::to_value).collect() };
    let status = json!({"resourceRules": values(&resources), "nonResourceRules": values(&urls), "incomplete": false});
    Ok(
        json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": {}, "spec": {}, "status": status}),
    )
}

/// Answers `SelfSubjectReview`: who the asker is. `now` is when it was asked.
#[must_use]
pub fn identity(
    resource: &Resource,
    who: Who<'_>,
    uid: &str,
    extra: &BTreeMap<String, Vec<String>>,
    now: &str,
) -> Value {
    let mut info = Map::from_iter([("username".to_owned(), json!(who.name))]);
    if !uid.is_empty() {
        info.insert("uid".into(), json!(uid));
    }
    if !who.groups.is_empty() {
        info.insert("groups".into(), json!(who.groups));
    }
    if !extra.is_empty() {
        info.insert("extra".into(), json!(extra));
    }
    json!({
        "kind": resource.kind, "apiVersion": resource.api_version(),
        "metadata": {"creationTimestamp": now}, "status": {"userInfo": info},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::kinds;

    fn ask(
        kind: &str,
        namespace: &str,
        spec: &Value,
        reason: Option<&str>,
    ) -> Result<Value, Failure> {
        let kinds = kinds::kubernetes();
        let resource = kinds
            .iter()
            .find(|resource| resource.kind == kind)
            .expect("it is served");
        let who = Who {
            name: "jane",
            groups: &[],
        };
        let review = builtin::decode(resource, &json!({"spec": spec}))?;
        access(resource, who, namespace, &review, |_, _| {
            reason.map(str::to_owned).into()
        })
    }

    #[test]
    fn answers_are_as_recorded() {
        let spec = json!({"resourceAttributes": {"namespace": "n", "verb": "get", "group": "g", "resource": "widgets"}});
        assert_eq!(
            ask("SelfSubjectAccessReview", "", &spec, Some("because")),
            Ok(json!({
                "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
                "spec": spec, "status": {"allowed": true, "reason": "because"},
            }))
        );
        let denied = ask("SelfSubjectAccessReview", "", &spec, None).expect("it is a question");
        assert_eq!(denied["status"], json!({"allowed": false}));
        let mut about = spec;
        about["user"] = json!("joe");
        let local = ask("LocalSubjectAccessReview", "n", &about, None).expect("it is a question");
        assert_eq!(local["metadata"], json!({"namespace": "n"}));
    }

    #[test]
    fn questions_that_are_none_are_refused_as_recorded() {
        let message = |kind: &str, spec: Value| {
            ask(kind, "", &spec, None)
                .expect_err("it is no question")
                .message
        };
        assert_eq!(
            message("SelfSubjectAccessReview", json!({})),
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        );
        assert_eq!(
            message(
                "SelfSubjectAccessReview",
                json!({"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/x", "verb": "get"}})
            ),
            ".authorization.k8s.io \"\" is invalid: spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: cannot be specified in combination with resourceAttributes"
        );
        assert_eq!(
            message(
                "SubjectAccessReview",
                json!({"resourceAttributes": {"verb": "get"}})
            ),
            ".authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or group must be specified"
        );
    }

    #[test]
    fn rules_are_told_by_namespace() {
        let kinds = kinds::kubernetes();
        let resource = kinds
            .iter()
            .find(|resource| resource.kind == "SelfSubjectRulesReview")
            .expect("it is served");
        let answer = rules(resource, &json!({"spec": {"namespace": "n"}}), |_| {
            Rule::everything().to_vec()
        })
        .expect("it is a question");
        assert_eq!(
            answer["status"],
            json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            })
        );
        let refused =
            rules(resource, &json!({"spec": {}}), |_| Vec::new()).expect_err("no namespace");
        assert_eq!(refused.message, "no namespace on request");
    }
}
