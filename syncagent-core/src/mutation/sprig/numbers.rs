//! Functions over numbers, and what decides between values.

use super::super::builtin::{Args, Function, fixed, variadic};
use super::super::found;
use super::super::value::Value;

/// The longest list that a count may make.
const LONGEST: i64 = 100_000;

/// `cast.ToInt64`: what is no number is 0.
pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::Bool(it) => i64::from(*it),
        Value::Int(it) | Value::Int64(it) => *it,
        #[expect(clippy::cast_possible_truncation, reason = "as Go converts")]
        Value::Float(it) => *it as i64,
        Value::Text(it) => parse(it).unwrap_or(0),
        _ => 0,
    }
}

/// `strconv.ParseInt` with base 0, after zeros behind a point were cut off.
fn parse(text: &str) -> Option<i64> {
    let text = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') && !whole.is_empty() => whole,
        _ => text,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), base).ok()
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Bool(it) => f64::from(u8::from(*it)),
        #[expect(clippy::cast_precision_loss, reason = "as Go converts")]
        Value::Int(it) | Value::Int64(it) => *it as f64,
        Value::Float(it) => *it,
        Value::Text(it) => it.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}

fn wide(value: i64) -> Result<Value, String> {
    Ok(Value::Int64(value))
}

fn steps(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, String> {
    if step == 0 || (stop < start) != (step < 0) {
        return Ok(Vec::new());
    }
    let count = (i128::from(stop) - i128::from(start))
        .unsigned_abs()
        .div_ceil(u128::from(step.unsigned_abs()));
    if count > u128::from(LONGEST.unsigned_abs()) {
        return Err("the list would be too long".into());
    }
    let count = i64::try_from(count).unwrap_or(LONGEST);
    Ok((0..count).map(|at| start + at * step).collect())
}

fn until(start: i64, stop: i64, step: i64) -> Result<Value, String> {
    Ok(Value::list(
        steps(start, stop, step)?
            .into_iter()
            .map(Value::Int)
            .collect(),
    ))
}

fn seq(args: &Args<'_>) -> Result<Value, String> {
    let params: Vec<i64> = (0..args.len())
        .map(|at| args.int(at))
        .collect::<Result<_, _>>()?;
    let (start, end, step) = match params.as_slice() {
        [end] => (1, *end, if *end < 1 { -1 } else { 1 }),
        [start, end] => (*start, *end, if end < start { -1 } else { 1 }),
        [start, step, end] => {
            if end < start && *step > 0 {
                return Ok(Value::text(""));
            }
            (*start, *end, *step)
        }
        _ => return Ok(Value::text("")),
    };
    let reach = if end < start { -1 } else { 1 };
    let all = steps(start, end.saturating_add(reach), step)?;
    Ok(Value::text(
        all.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    ))
}

fn round(args: &Args<'_>) -> Result<Value, String> {
    let on = match args.0.get(2) {
        Some(Value::Float(it)) => *it,
        Some(_) => return Err("wrong type for value; expected float64".into()),
        None => 0.5,
    };
    let places = i32::try_from(args.int(1)?).map_err(|_| "too many places")?;
    let pow = 10_f64.powi(places);
    let digit = pow * float(args.any(0));
    let rounded = if digit.fract() >= on {
        digit.ceil()
    } else {
        digit.floor()
    };
    Ok(Value::Float(rounded / pow))
}

/// A function over numbers, or one that decides.
pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "atoi" => fixed(1, |a| {
            let it = a.text(0)?;
            Ok(Value::Int(it.parse().unwrap_or(0)))
        }),
        "int64" => fixed(1, |a| wide(int(a.any(0)))),
        "int" => fixed(1, |a| Ok(Value::Int(int(a.any(0))))),
        "float64" => fixed(1, |a| Ok(Value::Float(float(a.any(0))))),
        "add1" => fixed(1, |a| wide(int(a.any(0)).wrapping_add(1))),
        "add" => variadic(0, |a| {
            wide(a.0.iter().fold(0, |sum, it| sum.wrapping_add(int(it))))
        }),
        "sub" => fixed(2, |a| wide(int(a.any(0)).wrapping_sub(int(a.any(1))))),
        "mul" => variadic(1, |a| {
            wide(a.0.iter().fold(1, |sum, it| sum.wrapping_mul(int(it))))
        }),
        "div" => fixed(2, |a| match int(a.any(1)) {
            0 => Err("integer divide by zero".into()),
            by => wide(int(a.any(0)).wrapping_div(by)),
        }),
        "mod" => fixed(2, |a| match int(a.any(1)) {
            0 => Err("integer divide by zero".into()),
            by => wide(int(a.any(0)).wrapping_rem(by)),
        }),
        "max" | "biggest" => variadic(1, |a| wide(a.0.iter().map(int).max().unwrap_or(0))),
        "min" => variadic(1, |a| wide(a.0.iter().map(int).min().unwrap_or(0))),
        "maxf" => variadic(1, |a| {
            Ok(Value::Float(
                a.0.iter().map(float).fold(f64::NEG_INFINITY, f64::max),
            ))
        }),
        "minf" => variadic(1, |a| {
            Ok(Value::Float(
                a.0.iter().map(float).fold(f64::INFINITY, f64::min),
            ))
        }),
        "ceil" => fixed(1, |a| Ok(Value::Float(float(a.any(0)).ceil()))),
        "floor" => fixed(1, |a| Ok(Value::Float(float(a.any(0)).floor()))),
        "round" => variadic(2, round),
        "until" => fixed(1, |a| {
            let count = a.int(0)?;
            until(0, count, if count < 0 { -1 } else { 1 })
        }),
        "untilStep" => fixed(3, |a| until(a.int(0)?, a.int(1)?, a.int(2)?)),
        "seq" => variadic(0, seq),
        "default" => variadic(1, |a| {
            let given = a.0.get(1).filter(|it| !it.is_empty());
            Ok(given.unwrap_or(a.any(0)).clone())
        }),
        "empty" => fixed(1, |a| Ok(Value::Bool(a.any(0).is_empty()))),
        "coalesce" => variadic(0, |a| {
            Ok(a.0
                .iter()
                .find(|it| !it.is_empty())
                .cloned()
                .unwrap_or(Value::Nil))
        }),
        "all" => variadic(0, |a| Ok(Value::Bool(a.0.iter().all(|it| !it.is_empty())))),
        "any" => variadic(0, |a| Ok(Value::Bool(a.0.iter().any(|it| !it.is_empty())))),
        "ternary" => fixed(3, |a| Ok(a.any(if a.bool(2)? { 0 } else { 1 }).clone())),
        "kindOf" => fixed(1, |a| {
            Ok(Value::text(match a.any(0) {
                Value::Missing | Value::Nil => "invalid",
                other => other.kind(),
            }))
        }),
        "kindIs" => fixed(2, |a| {
            let kind = match a.any(1) {
                Value::Missing | Value::Nil => "invalid",
                other => other.kind(),
            };
            Ok(Value::Bool(a.text(0)? == kind))
        }),
        "deepEqual" => fixed(2, |a| Ok(Value::Bool(a.any(0).same(a.any(1))))),
        "deepCopy" | "mustDeepCopy" => fixed(1, |a| Ok(a.any(0).clone())),
        "toJson" | "mustToJson" => fixed(1, |a| Ok(Value::text(found::json(&a.any(0).json())))),
        "toRawJson" | "mustToRawJson" => {
            fixed(1, |a| Ok(Value::text(found::raw_json(&a.any(0).json()))))
        }
        "toPrettyJson" | "mustToPrettyJson" => fixed(1, |a| {
            Ok(Value::text(found::pretty_json(&a.any(0).json(), 0)))
        }),
        "fromJson" => fixed(1, |a| {
            let json = serde_json::from_str(a.text(0)?);
            Ok(json.map_or(Value::Nil, |it| Value::of_plain(&it)))
        }),
        "mustFromJson" => fixed(1, |a| {
            let json = serde_json::from_str(a.text(0)?);
            json.map(|it| Value::of_plain(&it))
                .map_err(|_| "it is no JSON".to_owned())
        }),
        _ => return None,
    })
}
