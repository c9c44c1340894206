//! The recordings of real servers, replayed against the embedded ones.
//!
//! `known.txt` lists the cases that are known to differ, each under its reason. A case that is not in the list must
//! agree, and one that agrees must not be in the list: it is the map of what is left.
//!
//! ```text
//! cargo run -p syncagent-embedded --example replay -- syncagent-embedded/recorded/*/
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use futures::FutureExt as _;
use syncagent_embedded::replay::{Options, embedded, replay};

/// The reasons of the known differences, by `directory/topic/case`.
fn known() -> BTreeMap<&'static str, &'static str> {
    let mut known = BTreeMap::new();
    let mut reason = "";
    for line in include_str!("known.txt")
        .lines()
        .filter(|line| !line.is_empty())
    {
        match line.strip_prefix("# ") {
            Some(text) => reason = text,
            None => {
                assert!(!reason.is_empty(), "{line} has no reason");
                assert_eq!(known.insert(line, reason), None, "{line} is listed twice");
            }
        }
    }
    known
}

async fn check(directory: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("recorded")
        .join(directory);
    let open = |recording: &_| {
        let door = embedded(recording);
        async move { Ok(door) }.boxed()
    };
    let report = replay(&path, &Options::default(), open).await.unwrap();
    let known = known();
    let mut problems = Vec::new();
    let mut differing = Vec::new();
    for (case, disagreement) in report.differing() {
        let name = format!("{directory}/{case}");
        if !known.contains_key(name.as_str()) {
            problems.push(format!("{name} should agree\n{}", disagreement.text()));
        }
        differing.push(name);
    }
    let mine = known
        .keys()
        .filter(|name| name.starts_with(&format!("{directory}/")));
    for name in mine.filter(|name| !differing.iter().any(|other| other == *name)) {
        problems.push(format!("{name} agrees now: take it out of known.txt"));
    }
    let (agree, all) = report.count();
    assert!(
        problems.is_empty(),
        "{agree} of {all} cases agree\n{}",
        problems.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn kube_apiserver_1_36() {
    check("kube-apiserver-1.36.2").await;
}

#[tokio::test(start_paused = true)]
async fn kcp_0_32() {
    check("kcp-0.32.0").await;
}

#[tokio::test(start_paused = true)]
async fn kcp_main() {
    check("kcp-main-20260807").await;
}
