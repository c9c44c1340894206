//! From an expression and the values it names to a value.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value, json};

use super::parse::{Expr, Macro, Op};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    /// What JSON can say.
    Json(Value),
    /// What may be absent.
    Optional(Option<Value>),
}

/// The values that names have.
#[derive(Debug, Default)]
pub(super) struct Scope(Vec<(String, Val)>);

impl Scope {
    pub(super) fn bind(&mut self, name: &str, value: Val) {
        self.0.push((name.to_owned(), value));
    }

    fn get(&self, name: &str) -> Option<&Val> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

const NO_OVERLOAD: &str = "no such overload";

/// Evaluates an expression; the error is worded as CEL's.
pub(super) fn eval(expr: &Expr, scope: &mut Scope) -> Result<Val, String> {
    match expr {
        Expr::Name(name) => scope
            .get(name)
            .cloned()
            .ok_or_else(|| format!("no such attribute(s): {name}")),
        Expr::Call(name, arguments)
            if matches!(name.as_str(), "hasValue" | "value" | "orValue") =>
        {
            optional(name, arguments, scope)
        }
        Expr::Choose(condition, yes, no) => match json(condition, scope)? {
            Value::Bool(true) => eval(yes, scope),
            Value::Bool(false) => eval(no, scope),
            _ => Err(NO_OVERLOAD.into()),
        },
        other => value(other, scope).map(Val::Json),
    }
}

fn json(expr: &Expr, scope: &mut Scope) -> Result<Value, String> {
    match eval(expr, scope)? {
        Val::Json(value) => Ok(value),
        Val::Optional(_) => Err(NO_OVERLOAD.into()),
    }
}

fn optional(name: &str, arguments: &[Expr], scope: &mut Scope) -> Result<Val, String> {
    let Val::Optional(held) = eval(&arguments[0], scope)? else {
        return Err(NO_OVERLOAD.into());
    };
    match (name, held) {
        ("hasValue", held) => Ok(Val::Json(json!(held.is_some()))),
        (_, Some(held)) => Ok(Val::Json(held)),
        ("orValue", None) => eval(&arguments[1], scope),
        (_, None) => Err("optional.none() dereference".into()),
    }
}

fn value(expr: &Expr, scope: &mut Scope) -> Result<Value, String> {
    match expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::List(items) => {
            let items: Result<Vec<Value>, String> =
                items.iter().map(|item| json(item, scope)).collect();
            items.map(Value::Array)
        }
        Expr::Map(entries) => {
            let mut out = Map::new();
            for (key, value) in entries {
                let key = key_text(&json(key, scope)?);
                out.insert(key, json(value, scope)?);
            }
            Ok(Value::Object(out))
        }
        Expr::Select(of, name) => match json(of, scope)? {
            Value::Object(mut map) => map
                .remove(name)
                .ok_or_else(|| format!("no such key: {name}")),
            _ => Err(format!("no such key: {name}")),
        },
        Expr::Has(of, name) => match json(of, scope)? {
            Value::Object(map) => Ok(json!(map.contains_key(name))),
            _ => Err(NO_OVERLOAD.into()),
        },
        Expr::Index(of, index) => {
            let (of, index) = (json(of, scope)?, json(index, scope)?);
            match (of, &index) {
                (Value::Object(mut map), index) => {
                    let key = key_text(index);
                    map.remove(&key)
                        .ok_or_else(|| format!("no such key: {key}"))
                }
                (Value::Array(items), Value::Number(n)) => n
                    .as_u64()
                    .and_then(|n| items.into_iter().nth(usize::try_from(n).ok()?))
                    .ok_or_else(|| format!("index out of bounds: {n}")),
                _ => Err(NO_OVERLOAD.into()),
            }
        }
        Expr::Not(of) => match json(of, scope)? {
            Value::Bool(value) => Ok(json!(!value)),
            _ => Err(NO_OVERLOAD.into()),
        },
        Expr::Minus(of) => match json(of, scope)? {
            Value::Number(n) => match n.as_i64() {
                Some(n) => n.checked_neg().map(|n| json!(n)).ok_or_else(overflow),
                None => Ok(json!(-n.as_f64().unwrap_or(0.0))),
            },
            _ => Err(NO_OVERLOAD.into()),
        },
        Expr::Binary(op @ (Op::And | Op::Or), left, right) => either(*op, left, right, scope),
        Expr::Binary(op, left, right) => {
            let (left, right) = (json(left, scope)?, json(right, scope)?);
            binary(*op, &left, &right)
        }
        Expr::Call(name, arguments) => {
            let arguments: Result<Vec<Value>, String> = arguments
                .iter()
                .map(|argument| json(argument, scope))
                .collect();
            call(name, &arguments?)
        }
        Expr::Over(kind, of, variable, body) => over(*kind, of, variable, body, scope),
        Expr::Name(_) | Expr::Choose(..) => json(expr, scope),
    }
}

fn overflow() -> String {
    "integer overflow".into()
}

/// `&&` and `||` do not care for an error on one side when the other side decides.
fn either(op: Op, left: &Expr, right: &Expr, scope: &mut Scope) -> Result<Value, String> {
    let decisive = Value::Bool(op == Op::Or);
    let left = json(left, scope);
    if left.as_ref() == Ok(&decisive) {
        return left;
    }
    let right = json(right, scope);
    if right.as_ref() == Ok(&decisive) {
        return right;
    }
    match (left?, right?) {
        (Value::Bool(_), Value::Bool(right)) => Ok(Value::Bool(right)),
        _ => Err(NO_OVERLOAD.into()),
    }
}

fn key_text(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => compare(left, right) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

fn binary(op: Op, left: &Value, right: &Value) -> Result<Value, String> {
    let ordered = |wanted: fn(Ordering) -> bool| {
        compare(left, right)
            .map(|order| json!(wanted(order)))
            .ok_or_else(|| NO_OVERLOAD.to_owned())
    };
    match op {
        Op::Equal => Ok(json!(same(left, right))),
        Op::Unequal => Ok(json!(!same(left, right))),
        Op::Less => ordered(Ordering::is_lt),
        Op::LessEqual => ordered(Ordering::is_le),
        Op::Greater => ordered(Ordering::is_gt),
        Op::GreaterEqual => ordered(Ordering::is_ge),
        Op::In => match right {
            Value::Array(items) => Ok(json!(items.iter().any(|item| same(item, left)))),
            Value::Object(map) => Ok(json!(map.contains_key(&key_text(left)))),
            _ => Err(NO_OVERLOAD.into()),
        },
        Op::Add => match (left, right) {
            (Value::String(a), Value::String(b)) => Ok(json!(format!("{a}{b}"))),
            (Value::Array(a), Value::Array(b)) => Ok(json!([a.as_slice(), b].concat())),
            _ => arithmetic(op, left, right),
        },
        _ => arithmetic(op, left, right),
    }
}

fn arithmetic(op: Op, left: &Value, right: &Value) -> Result<Value, String> {
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64()) {
        let out = match op {
            Op::Add => a.checked_add(b),
            Op::Subtract => a.checked_sub(b),
            Op::Multiply => a.checked_mul(b),
            Op::Divide if b == 0 => return Err("division by zero".into()),
            Op::Divide => a.checked_div(b),
            Op::Modulo if b == 0 => return Err("modulus by zero".into()),
            _ => a.checked_rem(b),
        };
        return out.map(|n| json!(n)).ok_or_else(overflow);
    }
    let (Some(a), Some(b)) = (left.as_f64(), right.as_f64()) else {
        return Err(NO_OVERLOAD.into());
    };
    let out = match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        _ => return Err(NO_OVERLOAD.into()),
    };
    Ok(Number::from_f64(out).map_or(Value::Null, Value::Number))
}

fn over(
    kind: Macro,
    of: &Expr,
    variable: &str,
    body: &[Expr],
    scope: &mut Scope,
) -> Result<Value, String> {
    let items = match json(of, scope)? {
        Value::Array(items) => items,
        Value::Object(map) => map.into_iter().map(|(key, _)| Value::String(key)).collect(),
        _ => return Err(NO_OVERLOAD.into()),
    };
    let mut out = Vec::new();
    let mut error = None;
    let mut count = 0;
    for item in items {
        scope.bind(variable, Val::Json(item.clone()));
        let found: Result<Vec<Value>, String> = body.iter().map(|expr| json(expr, scope)).collect();
        scope.0.pop();
        match (kind, found.as_deref()) {
            (Macro::Map, Ok([mapped])) => out.push(mapped.clone()),
            (Macro::Map, Ok([Value::Bool(kept), mapped])) => {
                out.extend(kept.then(|| mapped.clone()));
            }
            (Macro::All, Ok([Value::Bool(false)])) => return Ok(json!(false)),
            (Macro::Exists, Ok([Value::Bool(true)])) => return Ok(json!(true)),
            (_, Ok([Value::Bool(true)])) => {
                count += 1;
                out.push(item);
            }
            (_, Ok([Value::Bool(false)])) => {}
            (_, Ok(_)) => error = Some(NO_OVERLOAD.to_owned()),
            (_, Err(why)) => error = Some(why.clone()),
        }
    }
    if let Some(error) = error {
        return Err(error);
    }
    Ok(match kind {
        Macro::All => json!(true),
        Macro::Exists => json!(false),
        Macro::ExistsOne => json!(count == 1),
        Macro::Map | Macro::Filter => Value::Array(out),
    })
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let text = |i: usize| arguments.get(i).and_then(Value::as_str).ok_or(NO_OVERLOAD);
    let at = |i: usize| {
        let n = arguments
            .get(i)
            .and_then(Value::as_u64)
            .ok_or(NO_OVERLOAD)?;
        usize::try_from(n).map_err(|_| NO_OVERLOAD)
    };
    let list = || arguments[0].as_array().ok_or(NO_OVERLOAD);
    Ok(match name {
        "size" => json!(match &arguments[0] {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => return Err(NO_OVERLOAD.into()),
        }),
        "startsWith" => json!(text(0)?.starts_with(text(1)?)),
        "endsWith" => json!(text(0)?.ends_with(text(1)?)),
        "contains" => json!(text(0)?.contains(text(1)?)),
        "matches" => {
            let pattern = regex::Regex::new(text(1)?).map_err(|error| error.to_string())?;
            json!(pattern.is_match(text(0)?))
        }
        "string" => json!(key_text(&arguments[0])),
        "int" => match &arguments[0] {
            Value::Number(n) => {
                #[expect(clippy::cast_possible_truncation, reason = "CEL truncates too")]
                let truncated = n.as_f64().unwrap_or(0.0) as i64;
                json!(n.as_i64().unwrap_or(truncated))
            }
            _ => json!(text(0)?.parse::<i64>().map_err(|error| error.to_string())?),
        },
        "double" => match &arguments[0] {
            Value::Number(n) => json!(n.as_f64()),
            _ => json!(text(0)?.parse::<f64>().map_err(|error| error.to_string())?),
        },
        "bool" => match &arguments[0] {
            Value::Bool(value) => json!(value),
            _ => json!(
                text(0)?
                    .parse::<bool>()
                    .map_err(|error| error.to_string())?
            ),
        },
        "dyn" => arguments[0].clone(),
        "lowerAscii" => json!(text(0)?.to_ascii_lowercase()),
        "upperAscii" => json!(text(0)?.to_ascii_uppercase()),
        "trim" => json!(text(0)?.trim()),
        "split" => json!(text(0)?.split(text(1)?).collect::<Vec<_>>()),
        "join" => {
            let texts: Option<Vec<&str>> = list()?.iter().map(Value::as_str).collect();
            let between = if arguments.len() > 1 { text(1)? } else { "" };
            json!(texts.ok_or(NO_OVERLOAD)?.join(between))
        }
        "replace" => json!(text(0)?.replace(text(1)?, text(2)?)),
        "substring" => {
            let chars: Vec<char> = text(0)?.chars().collect();
            let from = at(1)?;
            let to = if arguments.len() > 2 {
                at(2)?
            } else {
                chars.len()
            };
            let cut = chars
                .get(from..to)
                .ok_or_else(|| format!("index out of range: {to}"))?;
            json!(cut.iter().collect::<String>())
        }
        "indexOf" => {
            let (whole, part) = (text(0)?, text(1)?);
            let found = whole.find(part).map(|at| whole[..at].chars().count());
            found.map_or(json!(-1), |at| json!(at))
        }
        "sum" => list()?
            .iter()
            .try_fold(json!(0), |sum, item| arithmetic(Op::Add, &sum, item))?,
        "min" | "max" => {
            let mut best: Option<&Value> = None;
            for item in list()? {
                let order = best.map_or(Some(Ordering::Less), |best| compare(item, best));
                let order = order.ok_or(NO_OVERLOAD)?;
                let wins = if name == "min" {
                    order.is_lt()
                } else {
                    order.is_gt()
                };
                if best.is_none() || wins {
                    best = Some(item);
                }
            }
            best.cloned()
                .ok_or_else(|| format!("{name} called on empty list"))?
        }
        "isSorted" => {
            let items = list()?;
            let sorted = |pair: &[Value]| compare(&pair[0], &pair[1]).is_some_and(Ordering::is_le);
            json!(items.windows(2).all(sorted))
        }
        _ => return Err(NO_OVERLOAD.into()),
    })
}
