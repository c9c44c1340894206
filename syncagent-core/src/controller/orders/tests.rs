//! Numbers, rows and what is left of those that are gone.

use super::*;
use crate::plan::Known;

fn key(cluster: &str, name: &str) -> Key {
    Key {
        publication: "things.example.io".into(),
        cluster: cluster.into(),
        namespace: "default".into(),
        name: name.into(),
    }
}

#[test]
fn an_order_is_found_by_its_key_and_gives_it_back() {
    let mut orders = Orders::default();
    let names = ["a", "ab", "b"].map(|name| (key("1abc", name), key("2def", name)));
    let keys: Vec<_> = names.into_iter().flat_map(|(a, b)| [a, b]).collect();
    let numbers: Vec<_> = keys.iter().map(|key| orders.add(key)).collect();
    for (key, number) in keys.iter().zip(&numbers) {
        assert_eq!(orders.find(key), Some(*number));
        assert_eq!(orders.key(*number), *key);
        assert_eq!(orders.record(*number), Record::default());
    }
    assert_eq!(orders.find(&key("3", "a")), None);
    assert_eq!(orders.find(&key("1abc", "c")), None);
    assert_eq!(orders.len(), 6);
}

#[test]
fn a_record_is_kept_as_it_is() {
    let mut orders = Orders::default();
    let order = orders.add(&key("1abc", "a"));
    let record = Record {
        origin: Some(Known {
            uid: "bb9f9642-0605-4da3-97b8-2bd5b2ec8fb7".into(),
            version: "12".into(),
        }),
        finalizers: vec!["somebody.else/hold".into()],
        ..Record::default()
    };
    orders.keep(order, &record);
    assert_eq!(orders.record(order), record);
    assert_eq!(orders.find(&key("1abc", "a")), Some(order));
    assert_eq!(orders.key(order), key("1abc", "a"));
}

#[test]
fn what_is_gone_leaves_nothing_behind() {
    let mut orders = Orders::default();
    let order = orders.add(&key("1abc", "a"));
    orders.tell_of(order, "https://kcp");
    orders.tell_of(order, "https://kcp");
    orders.remove(order);
    assert_eq!(orders.len(), 0);
    assert_eq!(orders.find(&key("1abc", "a")), None);
    assert!(!orders.has(order));
    assert!(orders.numbers.is_empty());
    for texts in [&orders.clusters, &orders.publications, &orders.endpoints] {
        assert_eq!(texts.len(), 0);
    }
    // Its number is another one's now.
    assert_eq!(orders.add(&key("2def", "b")), order);
    assert_eq!(orders.key(order), key("2def", "b"));
    assert_eq!(orders.endpoint(order), None);
}
