//! The crate against recordings of Spring Cloud Config and its parts.
//!
//! Recordings lie in `tests/fixtures`, or in the folder named by `VERNAL_FIXTURES`, one folder per area. Each family
//! is a module that replays its recordings and counts; what differs and is no deviation on purpose fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test panics where its recording is not as expected")]

#[cfg(feature = "cipher")]
mod cipher;
#[cfg(feature = "source")]
mod yaml;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

#[cfg(feature = "cipher")]
#[test]
fn cipher_texts_are_as_recorded() {
    cipher::run(&fixtures("config")).report();
}

#[cfg(feature = "source")]
#[test]
fn yaml_scalars_are_as_recorded() {
    yaml::run(&fixtures("config")).report();
}

/// What came of one family of recordings.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What the family is called in the closing line.
    pub(crate) family: &'static str,
    /// Cases that were replayed.
    pub(crate) run: usize,
    /// Those that came out as recorded, or as a deviation that the documentation lists.
    pub(crate) passed: usize,
    /// Deviations by tag.
    pub(crate) deviations: BTreeMap<&'static str, usize>,
    /// Cases that were not replayed, by what is missing for them.
    pub(crate) not_built: BTreeMap<&'static str, usize>,
    /// One text for each case that failed.
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    /// Counts a case that was replayed: the tag of a deviation, or what differs.
    pub(crate) fn count(&mut self, case: &str, result: Result<Option<&'static str>, String>) {
        self.run += 1;
        match result {
            Ok(deviation) => {
                self.passed += 1;
                if let Some(tag) = deviation {
                    *self.deviations.entry(tag).or_default() += 1;
                }
            }
            Err(difference) => self.failures.push(format!("{case}: {difference}")),
        }
    }

    /// Prints the counts, past the capture of the test harness; fails if a case did.
    pub(crate) fn report(&self) {
        let mut text = String::new();
        for failure in &self.failures {
            text.push_str(&format!("FAILED {failure}\n"));
        }
        text.push_str(&format!(
            "conformance {}: {} run, {} passed; deviations {:?}; not built {:?}\n",
            self.family, self.run, self.passed, self.deviations, self.not_built
        ));
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        assert!(self.failures.is_empty(), "{} of {} cases failed", self.failures.len(), self.run);
        assert_eq!(self.run, self.passed, "every case is counted");
    }
}

/// The recordings of an area.
pub(crate) fn fixtures(area: &str) -> PathBuf {
    let root = std::env::var_os("VERNAL_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from);
    root.join(area)
}
