//! Mutants of the engine's source: each is a mistake that somebody could make, and names the test of the law that must fail.
//!
//! The laws are worth what their tests catch. `*.txt` beside this file list the mistakes, in a table that is meant to be
//! read; this program plants them and looks:
//!
//! 1. The repository is copied below the target directory, and every mistake is planted in the copy at once: the expression
//!    that is found becomes `if crate::mutant("name") { the mistake } else { what was there }`. So all of them cost one build.
//! 2. Without a mutant, every test that is named passes.
//! 3. With the mutant switched on (by an environment variable), each test that it names fails.
//!
//! A text that is found nowhere or twice, a mistake that does not compile, a test that does not exist, a law without a
//! mutant and a mutant that survives are errors. White space and commas before a bracket do not count in a text, and it does
//! not matter in which file it is: code may be formatted and moved.
//!
//! Mistakes against a rule about the source itself (`kind: text`) are not built: the text is replaced as it stands, and the
//! test reads the other copy of the sources.
//!
//! Run all: `.ci/mutants`. Some: `cargo test -p syncagent-core --test mutants -- pure` or `-- name-of-a-mutant`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a table for people"
)]

mod plant;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use table::{Kind, Mutant};

/// One table: which package's tests have to notice, and how they are built.
struct Suite {
    name: &'static str,
    table: &'static str,
    package: &'static str,
    build: &'static [&'static str],
}

/// How long a test may take.
const PATIENCE: Duration = Duration::from_secs(180);

const SUITES: &[Suite] = &[
    Suite {
        name: "pure",
        table: concat!(include_str!("pure.txt"), include_str!("go_agent.txt")),
        package: "syncagent-core",
        build: &[
            "-p",
            "syncagent-core",
            "--no-default-features",
            "--features",
            "compat",
        ],
    },
    Suite {
        name: "whole",
        table: include_str!("whole.txt"),
        package: "syncagent",
        build: &["-p", "syncagent"],
    },
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let exe = std::env::current_exe().expect("this program");
    let target = exe.ancestors().nth(3).expect("the target directory");
    let (mut passed, mut failed) = (0, 0);
    let mut laws = BTreeSet::new();
    for suite in SUITES {
        let all =
            table::parse(suite.table).unwrap_or_else(|error| panic!("{}: {error}", suite.name));
        laws.extend(all.iter().map(|it| it.law_number()));
        let chosen: Vec<Mutant> = all
            .into_iter()
            .filter(|it| {
                wanted.is_empty() || wanted.iter().any(|w| w == suite.name || *w == it.name)
            })
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let directory = target.join("mutants").join(suite.name);
        match run(suite, &chosen, root, &directory, target) {
            Ok((good, bad)) => {
                passed += good;
                failed += bad;
            }
            Err(error) => {
                eprintln!("{}: {error}", suite.name);
                failed += 1;
            }
        }
    }
    for law in table::numbered_laws(&root.join("ARCHITECTURE.md")) {
        if !laws.contains(&law) {
            println!("invariant {law} of ARCHITECTURE.md has no mutant");
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plants, builds and looks; says how many were noticed and how many were not.
fn run(
    suite: &Suite,
    mutants: &[Mutant],
    root: &Path,
    directory: &Path,
    target: &Path,
) -> Result<(usize, usize), String> {
    let start = Instant::now();
    let mut files = plant::read(root)?;
    let (texts, compiled): (Vec<&Mutant>, Vec<&Mutant>) =
        mutants.iter().partition(|it| it.kind == Kind::Text);
    let mut variants = BTreeMap::new();
    for mutant in &texts {
        variants.insert(&mutant.name, plant::replaced(&files, mutant)?);
    }
    let (places, missing) = plant::plant(&mut files, &compiled)?;
    for error in &missing {
        println!("{error}");
    }
    let mutants: Vec<&Mutant> = mutants
        .iter()
        .filter(|it| it.kind == Kind::Text || places.contains_key(&it.name))
        .collect();
    plant::renumber(&mut files)?;
    plant::write(&directory.join("source"), &files)?;
    for (name, files) in &variants {
        plant::write(&directory.join(name), files)?;
    }
    let test = build(suite, &directory.join("source"), target)?;
    println!(
        "{}: {} mutants planted and built in {} s",
        suite.name,
        mutants.len(),
        start.elapsed().as_secs()
    );
    let named: BTreeSet<&str> = mutants
        .iter()
        .flat_map(|it| it.tests.iter().map(String::as_str))
        .collect();
    sound(&test, root, &named)?;

    let width = mutants.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let next = AtomicUsize::new(0);
    let lines = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(mutant) = mutants.get(at).copied() else {
                        break;
                    };
                    let sources = match mutant.kind {
                        Kind::Code => root.to_owned(),
                        Kind::Text => directory.join(&mutant.name),
                    };
                    let missed: Vec<&str> = mutant
                        .tests
                        .iter()
                        .map(String::as_str)
                        .filter(|name| !fails(&test, &sources, directory, mutant, name))
                        .collect();
                    lines
                        .lock()
                        .expect("no panic")
                        .insert(at, missed.join(", "));
                }
            });
        }
    });
    let (mut good, mut bad) = (0, missing.len());
    for (at, missed) in lines.into_inner().expect("no panic") {
        let mutant = mutants[at];
        let verdict = if missed.is_empty() {
            good += 1;
            format!("noticed by {}", mutant.tests.join(", "))
        } else {
            bad += 1;
            format!("SURVIVES {missed}")
        };
        println!(
            "{:<4} {:<width$}  {verdict}  ({})",
            mutant.law_number(),
            mutant.name,
            places.get(&mutant.name).map_or("text", String::as_str),
        );
    }
    println!("{}: {} s", suite.name, start.elapsed().as_secs());
    Ok((good, bad))
}

/// Builds the tests of the copy; the path of the program.
fn build(suite: &Suite, source: &Path, target: &Path) -> Result<PathBuf, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(source)
        .args(["test", "--offline", "--locked", "--no-run", "--test", "it"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(suite.build)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("a mutant does not compile:\n{errors}"));
    }
    let marker = format!("/{}/tests/it/main.rs", suite.package);
    let exe = said
        .lines()
        .filter(|line| {
            line.contains(&marker)
                || suite.package == "syncagent" && line.contains("/source/tests/it/main.rs")
        })
        .find_map(|line| {
            let (_, rest) = line.split_once("\"executable\":\"")?;
            rest.split_once('"').map(|(path, _)| PathBuf::from(path))
        });
    exe.ok_or_else(|| "cargo does not say where the tests are".into())
}

fn command(test: &Path, sources: &Path) -> Command {
    let mut command = Command::new(test);
    command
        .current_dir(sources)
        .env("SYNCAGENT_SOURCES", sources)
        .env_remove("SYNCAGENT_MUTANT")
        .env_remove("UPDATE_EXPECT")
        // How small a counterexample is does not matter here.
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .arg("--exact");
    command
}

/// Without a mutant, every named test exists and passes.
fn sound(test: &Path, sources: &Path, named: &BTreeSet<&str>) -> Result<(), String> {
    let output = command(test, sources)
        .args(named)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| !said.contains(&format!("test {name} ... ok")))
        .collect();
    if output.status.success() && missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "without a mutant these do not pass: {missing:?}\n{said}"
        ))
    }
}

/// Whether a test fails with the mutant switched on, within a while: one that never ends shows nothing.
fn fails(test: &Path, sources: &Path, directory: &Path, mutant: &Mutant, name: &str) -> bool {
    let log = directory.join(format!("{}.log", mutant.name));
    let Ok(file) = File::create(&log) else {
        return false;
    };
    let mut command = command(test, sources);
    if mutant.kind == Kind::Code {
        command.env("SYNCAGENT_MUTANT", &mutant.name);
    }
    let running = command.arg(name).stdout(file).stderr(Stdio::null()).spawn();
    let Ok(mut running) = running else {
        return false;
    };
    let start = Instant::now();
    let status = loop {
        match running.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => {
                let _ = running.kill();
                let _ = running.wait();
                eprintln!("{}: {name} does not end", mutant.name);
                return false;
            }
        }
    };
    let said = std::fs::read_to_string(log).unwrap_or_default();
    !status.success() && said.contains(&format!("test {name} ... FAILED"))
}
