//! `environment.md` names every trouble, the test of it, and what a minute of it may cost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

/// The tests of a module, each with the bounds that it asserts, in its order.
fn bounds(module: &str) -> BTreeMap<String, Vec<usize>> {
    let file = sources().join(format!("{module}.rs"));
    let source = std::fs::read_to_string(&file).unwrap();
    let mut tests = BTreeMap::new();
    for test in source.split("#[test]\n").skip(1) {
        let (_, rest) = test.split_once("fn ").unwrap();
        let (name, body) = rest.split_once('(').unwrap();
        let bounds = body.split(".at_most(").skip(1).map(|it| {
            let number = it.split(')').next().unwrap().parse();
            number.unwrap_or_else(|_| panic!("{module}::{name}: a bound is a number"))
        });
        tests.insert(name.to_owned(), bounds.collect());
    }
    tests
}

/// The rows: what is between the bars.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter(|it| it.starts_with("| "));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect());
    cells.skip(2).collect()
}

#[test]
fn every_trouble_has_a_test_and_every_test_has_its_bounds() {
    let mut told = BTreeMap::new();
    for row in rows(include_str!("../environment.md")) {
        let [what, test, cost] = row[..] else {
            panic!("{row:?} has three cells");
        };
        assert!(!what.is_empty(), "{test} says of no trouble");
        let (module, name) = test.rsplit_once("::").unwrap();
        let asserted = bounds(module).remove(name);
        let asserted = asserted.unwrap_or_else(|| panic!("there is no {test}"));
        assert!(!asserted.is_empty(), "{test} asserts no bound");
        let cost: Vec<usize> = cost.split(", ").map(|it| it.parse().unwrap()).collect();
        assert_eq!(cost, asserted, "{test}");
        told.insert(test, what);
    }
    for entry in std::fs::read_dir(sources().join("environment")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let module = format!("environment/{module}");
        for test in bounds(&module)
            .into_keys()
            .filter(|_| module != "environment/table")
        {
            let test = format!("{module}::{test}");
            assert!(
                told.contains_key(test.as_str()),
                "{test} is not in the table"
            );
        }
    }
}
