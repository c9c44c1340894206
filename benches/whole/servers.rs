//! The two servers of a cell: embedded ones in a child process, or those that are given.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use syncagent_core::io::clients::Server;

use crate::args::Args;
use crate::process;

/// What the bench calls itself, so that its own requests are not counted.
pub(crate) const BENCH: &str = "syncagent-bench";

/// Requests by server, verb and resource.
pub(crate) type Counts = BTreeMap<String, usize>;

/// Both servers.
pub(crate) struct Servers {
    kcp: Value,
    service: Value,
    /// Whether they were given, and live on.
    pub(crate) given: Given,
    embedded: Option<Embedded>,
    /// The audit logs of those that were given, and how far they were read.
    logs: Vec<(&'static str, PathBuf, u64)>,
}

/// Which servers were given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) kcp: bool,
    pub(crate) service: bool,
}

struct Embedded {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Servers {
    /// Servers that nobody used yet: embedded ones where none are given.
    pub(crate) async fn fresh(args: &Args) -> Self {
        let given = Given {
            kcp: args.kcp_kubeconfig.is_some(),
            service: args.kubeconfig.is_some(),
        };
        let mut embedded = (!given.kcp || !given.service).then(Embedded::start);
        let said = embedded.as_mut().map_or(Value::Null, |it| {
            serde_json::from_str(&it.hear()).expect("the servers say where they are")
        });
        let config = |path: &Option<PathBuf>, side: &str| match path {
            Some(path) => read(path),
            None => parse(said[side].as_str().unwrap_or_default()),
        };
        let logs = [("kcp", &args.kcp_audit), ("service", &args.audit)];
        let logs = logs
            .into_iter()
            .filter_map(|(side, log)| Some((side, log.clone()?, 0)));
        let mut servers = Self {
            kcp: config(&args.kcp_kubeconfig, "kcp"),
            service: config(&args.kubeconfig, "service"),
            given,
            embedded,
            logs: logs.collect(),
        };
        servers.forget();
        servers
    }

    /// Whether the requests to both are counted.
    pub(crate) fn counts_requests(&self) -> bool {
        let logged = |side| self.logs.iter().any(|(of, ..)| *of == side);
        (!self.given.kcp || logged("kcp")) && (!self.given.service || logged("service"))
    }

    /// Whether neither of them was given.
    pub(crate) fn are_embedded(&self) -> bool {
        !self.given.kcp && !self.given.service
    }

    /// The time of the servers on the processors, where both are embedded.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let embedded = self.embedded.as_ref().filter(|_| self.are_embedded());
        embedded.map(|it| process::cpu(it.child.id()))
    }

    /// Forgets what was asked so far.
    pub(crate) fn forget(&mut self) {
        if let Some(embedded) = &mut self.embedded {
            embedded.ask("forget");
        }
        for (_, path, read) in &mut self.logs {
            *read = length(path);
        }
    }

    /// What was asked by others than the bench.
    pub(crate) fn counts(&mut self) -> Counts {
        let mut counts: Counts = match &mut self.embedded {
            Some(embedded) => serde_json::from_str(&embedded.ask("counts")).unwrap_or_default(),
            None => Counts::new(),
        };
        for (side, path, from) in &self.logs {
            for (told, _) in requests(side, path, *from) {
                *counts.entry(told).or_default() += 1;
            }
        }
        counts
    }

    /// How far the audit logs are.
    pub(crate) fn mark(&self) -> Vec<u64> {
        self.logs.iter().map(|(_, path, _)| length(path)).collect()
    }

    /// How long the servers took to answer such a request of others than the bench, since a mark; nothing where no audit
    /// log tells.
    pub(crate) fn took(&self, what: &str, since: &[u64]) -> Vec<Duration> {
        let logs = self.logs.iter().zip(since);
        logs.flat_map(|((side, path, _), from)| requests(side, path, *from))
            .filter(|(told, _)| told == what)
            .filter_map(|(_, took)| took)
            .collect()
    }

    /// The service cluster.
    pub(crate) async fn service(&self) -> Server {
        server(&self.service).await
    }

    /// A kcp at a path; an empty one is where the kubeconfig points.
    pub(crate) async fn kcp(&self, path: &str) -> Server {
        server(&at(&self.kcp, path)).await
    }

    /// Writes the kubeconfigs of an agent, whose provider is the workspace at a path.
    pub(crate) fn write(&self, home: &Path, provider: &str) {
        for (name, config) in [
            ("kcp", at(&self.kcp, provider)),
            ("service", self.service.clone()),
        ] {
            let path = home.join(format!("{name}.kubeconfig"));
            // JSON is YAML.
            std::fs::write(path, config.to_string()).expect("a file can be written");
        }
    }
}

impl Embedded {
    fn start() -> Self {
        let this = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(this)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let to = child.stdin.take().expect("it was piped");
        let from = BufReader::new(child.stdout.take().expect("it was piped"));
        Self { child, to, from }
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the servers speak");
        line
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.to, "{what}").expect("the servers listen");
        tokio::task::block_in_place(|| self.hear())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |it| it.len())
}

/// A request, as it is counted: `kcp patch things/status`.
pub(crate) fn told(side: &str, verb: &str, resource: &str, subresource: &str) -> String {
    match subresource {
        "" => format!("{side} {verb} {resource}"),
        part => format!("{side} {verb} {resource}/{part}"),
    }
}

/// What others than the bench asked for, by an audit log from a position on, and how long the server took to answer.
fn requests(side: &str, path: &Path, from: u64) -> Vec<(String, Option<Duration>)> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_string(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    let entries = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let request = |entry: Value| {
        let word = |at: &str| {
            entry
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let agent = word("/userAgent");
        // What the servers ask of each other is nobody's.
        let own = agent.starts_with("kcp/") || agent.starts_with("kube-");
        let answered = match word("/verb") {
            "watch" => "ResponseStarted",
            _ => "ResponseComplete",
        };
        let time = |at: &str| word(at).parse::<Timestamp>().ok();
        let took = time("/requestReceivedTimestamp").zip(time("/stageTimestamp"));
        let told = told(
            side,
            word("/verb"),
            word("/objectRef/resource"),
            word("/objectRef/subresource"),
        );
        (agent != BENCH && !own && word("/stage") == answered).then(|| {
            (
                told,
                took.map(|(from, to)| to.duration_since(from).unsigned_abs()),
            )
        })
    };
    entries.filter_map(request).collect()
}

/// A kubeconfig whose paths hold wherever it is written to.
fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("could not read {}: {error}", path.display()));
    let mut config = parse(&text);
    let home = path.parent().unwrap_or(path);
    for (list, entry, keys) in [
        ("clusters", "cluster", &["certificate-authority"][..]),
        (
            "users",
            "user",
            &["client-certificate", "client-key", "tokenFile"][..],
        ),
    ] {
        for one in config[list].as_array_mut().into_iter().flatten() {
            for key in keys {
                if let Some(file) = one[entry].get_mut(*key)
                    && let Some(name) = file.as_str()
                {
                    let there = std::path::absolute(home.join(name));
                    *file = json!(there.unwrap_or_else(|_| home.join(name)));
                }
            }
        }
    }
    config
}

fn parse(text: &str) -> Value {
    serde_yaml::from_str(text).expect("a kubeconfig is YAML")
}

/// The same kubeconfig with another path.
fn at(config: &Value, path: &str) -> Value {
    let mut config = config.clone();
    let current = config["current-context"].clone();
    let contexts = config["contexts"].as_array().into_iter().flatten();
    let context = contexts.into_iter().find(|it| it["name"] == current);
    let cluster = context
        .map(|it| it["context"]["cluster"].clone())
        .unwrap_or_default();
    for entry in config["clusters"].as_array_mut().into_iter().flatten() {
        let server = entry["cluster"]["server"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if entry["name"] == cluster
            && !path.is_empty()
            && let Ok(url) = server.parse::<http::Uri>()
        {
            let authority = url.authority().map(ToString::to_string).unwrap_or_default();
            let scheme = url.scheme_str().unwrap_or("https");
            entry["cluster"]["server"] = json!(format!("{scheme}://{authority}{path}"));
        }
    }
    config
}

async fn server(config: &Value) -> Server {
    let file = kube::config::Kubeconfig::from_yaml(&config.to_string()).expect("a kubeconfig");
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await;
    let mut config = config.expect("a kubeconfig that can be used");
    config.default_retry = false;
    Server::new(
        kube::Client::try_from(config).expect("a client"),
        "the bench's server",
        BENCH,
    )
}
