use crate::command::{self, Outcome, cargo};

const VERSION: &str = "0.20.2";

/// Licences, sources and duplicates. Installs the pinned cargo-deny when another or none is there.
pub(crate) fn run() -> Outcome {
    // Its default features only serve the check of advisories.
    command::install("deny", VERSION, &["--no-default-features"])?;
    cargo(&["deny", "--log-level", "warn", "check", "bans", "licenses", "sources"])
}
