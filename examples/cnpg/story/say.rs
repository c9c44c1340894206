//! What people read: one line per thing that happened, and a spinner while something is awaited.
//!
//! Colour and spinner only on a terminal, and neither when logs are shown or `NO_COLOR` is set.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Story,
    Provider,
    Agent,
    Operator,
    Consumer(usize),
}

impl Who {
    fn name(self) -> String {
        match self {
            Self::Story => "story".to_owned(),
            Self::Provider => "provider".to_owned(),
            Self::Agent => "agent".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Consumer(number) => format!("consumer {number}"),
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Story => "90",
            Self::Provider => "35",
            Self::Agent => "36",
            Self::Operator => "34",
            Self::Consumer(1) => "32",
            Self::Consumer(_) => "33",
        }
    }
}

/// Tells the story on standard output.
#[derive(Clone)]
pub(crate) struct Narrator(Arc<Mutex<Mouth>>);

struct Mouth {
    since: Instant,
    colour: bool,
    spins: bool,
    closing: bool,
    frame: usize,
    next: usize,
    awaited: Vec<(usize, String)>,
    /// What was printed, for tests to read.
    #[cfg(test)]
    printed: Vec<String>,
}

const FRAMES: [char; 4] = ['|', '/', '-', '\\'];

impl Narrator {
    pub(crate) fn new(logs: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        let spins = terminal && !logs;
        let mouth = Mouth {
            since: Instant::now(),
            colour,
            spins,
            closing: false,
            frame: 0,
            next: 0,
            awaited: Vec::new(),
            #[cfg(test)]
            printed: Vec::new(),
        };
        let narrator = Self(Arc::new(Mutex::new(mouth)));
        if spins {
            let shared = Arc::downgrade(&narrator.0);
            tokio::spawn(async move {
                while let Some(mouth) = shared.upgrade() {
                    mouth.lock().unwrap_or_else(PoisonError::into_inner).spin();
                    drop(mouth);
                    tokio::time::sleep(Duration::from_millis(120)).await;
                }
            });
        }
        narrator
    }

    fn mouth(&self) -> MutexGuard<'_, Mouth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something happened.
    pub(crate) fn say(&self, who: Who, what: &str) {
        let mut mouth = self.mouth();
        if !(mouth.closing && who == Who::Agent) {
            mouth.line(who, what);
        }
    }

    /// From now on everything is being torn down, which is not news of the agent's.
    pub(crate) fn close(&self) {
        self.mouth().closing = true;
    }

    /// Adds lines to what was just said: rows, commands.
    pub(crate) fn show(&self, lines: &str) {
        let mut mouth = self.mouth();
        for line in lines.lines() {
            mouth.print(&format!("             {line}"));
        }
    }

    /// A line on its own.
    pub(crate) fn plain(&self, line: &str) {
        self.mouth().print(line);
    }

    /// Says that something is awaited, until the answer is dropped.
    pub(crate) fn waiting(&self, what: &str) -> Waiting {
        let mut mouth = self.mouth();
        let id = mouth.next;
        mouth.next += 1;
        mouth.awaited.push((id, what.to_owned()));
        drop(mouth);
        Waiting {
            narrator: self.clone(),
            id,
        }
    }

    /// Leaves a clean line to whoever writes next.
    pub(crate) fn hush(&self) {
        let mut mouth = self.mouth();
        mouth.awaited.clear();
        mouth.wipe();
        mouth.spins = false;
    }

    /// What was printed since this was asked last.
    #[cfg(test)]
    pub(crate) fn printed(&self) -> Vec<String> {
        std::mem::take(&mut self.mouth().printed)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.mouth().since.elapsed()
    }
}

/// Something that is awaited.
pub(crate) struct Waiting {
    narrator: Narrator,
    id: usize,
}

impl Waiting {
    /// What is awaited now. Without a spinner it is said, since it may take long.
    pub(crate) fn retell(&self, what: &str) {
        let mut mouth = self.narrator.mouth();
        if !mouth.spins {
            mouth.line(Who::Story, what);
        }
        if let Some((_, told)) = mouth.awaited.iter_mut().find(|(id, _)| *id == self.id) {
            what.clone_into(told);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut mouth = self.narrator.mouth();
        mouth.awaited.retain(|(id, _)| *id != self.id);
        mouth.wipe();
    }
}

impl Mouth {
    fn line(&mut self, who: Who, what: &str) {
        let time = self.since.elapsed().as_secs_f64();
        let name = who.name();
        let line = match self.colour {
            true => format!(
                "\x1b[90m{time:>7.2}s\x1b[0m  \x1b[{}m{name:<10}\x1b[0m  {what}",
                who.colour()
            ),
            false => format!("{time:>7.2}s  {name:<10}  {what}"),
        };
        self.print(&line);
    }

    fn print(&mut self, line: &str) {
        self.wipe();
        #[cfg(test)]
        self.printed.push(line.to_owned());
        let mut out = std::io::stdout().lock();
        // Who closed our output does not want to read on; the story ends the same way.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    fn wipe(&mut self) {
        if self.spins {
            let _ = write!(std::io::stdout().lock(), "\r\x1b[2K");
        }
    }

    fn spin(&mut self) {
        let Some((_, what)) = self.awaited.last().filter(|_| self.spins) else {
            return;
        };
        let more = match self.awaited.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        self.frame = (self.frame + 1) % FRAMES.len();
        let text: String = format!("waits for {what}{more}").chars().take(76).collect();
        let time = self.since.elapsed().as_secs_f64();
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "\r\x1b[2K{time:>7.2}s  {} {text}", FRAMES[self.frame])
            .and_then(|()| out.flush());
    }
}
