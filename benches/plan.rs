//! What a decision costs, as ratios to the one thing that nobody can avoid: parsing the order's JSON.
//!
//! ```console
//! cargo bench --bench plan
//! ```
//!
//! Each row alternates with the reference within one run, so the ratio holds where the machine's speed drifts; the
//! median of the rounds is printed. Nothing is asserted.

#![expect(clippy::print_stdout, reason = "a bench speaks through its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncagent::definition::{
    Definition, Kind, SchemaSource, Scope, StatusField, StatusRule, StatusSource,
};
use syncagent_core::controller::pack::{Words, pack, unpack};
use syncagent_core::object::identity::Identity;
use syncagent_core::plan::{Context, Record, Seen, Sight, plan};
use syncagent_core::publication::Publications;

const ROUNDS: usize = 41;
const TURNS: u32 = 200;

fn definition() -> Definition {
    let kind = Kind {
        group: "example.io".into(),
        version: "v1".into(),
        kind: "Thing".into(),
        plural: "things".into(),
        scope: Scope::Namespaced,
    };
    let text = json!({"type": "string"});
    let parameters = json!({"type": "object", "additionalProperties": text});
    Definition {
        schema: SchemaSource::Type(json!({"spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.kind, "plural": kind.plural},
            "versions": [{
                "name": kind.version, "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "parameters": parameters}},
                    "status": {"type": "object", "properties": {"phase": text}},
                }}},
            }],
        }})),
        status: StatusRule::Fields(vec![StatusField {
            path: "status.phase".into(),
            source: StatusSource::At("status.phase".into()),
        }]),
        ..Definition::new(kind.clone(), kind)
    }
}

/// An order of about 2 KiB.
fn order() -> String {
    let parameters: serde_json::Map<String, Value> = (0..40)
        .map(|n| {
            (
                format!("parameter_{n:02}"),
                json!(format!("a value of some length, number {n}")),
            )
        })
        .collect();
    json!({
        "apiVersion": "example.io/v1", "kind": "Thing",
        "metadata": {
            "name": "one", "namespace": "default", "uid": "0f0e", "resourceVersion": "12", "generation": 1,
            "annotations": {"kcp.io/cluster": "2xj8f9k3m5n7p1q4"},
        },
        "spec": {"size": 3, "parameters": parameters},
    })
    .to_string()
}

fn once(work: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..TURNS {
        work();
    }
    start.elapsed() / TURNS
}

/// The median time of the work, and the median of its ratio to the reference, turn by turn.
fn side_by_side(reference: &mut dyn FnMut(), work: &mut dyn FnMut()) -> (Duration, f64) {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut ratios = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let (there, here) = (once(reference), once(work));
        times.push(here);
        ratios.push(here.as_secs_f64() / there.as_secs_f64());
    }
    times.sort_unstable();
    ratios.sort_by(f64::total_cmp);
    (times[ROUNDS / 2], ratios[ROUNDS / 2])
}

fn main() {
    let text = order();
    let parsed: Value = serde_json::from_str(&text).expect("the order is JSON");
    let definitions = [definition()];
    let publications =
        Publications::compile("things.example.io", &definitions).expect("it compiles");
    let publication = publications.iter().next().expect("there is one");
    let key = publication.key(Identity {
        cluster: "2xj8f9k3m5n7p1q4".into(),
        namespace: "default".into(),
        name: "one".into(),
    });
    let context = Context {
        now: "2026-11-22T18:00:00Z".into(),
        paused: false,
    };
    let mut seen = Seen::new();
    seen.note(publication.origin(&key), Sight::There(parsed));
    let record = Record::default();

    let mut parse = || {
        black_box(serde_json::from_str::<Value>(black_box(&text)).is_ok());
    };
    println!(
        "an order of {} bytes; times per turn, ratio to parsing it",
        text.len()
    );
    let mut row = |name: &str, work: &mut dyn FnMut()| {
        let (time, ratio) = side_by_side(&mut parse, work);
        println!(
            "{name:<34} {:>9.2} us   {ratio:>6.2} x",
            time.as_secs_f64() * 1e6
        );
    };
    row("name the copy", &mut || {
        black_box(publication.copy(black_box(&key)).is_ok());
    });
    row("plan a new order (hold, place)", &mut || {
        let _ = black_box(plan(&context, publication, &key, &record, &seen));
    });
    // What is remembered of an order that was seen, as it lies while the order rests.
    let known = plan(&context, publication, &key, &record, &seen).record;
    let near = ["2xj8f9k3m5n7p1q4", "default", "one"];
    let mut words = Words::default();
    let mut packed = Vec::new();
    row("pack its record", &mut || {
        packed.clear();
        pack(black_box(&known), &mut words, &near, &mut packed).expect("it is made to be packed");
    });
    row("unpack its record", &mut || {
        let unpacked = unpack::<Record>(black_box(&packed), &words, &near);
        assert!(black_box(unpacked).is_ok());
    });
    row("make the published schema", &mut || {
        black_box(publication.resource_schema(None).is_ok());
    });
    row("compile the definition", &mut || {
        black_box(Publications::compile("things.example.io", &definitions).is_ok());
    });
}
