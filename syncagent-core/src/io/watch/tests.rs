//! The loop against a scripted server: each answer is what a real one was seen to give.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;

type Script = Arc<Mutex<VecDeque<(u16, String)>>>;
type Asked = Arc<Mutex<Vec<String>>>;

/// Instead of a code: no answer.
const SILENT: u16 = 0;

/// A server that gives the answers of a script, one per request, and then stays silent.
fn scripted(answers: &[(u16, Vec<Value>)]) -> (Target, Asked) {
    let script: Script = Arc::new(Mutex::new(
        answers
            .iter()
            .map(|(code, frames)| (*code, frames.iter().map(|f| format!("{f}\n")).collect()))
            .collect(),
    ));
    let asked: Asked = Arc::default();
    let seen = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = script.lock().unwrap().pop_front();
        let uri = request.uri().to_string();
        seen.lock()
            .unwrap()
            .push(uri.split_once('?').unwrap().1.to_owned());
        async move {
            let Some((code, text)) = answer.filter(|(code, _)| *code != SILENT) else {
                return std::future::pending().await;
            };
            Ok::<_, std::io::Error>(
                Response::builder()
                    .status(code)
                    .body(Body::from(text.into_bytes()))
                    .unwrap(),
            )
        }
    });
    let client = kube::Client::new(service, "default");
    (
        Target::all(Server::new(client, "test", "test"), "/apis/x/v1/things"),
        asked,
    )
}

fn thing(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": version}})
}

fn page(version: &str, next: &str, names: &[&str]) -> Vec<Value> {
    let items: Vec<_> = names.iter().map(|n| thing(n, "1")).collect();
    vec![json!({"kind": "ThingList", "apiVersion": "x/v1",
        "metadata": {"resourceVersion": version, "continue": next}, "items": items})]
}

fn frame(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

fn told(event: &Event) -> String {
    match event {
        Event::Restored => "restored".into(),
        Event::Listing(_) => "listing".into(),
        Event::Listed => "listed".into(),
        Event::There(o) => format!("there {}", o["metadata"]["name"].as_str().unwrap()),
        Event::Left(o) => format!("left {}", o["metadata"]["name"].as_str().unwrap()),
        Event::Trouble(_) => "trouble".into(),
    }
}

async fn run(answers: &[(u16, Vec<Value>)], count: usize) -> (Vec<String>, Vec<String>) {
    let (target, asked) = scripted(answers);
    let (tx, mut rx) = mpsc::channel(100);
    let task = tokio::spawn(watch(target, tx));
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(told(&rx.recv().await.unwrap()));
    }
    // The last watch is asked for, and is silent.
    while asked.lock().unwrap().len() <= answers.len() {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task.abort();
    let asked = asked.lock().unwrap().clone();
    (events, asked)
}

#[tokio::test(start_paused = true)]
async fn a_list_is_paged_and_the_watch_goes_on_from_its_version() {
    let (events, asked) = run(
        &[
            (200, page("5", "more", &["a"])),
            (200, page("5", "", &["b"])),
            (
                200,
                vec![
                    frame("ADDED", &thing("c", "6")),
                    frame("BOOKMARK", &thing("", "9")),
                ],
            ),
        ],
        5,
    )
    .await;
    assert_eq!(
        events,
        ["listing", "there a", "there b", "listed", "there c"]
    );
    assert_eq!(asked[0], "limit=500");
    assert_eq!(asked[1], "limit=500&continue=more");
    assert!(asked[2].ends_with("resourceVersion=5"), "{}", asked[2]);
    // A stream that ended goes on after the bookmark.
    assert!(asked[3].ends_with("resourceVersion=9"), "{}", asked[3]);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_version_lists_again() {
    let gone = json!({"kind": "Status", "code": 410, "message": "too old resource version"});
    let (events, asked) = run(
        &[
            (200, page("5", "", &["a"])),
            (200, vec![frame("ERROR", &gone)]),
            (200, page("8", "", &[])),
        ],
        5,
    )
    .await;
    assert_eq!(
        events,
        ["listing", "there a", "listed", "listing", "listed"]
    );
    assert!(asked[3].ends_with("resourceVersion=8"));
}

/// Between two pages the list expires: what was told of it counts for nothing, and the next comes in larger pages.
#[tokio::test(start_paused = true)]
async fn a_list_that_expires_between_pages_comes_in_larger_ones() {
    let gone = json!({"kind": "Status", "code": 410, "message": "too old"});
    let (events, asked) = run(
        &[
            (200, page("5", "more", &["a"])),
            (410, vec![gone.clone()]),
            (200, page("7", "more", &["a"])),
            (410, vec![gone]),
            (200, page("8", "", &["a", "b"])),
        ],
        8,
    )
    .await;
    assert_eq!(
        events,
        [
            "listing", "there a", "listing", "there a", "listing", "there a", "there b", "listed"
        ]
    );
    assert_eq!(asked[1], "limit=500&continue=more");
    assert_eq!((&*asked[2], &*asked[4]), ("limit=2000", "limit=8000"));
    assert!(asked[5].ends_with("resourceVersion=8"));
}

/// It expires because whoever listens has much to do: what is settled by now passes quickly the next time, and larger pages
/// would take more memory.
#[tokio::test(start_paused = true)]
async fn a_list_that_expires_while_its_listener_is_busy_comes_in_pages_again() {
    let gone = json!({"kind": "Status", "code": 410, "message": "too old"});
    let answers = [
        (200, page("5", "more", &["a", "b", "c"])),
        (410, vec![gone]),
        (200, page("8", "more", &["a", "b", "c"])),
        (200, page("8", "", &["d"])),
    ];
    let (target, asked) = scripted(&answers);
    let (tx, mut rx) = mpsc::channel(1);
    let task = tokio::spawn(watch(target, tx));
    while told(&rx.recv().await.unwrap()) != "listed" {
        sleep(Duration::from_secs(30)).await;
    }
    task.abort();
    assert_eq!(
        asked.lock().unwrap()[..4],
        [
            "limit=500",
            "limit=500&continue=more",
            "limit=500",
            "limit=500&continue=more"
        ]
    );
}

/// Where the answer says how to go on, the listener gets to the end of what is there; then comes a list that is all of one
/// version, and only that one is complete.
#[tokio::test(start_paused = true)]
async fn a_list_that_expires_while_its_listener_is_busy_goes_on_from_there() {
    let gone = |token: &str| {
        let metadata = json!({"continue": token});
        json!({"kind": "Status", "code": 410, "message": "too old", "metadata": metadata})
    };
    let answers = [
        (200, page("5", "more", &["a", "b", "c"])),
        (410, vec![gone("rest")]),
        (200, page("7", "last", &["d", "e", "f"])),
        (410, vec![gone("end")]),
        (200, page("8", "", &["g"])),
        (200, page("9", "", &["a", "g"])),
    ];
    let (target, asked) = scripted(&answers);
    let (tx, mut rx) = mpsc::channel(1);
    let task = tokio::spawn(watch(target, tx));
    let mut events = Vec::new();
    while events.last().is_none_or(|it| it != "listed") {
        events.push(told(&rx.recv().await.unwrap()));
        sleep(Duration::from_secs(30)).await;
    }
    sleep(Duration::from_secs(1)).await;
    task.abort();
    let all = "listing, there a, there b, there c, there d, there e, there f, there g";
    assert_eq!(
        events.join(", "),
        format!("{all}, listing, there a, there g, listed")
    );
    let asked = asked.lock().unwrap().clone();
    let pages = ["more", "rest", "last", "end"].map(|it| format!("limit=500&continue={it}"));
    assert_eq!(asked[0], "limit=500");
    assert_eq!(asked[1..5], pages);
    assert_eq!(asked[5], "limit=500");
    assert!(asked[6].ends_with("resourceVersion=9"), "{}", asked[6]);
}

/// A server that forgets at once what it listed is asked with pauses.
#[tokio::test(start_paused = true)]
async fn a_server_without_a_memory_is_not_asked_in_a_hot_loop() {
    let gone = json!({"kind": "Status", "code": 410, "message": "too old resource version"});
    let round = [
        (200, page("5", "", &["a"])),
        (200, vec![frame("ERROR", &gone)]),
    ];
    let script: Vec<_> = round.iter().cloned().cycle().take(1000).collect();
    let (target, asked) = scripted(&script);
    let (tx, mut rx) = mpsc::channel(100);
    let task = tokio::spawn(watch(target, tx));
    let drain = async { while rx.recv().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(60), drain).await;
    task.abort();
    let asked = asked.lock().unwrap().len();
    assert!((10..=30).contains(&asked), "{asked} in a minute");
}

/// A stream that stays open and says nothing, not even a bookmark, is not calm.
#[tokio::test(start_paused = true)]
async fn a_silent_watch_lists_again() {
    let asked: Asked = Arc::default();
    let seen = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let query = request.uri().query().unwrap().to_owned();
        let watches = query.contains("watch=1");
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(query);
            seen.len().to_string()
        };
        async move {
            let body: BoxBody<_, std::io::Error> = if watches {
                let silence = futures::stream::pending();
                BodyExt::boxed(StreamBody::new(silence))
            } else {
                let page = page(&number, "", &["a"]).remove(0);
                let whole = Full::from(page.to_string().into_bytes());
                BodyExt::boxed(whole.map_err(|never| match never {}))
            };
            Ok::<_, std::io::Error>(Response::new(body))
        }
    });
    let client = kube::Client::new(service, "default");
    let target = Target::all(Server::new(client, "test", "test"), "/apis/x/v1/things");
    let (tx, mut rx) = mpsc::channel(100);
    let task = tokio::spawn(watch(target, tx));
    let begun = Instant::now();
    for _ in 0..2 {
        for expected in ["listing", "there a", "listed"] {
            assert_eq!(told(&rx.recv().await.unwrap()), expected);
        }
    }
    assert!(begun.elapsed() >= SILENCE);
    assert!(begun.elapsed() < SILENCE + Duration::from_secs(2));
    let asked = asked.lock().unwrap().clone();
    assert!(asked.len() <= 4, "{asked:?}");
    assert!(asked[1].ends_with("resourceVersion=1"));
    assert_eq!(asked[2], "limit=500");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let busy = json!({"kind": "Status", "code": 429, "message": "later"});
    let (target, asked) = scripted(&[(429, vec![busy]), (200, page("5", "", &[]))]);
    let (tx, mut rx) = mpsc::channel(100);
    let begun = Instant::now();
    let task = tokio::spawn(watch(target, tx));
    let mut troubles = 0;
    while told(&rx.recv().await.unwrap()) == "trouble" {
        troubles += 1;
    }
    assert!(troubles > 0);
    // The script's answers carry no Retry-After: a second is the least.
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(asked.lock().unwrap().len() <= 3);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_list_without_a_version_is_not_an_empty_world() {
    let silent = json!({"kind": "ThingList", "apiVersion": "x/v1", "items": []});
    let (events, asked) = run(&[(200, vec![silent]), (200, page("5", "", &["a"]))], 3).await;
    assert_eq!(events, ["listing", "there a", "listed"]);
    assert_eq!(asked[1], "limit=500");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_and_nothing_is_forgotten() {
    let away = json!({"kind": "Status", "code": 503, "message": "away"});
    let (events, asked) = run(
        &[
            (200, page("5", "", &["a"])),
            (503, vec![away.clone()]),
            (503, vec![away]),
            (200, page("5", "", &["a"])),
            (200, vec![frame("DELETED", &thing("a", "7"))]),
        ],
        6,
    )
    .await;
    assert_eq!(
        events,
        [
            "listing", "there a", "listed", "trouble", "trouble", "left a"
        ]
    );
    // Whether it has lost anything is asked first.
    assert_eq!((&*asked[2], &*asked[3]), ("limit=1", "limit=1"));
    assert!(asked[4].ends_with("resourceVersion=5"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_told_of() {
    let (target, asked) = scripted(&[(200, page("5", "", &[]))]);
    let (tx, mut rx) = mpsc::channel(100);
    let task = tokio::spawn(watch(target, tx));
    assert_eq!(told(&rx.recv().await.unwrap()), "listing");
    assert_eq!(told(&rx.recv().await.unwrap()), "listed");
    // The server takes the request and never answers: the patience of the request ends it.
    assert_eq!(told(&rx.recv().await.unwrap()), "trouble");
    assert_eq!(asked.lock().unwrap().len(), 2);
    task.abort();
}

fn away() -> (u16, Vec<Value>) {
    (
        503,
        vec![json!({"kind": "Status", "code": 503, "message": "away"})],
    )
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_away_and_has_lost_nothing_is_watched_on() {
    let (events, asked) = run(
        &[
            (200, page("5", "", &["a"])),
            (200, vec![frame("ADDED", &thing("b", "7"))]),
            away(),
            (200, page("7", "", &["a"])),
        ],
        5,
    )
    .await;
    assert_eq!(
        events,
        ["listing", "there a", "listed", "there b", "trouble"]
    );
    assert_eq!(asked[3], "limit=1");
    assert!(asked[4].ends_with("resourceVersion=7"), "{}", asked[4]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_older_is_listed_again_and_said_to_be_restored() {
    let (events, asked) = run(
        &[
            (200, page("5", "", &["a"])),
            (200, vec![frame("ADDED", &thing("b", "7"))]),
            away(),
            away(),
            (200, page("6", "", &["a"])),
            (200, page("6", "", &["a"])),
        ],
        10,
    )
    .await;
    assert_eq!(
        events[4..],
        [
            "trouble", "trouble", "restored", "listing", "there a", "listed"
        ]
    );
    assert_eq!((&*asked[4], &*asked[5]), ("limit=1", "limit=500"));
    assert!(asked[6].ends_with("resourceVersion=6"), "{}", asked[6]);
}

#[tokio::test(start_paused = true)]
async fn who_finds_that_a_server_went_back_calls_every_other_watch_of_it_once() {
    let (target, asked) = scripted(&[
        (200, page("5", "", &["a"])),
        (SILENT, vec![]),
        (200, page("9", "", &["b"])),
        (200, page("9", "", &["b"])),
    ]);
    let (tx, mut quiet) = mpsc::channel(100);
    let watching = tokio::spawn(watch(target.clone(), tx));
    for expected in ["listing", "there a", "listed"] {
        assert_eq!(told(&quiet.recv().await.unwrap()), expected);
    }
    while asked.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // Two others were told of a newer version than there is now. To the quiet one it looks as if nothing had happened.
    let other = || Past {
        newest: Some("12".into()),
        restorations: target.server.restorations(),
        called: false,
    };
    let (mut first, mut second) = (other(), other());
    let (tx, mut heard) = mpsc::channel(100);
    list(&target, PAGE, &mut first, &tx).await.ok().unwrap();
    assert_eq!(told(&heard.recv().await.unwrap()), "restored");
    assert!(second.is_lost("9", &target.server));
    assert!(!first.is_called() && !second.is_called());
    for expected in ["restored", "listing", "there b", "listed"] {
        assert_eq!(told(&quiet.recv().await.unwrap()), expected);
    }
    watching.abort();
}
