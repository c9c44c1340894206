//! Numbers and texts. A text starts with a number whose last three bits say of which sort it is.
//!
//! | sort | text | what follows |
//! | --- | --- | --- |
//! | 0 | any | its bytes |
//! | 1 | a text near, or a shared word | nothing: the number says which |
//! | 2 | a uid | 16 bytes |
//! | 3 | a decimal number, as versions are | nothing |
//! | 4 | hexadecimal digits | a byte for two |
//! | 5 | a time, to the second and in UTC | nothing |
//! | 6 | a text near, and more | the bytes of what is more |

use super::words::Words;

/// How many texts near a text may start with.
const NEAR: usize = 4;

/// Appends a number.
pub(crate) fn number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Takes a number off the front.
pub(crate) fn numbers(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends a text as it is.
pub(crate) fn raw(text: &str, out: &mut Vec<u8>) {
    number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Takes such a text off the front.
pub(crate) fn raws<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(numbers(bytes)?).ok()?;
    std::str::from_utf8(take(bytes, length)?).ok()
}

/// Takes bytes off the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Appends a text in as few bytes as are known for it.
pub(super) fn put(text: &str, words: &Words, near: &[&str], out: &mut Vec<u8>) {
    let mut head = |value: u64, sort: u64| number(value << 3 | sort, out);
    if text.is_empty() {
        return head(0, 0);
    }
    let here = near.iter().position(|it| *it == text);
    let word = || words.number(text).map(|at| at + near.len());
    if let Some(at) = here.or_else(word) {
        return head(at as u64, 1);
    }
    if let Some(bytes) = uid(text) {
        head(0, 2);
        return out.extend_from_slice(&bytes);
    }
    if let Some(value) = decimal(text) {
        return head(value, 3);
    }
    if let Some(value) = time(text) {
        return head(value, 5);
    }
    if text.len() >= 8
        && let Some(bytes) = digits(text.as_bytes())
    {
        head(bytes.len() as u64, 4);
        return out.extend_from_slice(&bytes);
    }
    let start = |it: &&str| it.len() > 1 && text.starts_with(*it);
    let longest = near.iter().take(NEAR).enumerate();
    let longest = longest.filter(|(_, it)| start(it));
    if let Some((at, it)) = longest.max_by_key(|(_, it)| it.len()) {
        let rest = &text[it.len()..];
        head((rest.len() * NEAR + at) as u64, 6);
        return out.extend_from_slice(rest.as_bytes());
    }
    head(text.len() as u64, 0);
    out.extend_from_slice(text.as_bytes());
}

/// Takes such a text off the front.
pub(super) fn get(bytes: &mut &[u8], words: &Words, near: &[&str]) -> Option<String> {
    let head = numbers(bytes)?;
    let value = head >> 3;
    let size = usize::try_from(value).ok()?;
    match head & 7 {
        0 => Some(std::str::from_utf8(take(bytes, size)?).ok()?.to_owned()),
        1 => {
            let word = match near.get(size) {
                Some(word) => *word,
                None => words.word(size - near.len())?,
            };
            Some(word.to_owned())
        }
        2 => {
            let mut text = hex(take(bytes, 16)?);
            for at in [8, 13, 18, 23] {
                text.insert(at, '-');
            }
            Some(text)
        }
        3 => Some(value.to_string()),
        4 => Some(hex(take(bytes, size)?)),
        5 => Some(clock(value)),
        6 => {
            let rest = std::str::from_utf8(take(bytes, size / NEAR)?).ok()?;
            Some([near.get(size % NEAR)?, rest].concat())
        }
        _ => None,
    }
}

fn uid(text: &str) -> Option<Vec<u8>> {
    let dashes = [8, 13, 18, 23];
    let bytes = text.as_bytes();
    if bytes.len() != 36 || dashes.iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let rest: Vec<u8> = (0..36)
        .filter(|at| !dashes.contains(at))
        .map(|at| bytes[at])
        .collect();
    digits(&rest)
}

/// The bytes that an even number of lower-case hexadecimal digits stand for.
fn digits(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A decimal number that is written as everybody writes it.
fn decimal(text: &str) -> Option<u64> {
    if text.len() > 18 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    (text == "0" || !text.starts_with('0'))
        .then(|| text.parse().ok())
        .flatten()
}

/// `2026-11-22T19:06:46Z` as a number. Whether there is such a day does not matter.
fn time(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if bytes.len() != 20 || marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let part = |from: usize, to: usize| {
        let part = &bytes[from..to];
        part.iter().try_fold(0, |value: u64, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + u64::from(byte - b'0'))
        })
    };
    let parts = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)];
    parts
        .iter()
        .try_fold(0, |value, (from, to)| Some(value * 100 + part(*from, *to)?))
}

fn clock(mut value: u64) -> String {
    let mut parts = [0; 5];
    for part in parts.iter_mut().rev() {
        *part = value % 100;
        value /= 100;
    }
    let [month, day, hour, minute, second] = parts;
    format!("{value:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
