//! Go's `fmt` and `strconv`, as far as templates show them.

use std::fmt::Write as _;

use super::value::Value;

/// The widest field that a format may ask for.
const WIDEST: usize = 4096;

/// A float as `strconv.FormatFloat` writes it; without a precision, the shortest text that reads back the same.
pub(super) fn float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".into()
        } else {
            "-Inf".into()
        };
    }
    match (verb, precision) {
        ('f' | 'F', None) => plain(value),
        ('f' | 'F', Some(precision)) => format!("{value:.precision$}"),
        ('e' | 'E', precision) => {
            let text = match precision {
                Some(precision) => format!("{value:.precision$e}"),
                None => format!("{value:e}"),
            };
            exponent(&text, verb)
        }
        (_, precision) => {
            let (text, shortest) = match precision {
                Some(precision) => (format!("{value:.0$e}", precision.max(1) - 1), false),
                None => (format!("{value:e}"), true),
            };
            let (digits, exp) = text.split_once('e').unwrap_or((&text, "0"));
            let exp: i32 = exp.parse().unwrap_or(0);
            let digits = if shortest {
                digits.to_owned()
            } else {
                without_zeros(digits)
            };
            let count = digits.chars().filter(char::is_ascii_digit).count();
            // The shortest text turns to the exponent as if its precision were six.
            let limit = match precision.map(|it| it.max(1)) {
                None => 6,
                Some(it) if it > count && i32::try_from(count).unwrap_or(i32::MAX) > exp => count,
                Some(it) => it,
            };
            let limit = i32::try_from(limit).unwrap_or(i32::MAX);
            if exp < -4 || exp >= limit {
                exponent(
                    &format!("{digits}e{exp}"),
                    if verb == 'G' { 'E' } else { 'e' },
                )
            } else if shortest {
                plain(value)
            } else {
                let after = i32::try_from(count).unwrap_or(0) - 1 - exp;
                let text = format!("{value:.0$}", usize::try_from(after.max(0)).unwrap_or(0));
                text
            }
        }
    }
}

fn plain(value: f64) -> String {
    format!("{value}")
}

fn without_zeros(digits: &str) -> String {
    if digits.contains('.') {
        digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    } else {
        digits.to_owned()
    }
}

/// Rust's exponent in Go's spelling: a sign and at least two digits.
fn exponent(text: &str, verb: char) -> String {
    let (digits, exp) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, exp) = match exp.strip_prefix('-') {
        Some(exp) => ('-', exp),
        None => ('+', exp),
    };
    let letter = if verb.is_uppercase() { 'E' } else { 'e' };
    format!("{digits}{letter}{sign}{exp:0>2}")
}

/// A float as `encoding/json` writes it.
pub(super) fn json_float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = exponent(&format!("{value:e}"), 'e');
        // encoding/json writes e-9, not e-09.
        match text.rsplit_once("e-0") {
            Some((digits, exp)) if exp.len() == 1 => format!("{digits}e-{exp}"),
            _ => text,
        }
    } else {
        plain(value)
    }
}

/// A text in Go's double quotes, as `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if !printable(c) && (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if !printable(c) => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether `strconv` shows a character as it is; Rust's debug format escapes the same ones.
fn printable(c: char) -> bool {
    c.is_ascii()
        || c != '\u{ad}' && !c.is_whitespace() && !c.escape_debug().to_string().starts_with("\\u")
}

/// Go's `fmt.Sprint`: a space between two operands of which neither is a string.
pub(super) fn sprint(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let text = |it: &Value| matches!(it, Value::Text(_));
        if at > 0 && !text(value) && !text(&values[at - 1]) {
            out.push(' ');
        }
        let _ = write!(out, "{value}");
    }
    out
}

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Go's `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        spec.width = size(&mut chars, values, &mut next);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(size(&mut chars, values, &mut next).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match values.get(next) {
                None => {
                    let _ = write!(out, "%!{verb}(MISSING)");
                }
                Some(value) => {
                    next += 1;
                    let text = one(verb, &spec, value);
                    pad(
                        &mut out,
                        &text,
                        &spec,
                        number(value) && "dfeEgGxXobv".contains(verb),
                    );
                }
            },
        }
    }
    if next < values.len() {
        out.push_str("%!(EXTRA ");
        for (at, value) in values[next..].iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            if value.is_nil() {
                out.push_str("<nil>");
            } else {
                let _ = write!(out, "{}={value}", type_name(value));
            }
        }
        out.push(')');
    }
    out
}

fn size(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    values: &[Value],
    next: &mut usize,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        let value = values.get(*next);
        *next += 1;
        return match value {
            Some(Value::Int(it) | Value::Int64(it)) => {
                usize::try_from(*it).ok().map(|it| it.min(WIDEST))
            }
            _ => None,
        };
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(WIDEST).min(WIDEST))
}

fn number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Int64(_) | Value::Float(_))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        Value::Found(_) => "gjson.Result",
        other => other.kind(),
    }
}

fn pad(out: &mut String, text: &str, spec: &Spec, number: bool) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if spec.zero && number {
        let (sign, digits) = match text.strip_prefix(['-', '+', ' ']) {
            Some(digits) => text.split_at(text.len() - digits.len()),
            None => ("", text),
        };
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(
            if spec.zero { '0' } else { ' ' },
            missing,
        ));
        out.push_str(text);
    }
}

fn one(verb: char, spec: &Spec, value: &Value) -> String {
    let signed = |text: String| {
        if text.starts_with('-') {
            text
        } else if spec.plus {
            format!("+{text}")
        } else if spec.space {
            format!(" {text}")
        } else {
            text
        }
    };
    let cut = |text: &str| match spec.precision {
        Some(precision) => text.chars().take(precision).collect::<String>(),
        None => text.to_owned(),
    };
    let sharp = |prefix: &str, text: String| {
        if spec.sharp {
            format!("{prefix}{text}")
        } else {
            text
        }
    };
    // Nothing within something is told without a complaint.
    let inner = |it: &Value| match it {
        Value::Missing | Value::Nil => "<nil>".to_owned(),
        it => one(verb, spec, it),
    };
    match (verb, value) {
        ('T', value) => type_name(value).to_owned(),
        ('v', Value::Int(it) | Value::Int64(it)) => signed(it.to_string()),
        ('v', Value::Float(it)) => signed(float(*it, 'g', spec.precision)),
        ('v', Value::Text(it)) if spec.sharp => quote(it),
        ('v' | 's', Value::Text(it)) => cut(it),
        ('v', other) => other.to_string(),
        ('s', Value::Found(it)) => cut(&it.text()),
        (_, Value::Missing | Value::Nil) => format!("%!{verb}(<nil>)"),
        (_, Value::List(it)) => {
            let items: Vec<_> = it.items().iter().map(inner).collect();
            format!("[{}]", items.join(" "))
        }
        (_, Value::Map(it)) => {
            let entries = it.entries().iter();
            let entries = entries.map(|(key, it)| {
                format!(
                    "{}:{}",
                    one(verb, spec, &Value::text(key.clone())),
                    inner(it)
                )
            });
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        ('q', Value::Text(it)) if spec.sharp && !it.contains(['`', '\n']) => format!("`{it}`"),
        ('q', Value::Text(it)) => quote(&cut(it)),
        ('q', Value::Found(it)) => quote(&cut(&it.text())),
        ('x', Value::Text(it)) => it.bytes().map(|b| format!("{b:02x}")).collect(),
        ('X', Value::Text(it)) => it.bytes().map(|b| format!("{b:02X}")).collect(),
        ('t', Value::Bool(it)) => it.to_string(),
        ('d', Value::Int(it) | Value::Int64(it)) => {
            signed(digits(it.unsigned_abs().to_string(), *it, spec))
        }
        ('x', Value::Int(it) | Value::Int64(it)) => signed(negative(
            sharp("0x", digits(format!("{:x}", it.unsigned_abs()), 0, spec)),
            *it,
        )),
        ('X', Value::Int(it) | Value::Int64(it)) => signed(negative(
            sharp("0X", digits(format!("{:X}", it.unsigned_abs()), 0, spec)),
            *it,
        )),
        ('o', Value::Int(it) | Value::Int64(it)) => signed(negative(
            sharp("0", digits(format!("{:o}", it.unsigned_abs()), 0, spec)),
            *it,
        )),
        ('b', Value::Int(it) | Value::Int64(it)) => signed(negative(
            sharp("0b", digits(format!("{:b}", it.unsigned_abs()), 0, spec)),
            *it,
        )),
        ('c', Value::Int(it) | Value::Int64(it)) => {
            let c = u32::try_from(*it).ok().and_then(char::from_u32);
            c.unwrap_or('\u{fffd}').to_string()
        }
        ('q', Value::Int(it) | Value::Int64(it)) => {
            let c = u32::try_from(*it)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}');
            let quoted = quote(&c.to_string());
            let inner = &quoted[1..quoted.len() - 1];
            match c {
                '\'' => "'\\''".into(),
                '"' => "'\"'".into(),
                _ => format!("'{inner}'"),
            }
        }
        ('U', Value::Int(it) | Value::Int64(it)) => format!("U+{it:04X}"),
        ('f' | 'F' | 'e' | 'E', Value::Float(it)) => {
            signed(float(*it, verb, Some(spec.precision.unwrap_or(6))))
        }
        ('g' | 'G', Value::Float(it)) => signed(float(*it, verb, spec.precision)),
        (_, Value::Text(it)) => format!("%!{verb}(string={it})"),
        (_, other) => format!("%!{verb}({}={other})", type_name(other)),
    }
}

fn digits(text: String, value: i64, spec: &Spec) -> String {
    let text = match spec.precision {
        Some(precision) => format!("{text:0>precision$}"),
        None => text,
    };
    negative(text, value)
}

fn negative(text: String, value: i64) -> String {
    if value < 0 { format!("-{text}") } else { text }
}
