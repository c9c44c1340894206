//! Gates, doubts and pauses, without a server.

use super::super::gate::GRACE;
use super::*;
use crate::definition::{Kind, Scope};
use crate::plan::{CopyKnown, Known, Place, Synced};

fn key(name: &str) -> Arc<Key> {
    Arc::new(Key {
        publication: "things.example.io".into(),
        cluster: "1abc".into(),
        namespace: "default".into(),
        name: name.into(),
    })
}

fn object(place: Place, name: &str) -> ObjectRef {
    ObjectRef {
        place,
        kind: Kind {
            group: "example.io".into(),
            version: "v1".into(),
            kind: "Thing".into(),
            plural: "things".into(),
            scope: Scope::Namespaced,
        },
        namespace: "default".into(),
        name: name.into(),
    }
}

fn origin(name: &str) -> ObjectRef {
    object(Place::Workspace("1abc".into()), name)
}

fn subjects() -> (Subject, Subject) {
    let id = "things.example.io".to_owned();
    (Subject::Copies(id.clone()), Subject::Orders(id))
}

fn listed(state: &mut State, source: &Source, subject: &Subject) {
    state.listed(source, subject, |key, entry| {
        entry.record.origin.as_ref().map(|_| origin(&key.name))
    });
}

#[tokio::test(start_paused = true)]
async fn no_step_before_both_sides_are_listed() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let (copies, orders) = subjects();
    let mut state = State::default();
    state.follow(Source::Service, copies.clone(), now);
    state.follow(endpoint.clone(), orders.clone(), now);
    state.order(&key("a"), &url, origin("a"), Sight::Doubt);
    assert!(state.next(now).is_none());
    listed(&mut state, &endpoint, &orders);
    assert!(state.next(now).is_none());
    listed(&mut state, &Source::Service, &copies);
    assert_eq!(state.next(now).unwrap().key, key("a"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_without_an_origin_waits_for_all_endpoints() {
    let now = Instant::now();
    let (copies, orders) = subjects();
    let endpoint = Source::Endpoint("https://kcp".into());
    let mut state = State::default();
    state.follow(Source::Service, copies.clone(), now);
    state.copy(&key("a"), object(Place::Service, "a"), Sight::Doubt, false);
    listed(&mut state, &Source::Service, &copies);
    assert!(state.next(now).is_none(), "no endpoint is known");
    state.know_endpoints();
    state.follow(endpoint.clone(), orders.clone(), now);
    assert!(state.next(now).is_none(), "its orders are not listed");
    listed(&mut state, &endpoint, &orders);
    assert!(state.next(now).is_some());
}

#[tokio::test(start_paused = true)]
async fn related_objects_hold_back_for_a_while_only() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let (_, orders) = subjects();
    let mut state = State::default();
    state.follow(endpoint.clone(), orders.clone(), now);
    state.follow(endpoint.clone(), Subject::Related("secrets".into()), now);
    state.order(&key("a"), &url, origin("a"), Sight::Doubt);
    listed(&mut state, &endpoint, &orders);
    assert!(state.next(now).is_none());
    assert_eq!(state.next_due(), Some(now + GRACE));
    state.relent(now + GRACE);
    assert!(state.next(now + GRACE).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_new_list_lacks_is_in_doubt() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let (_, orders) = subjects();
    let mut state = State::default();
    state.follow(endpoint.clone(), orders.clone(), now);
    state.listing(&endpoint, &orders);
    for name in ["a", "b"] {
        state.order(&key(name), &url, origin(name), Sight::Doubt);
    }
    listed(&mut state, &endpoint, &orders);
    while let Some(mut job) = state.next(now) {
        job.record.origin = Some(crate::plan::Known::default());
        state.done(job, &Outcome::Rest, now);
    }
    state.listing(&endpoint, &orders);
    state.order(&key("b"), &url, origin("b"), Sight::Doubt);
    let job = state.next(now).unwrap();
    state.done(job, &Outcome::Rest, now);
    listed(&mut state, &endpoint, &orders);
    let job = state.next(now).unwrap();
    assert_eq!(job.key, key("a"));
    assert_eq!(job.seen.of(&origin("a")), &Sight::Doubt);
    assert!(state.next(now).is_none());
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_keep_what_was_in_hand() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let mut state = State::default();
    state.order(&key("a"), &url, origin("a"), Sight::Doubt);
    let mut at = now;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let job = state.next(at).unwrap();
        assert_eq!(job.seen.of(&origin("a")), &Sight::Doubt);
        state.done(job, &Outcome::Retry(Duration::ZERO), at);
        let due = state.next_due().unwrap();
        pauses.push((due - at).as_millis());
        at = due;
    }
    assert_eq!(
        pauses,
        [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
    );
}

/// The text on the heap of a record.
fn heap(record: &Record) -> usize {
    let known = |it: &Known| it.uid.capacity() + it.version.capacity();
    let mut bytes = record.origin.as_ref().map_or(0, known);
    bytes += record
        .finalizers
        .iter()
        .map(|it| it.capacity() + size_of::<String>())
        .sum::<usize>();
    if let Some(copy) = &record.copy {
        bytes += known(&copy.known) + copy.applied.as_ref().map_or(0, String::capacity);
    }
    if let Some(synced) = &record.synced {
        bytes += synced.reason.capacity() + synced.message.capacity() + synced.since.capacity();
    }
    bytes
}

#[test]
fn what_is_kept_of_a_settled_order_is_less_than_a_kibibyte() {
    let known = || Known {
        uid: "bb9f9642-0605-4da3-97b8-2bd5b2ec8fb7".into(),
        version: "1234567890".into(),
    };
    let fingerprint = || crate::object::fingerprint::Fingerprint::of(&serde_json::json!({}));
    let record = Record {
        origin: Some(known()),
        wish: Some(fingerprint()),
        finalizers: vec!["postgresql.cnpg.io.syncagent.kcp.io/hold".into()],
        copy: Some(CopyKnown {
            known: known(),
            applied: Some(fingerprint().to_string()),
            entry: Some(fingerprint()),
            generation: 7,
            reflects: 7,
            before: 6,
            content: fingerprint(),
            deleting: false,
            suspect: false,
            leaves: None,
        }),
        reflected: Some(fingerprint()),
        replied: Some(fingerprint()),
        shown: Some(fingerprint()),
        synced: Some(Synced {
            ok: true,
            reason: "Synced".into(),
            message: "the order is at the service".into(),
            since: "2026-11-22T19:06:46Z".into(),
        }),
        ..Record::default()
    };
    let size = size_of::<Entry>() + heap(&record);
    assert!(size <= 1024, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_lost_endpoint_deletes_nothing() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let (_, orders) = subjects();
    let mut state = State::default();
    state.follow(endpoint.clone(), orders.clone(), now);
    state.order(&key("a"), &url, origin("a"), Sight::Doubt);
    listed(&mut state, &endpoint, &orders);
    let job = state.next(now).unwrap();
    state.done(job, &Outcome::Rest, now);
    state.lose(&url);
    assert!(state.next(now).is_none());
    assert!(state.entries.contains_key(&key("a")));
}
