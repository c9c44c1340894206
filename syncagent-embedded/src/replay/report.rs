//! What came of a replay, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::compare::Difference;
use super::recording::{Case, Topic};

/// What came of one case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Every answer agreed.
    Agrees,
    /// An answer did not.
    Differs(Box<Disagreement>),
}

/// The first answer that did not agree.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The number of the step, from 0.
    pub step: usize,
    /// The request, as it was sent.
    pub request: String,
    /// The remark of the recording.
    pub note: Option<String>,
    /// Where the answers part.
    pub difference: Difference,
    /// The message of an answered failure, which often says more than the difference.
    pub message: Option<String>,
}

/// The outcomes of a directory.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The name of the directory.
    pub name: String,
    /// By topic, in order: the case and what came of it.
    pub topics: BTreeMap<String, Vec<(String, Outcome)>>,
    /// Whole exchanges, where they were asked for.
    pub exchanges: Vec<String>,
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a case.
    pub fn add(&mut self, topic: &str, case: &Case, (outcome, exchanges): (Outcome, Vec<String>)) {
        self.exchanges.extend(exchanges);
        self.topics
            .entry(topic.to_owned())
            .or_default()
            .push((case.case.clone(), outcome));
    }

    /// Adds all cases of a topic that could not be begun.
    pub fn broken(&mut self, topic: &Topic, problem: &str) {
        for case in &topic.cases {
            let disagreement = Disagreement {
                step: 0,
                request: "what every case needs first".into(),
                note: None,
                difference: Difference {
                    at: "preparation".into(),
                    recorded: None,
                    actual: Some(Value::from(problem)),
                },
                message: None,
            };
            self.add(
                &topic.name,
                case,
                (Outcome::Differs(Box::new(disagreement)), Vec::new()),
            );
        }
    }

    /// How many agree, and of how many.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let all = self.topics.values().flatten();
        let agree = all
            .clone()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Agrees))
            .count();
        (agree, all.count())
    }

    /// The cases that do not agree, as `topic/case`.
    pub fn differing(&self) -> impl Iterator<Item = (String, &Disagreement)> {
        self.topics.iter().flat_map(|(topic, cases)| {
            cases
                .iter()
                .filter_map(move |(case, outcome)| match outcome {
                    Outcome::Agrees => None,
                    Outcome::Differs(disagreement) => {
                        Some((format!("{topic}/{case}"), &**disagreement))
                    }
                })
        })
    }

    /// Per topic how many agree, with the first difference of each case that does not.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for exchange in &self.exchanges {
            let _ = writeln!(text, "{exchange}");
        }
        for (topic, cases) in &self.topics {
            let agree = cases
                .iter()
                .filter(|(_, o)| matches!(o, Outcome::Agrees))
                .count();
            let _ = writeln!(
                text,
                "{}/{topic}: {agree} of {} agree",
                self.name,
                cases.len()
            );
            for (case, outcome) in cases {
                if let Outcome::Differs(disagreement) = outcome {
                    let _ = writeln!(text, "  {case}\n{}", disagreement.text());
                }
            }
        }
        text
    }
}

impl Disagreement {
    /// A readable difference.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("    step {}: {}", self.step, self.request);
        if let Some(note) = &self.note {
            let _ = write!(text, "\n    ({note})");
        }
        let _ = write!(text, "\n    at {}", self.difference.at);
        for (sign, value) in [
            ("-", &self.difference.recorded),
            ("+", &self.difference.actual),
        ] {
            match value {
                Some(value) => {
                    let _ = write!(text, "\n    {sign} {}", shorten(&value.to_string(), 600));
                }
                None => {
                    let _ = write!(text, "\n    {sign} (nothing)");
                }
            }
        }
        if let Some(message) = &self.message {
            let _ = write!(text, "\n    the answer said: {}", shorten(message, 400));
        }
        text
    }
}

/// At most so many characters.
fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
