//! The macro and the engine judge namings with one and the same text.

/// `src/template.rs` is a symbolic link into syncagent-core; where links do not survive, a copy must not differ.
#[test]
fn the_rules_of_naming_are_one_text() {
    assert_eq!(
        include_str!("../../src/template.rs"),
        include_str!("../../../syncagent-core/src/template.rs"),
    );
}
