//! The first format of `PublishedResource` (v0.1, section 14), and other words that have newer ones: read as today's.
//!
//! The meaning is the same; `syncagent check` prints the newer form.

use std::collections::BTreeMap;

use super::FieldProblem;
use crate::api::published_resource::{
    CoreKind, ObjectSource, PublishedResource, Related, RelatedObject,
};

/// The same in today's words. What has only one form stays as it is, and so does what is wrong.
///
/// ```
/// use serde_json::json;
/// use syncagent_core::compat::first;
///
/// let old = serde_json::from_value(json!({"spec": {
///     "resource": {"apiGroup": "g.io", "kind": "Thing", "version": "v1"},
///     "related": [{"identifier": "a", "origin": "kcp", "kind": "Secret", "reference": {"name": {"path": "spec.a"}}}],
/// }}))?;
/// let new = first::modern(&old);
/// assert_eq!(new.spec.related.unwrap()[0].resource.as_deref(), Some("secrets"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn modern(resource: &PublishedResource) -> PublishedResource {
    let mut new = resource.clone();
    let source = &mut new.spec.resource;
    let versions = source.versions.clone().unwrap_or_default();
    if versions.is_empty()
        && let Some(version) = source.version.take_if(|it| !it.is_empty())
    {
        source.versions = Some(vec![version]);
    }
    let versions = source.versions.clone().unwrap_or_default();
    if let Some(projection) = &mut new.spec.projection
        && let [only] = versions.as_slice()
        && let Some(version) = projection.version.take_if(|it| !it.is_empty())
    {
        projection.versions = Some(BTreeMap::from([(only.clone(), version)]));
    }
    if let Some(naming) = &mut new.spec.naming {
        for text in [&mut naming.name, &mut naming.namespace]
            .into_iter()
            .flatten()
        {
            if let Some(template) = templated(text) {
                *text = template;
            }
        }
    }
    modern_related(&new)
}

/// The same with its related objects in today's words. Names are left as they are: for an object without a namespace, a
/// placeholder and the template that stands for it are not the same.
pub(super) fn modern_related(resource: &PublishedResource) -> PublishedResource {
    let mut new = resource.clone();
    for entry in new.spec.related.iter_mut().flatten() {
        modern_entry(entry);
    }
    new
}

/// Whether something is said in words that have newer ones.
#[must_use]
pub fn is_old(resource: &PublishedResource) -> bool {
    modern(resource) != *resource
}

fn modern_entry(entry: &mut Related) {
    let said = entry.version.is_some() || entry.resource.is_some() || entry.group.is_some();
    if let Some(kind) = entry.kind.take_if(|_| !said) {
        entry.version = Some("v1".into());
        entry.resource = Some(
            match kind {
                CoreKind::ConfigMap => "configmaps",
                CoreKind::Secret => "secrets",
            }
            .into(),
        );
    }
    if entry.object.is_none()
        && let Some(old) = entry.reference.take()
    {
        let reference = |it| ObjectSource {
            reference: Some(it),
            ..ObjectSource::default()
        };
        entry.object = Some(RelatedObject {
            name: reference(old.name),
            namespace: old.namespace.map(reference),
        });
    }
}

/// Entries that say which objects in both forms.
#[must_use]
pub fn mixed(resource: &PublishedResource) -> Vec<FieldProblem> {
    let entries = resource.related().iter().enumerate();
    let mixed = entries.filter(|(_, it)| it.object.is_some() && it.reference.is_some());
    mixed
        .map(|(at, _)| {
            let what =
                "stands beside `object`, which says the same in today's form; write only that";
            FieldProblem::new(format!("spec.related[{at}].reference"), what)
        })
        .collect()
}

/// A naming with `$` placeholders as a template; `None`: it is none, or does not follow from names alone.
fn templated(text: &str) -> Option<String> {
    // Longer words first, for one starts with another.
    const WORDS: &[(&str, &str)] = &[
        ("$remoteClusterName", "{{ .ClusterName }}"),
        (
            "$remoteNamespaceHash",
            "{{ .Object.metadata.namespace | shortHash }}",
        ),
        ("$remoteNamespace", "{{ .Object.metadata.namespace }}"),
        ("$remoteNameHash", "{{ .Object.metadata.name | shortHash }}"),
        ("$remoteName", "{{ .Object.metadata.name }}"),
    ];
    if text.contains("{{") || !text.contains('$') {
        return None;
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((word, template)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            out.push_str(template);
            rest = &rest[word.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    (out != text).then_some(out)
}
