//! The decision, as the steps see it.

pub(crate) use crate::plan::{absorb, plan};
