//! The JSON paths of printer columns.
//!
//! A column's path is a small subset of kubectl's template language: members (`.spec.size`, `['a.b']`, with `\.` for a
//! dot in a name), indices and slices (`[0]`, `[-1]`, `[1:3]`), wildcards (`[*]`, `.*`), recursive descent (`..name`)
//! and filters that compare (`[?(@.type=="Ready")]`). Text that is none of these finds nothing, as an object that lacks
//! the member does.

use std::cmp::Ordering;

use serde_json::Value;

/// The values at a path, in order.
#[must_use]
pub fn find<'v>(path: &str, value: &'v Value) -> Vec<&'v Value> {
    let path = path.trim();
    let path = path
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .unwrap_or(path);
    let path = path.strip_prefix(['$', '@']).unwrap_or(path);
    match parse(path) {
        Some(steps) => walk(&steps, vec![value]),
        None => Vec::new(),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    All,
    Descend,
    Filter(Filter),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Operand,
    test: Option<(Comparison, Operand)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix("..") {
            steps.push(Step::Descend);
            rest = tail;
            if rest.starts_with('[') {
                continue;
            }
            rest = member(rest, &mut steps)?;
        } else if let Some(tail) = rest.strip_prefix('.') {
            // `.["a"]` and a lone `.` are allowed.
            rest = if tail.is_empty() || tail.starts_with('[') {
                tail
            } else {
                member(tail, &mut steps)?
            };
        } else if rest.starts_with('[') {
            let end = closing(rest)?;
            steps.push(bracket(rest[1..end].trim())?);
            rest = &rest[end + 1..];
        } else {
            rest = member(rest, &mut steps)?;
        }
    }
    Some(steps)
}

/// Reads a name up to the next dot or bracket.
fn member<'p>(text: &'p str, steps: &mut Vec<Step>) -> Option<&'p str> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            '.' | '[' => {
                end = at;
                break;
            }
            c => name.push(c),
        }
    }
    if name.is_empty() {
        return None;
    }
    steps.push(if name == "*" {
        Step::All
    } else {
        Step::Member(name)
    });
    Some(&text[end..])
}

/// The bracket that closes the first one, outside quotes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(expression) = inner
        .strip_prefix("?(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        return filter(expression).map(Step::Filter);
    }
    if let Some(name) = unquote(inner) {
        return Some(Step::Member(name));
    }
    if let Some((from, to)) = inner.split_once(':') {
        let bound = |text: &str| {
            if text.trim().is_empty() {
                Some(None)
            } else {
                text.trim().parse().ok().map(Some)
            }
        };
        return Some(Step::Slice(bound(from)?, bound(to)?));
    }
    inner.parse().ok().map(Step::Index)
}

fn filter(expression: &str) -> Option<Filter> {
    const OPERATORS: [(&str, Comparison); 6] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let found = OPERATORS
        .iter()
        .filter_map(|(text, comparison)| {
            outside_quotes(expression, text).map(|at| (at, *text, *comparison))
        })
        .min_by_key(|(at, text, _)| (*at, usize::MAX - text.len()));
    match found {
        None => Some(Filter {
            left: operand(expression)?,
            test: None,
        }),
        Some((at, text, comparison)) => Some(Filter {
            left: operand(&expression[..at])?,
            test: Some((comparison, operand(&expression[at + text.len()..])?)),
        }),
    }
}

fn outside_quotes(text: &str, needle: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, _) if text[at..].starts_with(needle) => return Some(at),
            _ => {}
        }
    }
    None
}

fn operand(text: &str) -> Option<Operand> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix(['@', '$']) {
        return parse(path).map(Operand::Path);
    }
    if let Some(word) = unquote(text) {
        return Some(Operand::Literal(Value::String(word)));
    }
    serde_json::from_str(text).ok().map(Operand::Literal)
}

fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    Some(inner.replace("\\\"", "\"").replace("\\'", "'"))
}

fn walk<'v>(steps: &[Step], start: Vec<&'v Value>) -> Vec<&'v Value> {
    let mut found = start;
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|value| take(step, value))
            .collect();
    }
    found
}

fn take<'v>(step: &Step, value: &'v Value) -> Vec<&'v Value> {
    match (step, value) {
        (Step::Member(name), Value::Object(map)) => map.get(name).into_iter().collect(),
        (Step::Index(at), Value::Array(items)) => position(*at, items.len())
            .and_then(|at| items.get(at))
            .into_iter()
            .collect(),
        (Step::Slice(from, to), Value::Array(items)) => {
            let bound = |at: i64| {
                usize::try_from(if at < 0 { at + items.len() as i64 } else { at })
                    .unwrap_or(0)
                    .min(items.len())
            };
            let (from, to) = (from.map_or(0, bound), to.map_or(items.len(), bound));
            items.get(from..to).unwrap_or_default().iter().collect()
        }
        (Step::All, Value::Array(items)) => items.iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::Descend, _) => descend(value),
        (Step::Filter(filter), Value::Array(items)) => {
            items.iter().filter(|item| passes(filter, item)).collect()
        }
        _ => Vec::new(),
    }
}

fn position(at: i64, len: usize) -> Option<usize> {
    usize::try_from(if at < 0 { at + len as i64 } else { at }).ok()
}

fn descend(value: &Value) -> Vec<&Value> {
    let mut found = vec![value];
    match value {
        Value::Array(items) => found.extend(items.iter().flat_map(descend)),
        Value::Object(map) => found.extend(map.values().flat_map(descend)),
        _ => {}
    }
    found
}

fn passes(filter: &Filter, item: &Value) -> bool {
    let left = operand_value(&filter.left, item);
    let Some((comparison, right)) = &filter.test else {
        return left.is_some();
    };
    let (Some(left), Some(right)) = (left, operand_value(right, item)) else {
        return false;
    };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) if a == b => Some(Ordering::Equal),
        _ => None,
    };
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn operand_value<'v>(operand: &'v Operand, item: &'v Value) -> Option<&'v Value> {
    match operand {
        Operand::Literal(value) => Some(value),
        Operand::Path(steps) => walk(steps, vec![item]).into_iter().next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_kubectl_finds() {
        let object = json!({
            "spec": {"n": 1, "l": [1, 2, 3], "a.b": "dotted", "conds": [
                {"type": "Ready", "status": "True"}, {"type": "Old", "status": "False", "n": 3},
            ]},
        });
        for (path, expected) in [
            (".spec.n", json!([1])),
            ("{.spec.n}", json!([1])),
            ("$.spec.n", json!([1])),
            (".spec['a.b']", json!(["dotted"])),
            (".spec.a\\.b", json!(["dotted"])),
            (".spec.l[0]", json!([1])),
            (".spec.l[-1]", json!([3])),
            (".spec.l[1:]", json!([2, 3])),
            (".spec.l[*]", json!([1, 2, 3])),
            (".spec.conds[?(@.type==\"Ready\")].status", json!(["True"])),
            (".spec.conds[?(@.type=='Old')].status", json!(["False"])),
            (".spec.conds[?(@.n>=3)].type", json!(["Old"])),
            (".spec.conds[?(@.n)].type", json!(["Old"])),
            (".spec.conds[?(@.type!=\"Ready\")].type", json!(["Old"])),
            ("..status", json!(["True", "False"])),
            (".spec.none.deeper", json!([])),
            (".spec.l[9]", json!([])),
            (".spec.l[", json!([])),
        ] {
            let found: Vec<Value> = find(path, &object).into_iter().cloned().collect();
            assert_eq!(Value::Array(found), expected, "{path}");
        }
    }
}
