//! Tables that name tests: `contract.md` by section of the contract, `defects.md` by defect, `promises.md` by promise.

use std::collections::BTreeSet;

use crate::rooms::read;

/// The rows of a table whose first cell is a number, or several with dots between them: the number, and the tests that the
/// last cell names. Each of these exists.
pub(crate) fn rows(table: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    for row in table.lines() {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let number = cells[0];
        if number.is_empty() || !number.split('.').all(|it| it.parse::<u8>().is_ok()) {
            continue;
        }
        let [_, what, tests] = cells[..] else {
            panic!("{number}: a row has three cells");
        };
        assert!(!what.is_empty(), "{number} says nothing");
        for named in tests.split(", ") {
            exists(number, named);
        }
        numbers.push(number.to_owned());
    }
    numbers
}

fn exists(number: &str, named: &str) {
    let (place, path) = named.split_once(' ').expect("a place and a path");
    let (file, test) = path.split_once("::").expect("a module and a test");
    let file = match place {
        "core" => format!("syncagent-core/tests/it/{file}.rs"),
        "agent" => format!("tests/it/{file}.rs"),
        "unit" => format!("syncagent-core/src/{file}.rs"),
        "process" => format!("tests/{file}.rs"),
        other => panic!("{number}: what is {other}?"),
    };
    let wanted = match test.strip_suffix('*') {
        Some(start) => format!("fn {start}"),
        None => format!("fn {test}("),
    };
    assert!(
        read(&file).contains(&wanted),
        "{number}: {file} has no {test}"
    );
}

#[test]
fn every_test_that_is_named_exists() {
    let sections: BTreeSet<String> = rows(include_str!("contract.md")).into_iter().collect();
    for section in ["2", "2.1", "2.2", "3.1", "3.2", "3.3", "9.1", "10.1", "14"] {
        assert!(sections.contains(section), "{section}");
    }
}

#[test]
fn every_promise_has_tests_that_exist() {
    let numbers: BTreeSet<String> = rows(include_str!("promises.md")).into_iter().collect();
    // No number is left out of a part.
    for part in 1..=5 {
        let of_part = numbers.iter().filter_map(|it| it.split_once('.'));
        let of_part = of_part.filter(|(first, _)| *first == part.to_string());
        let seconds: BTreeSet<u8> = of_part.map(|(_, it)| it.parse().expect("it")).collect();
        let last = *seconds.last().expect("a promise");
        assert_eq!(seconds, (1..=last).collect(), "{part}");
    }
}

/// A test that is named after a section is in the table, so that whoever looks the section up finds it.
#[test]
fn every_section_that_a_test_is_named_after_is_in_the_table() {
    let table = include_str!("contract.md");
    for file in [
        "compat_api",
        "compat_crd",
        "compat_json",
        "compat_openapi",
        "compat_schema",
    ] {
        let source = read(&format!("syncagent-core/tests/it/{file}.rs"));
        let names = source
            .lines()
            .filter_map(|it| it.trim_start_matches("async ").strip_prefix("fn s"));
        for name in names.filter(|it| it.starts_with(|c: char| c.is_ascii_digit())) {
            let mut digits = name.split('_').take_while(|it| it.parse::<u8>().is_ok());
            let prefix = digits.by_ref().collect::<Vec<_>>().join("_");
            assert!(
                table.contains(&format!("{file}::s{prefix}_")),
                "{file}: s{name}"
            );
        }
    }
}
