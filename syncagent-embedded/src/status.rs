//! Every error of the API machinery as a value.
//!
//! A [`Failure`] is what a request that went wrong is answered with: an HTTP code and a `Status` object. The texts are
//! those of kube-apiserver 1.36, because clients (and the people who read their logs) match on them. Three details are
//! easy to lose and therefore part of the type:
//!
//! - `details` may be absent, or present and empty;
//! - a `reason` may be absent (errors that Go code did not classify are 500 without one);
//! - a few answers are not a `Status` at all but plain text (`404 page not found`).
//!
//! Problems with fields are [`Cause`]s. `Failure::invalid` joins them as `field.ErrorList` does: one problem stands
//! bare, several stand in brackets, and equal texts are said once.

use serde_json::{Map, Value, json};

/// A failed request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The HTTP code, which is also `code` of the Status.
    pub code: u16,
    /// The machine readable reason, as in `NotFound`; empty when there is none.
    pub reason: &'static str,
    /// The text for people.
    pub message: String,
    /// The details; `None` leaves the member out, an empty one is written as `{}`.
    pub details: Option<Details>,
    /// `metadata.continue`, which only an expired list carries.
    pub continue_token: Option<String>,
    /// HTTP headers beside the content type.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the answer is the bare message as plain text.
    pub plain: bool,
}

/// The `details` of a Status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The API group.
    pub group: String,
    /// The resource, or the kind where validation speaks.
    pub kind: String,
    /// The object's uid (successful deletions only).
    pub uid: String,
    /// What is wrong, field by field.
    pub causes: Vec<Cause>,
    /// When to try again, in seconds.
    pub retry_after: Option<u32>,
}

/// One problem with one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cause {
    /// As in `FieldValueInvalid`; empty when there is none.
    pub reason: &'static str,
    /// The text, without the field.
    pub message: String,
    /// The path of the field, as in `spec.ports[0].name`.
    pub field: String,
}

impl Cause {
    /// A cause from its parts.
    pub fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason,
            field: field.into(),
            message: message.into(),
        }
    }

    /// `Invalid value: <value>: <detail>`.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            with_detail(&format!("Invalid value: {}", shown(value)), detail),
        )
    }

    /// As [`Cause::invalid`], for a value of the wrong type.
    pub fn type_invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(
            "FieldValueTypeInvalid",
            field,
            with_detail(&format!("Invalid value: {}", shown(value)), detail),
        )
    }

    /// `Required value[: detail]`.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(
            "FieldValueRequired",
            field,
            with_detail("Required value", detail),
        )
    }

    /// `Forbidden: <detail>`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(
            "FieldValueForbidden",
            field,
            with_detail("Forbidden", detail),
        )
    }

    /// `Duplicate value: <value>`.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(
            "FieldValueDuplicate",
            field,
            format!("Duplicate value: {}", shown(value)),
        )
    }

    /// `Not found: <value>`.
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new(
            "FieldValueNotFound",
            field,
            format!("Not found: {}", shown(value)),
        )
    }

    /// `Unsupported value: <value>: supported values: "a", "b"`; the values are shown in the given order.
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let detail = if supported.is_empty() {
            String::new()
        } else {
            let quoted: Vec<String> = supported.iter().map(|word| quoted(word)).collect();
            format!("supported values: {}", quoted.join(", "))
        };
        Self::new(
            "FieldValueNotSupported",
            field,
            with_detail(&format!("Unsupported value: {}", shown(value)), &detail),
        )
    }

    /// `Too long: <detail>`.
    pub fn too_long(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueTooLong", field, with_detail("Too long", detail))
    }

    /// `Too many: <count>: <detail>`.
    pub fn too_many(field: impl Into<String>, count: usize, detail: &str) -> Self {
        Self::new(
            "FieldValueTooMany",
            field,
            with_detail(&format!("Too many: {count}"), detail),
        )
    }

    /// The field and the text, as a message names a problem.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// A value as Go's field errors show it: text quoted, an absent value as `"null"`, the rest as JSON.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "\"null\"".to_owned(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A text as Go's `%q` shows it (printable text is kept as it is).
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn with_detail(head: &str, detail: &str) -> String {
    if detail.is_empty() {
        head.to_owned()
    } else {
        format!("{head}: {detail}")
    }
}

impl Failure {
    /// A failure without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
            headers: Vec::new(),
            plain: false,
        }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// The same with one more HTTP header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// An answer that is plain text instead of a Status.
    pub fn text(code: u16, text: impl Into<String>) -> Self {
        Self {
            plain: true,
            ..Self::new(code, "", text)
        }
    }

    /// What Go's router says to a path that nobody handles.
    #[must_use]
    pub fn page_not_found() -> Self {
        Self::text(404, "404 page not found\n")
    }

    /// 400 `BadRequest`.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401 `Unauthorized`.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 `Forbidden` about an object (or, with an empty name, a collection): `things "a" is forbidden: <why>`.
    #[must_use]
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let qualified = crate::api::qualified(resource, group);
        let message = if name.is_empty() {
            format!("{qualified} is forbidden: {why}")
        } else {
            format!("{qualified} {} is forbidden: {why}", quoted(name))
        };
        Self::new(403, "Forbidden", message).with_details(Details::of(group, resource, name))
    }

    /// 404 `NotFound` about an object.
    #[must_use]
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!(
            "{} {} not found",
            crate::api::qualified(resource, group),
            quoted(name)
        );
        Self::new(404, "NotFound", message).with_details(Details::of(group, resource, name))
    }

    /// 404 about a path that has no handler, where the server answers with a Status.
    #[must_use]
    pub fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_details(Details::default())
    }

    /// 405, where the type knows no such verb: `create is not supported on resources of kind "things"`.
    #[must_use]
    pub fn verb_not_supported(group: &str, resource: &str, verb: &str) -> Self {
        let message = format!(
            "{verb} is not supported on resources of kind {}",
            quoted(&crate::api::qualified(resource, group))
        );
        Self::new(405, "MethodNotAllowed", message).with_details(Details::of(group, resource, ""))
    }

    /// 405, where the router knows no such method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .with_details(Details::default())
    }

    /// 406, with what could be served instead.
    #[must_use]
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            accepted.join(", ")
        );
        Self::new(406, "NotAcceptable", message)
    }

    /// 409 `AlreadyExists`.
    #[must_use]
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!(
            "{} {} already exists",
            crate::api::qualified(resource, group),
            quoted(name)
        );
        Self::new(409, "AlreadyExists", message).with_details(Details::of(group, resource, name))
    }

    /// 409 `Conflict` about an object; `subject` is the plural for storage conflicts, the kind for preconditions.
    #[must_use]
    pub fn conflict(group: &str, subject: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {}: {why}",
            crate::api::qualified(subject, group),
            quoted(name)
        );
        Self::new(409, "Conflict", message).with_details(Details::of(group, subject, name))
    }

    /// 409 for a stale `resourceVersion`.
    #[must_use]
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, resource, name, why)
    }

    /// 409 of server-side apply. The causes are `FieldManagerConflict`s; `lines` is the text that follows the count.
    #[must_use]
    pub fn apply_conflict(causes: Vec<Cause>, lines: &str) -> Self {
        let count = causes.len();
        let noun = if count == 1 { "conflict" } else { "conflicts" };
        Self::new(
            409,
            "Conflict",
            format!("Apply failed with {count} {noun}: {lines}"),
        )
        .with_details(Details {
            causes,
            ..Details::default()
        })
    }

    /// 410 `Expired`.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413 `RequestEntityTooLarge`.
    #[must_use]
    pub fn too_large(detail: &str) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: {detail}"),
        )
    }

    /// 415, with what could be read instead.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 `Invalid`: the validation of a kind found these problems.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let mut lines: Vec<String> = Vec::with_capacity(causes.len());
        for cause in &causes {
            let line = cause.line();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let problems = match lines.as_slice() {
            [] => String::new(),
            [one] => format!(": {one}"),
            several => format!(": [{}]", several.join(", ")),
        };
        let message = format!(
            "{} {} is invalid{problems}",
            crate::api::qualified(kind, group),
            quoted(name)
        );
        Self::new(422, "Invalid", message).with_details(Details {
            causes,
            ..Details::of(group, kind, name)
        })
    }

    /// 422 without causes: a patch that does not apply.
    #[must_use]
    pub fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", message).with_details(Details::default())
    }

    /// 429 `TooManyRequests`.
    #[must_use]
    pub fn too_many_requests(message: &str, retry_after: u32) -> Self {
        Self::new(429, "TooManyRequests", message)
            .with_details(Details {
                retry_after: Some(retry_after),
                ..Details::default()
            })
            .with_header("retry-after", retry_after.to_string())
    }

    /// 500 with reason `InternalError`.
    #[must_use]
    pub fn internal(message: &str) -> Self {
        let cause = Cause {
            message: message.to_owned(),
            ..Cause::default()
        };
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
        .with_details(Details {
            causes: vec![cause],
            ..Details::default()
        })
    }

    /// 500 as of an error that the server did not classify: no reason, no details.
    pub fn unclassified(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 501: this server does not implement what was asked for.
    pub fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("the embedded server does not implement {what}"),
        )
        .with_details(Details::default())
    }

    /// 503 `ServiceUnavailable`.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).with_details(Details::default())
    }

    /// The Status object that is the body of the answer.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".into(), json!(token));
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.to_value();
        }
        status
    }
}

impl Details {
    /// Details that name an object.
    #[must_use]
    pub fn of(group: &str, kind: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    /// As JSON; empty members are left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !text.is_empty() {
                map.insert(key.into(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            map.insert(
                "causes".into(),
                self.causes.iter().map(Cause::to_value).collect(),
            );
        }
        if let Some(seconds) = self.retry_after {
            map.insert("retryAfterSeconds".into(), json!(seconds));
        }
        Value::Object(map)
    }
}

impl Cause {
    /// As JSON; empty members are left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, text) in [
            ("reason", self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !text.is_empty() {
                map.insert(key.into(), json!(text));
            }
        }
        Value::Object(map)
    }
}

/// The Status that answers a successful deletion.
#[must_use]
pub fn deleted(group: &str, resource: &str, name: &str, uid: &str) -> Value {
    let details = Details {
        uid: uid.to_owned(),
        ..Details::of(group, resource, name)
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details.to_value(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_problems_stand_in_brackets_and_equal_ones_once() {
        let size = Cause::type_invalid(
            "spec.size",
            &Value::Null,
            "spec.size in body must be of type integer: \"null\"",
        );
        let one = Failure::invalid("rec.example.com", "Part", "a", vec![size]);
        assert_eq!(
            one.message,
            "Part.rec.example.com \"a\" is invalid: spec.size: Invalid value: \"null\": \
             spec.size in body must be of type integer: \"null\""
        );
        let two = Failure::invalid(
            "",
            "Pod",
            "a",
            vec![Cause::required("a", ""), Cause::required("b", "")],
        );
        assert_eq!(
            two.message,
            "Pod \"a\" is invalid: [a: Required value, b: Required value]"
        );
        let same = Failure::invalid(
            "",
            "Pod",
            "a",
            vec![Cause::required("a", ""), Cause::required("a", "")],
        );
        assert_eq!(same.message, "Pod \"a\" is invalid: a: Required value");
    }

    #[test]
    fn absent_and_empty_details_differ() {
        assert!(
            Failure::bad_request("x")
                .to_value()
                .get("details")
                .is_none()
        );
        assert_eq!(Failure::unprocessable().to_value()["details"], json!({}));
        assert!(
            Failure::unclassified("x")
                .to_value()
                .get("reason")
                .is_none()
        );
    }
}
