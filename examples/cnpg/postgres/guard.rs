//! What outlives us for a moment, to clean up after us.
//!
//! A guard is a tiny shell in a process group of its own, whose standard input is a pipe that we hold. The kernel closes
//! that pipe when we end, also when we are killed and have no say; the guard then ends the process it was told about,
//! waits until it is gone, removes the directory, and ends. Stopping in order takes the same way: we close the pipe and
//! wait for the guard. So there is one way to stop, and it is used every time.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Error;

/// `$1` is the directory. Each line of the input is the process to end (`-`: none). SIGQUIT is PostgreSQL's immediate
/// stop; five seconds later it is SIGKILL. Removing is repeated, since a dying process may still write.
const SCRIPT: &str = r#"
pid=-
while read -r word; do pid=$word; done
if [ "$pid" != - ]; then
  kill -QUIT "$pid" 2>/dev/null
  n=0
  while kill -0 "$pid" 2>/dev/null; do
    n=$((n + 1)); [ $n -eq 250 ] && kill -KILL "$pid" 2>/dev/null; [ $n -gt 300 ] && break
    sleep 0.02
  done
fi
n=0
while [ -e "$1" ] && [ $n -lt 100 ]; do
  rm -rf "$1" 2>/dev/null || sleep 0.05
  n=$((n + 1))
done
"#;

/// Removes a directory, and ends a process in it, when it is finished or dropped or its owner dies.
#[derive(Debug)]
pub(crate) struct Guard {
    dir: PathBuf,
    shell: Child,
}

impl Guard {
    /// Starts to guard a directory.
    pub(crate) fn of(dir: &Path) -> Result<Self, Error> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::system("start", "/bin/sh"))?;
        Ok(Self {
            dir: dir.to_owned(),
            shell,
        })
    }

    /// Names the process to end; `None` when it ended by itself, so that a stranger with its number is left in peace.
    pub(crate) fn watch(&mut self, process: Option<u32>) -> Result<(), Error> {
        let line = process.map_or_else(|| "-\n".to_owned(), |id| format!("{id}\n"));
        let Some(pipe) = &mut self.shell.stdin else {
            return Ok(());
        };
        pipe.write_all(line.as_bytes())
            .map_err(Error::system("guard", &self.dir))
    }

    /// Lets the guard do its work now, and waits until process and directory are gone.
    pub(crate) async fn finish(mut self) {
        drop(self.shell.stdin.take());
        while let Ok(None) = self.shell.try_wait() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somewhere(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("guard-{}-{name}", std::process::id()));
        std::fs::create_dir_all(dir.join("deep")).expect("temporary directories can be made");
        dir
    }

    #[tokio::test]
    async fn a_finished_guard_has_ended_the_process_and_removed_the_directory() {
        let dir = somewhere("finish");
        let mut guard = Guard::of(&dir).expect("there is a shell");
        let mut sleeper = tokio::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("there is sleep");
        guard.watch(sleeper.id()).expect("the guard listens");
        let (status, ()) = tokio::join!(sleeper.wait(), guard.finish());
        assert!(!status.expect("it can be waited for").success());
        assert!(!dir.exists());
    }

    #[tokio::test]
    async fn a_process_that_ended_by_itself_is_not_looked_for() {
        let dir = somewhere("forget");
        let mut guard = Guard::of(&dir).expect("there is a shell");
        let mut sleeper = tokio::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("there is sleep");
        guard.watch(sleeper.id()).expect("the guard listens");
        guard.watch(None).expect("the guard listens");
        guard.finish().await;
        assert!(
            sleeper.try_wait().expect("it can be asked").is_none(),
            "it still runs"
        );
        assert!(!dir.exists());
        sleeper.kill().await.expect("it can be ended");
    }
}
