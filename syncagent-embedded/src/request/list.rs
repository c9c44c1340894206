//! The options of lists and watches.

use serde_json::Value;

use super::Query;
use crate::status::{Cause, Details, Failure, quoted};

/// The options of a list or watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// At most so many items; 0 for all.
    pub limit: usize,
    /// Where to go on.
    pub token: String,
    /// The version asked for, as text.
    pub version: String,
    /// `Exact`, `NotOlderThan` or empty.
    pub version_match: String,
    /// After how many seconds a watch ends.
    pub timeout: Option<u64>,
    /// Whether a watch may carry bookmarks.
    pub bookmarks: bool,
    /// Whether a watch begins with the present state.
    pub initial_events: Option<bool>,
}

impl ListOptions {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// 400 and 422.
    pub fn read(query: &Query, watch: bool) -> Result<Self, Failure> {
        let options = Self {
            limit: usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(0),
            token: query.text("continue").to_owned(),
            version: query.text("resourceVersion").to_owned(),
            version_match: query.text("resourceVersionMatch").to_owned(),
            timeout: query
                .number("timeoutSeconds")?
                .and_then(|seconds| u64::try_from(seconds).ok()),
            bookmarks: query.flag("allowWatchBookmarks").unwrap_or(false),
            initial_events: query.flag("sendInitialEvents"),
        };
        let mut causes = Vec::new();
        let matched = options.version_match.as_str();
        let field = "resourceVersionMatch";
        if watch {
            if options.initial_events.is_some() {
                if matched != "NotOlderThan" {
                    let why =
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                    causes.push(Cause::forbidden(field, why));
                }
                if !matched.is_empty() && matched != "NotOlderThan" {
                    causes.push(Cause::not_supported(
                        field,
                        &Value::from(matched),
                        &["NotOlderThan"],
                    ));
                }
                if !options.token.is_empty() {
                    causes.push(Cause::forbidden(
                        field,
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
            } else if !matched.is_empty() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                causes.push(Cause::forbidden(field, why));
            }
        } else {
            if options.initial_events.is_some() {
                causes.push(Cause::forbidden(
                    "sendInitialEvents",
                    "sendInitialEvents is forbidden for list",
                ));
            }
            if !matched.is_empty() {
                if options.version.is_empty() {
                    let why =
                        "resourceVersionMatch is forbidden unless resourceVersion is provided";
                    causes.push(Cause::forbidden(field, why));
                }
                if !options.token.is_empty() {
                    causes.push(Cause::forbidden(
                        field,
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
                if !matches!(matched, "Exact" | "NotOlderThan") {
                    causes.push(Cause::not_supported(
                        field,
                        &Value::from(matched),
                        &["Exact", "NotOlderThan"],
                    ));
                } else if matched == "Exact" && options.version == "0" {
                    let why =
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                    causes.push(Cause::forbidden(field, why));
                }
            }
        }
        if causes.is_empty() {
            Ok(options)
        } else {
            Err(Failure::invalid("meta.k8s.io", "ListOptions", "", causes))
        }
    }

    /// The version asked for, as a number; `None` when none was given.
    ///
    /// # Errors
    /// As the API machinery words them, which is a 500 for some paths.
    pub fn parsed_version(&self) -> Result<Option<u64>, Failure> {
        if self.version.is_empty() {
            return Ok(None);
        }
        self.version.parse().map(Some).map_err(|_| {
            Failure::unclassified(format!(
                "resourceVersion: Invalid value: {0}: strconv.ParseUint: parsing {0}: invalid syntax",
                quoted(&self.version)
            ))
        })
    }
}

/// 504: a version was asked for that the server has not reached.
#[must_use]
pub fn version_too_large(asked: u64, current: u64) -> Failure {
    let cause = Cause {
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    Failure::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {asked}, current: {current}"),
    )
    .with_details(Details {
        causes: vec![cause],
        retry_after: Some(1),
        ..Details::default()
    })
}
