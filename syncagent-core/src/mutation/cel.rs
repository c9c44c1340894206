//! Expressions in CEL: the standard library, and the variables `self`, `other` and `value`.
//!
//! Integers of the API stay integers. The Go agent hands every number over as a double, so an expression that finds no
//! overload for an integer (`value + 0.5`) is tried once more with doubles: what works there works here.
//!
//! The crate walks maps in an order that differs from run to run, and knows no bound. So every comprehension is rewritten
//! when an expression is compiled: what it walks passes through a function of ours, which sorts keys and counts elements.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Value};
use serde_json::Value as Json;

use super::Fault;

/// How many elements all comprehensions of one evaluation may walk.
const ELEMENTS: usize = 200_000;
/// The function that comprehensions walk through; no expression can spell it.
const WALK: &str = "@walk";
/// The largest result, in bytes of JSON, about.
const LARGEST: usize = 1 << 20;
/// What an expression may name.
const VARIABLES: &[&str] = &["self", "other", "value"];
/// Types are named like variables.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "uint",
    "string",
    "list",
    "map",
    "null_type",
    "type",
    "dyn",
    "duration",
    "timestamp",
    "google",
    "optional",
];
/// The functions of the standard library.
const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "type",
    "dyn",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "of",
    "ofNonZeroValue",
    "none",
    "hasValue",
    "value",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
    "optional.of",
    "optional.ofNonZeroValue",
    "optional.none",
    "unwrap",
    "unwrapOpt",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    expr: IdedExpr,
    other: bool,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// When it is no CEL, or names a variable or a function that does not exist.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let parsed = ENV.parser().parse(text);
        let mut expr = parsed.map_err(|error| {
            let text = error.to_string();
            Fault::new(text.lines().next().unwrap_or("it is no CEL").to_owned())
        })?;
        let mut check = Check {
            bound: Vec::new(),
            other: false,
            problems: Vec::new(),
        };
        check.walk(&mut expr);
        match check.problems.into_iter().next() {
            Some(problem) => Err(Fault::new(problem)),
            None => Ok(Self {
                expr,
                other: check.other,
            }),
        }
    }

    /// Whether it looks at the other side.
    #[must_use]
    pub fn reads_other(&self) -> bool {
        self.other
    }

    /// Evaluates it.
    ///
    /// # Errors
    ///
    /// When CEL does.
    pub fn evaluate(
        &self,
        this: &Json,
        other: Option<&Json>,
        value: Option<&Json>,
    ) -> Result<Json, Fault> {
        let result = match self.run(this, other, value, false) {
            Err(
                ExecutionError::NoSuchOverload(_) | ExecutionError::UnsupportedBinaryOperator(..),
            ) => self.run(this, other, value, true),
            result => result,
        };
        let value = result.map_err(|error| Fault::new(brief(&error)))?;
        let mut left = LARGEST;
        json(&value, &mut left)
    }

    fn run(
        &self,
        this: &Json,
        other: Option<&Json>,
        value: Option<&Json>,
        doubles: bool,
    ) -> Result<Value, ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value("self", read(this, doubles));
        context.add_variable_from_value("other", other.map_or(Value::Null, |it| read(it, doubles)));
        context.add_variable_from_value("value", value.map_or(Value::Null, |it| read(it, doubles)));
        let left = AtomicUsize::new(ELEMENTS);
        let walk = move |range: Value| -> Result<Value, ExecutionError> {
            let range = match range {
                Value::Map(map) => {
                    let mut keys: Vec<&Key> = map.map.keys().collect();
                    keys.sort();
                    Value::List(Arc::new(keys.into_iter().map(key).collect()))
                }
                range => range,
            };
            let count = match &range {
                Value::List(list) => list.len() + 1,
                _ => 1,
            };
            let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(count)
            });
            match taken {
                Ok(_) => Ok(range),
                Err(_) => Err(ExecutionError::function_error(
                    "comprehension",
                    "it walks too many elements",
                )),
            }
        };
        context
            .add_function(WALK, walk)
            .map_err(|error| ExecutionError::function_error(WALK, error))?;
        Value::resolve(&self.expr, &context)
    }
}

/// An error without the values it shows, which may be large or a secret.
fn brief(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(_)
        | ExecutionError::NoSuchOverload(_)
        | ExecutionError::UndeclaredReference(_)
        | ExecutionError::InvalidArgumentCount { .. }
        | ExecutionError::FunctionError { .. }
        | ExecutionError::UnexpectedType { .. } => error.to_string(),
        other => {
            let text = other.to_string();
            let end = text.find([':', '\'']).unwrap_or(text.len());
            text[..end].to_owned()
        }
    }
}

struct Check {
    bound: Vec<String>,
    other: bool,
    problems: Vec<String>,
}

impl Check {
    fn walk(&mut self, expr: &mut IdedExpr) {
        match &mut expr.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if self.bound.contains(name) || name.starts_with('@') {
                    return;
                }
                self.other |= name == "other";
                if !VARIABLES.contains(&name.as_str()) && !TYPES.contains(&name.as_str()) {
                    self.problems.push(format!(
                        "undeclared reference to '{name}'; there are `self`, `other` and `value`"
                    ));
                }
            }
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let plain = name.starts_with(|c: char| c.is_ascii_alphabetic());
                if plain && !FUNCTIONS.contains(&name) {
                    self.problems
                        .push(format!("undeclared reference to '{name}'"));
                }
                if let Some(target) = &mut call.target {
                    self.walk(target);
                }
                call.args.iter_mut().for_each(|it| self.walk(it));
            }
            Expr::Comprehension(it) => {
                self.walk(&mut it.iter_range);
                self.walk(&mut it.accu_init);
                let mark = self.bound.len();
                self.bound.push(it.iter_var.clone());
                self.bound.extend(it.iter_var2.clone());
                self.bound.push(it.accu_var.clone());
                self.walk(&mut it.loop_cond);
                self.walk(&mut it.loop_step);
                self.walk(&mut it.result);
                self.bound.truncate(mark);
                let range = std::mem::take(&mut it.iter_range);
                it.iter_range = IdedExpr {
                    id: range.id,
                    expr: Expr::Call(CallExpr {
                        func_name: WALK.to_owned(),
                        target: None,
                        args: vec![range],
                    }),
                };
            }
            Expr::List(list) => list.elements.iter_mut().for_each(|it| self.walk(it)),
            Expr::Map(map) => map
                .entries
                .iter_mut()
                .for_each(|it| self.entry(&mut it.expr)),
            Expr::Struct(it) => it
                .entries
                .iter_mut()
                .for_each(|it| self.entry(&mut it.expr)),
            Expr::Select(select) => self.walk(&mut select.operand),
        }
    }

    fn entry(&mut self, entry: &mut EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.walk(&mut field.value),
            EntryExpr::MapEntry(entry) => {
                self.walk(&mut entry.key);
                self.walk(&mut entry.value);
            }
        }
    }
}

fn key(key: &Key) -> Value {
    match key {
        Key::Int(it) => Value::Int(*it),
        Key::Uint(it) => Value::UInt(*it),
        Key::Bool(it) => Value::Bool(*it),
        Key::String(it) => Value::String(Arc::clone(it)),
    }
}

fn read(json: &Json, doubles: bool) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(it) => Value::Bool(*it),
        Json::Number(it) => match it.as_i64().filter(|_| !doubles) {
            Some(it) => Value::Int(it),
            None => Value::Float(it.as_f64().unwrap_or(0.0)),
        },
        Json::String(it) => Value::String(Arc::new(it.clone())),
        Json::Array(it) => Value::List(Arc::new(it.iter().map(|it| read(it, doubles)).collect())),
        Json::Object(it) => {
            let entries = it.iter().map(|(name, it)| {
                let name = Key::String(Arc::new(name.clone()));
                (name, read(it, doubles))
            });
            Value::Map(Map {
                map: Arc::new(entries.collect::<HashMap<_, _>>()),
            })
        }
    }
}

/// A time as protobuf writes it: `Z`, and no zeros at the end of a fraction.
fn stamp(text: &str) -> String {
    let Some(text) = text.strip_suffix("+00:00") else {
        return text.to_owned();
    };
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}Z", fraction.trim_end_matches('0')),
        None => format!("{text}Z"),
    }
}

fn json(value: &Value, left: &mut usize) -> Result<Json, Fault> {
    let weight = match value {
        Value::String(it) => it.len() + 2,
        Value::Bytes(it) => it.len() * 2,
        _ => 8,
    };
    *left = left
        .checked_sub(weight)
        .ok_or_else(|| Fault::new("the result is too large"))?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(it) => Json::Bool(*it),
        Value::Int(it) => Json::from(*it),
        Value::UInt(it) => Json::from(*it),
        Value::Float(it) => {
            super::whole(*it).ok_or_else(|| Fault::new("the result is no number"))?
        }
        Value::String(it) => Json::String(it.to_string()),
        Value::Bytes(it) => {
            use base64::Engine as _;
            Json::String(base64::engine::general_purpose::STANDARD.encode(it.as_slice()))
        }
        Value::List(it) => it
            .iter()
            .map(|it| json(it, left))
            .collect::<Result<_, _>>()?,
        Value::Map(it) => {
            let mut out = serde_json::Map::new();
            for (name, value) in it.map.iter() {
                let name = match name {
                    Key::Int(it) => it.to_string(),
                    Key::Uint(it) => it.to_string(),
                    Key::Bool(it) => it.to_string(),
                    Key::String(it) => it.to_string(),
                };
                out.insert(name, json(value, left)?);
            }
            Json::Object(out)
        }
        Value::Timestamp(it) => Json::String(stamp(&it.to_rfc3339())),
        Value::Duration(it) => {
            let nanos = it.subsec_nanos();
            let text = match nanos {
                0 => it.num_seconds().to_string(),
                _ => {
                    let sign = if it.num_seconds() <= 0 && nanos < 0 {
                        "-"
                    } else {
                        ""
                    };
                    let text = format!("{sign}{}.{:09}", it.num_seconds().abs(), nanos.abs());
                    text.trim_end_matches('0').to_owned()
                }
            };
            Json::String(format!("{text}s"))
        }
        _ => return Err(Fault::new("the result is no JSON")),
    })
}
