//! Runs the steps of a case.
//!
//! The order of things is that of the recorder: a step's request is sent when the one before it was answered, except
//! that a watch stands while the steps after it are done. Answers of writes that only prepare are not compared, but
//! looked at: a later request may speak of the uid or version that they brought (an open placeholder in a request is
//! resolved by `Runner::resolve`).
//!
//! Eventual things: a kcp needs a while for a workspace, an export, a binding, a deletion. After such a write the runner
//! waits until it took effect, as the recorder did, unless the recording shows what was answered in between. Answers that
//! were polled for (`polled: answer 2 for this path`) must come in the recorded order and end with the last one; one in
//! between may be missed, since it may be over before it is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use serde_json::Value;

use super::binding::Bindings;
use super::compare::{Difference, compare};
use super::projection::{ordered, project, sort_causes, sort_message};
use super::recording::{Case, Kind, Recording, Request, Response, Step, Topic};
use super::report::{Disagreement, Outcome};
use super::{Door, Options};

/// Sends the cases of a topic to one server.
pub struct Runner<'a> {
    recording: &'a Recording,
    door: Arc<dyn Door>,
    options: Options,
    /// What all cases share: names, and the logical clusters of the fixture.
    shared: Bindings,
}

/// A number for names, so that cases do not meet.
static SERIAL: AtomicUsize = AtomicUsize::new(0);

/// What is known within one case.
#[derive(Default)]
struct State {
    bindings: Bindings,
    /// Objects that writes brought, not compared: the path they were read or written at, with their uid and version.
    seen: Vec<(String, Option<String>, Option<String>)>,
    /// Workspaces that were made, as the path of the object, with their logical cluster where it is known.
    workspaces: Vec<(String, Option<String>)>,
    exchanges: Vec<String>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, Vec<String>>,
    text: String,
}

/// A watch that stands.
struct Watching {
    answer: Answer,
    events: tokio::sync::mpsc::UnboundedReceiver<Result<Value, String>>,
    reader: tokio::task::JoinHandle<()>,
}

impl<'a> Runner<'a> {
    /// A runner for one server.
    #[must_use]
    pub fn new(recording: &'a Recording, door: Arc<dyn Door>, options: Options) -> Self {
        let mut shared = Bindings::default();
        let n = SERIAL.fetch_add(1, Ordering::Relaxed);
        shared.choose("ORG", format!("org{n}-{}", std::process::id()));
        shared.choose("CONS", "cons-a");
        shared.choose("CONS2", "cons-b");
        Self {
            recording,
            door,
            options,
            shared,
        }
    }

    /// Makes what every case of the topic needs.
    ///
    /// # Errors
    ///
    /// What could not be made, for people.
    pub async fn prepare(&mut self, topic: &Topic) -> Result<(), String> {
        let recording = self.recording;
        let mut state = State {
            bindings: self.shared.clone(),
            ..State::default()
        };
        let steps = recording.first.iter().flat_map(|case| &case.steps);
        for step in steps {
            let Some(request) = &step.request else {
                continue;
            };
            let answer = self.ask(&mut state, request).await?;
            if answer.status >= 300 {
                return Err(format!(
                    "{} {}: {}",
                    request.method, request.path, answer.text
                ));
            }
            self.settle(&mut state, request, &answer).await;
            if let Some(cluster) = &step.cluster {
                let name = self.cluster_of_last(&mut state).await?;
                state.bindings.bind(cluster.trim_matches(['<', '>']), name);
                self.swap_consumers(&mut state, cluster);
            }
            if recording.kind == Kind::Kubernetes {
                self.wait_established(&mut state, request).await?;
            }
        }
        if recording.kind == Kind::Kcp {
            self.prepare_kcp(&mut state, topic).await?;
        }
        self.shared = state.bindings;
        Ok(())
    }

    /// The recorder's two consumers are in the order of their logical clusters, since lists are.
    fn swap_consumers(&self, state: &mut State, cluster: &str) {
        let bindings = &mut state.bindings;
        let pair = (
            bindings.value("cluster:3").map(str::to_owned),
            bindings.value("cluster:4").map(str::to_owned),
        );
        if let ("<cluster:4>", (Some(first), Some(second))) = (cluster, pair)
            && second < first
        {
            bindings.bind("cluster:3", second);
            bindings.bind("cluster:4", first);
            bindings.choose("CONS", "cons-b");
            bindings.choose("CONS2", "cons-a");
        }
    }

    async fn prepare_kcp(&self, state: &mut State, topic: &Topic) -> Result<(), String> {
        let export = self
            .wait(
                state,
                "/clusters/<cluster:2>/apis/apis.kcp.io/v1alpha2/apiexports/probe.io",
                |body| body["status"]["identityHash"].is_string(),
            )
            .await?;
        let hash = export["status"]["identityHash"]
            .as_str()
            .unwrap_or_default();
        state.bindings.bind("hash:1", hash);
        // The fixture says that the topic of schemas has them too; its first case lists schemas and shows that it has not.
        if matches!(topic.name.as_str(), "exports" | "bindings") {
            let schemas = self
                .recording
                .first
                .iter()
                .flat_map(|c| &c.steps)
                .filter_map(|s| s.request.as_ref());
            for request in schemas.filter(|r| r.path.ends_with("/apiresourceschemas")) {
                let mut request = request.clone();
                request.path = request.path.replace("<cluster:2>", "<cluster:10>");
                self.ask(state, &request).await?;
            }
        }
        for cluster in ["<cluster:3>", "<cluster:4>"] {
            let path = format!(
                "/services/apiexport/<cluster:2>/probe.io/clusters/{cluster}/apis/probe.io/v1/things"
            );
            self.wait(state, &path, |body| body["kind"] == "ThingList")
                .await?;
        }
        Ok(())
    }

    async fn wait_established(&self, state: &mut State, request: &Request) -> Result<(), String> {
        let body = request.body.clone().unwrap_or_default();
        if let (Some(group), Some(plural)) = (
            body["spec"]["group"].as_str(),
            body["spec"]["names"]["plural"].as_str(),
        ) {
            self.wait(state, &format!("/apis/{group}/v1/{plural}"), |body| {
                body["items"].is_array()
            })
            .await?;
        }
        Ok(())
    }

    /// Runs a case.
    pub async fn case(&self, case: &Case) -> (Outcome, Vec<String>) {
        let n = SERIAL.fetch_add(1, Ordering::Relaxed);
        let mut bindings = self.shared.clone();
        for (name, end) in [("NS0", "a"), ("NS", "b"), ("NS2", "c")] {
            bindings.choose(name, format!("rec-{n}-{end}"));
        }
        bindings.choose("SITE", format!("site-{n}"));
        // As long as the recorder's: a few answers quote only the beginning of a body.
        bindings.choose("R", format!("r{n:05}"));
        bindings.choose("Rcap", format!("R{n:05}"));
        let mut state = State {
            bindings,
            ..State::default()
        };
        let mut first = None;
        let mut at = 0;
        while at < case.steps.len() {
            let (next, result) = self
                .step(&mut state, &case.steps, at, first.is_none())
                .await;
            if let Err(disagreement) = result
                && first.is_none()
            {
                first = Some(disagreement);
            }
            at = next;
        }
        let outcome = first.map_or(Outcome::Agrees, Outcome::Differs);
        (outcome, state.exchanges)
    }

    /// Does a step (or a watch with its steps, or a group of polled ones); says which comes next.
    async fn step(
        &self,
        state: &mut State,
        steps: &[Step],
        at: usize,
        judge: bool,
    ) -> (usize, Result<(), Box<Disagreement>>) {
        let step = &steps[at];
        if let Some(seconds) = step.sleep {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        if let Some(wait) = &step.wait_for {
            self.wait_for(state, wait).await;
        }
        let Some(request) = &step.request else {
            return (at + 1, Ok(()));
        };
        if step.polled() && judge {
            let end = steps[at..]
                .iter()
                .position(|s| !s.polled())
                .map_or(steps.len(), |n| at + n);
            return (end, self.poll(state, steps, at, end).await);
        }
        if let Some(events) = step.response.as_ref().and_then(|r| r.events.as_ref()) {
            return self.watch(state, steps, at, events, judge).await;
        }
        let quick = steps
            .get(at + 1)
            .is_some_and(|next| next.polled() || next.eventual());
        let Some(response) = &step.response else {
            if let Ok(answer) = self.ask(state, request).await {
                self.remember(state, request, &answer);
                if !quick || request.method == "DELETE" {
                    self.settle(state, request, &answer).await;
                }
            }
            return (at + 1, Ok(()));
        };
        let result = self
            .compared(state, step, at, request, response, (judge, quick))
            .await;
        (at + 1, result)
    }

    /// Asks until the answer agrees or patience ends.
    async fn compared(
        &self,
        state: &mut State,
        step: &Step,
        at: usize,
        request: &Request,
        response: &Response,
        (judge, quick): (bool, bool),
    ) -> Result<(), Box<Disagreement>> {
        let body = response.body.clone().unwrap_or_default();
        let message = body["message"].as_str().unwrap_or_default();
        if message.contains("in the precondition") {
            // The recorder asked with a uid or version of another object.
            let text = format!(
                "{} {}",
                request.path,
                request.body.clone().unwrap_or_default()
            );
            let open = state.bindings.open(&text).into_iter();
            for key in open.filter(|key| key.starts_with("uid:") || key.starts_with("rv:")) {
                let value = if key.starts_with("uid") {
                    fresh_uid()
                } else {
                    "1".to_owned()
                };
                state.bindings.bind(&key, value);
            }
        }
        if let Some((_, rest)) = message.split_once("UID in precondition: <")
            && let Some((stranger, _)) = rest.split_once('>')
            && state.bindings.value(stranger).is_none()
        {
            state.bindings.bind(stranger, fresh_uid());
        }
        if message.starts_with("invalid continue token") {
            // The recorder sent a token of its own making, of which the recording keeps only the place.
            state.bindings.bind("continue", "nope");
        }
        let eventual = step.eventual() || self.recording.kind == Kind::Kcp;
        let patience = if judge && eventual {
            self.options.patience
        } else {
            Duration::ZERO
        };
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let answer = match self.ask(state, request).await {
                Ok(answer) => answer,
                Err(problem) => return Err(self.broken(state, step, at, request, &problem)),
            };
            let mut bindings = state.bindings.clone();
            let verdict = self.judge(&mut bindings, step, request, response, &answer);
            let again = verdict.is_err() && tokio::time::Instant::now() < deadline;
            let refused = answer.status >= 400 && response.status < 300;
            if again && (request.method == "GET" || refused) {
                tokio::time::sleep(self.options.tick).await;
                continue;
            }
            self.remember(state, request, &answer);
            let settles = request.method != "GET" && answer.status < 300;
            return match verdict {
                Ok(()) => {
                    state.bindings = bindings;
                    if settles && !quick {
                        self.settle(state, request, &answer).await;
                    }
                    Ok(())
                }
                Err(difference) => {
                    Err(self.disagreement(state, step, at, request, difference, &answer))
                }
            };
        }
    }

    /// A group of polled answers: all paths are asked in turn until each gave its last answer.
    async fn poll(
        &self,
        state: &mut State,
        steps: &[Step],
        from: usize,
        to: usize,
    ) -> Result<(), Box<Disagreement>> {
        let mut paths: Vec<(&str, Vec<usize>, usize)> = Vec::new();
        for (n, step) in steps.iter().enumerate().take(to).skip(from) {
            let path = step.request.as_ref().map_or("", |r| r.path.as_str());
            match paths.iter_mut().find(|(p, ..)| *p == path) {
                Some((_, answers, _)) => answers.push(n),
                None => paths.push((path, vec![n], 0)),
            }
        }
        let deadline = tokio::time::Instant::now() + self.options.patience;
        loop {
            let mut waiting = None;
            for (_, answers, reached) in &mut paths {
                if *reached + 1 == answers.len() && *reached > 0 {
                    continue;
                }
                let mut last = None;
                let mut matched = false;
                for (k, &n) in answers.iter().enumerate().skip(*reached) {
                    let (Some(request), Some(response)) = (&steps[n].request, &steps[n].response)
                    else {
                        continue;
                    };
                    let answer = match self.ask(state, request).await {
                        Ok(answer) => answer,
                        Err(problem) => {
                            return Err(self.broken(state, &steps[n], n, request, &problem));
                        }
                    };
                    let mut bindings = state.bindings.clone();
                    match self.judge(&mut bindings, &steps[n], request, response, &answer) {
                        Ok(()) => {
                            state.bindings = bindings;
                            *reached = k;
                            matched = true;
                            break;
                        }
                        Err(difference) => {
                            last =
                                Some(self.disagreement(
                                    state, &steps[n], n, request, difference, &answer,
                                ));
                        }
                    }
                }
                if !matched || *reached + 1 < answers.len() {
                    waiting = Some(last.unwrap_or_else(|| {
                        let n = answers[*reached + 1];
                        let request = steps[n].request.clone().unwrap_or_default();
                        self.broken(state, &steps[n], n, &request, "the answer did not come")
                    }));
                }
            }
            match waiting {
                None => return Ok(()),
                Some(disagreement) if tokio::time::Instant::now() >= deadline => {
                    return Err(disagreement);
                }
                Some(_) => tokio::time::sleep(self.options.tick).await,
            }
        }
    }

    /// Opens a watch, does the steps during it, and compares its events.
    async fn watch(
        &self,
        state: &mut State,
        steps: &[Step],
        at: usize,
        recorded: &[Value],
        judge: bool,
    ) -> (usize, Result<(), Box<Disagreement>>) {
        let step = &steps[at];
        let (Some(request), Some(response)) = (&step.request, &step.response) else {
            return (at + 1, Ok(()));
        };
        let mut watching = match self.open(state, request).await {
            Ok(watching) => watching,
            Err(problem) => return (at + 1, Err(self.broken(state, step, at, request, &problem))),
        };
        let mut result = Ok(());
        let mut next = at + 1;
        if let Some(last) = last_during(steps, at) {
            // Whatever the watch begins with comes before what is done meanwhile.
            tokio::time::sleep(self.options.tick * 5).await;
            while next <= last {
                let (after, done) =
                    Box::pin(self.step(state, steps, next, judge && result.is_ok())).await;
                if result.is_ok() {
                    result = done;
                }
                next = after;
            }
        }
        let verdict = self
            .events(
                state,
                &mut watching,
                request,
                step,
                response,
                recorded,
                judge,
            )
            .await;
        watching.reader.abort();
        if let Err(difference) = verdict
            && result.is_ok()
        {
            result = Err(self.disagreement(state, step, at, request, difference, &watching.answer));
        }
        (next, result)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one comparison")]
    async fn events(
        &self,
        state: &mut State,
        watching: &mut Watching,
        request: &Request,
        step: &Step,
        response: &Response,
        recorded: &[Value],
        judge: bool,
    ) -> Result<(), Difference> {
        if !judge {
            return Ok(());
        }
        let status = (
            Value::from(response.status),
            Value::from(watching.answer.status),
        );
        compare("status", &status.0, &status.1, &mut state.bindings)?;
        let plain = recorded
            .iter()
            .any(|e| e["type"] == "BOOKMARK" && !initial_end(e));
        let mut events = Vec::new();
        let mut ended = false;
        let ends = response.ended == Some(true);
        loop {
            let complete = events.len() >= recorded.len();
            let wait = match (complete, ends) {
                (true, false) => self.options.quiet,
                (true, true) => self.options.patience.max(Duration::from_secs(10)),
                (false, _) => self.options.patience,
            };
            match tokio::time::timeout(wait, watching.events.recv()).await {
                Ok(Some(Ok(event))) => {
                    if event["type"] == "BOOKMARK" && !initial_end(&event) && !plain {
                        continue;
                    }
                    events.push(event);
                }
                Ok(Some(Err(_)) | None) => {
                    ended = true;
                    break;
                }
                Err(_) => break,
            }
        }
        let events: Value = events
            .into_iter()
            .map(|mut event| {
                let object = event["object"].take();
                let like = recorded.first().cloned().unwrap_or_default();
                event["object"] = project(
                    self.recording.kind,
                    request,
                    step.trimmed.as_deref().or(step.note.as_deref()),
                    &like,
                    object,
                );
                event
            })
            .collect();
        compare(
            "events",
            &Value::from(recorded.to_vec()),
            &events,
            &mut state.bindings,
        )?;
        let ends = Value::from(ends);
        compare("ended", &ends, &Value::from(ended), &mut state.bindings)
    }

    /// Compares an answer with the recorded one.
    fn judge(
        &self,
        bindings: &mut Bindings,
        step: &Step,
        request: &Request,
        response: &Response,
        answer: &Answer,
    ) -> Result<(), Difference> {
        compare(
            "status",
            &Value::from(response.status),
            &Value::from(answer.status),
            bindings,
        )?;
        for name in ["warning", "retry-after", "location"] {
            let recorded = response.headers.get(name).cloned().unwrap_or(Value::Null);
            let actual = match answer.headers.get(name).map(Vec::as_slice) {
                None | Some([]) => Value::Null,
                Some([one]) => Value::from(one.as_str()),
                Some(many) => Value::from(many.to_vec()),
            };
            compare(&format!("headers.{name}"), &recorded, &actual, bindings)?;
        }
        let content_type = answer
            .headers
            .get("content-type")
            .and_then(|v| v.first())
            .cloned()
            .unwrap_or_default();
        let wanted = response
            .headers
            .get("content-type")
            .cloned()
            .unwrap_or_else(|| Value::from("application/json"));
        if !request.path.contains("watch=") {
            // The recorder kept no headers of watches, also of those that failed.
            compare(
                "headers.content-type",
                &wanted,
                &Value::from(content_type),
                bindings,
            )?;
        }
        let recorded = named(bindings, &response.body.clone().unwrap_or_default());
        let yaml = wanted == "application/yaml";
        let recorded = match recorded.as_str().filter(|_| yaml) {
            Some(text) => serde_yaml::from_str(text).unwrap_or(recorded),
            None => recorded,
        };
        let mut actual = match &recorded {
            _ if yaml => serde_yaml::from_str(&answer.text)
                .unwrap_or_else(|_| Value::from(answer.text.as_str())),
            Value::String(_) => Value::from(answer.text.as_str()),
            _ => serde_json::from_str(&answer.text)
                .unwrap_or_else(|_| Value::from(answer.text.as_str())),
        };
        let mut recorded = ordered(step.trimmed.as_deref(), named(bindings, &recorded));
        actual = project(
            self.recording.kind,
            request,
            step.trimmed.as_deref(),
            &recorded,
            actual,
        );
        if step.causes_sorted {
            for side in [&mut recorded, &mut actual] {
                sort_causes(side);
                sort_message(side);
            }
        }
        compare("body", &recorded, &actual, bindings)
    }

    async fn ask(&self, state: &mut State, request: &Request) -> Result<Answer, String> {
        let (answer, mut frames) = self.send(state, request).await?;
        let mut bytes = Vec::new();
        while let Some(frame) = frames.next().await {
            bytes.extend_from_slice(&frame?);
        }
        let said = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        if let Some(time) = said["metadata"]["deletionTimestamp"].as_str() {
            state.bindings.bind("deletionTimestamp", time);
        }
        if request.method != "GET" {
            // The recorder was a client over a network: controllers had a moment before its next request.
            tokio::time::sleep(match self.recording.kind {
                Kind::Kubernetes => self.options.pace,
                Kind::Kcp => self.options.tick / 2,
            })
            .await;
        }
        let answer = Answer {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            ..answer
        };
        if self.options.full {
            state.exchanges.push(format!(
                "{} {} {}\n  {} {}",
                request.method,
                state.bindings.fill(&request.path),
                request
                    .body
                    .as_ref()
                    .map(|b| state.bindings.fill_value(b).to_string())
                    .unwrap_or_default(),
                answer.status,
                answer.text.trim_end(),
            ));
        }
        Ok(answer)
    }

    async fn open(&self, state: &mut State, request: &Request) -> Result<Watching, String> {
        let (answer, mut frames) = self.send(state, request).await?;
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            let mut buffer = Vec::new();
            while let Some(frame) = frames.next().await {
                let Ok(frame) = frame else { break };
                buffer.extend_from_slice(&frame);
                while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = buffer.drain(..=end).collect();
                    let event = serde_json::from_slice(&line).map_err(|e| e.to_string());
                    if sender.send(event).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Watching {
            answer,
            events,
            reader,
        })
    }

    async fn send(
        &self,
        state: &mut State,
        request: &Request,
    ) -> Result<(Answer, super::Frames), String> {
        self.resolve(state, request).await?;
        let bindings = &state.bindings;
        let role = request.role.as_deref().unwrap_or("admin");
        let path = self.escape(bindings, &request.path);
        let mut sent = http::Request::builder()
            .method(request.method.as_str())
            .uri(path);
        let mut headers: BTreeMap<String, String> =
            [("user-agent".to_owned(), "probe".to_owned())].into();
        headers.insert(
            "accept".into(),
            request
                .accept
                .clone()
                .unwrap_or_else(|| "application/json".into()),
        );
        if let Some(token) = self.token(state, role) {
            headers.insert("authorization".into(), format!("Bearer {token}"));
        }
        let body = match &request.body {
            None => Vec::new(),
            Some(body) => {
                let kind = request
                    .content_type
                    .clone()
                    .unwrap_or_else(|| "application/json".into());
                headers.insert("content-type".into(), kind);
                match bindings.fill_value(body) {
                    Value::String(text) => text.into_bytes(),
                    body => spaced(&expanded(body)),
                }
            }
        };
        for (name, value) in &request.headers {
            headers.insert(name.to_lowercase(), bindings.fill(value));
        }
        for (name, value) in &headers {
            sent = sent.header(name, value);
        }
        let sent = sent.body(body).map_err(|e| e.to_string())?;
        let response = self.door.send(sent).await?;
        let mut headers = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in response.headers() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers
                .entry(name.as_str().to_owned())
                .or_default()
                .push(value);
        }
        let answer = Answer {
            status: response.status().as_u16(),
            headers,
            text: String::new(),
        };
        Ok((answer, response.into_body()))
    }

    fn token(&self, state: &State, role: &str) -> Option<String> {
        match role {
            "anonymous" => None,
            "bad-token" => Some("bad-token".into()),
            role if role.starts_with("serviceaccount") => {
                state.bindings.value("token:1").map(str::to_owned)
            }
            role => self.door.token(role),
        }
    }

    /// The path as it goes over the wire; what is filled into a query is escaped.
    fn escape(&self, bindings: &Bindings, path: &str) -> String {
        match path.split_once('?') {
            None => bindings.fill(path),
            Some((path, query)) => {
                let query = bindings
                    .fill(query)
                    .replace('+', "%2B")
                    .replace(' ', "%20")
                    .replace('"', "%22");
                format!("{}?{query}", bindings.fill(path))
            }
        }
    }

    /// Binds what a request speaks of and no compared answer has shown yet.
    async fn resolve(&self, state: &mut State, request: &Request) -> Result<(), String> {
        let text = format!(
            "{} {}",
            request.path,
            request.body.clone().unwrap_or_default()
        );
        let mut open = state.bindings.open(&text);
        open.sort();
        if open.is_empty() {
            return Ok(());
        }
        // The object's own uid goes before those of its owners.
        let own = request
            .body
            .as_ref()
            .and_then(|body| body.pointer("/metadata/uid")?.as_str());
        open.sort_by_key(|key| own != Some(&format!("<{key}>")));
        for key in &open {
            if key.starts_with("cluster:") {
                let cluster = self.cluster_of_last(state).await?;
                state.bindings.bind(key, cluster);
            }
        }
        let path = state
            .bindings
            .fill(request.path.split('?').next().unwrap_or_default());
        let object = path.trim_end_matches("/status").to_owned();
        let now = if self.recording.kind == Kind::Kcp
            && matches!(request.method.as_str(), "PUT" | "PATCH" | "DELETE")
        {
            self.settled(state, &object).await
        } else {
            None
        };
        for key in &open {
            let kind = key.split(':').next().unwrap_or_default();
            let value = match kind {
                "uid" | "rv" => Some(self.open_value(state, kind, &object, now.as_ref())),
                "hash" => now
                    .as_ref()
                    .and_then(|o| Some(o["status"]["identityHash"].as_str()?.to_owned())),
                "time" => Some("2026-01-01T00:00:00Z".into()),
                "generation" => Some("1".into()),
                _ => None,
            };
            if let Some(value) = value
                && state.bindings.value(key).is_none()
            {
                state.bindings.bind(key, value);
            }
        }
        Ok(())
    }

    /// A uid or version for an open placeholder: the object's own where it is free, else that of an object made before,
    /// else one that nothing has.
    fn open_value(&self, state: &State, kind: &str, object: &str, now: Option<&Value>) -> String {
        let field = if kind == "uid" {
            "uid"
        } else {
            "resourceVersion"
        };
        let free = |value: &String| !state.bindings.taken(kind, value);
        if let Some(value) = now
            .and_then(|o| o["metadata"][field].as_str())
            .map(str::to_owned)
            .filter(free)
        {
            return value;
        }
        let value = |(_, uid, rv): &(String, Option<String>, Option<String>)| {
            if kind == "uid" {
                uid.clone()
            } else {
                rv.clone()
            }
        };
        let own = state
            .seen
            .iter()
            .rev()
            .filter(|s| s.0 == object)
            .find_map(value);
        if let Some(own) = own {
            if free(&own) {
                return own;
            }
        } else if let Some(other) = state.seen.iter().filter_map(value).find(free) {
            return other;
        }
        if kind == "uid" {
            fresh_uid()
        } else {
            "1".into()
        }
    }

    /// Keeps the uid and version of what a write brought.
    fn remember(&self, state: &mut State, request: &Request, answer: &Answer) {
        if answer.status >= 300 {
            return;
        }
        let Ok(body) = serde_json::from_str::<Value>(&answer.text) else {
            return;
        };
        let mut path = state
            .bindings
            .fill(request.path.split('?').next().unwrap_or_default());
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        if request.method == "POST" {
            path = format!("{path}/{name}");
        }
        if path.contains("/workspaces/") && request.method == "POST" {
            self.remember_workspace(state, &path);
        }
        if body["kind"] == "Namespace" || body["kind"] == "CustomResourceDefinition" {
            return;
        }
        let field = |name: &str| body["metadata"][name].as_str().map(str::to_owned);
        state
            .seen
            .push((path, field("uid"), field("resourceVersion")));
    }

    /// The logical cluster of the workspace made last that has no placeholder yet.
    async fn cluster_of_last(&self, state: &mut State) -> Result<String, String> {
        for (path, known) in state.workspaces.clone() {
            let cluster = match known {
                Some(cluster) => cluster,
                None => {
                    let ready = self
                        .wait(state, &path, |body| body["status"]["phase"] == "Ready")
                        .await?;
                    ready["spec"]["cluster"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned()
                }
            };
            if !state.bindings.taken("cluster", &cluster) {
                return Ok(cluster);
            }
        }
        Err("no workspace was made whose logical cluster could be meant".into())
    }

    /// The object as it is once the server is done with it.
    async fn settled(&self, state: &mut State, path: &str) -> Option<Value> {
        let body = self.wait(state, path, ready).await.ok()?;
        Some(body)
    }

    /// Waits until a write took effect.
    async fn settle(&self, state: &mut State, request: &Request, answer: &Answer) {
        if answer.status >= 300 {
            return;
        }
        let path = request
            .path
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let eventual = [
            "/apiexports",
            "/apibindings",
            "/workspaces",
            "/customresourcedefinitions",
        ];
        match request.method.as_str() {
            "POST"
                if self.recording.kind == Kind::Kcp
                    && eventual[..3].iter().any(|e| path.ends_with(e)) =>
            {
                let name = request.body.as_ref().map(|b| {
                    b["metadata"]["name"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned()
                });
                let path = state
                    .bindings
                    .fill(&format!("{path}/{}", name.unwrap_or_default()));
                self.remember_workspace(state, &path);
                let done = self.wait(state, &path, ready).await;
                let cluster = done
                    .ok()
                    .and_then(|w| Some(w["spec"]["cluster"].as_str()?.to_owned()));
                if let Some(entry) = state.workspaces.iter_mut().find(|(p, _)| *p == path) {
                    entry.1 = cluster;
                }
            }
            "DELETE" if eventual.iter().any(|e| path.contains(&format!("{e}/"))) => {
                let gone = Request {
                    method: "GET".into(),
                    path,
                    ..Request::default()
                };
                let deadline = tokio::time::Instant::now() + self.options.patience;
                while let Ok(answer) = self.ask(state, &gone).await {
                    if answer.status != 200 || tokio::time::Instant::now() >= deadline {
                        break;
                    }
                    tokio::time::sleep(self.options.tick).await;
                }
            }
            _ => {}
        }
    }

    fn remember_workspace(&self, state: &mut State, path: &str) {
        if path.contains("/workspaces/") && !state.workspaces.iter().any(|(p, _)| p == path) {
            state.workspaces.push((path.to_owned(), None));
        }
    }

    async fn wait_for(&self, state: &mut State, wait: &super::recording::WaitFor) {
        let request = Request {
            method: "GET".into(),
            path: wait.path.clone(),
            ..Request::default()
        };
        let deadline = tokio::time::Instant::now() + self.options.patience;
        loop {
            if let Ok(answer) = self.ask(state, &request).await {
                let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
                if answer.status == wait.status
                    && until(wait.until.as_deref(), &body, &state.bindings)
                {
                    return;
                }
            }
            if tokio::time::Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep(self.options.tick).await;
        }
    }

    async fn wait(
        &self,
        state: &mut State,
        path: &str,
        done: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let request = Request {
            method: "GET".into(),
            path: path.to_owned(),
            ..Request::default()
        };
        let deadline =
            tokio::time::Instant::now() + self.options.patience.max(Duration::from_secs(5));
        loop {
            let answer = self.ask(state, &request).boxed_local().await?;
            let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            if answer.status == 200 && done(&body) {
                return Ok(body);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!(
                    "waited for {path} in vain: {} {}",
                    answer.status, answer.text
                ));
            }
            tokio::time::sleep(self.options.tick).await;
        }
    }

    fn broken(
        &self,
        state: &State,
        step: &Step,
        at: usize,
        request: &Request,
        problem: &str,
    ) -> Box<Disagreement> {
        let difference = Difference {
            at: "the request".into(),
            recorded: None,
            actual: Some(Value::from(problem)),
        };
        let answer = Answer {
            status: 0,
            headers: BTreeMap::new(),
            text: String::new(),
        };
        self.disagreement(state, step, at, request, difference, &answer)
    }

    fn disagreement(
        &self,
        state: &State,
        step: &Step,
        at: usize,
        request: &Request,
        mut difference: Difference,
        answer: &Answer,
    ) -> Box<Disagreement> {
        difference.recorded = difference
            .recorded
            .map(|value| state.bindings.fill_value(&value));
        let failed = serde_json::from_str::<Value>(&answer.text).ok();
        Box::new(Disagreement {
            step: at,
            request: format!("{} {}", request.method, state.bindings.fill(&request.path)),
            note: step.note.clone(),
            difference,
            message: failed.and_then(|f| Some(f.get("message")?.as_str()?.to_owned())),
        })
    }
}

/// The step that ends what is done during a watch, if it has one.
fn last_during(steps: &[Step], at: usize) -> Option<usize> {
    for (n, step) in steps.iter().enumerate().skip(at + 1) {
        if step.after_watch {
            return Some(n);
        }
        if step.response.as_ref().is_some_and(|r| r.events.is_some()) {
            return None;
        }
    }
    None
}

/// A uid that nothing has.
fn fresh_uid() -> String {
    format!(
        "00000000-0000-4000-8000-{:012}",
        SERIAL.fetch_add(1, Ordering::Relaxed)
    )
}

/// Whether an export, binding or workspace is done.
fn ready(body: &Value) -> bool {
    let status = &body["status"];
    match body["kind"].as_str() {
        Some("APIExport") => status["conditions"].is_array(),
        Some("APIBinding") => {
            status["phase"] == "Bound"
                || status["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|c| c["severity"] == "Error")
        }
        Some("Workspace") => status["phase"] == "Ready",
        _ => true,
    }
}

fn initial_end(event: &Value) -> bool {
    event
        .pointer("/object/metadata/annotations/k8s.io~1initial-events-end")
        .is_some()
}

/// The chosen names filled in, the holes left.
fn named(bindings: &Bindings, value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(bindings.named(text)),
        Value::Array(items) => items.iter().map(|i| named(bindings, i)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (bindings.named(k), named(bindings, v)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A body whose long texts were recorded in short: `{"$repeat": ["y", 3]}` is `yyy`.
fn expanded(value: Value) -> Value {
    match value {
        Value::Object(members) => match members
            .get("$repeat")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([Value::String(text), times]) => {
                let times = times.as_u64().and_then(|times| usize::try_from(times).ok());
                Value::String(text.repeat(times.unwrap_or_default()))
            }
            Some([item, times]) => {
                let times = times.as_u64().and_then(|times| usize::try_from(times).ok());
                Value::Array(vec![item.clone(); times.unwrap_or_default()])
            }
            _ => members
                .into_iter()
                .map(|(name, member)| (name, expanded(member)))
                .collect(),
        },
        Value::Array(items) => items.into_iter().map(expanded).collect(),
        // Long annotations were recorded as `@repeat:y:262144`.
        Value::String(text) => match text
            .strip_prefix("@repeat:")
            .and_then(|t| t.split_once(':'))
        {
            Some((part, times)) => times.parse().map_or(Value::String(text.clone()), |times| {
                part.repeat(times).into()
            }),
            None => Value::String(text),
        },
        other => other,
    }
}

/// JSON with a blank after each comma and colon, as the recorder sent it: some errors quote the body.
fn spaced(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    serde::Serialize::serialize(value, &mut writer).expect("a value is JSON");
    bytes
}

struct Spaced;

/// What stands between two members.
fn separate(writer: &mut (impl ?Sized + std::io::Write), first: bool) -> std::io::Result<()> {
    if first {
        Ok(())
    } else {
        writer.write_all(b", ")
    }
}

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The states that recordings wait for in words.
fn until(words: Option<&str>, body: &Value, bindings: &Bindings) -> bool {
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    match words {
        Some("status.conditions has two entries") => count(&body["status"]["conditions"]) == 2,
        Some("condition Terminating has reason InstanceDeletionInProgress") => {
            let conditions = body["status"]["conditions"].as_array();
            conditions
                .into_iter()
                .flatten()
                .any(|c| c["reason"] == "InstanceDeletionInProgress")
        }
        Some("6 versions") => count(&body["versions"]) == 6,
        Some("2 versions") => count(&body["versions"]) == 2,
        Some("4 resources") => count(&body["resources"]) == 4,
        Some("the group is listed") => {
            let group = bindings.fill("${R}.recb.example.com");
            body["groups"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|g| g["name"] == group.as_str())
        }
        _ => true,
    }
}
