//! What the Go agent brought over last, as a state Secret tells: leaves and hashes, never values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keep::Leaves;
use crate::definition::Kind;
use crate::object::identity::Identity;
use crate::object::{meta, state};
use crate::related::unbase64;

/// What a state Secret tells, without any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    told: BTreeMap<String, Option<Told>>,
}

/// What it tells of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    api_version: String,
    kind: String,
    leaves: Leaves,
}

/// What is told of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// Nothing: there is no such key, or it is another object's.
    None,
    /// There is something that nobody can read.
    Garbled,
    /// This was brought over last.
    Said(&'a Leaves),
}

impl Stated {
    /// Reads a state Secret. What cannot be read is remembered as such.
    #[must_use]
    pub fn read(secret: &Value) -> Self {
        let cluster = state::cluster_of(meta(secret, "name")).unwrap_or_default();
        let data = secret["data"].as_object().into_iter().flatten();
        let told = data.map(|(key, value)| {
            let bytes = value.as_str().and_then(unbase64);
            let value = bytes.and_then(|it| state::decode(&it));
            (key.clone(), value.and_then(|it| tell(cluster, key, &it)))
        });
        Self {
            told: told.collect(),
        }
    }

    /// What is told of an object of this kind; the cluster of the identity is empty for one of the service cluster.
    pub(super) fn of(&self, identity: &Identity, kind: &Kind) -> Word<'_> {
        let key = state::data_key(&identity.cluster, &identity.namespace, &identity.name);
        match self.told.get(&key) {
            None => Word::None,
            Some(None) => Word::Garbled,
            Some(Some(told)) => {
                let group = told.api_version.rsplit_once('/').map_or("", |it| it.0);
                // Two kinds may share a key; then the other one wrote last.
                if told.kind == kind.kind && group == kind.group {
                    Word::Said(&told.leaves)
                } else {
                    Word::None
                }
            }
        }
    }
}

/// What a value tells, when it stands under its own key.
fn tell(cluster: &str, key: &str, value: &Value) -> Option<Told> {
    let (namespace, name) = (meta(value, "namespace"), meta(value, "name"));
    let owner = [cluster, ""]
        .into_iter()
        .find(|cluster| state::data_key(cluster, namespace, name) == key)?;
    let identity = Identity {
        cluster: owner.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    Some(Told {
        api_version: text("apiVersion"),
        kind: text("kind"),
        leaves: Leaves::of_content(value, &salt_of(&identity)),
    })
}

/// What salts the hashes of an object.
pub(super) fn salt_of(identity: &Identity) -> String {
    let Identity {
        cluster,
        namespace,
        name,
    } = identity;
    format!("{cluster}/{namespace}/{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::Scope;
    use crate::related::base64;

    fn kind(group: &str, kind: &str) -> Kind {
        Kind {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            plural: String::new(),
            scope: Scope::Namespaced,
        }
    }

    fn of(cluster: &str, name: &str) -> Identity {
        Identity {
            cluster: cluster.into(),
            namespace: "default".into(),
            name: name.into(),
        }
    }

    fn secret(values: &[(&Identity, &str)]) -> Value {
        let data = values.iter().map(|(it, value)| {
            let key = state::data_key(&it.cluster, &it.namespace, &it.name);
            (key, json!(base64(value.as_bytes())))
        });
        let data: serde_json::Map<String, Value> = data.collect();
        json!({"metadata": {"name": "obj-state-1abc-0123456789abcdef0123"}, "data": data})
    }

    #[test]
    fn each_object_is_told_of_by_itself_and_nothing_is_kept_in_plain() {
        let (order, password) = (of("1abc", "a"), of("", "pw"));
        let thing = r#"{"apiVersion":"example.io/v1","kind":"Thing","metadata":{"name":"a","namespace":"default"},"spec":{"size":1}}"#;
        let pw = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pw","namespace":"default"},"data":{"password":"hunter2"}}"#;
        let stated = Stated::read(&secret(&[(&order, thing), (&password, pw)]));
        assert!(!format!("{stated:?}").contains("hunter2"));
        let wanted = Leaves::of(&json!({"spec": {"size": 1}}), "1abc/default/a");
        assert_eq!(
            stated.of(&order, &kind("example.io", "Thing")),
            Word::Said(&wanted)
        );
        // A version may change, a group may not.
        assert_eq!(stated.of(&order, &kind("other.io", "Thing")), Word::None);
        assert!(matches!(
            stated.of(&password, &kind("", "Secret")),
            Word::Said(_)
        ));
        assert_eq!(
            stated.of(&of("1abc", "pw"), &kind("", "Secret")),
            Word::None
        );
    }

    #[test]
    fn a_key_that_two_kinds_share_is_the_last_writers() {
        let order = of("1abc", "a");
        let value =
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"default"}}"#;
        let stated = Stated::read(&secret(&[(&order, value)]));
        assert_eq!(stated.of(&order, &kind("example.io", "Thing")), Word::None);
        assert!(matches!(
            stated.of(&order, &kind("", "Secret")),
            Word::Said(_)
        ));
    }

    #[test]
    fn what_is_garbled_or_stands_under_a_strange_key_is_not_believed() {
        let order = of("1abc", "a");
        let other = r#"{"apiVersion":"example.io/v1","kind":"Thing","metadata":{"name":"b","namespace":"default"},"spec":{}}"#;
        for value in ["", "{", "[]", other] {
            let stated = Stated::read(&secret(&[(&order, value)]));
            assert_eq!(
                stated.of(&order, &kind("example.io", "Thing")),
                Word::Garbled,
                "{value}"
            );
        }
        let mut broken = secret(&[(&order, "{}")]);
        let key = state::data_key("1abc", "default", "a");
        broken["data"][key.as_str()] = json!("not base64!");
        let stated = Stated::read(&broken);
        assert_eq!(
            stated.of(&order, &kind("example.io", "Thing")),
            Word::Garbled
        );
        assert_eq!(Stated::read(&json!({})), Stated::default());
    }
}
