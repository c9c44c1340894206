//! Functions over strings, hashes, encodings and regular expressions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::super::builtin::{Args, Function, fixed, variadic};
use super::super::found;
use super::super::print;
use super::super::regex::Pattern;
use super::super::template::shown;
use super::super::value::{HEAVIEST, Value};

fn text(value: impl Into<std::sync::Arc<str>>) -> Result<Value, String> {
    Ok(Value::text(value))
}

/// Text of bytes; what is no text becomes U+FFFD, byte by byte, as when Go writes it as JSON.
fn lossy(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    out
}

fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(c), None) => c,
        _ => c,
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// `strings.Split` and `strings.SplitN`.
pub(super) fn split(text: &str, separator: &str, most: i64) -> Vec<String> {
    if most == 0 {
        return Vec::new();
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if separator.is_empty() {
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        if chars.len() > most {
            let rest = chars.split_off(most - 1).concat();
            chars.push(rest);
        }
        return chars;
    }
    text.splitn(most, separator).map(str::to_owned).collect()
}

/// Keeps what a function makes of two texts within bounds before it is made.
fn bounded(count: usize, length: usize) -> Result<(), String> {
    match count.checked_mul(length.max(1)) {
        Some(size) if size <= HEAVIEST => Ok(()),
        _ => Err("the result would be too long".into()),
    }
}

/// sprig's `strval`.
pub(super) fn strval(value: &Value) -> String {
    shown(value)
}

/// sprig's `strslice`.
pub(super) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::List(list) => list
            .items()
            .iter()
            .filter(|it| !it.is_nil())
            .map(strval)
            .collect(),
        Value::Missing | Value::Nil => Vec::new(),
        other => vec![strval(other)],
    }
}

fn indent(args: &Args<'_>) -> Result<String, String> {
    let spaces = usize::try_from(args.int(0)?).map_err(|_| "strings: negative Repeat count")?;
    let text = args.text(1)?;
    bounded(text.matches('\n').count() + 1, spaces)?;
    let pad = " ".repeat(spaces);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|fault| fault.to_string())
}

fn find_all(args: &Args<'_>) -> Result<Value, String> {
    let pattern = pattern(args.text(0)?)?;
    let (text, most) = (args.text(1)?, args.int(2)?);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Ok(Value::texts(
        pattern
            .as_regex()
            .find_iter(text)
            .take(most)
            .map(|it| it.as_str()),
    ))
}

fn find_one(args: &Args<'_>) -> Result<Value, String> {
    let pattern = pattern(args.text(0)?)?;
    text(
        pattern
            .as_regex()
            .find(args.text(1)?)
            .map_or("", |it| it.as_str()),
    )
}

fn replace_all(args: &Args<'_>) -> Result<Value, String> {
    let pattern = pattern(args.text(0)?)?;
    let (subject, replacement) = (args.text(1)?, args.text(2)?);
    bounded(subject.len() + 1, replacement.len())?;
    text(pattern.replace_all(subject, replacement))
}

fn replace_literal(args: &Args<'_>) -> Result<Value, String> {
    let pattern = pattern(args.text(0)?)?;
    let (subject, replacement) = (args.text(1)?, args.text(2)?);
    bounded(subject.len() + 1, replacement.len())?;
    text(
        pattern
            .as_regex()
            .replace_all(subject, regex::NoExpand(replacement))
            .into_owned(),
    )
}

fn regex_split(args: &Args<'_>) -> Result<Value, String> {
    let (source, subject, most) = (args.text(0)?, args.text(1)?, args.int(2)?);
    let pattern = pattern(source)?;
    if most == 0 {
        return Ok(Value::list(Vec::new()));
    }
    if !source.is_empty() && subject.is_empty() {
        return Ok(Value::texts([""]));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in pattern.as_regex().find_iter(subject).take(most) {
        if parts.len() + 1 == most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&subject[begin..end]);
        }
        begin = found.end();
    }
    if end != subject.len() {
        parts.push(&subject[begin..]);
    }
    Ok(Value::texts(parts))
}

fn numbered(parts: Vec<String>) -> Value {
    let entries = parts.into_iter().enumerate();
    Value::map(
        entries
            .map(|(at, it)| (format!("_{at}").into(), Value::text(it)))
            .collect(),
    )
}

fn shorter(bytes: &str, at: usize, from_end: bool) -> String {
    let bytes = bytes.as_bytes();
    lossy(if from_end {
        &bytes[bytes.len() - at..]
    } else {
        &bytes[..at]
    })
}

fn sha3_short(args: &Args<'_>) -> Result<Value, String> {
    let length = match args.len() {
        1 => 20,
        2 => args.int(1)?,
        _ => return Err("sha3short takes at most one length".into()),
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|it| *it > 0)
        .ok_or("the length must be positive")?;
    let mut hash = crate::naming::sha3_hex(args.text(0)?);
    hash.truncate(length.min(64));
    text(hash)
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 5];
        block[..chunk.len()].copy_from_slice(chunk);
        let bits = block
            .iter()
            .fold(0_u64, |bits, b| bits << 8 | u64::from(*b));
        let used = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            if at < used {
                let index = usize::try_from(bits >> (35 - at * 5) & 31).unwrap_or(0);
                out.push(char::from(BASE32[index]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn separator(c: char) -> bool {
    if c.is_ascii() {
        !(c.is_ascii_alphanumeric() || c == '_')
    } else {
        !c.is_alphanumeric() && c.is_whitespace()
    }
}

/// A function over strings.
pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "upper" => fixed(1, |a| {
            text(a.text(0)?.chars().map(upper).collect::<String>())
        }),
        "lower" => fixed(1, |a| {
            text(a.text(0)?.chars().map(lower).collect::<String>())
        }),
        "trim" => fixed(1, |a| text(a.text(0)?.trim())),
        "title" => fixed(1, |a| {
            let mut before = ' ';
            let out = a.text(0)?.chars().map(|c| {
                let c2 = if separator(before) { upper(c) } else { c };
                before = c;
                c2
            });
            text(out.collect::<String>())
        }),
        "untitle" => fixed(1, |a| {
            let mut next = true;
            let out = a.text(0)?.chars().map(|c| {
                if c.is_whitespace() {
                    next = true;
                    c
                } else if std::mem::take(&mut next) {
                    lower(c)
                } else {
                    c
                }
            });
            text(out.collect::<String>())
        }),
        "swapcase" => fixed(1, |a| {
            let mut space = true;
            let out = a.text(0)?.chars().map(|c| {
                if c.is_uppercase() {
                    space = false;
                    lower(c)
                } else if c.is_lowercase() {
                    space = false;
                    upper(c)
                } else {
                    space = c.is_whitespace();
                    c
                }
            });
            text(out.collect::<String>())
        }),
        "trunc" => fixed(2, |a| {
            let (count, it) = (a.int(0)?, a.text(1)?);
            let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if size >= it.len() && count != 0 || count > 0 && it.len() <= size {
                text(it)
            } else {
                text(shorter(it, size, count < 0))
            }
        }),
        "substr" => fixed(3, |a| {
            let (start, end, it) = (a.int(0)?, a.int(1)?, a.text(2)?);
            let length = i64::try_from(it.len()).unwrap_or(i64::MAX);
            let (from, to) = if start < 0 {
                (0, end)
            } else if end < 0 || end > length {
                (start, length)
            } else {
                (start, end)
            };
            let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            match range.and_then(|(from, to)| it.as_bytes().get(from..to)) {
                Some(bytes) => text(lossy(bytes)),
                None => Err("slice bounds out of range".into()),
            }
        }),
        "abbrev" => fixed(2, |a| {
            let (width, it) = (a.int(0)?, a.text(1)?);
            let width = usize::try_from(width).unwrap_or(0);
            if width < 4 || it.len() <= width {
                text(it)
            } else {
                text(lossy(&it.as_bytes()[..width - 3]) + "...")
            }
        }),
        "initials" => fixed(1, |a| {
            // Go takes bytes for characters.
            let letters: String = a.text(0)?.bytes().map(char::from).collect();
            let words = letters.split(char::is_whitespace);
            text(words.filter_map(|it| it.chars().next()).collect::<String>())
        }),
        "nospace" => fixed(1, |a| {
            text(
                a.text(0)?
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .collect::<String>(),
            )
        }),
        "repeat" => fixed(2, |a| {
            let count = usize::try_from(a.int(0)?).map_err(|_| "strings: negative Repeat count")?;
            let it = a.text(1)?;
            bounded(count, it.len())?;
            text(it.repeat(count))
        }),
        "trimAll" | "trimall" => fixed(2, |a| {
            let set = a.text(0)?;
            text(a.text(1)?.trim_matches(|c| set.contains(c)))
        }),
        "trimSuffix" => fixed(2, |a| {
            let it = a.text(1)?;
            text(it.strip_suffix(a.text(0)?).unwrap_or(it))
        }),
        "trimPrefix" => fixed(2, |a| {
            let it = a.text(1)?;
            text(it.strip_prefix(a.text(0)?).unwrap_or(it))
        }),
        "contains" => fixed(2, |a| Ok(Value::Bool(a.text(1)?.contains(a.text(0)?)))),
        "hasPrefix" => fixed(2, |a| Ok(Value::Bool(a.text(1)?.starts_with(a.text(0)?)))),
        "hasSuffix" => fixed(2, |a| Ok(Value::Bool(a.text(1)?.ends_with(a.text(0)?)))),
        "quote" => variadic(0, |a| {
            let all =
                a.0.iter()
                    .filter(|it| !it.is_nil())
                    .map(|it| print::quote(&strval(it)));
            text(all.collect::<Vec<_>>().join(" "))
        }),
        "squote" => variadic(0, |a| {
            let all =
                a.0.iter()
                    .filter(|it| !it.is_nil())
                    .map(|it| format!("'{it}'"));
            text(all.collect::<Vec<_>>().join(" "))
        }),
        "cat" => variadic(0, |a| {
            let all = a.0.iter().filter(|it| !it.is_nil()).map(strval);
            text(all.collect::<Vec<_>>().join(" "))
        }),
        "indent" => fixed(2, |a| text(indent(a)?)),
        "nindent" => fixed(2, |a| text(format!("\n{}", indent(a)?))),
        "replace" => fixed(3, |a| {
            let (old, new, it) = (a.text(0)?, a.text(1)?, a.text(2)?);
            bounded(it.matches(old).count(), new.len())?;
            text(it.replace(old, new))
        }),
        "plural" => fixed(3, |a| {
            text(if a.int(2)? == 1 {
                a.text(0)?
            } else {
                a.text(1)?
            })
        }),
        "toString" => fixed(1, |a| text(strval(a.any(0)))),
        "toStrings" => fixed(1, |a| Ok(Value::texts(strings(a.any(0))))),
        "split" => fixed(2, |a| Ok(numbered(split(a.text(1)?, a.text(0)?, -1)))),
        "splitn" => fixed(3, |a| {
            Ok(numbered(split(a.text(2)?, a.text(0)?, a.int(1)?)))
        }),
        "splitList" => fixed(2, |a| Ok(Value::texts(split(a.text(1)?, a.text(0)?, -1)))),
        "join" => fixed(2, |a| {
            let parts = strings(a.any(1));
            bounded(parts.len(), a.text(0)?.len())?;
            text(parts.join(a.text(0)?))
        }),
        "sortAlpha" => fixed(1, |a| {
            let mut all = strings(a.any(0));
            if a.any(0).is_nil() {
                all = vec![strval(a.any(0))];
            }
            all.sort();
            Ok(Value::texts(all))
        }),
        "sha1sum" => fixed(1, |a| {
            text(crate::object::fingerprint::sha1_hex(a.text(0)?))
        }),
        "sha256sum" => fixed(1, |a| text(hex(&sha2::Sha256::digest(a.text(0)?)))),
        "sha512sum" => fixed(1, |a| text(hex(&sha2::Sha512::digest(a.text(0)?)))),
        "adler32sum" => fixed(1, |a| {
            let (mut low, mut high) = (1_u32, 0_u32);
            for byte in a.text(0)?.bytes() {
                low = (low + u32::from(byte)) % 65_521;
                high = (high + low) % 65_521;
            }
            text((high << 16 | low).to_string())
        }),
        "sha3sum" => fixed(1, |a| text(crate::naming::sha3_hex(a.text(0)?))),
        "sha3short" => variadic(1, sha3_short),
        "shortHash" => fixed(1, |a| {
            text(crate::naming::short_hash(&match a.any(0) {
                Value::Text(it) => it.to_string(),
                other => found::json(&other.json()) + "\n",
            }))
        }),
        "b64enc" => fixed(1, |a| text(STANDARD.encode(a.text(0)?))),
        "b64dec" => fixed(1, |a| {
            match STANDARD.decode(a.text(0)?.replace(['\r', '\n'], "")) {
                Ok(bytes) => text(lossy(&bytes)),
                Err(_) => Err("illegal base64 data".into()),
            }
        }),
        "b32enc" => fixed(1, |a| text(base32(a.text(0)?.as_bytes()))),
        "base" => fixed(1, |a| {
            let it = a.text(0)?;
            if it.is_empty() {
                return text(".");
            }
            let it = it.trim_end_matches('/');
            text(match it.rsplit('/').next() {
                None | Some("") => "/",
                Some(last) => last,
            })
        }),
        "dir" => fixed(1, |a| {
            let it = a.text(0)?;
            let end = it.rfind('/').map_or(0, |at| at + 1);
            text(clean(&it[..end]))
        }),
        "clean" => fixed(1, |a| text(clean(a.text(0)?))),
        "ext" => fixed(1, |a| {
            let it = a.text(0)?;
            let last = it.rsplit('/').next().unwrap_or(it);
            text(last.rfind('.').map_or("", |at| &last[at..]))
        }),
        "isAbs" => fixed(1, |a| Ok(Value::Bool(a.text(0)?.starts_with('/')))),
        "fail" => fixed(1, |a| Err(a.text(0)?.to_owned())),
        "regexMatch" => fixed(2, |a| {
            let it = a.text(1)?;
            Ok(Value::Bool(
                Pattern::parse(a.text(0)?).is_ok_and(|pattern| pattern.as_regex().is_match(it)),
            ))
        }),
        "mustRegexMatch" => fixed(2, |a| {
            let pattern = pattern(a.text(0)?)?;
            Ok(Value::Bool(pattern.as_regex().is_match(a.text(1)?)))
        }),
        "regexFind" | "mustRegexFind" => fixed(2, find_one),
        "regexFindAll" | "mustRegexFindAll" => fixed(3, find_all),
        "regexReplaceAll" | "mustRegexReplaceAll" => fixed(3, replace_all),
        "regexReplaceAllLiteral" | "mustRegexReplaceAllLiteral" => fixed(3, replace_literal),
        "regexSplit" | "mustRegexSplit" => fixed(3, regex_split),
        "regexQuoteMeta" => fixed(1, |a| {
            let mut out = String::new();
            for c in a.text(0)?.chars() {
                if r"\.+*?()|[]{}^$".contains(c) {
                    out.push('\\');
                }
                out.push(c);
            }
            text(out)
        }),
        _ => return None,
    })
}
