//! The drivers: what keeps observing, planning and applying going.
//!
//! ```text
//! schema   the schemas of what is published, in the provider's workspace
//! export   the export, filled with them
//! queue    who is next; fair to tenants
//! index    whose order does this object belong to
//! ```

pub mod export;
pub mod index;
pub mod queue;
mod schema;
