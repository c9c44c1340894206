//! What a room may not have, read off the sources.
//!
//! `SYNCAGENT_SOURCES` names another copy of the repository; that is how `mutants/` shows that these tests notice.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let other = std::env::var_os("SYNCAGENT_SOURCES").map(PathBuf::from);
    other.unwrap_or_else(|| here.expect("the repository").to_owned())
}

pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Rust file below a path, or the file itself.
fn sources(path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![root().join(path)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|it| it.expect("an entry").path()));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            found.push((path.display().to_string(), code(&text)));
        }
    }
    assert!(!found.is_empty(), "{path} is there");
    found
}

/// The code alone: without comments, and with the text of strings left out.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if quoted => {
                    chars.next();
                }
                '"' => quoted = !quoted,
                '/' if !quoted && chars.peek() == Some(&'/') => break,
                _ if quoted => {}
                c => out.push(c),
            }
        }
        out.push('\n');
    }
    out
}

/// Whether a word stands in code.
fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part))
}

#[test]
fn apply_has_no_business_if() {
    for (file, code) in sources("syncagent-core/src/io/apply.rs") {
        for word in ["if", "else", "while", "loop", "plan_again"] {
            assert!(!has_word(&code, word), "{file} has a `{word}`");
        }
        // It looks at the request and at whether there was an answer, never at what the answer says.
        let matches = code.matches("match ").count();
        assert_eq!(matches, 3, "{file} decides something");
        assert!(
            !code.contains("reply.code ") && !code.contains("reply.code."),
            "{file} reads the answer"
        );
    }
}

#[test]
fn the_derive_emits_data_and_not_behaviour() {
    for (file, code) in sources("syncagent-derive/src/expand.rs") {
        let mut emitted = 0;
        for start in ["quote!", "quote_spanned!"] {
            for (at, _) in code.match_indices(start) {
                let body = balanced(&code[at + start.len()..]);
                for word in ["if", "else", "match", "while", "loop", "async", "await"] {
                    assert!(!has_word(body, word), "{file} emits a `{word}`: {body}");
                }
                emitted += 1;
            }
        }
        assert!(emitted > 20, "{file}: {emitted} pieces of code");
    }
}

/// What stands between the bracket at the start and the one that closes it.
fn balanced(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && at > 0 {
            return &text[..at];
        }
    }
    text
}

/// Every property of the repository is tried from a seed that can be had again.
#[test]
fn every_property_says_its_seed() {
    let mut properties = 0;
    for room in [
        "src",
        "tests",
        "examples",
        "benches",
        "syncagent-core",
        "syncagent-derive",
        "syncagent-embedded",
        "syncagent-real",
    ] {
        for (file, code) in sources(room) {
            for (at, start) in code.match_indices("proptest! {") {
                let rest = code[at + start.len()..].trim_start();
                let config = rest.strip_prefix("#![proptest_config(crate::");
                let config = config.and_then(|it| it.split_once("chance::cases("));
                let module = config.map(|(module, _)| module);
                assert!(
                    module.is_some_and(|it| ["", "controller::"].contains(&it)),
                    "{file} leaves it to chance: {}",
                    &rest[..rest.len().min(80)]
                );
                properties += 1;
            }
        }
    }
    assert!(properties > 15, "{properties} blocks of properties");
}

/// The layers of the engine, from the words to the process. A module knows its own layer and those above it.
const LAYERS: [&[&str]; 7] = [
    &["api", "definition", "names", "object", "template"],
    &["mutation", "naming", "projection", "related", "status"],
    &["schema", "publication", "access", "compat"],
    &["plan", "typed"],
    &["error", "io"],
    &["controller"],
    &["cli", "runtime"],
];

/// What stands above the purity line although its like may not, and why it may.
const EXCEPTED: [(&str, &str); 2] = [
    // The crate keeps its maps so; whatever walks one goes through a function of ours that sorts the keys.
    ("mutation/cel.rs", "HashMap"),
    // The names of the standard library, which never change.
    ("mutation/cel.rs", "static"),
];

/// How many layers stand above the purity line.
const PURE: usize = 4;

/// The files of a module of the engine, with those below it.
fn module(name: &str) -> Vec<(String, String)> {
    let mut files = sources(&format!("syncagent-core/src/{name}.rs"));
    let inner = format!("syncagent-core/src/{name}");
    if root().join(&inner).exists() {
        files.extend(sources(&inner));
    }
    files
}

/// The modules of the crate that code names: what stands behind `crate::`, alone or in braces.
fn names_modules(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        let text = text.trim_start().chars();
        text.take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        if !rest.starts_with('{') {
            found.push(word(rest));
            continue;
        }
        let mut depth = 0;
        for (at, c) in balanced(rest).char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && (c == '{' || c == ',') {
                found.push(word(&rest[at + 1..]));
            }
        }
    }
    found.retain(|it| !it.is_empty());
    found
}

#[test]
fn no_layer_knows_the_ones_below_it() {
    assert_eq!(
        names_modules(
            "use crate::plan::{Key, Place}; use crate::{\n names, object::{self, path},\n status }; crate::io::x()"
        ),
        ["plan", "names", "object", "status", "io"]
    );
    let declared = read("syncagent-core/src/lib.rs");
    let declared = declared
        .lines()
        .filter_map(|it| it.strip_prefix("pub mod ")?.strip_suffix(';'));
    let mut declared: Vec<&str> = declared.collect();
    let layer = |name: &str| LAYERS.iter().position(|it| it.contains(&name));
    let mut order: Vec<Option<usize>> = declared.iter().map(|it| layer(it)).collect();
    assert!(order.is_sorted() && order[0] == Some(0), "{declared:?}");
    order.dedup();
    assert_eq!(order.len(), LAYERS.len());
    declared.sort_unstable();
    let mut listed = LAYERS.concat();
    listed.sort_unstable();
    assert_eq!(declared, listed, "each module has a layer");

    let mut back = Vec::new();
    for (at, modules) in LAYERS.iter().enumerate() {
        for (file, code) in modules.iter().flat_map(|it| module(it)) {
            for name in names_modules(&code) {
                if layer(&name).is_none_or(|it| it > at) {
                    back.push(format!("{file} (layer {at}) names crate::{name}"));
                }
            }
        }
    }
    back.dedup();
    assert!(back.is_empty(), "{back:#?}");
}

/// The rooms above the purity line decide; they neither look at a clock, nor throw dice, nor depend on the order of a hash
/// map, nor read the environment.
#[test]
fn what_decides_has_no_clock_no_dice_and_no_hash_order() {
    for room in LAYERS[..PURE].concat() {
        for (file, code) in module(room) {
            for word in [
                "SystemTime",
                "Instant",
                "rand",
                "HashMap",
                "HashSet",
                "RandomState",
                "thread_rng",
                "env",
                "thread_local",
                "static",
                "async",
                "await",
                "unsafe",
            ] {
                // `'static` is a lifetime.
                let code = code.replace("'static", "");
                let excepted = EXCEPTED
                    .iter()
                    .any(|(path, it)| file.ends_with(path) && *it == word);
                assert!(excepted || !has_word(&code, word), "{file} has `{word}`");
            }
        }
    }
}

/// The names of the packages in a table of a Cargo.toml.
fn dependencies(manifest: &str, table: &str) -> Vec<String> {
    let text = read(manifest);
    let start = format!("[{table}]\n");
    let (_, rest) = text.split_once(&start).expect("the table");
    let rest = rest.split("\n[").next().unwrap_or_default();
    let lines = rest.lines().filter(|it| !it.starts_with('#'));
    lines
        .filter_map(|it| it.split(['.', ' ', '=']).next())
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_embedded_servers_know_nothing_of_the_engine_and_of_clients() {
    let have = dependencies("syncagent-embedded/Cargo.toml", "dependencies");
    assert!(have.len() > 5, "{have:?}");
    for banned in [
        "syncagent",
        "syncagent-core",
        "syncagent-derive",
        "kube",
        "k8s-openapi",
    ] {
        assert!(!have.iter().any(|it| it == banned), "{banned}");
    }
    for (file, code) in sources("syncagent-embedded/src") {
        assert!(
            !code.contains("syncagent_core::") && !has_word(&code, "kube"),
            "{file}"
        );
    }
}

#[test]
fn the_facade_ships_without_the_embedded_servers() {
    let have = dependencies("Cargo.toml", "dependencies");
    assert!(have.contains(&"syncagent-core".to_owned()), "{have:?}");
    assert!(!have.contains(&"syncagent-embedded".to_owned()), "{have:?}");
    let core = dependencies("syncagent-core/Cargo.toml", "dependencies");
    assert!(!core.contains(&"syncagent-embedded".to_owned()), "{core:?}");
    for (file, code) in sources("src") {
        assert!(!code.contains("syncagent_embedded"), "{file}");
    }
}
