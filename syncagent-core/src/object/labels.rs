//! Label selectors: what an API server selects by, decided here too, so that an event tells whether an object joins.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Demands on labels, all of which must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Labels(Vec<Demand>);

/// A demand on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Demand {
    /// It has one of the values.
    In(String, Vec<String>),
    /// It has none of the values, or is not there.
    NotIn(String, Vec<String>),
    /// It is there.
    Exists(String),
    /// It is not there.
    DoesNotExist(String),
}

impl Labels {
    /// These demands, in a fixed order.
    #[must_use]
    pub fn new(mut demands: Vec<Demand>) -> Self {
        demands.sort();
        demands.dedup();
        Self(demands)
    }

    /// One label with one value.
    #[must_use]
    pub fn one(key: &str, value: &str) -> Self {
        Self(vec![Demand::In(key.to_owned(), vec![value.to_owned()])])
    }

    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object meets all of them.
    #[must_use]
    pub fn select(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|demand| demand.is_met(labels))
    }

    /// Whether only objects with this label can meet them.
    #[must_use]
    pub fn demands(&self, key: &str) -> bool {
        self.0.iter().any(|demand| match demand {
            Demand::In(it, _) | Demand::Exists(it) => it == key,
            _ => false,
        })
    }
}

impl Demand {
    fn is_met(&self, labels: &Value) -> bool {
        match self {
            Self::In(key, values) => labels[key]
                .as_str()
                .is_some_and(|value| values.iter().any(|it| it == value)),
            Self::NotIn(key, values) => labels[key]
                .as_str()
                .is_none_or(|value| values.iter().all(|it| it != value)),
            Self::Exists(key) => labels[key].is_string(),
            Self::DoesNotExist(key) => !labels[key].is_string(),
        }
    }

    /// Whether an API server takes the demand.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        match self {
            Self::In(key, values) | Self::NotIn(key, values) => {
                is_key(key) && !values.is_empty() && values.iter().all(|it| is_value(it))
            }
            Self::Exists(key) | Self::DoesNotExist(key) => is_key(key),
        }
    }
}

/// Whether a text can be the key of a label.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let (domain, name) = match text.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, text),
    };
    domain.is_none_or(crate::names::is_subdomain) && !name.is_empty() && is_value(name)
}

/// Whether a text can be the value of a label.
#[must_use]
pub fn is_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |it: Option<&u8>| it.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= crate::names::LABEL_LENGTH
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(it))
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, demand) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match demand {
                Demand::In(key, values) if values.len() == 1 => write!(f, "{key}={}", values[0])?,
                Demand::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Demand::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Demand::Exists(key) => write!(f, "{key}")?,
                Demand::DoesNotExist(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_demand_is_decided_as_an_api_server_does() {
        let object = json!({"metadata": {"labels": {"color": "red", "empty": ""}}});
        let is = |demand| Labels::new(vec![demand]).select(&object);
        let of = |values: &[&str]| values.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert!(is(Demand::In("color".into(), of(&["blue", "red"]))));
        assert!(!is(Demand::In("color".into(), of(&["blue"]))));
        assert!(is(Demand::In("empty".into(), of(&[""]))));
        assert!(is(Demand::NotIn("size".into(), of(&["1"]))));
        assert!(!is(Demand::NotIn("color".into(), of(&["red"]))));
        assert!(is(Demand::Exists("empty".into())));
        assert!(is(Demand::DoesNotExist("size".into())));
        assert!(!is(Demand::DoesNotExist("color".into())));
    }

    #[test]
    fn it_prints_as_an_api_server_reads_it() {
        let labels = Labels::new(vec![
            Demand::DoesNotExist("d".into()),
            Demand::In("a".into(), vec!["1".into()]),
            Demand::NotIn("b".into(), vec!["1".into(), "2".into()]),
            Demand::Exists("c".into()),
        ]);
        assert_eq!(labels.to_string(), "a=1,b notin (1,2),c,!d");
    }

    #[test]
    fn what_no_label_can_be_is_told() {
        assert!(is_key("acme.io/tier") && is_key("tier") && is_value("") && is_value("a.b_c"));
        assert!(
            !is_key("") && !is_key("a/") && !is_key("a b") && !is_value("-a") && !is_value("a,b")
        );
        assert!(!is_value(&"n".repeat(64)));
    }
}
