use std::process::Command;

use crate::command::{Outcome, root};

/// The landing tier's scenarios against the real peers.
pub(crate) fn smoke() -> Outcome {
    run(&["--smoke"])
}

/// All scenarios against them.
pub(crate) fn all() -> Outcome {
    run(&[])
}

/// `interop/run` builds, starts and stops the peers.
fn run(arguments: &[&str]) -> Outcome {
    let told = format!("interop/run {}", arguments.join(" "));
    println!("{told}");
    let status = Command::new(root().join("interop/run")).args(arguments).current_dir(root()).status();
    let status = status.map_err(|error| format!("`interop/run` could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", told.trim_end())) }
}
