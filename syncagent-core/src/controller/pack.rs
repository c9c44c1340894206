//! Records at rest: as few bytes as say the same.
//!
//! An agent keeps a record for every order of every workspace, and almost all of them rest. What rests lies packed and is
//! unpacked for a step. The packing is a serde format, so it follows the types by itself: a new field of a record needs
//! nothing here. It is made for memory only: nothing says which field is which, and nothing of it is ever stored or sent.
//!
//! Structs are their fields in order, numbers have as many bytes as they need. Most of a record is text, and most of that
//! text is of a few sorts, which `text` knows: uids, versions, times, digests, names that the order's key has already,
//! and the [`Words`] that all records share, such as the names of kinds and of conditions.

mod read;
mod text;
mod tree;
mod words;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use text::{number, numbers, raw, raws};
pub(crate) use tree::{plant, root};
pub use words::Words;

/// Something cannot be packed or unpacked. That is a mistake in a type, never in data.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unpackable(String);

/// Appends a value. `near` are texts that it may repeat, and that whoever unpacks it has as well.
///
/// # Errors
///
/// When its type says that it is a sequence of unknown length.
pub fn pack<T: Serialize>(
    value: &T,
    words: &mut Words,
    near: &[&str],
    out: &mut Vec<u8>,
) -> Result<(), Unpackable> {
    value.serialize(&mut write::Writer::new(words, near, out))
}

/// Reads what [`pack`] wrote, with the same texts near.
///
/// # Errors
///
/// When the bytes are not those of such a value.
pub fn unpack<T: DeserializeOwned>(
    bytes: &[u8],
    words: &Words,
    near: &[&str],
) -> Result<T, Unpackable> {
    let mut reader = read::Reader::new(bytes, words, near);
    let value = T::deserialize(&mut reader)?;
    if reader.is_done() {
        Ok(value)
    } else {
        Err(Unpackable("there is more than the value".to_owned()))
    }
}

impl serde::ser::Error for Unpackable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::de::Error for Unpackable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[cfg(test)]
mod tests;
