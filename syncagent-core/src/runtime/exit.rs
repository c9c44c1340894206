//! How an agent ended, as `main` returns it.

use std::fmt;
use std::process::{ExitCode, Termination};

use crate::error::Error;

/// How an agent ended.
///
/// Returned from `main` it prints what there is to say on standard error, for people, and sets the exit code: 0 when the
/// agent was stopped, 2 when the definitions cannot work, 1 when it failed.
#[derive(Debug)]
#[must_use]
pub struct Exit(Reason);

#[derive(Debug)]
enum Reason {
    Stopped,
    Invalid(Vec<String>),
    Failed(Error),
}

impl Exit {
    /// It was asked to stop, and did.
    pub fn stopped() -> Self {
        Self(Reason::Stopped)
    }

    /// The definitions cannot work; nothing was started.
    pub fn invalid(problems: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self(Reason::Invalid(
            problems.into_iter().map(|p| p.to_string()).collect(),
        ))
    }

    /// It could not go on.
    pub fn failed(error: Error) -> Self {
        Self(Reason::Failed(error))
    }

    /// Whether it was asked to stop, and did.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.0, Reason::Stopped)
    }

    /// The problems of the definitions; empty when there were none.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        match &self.0 {
            Reason::Invalid(problems) => problems,
            Reason::Stopped | Reason::Failed(_) => &[],
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Stopped => f.write_str("stopped"),
            Reason::Failed(error) => f.write_str(&error.chain()),
            Reason::Invalid(problems) => {
                write!(f, "the agent was not started: ")?;
                match problems.len() {
                    1 => write!(f, "one problem")?,
                    n => write!(f, "{n} problems")?,
                }
                for problem in problems {
                    write!(f, "\n  - {problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl Termination for Exit {
    #[expect(
        clippy::print_stderr,
        reason = "the last words of a process are for people"
    )]
    fn report(self) -> ExitCode {
        match &self.0 {
            Reason::Stopped => ExitCode::SUCCESS,
            Reason::Invalid(_) => {
                eprintln!("error: {self}");
                ExitCode::from(2)
            }
            Reason::Failed(_) => {
                eprintln!("error: {self}");
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_listed() {
        let exit = Exit::invalid(["a is wrong", "b is wrong"]);
        assert_eq!(
            exit.to_string(),
            "the agent was not started: 2 problems\n  - a is wrong\n  - b is wrong"
        );
        assert!(!exit.is_stopped());
    }
}
