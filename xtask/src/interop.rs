use std::process::Command;

use crate::command::{Outcome, root};

/// All scenarios against the real peers, which `interop/run` builds, starts and stops.
pub(crate) fn run() -> Outcome {
    println!("interop/run");
    let status = Command::new(root().join("interop/run")).current_dir(root()).status();
    let status = status.map_err(|error| format!("`interop/run` could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`interop/run` ended with {status}")) }
}
