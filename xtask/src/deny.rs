use crate::command::{Outcome, cargo, cargo_output};

const VERSION: &str = "0.20.2";

/// Licences, sources and duplicates. Installs the pinned cargo-deny when another or none is there.
pub(crate) fn run() -> Outcome {
    let installed = cargo_output(&["deny", "--version"]).unwrap_or_default();
    if installed.split_whitespace().last() != Some(VERSION) {
        // Its default features only serve the check of advisories.
        let install = ["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--force"];
        cargo(&[&install[..], &["--no-default-features"]].concat())?;
    }
    cargo(&["deny", "--log-level", "warn", "check", "bans", "licenses", "sources"])
}
