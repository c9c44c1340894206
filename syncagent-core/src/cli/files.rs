//! Documents in files, as kubectl reads them: YAML or JSON, several in a file, lists among them.

use serde_json::Value;

/// The documents of a text, in their order.
///
/// # Errors
///
/// Which document cannot be read, counted from one, and why.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    for (number, part) in parts(text).into_iter().enumerate() {
        let value: Value = serde_yaml::from_str(&part)
            .map_err(|error| format!("document {}: {error}", number + 1))?;
        match value {
            Value::Null => {}
            Value::Object(mut list) if list.get("items").is_some_and(Value::is_array) => {
                if let Some(Value::Array(items)) = list.remove("items") {
                    found.extend(items);
                }
            }
            value => found.push(value),
        }
    }
    Ok(found)
}

/// What lines of three dashes part.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    let says = |part: &String| {
        part.lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    };
    parts.retain(says);
    parts
}

/// The text of a file; `-` is the standard input.
pub(crate) fn text(file: &str) -> std::io::Result<String> {
    match file {
        "-" => std::io::read_to_string(std::io::stdin()),
        file => std::fs::read_to_string(file),
    }
}

/// The documents of files; `-` is the standard input.
///
/// # Errors
///
/// What is wrong with each of the files, by its name.
pub(crate) fn read(files: &[String]) -> Result<Vec<Value>, Vec<String>> {
    let mut all = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let documents = text(file)
            .map_err(|error| format!("could not be read: {error}"))
            .and_then(|text| documents(&text));
        match documents {
            Ok(documents) => all.extend(documents),
            Err(problem) => problems.push(format!("{file}: {problem}")),
        }
    }
    match problems.is_empty() {
        true => Ok(all),
        false => Err(problems),
    }
}

/// Documents as YAML, one after the other, each after a comment where there is one.
pub(crate) fn yaml(documents: &[(&str, Value)]) -> Result<String, String> {
    let mut out = String::new();
    for (comment, document) in documents {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        for line in comment.lines() {
            out.push_str(&format!("# {line}\n"));
        }
        let text = serde_yaml::to_string(document).map_err(|error| error.to_string())?;
        out.push_str(text.trim_end());
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_told_apart() {
        let text =
            "# nothing\n---\na: 1\n--- # two\nkind: List\nitems:\n- b: 2\n- {\"c\": 3}\n---\n\n";
        assert_eq!(
            documents(text).unwrap(),
            [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]
        );
        assert_eq!(documents("").unwrap(), Vec::<Value>::new());
        let told = documents("a: 1\n---\na: [").unwrap_err();
        assert!(told.starts_with("document 2: "), "{told}");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let both = [
            ("one\ntwo", json!({"a": "1"})),
            ("", json!({"b": ["x: y"]})),
        ];
        let text = yaml(&both).unwrap();
        assert!(text.starts_with("# one\n# two\n"), "{text}");
        assert_eq!(
            documents(&text).unwrap(),
            [json!({"a": "1"}), json!({"b": ["x: y"]})]
        );
    }
}
