//! From the text of a rule to an expression.

use serde_json::{Number, Value};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Literal(Value),
    Name(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Select(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Has(Box<Self>, String),
    Not(Box<Self>),
    Minus(Box<Self>),
    Binary(Op, Box<Self>, Box<Self>),
    Choose(Box<Self>, Box<Self>, Box<Self>),
    /// A function; the receiver of a method is the first argument.
    Call(String, Vec<Self>),
    /// A macro over a list or map, with its variable and its expressions.
    Over(Macro, Box<Self>, String, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// Functions and methods, with how many arguments they take (the receiver counts).
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("size", 1, 1),
    ("startsWith", 2, 2),
    ("endsWith", 2, 2),
    ("contains", 2, 2),
    ("matches", 2, 2),
    ("string", 1, 1),
    ("int", 1, 1),
    ("double", 1, 1),
    ("bool", 1, 1),
    ("dyn", 1, 1),
    ("lowerAscii", 1, 1),
    ("upperAscii", 1, 1),
    ("trim", 1, 1),
    ("split", 2, 2),
    ("join", 1, 2),
    ("replace", 3, 3),
    ("substring", 2, 3),
    ("indexOf", 2, 2),
    ("sum", 1, 1),
    ("min", 1, 1),
    ("max", 1, 1),
    ("isSorted", 1, 1),
    ("hasValue", 1, 1),
    ("value", 1, 1),
    ("orValue", 2, 2),
];

impl Expr {
    /// Whether a name occurs.
    pub(super) fn names(&self, name: &str) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Name(found) => found == name,
            Self::List(items) | Self::Call(_, items) => items.iter().any(|item| item.names(name)),
            Self::Map(entries) => entries.iter().any(|(k, v)| k.names(name) || v.names(name)),
            Self::Select(of, _) | Self::Has(of, _) | Self::Not(of) | Self::Minus(of) => {
                of.names(name)
            }
            Self::Index(a, b) | Self::Binary(_, a, b) => a.names(name) || b.names(name),
            Self::Choose(a, b, c) => a.names(name) || b.names(name) || c.names(name),
            Self::Over(_, of, _, body) => of.names(name) || body.iter().any(|e| e.names(name)),
        }
    }
}

/// Compiles the text of an expression over `self` and `oldSelf`.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        names: vec!["self".into(), "oldSelf".into()],
        depth: 0,
    };
    let expr = parser.expr()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Literal(Value),
    Sign(&'static str),
}

const SIGNS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")",
    "[", "]", "{", "}", ",", ".",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest
                .split_once('\n')
                .map_or("", |(_, rest)| rest)
                .trim_start();
            continue;
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let raw = first == 'r' && rest[1..].starts_with(['\'', '"']);
            if raw {
                let (value, after) = string(&rest[1..], true)?;
                out.push(Token::Literal(Value::String(value)));
                rest = after.trim_start();
                continue;
            }
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            out.push(match name {
                "true" => Token::Literal(Value::Bool(true)),
                "false" => Token::Literal(Value::Bool(false)),
                "null" => Token::Literal(Value::Null),
                name => Token::Name(name.to_owned()),
            });
            rest = after.trim_start();
        } else if first.is_ascii_digit() {
            let (value, after) = number(rest)?;
            out.push(Token::Literal(value));
            rest = after.trim_start();
        } else if first == '\'' || first == '"' {
            let (value, after) = string(rest, false)?;
            out.push(Token::Literal(Value::String(value)));
            rest = after.trim_start();
        } else {
            let sign = SIGNS
                .iter()
                .find(|sign| rest.starts_with(**sign))
                .ok_or_else(|| format!("unexpected {first:?}"))?;
            out.push(Token::Sign(sign));
            rest = rest[sign.len()..].trim_start();
        }
    }
    Ok(out)
}

fn number(text: &str) -> Result<(Value, &str), String> {
    let mut end = 0;
    let bytes = text.as_bytes();
    let mut float = false;
    while let Some(byte) = bytes.get(end) {
        let sign = matches!(byte, b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E');
        let point = *byte == b'.' && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        let exponent = matches!(byte, b'e' | b'E');
        if !(byte.is_ascii_digit() || sign || point || exponent) {
            break;
        }
        float |= point || exponent;
        end += 1;
    }
    let (digits, mut rest) = text.split_at(end);
    let value = if float {
        digits.parse::<f64>().ok().and_then(Number::from_f64)
    } else {
        rest = rest.strip_prefix('u').unwrap_or(rest);
        digits.parse::<i64>().ok().map(Number::from)
    };
    let value = value.ok_or_else(|| format!("`{digits}` is no number"))?;
    Ok((Value::Number(value), rest))
}

fn string(text: &str, raw: bool) -> Result<(String, &str), String> {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let close = if text.starts_with(&triple) {
        &triple
    } else {
        quote
    };
    let mut out = String::new();
    let mut rest = &text[close.len()..];
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            return Ok((out, after));
        }
        let mut chars = rest.chars();
        let c = chars.next().ok_or("a text does not end")?;
        rest = chars.as_str();
        if c != '\\' || raw {
            out.push(c);
            continue;
        }
        let escaped = chars.next().ok_or("a text does not end")?;
        rest = chars.as_str();
        out.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '\\' | '\'' | '"' | '`' | '?' => escaped,
            'u' => {
                let digits = rest.get(..4).ok_or("an escape does not end")?;
                rest = &rest[4..];
                u32::from_str_radix(digits, 16)
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(|| format!("`\\u{digits}` is no character"))?
            }
            other => return Err(format!("unknown escape `\\{other}`")),
        });
    }
}

const DEEPEST: usize = 60;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// What may be named here.
    names: Vec<String>,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(token) => format!("expected `{sign}` and found {token:?}"),
            None => format!("expected `{sign}` at the end"),
        })
    }

    fn expr(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the expression is too deep".into());
        }
        let condition = self.binary(0)?;
        let out = if self.take("?") {
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.expr()?;
            Expr::Choose(Box::new(condition), Box::new(yes), Box::new(no))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(out)
    }

    fn operator(&self, level: usize) -> Option<Op> {
        let sign = match self.peek()? {
            Token::Sign(sign) => sign,
            Token::Name(name) if name == "in" => "in",
            _ => return None,
        };
        let (at, op) = match sign {
            "||" => (0, Op::Or),
            "&&" => (1, Op::And),
            "==" => (2, Op::Equal),
            "!=" => (2, Op::Unequal),
            "<" => (2, Op::Less),
            "<=" => (2, Op::LessEqual),
            ">" => (2, Op::Greater),
            ">=" => (2, Op::GreaterEqual),
            "in" => (2, Op::In),
            "+" => (3, Op::Add),
            "-" => (3, Op::Subtract),
            "*" => (4, Op::Multiply),
            "/" => (4, Op::Divide),
            "%" => (4, Op::Modulo),
            _ => return None,
        };
        (at == level).then_some(op)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, String> {
        if level > 4 {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(op) = self.operator(level) {
            self.at += 1;
            let right = self.binary(level + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        let mut signs = Vec::new();
        loop {
            if self.take("!") {
                signs.push('!');
            } else if self.take("-") {
                signs.push('-');
            } else {
                break;
            }
        }
        let mut out = self.member()?;
        for sign in signs.into_iter().rev() {
            out = match sign {
                '!' => Expr::Not(Box::new(out)),
                _ => Expr::Minus(Box::new(out)),
            };
        }
        Ok(out)
    }

    fn member(&mut self) -> Result<Expr, String> {
        let mut out = self.primary()?;
        loop {
            if self.take(".") {
                let Some(Token::Name(name)) = self.next() else {
                    return Err("expected a name after `.`".into());
                };
                out = if self.take("(") {
                    self.method(out, &name)?
                } else {
                    Expr::Select(Box::new(out), unescape(&name))
                };
            } else if self.take("[") {
                let index = self.expr()?;
                self.expect("]")?;
                out = Expr::Index(Box::new(out), Box::new(index));
            } else {
                return Ok(out);
            }
        }
    }

    fn method(&mut self, of: Expr, name: &str) -> Result<Expr, String> {
        let over = match name {
            "all" => Macro::All,
            "exists" => Macro::Exists,
            "exists_one" => Macro::ExistsOne,
            "map" => Macro::Map,
            "filter" => Macro::Filter,
            _ => {
                let mut arguments = vec![of];
                arguments.extend(self.arguments(")")?);
                return call(name, arguments);
            }
        };
        let Some(Token::Name(variable)) = self.next() else {
            return Err(format!("`{name}` needs a variable"));
        };
        self.expect(",")?;
        self.names.push(variable.clone());
        let body = self.arguments(")");
        self.names.pop();
        let body = body?;
        let most = if over == Macro::Map { 2 } else { 1 };
        if body.is_empty() || body.len() > most {
            return Err(format!("`{name}` has a wrong number of arguments"));
        }
        Ok(Expr::Over(over, Box::new(of), variable, body))
    }

    fn arguments(&mut self, close: &str) -> Result<Vec<Expr>, String> {
        let mut out = Vec::new();
        while !self.take(close) {
            if !out.is_empty() {
                self.expect(",")?;
                if self.take(close) {
                    break;
                }
            }
            out.push(self.expr()?);
        }
        Ok(out)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        match self.next() {
            Some(Token::Literal(value)) => Ok(Expr::Literal(value)),
            Some(Token::Sign("(")) => {
                let out = self.expr()?;
                self.expect(")")?;
                Ok(out)
            }
            Some(Token::Sign("[")) => Ok(Expr::List(self.arguments("]")?)),
            Some(Token::Sign("{")) => {
                let mut entries = Vec::new();
                while !self.take("}") {
                    if !entries.is_empty() {
                        self.expect(",")?;
                    }
                    let key = self.expr()?;
                    self.expect(":")?;
                    entries.push((key, self.expr()?));
                }
                Ok(Expr::Map(entries))
            }
            Some(Token::Name(name)) if self.take("(") => {
                let arguments = self.arguments(")")?;
                if name == "has" {
                    return match <[Expr; 1]>::try_from(arguments) {
                        Ok([Expr::Select(of, field)]) => Ok(Expr::Has(of, field)),
                        _ => Err("`has` needs a field".into()),
                    };
                }
                call(&name, arguments)
            }
            Some(Token::Name(name)) if self.names.contains(&name) => Ok(Expr::Name(name)),
            Some(Token::Name(name)) => Err(format!("undeclared reference to `{name}`")),
            Some(token) => Err(format!("unexpected {token:?}")),
            None => Err("the expression ends too early".into()),
        }
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr, String> {
    let known = FUNCTIONS.iter().find(|(known, ..)| *known == name);
    let Some((_, least, most)) = known else {
        return Err(format!("the function `{name}` is not known"));
    };
    if !(*least..=*most).contains(&arguments.len()) {
        return Err(format!("`{name}` has a wrong number of arguments"));
    }
    if name == "matches"
        && let Some(Expr::Literal(Value::String(pattern))) = arguments.get(1)
    {
        regex::Regex::new(pattern).map_err(|error| error.to_string())?;
    }
    Ok(Expr::Call(name.to_owned(), arguments))
}

/// Names of fields that are no names in CEL are escaped.
fn unescape(name: &str) -> String {
    let word = name
        .strip_prefix("__")
        .and_then(|name| name.strip_suffix("__"));
    if let Some(word) = word.filter(|word| !word.contains("__") && !word.is_empty()) {
        return word.to_owned();
    }
    name.replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
        .replace("__underscores__", "__")
}
