//! The drivers: what keeps observing, planning and applying going.
//!
//! ```text
//! queue    who is next; fair to tenants
//! index    whose order does this object belong to
//! ```

pub mod index;
pub mod queue;
