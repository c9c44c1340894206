//! The folders of `past/`: one per version, in it one per dialect, and a file per server.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;
use syncagent_embedded::snapshot::Held;

use super::story::Left;

/// In which marks an installation is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Own,
    GoAgent,
}

impl Dialect {
    pub(crate) const ALL: [Self; 2] = [Self::Own, Self::GoAgent];
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "own",
            Self::GoAgent => "go-agent",
        })
    }
}

/// What a version left.
pub(crate) struct Folder {
    pub(crate) version: String,
    at: PathBuf,
}

fn past() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "it", "past"]
        .iter()
        .collect()
}

impl Folder {
    pub(crate) fn of(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            at: past().join(version),
        }
    }

    /// Those of all versions. Nobody takes one away: there was at least the first.
    pub(crate) fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(past()).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut versions: Vec<String> = names
            .filter(|it| it.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        versions.sort();
        assert_eq!(versions.first().map(String::as_str), Some("0.1.0"));
        versions.iter().map(|it| Self::of(it)).collect()
    }

    /// What it left in this dialect.
    pub(crate) fn left(&self, dialect: Dialect) -> Left {
        let read = |server: &str| {
            let text = self.text(&format!("{dialect}/{server}.yaml"));
            text.split("\n---\n").map(held).collect()
        };
        Left {
            kcp: read("kcp"),
            service: read("service"),
        }
    }

    pub(crate) fn text(&self, file: &str) -> String {
        let at = self.at.join(file);
        std::fs::read_to_string(&at).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; past/README.md says how a version gets its folder",
                at.display()
            )
        })
    }
}

fn held(text: &str) -> Held {
    serde_yaml::from_str(text).unwrap()
}

/// Writes down what a version left.
pub(crate) fn write(version: &str, dialect: Dialect, left: &Left) {
    let at = past().join(version).join(dialect.to_string());
    std::fs::create_dir_all(&at).unwrap();
    for (server, objects) in [("kcp", &left.kcp), ("service", &left.service)] {
        let texts: Vec<String> = objects.iter().map(text).collect();
        std::fs::write(at.join(format!("{server}.yaml")), texts.join("---\n")).unwrap();
    }
}

/// Writes down something else of a version.
pub(crate) fn write_text(version: &str, file: &str, text: &str) {
    std::fs::write(past().join(version).join(file), text).unwrap();
}

/// An object as YAML, which says what it said before.
fn text(one: &Held) -> String {
    let text = serde_yaml::to_string(one).unwrap();
    assert_eq!(held(&text), *one);
    format!("{}\n", text.trim_end())
}

/// All strings of an object, with the names of maps.
pub(crate) fn strings(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|it| strings(it, change)),
        Value::Object(map) => {
            let renamed = std::mem::take(map).into_iter().map(|(name, mut value)| {
                strings(&mut value, change);
                (change(&name), value)
            });
            *map = renamed.collect();
        }
        _ => {}
    }
}
