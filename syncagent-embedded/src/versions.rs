//! Resource versions of a place that counts ahead of the store.
//!
//! Servers that would be several share one store; what each of them tells is lifted by a constant on the way out, and
//! lowered on the way in. A version from elsewhere is then too old (and is lowered to 1) or too large, never one of ours.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};

/// A version as the store counts.
#[must_use]
pub(crate) fn lowered(text: &str, ahead: u64) -> Option<String> {
    let number: u64 = text.parse().ok()?;
    // Zero means "any".
    (number > 0).then(|| number.saturating_sub(ahead).max(1).to_string())
}

fn lower(at: &mut Value, ahead: u64) {
    if let Some(text) = at.as_str().and_then(|text| lowered(text, ahead)) {
        *at = text.into();
    }
}

/// The body of a request: an object, a patch, or the options of a deletion.
#[must_use]
pub(crate) fn lower_body(body: &Bytes, ahead: u64) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return body.clone();
    };
    for path in [
        "/metadata/resourceVersion",
        "/preconditions/resourceVersion",
    ] {
        if let Some(at) = value.pointer_mut(path) {
            lower(at, ahead);
        }
    }
    for step in value.as_array_mut().into_iter().flatten() {
        if step["path"] == "/metadata/resourceVersion" {
            lower(&mut step["value"], ahead);
        }
    }
    value.to_string().into()
}

/// What an answer says: of an object, of a list, and of its items or rows.
pub(crate) fn lift(value: &mut Value, ahead: u64) {
    if let Some(at) = value.pointer_mut("/metadata/resourceVersion")
        && let Some(number) = at.as_str().and_then(|text| text.parse::<u64>().ok())
    {
        *at = json!((number + ahead).to_string());
    }
    for list in ["items", "rows"] {
        for item in value
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            lift(item, ahead);
            if let Some(object) = item.get_mut("object") {
                lift(object, ahead);
            }
        }
    }
}

/// The same of a shared answer.
#[must_use]
pub(crate) fn lifted(body: Arc<Value>, ahead: u64) -> Arc<Value> {
    if ahead == 0 {
        return body;
    }
    let mut copy = Arc::unwrap_or_clone(body);
    lift(&mut copy, ahead);
    Arc::new(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_comes_back() {
        let mut list = json!({"metadata": {"resourceVersion": "7"}, "items": [
            {"metadata": {"resourceVersion": "5"}}], "rows": [{"object": {"metadata": {"resourceVersion": "6"}}}]});
        lift(&mut list, 100);
        assert_eq!(list["metadata"]["resourceVersion"], "107");
        assert_eq!(list["items"][0]["metadata"]["resourceVersion"], "105");
        assert_eq!(
            list["rows"][0]["object"]["metadata"]["resourceVersion"],
            "106"
        );
        let item = list["items"][0].to_string();
        assert_eq!(
            lower_body(&item.into(), 100),
            json!({"metadata": {"resourceVersion": "5"}}).to_string()
        );
        let patch = json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "105"}]);
        let patch: Value =
            serde_json::from_slice(&lower_body(&patch.to_string().into(), 100)).unwrap();
        assert_eq!(patch[0]["value"], "5");
    }

    #[test]
    fn versions_of_elsewhere_are_too_old_or_too_large() {
        assert_eq!(lowered("7", 100).as_deref(), Some("1"));
        assert_eq!(lowered("107", 0).as_deref(), Some("107"));
        assert_eq!(lowered("0", 100), None);
    }
}
