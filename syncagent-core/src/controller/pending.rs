//! Until the decision lands: plans nothing.

use crate::plan::{Context, Effect, Ending, Heard, Key, Plan, Record, Reply, Seen};
use crate::publication::Publication;

pub(crate) fn plan(_: &Context, _: &Publication, _: &Key, record: &Record, _: &Seen) -> Plan {
    Plan {
        questions: Vec::new(),
        effects: Vec::new(),
        record: record.clone(),
        concerns: Vec::new(),
        ending: Ending::Settled,
    }
}

pub(crate) fn absorb(
    _: &Publication,
    _: &Key,
    _: &mut Record,
    _: &mut Seen,
    _: &Effect,
    _: &Reply,
) -> Heard {
    Heard::Next
}
