//! JSON with sorted keys and no spaces, so that equal content is equal text.

use serde_json::Value;

/// Where a text goes, and how keys and leaves are spelled there.
pub(super) trait Spelling {
    /// Takes what stands between them.
    fn raw(&mut self, text: &str);

    /// Spells a key or a text.
    fn text(&mut self, text: &str);

    /// Spells a number or the like.
    fn plain(&mut self, leaf: &Value);
}

/// Writes a value; without its fields that are null, if so.
pub(super) fn write<S: Spelling>(value: &Value, without_nulls: bool, out: &mut S) {
    match value {
        Value::Object(map) => {
            let there = |it: &(&String, &Value)| !(without_nulls && it.1.is_null());
            let fields = map.iter().filter(there);
            let fields = fields.map(|(key, it)| (key.as_str(), it));
            let below = |it: &Value, out: &mut S| write(it, without_nulls, out);
            // A map is sorted, unless a feature of its crate says otherwise.
            if map.keys().is_sorted() {
                object(fields, out, below);
            } else {
                let mut fields: Vec<_> = fields.collect();
                fields.sort_by_key(|(key, _)| *key);
                object(fields, out, below);
            }
        }
        Value::Array(list) => {
            out.raw("[");
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.raw(",");
                }
                write(value, without_nulls, out);
            }
            out.raw("]");
        }
        Value::String(text) => out.text(text),
        leaf => out.plain(leaf),
    }
}

/// Writes an object of sorted fields.
pub(super) fn object<'a, T, S: Spelling>(
    fields: impl IntoIterator<Item = (&'a str, T)>,
    out: &mut S,
    below: impl Fn(T, &mut S),
) {
    out.raw("{");
    for (at, (key, value)) in fields.into_iter().enumerate() {
        if at > 0 {
            out.raw(",");
        }
        out.text(key);
        out.raw(":");
        below(value, out);
    }
    out.raw("}");
}
