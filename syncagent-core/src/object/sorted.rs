//! JSON with sorted keys and no spaces, so that equal content is equal text.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a value. How keys, texts, numbers and the like are spelled is the caller's to say.
pub(super) fn write(value: &Value, out: &mut String, leaf: &impl Fn(&Value, &mut String)) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                leaf(&Value::String(key.clone()), out);
                out.push(':');
                write(value, out, leaf);
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out, leaf);
            }
            out.push(']');
        }
        other => leaf(other, out),
    }
}

/// Spells a leaf as JSON does.
pub(super) fn plain(leaf: &Value, out: &mut String) {
    write!(out, "{leaf}").expect("writing to a string does not fail");
}
