//! What all programs do before they are themselves.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use vernal::BoxError;
use vernal::commons::chain::Chain;
use vernal::config::{Bootstrap, Settings};
use vernal_testkit::logs::Logs;

use crate::estate::folder_of;

/// Logs to standard error, filtered by `RUST_LOG`. The default is `info`, without lapin's own lines: what it reports
/// as errors is a broker that is away, which the bus says in one line and gets over.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,lapin=off"));
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(format.with_filter(filter)).init();
}

/// Keeps everything in `kept`, and logs to standard error only what `RUST_LOG` asks for.
pub fn log_quietly(kept: &Logs) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(kept.clone()).with(format.with_filter(filter)).init();
}

/// The settings of a program that stands in for a server: its own `bootstrap.yml`, the environment, the arguments.
///
/// # Errors
///
/// If the file or an argument cannot be read.
pub async fn settings(program: &str) -> Result<Settings, BoxError> {
    let loaded = Bootstrap::builder().directory(folder_of(program)).args(std::env::args().skip(1)).load().await;
    Ok(loaded?)
}

/// A number from the settings.
///
/// # Errors
///
/// If the setting is there but is no such number.
pub fn port(settings: &Settings, name: &str, default: u16) -> Result<u16, BoxError> {
    match settings.get(name)? {
        Some(text) => text.trim().parse().map_err(|_| format!("`{name}` is `{text}`, expected a port number").into()),
        None => Ok(default),
    }
}

/// A path from the settings; a relative one is looked for in the current folder, then in the workspace.
#[must_use]
pub fn folder(text: &str) -> std::path::PathBuf {
    let path = Path::new(text.trim_start_matches("file:"));
    if path.exists() { path.to_owned() } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path) }
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
///
/// If the signal handlers cannot be installed.
pub async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// The exit code for how a program ended; an error is printed with its causes.
#[must_use]
#[expect(clippy::print_stderr, reason = "a program says why it ends")]
pub fn exit(program: &str, outcome: Result<(), BoxError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
