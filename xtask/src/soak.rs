use crate::command::{self, Outcome, cargo};

/// How long, if `VERNAL_SOAK_SECONDS` does not say.
const SECONDS: u32 = 180;

/// Our programs under load for a while.
pub(crate) fn run() -> Outcome {
    let seconds = command::seconds("VERNAL_SOAK_SECONDS", SECONDS)?.to_string();
    cargo(&["build", "--release", "-p", "vernal-examples", "--examples"])?;
    cargo(&["run", "--release", "-p", "vernal-interop", "--bin", "interop-soak", "--", &seconds])
}
