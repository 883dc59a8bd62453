//! What all programs do before they are themselves.

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use vernal::BoxError;
use vernal::commons::chain::Chain;
use vernal::config::{Bootstrap, Settings};
use vernal_testkit::logs::Logs;

use crate::estate::folder_of;

/// Runs a program that takes settings as arguments and nothing else.
pub async fn run<F>(name: &str, body: impl FnOnce(Vec<String>) -> F) -> ExitCode
where
    F: Future<Output = Result<(), BoxError>>,
{
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        say(&format!(
            "{name}: the settings are those of examples/{name}/bootstrap.yml, the environment and arguments \
             `--name=value`; the top of examples/{name}/main.rs says more"
        ));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = arguments.iter().find(|argument| !is_setting(argument)) {
        return exit(name, Err(unknown_argument(name, unknown)));
    }
    log();
    exit(name, body(arguments).await)
}

/// Whether an argument sets a property: `--name=value`.
#[must_use]
pub fn is_setting(argument: &str) -> bool {
    argument.strip_prefix("--").and_then(|setting| setting.split_once('=')).is_some_and(|(name, _)| !name.is_empty())
}

/// What a program ends with that does not know an argument.
#[must_use]
pub fn unknown_argument(program: &str, argument: &str) -> BoxError {
    format!("unknown argument `{argument}`; see the top of {program}/main.rs").into()
}

/// Writes a line to standard output. Whether anybody reads it is not the program's business.
pub fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}

/// Logs to standard error, filtered by `RUST_LOG`, by default at `info`.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    init(tracing_subscriber::registry(), filter);
}

/// Keeps everything in `kept`, and logs to standard error only what `RUST_LOG` asks for.
pub fn log_quietly(kept: &Logs) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    init(tracing_subscriber::registry().with(kept.clone()), filter);
}

fn init<S>(registry: S, filter: EnvFilter)
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    // A line that cannot be written is lost: the layer would panic if it could not even say so.
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    registry.with(format.with_filter(without_lapin(filter))).init();
}

/// lapin's own lines are left out, whatever `RUST_LOG` says: its frames at `trace` hold the login, and what it reports
/// as errors is a broker that is away, which the bus says in one line and gets over.
fn without_lapin<S>(filter: EnvFilter) -> impl Filter<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let foreign = |target: &str| !["lapin", "amq_protocol"].iter().any(|name| target.starts_with(name));
    filter.and(filter_fn(move |metadata| foreign(metadata.target())))
}

/// The settings of a program that stands in for a server: its own `bootstrap.yml`, the environment, the arguments.
///
/// # Errors
///
/// If the file or an argument cannot be read.
pub async fn settings(program: &str, arguments: Vec<String>) -> Result<Settings, BoxError> {
    Ok(Bootstrap::builder().directory(folder_of(program)).args(arguments).load().await?)
}

/// A server that was to listen on `port` of the loopback, which the setting `key` names.
///
/// # Errors
///
/// If it does not; the error names both.
pub fn listening<T>(started: std::io::Result<T>, port: u16, key: &str) -> Result<T, BoxError> {
    started.map_err(|error| match error.kind() {
        // No matter of the port: the server was told nonsense.
        std::io::ErrorKind::InvalidInput => error.into(),
        _ => format!("cannot listen on `127.0.0.1:{port}` (`{key}`): {error}").into(),
    })
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

/// A folder from the settings; a relative one is looked for in the current folder, then in the workspace.
///
/// # Errors
///
/// If `key` is not set or there is no such folder.
pub fn folder(settings: &Settings, key: &str) -> Result<PathBuf, BoxError> {
    let text = settings.get(key)?.ok_or_else(|| format!("`{key}` is not set"))?;
    let path = Path::new(text.trim_start_matches("file:"));
    let in_the_workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let found = [path.to_owned(), in_the_workspace].into_iter().find(|path| path.is_dir());
    found.ok_or_else(|| format!("`{key}` is `{text}`, which is no folder").into())
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

/// The exit code for how a program ended; an error is printed with its causes. A reader of the output who has gone
/// (`| head`) ends a program without a word.
#[must_use]
pub fn exit(program: &str, outcome: Result<(), BoxError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !is_closed_pipe(&*error) {
                writeln!(std::io::stderr(), "{program}: {}", Chain(&*error)).ok();
            }
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lapin_is_silent_whatever_rust_log_says() {
        let written = Written::default();
        let writer = written.clone();
        let format = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let filter = without_lapin(EnvFilter::new("trace,lapin=trace,lapin::io_loop=trace"));
        let subscriber = tracing_subscriber::registry().with(format.with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "lapin::io_loop", "guest");
            tracing::error!(target: "lapin", "guest");
            tracing::trace!("of our own");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("of our own") && !written.contains("guest"), "{written}");
    }

    #[test]
    fn settings_are_arguments_with_a_name_and_a_value() {
        assert!(is_setting("--foo=bar") && is_setting("--server.port="));
        assert!(["bogus", "--help", "--foo", "-x=1", "--=1"].into_iter().all(|argument| !is_setting(argument)));
    }
}
