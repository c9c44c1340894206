//! What is packed comes out as it went in, and in how few bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct All {
    flag: bool,
    small: i8,
    numbers: (u16, u32, u64, i64, f64),
    letter: char,
    unit: (),
    path: String,
    texts: Vec<String>,
    maybe: Option<Option<String>>,
    map: BTreeMap<String, Vec<u8>>,
    sorts: Vec<Sort>,
    digest: [u8; 4],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Sort {
    Unit,
    New(String),
    Pair(u8, i32),
    Struct { id: String, other: Option<bool> },
}

const NEAR: [&str; 3] = ["1abc", "default", "order-1"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{1,24}",
        "[0-9a-f]{1,40}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        "(1abc|default|order-1|True|metadata)-?[a-z]{0,3}",
    ]
}

fn sort() -> impl Strategy<Value = Sort> {
    prop_oneof![
        Just(Sort::Unit),
        text().prop_map(Sort::New),
        any::<(u8, i32)>().prop_map(|(a, b)| Sort::Pair(a, b)),
        (text(), any::<Option<bool>>()).prop_map(|(id, other)| Sort::Struct { id, other }),
    ]
}

fn all() -> impl Strategy<Value = All> {
    let numbers = (any::<(u16, u32, u64, i64)>(), -1e300..1e300_f64);
    (
        any::<(bool, i8, char)>(),
        numbers,
        (text(), prop::collection::vec(text(), 0..4)),
        any::<Option<Option<bool>>>(),
        prop::collection::btree_map(text(), any::<Vec<u8>>(), 0..3),
        prop::collection::vec(sort(), 0..4),
        any::<[u8; 4]>(),
    )
        .prop_map(
            |(
                (flag, small, letter),
                ((a, b, c, d), e),
                (path, texts),
                maybe,
                map,
                sorts,
                digest,
            )| {
                All {
                    flag,
                    small,
                    numbers: (a, b, c, d, e),
                    letter,
                    unit: (),
                    path,
                    texts,
                    maybe: maybe.map(|it| it.map(|it| it.to_string())),
                    map,
                    sorts,
                    digest,
                }
            },
        )
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(crate::controller::chance::cases(256))]

    #[test]
    fn what_is_packed_comes_out_as_it_went_in(first in all(), second in all()) {
        let mut words = Words::default();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        pack(&first, &mut words, &NEAR, &mut a).unwrap();
        // What is packed later, with more words, does not change what lies there.
        pack(&second, &mut words, &NEAR, &mut b).unwrap();
        prop_assert_eq!(unpack::<All>(&a, &words, &NEAR).unwrap(), first);
        prop_assert_eq!(unpack::<All>(&b, &words, &NEAR).unwrap(), second);
    }

    #[test]
    fn json_comes_out_as_it_went_in(value in json()) {
        let words = Words::default();
        let mut out = Vec::new();
        plant(&value, &words, &NEAR, &mut out);
        prop_assert_eq!(root(&mut &out[..], &words, &NEAR), Some(value));
    }

    #[test]
    fn foreign_bytes_are_refused_or_read_but_never_a_panic(bytes: Vec<u8>) {
        let words = Words::default();
        let _ = unpack::<Vec<Sort>>(&bytes, &words, &NEAR);
    }
}

fn size<T: Serialize>(value: &T, words: &mut Words) -> usize {
    let mut out = Vec::new();
    pack(value, words, &NEAR, &mut out).unwrap();
    out.len()
}

#[test]
fn texts_of_a_known_sort_take_few_bytes() {
    let mut words = Words::default();
    let sizes = [
        ("bb9f9642-0605-4da3-97b8-2bd5b2ec8fb7", 17),
        ("1234567", 4),
        ("2026-11-22T19:06:46Z", 7),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", 22),
        ("order-1", 1),
        ("order-1-superuser", 12),
        ("something else", 15),
    ];
    for (text, bytes) in sizes {
        assert_eq!(size(&text, &mut words), bytes, "{text}");
    }
}

#[test]
fn the_words_of_definitions_are_kept_once() {
    use crate::definition::{Kind, Scope};
    let kind = Kind {
        group: "postgresql.cnpg.io".into(),
        version: "v1".into(),
        kind: "Cluster".into(),
        plural: "clusters".into(),
        scope: Scope::Namespaced,
    };
    let mut words = Words::default();
    let first = size(&kind, &mut words);
    assert!(first <= 9, "{first} bytes");
    assert!(!words.is_known("order-77"));
    size(&json!({"name": "order-77"}), &mut words);
    assert!(!words.is_known("order-77"), "a consumer's text is no word");
}
