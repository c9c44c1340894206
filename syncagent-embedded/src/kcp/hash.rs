//! The names that kcp computes.
//!
//! Claim labels, export labels and the suffixes of default bindings are `base62(sha224(text))`: the digest as one big
//! number, in the digits `0-9a-zA-Z`, without padding. Clients never compute them, but they see them on every object.

use serde_json::Value;
use sha2::{Digest, Sha224, Sha256};

/// The prefix of the labels that mark claimed objects.
pub(super) const CLAIMED: &str = "claimed.internal.apis.kcp.io/";
/// The label that says which export a binding binds.
pub(super) const EXPORT: &str = "internal.apis.kcp.io/export";
/// The value of the claim label that every binding carries for its own export.
pub(super) const OWN_BINDING: &str = "LstvmbbzVDDOn90ZbhzSQO5U3DMCf88h1pZ";

/// `base62(sha224(text))`.
#[must_use]
pub(super) fn base62(text: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    digits(&Sha224::digest(text), DIGITS)
}

/// The whole digest in base 36, as kcp names shards.
#[must_use]
pub(super) fn base36(text: &str) -> String {
    digits(
        &Sha224::digest(text),
        b"0123456789abcdefghijklmnopqrstuvwxyz",
    )
}

/// The number that the bytes are, in the given digits.
fn digits(bytes: &[u8], alphabet: &[u8]) -> String {
    let base = alphabet.len() as u32;
    let mut number: Vec<u8> = bytes.to_vec();
    let mut out = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            // The quotient fits a byte, since the rest is smaller than the base.
            *byte = (value / base) as u8;
            rest = value % base;
        }
        out.push(alphabet[rest as usize]);
    }
    out.reverse();
    String::from_utf8(out).unwrap_or_default()
}

/// The hash of an export, as in labels.
#[must_use]
pub(super) fn export(cluster: &str, name: &str) -> String {
    base62(&format!("{cluster}:{name}"))
}

/// The value of a claim's label: its group, resource and identity count, its verbs and selector do not.
#[must_use]
pub(super) fn claim(claim: &Value) -> String {
    let text = |key: &str| claim[key].as_str().unwrap_or_default();
    let member = |key: &str| match text(key) {
        "" => String::new(),
        value => format!("\"{key}\":{},", Value::from(value)),
    };
    let identity = match text("identityHash") {
        "" => String::new(),
        hash => format!(",\"identityHash\":{}", Value::from(hash)),
    };
    let resource = Value::from(text("resource"));
    base62(&format!(
        "{{{}\"resource\":{resource},\"verbs\":null{identity}}}",
        member("group")
    ))
}

/// The identity hash of a key.
#[must_use]
pub(super) fn identity(key: &[u8]) -> String {
    Sha256::digest(key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The annotation value of the shard that holds a workspace.
#[must_use]
pub(super) fn shard(name: &str) -> String {
    base36(name).chars().take(8).collect()
}

/// The name of a default binding in a workspace.
#[must_use]
pub(super) fn default_binding(cluster: &str, path: &str, export: &str) -> String {
    let suffix = base62(&format!("{cluster}|{path}|{export}")).to_lowercase();
    format!("{export}-{}", suffix.chars().take(5).collect::<String>())
}

/// The name of a logical cluster: 16 characters.
#[must_use]
pub(super) fn cluster(seed: &str) -> String {
    base36(seed).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn digests_in_base_62_are_those_of_kcp() {
        assert_eq!(base62("hello"), "bPWFAjMdldrWYheSsV0t7VkdTNtgGHBplr6qLF");
        assert_eq!(
            export("root", "widgets.example.io"),
            "4o7BgXDVSw9Z0bNGI5KvI2webNkICO2gMjsFfu"
        );
        assert_eq!(
            export("root", "tenancy.kcp.io"),
            "bmCdly9xXiUpEHe3ypvDwvXMTfoVZUE92mqAQf"
        );
        assert_eq!(
            export("root", "topology.kcp.io"),
            "7QHLqjz8KlhjPddt8MECYq0OLDUNvLAO5v9x4x"
        );
    }

    #[test]
    fn claims_are_hashed_without_verbs_and_selector() {
        let secrets = json!({"group": "", "resource": "secrets", "verbs": ["*"], "selector": {"matchAll": true}});
        assert_eq!(claim(&secrets), "ctwrJRvMX7cX8wwk40Lz00UjJhYxPWE3TpN1lu");
        assert_eq!(
            claim(&json!({"resource": "configmaps"})),
            "3QVjs6pfBjMpLEVYYhysJnroYGsQGlWm05E4qe"
        );
        let things = json!({"group": "example.io", "resource": "things", "identityHash": "abc"});
        assert_eq!(claim(&things), "KWfK3rSAGaLBJbNaxCsFp6DK0N6FGHqthK4mw");
    }

    #[test]
    fn the_shard_root_has_the_hash_of_kcp() {
        assert_eq!(shard("root"), "1pfxsevk");
    }

    #[test]
    fn identities_are_hashes_of_keys() {
        let key = b"0123456789012345678901234567890123456789012";
        assert_eq!(
            identity(key),
            "fd1a5f1eac3ca40648a26cd5504eec8d198748ce78dd655d0b8a3e29ce3fdc2d"
        );
    }
}
