//! JSON text as Go's decoder reads it.
//!
//! Three things that a usual parser loses are kept: the names that an object carries twice (the last one wins, and
//! `fieldValidation` speaks of it), the wording of syntax errors, and that a number without a fraction is an integer
//! even where it is written `1.0`.

use serde_json::{Map, Number, Value};

/// A JSON text that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The value; of equal names the last is kept.
    pub value: Value,
    /// The paths of names that were given twice, as `spec.size` or `spec.l[0].b`.
    pub duplicates: Vec<String>,
}

/// Reads a JSON text; the error is worded as Go's.
///
/// # Errors
/// Where the text is no JSON.
pub fn parse(text: &[u8]) -> Result<Parsed, String> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        duplicates: Vec::new(),
    };
    reader.space();
    let value = reader.value("looking for beginning of value", "")?;
    reader.space();
    if let Some(&byte) = reader.text.get(reader.at) {
        return Err(unexpected(byte, "after top-level value"));
    }
    Ok(Parsed {
        value,
        duplicates: reader.duplicates,
    })
}

const DEEPEST: usize = 500;

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    duplicates: Vec<String>,
}

fn unexpected(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => r"'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u00{byte:02x}'"),
        _ => format!("'{}'", char::from(byte)),
    };
    format!("invalid character {shown} {context}")
}

const END: &str = "unexpected end of JSON input";

impl Reader<'_> {
    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, String> {
        self.text
            .get(self.at)
            .copied()
            .ok_or_else(|| END.to_owned())
    }

    fn value(&mut self, context: &str, path: &str) -> Result<Value, String> {
        let byte = self.peek()?;
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err("exceeded max depth".into());
                }
                self.at += 1;
                let value = if byte == b'{' {
                    self.object(path)
                } else {
                    self.array(path)
                }?;
                self.depth -= 1;
                Ok(value)
            }
            b'"' => self.string().map(Value::String),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'n' => self.literal("null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            other => Err(unexpected(other, context)),
        }
    }

    fn object(&mut self, path: &str) -> Result<Value, String> {
        let mut map = Map::new();
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            let byte = self.peek()?;
            if byte != b'"' {
                return Err(unexpected(
                    byte,
                    "looking for beginning of object key string",
                ));
            }
            let name = self.string()?;
            self.space();
            let byte = self.peek()?;
            if byte != b':' {
                return Err(unexpected(byte, "after object key"));
            }
            self.at += 1;
            self.space();
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let value = self.value("looking for beginning of value", &below)?;
            if map.insert(name, value).is_some() && !self.duplicates.contains(&below) {
                self.duplicates.push(below);
            }
            self.space();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => {}
                b'}' => return Ok(Value::Object(map)),
                other => return Err(unexpected(other, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, path: &str) -> Result<Value, String> {
        let mut items = Vec::new();
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            let below = format!("{path}[{}]", items.len());
            items.push(self.value("looking for beginning of value", &below)?);
            self.space();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => {}
                b']' => return Ok(Value::Array(items)),
                other => return Err(unexpected(other, "after array element")),
            }
        }
    }

    fn literal(&mut self, word: &'static str, value: Value) -> Result<Value, String> {
        for expected in word.bytes() {
            let byte = self.peek()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(unexpected(byte, &context));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        let byte = self.peek()?;
        if !byte.is_ascii_digit() {
            return Err(unexpected(byte, context));
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        if let Ok(integer) = text.parse::<i64>() {
            return Ok(Value::Number(integer.into()));
        }
        text.parse::<f64>()
            .ok()
            .filter(|float| float.is_finite())
            .and_then(number)
            .ok_or_else(|| {
                format!("json: cannot unmarshal number {text} into Go value of type float64")
            })
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out: Vec<u8> = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&out).into_owned()),
                b'\\' => self.escape(&mut out)?,
                0..0x20 => return Err(unexpected(byte, "in string literal")),
                other => out.push(other),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let byte = self.peek()?;
        self.at += 1;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let high = self.hex()?;
                let mut code = u32::from(high);
                let pair = self.text.get(self.at..self.at + 2) == Some(br"\u");
                if (0xd800..0xdc00).contains(&code) && pair {
                    let back = self.at;
                    self.at += 2;
                    let low = u32::from(self.hex()?);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = back;
                    }
                }
                let c = char::from_u32(code).unwrap_or('\u{fffd}');
                out.extend(c.to_string().into_bytes());
                return Ok(());
            }
            other => return Err(unexpected(other, "in string escape code")),
        };
        out.push(plain);
        Ok(())
    }

    fn hex(&mut self) -> Result<u16, String> {
        let mut out = 0u16;
        for _ in 0..4 {
            let byte = self.peek()?;
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| unexpected(byte, r"in \u hexadecimal character escape"))?;
            out = (out << 4) | u16::try_from(digit).unwrap_or(0);
            self.at += 1;
        }
        Ok(out)
    }
}

/// A float as Go writes it again: without a fraction where there is none.
fn number(float: f64) -> Option<Value> {
    const INTEGERS: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() <= INTEGERS {
        #[expect(clippy::cast_possible_truncation, reason = "checked on the line above")]
        let integer = float as i64;
        return Some(Value::Number(integer.into()));
    }
    Number::from_f64(float).map(Value::Number)
}
