//! Java's and ours side by side, in one run (`interop/run bench`). BENCHMARKS.md holds a run's tables and the method.

mod calls;
mod load;
mod machine;
mod program;
mod refresh;
mod settings;
mod start;

use std::path::PathBuf;

pub use calls::{CLIENT, TARGET, serve_client, serve_target};
use load::Load;

use crate::check::Outcome;
use crate::peers::{Peers, Real};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Starts of each program.
    starts: usize,
    /// Refreshes of each service.
    refreshes: usize,
    /// Milliseconds before a rate is measured.
    warm_up: u64,
    /// Milliseconds while a rate is measured.
    time: u64,
}

impl Effort {
    /// For figures that shall be told.
    pub const FULL: Self = Self { starts: 5, refreshes: 10, warm_up: 15_000, time: 10_000 };
    /// For a look whether it works.
    pub const QUICK: Self = Self { starts: 1, refreshes: 2, warm_up: 2000, time: 2000 };

    const fn load(self, concurrency: usize) -> Load {
        Load { concurrency, warm_up_millis: self.warm_up, millis: self.time }
    }
}

/// What all measurements share.
struct Bench<'a> {
    peers: &'a Real,
    effort: Effort,
    /// The programs of our examples, built for release.
    examples: PathBuf,
}

/// Measures everything and tells it as Markdown, part by part. What is measured runs in processes of its own, which are started
/// here; the peers are the servers that they join.
///
/// # Errors
///
/// If something could not be measured.
pub async fn run(peers: &Real, effort: Effort, tell: fn(&str)) -> Outcome {
    let this = std::env::current_exe()?;
    let examples = this.parent().map(|folder| folder.join("examples")).unwrap_or_default();
    for name in ["order-service", "config-service"] {
        let program = examples.join(name);
        if !program.exists() {
            return Err(format!("{} is missing; `interop/run bench` builds it", program.display()).into());
        }
    }
    let bench = Bench { peers, effort, examples };
    tell(&machine::describe(peers).await?);
    tell(&start::measure(&bench).await?.to_string());
    tell(&refresh::measure(&bench).await?.to_string());
    tell(&calls::measure(&bench).await?.to_string());
    tell(&settings::measure(&bench).await?.to_string());
    Ok(())
}

impl Bench<'_> {
    fn example(&self, name: &str) -> PathBuf {
        self.examples.join(name)
    }

    /// Adds a file to the config repository that all services of this run read.
    fn settings_of(&self, application: &str, yaml: &str) -> Outcome {
        Ok(std::fs::write(self.peers.config_repo().join(format!("{application}.yml")), yaml)?)
    }
}
