//! The functions that Go's templates have of their own, and how a function is called.

use std::cmp::Ordering;

use super::print;
use super::template::{count, shown};
use super::value::{Map, Value};

/// A function of templates.
#[derive(Clone, Copy)]
pub(super) struct Function {
    least: usize,
    most: usize,
    call: fn(&Args<'_>) -> Result<Value, String>,
}

/// A function of a fixed number of arguments.
pub(super) const fn fixed(count: usize, call: fn(&Args<'_>) -> Result<Value, String>) -> Function {
    Function {
        least: count,
        most: count,
        call,
    }
}

/// A function of at least so many arguments.
pub(super) const fn variadic(
    least: usize,
    call: fn(&Args<'_>) -> Result<Value, String>,
) -> Function {
    Function {
        least,
        most: usize::MAX,
        call,
    }
}

impl Function {
    pub(super) fn call(self, name: &str, args: &[Value]) -> Result<Value, String> {
        if args.len() < self.least || args.len() > self.most {
            return Err(format!(
                "wrong number of args for {name}: want {} got {}",
                self.least,
                args.len()
            ));
        }
        (self.call)(&Args(args))
    }
}

/// What a function is given, with Go's checks of types.
pub(super) struct Args<'a>(pub(super) &'a [Value]);

fn wrong<T>(expected: &str, got: &Value) -> Result<T, String> {
    Err(match got {
        Value::Missing => format!("invalid value; expected {expected}"),
        got => format!(
            "wrong type for value; expected {expected}; got {}",
            got.kind()
        ),
    })
}

impl<'a> Args<'a> {
    pub(super) fn any(&self, at: usize) -> &'a Value {
        &self.0[at]
    }

    pub(super) fn text(&self, at: usize) -> Result<&'a str, String> {
        match &self.0[at] {
            Value::Text(it) => Ok(it),
            other => wrong("string", other),
        }
    }

    pub(super) fn int(&self, at: usize) -> Result<i64, String> {
        match &self.0[at] {
            Value::Int(it) => Ok(*it),
            other => wrong("int", other),
        }
    }

    pub(super) fn bool(&self, at: usize) -> Result<bool, String> {
        match &self.0[at] {
            Value::Bool(it) => Ok(*it),
            other => wrong("bool", other),
        }
    }

    /// A map; nothing at all is an empty one.
    pub(super) fn map(&self, at: usize) -> Result<Option<&'a Map>, String> {
        match &self.0[at] {
            Value::Map(it) => Ok(Some(it)),
            Value::Missing => Ok(None),
            other => wrong("map[string]interface {}", other),
        }
    }

    /// The elements of a list that is an interface in Go.
    pub(super) fn list(&self, at: usize, what: &str) -> Result<&'a [Value], String> {
        match &self.0[at] {
            Value::List(it) => Ok(it.items()),
            other => Err(format!("Cannot {what} on type {}", other.kind())),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether templates know the function without sprig.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, "and" | "or") || find(name).is_some()
}

/// A function of Go's templates.
pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "not" => fixed(1, |a| Ok(Value::Bool(!a.any(0).truth()))),
        "len" => fixed(1, |a| match a.any(0) {
            Value::Text(it) => Ok(count(it.len())),
            Value::List(it) => Ok(count(it.items().len())),
            Value::Map(it) => Ok(count(it.entries().len())),
            Value::Missing | Value::Nil => Err("len of nil pointer".into()),
            other => Err(format!("len of type {}", other.kind())),
        }),
        "index" => variadic(1, index),
        "print" => variadic(0, |a| Ok(Value::text(print::sprint(a.0)))),
        "println" => variadic(0, |a| {
            let all: Vec<_> = a.0.iter().map(shown).collect();
            Ok(Value::text(format!("{}\n", all.join(" "))))
        }),
        "printf" => variadic(1, |a| {
            Ok(Value::text(print::sprintf(a.text(0)?, &a.0[1..])))
        }),
        "html" => variadic(0, |a| Ok(Value::text(html(&escaped(a.0))))),
        "js" => variadic(0, |a| Ok(Value::text(gotmpl::js_escape(&escaped(a.0))))),
        "urlquery" => variadic(0, |a| Ok(Value::text(gotmpl::url_encode(&escaped(a.0))))),
        "eq" => variadic(1, |a| {
            if a.len() == 1 {
                return Err("missing argument for comparison".into());
            }
            for other in &a.0[1..] {
                if equal(a.any(0), other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }),
        "ne" => fixed(2, |a| Ok(Value::Bool(!equal(a.any(0), a.any(1))?))),
        "lt" => fixed(2, |a| Ok(Value::Bool(less(a.any(0), a.any(1))?))),
        "le" => fixed(2, |a| {
            Ok(Value::Bool(
                less(a.any(0), a.any(1))? || equal(a.any(0), a.any(1))?,
            ))
        }),
        "gt" => fixed(2, |a| {
            Ok(Value::Bool(
                !(less(a.any(0), a.any(1))? || equal(a.any(0), a.any(1))?),
            ))
        }),
        "ge" => fixed(2, |a| Ok(Value::Bool(!less(a.any(0), a.any(1))?))),
        "call" => variadic(1, |a| match a.any(0) {
            Value::Missing | Value::Nil => Err("call of nil".into()),
            other => Err(format!("non-function of type {}", other.kind())),
        }),
        _ => return None,
    })
}

fn index(args: &Args<'_>) -> Result<Value, String> {
    let mut value = args.any(0).clone();
    if value.is_nil() {
        return Err("index of untyped nil".into());
    }
    for at in &args.0[1..] {
        value = match (&value, at) {
            (Value::List(list), Value::Int(at) | Value::Int64(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| list.items().get(at).cloned())
                .ok_or_else(|| format!("index out of range: {at}"))?,
            (Value::Text(text), Value::Int(at) | Value::Int64(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| text.as_bytes().get(at))
                .map(|byte| Value::Int(i64::from(*byte)))
                .ok_or_else(|| format!("index out of range: {at}"))?,
            (Value::List(_) | Value::Text(_), Value::Missing | Value::Nil) => {
                return Err("cannot index slice/array with nil".into());
            }
            (Value::List(_) | Value::Text(_), other) => {
                return Err(format!(
                    "cannot index slice/array with type {}",
                    other.kind()
                ));
            }
            (Value::Map(map), Value::Text(key)) => {
                map.entries().get(key).cloned().unwrap_or(Value::Nil)
            }
            (Value::Map(_), other) => {
                return Err(format!("value has type {}; should be string", other.kind()));
            }
            (Value::Missing | Value::Nil, _) => return Err("index of nil pointer".into()),
            (other, _) => return Err(format!("can't index item of type {}", other.kind())),
        };
    }
    Ok(value)
}

fn escaped(args: &[Value]) -> String {
    if let [Value::Text(text)] = args {
        return text.to_string();
    }
    let args: Vec<_> = args
        .iter()
        .map(|it| {
            if it.is_nil() {
                Value::text("<no value>")
            } else {
                it.clone()
            }
        })
        .collect();
    print::sprint(&args)
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Basic {
    Bool,
    Int,
    Float,
    Text,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_) | Value::Int64(_) => Basic::Int,
        Value::Float(_) => Basic::Float,
        Value::Text(_) => Basic::Text,
        _ => Basic::Other,
    }
}

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (basic(one), basic(other)) {
        (Basic::Other, Basic::Other) => match (one, other) {
            (one, other) if one.is_nil() || other.is_nil() => Ok(one.is_nil() == other.is_nil()),
            _ => Err("non-comparable types".into()),
        },
        (a, b) if a != b => {
            if one.is_nil() || other.is_nil() {
                Ok(false)
            } else {
                Err(format!(
                    "incompatible types for comparison: {} and {}",
                    one.kind(),
                    other.kind()
                ))
            }
        }
        (Basic::Int, _) => Ok(order(one, other) == Some(Ordering::Equal)),
        _ => Ok(one.same(other)),
    }
}

fn less(one: &Value, other: &Value) -> Result<bool, String> {
    match (basic(one), basic(other)) {
        (Basic::Other, _) | (_, Basic::Other) => Err("invalid type for comparison".into()),
        (a, b) if a != b => Err(format!(
            "incompatible types for comparison: {} and {}",
            one.kind(),
            other.kind()
        )),
        (Basic::Bool, _) => Err("invalid type for comparison".into()),
        _ => Ok(order(one, other) == Some(Ordering::Less)),
    }
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(a) | Value::Int64(a), Value::Int(b) | Value::Int64(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
