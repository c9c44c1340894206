//! What the binary `syncagent` does: reads the command line, and does what it says.

use std::collections::BTreeMap;
use std::process::{ExitCode, Termination as _};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser as _;
use clap::error::ErrorKind;

use super::flags::{Check, Command, CommandLine, Flags, Pubres};
use super::rbac::{self, Rbac};
use super::settings::Settings;
use super::{files, log, pubres};
use crate::api::published_resource::crd;
use crate::compat::check;
use crate::io::announce::Notice;
use crate::runtime::Process;

/// The binary: what the command line says, until it is done.
///
/// Exit codes: 0 when it was told to stop, or did what it should; 1 when it cannot begin or go on; 2 for a command line that
/// is not understood.
#[must_use]
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and versions are for standard output, and no mistakes.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(2),
            };
        }
    };
    match line.command {
        None => run(line.flags, |process| process),
        Some(Command::Plan(flags)) => plan(flags),
        Some(Command::Handback(flags)) => hand_back(flags),
        Some(Command::Check(of)) => check(&of),
        Some(Command::Crd) => finish(files::yaml(&[("", crd())])),
        Some(Command::Rbac(of)) => finish(rights(&of)),
        Some(Command::Pubres {
            what: Pubres::Crd(of),
        }) => finish(pubres(&of)),
    }
}

/// What the agent must be allowed to do.
fn rights(of: &Rbac) -> Result<String, String> {
    let documents = files::read(&of.files).map_err(|problems| problems.join("\n"))?;
    files::yaml(&rbac::objects(of, &documents))
}

/// What a `PublishedResource` makes of the CRD behind it.
fn pubres(of: &pubres::Crd) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("could not start: {error}"))?;
    let document = runtime.block_on(pubres::document(of))?;
    files::yaml(&[("", document)])
}

/// Prints what came of a sub-command.
fn finish(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(text) => {
            print(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(why) => refused(&format!("error: {why}")),
    }
}

/// The flags of somebody who looks once.
fn looking(flags: Flags) -> Flags {
    Flags {
        dry_run: Some(true),
        enable_leader_election: Some(false),
        metrics_address: Some("0".into()),
        health_address: None,
        ..flags
    }
}

/// Writes down what the Go agent has to remember; the orders of which that was not done make it a failure.
fn hand_back(flags: Flags) -> ExitCode {
    let left = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = left.clone();
    let code = run(looking(flags), |process| {
        process.hand_back().notify(move |notice| {
            let mut left = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match notice {
                // One that could not be read or written is tried again: what was said last counts.
                Notice::HandedBack { order, .. } => {
                    left.remove(&order.to_string());
                }
                Notice::NotHandedBack { order, .. } => {
                    left.insert(order.to_string(), notice.to_string());
                }
                _ => return,
            }
            print(&notice.to_string());
        })
    });
    let left = left.lock().unwrap_or_else(PoisonError::into_inner);
    match left.is_empty() {
        true => code,
        false => refused(&not_handed_back(&left)),
    }
}

/// Which orders were not handed back, and what to do about it.
fn not_handed_back(left: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = left.values().map(|line| format!("\n  - {line}")).collect();
    let count = match left.len() {
        1 => "one order was".to_owned(),
        count => format!("{count} orders were"),
    };
    format!(
        "error: {count} not handed back:{}\n\
         The Go agent goes on from what it remembers of them. To hand them back too, start the agent, let it do what is \
         still to be done, stop it, and hand back again; where a Secret could not be written, first grant what \
         `syncagent rbac --handback` prints.",
        lines.concat()
    )
}

/// Says what is wrong with files.
fn check(of: &Check) -> ExitCode {
    let mut texts = Vec::new();
    let mut unread = Vec::new();
    for file in &of.files {
        match files::text(file) {
            Ok(text) => texts.push((file.as_str(), text)),
            Err(error) => unread.push(format!("error: {file}: could not be read: {error}")),
        }
    }
    if !unread.is_empty() {
        refused(&unread.join("\n"));
        return ExitCode::from(2);
    }
    let named: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    let options = check::Options {
        agent: of.agent_name.clone(),
        strict: of.strict,
    };
    let checked = check::check(&named, &options);
    for finding in &checked.findings {
        print(&finding.to_string());
    }
    if of.modern {
        for modern in &checked.modern {
            print(&format!("---\n{}", modern.text.trim_end()));
        }
    }
    match checked.is_fine() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Says on standard output what an agent would do.
fn plan(flags: Flags) -> ExitCode {
    run(looking(flags), |process| {
        process.notify(|notice| {
            if let Notice::Planned { .. }
            | Notice::ExportPlanned { .. }
            | Notice::SchemaMarkPlanned { .. }
            | Notice::StatusPlanned { .. } = notice
            {
                print(&notice.to_string());
            }
        })
    })
}

fn run(flags: Flags, prepared: impl FnOnce(Process) -> Process) -> ExitCode {
    let settings = match Settings::try_from(flags) {
        Ok(settings) => settings,
        Err(problems) => return refused(&problems.to_string()),
    };
    log::init(settings.log_format, settings.log_debug);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(prepared(Process::new(settings)).run());
            // Whoever still waits for a server is not waited for.
            runtime.shutdown_background();
            exit.report()
        }
        Err(error) => refused(&format!("error: could not start threads: {error}")),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a process are for people"
)]
fn refused(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "what a sub-command was asked for")]
fn print(text: &str) {
    println!("{text}");
}
