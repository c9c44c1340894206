//! What each part of a step costs: time by criterion, and how much is allocated.
//!
//! ```console
//! cargo bench --bench micro
//! cargo bench --bench micro -- plan
//! ```
//!
//! The order has about 2 KiB. Allocations are counted, so they are the same on every machine; `tests/allocations.rs` holds
//! the ones that are promised. Ratios to parsing the order, which nobody can avoid, are in `benches/plan.rs`.

#![expect(clippy::print_stdout, reason = "a bench speaks through its table")]

mod order;

use std::alloc::System;
use std::hint::black_box;

use alloc_tracker::{Allocator, Session};
use criterion::Criterion;
use serde_json::Value;
use syncagent::definition::{Change, Mutation};
use syncagent_core::controller::index::Index;
use syncagent_core::mutation::Pipeline;
use syncagent_core::object::fingerprint::Fingerprint;
use syncagent_core::plan::{ObjectRef, Record};
use syncagent_core::status::{Generations, Up};

use crate::order::{Settled, changed, deleting, reported};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// How often something is done to count what it allocates.
const TIMES: u64 = 64;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let session = Session::new().no_stdout().no_file();
    let mut measure = |name: &str, work: &mut dyn FnMut()| {
        criterion.bench_function(name, |bencher| bencher.iter(&mut *work));
        let operation = session.operation(name);
        let _span = operation.measure_thread().iterations(TIMES);
        for _ in 0..TIMES {
            work();
        }
    };

    let it = Settled::new();
    let text = it.origin.to_string();
    measure("parse the order", &mut || {
        black_box(serde_json::from_str::<Value>(black_box(&text)).is_ok());
    });
    let fresh = Record::default();
    for (name, record, seen) in [
        ("plan/new", &fresh, it.first_sight()),
        ("plan/update", &it.record, it.brought(&changed(&it.origin))),
        (
            "plan/status",
            &it.record,
            it.brought_copy(&reported(&it.copy)),
        ),
        ("plan/delete", &it.record, it.brought(&deleting(&it.origin))),
        ("plan/settled echo", &it.record, it.brought(&it.origin)),
    ] {
        measure(name, &mut || {
            let _ = black_box(it.plan(record, black_box(&seen)));
        });
    }

    measure("render a name", &mut || {
        black_box(it.publication().copy(black_box(&it.key)).is_ok());
    });
    let text = "{{ .Value }}-{{ .LocalObject.metadata.name | upper }}";
    let change = Change::Template(text.into());
    let mutation = Mutation::new("spec.parameters.parameter_00", change);
    let pipeline = Pipeline::compile(&[mutation]).expect("it is a template");
    measure("render a Go template", &mut || {
        let mut object = it.origin.clone();
        black_box(pipeline.apply(&mut object, None).is_ok());
    });
    measure("make the apply's body", &mut || {
        black_box(
            it.publication()
                .intent(&it.key, black_box(&it.origin))
                .is_ok(),
        );
    });
    measure("fingerprint a spec", &mut || {
        black_box(Fingerprint::of(black_box(&it.origin["spec"])));
    });
    let copy = reported(&it.copy);
    let known = Generations {
        generation: 1,
        reflects: 1,
        before: 0,
    };
    let up: &Up = it.publication().up();
    measure("prune a status", &mut || {
        black_box(up.project(black_box(&copy), known, &[]));
    });
    for objects in [1, 10_000] {
        let mut index = Index::default();
        let at = |n| ObjectRef::service_namespace(&format!("secret-{n}"));
        for n in 0..objects {
            index.register(n, &at(n));
        }
        let wanted = at(objects / 2);
        measure(&format!("look up 1 of {objects}"), &mut || {
            black_box(index.interested(black_box(&wanted)).next());
        });
    }
    criterion.final_summary();

    println!("{:<24} {:>12} {:>12}", "", "allocations", "bytes");
    let report = session.to_report();
    let mut rows: Vec<_> = report.operations().collect();
    rows.sort_by_key(|(name, _)| *name);
    for (name, counted) in rows {
        println!(
            "{name:<24} {:>12} {:>12}",
            counted.total_allocations_count() / TIMES,
            counted.total_bytes_allocated() / TIMES
        );
    }
}
