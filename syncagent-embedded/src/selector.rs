//! Label and field selectors.
//!
//! The parser of label selectors is the one of `k8s.io/apimachinery/pkg/labels`, token by token, because its error
//! texts show which token surprised it. Requirements are kept sorted by key as there.

use serde_json::Value;

use crate::status::{Cause, Failure, quoted};

/// A parsed label selector; the default one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<Requirement>);

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
    Greater,
    Less,
}

impl Labels {
    /// Parses the value of a `labelSelector` parameter.
    ///
    /// # Errors
    /// 400 with the text of the original parser.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut parser = Parser {
            tokens: lex(text),
            at: 0,
        };
        let mut requirements = parser.selector().map_err(Failure::bad_request)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self(requirements))
    }

    /// A selector that asks for exactly these labels.
    pub fn equal<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let one = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::In,
            values: vec![value.to_owned()],
        };
        Self(pairs.into_iter().map(one).collect())
    }

    /// From a `LabelSelector` object with `matchLabels` and `matchExpressions`; unknown operators match nothing.
    #[must_use]
    pub fn from_object(selector: &Value) -> Self {
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            requirements.push(Requirement {
                key: key.clone(),
                operator: Operator::In,
                values: vec![value.as_str().unwrap_or_default().to_owned()],
            });
        }
        for expression in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::Absent,
                _ => Operator::In,
            };
            let values = expression["values"].as_array().into_iter().flatten();
            requirements.push(Requirement {
                key: expression["key"].as_str().unwrap_or_default().to_owned(),
                operator,
                values: values
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            });
        }
        Self(requirements)
    }

    /// Both selectors at once.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the labels of an object match.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        let label = |key: &str| labels.and_then(|map| map.get(key)).and_then(Value::as_str);
        self.0.iter().all(|one| one.matches(label(&one.key)))
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let compare = |greater: bool| {
            let (Some(left), Some(right)) = (
                value.and_then(|text| text.parse::<i64>().ok()),
                self.values
                    .first()
                    .and_then(|text| text.parse::<i64>().ok()),
            ) else {
                return false;
            };
            if greater { left > right } else { left < right }
        };
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.iter().any(|one| one == value)),
            Operator::NotIn => value.is_none_or(|value| self.values.iter().all(|one| one != value)),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::Greater => compare(true),
            Operator::Less => compare(false),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }

    /// `in` and `notin` are words where a value may stand.
    fn value(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(word.clone()),
            Self::Sign(sign @ ("in" | "notin")) => Some((*sign).to_owned()),
            _ => None,
        }
    }
}

const SIGNS: &[&str] = &["!=", "==", "!", "=", ",", "(", ")", ">", "<"];

fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\r', '\n']);
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let end = rest
                .find(|c: char| c.is_ascii_whitespace() || "=!(),><".contains(c))
                .unwrap_or(rest.len());
            tokens.push(match &rest[..end] {
                "in" => Token::Sign("in"),
                "notin" => Token::Sign("notin"),
                word => Token::Word(word.to_owned()),
            });
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }
    tokens.push(Token::End);
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                Token::Word(_) | Token::Sign("!" | "in" | "notin") => {
                    let one = self
                        .requirement()
                        .map_err(|why| format!("unable to parse requirement: {why}"))?;
                    requirements.push(one);
                    match self.next() {
                        Token::End => return Ok(requirements),
                        Token::Sign(",") => match self.peek() {
                            Token::Word(_) | Token::Sign("!" | "in" | "notin") => {}
                            other => {
                                return Err(format!(
                                    "found '{}', expected: identifier after ','",
                                    other.text()
                                ));
                            }
                        },
                        other => {
                            return Err(format!(
                                "found '{}', expected: ',' or 'end of string'",
                                other.text()
                            ));
                        }
                    }
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        other.text()
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let token = self.next();
        let Some(key) = token.value() else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        if let Some(problem) = qualified_name_problem(&key) {
            return Err(Cause::invalid("<nil>", &Value::String(key), &problem).line());
        }
        if absent {
            return Ok(Requirement {
                key,
                operator: Operator::Absent,
                values: Vec::new(),
            });
        }
        let operator = match self.peek() {
            Token::End | Token::Sign(",") => {
                return Ok(Requirement {
                    key,
                    operator: Operator::Exists,
                    values: Vec::new(),
                });
            }
            Token::Sign("=" | "==" | "in") => Operator::In,
            Token::Sign("!=" | "notin") => Operator::NotIn,
            Token::Sign(">") => Operator::Greater,
            Token::Sign("<") => Operator::Less,
            other => {
                let expected = "in, notin, =, ==, !=, gt, lt";
                return Err(format!("found '{}', expected: {expected}", other.text()));
            }
        };
        let set = matches!(self.next(), Token::Sign("in" | "notin"));
        let mut values = if set {
            self.values()?
        } else {
            vec![self.exact_value()?]
        };
        values.sort();
        values.dedup();
        if matches!(operator, Operator::Greater | Operator::Less)
            && let Some(bad) = values.iter().find(|value| value.parse::<i64>().is_err())
        {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer";
            return Err(Cause::invalid("values[0]", &Value::String(bad.clone()), why).line());
        }
        for (index, value) in values.iter().enumerate() {
            if let Some(problem) = label_value_problem(value) {
                let field = format!("values[{index}][{key}]");
                return Err(Cause::invalid(field, &Value::String(value.clone()), &problem).line());
            }
        }
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            token => {
                self.next();
                token
                    .value()
                    .ok_or_else(|| format!("found '{}', expected: identifier", token.text()))
            }
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let token = self.next();
        if token != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", token.text()));
        }
        let mut values = Vec::new();
        let mut expects_value = true;
        loop {
            let token = self.next();
            match &token {
                Token::Sign(",") => {
                    if expects_value {
                        values.push(String::new());
                    }
                    expects_value = true;
                }
                Token::Sign(")") => {
                    if expects_value {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                _ => match token.value() {
                    Some(value) if expects_value => {
                        values.push(value);
                        expects_value = false;
                    }
                    _ => return Err(format!("found '{}', expected: ',' or ')'", token.text())),
                },
            }
        }
    }
}

const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
    with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const QUALIFIED: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
    is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
    'example.com/MyName')";

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What is wrong with a DNS-1123 subdomain, if anything.
#[must_use]
pub fn subdomain_problem(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 bytes".to_owned());
    }
    let part_fits = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    (!text.split('.').all(part_fits)).then(|| SUBDOMAIN.to_owned())
}

fn name_fits(text: &str) -> bool {
    let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && alphanumeric(text.chars().next())
        && alphanumeric(text.chars().next_back())
}

/// What is wrong with the key of a label, if anything.
#[must_use]
pub fn qualified_name_problem(key: &str) -> Option<String> {
    let problems = qualified_name_problems(key, QUALIFIED);
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// All that is wrong with a qualified name; `shape` is said of one with too many slashes.
fn qualified_name_problems(key: &str, shape: &str) -> Vec<String> {
    let parts: Vec<&str> = key.split('/').collect();
    let mut problems = Vec::new();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else if let Some(problem) = subdomain_problem(prefix) {
                problems.push(format!("prefix part {problem}"));
            }
            *name
        }
        _ => return vec![shape.to_owned()],
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    if !name_fits(name) {
        problems.push(NAME_PART.to_owned());
    }
    problems
}

/// All that is wrong with the key of a label, an annotation or a finalizer.
#[must_use]
pub fn qualified_names(key: &str) -> Vec<String> {
    let shape = QUALIFIED.replace("a valid label key", "a qualified name");
    qualified_name_problems(key, &shape)
}

/// What is wrong with the value of a label, if anything.
#[must_use]
pub fn label_value_problem(value: &str) -> Option<String> {
    if value.len() > 63 {
        Some("must be no more than 63 bytes".to_owned())
    } else if !value.is_empty() && !name_fits(value) {
        Some(LABEL_VALUE.to_owned())
    } else {
        None
    }
}

/// A parsed field selector; the default one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<FieldTerm>);

/// `path=value` or `path!=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The path, as in `metadata.name`.
    pub path: String,
    /// The value to compare with.
    pub value: String,
    /// Whether it must be equal, or different.
    pub equal: bool,
}

impl Fields {
    /// Parses the value of a `fieldSelector` parameter.
    ///
    /// # Errors
    /// 400 with the text of the original parser.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut terms = Vec::new();
        for part in split_terms(text) {
            if part.is_empty() {
                continue;
            }
            let unreadable = || {
                Failure::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                ))
            };
            let at = part.find(['=', '!']).ok_or_else(unreadable)?;
            let (path, rest) = part.split_at(at);
            let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
                (false, value)
            } else if let Some(value) = rest.strip_prefix("==") {
                (true, value)
            } else if let Some(value) = rest.strip_prefix('=') {
                (true, value)
            } else {
                return Err(unreadable());
            };
            terms.push(FieldTerm {
                path: path.to_owned(),
                value: unescape(value),
                equal,
            });
        }
        Ok(Self(terms))
    }

    /// The terms, for checks and for routing.
    #[must_use]
    pub fn terms(&self) -> &[FieldTerm] {
        &self.0
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that `path` must have, where the selector says so.
    #[must_use]
    pub fn wanted(&self, path: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|term| term.equal && term.path == path)
            .map(|term| term.value.as_str())
    }

    /// Whether an object matches; an absent field counts as empty.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.0
            .iter()
            .all(|term| (field(object, &term.path) == term.value) == term.equal)
    }

    /// Refuses terms on other fields than `metadata.name`, `metadata.namespace` and the given ones.
    ///
    /// # Errors
    /// 400; `built_in` chooses between the two texts that the API machinery has for it.
    pub fn check(
        &self,
        selectable: &[String],
        namespaced: bool,
        built_in: bool,
    ) -> Result<(), Failure> {
        for term in &self.0 {
            let known = term.path == "metadata.name"
                || (term.path == "metadata.namespace" && (namespaced || built_in))
                || selectable.contains(&term.path);
            if known {
                continue;
            }
            let message = if built_in && selectable.is_empty() {
                format!(
                    "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                    quoted(&term.path)
                )
            } else {
                format!("field label not supported: {}", term.path)
            };
            return Err(Failure::bad_request(message));
        }
        Ok(())
    }
}

/// A field of an object as text.
fn field(object: &Value, path: &str) -> String {
    let mut at = object;
    for part in path.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => return String::new(),
        }
    }
    match at {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn split_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = terms.last_mut() {
            last.push(c);
        }
    }
    terms
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(selector: &str, labels: &Value, expected: bool) {
        let parsed = Labels::parse(selector).unwrap();
        assert_eq!(
            parsed.matches(&json!({"metadata": {"labels": labels}})),
            expected,
            "{selector} on {labels}"
        );
    }

    #[test]
    fn label_selectors_match_as_documented() {
        let labels = json!({"a": "1", "tier": "web", "n": "12"});
        for selector in [
            "",
            "a",
            "a=1",
            "a==1",
            "!b",
            "a!=2",
            "b!=2",
            "tier in (web, db)",
            "n>9,n<13",
            "b notin (x)",
        ] {
            check(selector, &labels, true);
        }
        for selector in ["b", "a=2", "!a", "tier notin (web)", "n>12", "a=1,b"] {
            check(selector, &labels, false);
        }
    }

    #[test]
    fn unreadable_label_selectors_name_the_token() {
        for (selector, message) in [
            (
                "n in 1",
                "unable to parse requirement: found '1' expected: '('",
            ),
            (
                "=",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            ("n=1,,", "found ',', expected: identifier after ','"),
            ("n=a b", "found 'b', expected: ',' or 'end of string'"),
            (
                "!!n",
                "unable to parse requirement: found '!', expected: identifier",
            ),
            (
                "n in (a",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
        ] {
            assert_eq!(Labels::parse(selector).unwrap_err().message, message);
        }
    }

    #[test]
    fn field_selectors_compare_text() {
        let object = json!({"metadata": {"name": "a"}, "spec": {"n": 3, "on": true}});
        for (selector, expected) in [
            ("metadata.name=a", true),
            ("metadata.name!=a", false),
            ("spec.n=3,spec.on==true", true),
            ("spec.none=", true),
            ("metadata.name=b", false),
        ] {
            assert_eq!(
                Fields::parse(selector).unwrap().matches(&object),
                expected,
                "{selector}"
            );
        }
        assert!(Fields::parse("metadata.name").is_err());
    }
}
