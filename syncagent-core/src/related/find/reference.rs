//! A path that names related objects, in either of its two syntaxes.

use serde_json::{Value, json};

#[cfg(feature = "mutations")]
use crate::mutation::GoPath;
use crate::object::path::Path;

/// A path that names related objects.
#[derive(Clone, Debug)]
pub enum Reference {
    /// In the syntax of this crate.
    Own(Path),
    /// In gjson's syntax.
    #[cfg(feature = "mutations")]
    Go(GoPath),
}

impl Reference {
    /// The path as it is written.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Self::Own(path) => path.to_string(),
            #[cfg(feature = "mutations")]
            Self::Go(path) => path.as_str().to_owned(),
        }
    }

    /// Whether it may name several objects.
    #[must_use]
    pub fn is_many(&self) -> bool {
        match self {
            Self::Own(path) => path.eaches() > 0,
            #[cfg(feature = "mutations")]
            Self::Go(path) => !path.is_simple(),
        }
    }

    /// The path in the syntax of this crate, where it can be told which places it leads to.
    #[must_use]
    pub fn own(&self) -> Option<Path> {
        match self {
            Self::Own(path) => Some(path.clone()),
            #[cfg(feature = "mutations")]
            Self::Go(path) => {
                let fields: Vec<&str> = path.as_str().split('.').collect();
                let plain = path.is_simple() && !path.as_str().contains(['\\', ':', '|', '@']);
                plain.then(|| Path::of(&fields))
            }
        }
    }

    /// Whether it may lead to what a copy has and is not asked to be.
    pub(super) fn is_beyond_intent(&self) -> bool {
        self.own()
            .is_none_or(|path| path.is_within(&Path::of(&["status"])))
    }

    /// What stands there, as names.
    pub(super) fn texts(&self, body: &Value) -> Vec<String> {
        match self {
            Self::Own(path) => texts(path, body),
            #[cfg(feature = "mutations")]
            Self::Go(path) => path.texts(body),
        }
    }

    /// What stands there.
    pub(super) fn read(&self, body: &Value) -> Value {
        match self {
            Self::Own(path) => {
                let found = path.each(body).into_iter();
                found.map(|(_, value)| value.clone()).collect()
            }
            #[cfg(feature = "mutations")]
            Self::Go(path) => path.get(body).map_or(json!([]), |it| json!([it])),
        }
    }
}

/// The values at a path, as texts: an array gives each of its elements.
fn texts(path: &Path, body: &Value) -> Vec<String> {
    fn text(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|it| text(it, into)),
            Value::String(it) => into.push(it.trim().to_owned()),
            Value::Null => into.push(String::new()),
            other => into.push(json!(other).to_string()),
        }
    }
    let mut texts = Vec::new();
    for (_, value) in path.each(body) {
        text(value, &mut texts);
    }
    texts
}
