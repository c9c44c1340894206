//! Shares, urgency, room and appointments.

use super::Urgency::{Change, Resync};
use super::*;

type Key = (&'static str, u32);

impl Laned for Key {
    type Class = u32;
    type Lane = &'static str;

    /// Publications are told apart by thousands here.
    fn class(&self) -> u32 {
        self.1 / 100_000
    }

    fn lane(&self) -> &'static str {
        self.0
    }
}

fn pop(queue: &mut Queue<Key, u64>, now: u64) -> Option<Key> {
    queue.pop(now, |_| true)
}

#[test]
fn a_noisy_tenant_delays_a_quiet_one_by_one_object() {
    let mut queue = Queue::<Key, u64>::default();
    for n in 0..10_000 {
        queue.push(("noisy", n), Change);
    }
    queue.push(("quiet", 0), Change);
    assert_eq!(pop(&mut queue, 0), Some(("noisy", 0)));
    assert_eq!(pop(&mut queue, 0), Some(("quiet", 0)));
}

#[test]
fn lanes_that_are_always_hot_get_equal_shares() {
    let names: [&'static str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    for urgency in [Change, Resync] {
        let mut queue = Queue::<Key, u64>::default();
        let mut served: BTreeMap<Key, usize> = BTreeMap::new();
        // Unequal numbers of objects, every one of them dirty again as soon as it was served.
        for (size, name) in names.iter().enumerate() {
            for n in 0..=u32::try_from(size).unwrap() * 10 {
                queue.push((name, n), urgency);
            }
        }
        for _ in 0..7 * 610 {
            let key = pop(&mut queue, 0).unwrap();
            *served.entry(key).or_default() += 1;
            queue.push(key, urgency);
            queue.finish(&key);
        }
        for (size, name) in names.iter().enumerate() {
            let of_lane = served.iter().filter(|(k, _)| k.0 == *name);
            let counts: Vec<_> = of_lane.map(|(_, n)| *n).collect();
            assert_eq!(counts.iter().sum::<usize>(), 610, "lane {name}");
            assert_eq!(
                counts.len(),
                size * 10 + 1,
                "every object of {name} was served"
            );
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }
}

#[test]
fn a_key_is_worked_on_once_at_a_time_and_comes_again() {
    let mut queue = Queue::<Key, u64>::default();
    queue.push(("a", 1), Change);
    queue.push(("a", 1), Change);
    assert_eq!(pop(&mut queue, 0), Some(("a", 1)));
    queue.push(("a", 1), Change);
    assert_eq!(pop(&mut queue, 0), None);
    queue.finish(&("a", 1));
    assert_eq!(pop(&mut queue, 0), Some(("a", 1)));
    queue.finish(&("a", 1));
    assert_eq!(pop(&mut queue, 0), None);
    assert!(queue.is_idle());
}

#[test]
fn appointments_are_kept_and_a_push_beats_them() {
    let mut queue = Queue::<Key, u64>::default();
    queue.push_at(("a", 1), 10, Change);
    queue.push_at(("a", 1), 20, Change);
    assert_eq!(queue.next_due(), Some(10));
    assert_eq!(pop(&mut queue, 9), None);
    assert_eq!(pop(&mut queue, 10), Some(("a", 1)));
    queue.push_at(("a", 1), 30, Change);
    queue.finish(&("a", 1));
    queue.push(("a", 1), Change);
    assert_eq!(queue.next_due(), None);
    assert_eq!(pop(&mut queue, 11), Some(("a", 1)));
}

#[test]
fn changes_go_before_resyncs_and_do_not_starve_them() {
    let mut queue = Queue::<Key, u64>::default();
    for n in 0..100 {
        queue.push(("a", n), Resync);
        queue.push(("b", n), Change);
    }
    let first: Vec<_> = (0..RUN).map(|_| pop(&mut queue, 0).unwrap().0).collect();
    assert!(first.iter().all(|lane| *lane == "b"));
    assert_eq!(pop(&mut queue, 0), Some(("a", 0)));
    let rest: Vec<_> = std::iter::from_fn(|| pop(&mut queue, 0)).collect();
    assert_eq!(rest.len(), 191);
    assert_eq!(
        rest.iter().take(90).filter(|key| key.0 == "a").count(),
        10,
        "one in nine while there are changes"
    );
}

#[test]
fn a_change_of_what_waits_for_a_resync_makes_it_urgent() {
    let mut queue = Queue::<Key, u64>::default();
    for n in 0..100 {
        queue.push(("a", n), Resync);
    }
    queue.push(("a", 77), Change);
    queue.push(("a", 77), Resync);
    assert_eq!(pop(&mut queue, 0), Some(("a", 77)));
    queue.finish(&("a", 77));
    let rest: Vec<_> = std::iter::from_fn(|| pop(&mut queue, 0)).collect();
    assert_eq!(rest.len(), 99, "and it does not come twice");
    assert!(!rest.contains(&("a", 77)));
}

#[test]
fn a_class_without_room_keeps_its_places_and_holds_nobody_up() {
    let mut queue = Queue::<Key, u64>::default();
    for n in 0..3 {
        queue.push(("a", n), Change);
    }
    queue.push(("a", 100_000), Change);
    let full = |class: &u32| *class != 0;
    assert_eq!(queue.pop(0, full), Some(("a", 100_000)));
    assert_eq!(queue.pop(0, full), None);
    assert_eq!(queue.waiting(), 3);
    for n in 0..3 {
        assert_eq!(pop(&mut queue, 0), Some(("a", n)));
    }
}

#[test]
fn a_poisoned_object_does_not_hold_its_neighbours_up() {
    let mut queue = Queue::<Key, u64>::default();
    for n in 0..3 {
        queue.push(("a", n), Change);
    }
    let poisoned = pop(&mut queue, 0).unwrap();
    queue.push_at(poisoned, 50, Change);
    queue.finish(&poisoned);
    let rest: Vec<_> = std::iter::from_fn(|| pop(&mut queue, 0)).collect();
    assert_eq!(rest, [("a", 1), ("a", 2)]);
}

#[test]
fn no_lane_has_everybody_who_works() {
    let mut queue = Queue::<Key, u64>::default();
    queue.share(3);
    for n in 0..10 {
        queue.push(("noisy", n), Change);
    }
    let first: Vec<_> = std::iter::from_fn(|| pop(&mut queue, 0)).collect();
    assert_eq!(first.len(), 3);
    queue.push(("quiet", 0), Resync);
    assert_eq!(
        pop(&mut queue, 0),
        Some(("quiet", 0)),
        "there is room for it"
    );
    assert_eq!(pop(&mut queue, 0), None);
    queue.finish(&first[0]);
    assert_eq!(pop(&mut queue, 0), Some(("noisy", 3)));
}
