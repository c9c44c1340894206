//! Objects that people write for the agent, and what they read in them: types of the API, faithful to the text.
//!
//! What a field means, and which of them contradict each other, is known further down.

pub mod condition;
#[cfg(feature = "compat")]
pub mod published_resource;
