//! A program that is measured, as a process of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::Bench;
use crate::check::Outcome;
use crate::peers::{Peer, Peers, Real};
use crate::proc::Resident;
use crate::web::Web;

/// No program takes longer to start or to end.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks whether it has started.
const PAUSE: Duration = Duration::from_millis(2);

/// How a program is started.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    program: PathBuf,
    arguments: Vec<String>,
}

/// A program that runs; dropped, it is killed.
pub(super) struct Program {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Recipe {
    /// A Java peer like one that runs, with these options of the JVM and further settings.
    pub(super) fn java(peers: &Real, like: Peer, options: &[&str], settings: &[&str]) -> Outcome<Self> {
        let mut words = peers.command_line(like)?.into_iter();
        let program = words.next().ok_or("the command line of a peer is empty")?.into();
        let after_options = words.skip_while(|word| word != "-jar");
        let replaced = |word: &String| {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            name == "--server.port" || settings.iter().any(|setting| setting.split('=').next() == Some(name))
        };
        let kept: Vec<_> = after_options.filter(|word| !replaced(word)).collect();
        if kept.first().is_none_or(|word| word != "-jar") {
            return Err(format!("{} was not started from a jar", like.name()).into());
        }
        // What the scenarios ask for costs time and memory that an ordinary service does not spend.
        let no_journal = "--spring.autoconfigure.exclude=vernal.interop.journal.JournalConfiguration".to_owned();
        let options = options.iter().map(|&option| option.to_owned());
        let settings = settings.iter().map(|&setting| setting.to_owned()).chain([no_journal]);
        Ok(Self { program, arguments: options.chain(kept).chain(settings).collect() })
    }

    /// A program of our examples that joins the same servers as the peers.
    pub(super) fn ours(bench: &Bench<'_>, name: &str, settings: &[String]) -> Outcome<Self> {
        let arguments = [
            format!("--spring.cloud.config.uri={}", bench.peers.url(Peer::Config)?),
            format!("--eureka.client.service-url.defaultZone={}", bench.peers.url(Peer::Registry)?),
            format!("--spring.rabbitmq.port={}", bench.peers.broker_port()),
        ];
        let arguments = arguments.into_iter().chain(settings.iter().cloned()).collect();
        Ok(Self { program: bench.example(name), arguments })
    }

    /// A program that takes these arguments and nothing else.
    pub(super) const fn plain(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { program, arguments }
    }

    /// Starts it on a free port.
    fn spawn(&self) -> Outcome<Program> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = tempfile::Builder::new().prefix("vernal-bench-").tempdir()?;
        // Ours keeps its database below `target`.
        std::fs::create_dir(folder.path().join("target"))?;
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(format!("--server.port={port}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        Ok(Program { child, url: format!("http://127.0.0.1:{port}"), folder })
    }

    /// Starts it and waits until it answers `path` with 200; gives also the time from the one to the other.
    pub(super) async fn start(&self, path: &str) -> Outcome<(Program, Duration)> {
        let start = Instant::now();
        let mut program = self.spawn()?;
        let (web, url) = (Web::new()?, format!("{}{path}", program.url));
        while web.get(&url).await.status != 200 {
            if let Some(status) = program.child.try_wait()? {
                return Err(format!("{} ended with {status}: {}", self.program.display(), program.last_words()).into());
            }
            if start.elapsed() > LIMIT {
                let told = program.last_words();
                return Err(format!("{} does not answer {url}: {told}", self.program.display()).into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok((program, start.elapsed()))
    }
}

impl Program {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its resident memory now.
    pub(super) fn resident(&self) -> Outcome<Resident> {
        Resident::of(self.child.id().ok_or("the program has ended")?)
    }

    /// Ends it as SIGTERM does.
    pub(super) async fn stop(mut self) -> Outcome {
        let pid = self.child.id().ok_or("the program has ended before it was told to")?;
        Command::new("kill").arg(pid.to_string()).status().await?;
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        ended.map_err(|_| format!("a program did not end within {LIMIT:?} of SIGTERM"))??;
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
