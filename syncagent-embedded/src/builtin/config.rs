//! ConfigMaps and Secrets: keys, types with required keys, and what `immutable` forbids.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Write, text};
use crate::status::Cause;

const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const MOST: usize = 1024 * 1024;
const FROZEN: &str = "field is immutable when `immutable` is set";

/// Merges `stringData` over `data`, and gives a Secret without type the plain one.
pub(super) fn default_secret(secret: &mut Value) {
    let Some(members) = secret.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(plain)) = members.remove("stringData")
        && !plain.is_empty()
    {
        let data = members.entry("data").or_insert_with(|| json!({}));
        if let Some(data) = data.as_object_mut() {
            for (key, value) in plain {
                data.insert(
                    key,
                    json!(STANDARD.encode(value.as_str().unwrap_or_default())),
                );
            }
        }
    }
    if members
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        members.insert("type".into(), json!("Opaque"));
    }
}

/// An update that says no type keeps the one that is stored.
pub(super) fn prepare_secret(write: Write<'_>, secret: &mut Value) {
    if let Some(old) = write.old
        && text(secret, "/type").is_empty()
    {
        secret["type"] = json!(text(old, "/type"));
    }
}

pub(super) fn validate_config_map(old: Option<&Value>, map: &Value) -> Vec<Cause> {
    let mut causes = frozen(old, map, &["data", "binaryData"]);
    let (data, binary) = (members(map, "data"), members(map, "binaryData"));
    for key in data.keys() {
        causes.extend(key_problems("data", key));
        if binary.contains_key(key) {
            causes.push(Cause::invalid(
                format!("data[{key}]"),
                &json!(key),
                "duplicate of key present in binaryData",
            ));
        }
    }
    for key in binary.keys() {
        causes.extend(key_problems("binaryData", key));
    }
    if size(&data, false) + size(&binary, true) > MOST {
        causes.push(Cause::too_long(
            "",
            &format!("may not be more than {MOST} bytes"),
        ));
    }
    causes
}

pub(super) fn validate_secret(old: Option<&Value>, secret: &Value) -> Vec<Cause> {
    let (data, kind) = (members(secret, "data"), text(secret, "/type"));
    // What an update may not do comes first.
    let mut causes = Vec::new();
    if let Some(old) = old
        && text(old, "/type") != kind
    {
        causes.push(Cause::invalid("type", &json!(kind), "field is immutable"));
    }
    causes.extend(frozen(old, secret, &["data"]));
    causes.extend(data.keys().flat_map(|key| key_problems("data", key)));
    if size(&data, true) > MOST {
        causes.push(Cause::too_long(
            "data",
            &format!("may not be more than {MOST} bytes"),
        ));
    }
    causes.extend(required_keys(secret, &data));
    causes
}

/// What a Secret of a well-known type lacks.
fn required_keys(secret: &Value, data: &Map<String, Value>) -> Vec<Cause> {
    let missing = |key: &str| Cause::required(format!("data[{key}]"), "");
    let absent = |key: &&str| !data.contains_key(*key);
    match text(secret, "/type") {
        "kubernetes.io/basic-auth" if ["username", "password"].iter().all(&absent) => {
            ["username", "password"].map(missing).to_vec()
        }
        "kubernetes.io/ssh-auth" if text(secret, "/data/ssh-privatekey").is_empty() => {
            vec![missing("ssh-privatekey")]
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"]
            .into_iter()
            .filter(absent)
            .map(missing)
            .collect(),
        "kubernetes.io/dockerconfigjson" => docker_config(data, ".dockerconfigjson")
            .into_iter()
            .collect(),
        "kubernetes.io/dockercfg" => docker_config(data, ".dockercfg").into_iter().collect(),
        "kubernetes.io/service-account-token" => {
            let account = secret
                .pointer("/metadata/annotations/kubernetes.io~1service-account.name")
                .and_then(Value::as_str);
            let named = !account.unwrap_or_default().is_empty();
            let required = Cause::required(
                "metadata.annotations[kubernetes.io/service-account.name]",
                "",
            );
            if named { Vec::new() } else { vec![required] }
        }
        _ => Vec::new(),
    }
}

/// A certificate that cannot be one is accepted with a warning.
pub(super) fn secret_warnings(secret: &Value) -> Vec<String> {
    let certificate = text(secret, "/data/tls.crt");
    let pem = STANDARD
        .decode(certificate)
        .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("-----BEGIN CERTIFICATE"));
    if text(secret, "/type") == "kubernetes.io/tls" && !pem {
        vec!["tls: failed to find any PEM data in certificate input".to_owned()]
    } else {
        Vec::new()
    }
}

fn members(object: &Value, key: &str) -> Map<String, Value> {
    object
        .get(key)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn size(members: &Map<String, Value>, base64: bool) -> usize {
    let length = |value: &Value| {
        value.as_str().map_or(0, |text| {
            if base64 {
                text.len() / 4 * 3
            } else {
                text.len()
            }
        })
    };
    members.values().map(length).sum()
}

fn key_problems(field: &str, key: &str) -> Vec<Cause> {
    let mut problems = Vec::new();
    if key.len() > 253 {
        problems.push("must be no more than 253 characters".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(plain) {
        problems.push(KEY.to_owned());
    }
    match key {
        "." | ".." => problems.push(format!("must not be '{key}'")),
        _ if key.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
        .iter()
        .map(|problem| Cause::invalid(format!("{field}[{key}]"), &json!(key), problem))
        .collect()
}

fn docker_config(data: &Map<String, Value>, key: &str) -> Option<Cause> {
    let field = format!("data[{key}]");
    let Some(encoded) = data.get(key).and_then(Value::as_str) else {
        return Some(Cause::required(field, ""));
    };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    serde_json::from_str::<Value>(&text).is_err().then(|| {
        Cause::invalid(
            field,
            &json!("<secret contents redacted>"),
            &syntax_error(&text),
        )
    })
}

/// What Go's JSON parser says about the start of a text that is not JSON.
fn syntax_error(text: &str) -> String {
    const LITERALS: [&str; 3] = ["null", "true", "false"];
    let text = text.trim_start();
    let Some(first) = text.chars().next() else {
        return "unexpected end of JSON input".to_owned();
    };
    let Some(literal) = LITERALS
        .into_iter()
        .find(|literal| literal.starts_with(first))
    else {
        return match first {
            '{' | '[' | '"' | '-' | '0'..='9' => "unexpected end of JSON input".to_owned(),
            _ => format!("invalid character '{first}' looking for beginning of value"),
        };
    };
    for (met, expected) in text.chars().zip(literal.chars()) {
        if met != expected {
            return format!(
                "invalid character '{met}' in literal {literal} (expecting '{expected}')"
            );
        }
    }
    match text.chars().nth(literal.len()) {
        None => "unexpected end of JSON input".to_owned(),
        Some(next) => format!("invalid character '{next}' after top-level value"),
    }
}

/// What an update of an object that was frozen may not change.
fn frozen(old: Option<&Value>, new: &Value, fields: &[&str]) -> Vec<Cause> {
    let Some(old) = old.filter(|old| old["immutable"] == json!(true)) else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    if new["immutable"] != json!(true) {
        causes.push(Cause::forbidden("immutable", FROZEN));
    }
    for field in fields {
        if members(old, field) != members(new, field) {
            causes.push(Cause::forbidden(*field, FROZEN));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::tests::write;
    use super::*;

    fn secret(kind: &str, data: &Value) -> Result<Value, String> {
        write(
            "secrets",
            "",
            None,
            &json!({"metadata": {"name": "s"}, "type": kind, "stringData": data}),
        )
    }

    #[test]
    fn string_data_is_merged_and_never_read_back() {
        let object = json!({"metadata": {"name": "s"}, "data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "over", "d": "new"}});
        assert_eq!(
            write("secrets", "", None, &object),
            Ok(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque",
                "data": {"a": "b3Zlcg==", "b": "eQ==", "d": "bmV3"},
            }))
        );
    }

    #[test]
    fn types_need_their_keys_as_recorded() {
        let refused = |kind: &str, data: &Value| secret(kind, data).expect_err("keys are missing");
        assert_eq!(
            refused("kubernetes.io/basic-auth", &json!({})),
            "Secret \"s\" is invalid: [data[username]: Required value, data[password]: Required value]"
        );
        assert!(secret("kubernetes.io/basic-auth", &json!({"username": "x"})).is_ok());
        assert_eq!(
            refused("kubernetes.io/tls", &json!({"tls.crt": "x"})),
            "Secret \"s\" is invalid: data[tls.key]: Required value"
        );
        assert_eq!(
            refused(
                "kubernetes.io/dockerconfigjson",
                &json!({".dockerconfigjson": "no json"})
            ),
            "Secret \"s\" is invalid: data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'o' in literal null (expecting 'u')"
        );
        assert_eq!(
            refused("kubernetes.io/service-account-token", &json!({})),
            "Secret \"s\" is invalid: metadata.annotations[kubernetes.io/service-account.name]: Required value"
        );
        let tls = secret("kubernetes.io/tls", &json!({"tls.crt": "", "tls.key": ""}))
            .expect("the keys are there");
        assert_eq!(
            secret_warnings(&tls),
            ["tls: failed to find any PEM data in certificate input"]
        );
    }

    #[test]
    fn keys_are_checked_as_recorded() {
        let refused = |key: &str| secret("Opaque", &json!({key: "x"})).expect_err("the key is bad");
        assert_eq!(
            refused("a b"),
            format!("Secret \"s\" is invalid: data[a b]: Invalid value: \"a b\": {KEY}")
        );
        assert_eq!(
            refused(".."),
            "Secret \"s\" is invalid: data[..]: Invalid value: \"..\": must not be '..'"
        );
    }

    #[test]
    fn what_is_frozen_stays() {
        let old = write(
            "configmaps",
            "",
            None,
            &json!({"metadata": {"name": "c"}, "data": {"k": "v"}, "immutable": true}),
        )
        .expect("it fits");
        let update = |object: Value| write("configmaps", "", Some(&old), &object).map(|_| ());
        assert_eq!(
            update(json!({"metadata": {"name": "c"}, "data": {"k": "w"}})),
            Err(format!(
                "ConfigMap \"c\" is invalid: [immutable: Forbidden: {FROZEN}, data: Forbidden: {FROZEN}]"
            ))
        );
        assert_eq!(
            update(
                json!({"metadata": {"name": "c"}, "data": {"k": "v"}, "binaryData": {"z": "eA=="}, "immutable": true})
            ),
            Err(format!(
                "ConfigMap \"c\" is invalid: binaryData: Forbidden: {FROZEN}"
            ))
        );
        assert_eq!(
            update(
                json!({"metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"k": "v"}, "immutable": true})
            ),
            Ok(())
        );
    }

    #[test]
    fn a_type_does_not_change() {
        let old = secret("Opaque", &json!({"a": "b"})).expect("it fits");
        let changed = write(
            "secrets",
            "",
            Some(&old),
            &json!({"metadata": {"name": "s"}, "type": "other"}),
        );
        assert_eq!(
            changed,
            Err(
                "Secret \"s\" is invalid: type: Invalid value: \"other\": field is immutable"
                    .to_owned()
            )
        );
    }
}
