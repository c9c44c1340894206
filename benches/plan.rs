//! What a decision costs, as ratios to the one thing that nobody can avoid: parsing the order's JSON.
//!
//! ```console
//! cargo bench --bench plan
//! ```
//!
//! Each row alternates with the reference within one run, so the ratio holds where the machine's speed drifts; the
//! median of the rounds is printed. Nothing is asserted.

#![expect(clippy::print_stdout, reason = "a bench speaks through its table")]

#[path = "micro/order.rs"]
#[expect(
    dead_code,
    reason = "another bench's order, of which little is used here"
)]
mod order;

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::Value;
use syncagent_core::controller::pack::{Words, pack, unpack};
use syncagent_core::plan::Record;
use syncagent_core::publication::Publications;

use crate::order::{Settled, definition};

const ROUNDS: usize = 41;
const TURNS: u32 = 200;

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
    let it = Settled::new();
    let text = it.origin.to_string();
    let publication = it.publication();
    let (seen, record) = (it.first_sight(), Record::default());

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
        black_box(publication.copy(black_box(&it.key)).is_ok());
    });
    row("plan a new order (hold, place)", &mut || {
        let _ = black_box(it.plan(&record, &seen));
    });
    // What is remembered of an order that was seen, as it lies while the order rests.
    let known = it.plan(&record, &seen).record;
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
    let definitions = [definition()];
    row("compile the definition", &mut || {
        black_box(Publications::compile("things.example.io", &definitions).is_ok());
    });
}
