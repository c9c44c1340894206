//! The documents of a file: YAML, of which JSON is a part.

use serde_json::Value;

use super::{Finding, Weight};
use crate::api::published_resource::PublishedResource;
use crate::compat::FieldProblem;

/// One object of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) file: String,
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) object: Value,
    /// Its text, at the same lines as in the file; `None`: it is an item of a list.
    text: Option<String>,
}

/// Reads a file, and says what cannot be read.
pub(super) fn read(file: &str, text: &str) -> (Vec<Document>, Vec<Finding>) {
    let mut documents = Vec::new();
    let mut findings = Vec::new();
    for (at, text) in split(text).into_iter().enumerate() {
        let number = at + 1;
        if text.lines().all(is_blank) {
            continue;
        }
        match serde_yaml::from_str::<Value>(&text) {
            Ok(Value::Null) => {}
            Ok(object) => unfold(file, number, object, text, &mut documents),
            Err(error) => findings.push(Finding {
                weight: Weight::Problem,
                file: file.to_owned(),
                document: number,
                object: String::new(),
                problem: FieldProblem::new("", format!("is no YAML: {}", first_line(&error))),
            }),
        }
    }
    (documents, findings)
}

impl Document {
    /// Why the object has not the form of a `PublishedResource`, with the line where that shows.
    pub(super) fn misfit(&self) -> Option<String> {
        let error = serde_yaml::from_str::<PublishedResource>(self.text.as_ref()?).err()?;
        Some(first_line(&error))
    }
}

fn first_line(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The documents of a text. Each begins with as many empty lines as there are before it, so that lines are told right.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (at, line) in text.lines().enumerate() {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let last = documents.last_mut().expect("there is one");
        if line == "---" || line.starts_with("--- ") {
            let mut next = "\n".repeat(at);
            next.push_str(line.trim_start_matches("---"));
            next.push('\n');
            if last.lines().all(is_blank) {
                *last = next;
            } else {
                documents.push(next);
            }
        } else if line == "..." {
            last.push('\n');
        } else {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents
}

/// A list stands for its items.
fn unfold(file: &str, number: usize, object: Value, text: String, into: &mut Vec<Document>) {
    let is_list = object["kind"]
        .as_str()
        .is_some_and(|it| it.ends_with("List"));
    match object["items"].as_array() {
        Some(items) if is_list => into.extend(items.iter().map(|item| Document {
            file: file.to_owned(),
            number,
            object: item.clone(),
            text: None,
        })),
        _ => into.push(Document {
            file: file.to_owned(),
            number,
            object,
            text: Some(text),
        }),
    }
}
