//! Measures Java's programs and ours beside the peers that `interop/run up` has started, and prints Markdown.
//!
//! `interop-bench [--quick]`; `interop-bench bench-target --server.port=N` and `interop-bench bench-client ...` are the
//! programs of ours that it starts for that.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program tells what it found")]

use std::path::Path;
use std::process::ExitCode;

use vernal_interop::bench::{self, CLIENT, Effort, TARGET};
use vernal_interop::check::Outcome;
use vernal_interop::peers::Real;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interop-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let peers = Real::find(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/run")).to_owned()).await?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => bench::run(&peers, Effort::FULL, tell).await,
        ["--quick"] => bench::run(&peers, Effort::QUICK, tell).await,
        [TARGET, port] => bench::serve_target(&peers, number(port)).await,
        [CLIENT, port] => bench::serve_client(&peers, number(port)).await,
        _ => Err(format!("usage: interop-bench [--quick], not {arguments:?}").into()),
    }
}

fn tell(part: &str) {
    print!("{part}");
}

/// `--server.port=8080` without what stands before the number.
fn number(port: &str) -> &str {
    port.strip_prefix("--server.port=").unwrap_or(port)
}
