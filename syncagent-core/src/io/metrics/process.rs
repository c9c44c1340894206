//! What the process costs the machine, under the names that Prometheus' own client libraries use, so that dashboards of the
//! Go agent go on working. It is read where it is asked for, from `/proc`; what a machine does not tell is left out.

use std::fmt::Write as _;

/// How many ticks a second has in what `/proc` tells, on every Linux there is.
const TICKS: f64 = 100.0;

/// The metrics of this process, in the text format of Prometheus; empty where there is no `/proc`.
pub(crate) fn text() -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).ok();
    let open = std::fs::read_dir("/proc/self/fd").ok();
    // One of them is open to be counted.
    tell(read, open.map(|it| it.count().saturating_sub(1)))
}

fn tell(read: impl Fn(&str) -> Option<String>, open: Option<usize>) -> String {
    let stat = read("self/stat").unwrap_or_default();
    // The second field, the name of the program, may hold anything, parentheses too.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let number = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok());
    let named = |text: &Option<String>, name: &str| {
        let line = text.as_deref()?.lines().find(|it| it.starts_with(name))?;
        let mut words = line.strip_prefix(name)?.split_whitespace();
        words.next()?.parse::<f64>().ok()
    };
    let (status, limits) = (read("self/status"), read("self/limits"));
    let bytes = |name: &str| named(&status, name).map(|it| it * 1024.0);
    let seconds = number(11)
        .zip(number(12))
        .map(|(user, system)| (user + system) / TICKS);
    let started = named(&read("stat"), "btime")
        .zip(number(19))
        .map(|(boot, after)| boot + after / TICKS);
    let open = open.map(|it| it as f64);
    let all = [
        (
            "cpu_seconds_total",
            "counter",
            "Processor time used",
            seconds,
        ),
        ("open_fds", "gauge", "Open file descriptors", open),
        (
            "max_fds",
            "gauge",
            "How many file descriptors may be open",
            named(&limits, "Max open files"),
        ),
        (
            "resident_memory_bytes",
            "gauge",
            "Memory that is resident",
            bytes("VmRSS:"),
        ),
        (
            "virtual_memory_bytes",
            "gauge",
            "Memory that is mapped",
            bytes("VmSize:"),
        ),
        (
            "start_time_seconds",
            "gauge",
            "When the process began, in seconds since 1970",
            started,
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in all {
        if let Some(value) = value {
            let _ = write!(
                text,
                "# HELP process_{name} {help}.\n# TYPE process_{name} {kind}\nprocess_{name} {value}\n"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_and_units_are_those_of_prometheus() {
        let read = |name: &str| {
            let text = match name {
                "self/stat" => {
                    "7 (a) odd (one) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 9 0 1234 1 1 1"
                }
                "self/status" => "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n",
                "self/limits" => {
                    "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n"
                }
                "stat" => "cpu 1 2 3\nbtime 1700000000\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let text = tell(read, Some(12));
        let values: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                "process_cpu_seconds_total 2",
                "process_open_fds 12",
                "process_max_fds 1024",
                "process_resident_memory_bytes 1048576",
                "process_virtual_memory_bytes 2097152",
                "process_start_time_seconds 1700000012.34",
            ]
        );
        assert!(
            text.contains("# TYPE process_cpu_seconds_total counter\n"),
            "{text}"
        );
    }

    #[test]
    fn what_a_machine_does_not_tell_is_left_out() {
        assert_eq!(tell(|_| None, None), "");
        let unlimited = |name: &str| {
            (name == "self/limits")
                .then(|| "Max open files  unlimited  unlimited  files".to_owned())
        };
        assert_eq!(tell(unlimited, None), "");
    }
}
