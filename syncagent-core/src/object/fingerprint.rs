//! Fingerprints: equal content, equal fingerprint, whatever the order of its keys.
//!
//! A fingerprint stands for content that is not kept. It is written onto copies (of specs, never of a Secret's data: a
//! hash of a password can be guessed offline) and remembered in records.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest, Sha1};

use super::sorted;

/// The first 16 bytes of the SHA-1 of an object's canonical JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut text = String::new();
        sorted::write(value, &mut text, &leaf);
        let digest = Sha1::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
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
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
    let digest = Sha1::digest(text.as_bytes());
    let mut hex = String::with_capacity(40);
    for byte in digest {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    hex
}

/// Numbers beyond this are not told apart by a float anyway.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A leaf of an object; `3.0` is `3`, for a server that goes through a schema writes it so.
fn leaf(value: &Value, out: &mut String) {
    match value {
        Value::Number(number)
            if number.is_f64()
                && number
                    .as_f64()
                    .is_some_and(|it| it.fract() == 0.0 && it.abs() < EXACT) =>
        {
            let whole = number.as_f64().unwrap_or_default() + 0.0;
            write!(out, "{whole:.0}").expect("writing to a string does not fail");
        }
        other => sorted::plain(other, out),
    }
}
