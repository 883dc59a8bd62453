use crate::command::{Outcome, cargo};

/// Our programs under load for a while; `VERNAL_SOAK_SECONDS` says for how long.
pub(crate) fn run() -> Outcome {
    cargo(&["build", "--release", "-p", "vernal-examples", "--examples"])?;
    cargo(&["run", "--release", "-p", "vernal-interop", "--bin", "interop-soak"])
}
