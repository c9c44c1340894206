//! What the derive makes of what was written, and what it says about what cannot be.

mod definition;
mod naming;
mod ui;
