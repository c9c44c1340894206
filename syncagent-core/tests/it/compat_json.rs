//! The text that the Go agent hashes: section 3.3 of the contract, compared with what Go wrote.

use serde_json::Value;
use syncagent_core::compat::go_json;
use syncagent_core::object::fingerprint::sha1_hex;

/// What Go made of each case; see `tests/go/schemas/main.go`.
const RECORDED: &str = include_str!("../go/schemas/cases.jsonl");

/// The cases in which the text of a spec is not what Go wrote for it, with both.
fn differences(recorded: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let mut spec = case["served"].clone();
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("conversion");
        }
        let ours = go_json::crd_spec(&spec);
        if ours != case["text"] || sha1_hex(&format!("{ours}\n")) != case["hash"] {
            found.push(format!("{}:\n  {ours}\n  {}", case["case"], case["text"]));
        }
    }
    found
}

/// Beside the recorded cases those of a file, where `SYNCAGENT_GO_SCHEMAS` names one: `.ci/run` has some made up.
#[test]
fn s3_3_the_text_is_what_go_writes() {
    assert!(RECORDED.lines().count() > 40);
    let mut found = differences(RECORDED);
    if let Some(path) = std::env::var_os("SYNCAGENT_GO_SCHEMAS") {
        let more = std::fs::read_to_string(path).expect("the file is there");
        assert!(!more.is_empty(), "the file has cases");
        found.extend(differences(&more));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
