//! The derive macros of syncagent.
