//! Chance that can be had again: every property is tried with cases that follow from one seed.
//!
//! The seed is the same in every run, so that a run says of a change whether it is right, and of nothing else. Whoever wants
//! other cases, or more, says so as proptest has it: `PROPTEST_RNG_SEED=7 PROPTEST_CASES=5000 cargo test -p syncagent-core`.
//! A test that fails prints its seed beside the smallest case that it found.
//!
//! The properties beside sources, here and in the embedded servers, are tried in the same way, by this very file.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// The seed where none is asked for.
const SEED: u64 = 1;

/// How a property is tried: so many cases, unless another number is asked for.
#[expect(clippy::print_stdout, reason = "the seed of a test that fails is read")]
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    // It reads the environment.
    let asked = ProptestConfig::default();
    let seed = match asked.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => SEED,
    };
    println!("PROPTEST_RNG_SEED={seed}");
    let more = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if more { asked.cases } else { cases },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..asked
    }
}
