use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Road {
    pedal: Pedal,
    at: Instant,
    now: Timestamp,
}

impl Road {
    fn new(limit: usize) -> Self {
        let mut pedal = Pedal::new(limit);
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(pedal.heed(&json!({}), now), Change::Off);
        Self {
            pedal,
            at: Instant::now(),
            now,
        }
    }

    fn wait(&mut self, time: Duration) {
        self.at += time;
        self.now += time;
    }

    fn ask(&mut self) -> bool {
        self.pedal.ask(self.at, self.now).0 == Answer::Go
    }

    fn heed(&mut self, key: &str, value: &str) -> Change {
        let export = json!({"metadata": {"annotations": {key: value}}});
        self.pedal.heed(&export, self.now)
    }
}

#[test]
fn the_limit_is_let_through_and_the_next_one_pulls_the_brake() {
    let mut road = Road::new(3);
    assert_eq!([road.ask(), road.ask(), road.ask()], [true; 3]);
    assert_eq!(
        road.pedal.ask(road.at, road.now),
        (Answer::Wait, Change::On)
    );
    // No time lifts it.
    road.wait(SECOND * 86_400);
    assert_eq!(
        road.pedal.ask(road.at, road.now),
        (Answer::Wait, Change::None)
    );
}

#[test]
fn who_stays_below_the_limit_never_waits() {
    let mut road = Road::new(3);
    for _ in 0..100 {
        assert!(road.ask());
        road.wait(SECOND * 20);
    }
}

#[test]
fn in_no_minute_more_than_the_limit_are_let_through() {
    // All small rhythms: what is let through before the brake is on.
    for rhythm in 0..4096_u32 {
        let mut road = Road::new(4);
        let mut times = Vec::new();
        for bit in 0..12 {
            road.wait(SECOND * if rhythm >> bit & 1 == 1 { 31 } else { 4 });
            if road.ask() {
                times.push(road.at);
            }
        }
        let most = times.iter().map(|from| {
            let near = |at: &&Instant| **at >= *from && **at < *from + WINDOW;
            times.iter().filter(near).count()
        });
        assert!(most.max().unwrap_or_default() <= 4, "{rhythm:b}");
    }
}

#[test]
fn nothing_is_let_through_before_the_export_was_seen() {
    let mut pedal = Pedal::new(3);
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(pedal.ask(Instant::now(), now), (Answer::Wait, Change::None));
    // Whoever asked tries again then.
    assert_eq!(pedal.heed(&json!({}), now), Change::Off);
    assert_eq!(pedal.ask(Instant::now(), now).0, Answer::Go);
}

#[test]
fn a_restart_does_not_lift_it() {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    for said in ["2025-12-31T23:59:59Z", "by hand"] {
        let mut pedal = Pedal::new(3);
        let export = json!({"metadata": {"annotations": {names::PAUSED: said}}});
        assert_eq!(pedal.heed(&export, now), Change::On, "{said}");
        assert_eq!(pedal.ask(Instant::now(), now).0, Answer::Wait);
    }
}

#[test]
fn a_persons_word_lifts_it_for_a_while() {
    let mut road = Road::new(1);
    assert!(road.ask() && !road.ask());
    // A time that is over, and what is no time, say nothing.
    for said in ["2025-12-31T00:00:00Z", "yes"] {
        assert_eq!(road.heed(names::RETIRE_UNTIL, said), Change::None);
        assert!(!road.ask());
    }
    assert_eq!(
        road.heed(names::RETIRE_UNTIL, "2026-01-01T00:10:00Z"),
        Change::Off
    );
    assert!((0..100).all(|_| road.ask()));
    // An old event of the export does not pull it again.
    assert_eq!(
        road.heed(names::PAUSED, "2026-01-01T00:00:00Z"),
        Change::None
    );
    assert!(road.ask());
    // Afterwards it is as it was.
    road.wait(SECOND * 600);
    assert!(road.ask() && !road.ask());
    assert_eq!(
        road.heed(names::RETIRE_UNTIL, "2026-01-01T00:10:00Z"),
        Change::None
    );
    assert!(!road.ask());
}
