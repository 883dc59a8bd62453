//! Puts our programs under load while servers and services go away and come back, prints what was seen, and ends with 1
//! if that is not what is promised.
//!
//! `interop-soak SECONDS`; `cargo xtask soak` builds what it needs and calls it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program tells what it found")]

use std::process::ExitCode;
use std::time::Duration;

use vernal_interop::check::Outcome;
use vernal_interop::soak;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(faults) if faults.is_empty() => {
            println!("\nnothing was lost, leaked or left behind");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            faults.iter().for_each(|fault| eprintln!("interop-soak: {fault}"));
            eprintln!("interop-soak: {} failed", faults.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("interop-soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<Vec<String>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds] = &arguments[..] else {
        return Err(format!("usage: interop-soak SECONDS, not {arguments:?}").into());
    };
    let time = seconds.parse().map(Duration::from_secs).map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    soak::run(time, |part| print!("{part}")).await
}
