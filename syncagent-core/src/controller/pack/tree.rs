//! JSON, which says itself what it is: a byte for the sort of each value, then the value.

use serde_json::{Map, Number, Value};

use super::text::{get, number, numbers, put, take};
use super::words::Words;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const WHOLE: u8 = 3;
const BELOW_ZERO: u8 = 4;
const BROKEN: u8 = 5;
const TEXT: u8 = 6;
const LIST: u8 = 7;
const MAP: u8 = 8;

/// Appends a JSON value.
pub(crate) fn plant(value: &Value, words: &Words, near: &[&str], out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Number(it) => {
            if let Some(it) = it.as_u64() {
                out.push(WHOLE);
                number(it, out);
            } else if let Some(it) = it.as_i64() {
                out.push(BELOW_ZERO);
                number(it.unsigned_abs(), out);
            } else {
                out.push(BROKEN);
                out.extend_from_slice(&it.as_f64().unwrap_or_default().to_le_bytes());
            }
        }
        Value::String(text) => {
            out.push(TEXT);
            put(text, words, near, out);
        }
        Value::Array(items) => {
            out.push(LIST);
            number(items.len() as u64, out);
            for item in items {
                plant(item, words, near, out);
            }
        }
        Value::Object(map) => {
            out.push(MAP);
            number(map.len() as u64, out);
            for (key, value) in map {
                put(key, words, near, out);
                plant(value, words, near, out);
            }
        }
    }
}

/// Takes a JSON value off the front.
pub(crate) fn root(bytes: &mut &[u8], words: &Words, near: &[&str]) -> Option<Value> {
    Some(match take(bytes, 1)?[0] {
        NULL => Value::Null,
        FALSE => false.into(),
        TRUE => true.into(),
        WHOLE => numbers(bytes)?.into(),
        BELOW_ZERO => 0_i64.wrapping_sub_unsigned(numbers(bytes)?).into(),
        BROKEN => {
            let bytes = take(bytes, 8)?.try_into().ok()?;
            Value::Number(Number::from_f64(f64::from_le_bytes(bytes))?)
        }
        TEXT => get(bytes, words, near)?.into(),
        LIST => {
            let length = numbers(bytes)?;
            let items = (0..length).map(|_| root(bytes, words, near));
            Value::Array(items.collect::<Option<_>>()?)
        }
        MAP => {
            let length = numbers(bytes)?;
            let mut map = Map::new();
            for _ in 0..length {
                let key = get(bytes, words, near)?;
                map.insert(key, root(bytes, words, near)?);
            }
            Value::Object(map)
        }
        _ => return None,
    })
}
