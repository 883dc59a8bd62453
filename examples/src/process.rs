//! The programs of the example system as processes of their own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use vernal::BoxError;

use crate::program;

mod site;

pub use site::{Ports, Site};

/// The limit for a start.
const START: Duration = Duration::from_secs(20);
/// The limit for an end: the services take at most 10 s.
const END: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A running example program; its output goes to a file. Killed when dropped, and if that is because a thread panics, it
/// says what the program has said.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Mutex<Child>,
    output: NamedTempFile,
    port: u16,
}

impl Program {
    /// Starts the program and waits until it says where it listens.
    ///
    /// # Errors
    ///
    /// If it has not been built, ends, or does not listen within 20 s.
    pub async fn start(
        name: &str,
        flags: &[&str],
        settings: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Result<Self, BoxError> {
        let path = executable(name)?;
        let output = NamedTempFile::new()?;
        let child = Command::new(path)
            .args(flags)
            .args(settings.iter().map(|(name, value)| format!("--{name}={value}")))
            .env_remove("RUST_LOG")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.reopen()?)
            .stderr(output.reopen()?)
            .spawn()?;
        let mut program = Self { name: name.to_owned(), child: Mutex::new(child), output, port: 0 };
        let start = Instant::now();
        loop {
            let said = program.output();
            if let Some(port) = listening(name, &said) {
                program.port = port;
                return Ok(program);
            }
            if let Some(status) = program.child().try_wait()? {
                return Err(format!("{name} ended with {status}\n{}", program.output()).into());
            }
            if start.elapsed() > START {
                return Err(format!("{name} does not listen after {START:?}\n{said}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The name of the example.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has said so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.output.path()).unwrap_or_default()
    }

    /// SIGTERM.
    ///
    /// # Errors
    ///
    /// If it is gone already.
    pub fn terminate(&self) -> Result<(), BoxError> {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        if told.success() { Ok(()) } else { Err(format!("{} is gone\n{}", self.name, self.output()).into()) }
    }

    /// SIGKILL.
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    pub fn kill_at_once(&self) -> Result<(), BoxError> {
        Ok(self.child().kill()?)
    }

    /// Waits until it has ended, and gives how long that took.
    ///
    /// # Errors
    ///
    /// If it goes on for 15 s.
    pub async fn wait_until_ended(&self) -> Result<Duration, BoxError> {
        let start = Instant::now();
        while self.child().try_wait()?.is_none() {
            if start.elapsed() > END {
                return Err(format!("{} does not end within {END:?}\n{}", self.name, self.output()).into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(start.elapsed())
    }

    /// Its exit code; none while it runs, or if a signal ended it.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.child().try_wait().ok().flatten().and_then(|status| status.code())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            program::say(&format!("----- {}\n{}", self.name, self.output()));
        }
    }
}

/// The port in what a program says once it listens: a service in its log, a server by its name.
fn listening(name: &str, said: &str) -> Option<u16> {
    let port = said.lines().find_map(|line| {
        let of_server = || line.strip_prefix(name)?.strip_prefix(": ")?.split_once("://127.0.0.1:");
        line.split_once("listening address=127.0.0.1:").or_else(of_server)
    });
    port?.1.split(|next: char| !next.is_ascii_digit()).next()?.parse().ok()
}

/// `target/<profile>/examples/<name>`, found from this program, which is in `target/<profile>` or in `deps` below it.
fn executable(name: &str) -> Result<PathBuf, BoxError> {
    let this = std::env::current_exe()?;
    let places = this.ancestors().skip(1).take(2);
    let paths = places.map(|folder| folder.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION));
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    paths.into_iter().find(|path| path.exists()).ok_or_else(|| {
        format!("the example {name} is not built; `cargo build{profile} -p vernal-examples --examples` does it").into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_listens_when_it_says_so_itself() {
        let service = "2026-11-29T11:00:00Z  INFO x: subscribed broker=127.0.0.1:5672\n";
        assert_eq!(listening("order-service", service), None);
        let service = format!("{service}2026-11-29T11:00:01Z  INFO x: listening address=127.0.0.1:8102\n");
        assert_eq!(listening("order-service", &service), Some(8102));
        assert_eq!(listening("broker", "broker: amqp://127.0.0.1:5672 (guest/guest)\n"), Some(5672));
        assert_eq!(listening("config-service", "config-service: http://127.0.0.1:8888 over /x\n"), Some(8888));
        assert_eq!(listening("broker", "broker: cannot listen on `127.0.0.1:5672`"), None);
    }
}
