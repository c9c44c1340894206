//! Answers the questions of a plan, one GET each.
//!
//! A name may come from a consumer's spec. One that cannot be the name of any object is answered without a request: no
//! object has it, and no path is built from it.

use serde_json::Value;

use super::clients::{Server, collection, escape, object};
use crate::error::Error;
use crate::names;
use crate::object::{meta, state};
use crate::plan::{Depth, Member, ObjectRef, Query, Sight};

/// How many objects one page of a selection holds.
const PAGE: usize = 500;

/// Looks at one object.
///
/// # Errors
///
/// When the server does not answer, or neither shows the object nor says that it is not there, or not to be seen.
pub(crate) async fn look(server: &Server, what: &ObjectRef, depth: Depth) -> Result<Sight, Error> {
    if !could_exist(what) {
        return Ok(Sight::Absent);
    }
    let path = object(&what.kind, Some(&what.namespace), &what.name);
    let reply = match depth {
        Depth::Body => server.get(&path).await?,
        Depth::Outline => {
            server
                .get_as(
                    &path,
                    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                )
                .await?
        }
    };
    match (reply.code, depth) {
        (200, Depth::Body) => Ok(Sight::There(reply.body)),
        (200, Depth::Outline) => Ok(Sight::Outline(reply.body)),
        (404, _) if what.is_missing_by(&reply.body) => Ok(Sight::Absent),
        // Something on the way to it is missing, or its kind is not served: that is no evidence about the object.
        (403 | 404, _) => Ok(Sight::Barred),
        _ => Err(server.refused(&format!("GET {path}"), &reply)),
    }
}

/// Makes a selection: the metadata of everything with these labels; `None`: it may not be listed.
///
/// # Errors
///
/// When the server does not answer, or does not serve the kind yet.
pub(crate) async fn list(
    server: &Server,
    query: &Query,
) -> Result<Option<Vec<(Member, Value)>>, Error> {
    let namespace = Some(query.namespace.as_str()).filter(|it| !it.is_empty());
    let path = collection(&query.kind, namespace);
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let labels = query.labels.to_string();
    let mut found = Vec::new();
    let listed = pages(server, &path, &labels, accept, |item| {
        let member = Member {
            namespace: meta(&item, "namespace").to_owned(),
            name: meta(&item, "name").to_owned(),
        };
        found.push((member, item));
    });
    Ok(listed.await?.then_some(found))
}

/// Shows each state Secret of the Go agent's in a namespace, body and all; says whether they may be listed.
///
/// # Errors
///
/// When the server does not answer.
pub(crate) async fn states(
    server: &Server,
    namespace: &str,
    mut each: impl FnMut(&Value),
) -> Result<bool, Error> {
    let kind = ObjectRef::service_secret(namespace, "").kind;
    let path = collection(&kind, Some(namespace));
    let labels = format!("{}={}", names::OBJECT_STATE, state::MARKED);
    pages(server, &path, &labels, "application/json", |it| each(&it)).await
}

/// Everything with these labels, page by page; says whether it may be listed.
async fn pages(
    server: &Server,
    path: &str,
    labels: &str,
    accept: &str,
    mut each: impl FnMut(Value),
) -> Result<bool, Error> {
    let labels = escape(labels);
    let mut next = String::new();
    loop {
        let more = match next.as_str() {
            "" => String::new(),
            token => format!("&continue={}", escape(token)),
        };
        let page = format!("{path}?limit={PAGE}&labelSelector={labels}{more}");
        let mut reply = server.get_as(&page, accept).await?;
        if reply.code == 403 {
            return Ok(false);
        }
        // A kcp that does not serve the kind yet answers with an empty list that has no version.
        let served = reply.body["metadata"]["resourceVersion"]
            .as_str()
            .is_some_and(|it| !it.is_empty());
        if reply.code != 200 || !served {
            return Err(server.refused(&format!("LIST {path}"), &reply));
        }
        if let Value::Array(items) = reply.body["items"].take() {
            items.into_iter().for_each(&mut each);
        }
        match reply.body["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => token.clone_into(&mut next),
            _ => return Ok(true),
        }
    }
}

/// Whether an API server could have an object of this name at all.
fn could_exist(what: &ObjectRef) -> bool {
    // Some kinds, RBAC's among them, allow colons and capitals: what matters here is that the name is one path segment.
    let segment = |name: &str| {
        !name.is_empty()
            && name.len() <= names::NAME_LENGTH
            && name != "."
            && name != ".."
            && name
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"/%?#\\".contains(&b))
    };
    segment(&what.name) && (what.namespace.is_empty() || names::is_dns_label(&what.namespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Place;

    #[test]
    fn a_name_that_no_object_has_asks_nobody() {
        let mut what = ObjectRef::service_namespace("fine");
        assert!(could_exist(&what));
        for name in ["", "..", "a/b", "a b", "a%2fb", "a?x"] {
            what.name = name.to_owned();
            assert!(!could_exist(&what), "{name}");
        }
        what.name = "system:node".to_owned();
        what.place = Place::Workspace("x".to_owned());
        assert!(could_exist(&what));
    }
}
