//! It is a map, in order, and reads little of itself.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// An entry was read.
pub(super) fn read_one() {
    READ.set(READ.get() + 1);
}

/// How many entries are read meanwhile, by this thread.
pub(crate) fn read<T>(what: impl FnOnce() -> T) -> (T, usize) {
    let before = READ.get();
    let out = what();
    (out, READ.get() - before)
}

/// How many bytes it has of the allocator, and how many its entries have.
fn room(map: &Sorted) -> (usize, usize) {
    let pages = map.pages.capacity() * size_of::<Vec<u8>>();
    let has: usize = map.pages.iter().map(Vec::capacity).sum();
    let needs = map.all().map(|(key, value)| key.len() + value.len());
    (has + pages, needs.sum())
}

fn key(number: usize) -> Vec<u8> {
    format!("{number:020}").into_bytes()
}

#[test]
fn in_whatever_order_entries_come_few_bytes_are_lost_and_few_entries_read() {
    const MANY: usize = 5000;
    // One behind the other; from the end; and all over the place, for 7 and 5000 have no common factor.
    let orders: [fn(usize) -> usize; 3] = [|at| at, |at| MANY - 1 - at, |at| at * 7 % MANY];
    for order in orders {
        let mut map = Sorted::default();
        for at in 0..MANY {
            let number = order(at);
            assert_eq!(map.put(&key(number), &vec![7; number % 90]), None);
        }
        let (has, needs) = room(&map);
        assert!(has <= needs + 8 * MANY, "{has} for {needs}");
        for number in 0..MANY {
            let (value, read) = read(|| map.get(&key(number)).map(<[u8]>::len));
            assert_eq!(value, Some(number % 90));
            assert!(read < 100, "{read} entries were read for one");
        }
        // What goes gives its room back.
        for number in (0..MANY).filter(|it| it % 100 > 0) {
            map.remove(&key(number)).unwrap();
        }
        let (has, needs) = room(&map);
        assert!(has - map.pages.capacity() * size_of::<Vec<u8>>() <= needs + 2 * MANY / 100);
        assert!(map.pages.len() <= 5, "{} pages are left", map.pages.len());
        for number in (0..MANY).filter(|it| it % 100 == 0) {
            map.remove(&key(number)).unwrap();
        }
        assert!(map.pages.is_empty());
    }
}

#[test]
fn an_entry_larger_than_a_page_has_its_own() {
    let mut map = Sorted::default();
    let large = vec![1; 3 * PAGE];
    for name in ["b", "a", "c"] {
        map.put(name.as_bytes(), &large);
        map.put(format!("{name}x").as_bytes(), b"small");
    }
    let lengths: Vec<_> = map.all().map(|(_, value)| value.len()).collect();
    assert_eq!(lengths, [3 * PAGE, 5, 3 * PAGE, 5, 3 * PAGE, 5]);
}

proptest! {
    #![proptest_config(crate::controller::chance::cases(64))]

    #[test]
    fn it_is_a_map(steps in proptest::collection::vec((0_u8..2, "[ab]{0,4}", 0_usize..1500, any::<u8>()), 1..300)) {
        let (mut map, mut plain) = (Sorted::default(), BTreeMap::new());
        for (kind, key, length, byte) in steps {
            let key = key.into_bytes();
            let value = vec![byte; length];
            if kind == 0 {
                let before = map.remove(&key);
                prop_assert_eq!(before, plain.remove(&key).map(Vec::into_boxed_slice));
            } else {
                let before = map.put(&key, &value);
                prop_assert_eq!(before, plain.insert(key.clone(), value).map(Vec::into_boxed_slice));
            }
            prop_assert!(map.pages.iter().all(|it| !it.is_empty()));
            prop_assert_eq!(map.get(&key), plain.get(&key).map(|it| &it[..]));
            let same = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
            let all: Vec<_> = map.all().map(same).collect();
            prop_assert_eq!(&all, &plain.clone().into_iter().collect::<Vec<_>>());
            let from: Vec<_> = map.from(key.clone()).map(same).collect();
            let wanted: Vec<_> = plain.range(key.clone()..).map(|(a, b)| (a.clone(), b.clone())).collect();
            prop_assert_eq!(from, wanted);
            let beginning: Vec<_> = map.beginning(key.clone()).map(same).collect();
            let wanted: Vec<_> = all.into_iter().filter(|(it, _)| it.starts_with(&key)).collect();
            prop_assert_eq!(beginning, wanted);
        }
    }
}
