//! The servers of the test kit against recordings of the real ones.
//!
//! Recordings lie in `tests/fixtures`, or in the folder named by `VERNAL_FIXTURES`, one folder per area. Each family
//! is a module that replays its recordings and counts; what differs and is no deviation on purpose fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test panics where its recording is not as expected")]

#[cfg(feature = "config-server")]
mod config;
#[cfg(feature = "registry")]
mod registry;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

#[cfg(feature = "config-server")]
#[test]
fn config_server_answers_as_recorded() {
    config::run(&fixtures("config")).report();
}

#[cfg(feature = "registry")]
#[test]
fn registry_answers_as_recorded() {
    registry::run(&fixtures("discovery")).report();
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
