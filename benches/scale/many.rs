//! A server that answers lists with more than it holds, and everything else as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response, header};
use http_body::Body as HttpBody;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use kube::client::Body;
use serde_json::Value;
use syncagent_core::io::clients::APPLY_PATCH;
use syncagent_embedded::request::{Path, Query, Verb, parse_path};
use syncagent_embedded::serve::InProcess;
use tower::Service;

use crate::sheet::{Marks, Sheet};

/// What answers are made of.
type Answer = UnsyncBoxBody<<Body as HttpBody>::Data, tower::BoxError>;

/// What is asked of a server, by words.
pub(crate) type Counts = BTreeMap<String, usize>;

/// What both servers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What is written again, and for how many workspaces; `None`: nothing is.
    many: Option<(Marks, usize)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sheets: BTreeMap<String, Arc<Sheet>>,
    counts: Counts,
    /// Lists of which the end was not handed out yet.
    open: BTreeSet<String>,
    /// How many objects were handed out in lists.
    handed: usize,
    /// What was applied on a server.
    applied: Vec<Value>,
    /// How long it took to write lists.
    writing: Duration,
}

impl Shared {
    pub(crate) fn new(many: Option<(Marks, usize)>) -> Arc<Self> {
        Arc::new(Self {
            many,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked since the last time.
    pub(crate) fn counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    /// Whether every long list that was begun was handed out to its end.
    pub(crate) fn complete(&self) -> bool {
        self.state().open.is_empty()
    }

    /// How many objects were handed out in lists until now, but for their last pages.
    pub(crate) fn handed(&self) -> usize {
        self.state().handed
    }

    /// How long it took until now to write lists.
    pub(crate) fn writing(&self) -> Duration {
        self.state().writing
    }

    /// What was applied until now.
    pub(crate) fn applied(&self) -> Vec<Value> {
        self.state().applied.clone()
    }

    fn count(&self, line: String) {
        *self.state().counts.entry(line).or_default() += 1;
    }

    fn page(&self, list: &List, sheet: &Sheet, marks: &Marks, from: usize) -> Response<Answer> {
        let began = Instant::now();
        let (page, next) = sheet.page(marks, from, list.limit);
        let mut state = self.state();
        state.writing += began.elapsed();
        state.handed += next.map_or(0, |next| next - from);
        match next {
            Some(_) => state.open.insert(list.key.clone()),
            None => state.open.remove(&list.key),
        };
        json(page)
    }
}

/// One of the servers.
#[derive(Clone)]
pub(crate) struct Many {
    side: &'static str,
    inside: InProcess,
    shared: Arc<Shared>,
}

impl Many {
    pub(crate) fn of(side: &'static str, inside: InProcess, shared: &Arc<Shared>) -> Self {
        Self {
            side,
            inside,
            shared: shared.clone(),
        }
    }

    async fn answer(mut self, request: Request<Body>) -> Result<Response<Answer>, Infallible> {
        let asked = Asked::read(self.side, &request);
        self.shared.count(asked.line);
        let Some((marks, workspaces)) = &self.shared.many else {
            let request = self.noted(request).await;
            return Ok(self.inside.call(request).await?.map(boxed));
        };
        let Some(list) = asked.list else {
            return Ok(self.inside.call(request).await?.map(boxed));
        };
        if let Some(from) = list.from {
            let known = self.shared.state().sheets.get(&list.key).cloned();
            let sheet = known.expect("only long lists go on");
            return Ok(self.shared.page(&list, &sheet, marks, from));
        }
        let (head, body) = self.inside.call(request).await?.into_parts();
        let body = whole(body).await;
        let parsed = serde_json::from_slice(&body).unwrap_or_default();
        let Some(sheet) = Sheet::of(parsed, marks, *workspaces) else {
            return Ok(Response::from_parts(head, boxed(Body::from(body))));
        };
        let sheet = Arc::new(sheet);
        let page = self.shared.page(&list, &sheet, marks, 0);
        self.shared.state().sheets.insert(list.key, sheet);
        Ok(page)
    }

    /// Notes what is applied.
    async fn noted(&self, request: Request<Body>) -> Request<Body> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if kind.is_none_or(|it| it != APPLY_PATCH) {
            return request;
        }
        let (head, body) = request.into_parts();
        let body = whole(body).await;
        let applied = serde_json::from_slice(&body).unwrap_or_default();
        self.shared.state().applied.push(applied);
        Request::from_parts(head, Body::from(body))
    }
}

async fn whole<B: HttpBody>(body: B) -> Vec<u8> {
    let body = body.collect().await.map(|it| it.to_bytes());
    body.map_or_else(|_| Vec::new(), |it| it.to_vec())
}

fn boxed<B>(body: B) -> Answer
where
    B: HttpBody<Data = <Body as HttpBody>::Data, Error: Into<tower::BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

fn json(body: String) -> Response<Answer> {
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    response
        .body(boxed(Body::from(body.into_bytes())))
        .expect("it is well formed")
}

/// A request, as far as it matters here.
struct Asked {
    line: String,
    list: Option<List>,
}

/// A list that may be long.
struct List {
    key: String,
    from: Option<usize>,
    limit: usize,
}

impl Asked {
    fn read(side: &str, request: &Request<Body>) -> Self {
        let path = request.uri().path();
        // A kcp's path begins with where it goes.
        let below = path.rsplit_once("/clusters/");
        let path = below.map_or(path, |(_, it)| it.find('/').map_or(it, |at| &it[at..]));
        let Path::Resource(target) = parse_path(path) else {
            let line = format!("{side} {} of what is served", request.method());
            return Self { line, list: None };
        };
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let watch = query.get("watch").is_some();
        let verb = Verb::of(request.method(), !target.name.is_empty(), watch);
        let verb = verb.expect("agents use the API's methods");
        let number = |key| query.get(key).and_then(|it| it.parse().ok());
        let list = (verb == Verb::List).then(|| List {
            key: format!(
                "{side} {path} {} {:?}",
                query.get("labelSelector").unwrap_or_default(),
                request.headers().get(header::ACCEPT)
            ),
            from: number("continue"),
            limit: number("limit").unwrap_or(usize::MAX),
        });
        let line = format!("{side} {} {}", verb.as_str(), target.plural);
        Self { line, list }
    }
}

impl Service<Request<Body>> for Many {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
