//! On what it was measured.

use std::process::Stdio;

use tokio::process::Command;

use crate::check::Outcome;
use crate::peers::{Peers, Real};
use crate::proc::field;
use crate::scenario::Area;

/// Processor, memory, kernel and the versions of everything that takes part.
pub(super) async fn describe(peers: &Real) -> Outcome<String> {
    let cores = std::thread::available_parallelism()?;
    let cpu = field("/proc/cpuinfo", "model name")?;
    let memory = field("/proc/meminfo", "MemTotal")?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let java = first_line("java", &["-version"]).await?;
    let rustc = first_line("rustc", &["--version"]).await?;
    Ok([
        format!("- Machine: {cores} cores of {cpu}, {memory} of memory, Linux {}\n", kernel.trim()),
        format!("- Java: {java}; {}\n", peers.version(Area::Estate)),
        format!("- Ours: vernal {}, {rustc}, release profile\n", env!("CARGO_PKG_VERSION")),
    ]
    .concat())
}

/// The first line of what a program prints, wherever it prints it.
async fn first_line(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}
