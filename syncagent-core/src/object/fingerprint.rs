//! Fingerprints: equal content, equal fingerprint, whatever the order of its keys.
//!
//! A fingerprint stands for content that is not kept. It is written onto copies (of specs, never of a Secret's data: a
//! hash of a password can be guessed offline) and remembered in records.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest, Sha1};

use super::sorted;

/// The first 16 bytes of the SHA-1 of an object's canonical JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

/// A value as it would be if its parts were put together.
#[derive(Clone, Debug)]
pub enum Parts<'a> {
    /// All of a value.
    Whole(&'a Value),
    /// A value without the fields that are null.
    WithoutNulls(&'a Value),
    /// An object of these fields, each named once.
    Fields(Vec<(&'a str, Self)>),
}

impl Fingerprint {
    /// The fingerprint of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        Self::of_parts(&Parts::Whole(value))
    }

    /// The fingerprint of a value whose parts lie elsewhere: the same as of the value put together, and nothing is cloned.
    #[must_use]
    pub fn of_parts(parts: &Parts<'_>) -> Self {
        let mut text = Canonical::default();
        text.parts(parts);
        let digest = text.0.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// Its text, as bytes.
    pub(crate) fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&digits_of(byte));
        }
        digits
    }

    /// Reads a fingerprint from its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text(&self.digits()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The SHA-1 of a text, as 40 hex digits.
#[must_use]
pub fn sha1_hex(text: &str) -> String {
    hex(&Sha1::digest(text.as_bytes()))
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| digits_of(*byte));
    digits.map(char::from).collect()
}

fn digits_of(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|it| DIGITS[usize::from(it)])
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("hex digits are ASCII")
}

/// Numbers beyond this are not told apart by a float anyway.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The canonical text of a value, hashed as it is written; `3.0` is `3`, for a server that goes through a schema writes it
/// so.
#[derive(Default)]
struct Canonical(Sha1);

impl Canonical {
    fn parts(&mut self, parts: &Parts<'_>) {
        match parts {
            Parts::Whole(value) => sorted::write(value, false, self),
            Parts::WithoutNulls(value) => sorted::write(value, true, self),
            Parts::Fields(fields) => {
                let mut fields: Vec<_> = fields.iter().map(|(key, it)| (*key, it)).collect();
                fields.sort_by_key(|(key, _)| *key);
                sorted::object(fields, self, |it, text| text.parts(it));
            }
        }
    }

    fn json(&mut self, leaf: &(impl Serialize + ?Sized)) {
        serde_json::to_writer(&mut *self, leaf).expect("hashing does not fail");
    }
}

impl sorted::Spelling for Canonical {
    fn raw(&mut self, text: &str) {
        self.0.update(text.as_bytes());
    }

    fn text(&mut self, text: &str) {
        self.json(text);
    }

    fn plain(&mut self, leaf: &Value) {
        match leaf.as_f64() {
            Some(float) if leaf.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
                self.raw(&format!("{:.0}", float + 0.0));
            }
            _ => self.json(leaf),
        }
    }
}

impl io::Write for Canonical {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_have_the_fingerprint_of_the_whole() {
        let have = json!({"a": {"x": null, "y": [1, null, {"z": null}], "w": 3.0}, "b": "\u{1}\"\n\u{e9}"});
        let whole = json!({"z": {"first": have["a"], "second": have["b"]}, "a": {"y": [1, null, {}], "w": 3}});
        let parts = Parts::Fields(vec![
            (
                "z",
                Parts::Fields(vec![
                    ("second", Parts::Whole(&have["b"])),
                    ("first", Parts::Whole(&have["a"])),
                ]),
            ),
            ("a", Parts::WithoutNulls(&have["a"])),
        ]);
        assert_eq!(Fingerprint::of_parts(&parts), Fingerprint::of(&whole));
        let text = r#"{"a":{"w":3,"y":[1,null,{}]},"z":{"first":{"w":3,"x":null,"y":[1,null,{"z":null}]},"second":"\u0001\"\né"}}"#;
        let print = Fingerprint::of(&whole).to_string();
        assert_eq!(print, &sha1_hex(text)[..32]);
    }
}
