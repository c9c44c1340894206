//! One PostgreSQL server: made, started, seen ending, stopped without a trace.

use std::fs::{File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio_postgres::{Client, Config};

use super::account::Account;
use super::{Error, Guard, Installation, sql};

/// Who may come in: our own user through the socket, everybody else with a password.
const ENTRANCE: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// What serves a demonstration: nothing has to survive a power cut (a crash it does), and a password never gets into the log.
const SETTINGS: [(&str, &str); 8] = [
    ("listen_addresses", "127.0.0.1"),
    ("password_encryption", "scram-sha-256"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "16MB"),
    ("dynamic_shared_memory_type", "mmap"),
    ("log_min_error_statement", "panic"),
    ("logging_collector", "off"),
];

/// A server and its directory; both are gone when this is dropped or stopped.
#[derive(Debug)]
pub(crate) struct Server {
    installation: Installation,
    dir: PathBuf,
    account: Option<Account>,
    guard: Guard,
    process: Option<Child>,
    /// Whether `initdb` has done its work.
    made: bool,
    /// The port on loopback, the same over restarts as long as nobody else takes it.
    port: u16,
}

impl Server {
    /// A place for a server: a new directory, guarded. Nothing runs yet.
    pub(crate) fn at(installation: &Installation, dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir(dir).map_err(Error::system("make", dir))?;
        let guard = Guard::of(dir)?;
        let closed = Permissions::from_mode(0o700);
        std::fs::set_permissions(dir, closed).map_err(Error::system("close", dir))?;
        let account = Account::take(dir)?;
        Ok(Self {
            installation: installation.clone(),
            dir: dir.to_owned(),
            account,
            guard,
            process: None,
            made: false,
            port: 0,
        })
    }

    /// Makes the server's files, the first time.
    async fn make(&mut self) -> Result<(), Error> {
        let data = self.dir.join("data");
        let mut command = self.command("initdb")?;
        command.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        command.arg("--no-sync").arg("--pgdata").arg(&data);
        let initdb = self.spawn(command)?;
        let ended = initdb.wait().await;
        self.forget();
        if !ended
            .map_err(Error::system("wait for", "initdb"))?
            .success()
        {
            let said = self.said();
            return Err(Error::Init { said });
        }
        let entrance = data.join("pg_hba.conf");
        std::fs::write(&entrance, ENTRANCE).map_err(Error::system("write", &entrance))?;
        self.made = true;
        Ok(())
    }

    /// Starts the server and waits until it lets us in. `settings` are the owner's, ours win.
    ///
    /// May be given up in the middle; [`Server::stop`] then ends whatever runs.
    pub(crate) async fn start(&mut self, settings: &[(String, String)]) -> Result<(), Error> {
        if !self.made {
            self.make().await?;
        }
        self.port = free_port(self.port)?;
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(self.dir.join("data"));
        command.arg("-k").arg(&self.dir);
        command.arg("-p").arg(self.port.to_string());
        let theirs = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in theirs.chain(SETTINGS) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let socket = socket(&self.dir, self.port, "postgres");
        let postgres = self.spawn(command)?;
        loop {
            let ended = postgres.try_wait();
            if ended
                .map_err(Error::system("wait for", "postgres"))?
                .is_some()
            {
                self.forget();
                let said = self.said();
                return Err(Error::Start { said });
            }
            if sql::connect(&socket).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// The port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it runs, as far as we know.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// A connection as the superuser, through the socket.
    pub(crate) async fn superuser(&self, database: &str) -> Result<Client, Error> {
        sql::connect(&socket(&self.dir, self.port, database)).await
    }

    /// Returns when the server has ended by itself; never, while it does not run.
    pub(crate) async fn ended(&mut self) -> Option<ExitStatus> {
        let Some(process) = &mut self.process else {
            return std::future::pending().await;
        };
        let status = process.wait().await.ok();
        self.forget();
        status
    }

    /// A program under the right name, in a process group of its own: a Ctrl-C in the terminal is not for it.
    fn command(&self, program: &str) -> Result<Command, Error> {
        let log = self.dir.join("log");
        let file = || {
            File::options()
                .create(true)
                .append(true)
                .open(&log)
                .map_err(Error::system("write", &log))
        };
        let mut command = Command::new(self.installation.programs.join(program));
        command.current_dir(&self.dir).process_group(0);
        command.stdin(Stdio::null()).stdout(file()?).stderr(file()?);
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }

    fn spawn(&mut self, mut command: Command) -> Result<&mut Child, Error> {
        let process = command
            .spawn()
            .map_err(Error::system("start a program in", &self.dir))?;
        self.guard.watch(process.id())?;
        Ok(self.process.insert(process))
    }

    /// The process has ended; its number may be a stranger's from now on.
    fn forget(&mut self) {
        self.process = None;
        // A guard that does not listen is gone, and harms nobody.
        let _ = self.guard.watch(None);
    }

    /// The last complaint in the log.
    fn said(&self) -> String {
        last_line(&std::fs::read_to_string(self.dir.join("log")).unwrap_or_default())
    }

    /// Ends the server at once and removes its directory; returns when both are gone.
    pub(crate) async fn stop(self) {
        let Self { guard, process, .. } = self;
        let reap = async {
            if let Some(mut process) = process {
                let _ = process.wait().await;
            }
        };
        tokio::join!(guard.finish(), reap);
    }
}

fn socket(dir: &Path, port: u16, database: &str) -> Config {
    let mut config = Config::new();
    config
        .host_path(dir)
        .port(port)
        .user("postgres")
        .dbname(database)
        .application_name("operator");
    config
}

/// The wanted port if it is free, else any.
fn free_port(wanted: u16) -> Result<u16, Error> {
    let bind = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr())
    };
    let address = bind(wanted)
        .or_else(|_| bind(0))
        .map_err(Error::system("listen on", "127.0.0.1"))?;
    Ok(address.port())
}

/// The last thing that was complained about, without time and process number.
fn last_line(text: &str) -> String {
    let telling = |line: &&str| line.contains("FATAL") || line.contains("error:");
    let line = text
        .lines()
        .rev()
        .find(telling)
        .or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()));
    let line = line.unwrap_or("it said nothing").trim();
    line.split_once("FATAL:")
        .map_or(line, |(_, said)| said.trim())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_complaint_is_found_in_a_log() {
        let log = "2026-11-22 18:00:00 UTC [7] LOG:  starting\n2026-11-22 18:00:00 UTC [7] FATAL:  bad parameter\n2026 LOG: database system is shut down\n";
        assert_eq!(last_line(log), "bad parameter");
        assert_eq!(last_line(""), "it said nothing");
    }

    #[tokio::test]
    async fn a_server_wants_passwords_survives_a_crash_and_leaves_nothing() {
        let installation = Installation::get(&|_| ())
            .await
            .expect("there is a PostgreSQL");
        let home = std::env::temp_dir().join(format!("postgres-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("temporary directories can be made");
        std::fs::set_permissions(&home, Permissions::from_mode(0o711)).expect("it is ours");
        let mut server = Server::at(&installation, &home.join("one")).expect("it can be made");
        let odd = [("no_such_parameter".to_owned(), "1".to_owned())];
        let refused = server
            .start(&odd)
            .await
            .expect_err("it has no such parameter")
            .to_string();
        assert!(refused.contains("no_such_parameter"), "{refused}");
        server.start(&[]).await.expect("it starts");

        let password = r#"it's "so" \ %I 5"#;
        let admin = server
            .superuser("postgres")
            .await
            .expect("the socket is open to us");
        sql::run(
            &admin,
            "CREATE ROLE %I LOGIN PASSWORD %L",
            &["o'wner", password],
        )
        .await
        .expect("quoted well");
        sql::run(
            &admin,
            "CREATE DATABASE %I OWNER %I",
            &["the one", "o'wner"],
        )
        .await
        .expect("quoted well");
        let guest = |server: &Server| {
            let mut guest = Config::new();
            guest
                .host("127.0.0.1")
                .port(server.port())
                .user("o'wner")
                .dbname("the one")
                .to_owned()
        };
        assert!(
            sql::connect(&guest(&server)).await.is_err(),
            "without a password"
        );
        assert!(
            sql::connect(guest(&server).password("wrong"))
                .await
                .is_err()
        );
        let client = sql::connect(guest(&server).password(password))
            .await
            .expect("the right password");
        client
            .batch_execute("CREATE TABLE kept AS SELECT 42 AS answer")
            .await
            .expect("it owns the database");

        let id = server
            .process
            .as_ref()
            .and_then(Child::id)
            .expect("it runs")
            .to_string();
        std::process::Command::new("kill")
            .args(["-KILL", &id])
            .status()
            .expect("there is kill");
        assert!(server.ended().await.is_some_and(|status| !status.success()));
        assert!(!server.runs());
        while server.start(&[]).await.is_err() {
            // Its children may still be leaving.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let client = sql::connect(guest(&server).password(password))
            .await
            .expect("the right password");
        assert!(
            sql::finds(
                &client,
                "SELECT answer FROM kept WHERE answer::text = $1",
                "42"
            )
            .await
            .expect("it is a query")
        );

        let mut gone = guest(&server);
        server.stop().await;
        assert!(sql::connect(gone.password(password)).await.is_err());
        std::fs::remove_dir(&home).expect("it is empty");
    }
}
