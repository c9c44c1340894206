//! `tests/it` with each combination of servers, and how many cases each ran, skipped and failed.
//!
//! A case that shows nothing with these servers says so on a line of its own, `skipped: NAME: WHY`; the test runner counts
//! it as passed, here it is counted as what it is. So is a combination for which a server is missing.
//!
//! A kcp that is started here is a fresh one for every [`FOR_ONE_KCP`] cases: with some three hundred workspaces kcp 0.32.3
//! has two processors to itself (three quarters of that time for OpenAPI documents), and cases wait for minutes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use syncagent_real::{Cluster, Error, Kcp};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

/// How many cases at a time; with a real server they mostly wait.
const AT_A_TIME: &str = "6";

/// How many cases a kcp that is started here is asked for.
const FOR_ONE_KCP: usize = 40;

/// Which combinations.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only with this kind of server on the workspace side
    #[arg(long, value_name = "KIND")]
    workspace: Option<Kind>,
    /// Only with this kind of server on the service side
    #[arg(long, value_name = "KIND")]
    service: Option<Kind>,
    /// A real kcp that runs already: a kubeconfig that points at a workspace in which workspaces may be made
    #[arg(long, value_name = "FILE")]
    kcp_kubeconfig: Option<PathBuf>,
    /// A real service cluster that runs already: its administrator's kubeconfig
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How many cases at a time
    #[arg(long, default_value = AT_A_TIME)]
    threads: usize,
    /// Only cases whose names contain this
    filter: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Embedded,
    Real,
}

const KINDS: [Kind; 2] = [Kind::Embedded, Kind::Real];

/// What tells the cases of their servers.
type Environment = Vec<(&'static str, PathBuf)>;

/// What came of a combination.
struct Row {
    workspace: String,
    service: String,
    counted: Result<Counted, String>,
}

#[derive(Default)]
struct Counted {
    passed: usize,
    skipped: BTreeSet<String>,
    failed: usize,
    /// Whether the test runner of any part ended badly.
    went_wrong: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Error> {
    let mut rows = Vec::new();
    for workspace in KINDS {
        for service in KINDS {
            let wanted = |asked: Option<Kind>, kind| asked.is_none_or(|asked| asked == kind);
            if wanted(args.workspace, workspace) && wanted(args.service, service) {
                rows.push(combination(&args, workspace, service).await?);
            }
        }
    }
    let date = jiff::Zoned::now().date();
    println!("\n| workspace side | service side | date | passed | skipped | failed |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let (mut passed, mut skipped, mut failed, mut wrong) = (0, 0, 0, false);
    for row in &rows {
        let numbers = match &row.counted {
            Ok(counted) => {
                let now = (counted.passed, counted.skipped.len(), counted.failed);
                passed += now.0;
                skipped += now.1;
                failed += now.2;
                wrong |= counted.went_wrong;
                format!("{date} | {} | {} | {}", now.0, now.1, now.2)
            }
            Err(_) => {
                skipped += 1;
                "never run | | | ".to_owned()
            }
        };
        println!("| {} | {} | {numbers} |", row.workspace, row.service);
    }
    for row in &rows {
        if let Err(why) = &row.counted {
            println!("skipped: {} with {}: {why}", row.workspace, row.service);
        }
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    Ok(if !wrong && failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn combination(args: &Args, workspace: Kind, service: Kind) -> Result<Row, Error> {
    let mut row = Row {
        workspace: side(workspace, "kcp"),
        service: side(service, "service cluster"),
        counted: Ok(Counted::default()),
    };
    let mut environment: Environment = Vec::new();
    let mut executable = None;
    match (workspace, &args.kcp_kubeconfig) {
        (Kind::Embedded, _) => {}
        (Kind::Real, Some(given)) => {
            environment.push(("SYNCAGENT_TEST_KCP_KUBECONFIG", given.clone()));
        }
        (Kind::Real, None) => match Kcp::executable() {
            Ok(found) => executable = Some(found),
            Err(missing) => {
                row.counted = Err(missing.to_string());
                return Ok(row);
            }
        },
    }
    // Held until the cases are through.
    let mut cluster = None;
    match (service, &args.kubeconfig) {
        (Kind::Embedded, _) => {}
        (Kind::Real, Some(given)) => environment.push(("SYNCAGENT_TEST_KUBECONFIG", given.clone())),
        (Kind::Real, None) => match super::build() {
            Ok(programs) => {
                eprintln!("starting a service cluster");
                let started = cluster.insert(Cluster::start(&programs).await?);
                row.service = format!("kube-apiserver {}", started.version());
                environment.push(("SYNCAGENT_TEST_KUBECONFIG", started.kubeconfig()));
                environment.push(("SYNCAGENT_TEST_AUDIT", started.audit()));
            }
            Err(missing @ Error::Missing(_)) => {
                row.counted = Err(missing.to_string());
                return Ok(row);
            }
            Err(other) => return Err(other),
        },
    }
    row.counted = Ok(match executable {
        Some(executable) => in_parts(args, &executable, &environment, &mut row).await?,
        None => {
            eprintln!("\n== tests/it: {} with {}", row.workspace, row.service);
            cases(args, &environment, &args.filter).await?
        }
    });
    drop(cluster);
    Ok(row)
}

/// Runs the cases with one fresh kcp after the other.
async fn in_parts(
    args: &Args,
    executable: &Path,
    environment: &Environment,
    row: &mut Row,
) -> Result<Counted, Error> {
    let names = names(args).await?;
    let parts = names.chunks(FOR_ONE_KCP);
    let of = parts.len();
    let mut counted = Counted::default();
    for (n, part) in parts.enumerate() {
        eprintln!("starting {}", executable.display());
        let kcp = Kcp::start(executable).await?;
        row.workspace = format!("kcp {}", kcp.version());
        let mut environment = environment.clone();
        environment.push(("SYNCAGENT_TEST_KCP_KUBECONFIG", kcp.kubeconfig()));
        environment.push(("SYNCAGENT_TEST_KCP_AUDIT", kcp.audit()));
        environment.push(("SYNCAGENT_TEST_KCP_USERS", kcp.users()));
        eprintln!(
            "\n== tests/it: {} with {}, part {} of {of}",
            row.workspace,
            row.service,
            n + 1
        );
        let exactly = ["--exact".to_owned()];
        let which: Vec<String> = exactly.iter().chain(part).cloned().collect();
        counted.add(cases(args, &environment, &which).await?);
    }
    Ok(counted)
}

fn side(kind: Kind, what: &str) -> String {
    match kind {
        Kind::Embedded => format!("embedded {what}"),
        Kind::Real => format!("real {what}"),
    }
}

/// The test runner of the cases, with these words for it.
fn runner(words: &[String]) -> Command {
    let mut command = super::stranger("cargo");
    // As everything else is built with every feature, so that nothing is built twice.
    command.args([
        "test",
        "-p",
        "syncagent",
        "--all-features",
        "--test",
        "it",
        "--",
    ]);
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn cargo_did(what: &str) -> impl FnOnce(std::io::Error) -> Error {
    |source| Error::System {
        what: what.to_owned(),
        source,
    }
}

/// The names of the cases that are wanted.
async fn names(args: &Args) -> Result<Vec<String>, Error> {
    let words = [&["--list".to_owned()], args.filter.as_slice()].concat();
    let listed = runner(&words)
        .stderr(Stdio::inherit())
        .output()
        .await
        .map_err(cargo_did("start cargo"))?;
    if !listed.status.success() {
        return Err(Error::Build {
            program: "tests/it".to_owned(),
            status: listed.status.to_string(),
        });
    }
    let text = String::from_utf8_lossy(&listed.stdout);
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

/// Runs the cases that these words of the test runner choose, shows what they say, and counts.
async fn cases(args: &Args, environment: &Environment, which: &[String]) -> Result<Counted, Error> {
    let mut command = runner(which);
    if !environment.is_empty() {
        command.arg(format!("--test-threads={}", args.threads));
    }
    let mut child = command
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cargo_did("start cargo"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = tokio::join!(lines(out), lines(err));
    let status = child.wait().await.map_err(cargo_did("wait for cargo"))?;
    let mut counted = Counted {
        went_wrong: !status.success(),
        ..Counted::default()
    };
    for line in out.iter().chain(&err) {
        counted.hear(line);
    }
    counted.passed = counted.passed.saturating_sub(counted.skipped.len());
    Ok(counted)
}

impl Counted {
    /// Takes what another part came to.
    fn add(&mut self, part: Self) {
        self.passed += part.passed;
        self.failed += part.failed;
        self.skipped.extend(part.skipped);
        self.went_wrong |= part.went_wrong;
    }

    /// Takes what a line of the test runner or of a case says.
    fn hear(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("skipped: ") {
            let name = rest.split(": ").next().unwrap_or_default();
            self.skipped.insert(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<&str> = result
            .split([' ', ';'])
            .filter(|it| !it.is_empty())
            .collect();
        for pair in words.windows(2) {
            let count: usize = pair[0].parse().unwrap_or_default();
            match pair[1] {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                _ => {}
            }
        }
    }
}

/// Shows the lines of a stream while they come, and keeps them.
async fn lines(stream: Option<impl AsyncRead + Unpin>) -> Vec<String> {
    let mut kept = Vec::new();
    let Some(stream) = stream else { return kept };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{line}");
        kept.push(line);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_is_not_passed() {
        let mut counted = Counted::default();
        for line in [
            "skipped: outages::a: only an embedded kcp can be taken away",
            "skipped: outages::a: once more",
            "skipped: outages::b: likewise",
            "test result: FAILED. 58 passed; 1 failed; 0 ignored; 0 measured; 46 filtered out; finished in 1.00s",
        ] {
            counted.hear(line);
        }
        assert_eq!(
            (counted.passed, counted.skipped.len(), counted.failed),
            (58, 2, 1)
        );
        counted.went_wrong = true;
        let mut all = Counted::default();
        all.add(counted);
        all.add(Counted::default());
        assert!(all.went_wrong, "one part that failed is a failure");
        assert_eq!((all.passed, all.skipped.len(), all.failed), (58, 2, 1));
    }
}
