//! One file per diagnostic under `tests/ui`; how to update them stands in `tests/ui/README.md`.

#[test]
fn mistakes_are_explained_where_they_were_made() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*/*.rs");
}
