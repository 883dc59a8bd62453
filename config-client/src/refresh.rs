//! Loading anew: what came of it, and one run for all who ask at the same time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use serde::{Serialize, Serializer};
use vernal_commons::BoxFuture;

use crate::error::Error;

/// What a refresh changed. Serialises to the array of names that `POST /actuator/refresh` answers with.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RefreshReport {
    /// The generation that is current now.
    pub generation: u64,
    /// What the server calls the state of its repository, e.g. a commit.
    pub version: Option<String>,
    /// The properties that were added or removed or resolve to another value; sorted.
    pub changed: Vec<String>,
    /// What went wrong without failing the refresh. If a server that may fail gave nothing, the old settings stay
    /// and this says why.
    pub warnings: Vec<String>,
    /// How long it took.
    pub duration: Duration,
}

impl Serialize for RefreshReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.changed.serialize(serializer)
    }
}

/// How the last refreshes went, for health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshStatus {
    /// Whether a config server is part of the settings at all.
    pub uses_server: bool,
    /// The server's version of the current settings.
    pub version: Option<String>,
    /// When settings were last loaded in full, in milliseconds since 1970; `None` if the program started without
    /// the server's settings.
    pub last_success: Option<u64>,
    /// When a load failed last, in milliseconds since 1970.
    pub last_failure: Option<u64>,
    /// What it failed with; holds no secret.
    pub failure: Option<String>,
    /// How many loads have failed since the last that did not.
    pub consecutive_failures: u32,
    /// Since when loads have been failing, in milliseconds since 1970; `None` if the last one did not fail.
    pub failing_since: Option<u64>,
}

impl RefreshStatus {
    /// Whether the settings may be older than the server's.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.consecutive_failures > 0
    }

    pub(crate) fn succeeded(&mut self, now: u64, version: Option<String>) {
        self.last_success = Some(now);
        self.version = version;
        self.failing_since = None;
        self.consecutive_failures = 0;
    }

    pub(crate) fn failed(&mut self, now: u64, reason: String) {
        self.last_failure = Some(now);
        self.failing_since.get_or_insert(now);
        self.failure = Some(reason);
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
    }
}

pub(crate) type Outcome = Result<Arc<RefreshReport>, Error>;
type Run = Shared<BoxFuture<'static, Outcome>>;

/// Runs one refresh at a time. Who asks while one runs shares the next one, since the running one may have read the
/// server before the change that they were told of.
#[derive(Default)]
pub(crate) struct Flight(Arc<Mutex<Runs>>);

#[derive(Default)]
struct Runs {
    current: Option<Run>,
    queued: Option<Run>,
}

impl Flight {
    /// The run to wait for; `start` makes the future of a new one.
    pub(crate) fn join(&self, start: impl FnOnce() -> BoxFuture<'static, Outcome>) -> Run {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It has not begun, so it will see everything that happened until now.
        if let Some(queued) = &runs.queued {
            return queued.clone();
        }
        let Some(current) = runs.current.clone().filter(|run| run.peek().is_none()) else {
            let run = start().shared();
            runs.current = Some(run.clone());
            return run;
        };
        let (next, all) = (start(), Arc::downgrade(&self.0));
        let run = async move {
            // How the run before ended does not matter here.
            let _ = current.await;
            if let Some(all) = all.upgrade() {
                let mut runs = all.lock().unwrap_or_else(PoisonError::into_inner);
                runs.current = runs.queued.take();
            }
            next.await
        };
        let run = run.boxed().shared();
        runs.queued = Some(run.clone());
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn who_asks_during_a_run_shares_exactly_one_more() {
        let (flight, runs, gate) = (Flight::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let join = || {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            flight.join(move || {
                async move {
                    gate.acquire().await.unwrap().forget();
                    runs.fetch_add(1, Ordering::Relaxed);
                    Ok(Arc::default())
                }
                .boxed()
            })
        };
        let waiting: Vec<_> = (0..100).map(|_| join()).collect();
        gate.add_permits(1);
        waiting[0].clone().await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        gate.add_permits(1);
        futures_util::future::join_all(waiting).await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        gate.add_permits(1);
        join().await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_report_is_the_array_of_changed_names() {
        let report = RefreshReport { changed: vec!["a".to_owned(), "b[0]".to_owned()], ..RefreshReport::default() };
        assert_eq!(serde_json::to_string(&report).unwrap(), r#"["a","b[0]"]"#);
    }
}
