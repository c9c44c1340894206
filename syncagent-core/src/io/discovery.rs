//! Does the service cluster serve the kind, and with which schema?
//!
//! A CRD tells both. A kind of an aggregated API, or of the server itself, is known from discovery alone; so is a kind
//! whose CRD the agent may not read.

use serde_json::Value;

use super::clients::Server;
use crate::definition::Kind;
use crate::error::Error;

/// Where CRDs are.
pub(crate) const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Whether there can be a CRD of this group: kube-apiserver takes none whose group has no dot.
pub(crate) fn has_crds(group: &str) -> bool {
    group.contains('.')
}

/// What is known about a kind on the service cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There is a CRD for it, and it is in force.
    Crd(Value),
    /// It is served, and shows no CRD.
    Bare,
    /// It is not served.
    Missing,
}

impl Found {
    /// What a CRD says: one that is not in force yet, or goes away, serves nothing.
    #[must_use]
    pub fn of(crd: Value) -> Self {
        let conditions = crd["status"]["conditions"].as_array();
        let denied = conditions
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Established" && it["status"] == "False");
        if denied || crate::object::is_deleting(&crd) {
            Self::Missing
        } else {
            Self::Crd(crd)
        }
    }

    /// Whether it says the same for a publication. Of a CRD only its uid and its spec matter.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Crd(one), Self::Crd(two)) => {
                crate::object::uid(one) == crate::object::uid(two) && one["spec"] == two["spec"]
            }
            (one, two) => one == two,
        }
    }
}

/// Looks a kind up.
///
/// # Errors
///
/// When the server does not answer, or answers what says nothing about the kind.
pub async fn find(service: &Server, kind: &Kind) -> Result<Found, Error> {
    if has_crds(&kind.group) {
        let path = format!("{CRDS}/{}.{}", kind.plural, kind.group);
        let reply = service.get(&path).await?;
        match reply.code {
            200 => return Ok(Found::of(reply.body)),
            403 | 404 => {}
            _ => return Err(service.refused(&format!("GET {path}"), &reply)),
        }
    }
    let path = match kind.group.as_str() {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    let reply = service.get(&path).await?;
    match reply.code {
        200 => {
            let mut resources = reply.body["resources"].as_array().into_iter().flatten();
            let served = resources
                .any(|r| r["name"] == kind.plural.as_str() && r["kind"] == kind.kind.as_str());
            Ok(if served { Found::Bare } else { Found::Missing })
        }
        404 => Ok(Found::Missing),
        _ => Err(service.refused(&format!("GET {path}"), &reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_kinds_of_a_group_without_a_dot_have_no_crd() {
        for group in ["", "apps"] {
            assert!(!has_crds(group), "no CRD can be in {group:?}");
        }
        assert!(has_crds("example.io"));
    }
}
