//! A shelf is a map that wastes little.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// How many bytes a shelf has of the allocator, and how many it needs.
fn room(shelf: &Shelf) -> (usize, usize) {
    let has = shelf.blocks.iter().map(|it| it.bytes.capacity()).sum();
    let needs = (0..shelf.places.len() as u32).map(|it| shelf.get(it).len());
    (has, needs.sum())
}

#[test]
fn pieces_that_change_again_and_again_leave_nothing_behind() {
    let mut shelf = Shelf::default();
    let piece = |number: u32, turn: u8| vec![turn; 300 + number as usize % 7];
    for turn in 0..20 {
        for number in 0..5000 {
            shelf.put(number, &piece(number, turn));
        }
    }
    for number in 0..5000 {
        assert_eq!(shelf.get(number), piece(number, 19));
    }
    let (has, needs) = room(&shelf);
    assert!(has < needs * 6 / 5 + 2 * BLOCK, "{has} for {needs}");
    for number in 0..5000 {
        shelf.put(number, &[]);
        assert!(shelf.get(number).is_empty());
    }
    assert!(room(&shelf).0 <= 2 * BLOCK);
}

#[test]
fn a_piece_larger_than_a_block_has_its_own() {
    let mut shelf = Shelf::default();
    let large = vec![7; 3 * BLOCK];
    for number in [1, 0, 1] {
        shelf.put(number, b"small");
        shelf.put(2, &large);
    }
    assert_eq!((shelf.get(0), shelf.get(1)), (&b"small"[..], &b"small"[..]));
    assert_eq!(shelf.get(2), large);
    assert!(shelf.get(3).is_empty());
    shelf.put(2, &[]);
    shelf.put(0, b"another");
    assert!(room(&shelf).0 <= 3 * BLOCK);
}

proptest! {
    #![proptest_config(crate::controller::chance::cases(64))]

    #[test]
    fn it_is_a_map(steps in proptest::collection::vec((0_u32..40, 0_usize..20_000, any::<u8>()), 1..300)) {
        let (mut shelf, mut map) = (Shelf::default(), HashMap::new());
        for (number, length, byte) in steps {
            let piece = vec![byte; length];
            shelf.put(number, &piece);
            map.insert(number, piece);
            for number in 0..40 {
                prop_assert_eq!(shelf.get(number), map.get(&number).map_or(&[][..], |it| it));
            }
        }
        let (has, needs) = room(&shelf);
        prop_assert!(has <= needs * 2 + 3 * BLOCK, "{} for {}", has, needs);
    }
}
