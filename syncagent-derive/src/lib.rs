//! The derive macros of syncagent.

#[allow(dead_code, unreachable_pub, reason = "the very file of syncagent-core; the macro needs less of it")]
mod template;
