//! The rules of `x-kubernetes-validations`, as far as this server understands CEL.
//!
//! A small interpreter: literals, operators, member access, `has`, the macros `all`, `exists`, `exists_one`, `map` and
//! `filter`, and the functions of texts, lists and optionals that rules of CRDs use. What it does not understand is an
//! error when the rule is compiled, so that a CRD with such a rule is refused and never half-checked. Types are those
//! of the values: there is no type checker and no cost estimate.
//!
//! [`causes`] walks an object along its schema and evaluates the rules where a value is. Rules that speak of `oldSelf`
//! run only where there was a value before.

mod eval;
mod parse;

use serde_json::Value;

use super::node::{List, Node};
use crate::status::Cause;

use self::eval::{Scope, Val};
use self::parse::Expr;

/// A compiled rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    text: String,
    condition: Expr,
    message: String,
    message_expression: Option<Expr>,
    reason: String,
    field_path: String,
    /// Whether it speaks of `oldSelf`.
    transition: bool,
    optional_old: bool,
}

impl Rule {
    /// Compiles an entry of `x-kubernetes-validations`.
    pub(super) fn compile(rule: &Value) -> Result<Self, String> {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        let condition = parse::parse(&text("rule"))?;
        let message_expression = match text("messageExpression").as_str() {
            "" => None,
            expression => Some(parse::parse(expression)?),
        };
        Ok(Self {
            text: text("rule").trim().to_owned(),
            message: text("message").trim().to_owned(),
            message_expression,
            reason: text("reason"),
            field_path: text("fieldPath"),
            transition: condition.names("oldSelf"),
            optional_old: rule["optionalOldSelf"] == Value::Bool(true),
            condition,
        })
    }
}

/// Whether a schema has any rule.
pub(super) fn any(node: &Node) -> bool {
    let below = node.properties.values().any(any);
    let rest = matches!(&node.rest, super::node::Rest::Schema(rest) if any(rest));
    !node.rules.is_empty() || below || rest || node.items.as_deref().is_some_and(any)
}

/// What the rules say. `path` is where the value lies.
pub(super) fn causes(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Vec<Cause> {
    let mut out = Vec::new();
    visit(node, value, old, path, &mut out);
    out
}

fn visit(node: &Node, value: &Value, old: Option<&Value>, path: &str, out: &mut Vec<Cause>) {
    if value.is_null() {
        return;
    }
    for rule in &node.rules {
        let unchanged = old == Some(value);
        if (unchanged && !rule.transition)
            || (rule.transition && old.is_none() && !rule.optional_old)
        {
            continue;
        }
        out.extend(evaluate(rule, node, value, old, path));
    }
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                if let Some(schema) = node.member(name) {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    visit(
                        schema,
                        member,
                        old.and_then(|old| old.get(name)),
                        &path,
                        out,
                    );
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &node.items else { return };
            for (i, item) in items.iter().enumerate() {
                let old = match &node.list {
                    List::Map(keys) => old.and_then(Value::as_array).and_then(|items| {
                        let same =
                            |other: &&Value| keys.iter().all(|key| other.get(key) == item.get(key));
                        items.iter().find(same)
                    }),
                    _ => None,
                };
                visit(schema, item, old, &format!("{path}[{i}]"), out);
            }
        }
        _ => {}
    }
}

fn evaluate(
    rule: &Rule,
    node: &Node,
    value: &Value,
    old: Option<&Value>,
    path: &str,
) -> Option<Cause> {
    let mut scope = Scope::default();
    scope.bind("self", Val::Json(value.clone()));
    if rule.optional_old {
        scope.bind("oldSelf", Val::Optional(old.cloned()));
    } else if let Some(old) = old {
        scope.bind("oldSelf", Val::Json(old.clone()));
    }
    let place = |path: &str| {
        if path.is_empty() {
            "<nil>".to_owned()
        } else {
            path.to_owned()
        }
    };
    match eval::eval(&rule.condition, &mut scope) {
        Ok(Val::Json(Value::Bool(true))) => return None,
        Ok(_) => {}
        Err(why) => {
            let what = if rule.message.is_empty() {
                &rule.text
            } else {
                &rule.message
            };
            let kind = node.types.first().map_or("object", String::as_str);
            let text = format!("{why} evaluating rule: {what}");
            return Some(Cause::invalid(place(path), &kind.into(), &text));
        }
    }
    let told = rule.message_expression.as_ref().and_then(|expression| {
        match eval::eval(expression, &mut scope) {
            Ok(Val::Json(Value::String(text))) => Some(text.trim().to_owned()),
            _ => None,
        }
    });
    let told = told.filter(|text| !text.is_empty() && !text.contains('\n'));
    let message = told.unwrap_or_else(|| {
        if rule.message.is_empty() {
            format!("failed rule: {}", rule.text)
        } else {
            rule.message.clone()
        }
    });
    let below = rule.field_path.trim_start_matches('.');
    let field = match (path, below) {
        (path, "") => place(path),
        ("", below) => below.to_owned(),
        (path, below) => format!("{path}.{below}"),
    };
    let scalar = !value.is_object() && !value.is_array();
    Some(match rule.reason.as_str() {
        "FieldValueForbidden" => Cause::forbidden(field, &message),
        "FieldValueRequired" => Cause::required(field, &message),
        "FieldValueDuplicate" if scalar => Cause::duplicate(field, value),
        "FieldValueDuplicate" => Cause::new("FieldValueDuplicate", field, "Duplicate value"),
        _ if scalar => Cause::invalid(field, value, &message),
        _ => Cause::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {message}"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(rule: &str, value: &Value) -> Result<Value, String> {
        let mut scope = Scope::default();
        scope.bind("self", Val::Json(value.clone()));
        match eval::eval(&parse::parse(rule)?, &mut scope)? {
            Val::Json(value) => Ok(value),
            Val::Optional(value) => Ok(value.unwrap_or(Value::Null)),
        }
    }

    #[test]
    fn expressions_have_their_values() {
        let value = json!({"a": 5, "s": "hello", "l": [1, 2, 3], "m": {"k": "v"}, "foo-bar": true, "f": 1.5});
        for (rule, wanted) in [
            ("self.a + 2 * 3 - 1", json!(10)),
            (
                "self.a > 4 && self.s.startsWith('he') || false",
                json!(true),
            ),
            ("!has(self.z) || self.z < 5", json!(true)),
            ("has(self.m.k) ? 'yes' : 'no'", json!("yes")),
            (
                "self.l.all(x, x > 0) && self.l.exists(x, x == 2) && self.l.exists_one(x, x > 2)",
                json!(true),
            ),
            ("self.l.map(x, x * 2)", json!([2, 4, 6])),
            ("self.l.filter(x, x != 2)", json!([1, 3])),
            ("size(self.l) + self.s.size() + self.m.size()", json!(9)),
            (
                "'k' in self.m && 2 in self.l && !(7 in self.l)",
                json!(true),
            ),
            ("self.m['k'] + \"!\"", json!("v!")),
            (
                "self.s.matches('^h.*o$') && self.s.contains('ell') && self.s.endsWith('o')",
                json!(true),
            ),
            ("self.foo__dash__bar", json!(true)),
            ("self.f < 2.0 && self.a >= 5 && -self.a < 0", json!(true)),
            ("self.m.all(k, self.m[k] == 'v')", json!(true)),
            ("'a is ' + string(self.a)", json!("a is 5")),
            (
                "self == self && [1, 2] == [1, 2] && {'a': 1} == {'a': 1}",
                json!(true),
            ),
            ("7 / 2 + 7 % 2", json!(4)),
            (
                "self.s.split('l').size() == 3 && self.s.replace('l', 'L') == 'heLLo'",
                json!(true),
            ),
            (
                "int('12') + 1 == 13 && self.s.upperAscii() == 'HELLO'",
                json!(true),
            ),
            ("self.zz.q || true", json!(true)),
        ] {
            assert_eq!(told(rule, &value), Ok(wanted), "{rule}");
        }
        assert_eq!(
            told("self.m['z'] == 1", &value),
            Err("no such key: z".into())
        );
        assert_eq!(
            told("10 / (self.a - 5)", &value),
            Err("division by zero".into())
        );
        for rule in [
            "self.",
            "self == ",
            "(self",
            "self.frobnicate()",
            "1 +",
            "'x",
            "unknown",
            "self @ 1",
        ] {
            assert!(parse::parse(rule).is_err(), "{rule}");
        }
    }
}
