//! What is counted: effects by outcome, steps by how they end, how long news takes to cross, and how much waits.
//!
//! Labels are bounded by what is published, never by workspaces or orders. Without the feature `metrics` nothing is
//! counted and nothing is linked.
//!
//! | metric | labels | what |
//! | --- | --- | --- |
//! | `syncagent_effects_total` | `publication`, `effect`, `outcome` | requests that change something |
//! | `syncagent_questions_total` | `publication`, `answered` (`known`, `read`) | what a step had to find out |
//! | `syncagent_steps_total` | `publication`, `ending` | steps that came to rest, or did not |
//! | `syncagent_lag_seconds` | `publication`, `direction` (`down`, `up`) | from the event that brought news to the write that carried it across |
//! | `syncagent_orders` | | orders that are known |
//! | `syncagent_waiting` | | orders that wait for their turn |
//! | `syncagent_stuck` | | orders that do not get on |
//! | `sync_agent_published_resource` | | `PublishedResource` objects that are selected, also while they are being deleted |
//! | `workqueue_depth` | `name`, `controller` | as `syncagent_waiting` |
//! | `workqueue_adds_total`, `workqueue_retries_total` | `name`, `controller` | turns of orders, and those that are tries of the same again |
//! | `workqueue_queue_duration_seconds` | `name`, `controller` | how long an order waits for its turn after news of it |
//! | `workqueue_work_duration_seconds` | `name`, `controller` | how long a step takes |
//! | `workqueue_unfinished_work_seconds` | `name`, `controller` | how long the steps under way have taken so far, in all |
//! | `workqueue_longest_running_processor_seconds` | `name`, `controller` | how long the longest of them has |
//! | `rest_client_requests_total` | `code`, `host`, `method` | requests to API servers |
//! | `rest_client_request_duration_seconds` | `host`, `verb` | how long they take; watches until they are open |
//! | `controller_runtime_reconcile_total` | `controller`, `result` (`success`, `error`) | steps by how they end |
//! | `controller_runtime_reconcile_errors_total` | `controller` | those that are tried again |
//! | `controller_runtime_reconcile_time_seconds` | `controller` | as `workqueue_work_duration_seconds` |
//!
//! The last ones have the names that the Go agent has them under, so that dashboards and alerts go on working.

#[cfg(feature = "program")]
pub(crate) mod process;

#[cfg(feature = "metrics")]
pub(crate) use on::Metrics;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::Metrics;

use std::time::Duration;

use crate::plan::{Deed, Heard, Later};

/// Which way news went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// From the origin to the copy.
    Down,
    /// From the copy to the origin.
    Up,
}

/// Which way an effect carries news; `None`: it carries none.
pub(crate) fn direction(deed: &Deed) -> Option<Direction> {
    match deed {
        Deed::Place | Deed::Refresh | Deed::Take(_) | Deed::Retake(_) => Some(Direction::Down),
        Deed::Reflect | Deed::Return(_) | Deed::Update(_) => Some(Direction::Up),
        _ => None,
    }
}

/// What became of an effect, in one word.
pub(crate) fn outcome(code: u16, heard: &Heard) -> &'static str {
    match heard {
        Heard::Next => "done",
        Heard::Again if code == 409 => "conflict",
        Heard::Again => "refused",
        Heard::Later(Later::Denied) => "denied",
        Heard::Later(Later::Unaccepted) => "unaccepted",
        Heard::Later(Later::Unavailable) => "unavailable",
    }
}

#[cfg(feature = "metrics")]
mod on {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicU64;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tokio::time::Instant;

    use prometheus_client::encoding::{EncodeLabelSet, text};
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
    use prometheus_client::registry::Registry;

    use super::{Direction, Duration};

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Effect {
        publication: String,
        effect: &'static str,
        outcome: &'static str,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Question {
        publication: String,
        answered: &'static str,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Step {
        publication: String,
        ending: &'static str,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Lag {
        publication: String,
        direction: &'static str,
    }

    /// What a workqueue of the Go agent is called.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Workqueue {
        name: &'static str,
        controller: &'static str,
    }

    const SYNC: Workqueue = Workqueue {
        name: "syncagent-sync",
        controller: "syncagent-sync",
    };

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Controller {
        controller: &'static str,
    }

    const CONTROLLER: Controller = Controller {
        controller: SYNC.controller,
    };

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Reconciled {
        controller: &'static str,
        result: &'static str,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Requested {
        code: String,
        host: String,
        method: String,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Answered {
        host: String,
        verb: String,
    }

    /// All counters of an agent.
    #[derive(Debug)]
    pub(crate) struct Metrics {
        registry: Registry,
        published: Gauge,
        depth: Family<Workqueue, Gauge>,
        adds: Family<Workqueue, Counter>,
        retries: Family<Workqueue, Counter>,
        queue: Family<Workqueue, Histogram>,
        work: Family<Workqueue, Histogram>,
        unfinished: Family<Workqueue, Gauge<f64, AtomicU64>>,
        longest: Family<Workqueue, Gauge<f64, AtomicU64>>,
        under_way: Mutex<BTreeMap<u64, Instant>>,
        reconciled: Family<Reconciled, Counter>,
        errors: Family<Controller, Counter>,
        times: Family<Controller, Histogram>,
        requests: Family<Requested, Counter>,
        latency: Family<Answered, Histogram>,
        effects: Family<Effect, Counter>,
        questions: Family<Question, Counter>,
        steps: Family<Step, Counter>,
        lag: Family<Lag, Histogram>,
        orders: Gauge,
        waiting: Gauge,
        stuck: Gauge,
    }

    impl Default for Metrics {
        fn default() -> Self {
            let mut whole = Registry::default();
            let published = Gauge::default();
            whole.register(
                "sync_agent_published_resource",
                "PublishedResource objects that are selected",
                published.clone(),
            );
            let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
            let depth = Family::<Workqueue, Gauge>::default();
            let adds = Family::<Workqueue, Counter>::default();
            let retries = Family::<Workqueue, Counter>::default();
            let waits = Family::<Workqueue, Histogram>::new_with_constructor(seconds);
            let work = Family::<Workqueue, Histogram>::new_with_constructor(seconds);
            let unfinished = Family::<Workqueue, Gauge<f64, AtomicU64>>::default();
            let longest = Family::<Workqueue, Gauge<f64, AtomicU64>>::default();
            let requests = Family::<Requested, Counter>::default();
            let latency = Family::<Answered, Histogram>::new_with_constructor(seconds);
            let queue = whole.sub_registry_with_prefix("workqueue");
            queue.register("depth", "Orders that wait for their turn", depth.clone());
            queue.register("adds", "Turns of orders", adds.clone());
            queue.register("retries", "Turns that try the same again", retries.clone());
            queue.register(
                "queue_duration_seconds",
                "How long orders wait for their turn",
                waits.clone(),
            );
            queue.register(
                "work_duration_seconds",
                "How long a step takes",
                work.clone(),
            );
            queue.register(
                "unfinished_work_seconds",
                "How long the steps under way have taken so far",
                unfinished.clone(),
            );
            queue.register(
                "longest_running_processor_seconds",
                "How long the longest step under way has taken so far",
                longest.clone(),
            );
            let reconciled = Family::<Reconciled, Counter>::default();
            let errors = Family::<Controller, Counter>::default();
            let times = Family::<Controller, Histogram>::new_with_constructor(seconds);
            let runtime = whole.sub_registry_with_prefix("controller_runtime");
            runtime.register("reconcile", "Steps by how they ended", reconciled.clone());
            runtime.register(
                "reconcile_errors",
                "Steps that are tried again",
                errors.clone(),
            );
            runtime.register(
                "reconcile_time_seconds",
                "How long a step takes",
                times.clone(),
            );
            let client = whole.sub_registry_with_prefix("rest_client");
            client.register("requests", "Requests to API servers", requests.clone());
            client.register(
                "request_duration_seconds",
                "How long requests to API servers take",
                latency.clone(),
            );
            // They are there before anything happens.
            drop(depth.get_or_create(&SYNC));
            drop(adds.get_or_create(&SYNC));
            drop(retries.get_or_create(&SYNC));
            drop(unfinished.get_or_create(&SYNC));
            drop(longest.get_or_create(&SYNC));
            drop(errors.get_or_create(&CONTROLLER));
            let registry = whole.sub_registry_with_prefix("syncagent");
            let effects = Family::<Effect, Counter>::default();
            let questions = Family::<Question, Counter>::default();
            let steps = Family::<Step, Counter>::default();
            // 5 ms to 80 s.
            let lag = Family::<Lag, Histogram>::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.005, 2.0, 15))
            });
            let (orders, waiting, stuck) = <(Gauge, Gauge, Gauge)>::default();
            registry.register("effects", "Requests that change something", effects.clone());
            registry.register("questions", "What steps had to find out", questions.clone());
            registry.register("steps", "Steps by how they ended", steps.clone());
            registry.register(
                "lag_seconds",
                "From the event that brought news to the write that carried it across",
                lag.clone(),
            );
            registry.register("orders", "Orders that are known", orders.clone());
            registry.register(
                "waiting",
                "Orders that wait for their turn",
                waiting.clone(),
            );
            registry.register("stuck", "Orders that do not get on", stuck.clone());
            Self {
                registry: whole,
                published,
                depth,
                adds,
                retries,
                queue: waits,
                work,
                unfinished,
                longest,
                under_way: Mutex::default(),
                reconciled,
                errors,
                times,
                requests,
                latency,
                effects,
                questions,
                steps,
                lag,
                orders,
                waiting,
                stuck,
            }
        }
    }

    impl Metrics {
        pub(crate) fn effect(
            &self,
            publication: &str,
            effect: &'static str,
            outcome: &'static str,
        ) {
            let labels = Effect {
                publication: publication.to_owned(),
                effect,
                outcome,
            };
            self.effects.get_or_create(&labels).inc();
        }

        pub(crate) fn question(&self, publication: &str, read: bool) {
            let labels = Question {
                publication: publication.to_owned(),
                answered: if read { "read" } else { "known" },
            };
            self.questions.get_or_create(&labels).inc();
        }

        pub(crate) fn step(&self, publication: &str, ending: &'static str) {
            let labels = Step {
                publication: publication.to_owned(),
                ending,
            };
            self.steps.get_or_create(&labels).inc();
        }

        pub(crate) fn lag(&self, publication: &str, direction: Direction, lag: Duration) {
            let labels = Lag {
                publication: publication.to_owned(),
                direction: match direction {
                    Direction::Down => "down",
                    Direction::Up => "up",
                },
            };
            self.lag.get_or_create(&labels).observe(lag.as_secs_f64());
        }

        pub(crate) fn stand(&self, orders: usize, waiting: usize) {
            let number = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
            self.orders.set(number(orders));
            self.waiting.set(number(waiting));
            self.depth.get_or_create(&SYNC).set(number(waiting));
        }

        /// So many `PublishedResource` objects are looked after.
        pub(crate) fn published(&self, count: usize) {
            self.published.set(i64::try_from(count).unwrap_or(i64::MAX));
        }

        /// A step begins, after so long a wait where news asked for it; what is returned says so when it ends.
        pub(crate) fn begin(&self, waited: Option<Duration>) -> u64 {
            if let Some(waited) = waited {
                let queue = self.queue.get_or_create(&SYNC);
                queue.observe(waited.as_secs_f64());
            }
            let number = self.adds.get_or_create(&SYNC).inc();
            self.under_way().insert(number, Instant::now());
            number
        }

        /// A step ended; it may have to be tried again.
        pub(crate) fn finish(&self, number: u64, again: bool) {
            if again {
                self.retries.get_or_create(&SYNC).inc();
                self.errors.get_or_create(&CONTROLLER).inc();
            }
            let ended = Reconciled {
                controller: SYNC.controller,
                result: if again { "error" } else { "success" },
            };
            self.reconciled.get_or_create(&ended).inc();
            let begun = self.under_way().remove(&number);
            let took = begun.map_or(0.0, |it| it.elapsed().as_secs_f64());
            self.work.get_or_create(&SYNC).observe(took);
            self.times.get_or_create(&CONTROLLER).observe(took);
        }

        fn under_way(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
            self.under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        }

        /// A server answered, or did not (`<error>`).
        pub(crate) fn request(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
            let requested = Requested {
                code: code.map_or_else(|| "<error>".to_owned(), |it| it.to_string()),
                host: host.to_owned(),
                method: method.to_owned(),
            };
            self.requests.get_or_create(&requested).inc();
            let answered = Answered {
                host: host.to_owned(),
                verb: method.to_owned(),
            };
            self.latency
                .get_or_create(&answered)
                .observe(took.as_secs_f64());
        }

        pub(crate) fn stuck(&self, stuck: usize) {
            self.stuck.set(i64::try_from(stuck).unwrap_or(i64::MAX));
        }

        /// In the OpenMetrics text format.
        pub(crate) fn text(&self) -> String {
            let mut out = String::new();
            let (mut unfinished, mut longest) = (0.0, 0.0_f64);
            for began in self.under_way().values() {
                let took = began.elapsed().as_secs_f64();
                unfinished += took;
                longest = longest.max(took);
            }
            self.unfinished.get_or_create(&SYNC).set(unfinished);
            self.longest.get_or_create(&SYNC).set(longest);
            // Writing into a String cannot fail.
            let _ = text::encode(&mut out, &self.registry);
            out
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use super::{Direction, Duration};

    /// Counts nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Metrics;

    #[allow(clippy::unused_self)]
    impl Metrics {
        pub(crate) fn effect(&self, _: &str, _: &'static str, _: &'static str) {}
        pub(crate) fn question(&self, _: &str, _: bool) {}
        pub(crate) fn step(&self, _: &str, _: &'static str) {}
        pub(crate) fn lag(&self, _: &str, _: Direction, _: Duration) {}
        pub(crate) fn stand(&self, _: usize, _: usize) {}
        pub(crate) fn stuck(&self, _: usize) {}
        pub(crate) fn published(&self, _: usize) {}
        pub(crate) fn begin(&self, _: Option<Duration>) -> u64 {
            0
        }
        pub(crate) fn finish(&self, _: u64, _: bool) {}
        pub(crate) fn request(&self, _: &str, _: &str, _: Option<u16>, _: Duration) {}
    }
}

/// The text format that Prometheus has always read, from OpenMetrics: a counter is announced under the name of its samples,
/// and what the older format does not know is left out.
#[cfg(feature = "program")]
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let counters: std::collections::BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(what), Some(name), Some(rest)) => {
                let total = if counters.contains(name) {
                    "_total"
                } else {
                    ""
                };
                let rest = if rest == "unknown" { "untyped" } else { rest };
                out.push_str(&format!("# {what} {name}{total} {rest}"));
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_go_agent_are_kept() {
        let metrics = Metrics::default();
        metrics.published(3);
        let number = metrics.begin(Some(Duration::from_millis(2)));
        metrics.finish(number, true);
        metrics.request("kcp:6443", "GET", Some(200), Duration::from_millis(3));
        metrics.request("kcp:6443", "GET", None, Duration::from_millis(3));
        metrics.stand(7, 5);
        let text = metrics.text();
        for line in [
            "sync_agent_published_resource 3",
            r#"workqueue_depth{name="syncagent-sync",controller="syncagent-sync"} 5"#,
            r#"workqueue_adds_total{name="syncagent-sync",controller="syncagent-sync"} 1"#,
            r#"workqueue_retries_total{name="syncagent-sync",controller="syncagent-sync"} 1"#,
            r#"workqueue_queue_duration_seconds_count{name="syncagent-sync",controller="syncagent-sync"} 1"#,
            r#"workqueue_work_duration_seconds_count{name="syncagent-sync",controller="syncagent-sync"} 1"#,
            r#"workqueue_unfinished_work_seconds{name="syncagent-sync",controller="syncagent-sync"} 0.0"#,
            r#"workqueue_longest_running_processor_seconds{name="syncagent-sync",controller="syncagent-sync"} 0.0"#,
            r#"controller_runtime_reconcile_total{controller="syncagent-sync",result="error"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="syncagent-sync"} 1"#,
            r#"controller_runtime_reconcile_time_seconds_count{controller="syncagent-sync"} 1"#,
            r#"rest_client_requests_total{code="200",host="kcp:6443",method="GET"} 1"#,
            r#"rest_client_requests_total{code="<error>",host="kcp:6443",method="GET"} 1"#,
            r#"rest_client_request_duration_seconds_count{host="kcp:6443",verb="GET"} 2"#,
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[cfg(feature = "program")]
    #[test]
    fn the_older_text_format_announces_counters_as_they_are_called() {
        let text = "# HELP a_b What.\n# TYPE a_b counter\n# UNIT a_b seconds\na_b_total{x=\"y z\"} 1\n\
                    # HELP c D.\n# TYPE c unknown\nc 2\n# EOF\n";
        assert_eq!(
            plain(text),
            "# HELP a_b_total What.\n# TYPE a_b_total counter\na_b_total{x=\"y z\"} 1\n\
             # HELP c D.\n# TYPE c untyped\nc 2\n"
        );
    }

    #[test]
    fn what_is_counted_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.effect("things.example.io", "place", outcome(201, &Heard::Next));
        metrics.effect("things.example.io", "place", outcome(409, &Heard::Again));
        metrics.lag(
            "things.example.io",
            Direction::Down,
            Duration::from_millis(7),
        );
        metrics.stand(3, 1);
        metrics.stuck(2);
        let text = metrics.text();
        for line in [
            r#"syncagent_effects_total{publication="things.example.io",effect="place",outcome="done"} 1"#,
            r#"syncagent_effects_total{publication="things.example.io",effect="place",outcome="conflict"} 1"#,
            r#"syncagent_lag_seconds_bucket{le="0.01",publication="things.example.io",direction="down"} 1"#,
            "syncagent_orders 3",
            "syncagent_waiting 1",
            "syncagent_stuck 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_answer_has_one_word() {
        assert_eq!(outcome(422, &Heard::Again), "refused");
        assert_eq!(
            outcome(503, &Heard::Later(Later::Unavailable)),
            "unavailable"
        );
        assert_eq!(outcome(403, &Heard::Later(Later::Denied)), "denied");
    }
}
