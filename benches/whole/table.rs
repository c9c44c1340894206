//! What was measured, as tables that people read: Markdown, ratios beside the figures.

use std::fmt::Write as _;
use std::time::Duration;

use crate::args::Args;
use crate::ceiling::Ceiling;
use crate::chart::Curve;
use crate::servers::Counts;

/// How many orders wait in how many workspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) objects: usize,
    pub(crate) workspaces: usize,
}

/// What one agent needed in one cell.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// When each copy was seen, from the start of the process on.
    pub(crate) curve: Vec<Duration>,
    /// When all were there; `None`: not within the cap.
    pub(crate) all: Option<Duration>,
    pub(crate) quiet: Option<Duration>,
    pub(crate) cpu: Duration,
    /// The embedded servers' time on the processors meanwhile.
    pub(crate) servers: Option<Duration>,
    /// Bytes in memory: without orders, at most, and with all of them a while after the last was settled.
    pub(crate) idle: u64,
    pub(crate) highest: u64,
    pub(crate) resident: u64,
    pub(crate) counts: Counts,
    /// Of what, whether at a steady rate, how long.
    pub(crate) latencies: Vec<(&'static str, bool, Latency)>,
    /// How many changes of spec there were, and as many of status, and what they cost.
    pub(crate) changes: (usize, Counts),
    /// A quiet tenant's latency alone and beside a noisy one.
    pub(crate) noisy: Option<(Latency, Latency)>,
    /// How long nothing happened, and what that cost in time and requests.
    pub(crate) rest: Option<(Duration, Duration, usize)>,
    pub(crate) restart: Option<Restart>,
    pub(crate) deleted: Option<(usize, Option<Duration>)>,
    pub(crate) deletion: Counts,
}

/// How long changes took from the answer to whoever wrote them until they were seen on the other side.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    pub(crate) crossed: Vec<Duration>,
    /// How long the writes themselves took.
    pub(crate) writes: Vec<Duration>,
    /// How long the other server took for the agent's writes that brought them over, where its audit log tells.
    pub(crate) carried: Vec<Duration>,
    /// How many never arrived.
    pub(crate) missing: usize,
}

/// A start over what is settled.
#[derive(Debug)]
pub(crate) struct Restart {
    pub(crate) quiet: Option<Duration>,
    pub(crate) cpu: Duration,
    pub(crate) resident: u64,
    pub(crate) counts: Counts,
}

/// Everything that was measured in a run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    ceilings: Vec<(Cell, Ceiling)>,
    measured: Vec<(String, Cell, Measured)>,
}

impl Results {
    pub(crate) fn ceiling(&mut self, cell: Cell, ceiling: Ceiling) {
        self.ceilings.push((cell, ceiling));
    }

    pub(crate) fn add(&mut self, who: &str, cell: Cell, measured: Measured) {
        self.measured.push((who.to_owned(), cell, measured));
    }

    /// Says the most important at once: a run may be long.
    pub(crate) fn print_row(&self, who: &str, cell: Cell) {
        let Some((_, _, it)) = self
            .measured
            .iter()
            .rfind(|(name, at, _)| name == who && *at == cell)
        else {
            return;
        };
        eprint!("\r{:<78}\r", "");
        println!(
            "{who}, {} orders in {} workspaces: {} placed, all after {}, CPU {:.2} s",
            cell.objects,
            cell.workspaces,
            it.curve.len(),
            seconds(it.all),
            it.cpu.as_secs_f64()
        );
    }

    pub(crate) fn curves(&self) -> Vec<Curve> {
        let largest = self.measured.iter().filter(|(_, _, it)| it.all.is_some());
        let Some(cell) = largest
            .map(|(_, cell, _)| *cell)
            .max_by_key(|it| it.objects)
        else {
            return Vec::new();
        };
        let ceilings = self.ceilings.iter().filter(|(at, _)| *at == cell);
        let mut curves: Vec<_> = ceilings
            .map(|(_, it)| Curve::of(it.name(), &it.curve))
            .collect();
        let agents = self.measured.iter().filter(|(_, at, _)| *at == cell);
        curves.extend(agents.map(|(who, _, it)| Curve::of(who, &it.curve)));
        curves
    }

    pub(crate) fn table(&self, args: &Args) -> String {
        let mut out = String::new();
        self.placed(&mut out, args.cap);
        self.writes(&mut out);
        self.slopes(&mut out);
        self.requests(&mut out);
        self.latencies(&mut out);
        self.others(&mut out, args.cap);
        out
    }

    fn ceiling_of(&self, cell: Cell) -> Option<f64> {
        let mut all = self.ceilings.iter();
        let (_, it) = all.find(|(at, it)| *at == cell && !it.watched)?;
        rate(cell.objects, it.all)
    }

    /// How many orders a second it was, and what that is of the ceiling.
    fn pace(&self, cell: Cell, all: Option<Duration>) -> (String, String) {
        let per = rate(cell.objects, all);
        let share = per.zip(self.ceiling_of(cell));
        (
            per.map_or(String::new(), |it| format!("{it:.0}")),
            share.map_or(String::new(), |(per, most)| format!("{:.2}", per / most)),
        )
    }

    fn placed(&self, out: &mut String, cap: u64) {
        line(
            out,
            "| orders in workspaces | who | first copy | all placed | quiet | orders a second | of the ceiling | CPU for 1,000 | the servers' CPU for 1,000 | RSS idle | at most | RSS with all |",
        );
        line(
            out,
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        );
        let beyond = format!("> {cap} s");
        for (cell, it) in &self.ceilings {
            let all = it.all.map_or(beyond.clone(), |it| seconds(Some(it)));
            let (per, share) = self.pace(*cell, it.all);
            line(
                out,
                &format!(
                    "| {} in {} | {} | {} | {all} | | {per} | {share} | | | | | |",
                    cell.objects,
                    cell.workspaces,
                    it.name(),
                    seconds(it.curve.first().copied())
                ),
            );
        }
        for (who, cell, it) in &self.measured {
            let (per, share) = self.pace(*cell, it.all);
            let thousand = |time: Duration| {
                format!("{:.2} s", time.as_secs_f64() * 1000.0 / cell.objects as f64)
            };
            line(
                out,
                &format!(
                    "| {} in {} | {who} | {} | {} | {} | {} | {share} | {} | {} | {} | {} | {} |",
                    cell.objects,
                    cell.workspaces,
                    seconds(it.curve.first().copied()),
                    it.all.map_or_else(
                        || format!("{beyond} ({} there)", it.curve.len()),
                        |all| seconds(Some(all))
                    ),
                    seconds(it.quiet),
                    per,
                    if it.all.is_some() {
                        thousand(it.cpu)
                    } else {
                        String::new()
                    },
                    it.servers.map_or("".into(), thousand),
                    mebibytes(it.idle),
                    mebibytes(it.highest),
                    mebibytes(it.resident)
                ),
            );
        }
        for (who, cell, it) in &self.measured {
            let ours = self
                .measured
                .iter()
                .find(|(name, at, _)| at == cell && name != who);
            if let Some((other, _, first)) = ours
                && let (Some(mine), Some(theirs)) = (first.all, it.all)
            {
                line(
                    out,
                    &format!(
                        "\n{} orders in {}: {who} needs {:.1} times as long as {other}, and {:.1} times the CPU.",
                        cell.objects,
                        cell.workspaces,
                        theirs.as_secs_f64() / mine.as_secs_f64(),
                        it.cpu.as_secs_f64() / first.cpu.as_secs_f64().max(0.01)
                    ),
                );
            }
        }
    }

    fn writes(&self, out: &mut String) {
        for (cell, it) in &self.ceilings {
            let at = |percent| millis(share(&it.writes, percent));
            line(
                out,
                &format!(
                    "\n{}, {} orders in {} workspaces: a write takes p50 {}, p99 {}.",
                    it.name(),
                    cell.objects,
                    cell.workspaces,
                    at(50),
                    at(99)
                ),
            );
        }
    }

    fn slopes(&self, out: &mut String) {
        for (who, cell, few) in &self.measured {
            let larger = self.measured.iter().filter(|(name, at, it)| {
                name == who
                    && at.workspaces == cell.workspaces
                    && at.objects > cell.objects
                    && it.all.is_some()
            });
            let Some((_, most, many)) = larger.max_by_key(|(_, at, _)| at.objects) else {
                continue;
            };
            let grown = many.resident.saturating_sub(few.resident) as f64;
            let per = grown / (most.objects - cell.objects) as f64 / 1024.0;
            line(
                out,
                &format!(
                    "\n{who}: from {} to {} orders in {} workspaces RSS grows by {per:.2} KiB for each.",
                    cell.objects, most.objects, cell.workspaces
                ),
            );
        }
    }

    fn requests(&self, out: &mut String) {
        for (who, cell, it) in self
            .measured
            .iter()
            .filter(|(_, _, it)| !it.counts.is_empty())
        {
            line(
                out,
                &format!(
                    "\n{who}, requests while {} orders in {} workspaces were placed: {}.",
                    cell.objects,
                    cell.workspaces,
                    told(&it.counts, cell.objects)
                ),
            );
        }
        for (who, _, it) in self.measured.iter().filter(|(_, _, it)| it.changes.0 > 0) {
            let counts = told(&it.changes.1, it.changes.0);
            line(
                out,
                &format!(
                    "\n{who}, requests for {} changes of spec and as many of status (per pair of them in brackets): {counts}.",
                    it.changes.0
                ),
            );
        }
    }

    fn latencies(&self, out: &mut String) {
        if self
            .measured
            .iter()
            .all(|(_, _, it)| it.latencies.is_empty() && it.noisy.is_none())
        {
            return;
        }
        line(
            out,
            "\n| who | what | pace | p50 | p99 | the write itself p50 | p99 | the agent's write, as its server logged it p50 | p99 | never arrived |",
        );
        line(
            out,
            "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        );
        let mut row = |who: &str, what: &str, pace: &str, it: &Latency| {
            let at = |all: &[Duration], percent| millis(share(all, percent));
            line(
                out,
                &format!(
                    "| {who} | {what} | {pace} | {} | {} | {} | {} | {} | {} | {} |",
                    at(&it.crossed, 50),
                    at(&it.crossed, 99),
                    at(&it.writes, 50),
                    at(&it.writes, 99),
                    at(&it.carried, 50),
                    at(&it.carried, 99),
                    it.missing
                ),
            );
        };
        for (who, _, it) in &self.measured {
            for (what, steady, latency) in &it.latencies {
                row(
                    who,
                    what,
                    if *steady { "steady" } else { "all at once" },
                    latency,
                );
            }
            if let Some((alone, beside)) = &it.noisy {
                row(who, "updates", "5 a second, alone", alone);
                row(who, "updates", "5 a second, beside a noisy tenant", beside);
            }
        }
    }

    fn others(&self, out: &mut String, cap: u64) {
        for (who, cell, it) in &self.measured {
            if let Some((time, cpu, asked)) = it.rest {
                line(
                    out,
                    &format!(
                        "\n{who}, at rest for {:.0} s: {asked} requests, {:.2} s of CPU.",
                        time.as_secs_f64(),
                        cpu.as_secs_f64()
                    ),
                );
            }
            if let Some(it) = &it.restart {
                line(
                    out,
                    &format!(
                        "\n{who}, started anew over {} settled orders: quiet after {}, {:.2} s of CPU, RSS {}; {}.",
                        cell.objects,
                        it.quiet
                            .map_or(format!("> {cap} s"), |it| seconds(Some(it))),
                        it.cpu.as_secs_f64(),
                        mebibytes(it.resident),
                        told(&it.counts, 0)
                    ),
                );
            }
            if let Some((many, all)) = it.deleted {
                line(
                    out,
                    &format!(
                        "\n{who}, {many} orders deleted: the last was gone after {}; {}.",
                        all.map_or(format!("> {cap} s"), |it| seconds(Some(it))),
                        told(&it.deletion, many)
                    ),
                );
            }
        }
    }
}

/// Requests, and how many of them for each of so many.
fn told(counts: &Counts, per: usize) -> String {
    let line = |(line, count): (&String, &usize)| match per {
        0 => format!("{count} {line}"),
        per => format!("{count} {line} ({:.2})", *count as f64 / per as f64),
    };
    match counts.is_empty() {
        true => "no requests, or none that were counted".to_owned(),
        false => counts.iter().map(line).collect::<Vec<_>>().join(", "),
    }
}

fn rate(objects: usize, all: Option<Duration>) -> Option<f64> {
    Some(objects as f64 / all?.as_secs_f64())
}

/// The smallest value that this share of all is not above.
fn share(all: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied()
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("".into(), |it| format!("{:.2} s", it.as_secs_f64()))
}

fn millis(time: Option<Duration>) -> String {
    time.map_or("".into(), |it| {
        format!("{:.0} ms", it.as_secs_f64() * 1000.0)
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}
