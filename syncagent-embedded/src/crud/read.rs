//! Get and list.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Answer, Call, metadata_only};
use crate::request::{ListOptions, Shape, version_too_large};
use crate::status::Failure;
use crate::store::{Refused, Scope, Stored};
use crate::table::{Include, Printer};

impl Call {
    /// GET of one object.
    pub(super) fn get(self) -> Result<Answer, Failure> {
        let name = self.target.name.clone();
        let stored = self
            .core
            .read(&self.key(&name))
            .ok_or_else(|| self.not_found(&name))?;
        let object = self.presented(&stored.key.cluster, &stored.object)?;
        if !self.visible(&object) {
            return Err(self.not_found(&name));
        }
        self.object_answer(200, &object)
    }

    /// GET of a collection.
    pub(super) fn list(self) -> Result<Answer, Failure> {
        let options = ListOptions::read(&self.query, false)?;
        let (labels, fields) = self.selectors()?;
        let scope = self.scope();
        let page = self.page(&scope, &options)?;
        let mut items: Vec<Arc<Value>> = Vec::new();
        let mut matching = page.items.iter().filter_map(|stored| {
            if !self.in_lens(stored) {
                return None;
            }
            let object = match self.presented(&stored.key.cluster, &stored.object) {
                Ok(object) => object,
                Err(failure) => return Some(Err(failure)),
            };
            (labels.matches(&object) && fields.matches(&object)).then_some(Ok((stored, object)))
        });
        let limit = if page.limit == 0 {
            usize::MAX
        } else {
            page.limit
        };
        let mut last: Option<&Arc<Stored>> = None;
        for found in matching.by_ref().take(limit) {
            let (stored, object) = found?;
            last = Some(stored);
            items.push(object);
        }
        let mut token = String::new();
        let mut remaining = None;
        let selective = !self.query.text("labelSelector").is_empty() || !fields.is_empty();
        if let Some(last) = last {
            let more = matching.next().is_some();
            if more {
                token = encode_token(page.version, &relative(&scope, last));
            }
            if more && !selective {
                // Each that is shown here matches: none has to be brought into its form to be counted.
                let shown = page.items.iter().filter(|stored| self.in_lens(stored));
                remaining = Some(shown.count() - items.len());
            }
        }
        Ok(Answer::value(
            200,
            self.list_body(page.version, &token, remaining, &items)?,
        ))
    }

    /// Whether a wildcard shows the object's cluster.
    fn in_lens(&self, stored: &Stored) -> bool {
        self.lens
            .clusters
            .as_ref()
            .is_none_or(|clusters| clusters.borrow().contains(&stored.key.cluster))
    }

    /// The list object for these items.
    pub(super) fn list_body(
        &self,
        version: u64,
        token: &str,
        remaining: Option<usize>,
        items: &[Arc<Value>],
    ) -> Result<Value, Failure> {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let Some(count) = remaining {
            metadata["remainingItemCount"] = json!(count);
        }
        let resource = &self.served.resource;
        let unstructured = !self.served.built_in();
        if !token.is_empty() || (unstructured && self.form.shape == Shape::Whole) {
            metadata["continue"] = json!(token);
        }
        Ok(match self.form.shape {
            Shape::Whole => {
                let items: Vec<Value> = items
                    .iter()
                    .map(|item| {
                        let mut item = (**item).clone();
                        // Items of built-in lists do not repeat their type.
                        if !unstructured
                            && self.place.view.is_empty()
                            && let Some(map) = item.as_object_mut()
                        {
                            map.remove("apiVersion");
                            map.remove("kind");
                        }
                        item
                    })
                    .collect();
                json!({
                    "apiVersion": resource.api_version(), "kind": resource.list_kind, "metadata": metadata,
                    "items": items,
                })
            }
            Shape::Metadata | Shape::MetadataList => {
                // Go's list of nothing is null.
                let items: Option<Vec<Value>> = (!items.is_empty()).then(|| {
                    items
                        .iter()
                        .map(|item| metadata_only(item, self.form))
                        .collect()
                });
                json!({
                    "apiVersion": self.form.meta_version(), "kind": "PartialObjectMetadataList", "metadata": metadata,
                    "items": items,
                })
            }
            Shape::Table => self
                .printer()?
                .list(&metadata, items.iter().map(|item| &**item)),
        })
    }

    /// The candidates of a list, before selectors.
    fn page(&self, scope: &Scope, options: &ListOptions) -> Result<Page, Failure> {
        let store = self.core.store();
        let current = store.revision();
        let asked = options.parsed_version()?;
        if !options.token.is_empty() {
            if asked.is_some_and(|version| version != 0) {
                return Err(Failure::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let (version, start) = decode_token(&options.token)?;
            let (version, at) = match version {
                Some(version) => (version, Some(version)),
                None => (current, None),
            };
            let items = store
                .list(scope, Some(&start), at)
                .map_err(|refused| match refused {
                    Refused::Raced | Refused::Compacted => expired_page(&start),
                })?;
            let limit = if asked == Some(0) { 0 } else { options.limit };
            return Ok(Page {
                items,
                version,
                limit,
            });
        }
        let exact = options.version_match == "Exact";
        if let Some(version) = asked
            && version > current
        {
            return Err(version_too_large(version, current));
        }
        let at = if exact { asked } else { None };
        let version = at.unwrap_or(current);
        let items = store.list(scope, None, at).map_err(|_| {
            Failure::expired("The resourceVersion for the provided list is too old.")
        })?;
        let limit = if asked == Some(0) { 0 } else { options.limit };
        Ok(Page {
            items,
            version,
            limit,
        })
    }

    /// What prints tables for this request.
    pub(super) fn printer(&self) -> Result<Printer<'_>, Failure> {
        let include = Include::parse(self.query.get("includeObject"))?;
        Ok(Printer::new(&self.served.resource, self.core.clock.now())
            .with_include(include)
            .with_version(self.form.version))
    }
}

struct Page {
    items: Vec<Arc<Stored>>,
    version: u64,
    limit: usize,
}

/// The position after an object, relative to its scope.
fn relative(scope: &Scope, last: &Stored) -> String {
    let key = &last.key;
    let mut start = String::new();
    if scope.cluster.is_none() {
        start.push_str(&key.cluster);
        start.push('/');
    }
    if scope.namespace.is_none() {
        start.push_str(&key.namespace);
        start.push('/');
    }
    start.push_str(&key.name);
    start.push('\0');
    start
}

fn encode_token(version: u64, start: &str) -> String {
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    URL_SAFE_NO_PAD
        .encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string())
}

/// The version (absent: whatever is there now) and the position of a token.
fn decode_token(token: &str) -> Result<(Option<u64>, String), Failure> {
    let refuse = |why: String| {
        Failure::bad_request(format!(
            "invalid continue token: continue key is not valid: {why}"
        ))
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(token.trim_end_matches('='))
        .map_err(|error| {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => token.len(),
            };
            refuse(format!("illegal base64 data at input byte {at}"))
        })?;
    let parsed = crate::fields::parse(&bytes).map_err(refuse)?.value;
    let version = parsed["v"].as_str().unwrap_or_default();
    if version != "meta.k8s.io/v1" {
        return Err(refuse(format!(
            "server does not recognize this encoded version {version}"
        )));
    }
    let number = parsed["rv"].as_i64().unwrap_or(0);
    if number == 0 {
        return Err(refuse(
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned(),
        ));
    }
    let start = parsed["start"].as_str().unwrap_or_default();
    if start.is_empty() {
        return Err(refuse(
            "encoded start key empty (version meta.k8s.io/v1)".to_owned(),
        ));
    }
    if start.split('/').any(|part| part == "..") {
        return Err(refuse(start.to_owned()));
    }
    Ok((u64::try_from(number).ok(), start.to_owned()))
}

fn expired_page(start: &str) -> Failure {
    let mut failure = Failure::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let token = json!({"v": "meta.k8s.io/v1", "rv": -1, "start": start}).to_string();
    failure.continue_token = Some(URL_SAFE_NO_PAD.encode(token));
    failure
}
