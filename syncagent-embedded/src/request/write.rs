//! The options of creates, updates and patches.

use serde_json::Value;

use super::Query;
use crate::status::{Cause, Failure};

/// Which of the writing options a request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Nothing is to be stored.
    pub dry_run: bool,
    /// Who writes, for `managedFields`.
    pub manager: String,
    /// Take fields from other appliers.
    pub force: Option<bool>,
    /// What happens to unknown and duplicate fields.
    pub validation: FieldValidation,
}

/// What happens to unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and a warning says so.
    #[default]
    Warn,
    /// They are refused.
    Strict,
}

impl WriteOptions {
    /// Reads and checks the options of a create (`CreateOptions`), update or patch.
    ///
    /// # Errors
    /// 422 that names the options kind.
    pub fn read(
        query: &Query,
        options_kind: &str,
        user_agent: &str,
        apply: bool,
    ) -> Result<Self, Failure> {
        let mut causes = Vec::new();
        let manager = query.text("fieldManager");
        let patch = options_kind == "PatchOptions";
        let force = if patch { query.flag("force") } else { None };
        if patch {
            if apply {
                if manager.is_empty() {
                    causes.push(Cause::required(
                        "fieldManager",
                        "is required for apply patch",
                    ));
                }
            } else if force.is_some() {
                causes.push(Cause::forbidden(
                    "force",
                    "may not be specified for non-apply patch",
                ));
            }
        }
        check_manager(manager, &mut causes);
        let dry_run: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
        let dry_run = read_dry_run(&dry_run, &mut causes);
        let validation = match query.text("fieldValidation") {
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                causes.push(Cause::not_supported(
                    "fieldValidation",
                    &Value::from(other),
                    &supported,
                ));
                FieldValidation::Warn
            }
        };
        if !causes.is_empty() {
            return Err(Failure::invalid("meta.k8s.io", options_kind, "", causes));
        }
        let manager = if manager.is_empty() {
            manager_of(user_agent)
        } else {
            manager.to_owned()
        };
        Ok(Self {
            dry_run,
            manager,
            force,
            validation,
        })
    }
}

/// The manager that a user agent stands for: what precedes the first slash, cut to 128 bytes.
#[must_use]
pub fn manager_of(user_agent: &str) -> String {
    let name = user_agent.split('/').next().unwrap_or_default();
    let mut out = String::new();
    for c in name.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > 128 {
            break;
        }
        out.push(c);
    }
    out
}

fn check_manager(manager: &str, causes: &mut Vec<Cause>) {
    if manager.len() > 128 {
        causes.push(Cause::too_long(
            "fieldManager",
            "may not be more than 128 bytes",
        ));
    }
    for (at, c) in manager.char_indices() {
        if c.is_control() {
            let shown = format!("\"{}\"", go_escaped(manager));
            let why = format!("invalid character U+{:04X} (at position {at})", c as u32);
            causes.push(Cause::new(
                "FieldValueInvalid",
                "fieldManager",
                format!("Invalid value: {shown}: {why}"),
            ));
        }
    }
}

/// Go's `%q` with the short escapes of control characters.
fn go_escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn read_dry_run(values: &[String], causes: &mut Vec<Cause>) -> bool {
    if values.iter().any(|value| value != "All") {
        let shown = Value::from(values.to_vec());
        causes.push(Cause::not_supported("dryRun", &shown, &["All"]));
    }
    !values.is_empty()
}
