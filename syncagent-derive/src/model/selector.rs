//! Label selectors as `kubectl` takes them: `stage = prod, tier in (gold, silver), !legacy`.

use darling::error::Accumulator;

use super::PointAt;
use crate::attr::Text;

/// One demand on a label.
pub(crate) struct Requirement {
    pub(crate) key: String,
    /// The variant of `Operator`.
    pub(crate) operator: &'static str,
    pub(crate) values: Vec<String>,
}

/// Reads a selector; a mistake is said under the text.
pub(crate) fn requirements(text: Option<&Text>, acc: &mut Accumulator) -> Vec<Requirement> {
    let Some(text) = text else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for part in split(&text.value) {
        match requirement(part.trim()) {
            Some(requirement) => all.push(requirement),
            None => {
                let message = format!(
                    "`{}` is no demand on a label: write `key = value`, `key != value`, `key in (a, b)`, `key notin (a, b)`, `key` or `!key`",
                    part.trim()
                );
                acc.point_at(text, message);
            }
        }
    }
    all
}

/// Splits at the commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(text: &str) -> Option<Requirement> {
    let made = |key: &str, operator, values: Vec<&str>| {
        let good = |it: &str| {
            !it.is_empty() && !it.contains(|c: char| c.is_whitespace() || "()=!,".contains(c))
        };
        let values: Vec<String> = values.into_iter().map(|it| it.trim().to_owned()).collect();
        let key = key.trim();
        (good(key) && values.iter().all(|it| it.is_empty() || good(it))).then(|| Requirement {
            key: key.to_owned(),
            operator,
            values,
        })
    };
    if let Some(key) = text.strip_prefix('!') {
        return made(key, "DoesNotExist", Vec::new());
    }
    if let Some(list) = text.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let (key, word) = head.trim().rsplit_once(char::is_whitespace)?;
        let operator = match word {
            "in" => "In",
            "notin" => "NotIn",
            _ => return None,
        };
        return made(key, operator, list.split(',').collect());
    }
    if let Some((key, value)) = text.split_once("!=") {
        return made(key, "NotIn", vec![value]);
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return made(key, "In", vec![value]);
    }
    made(text, "Exists", Vec::new())
}
