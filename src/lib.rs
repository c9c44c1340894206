//! syncagent
