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
        Heard::Later(Later::Unavailable) => "unavailable",
    }
}

#[cfg(feature = "metrics")]
mod on {
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

    /// All counters of an agent.
    #[derive(Debug)]
    pub(crate) struct Metrics {
        registry: Registry,
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
            let mut registry = Registry::with_prefix("syncagent");
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
                registry,
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
        }

        pub(crate) fn stuck(&self, stuck: usize) {
            self.stuck.set(i64::try_from(stuck).unwrap_or(i64::MAX));
        }

        /// In the OpenMetrics text format.
        pub(crate) fn text(&self) -> String {
            let mut out = String::new();
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
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

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
