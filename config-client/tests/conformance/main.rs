//! The config client against recordings of Spring's.
//!
//! Recordings lie in `tests/fixtures`, or in the folder named by `VERNAL_FIXTURES`, one folder per area. Each family
//! is a module that replays its recordings and counts; what differs and is no deviation on purpose fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test panics where its recording is not as expected")]

#[cfg(feature = "cipher")]
mod cipher;
#[cfg(feature = "client")]
mod http;
#[cfg(feature = "client")]
mod resolve;
#[cfg(feature = "source")]
mod yaml;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

#[cfg(feature = "cipher")]
#[test]
fn cipher_texts_are_as_recorded() {
    cipher::run(&fixtures("config").join("cipher")).report();
}

#[cfg(feature = "source")]
#[test]
fn yaml_scalars_are_as_recorded() {
    yaml::run(&fixtures("config").join("yaml")).report();
}

#[cfg(feature = "client")]
#[test]
fn a_start_sees_what_a_spring_client_sees() {
    resolve::run(&fixtures("config").join("resolve")).report();
}

#[cfg(feature = "client")]
#[test]
fn answers_of_servers_are_read_as_recorded() {
    http::run(&fixtures("config").join("http")).report();
}

/// What came of one family of recordings.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    family: &'static str,
    run: usize,
    passed: usize,
    deviations: BTreeMap<&'static str, usize>,
    not_built: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(family: &'static str) -> Self {
        Self { family, ..Self::default() }
    }

    /// A case that came out as recorded but for deviations on purpose.
    pub(crate) fn pass(&mut self, deviations: impl IntoIterator<Item = &'static str>) {
        self.run += 1;
        self.passed += 1;
        deviations.into_iter().for_each(|tag| *self.deviations.entry(tag).or_default() += 1);
    }

    /// A case that came out otherwise. `name` is for the message only.
    pub(crate) fn fail(&mut self, name: &str, why: &str) {
        self.run += 1;
        self.failures.push(format!("{}/{name}: {why}", self.family));
    }

    /// A case that was not run, and what it needs.
    pub(crate) fn not_built(&mut self, what: &'static str) {
        *self.not_built.entry(what).or_default() += 1;
    }

    /// Prints the closing line and panics if a case failed.
    #[track_caller]
    pub(crate) fn report(self) {
        let line = format!(
            "{}: {} run, {} passed, deviations {:?}, not built {:?}\n",
            self.family, self.run, self.passed, self.deviations, self.not_built
        );
        // Past the capture of the test harness, so that every run shows it.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

/// The folder of an area.
pub(crate) fn fixtures(area: &str) -> PathBuf {
    match std::env::var_os("VERNAL_FIXTURES") {
        Some(root) => Path::new(&root).join(area),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(area),
    }
}

/// The JSON files of a folder by their name, sorted; none if the folder is absent.
#[cfg(feature = "client")]
pub(crate) fn cases(folder: &Path) -> Vec<(String, serde_json::Value)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut cases: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    cases
}
