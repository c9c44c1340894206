//! From a URL and headers to a typed request.
//!
//! What a path means does not depend on the product: a [`crate::plane::Plane`] first takes off its prefix (kcp's
//! `/clusters/X`, a virtual workspace), and the rest is parsed here. Parsing is lenient where the API machinery is:
//! an unreadable `limit` counts as none, an unreadable `timeoutSeconds` is an error.

use serde_json::Value;

use crate::status::{Cause, Details, Failure, quoted};

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

/// What an answer consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The object itself.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `PartialObjectMetadataList`; only a list has this shape.
    MetadataList,
    /// A `Table`.
    Table,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it consists of.
    pub shape: Shape,
    /// YAML instead of JSON.
    pub yaml: bool,
    /// The version of `meta.k8s.io` that Tables and metadata are in.
    pub version: &'static str,
}

impl Form {
    /// The `apiVersion` of tables and partial objects.
    #[must_use]
    pub fn meta_version(self) -> &'static str {
        if self.version == "v1beta1" {
            "meta.k8s.io/v1beta1"
        } else {
            "meta.k8s.io/v1"
        }
    }

    /// JSON of the whole object.
    pub const JSON: Self = Self {
        shape: Shape::Whole,
        yaml: false,
        version: "v1",
    };
}

/// The media types that resources are served in.
pub const ACCEPTED: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// Finds the first entry of an `Accept` header that can be served.
///
/// # Errors
/// 406 when there is none.
pub fn negotiate(accept: Option<&str>, whole_only: bool) -> Result<Form, Failure> {
    let accept = accept
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .unwrap_or("*/*");
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let yaml = match parts.next().unwrap_or_default() {
            "application/json" | "*/*" | "application/*" => false,
            "application/yaml" => true,
            _ => continue,
        };
        let (mut kind, mut group, mut version) = ("", "", "");
        for part in parts {
            match part.split_once('=') {
                Some(("as", value)) => kind = value,
                Some(("g", value)) => group = value,
                Some(("v", value)) => version = value,
                _ => {}
            }
        }
        let shape = match (kind, group, version) {
            ("", _, _) => Shape::Whole,
            _ if whole_only => continue,
            ("Table", "meta.k8s.io", "v1" | "v1beta1") => Shape::Table,
            ("PartialObjectMetadata", "meta.k8s.io", "v1" | "v1beta1") => Shape::Metadata,
            ("PartialObjectMetadataList", "meta.k8s.io", "v1" | "v1beta1") => Shape::MetadataList,
            _ => continue,
        };
        let version = if version == "v1beta1" {
            "v1beta1"
        } else {
            "v1"
        };
        return Ok(Form {
            shape,
            yaml,
            version,
        });
    }
    Err(Failure::not_acceptable(ACCEPTED))
}

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

fn read_dry_run(values: &[String], causes: &mut Vec<Cause>) -> bool {
    if values.iter().any(|value| value != "All") {
        let shown = Value::from(values.to_vec());
        causes.push(Cause::not_supported("dryRun", &shown, &["All"]));
    }
    !values.is_empty()
}

/// `DeleteOptions`, from the body or else from the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Nothing is to be stored.
    pub dry_run: bool,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The version that the object must have.
    pub version: Option<String>,
    /// How dependents are treated.
    pub propagation: Option<Propagation>,
    /// How long the object may take to end.
    pub grace: Option<i64>,
}

/// How the dependents of a deleted object are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted later.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

impl DeleteOptions {
    /// Reads the options of a deletion.
    ///
    /// # Errors
    /// 400 for a body that is none, 422 for wrong values.
    pub fn read(query: &Query, body: &[u8]) -> Result<Self, Failure> {
        let body = if body.is_empty() {
            None
        } else {
            Some(Self::decode(body)?)
        };
        let from_query = || -> Result<Value, Failure> {
            let mut options = serde_json::Map::new();
            if let Some(seconds) = query.number("gracePeriodSeconds")? {
                options.insert("gracePeriodSeconds".into(), seconds.into());
            }
            if let Some(flag) = query.flag("orphanDependents") {
                options.insert("orphanDependents".into(), flag.into());
            }
            if let Some(policy) = query.get("propagationPolicy") {
                options.insert("propagationPolicy".into(), policy.into());
            }
            let dry_run: Vec<&str> = query.all("dryRun").collect();
            if !dry_run.is_empty() {
                options.insert("dryRun".into(), dry_run.into());
            }
            let mut preconditions = serde_json::Map::new();
            for (parameter, member) in [
                ("preconditions.uid", "uid"),
                ("preconditions.resourceVersion", "resourceVersion"),
            ] {
                if let Some(value) = query.get(parameter) {
                    preconditions.insert(member.into(), value.into());
                }
            }
            if !preconditions.is_empty() {
                options.insert("preconditions".into(), preconditions.into());
            }
            Ok(options.into())
        };
        let options = match body {
            Some(body) => body,
            None => from_query()?,
        };
        let mut causes = Vec::new();
        let text = |pointer: &str| {
            options
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let orphan = options["orphanDependents"].as_bool();
        let policy = text("/propagationPolicy");
        let mut propagation = orphan.map(|orphan| {
            if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            }
        });
        if let Some(policy) = policy {
            if orphan.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                causes.push(Cause::invalid(
                    "propagationPolicy",
                    &Value::from(policy.as_str()),
                    why,
                ));
            }
            propagation = match policy.as_str() {
                "Background" => Some(Propagation::Background),
                "Foreground" => Some(Propagation::Foreground),
                "Orphan" => Some(Propagation::Orphan),
                other => {
                    let supported = ["Foreground", "Background", "Orphan", "nil"];
                    causes.push(Cause::not_supported(
                        "propagationPolicy",
                        &Value::from(other),
                        &supported,
                    ));
                    None
                }
            };
        }
        let dry_run = options["dryRun"].as_array().cloned().unwrap_or_default();
        let dry_run: Vec<String> = dry_run
            .iter()
            .map(|value| value.as_str().unwrap_or_default().to_owned())
            .collect();
        let dry_run = read_dry_run(&dry_run, &mut causes);
        if !causes.is_empty() {
            return Err(Failure::invalid("meta.k8s.io", "DeleteOptions", "", causes));
        }
        Ok(Self {
            dry_run,
            uid: text("/preconditions/uid"),
            version: text("/preconditions/resourceVersion"),
            propagation,
            grace: options["gracePeriodSeconds"].as_i64(),
        })
    }

    fn decode(body: &[u8]) -> Result<Value, Failure> {
        let options = crate::decode::json_or_yaml(body).map_err(|why| {
            Failure::bad_request(format!(
                "couldn't get version/kind; json parse error: {why}"
            ))
        })?;
        if !options.is_object() {
            let why = crate::decode::type_meta_mismatch(&options);
            return Err(Failure::bad_request(format!(
                "couldn't get version/kind; json parse error: {why}"
            )));
        }
        let kind = options["kind"].as_str().unwrap_or_default();
        let version = options["apiVersion"].as_str().unwrap_or_default();
        if !kind.is_empty() && kind != "DeleteOptions" {
            return Err(Failure::bad_request(format!(
                "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
                quoted(kind),
                quoted(version)
            )));
        }
        Ok(options)
    }
}

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
