//! How soon a quiet tenant's order has its copy, alone and beside a neighbour who writes 1,000 orders at once.
//!
//! ```console
//! cargo bench --bench fairness
//! ```
//!
//! Both are measured in one run, against embedded servers that take 5 to 15 ms for every request of the agent. Time is
//! simulated, so the ratio does not depend on the machine. The goal for the 99th percentile is 1.5;
//! `tests/it/fairness.rs` asserts it.

#![expect(clippy::print_stdout, reason = "a bench speaks through its table")]

#[path = "../tests/it/fairness.rs"]
mod fairness;
#[path = "../tests/it/lines.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod lines;
#[path = "../tests/it/stage.rs"]
#[expect(dead_code, reason = "the tests' stage, of which little is used here")]
mod stage;
#[path = "../tests/it/things.rs"]
#[expect(dead_code, reason = "likewise")]
mod things;
#[path = "../tests/it/world.rs"]
#[expect(dead_code, reason = "likewise")]
mod world;

fn main() {
    stage::play(|| async {
        let (alone, beside) = fairness::measured().await;
        println!("order written to copy there, {} orders each", alone.len());
        println!("{:>6} {:>10} {:>10} {:>7}", "", "alone", "beside", "ratio");
        for percent in [50, 90, 99] {
            let (alone, beside) = (
                fairness::share(&alone, percent),
                fairness::share(&beside, percent),
            );
            let ratio = beside.as_secs_f64() / alone.as_secs_f64();
            println!(
                "{:>6} {:>7} ms {:>7} ms {ratio:>6.2} x",
                format!("p{percent}"),
                alone.as_millis(),
                beside.as_millis()
            );
        }
    });
}
