//! Kinds that are answered and never stored: access reviews, and tokens of service accounts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::clock::rfc3339;
use crate::plane::User;
use crate::rbac::{Who, review};
use crate::status::{Cause, Failure};
use crate::{builtin, decode};

impl Call {
    /// POST of a review.
    pub(super) fn review(self) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        let mut asked = self.sent(&resource.kind, false)?;
        decode::check_type(&mut asked, &resource.api_version(), &resource.kind, true)?;
        let asked = builtin::decode(resource, &asked)?;
        let who = Who {
            name: &self.user.name,
            groups: &self.user.groups,
        };
        let policy = self.core.plane.policy(&self.core, &self.place);
        let answer = match resource.kind.as_str() {
            "SelfSubjectReview" => {
                let extra: BTreeMap<String, Vec<String>> =
                    self.user.extra.iter().cloned().collect();
                review::identity(resource, who, &self.user.uid, &extra, &self.core.now())
            }
            "SelfSubjectRulesReview" => {
                review::rules(resource, &asked, |namespace| policy.rules(who, namespace))?
            }
            _ => review::access(
                resource,
                who,
                &self.target.namespace,
                &asked,
                |who, what| self.core.plane.decide(&self.core, &self.place, who, what),
            )?,
        };
        Ok(Answer::value(201, answer))
    }

    /// POST of a subresource: only `serviceaccounts/token` takes one.
    pub(super) fn create_below(self) -> Result<Answer, Failure> {
        let resource = &self.served.resource;
        if !self.served.built_in()
            || resource.plural != "serviceaccounts"
            || self.target.subresource != "token"
        {
            return Err(Failure::verb_not_supported(
                &resource.group,
                &resource.plural,
                "create",
            ));
        }
        let name = &self.target.name;
        let account = self
            .core
            .read(&self.key(name))
            .ok_or_else(|| self.not_found(name))?;
        let request = self.sent("TokenRequest", false)?;
        let seconds = request
            .pointer("/spec/expirationSeconds")
            .and_then(Value::as_i64)
            .unwrap_or(3600);
        if seconds < 600 {
            let why = "may not specify a duration less than 10 minutes";
            let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), why);
            return Err(Failure::invalid(
                "authentication.k8s.io",
                "TokenRequest",
                "",
                vec![cause],
            ));
        }
        let namespace = &self.target.namespace;
        let mut user = User::named(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &[
                "system:serviceaccounts",
                &format!("system:serviceaccounts:{namespace}"),
            ],
        );
        user.uid = account.uid().to_owned();
        let token = self.core.add_user(user);
        let now = self.core.clock.now();
        let expires = now
            .checked_add(jiff::SignedDuration::from_secs(seconds))
            .unwrap_or(now);
        let audiences = request
            .pointer("/spec/audiences")
            .cloned()
            .unwrap_or(json!([]));
        Ok(Answer::value(
            201,
            json!({
                "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"name": name, "namespace": namespace, "creationTimestamp": rfc3339(now)},
                "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": null},
                "status": {"token": token, "expirationTimestamp": rfc3339(expires)},
            }),
        ))
    }
}
