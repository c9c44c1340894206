//! The files of a recording.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// The server that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kube-apiserver.
    Kubernetes,
    /// A kcp.
    Kcp,
}

/// A directory of topics.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The name of the directory.
    pub name: String,
    /// What was recorded: a directory with a `fixture` is a kcp's, one with `crds_a` a kube-apiserver's.
    pub kind: Kind,
    /// What every topic needs first.
    pub first: Vec<Case>,
    /// The topics by name.
    pub topics: Vec<Topic>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The name of the file without its ending.
    pub name: String,
    /// Its lines.
    pub cases: Vec<Case>,
}

/// One line: a few steps, and what a client relies on in them.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// The name.
    pub case: String,
    /// What a client relies on.
    pub why: String,
    /// What was done.
    pub steps: Vec<Step>,
}

/// One request with its answer, or something that had to happen in between.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// A write that the case needs; its answer was not kept.
    pub setup: bool,
    /// What was asked.
    pub request: Option<Request>,
    /// What was answered.
    pub response: Option<Response>,
    /// A remark.
    pub note: Option<String>,
    /// What was left out of the answer.
    pub trimmed: Option<String>,
    /// The server names several problems in no fixed order.
    pub causes_sorted: bool,
    /// A watch that stands while the steps after it are done.
    pub during: Option<Value>,
    /// The last step during a watch.
    pub after_watch: bool,
    /// A state to wait for.
    pub wait_for: Option<WaitFor>,
    /// A pause, in seconds.
    pub sleep: Option<f64>,
    /// The placeholder of the logical cluster of the workspace that the step makes.
    pub cluster: Option<String>,
}

/// What was asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The content type, where it is not JSON.
    pub content_type: Option<String>,
    /// The accepted types, where they are not JSON.
    pub accept: Option<String>,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// The body; a text is sent as it is.
    pub body: Option<Value>,
    /// Who asked, where it was not the administrator.
    #[serde(rename = "as")]
    pub role: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Response {
    /// The HTTP code.
    pub status: u16,
    /// The headers that matter: a content type other than JSON, warnings, retry-after, location.
    pub headers: BTreeMap<String, Value>,
    /// The body of an answer that is no watch.
    pub body: Option<Value>,
    /// The events of a watch.
    pub events: Option<Vec<Value>>,
    /// Whether the server ended the watch.
    pub ended: Option<bool>,
}

/// A state to wait for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WaitFor {
    /// Where to look.
    pub path: String,
    /// The HTTP code that it should have.
    pub status: u16,
    /// What the body should say, in words.
    pub until: Option<String>,
}

impl Recording {
    /// Reads a directory.
    ///
    /// # Errors
    ///
    /// A directory or file that cannot be read, a line that is no case, or a directory of neither kind.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let mut topics = Vec::new();
        let entries = std::fs::read_dir(directory)
            .map_err(|e| format!("could not read {}: {e}", directory.display()))?;
        for entry in entries {
            let path = entry.map_err(|e| e.to_string())?.path();
            if path.extension().is_some_and(|e| e == "jsonl") {
                topics.push(Topic::read(&path)?);
            }
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        let mut take = |name: &str| {
            let at = topics.iter().position(|t| t.name == name)?;
            Some(topics.remove(at).cases)
        };
        let (kind, first) = match (take("fixture"), take("crds_a")) {
            (Some(cases), _) => (Kind::Kcp, cases),
            (None, Some(cases)) => (Kind::Kubernetes, cases),
            (None, None) => {
                return Err(format!(
                    "{} has neither fixture.jsonl nor crds_a.jsonl",
                    directory.display()
                ));
            }
        };
        let name = directory
            .canonicalize()
            .ok()
            .and_then(|d| Some(d.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default();
        Ok(Self {
            name,
            kind,
            first,
            topics,
        })
    }
}

impl Topic {
    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("could not read {}: {e}", path.display()))?;
        let cases = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .enumerate()
            .map(|(n, line)| {
                serde_json::from_str(line)
                    .map_err(|e| format!("{} line {}: {e}", path.display(), n + 1))
            })
            .collect::<Result<_, String>>()?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self { name, cases })
    }
}

impl Step {
    /// Whether the step is one of several answers that a path gave while it was polled.
    #[must_use]
    pub fn polled(&self) -> bool {
        self.note
            .as_deref()
            .is_some_and(|n| n.starts_with("polled"))
    }

    /// Whether the recording says that the answer took its time.
    #[must_use]
    pub fn eventual(&self) -> bool {
        self.note
            .as_deref()
            .is_some_and(|n| n.contains(" s") || n.contains("settled"))
    }
}
