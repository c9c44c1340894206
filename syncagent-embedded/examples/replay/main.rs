//! Replays recorded answers of real servers, against a fresh embedded one or against a server that runs.
//!
//! ```text
//! cargo run -p syncagent-embedded --example replay -- [OPTIONS] DIR...
//!
//! --topic NAME         only this topic
//! --case TEXT          only cases whose name contains the text
//! --full               print every request and answer
//! --list               print only the names of the cases that do not agree
//! --server URL         replay against this server instead of embedded ones ...
//! --ca FILE            ... which is trusted by this certificate
//! --token ROLE=TOKEN   ... and where the roles admin, shard-admin, agent have these tokens
//! ```
//!
//! The kind of server is that of the directory: a kcp where it has a `fixture.jsonl` (of the generation in the
//! directory's name), a kube-apiserver where it has a `crds_a.jsonl`. The last line says how many cases agree.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that prints"
)]

mod remote;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use syncagent_embedded::replay::{Door, Options, replay};

#[derive(Default)]
struct Arguments {
    directories: Vec<PathBuf>,
    options: Options,
    list: bool,
    server: Option<String>,
    ca: Option<PathBuf>,
    tokens: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let result = arguments().and_then(|arguments| {
        // Embedded servers do not wait: the clock jumps to whatever comes next.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(arguments.server.is_none())
            .build();
        runtime.map_err(|e| e.to_string())?.block_on(run(arguments))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut arguments: Arguments) -> Result<(), String> {
    let remote = match &arguments.server {
        None => None,
        Some(url) => {
            arguments.options.patience = Duration::from_secs(15);
            arguments.options.tick = Duration::from_millis(150);
            arguments.options.pace = Duration::from_secs(1);
            arguments.options.quiet = Duration::from_secs(2);
            let door = remote::Remote::new(url, arguments.ca.as_deref(), &arguments.tokens)?;
            Some(Arc::new(door) as Arc<dyn Door>)
        }
    };
    let (mut agree, mut all) = (0, 0);
    for directory in arguments.directories.iter().filter(|path| path.is_dir()) {
        let open = |recording: &_| match &remote {
            Some(door) => {
                let door = Arc::clone(door);
                async move { Ok(door) }.boxed()
            }
            None => {
                let door = syncagent_embedded::replay::embedded(recording);
                async move { Ok(door) }.boxed()
            }
        };
        let report = replay(directory, &arguments.options, open).await?;
        if arguments.list {
            for (case, _) in report.differing() {
                println!("{}/{case}", report.name);
            }
        } else {
            print!("{}", report.text());
        }
        let (some, of) = report.count();
        agree += some;
        all += of;
        if arguments.directories.len() > 1 {
            println!("{}: {some} of {of} cases agree", report.name);
        }
    }
    println!("{agree} of {all} cases agree");
    Ok(())
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--topic" => arguments.options.topic = Some(value()?),
            "--case" => arguments.options.case = Some(value()?),
            "--full" => arguments.options.full = true,
            "--list" => arguments.list = true,
            "--server" => arguments.server = Some(value()?),
            "--ca" => arguments.ca = Some(value()?.into()),
            "--token" => {
                let value = value()?;
                let (role, token) = value.split_once('=').ok_or("--token is ROLE=TOKEN")?;
                arguments.tokens.insert(role.to_owned(), token.to_owned());
            }
            flag if flag.starts_with("--") => return Err(format!("there is no flag {flag}")),
            directory => arguments.directories.push(directory.into()),
        }
    }
    if arguments.directories.is_empty() {
        return Err("name the directories to replay".into());
    }
    Ok(arguments)
}
