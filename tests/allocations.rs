//! What a step may allocate: counted, so it holds on every machine. A process of its own, since it counts its allocator.

#[path = "../benches/micro/order.rs"]
mod order;

use std::alloc::System;

use alloc_tracker::{Allocator, Session};
use syncagent_core::plan::{Deed, Record, Seen};

use crate::order::{Settled, changed, deleting, reported};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// The most allocations and bytes of each sort of plan.
const ECHO: (u64, u64) = (265, 16_500);
const NEW: (u64, u64) = (415, 30_000);
const UPDATE: (u64, u64) = (395, 28_000);
const STATUS: (u64, u64) = (325, 22_000);
const DELETION: (u64, u64) = (445, 33_500);

/// How often a plan allocates, how much, and what it does.
fn planned(it: &Settled, record: &Record, seen: &Seen) -> (u64, u64, Vec<Deed>) {
    let session = Session::new().no_stdout().no_file();
    let operation = session.operation("plan");
    let plan = {
        let _span = operation.measure_thread().iterations(1);
        it.plan(record, seen)
    };
    let report = session.to_report();
    let (_, counted) = report.operations().next().expect("one was measured");
    let deeds = plan
        .effects
        .iter()
        .map(|effect| effect.deed.clone())
        .collect();
    (
        counted.total_allocations_count(),
        counted.total_bytes_allocated(),
        deeds,
    )
}

#[test]
fn a_plan_allocates_no_more_than_was_agreed() {
    let it = Settled::new();
    let fresh = Record::default();
    let mut beyond = Vec::new();
    for (what, record, seen, deeds, most) in [
        ("echo", &it.record, it.brought(&it.origin), vec![], ECHO),
        (
            "new",
            &fresh,
            it.first_sight(),
            vec![Deed::Hold, Deed::Place],
            NEW,
        ),
        (
            "update",
            &it.record,
            it.brought(&changed(&it.origin)),
            vec![Deed::Refresh],
            UPDATE,
        ),
        (
            "status",
            &it.record,
            it.brought_copy(&reported(&it.copy)),
            vec![Deed::Reflect],
            STATUS,
        ),
        (
            "deletion",
            &it.record,
            it.brought(&deleting(&it.origin)),
            vec![Deed::Retire],
            DELETION,
        ),
    ] {
        let (allocations, bytes, done) = planned(&it, record, &seen);
        assert_eq!(done, deeds, "{what}");
        if allocations > most.0 || bytes > most.1 {
            beyond.push(format!(
                "{what}: {allocations} allocations, {bytes} bytes; at most {most:?}"
            ));
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}
