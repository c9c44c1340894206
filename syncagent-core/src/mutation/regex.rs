//! Regular expressions in Go's syntax.
//!
//! Go's RE2 and the `regex` crate agree on how they match. They differ in a few spellings: Go's `\d`, `\w`, `\s` and `\b`
//! know ASCII only, `\Q..\E` quotes, `[a&&b]` is no intersection, a name may stand twice, and some patterns that the crate
//! takes are mistakes in Go. This module translates the one into the other; `expand` writes replacements.

mod expand;

use super::Fault;

/// The largest repetition that Go takes.
const MOST: u32 = 1000;

/// A pattern in Go's syntax.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: regex::Regex,
    /// The names of its groups, by their numbers.
    names: Vec<Option<String>>,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// When Go would not take it.
    pub fn parse(pattern: &str) -> Result<Self, Fault> {
        let mut names = vec![None];
        let text = translate(pattern, &mut names)?;
        regex::RegexBuilder::new(&text)
            .size_limit(1 << 20)
            .nest_limit(100)
            .build()
            .map(|regex| Self { regex, names })
            .map_err(|error| {
                Fault::new(format!(
                    "`{pattern}` is no regular expression: {}",
                    last_line(&error)
                ))
            })
    }

    /// Replaces every match; the replacement is in Go's syntax.
    #[must_use]
    pub fn replace_all(&self, text: &str, replacement: &str) -> String {
        let write = |found: &regex::Captures<'_>| {
            let mut out = String::new();
            expand::expand(replacement, &self.names, found, &mut out);
            out
        };
        self.regex.replace_all(text, write).into_owned()
    }

    #[cfg(feature = "mutations")]
    pub(super) fn as_regex(&self) -> &regex::Regex {
        &self.regex
    }
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// What stands for a Perl class outside a class and inside one.
fn perl(c: char) -> Option<(&'static str, Option<&'static str>)> {
    Some(match c {
        'd' => ("[0-9]", Some("0-9")),
        'D' => ("[^0-9]", Some("\\x00-/:-\\x{10FFFF}")),
        'w' => ("[0-9A-Za-z_]", Some("0-9A-Za-z_")),
        'W' => ("[^0-9A-Za-z_]", Some("\\x00-/:-@\\[-\\^`{-\\x{10FFFF}")),
        's' => ("[\\t\\n\\f\\r ]", Some("\\t\\n\\f\\r\\x20")),
        'S' => (
            "[^\\t\\n\\f\\r ]",
            Some("\\x00-\\x08\\x0B\\x0E-\\x1F!-\\x{10FFFF}"),
        ),
        'b' => ("(?-u:\\b)", None),
        'B' => ("(?-u:\\B)", None),
        _ => return None,
    })
}

/// The pattern in the crate's syntax; takes note of what its groups are called.
fn translate(pattern: &str, names: &mut Vec<Option<String>>) -> Result<String, Fault> {
    let wrong = |why: &str| Fault::new(format!("`{pattern}` is no regular expression: {why}"));
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    // Whether what came last is a repetition, which Go does not repeat again.
    let mut repeated = false;
    while let Some(c) = chars.next() {
        let mut repeats = false;
        match c {
            '\\' => match chars.next() {
                None => return Err(wrong("trailing backslash")),
                Some('Q') => {
                    let mut text = String::new();
                    while let Some(c) = chars.next() {
                        if c == '\\' && chars.next_if_eq(&'E').is_some() {
                            break;
                        }
                        text.push(c);
                    }
                    out.push_str(&regex::escape(&text));
                }
                Some('E') => {}
                Some('C') => return Err(wrong("invalid escape sequence `\\C`")),
                Some('z') => out.push_str("\\z"),
                Some('Z') => return Err(wrong("invalid escape sequence `\\Z`")),
                Some(c) => match perl(c) {
                    Some((text, _)) => out.push_str(text),
                    None => escape(c, &mut chars, &mut out).map_err(|why| wrong(&why))?,
                },
            },
            '[' => class(&mut chars, &mut out).map_err(|why| wrong(&why))?,
            '*' | '+' | '?' => {
                if repeated {
                    return Err(wrong("invalid nested repetition operator"));
                }
                out.push(c);
                if chars.next_if_eq(&'?').is_some() {
                    out.push('?');
                }
                repeats = true;
            }
            '{' => match counted(&mut chars) {
                Some((least, most)) => {
                    if repeated {
                        return Err(wrong("invalid nested repetition operator"));
                    }
                    if least > MOST
                        || most.is_some_and(|it| it.is_some_and(|it| it > MOST || it < least))
                    {
                        return Err(wrong("invalid repeat count"));
                    }
                    out.push_str(&match most {
                        None => format!("{{{least}}}"),
                        Some(None) => format!("{{{least},}}"),
                        Some(Some(most)) => format!("{{{least},{most}}}"),
                    });
                    if chars.next_if_eq(&'?').is_some() {
                        out.push('?');
                    }
                    repeats = true;
                }
                None => out.push_str("\\{"),
            },
            '(' => {
                out.push('(');
                if chars.next_if_eq(&'?').is_none() {
                    names.push(None);
                } else if let Some(name) = flags(&mut chars, &mut out).map_err(|why| wrong(&why))? {
                    names.push(Some(name));
                }
            }
            '}' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        repeated = repeats;
    }
    Ok(out)
}

/// After `(?`: flags that Go knows, or a name, which is given and not written.
fn flags(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
) -> Result<Option<String>, String> {
    match chars.peek() {
        Some('P' | '<') => {
            chars.next_if_eq(&'P');
            if chars.next_if_eq(&'<').is_none() {
                return Err("invalid named capture".into());
            }
            if matches!(chars.peek(), Some('=' | '!')) {
                return Err("invalid or unsupported Perl syntax: `(?<`".into());
            }
            let mut name = String::new();
            loop {
                match chars.next() {
                    Some('>') if !name.is_empty() => return Ok(Some(name)),
                    Some(c) if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                    _ => return Err("invalid named capture".into()),
                }
            }
        }
        Some('=' | '!') => Err("invalid or unsupported Perl syntax: look-around".into()),
        _ => {
            out.push('?');
            while let Some(c) = chars.next_if(|c| !matches!(c, ':' | ')')) {
                if !"imsU-".contains(c) {
                    return Err(format!("invalid or unsupported Perl syntax: `(?{c}`"));
                }
                out.push(c);
            }
            Ok(None)
        }
    }
}

/// After `{`: a repetition, or `None` and nothing taken, for then the brace stands for itself.
fn counted(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Option<(u32, Option<Option<u32>>)> {
    let mut ahead = chars.clone();
    let number = |ahead: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut digits = String::new();
        while let Some(c) = ahead.next_if(char::is_ascii_digit) {
            digits.push(c);
        }
        // A number that is too large for us is too large for Go.
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let least = number(&mut ahead)?;
    let most = if ahead.next_if_eq(&',').is_some() {
        Some(number(&mut ahead))
    } else {
        None
    };
    ahead.next_if_eq(&'}')?;
    *chars = ahead;
    Some((least, most))
}

/// After a backslash: an escape that is written alike, or a mistake.
fn escape(
    c: char,
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
) -> Result<(), String> {
    match c {
        'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
            // What follows is written alike: `\x41`, `\x{41}`, `\pL`, `\p{Greek}`.
            if chars.next_if_eq(&'{').is_some() {
                out.push('{');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
        }
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'A' => {
            out.push('\\');
            out.push(c);
        }
        '0'..='7' => {
            let mut value = c.to_digit(8).unwrap_or(0);
            if c != '0' && !matches!(chars.peek(), Some('0'..='7')) {
                return Err(format!("invalid escape sequence: `\\{c}`"));
            }
            for _ in 0..2 {
                let Some(digit) = chars.next_if(|c| ('0'..='7').contains(c)) else {
                    break;
                };
                value = value * 8 + digit.to_digit(8).unwrap_or(0);
            }
            out.push_str(&format!("\\x{{{value:x}}}"));
        }
        c if c.is_ascii_punctuation() => {
            out.push('\\');
            // The crate gives these a meaning of their own.
            if matches!(c, '<' | '>') {
                out.pop();
            }
            out.push(c);
        }
        c => return Err(format!("invalid escape sequence: `\\{c}`")),
    }
    Ok(())
}

/// After `[`: a class, with what the crate would take for an operator escaped.
fn class(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
) -> Result<(), String> {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    loop {
        let Some(c) = chars.next() else {
            return Err("missing closing ]".into());
        };
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(());
            }
            ']' => out.push_str("\\]"),
            '[' if chars.peek() == Some(&':') => {
                let mut ahead = chars.clone();
                let name: String = ahead.by_ref().take_while(|c| *c != ']').collect();
                let known = name
                    .strip_prefix(':')
                    .and_then(|it| it.strip_suffix(':'))
                    .is_some_and(|it| {
                        let it = it.strip_prefix('^').unwrap_or(it);
                        [
                            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower",
                            "print", "punct", "space", "upper", "word", "xdigit",
                        ]
                        .contains(&it)
                    });
                if known {
                    *chars = ahead;
                    out.push('[');
                    out.push_str(&name);
                    out.push(']');
                } else if name.ends_with(':') {
                    return Err(format!("invalid character class range: `[{name}]`"));
                } else {
                    out.push_str("\\[");
                }
            }
            c => {
                if c == '\\'
                    && let Some((_, Some(text))) = chars.peek().and_then(|c| perl(*c))
                {
                    chars.next();
                    out.push_str(text);
                } else {
                    member(c, chars, out)?;
                    let mut ahead = chars.clone();
                    if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
                        *chars = ahead;
                        out.push('-');
                        let Some(c) = chars.next() else {
                            return Err("missing closing ]".into());
                        };
                        member(c, chars, out)?;
                    }
                }
            }
        }
        first = false;
    }
}

/// One character of a class, escaped where the crate would take it for more.
fn member(
    c: char,
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
) -> Result<(), String> {
    match c {
        '\\' => match chars.next() {
            None => Err("missing closing ]".into()),
            Some('Q' | 'E' | 'C' | 'b' | 'B' | 'A' | 'z') => Err("invalid escape sequence".into()),
            Some(c) if perl(c).is_some() => Err("invalid character class range".into()),
            Some(c) => escape(c, chars, out),
        },
        c if "[]&~-^".contains(c) => {
            out.push('\\');
            out.push(c);
            Ok(())
        }
        c => {
            out.push(c);
            Ok(())
        }
    }
}
