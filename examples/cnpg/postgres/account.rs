//! Under whose name a server runs.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::Error;

/// A user of this machine that is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Gives a directory that we just made to whoever shall run the server: `None` means ourselves.
    ///
    /// Who we are is read off the directory itself, which needs no system call of our own.
    pub(crate) fn take(dir: &Path) -> Result<Option<Self>, Error> {
        let ours = std::fs::metadata(dir)
            .map_err(Error::system("read", dir))?
            .uid();
        if ours != 0 {
            return Ok(None);
        }
        let users =
            std::fs::read_to_string("/etc/passwd").map_err(Error::system("read", "/etc/passwd"))?;
        let account = Self::among(&users).ok_or(Error::OnlyRoot)?;
        chown(dir, Some(account.uid), Some(account.gid))
            .map_err(Error::system("give away", dir))?;
        Ok(Some(account))
    }

    /// The best account among the lines of a passwd file.
    fn among(users: &str) -> Option<Self> {
        ["postgres", "_postgres", "nobody"].iter().find_map(|name| {
            let line = users
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut numbers = line
                .split(':')
                .skip(2)
                .map(|number| number.parse::<i64>().ok());
            // macOS writes nobody's number as -2, which the kernel reads as an unsigned one.
            let (uid, gid) = (numbers.next()?? as u32, numbers.next()?? as u32);
            (uid != 0).then_some(Self { uid, gid })
        })
    }
}

/// Whether this process is root's, seen from a file that it made itself.
pub(crate) fn is_root() -> bool {
    let probe = std::env::temp_dir().join(format!(".who-{}", std::process::id()));
    let root = std::fs::write(&probe, b"").is_ok()
        && std::fs::metadata(&probe).is_ok_and(|file| file.uid() == 0);
    let _ = std::fs::remove_file(&probe);
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_postgres_is_preferred_to_nobody() {
        let users = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(Account::among(users), Some(Account { uid: 101, gid: 104 }));
    }

    #[test]
    fn nobody_of_macos_has_a_number_below_zero() {
        let users = "nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";
        let nobody = u32::MAX - 1;
        assert_eq!(
            Account::among(users),
            Some(Account {
                uid: nobody,
                gid: nobody
            })
        );
    }

    #[test]
    fn root_alone_is_nobody_to_run_a_server() {
        assert_eq!(
            Account::among("root:x:0:0::/root:/bin/sh\npostgres:x:0:0::/:/bin/sh\n"),
            None
        );
    }
}
