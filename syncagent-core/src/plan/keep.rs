//! `keep`: what somebody set on a copy stays until the consumer changes that very field.
//!
//! An apply would set everything back, so the copy is changed by a merge patch of exactly the leaves that differ between
//! what was written last and what is wanted now. That takes a memory of what was written last: [`Leaves`], a path and eight
//! bytes per leaf. Arrays are leaves, and so are empty objects.
//!
//! The memory lives twice. The record has it, so that an update reads nothing; an annotation of the copy has it, so that a
//! restart finds out from the list of copies alone which fields changed while nobody looked. The annotation holds no
//! paths and no values, only hashes that are salted with the order's uid: equal values of two orders look different, and
//! nothing can be told from it that does not stand in the same object in plain. Because a hash of a short password can
//! be guessed all the same, kinds that are secret by nature cannot be kept (see `publication::compile`).
//!
//! Without the annotation (a copy that was made under `correct`, or is too large for one) the server's own memory stands in:
//! of the fields that are ours in `managedFields` the copy shows what was written, and fields that are somebody else's are
//! taken for unchanged.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use super::drift;
use crate::names;
use crate::object::{annotation, fingerprint::Fingerprint};
use crate::publication::Publication;
use crate::related::{base64, unbase64};

/// A larger memory than this is not written down: annotations share 256 KiB.
const MOST: usize = 2000;

/// What was written, leaf by leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaves {
    /// Kept once for all records at rest that have it (see [`Record::shapes`](super::Record::shapes)).
    #[serde(skip)]
    pub(super) shape: Arc<Shape>,
    values: Vec<[u8; 8]>,
}

/// The paths of leaves, as JSON pointers in their order. Objects of one kind have mostly the same ones, and they are most of
/// what there is to remember.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// One behind the other.
    text: Box<str>,
    /// Where each ends.
    ends: Box<[u32]>,
}

impl Shape {
    fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for path in paths {
            text.push_str(path);
            ends.push(u32::try_from(text.len()).expect("objects are shorter than 4 GiB"));
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }

    fn path(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[at] as usize]
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.path(at))
    }

    fn find(&self, path: &str) -> Option<usize> {
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.path(middle).cmp(path) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => to = middle,
            }
        }
        None
    }
}

impl Leaves {
    /// The leaves of an object that is wanted, salted with the uid of its order.
    #[must_use]
    pub fn of(object: &Value, salt: &str) -> Self {
        Self::printed(leaves(object).into_iter(), salt)
    }

    /// The leaves of an object without the marks of an agent.
    #[must_use]
    pub fn of_content(object: &Value, salt: &str) -> Self {
        Self::printed(
            leaves(object)
                .into_iter()
                .filter(|(path, _)| !is_mark(path)),
            salt,
        )
    }

    fn printed<'a>(leaves: impl Iterator<Item = (String, &'a Value)>, salt: &str) -> Self {
        let printed = leaves.map(|(path, value)| {
            let print = value_print(salt, &path, value);
            (path, print)
        });
        Self::from_sorted(printed)
    }

    /// These leaves without the marks of an agent.
    #[must_use]
    pub fn without_marks(&self) -> Self {
        let content = self.iter().filter(|(path, _)| !is_mark(path));
        Self::from_map(content.map(|(path, it)| (path.to_owned(), it)).collect())
    }

    /// These leaves without this one.
    #[must_use]
    pub fn without(&self, leaf: &str) -> Self {
        let others = self.iter().filter(|(path, _)| *path != leaf);
        Self::from_map(others.map(|(path, it)| (path.to_owned(), it)).collect())
    }

    /// A hash of all of it.
    #[must_use]
    pub fn print(&self) -> String {
        let parts: Vec<String> = self
            .iter()
            .map(|(path, it)| format!("{path}={it}"))
            .collect();
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        format!("{:016x}", hash(&parts))
    }

    fn from_map(map: BTreeMap<String, u64>) -> Self {
        Self::from_sorted(map.into_iter())
    }

    fn from_sorted(leaves: impl Iterator<Item = (String, u64)>) -> Self {
        let (paths, values): (Vec<_>, Vec<_>) = leaves
            .map(|(path, value)| (path, value.to_be_bytes()))
            .unzip();
        Self {
            shape: Arc::new(Shape::new(paths.iter().map(String::as_str))),
            values,
        }
    }

    /// Each leaf: its path and the hash of its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let values = self.values.iter();
        self.shape
            .paths()
            .zip(values.map(|value| u64::from_be_bytes(*value)))
    }

    /// The annotation that says the same without a path; `None` when there are too many.
    #[must_use]
    pub fn text(&self, salt: &str) -> Option<String> {
        if self.values.len() > MOST {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.values.len() * 12);
        for (path, value) in self.iter() {
            bytes.extend_from_slice(&path_print(salt, path).to_be_bytes());
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        Some(base64(&bytes))
    }

    /// What was written last, as a copy tells: by its annotation, or else by who owns what.
    ///
    /// `wanted` are the leaves that it should have now: paths are found among these and among those of the copy, for a
    /// leaf that is in neither needs no word.
    #[must_use]
    pub fn of_copy(copy: &Value, wanted: &Self, salt: &str, manager: &str) -> Self {
        let have = Self::of(copy, salt);
        let paths: BTreeSet<&str> = wanted
            .iter()
            .chain(have.iter())
            .map(|(path, _)| path)
            .collect();
        let mut map = BTreeMap::new();
        if let Some(told) = annotation(copy, names::LEAVES).and_then(read) {
            for path in paths {
                if let Some(value) = told.get(&path_print(salt, path)) {
                    map.insert(path.to_owned(), *value);
                }
            }
            return Self::from_map(map);
        }
        let (wanted, have): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (wanted.iter().collect(), have.iter().collect());
        for path in paths {
            let value = match (have.get(path), wanted.get(path)) {
                (Some(have), _) if drift::is_ours(copy, path, manager) => Some(have),
                (Some(_), wanted) => wanted,
                (None, _) => None,
            };
            if let Some(value) = value {
                map.insert(path.to_owned(), *value);
            }
        }
        Self::from_map(map)
    }

    /// The hash of one leaf.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<u64> {
        let at = self.shape.find(path)?;
        Some(u64::from_be_bytes(self.values[at]))
    }
}

/// The merge patch from what was written last to what is wanted: only what differs, and a null for what is not wanted any
/// more. Where a whole object of the consumer went, its null stands for all of it: what somebody or a default left below it
/// would belong to a choice that was taken back.
#[must_use]
pub(super) fn difference(before: &Leaves, wanted: &Leaves, object: &Value) -> Value {
    let mut patch = json!({});
    if before == wanted {
        return patch;
    }
    for (path, value) in wanted.iter() {
        if before.get(path) != Some(value)
            && let Some(value) = object.pointer(path)
        {
            put(&mut patch, path, value.clone());
        }
    }
    let wanted: BTreeSet<&str> = wanted.iter().map(|(path, _)| path).collect();
    for (path, _) in before.iter().filter(|(path, _)| !wanted.contains(path)) {
        if let Some(path) = highest_gone(path, &wanted, object) {
            put(&mut patch, path, Value::Null);
        }
    }
    patch
}

/// The highest part of the path of a leaf that went, below which nothing is wanted; `None` when what is wanted takes its
/// place anyway.
fn highest_gone<'a>(path: &'a str, wanted: &BTreeSet<&str>, object: &Value) -> Option<&'a str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
    let ends: Vec<usize> = ends.chain([path.len()]).collect();
    // Labels and annotations go one by one, and a field that holds everything never goes.
    let first = if path.starts_with("/metadata/") {
        2
    } else {
        1.min(ends.len() - 1)
    };
    let below = |part: &str| {
        let below = format!("{part}/");
        wanted
            .range(below.as_str()..)
            .next()
            .is_some_and(|it| it.starts_with(&below))
    };
    for end in &ends[first.min(ends.len() - 1)..] {
        let part = &path[..*end];
        if wanted.contains(part) {
            if object.pointer(part).is_some_and(Value::is_object) {
                continue;
            }
            return None;
        }
        if !below(part) {
            return Some(part);
        }
    }
    None
}

/// Puts a value at a JSON pointer, through objects only.
pub(super) fn put(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for part in path.split('/').skip(1) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[&*unescape(part)];
    }
    *at = value;
}

/// Every leaf of an object that a copy is asked for, by its JSON pointer.
pub(super) fn leaves(object: &Value) -> BTreeMap<String, &Value> {
    let mut all = BTreeMap::new();
    let fields = object.as_object().into_iter().flatten();
    for (name, value) in fields {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for part in ["labels", "annotations"] {
                    let map = value[part].as_object().into_iter().flatten();
                    for (key, value) in map.filter(|(key, _)| !VOLATILE.contains(&key.as_str())) {
                        all.insert(format!("/metadata/{part}/{}", escape(key)), value);
                    }
                }
            }
            _ => collect(&mut all, format!("/{}", escape(name)), value),
        }
    }
    all
}

/// Marks that say what was written, and are no part of it.
pub(super) const VOLATILE: &[&str] = &[
    names::APPLIED,
    names::ORIGIN_GENERATION,
    names::LEAVES,
    names::STATE,
    names::TAKES_NO_MORE,
    names::CORRECT_AGAIN,
];

/// What is wanted, leaf by leaf. Where the Go agent's marks are used ours are no part of it, for nothing is written for them.
pub(super) fn wanted(publication: &Publication, object: &Value, salt: &str) -> Leaves {
    if publication.follows_go_agent() {
        Leaves::of_content(object, salt)
    } else {
        Leaves::of(object, salt)
    }
}

/// Whether a leaf is a mark that links a copy to its order.
pub(super) fn is_link(path: &str) -> bool {
    let key = path.rsplit('/').next().map(unescape).unwrap_or_default();
    let annotations = [names::NAME, names::NAMESPACE, names::PATH];
    is_mark(path) && (names::LINK_LABELS.contains(&&*key) || annotations.contains(&&*key))
}

/// Whether a leaf is a mark that says whose copy it is.
pub(super) fn is_mark(path: &str) -> bool {
    let key = path.rsplit('/').next().map(unescape).unwrap_or_default();
    path.starts_with("/metadata/") && key.starts_with(names::PREFIX)
}

fn collect<'a>(all: &mut BTreeMap<String, &'a Value>, path: String, value: &'a Value) {
    match value {
        Value::Null => {}
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                collect(all, format!("{path}/{}", escape(key)), value);
            }
        }
        value => {
            all.insert(path, value);
        }
    }
}

pub(super) fn escape(key: &str) -> Cow<'_, str> {
    match key.contains(['~', '/']) {
        true => key.replace('~', "~0").replace('/', "~1").into(),
        false => key.into(),
    }
}

pub(super) fn unescape(key: &str) -> Cow<'_, str> {
    match key.contains('~') {
        true => key.replace("~1", "/").replace("~0", "~").into(),
        false => key.into(),
    }
}

/// A JSON pointer as people write a path: `spec.size`.
pub(super) fn as_people_say(path: &str) -> String {
    let mut text = String::new();
    for part in path.split('/').skip(1).map(unescape) {
        if part.contains(['.', '/']) {
            text.push_str(&format!("[{part}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&part);
        }
    }
    text
}

/// The hash of a leaf's value.
pub(super) fn value_print(salt: &str, path: &str, value: &Value) -> u64 {
    let print = Fingerprint::of(value).digits();
    hash(&[salt.as_bytes(), path.as_bytes(), &print])
}

fn path_print(salt: &str, path: &str) -> u32 {
    (hash(&[salt.as_bytes(), path.as_bytes()]) >> 32) as u32
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut sha = Sha1::new();
    for part in parts {
        sha.update(part);
        sha.update([0]);
    }
    let digest = sha.finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

/// Reads the annotation.
fn read(text: &str) -> Option<BTreeMap<u32, u64>> {
    let bytes = unbase64(text)?;
    if bytes.len() % 12 != 0 {
        return None;
    }
    let entries = bytes.chunks_exact(12).map(|it| {
        let (path, value) = it.split_at(4);
        let path = u32::from_be_bytes(path.try_into().expect("four bytes"));
        let value = u64::from_be_bytes(value.try_into().expect("eight bytes"));
        (path, value)
    });
    Some(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves_of(object: &Value) -> Leaves {
        Leaves::of(object, "uid")
    }

    fn changes(before: &Value, wanted: &Value) -> Value {
        difference(&leaves_of(before), &leaves_of(wanted), wanted)
    }

    #[test]
    fn only_what_changed_is_written() {
        let before = json!({"spec": {"size": 1, "color": "red", "hosts": ["a"]}});
        let wanted = json!({"spec": {"size": 2, "color": "red", "hosts": ["a", "b"]}});
        assert_eq!(
            changes(&before, &wanted),
            json!({"spec": {"size": 2, "hosts": ["a", "b"]}})
        );
        assert_eq!(changes(&before, &before), json!({}));
    }

    #[test]
    fn what_went_becomes_a_null_and_a_whole_object_goes_as_one() {
        let before = json!({"spec": {"size": 1, "boot": {"init": {"db": "x", "user": "y"}}}});
        assert_eq!(
            changes(&before, &json!({"spec": {"boot": {"init": {"db": "x"}}}})),
            json!({"spec": {"size": null, "boot": {"init": {"user": null}}}})
        );
        assert_eq!(
            changes(
                &before,
                &json!({"spec": {"size": 1, "boot": {"recover": {"from": "z"}}}})
            ),
            json!({"spec": {"boot": {"init": null, "recover": {"from": "z"}}}})
        );
        // The field that holds everything is never taken away.
        assert_eq!(
            changes(&before, &json!({})),
            json!({"spec": {"size": null, "boot": null}})
        );
    }

    #[test]
    fn the_last_label_takes_no_other_label_with_it() {
        let before = json!({"metadata": {"labels": {"a.io/b": "1", "c": "2"}}});
        assert_eq!(
            changes(&before, &json!({"metadata": {}})),
            json!({"metadata": {"labels": {"a.io/b": null, "c": null}}})
        );
    }

    #[test]
    fn objects_leaves_and_empty_objects_may_take_each_others_place() {
        let leaf = json!({"spec": {"a": 1}});
        let object = json!({"spec": {"a": {"b": 1}}});
        let empty = json!({"spec": {"a": {}}});
        assert_eq!(changes(&leaf, &object), object);
        assert_eq!(changes(&object, &leaf), leaf);
        assert_eq!(changes(&empty, &object), object);
        assert_eq!(
            changes(&object, &empty),
            json!({"spec": {"a": {"b": null}}})
        );
    }

    #[test]
    fn what_is_written_on_the_copy_says_the_same_and_no_value() {
        let before = json!({"spec": {"size": 1, "password": "secret", "old": true}});
        let wanted = json!({"spec": {"size": 2, "password": "secret"}});
        let written = leaves_of(&before);
        let text = written.text("uid").expect("few enough");
        assert_ne!(
            Some(&text),
            Leaves::of(&before, "other").text("other").as_ref()
        );
        // Somebody changed the password on the copy, which does not matter.
        let mut copy = json!({"spec": {"size": 1, "password": "theirs", "old": true}});
        copy["metadata"]["annotations"][names::LEAVES] = json!(text);
        let wanted_leaves = leaves_of(&wanted);
        let read = Leaves::of_copy(&copy, &wanted_leaves, "uid", "us");
        assert_eq!(read, written);
        assert_eq!(
            difference(&read, &wanted_leaves, &wanted),
            json!({"spec": {"size": 2, "old": null}})
        );
    }
}
