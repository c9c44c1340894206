//! Copies of the sources, with mistakes in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::table::{Kind, Mutant};

/// Every file of the repository by its path there.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Where mistakes are planted.
const SOURCES: &str = "syncagent-core/src";

/// What the planted code asks.
const SWITCH: &str = r#"
/// Whether this mistake is to be made.
pub(crate) fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("SYNCAGENT_MUTANT").ok());
    chosen.as_deref() == Some(name)
}
"#;

/// Reads the repository, without what is built and what is hidden.
pub(crate) fn read(root: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in
            fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))?
        {
            let path = entry.map_err(|e| e.to_string())?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // A target directory says so itself.
            if name.starts_with('.') || path.join("CACHEDIR.TAG").exists() {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if path.is_file() {
                let body = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                let within = path.strip_prefix(root).map_err(|e| e.to_string())?;
                files.insert(within.to_owned(), body);
            }
        }
    }
    Ok(files)
}

/// Writes a copy. What is the same already stays as it is, so that a second build is short.
pub(crate) fn write(to: &Path, files: &Files) -> Result<(), String> {
    if to.exists() {
        for old in read(to)?.keys().filter(|it| !files.contains_key(*it)) {
            fs::remove_file(to.join(old)).map_err(|e| e.to_string())?;
        }
    }
    for (path, body) in files {
        let path = to.join(path);
        if fs::read(&path).is_ok_and(|it| it == *body) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| e.to_string())?;
        }
        fs::write(&path, body).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// A source without white space, and where each byte of it was.
fn squeezed(text: &str) -> (String, Vec<usize>) {
    let mut bare = String::with_capacity(text.len());
    let mut at = Vec::with_capacity(text.len());
    for (i, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        if matches!(c, ')' | ']' | '}') && bare.ends_with(',') {
            bare.pop();
            at.pop();
        }
        bare.push(c);
        at.extend((i..).take(c.len_utf8()));
    }
    (bare, at)
}

/// Gives the packages of the copy a version of their own: cargo tells two copies of a workspace in one target directory
/// apart by nothing else, and would take the one's programs for the other's.
pub(crate) fn renumber(files: &mut Files) -> Result<(), String> {
    let mut change = |path: &str, change: &dyn Fn(String) -> String| {
        let body = files
            .get_mut(Path::new(path))
            .ok_or_else(|| format!("there is no {path}"))?;
        let before = String::from_utf8(body.clone()).map_err(|e| e.to_string())?;
        let after = change(before.clone());
        *body = after.clone().into_bytes();
        if before == after {
            return Err(format!("{path} has no version to change"));
        }
        Ok(())
    };
    let version = env!("CARGO_PKG_VERSION");
    change("Cargo.toml", &|text| {
        text.replace(
            &format!("version = \"{version}\"\nedition"),
            "version = \"0.0.0-mutants\"\nedition",
        )
        .replace(&format!("\"={version}\""), "\"=0.0.0-mutants\"")
    })?;
    change("Cargo.lock", &|text| {
        let packages = text.split("\n\n").map(|package| {
            if package.contains("name = \"syncagent") && !package.contains("source = ") {
                package.replace(
                    &format!("version = \"{version}\""),
                    "version = \"0.0.0-mutants\"",
                )
            } else {
                package.to_owned()
            }
        });
        packages.collect::<Vec<_>>().join("\n\n")
    })
}

/// One place: the file, and the bytes that are replaced.
struct Spot {
    file: PathBuf,
    from: usize,
    to: usize,
}

fn find(files: &Files, mutant: &Mutant) -> Result<Spot, String> {
    let name = &mutant.name;
    let (before, inner, after) = match mutant.find.split_once("<<") {
        Some((before, rest)) => {
            let (inner, after) = rest
                .split_once(">>")
                .ok_or_else(|| format!("{name}: `<<` without `>>`"))?;
            (before, inner, after)
        }
        None => ("", mutant.find.as_str(), ""),
    };
    let bare = |text: &str| squeezed(text).0;
    let whole = bare(&format!("{before}{inner}{after}"));
    // A comma at its end may stand before a bracket.
    let whole = whole.trim_end_matches(',').to_owned();
    let (skip, length) = (bare(before).len(), bare(inner).len());
    let mut spots = Vec::new();
    let searched = |file: &Path| match mutant.kind {
        Kind::Code => file.starts_with(SOURCES),
        Kind::Text => {
            file.ends_with("Cargo.toml") || file.components().any(|it| it.as_os_str() == "src")
        }
    };
    for (file, body) in files.iter().filter(|(file, _)| searched(file)) {
        let text = String::from_utf8_lossy(body);
        let (squeezed, at) = squeezed(&text);
        for (found, _) in squeezed.match_indices(&whole) {
            spots.push(Spot {
                file: file.clone(),
                from: at[found + skip],
                to: at[found + skip + length - 1] + 1,
            });
        }
    }
    match spots.len() {
        1 => Ok(spots.remove(0)),
        0 => Err(format!(
            "{name}: what it replaces is found nowhere: {}",
            mutant.find
        )),
        n => Err(format!(
            "{name}: what it replaces is found {n} times: {}",
            mutant.find
        )),
    }
}

/// The sources with a text replaced.
pub(crate) fn replaced(files: &Files, mutant: &Mutant) -> Result<Files, String> {
    let spot = find(files, mutant)?;
    let mut files = files.clone();
    let body = files.get_mut(&spot.file).expect("it was found there");
    body.splice(spot.from..spot.to, mutant.put.bytes());
    Ok(files)
}

/// Plants all mistakes, each behind its switch; says where, and which have no place.
pub(crate) fn plant(
    files: &mut Files,
    mutants: &[&Mutant],
) -> Result<(BTreeMap<String, String>, Vec<String>), String> {
    let mut spots = Vec::new();
    let mut missing = Vec::new();
    for mutant in mutants {
        match find(files, mutant) {
            Ok(spot) => spots.push((spot, *mutant)),
            Err(error) => missing.push(error),
        }
    }
    // From the end of each file, so that what was found stays where it is.
    spots.sort_by(|(a, _), (b, _)| (&a.file, b.from).cmp(&(&b.file, a.from)));
    let mut places = BTreeMap::new();
    for pair in spots.windows(2) {
        let ((later, a), (earlier, b)) = (&pair[0], &pair[1]);
        if later.file == earlier.file && earlier.to > later.from {
            return Err(format!("{} and {} replace the same text", a.name, b.name));
        }
    }
    for (spot, mutant) in spots {
        let body = files.get_mut(&spot.file).expect("it was found there");
        let line = 1 + body[..spot.from].iter().filter(|it| **it == b'\n').count();
        let file = spot.file.strip_prefix(SOURCES).unwrap_or(&spot.file);
        places.insert(mutant.name.clone(), format!("{}:{line}", file.display()));
        let original = String::from_utf8_lossy(&body[spot.from..spot.to]).into_owned();
        let planted = format!(
            "(if crate::mutant(\"{}\") {{ {} }} else {{ {original} }})",
            mutant.name, mutant.put
        );
        body.splice(spot.from..spot.to, planted.bytes());
    }
    let library = files
        .get_mut(&Path::new(SOURCES).join("lib.rs"))
        .ok_or("there is no lib.rs")?;
    // What a compiler says about style would hide what it says about mistakes.
    library.splice(0..0, *b"#![allow(warnings)]\n");
    library.extend_from_slice(SWITCH.as_bytes());
    Ok((places, missing))
}
