//! Numbers, rows and what is left of those that are gone.

use serde_json::{Value, json};

use super::*;
use crate::plan::{CopyKnown, Known, Leaves, ReturnedKnown, TakenKnown};

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

fn spec(first: &str) -> Value {
    let parameters = (1..40).map(|n| (format!("parameter_{n:02}"), json!(n)));
    let mut parameters: serde_json::Map<_, _> = parameters.collect();
    parameters.insert(first.to_owned(), json!(0));
    json!({"spec": {"parameters": parameters}})
}

fn remembering(first: &str, salt: &str) -> Record {
    let known = json!({"uid": "bb9f9642-0605-4da3-97b8-2bd5b2ec8fb7", "version": "12"});
    let copy = json!({"known": known, "applied": null, "entry": null, "generation": 1, "reflects": 1, "before": 0,
        "content": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "deleting": false, "suspect": false, "leaves": null});
    let mut copy: CopyKnown = serde_json::from_value(copy).unwrap();
    copy.leaves = Some(Leaves::of(&spec(first), salt));
    let kind = json!({"group": "", "version": "v1", "kind": "Secret", "plural": "secrets", "scope": "Namespaced"});
    let secret = json!({"place": "Service", "kind": kind, "namespace": "1abc", "name": "a"});
    let taken = json!({"path": "spec.secret", "origin": secret, "copy": secret, "seen": null, "from": null,
        "finalizers": [], "to": known, "entry": null, "looked_origin": true, "looked_copy": true, "foreign": false,
        "refused": null, "recreate": false, "dropped": false, "status": "Unknown", "leaves": null});
    let mut taken: TakenKnown = serde_json::from_value(taken).unwrap();
    taken.leaves = Some(Leaves::of(&json!({"data": {"password": "x"}}), salt));
    let returned = json!({"id": "connection", "object": secret, "reads": [], "at": known, "looked": true, "foreign": false,
        "parts": [], "made_of": null, "content": null, "dirty": false, "refused": null, "recreate": false,
        "dropped": false, "status": "Unknown", "leaves": null});
    let mut returned: ReturnedKnown = serde_json::from_value(returned).unwrap();
    returned.leaves = Some(Leaves::of(&json!({"data": {"host": "x"}}), salt));
    Record {
        copy: Some(copy),
        taken: vec![taken],
        returned: vec![returned],
        ..Record::default()
    }
}

#[test]
fn records_of_one_shape_hold_its_paths_once() {
    let mut orders = Orders::default();
    let names: Vec<String> = (0..100).map(|n| format!("a{n}")).collect();
    let numbers: Vec<u32> = names
        .iter()
        .map(|name| orders.add(&key("1abc", name)))
        .collect();
    for (name, order) in names.iter().zip(&numbers) {
        orders.keep(*order, &Record::default());
        let empty = orders.rows.get(*order).len();
        orders.keep(*order, &remembering("parameter_00", name));
        assert_eq!(
            orders.record(*order),
            remembering("parameter_00", name),
            "every path is there again"
        );
        // Eight bytes for each of 42 leaves, and what else is known of three objects.
        let more = orders.rows.get(*order).len() - empty;
        assert!(more < 42 * 8 + 225, "{more}");
    }
    assert_eq!(orders.shapes.len(), 3);
    orders.keep(numbers[0], &remembering("another", "a0"));
    assert_eq!(orders.record(numbers[0]), remembering("another", "a0"));
    assert_eq!(
        orders.record(numbers[1]),
        remembering("parameter_00", "a1"),
        "another order has its own"
    );
    assert_eq!(orders.shapes.len(), 4);
    orders.wipe(numbers[0]);
    assert_eq!(orders.record(numbers[0]), Record::default());
    assert_eq!(orders.shapes.len(), 3);
    for order in numbers {
        orders.remove(order);
    }
    assert_eq!(orders.shapes.len(), 0, "nobody has these shapes any more");
}
