//! Gates, doubts and pauses, without a server.

use super::super::gate::GRACE;
use super::*;
use crate::definition::{Kind, Scope};
use crate::plan::Place;

fn key(name: &str) -> Key {
    Key {
        publication: "things.example.io".into(),
        cluster: "1abc".into(),
        namespace: "default".into(),
        name: name.into(),
    }
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

fn there(name: &str) -> Sight {
    Sight::There(
        serde_json::json!({"metadata": {"name": name, "uid": name, "resourceVersion": "1"}}),
    )
}

fn subjects() -> (Subject, Subject) {
    let id = "things.example.io".to_owned();
    (Subject::Copies(id.clone()), Subject::Orders(id))
}

fn listed(state: &mut State, source: &Source, subject: &Subject) {
    state.listed(source, subject, |key, record| {
        record.origin.as_ref().map(|_| origin(&key.name))
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
    state.order(&key("a"), &url, origin("a"), there("a"));
    assert!(state.next(now).is_none());
    listed(&mut state, &endpoint, &orders);
    assert!(state.next(now).is_none());
    listed(&mut state, &Source::Service, &copies);
    assert_eq!(*state.next(now).unwrap().key, key("a"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_without_an_origin_waits_for_all_endpoints() {
    let now = Instant::now();
    let (copies, orders) = subjects();
    let endpoint = Source::Endpoint("https://kcp".into());
    let mut state = State::default();
    state.follow(Source::Service, copies.clone(), now);
    state.copy(&key("a"), object(Place::Service, "a"), there("a"), false);
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
    state.order(&key("a"), &url, origin("a"), there("a"));
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
        state.order(&key(name), &url, origin(name), there(name));
    }
    listed(&mut state, &endpoint, &orders);
    while let Some(mut job) = state.next(now) {
        job.record.origin = Some(crate::plan::Known::default());
        state.done(job, &Outcome::Rest, now);
    }
    state.listing(&endpoint, &orders);
    state.order(&key("b"), &url, origin("b"), there("b"));
    let job = state.next(now).unwrap();
    state.done(job, &Outcome::Rest, now);
    listed(&mut state, &endpoint, &orders);
    let job = state.next(now).unwrap();
    assert_eq!(*job.key, key("a"));
    assert_eq!(job.seen.of(&origin("a")), &Sight::Doubt);
    assert!(state.next(now).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_of_cannot_be_missed() {
    let now = Instant::now();
    let (mut state, url, _) = two_publications(now);
    let copy = object(Place::Service, "a");
    // The order is over and forgotten, and only then its copy's watch says that it is gone, or its origin's.
    state.copy(&key("a"), copy.clone(), Sight::Doubt, false);
    state.order(&key("a"), &url, origin("a"), Sight::Doubt);
    assert_eq!((state.orders(), state.waiting()), (0, 0));

    state.copy(&key("a"), copy.clone(), there("a"), false);
    state.copy(&key("a"), copy.clone(), Sight::Doubt, false);
    let job = state.next(now).unwrap();
    assert_eq!(job.seen.of(&copy), &Sight::Doubt);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_keep_what_was_in_hand() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let mut state = State::default();
    state.order(&key("a"), &url, origin("a"), there("a"));
    let mut at = now;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let job = state.next(at).unwrap();
        assert_eq!(job.seen.of(&origin("a")), &there("a"));
        state.done(job, &Outcome::Retry(Duration::ZERO), at);
        let due = state.next_due().unwrap();
        pauses.push((due - at).as_millis());
        at = due;
    }
    let whole = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000];
    for (pause, whole) in pauses.iter().zip(whole) {
        assert!(*pause <= whole && *pause >= whole * 3 / 4, "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_endpoint_deletes_nothing() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let (_, orders) = subjects();
    let mut state = State::default();
    state.follow(endpoint.clone(), orders.clone(), now);
    state.order(&key("a"), &url, origin("a"), there("a"));
    listed(&mut state, &endpoint, &orders);
    let job = state.next(now).unwrap();
    state.done(job, &Outcome::Rest, now);
    state.lose(&url);
    assert!(state.next(now).is_none());
    assert!(state.orders.find(&key("a")).is_some());
}

/// A state in which everything of two publications has been listed.
fn two_publications(now: Instant) -> (State, Arc<str>, Source) {
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let mut state = State::default();
    state.know_endpoints();
    for id in ["things.example.io", "others.example.io"] {
        for (source, subject) in [
            (Source::Service, Subject::Copies(id.into())),
            (endpoint.clone(), Subject::Orders(id.into())),
        ] {
            state.follow(source.clone(), subject.clone(), now);
            listed(&mut state, &source, &subject);
        }
    }
    (state, url, endpoint)
}

fn another(name: &str) -> Key {
    Key {
        publication: "others.example.io".into(),
        ..key(name)
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_publication_is_drained_and_forgotten_while_others_go_on() {
    let now = Instant::now();
    let (mut state, url, endpoint) = two_publications(now);
    let orders = Subject::Orders("things.example.io".into());
    for name in ["a", "b"] {
        state.order(&key(name), &url, origin(name), there(name));
    }
    let job = state.next(now).unwrap();
    state.close("things.example.io");
    state.order(&another("c"), &url, origin("c"), there("c"));
    let other = state.next(now).unwrap();
    assert_eq!(
        *other.key,
        another("c"),
        "no step of the closed one is begun"
    );
    state.done(other, &Outcome::Rest, now);
    assert!(state.is_busy("things.example.io"), "a step is under way");
    state.done(job, &Outcome::Rest, now);
    assert!(!state.is_busy("things.example.io"));

    // The next generation begins like a restart; until its orders are listed nobody knows who uses what.
    let secret = object(Place::Service, "shared");
    assert_eq!(state.used_by_others(&secret, &another("c")), Some(false));
    state.forget_publication("things.example.io", true);
    assert_eq!(state.used_by_others(&secret, &another("c")), None);
    state.open("things.example.io", None, false);
    state.follow(endpoint.clone(), orders.clone(), now);
    state.order(&key("a"), &url, origin("a"), there("a"));
    assert!(state.next(now).is_none(), "its lists are read anew");
    state.follow(
        Source::Service,
        Subject::Copies("things.example.io".into()),
        now,
    );
    listed(&mut state, &endpoint, &orders);
    listed(
        &mut state,
        &Source::Service,
        &Subject::Copies("things.example.io".into()),
    );
    assert_eq!(state.used_by_others(&secret, &another("c")), Some(false));
    assert_eq!(*state.next(now).unwrap().key, key("a"));
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_cannot_be_listed_holds_others_back_for_a_grace_only() {
    let now = Instant::now();
    let (mut state, url, endpoint) = two_publications(now);
    state.follow(endpoint, Subject::Orders("others.example.io".into()), now);
    state.order(&key("a"), &url, origin("a"), there("a"));
    assert!(state.next(now).is_none());
    let later = now + GRACE;
    state.relent(later);
    assert!(state.next(later).is_some());
    let secret = object(Place::Service, "shared");
    assert_eq!(
        state.used_by_others(&secret, &key("a")),
        None,
        "nobody knows who uses it"
    );
    state.order(&another("b"), &url, origin("b"), there("b"));
    assert!(
        state.next(later).is_none(),
        "its own orders wait for their list"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_cleans_up_before_every_order_said_what_it_finds() {
    let now = Instant::now();
    let (mut state, url, _) = two_publications(now);
    let (copies, orders) = subjects();
    listed(&mut state, &Source::Service, &copies);
    listed(&mut state, &Source::Endpoint(url.clone()), &orders);
    let shared = object(Place::Service, "shared");
    let elsewhere = Key {
        cluster: "2xyz".into(),
        ..key("c")
    };
    for name in ["a", "b"] {
        state.order(&key(name), &url, origin(name), there(name));
        state.expect_more(&key(name));
    }
    let listed_all = state.used_by_others(&shared, &elsewhere);
    // Both were seen, and what they select by labels is known of neither.
    assert_eq!(state.used_by_others(&shared, &key("b")), None);
    let mut job = state.next(now).expect("a step of the first");
    assert_eq!(*job.key, key("a"));
    state.concern(&key("a"), std::slice::from_ref(&shared), Vec::new());
    assert_eq!(state.used_by_others(&shared, &key("b")), Some(true));
    state.concern(&key("a"), &[], Vec::new());
    assert_eq!(state.used_by_others(&shared, &key("b")), None);
    job.record.generation = 1;
    state.done(job, &Outcome::Rest, now);
    assert_eq!(state.used_by_others(&shared, &key("b")), listed_all);
    // What comes later of an order that had its step changes nothing of that.
    state.expect_more(&key("a"));
    assert_eq!(state.used_by_others(&shared, &key("b")), listed_all);
}

#[tokio::test(start_paused = true)]
async fn what_the_orders_of_a_removed_publication_use_stays_used() {
    let now = Instant::now();
    let (mut state, url, _) = two_publications(now);
    let secret = object(Place::Service, "shared");
    state.order(&key("a"), &url, origin("a"), there("a"));
    state.care(&key("a"), &secret);
    state.close("things.example.io");
    state.forget_publication("things.example.io", false);
    assert_eq!(state.used_by_others(&secret, &another("c")), Some(true));
    state.related(&secret, &Sight::Doubt);
    assert!(state.next(now).is_none(), "nobody tends it");
}

#[test]
fn a_crowd_holds_up_bodies_and_no_news_of_related_objects() {
    let url: Arc<str> = "https://kcp".into();
    let (copies, orders) = subjects();
    let mut state = State::default();
    for n in 0..=CROWD {
        let name = format!("t{n}");
        state.order(&key(&name), &url, origin(&name), there(&name));
    }
    assert!(state.is_crowded(&orders) && state.is_crowded(&copies));
    assert!(!state.is_crowded(&Subject::Related("namespaces".into())));
}

fn version_of(name: &str, version: &str) -> Sight {
    Sight::There(
        serde_json::json!({"metadata": {"name": name, "uid": name, "resourceVersion": version}}),
    )
}

#[tokio::test(start_paused = true)]
async fn what_a_step_wrote_asks_for_no_other_step() {
    let now = Instant::now();
    let url: Arc<str> = "https://kcp".into();
    let endpoint = Source::Endpoint(url.clone());
    let (_, orders) = subjects();
    let mut state = State::default();
    state.follow(endpoint.clone(), orders.clone(), now);
    listed(&mut state, &endpoint, &orders);
    let tell = |state: &mut State, version| {
        state.order(&key("a"), &url, origin("a"), version_of("a", version));
    };
    let known = |version: &str| {
        Some(Known {
            uid: "a".into(),
            version: version.into(),
        })
    };
    tell(&mut state, "1");
    let mut job = state.next(now).unwrap();
    // The write comes back before the step ends, and the list tells once more afterwards.
    tell(&mut state, "2");
    job.record.origin = known("2");
    state.done(job, &Outcome::Rest, now);
    assert!(state.next(now).is_none());
    tell(&mut state, "2");
    tell(&mut state, "1");
    assert!(state.next(now).is_none());
    // What somebody else writes is news, also during a step, and however the step ends.
    tell(&mut state, "3");
    let mut job = state.next(now).unwrap();
    tell(&mut state, "5");
    job.record.origin = known("4");
    state.done(job, &Outcome::Rest, now);
    let job = state.next(now).unwrap();
    tell(&mut state, "5");
    state.done(job, &Outcome::Retry(Duration::ZERO), now);
    assert!(state.next(now).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_order_in_hand_begins_when_all_copies_are_listed() {
    for (alone, begins) in [(true, true), (false, false)] {
        let now = Instant::now();
        let url: Arc<str> = "https://kcp".into();
        let (copies, orders) = subjects();
        let mut state = State::default();
        state.open("things.example.io", None, alone);
        state.order(&key("a"), &url, origin("a"), there("a"));
        state.follow(Source::Endpoint(url), orders, now);
        assert!(state.next(now).is_none(), "no copies are followed");
        state.follow(Source::Service, copies.clone(), now);
        state.copy(&key("b"), object(Place::Service, "b"), there("b"), false);
        assert!(state.next(now).is_none());
        listed(&mut state, &Source::Service, &copies);
        assert_eq!(state.next(now).is_some(), begins);
        assert!(
            state.next(now).is_none(),
            "the order of the copy may come yet"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_steps_are_under_way_than_a_publication_and_the_agent_allow() {
    let now = Instant::now();
    let (mut state, url, _) = two_publications(now);
    state.open("things.example.io", Some(2), false);
    for name in ["a", "b", "c", "d"] {
        state.order(&key(name), &url, origin(name), there(name));
        state.order(&another(name), &url, origin(name), there(name));
    }
    let begun =
        |state: &mut State| -> Vec<Job> { std::iter::from_fn(|| state.next(now)).collect() };
    let of = |jobs: &[Job], id: &str| jobs.iter().filter(|it| it.key.publication == id).count();
    let mut jobs = begun(&mut state);
    assert_eq!(of(&jobs, "things.example.io"), 2, "as many as it may have");
    assert_eq!(
        of(&jobs, "others.example.io"),
        4,
        "others have no such bound"
    );
    // One that ends makes room for one.
    let at = jobs
        .iter()
        .position(|it| it.key.publication == "things.example.io");
    let done = jobs.swap_remove(at.unwrap());
    state.done(done, &Outcome::Rest, now);
    assert_eq!(of(&begun(&mut state), "things.example.io"), 1);

    let mut state = State::new(7, 3);
    let (fresh, ..) = two_publications(now);
    state.gates = fresh.gates;
    for name in ["a", "b", "c", "d", "e"] {
        state.order(&another(name), &url, origin(name), there(name));
    }
    let jobs = begun(&mut state);
    assert!((1..=3).contains(&jobs.len()), "{} of 3 in all", jobs.len());
}
