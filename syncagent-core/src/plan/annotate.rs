//! Annotations on an order that name what came up with it, as the Go agent writes them.
//!
//! One for each object of a rule, numbered in the order of their originals: where it is in the workspace, and what kind its
//! original has. They are written where they differ, all in one patch, and never taken away.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::effect::{Deed, Verb};
use super::record::ReturnedKnown;
use super::seen::Depth;
use super::step::Step;
use crate::definition::Side;
use crate::names;
use crate::object::fingerprint::Fingerprint;
use crate::object::{annotation, api_version, uid};

pub(super) fn annotate(step: &mut Step<'_>, origin: Option<&Value>) {
    if !step.publication.follows_go_agent() {
        return;
    }
    let wanted = wanted(step);
    if wanted.is_empty() {
        return;
    }
    let print = Fingerprint::of(&json!(wanted));
    let Some(origin) = origin else {
        if step.record.annotated != Some(print) {
            step.look(&step.publication.origin(step.key), Depth::Body);
        }
        return;
    };
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(key, text)| annotation(origin, key) != Some(text.as_str()))
        .collect();
    if missing.is_empty() {
        step.record.annotated = Some(print);
        return;
    }
    let mut patch = vec![json!({"op": "test", "path": "/metadata/uid", "value": uid(origin)})];
    if origin["metadata"]["annotations"].is_object() {
        patch.extend(missing.into_iter().map(|(key, text)| {
            let path = format!("/metadata/annotations/{}", key.replace('/', "~1"));
            json!({"op": "add", "path": path, "value": text})
        }));
    } else {
        let all: BTreeMap<_, _> = missing.into_iter().collect();
        patch.push(json!({"op": "add", "path": "/metadata/annotations", "value": all}));
    }
    step.push(
        Deed::Annotate,
        step.publication.origin(step.key),
        Verb::JsonPatch { subresource: None },
        Value::Array(patch),
        "it does not name what came up with it",
    );
}

/// Every annotation that the order should have.
fn wanted(step: &Step<'_>) -> BTreeMap<String, String> {
    let rules = step.publication.related().iter();
    let mut all = BTreeMap::new();
    for rule in rules.filter(|it| it.origin == Side::Service) {
        let is_there = |it: &&ReturnedKnown| {
            let source = it.reads.first().and_then(|it| it.known.as_ref());
            it.id == rule.id && !it.dropped && matches!(source, Some(Some(_)))
        };
        let mut entries: Vec<_> = step.record.returned.iter().filter(is_there).collect();
        entries.sort_by_key(|it| {
            let source = &it.reads[0].object;
            format!("{}/{}", source.namespace, source.name)
        });
        for (index, entry) in entries.into_iter().enumerate() {
            if entry.at.is_none() || entry.foreign {
                continue;
            }
            let key = format!("{}{}.{index}", names::RELATED_PREFIX, rule.id);
            let mut fields = Vec::new();
            if !entry.object.namespace.is_empty() {
                fields.push(("namespace", entry.object.namespace.clone()));
            }
            fields.push(("name", entry.object.name.clone()));
            fields.push(("apiVersion", api_version(&rule.kind)));
            fields.push(("kind", rule.kind.kind.clone()));
            // The order of the fields is the Go agent's.
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(field, text)| format!("{}:{}", json!(field), json!(text)))
                .collect();
            all.insert(key, format!("{{{}}}", fields.join(",")));
        }
    }
    all
}
