//! What outlives us for a moment, to clean up after us.
//!
//! A guard is a tiny shell in a process group of its own, whose standard input is a pipe that we hold. The kernel closes
//! that pipe when we end, also when we are killed and have no say; the guard then kills the processes it was told about,
//! removes the directory, and ends. Their data is of no worth to anybody, so nobody is asked to stop gracefully.
//! Stopping in order takes the same way: there is one way to stop, and it is used every time.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::Error;

/// `$1` is the directory. A line of the input is `+PID` for a process to end, or `-PID` for one that ended by itself, so
/// that a stranger who gets its number is left in peace. Removing is repeated, since a dying process may still write.
const SCRIPT: &str = r#"
pids=" "
while read -r word; do
  case $word in
    +*) pids="$pids${word#+} " ;;
    -*) gone=${word#-}; pids="${pids%% $gone *} ${pids#* $gone }" ;;
  esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
n=0
while [ -e "$1" ] && [ $n -lt 100 ]; do
  rm -rf "$1" 2>/dev/null || sleep 0.05
  n=$((n + 1))
done
"#;

/// Ends processes and removes a directory when it is dropped, or its owner dies.
#[derive(Debug)]
pub struct Guard {
    dir: PathBuf,
    shell: Child,
}

impl Guard {
    /// Makes a fresh directory below the system's place for temporary ones, and starts to guard it.
    ///
    /// # Errors
    ///
    /// When there is no room for a directory, or no shell.
    pub fn make(name: &str) -> Result<Self, Error> {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("{name}-{}-{count}", std::process::id()));
        std::fs::create_dir(&dir).map_err(Error::system(format!("make {}", dir.display())))?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(&dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::system("start /bin/sh"))?;
        Ok(Self { dir, shell })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A process to end.
    ///
    /// # Errors
    ///
    /// When the guard is gone.
    pub fn watch(&mut self, process: u32) -> Result<(), Error> {
        self.tell(&format!("+{process}\n"))
    }

    /// A process that has ended.
    ///
    /// # Errors
    ///
    /// When the guard is gone.
    pub fn forget(&mut self, process: u32) -> Result<(), Error> {
        self.tell(&format!("-{process}\n"))
    }

    fn tell(&mut self, line: &str) -> Result<(), Error> {
        let pipe = self
            .shell
            .stdin
            .as_mut()
            .expect("it is closed by drop alone");
        let told = pipe.write_all(line.as_bytes());
        told.map_err(Error::system("speak to the guard"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_ended_and_what_ended_by_itself_is_not_looked_for() {
        let mut guard = Guard::make("guard-test").expect("there is a shell");
        let sleeper = || {
            let mut sleep = Command::new("sleep");
            sleep.arg("600").spawn().expect("there is sleep")
        };
        let (mut watched, mut other, mut forgotten) = (sleeper(), sleeper(), sleeper());
        for process in [&watched, &forgotten, &other] {
            guard.watch(process.id()).expect("the guard listens");
        }
        guard.forget(forgotten.id()).expect("the guard listens");
        let dir = guard.dir().to_owned();
        drop(guard);
        assert!(!dir.exists());
        assert!(!watched.wait().expect("it is ours").success());
        assert!(!other.wait().expect("it is ours").success());
        assert!(
            forgotten.try_wait().expect("it is ours").is_none(),
            "it still runs"
        );
        forgotten.kill().expect("it can be ended");
        forgotten.wait().expect("it is ours");
    }
}
