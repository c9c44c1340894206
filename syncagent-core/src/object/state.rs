//! What kcp's api-syncagent remembers of an object: its state Secrets.
//!
//! For each primary there is one Secret on the service cluster. Its name and the keys of its data are hashes of JSON as Go
//! encodes it; a value is the object as it was last brought over, without what servers write. The known values stand in
//! the tests below.
//!
//! A key does not tell the kind: a primary and a Secret of one name share it. The value does, so [`is_of`] is asked
//! before anything is believed.

use serde_json::{Map, Value, json};

use super::fingerprint::sha1_hex;
use super::identity::Identity;
use super::{api_version, sorted};
use crate::definition::Kind;
use crate::names;

/// What the label [`names::OBJECT_STATE`] says on a state Secret.
pub const MARKED: &str = "true";

/// The name of the state Secret of a primary, whose kind is the one that consumers see.
///
/// ```
/// use syncagent_core::definition::{Kind, Scope};
/// use syncagent_core::object::{identity::Identity, state};
///
/// let kind = Kind {
///     group: "kcp.example.com".into(),
///     version: "v1".into(),
///     kind: "CronTab".into(),
///     plural: "crontabs".into(),
///     scope: Scope::Namespaced,
/// };
/// let identity = Identity {
///     cluster: "testcluster".into(),
///     namespace: "default".into(),
///     name: "my-crontab".into(),
/// };
/// assert_eq!(state::secret_name(&kind, &identity), "obj-state-testcluster-3d62e88a9631d524a143");
/// ```
#[must_use]
pub fn secret_name(kind: &Kind, identity: &Identity) -> String {
    let what = go_json(&json!({
        "apiVersion": api_version(kind),
        "kind": kind.kind,
        "name": identity.name,
        "namespace": identity.namespace,
    }));
    let hash = sha1_hex(&format!("{what}\n"));
    format!("{PREFIX}{}-{}", identity.cluster, &hash[..SUFFIX])
}

const PREFIX: &str = "obj-state-";
const SUFFIX: usize = 20;

/// The logical cluster that the name of a state Secret tells.
#[must_use]
pub fn cluster_of(secret_name: &str) -> Option<&str> {
    let rest = secret_name.strip_prefix(PREFIX)?;
    let (cluster, hash) = rest.rsplit_once('-')?;
    (hash.len() == SUFFIX && !cluster.is_empty()).then_some(cluster)
}

/// The key of an object in the data of a state Secret. The cluster is empty for an object of the service cluster.
#[must_use]
pub fn data_key(cluster: &str, namespace: &str, name: &str) -> String {
    let text = |it: &str| go_json(&json!(it));
    // The order of the fields is part of the key.
    let what = format!(
        "{{\"ClusterName\":{},\"WorkspacePath\":\"\",\"Namespace\":{},\"Name\":{}}}\n",
        text(cluster),
        text(namespace),
        text(name)
    );
    sha1_hex(&what)
}

/// The labels of a state Secret.
#[must_use]
pub fn labels(identity: &Identity) -> Map<String, Value> {
    let mut labels = identity.links();
    labels.insert(names::OBJECT_STATE.into(), json!(MARKED));
    labels
}

/// Whether a consumer's label crosses to the other side.
#[must_use]
pub fn label_crosses(key: &str) -> bool {
    !names::LINK_LABELS.contains(&key) && !key.starts_with("claimed.internal.apis.kcp.io/")
}

/// Whether a consumer's annotation crosses to the other side.
#[must_use]
pub fn annotation_crosses(key: &str) -> bool {
    const OWN: &[&str] = &[
        "kcp.io/cluster",
        "kubectl.kubernetes.io/last-applied-configuration",
        names::NAME,
        names::NAMESPACE,
        names::PATH,
        names::DELETION,
    ];
    !OWN.contains(&key) && !key.starts_with(names::RELATED_PREFIX)
}

/// An object without what servers write, and with the labels and annotations that cross.
#[must_use]
pub fn stripped(object: &Value, with_status: bool) -> Value {
    const DROPPED: &[&str] = &[
        "creationTimestamp",
        "finalizers",
        "generation",
        "ownerReferences",
        "resourceVersion",
        "managedFields",
        "uid",
        "selfLink",
    ];
    let mut object = object.clone();
    let Some(map) = object.as_object_mut() else {
        return json!({});
    };
    if !with_status {
        map.remove("status");
    }
    let metadata = map.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|key, _| !DROPPED.contains(&key.as_str()));
        for part in ["labels", "annotations"] {
            if let Some(Value::Object(map)) = metadata.get_mut(part) {
                map.retain(|key, _| match part {
                    "labels" => label_crosses(key),
                    _ => annotation_crosses(key),
                });
            }
            let left = metadata.get(part).and_then(Value::as_object);
            if left.is_none_or(Map::is_empty) {
                metadata.remove(part);
            }
        }
    }
    object
}

/// A value of a state Secret, as text.
#[must_use]
pub fn encode(stripped: &Value) -> String {
    go_json(stripped)
}

/// Reads a value of a state Secret; `None` when it is no object.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    value.is_object().then_some(value)
}

/// Whether a value is of an object of this kind, of whatever version.
#[must_use]
pub fn is_of(value: &Value, kind: &Kind) -> bool {
    let version = value["apiVersion"].as_str().unwrap_or_default();
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    value["kind"] == kind.kind.as_str() && group == kind.group
}

/// JSON as Go's `encoding/json` writes a map: no spaces, sorted keys, and no character that HTML knows.
fn go_json(value: &Value) -> String {
    let mut out = Go(String::new());
    sorted::write(value, false, &mut out);
    out.0
}

struct Go(String);

impl sorted::Spelling for Go {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        for c in Value::from(text).to_string().chars() {
            match c {
                '<' => self.0.push_str("\\u003c"),
                '>' => self.0.push_str("\\u003e"),
                '&' => self.0.push_str("\\u0026"),
                '\u{2028}' => self.0.push_str("\\u2028"),
                '\u{2029}' => self.0.push_str("\\u2029"),
                c => self.0.push(c),
            }
        }
    }

    fn plain(&mut self, leaf: &Value) {
        self.0.push_str(&leaf.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Scope;

    fn kind(group: &str, version: &str, kind: &str, scope: Scope) -> Kind {
        Kind {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: format!("{}s", kind.to_lowercase()),
            scope,
        }
    }

    #[test]
    fn names_and_keys_are_those_of_the_go_agent() {
        let key = |cluster, namespace, name| data_key(cluster, namespace, name);
        assert_eq!(
            key("testcluster", "default", "my-crontab"),
            "ba6b92e7ed17509603b449355d5d4cbce3e526c0"
        );
        assert_eq!(
            key("testcluster", "", "my-test-thing"),
            "a16ba5bed9c69c6ab2bd4e6d9b41b501ba9e5f56"
        );
        assert_eq!(
            key("", "synced-default", "my-credentials"),
            "d51d53c4dd32d5b82de4a926cf9a9d09161fb7d9"
        );
        let thing = kind(
            "remote.example.corp",
            "v1alpha1",
            "RemoteThing",
            Scope::Cluster,
        );
        let identity = Identity {
            cluster: "testcluster".into(),
            namespace: String::new(),
            name: "my-test-thing".into(),
        };
        let name = secret_name(&thing, &identity);
        assert_eq!(name, "obj-state-testcluster-3d0c059b55bd46ca57a3");
        assert_eq!(cluster_of(&name), Some("testcluster"));
        assert_eq!(cluster_of("obj-state-testcluster"), None);
        assert_eq!(
            sha1_hex("my-test-thing"),
            "c346c8ceb5d104cc783d09b95e8ea7032c190948"
        );
    }

    #[test]
    fn a_value_is_the_object_without_what_servers_write() {
        let object = json!({
            "kind": "RemoteThing",
            "apiVersion": "remote.example.corp/v1alpha1",
            "metadata": {
                "uid": "u", "resourceVersion": "7", "generation": 1, "name": "my-test-thing",
                "finalizers": ["syncagent.kcp.io/cleanup"], "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"kcp.io/cluster": "testcluster",
                    "related-resources.syncagent.kcp.io/creds.0": "{}"},
            },
            "spec": {"username": "Colonel Mustard", "kink": ""},
            "status": {"phase": "ready"},
        });
        assert_eq!(
            encode(&stripped(&object, false)),
            r#"{"apiVersion":"remote.example.corp/v1alpha1","kind":"RemoteThing","metadata":{"name":"my-test-thing"},"spec":{"kink":"","username":"Colonel Mustard"}}"#
        );
        assert_eq!(stripped(&object, true)["status"]["phase"], "ready");
    }

    #[test]
    fn what_go_escapes_is_escaped_and_read_again() {
        let value = json!({"b": "<a> & 'b'\n", "a": [1, null, true, 1.5]});
        let text = encode(&value);
        assert_eq!(
            text,
            r#"{"a":[1,null,true,1.5],"b":"\u003ca\u003e \u0026 'b'\n"}"#
        );
        assert_eq!(decode(text.as_bytes()), Some(value));
    }

    #[test]
    fn what_is_no_object_is_no_state() {
        for bytes in [&b""[..], b"{", b"[]", b"null", b"\"text\"", b"\xff\xfe"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        let secret = kind("", "v1", "Secret", Scope::Namespaced);
        let value = json!({"apiVersion": "v1", "kind": "Secret"});
        assert!(is_of(&value, &secret));
        assert!(!is_of(
            &json!({"apiVersion": "example.io/v1", "kind": "Secret"}),
            &secret
        ));
        assert!(is_of(
            &json!({"apiVersion": "example.io/v1alpha1", "kind": "Thing"}),
            &kind("example.io", "v1", "Thing", Scope::Namespaced)
        ));
    }

    #[test]
    fn only_what_the_consumer_wrote_crosses() {
        for key in [
            names::CLUSTER,
            names::NAME_HASH,
            names::NAMESPACE_HASH,
            "claimed.internal.apis.kcp.io/x",
        ] {
            assert!(!label_crosses(key), "{key}");
        }
        assert!(label_crosses("team.kcp.io/x") && label_crosses("app"));
        assert!(!annotation_crosses("kcp.io/cluster") && annotation_crosses("kcp.io/path"));
        assert!(!annotation_crosses(
            "related-resources.syncagent.kcp.io/a.0"
        ));
    }
}
