//! syncagent-embedded
