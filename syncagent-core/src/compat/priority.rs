//! Kubernetes' order of versions: `v1alpha1`, `v1beta1`, `v1`, `v2`; what is not of this form comes before all of them.

use std::cmp::Ordering;

/// How far a version is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alpha,
    Beta,
    Stable,
}

/// Compares two versions, the least mature first.
///
/// ```
/// use syncagent_core::compat::priority;
///
/// let mut versions = ["v10", "v2", "v1", "v1beta1", "foo1", "v11alpha2", "v1beta10", "bar"];
/// versions.sort_by(|one, two| priority::compare(one, two));
/// assert_eq!(versions, ["foo1", "bar", "v11alpha2", "v1beta1", "v1beta10", "v1", "v2", "v10"]);
/// ```
#[must_use]
pub fn compare(one: &str, two: &str) -> Ordering {
    match (parsed(one), parsed(two)) {
        // What has no such form is sorted backwards by its text.
        (None, None) => two.cmp(one),
        (one, two) => one.cmp(&two),
    }
}

fn parsed(version: &str) -> Option<(Stage, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let (major, rest) = number(rest)?;
    if rest.is_empty() {
        return Some((Stage::Stable, major, 0));
    }
    let (stage, rest) = rest
        .strip_prefix("alpha")
        .map(|rest| (Stage::Alpha, rest))
        .or_else(|| rest.strip_prefix("beta").map(|rest| (Stage::Beta, rest)))?;
    let (minor, rest) = number(rest)?;
    rest.is_empty().then_some((stage, major, minor))
}

/// The number that a text starts with, and what follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
