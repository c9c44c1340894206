//! Our own past: what every released version left on the servers is settled for the present one, and what the present one
//! writes can be read by every version before it.
//!
//! `past/README.md` says what is in the folders, and what a release does for them.

mod folder;
mod form;
mod reads;
mod story;

use serde_json::json;

use crate::stage::{play, there};
use crate::takeover::written;
use crate::takeover_whole::{costs, rest, works};
use crate::things;
use crate::world::{World, change, skipped_for};

use folder::{Dialect, Folder};
use story::Left;

/// Set: the folder of the present version is written anew.
const RECORD: &str = "SYNCAGENT_RECORD_PAST";
const PRESENT: &str = env!("CARGO_PKG_VERSION");

fn skips() -> bool {
    let real = World::is_real();
    if real {
        skipped_for(
            "what every version left is kept as snapshots of embedded servers",
            "it would take snapshots of etcd",
        );
    }
    real
}

/// The settled state of the present version, told by it once per run of a test.
async fn told(dialect: Dialect) -> Left {
    match dialect {
        Dialect::Own => story::own().await,
        Dialect::GoAgent => story::go_agent().await,
    }
}

/// What an agent of today writes when it is started over what is left, apart from events and its Lease.
async fn written_over(dialect: Dialect, left: Left) -> Vec<String> {
    let mut wrote = match dialect {
        Dialect::Own => {
            let mut stage = story::own_over(left).await;
            stage.start();
            stage.calm().await;
            let wrote = written(&stage);
            stage.stop().await;
            wrote
        }
        Dialect::GoAgent => {
            let site = story::site_over(left).await;
            let running = site.start(story::flags(&site));
            works(&site).await;
            rest(&site.0).await;
            let wrote = written(&site.0);
            assert!(running.stopped().await.is_stopped());
            wrote
        }
    };
    wrote.retain(|it| !it.contains(" create events") && !it.contains(" leases "));
    wrote
}

#[test]
fn the_present_version_leaves_what_its_folder_says() {
    if skips() {
        return;
    }
    for dialect in Dialect::ALL {
        play(|| async {
            let left = told(dialect).await;
            if std::env::var_os(RECORD).is_some() {
                folder::write(PRESENT, dialect, &left);
            }
            let known = Folder::of(PRESENT).left(dialect);
            let (was, is) = (form::of(&known), form::of(&left));
            let differs = form::difference(&was, &is);
            assert!(
                differs.is_empty(),
                "the present version leaves something else than past/{PRESENT}/{dialect} says; if that is meant, and \
                 {PRESENT} is not released, record it anew ({RECORD}=1), else give the version a new number:\n{}",
                differs.join("\n")
            );
        });
    }
}

#[test]
fn what_every_version_left_is_settled() {
    if skips() {
        return;
    }
    for folder in Folder::all() {
        for dialect in Dialect::ALL {
            play(|| async {
                let left = folder.left(dialect);
                let wrote = written_over(dialect, left).await;
                assert_eq!(wrote, [""; 0], "{} {dialect}", folder.version);
            });
        }
    }
}

/// Being quiet is not being blind: the orders are known and served.
#[test]
fn what_every_version_left_is_served() {
    if skips() {
        return;
    }
    let thing = things::kind("Thing");
    let order = things::path(&thing, "default", "a");
    let grown = json!({"spec": {"size": 7}});
    for folder in Folder::all() {
        play(|| async {
            let mut stage = story::own_over(folder.left(Dialect::Own)).await;
            stage.start();
            stage.calm().await;
            let consumer = story::consumer(&stage).await;
            stage.forget();
            change(&consumer.api, &order, &grown).await;
            there(&stage.service, &thing, &consumer.cluster, "a", |it| {
                it["spec"]["size"] == 7
            })
            .await;
            stage.calm().await;
            stage.asked_exactly(&["service patch things a"]);
            stage.stop().await;
        });
        play(|| async {
            let site = story::site_over(folder.left(Dialect::GoAgent)).await;
            let running = site.start(story::flags(&site));
            works(&site).await;
            rest(&site.0).await;
            let consumer = story::consumer(&site.0).await;
            site.0.forget();
            change(&consumer.api, &order, &grown).await;
            there(&site.0.service, &thing, &consumer.cluster, "a", |it| {
                it["spec"]["size"] == 7
            })
            .await;
            costs(&site.0, &["service patch things a"]).await;
            assert!(running.stopped().await.is_stopped());
        });
    }
}

/// What an agent does where one mark is called otherwise, as a word of `reads.txt`.
async fn then(read: &reads::Read, dialect: Dialect) -> String {
    let mut left = Folder::of(PRESENT).left(dialect);
    reads::lose(&read.mark, &mut left);
    match written_over(dialect, left).await.is_empty() {
        true => "later".to_owned(),
        false => "noticed".to_owned(),
    }
}

/// The lines say what the present version does; a mark that it does not read cannot be among those that are noticed, and
/// none is left out.
#[test]
fn the_present_version_reads_what_its_folder_says() {
    if skips() {
        return;
    }
    let mut text = reads::title();
    for dialect in Dialect::ALL {
        let mut lines = reads::Read::all(dialect, &Folder::of(PRESENT).left(dialect));
        for line in &mut lines {
            play(|| async { line.then = then(line, dialect).await });
        }
        text.extend(lines.iter().map(reads::Read::line));
    }
    if std::env::var_os(RECORD).is_some() {
        folder::write_text(PRESENT, "reads.txt", &text);
    }
    assert_eq!(
        text,
        Folder::of(PRESENT).text("reads.txt"),
        "see past/README.md"
    );
}

/// A version that is put back reads what the present one wrote.
#[test]
fn what_is_written_today_can_be_read_by_every_version() {
    if skips() {
        return;
    }
    for dialect in Dialect::ALL {
        play(|| async {
            let left = told(dialect).await;
            for folder in Folder::all() {
                let lines = reads::lines(&folder.text("reads.txt"));
                let lines = lines.iter().filter(|it| it.dialect == dialect.to_string());
                let missed: Vec<_> = lines.flat_map(|it| it.missed_in(&left)).collect();
                assert!(
                    missed.is_empty(),
                    "{}: {}",
                    folder.version,
                    missed.join("\n")
                );
            }
        });
    }
}
