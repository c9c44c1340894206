//! Placeholders: what `<uid:1>` and `${NS}` stand for.
//!
//! Two kinds of holes are in a recording. `${NAME}` is chosen by whoever replays, before anything is sent. `<kind:n>` is
//! a value of the server: the first answer that has it binds it, from then on equal numbers must be equal values and
//! different numbers different ones. Without a number (`<time>`, `<rv>`) any value will do; the last one seen is kept,
//! since a later request may need it (`<continue>`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// The kinds of values; other words in angle brackets (`<nil>`) are text.
const KINDS: &str = "time|host|rv|uid|cluster|hash|exporthash|roothash|suffix|name|continue|age|listrv|bookmarkrv|\
                     clusterip|port|n|now|token|generation";

static HOLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("<({KINDS})(?::([a-z0-9]+))?>")).expect("a constant pattern")
});
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{([A-Za-z0-9]+)\}").expect("a constant pattern"));

/// What the placeholders stand for so far.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    names: BTreeMap<String, String>,
    values: BTreeMap<String, String>,
}

impl Bindings {
    /// Chooses a `${NAME}`.
    pub fn choose(&mut self, name: &str, value: impl Into<String>) {
        self.names.insert(name.to_owned(), value.into());
    }

    /// What a `${NAME}` was chosen to be.
    #[must_use]
    pub fn chosen(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(String::as_str)
    }

    /// Binds `kind:n` (without the brackets).
    pub fn bind(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(key.to_owned(), value.into());
    }

    /// What `kind:n` stands for.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Whether some number of the kind stands for the value.
    #[must_use]
    pub fn taken(&self, kind: &str, value: &str) -> bool {
        self.values.iter().any(|(k, v)| {
            v == value
                && k.split_once(':')
                    .is_some_and(|(a, n)| a == kind && n.parse::<u32>().is_ok())
        })
    }

    /// The holes of a text that are not bound yet, as `kind:n`.
    #[must_use]
    pub fn open(&self, text: &str) -> Vec<String> {
        let mut open = Vec::new();
        for hole in HOLE.captures_iter(text) {
            let key = key(&hole);
            if !self.values.contains_key(&key) && !open.contains(&key) {
                open.push(key);
            }
        }
        open
    }

    /// The text with its chosen names.
    #[must_use]
    pub fn named(&self, text: &str) -> String {
        NAME.replace_all(text, |found: &regex::Captures<'_>| {
            self.names
                .get(&found[1])
                .cloned()
                .unwrap_or_else(|| found[0].to_owned())
        })
        .into_owned()
    }

    /// The text with everything that is known filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let text = self.named(text);
        HOLE.replace_all(&text, |hole: &regex::Captures<'_>| {
            self.values
                .get(&key(hole))
                .cloned()
                .unwrap_or_else(|| hole[0].to_owned())
        })
        .into_owned()
    }

    /// The value with everything that is known filled in; for bodies of requests.
    #[must_use]
    pub fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let filled = self.fill(text);
                // Numbers of objects were recorded as texts where they are holes.
                match (text.as_str(), filled.parse::<i64>()) {
                    ("<generation>", Ok(number)) => Value::from(number),
                    _ => Value::String(filled),
                }
            }
            Value::Array(items) => items.iter().map(|item| self.fill_value(item)).collect(),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(k, v)| match (k.as_str(), self.value(k)) {
                        // Of all times this one must be the object's own.
                        ("deletionTimestamp", Some(time)) if v == "<time>" => {
                            (k.clone(), Value::from(time))
                        }
                        _ => (self.fill(k), self.fill_value(v)),
                    })
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// Whether the actual text is what the recorded one allows; binds what is new.
    pub fn matches(&mut self, recorded: &str, actual: &str) -> bool {
        let recorded = self.named(recorded);
        if !HOLE.is_match(&recorded) {
            return recorded == actual;
        }
        let mut pattern = String::from(r"(?s)\A");
        let mut keys = Vec::new();
        let mut from = 0;
        for hole in HOLE.captures_iter(&recorded) {
            let whole = hole.get(0).expect("a capture has a whole");
            pattern.push_str(&regex::escape(&recorded[from..whole.start()]));
            pattern.push_str(shape(&hole[1]));
            keys.push(key(&hole));
            from = whole.end();
        }
        pattern.push_str(&regex::escape(&recorded[from..]));
        pattern.push_str(r"\z");
        let Some(found) = Regex::new(&pattern).ok().and_then(|p| {
            p.captures(actual).map(|c| {
                c.iter()
                    .skip(1)
                    .map(|m| m.map_or("", |m| m.as_str()).to_owned())
                    .collect::<Vec<_>>()
            })
        }) else {
            return false;
        };
        keys.iter()
            .zip(found)
            .all(|(key, value)| self.agree(key, &value))
    }

    /// Whether a hole that is a whole value of another type than text may stand for it.
    pub fn matches_number(&mut self, recorded: &str, actual: &Value) -> bool {
        let Some(hole) = HOLE.captures(recorded) else {
            return false;
        };
        if &hole[0] != recorded || !matches!(&hole[1], "generation" | "port" | "n") {
            return false;
        }
        actual.is_number() && self.agree(&key(&hole), &actual.to_string())
    }

    fn agree(&mut self, key: &str, value: &str) -> bool {
        let Some((kind, number)) = key.split_once(':') else {
            self.values.insert(key.to_owned(), value.to_owned());
            return true;
        };
        if number.parse::<u32>().is_err() {
            // `<rv:list>`: the version of some list, another one each time.
            self.values.insert(key.to_owned(), value.to_owned());
            return true;
        }
        match self.values.get(key) {
            Some(known) => known == value,
            None if self.taken(kind, value) => false,
            None => {
                self.values.insert(key.to_owned(), value.to_owned());
                true
            }
        }
    }
}

fn key(hole: &regex::Captures<'_>) -> String {
    match hole.get(2) {
        Some(number) => format!("{}:{}", &hole[1], number.as_str()),
        None => hole[1].to_owned(),
    }
}

/// What a value of a kind looks like.
fn shape(kind: &str) -> &'static str {
    match kind {
        "time" => r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z)",
        "rv" | "listrv" | "bookmarkrv" | "n" | "now" | "port" | "generation" => "([0-9]+)",
        "uid" | "suffix" | "cluster" => "([0-9A-Za-z-]+)",
        "hash" | "exporthash" | "roothash" => "([0-9A-Za-z+/=_%-]+)",
        "host" => r#"([^/"]+)"#,
        _ => "(.+?)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_equal_values_and_others_differ() {
        let mut bindings = Bindings::default();
        bindings.choose("NS", "ns-1");
        assert!(bindings.matches("${NS}/<uid:1>", "ns-1/abc"));
        assert!(bindings.matches("<uid:1>", "abc"));
        assert!(!bindings.matches("<uid:2>", "abc"));
        assert!(bindings.matches("<uid:2>", "def"));
        assert_eq!(
            bindings.fill("a <uid:2> <uid:3> <nil>"),
            "a def <uid:3> <nil>"
        );
    }

    #[test]
    fn bare_holes_take_any_value_of_their_shape() {
        let mut bindings = Bindings::default();
        assert!(bindings.matches("at <time>", "at 2026-01-01T00:00:00Z"));
        assert!(!bindings.matches("at <time>", "at noon"));
        assert!(bindings.matches(
            "too old resource version: 1 (<n>)",
            "too old resource version: 1 (17)"
        ));
        assert!(bindings.matches_number("<generation>", &Value::from(3)));
    }
}
