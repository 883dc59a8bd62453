//! What came of the cases.

use std::collections::BTreeMap;

/// How a case ended.
pub(crate) enum Outcome {
    /// Ours equals the recording.
    Passed,
    /// The recorded request is none that a client may send (it tests a server); its answer is read to the right
    /// outcome.
    AnswerOnly,
    /// Ours differs as the crate's front page says, by tag.
    Deviation(&'static str),
    /// What the case needs does not exist yet; what will build it.
    NotBuilt(&'static str),
}

#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    answer_only: usize,
    deviations: BTreeMap<&'static str, usize>,
    not_built: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, case: &str, outcome: Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::Passed) => self.passed += 1,
            Ok(Outcome::AnswerOnly) => {
                self.passed += 1;
                self.answer_only += 1;
            }
            Ok(Outcome::Deviation(tag)) => *self.deviations.entry(tag).or_default() += 1,
            Ok(Outcome::NotBuilt(by)) => *self.not_built.entry(by).or_default() += 1,
            Err(reason) => self.failures.push(format!("{case}: {reason}")),
        }
    }

    /// Cases run so far; what is not built is not run.
    pub(crate) fn run(&self) -> usize {
        self.passed + self.deviations.values().sum::<usize>() + self.failures.len()
    }

    pub(crate) fn close(self) {
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
        println!(
            "discovery conformance: {} run, {} passed (of these {} by their answer alone), deviations {:?}, not built {:?}, {} failed",
            self.run(),
            self.passed,
            self.answer_only,
            self.deviations,
            self.not_built,
            self.failures.len()
        );
        assert!(self.failures.is_empty(), "{} cases failed", self.failures.len());
    }
}

/// An error that shows both sides if they differ.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, recorded: &T) -> Result<(), String> {
    if ours == recorded { Ok(()) } else { Err(format!("{what}: ours {ours:?}, recorded {recorded:?}")) }
}
