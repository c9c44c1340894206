//! From a URL and headers to a typed request.
//!
//! What a path means does not depend on the product: a [`crate::plane::Plane`] first takes off its prefix (kcp's
//! `/clusters/X`, a virtual workspace), and the rest is parsed here. Parsing is lenient where the API machinery is:
//! an unreadable `limit` counts as none, an unreadable `timeoutSeconds` is an error.

mod delete;
mod form;
mod list;
mod write;

pub use self::delete::{DeleteOptions, Propagation};
pub use self::form::{ACCEPTED, Form, Shape, negotiate};
pub use self::list::{ListOptions, version_too_large};
pub use self::write::{FieldValidation, WriteOptions, manager_of};

use crate::status::{Failure, quoted};

/// What a request acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural as in the URL.
    pub plural: String,
    /// What follows a colon in the plural (an identity hash, on kcp's wildcard URLs).
    pub identity: Option<String>,
    /// The namespace of the URL; empty for none.
    pub namespace: String,
    /// The name of the URL; empty for a collection.
    pub name: String,
    /// The subresource; empty for none.
    pub subresource: String,
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// A resource or an object.
    Resource(Target),
    /// Everything else: discovery, health, documents; without a trailing slash.
    Other(String),
}

/// Parses the path of a URL, without any prefix and query.
#[must_use]
pub fn parse_path(path: &str) -> Path {
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(percent_decode)
        .collect();
    let (group, version, rest) = match parts
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["api", version, rest @ ..] if !rest.is_empty() => {
            (String::new(), (*version).to_owned(), to_owned(rest))
        }
        ["apis", group, version, rest @ ..] if !rest.is_empty() => {
            ((*group).to_owned(), (*version).to_owned(), to_owned(rest))
        }
        _ => return Path::Other(format!("/{}", parts.join("/"))),
    };
    // A leading `watch` is the deprecated spelling of `?watch=1`; it is not served.
    let mut target = Target {
        group,
        version,
        ..Target::default()
    };
    let rest = match rest.as_slice() {
        // `namespaces/x/things...` lies in a namespace, unless it is the namespace's own subresource.
        [first, namespace, tail @ ..]
            if first == "namespaces"
                && !tail.is_empty()
                && !matches!(tail, [one] if is_namespace_sub(one)) =>
        {
            namespace.clone_into(&mut target.namespace);
            tail.to_vec()
        }
        _ => rest,
    };
    let mut rest = rest.into_iter();
    let plural = rest.next().unwrap_or_default();
    match plural.split_once(':') {
        Some((plural, identity)) => {
            target.plural = plural.to_owned();
            target.identity = Some(identity.to_owned());
        }
        None => target.plural = plural,
    }
    target.name = rest.next().unwrap_or_default();
    target.subresource = rest.collect::<Vec<_>>().join("/");
    if target.plural == "namespaces" && target.group.is_empty() && target.namespace.is_empty() {
        // The authoriser sees a namespace as lying in itself.
        target.namespace.clone_from(&target.name);
    }
    Path::Resource(target)
}

fn is_namespace_sub(part: &str) -> bool {
    matches!(part, "status" | "finalize")
}

fn to_owned(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// What a request wants to do, in the words of authorisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// A collection.
    List,
    /// A stream of events.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// One object.
    Delete,
    /// A collection.
    DeleteCollection,
}

impl Verb {
    /// The verb of a request; `None` for methods that the API does not know.
    #[must_use]
    pub fn of(method: &http::Method, named: bool, watch: bool) -> Option<Self> {
        Some(match *method {
            http::Method::GET | http::Method::HEAD if watch => Self::Watch,
            http::Method::GET | http::Method::HEAD if named => Self::Get,
            http::Method::GET | http::Method::HEAD => Self::List,
            http::Method::POST => Self::Create,
            http::Method::PUT => Self::Update,
            http::Method::PATCH => Self::Patch,
            http::Method::DELETE if named => Self::Delete,
            http::Method::DELETE => Self::DeleteCollection,
            _ => return None,
        })
    }

    /// As RBAC and messages spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether the request only reads.
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// The parameters of a query, in order of appearance.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses what follows the question mark.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let decode = |part: &str| percent_decode(&part.replace('+', " "));
        let pairs = text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Takes a version as the store counts from one that is so far ahead.
    pub(crate) fn lower_version(&mut self, ahead: u64) {
        for (name, value) in &mut self.0 {
            if name == "resourceVersion"
                && let Some(lowered) = crate::versions::lowered(value, ahead)
            {
                *value = lowered;
            }
        }
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// A text; empty when absent.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// A flag as Go's url decoding of API options reads it: present without a value, `1` or `true` are true.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)
            .map(|value| !matches!(value.to_lowercase().as_str(), "false" | "0"))
    }

    /// A number.
    ///
    /// # Errors
    /// 400 with the text of Go's parser.
    pub fn number(&self, key: &str) -> Result<Option<i64>, Failure> {
        match self.get(key) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Failure::bad_request(format!(
                    "strconv.ParseInt: parsing {}: invalid syntax",
                    quoted(text)
                ))
            }),
        }
    }
}

/// Decodes `%XX`.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16));
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: [&str; 6]) {
        let Path::Resource(target) = parse_path(path) else {
            panic!("{path} is not a resource")
        };
        let found = [
            &target.group,
            &target.version,
            &target.namespace,
            &target.plural,
            &target.name,
            &target.subresource,
        ];
        assert_eq!(found.map(String::as_str), expected, "{path}");
    }

    #[test]
    fn paths_name_resources() {
        check("/api/v1/pods", ["", "v1", "", "pods", "", ""]);
        check(
            "/api/v1/namespaces/n/pods/p/log",
            ["", "v1", "n", "pods", "p", "log"],
        );
        check("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]);
        check(
            "/api/v1/namespaces/n",
            ["", "v1", "n", "namespaces", "n", ""],
        );
        check(
            "/api/v1/namespaces/n/status",
            ["", "v1", "n", "namespaces", "n", "status"],
        );
        check(
            "/apis/g.io/v1/things/t/status",
            ["g.io", "v1", "", "things", "t", "status"],
        );
        check(
            "/apis/g.io/v1/namespaces/n/things/",
            ["g.io", "v1", "n", "things", "", ""],
        );
        assert_eq!(
            parse_path("/apis/g.io/v1"),
            Path::Other("/apis/g.io/v1".into())
        );
        assert_eq!(parse_path("/healthz"), Path::Other("/healthz".into()));
    }

    #[test]
    fn the_first_acceptable_form_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(Some(table), false).unwrap().shape, Shape::Table);
        assert_eq!(
            negotiate(Some("application/json;as=Nope;v=v1;g=x,*/*"), false).unwrap(),
            Form::JSON
        );
        assert_eq!(negotiate(Some("text/html"), false).unwrap_err().code, 406);
        assert_eq!(negotiate(None, false).unwrap(), Form::JSON);
    }

    #[test]
    fn delete_options_come_from_the_body_or_the_query() {
        let query = Query::parse("propagationPolicy=Orphan");
        let options = DeleteOptions::read(&query, b"").unwrap();
        assert_eq!(options.propagation, Some(Propagation::Orphan));
        let options = DeleteOptions::read(&query, br#"{"preconditions":{"uid":"u"}}"#).unwrap();
        assert_eq!(
            (options.propagation, options.uid.as_deref()),
            (None, Some("u"))
        );
        assert_eq!(
            DeleteOptions::read(&Query::parse("propagationPolicy=x"), b"")
                .unwrap_err()
                .code,
            422
        );
    }
}
