//! What stands in the place of a match, in Go's syntax: `$1`, `${1}`, `$name`, `${name}`, `$$`.
//!
//! A name is as long as letters, digits and underscores go, of any script: `$1x` is the group called `1x`, which is no group
//! and so is empty. What is no reference stands for itself: `${`, `$-`. Of several groups of one name the first that took
//! part counts.

use regex::Captures;

/// Writes a replacement out. `names` are the names of the groups, by their numbers.
pub(super) fn expand(
    replacement: &str,
    names: &[Option<String>],
    found: &Captures<'_>,
    out: &mut String,
) {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(rest) {
            rest = after;
            let group = match number(name) {
                Some(number) => found.get(number),
                None => {
                    let called = names.iter().enumerate();
                    let mut called = called.filter(|(_, it)| it.as_deref() == Some(name));
                    called.find_map(|(at, _)| found.get(at))
                }
            };
            out.push_str(group.map_or("", |it| it.as_str()));
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
}

/// The name behind a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let end = text
        .find(|c: char| !c.is_alphabetic() && !c.is_numeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = if braced {
        rest.strip_prefix('}')?
    } else {
        rest
    };
    (!name.is_empty()).then_some((name, rest))
}

/// The number that a name is, without zeros in front.
fn number(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|it| it.is_ascii_digit()) && name.len() <= 8;
    let led = name.len() > 1 && name.starts_with('0');
    (plain && !led).then(|| name.parse().ok()).flatten()
}
