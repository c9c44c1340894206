//! One HTTP request from beginning to end.
//!
//! ```text
//! outage? -> who (bearer token) -> where (plane's prefix) -> what (path, verb) -> may they? -> discovery or crud
//!         -> body in the form of Accept -> audit
//! ```

use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::audit::Entry;
use crate::builtin::protobuf;
use crate::core::Core;
use crate::crud::{Answer, Call};
use crate::discovery;
use crate::faults::{Asked, Fault};
use crate::openapi;
use crate::plane::{Attributes, Early, Place, Reach, User};
use crate::rbac::Who;
use crate::rbac::impersonate::Impersonation;
use crate::request::{Form, Path, Query, Shape, Target, Verb, negotiate, parse_path};
use crate::status::Failure;
use crate::versions;

/// The body of an answer: a whole, or the frames of a watch.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The version that the recorded server says it is.
const RECORDED: &str = "v0.0.0-master+$Format:%H$";

/// The largest body that is read.
pub(crate) const LARGEST: usize = 3 * 1024 * 1024;

/// Answers a request.
pub async fn handle(
    core: Arc<Core>,
    request: http::Request<Bytes>,
    credentials: Option<&str>,
) -> http::Response<Body> {
    let mut entry = Entry {
        user_agent: header(&request, USER_AGENT.as_str()).to_owned(),
        uri: request.uri().to_string(),
        ..Entry::default()
    };
    let head = request.method() == http::Method::HEAD;
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut answered = answer(&core, request, credentials, &mut entry);
    while let Ok(Reply::Held(request, until)) = answered {
        until.cancelled().await;
        answered = answer(&core, *request, credentials, &mut entry);
    }
    if matches!(answered, Ok(Reply::Never)) {
        core.audit.record(entry);
        return std::future::pending().await;
    }
    let mut response = match answered {
        Ok(reply) => reply.into_response(),
        Err(failure) => refusal(&failure, accept.as_deref()),
    };
    if head {
        *response.body_mut() = full(Bytes::new());
    }
    entry.code = response.status().as_u16();
    core.audit.record(entry);
    response
}

/// What is sent back.
enum Reply {
    /// A document in some form.
    Document {
        code: u16,
        body: Arc<Value>,
        form: Form,
        content_type: Option<&'static str>,
        warnings: Vec<String>,
    },
    /// Plain text.
    Text(&'static str),
    /// A stream.
    Watch(Box<crate::crud::watching::Watcher>),
    /// A stream without events.
    Silence {
        /// Whether it stays open.
        stays: bool,
    },
    /// Nothing, for ever.
    Never,
    /// Nothing yet: the request is looked at again when this is cancelled.
    Held(Box<http::Request<Bytes>>, CancellationToken),
    /// A connection that breaks.
    Broken,
}

impl Reply {
    fn document(body: Value) -> Self {
        Self::Document {
            code: 200,
            body: Arc::new(body),
            form: Form::JSON,
            content_type: None,
            warnings: Vec::new(),
        }
    }

    fn into_response(self) -> http::Response<Body> {
        match self {
            Self::Document {
                code,
                body,
                form,
                content_type,
                warnings,
            } => {
                let (bytes, media) = if form.yaml {
                    (
                        serde_yaml::to_string(&*body)
                            .unwrap_or_default()
                            .into_bytes(),
                        "application/yaml",
                    )
                } else {
                    let mut bytes = serde_json::to_vec(&*body).unwrap_or_default();
                    bytes.push(b'\n');
                    (bytes, "application/json")
                };
                let mut response = respond(code, content_type.unwrap_or(media), full(bytes.into()));
                for warning in warnings {
                    if let Ok(value) =
                        http::HeaderValue::from_str(&crate::fields::warning(&warning))
                    {
                        response.headers_mut().append(http::header::WARNING, value);
                    }
                }
                response
            }
            Self::Text(text) => respond(
                200,
                "text/plain; charset=utf-8",
                full(Bytes::from_static(text.as_bytes())),
            ),
            Self::Never | Self::Held(..) | Self::Broken => {
                let lost =
                    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the answer was lost");
                let frames = futures::stream::iter([Err::<Frame<Bytes>, _>(lost)]);
                respond(
                    200,
                    "application/json",
                    StreamBody::new(frames).boxed_unsync(),
                )
            }
            Self::Silence { stays } => {
                let frames = futures::stream::once(async move {
                    if stays {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, std::io::Error>(Frame::data(Bytes::new()))
                });
                respond(
                    200,
                    "application/json",
                    StreamBody::new(frames).boxed_unsync(),
                )
            }
            Self::Watch(watcher) => {
                let media = if watcher.form().yaml {
                    "application/yaml;stream=watch"
                } else {
                    "application/json"
                };
                let frames = futures::stream::unfold(watcher, |mut watcher| async move {
                    watcher
                        .next()
                        .await
                        .map(|piece| (piece.map(Frame::data), watcher))
                });
                respond(200, media, StreamBody::new(frames).boxed_unsync())
            }
        }
    }
}

fn respond(code: u16, content_type: &str, body: Body) -> http::Response<Body> {
    let mut response = http::Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = http::HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    headers.insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-cache, private"),
    );
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A failure as an answer.
pub(crate) fn refusal(failure: &Failure, accept: Option<&str>) -> http::Response<Body> {
    let mut response = if failure.plain {
        respond(
            failure.code,
            "text/plain; charset=utf-8",
            full(failure.message.clone().into_bytes().into()),
        )
    } else if accept.is_some_and(|accept| accept.contains(protobuf::MEDIA))
        && negotiate(accept, true).is_err()
    {
        let bytes = protobuf::status(failure);
        respond(failure.code, protobuf::MEDIA, full(bytes.into()))
    } else {
        let yaml = negotiate(accept, true).is_ok_and(|form| form.yaml);
        let form = Form { yaml, ..Form::JSON };
        let body = Arc::new(failure.to_value());
        Reply::Document {
            code: failure.code,
            body,
            form,
            content_type: None,
            warnings: Vec::new(),
        }
        .into_response()
    };
    for (name, value) in &failure.headers {
        if let Ok(value) = http::HeaderValue::from_str(value) {
            response.headers_mut().append(*name, value);
        }
    }
    response
}

fn header<'a>(request: &'a http::Request<Bytes>, name: &str) -> &'a str {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn answer(
    core: &Arc<Core>,
    mut request: http::Request<Bytes>,
    credentials: Option<&str>,
    entry: &mut Entry,
) -> Result<Reply, Failure> {
    if core.faults.is_out() || core.stop.is_cancelled() {
        return Err(Failure::unavailable(
            "the server is currently unable to handle the request",
        ));
    }
    let user = who(core, &request, credentials)?;
    entry.user.clone_from(&user.name);
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let path = unescape(request.uri().path());
    let route = core.plane.route(core, &path, &user)?;
    let user = impersonated(core, &request, &route.place, user)?;
    entry.cluster = route.place.name();
    entry.wildcard = route.place.reach == Reach::All;
    entry.virtual_workspace = !route.place.view.is_empty();
    if let Some(failure) = core.plane.away(core, &route.place) {
        return Err(failure);
    }
    match parse_path(&route.path) {
        Path::Other(path) => {
            entry.verb = request.method().as_str().to_lowercase();
            other(core, &request, &user, &route.place, &path)
        }
        Path::Resource(target) => {
            let watch = query.flag("watch").unwrap_or(false);
            let verb = Verb::of(request.method(), !target.name.is_empty(), watch)
                .ok_or_else(Failure::method_not_allowed)?;
            verb.as_str().clone_into(&mut entry.verb);
            entry.group.clone_from(&target.group);
            entry.resource.clone_from(&target.plural);
            entry.subresource.clone_from(&target.subresource);
            entry.namespace.clone_from(&target.namespace);
            entry.name.clone_from(&target.name);
            let fault = core.faults.strike(&Asked {
                verb: verb.as_str(),
                target: &target,
                cluster: &entry.cluster,
                user: &user.name,
                agent: &entry.user_agent,
                uri: &entry.uri,
            });
            match fault {
                Some(Fault::Refuse(failure)) => return Err(*failure),
                Some(Fault::Stall) => return Ok(Reply::Never),
                Some(Fault::Hold(until)) => return Ok(Reply::Held(Box::new(request), until)),
                Some(Fault::Overlook) => {
                    request.extensions_mut().insert(Overlooks);
                }
                Some(Fault::Lose) | None => {}
            }
            let reply = resource(
                core,
                request,
                user,
                route.place,
                verb,
                target,
                query,
                &route.path,
            );
            match fault {
                Some(Fault::Lose) => Ok(Reply::Broken),
                _ => reply,
            }
        }
    }
}

/// Go escapes the `*` and the `:` of kcp's URLs, which need no escape.
fn unescape(path: &str) -> String {
    path.replace("%2A", "*")
        .replace("%2a", "*")
        .replace("%3A", ":")
        .replace("%3a", ":")
}

/// Who asks, by bearer token.
fn who(
    core: &Core,
    request: &http::Request<Bytes>,
    credentials: Option<&str>,
) -> Result<User, Failure> {
    let sent = header(request, AUTHORIZATION.as_str());
    let token = sent.strip_prefix("Bearer ").map(str::trim).or(credentials);
    match token {
        None => Ok(User::anonymous()),
        Some(token) => core.user_of(token).ok_or_else(Failure::unauthorized),
    }
}

/// Who the request wants to be.
fn impersonated(
    core: &Core,
    request: &http::Request<Bytes>,
    place: &Place,
    user: User,
) -> Result<User, Failure> {
    let Some(asked) = Impersonation::of(request.headers())? else {
        return Ok(user);
    };
    let who = Who {
        name: &user.name,
        groups: &user.groups,
    };
    let policy = core.plane.policy(core, place);
    asked.check(|what| policy.check(who, what))?;
    let groups = asked.all_groups();
    Ok(User {
        name: asked.name,
        uid: asked.uid,
        groups,
        extra: asked.extra.into_iter().collect(),
    })
}

/// Paths that are no resources.
fn other(
    core: &Arc<Core>,
    request: &http::Request<Bytes>,
    user: &User,
    place: &Place,
    path: &str,
) -> Result<Reply, Failure> {
    let verb = request.method().as_str().to_lowercase();
    core.plane.authorise(
        core,
        &Attributes {
            user,
            place,
            verb: &verb,
            target: None,
            path,
        },
    )?;
    if let Some(answer) = core.plane.other(core, place, request.method(), path) {
        return answer.map(Reply::document);
    }
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok());
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let kinds: Vec<crate::api::Resource> = core
        .plane
        .resources(core, place)
        .iter()
        .map(|served| served.resource.clone())
        .collect();
    let kinds = core.faults.told(&place.name(), kinds);
    let order = if place.view.is_empty() {
        discovery::Order::Precedence
    } else {
        discovery::Order::Name
    };
    let known = matches!(
        parts.first(),
        Some(&("api" | "apis" | "version" | "openapi"))
    );
    if known && !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        return Err(Failure::method_not_allowed());
    }
    let document = matches!(parts.as_slice(), ["apis", _] | ["api" | "apis", _, ..]);
    if document && discovery::form(accept) == discovery::Form::Refused {
        return Err(Failure::not_acceptable(crate::request::ACCEPTED));
    }
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok(Reply::Text("ok")),
        ["version"] => Ok(Reply::document(discovery::version(RECORDED))),
        ["api"] | ["apis"] => {
            let is_core = parts == ["api"];
            match discovery::form(accept) {
                discovery::Form::Refused => Err(Failure::not_acceptable(crate::request::ACCEPTED)),
                discovery::Form::Aggregated if core.plane.aggregates(place, is_core) => {
                    Ok(Reply::Document {
                        code: 200,
                        body: Arc::new(discovery::aggregated(&kinds, is_core)),
                        form: Form::JSON,
                        content_type: Some(discovery::AGGREGATED),
                        warnings: Vec::new(),
                    })
                }
                _ if is_core => {
                    let host = request
                        .uri()
                        .authority()
                        .map_or_else(|| header(request, "host").to_owned(), ToString::to_string);
                    Ok(Reply::document(discovery::core_versions(&host)))
                }
                _ => Ok(Reply::document(discovery::groups(&kinds, order))),
            }
        }
        ["apis", group] => discovery::group(&kinds, group)
            .map(Reply::document)
            .ok_or_else(Failure::page_not_found),
        ["api", version] => discovery::resources(&kinds, "", version)
            .map(Reply::document)
            .ok_or_else(Failure::no_such_resource),
        ["apis", group, version] => discovery::resources(&kinds, group, version)
            .map(Reply::document)
            .ok_or_else(|| {
                let compiled_in = |kind: &crate::api::Resource| {
                    kind.group == *group && kind.provenance == crate::api::Provenance::BuiltIn
                };
                if kinds.iter().any(compiled_in) {
                    Failure::no_such_resource()
                } else {
                    Failure::page_not_found()
                }
            }),
        // Virtual workspaces have the third version only.
        ["openapi", "v2"] if place.view.is_empty() => match discovery::form(accept) {
            discovery::Form::Refused => Err(Failure::not_acceptable(crate::request::ACCEPTED)),
            _ => Ok(Reply::document(openapi::second(&kinds, RECORDED))),
        },
        ["openapi", "v3"] => Ok(Reply::Document {
            code: 200,
            body: Arc::new(openapi::index(&kinds)),
            form: Form::JSON,
            content_type: core.plane.openapi_index_type(),
            warnings: Vec::new(),
        }),
        ["openapi", "v3", name @ ..] => openapi::document(&kinds, &name.join("/"))
            .map(Reply::document)
            .ok_or_else(Failure::page_not_found),
        _ => Err(Failure::page_not_found()),
    }
}

/// What a request means to authorisation: a list or watch that selects one name is about that name.
fn meant(verb: Verb, target: &Target, query: &Query) -> Target {
    let mut meant = target.clone();
    if matches!(verb, Verb::List | Verb::Watch)
        && meant.name.is_empty()
        && let Some(text) = query.get("fieldSelector")
        && let Ok(fields) = crate::selector::Fields::parse(text)
        && let Some(name) = fields.wanted("metadata.name")
    {
        name.clone_into(&mut meant.name);
    }
    meant
}

#[expect(
    clippy::too_many_arguments,
    reason = "what was parsed so far; it is all that a Call is made of"
)]
fn resource(
    core: &Arc<Core>,
    request: http::Request<Bytes>,
    user: User,
    place: Place,
    verb: Verb,
    target: Target,
    query: Query,
    path: &str,
) -> Result<Reply, Failure> {
    let meant = meant(verb, &target, &query);
    let attributes = Attributes {
        user: &user,
        place: &place,
        verb: verb.as_str(),
        target: Some(&meant),
        path,
    };
    core.plane.authorise(core, &attributes)?;
    let Some(resolved) = core.plane.resolve(core, &place, &target)? else {
        return Err(unknown(core, &place, &target));
    };
    let served = resolved.served;
    let resource = &served.resource;
    check_subresource(&served, &target)?;
    if served.built_in() {
        check_route(&served, verb, &target)?;
    }
    if resource.namespaced && target.namespace.is_empty() && !target.name.is_empty() {
        return Err(Failure::page_not_found());
    }
    if !resource.namespaced && !target.namespace.is_empty() && target.plural != "namespaces" {
        return Err(Failure::page_not_found());
    }
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok());
    let form = negotiate(accept, false).map_err(|failure| {
        let known = accept.is_some_and(|accept| {
            crate::request::ACCEPTED
                .iter()
                .any(|media| accept.contains(media))
        });
        if served.built_in() && !known {
            no_representation()
        } else {
            failure
        }
    })?;
    if request.body().len() > LARGEST {
        return Err(Failure::too_large(&format!("limit is {LARGEST}")));
    }
    let content_type = header(&request, CONTENT_TYPE.as_str());
    let content_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let ahead = core.plane.ahead(core, &place);
    let agent = header(&request, USER_AGENT.as_str()).to_owned();
    let overlooks = request.extensions().get::<Overlooks>().is_some();
    let (mut query, mut body) = (query, request.into_body());
    if ahead > 0 {
        query.lower_version(ahead);
        body = versions::lower_body(&body, ahead);
    }
    let call = Call {
        core: core.clone(),
        place,
        agent,
        user,
        verb,
        target,
        served,
        lens: resolved.lens,
        query,
        form,
        content_type,
        body,
        ahead,
        overlooks,
    };
    match core.plane.early(core, &call.place, &call.served, call.verb) {
        Some(Early::Refused(failure)) => return Err(*failure),
        Some(Early::Nothing) => return Ok(nothing(&call)),
        None => {}
    }
    match call.run()? {
        Answer::Value {
            code,
            body,
            warnings,
        } => Ok(Reply::Document {
            code,
            body: versions::lifted(body, ahead),
            form,
            content_type: None,
            warnings,
        }),
        Answer::Watch(watcher) => Ok(Reply::Watch(watcher)),
    }
}

/// Marks a request that overlooks finalizers.
#[derive(Clone, Copy)]
struct Overlooks;

/// A list without items and version, or a watch without events: it stays open only where it asked for the initial ones.
fn nothing(call: &Call) -> Reply {
    if call.verb == Verb::Watch {
        return Reply::Silence {
            stays: call.query.flag("sendInitialEvents") == Some(true),
        };
    }
    let resource = &call.served.resource;
    Reply::document(match call.form.shape {
        Shape::Metadata | Shape::MetadataList => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": null,
        }),
        Shape::Whole | Shape::Table => {
            json!({"apiVersion": resource.api_version(), "kind": resource.list_kind, "items": []})
        }
    })
}

/// 406 as the router of compiled-in kinds words it, where not even the media type is known.
fn no_representation() -> Failure {
    let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                   application/vnd.kubernetes.protobuf, application/json;stream=watch, \
                   application/vnd.kubernetes.protobuf;stream=watch";
    let mut failure = Failure::new(406, "NotAcceptable", message);
    failure.details = Some(crate::status::Details::default());
    failure
}

/// 404: a Status where the group version is compiled in, plain text elsewhere.
fn unknown(core: &Core, place: &Place, target: &Target) -> Failure {
    let compiled_in = core.plane.resources(core, place).iter().any(|one| {
        one.built_in()
            && one.resource.group == target.group
            && one.resource.version == target.version
    });
    if compiled_in {
        Failure::no_such_resource()
    } else {
        Failure::page_not_found()
    }
}

fn check_subresource(served: &crate::api::Served, target: &Target) -> Result<(), Failure> {
    let resource = &served.resource;
    let known = match target.subresource.as_str() {
        "" => true,
        "status" => resource.status,
        "scale" => resource.scale.is_some(),
        other => crate::builtin::kinds::subresources(resource)
            .iter()
            .any(|one| one.name == other),
    };
    if known {
        Ok(())
    } else if served.built_in() {
        Err(Failure::no_such_resource())
    } else {
        Err(Failure::not_found(
            &resource.group,
            &resource.plural,
            &target.name,
        ))
    }
}

/// Built-in kinds have a route per verb; what has none is 405.
fn check_route(served: &crate::api::Served, verb: Verb, target: &Target) -> Result<(), Failure> {
    let named = !target.name.is_empty();
    let fits = match verb {
        Verb::Create => !named || !target.subresource.is_empty(),
        Verb::Update | Verb::Patch => named,
        _ => true,
    };
    let allowed = !target.subresource.is_empty()
        || served.resource.verbs.iter().any(|one| one == verb.as_str());
    if fits && allowed {
        Ok(())
    } else {
        Err(Failure::method_not_allowed())
    }
}
