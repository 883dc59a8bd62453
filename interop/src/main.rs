//! Runs the scenarios against the peers that `interop/run up` has started.
//!
//! `cargo run -p vernal-interop -- [--smoke] [--list] [NAME...]`: exit code 0 if all of them succeeded, else 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program tells what it found")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use vernal_interop::check::Outcome;
use vernal_interop::peers::{Peers, Real};
use vernal_interop::scenario::{ALL, Ending, Scenario};
use vernal_testkit::logs::Logs;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("vernal-interop: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives the number of scenarios that failed.
async fn run() -> Outcome<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with('-'));
    if let Some(flag) = flags.iter().find(|flag| !["--smoke", "--list"].contains(&flag.as_str())) {
        return Err(format!("`{flag}` is unknown; usage: vernal-interop [--smoke] [--list] [NAME...]").into());
    }
    let smoke = flags.iter().any(|flag| *flag == "--smoke");
    if smoke && !names.is_empty() {
        return Err("`--smoke` and names: which of them?".into());
    }
    let mut wanted: Vec<&Scenario> = Vec::new();
    for name in names {
        wanted.push(Scenario::named(name).ok_or_else(|| format!("no scenario `{name}`; `--list` shows all"))?);
    }
    if wanted.is_empty() {
        wanted.extend(ALL.iter().filter(|scenario| !smoke || scenario.smoke));
    }
    if flags.iter().any(|flag| *flag == "--list") {
        wanted
            .iter()
            .for_each(|scenario| println!("{}{}", scenario.name, if scenario.smoke { " (smoke)" } else { "" }));
        return Ok(0);
    }
    let logs = Logs::new();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(logs.clone()).with(format.with_filter(filter)).init();

    let script =
        std::env::var("INTEROP_RUN").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/run").to_owned());
    let peers = Real::find(Path::new(&script).to_owned()).await?;
    println!("{:<32} {:<48} {:>8} {:>8}", "scenario", "peer and version", "outcome", "ms");
    let mut failed = 0;
    for scenario in wanted {
        let version = peers.version(scenario.area);
        // A scenario that cannot be run has not succeeded.
        let ending = match scenario.lacking(&peers) {
            Some(need) => Ending { failure: Some(format!("it needs {}", need.words())), took: Duration::ZERO },
            None => scenario.run(&peers, &logs).await,
        };
        let outcome = if ending.failure.is_none() { "ok" } else { "failed" };
        println!("{:<32} {version:<48} {outcome:>8} {:>8}", scenario.name, ending.took.as_millis());
        if let Some(failure) = ending.failure {
            failed += 1;
            println!("    {failure}");
        }
    }
    Ok(failed)
}
