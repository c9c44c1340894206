//! Paths of kcp: `/clusters/<cluster>/...` and `/services/apiexport/<cluster>/<export>/clusters/<cluster>/...`, the latter
//! below `/shards/<name>` on shards other than `root`.

/// What a path begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prefix<'a> {
    /// Nothing of kcp's.
    None,
    /// `/clusters/<cluster>`.
    Cluster {
        /// A path of workspaces, the name of a logical cluster, a mixture of both, or `*`.
        cluster: &'a str,
        /// What follows, beginning with a slash.
        rest: &'a str,
    },
    /// The virtual workspace of an export.
    Export {
        /// The shard; empty for `root`.
        shard: &'a str,
        /// The logical cluster of the export.
        provider: &'a str,
        /// The name of the export.
        export: &'a str,
        /// The name of a consumer's logical cluster, or `*`.
        cluster: &'a str,
        /// What follows, beginning with a slash.
        rest: &'a str,
    },
    /// `/services/...` that is no complete virtual workspace.
    Unresolved,
}

/// Parses the beginning of a path.
#[must_use]
pub(super) fn parse(path: &str) -> Prefix<'_> {
    if let Some(after) = path
        .strip_prefix("/clusters/")
        .filter(|after| !after.is_empty())
    {
        let (cluster, rest) = split(after);
        return Prefix::Cluster { cluster, rest };
    }
    let below = path.strip_prefix("/shards/").and_then(|after| {
        let (shard, _) = after.split_once('/')?;
        Some((shard, &after[shard.len()..]))
    });
    let (shard, path) = below.unwrap_or(("", path));
    let Some(after) = path.strip_prefix("/services/") else {
        return Prefix::None;
    };
    let parsed = after.strip_prefix("apiexport/").and_then(|after| {
        let (provider, after) = after.split_once('/')?;
        let (export, after) = after.split_once('/')?;
        let after = after.strip_prefix("clusters/")?;
        let (cluster, rest) = split(after);
        (!provider.is_empty() && !export.is_empty() && !cluster.is_empty()).then_some(
            Prefix::Export {
                shard,
                provider,
                export,
                cluster,
                rest,
            },
        )
    });
    parsed.unwrap_or(Prefix::Unresolved)
}

fn split(text: &str) -> (&str, &str) {
    match text.find('/') {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, "/"),
    }
}

/// Whether a cluster segment is a name or a path of names: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`, joined by colons.
#[must_use]
pub(super) fn is_path(cluster: &str) -> bool {
    let segments = cluster.strip_prefix("system:").unwrap_or(cluster);
    segments.split(':').all(is_segment)
}

/// Whether a text is one segment of a path.
#[must_use]
pub(super) fn is_segment(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_told_apart() {
        assert_eq!(parse("/api/v1"), Prefix::None);
        assert_eq!(
            parse("/clusters/root:a/api"),
            Prefix::Cluster {
                cluster: "root:a",
                rest: "/api"
            }
        );
        assert_eq!(
            parse("/clusters/*"),
            Prefix::Cluster {
                cluster: "*",
                rest: "/"
            }
        );
        for (shard, before) in [("", ""), ("blue", "/shards/blue")] {
            let export = Prefix::Export {
                shard,
                provider: "abc",
                export: "e.io",
                cluster: "*",
                rest: "/apis/e.io/v1/things",
            };
            let path = "/services/apiexport/abc/e.io/clusters/*/apis/e.io/v1/things";
            assert_eq!(parse(&format!("{before}{path}")), export);
        }
        assert_eq!(
            parse("/services/apiexport/abc/e.io/version"),
            Prefix::Unresolved
        );
        assert_eq!(parse("/services/nope/x"), Prefix::Unresolved);
    }

    #[test]
    fn malformed_clusters_are_refused() {
        for good in ["root", "root:a-b:c", "1aaa", "system:admin"] {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "Root", "root::x", "root:", ":root", "root:a_b", "root:-a", "*",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
