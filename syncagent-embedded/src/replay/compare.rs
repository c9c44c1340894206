//! The first difference between an answer and the recorded one.

use serde_json::Value;

use super::binding::Bindings;

/// Where two values part.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The path, as in `body.metadata.labels`.
    pub at: String,
    /// What was recorded there; `None` where it should not be.
    pub recorded: Option<Value>,
    /// What was answered; `None` where it is missing.
    pub actual: Option<Value>,
}

/// Compares, binding placeholders on the way.
///
/// # Errors
///
/// The first difference, members in alphabetical order.
pub fn compare(
    at: &str,
    recorded: &Value,
    actual: &Value,
    bindings: &mut Bindings,
) -> Result<(), Difference> {
    let differ = || {
        Err(Difference {
            at: at.to_owned(),
            recorded: Some(recorded.clone()),
            actual: Some(actual.clone()),
        })
    };
    match (recorded, actual) {
        (Value::Object(recorded), Value::Object(actual)) => {
            // Names may have holes too (`claimed.internal.apis.kcp.io/<exporthash:1>`), whose value is known by
            // now or found by trying.
            let mut left: Vec<&String> = actual.keys().collect();
            for (name, wanted) in recorded {
                let found = left.iter().position(|have| {
                    *have == name
                        || (name.contains('<') || name.contains("${"))
                            && bindings.clone().matches(name, have)
                });
                let Some(found) = found else {
                    return Err(Difference {
                        at: join(at, &bindings.fill(name)),
                        recorded: Some(wanted.clone()),
                        actual: None,
                    });
                };
                let have = left.remove(found);
                bindings.matches(name, have);
                compare(&join(at, have), wanted, &actual[have], bindings)?;
            }
            match left.first() {
                Some(extra) => Err(Difference {
                    at: join(at, extra),
                    recorded: None,
                    actual: Some(actual[*extra].clone()),
                }),
                None => Ok(()),
            }
        }
        (Value::Array(recorded), Value::Array(actual)) => {
            for (n, wanted) in recorded.iter().enumerate() {
                let Some(have) = actual.get(n) else {
                    return Err(Difference {
                        at: format!("{at}[{n}]"),
                        recorded: Some(wanted.clone()),
                        actual: None,
                    });
                };
                compare(&format!("{at}[{n}]"), wanted, have, bindings)?;
            }
            match actual.get(recorded.len()) {
                Some(extra) => Err(Difference {
                    at: format!("{at}[{}]", recorded.len()),
                    recorded: None,
                    actual: Some(extra.clone()),
                }),
                None => Ok(()),
            }
        }
        (Value::String(recorded), Value::String(actual)) => {
            if bindings.matches(recorded, actual) {
                Ok(())
            } else {
                differ()
            }
        }
        (Value::String(recorded), actual) if bindings.matches_number(recorded, actual) => Ok(()),
        (recorded, actual) if recorded == actual => Ok(()),
        _ => differ(),
    }
}

fn join(at: &str, name: &str) -> String {
    if name.contains(['.', '/']) {
        format!("{at}[{name}]")
    } else {
        format!("{at}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_where_two_values_part() {
        let mut bindings = Bindings::default();
        let recorded = json!({"a": [1, {"b": "<uid:1>"}], "c": "<uid:1>"});
        assert_eq!(
            compare(
                "body",
                &recorded,
                &json!({"a": [1, {"b": "x"}], "c": "x"}),
                &mut bindings
            ),
            Ok(())
        );
        let difference = compare(
            "body",
            &recorded,
            &json!({"a": [1, {"b": "x"}], "c": "y"}),
            &mut bindings,
        );
        assert_eq!(difference.unwrap_err().at, "body.c");
        let difference = compare("body", &json!({}), &json!({"x": 1}), &mut bindings).unwrap_err();
        assert_eq!(
            (difference.at.as_str(), difference.recorded),
            ("body.x", None)
        );
    }

    #[test]
    fn names_may_have_holes() {
        let mut bindings = Bindings::default();
        let recorded = json!({"claimed/<exporthash:1>": "v", "z": "<exporthash:1>"});
        assert_eq!(
            compare(
                "l",
                &recorded,
                &json!({"claimed/abc": "v", "z": "abc"}),
                &mut bindings
            ),
            Ok(())
        );
    }
}
