//! Acting as somebody else, by `Impersonate-` headers.
//!
//! Each part of the borrowed identity is a right of its own: `impersonate` on users, service accounts, groups, uids and
//! user extras, by name.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::What;
use crate::status::{Failure, quoted};

const AUTHENTICATION: &str = "authentication.k8s.io";

/// An identity to borrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impersonation {
    /// The user name.
    pub name: String,
    /// The uid; empty for none.
    pub uid: String,
    /// The groups that were asked for.
    pub groups: Vec<String>,
    /// Further claims.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Impersonation {
    /// Reads the headers of a request; `None` where there are none.
    ///
    /// # Errors
    ///
    /// 400 for anything but a name without a name.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let all = |name: &str| -> Vec<String> {
            headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect()
        };
        let one = |name: &str| all(name).into_iter().next().unwrap_or_default();
        let mut asked = Self {
            name: one("impersonate-user"),
            uid: one("impersonate-uid"),
            groups: all("impersonate-group"),
            extra: BTreeMap::new(),
        };
        for key in headers.keys() {
            if let Some(extra) = key.as_str().strip_prefix("impersonate-extra-") {
                asked.extra.insert(unescape(extra), all(key.as_str()));
            }
        }
        if asked == Self::default() {
            return Ok(None);
        }
        if asked.name.is_empty() {
            return Err(Failure::bad_request(format!(
                "requested {} without impersonating a user name",
                asked.in_go()
            )));
        }
        Ok(Some(asked))
    }

    /// Checks each part with `may`.
    ///
    /// # Errors
    ///
    /// The first refusal.
    pub fn check(
        &self,
        mut may: impl FnMut(What<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut ask =
            |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
                may(What::Resource {
                    verb: "impersonate",
                    group,
                    resource,
                    subresource,
                    namespace,
                    name,
                })
            };
        match self.account() {
            Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name)?,
            None => ask("", "users", "", "", &self.name)?,
        }
        for group in &self.groups {
            ask("", "groups", "", "", group)?;
        }
        for (key, values) in &self.extra {
            for value in values {
                ask(AUTHENTICATION, "userextras", key, "", value)?;
            }
        }
        if !self.uid.is_empty() {
            ask(AUTHENTICATION, "uids", "", "", &self.uid)?;
        }
        Ok(())
    }

    /// The groups of the borrowed identity: those asked for, or those of a service account, and that of everybody.
    #[must_use]
    pub fn all_groups(&self) -> Vec<String> {
        let mut groups = match self.account() {
            Some((namespace, _)) if self.groups.is_empty() => {
                vec![
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{namespace}"),
                ]
            }
            _ => self.groups.clone(),
        };
        let common = if self.name == "system:anonymous" {
            "system:unauthenticated"
        } else {
            "system:authenticated"
        };
        if !groups
            .iter()
            .any(|group| group == "system:authenticated" || group == "system:unauthenticated")
        {
            groups.push(common.to_owned());
        }
        groups
    }

    fn account(&self) -> Option<(&str, &str)> {
        self.name
            .strip_prefix("system:serviceaccount:")
            .and_then(|rest| rest.split_once(':'))
    }

    /// As Go's `%#v` shows it.
    fn in_go(&self) -> String {
        let words = |words: &[String]| {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("[]string{{{}}}", words.join(", "))
        };
        let groups = if self.groups.is_empty() {
            "[]string(nil)".to_owned()
        } else {
            words(&self.groups)
        };
        let extra = if self.extra.is_empty() {
            "map[string][]string(nil)".to_owned()
        } else {
            let extra: Vec<String> = self
                .extra
                .iter()
                .map(|(key, values)| format!("{}:{}", quoted(key), words(values)))
                .collect();
            format!("map[string][]string{{{}}}", extra.join(", "))
        };
        format!(
            "&user.DefaultInfo{{Name:\"\", UID:{}, Groups:{groups}, Extra:{extra}}}",
            quoted(&self.uid)
        )
    }
}

/// Keys of extras are percent-encoded in header names.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 3;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn each_part_is_a_right_of_its_own() {
        let headers = headers(&[
            ("impersonate-user", "bob"),
            ("impersonate-group", "devs"),
            ("impersonate-uid", "u1"),
            ("impersonate-extra-scopes", "a"),
        ]);
        let asked = Impersonation::of(&headers)
            .expect("it is complete")
            .expect("there are headers");
        let mut parts = Vec::new();
        let asked_for = asked.check(|what| {
            if let What::Resource {
                resource,
                subresource,
                name,
                ..
            } = what
            {
                parts.push(format!("{resource}/{subresource} {name}"));
            }
            Ok(())
        });
        assert_eq!(asked_for, Ok(()));
        assert_eq!(
            parts,
            [
                "users/ bob",
                "groups/ devs",
                "userextras/scopes a",
                "uids/ u1"
            ]
        );
        assert_eq!(asked.all_groups(), ["devs", "system:authenticated"]);
    }

    #[test]
    fn service_accounts_come_with_their_groups() {
        let headers = headers(&[("impersonate-user", "system:serviceaccount:n:sa")]);
        let asked = Impersonation::of(&headers)
            .expect("it is complete")
            .expect("there are headers");
        assert_eq!(
            asked.all_groups(),
            [
                "system:serviceaccounts",
                "system:serviceaccounts:n",
                "system:authenticated"
            ]
        );
    }

    #[test]
    fn a_group_needs_a_name_to_go_with() {
        let refused = Impersonation::of(&headers(&[("impersonate-group", "g")]))
            .expect_err("there is no name");
        assert_eq!(
            refused.message,
            "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"g\"}, Extra:map[string][]string(nil)} without impersonating a user name"
        );
        assert_eq!(Impersonation::of(&HeaderMap::new()), Ok(None));
    }
}
